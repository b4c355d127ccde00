"""Notifications in the store: who is told, what failed since they were, and messages on their way.

Failures are rows that a trigger writes with the task (``schema_outside``), numbered in the order of their commits.
Everybody who is told has the number of the last one that was: a digest is made of those behind it, and written with its
messages in the transaction that moves the number. So nothing is lost, or told by two digests.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aloma_py.errors import InputError, NotFoundError, StaleTask, StateError
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json, Millis
from aloma_py.store.places import group_place, group_what
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

KEEP: Final = 30 * 86_400_000
"""How long messages are kept that were delivered or given up, in milliseconds."""

PURGE_BATCH: Final = 2_000

LONGEST_MESSAGE: Final = 20_000
"""Characters of an error's message that are read."""

_COLUMNS: Final = "name, options, sealed IS NOT NULL, told_until, next_at, updated_at, updated_by"
_NEWEST: Final = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'failure'), 0)"

PAGE: Final = 1_000
"""How many failures are read at once."""

# Each task once, by the last of its failures; of its runs that failed, the last one says why.
_FAILED: Final = f"""
SELECT failure.no, task.workspace, task.id, task.name, task.state, task.reason, failure.at, entry.step,
    entry.error ->> 0, substr(entry.error ->> 1, 1, {LONGEST_MESSAGE})
FROM failure CROSS JOIN task ON task.id = failure.task
LEFT JOIN entry ON entry.task = task.id AND task.reason LIKE 'unhandled error in %' AND entry.n = (
    SELECT max(n) FROM entry AS failed WHERE failed.task = task.id AND failed.outcome = 'failed'
)
WHERE failure.no > :after AND failure.no <= :until
    AND failure.workspace IN (SELECT value FROM json_each(:workspaces))
    AND NOT EXISTS (
        SELECT 1 FROM failure AS later
        WHERE later.task = failure.task AND later.no > failure.no AND later.no <= :until
    )
ORDER BY failure.no LIMIT {PAGE}
"""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told: a group, or one address that workspaces name. ``options`` are addresses, webhooks and every."""

    name: str
    options: Mapping[str, Any]
    has_secret: bool
    told_until: int  # the number of a failure
    next_at: Millis | None  # when its next digest is due; None: nothing failed yet
    updated_at: Millis
    updated_by: str

    @property
    def direct(self) -> bool:
        """Whether it is an address that workspaces name: a group's name has no such signs."""
        return "@" in self.name or "://" in self.name

    @property
    def targets(self) -> list[str]:
        return [*self.options["addresses"], *self.options["webhooks"]]


@dataclass(frozen=True, slots=True)
class Failed:
    """A task that failed, as it is now: it may do so no more."""

    no: int
    workspace: str
    id: str
    name: str
    state: str
    reason: str | None
    at: Millis
    step: str | None
    type: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Message:
    no: int
    audience: str
    target: str
    body: Mapping[str, Any]  # {"id", "content"}: what it is called on its way, and the digest
    created_at: Millis
    state: str
    attempts: int
    next_at: Millis | None
    error: str | None


