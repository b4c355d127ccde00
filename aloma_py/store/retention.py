"""Keeping the store small: what ended long ago goes, in small transactions, and the file gives its room back.

A task goes when it ended (in any way, see ``ENDED_STATES``) before the given time, its parent is not open, and all its
subtasks ended before that time too. With it goes everything around it (:data:`~aloma_py.store.removal.AROUND_TASK`).
Log lines may go earlier than the history they belong to. Workspaces' files stay.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol, TypeVar

from aloma_py.models import ENDED_STATES, Millis
from aloma_py.store.removal import remove_tasks

T = TypeVar("T")

BATCH: Final = 200
"""How many tasks, or entries' log lines, go in one transaction."""

VACUUM_PAGES: Final = 1000
"""How many pages are given back in one transaction."""

_ENDED = ", ".join(f"'{state.value}'" for state in sorted(ENDED_STATES))
_OLD_TASKS = f"""
SELECT no, id, ended_at FROM task
WHERE ended_at < :before AND (ended_at, no) > (:ended_at, :no) AND state IN ({_ENDED})
  AND NOT EXISTS (SELECT 1 FROM task AS parent WHERE parent.id = task.parent AND parent.state NOT IN ({_ENDED}))
  AND NOT EXISTS (
    SELECT 1 FROM task AS child WHERE child.parent = task.id
    AND (child.state NOT IN ({_ENDED}) OR child.ended_at IS NULL OR child.ended_at >= :before))
ORDER BY ended_at, no LIMIT :batch
"""


class InTransaction(Protocol):
    """Runs a job in a transaction of its own on the connection that writes."""

    def __call__(self, job: Callable[[sqlite3.Connection], T]) -> Awaitable[T]: ...


async def purge(in_transaction: InTransaction, tasks_before: Millis, logs_before: Millis) -> dict[str, int]:
    """Remove tasks that ended before ``tasks_before`` and log lines from before ``logs_before``.

    Gives how many rows went, by table, ``logs`` being the history entries whose lines went. Other writes come in
    between; when it is interrupted, what it did so far stays done.
    """
    gone: dict[str, int] = {}
    place = (-1, -1)  # the last task looked at, by time of ending and number
    while True:
        removed, place = await in_transaction(partial(_purge_tasks, before=tasks_before, place=place))
        for table, rows in removed.items():
            gone[table] = gone.get(table, 0) + rows
        if not removed:
            break
    while rows := await in_transaction(partial(_purge_logs, before=logs_before)):
        gone["logs"] = gone.get("logs", 0) + rows
    return gone


def _purge_tasks(
    connection: sqlite3.Connection, before: Millis, place: tuple[int, int]
) -> tuple[dict[str, int], tuple[int, int]]:
    values = {"before": before, "ended_at": place[0], "no": place[1], "batch": BATCH}
    found = connection.execute(_OLD_TASKS, values).fetchall()
    if not found:
        return {}, place
    last_no, _, last_ended = found[-1]
    return remove_tasks(connection, [(no, id_) for no, id_, _ in found]), (last_ended, last_no)


def _purge_logs(connection: sqlite3.Connection, before: Millis) -> int:
    return connection.execute(
        "UPDATE entry SET logs = NULL WHERE (task, n) IN "
        "(SELECT task, n FROM entry WHERE logs IS NOT NULL AND ended_at < ? ORDER BY ended_at LIMIT ?)",
        (before, BATCH),
    ).rowcount


def free_pages(connection: sqlite3.Connection) -> int:
    """How many pages of the file hold nothing."""
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def checkpoint(connection: sqlite3.Connection) -> None:
    """Take the write-ahead log over into the file and cut it to nothing (as far as readers allow)."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def give_back(connection: sqlite3.Connection) -> int:
    """Give up to :data:`VACUUM_PAGES` free pages back to the file system; gives how many pages are still free."""
    # Stepped to its end: each row is one page.
    connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
    return free_pages(connection)


def tables(connection: sqlite3.Connection) -> list[str]:
    """The names of all tables, without those that the full-text search keeps for itself."""
    rows = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' "
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'search\\_%' ESCAPE '\\' "
        "UNION SELECT name FROM sqlite_schema WHERE name IN ('search_state', 'search_dirty') ORDER BY name"
    )
    return [name for (name,) in rows]
