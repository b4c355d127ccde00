"""What is counted of what workspaces use."""

from __future__ import annotations

import pytest

from aloma_py.intake import new_task
from aloma_py.models import Call, Entry, Limits
from aloma_py.operations import Operations
from aloma_py.serve.house import idle_operations
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.usage import UsageCounter

pytestmark = pytest.mark.anyio

JANUARY, FEBRUARY = 1_767_225_600_000, 1_769_904_000_000


def operations(store: SQLiteStore, workspace: str) -> Operations:
    return idle_operations(store, Settings(workspace=workspace))


async def test_what_is_used_is_added_up_by_month_and_workspace() -> None:
    async with SQLiteStore(":memory:") as store:
        counter = UsageCounter(store)
        for workspace, at in (("a", JANUARY), ("a", FEBRUARY), ("b", FEBRUARY)):
            task = new_task(workspace, "t", {}, id=f"task-{workspace}-{at}", via={}, now=at, limits=Limits())
            await store.workspace(workspace).accept([task])
            counter.watch(task, ())
            task.last_entry = 1
            counter.watch(task, [Entry(1, "run", at, at + 40, step="s"), Entry(2, "end", at, at)])
        call = Call("s", 1, 1, "shop", "buy", "d", 0, {}, "returned", {}, "k", FEBRUARY, FEBRUARY + 5)
        await store.workspace("b").record_call(f"task-b-{FEBRUARY}", call)
        await counter.write()
        await counter.write()  # nothing new: nothing is added twice
        counter.watch(task, [Entry(3, "run", FEBRUARY, FEBRUARY + 2, step="s")])
        await counter.write()
        everywhere = await operations(store, "a").call("account_usage", {})
        assert [tuple(one.values()) for one in everywhere] == [
            ("a", "2026-02", 1, 1, 0, 40),
            ("b", "2026-02", 1, 2, 1, 42),
            ("a", "2026-01", 1, 1, 0, 40),
        ]
        assert await operations(store, "b").call("workspace_usage", {}) == everywhere[1:2]