class Notifications:
    """Everything of notifications in ``store``."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    # ── who is told ─────────────────────────────────────────────────────────────────────────────────────────────

    def audiences(self) -> list[Audience]:
        """All, by name."""
        with self._store.reading() as reader:
            return [_audience(row) for row in reader.execute(f"SELECT {_COLUMNS} FROM notification_group")]

    def groups(self) -> list[Audience]:
        return [one for one in self.audiences() if not one.direct]

    def get(self, name: str) -> Audience:
        """The group, or :class:`~aloma_py.errors.NotFoundError`."""
        groups = self.groups()
        for one in groups:
            if one.name == name:
                return one
        raise NotFoundError("notification group", name, [one.name for one in groups])

    def secret(self, name: str) -> str | None:
        """What a group's webhooks are signed with; :class:`~aloma_py.errors.StoreError` where it cannot be read."""
        with self._store.reading() as reader:
            row = reader.execute("SELECT sealed FROM notification_group WHERE name = ?", (name,)).fetchone()
        if row is None or row[0] is None:
            return None
        return self._store.cipher.unseal(group_place(name), row[0], group_what(name))

    async def add(self, name: str, options: Mapping[str, Json], secret: str | None, now: Millis, by: str) -> None:
        """Make a group; it is told of what fails from now on."""
        sealed = self._seal(name, secret)

        def insert(connection: sqlite3.Connection) -> None:
            if connection.execute("SELECT 1 FROM notification_group WHERE name = ?", (name,)).fetchone():
                raise InputError(f"there is a notification group {name!r} already; another name was expected")
            _insert(connection, name, options, sealed, now, by)

        await self._write(insert)

    async def update(
        self, before: Audience, options: Mapping[str, Json], secret: str | None, now: Millis, by: str
    ) -> None:
        """Change a group; without ``secret`` it keeps the one it has. Messages to whom it has no more are given up."""
        sealed = self._seal(before.name, secret)
        targets = [*options["addresses"], *options["webhooks"]]

        def change(connection: sqlite3.Connection) -> None:
            # The next digest is planned anew: the time between two may be another now.
            sql = (
                "UPDATE notification_group SET options = ?, sealed = coalesce(?, sealed), next_at = NULL, "
                "updated_at = ?, updated_by = ? WHERE name = ? AND options = ?"
            )
            new = (dumps(dict(options)), sealed, now, by, before.name, dumps(dict(before.options)))
            if not connection.execute(sql, new).rowcount:
                raise StaleTask(f"the group {before.name!r} was changed by somebody else in between; try again")
            _give_up(connection, before.name, "the group does not have this target any more", but=targets)

        await self._write(change)

    async def delete(self, name: str) -> None:
        """Remove a group; messages that wait are given up."""

        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM notification_group WHERE name = ?", (name,))
            _give_up(connection, name, "the group was deleted")

        await self._write(remove)

    async def sync_direct(self, wanted: Mapping[str, Mapping[str, Json]], now: Millis) -> None:
        """Have exactly those who are named directly: options by address. Writes only where something differs."""
        had = {one.name for one in self.audiences() if one.direct}
        if had == wanted.keys():
            return

        def change(connection: sqlite3.Connection) -> None:
            for name in had - wanted.keys():
                connection.execute("DELETE FROM notification_group WHERE name = ?", (name,))
                _give_up(connection, name, "no workspace names it any more")
            for name in wanted.keys() - had:
                _insert(connection, name, wanted[name], None, now, "")

        await self._write(change)

    # ── what failed ─────────────────────────────────────────────────────────────────────────────────────────────

    def newest(self) -> int:
        """The number of the newest failure there ever was."""
        with self._store.reading() as reader:
            return int(reader.execute(_NEWEST).fetchone()[0])

    def first_failure(self, workspaces: Collection[str], after: int, until: int) -> Millis | None:
        """When the first of the failures behind number ``after`` happened in any of these workspaces."""
        sql = (
            "SELECT at FROM failure WHERE no > ? AND no <= ? AND workspace IN (SELECT value FROM json_each(?)) "
            "ORDER BY no LIMIT 1"
        )
        with self._store.reading() as reader:
            row = reader.execute(sql, (after, until, dumps([*workspaces]))).fetchone()
        return None if row is None else int(row[0])

    async def failed(self, workspaces: Collection[str], after: int, until: int) -> list[Failed]:
        """The next tasks that failed behind number ``after``, in order, :data:`PAGE` at most."""
        given = {"after": after, "until": until, "workspaces": dumps([*workspaces])}
        return await self._store.read(
            lambda connection: [Failed(*row) for row in connection.execute(_FAILED, given).fetchall()]
        )

    # ── digests ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def plan(self, next_at: Mapping[str, Millis], told_until: Mapping[str, int]) -> None:
        """Write when digests are due, and that for others nothing failed up to a number."""

        def write(connection: sqlite3.Connection) -> None:
            sql = "UPDATE notification_group SET next_at = ? WHERE name = ? AND next_at IS NULL"
            connection.executemany(sql, [(at, name) for name, at in next_at.items()])
            sql = "UPDATE notification_group SET told_until = max(told_until, ?1), next_at = NULL WHERE name = ?2"
            connection.executemany(sql, [(no, name) for name, no in told_until.items()])

        if next_at or told_until:
            await self._write(write)

    async def cut(
        self, audience: Audience, until: int, messages: Sequence[tuple[str, Mapping[str, Json]]], now: Millis
    ) -> bool:
        """Write the messages of a digest, ``(target, body)``, and that everything up to ``until`` was told.

        ``False``, with nothing written, where the audience is not any more as it was.
        """

        def write(connection: sqlite3.Connection) -> bool:
            sql = (
                "UPDATE notification_group SET told_until = ?, next_at = NULL "
                "WHERE name = ? AND told_until = ? AND options = ?"
            )
            found = (until, audience.name, audience.told_until, dumps(dict(audience.options)))
            if not connection.execute(sql, found).rowcount:
                return False
            connection.executemany(
                "INSERT INTO notification (audience, target, body, created_at, state, next_at) "
                "VALUES (?, ?, ?, ?, 'waiting', ?)",
                [(audience.name, target, dumps(dict(body)), now, now) for target, body in messages],
            )
            return True

        return bool(await self._write(write))

    # ── messages ────────────────────────────────────────────────────────────────────────────────────────────────

    def due(self, now: Millis, *, webhooks: bool, but: Collection[int], limit: int) -> list[Message]:
        """Messages to webhooks, or by mail, whose time has come; the earliest first."""
        sql = (
            f"{_SELECT} WHERE next_at <= ? AND (target LIKE '%://%') = ? "
            "AND no NOT IN (SELECT value FROM json_each(?)) ORDER BY next_at, no LIMIT ?"
        )
        with self._store.reading() as reader:
            return [_message(row) for row in reader.execute(sql, (now, webhooks, dumps([*but]), limit))]

    def soonest(self, *, webhooks: bool, but: Collection[int]) -> Millis | None:
        """When the next of them is due."""
        sql = (
            "SELECT min(next_at) FROM notification WHERE next_at IS NOT NULL AND (target LIKE '%://%') = ? "
            "AND no NOT IN (SELECT value FROM json_each(?))"
        )
        with self._store.reading() as reader:
            found: Millis | None = reader.execute(sql, (webhooks, dumps([*but]))).fetchone()[0]
            return found

    async def attempted(self, no: int, state: str, next_at: Millis | None, error: str | None) -> None:
        """Write what became of an attempt. A message that was given up meanwhile stays as it is."""
        sql = (
            "UPDATE notification SET state = ?1, attempts = attempts + 1, next_at = ?2, error = ?3 "
            "WHERE no = ?4 AND (state = 'waiting' OR ?1 = 'delivered')"
        )
        await self._write(lambda connection: connection.execute(sql, (state, next_at, error, no)) and None)

    async def hold_mails(self, why: str, before: Millis) -> int:
        """Say of mails that wait why they do; those from before that time are given up. How many those are."""
        mails = "next_at IS NOT NULL AND state = 'waiting' AND target NOT LIKE '%://%'"  # what waits has a next_at
        with self._store.reading() as reader:
            sql = f"SELECT 1 FROM notification WHERE {mails} AND (error IS NOT ? OR created_at < ?) LIMIT 1"
            if reader.execute(sql, (why, before)).fetchone() is None:
                return 0

        def write(connection: sqlite3.Connection) -> int:
            connection.execute(f"UPDATE notification SET error = ? WHERE {mails}", (why,))
            sql = f"UPDATE notification SET state = 'failed', next_at = NULL WHERE {mails} AND created_at < ?"
            return connection.execute(sql, (before,)).rowcount

        return int(await self._write(write))

    def log(self, limit: int, before: int | None = None, state: str | None = None) -> list[Message]:
        """Messages, the newest first."""
        sql = f"{_SELECT} WHERE no < coalesce(?, no + 1) AND state = coalesce(?, state) ORDER BY no DESC LIMIT ?"
        with self._store.reading() as reader:
            return [_message(row) for row in reader.execute(sql, (before, state, limit))]

    def message(self, no: int) -> Message:
        """The message, or :class:`~aloma_py.errors.NotFoundError`."""
        with self._store.reading() as reader:
            row = reader.execute(f"{_SELECT} WHERE no = ?", (no,)).fetchone()
        if row is None:
            raise NotFoundError("notification", str(no))
        return _message(row)

    async def retry(self, no: int, now: Millis) -> None:
        """Have a message tried at once; :class:`~aloma_py.errors.StateError` where it was delivered."""

        def write(connection: sqlite3.Connection) -> None:
            sql = "UPDATE notification SET state = 'waiting', next_at = ? WHERE no = ? AND state <> 'delivered'"
            if not connection.execute(sql, (now, no)).rowcount:
                raise StateError(f"the notification {no} was delivered; it is not sent again")

        await self._write(write)

    async def purge(self, now: Millis) -> int:
        """Forget messages that were delivered or given up 30 days ago, and failures that everybody was told of."""
        gone = 0
        for sql, values in (
            (
                "DELETE FROM notification WHERE no IN (SELECT no FROM notification "
                "WHERE state <> 'waiting' AND created_at < ? LIMIT ?)",
                (now - KEEP, PURGE_BATCH),
            ),
            (
                "DELETE FROM failure WHERE no IN (SELECT no FROM failure WHERE no <= "
                f"coalesce((SELECT min(told_until) FROM notification_group), ({_NEWEST})) LIMIT ?)",
                (PURGE_BATCH,),
            ),
        ):
            rows = PURGE_BATCH
            while rows == PURGE_BATCH:
                rows = await self._write(_rows_of(sql, values))
                gone += rows
        return gone

    def _seal(self, name: str, secret: str | None) -> bytes | None:
        return None if secret is None else self._store.cipher.seal(group_place(name), secret)

    async def _write(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._store.writer.write(Write(job=job))


_SELECT: Final = "SELECT no, audience, target, body, created_at, state, attempts, next_at, error FROM notification"


def _rows_of(sql: str, values: tuple[Any, ...]) -> Callable[[sqlite3.Connection], int]:
    return lambda connection: connection.execute(sql, values).rowcount


def _insert(
    connection: sqlite3.Connection, name: str, options: Mapping[str, Json], sealed: bytes | None, now: Millis, by: str
) -> None:
    sql = (
        "INSERT INTO notification_group (name, options, sealed, told_until, updated_at, updated_by) "
        f"VALUES (?, ?, ?, ({_NEWEST}), ?, ?)"
    )
    connection.execute(sql, (name, dumps(dict(options)), sealed, now, by))


def _give_up(connection: sqlite3.Connection, audience: str, why: str, but: Iterable[str] = ()) -> None:
    sql = (
        "UPDATE notification SET state = 'failed', next_at = NULL, error = ? WHERE audience = ? AND state = 'waiting' "
        "AND target NOT IN (SELECT value FROM json_each(?))"
    )
    connection.execute(sql, (why, audience, dumps([*but])))


def _audience(row: tuple[Any, ...]) -> Audience:
    name, options, has_secret, *rest = row
    return Audience(name, loads(options), bool(has_secret), *rest)


def _message(row: tuple[Any, ...]) -> Message:
    no, audience, target, body, *rest = row
    return Message(no, audience, target, loads(body), *rest)
