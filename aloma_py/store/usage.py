"""What each workspace used in each month (UTC): tasks, runs, recorded calls, milliseconds of runs."""

from __future__ import annotations

import datetime
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Final

from typing_extensions import TypedDict

from aloma_py.models import Entry, Millis, Task
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

COUNTED: Final = ("tasks", "runs", "calls", "millis")

_ADD: Final = """
INSERT INTO usage (workspace, month, tasks, runs, calls, millis) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (workspace, month) DO UPDATE SET
    tasks = tasks + excluded.tasks, runs = runs + excluded.runs,
    calls = calls + excluded.calls, millis = millis + excluded.millis
"""
_CALLS: Final = """
SELECT task.workspace, call.ended_at FROM call JOIN task ON task.id = call.task WHERE call.no > ? AND call.no <= ?
"""


class UsageCounter:
    """Counts what is used, in memory; ``watch`` is the watcher to give the house, :meth:`write` to call now and then.

    What was counted since the last write is lost when the process is killed: it is a measure, no bill.
    """

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self._counts: Counter[tuple[str, str, str]] = Counter()
        with store.reading() as connection:
            self._last_call = _last_call(connection)

    def watch(self, task: Task, entries: Sequence[Entry]) -> None:
        """A :data:`~aloma_py.custody.Watcher`."""
        if task.last_entry == 0 and not entries:
            self._counts[task.workspace, month_of(task.created_at), "tasks"] += 1
        for entry in entries:
            if entry.kind == "run":
                month = month_of(entry.ended_at)
                self._counts[task.workspace, month, "runs"] += 1
                self._counts[task.workspace, month, "millis"] += entry.ended_at - entry.started_at

    async def write(self) -> None:
        """Add what was counted to the table. Where that fails, it is kept for the next time."""
        counts, self._counts = self._counts, Counter()
        try:
            last = await self._store.read(_last_call)
            if last > self._last_call:
                span = (self._last_call, last)
                for workspace, at in await self._store.read(lambda reader: reader.execute(_CALLS, span).fetchall()):
                    counts[workspace, month_of(at), "calls"] += 1
            places = sorted({(workspace, month) for workspace, month, _ in counts})
            rows = [(*place, *(counts[(*place, what)] for what in COUNTED)) for place in places]
            if rows:
                await self._store.writer.write(Write(job=lambda writer: writer.executemany(_ADD, rows) and None))
            self._last_call = last
        except BaseException:
            self._counts.update({key: number for key, number in counts.items() if key[2] != "calls"})
            raise


class UsageRow(TypedDict):
    """What a workspace used in a month (UTC): tasks, runs, recorded calls, milliseconds of runs."""

    workspace: str
    month: str
    tasks: int
    runs: int
    calls: int
    millis: int


def read_usage(connection: sqlite3.Connection, workspace: str | None = None) -> list[UsageRow]:
    """``[{workspace, month, tasks, runs, calls, millis}, …]``, the newest month first; of one workspace, or all."""
    only = "WHERE workspace = ?" if workspace is not None else ""
    sql = f"SELECT workspace, month, {', '.join(COUNTED)} FROM usage {only} ORDER BY month DESC, workspace"
    rows = connection.execute(sql, () if workspace is None else (workspace,))
    return [
        {"workspace": place, "month": month, "tasks": tasks, "runs": runs, "calls": calls, "millis": millis}
        for place, month, tasks, runs, calls, millis in rows
    ]


def month_of(at: Millis) -> str:
    """The month of a time, in UTC.

    >>> month_of(1_767_225_600_000)
    '2026-01'
    """
    return datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).strftime("%Y-%m")


def _last_call(connection: sqlite3.Connection) -> int:
    number: int = connection.execute("SELECT coalesce(max(no), 0) FROM call").fetchone()[0]
    return number
