"""The repositories that workspaces follow, in the store: one row for each, with when it is looked at next."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aloma_py.errors import NotFoundError, StaleTask
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json, Millis
from aloma_py.store.news import source_news
from aloma_py.store.places import source_place, source_what
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

BETWEEN: Final[Millis] = 10_000
"""What lies between two looks at least, however often the host tells of pushes."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "url": "", "branch": None, "folder": None, "user": None, "host_key": None, "automatic": False, "every": 300_000,
    "secrets": (),
}  # fmt: skip
"""The options of a source; ``secrets`` names what is kept encrypted."""

_COLUMNS: Final = "workspace, options, hook, next_at, last_at, taken, error, seen, failures, updated_at, updated_by"
_SELECT: Final = f"SELECT {_COLUMNS} FROM source"
_LIVE: Final = (
    "NOT EXISTS (SELECT 1 FROM workspace WHERE workspace.name = source.workspace "
    "AND coalesce(json_extract(workspace.facts, '$.archived_at'), json_extract(workspace.facts, '$.delete_at')) "
    "IS NOT NULL)"
)


_UNCHANGED: Final = "workspace = ? AND options = ? AND updated_at = ?"
"""Of a source that nobody has changed since it was read; see :func:`_as_it_was`."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a workspace follows. ``seen`` is what the last look that went well found, ``text`` the options as stored."""

    workspace: str
    options: dict[str, Any]
    hook: str | None
    next_at: Millis | None
    last_at: Millis | None
    taken: str | None
    error: str | None
    seen: dict[str, Any]
    failures: int
    updated_at: Millis
    updated_by: str
    text: str


def due(store: SQLiteStore, now: Millis, but: Collection[str] = ()) -> list[Source]:
    """The sources of all workspaces, save archived ones, whose time has come, but not those; the earliest first."""
    with store.reading() as reader:
        found = reader.execute(f"{_SELECT} WHERE next_at <= ? AND {_LIVE} ORDER BY next_at", (now,)).fetchall()
    return [_read(row) for row in found if row[0] not in but]


def soonest(store: SQLiteStore, but: Collection[str] = ()) -> Millis | None:
    """When the next source is due, of all workspaces but those; ``None`` where none is."""
    sql = (
        f"SELECT min(next_at) FROM source WHERE next_at IS NOT NULL AND {_LIVE} "
        "AND workspace NOT IN (SELECT value FROM json_each(?))"
    )
    with store.reading() as reader:
        found: Millis | None = reader.execute(sql, (dumps([*but]),)).fetchone()[0]
        return found


def find_hook(store: SQLiteStore, hook: str) -> Source | None:
    """The source whose host posts to this address."""
    with store.reading() as reader:
        row = reader.execute(f"{_SELECT} WHERE hook = ?", (hook,)).fetchone()
    return None if row is None else _read(row)


def digest_of(scripts: Iterable[tuple[str, str, str, str]]) -> str:
    """A digest of stored scripts, each as kind, name, suffix and version."""
    return hashlib.sha256(dumps([list(one) for one in sorted(scripts)]).encode()).hexdigest()


