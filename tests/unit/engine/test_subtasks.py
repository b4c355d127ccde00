"""Subtasks: what they give back, where, and who waits (SPEC §4)."""

from __future__ import annotations

import pytest

from aloma_py import Limits, TaskState, interventions, step

pytestmark = pytest.mark.anyio


def parent_of(data, **options):
    @step(condition={"top": True}, name="parent")
    async def content(task):
        task.subtask("child", data, **options)

    return content


@step(condition={"n": int})
async def square(data, task):
    task.complete({"square": data.n**2})


@step(condition={"fail": True})
async def failing():
    raise ValueError("child trouble")


@step(condition={"child": dict, "seen": None})
async def use(data):
    data.seen = True


async def test_the_result_of_complete_is_written_into_the_parent_before_its_next_match(open_world):
    async with open_world(parent_of({"n": 3}, into="child", wait_for=True), square, use) as world:
        outcome = await world.run({"top": True})

    assert outcome.state is TaskState.DONE
    assert outcome.data == {"top": True, "child": {"state": "done", "result": {"square": 9}}, "seen": True}
    assert [(entry.kind, entry.step) for entry in outcome.entries] == [
        ("run", "parent"),
        ("answer", None),
        ("run", "use"),
    ]


async def test_without_a_result_the_final_data_is_the_result_without_via(open_world):
    @step(condition={"m": 1})
    async def work(data):
        data.m = 2

    async with open_world(parent_of({"m": 1}, into="child", wait_for=True), work) as world:
        outcome = await world.run({"top": True})

    assert outcome.data["child"] == {"state": "done", "result": {"m": 2}}


async def test_wait_for_holds_the_parent_though_other_steps_match(open_world):
    @step(condition={"top": True, "other": None}, priority=-1)
    async def other(data):
        data.other = sorted(data)

    async with open_world(parent_of({"n": 3}, into="child", waitFor=True), square, other) as world:
        outcome = await world.run({"top": True})

    assert "child" in outcome.data["other"]


async def test_a_held_parent_is_shown_as_waiting(open_world):
    async with open_world(parent_of({"never": 1}, wait_for=True, delay="1h"), square) as world:
        outcome = await world.rest({"top": True})

    assert (outcome.state, outcome.reason) == (TaskState.WAITING, "waits for 1 subtask")


async def test_wait_for_without_into_holds_the_parent_and_writes_nothing(open_world):
    async with open_world(parent_of({"n": 3}, wait_for=True), square) as world:
        outcome = await world.run({"top": True})

    assert (outcome.state, outcome.data) == (TaskState.DONE, {"top": True})


async def test_into_without_wait_for_lets_the_others_run_and_waits_at_the_end(open_world):
    @step(condition={"top": True, "other": None}, priority=-1)
    async def other(data):
        data.other = "child" in data

    async with open_world(parent_of({"n": 3}, into="child", delay=1000), square, other, use) as world:
        outcome = await world.rest({"top": True})
        assert (outcome.state, outcome.data["other"]) == (TaskState.WAITING, False)
        outcome = await world.after(outcome.task.id, 1000)

    assert outcome.data["child"]["result"] == {"square": 9}
    assert outcome.data["seen"] is True


async def test_a_subtask_with_neither_is_on_its_own(open_world):
    async with open_world(parent_of({"n": 3}, delay="1h"), square) as world:
        outcome = await world.rest({"top": True})

    assert outcome.state is TaskState.DONE


async def test_a_delayed_subtask_begins_when_its_time_has_come(open_world):
    async with open_world(parent_of({"n": 3}, into="child", delay="3d"), square) as world:
        outcome = await world.run({"top": True})

    assert world.elapsed == 3 * 86_400_000
    assert outcome.subtasks[0].runs[0].started_at - world.begun == 3 * 86_400_000


async def test_numbers_in_into_make_an_array_whatever_the_order_of_the_answers(open_world):
    @step(condition={"top": list})
    async def fan_out(data, task):
        for place, n in enumerate(data.top):
            task.subtask(f"n{n}", {"n": n}, into=f"results.{place}.value", wait_for=True, delay=1000 - n)

    async with open_world(fan_out, square) as world:
        outcome = await world.run({"top": [5, 7, 6]})

    assert [found["value"]["result"]["square"] for found in outcome.data["results"]] == [25, 49, 36]
    assert sorted(child.state for child in outcome.subtasks) == [TaskState.DONE] * 3


async def test_a_child_that_failed_adds_an_error_and_does_not_fail_its_parent(open_world):
    async with open_world(parent_of({"fail": True}, into="child", wait_for=True), failing, use) as world:
        outcome = await world.run({"top": True})

    assert outcome.state is TaskState.DONE
    assert outcome.data["child"]["state"] == "error"
    assert outcome.data["child"]["error"] == {"message": "child trouble", "type": "ValueError", "step": "failing"}
    assert outcome.data["seen"] is True


