"""Tasks side by side; ``concurrency`` and ``rate`` of a step over all tasks."""

from __future__ import annotations

import anyio
import pytest

from aloma_py import TaskState, Workspace, interventions, step

pytestmark = pytest.mark.anyio


def sleeping(**options):
    @step(condition={"a": int}, name="sleeping", **options)
    async def content(data, connectors):
        await connectors.utils.sleep(milliseconds=100)
        data.done = True

    return content


async def all_of(world, count):
    ids = [await world.submit({"a": n}) for n in range(count)]
    await world.scheduler.run_until_quiet()
    outcomes = [await world.outcome(task_id) for task_id in ids]
    assert {outcome.state for outcome in outcomes} == {TaskState.DONE}
    return sorted(outcome.runs[0].ended_at - world.begun for outcome in outcomes)


async def test_tasks_run_side_by_side(open_world):
    async with open_world(sleeping()) as world:
        assert await all_of(world, 20) == [100] * 20


async def test_not_more_tasks_than_allowed_are_advanced_at_once(open_world):
    async with open_world(sleeping(), max_active=5) as world:
        assert await all_of(world, 10) == [100] * 5 + [200] * 5


async def test_concurrency_holds_over_all_tasks(open_world):
    async with open_world(sleeping(concurrency=2)) as world:
        assert await all_of(world, 5) == [100, 100, 200, 200, 300]


async def test_a_rate_holds_over_all_tasks(open_world):
    async with open_world(sleeping(rate="2/1s")) as world:
        assert await all_of(world, 5) == [100, 100, 1100, 1100, 2100]


async def test_concurrency_and_rate_together(open_world):
    async with open_world(sleeping(rate="3/1s", concurrency=1)) as world:
        assert await all_of(world, 5) == [100, 200, 300, 1100, 1200]


async def test_a_run_that_waits_for_its_turn_can_be_stopped(open_world):
    async with open_world(sleeping(concurrency=1)) as world:
        await world.submit({"a": 1})
        second = await world.submit({"a": 2})
        third = await world.submit({"a": 3})
        await world.scheduler.settle()
        await world.stop(second)
        await world.scheduler.run_until_quiet()
        stopped, last = await world.outcome(second), await world.outcome(third)

    assert (stopped.state, stopped.steps) == (TaskState.STOPPED, [])
    assert last.runs[0].ended_at - world.begun == 200


async def test_a_failed_run_gives_its_place_back(open_world):
    @step(condition={"a": int}, concurrency=1)
    async def fails():
        raise ValueError("x")

    async with open_world(fails) as world:
        outcomes = [await world.run({"a": n}) for n in range(3)]

    assert [outcome.state for outcome in outcomes] == [TaskState.ERROR] * 3


async def test_on_the_machines_clock_nobody_waits_for_a_time_that_does_not_matter_any_more():
    """The time limit of an ended task, here an hour, holds nobody."""

    @step(condition={"top": True})
    async def parent(task):
        task.timeout("1h")
        task.subtask("child", {"n": 1}, into="child", wait_for=True)

    @step(condition={"n": 1})
    async def child(task):
        task.complete(1)

    with anyio.fail_after(5):
        outcome = await Workspace("w", [parent, child]).run({"top": True})

    assert outcome.state is TaskState.DONE


async def test_deleting_and_adding_while_others_run(open_world):
    async with open_world(sleeping()) as world:
        ids = [await world.submit({"a": n}) for n in range(30)]
        await world.scheduler.settle()
        for task_id in ids[::3]:
            await interventions.delete(world.engine, task_id)
        await world.scheduler.run_until_quiet()
        assert await world.engine.store.counts() == {TaskState.DONE: 20}
        assert world.engine.custody.cells == {}
