"""What people do to a task: update, stop, resume, clone, delete (SPEC §3, States)."""

from __future__ import annotations

import anyio
import pytest

from aloma_py import TaskState, interventions, step
from aloma_py.errors import NotFoundError, PayloadError, StateError
from aloma_py.models import Limits

pytestmark = pytest.mark.anyio


@step(condition={"go": True, "done": None})
async def slow(data, connectors):
    data.half = True
    await connectors.utils.sleep(milliseconds=1000)
    data.done = True


async def under_way(world, data):
    """A task whose first run has begun and sleeps."""
    task_id = await world.submit(data)
    await world.scheduler.settle()
    return task_id


async def test_an_update_while_a_run_is_under_way_merges_with_what_the_run_does(open_world):
    async with open_world(slow) as world:
        task_id = await under_way(world, {"go": True, "list": [1]})
        await interventions.update(world.engine, task_id, {"more": {"x": 1}, "list": [1, 2]})
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert outcome.data == {"go": True, "list": [1, 2], "more": {"x": 1}, "half": True, "done": True}
    assert [entry.kind for entry in outcome.entries] == ["update", "run"]


async def test_a_task_that_is_done_goes_on_when_it_is_updated(open_world):
    async with open_world(slow) as world:
        outcome = await world.run({"a": 1})
        assert outcome.state is TaskState.ATTENTION
        await interventions.update(world.engine, outcome.task.id, {"go": True}, by="ann")
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(outcome.task.id)

    assert (outcome.state, outcome.data["done"]) == (TaskState.DONE, True)
    assert outcome.entries[0].effects == ("by ann",)


async def test_an_update_that_is_no_json_or_too_large_is_refused_and_changes_nothing(open_world):
    async with open_world(slow, limits=Limits(max_data_bytes=2000)) as world:
        outcome = await world.run({"a": "x" * 1500})
        with pytest.raises(PayloadError, match="more than the limit of 2,000 bytes"):
            await interventions.update(world.engine, outcome.task.id, {"b": "x" * 1000})
        with pytest.raises(PayloadError, match=r"data\.b is a set"):
            await interventions.update(world.engine, outcome.task.id, {"b": {1}})
        after = await world.outcome(outcome.task.id)

    assert (after.data, len(after.entries)) == (outcome.data, 0)


async def test_stopping_drops_the_changes_of_the_run_under_way(open_world):
    async with open_world(slow) as world:
        task_id = await under_way(world, {"go": True})
        task = await world.stop(task_id)
        assert (task.state, task.reason) == (TaskState.STOPPED, "stopped by a person")
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert outcome.data == {"go": True}
    assert (outcome.state, outcome.steps, world.elapsed) == (TaskState.STOPPED, [], 0)


async def test_a_stopped_task_stays_so_when_it_is_updated_and_goes_on_when_it_is_resumed(open_world):
    async with open_world(slow) as world:
        task_id = await under_way(world, {"go": True})
        await world.stop(task_id)
        outcome = await world.update(task_id, {"more": 1})
        assert (outcome.state, outcome.steps) == (TaskState.STOPPED, [])
        await interventions.resume(world.engine, task_id)
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert outcome.state is TaskState.DONE
    assert outcome.data == {"go": True, "more": 1, "half": True, "done": True}
    assert [entry.kind for entry in outcome.entries] == ["stop", "update", "resume", "run"]


async def test_what_has_ended_cannot_be_stopped_and_what_runs_cannot_be_resumed(open_world):
    async with open_world(slow) as world:
        task_id = await under_way(world, {"go": True})
        with pytest.raises(StateError, match=f"task {task_id} is pending: there is nothing to resume"):
            await interventions.resume(world.engine, task_id)
        await world.scheduler.run_until_quiet()
        with pytest.raises(StateError, match=f"task {task_id} is done: there is nothing to stop"):
            await world.stop(task_id)


async def test_stopping_a_task_stops_its_subtasks_and_resuming_it_resumes_them(open_world):
    @step(condition={"top": True})
    async def parent(task):
        task.subtask("child", {"go": True}, into="child", wait_for=True)

    async with open_world(parent, slow) as world:
        task_id = await under_way(world, {"top": True})
        await world.stop(task_id)
        child = (await world.engine.store.children(task_id))[0]
        assert child.state is TaskState.STOPPED
        await interventions.resume(world.engine, task_id)
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert outcome.state is TaskState.DONE
    assert outcome.data["child"] == {"state": "done", "result": {"go": True, "half": True, "done": True}}


