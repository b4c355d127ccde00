"""The SQL of the hot path, and how rows of many tasks become few statements.

Python's sqlite3 gives up the interpreter's lock once a statement. When other threads are busy it may wait 5 ms to get
it back, so a batch of 500 rows must not be 500 statements: rows of one kind are put into statements of many rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

from aloma_py.store.records import ENTRY_COLUMNS, TASK_COLUMNS, TASK_MOVING, Row

MAX_ROWS: Final = 256
"""The most rows in one statement. The sizes are powers of two, so that all statements stay prepared."""

_INSERTS: Final = {
    "task": TASK_COLUMNS,
    "origin": ("task", "data"),
    "entry": ENTRY_COLUMNS,
}

TASK_SELECT: Final = (
    f"SELECT {', '.join(f'task.{name}' for name in TASK_COLUMNS)}, origin.data "
    "FROM task JOIN origin ON origin.task = task.id "
)


@cache
def insert_sql(table: str, rows: int) -> str:
    """An INSERT of up to so many rows; a row whose first value is NULL is none."""
    columns = _INSERTS[table]
    head = f"INSERT INTO {table} ({', '.join(columns)}) "
    if rows == 1:
        return f"{head} VALUES {_places(len(columns), 1)}"
    return f"{head} SELECT * FROM (VALUES {_places(len(columns), rows)}) WHERE column1 IS NOT NULL"


@cache
def update_sql(rows: int) -> str:
    """A fenced UPDATE of up to so many tasks: each row is ``id, revision`` and the values of ``TASK_MOVING``.

    A task whose revision is another is left alone, so that the number of changed rows is short by one.
    """
    if rows == 1:
        moving = ", ".join(f"{name} = ?{n}" for n, name in enumerate(TASK_MOVING, 3))
        return f"UPDATE task SET revision = ?2 + 1, {moving} WHERE id = ?1 AND revision = ?2"
    moving = ", ".join(f"{name} = new.column{n}" for n, name in enumerate(TASK_MOVING, 3))
    return (
        f"UPDATE task SET revision = new.column2 + 1, {moving} "
        f"FROM (VALUES {_places(len(TASK_MOVING) + 2, rows)}) AS new "
        "WHERE task.id = new.column1 AND task.revision = new.column2"
    )


def _places(columns: int, rows: int) -> str:
    one = f"({', '.join('?' * columns)})"
    return ", ".join([one] * rows)


def insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    """Insert rows of the table's columns."""
    for size, values in _chunks(rows):
        connection.execute(insert_sql(table, size), values)


def update(connection: sqlite3.Connection, rows: Sequence[Row]) -> int:
    """Update tasks by rows as :func:`update_sql` wants them; gives how many had the revision that was named."""
    return sum(connection.execute(update_sql(size), values).rowcount for size, values in _chunks(rows))


def _chunks(rows: Sequence[Row]) -> Iterator[tuple[int, list[Any]]]:
    """The rows' values, for as few statements as can be: each is a size and as many values, filled up with NULLs."""
    for start in range(0, len(rows), MAX_ROWS):
        chunk = rows[start : start + MAX_ROWS]
        size = 1 << (len(chunk) - 1).bit_length()
        values = [*chain.from_iterable(chunk)]
        values.extend([None] * ((size - len(chunk)) * len(chunk[0])))
        yield size, values
