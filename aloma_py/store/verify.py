"""Whether what is in a store is sound: SQLite's own checks, and that every task's history leads to its data."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from aloma_py.changes import apply, diff
from aloma_py.errors import AlomaError
from aloma_py.jsontext import loads
from aloma_py.models import Cycle, Json, Task
from aloma_py.paths import format_path
from aloma_py.store import records, schema
from aloma_py.store.statements import TASK_SELECT

MAX_PROBLEMS: Final = 100
"""After so many, nothing more is looked for."""

_JSON_COLUMNS: Final = {
    "workspace": ("facts",),
    "entry": ("changes", "conflicts", "effects", "error", "logs"),
    "call": ("arguments", "answer"),
    "audit": ("details",),
    "visualization": ("data", "options"),
    "blob": ("meta",),
}


@dataclass(slots=True)
class Verification:
    """What was looked at and what is wrong, each a sentence; nothing in ``problems`` means sound."""

    tasks: int = 0
    entries: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.problems


Told = Callable[[int, int], None]
"""Is told how much of how much is done."""


def check(connection: sqlite3.Connection, told: Told | None = None) -> Verification:
    """Look at everything, in one snapshot.

    The pages and indexes (``integrity_check``), the references between tables, the schema's version, that all JSON can
    be read, that history entries count 1, 2, 3 …, that they lead from a task's initial data to its data, and that what
    is remembered of its cycle fits it.
    """
    found = Verification()
    connection.execute("BEGIN")
    try:
        for problem in _problems(connection, found, told):
            found.problems.append(problem)
            if len(found.problems) == MAX_PROBLEMS:
                found.problems.append("there may be more")
                break
    except sqlite3.Error as error:
        found.problems.append(f"reading stopped: {error}")
    finally:
        connection.execute("ROLLBACK")
    return found


def _problems(connection: sqlite3.Connection, found: Verification, told: Told | None) -> Iterator[str]:
    for (text,) in connection.execute("PRAGMA integrity_check"):
        if text != "ok":
            yield f"SQLite's integrity check: {text}"
    for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"a row of table {table} belongs to no {parent}"
    missing = [name for name in schema.MIGRATIONS if name not in schema.applied(connection)]
    if missing:
        yield f"the schema lacks {', '.join(missing)}"
    for table, columns in _JSON_COLUMNS.items():
        yield from _unreadable(connection, table, columns)
    (tasks,) = connection.execute("SELECT count(*) FROM task").fetchone() if told is not None else (0,)
    for row in connection.execute(TASK_SELECT + "ORDER BY task.no"):
        found.tasks += 1
        if told is not None and not found.tasks % 64:
            told(found.tasks, tasks)
        yield from _task_problems(connection, row, found)


def _unreadable(connection: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> Iterator[str]:
    for row in connection.execute(f"SELECT {', '.join(columns)}, * FROM {table}"):
        for column, text in zip(columns, row, strict=False):
            if text is not None and not _readable(text):
                yield f"{column} in table {table} is no JSON: the row of {row[len(columns)]!r}"


def _readable(text: str) -> bool:
    try:
        loads(text)
    except ValueError:
        return False
    return True


def _task_problems(connection: sqlite3.Connection, row: records.Row, found: Verification) -> Iterator[str]:
    try:
        task = records.read_task(row)
    except (ValueError, TypeError, AttributeError) as error:
        yield f"task {row[0]} cannot be read: {error}"
        return
    stored: dict[str, Any] = dict(zip(records.TASK_COLUMNS, row, strict=False))
    wakes, right = stored["wake_at"], records.wake_at(task)
    if wakes != right:
        yield f"task {task.id} would be woken at {wakes}, but {right} follows from its state"
    sql = "SELECT n, changes FROM entry WHERE task = ? ORDER BY n"
    history = connection.execute(sql, (task.id,)).fetchall()
    found.entries += len(history)
    if [n for n, _ in history] != [*range(1, task.last_entry + 1)]:
        yield f"task {task.id} says it has {task.last_entry} history entries, but there are {len(history)}"
    yield from _history_problems(task, [text for _, text in history])
    yield from _cycle_problems(task)


def _history_problems(task: Task, history: list[str | None]) -> Iterator[str]:
    data: Json = task.initial
    try:
        for text in history:
            data = apply(data, records.read_changes(text))
    except (ValueError, TypeError, AlomaError) as error:
        yield f"task {task.id}: its history cannot be applied: {error}"
        return
    differences = diff(data, task.data)
    if differences:
        where = format_path(differences[0].path) or "the top"
        yield f"task {task.id}: its history does not lead to its data; they differ at {where}"


def _cycle_problems(task: Task) -> Iterator[str]:
    cycle = task.cycle
    if Cycle.from_json(cycle.to_json()) != cycle:
        yield f"task {task.id}: what is remembered of its cycle does not survive being written and read"
    if cycle.runs < 0 or cycle.wave < 0 or any(retry.attempt < 1 for retry in cycle.retries.values()):
        yield f"task {task.id}: what is remembered of its cycle has numbers that cannot be"
    if task.state.ended and task.ended_at is None:
        yield f"task {task.id} is {task.state} but has no time at which it ended"
