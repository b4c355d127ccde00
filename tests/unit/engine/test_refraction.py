"""Once per match: when a step that has run may run again (SPEC §3.3)."""

from __future__ import annotations

import pytest

from aloma_py import TaskState, interventions, step

pytestmark = pytest.mark.anyio


async def test_a_step_runs_once_while_its_condition_goes_on_matching(open_world):
    @step(condition={"n": int})
    async def count(data):
        data.n += 1

    async with open_world(count) as world:
        outcome = await world.run({"n": 0})

    assert outcome.steps == ["count"]
    assert (outcome.state, outcome.reason, outcome.data) == (TaskState.DONE, "no more steps match", {"n": 1})


async def test_a_step_runs_again_when_its_condition_was_seen_not_to_match_and_matches_again(open_world):
    @step(condition={"ping": True}, priority=1)
    async def to_pong(data):
        data.ping = False
        data.n = data.get("n", 0) + 1

    @step(condition={"ping": False, "n": int})
    async def to_ping(data):
        if data.n < 3:
            data.ping = True

    async with open_world(to_pong, to_ping) as world:
        outcome = await world.run({"ping": True})

    assert outcome.counts() == {"to_pong": 3, "to_ping": 3}
    assert outcome.state is TaskState.DONE


async def test_a_step_does_not_run_again_when_data_that_it_matches_is_only_written_anew(open_world):
    @step(condition={"a": int}, priority=1)
    async def watch(data):
        data.seen = data.get("seen", 0) + 1

    @step(condition={"a": 1, "seen": 1})
    async def change(data):
        data.a = 2

    async with open_world(watch, change) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"a": 2, "seen": 1}


async def test_a_step_that_asks_for_redo_runs_again_though_it_still_matches(open_world):
    @step(condition={"n": int})
    async def count(data, step):
        data.n += 1
        if data.n < 4:
            step.redo()

    async with open_world(count) as world:
        outcome = await world.run({"n": 0})

    assert outcome.data == {"n": 4}
    assert [entry.effects for entry in outcome.runs] == [("redo",)] * 3 + [()]


async def test_an_update_that_touches_what_the_condition_looks_at_makes_the_step_eligible_again(open_world):
    @step(condition={"order": {"status": str}})
    async def watch(data):
        data.seen = data.get("seen", 0) + 1

    async with open_world(watch) as world:
        outcome = await world.run({"order": {"status": "new", "note": ""}})
        assert outcome.data["seen"] == 1

        same = await world.update(outcome.task.id, {"order": {"status": "paid"}})
        assert same.data["seen"] == 2
        assert same.state is TaskState.DONE


async def test_an_update_that_does_not_touch_the_condition_leaves_the_step_spent(open_world):
    @step(condition={"order": {"status": str}})
    async def watch(data):
        data.seen = data.get("seen", 0) + 1

    async with open_world(watch) as world:
        outcome = await world.run({"order": {"status": "new"}})
        outcome = await world.update(outcome.task.id, {"order": {"note": "hurry"}, "other": 1})

    assert outcome.data["seen"] == 1
    assert outcome.data["order"] == {"status": "new", "note": "hurry"}
    assert (outcome.state, outcome.reason) == (TaskState.DONE, "no more steps match")


async def test_an_update_that_changes_nothing_leaves_the_step_spent(open_world):
    @step(condition={"a": int})
    async def watch(data):
        data.seen = data.get("seen", 0) + 1

    async with open_world(watch) as world:
        outcome = await world.run({"a": 1})
        outcome = await world.update(outcome.task.id, {"a": 1})

    assert outcome.data["seen"] == 1


async def test_a_resume_makes_failed_steps_eligible_again_and_no_others(open_world):
    @step(condition={"a": 1})
    async def good(data):
        data.good = data.get("good", 0) + 1

    @step(condition={"a": 1})
    async def bad(data, log):
        raise ValueError("no")

    async with open_world(good, bad) as world:
        outcome = await world.run({"a": 1})
        assert outcome.state is TaskState.ERROR
        outcome = await world.resume(outcome.task.id)

    assert outcome.counts() == {"good": 1, "bad": 2}


async def test_the_answer_of_a_subtask_does_not_make_a_spent_step_eligible_again(open_world):
    @step(condition={"go": True, "answer": None})
    async def ask(data, task):
        data.asked = data.get("asked", 0) + 1
        task.subtask("child", {"child": 1}, into="box.answer")

    @step(condition={"asked": int, "box": dict})
    async def watch_box(data):
        data.seen = data.get("seen", 0) + 1

    @step(condition={"child": 1})
    async def child(data, task):
        task.complete(7)

    @step(condition={"go": True, "box": {"answer": {"result": 7}}})
    async def use(data):
        data.used = True

    # `watch_box` matches before and after the answer arrives: {"box": …} is there from the beginning.
    async with open_world(ask, watch_box, child, use) as world:
        outcome = await world.run({"go": True, "box": {"other": 1}})

    assert outcome.counts() == {"ask": 1, "watch_box": 1, "use": 1}
    assert outcome.data["used"] is True


async def test_an_update_while_a_run_is_under_way_makes_its_step_eligible_again(open_world):
    """The run works on the data as it was: what came in meanwhile is yet to be seen."""

    @step(condition={"price": int})
    async def look(data, connectors):
        price = data.price
        await connectors.utils.sleep(milliseconds=100)
        data.seen = [*data.get("seen", []), price]

    async with open_world(look) as world:
        task_id = await world.submit({"price": 1})
        await world.scheduler.settle()
        await interventions.update(world.engine, task_id, {"price": 2})
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert outcome.data == {"price": 2, "seen": [1, 2]}


async def test_an_update_of_something_else_while_a_run_is_under_way_leaves_its_step_spent(open_world):
    @step(condition={"price": int})
    async def look(data, connectors):
        await connectors.utils.sleep(milliseconds=100)
        data.seen = data.get("seen", 0) + 1

    async with open_world(look) as world:
        task_id = await world.submit({"price": 1})
        await world.scheduler.settle()
        await interventions.update(world.engine, task_id, {"note": "x"})
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert outcome.data == {"price": 1, "note": "x", "seen": 1}


async def test_what_is_spent_survives_a_restart(open_world, tmp_path):
    @step(condition={"a": int})
    async def once(data, task):
        data.ran = data.get("ran", 0) + 1
        task.park(1000)

    path = tmp_path / "tasks.db"
    async with open_world(once, path=path) as world:
        task_id = await world.submit({"a": 1})
        await world.scheduler.settle()
        clock = world.clock
    async with open_world(once, path=path, clock=clock) as world:
        outcome = await world.after(task_id, 5000)

    assert outcome.data["ran"] == 1
    assert outcome.state is TaskState.DONE