async def test_resuming_a_parked_task_does_not_wait_for_its_time(open_world):
    @step(condition={"a": 1})
    async def park(data, task):
        data.b = 1
        task.park("1h")

    @step(condition={"b": 1})
    async def go_on(data):
        data.c = 1

    async with open_world(park, go_on) as world:
        outcome = await world.rest({"a": 1})
        outcome = await world.resume(outcome.task.id)

    assert (outcome.data, world.elapsed) == ({"a": 1, "b": 1, "c": 1}, 0)


async def test_a_task_deleted_in_the_middle_of_a_run_is_gone(open_world, caplog):
    async with open_world(slow) as world:
        task_id = await under_way(world, {"go": True})
        await interventions.delete(world.engine, task_id)
        await world.scheduler.run_until_quiet()
        with pytest.raises(NotFoundError, match="there is no task"):
            await world.outcome(task_id)
        assert world.engine.custody.cells == {}

    assert caplog.records == []


async def test_a_task_deleted_before_its_turn_does_not_run(open_world, caplog):
    ran = []

    @step(condition={"a": 1})
    async def note():
        ran.append(1)

    async with open_world(note) as world:
        task_id = await world.submit({"a": 1})
        await interventions.delete(world.engine, task_id)
        await world.scheduler.settle()

    assert (ran, caplog.records) == ([], [])


async def test_deleting_a_task_deletes_its_subtasks(open_world, caplog):
    @step(condition={"top": True})
    async def parent(task):
        task.subtask("child", {"go": True}, into="child", wait_for=True)

    async with open_world(parent, slow) as world:
        task_id = await under_way(world, {"top": True})
        child = (await world.engine.store.children(task_id))[0]
        await interventions.delete(world.engine, task_id)
        await world.scheduler.run_until_quiet()
        with pytest.raises(NotFoundError):
            await world.outcome(child.id)

    assert caplog.records == []


async def test_deleting_a_subtask_lets_its_parent_go_on(open_world):
    @step(condition={"top": True})
    async def parent(task):
        task.subtask("child", {"go": True}, into="child", wait_for=True)

    async with open_world(parent, slow) as world:
        task_id = await under_way(world, {"top": True})
        child = (await world.engine.store.children(task_id))[0]
        await interventions.delete(world.engine, child.id)
        outcome = await world.settled(task_id)

    assert outcome.state is TaskState.DONE
    assert outcome.data["child"] == {"state": "stopped", "error": {"message": "the subtask was deleted"}}


@pytest.mark.parametrize("current", [False, True])
async def test_a_clone_begins_with_the_initial_or_the_current_data(open_world, current):
    @step(condition={"n": int, "stop": None})
    async def count(data):
        data.n += 1
        data.stop = True

    async with open_world(count) as world:
        original = await world.run({"n": 1}, name="original", tags=["t"])
        clone = await interventions.clone(world.engine, original.task.id, current=current)
        outcome = await world.settled(clone.id)

    assert outcome.task.id != original.task.id
    assert (outcome.task.name, outcome.task.tags) == ("original", ["t"])
    assert outcome.task.initial["n"] == (2 if current else 1)
    assert outcome.data == {"n": 2, "stop": True}
    assert outcome.via["clone"] == original.task.id


async def test_an_unknown_task_is_said_to_be_unknown(open_world):
    async with open_world(slow) as world:
        for act in (interventions.stop, interventions.resume, interventions.delete, interventions.clone):
            with pytest.raises(NotFoundError, match="there is no task 'task-zzz'"):
                await act(world.engine, "task-zzz")
        with pytest.raises(NotFoundError, match="there is no task 'task-zzz'"):
            await interventions.update(world.engine, "task-zzz", {})


async def test_many_updates_at_once_are_all_kept(open_world):
    async with open_world(slow) as world:
        task_id = await under_way(world, {"go": True})
        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(interventions.update, world.engine, task_id, {f"m{n}": n})
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert {name: value for name, value in outcome.data.items() if name.startswith("m")} == {
        f"m{n}": n for n in range(20)
    }
    assert outcome.data["done"] is True
