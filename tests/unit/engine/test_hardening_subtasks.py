"""Parents and their subtasks: told once, not woken early; and in numbers (SPEC §4)."""

from __future__ import annotations

import anyio
import pytest

from aloma_py import TaskState, Workspace, interventions, step
from aloma_py.errors import NotFoundError, StoreFull

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


@step(condition={"go": True})
async def parent(data, task):
    data.go = False
    for name in "ab":
        task.subtask(name, {"c": 1}, into=name, wait_for=True)


@step(condition={"go": False})
async def after(data):
    data.after = sorted(name for name in "ab" if name in data)


@step(condition={"c": 1})
async def child(data, task):
    data.c = 2
    task.park()


class NoRoomToDelete:
    """A store that cannot delete, the first time."""

    def __init__(self, inner):
        self.inner = inner
        self.full = True

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def delete(self, task_id):
        if self.full:
            self.full = False
            raise StoreFull("there is no room left")
        await self.inner.delete(task_id)


async def two_children(world):
    outcome = await world.rest({"go": True})
    a, b = await world.engine.store.children(outcome.task.id)
    return outcome.task.id, a.id, b.id


async def test_a_subtask_that_could_not_be_deleted_tells_its_parent_no_second_time(open_world):
    async with open_world(parent, after, child, wrap=NoRoomToDelete) as world:
        # Given a parent that waits for two, one of which was to be deleted, in vain
        top, a, b = await two_children(world)
        with pytest.raises(StoreFull):
            await interventions.delete(world.engine, a)
        # When that one goes on to its end
        assert (await world.update(a, {"x": 1})).state is TaskState.DONE
        outcome = await world.outcome(top)
        # Then the parent waits for the other one
        assert (outcome.state, outcome.reason) == (TaskState.WAITING, "waits for 1 subtask")
        assert [entry.kind for entry in outcome.entries] == ["run", "answer"]

        await world.update(b, {"x": 1})
        assert (await world.outcome(top)).data["after"] == ["a", "b"]


async def test_a_subtask_deleted_twice_at_once_tells_its_parent_once(open_world, tmp_path):
    refused = []

    async with open_world(parent, after, child, path=tmp_path / "tasks.db") as world:
        top, a, _ = await two_children(world)

        async def delete():
            try:
                await interventions.delete(world.engine, a)
            except NotFoundError:
                refused.append(a)

        async with anyio.create_task_group() as group:
            group.start_soon(delete)
            group.start_soon(delete)
        outcome = await world.settled(top)

    assert refused == [a]
    assert (outcome.state, outcome.reason) == (TaskState.WAITING, "waits for 1 subtask")
    assert [entry.kind for entry in outcome.entries] == ["run", "answer"]


class Ended(BaseException):
    """The process ends here."""


class EndsBeforeDeleting:
    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    async def delete(self, task_id):
        raise Ended


async def test_a_crash_between_telling_and_deleting_does_not_tell_twice(open_world, tmp_path):
    path = tmp_path / "tasks.db"
    async with open_world(parent, after, child, path=path, wrap=EndsBeforeDeleting) as world:
        top, a, _ = await two_children(world)
        with pytest.raises(Ended):
            await interventions.delete(world.engine, a)
    async with open_world(parent, after, child, path=path, clock=world.clock) as world:
        assert (await world.update(a, {"x": 1})).state is TaskState.DONE
        outcome = await world.outcome(top)

    assert (outcome.state, outcome.reason) == (TaskState.WAITING, "waits for 1 subtask")


# ── who is woken ────────────────────────────────────────────────────────────────────────────────────────────────


@step(condition={"n": 1})
async def quick(data):
    data.n = 2


@step(condition={"top": "parked"})
async def woken(data):
    data.top = "woken"


@pytest.mark.parametrize("children", [1, 2])
@pytest.mark.parametrize("options", [{}, {"wait_for": True}], ids=["fire and forget", "waitFor without into"])
async def test_the_end_of_a_subtask_that_writes_nothing_does_not_shorten_a_park(open_world, options, children):
    @step(condition={"top": True})
    async def parked(data, task):
        data.top = "parked"
        for _ in range(children):
            task.subtask("child", {"n": 1}, **options)
        task.park(HOUR)

    async with open_world(parked, woken, quick) as world:
        # When the subtask has ended, and before the hour is over
        outcome = await world.rest({"top": True})
        almost = await world.after(outcome.task.id, HOUR - 1)
        ended = await world.engine.store.children(outcome.task.id)
        # Then the parent is still parked
        assert [child.state for child in ended] == [TaskState.DONE] * children
        assert (outcome.state, almost.state) == (TaskState.WAITING, TaskState.WAITING)
        assert almost.steps == ["parked"]

        assert (await world.after(outcome.task.id, 1)).data == {"top": "woken"}


async def test_an_update_does_not_begin_a_delayed_subtask_early(open_world):
    @step(condition={"top": True})
    async def starts(task):
        task.subtask("child", {"n": 1}, delay="1h")

    @step(condition={"n": int, "seen": None})
    async def sees(data):
        data.seen = data.n

    async with open_world(starts, sees) as world:
        outcome = await world.rest({"top": True})
        (delayed,) = await world.engine.store.children(outcome.task.id)
        # When data come before its time
        early = await world.update(delayed.id, {"n": 7})
        # Then it begins at its time, with them
        assert (early.state, early.steps) == (TaskState.PENDING, [])
        assert (await world.after(delayed.id, HOUR)).data == {"n": 7, "seen": 7}


# ── a program that waits for its task ───────────────────────────────────────────────────────────────────────────


async def test_run_returns_after_more_subtasks_than_are_kept_in_memory():
    @step(condition={"go": True})
    async def fan(data, task):
        data.go = False
        for n in range(4_000):
            task.subtask(f"child {n}", {"n": 1})

    with anyio.fail_after(20):
        outcome = await Workspace("w", [fan, quick]).run({"go": True})

    assert (outcome.state, outcome.steps) == (TaskState.DONE, ["fan"])


async def test_run_returns_when_its_task_has_parked_for_no_time_and_gone_on():
    @step(condition={"n": {"$gt": 0}})
    async def again(data, task, step):
        data.n -= 1
        task.park(0)
        step.redo()

    workspace = Workspace("w", [again])
    with anyio.fail_after(10):
        outcomes = [await workspace.run({"n": 5}) for _ in range(40)]

    assert {(outcome.state, outcome.data["n"]) for outcome in outcomes} == {(TaskState.DONE, 0)}
