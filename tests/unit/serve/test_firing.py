"""Schedules fire: each time once, with its task, whatever happens in between."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from aloma_py.cli.output import read_iso
from aloma_py.clock import SystemClock, VirtualClock
from aloma_py.engine import Engine
from aloma_py.errors import InputError, NotFoundError, StaleTask
from aloma_py.models import TaskFilter, TaskState
from aloma_py.operations import Operations, Role, Site
from aloma_py.operations.schedules import fire
from aloma_py.scheduler import Scheduler
from aloma_py.serve.firing import LOOK_AGAIN, Firing
from aloma_py.serve.web.app import make_app
from aloma_py.serve.web.guard import Identity
from aloma_py.settings import Settings
from aloma_py.steps import step
from aloma_py.steps.loading import load_steps
from aloma_py.store import schedules as stored_schedules
from aloma_py.store.schedules import ScheduleStore
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

SECOND, HOUR = 1000, 3_600_000


class World:
    """A store with operations on its workspaces, and the loop that fires."""

    def __init__(self, store: SQLiteStore, clock: Any, steps: Any = ()) -> None:
        self.store = store
        self.clock = clock
        self.begun = clock.now()
        self.steps = steps
        self.known: dict[str, Operations] = {}
        self.firing = Firing(store, self.find, clock)

    def find(self, workspace: str) -> Operations:
        if workspace not in self.known:
            engine = Engine(self.store.workspace(workspace), self.steps, clock=self.clock)
            self.known[workspace] = Operations(Site(engine, self.store, Settings(workspace=workspace)))
        return self.known[workspace]

    async def ask(self, operation: str, workspace: str = "default", /, **arguments: Any) -> Any:
        return await self.find(workspace).call(operation, arguments)

    async def pass_by(self, millis: int) -> None:
        """Let the time pass, with the loop looking whenever it wants to."""
        end = self.clock.now() + millis
        while (again := await self.firing.once()) <= end:
            self.clock.move_to(max(again, self.clock.now()))
        self.clock.move_to(end)

    async def tasks(self, workspace: str = "default") -> list[Any]:
        """The tasks, the oldest first."""
        return (await self.store.workspace(workspace).list(TaskFilter(limit=5000)))[::-1]

    async def due(self, workspace: str = "default") -> list[int]:
        """The times that the tasks were due at, in seconds since the beginning."""
        return [(read_iso(task.data["$via"]["due"]) - self.begun) // SECOND for task in await self.tasks(workspace)]

    async def firings(self, name: str) -> list[tuple[str, int]]:
        """What became of each time, the oldest first: (state, seconds since the beginning)."""
        found = (await self.ask("show_schedule", name=name))["firings"]
        return [(one["state"], (read_iso(one["at"]) - self.begun) // SECOND) for one in reversed(found)]


@asynccontextmanager
async def opened(path: Path | str = ":memory:", clock: Any = None, steps: Any = ()) -> AsyncIterator[World]:
    async with SQLiteStore(path) as store:
        yield World(store, clock or VirtualClock(), steps)


async def test_each_time_gives_one_task_that_says_where_it_came_from() -> None:
    async with opened() as world:
        made = await world.ask("add_schedule", name="tick", every="10s", data={"a": {"b": 1}}, task="work", tags=["x"])
        await world.pass_by(35 * SECOND)
        assert await world.due() == [10, 20, 30]
        task = (await world.tasks())[0]
        assert (task.name, task.tags, task.data["a"]) == ("work", ["x"], {"b": 1})
        assert task.data["$via"] == {
            "id": made["id"], "name": "tick", "type": "schedule", "received": world.begun + 10 * SECOND,
            "due": "2026-01-01T00:00:10.000Z",
        }  # fmt: skip
        shown = await world.ask("show_schedule", name="tick")
        assert shown["next_at"] == "2026-01-01T00:00:40.000Z"
        assert shown["last_at"] == "2026-01-01T00:00:30.000Z"
        assert [one["task"] for one in shown["firings"]] == [task.id for task in reversed(await world.tasks())]


async def test_the_loop_waits_and_plans_anew_when_a_schedule_is_made() -> None:
    async with opened() as world, anyio.create_task_group() as group:
        group.start_soon(world.firing.run)
        await settle(world, lambda: world.clock.next_wake == world.begun + 60 * SECOND)
        await world.ask("add_schedule", name="tick", every="7s")
        await settle(world, lambda: world.clock.next_wake == world.begun + 7 * SECOND)
        world.clock.move_to(world.begun + 7 * SECOND)
        await settle(world, lambda: world.clock.next_wake == world.begun + 14 * SECOND)
        await world.ask("update_schedule", name="tick", every="1s")
        await settle(world, lambda: world.clock.next_wake == world.begun + 8 * SECOND)
        await world.ask("update_schedule", name="tick", enabled=False)
        await settle(world, lambda: world.clock.next_wake == world.begun + 67 * SECOND)
        assert await world.due() == [7]
        group.cancel_scope.cancel()


async def settle(world: World, reached: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not reached():
            await anyio.lowlevel.checkpoint()


async def test_a_clock_that_jumps_fires_nothing_twice() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="tick", every="10s")
        await world.pass_by(25 * SECOND)
        world.clock._now -= 20 * SECOND  # somebody sets the clock back
        await world.pass_by(30 * SECOND)
        assert await world.due() == [10, 20, 30]
        world.clock.move_to(world.begun + 100 * SECOND)  # the machine slept
        await world.pass_by(1 * SECOND)
        assert await world.due() == [10, 20, 30, 100]


@pytest.mark.parametrize(("missed", "due", "skipped"), [("last", [14_400], 3), ("skip", [], 4), ("all", [3600 * n for n in (1, 2, 3, 4)], 0)])  # fmt: skip  # noqa: E501
async def test_what_was_missed_is_made_up_for_by_the_rule_and_told(missed: str, due: list[int], skipped: int) -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="hourly", every="1h", missed=missed)
        world.clock.move_to(world.begun + 4 * HOUR + 120 * SECOND)
        await world.firing.once()
        assert await world.due() == due
        told = [
            one for one in (await world.ask("show_schedule", name="hourly"))["firings"] if one["state"] == "skipped"
        ]
        assert len(told) == (1 if skipped else 0)
        if skipped:
            assert told[0]["why"].startswith(f"missed: {skipped} times from 2026-01-01T01:00:00.000Z to ")
        await world.pass_by(HOUR)
        assert await world.due() == [*due, 18_000]


async def test_making_up_for_much_is_done_in_portions() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="tick", every="1s", missed="all")
        world.clock.move_to(world.begun + 1300 * SECOND)
        await world.pass_by(0)
        assert await world.due() == list(range(301, 1301))
        shown = await world.ask("show_schedule", name="tick")
        assert shown["next_at"] == "2026-01-01T00:21:41.000Z"


async def end_tasks(world: World, count: int = 1) -> None:
    """Let the oldest open tasks of the schedule end."""
    still = [task for task in await world.tasks() if not task.state.ended][:count]
    for task in still:
        await world.ask("stop_task", id=task.id)


async def test_overlap_skip_fires_nothing_while_a_task_is_open() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="tick", every="10s", overlap="skip")
        await world.pass_by(30 * SECOND)
        await end_tasks(world)
        await world.pass_by(10 * SECOND)
        assert await world.firings("tick") == [("fired", 10), ("skipped", 20), ("skipped", 30), ("fired", 40)]
        first = (await world.tasks())[0].id
        told = (await world.ask("show_schedule", name="tick"))["firings"][1]["why"]
        assert told == f"skipped: {first}, which was fired before, had not ended"


async def test_overlap_queue_fires_one_after_the_other_and_loses_none(tmp_path: Path) -> None:
    path, clock = tmp_path / "tasks.db", VirtualClock()
    async with opened(path, clock) as world:
        await world.ask("add_schedule", name="tick", every="10s", overlap="queue", end="2026-01-01T00:00:30Z")
        await world.pass_by(40 * SECOND)
        assert await world.firings("tick") == [("fired", 10), ("waits", 20), ("waits", 30)]
        begun = world.begun
    async with opened(path, clock) as world:  # a restart forgets nothing
        world.begun = begun
        await world.pass_by(5 * SECOND)
        assert await world.due() == [10]
        for number in (2, 3):
            await end_tasks(world)
            await world.pass_by(LOOK_AGAIN)
            assert len(await world.tasks()) == number
        assert await world.due() == [10, 20, 30]
        assert (await world.tasks())[2].data["$via"]["received"] > begun + 40 * SECOND


async def test_what_waits_is_given_up_where_the_schedule_queues_no_more() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="tick", every="10s", overlap="queue")
        await world.pass_by(20 * SECOND)
        await world.ask("update_schedule", name="tick", overlap="allow")
        await world.pass_by(10 * SECOND)
        assert await world.firings("tick") == [("fired", 10), ("skipped", 20), ("fired", 30)]


# ── crashes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_fails_in_the_middle_of_the_transaction_is_as_if_it_had_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock = tmp_path / "tasks.db", VirtualClock()
    real = stored_schedules._forget_old

    def broken(connection: sqlite3.Connection, id: str) -> None:
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (1,)  # the task is there already
        raise sqlite3.OperationalError("disk I/O error")

    async with opened(path, clock) as world:
        begun = world.begun
        await world.ask("add_schedule", name="tick", every="10s")
        clock.move_to(begun + 10 * SECOND)
        monkeypatch.setattr(stored_schedules, "_forget_old", broken)
        again = await world.firing.once()
        assert again == clock.now() + 5 * SECOND
        assert await world.tasks() == []
        assert (await world.ask("show_schedule", name="tick"))["next_at"] == "2026-01-01T00:00:10.000Z"
    monkeypatch.setattr(stored_schedules, "_forget_old", real)
    async with opened(path, clock) as world:
        world.begun = begun
        await world.pass_by(5 * SECOND)
        await world.pass_by(5 * SECOND)
        assert await world.due() == [10, 20]
        assert await world.firings("tick") == [("fired", 10), ("fired", 20)]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(("well", "broken", "again"))), min_size=1, max_size=12))
def test_whatever_goes_wrong_none_is_lost_and_none_doubled(happenings: list[tuple[int, str]]) -> None:
    """Time passes, transactions fail, the loop begins anew; in the end each time has its task."""

    async def happen() -> None:
        async with opened() as world:
            await world.ask("add_schedule", name="tick", cron="*/3,*/7 * * * * *", missed="all")
            for seconds, what in happenings:
                world.clock.move_to(world.clock.now() + seconds * SECOND)
                if what == "again":
                    world.firing = Firing(world.store, world.find, world.clock)
                with patch.object(stored_schedules, "_forget_old", fail if what == "broken" else lambda *_: None):
                    await world.firing.once()
            await world.pass_by(10 * SECOND)
            last = (world.clock.now() - world.begun) // SECOND
            assert await world.due() == [n for n in range(1, last + 1) if n % 60 % 3 == 0 or n % 60 % 7 == 0]

    def fail(*_: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    anyio.run(happen)


KILLED = """
    import os, signal, sys
    import anyio
    from aloma_py.store import schedules
    from aloma_py.store.sqlite import SQLiteStore
    from tests.unit.serve.test_firing import World
    from aloma_py.clock import VirtualClock

    path, before_commit = sys.argv[1], sys.argv[2] == "before"

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        async with SQLiteStore(path) as store:
            world = World(store, VirtualClock())
            await world.ask("add_schedule", name="tick", every="10s")
            world.clock.move_to(world.begun + 10_000)
            if before_commit:
                schedules._forget_old = die
            await world.firing.once()
            die()

    anyio.run(main)
