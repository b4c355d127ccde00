"""Taking tasks out of the store, with all that is around them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

AROUND_TASK: Final = ("origin", "entry", "call", "audit", "visualization", "blob", "failure")
"""Tables whose rows belong to a task (their column ``task``) and go with it."""

BY_NUMBER: Final = {"search": "rowid", "search_dirty": "task_no"}
"""Tables whose rows belong to a task by its number."""

KEPT: Final = (
    "workspace", "file", "search_state", "_sqlite_migrations", "script", "script_version", "variable", "webhook",
    "webhook_key", "schedule", "firing", "person", "membership", "token", "ledger", "usage", "idempotency",
    "source", "connector", "notification_group", "notification",
)  # fmt: skip
"""Tables with nothing of a single task in them."""


def remove_tasks(connection: sqlite3.Connection, tasks: Sequence[tuple[int, str]]) -> dict[str, int]:
    """Delete tasks, each given as number and id, inside the transaction that is open.

    Gives how many rows went, by table; tables without any are left out.
    """
    numbers = [no for no, _ in tasks]
    ids = [id_ for _, id_ in tasks]
    places = ", ".join("?" * len(tasks))
    gone: dict[str, int] = {}
    for table in AROUND_TASK:
        gone[table] = connection.execute(f"DELETE FROM {table} WHERE task IN ({places})", ids).rowcount
    for table, column in BY_NUMBER.items():
        connection.execute(f"DELETE FROM {table} WHERE {column} IN ({places})", numbers)
    gone["task"] = connection.execute(f"DELETE FROM task WHERE no IN ({places})", numbers).rowcount
    # The numbers of the newest may be given again, and the search must then read them.
    connection.execute("UPDATE search_state SET filled_to = min(filled_to, (SELECT coalesce(max(no), 0) FROM task))")
    return {table: rows for table, rows in gone.items() if rows}
