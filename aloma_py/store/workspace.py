"""One workspace's view of the store: every statement here names the workspace, so that no other can be reached."""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

from aloma_py.errors import InputError, NotFoundError, StaleTask
from aloma_py.jsontext import dumps, loads
from aloma_py.models import (
    AuditEntry,
    Blob,
    Call,
    Entry,
    Millis,
    Task,
    TaskCommit,
    TaskFilter,
    TaskState,
    Visualization,
)
from aloma_py.store import listing, records
from aloma_py.store.records import AT_ONCE, CALL_COLUMNS, ENTRY_COLUMNS
from aloma_py.store.removal import remove_tasks
from aloma_py.store.statements import TASK_SELECT
from aloma_py.store.writer import Write

if TYPE_CHECKING:
    from aloma_py.store.sqlite import SQLiteStore

_OPEN = (TaskState.PENDING, TaskState.RUNNING, TaskState.WAITING)
_INSERT_AUDIT = "INSERT INTO audit (task, at, kind, reference, text, details) VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_PICTURE = "INSERT INTO visualization (task, at, type, name, data, options) VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_BLOB = (
    "INSERT INTO blob (id, workspace, task, name, mimetype, meta, created_at, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_CALL = (
    f"INSERT INTO call ({', '.join(CALL_COLUMNS)}) SELECT {', '.join('?' * len(CALL_COLUMNS))} "
    "WHERE EXISTS (SELECT 1 FROM task WHERE id = ? AND workspace = ?)"
)