async def test_a_child_that_nobody_matched_is_an_error_too(open_world):
    async with open_world(parent_of({"odd": 1}, into="child", wait_for=True)) as world:
        outcome = await world.run({"top": True})

    assert outcome.data["child"] == {
        "state": "attention", "result": {"odd": 1}, "error": {"message": "no step has ever matched"},
    }  # fmt: skip
    assert outcome.state is TaskState.DONE


async def test_a_parent_that_ended_before_its_child_stays_as_it_is(open_world):
    @step(condition={"top": True})
    async def parent(task):
        task.subtask("child", {"n": 3}, into="child", delay=1000)
        task.complete("at once")

    async with open_world(parent, square) as world:
        outcome = await world.run({"top": True})

    assert (outcome.state, outcome.result, outcome.data) == (TaskState.DONE, "at once", {"top": True})
    assert outcome.subtasks[0].state is TaskState.DONE


async def test_a_stopped_parent_has_the_answer_when_it_is_resumed(open_world):
    @step(condition={"top": True})
    async def parent(task):
        task.subtask("child", {"n": 3}, into="child", wait_for=True, delay=1000)

    async with open_world(parent, square, use) as world:
        outcome = await world.rest({"top": True})
        await world.stop(outcome.task.id)
        await interventions.resume(world.engine, outcome.subtasks[0].task.id)
        stopped = await world.settled(outcome.task.id)
        assert stopped.state is TaskState.STOPPED
        outcome = await world.resume(outcome.task.id)

    assert (outcome.state, outcome.data.get("seen")) == (TaskState.DONE, True)


async def test_a_subtask_knows_where_it_came_from_and_not_where_its_parent_did(open_world):
    @step(condition={"top": True})
    async def parent(data, task):
        task.subtask("child", dict(data, top=False), into="child", wait_for=True)

    @step(condition={"top": False})
    async def child(data, task):
        task.complete(data["$via"])

    via = {"id": "hook-1", "name": "orders", "type": "webhook"}
    async with open_world(parent, child) as world:
        outcome = await world.run({"top": True}, via=via, name="top task")

    assert outcome.data["child"]["result"] == {
        "id": outcome.task.id, "name": "top task", "type": "subtask", "received": world.begun,
    }  # fmt: skip
    assert outcome.via == {**via, "received": world.begun}


async def test_subtasks_of_subtasks_end_at_the_limit_with_a_clear_error(open_world):
    @step(condition={"level": int})
    async def deeper(data, task):
        task.subtask("deeper", {"level": data.level + 1}, into="below", wait_for=True)

    async with open_world(deeper, limits=Limits(max_subtask_depth=3)) as world:
        outcome = await world.run({"level": 0})

    lowest = outcome.subtasks[0].subtasks[0].subtasks[0]
    assert lowest.subtasks == ()
    assert lowest.errors["deeper"]["message"] == (
        "subtask 'deeper' would be 4 levels below the first task; at most 3 are allowed (max_subtask_depth)"
    )
    assert outcome.state is TaskState.DONE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("child", [1]), "the data of subtask 'child' must be an object, not list"),
        (("child", {"x": "y" * 3000}), "the data of subtask 'child' is .* bytes, more than the limit of 2,000 bytes"),
        (("", {}), "the task's name is empty; a text of 1 to 200 characters was expected"),
        (("child", {}, {"inot": "x"}), "task.subtask knows no option 'inot'; it has: into, waitFor, delay"),
        (("child", {}, {"into": "a.999999999"}), "into 'a.999999999': the index 999999999 is above 100000"),
        (("child", {}, {"into": 3}), "into must be a path in the data, such as 'results.0', not 3"),
        (("child", {}, {"delay": "soon"}), "delay must be a duration"),
    ],
)
async def test_a_subtask_that_cannot_be_fails_the_run_that_asked_for_it(open_world, arguments, message):
    @step(condition={"top": True})
    async def parent(task):
        task.subtask(*arguments)

    async with open_world(parent, limits=Limits(max_data_bytes=2000)) as world:
        outcome = await world.run({"top": True})

    import re

    assert re.match(message, outcome.errors["parent"]["message"])
    assert outcome.subtasks == ()


async def test_an_answer_that_does_not_fit_comes_as_an_error(open_world):
    @step(condition={"n": int})
    async def large(data, task):
        task.complete("x" * 1500)

    async with open_world(
        parent_of({"n": 1}, into="child", wait_for=True), large, limits=Limits(max_data_bytes=2000)
    ) as world:
        outcome = await world.run({"top": True, "pad": "y" * 1000})

    assert outcome.state is TaskState.DONE
    assert outcome.data["child"]["state"] == "done"
    assert outcome.data["child"]["error"]["message"].startswith("the result of subtask 'child' does not fit")
