"""Workspaces that keep tasks and log lines for a time of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aloma_py.intake import new_task
from aloma_py.models import Entry, LogLine, TaskCommit, TaskFilter, TaskState
from aloma_py.operations.store import DAY, purge_old
from aloma_py.store import admin
from aloma_py.store.retention import own_times
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

NOW = 1_767_225_600_000


async def ended(store: SQLiteStore, workspace: str, days: int, *, parent: str | None = None) -> str:
    """A task that ended so many days ago, with a line in its log; its name says how many."""
    at = NOW - days * DAY
    task = new_task(workspace, str(days), {}, now=at, parent=parent)
    handle = store.workspace(workspace)
    await handle.accept([task])
    line = Entry(n=1, kind="run", started_at=at, ended_at=at, logs=(LogLine(at, "info", "x"),))
    await handle.commit([TaskCommit(replace(task, state=TaskState.DONE, ended_at=at, last_entry=1), (line,))])
    return task.id


async def left(store: SQLiteStore, workspace: str) -> dict[str, bool]:
    """The names of the tasks that are there, and whether they have their log."""
    handle = store.workspace(workspace)
    tasks = await handle.list(TaskFilter())
    return {task.name: bool((await handle.entries(task.id))[0].logs) for task in tasks}


async def test_each_workspace_keeps_its_own_time(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db") as store:
        for workspace in ("default", "short", "long"):
            for days in (1, 5, 20, 50, 400):
                await ended(store, workspace, days)
        await store.workspace("short").set_facts(limits={"keep_tasks_days": 10, "keep_logs_days": 2})
        await store.workspace("long").set_facts(limits={"keep_tasks_days": 365, "keep_logs_days": 30})
        gone = await purge_old(store, NOW, 30, 14)
        assert gone == {"task": 6, "origin": 6, "entry": 6, "logs": 3}
        assert await left(store, "default") == {"1": True, "5": True, "20": False}
        assert await left(store, "short") == {"1": True, "5": False}
        assert await left(store, "long") == {"1": True, "5": True, "20": True, "50": False}
        assert await purge_old(store, NOW, 30, 14) == {}
        # The days of the command stand in for the installation's alone.
        assert await purge_old(store, NOW, 3, 14) == {"task": 2, "origin": 2, "entry": 2}
        assert await left(store, "long") == {"1": True, "5": True, "20": True, "50": False}
    assert admin.verify(tmp_path / "a.db").sound


async def test_families_stay_together_in_their_own_time() -> None:
    async with SQLiteStore(":memory:") as store:
        parent = await ended(store, "short", 20)
        await ended(store, "short", 2, parent=parent)
        await store.workspace("short").set_facts(limits={"keep_tasks_days": 10})
        assert await purge_old(store, NOW, 30, 30) == {}  # its subtask has not ended long ago
        await store.workspace("short").set_facts(limits={"keep_tasks_days": 1})
        assert (await purge_old(store, NOW, 30, 30))["task"] == 2


async def test_many_go_in_several_transactions() -> None:
    async with SQLiteStore(":memory:") as store:
        for n in range(450):
            await ended(store, "short" if n % 2 else "default", 20)
        await store.workspace("short").set_facts(limits={"keep_tasks_days": 10})
        before = store.writer.batches
        assert (await purge_old(store, NOW, 30, 30))["task"] == 225
        assert store.writer.batches - before >= 2


def test_which_workspaces_have_times_of_their_own() -> None:
    facts = {
        "a": {},
        "b": {"limits": {"keep_tasks_days": 1}},
        "c": {"limits": {"keep_logs_days": 0.5}},
        "d": {"limits": {}},
    }
    times = (NOW - 30 * DAY, NOW - 14 * DAY)
    assert own_times(facts, NOW, times) == {"b": (NOW - DAY, times[1]), "c": (times[0], NOW - DAY // 2)}