class SQLiteWorkspaceStore:
    """A :class:`~aloma_py.store.protocol.WorkspaceStore` in SQLite; made by ``SQLiteStore.workspace``.

    Short reads by an index are done on the spot, on the event loop: they take microseconds, a hand-over to a thread
    takes a hundred. What may read many rows (``list``, ``counts``) is done in a thread.
    """

    def __init__(self, store: SQLiteStore, name: str) -> None:
        self.workspace = name
        self._store = store
        self._known = False  # whether the workspace's own row is there
        self._asked: Millis = AT_ONCE  # the time of the last ready()

    # Writing

    async def accept(self, tasks: Sequence[Task]) -> None:
        write = Write()
        self._add_tasks(write, tasks)
        if not self._known:
            write.job = self._make_known
        await self._store.writer.write(write)
        self._known = True

    async def commit(self, commits: Sequence[TaskCommit]) -> None:
        write = Write()
        jobs: builtins.list[tuple[str, builtins.list[tuple[Any, ...]]]] = []
        for commit in commits:
            task = commit.task
            self._own(task)
            write.updates.append((task.id, task.revision, *records.moving_row(task)))
            write.entries.extend([records.entry_row(task.id, entry) for entry in commit.entries])
            if commit.children:
                self._add_tasks(write, commit.children)
            if commit.audit:
                jobs.append((_INSERT_AUDIT, [records.audit_row(task.id, line) for line in commit.audit]))
                if any(line.kind == "reference" for line in commit.audit):
                    jobs.append(("INSERT OR IGNORE INTO search_dirty SELECT no FROM task WHERE id = ?", [(task.id,)]))
            if commit.visualizations:
                rows = [records.visualization_row(task.id, picture) for picture in commit.visualizations]
                jobs.append((_INSERT_PICTURE, rows))
        if jobs:
            write.job = lambda connection: [connection.executemany(sql, rows) for sql, rows in jobs]
        await self._store.writer.write(write)

    async def record_call(self, task_id: str, call: Call) -> None:
        row = records.call_row(task_id, call)

        def record(connection: sqlite3.Connection) -> None:
            if not connection.execute(_INSERT_CALL, (*row, task_id, self.workspace)).rowcount:
                raise StaleTask(f"task {task_id} was deleted by somebody else in between; nothing was written")

        await self._write(record)

    async def delete(self, task_id: str) -> None:
        def remove(connection: sqlite3.Connection) -> None:
            found = connection.execute(
                "WITH RECURSIVE family (no, id) AS ("
                " SELECT no, id FROM task WHERE id = ? AND workspace = ?"
                " UNION SELECT task.no, task.id FROM task JOIN family ON task.parent = family.id"
                ") SELECT no, id FROM family",
                (task_id, self.workspace),
            ).fetchall()
            if not found:
                raise NotFoundError("task", task_id)
            remove_tasks(connection, found)

        await self._write(remove)

    async def put_blob(self, blob: Blob) -> None:
        row = records.blob_row(self.workspace, blob)
        await self._write(lambda connection: connection.execute(_INSERT_BLOB, row))

    async def write_file(self, name: str, content: bytes, at: Millis) -> None:
        sql = "INSERT OR REPLACE INTO file (workspace, name, at, content) VALUES (?, ?, ?, ?)"
        await self._write(lambda connection: connection.execute(sql, (self.workspace, name, at, content)))

    async def set_facts(self, **facts: Any) -> None:
        def change(connection: sqlite3.Connection) -> None:
            self._make_known(connection)
            kept = _facts(connection, self.workspace) | facts
            connection.execute("UPDATE workspace SET facts = ? WHERE name = ?", (dumps(kept), self.workspace))

        await self._write(change)
        self._known = True

    # Reading

    async def get(self, task_id: str) -> Task:
        found = self._one(TASK_SELECT + "WHERE task.id = ? AND task.workspace = ?", (task_id, self.workspace))
        if found is None and task_id:
            found = self._by_beginning(task_id)
        if found is None:
            raise NotFoundError("task", task_id)
        return records.read_task(found)

    async def list(self, wanted: TaskFilter) -> builtins.list[Task]:
        if wanted.search is not None:
            await self._store.fill_search()
        return await self._store.read(lambda connection: listing.find(connection, self.workspace, wanted))

    async def counts(self) -> dict[TaskState, int]:
        sql = "SELECT state, count(*) FROM task WHERE workspace = ? GROUP BY state"
        rows = await self._store.read(lambda connection: connection.execute(sql, (self.workspace,)).fetchall())
        return {TaskState(state): number for state, number in rows}

    async def entries(self, task_id: str, after: int = 0, limit: int | None = None) -> builtins.list[Entry]:
        columns = ", ".join(f"entry.{name}" for name in ENTRY_COLUMNS)
        sql = (
            f"SELECT {columns} FROM entry JOIN task ON task.id = entry.task "
            "WHERE entry.task = ? AND task.workspace = ? AND entry.n > ? ORDER BY entry.n LIMIT ?"
        )
        values = (task_id, self.workspace, after, -1 if limit is None else limit)
        return [records.read_entry(row) for row in self._all(sql, values)]

    async def audit(self, task_id: str) -> builtins.list[AuditEntry]:
        rows = self._all(_around("audit", "at", "kind", "text", "details"), (task_id, self.workspace))
        return [records.read_audit(row) for row in rows]

    async def visualizations(self, task_id: str) -> builtins.list[Visualization]:
        sql = _around("visualization", "at", "type", "name", "data", "options")
        return [records.read_visualization(row) for row in self._all(sql, (task_id, self.workspace))]

    async def calls(self, task_id: str, step: str | None = None, ordinal: int | None = None) -> builtins.list[Call]:
        if step is None:
            rows = self._all(_around("call", *CALL_COLUMNS), (task_id, self.workspace))
        else:
            sql = _around("call", *CALL_COLUMNS, only="call.step = ? AND call.ordinal = ?")
            rows = self._all(sql, (task_id, self.workspace, step, ordinal))
        return [records.read_call(row) for row in rows]

    async def children(self, task_id: str) -> builtins.list[Task]:
        sql = TASK_SELECT + "WHERE task.parent = ? AND task.workspace = ? ORDER BY task.no"
        return [records.read_task(row) for row in self._all(sql, (task_id, self.workspace))]

    async def ready(self, now: Millis, limit: int, skip: frozenset[str]) -> builtins.list[Task]:
        self._asked = max(self._asked, now)
        # Questions to the index one by one instead of one with OR: each is answered in order and read no further than
        # needed, and a long backlog of pending tasks does not hide one whose time has come.
        found: builtins.list[tuple[Millis, int, str]] = []
        for state in _OPEN:
            for after, until in ((-1, AT_ONCE), (AT_ONCE, now)):
                found += self._ready_in(state, after, until, limit, skip)
        found.sort()
        chosen = [self._one(TASK_SELECT + "WHERE task.id = ?", (task_id,)) for _, _, task_id in found[:limit]]
        return [records.read_task(row) for row in chosen if row is not None]

    async def next_due(self) -> Millis | None:
        sql = "SELECT min(wake_at) FROM task WHERE workspace = ? AND state = ? AND wake_at > ?"
        times = [self._all(sql, (self.workspace, state.value, self._asked))[0][0] for state in _OPEN]
        return min((time for time in times if time is not None), default=None)

    async def get_blob(self, blob_id: str) -> Blob:
        sql = "SELECT id, task, name, mimetype, meta, created_at, content FROM blob WHERE id = ? AND workspace = ?"
        row = self._one(sql, (blob_id, self.workspace))
        if row is None:
            raise NotFoundError("blob", blob_id)
        return records.read_blob(row)

    async def read_file(self, name: str) -> bytes:
        row = self._one("SELECT content FROM file WHERE workspace = ? AND name = ?", (self.workspace, name))
        if row is None:
            names = self._all("SELECT name FROM file WHERE workspace = ? LIMIT 1000", (self.workspace,))
            raise NotFoundError("file", name, [known for (known,) in names])
        content: bytes = row[0]
        return content

    async def facts(self) -> dict[str, Any]:
        with self._store.reading() as reader:
            return _facts(reader, self.workspace)

    # Helpers

    def _ready_in(
        self, state: TaskState, after: Millis, until: Millis, limit: int, skip: frozenset[str]
    ) -> builtins.list[tuple[Millis, int, str]]:
        """Tasks to wake after one time and until the other: since when they wait, their number and id."""
        sql = (
            "SELECT iif(wake_at = 0, created_at, wake_at), no, id FROM task "
            "WHERE workspace = ? AND state = ? AND wake_at > ? AND wake_at <= ? ORDER BY wake_at, no"
        )
        with self._store.reading() as reader:
            rows = reader.execute(sql, (self.workspace, state.value, after, until))
            # An open cursor would keep its snapshot, and the log from being taken over into the file.
            with closing(rows):
                return [*islice((row for row in rows if row[2] not in skip), max(limit, 0))]

    def _own(self, task: Task) -> None:
        if task.workspace != self.workspace:
            raise InputError(f"task {task.id} is of workspace {task.workspace!r}, not of {self.workspace!r}")

    def _add_tasks(self, write: Write, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._own(task)
            write.tasks.append(records.new_row(task))
            write.origins.append((task.id, dumps(task.initial)))

    def _make_known(self, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO workspace (name) VALUES (?)", (self.workspace,))

    async def _write(self, job: Callable[[sqlite3.Connection], Any]) -> None:
        await self._store.writer.write(Write(job=job))

    def _all(self, sql: str, values: Sequence[Any]) -> builtins.list[records.Row]:
        with self._store.reading() as reader:
            return reader.execute(sql, values).fetchall()

    def _one(self, sql: str, values: Sequence[Any]) -> records.Row | None:
        with self._store.reading() as reader:
            row: records.Row | None = reader.execute(sql, values).fetchone()
            return row

    def _by_beginning(self, beginning: str) -> records.Row | None:
        sql = "SELECT id FROM task WHERE id >= ? AND id < ? AND workspace = ? ORDER BY id LIMIT 4"
        ids = [row[0] for row in self._all(sql, (beginning, beginning + "\U0010ffff", self.workspace))]
        if len(ids) > 1:
            raise InputError(
                f"{beginning!r} is the beginning of several tasks: {', '.join(ids[:3])}"
                f"{' …' if len(ids) > 3 else ''}; give more of the id"
            )
        return self._one(TASK_SELECT + "WHERE task.id = ?", (ids[0],)) if ids else None


def _around(table: str, *columns: str, only: str = "TRUE") -> str:
    """The rows around a task, in the order made: give the task's id, the workspace, and what ``only`` asks for."""
    wanted = ", ".join(f"{table}.{name}" for name in columns)
    return (
        f"SELECT {wanted} FROM {table} JOIN task ON task.id = {table}.task "
        f"WHERE {table}.task = ? AND task.workspace = ? AND {only} ORDER BY {table}.no"
    )


def _facts(connection: sqlite3.Connection, workspace: str) -> dict[str, Any]:
    row = connection.execute("SELECT facts FROM workspace WHERE name = ?", (workspace,)).fetchone()
    facts: dict[str, Any] = loads(row[0]) if row else {}
    return facts
