"""Best match first, with the data matched again after each (SPEC §3.4), and tasks that end (SPEC §3.8)."""

from __future__ import annotations

import pytest

from aloma_py import Limits, TaskState, step

pytestmark = pytest.mark.anyio


def marking(name, condition, **options):
    async def content(data):
        data.trail = [*data.get("trail", []), name]

    return step(condition=condition, name=name, **options)(content)


async def test_priority_comes_before_specificity_and_specificity_before_creation(open_world):
    plain_one = marking("plain_one", {"a": 1})
    plain_two = marking("plain_two", {"a": 1})
    specific = marking("specific", {"a": 1, "b": {"c": 2}})
    urgent = marking("urgent", {"a": 1}, priority=1)
    last = marking("last", {"a": 1, "b": {"c": 2, "d": 3}}, priority=-1)

    async with open_world(plain_one, plain_two, specific, urgent, last) as world:
        outcome = await world.run({"a": 1, "b": {"c": 2, "d": 3}})

    assert outcome.data["trail"] == ["urgent", "specific", "plain_one", "plain_two", "last"]


async def test_a_step_that_moves_the_data_on_keeps_its_rival_from_running(open_world):
    @step(condition={"order": {"status": "new", "express": True}})
    async def express(data):
        data.order.status = "shipped by air"

    @step(condition={"order": {"status": "new"}})
    async def ordinary(data):
        data.order.status = "shipped by land"

    async with open_world(ordinary, express) as world:
        outcome = await world.run({"order": {"status": "new", "express": True}})

    assert outcome.steps == ["express"]
    assert outcome.data["order"]["status"] == "shipped by air"


async def test_the_data_is_matched_again_after_each_step_so_a_better_one_may_come_next(open_world):
    @step(condition={"go": True})
    async def first(data):
        data.urgent = True
        data.trail = ["first"]

    second = marking("second", {"go": True, "trail": list})
    urgent = marking("urgent", {"urgent": True, "trail": list}, priority=9)

    async with open_world(first, second, urgent) as world:
        outcome = await world.run({"go": True})

    assert outcome.data["trail"] == ["first", "urgent", "second"]


async def test_a_disabled_step_does_not_run(open_world):
    async with open_world(marking("off", {"a": 1}, enabled=False), marking("on", {"a": 1})) as world:
        outcome = await world.run({"a": 1})

    assert outcome.steps == ["on"]


async def test_a_task_that_no_step_has_ever_matched_needs_attention(open_world):
    async with open_world(marking("other", {"b": 1})) as world:
        outcome = await world.run({"a": 1})

    assert (outcome.state, outcome.reason) == (TaskState.ATTENTION, "no step has ever matched")


async def test_a_task_whose_data_was_emptied_is_done(open_world):
    @step(condition={"a": 1}, priority=1)
    async def empty(data):
        data.clear()

    async with open_world(empty, marking("rival", {"a": 1})) as world:
        outcome = await world.run({"a": 1})

    assert (outcome.state, outcome.reason, outcome.data) == (TaskState.DONE, "its data is empty", {})
    assert outcome.steps == ["empty"]
    assert outcome.via["type"] == "api"


async def test_a_task_whose_data_was_emptied_and_filled_again_goes_on(open_world):
    @step(condition={"a": 1})
    async def swap(data):
        data.clear()
        data.b = 2

    async with open_world(swap, marking("next", {"b": 2})) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"b": 2, "trail": ["next"]}


async def test_complete_ends_the_task_though_more_steps_match_and_the_rest_of_the_code_runs(open_world):
    @step(condition={"a": 1}, priority=1)
    async def finish(data, task, log):
        task.complete({"total": 3})
        data.after = True
        log.info("still here")

    async with open_world(finish, marking("rival", {"a": 1})) as world:
        outcome = await world.run({"a": 1})

    assert (outcome.state, outcome.reason) == (TaskState.DONE, "completed by step 'finish'")
    assert outcome.result == {"total": 3}
    assert outcome.data == {"a": 1, "after": True}
    assert outcome.runs[0].logs[0].text == "still here"
    assert outcome.steps == ["finish"]


