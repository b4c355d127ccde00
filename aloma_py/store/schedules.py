"""Schedules in the store, and their firings: each is one row, written with its task in one transaction.

A firing's row says what became of it: ``task`` and no ``why``: it gave that task; neither: it waits for the task of the
firing before it; ``why`` and no ``task``: it was skipped.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aloma_py.errors import InputError, NotFoundError, StaleTask
from aloma_py.intake.schedules import MAX_MISSED, Schedule
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Millis, Task, TaskState
from aloma_py.store import records, statements
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

MAX_KEPT: Final = 1_000
"""How many firings are kept of each schedule, besides those that wait."""

AT_ONCE: Final = 100
"""How many schedules whose time has come are read at once."""

_COLUMNS: Final = "id, workspace, name, enabled, options, next_at, last_at, created_at, created_by"
_SELECT: Final = f"SELECT {_COLUMNS} FROM schedule "
_OPEN: Final = tuple(state.value for state in TaskState if not state.ended)
_LIVE: Final = (
    "enabled = 1 AND NOT EXISTS (SELECT 1 FROM workspace WHERE workspace.name = schedule.workspace "
    "AND coalesce(json_extract(workspace.facts, '$.archived_at'), json_extract(workspace.facts, '$.delete_at')) "
    "IS NOT NULL)"
)
_WAITS: Final = "EXISTS (SELECT 1 FROM firing WHERE firing.schedule = schedule.id AND task IS NULL AND why IS NULL)"
_OPEN_TASK: Final = (
    "SELECT firing.task FROM firing JOIN task ON task.id = firing.task WHERE firing.schedule = ? "
    f"AND task.state IN ({', '.join('?' * len(_OPEN))}) ORDER BY firing.at DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A schedule as it is kept; ``options`` is the JSON text of its :class:`Schedule`."""

    id: str
    workspace: str
    name: str
    enabled: bool
    options: str
    next_at: Millis | None
    last_at: Millis | None
    created_at: Millis
    created_by: str

    @property
    def schedule(self) -> Schedule:
        return Schedule.from_json(loads(self.options))


@dataclass(frozen=True, slots=True)
class Firing:
    at: Millis
    task: str | None
    why: str | None


def due(store: SQLiteStore, now: Millis, but: Collection[str] = ()) -> list[Stored]:
    """The schedules of all workspaces, save archived ones, whose time has come, but not those; the earliest first."""
    sql = f"{_SELECT} WHERE next_at <= ? AND {_LIVE} ORDER BY next_at LIMIT ?"
    with store.reading() as reader:
        found = [_read(row) for row in reader.execute(sql, (now, AT_ONCE + len(but)))]
    return [one for one in found if one.id not in but]


def holding_back(store: SQLiteStore) -> list[Stored]:
    """Those with firings that wait for the task of the one before."""
    sql = f"{_SELECT} WHERE json_extract(options, '$.overlap') = 'queue' AND {_LIVE} AND {_WAITS}"
    with store.reading() as reader:
        return [_read(row) for row in reader.execute(sql)]


def soonest(store: SQLiteStore, but: Collection[str] = ()) -> Millis | None:
    """The earliest time at which any schedule is to be fired, but not those."""
    sql = f"SELECT id, next_at FROM schedule WHERE next_at IS NOT NULL AND {_LIVE} ORDER BY next_at LIMIT ?"
    with store.reading() as reader:
        return next((at for id, at in reader.execute(sql, (len(but) + 1,)) if id not in but), None)