class SourceRow:
    """The source of one workspace."""

    def __init__(self, store: SQLiteStore, workspace: str) -> None:
        self.workspace = workspace
        self._store = store

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    def find(self) -> Source | None:
        with self._store.reading() as reader:
            row = reader.execute(f"{_SELECT} WHERE workspace = ?", (self.workspace,)).fetchone()
        return None if row is None else _read(row)

    def get(self) -> Source:
        """The source, or :class:`~aloma_py.errors.NotFoundError` where the workspace follows nothing."""
        found = self.find()
        if found is None:
            error = NotFoundError("source", self.workspace)
            error.args = (
                f"the workspace {self.workspace!r} follows no repository "
                "(`aloma-py workspace source --repo URL` has it follow one)",
            )
            raise error
        return found

    def is_still(self, source: Source) -> bool:
        """Whether the source is there, and nobody has changed it since it was read."""
        with self._store.reading() as reader:
            sql = f"SELECT 1 FROM source WHERE {_UNCHANGED}"
            return reader.execute(sql, _as_it_was(source)).fetchone() is not None

    def secrets(self) -> dict[str, str]:
        """What is shown to the repository's host; :class:`~aloma_py.errors.StoreError` where it cannot be read."""
        with self._store.reading() as reader:
            row = reader.execute("SELECT sealed FROM source WHERE workspace = ?", (self.workspace,)).fetchone()
        if row is None or row[0] is None:
            return {}
        text = self._store.cipher.unseal(source_place(self.workspace), row[0], source_what(self.workspace))
        found: dict[str, str] = loads(text)
        return found

    def scripts(self) -> str:
        """A digest of the stored steps and libraries: another one says that they were changed."""
        sql = "SELECT kind, name, suffix, version FROM script WHERE workspace = ?"
        with self._store.reading() as reader:
            return digest_of(reader.execute(sql, (self.workspace,)))

    # ── changing ────────────────────────────────────────────────────────────────────────────────────────────────

    async def put(
        self,
        before: Source | None,
        options: Mapping[str, Json],
        secrets: Mapping[str, str],
        hook: str,
        next_at: Millis | None,
        *,
        again: bool,
        at: Millis,
        by: str,
    ) -> None:
        """Have the workspace follow this, in the place of ``before``; ``again``: as if nothing of it had been taken.

        ``hook`` is for one that has none yet: the address of one that has stays, or is what it became meanwhile.
        Raises :class:`~aloma_py.errors.StaleTask` where somebody else changed it in between.
        """
        sealed = self._store.cipher.seal(source_place(self.workspace), dumps(dict(secrets))) if secrets else None
        text = dumps(dict(options))

        def write(connection: sqlite3.Connection) -> None:
            if before is None:
                connection.execute("INSERT OR IGNORE INTO workspace (name) VALUES (?)", (self.workspace,))
                sql = (
                    "INSERT OR IGNORE INTO source (workspace, options, sealed, hook, next_at, updated_at, updated_by) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)"
                )
                made = connection.execute(sql, (self.workspace, text, sealed, hook, next_at, at, by))
            else:
                sql = (
                    "UPDATE source SET options = ?, sealed = ?, hook = coalesce(hook, ?), next_at = ?, updated_at = ?, "
                    "updated_by = ?, taken = iif(?, NULL, taken), seen = iif(?, '{}', seen), error = NULL, "
                    f"failures = 0 WHERE {_UNCHANGED}"
                )
                values = (text, sealed, hook, next_at, at, by, again, again, *_as_it_was(before))
                made = connection.execute(sql, values)
            if not made.rowcount:
                raise StaleTask(
                    f"the source of workspace {self.workspace!r} was changed by somebody else in between; try again"
                )

        await self._write(write)
        source_news.tell(self._store)

    async def delete(self) -> None:
        await self._write(lambda connection: _do(connection, "DELETE FROM source WHERE workspace = ?", self.workspace))
        source_news.tell(self._store)

    async def rotate(self, hook: str) -> None:
        """Have another address for the repository's host."""
        sql = "UPDATE source SET hook = ? WHERE workspace = ?"
        await self._write(lambda connection: _do(connection, sql, hook, self.workspace))

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def look_soon(self, now: Millis) -> None:
        """Have it looked at now, or :data:`BETWEEN` after the last look where that is later."""

        def write(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT last_at FROM source WHERE workspace = ?", (self.workspace,)).fetchone()
            at = now if row is None or row[0] is None else max(now, min(row[0], now) + BETWEEN)
            sql = "UPDATE source SET next_at = ? WHERE workspace = ? AND (next_at IS NULL OR next_at > ?)"
            _do(connection, sql, at, self.workspace, at)

        await self._write(write)
        source_news.tell(self._store)

    async def begin(self, source: Source, now: Millis, until: Millis) -> bool:
        """Begin a look that is due: it is made up for at ``until``, should this process end before it does.

        ``False`` where the source is not any more as it was: somebody else looks, or it was changed.
        """
        sql = f"UPDATE source SET next_at = ?, last_at = ? WHERE {_UNCHANGED} AND next_at = ?"
        values = (until, now, *_as_it_was(source), source.next_at)
        return bool(await self._write(lambda connection: _do(connection, sql, *values)))

    async def end(
        self,
        source: Source,
        *,
        at: Millis,
        until: Millis | None,
        next_at: Millis | None,
        taken: str | None = None,
        seen: Mapping[str, Json] | None = None,
        error: str | None = None,
    ) -> None:
        """Write down how a look ended. Nothing is written over a source that was changed meanwhile.

        ``until`` is when it was to be looked at next while it was under way: where that is another time by now, it was
        asked for meanwhile, and is kept.
        """
        sql = (
            "UPDATE source SET last_at = ?, error = ?, failures = iif(? IS NULL, 0, failures + 1), "
            "taken = coalesce(?, taken), seen = coalesce(?, seen), next_at = iif(next_at IS ?, ?, next_at) "
            f"WHERE {_UNCHANGED}"
        )
        kept = None if seen is None else dumps(dict(seen))
        values = (at, error, error, taken, kept, until, next_at, *_as_it_was(source))
        await self._write(lambda connection: _do(connection, sql, *values))
        source_news.tell(self._store)

    async def _write(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._store.writer.write(Write(job=job))


def _as_it_was(source: Source) -> tuple[Any, ...]:
    """The values of :data:`_UNCHANGED`."""
    return source.workspace, source.text, source.updated_at


def _do(connection: sqlite3.Connection, sql: str, *values: Any) -> int:
    return connection.execute(sql, values).rowcount


def _read(row: tuple[Any, ...]) -> Source:
    workspace, text, hook, next_at, last_at, taken, error, seen, failures, at, by = row
    options = {**DEFAULTS, **loads(text)}
    return Source(workspace, options, hook, next_at, last_at, taken, error, loads(seen), failures, at, by, text)
