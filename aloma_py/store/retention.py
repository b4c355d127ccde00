"""Keeping the store small: what ended long ago goes, in small transactions, and the file gives its room back.

A task goes when it ended (in any way, see ``ENDED_STATES``) before the given time, its parent is not open, and all its
subtasks ended before that time too. With it goes everything around it (:data:`~aloma_py.store.removal.AROUND_TASK`).
Log lines may go earlier than the history they belong to. Workspaces' files stay. A workspace may keep both for a time
of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from aloma_py.jsontext import dumps
from aloma_py.models import ENDED_STATES, Millis
from aloma_py.store.removal import remove_tasks

T = TypeVar("T")

BATCH: Final = 200
"""How many tasks, or entries' log lines, go in one transaction."""

_DAY: Final = 86_400_000

VACUUM_PAGES: Final = 1000
"""How many pages are given back in one transaction."""

_ENDED = ", ".join(f"'{state.value}'" for state in sorted(ENDED_STATES))
_TIMES: Final = "WITH times (workspace, tasks, logs) AS (SELECT key, value ->> 0, value ->> 1 FROM json_each(:own)) "
_OLD_TASKS: Final = f"""
{_TIMES}
SELECT task.no, task.id, task.ended_at FROM task LEFT JOIN times ON times.workspace = task.workspace
WHERE task.state IN ({_ENDED}) AND task.ended_at < coalesce(times.tasks, :tasks)
  AND NOT EXISTS (SELECT 1 FROM task AS parent WHERE parent.id = task.parent AND parent.state NOT IN ({_ENDED}))
  AND NOT EXISTS (
    SELECT 1 FROM task AS child WHERE child.parent = task.id AND (
        child.state NOT IN ({_ENDED}) OR child.ended_at IS NULL OR child.ended_at >= coalesce(times.tasks, :tasks)))
"""
_FIND_TASKS: Final = f"""
{_OLD_TASKS} AND task.ended_at < :latest AND (task.ended_at, task.no) > (:ended_at, :no)
ORDER BY task.ended_at, task.no LIMIT :batch
"""
_STILL_OLD: Final = f"{_OLD_TASKS} AND task.no IN (SELECT value FROM json_each(:found))"
_FIND_LOGS: Final = f"""
{_TIMES}
SELECT entry.task, entry.n, entry.ended_at FROM entry CROSS JOIN task ON task.id = entry.task
LEFT JOIN times ON times.workspace = task.workspace
WHERE entry.logs IS NOT NULL AND entry.ended_at < :latest AND entry.ended_at < coalesce(times.logs, :logs)
  AND (entry.ended_at, entry.task, entry.n) > (:ended_at, :task, :n)
ORDER BY entry.ended_at, entry.task, entry.n LIMIT :batch
"""
_FORGET_LOGS: Final = (
    "UPDATE entry SET logs = NULL WHERE (task, n) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))"
    " AND logs IS NOT NULL"
)

Times = tuple[Millis, Millis]
"""Before when tasks must have ended, and log lines have been written, to go."""


class InTransaction(Protocol):
    """Runs a job in a transaction of its own on the connection that writes."""

    def __call__(self, job: Callable[[sqlite3.Connection], T]) -> Awaitable[T]: ...


class Asked(Protocol):
    """Asks a question of a connection that reads, without keeping those waiting who write."""

    def __call__(self, question: Callable[[sqlite3.Connection], T]) -> Awaitable[T]: ...


def own_times(facts: Mapping[str, Mapping[str, Any]], now: Millis, times: Times) -> dict[str, Times]:
    """The times of those workspaces that keep things longer or shorter than others do, by name.

    ``facts`` are those of all workspaces by name; ``times`` are those of the installation.
    """
    found: dict[str, Times] = {}
    for name, known in facts.items():
        limits = known.get("limits") or {}
        own = [
            default if limits.get(limit) is None else now - round(limits[limit] * _DAY)
            for limit, default in zip(("keep_tasks_days", "keep_logs_days"), times, strict=True)
        ]
        if (own[0], own[1]) != times:
            found[name] = (own[0], own[1])
    return found


async def purge(
    in_transaction: InTransaction, ask: Asked, times: Times, own: Mapping[str, Times] | None = None
) -> dict[str, int]:
    """Remove tasks that ended, and log lines that were written, before ``times``; in a workspace of ``own`` before its.

    Gives how many rows went, by table, ``logs`` being the history entries whose lines went. What is old is found by
    reading; others write in between. When it is interrupted, what it did so far stays done.
    """
    gone: dict[str, int] = {}
    own = own or {}
    values = {
        "tasks": times[0],
        "logs": times[1],
        "own": dumps({name: [*one] for name, one in own.items()}),
        "batch": BATCH,
    }
    latest = max([times[0], *(one[0] for one in own.values())])
    place = {"ended_at": -1, "no": -1}  # the last task looked at
    while found := await ask(partial(_rows, sql=_FIND_TASKS, values={**values, **place, "latest": latest})):
        removed = await in_transaction(partial(_remove, values={**values, "found": dumps([no for no, _, _ in found])}))
        for table, rows in removed.items():
            gone[table] = gone.get(table, 0) + rows
        place = {"ended_at": found[-1][2], "no": found[-1][0]}
    latest = max([times[1], *(one[1] for one in own.values())])
    line: dict[str, Any] = {"ended_at": -1, "task": "", "n": -1}
    while found := await ask(partial(_rows, sql=_FIND_LOGS, values={**values, **line, "latest": latest})):
        rows = await in_transaction(partial(_forget, entries=dumps([(task, n) for task, n, _ in found])))
        gone["logs"] = gone.get("logs", 0) + rows
        line = {"ended_at": found[-1][2], "task": found[-1][0], "n": found[-1][1]}
    return gone


def _rows(connection: sqlite3.Connection, sql: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return connection.execute(sql, values).fetchall()


def _remove(connection: sqlite3.Connection, values: Mapping[str, Any]) -> dict[str, int]:
    """Remove those of the tasks that are still old: one may have been resumed since it was found."""
    found = connection.execute(_STILL_OLD, values).fetchall()
    return remove_tasks(connection, [(no, id_) for no, id_, _ in found]) if found else {}


def _forget(connection: sqlite3.Connection, entries: str) -> int:
    return connection.execute(_FORGET_LOGS, (entries,)).rowcount


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
