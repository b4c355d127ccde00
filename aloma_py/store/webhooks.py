"""Webhooks in the store: what people see of a workspace's, and what their deliveries need."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aloma_py.errors import InputError, NotFoundError
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json, Millis, Task
from aloma_py.store import records
from aloma_py.store.writer import Write

if TYPE_CHECKING:
    from aloma_py.store.sqlite import SQLiteStore

KEEP_KEYS: Final = 14 * 86_400_000
"""How long deduplication keys are kept, in milliseconds."""

PURGE_BATCH: Final = 2_000
"""How many keys go in one transaction."""

_FIND: Final = """
SELECT webhook.workspace, webhook.name, options, sealed,
    coalesce(facts ->> '$.archived_at', facts ->> '$.delete_at') IS NOT NULL
FROM webhook LEFT JOIN workspace ON workspace.name = webhook.workspace WHERE id = ?
"""

_INSERT_KEYS: Final = """
INSERT INTO webhook_key (webhook, key, task, at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)
WHERE value ->> 0 IN (SELECT id FROM webhook)
"""

_COLUMNS: Final = "id, name, options, sealed IS NOT NULL, created_at, created_by, last_at, accepted"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook as people see it; of its secret only whether there is one."""

    id: str
    name: str
    options: dict[str, Json]
    has_secret: bool
    created_at: Millis
    created_by: str
    last_at: Millis | None
    accepted: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery that became a task; ``key`` is its own name, where it has one that matters."""

    task: Task
    webhook: str
    key: str | None


class WebhookRows:
    """The webhooks of one workspace. A webhook is named by its name or its id."""

    def __init__(self, store: SQLiteStore, workspace: str) -> None:
        self._store = store
        self._workspace = workspace

    def list(self) -> list[Webhook]:
        with self._store.reading() as reader:
            sql = f"SELECT {_COLUMNS} FROM webhook WHERE workspace = ? ORDER BY name"
            return [_webhook(row) for row in reader.execute(sql, (self._workspace,)).fetchall()]

    def get(self, name: str) -> Webhook:
        """The webhook, or :class:`~aloma_py.errors.NotFoundError`."""
        with self._store.reading() as reader:
            return _webhook(_find(reader, self._workspace, name, _COLUMNS))

    def secret(self, id: str) -> str | None:
        """The secret of a webhook; :class:`~aloma_py.errors.StoreError` where it cannot be read with this key."""
        with self._store.reading() as reader:
            (sealed,) = _find(reader, self._workspace, id, "sealed")
        return open_secret(self._store, id, sealed)

    async def add(
        self, id: str, name: str, options: Mapping[str, Json], secret: str | None, at: Millis, by: str
    ) -> None:
        """Make a webhook, and the workspace's own row where it is missing."""
        sealed = self._seal(id, secret)
        values = (id, self._workspace, name, dumps(dict(options)), sealed, at, by)

        def insert(connection: sqlite3.Connection) -> None:
            self._refuse_taken(connection, name)
            connection.execute("INSERT OR IGNORE INTO workspace (name) VALUES (?)", (self._workspace,))
            connection.execute(
                "INSERT INTO webhook (id, workspace, name, options, sealed, created_at, created_by) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )

        await self._write(insert)

    async def update(self, id: str, name: str, options: Mapping[str, Json], secret: str | None) -> None:
        """Change a webhook; without ``secret`` it keeps the one it has."""
        sealed = self._seal(id, secret)
        values = (name, dumps(dict(options)), sealed, id, self._workspace)

        def change(connection: sqlite3.Connection) -> None:
            self._refuse_taken(connection, name, but=id)
            sql = (
                "UPDATE webhook SET name = ?, options = ?, sealed = coalesce(?, sealed) WHERE id = ? AND workspace = ?"
            )
            if not connection.execute(sql, values).rowcount:
                raise NotFoundError("webhook", name)

        await self._write(change)

    async def delete(self, id: str) -> None:
        sql = "DELETE FROM webhook WHERE id = ? AND workspace = ?"
        await self._write(lambda connection: connection.execute(sql, (id, self._workspace)))

    async def rotate(self, id: str, new_id: str) -> None:
        """Give a webhook another id; its secret, counts and deduplication keys stay."""
        place = self._workspace

        def change(connection: sqlite3.Connection) -> None:
            (sealed,) = _find(connection, place, id, "sealed")
            again = self._seal(new_id, open_secret(self._store, id, sealed))
            connection.execute("PRAGMA defer_foreign_keys = ON")  # its keys follow in the same transaction
            sql = "UPDATE webhook SET id = ?, sealed = ? WHERE id = ? AND workspace = ?"
            connection.execute(sql, (new_id, again, id, place))
            connection.execute("UPDATE webhook_key SET webhook = ? WHERE webhook = ?", (new_id, id))

        await self._write(change)

    def _refuse_taken(self, connection: sqlite3.Connection, name: str, but: str = "") -> None:
        sql = "SELECT 1 FROM webhook WHERE workspace = ? AND name = ? AND id != ?"
        if connection.execute(sql, (self._workspace, name, but)).fetchone():
            raise InputError(f"there is a webhook {name!r} already; another name was expected")

    def _seal(self, id: str, secret: str | None) -> bytes | None:
        return None if secret is None else self._store.cipher.seal(id, secret)

    async def _write(self, job: Callable[[sqlite3.Connection], Any]) -> None:
        await self._store.writer.write(Write(job=job))


class Deliveries:
    """What taking deliveries needs, of all workspaces: webhooks by their ids, and tasks written with their keys."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    def find(self, id: str) -> tuple[Any, ...] | None:
        """``(workspace, name, options as JSON text, sealed, whether the workspace is closed)``, or ``None``."""
        with self._store.reading() as reader:
            found: tuple[Any, ...] | None = reader.execute(_FIND, (id,)).fetchone()
            return found

    def task_of(self, webhook: str, key: str) -> str | None:
        """The task that was made of a delivery with that key."""
        with self._store.reading() as reader:
            sql = "SELECT task FROM webhook_key WHERE webhook = ? AND key = ?"
            found = reader.execute(sql, (webhook, key)).fetchone()
            return None if found is None else str(found[0])

    async def accept(self, arrivals: Sequence[Arrival]) -> None:
        """Store new tasks, each with its deduplication key, in one transaction. On return all of it is on disk.

        The caller has looked that there are no such keys; should there be one, nothing is stored and a
        :class:`~aloma_py.errors.StoreError` is raised. A webhook that was deleted meanwhile has no more keys.
        """
        write = Write(
            tasks=[records.new_row(arrival.task) for arrival in arrivals],
            origins=[(arrival.task.id, dumps(arrival.task.initial)) for arrival in arrivals],
        )
        keys = [
            (arrival.webhook, arrival.key, arrival.task.id, arrival.task.created_at)
            for arrival in arrivals
            if arrival.key is not None
        ]
        if keys:
            rows = dumps(keys)  # one statement for all: see store/statements.py
            write.job = lambda connection: connection.execute(_INSERT_KEYS, (rows,)) and None
        await self._store.writer.write(write)

    async def count(self, counts: Sequence[tuple[int, Millis, str]]) -> None:
        """Add to the numbers of accepted deliveries: ``(how many more, when last, webhook)`` of each."""
        sql = "UPDATE webhook SET accepted = accepted + ?, last_at = ? WHERE id = ?"
        await self._store.writer.write(Write(job=lambda connection: connection.executemany(sql, counts) and None))

    async def purge_keys(self, before: Millis) -> int:
        """Forget deduplication keys from before that time, in small transactions; gives how many."""
        sql = (
            "DELETE FROM webhook_key WHERE (webhook, key) IN "
            "(SELECT webhook, key FROM webhook_key WHERE at < ? ORDER BY at LIMIT ?)"
        )
        gone = 0
        while True:
            rows: int = await self._store.writer.write(
                Write(job=lambda connection: connection.execute(sql, (before, PURGE_BATCH)).rowcount)
            )
            gone += rows
            if rows < PURGE_BATCH:
                return gone


def open_secret(store: SQLiteStore, id: str, sealed: bytes | None) -> str | None:
    """The secret of a webhook, ``None`` where it has none; ``StoreError`` where it was sealed with another key."""
    if sealed is None:
        return None
    return store.cipher.unseal(id, sealed, "the secret of a webhook")


def _find(connection: sqlite3.Connection, workspace: str, name: str, columns: str) -> tuple[Any, ...]:
    sql = f"SELECT {columns} FROM webhook WHERE workspace = ?1 AND (id = ?2 OR name = ?2) ORDER BY id = ?2 DESC"
    found: tuple[Any, ...] | None = connection.execute(sql, (workspace, name)).fetchone()
    if found is None:
        names = connection.execute("SELECT name FROM webhook WHERE workspace = ? LIMIT 1000", (workspace,))
        raise NotFoundError("webhook", name, [known for (known,) in names.fetchall()])
    return found


def _webhook(row: tuple[Any, ...]) -> Webhook:
    id, name, options, has_secret, created_at, created_by, last_at, accepted = row
    return Webhook(id, name, loads(options), bool(has_secret), created_at, created_by, last_at, accepted)