"""


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_is_killed_around_the_commit_fires_once(tmp_path: Path, when: str) -> None:
    path = tmp_path / "tasks.db"
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(path), when]
    ended = await anyio.run_process(command, check=False, cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    clock = VirtualClock()
    begun = clock.now()
    clock.move_to(begun + 10 * SECOND)
    async with opened(path, clock) as world:
        world.begun = begun
        assert len(await world.tasks()) == (0 if when == "before" else 1)
        await world.pass_by(11 * SECOND)
        assert await world.due() == [10, 20]


async def test_two_loops_fire_once() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="tick", every="10s")
        other = Firing(world.store, world.find, world.clock)
        stale = ScheduleStore(world.store, "default").get("tick")
        world.clock.move_to(world.begun + 10 * SECOND)
        async with anyio.create_task_group() as group:
            group.start_soon(world.firing.once)
            group.start_soon(other.once)
        assert await fire(world.find("default").site, stale, world.clock.now()) == 0
        assert await world.due() == [10]


# ── which workspaces, which schedules ───────────────────────────────────────────────────────────────────────────────


async def test_every_workspace_fires_for_itself_and_archived_ones_do_not() -> None:
    async with opened() as world:
        for name in ("default", "sales", "old"):
            await world.store.workspace(name).set_facts(sources=[])
            await world.ask("add_schedule", name, name="tick", every="10s", missed="all")
        await world.store.workspace("old").set_facts(archived_at=world.begun)
        await world.pass_by(20 * SECOND)
        assert [len(await world.tasks(name)) for name in ("default", "sales", "old")] == [2, 2, 0]
        with pytest.raises(NotFoundError):
            ScheduleStore(world.store, "sales").get(ScheduleStore(world.store, "default").get("tick").id)
        await world.store.workspace("old").set_facts(archived_at=None)
        await world.pass_by(10 * SECOND)
        assert len(await world.tasks("old")) == 3


async def test_one_that_cannot_be_fired_keeps_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as world:
        await world.store.workspace("bad").set_facts(sources=[])
        await world.ask("add_schedule", "bad", name="a", every="10s")
        await world.ask("add_schedule", name="b", every="1s")

        async def refuse(*_: Any) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr(ScheduleStore, "fire", _only("bad", refuse, ScheduleStore.fire))
        await world.pass_by(20 * SECOND)
        assert (await world.due(), await world.tasks("bad")) == ([*range(1, 21)], [])  # none of them late
        monkeypatch.undo()
        await world.pass_by(9 * SECOND)
        assert await world.due("bad") == [20]


def _only(workspace: str, one: Any, other: Any) -> Any:
    async def chosen(self: ScheduleStore, *arguments: Any) -> Any:
        return await (one if self.workspace == workspace else other)(self, *arguments)

    return chosen


async def test_a_task_that_can_no_longer_be_made_is_told_and_does_not_stop_the_schedule() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="tick", every="10s", data={"text": "x" * 300})
        engine = world.find("default").engine
        engine.limits = type(engine.limits)(max_data_bytes=100)
        await world.pass_by(20 * SECOND)
        assert await world.tasks() == []
        assert [one["why"][:27] for one in (await world.ask("show_schedule", name="tick"))["firings"]] == [
            "the task could not be made:"
        ] * 2


async def test_nothing_is_fired_while_the_engine_stops() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="tick", every="10s")
        world.find("default").site.stopping = True
        await world.pass_by(20 * SECOND)
        assert await world.tasks() == []


# ── operations ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_run_fires_now_besides_the_times() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="tick", every="10s", enabled=False)
        first, second = [await world.ask("run_schedule", name="tick") for _ in range(2)]
        await world.pass_by(20 * SECOND)
        assert [task.id for task in await world.tasks()] == [first["id"], second["id"]]
        assert [state for state, _ in await world.firings("tick")] == ["fired", "fired"]
        await world.ask("update_schedule", name="tick", enabled=True)
        await world.pass_by(10 * SECOND)
        assert len(await world.tasks()) == 3


async def test_what_is_listed_shown_changed_and_deleted() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="a b", cron="0 9 * * mon", zone="Europe/Berlin")
        with pytest.raises(InputError, match="has a schedule 'a b' already"):
            await world.ask("add_schedule", name="a b", every="1h")
        with pytest.raises(InputError, match="must not have a slash"):
            await world.ask("add_schedule", name="a/b", every="1h")
        assert [one["next_at"] for one in await world.ask("list_schedules")] == ["2026-01-05T08:00:00.000Z"]
        coming = await world.ask("next_times", name="a b", count=2)
        assert coming[1] == {"at": "2026-01-12T08:00:00.000Z", "local": "2026-01-12T09:00:00+01:00"}
        assert await world.ask("preview_schedule", cron="0 9 * * mon", zone="Europe/Berlin", count=2) == coming
        with pytest.raises(InputError, match="count must be from 1 to 1,000"):
            await world.ask("next_times", name="a b", count=0)
        changed = await world.ask("update_schedule", name="a b", rename="b", every="1h", data={"x": 1})
        assert (changed["name"], changed["every"], changed["data"]) == ("b", HOUR, {"x": 1})
        assert "cron" not in changed
        with pytest.raises(NotFoundError, match="there is no schedule 'a b'"):
            await world.ask("show_schedule", name="a b")
        await world.pass_by(HOUR)
        assert (await world.ask("delete_schedule", name="b"))["deleted"] is True
        assert await world.ask("list_schedules") == []
        with world.store.reading() as reader:
            assert reader.execute("SELECT count(*) FROM firing").fetchone() == (0,)
        assert len(await world.tasks()) == 1


async def test_a_change_made_in_between_is_not_overwritten() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="tick", every="10s")
        kept = ScheduleStore(world.store, "default")
        before = kept.get("tick")
        await world.ask("update_schedule", name="tick", every="20s")
        with pytest.raises(StaleTask, match="changed by somebody else"):
            await kept.change(before, before)


class Ada:
    """A guard that lets everybody in as a developer."""

    async def identify(self, request: Request) -> Identity:
        return Identity("ada", {"": Role.DEVELOPER})


async def test_over_http() -> None:
    async with opened() as world:
        app = make_app(world.find, Ada())
        place = "/api/v1/workspaces/default/schedules"
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as web:
            made = await web.post(place, json={"name": "a b", "every": "1h", "data": {"x": 1}, "tags": ["t"]})
            assert (made.status_code, made.json()["created_by"]) == (201, "ada")
            changed = await web.patch(f"{place}/a%20b", json={"cron": "0 9 * * *", "zone": "Europe/Berlin"})
            assert (changed.status_code, changed.json()["cron"]) == (200, "0 9 * * *")
            coming = await web.get(f"{place}/a%20b/next", params={"count": 1})
            assert coming.json() == [{"at": "2026-01-01T08:00:00.000Z", "local": "2026-01-01T09:00:00+01:00"}]
            looked = await web.post(f"{place}/next", json={"every": 60000, "count": 1})
            assert looked.json()[0]["at"] == "2026-01-01T00:01:00.000Z"
            assert (await web.post(f"{place}/a%20b/run")).status_code == 201
            wrong = await web.post(place, json={"name": "b", "cron": "61 * * * *"})
            assert wrong.status_code in (400, 422)
            assert "the minute '61' cannot be read" in wrong.text
            assert [one["name"] for one in (await web.get(place)).json()] == ["a b"]
            assert (await web.delete(f"{place}/a%20b")).status_code == 200
            assert (await web.get(f"{place}/a%20b")).status_code == 404


async def test_a_firing_in_between_is_not_undone_by_a_change() -> None:
    async with opened() as world:
        await world.ask("add_schedule", name="tick", every="10s")
        kept = ScheduleStore(world.store, "default")
        before = kept.get("tick")
        await world.pass_by(10 * SECOND)
        await kept.change(before, replace(before, name="tock"))
        assert kept.get("tock").next_at == world.begun + 20 * SECOND


# ── an engine at work ───────────────────────────────────────────────────────────────────────────────────────────────


@step(condition={"work": True})
def work(data: Any) -> None:
    data.work = False


async def test_a_fired_task_is_advanced_at_once_and_told_to_watchers() -> None:
    async with opened(steps=load_steps([work], name="default").steps) as world:
        engine = world.find("default").engine
        told: list[str] = []
        engine.custody.watchers.append(lambda task, entries: told.append(task.state.value))
        async with Scheduler(engine).running():
            await world.ask("add_schedule", name="tick", every="10s", data={"work": True})
            world.clock.move_to(world.begun + 10 * SECOND)
            await world.firing.once()
            with anyio.fail_after(5):
                while not (await world.tasks())[0].state.ended:
                    await anyio.lowlevel.checkpoint()
        assert (await world.tasks())[0].state is TaskState.DONE
        assert told[0] == "pending"
        assert told[-1] == "done"


async def test_on_the_machine_s_clock_nothing_comes_too_early(tmp_path: Path) -> None:
    async with opened(tmp_path / "tasks.db", SystemClock()) as world, anyio.create_task_group() as group:
        group.start_soon(world.firing.run)
        await world.ask("add_schedule", name="tick", every="100ms", missed="all")
        with anyio.fail_after(8):
            while world.firing.fired < 5:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
        found = [one.data["$via"] for one in await world.tasks()]
        due = [read_iso(one["due"]) for one in found]
        assert [later - sooner for sooner, later in pairwise(due)] == [100] * (len(due) - 1)
        assert all(0 <= one["received"] - at < 4000 for one, at in zip(found, due, strict=True))
