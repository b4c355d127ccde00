"""Finding tasks: by state, name, tag, parent and words."""

from __future__ import annotations

import sqlite3
from typing import Any

from aloma_py.errors import NotFoundError
from aloma_py.models import Task, TaskFilter, TaskState
from aloma_py.store import records
from aloma_py.store.search import match_expression
from aloma_py.store.statements import TASK_SELECT


def find(connection: sqlite3.Connection, workspace: str, wanted: TaskFilter) -> list[Task]:
    """The tasks of the workspace that fit, newest first, at most ``wanted.limit``; see :func:`find_page`."""
    return find_page(connection, workspace, wanted)[0]


def find_page(connection: sqlite3.Connection, workspace: str, wanted: TaskFilter) -> tuple[list[Task], int | None]:
    """The same, and where the next page begins: the number that its tasks are ``below``, ``None`` where there is none.

    Raises :class:`~aloma_py.errors.NotFoundError` where ``wanted.before`` is no task of the workspace.
    """
    terms, values = _terms(connection, workspace, wanted)
    numbers: list[int] = []
    # State by state, each along the index and no further than needed; what has ended has no time to wake, so that the
    # index gives it newest first.
    for state in wanted.states if wanted.states is not None else TaskState:
        ended = " AND wake_at IS NULL" if state.ended else ""
        sql = f"SELECT no FROM task WHERE workspace = ? AND state = ?{ended}{terms} ORDER BY no DESC LIMIT ?"
        rows = connection.execute(sql, (workspace, state.value, *values, wanted.limit + 1))
        numbers.extend(no for (no,) in rows)
    numbers.sort(reverse=True)
    tasks = []
    for no in numbers[: wanted.limit]:
        row = connection.execute(TASK_SELECT + "WHERE task.no = ?", (no,)).fetchone()
        if row is not None:
            tasks.append(records.read_task(row))
    return tasks, numbers[wanted.limit - 1] if len(numbers) > wanted.limit > 0 else None


def _terms(connection: sqlite3.Connection, workspace: str, wanted: TaskFilter) -> tuple[str, list[Any]]:
    terms = ""
    values: list[Any] = []
    if wanted.before is not None:
        row = connection.execute(
            "SELECT no FROM task WHERE id = ? AND workspace = ?", (wanted.before, workspace)
        ).fetchone()
        if row is None:
            raise NotFoundError("task", wanted.before)
        terms += " AND no < ?"
        values.append(row[0])
    if wanted.below is not None:
        terms += " AND no < ?"
        values.append(wanted.below)
    if wanted.parent is not None:
        terms += " AND parent = ?"
        values.append(wanted.parent)
    if wanted.name is not None:
        # Python's idea of case, since SQLite's is ASCII only.
        connection.create_function("folded_in", 2, lambda part, text: part in text.casefold(), deterministic=True)
        terms += " AND folded_in(?, name)"
        values.append(wanted.name.casefold())
    if wanted.tag is not None:
        terms += " AND EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)"
        values.append(wanted.tag)
    if wanted.search is not None:
        reference = "SELECT task FROM audit WHERE reference = ?"
        expression = match_expression(wanted.search)
        if expression is None:
            terms += f" AND id IN ({reference})"
            values.append(wanted.search)
        else:
            terms += f" AND (no IN (SELECT rowid FROM search WHERE search MATCH ?) OR id IN ({reference}))"
            values += [expression, wanted.search]
    return terms, values
