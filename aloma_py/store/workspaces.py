"""The workspaces of the account: their own rows, and taking one out with everything that belongs to it.

What is known of a workspace is a JSON object, its *facts*: beside where its steps come from (``sources``,
``libraries``) ``title``, ``tags``, ``health_enabled``, ``notification_groups``, ``limits``, and the times
``created_at``, ``archived_at`` and ``delete_at`` in milliseconds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aloma_py.errors import NotFoundError, StateError
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Millis
from aloma_py.settings import DEFAULT_WORKSPACE
from aloma_py.store.removal import remove_tasks
from aloma_py.store.writer import Write

if TYPE_CHECKING:
    from aloma_py.store.sqlite import SQLiteStore

Facts = dict[str, Any]
Change = Callable[[Facts], Mapping[str, Any]]
"""From the facts as they are to those that change; what is ``None`` is taken out. It may raise."""

DEFAULT: Final = DEFAULT_WORKSPACE
"""The workspace that is always there, with a row or without one."""

BATCH: Final = 200
"""How many rows go in one transaction."""

_BY_WORKSPACE: Final = "workspace = :workspace"

OF_WORKSPACE: Final[dict[str, str]] = {
    "webhook_key": "webhook IN (SELECT id FROM webhook WHERE workspace = :workspace)",
    "firing": "schedule IN (SELECT id FROM schedule WHERE workspace = :workspace)",
    "blob": "workspace = :workspace AND task IS NULL",  # the others go with their tasks
    **dict.fromkeys(
        ("file", "script", "script_version", "variable", "webhook", "schedule", "membership", "token",
         "ledger", "usage", "idempotency", "source", "connector"),
        _BY_WORKSPACE,
    ),
}  # fmt: skip
"""Tables with rows of a workspace beside its tasks, and which those are; what hangs on others comes before them."""

_TASKS: Final = "SELECT no, id FROM task WHERE workspace = :workspace ORDER BY no LIMIT :batch"


class WorkspaceRecords:
    """The rows of all workspaces in ``store``."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    def all(self) -> dict[str, Facts]:
        """Every workspace's facts by name, sorted; :data:`DEFAULT` among them."""
        with self._store.reading() as reader:
            rows = reader.execute("SELECT name, facts FROM workspace").fetchall()
        found: dict[str, Facts] = {DEFAULT: {}, **{name: loads(text) for name, text in rows}}
        return dict(sorted(found.items()))

    def get(self, name: str) -> Facts:
        """One workspace's facts, or :class:`~aloma_py.errors.NotFoundError`."""
        found = self._find(name)
        if found is not None:
            return found
        raise NotFoundError("workspace", name, self.all())

    async def add(self, name: str, facts: Facts) -> None:
        """Make a workspace. Raises :class:`~aloma_py.errors.StateError` where there is one of that name."""

        def insert(connection: sqlite3.Connection) -> None:
            row = connection.execute("SELECT facts FROM workspace WHERE name = ?", (name,)).fetchone()
            if row is not None and (name != DEFAULT or "created_at" in loads(row[0])):
                until = (
                    " and is about to be deleted; --cancel takes that back" if loads(row[0]).get("delete_at") else ""
                )
                raise StateError(f"the workspace {name!r} is there already{until}; another name was expected")
            kept = {**(loads(row[0]) if row else {}), **facts}
            connection.execute("INSERT OR REPLACE INTO workspace (name, facts) VALUES (?, ?)", (name, dumps(kept)))

        await self._store.writer.write(Write(job=insert))

    async def change(self, name: str, change: Change) -> Facts:
        """Change a workspace's facts in one transaction; gives them as they are then."""

        def update(connection: sqlite3.Connection) -> Facts:
            row = connection.execute("SELECT facts FROM workspace WHERE name = ?", (name,)).fetchone()
            if row is None and name != DEFAULT:
                names = [known for (known,) in connection.execute("SELECT name FROM workspace")]
                raise NotFoundError("workspace", name, [DEFAULT, *names])
            before: Facts = loads(row[0]) if row else {}
            after = {key: value for key, value in {**before, **change(before)}.items() if value is not None}
            connection.execute("INSERT OR REPLACE INTO workspace (name, facts) VALUES (?, ?)", (name, dumps(after)))
            return after

        changed: Facts = await self._store.writer.write(Write(job=update))
        return changed

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many tasks there are, by workspace and state."""
        sql = "SELECT workspace, state, count(*) FROM task GROUP BY workspace, state"
        found: dict[str, dict[str, int]] = {}
        for workspace, state, number in await self._store.read(lambda connection: connection.execute(sql).fetchall()):
            found.setdefault(workspace, {})[state] = number
        return found

    def _find(self, name: str) -> Facts | None:
        with self._store.reading() as reader:
            row = reader.execute("SELECT facts FROM workspace WHERE name = ?", (name,)).fetchone()
        if row is None:
            return {} if name == DEFAULT else None
        found: Facts = loads(row[0])
        return found


def is_closed(facts: Mapping[str, Any]) -> bool:
    """Whether the workspace is archived, or about to be deleted: its tasks are not advanced, and it takes none."""
    return bool(facts.get("archived_at") or facts.get("delete_at"))


def check_open(store: SQLiteStore, workspace: str) -> None:
    """Raise :class:`~aloma_py.errors.StateError` where the workspace is closed. A short read.

    One that was removed is a :class:`~aloma_py.errors.NotFoundError`: whoever knew it before is not to fill it again.
    """
    with store.reading() as reader:
        row = reader.execute("SELECT facts FROM workspace WHERE name = ?", (workspace,)).fetchone()
    if row is None and workspace != DEFAULT:
        raise NotFoundError("workspace", workspace, WorkspaceRecords(store).all())
    facts: Facts = loads(row[0]) if row else {}
    if facts.get("delete_at"):
        raise StateError(f"the workspace {workspace!r} is about to be deleted: it takes no tasks and changes none")
    if facts.get("importing"):
        raise StateError(f"the workspace {workspace!r} is being imported: it takes no tasks yet")
    if facts.get("archived_at"):
        raise StateError(f"the workspace {workspace!r} is archived: it takes no tasks and changes none")


# ── removing ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def purge_deleted(store: SQLiteStore, now: Millis) -> dict[str, dict[str, int]]:
    """Remove the workspaces whose grace is over, with everything of them; gives how many rows went, by workspace.

    In small transactions, others' writes come in between. Once it has begun with a workspace its deletion cannot be
    taken back; where it is interrupted, the next one goes on. One line in the account's ledger says what went.
    """
    gone: dict[str, dict[str, int]] = {}
    for name, facts in WorkspaceRecords(store).all().items():
        if facts.get("delete_at") is None or facts["delete_at"] > now:
            continue
        if await store.writer.write(Write(job=partial(_begin, name=name, now=now))):
            gone[name] = await _purge(store, name, now)
    return gone


async def _purge(store: SQLiteStore, name: str, now: Millis) -> dict[str, int]:
    rows: dict[str, int] = {}
    while removed := await store.writer.write(Write(job=partial(remove_some_tasks, name=name))):
        for table, count in removed.items():
            rows[table] = rows.get(table, 0) + count
    for table, which in OF_WORKSPACE.items():
        job = partial(remove_some_rows, table=table, which=which, name=name)
        while count := await store.writer.write(Write(job=job)):
            rows[table] = rows.get(table, 0) + count
    await store.writer.write(Write(job=partial(_end, name=name, now=now, rows=rows)))
    return rows


def _begin(connection: sqlite3.Connection, name: str, now: Millis) -> bool:
    """Whether it is still to be deleted; then nobody can change that any more."""
    row = connection.execute("SELECT facts FROM workspace WHERE name = ?", (name,)).fetchone()
    facts: Facts = loads(row[0]) if row else {}
    if facts.get("delete_at") is None or facts["delete_at"] > now:
        return False
    connection.execute("UPDATE workspace SET facts = ? WHERE name = ?", (dumps({**facts, "purging": True}), name))
    return True


def remove_some_tasks(connection: sqlite3.Connection, name: str) -> dict[str, int]:
    """Remove up to :data:`BATCH` tasks of the workspace; gives how many rows went, by table."""
    found = connection.execute(_TASKS, {"workspace": name, "batch": BATCH}).fetchall()
    return remove_tasks(connection, found) if found else {}


def remove_some_rows(connection: sqlite3.Connection, table: str, which: str, name: str) -> int:
    """Remove up to :data:`BATCH` of the workspace's rows in a table; see :data:`OF_WORKSPACE`. Gives how many."""
    columns = [(row[5], row[1]) for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
    key = ", ".join(column for _, column in sorted(columns))
    return connection.execute(
        f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {which} LIMIT :batch)",
        {"workspace": name, "batch": BATCH},
    ).rowcount


def _end(connection: sqlite3.Connection, name: str, now: Millis, rows: Mapping[str, int]) -> None:
    """The workspace's own row goes last; what came to it meanwhile goes with it."""
    while remove_some_tasks(connection, name):
        pass
    for table, which in OF_WORKSPACE.items():
        connection.execute(f"DELETE FROM {table} WHERE {which}", {"workspace": name})
    connection.execute("DELETE FROM workspace WHERE name = ?", (name,))
    connection.execute(
        "INSERT INTO ledger (at, who, workspace, action, details) VALUES (?, 'local', '', 'purge_workspace', ?)",
        (now, dumps({"name": name, "rows": dict(rows)})),
    )
