"""A workspace's connectors in the store: their configurations encrypted, and bound to where they are."""

from __future__ import annotations

import base64
import binascii
import builtins
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from aloma_py.errors import InputError, NotFoundError, StaleTask, StateError, StoreError
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json, Millis
from aloma_py.store.places import connector_place, connector_what
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

MOST_CALLS: Final = 200_000
"""How many of the newest recorded calls, of all workspaces, are looked through for those of one connector."""

_COLUMNS: Final = "namespace, name, kind, options, sealed, enabled, created_at, updated_at, updated_by"
_SELECT: Final = f"SELECT {_COLUMNS} FROM connector WHERE workspace = ? "

# CROSS JOIN has the newest calls looked through, and not all tasks of the workspace.
_CALLS: Final = (
    "SELECT call.task, call.step, call.method, call.outcome, call.started_at, call.ended_at, call.arguments, "
    "call.answer FROM call CROSS JOIN task ON task.id = call.task WHERE call.connector = ? AND task.workspace = ? "
    "AND call.no > (SELECT max(no) FROM call) - ? ORDER BY call.no DESC LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class StoredConnector:
    """A connector as it is kept. ``config`` is as it was given; it may hold secrets. It is empty where it cannot be
    read; ``problem`` says why."""

    namespace: str
    name: str
    kind: str
    config: dict[str, Json] = field(repr=False)
    tags: tuple[str, ...]
    enabled: bool
    created_at: Millis
    updated_at: Millis
    updated_by: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectorCall:
    """A recorded call."""

    task: str
    step: str
    method: str
    outcome: str
    started_at: Millis
    ended_at: Millis
    arguments: Json
    answer: Json


class ConnectorStore:
    """The connectors of one workspace: every statement names it."""

    def __init__(self, store: SQLiteStore, workspace: str) -> None:
        self._store = store
        self.workspace = workspace

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    def list(self) -> builtins.list[StoredConnector]:
        """All of them by namespace."""
        with self._store.reading() as reader:
            rows = reader.execute(_SELECT + "ORDER BY namespace", (self.workspace,)).fetchall()
        return [self._read(row) for row in rows]

    def get(self, name: str) -> StoredConnector:
        """The connector of that namespace, or name; :class:`~aloma_py.errors.NotFoundError` names the nearest."""
        with self._store.reading() as reader:
            sql = _SELECT + "AND (namespace = ? OR name = ?) ORDER BY namespace = ? DESC"
            rows = reader.execute(sql, (self.workspace, name, name, name)).fetchall()
            if not rows:
                raise NotFoundError("connector", name, _namespaces(reader, self.workspace))
        if len(rows) > 1 and rows[0][0] != name:
            there = ", ".join(row[0] for row in rows)
            raise InputError(f"several connectors are named {name!r}; say which by its namespace: {there}")
        return self._read(rows[0])

    async def calls(self, namespace: str, limit: int) -> builtins.list[ConnectorCall]:
        """The newest recorded calls, the newest first."""
        found = (namespace, self.workspace, MOST_CALLS, limit)
        rows = await self._store.read(lambda connection: connection.execute(_CALLS, found).fetchall())
        return [
            ConnectorCall(task, step, method, outcome, started_at, ended_at, loads(arguments), loads(answer))
            for task, step, method, outcome, started_at, ended_at, arguments, answer in rows
        ]

    # ── changing ────────────────────────────────────────────────────────────────────────────────────────────────

    async def add(self, made: StoredConnector) -> None:
        """Raises :class:`~aloma_py.errors.StateError` where the namespace is taken."""

        def insert(connection: sqlite3.Connection) -> None:
            self._check_free(connection, made.namespace)
            connection.execute("INSERT OR IGNORE INTO workspace (name) VALUES (?)", (self.workspace,))
            self._insert(connection, made)

        await self._write(insert)

    async def change(self, before: StoredConnector, after: StoredConnector) -> None:
        """Put ``after`` in the place of ``before``; refused where somebody else changed it in between.

        A configuration that cannot be read now (``after`` has a ``problem``) stays as it is stored.
        """

        def update(connection: sqlite3.Connection) -> None:
            if after.namespace != before.namespace:
                self._check_free(connection, after.namespace)
            row = connection.execute(_SELECT + "AND namespace = ?", (self.workspace, before.namespace)).fetchone()
            if row is None or self._read(row) != before:
                text = f"the connector {before.namespace!r} was changed by somebody else in between; try again"
                raise StaleTask(text)
            if after.problem is not None:
                self._keep_sealed(connection, before, after)
                return
            self._remove(connection, before.namespace)
            self._insert(connection, after)

        await self._write(update)

    async def put(self, made: StoredConnector) -> None:
        """Have the connector as it is here, whether there is one of its namespace or not."""

        def replace_(connection: sqlite3.Connection) -> None:
            self._remove(connection, made.namespace)
            self._insert(connection, made)

        await self._write(replace_)

    async def delete(self, namespace: str) -> None:
        await self._write(lambda connection: self._remove(connection, namespace))

    # ── as it was ───────────────────────────────────────────────────────────────────────────────────────────────

    def seal(self, one: StoredConnector) -> str:
        """The connector as a text that only this installation can read, to put it back as it is now."""
        kept = {name: getattr(one, name) for name in StoredConnector.__slots__}
        blob = self._store.cipher.seal(self._state_place(), dumps({**kept, "tags": [*one.tags]}))
        return base64.b64encode(blob).decode()

    def unseal(self, text: str) -> StoredConnector:
        """What :meth:`seal` was given; :class:`~aloma_py.errors.InputError` for any other text."""
        try:
            blob = base64.b64decode(text, validate=True)
            kept = loads(self._store.cipher.unseal(self._state_place(), blob, "the connector's state"))
        except (binascii.Error, ValueError, StoreError):
            raise InputError("the state is none of a connector of this workspace, or is damaged") from None
        return StoredConnector(**{**kept, "tags": tuple(kept["tags"])})

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _state_place(self) -> str:
        return f"connector state\0{self.workspace}"

    def _insert(self, connection: sqlite3.Connection, one: StoredConnector) -> None:
        sealed = self._store.cipher.seal(connector_place(self.workspace, one.namespace), dumps(one.config))
        row = (self.workspace, one.namespace, one.name, one.kind, dumps({"tags": [*one.tags]}), sealed, one.enabled,
               one.created_at, one.updated_at, one.updated_by)  # fmt: skip
        connection.execute(f"INSERT INTO connector (workspace, {_COLUMNS}) VALUES ({', '.join('?' * 10)})", row)

    def _keep_sealed(self, connection: sqlite3.Connection, before: StoredConnector, one: StoredConnector) -> None:
        if one.namespace != before.namespace:
            raise StateError(f"{one.problem}: it can have another namespace only with another configuration")
        sql = (
            "UPDATE connector SET name = ?, options = ?, enabled = ?, updated_at = ?, updated_by = ? "
            "WHERE workspace = ? AND namespace = ?"
        )
        values = (one.name, dumps({"tags": [*one.tags]}), one.enabled, one.updated_at, one.updated_by)
        connection.execute(sql, (*values, self.workspace, one.namespace))

    def _remove(self, connection: sqlite3.Connection, namespace: str) -> None:
        connection.execute("DELETE FROM connector WHERE workspace = ? AND namespace = ?", (self.workspace, namespace))

    def _check_free(self, connection: sqlite3.Connection, namespace: str) -> None:
        if namespace in _namespaces(connection, self.workspace):
            raise taken(namespace)

    def _read(self, row: tuple[Any, ...]) -> StoredConnector:
        namespace, name, kind, options, sealed, enabled, created_at, updated_at, updated_by = row
        config: dict[str, Json] = {}
        problem = None
        try:
            if sealed is not None:
                place, what = connector_place(self.workspace, namespace), connector_what(self.workspace, namespace)
                config = loads(self._store.cipher.unseal(place, sealed, what))
        except StoreError as error:  # one that cannot be read is no reason to have none
            problem = str(error)
        tags = tuple(loads(options).get("tags") or ())
        return StoredConnector(
            namespace, name, kind, config, tags, bool(enabled), created_at, updated_at, updated_by, problem
        )

    async def _write(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._store.writer.write(Write(job=job))


def taken(namespace: str) -> StateError:
    """What is said where a namespace is another's."""
    return StateError(f"there is a connector {namespace!r} already; give another namespace")


def kinds_in_use(store: SQLiteStore) -> builtins.list[tuple[str, str, str]]:
    """``(workspace, namespace, kind)`` of every enabled connector. Needs no key."""
    with store.reading() as reader:
        sql = "SELECT workspace, namespace, kind FROM connector WHERE enabled ORDER BY workspace, namespace"
        return reader.execute(sql).fetchall()


def _namespaces(connection: sqlite3.Connection, workspace: str) -> Iterable[str]:
    sql = "SELECT namespace FROM connector WHERE workspace = ? ORDER BY namespace"
    return [namespace for (namespace,) in connection.execute(sql, (workspace,))]


__all__ = ["ConnectorCall", "ConnectorStore", "StoredConnector", "kinds_in_use", "taken"]