async def test_the_result_is_what_it_was_when_complete_was_called(open_world):
    @step(condition={"a": 1})
    async def finish(data, task):
        found = {"n": 1}
        task.complete(found)
        found["n"] = 2

    async with open_world(finish) as world:
        assert (await world.run({"a": 1})).result == {"n": 1}


async def test_complete_keeps_what_the_other_steps_of_its_wave_did(open_world):
    @step(condition={"a": 1}, parallel="always")
    async def finish(data, task):
        task.complete("r")

    @step(condition={"a": 1}, parallel="always")
    async def mate(data):
        data.mate = True

    async with open_world(finish, mate) as world:
        outcome = await world.run({"a": 1})

    assert [entry.wave for entry in outcome.runs] == [1, 1]
    assert (outcome.state, outcome.data) == (TaskState.DONE, {"a": 1, "mate": True})


async def test_ignore_ends_the_task_as_ignored(open_world):
    @step(condition={"a": 1}, priority=1)
    async def ignore(task):
        task.ignore()

    async with open_world(ignore, marking("rival", {"a": 1})) as world:
        outcome = await world.run({"a": 1})
        assert (outcome.state, outcome.reason) == (TaskState.IGNORED, "ignored by step 'ignore'")

        outcome = await world.update(outcome.task.id, {"a": 1, "b": 2})
        assert outcome.state is TaskState.IGNORED
        assert outcome.steps == ["ignore"]


async def test_a_task_stops_at_max_runs_with_a_message_that_names_the_cycle(open_world):
    @step(condition={"ping": True})
    async def pong(data):
        data.ping = False

    @step(condition={"ping": False})
    async def ping(data):
        data.ping = True

    async with open_world(pong, ping, limits=Limits(max_runs=9)) as world:
        outcome = await world.run({"ping": True})

    assert outcome.state is TaskState.ERROR
    assert outcome.reason == "it ran 9 steps, the limit (max_runs); these go round: ping → pong → ping" or (
        outcome.reason == "it ran 9 steps, the limit (max_runs); these go round: pong → ping → pong"
    )
    assert len(outcome.runs) == 9


async def test_a_wave_does_not_take_a_task_beyond_max_runs(open_world):
    @step(condition={"n": int}, parallel="always")
    async def one(data, step):
        data.n += 1
        step.redo()

    @step(condition={"n": int}, parallel="always")
    async def two(data, step):
        data.m = data.get("m", 0) + 1
        step.redo()

    async with open_world(one, two, limits=Limits(max_runs=5)) as world:
        outcome = await world.run({"n": 0})

    assert len(outcome.runs) == 5
    assert outcome.state is TaskState.ERROR


async def test_resume_gives_a_task_that_passed_max_runs_as_many_again(open_world):
    @step(condition={"n": int})
    async def count(data, step):
        data.n += 1
        if data.n < 8:
            step.redo()

    async with open_world(count, limits=Limits(max_runs=5)) as world:
        outcome = await world.run({"n": 0})
        assert outcome.data["n"] == 5
        outcome = await world.resume(outcome.task.id)

    assert (outcome.state, outcome.data) == (TaskState.DONE, {"n": 8})


async def test_redos_that_change_nothing_end_at_max_redo(open_world):
    @step(condition={"a": 1})
    async def spin(step):
        step.redo()

    async with open_world(spin, limits=Limits(max_redo=7)) as world:
        outcome = await world.run({"a": 1})

    assert outcome.state is TaskState.ERROR
    assert outcome.reason == "step 'spin' asked for redo 7 times in a row (max_redo) and changed nothing"
    assert len(outcome.runs) == 8  # the first, and seven redos


async def test_redos_that_change_something_do_not_count_against_max_redo(open_world):
    @step(condition={"n": int})
    async def count(data, step):
        data.n += 1
        if data.n < 20:
            step.redo()

    async with open_world(count, limits=Limits(max_redo=3)) as world:
        outcome = await world.run({"n": 0})

    assert (outcome.state, outcome.data) == (TaskState.DONE, {"n": 20})