class ScheduleStore:
    """The schedules of one workspace: every statement names it."""

    def __init__(self, store: SQLiteStore, workspace: str) -> None:
        self.workspace = workspace
        self._store = store

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    def all(self) -> list[Stored]:
        with self._store.reading() as reader:
            rows = reader.execute(_SELECT + "WHERE workspace = ? ORDER BY name", (self.workspace,))
            return [_read(row) for row in rows]

    def get(self, name: str) -> Stored:
        """The schedule of that name, or id; :class:`~aloma_py.errors.NotFoundError` names the nearest."""
        with self._store.reading() as reader:
            sql = _SELECT + "WHERE workspace = ? AND (name = ? OR id = ?) ORDER BY name = ? DESC"
            row = reader.execute(sql, (self.workspace, name, name, name)).fetchone()
            if row is None:
                names = reader.execute("SELECT name FROM schedule WHERE workspace = ?", (self.workspace,)).fetchall()
                raise NotFoundError("schedule", name, [known for (known,) in names])
            return _read(row)

    def firings(self, id: str, limit: int, below: Millis | None = None) -> list[Firing]:
        """The schedule's newest firings, the newest first; with ``below`` those of times before that."""
        sql = (
            "SELECT at, task, why FROM firing JOIN schedule ON schedule.id = firing.schedule "
            "WHERE schedule = ?1 AND workspace = ?2 AND (?3 IS NULL OR at < ?3) ORDER BY at DESC LIMIT ?4"
        )
        with self._store.reading() as reader:
            return [Firing(*row) for row in reader.execute(sql, (id, self.workspace, below, limit))]

    def waiting(self, id: str) -> list[Millis]:
        """The times whose firings wait, the earliest first."""
        with self._store.reading() as reader:
            return _waiting(reader, id)

    def busy(self, id: str) -> str | None:
        """The newest of its tasks that has not ended."""
        with self._store.reading() as reader:
            return _open_task(reader, id)

    # ── changing ────────────────────────────────────────────────────────────────────────────────────────────────

    async def add(self, made: Stored) -> None:
        """Raises :class:`~aloma_py.errors.InputError` where the workspace has one of that name."""

        def insert(connection: sqlite3.Connection) -> None:
            self._check_free(connection, made.name)
            connection.execute("INSERT OR IGNORE INTO workspace (name) VALUES (?)", (self.workspace,))
            row = (made.id, self.workspace, made.name, made.enabled, made.options, made.next_at, made.last_at)
            sql = f"INSERT INTO schedule ({_COLUMNS}) VALUES ({', '.join('?' * 9)})"
            connection.execute(sql, (*row, made.created_at, made.created_by))

        await self._write(insert)

    async def change(self, before: Stored, after: Stored) -> None:
        """Put ``after`` in the place of ``before``; refused where somebody else changed it in between.

        It may have fired in between: its next time stays as it is, where ``after`` has no other.
        """

        def update(connection: sqlite3.Connection) -> None:
            if after.name != before.name:
                self._check_free(connection, after.name)
            new = (after.name, after.enabled, after.options, after.next_at == before.next_at, after.next_at)
            changed = connection.execute(
                "UPDATE schedule SET name = ?, enabled = ?, options = ?, next_at = iif(?, next_at, ?) "
                "WHERE id = ? AND workspace = ? AND options = ? AND enabled = ? AND name = ?",
                (*new, before.id, self.workspace, before.options, before.enabled, before.name),
            ).rowcount
            if not changed:
                raise StaleTask(f"the schedule {before.name!r} was changed by somebody else in between; try again")
            if after.schedule.overlap != "queue":
                _skip_waiting(connection, before.id, "skipped: the schedule queues no more")

        await self._write(update)

    async def delete(self, id: str) -> None:
        def remove(connection: sqlite3.Connection) -> None:
            if connection.execute("DELETE FROM schedule WHERE id = ? AND workspace = ?", (id, self.workspace)).rowcount:
                connection.execute("DELETE FROM firing WHERE schedule = ?", (id,))

        await self._write(remove)

    # ── firing ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def fire(
        self, planned: Stored, tasks: Sequence[tuple[Millis, Task]], notes: Sequence[Firing], next_at: Millis | None
    ) -> list[Task] | None:
        """Write what became of the times that have come, with their tasks, whole or not at all.

        ``tasks`` are what each time would give, in order; the schedule's ``overlap`` decides which of them do.
        ``notes`` are written as they are. Gives the tasks that were made; ``None``, with nothing written, where the
        schedule is not any more as it was ``planned``.
        """
        overlap = planned.schedule.overlap

        def write(connection: sqlite3.Connection) -> list[Task] | None:
            sql = "UPDATE schedule SET next_at = ? WHERE id = ? AND workspace = ? AND options = ? AND next_at = ? "
            found = (next_at, planned.id, self.workspace, planned.options, planned.next_at)
            if not connection.execute(sql + "AND enabled = 1", found).rowcount:
                return None
            for note in notes:
                _note(connection, planned.id, note)
            made = [task for at, task in tasks if self._one(connection, planned.id, overlap, at, task)]
            _forget_old(connection, planned.id)
            return made

        made: list[Task] | None = await self._write(write)
        return made

    async def fire_waiting(self, planned: Stored, at: Millis, task: Task) -> bool:
        """Give the firing that waits since ``at`` its task; ``False`` where it waits no more, or must go on waiting."""

        def write(connection: sqlite3.Connection) -> bool:
            if _open_task(connection, planned.id) is not None:
                return False
            sql = "UPDATE firing SET task = ? WHERE schedule = ? AND at = ? AND task IS NULL AND why IS NULL"
            if not connection.execute(sql, (task.id, planned.id, at)).rowcount:
                return False
            self._insert(connection, planned.id, task)
            return True

        done: bool = await self._write(write)
        return done

    async def skip_waiting(self, id: str, at: Millis, why: str) -> None:
        """Give up the firing that waits since ``at``."""
        await self._write(lambda connection: _skip_waiting(connection, id, why, at))

    async def fire_now(self, id: str, task: Task) -> None:
        """A firing that was asked for, at the time when the task was made; the schedule goes on as planned."""

        def write(connection: sqlite3.Connection) -> None:
            at = task.created_at
            while not _note(connection, id, Firing(at, task.id, None)):
                at += 1  # it is fired at this very moment
            self._insert(connection, id, task)

        await self._write(write)

    def _one(self, connection: sqlite3.Connection, id: str, overlap: str, at: Millis, task: Task) -> bool:
        """Write one firing; whether it gave its task."""
        before = _open_task(connection, id) if overlap != "allow" else None
        if before is not None and overlap == "skip":
            _note(connection, id, Firing(at, None, f"skipped: {before}, which was fired before, had not ended"))
            return False
        if overlap == "queue":
            waiting = len(_waiting(connection, id))
            if waiting >= MAX_MISSED:
                _note(connection, id, Firing(at, None, f"skipped: {waiting:,} firings were waiting"))
                return False
            if before is not None or waiting:
                _note(connection, id, Firing(at, None, None))
                return False
        if not _note(connection, id, Firing(at, task.id, None)):
            return False  # it was fired before: the machine's clock was set back
        self._insert(connection, id, task)
        return True

    def _insert(self, connection: sqlite3.Connection, id: str, task: Task) -> None:
        connection.execute("INSERT OR IGNORE INTO workspace (name) VALUES (?)", (self.workspace,))
        statements.insert(connection, "task", [records.new_row(task)])
        statements.insert(connection, "origin", [(task.id, dumps(task.initial))])
        connection.execute("UPDATE schedule SET last_at = ? WHERE id = ?", (task.created_at, id))

    def _check_free(self, connection: sqlite3.Connection, name: str) -> None:
        sql = "SELECT 1 FROM schedule WHERE workspace = ? AND name = ?"
        if connection.execute(sql, (self.workspace, name)).fetchone():
            raise InputError(f"the workspace {self.workspace!r} has a schedule {name!r} already")

    async def _write(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._store.writer.write(Write(job=job))


def _read(row: records.Row) -> Stored:
    id, workspace, name, enabled, *rest = row
    return Stored(id, workspace, name, bool(enabled), *rest)


def _note(connection: sqlite3.Connection, id: str, firing: Firing) -> bool:
    """Write a firing down; ``False`` where that time has one."""
    sql = "INSERT OR IGNORE INTO firing (schedule, at, task, why) VALUES (?, ?, ?, ?)"
    return bool(connection.execute(sql, (id, firing.at, firing.task, firing.why)).rowcount)


def _open_task(connection: sqlite3.Connection, id: str) -> str | None:
    """The newest of the schedule's tasks that is open."""
    row = connection.execute(_OPEN_TASK, (id, *_OPEN)).fetchone()
    return None if row is None else str(row[0])


def _waiting(connection: sqlite3.Connection, id: str) -> list[Millis]:
    sql = "SELECT at FROM firing WHERE schedule = ? AND task IS NULL AND why IS NULL ORDER BY at"
    return [at for (at,) in connection.execute(sql, (id,))]


def _skip_waiting(connection: sqlite3.Connection, id: str, why: str, at: Millis | None = None) -> None:
    """Give up the firings that wait; only that of ``at``, where it is given."""
    sql = "UPDATE firing SET why = ?1 WHERE schedule = ?2 AND task IS NULL AND why IS NULL AND at = coalesce(?3, at)"
    connection.execute(sql, (why, id, at))


def _forget_old(connection: sqlite3.Connection, id: str) -> None:
    connection.execute(
        "DELETE FROM firing WHERE schedule = ?1 AND NOT (task IS NULL AND why IS NULL) AND at < "
        "(SELECT at FROM firing WHERE schedule = ?1 AND NOT (task IS NULL AND why IS NULL) "
        f"ORDER BY at DESC LIMIT 1 OFFSET {MAX_KEPT - 1})",
        (id,),
    )
