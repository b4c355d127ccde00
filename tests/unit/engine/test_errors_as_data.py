"""A run that raises: retries, backoff, giving up, and errors as data (SPEC §3, Errors are data)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from aloma_py import CallError, TaskState, step

pytestmark = pytest.mark.anyio


def flaky(failures: int, **options):
    """A step that fails so many times, counted outside: what it writes is discarded with each failure."""
    attempts: list[int] = []

    async def content(data, step):
        attempts.append(step.attempt)
        if len(attempts) <= failures:
            raise ConnectionError(f"failure {len(attempts)}")
        data.ok = step.attempt

    return step(condition={"a": 1}, name="flaky", **options)(content), attempts


async def test_without_retries_the_first_failure_is_kept_as_data(open_world):
    content, attempts = flaky(1)

    async with open_world(content) as world:
        outcome = await world.run({"a": 1})

    assert attempts == [1]
    error = outcome.errors["flaky"]
    assert error.keys() == {"message", "type", "stack", "attempt", "at"}
    assert (error["message"], error["type"], error["attempt"]) == ("failure 1", "ConnectionError", 1)
    assert error["at"] == "2026-01-01T00:00:00.000Z"
    assert "raise ConnectionError" in error["stack"]
    assert "execute.py" not in error["stack"]
    assert (outcome.state, outcome.reason) == (TaskState.ERROR, "unhandled error in flaky")
    assert (outcome.runs[0].outcome, outcome.runs[0].error.message) == ("failed", "failure 1")


async def test_a_step_is_tried_as_often_as_it_asks_and_no_more(open_world):
    content, attempts = flaky(99, retries=3)

    async with open_world(content) as world:
        outcome = await world.run({"a": 1})

    assert attempts == [1, 2, 3, 4]
    assert [entry.outcome for entry in outcome.runs] == ["retry", "retry", "retry", "failed"]
    assert [entry.attempt for entry in outcome.runs] == [1, 2, 3, 4]
    assert outcome.errors["flaky"]["attempt"] == 4


async def test_a_retry_that_works_leaves_no_error(open_world):
    content, _ = flaky(2, retries=5)

    async with open_world(content) as world:
        outcome = await world.run({"a": 1})

    assert (outcome.state, outcome.data) == (TaskState.DONE, {"a": 1, "ok": 3})


@pytest.mark.parametrize(
    ("chance", "pauses"), [(1.0, [1000, 2000, 4000]), (0.0, [500, 1000, 2000]), (0.5, [750, 1500, 3000])]
)
async def test_the_backoff_doubles_and_its_jitter_stays_in_the_upper_half(open_world, chance, pauses):
    content, _ = flaky(3, retries=3, backoff=1000)

    async with open_world(content, chance=chance) as world:
        outcome = await world.run({"a": 1})

    starts = [entry.started_at for entry in outcome.runs]
    assert [later - earlier for earlier, later in pairwise(starts)] == pauses


async def test_a_task_waits_for_its_retry(open_world):
    content, _ = flaky(1, retries=1, backoff="10s")

    async with open_world(content) as world:
        outcome = await world.rest({"a": 1})
        assert (outcome.state, outcome.reason) == (TaskState.WAITING, "will retry step 'flaky'")
        assert outcome.task.due_at == world.clock.now() + 10_000
        assert (await world.after(outcome.task.id, 9_999)).state is TaskState.WAITING
        assert (await world.after(outcome.task.id, 1)).state is TaskState.DONE


@pytest.mark.parametrize(
    ("wanted", "attempts_made"),
    [("ConnectionError", 2), (ConnectionError, 2), (OSError, 2), ("OSError", 2), (ValueError, 1), ("ValueError", 1)],
)
async def test_only_errors_that_it_names_are_tried_again(open_world, wanted, attempts_made):
    content, attempts = flaky(9, retries=1, retry_on=wanted)

    async with open_world(content) as world:
        await world.run({"a": 1})

    assert len(attempts) == attempts_made


@pytest.mark.parametrize(("wanted", "tries"), [(503, 2), ("503", 2), (404, 1), ("CallError", 2), (TimeoutError, 2)])
async def test_a_failed_call_is_tried_again_by_its_status_or_by_what_lay_under_it(open_world, service, wanted, tries):
    failure = TimeoutError("slow") if wanted is TimeoutError else CallError("503 Service Unavailable", 503)
    crm = service(find=[failure, failure])

    @step(condition={"a": 1}, retries=1, retry_on=wanted)
    async def asks(connectors):
        await connectors.crm.find({})

    async with open_world(asks, connectors=[crm]) as world:
        await world.run({"a": 1})

    assert len(crm.calls) == tries


async def test_when_a_step_gave_up_others_go_on(open_world):
    content, _ = flaky(9)

    @step(condition={"a": 1})
    async def other(data):
        data.other = True

    async with open_world(content, other) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data["other"] is True
    assert outcome.state is TaskState.ERROR


async def test_a_step_may_match_the_error_and_handle_it_by_deleting_the_member(open_world):
    content, _ = flaky(9)

    @step(condition={"$errors": {"flaky": {"type": "ConnectionError"}}})
    async def handle(data):
        data.apology = data["$errors"].flaky.message
        del data["$errors"]["flaky"]

    async with open_world(content, handle) as world:
        outcome = await world.run({"a": 1})

    assert (outcome.state, outcome.data) == (TaskState.DONE, {"a": 1, "apology": "failure 1"})


async def test_an_error_that_is_left_beside_a_handled_one_makes_the_state_error(open_world):
    one, _ = flaky(9)

    @step(condition={"a": 1})
    async def two():
        raise KeyError("k")

    @step(condition={"$errors": {"flaky": dict}})
    async def handle(data):
        del data["$errors"]["flaky"]

    async with open_world(one, two, handle) as world:
        outcome = await world.run({"a": 1})

    assert (outcome.state, outcome.reason) == (TaskState.ERROR, "unhandled error in two")


async def test_resume_clears_the_errors_and_tries_the_failed_steps_again(open_world):
    content, attempts = flaky(2, retries=1)

    async with open_world(content) as world:
        outcome = await world.run({"a": 1})
        assert outcome.state is TaskState.ERROR
        outcome = await world.resume(outcome.task.id)

    assert attempts == [1, 2, 1]
    assert (outcome.state, outcome.data) == (TaskState.DONE, {"a": 1, "ok": 1})
    assert [entry.kind for entry in outcome.entries] == ["run", "run", "resume", "run"]


async def test_a_retry_is_dropped_when_the_condition_does_not_match_any_more(open_world):
    content, attempts = flaky(9, retries=5, backoff="1h")

    async with open_world(content) as world:
        outcome = await world.rest({"a": 1})
        outcome = await world.update(outcome.task.id, {"a": 2})
        assert outcome.state is TaskState.DONE
        outcome = await world.after(outcome.task.id, 3 * 3_600_000)

    assert attempts == [1]


async def test_an_update_while_a_retry_waits_lets_the_other_steps_go_on(open_world):
    content, attempts = flaky(1, retries=1, backoff="1h")

    @step(condition={"b": int})
    async def other(data):
        data.other = True

    async with open_world(content, other) as world:
        outcome = await world.rest({"a": 1})
        outcome = await world.update(outcome.task.id, {"b": 1})
        assert outcome.data == {"a": 1, "b": 1, "other": True}
        assert (outcome.state, attempts) == (TaskState.WAITING, [1])
        outcome = await world.after(outcome.task.id, 3_600_000)

    assert (outcome.state, attempts) == (TaskState.DONE, [1, 2])


async def test_each_of_two_failed_steps_is_tried_again_when_its_own_time_has_come(open_world):
    def failing(name, backoff):
        async def content(step):
            if step.attempt == 1:
                raise ValueError(name)

        return step(condition={"a": 1}, name=name, retries=1, backoff=backoff, parallel="always")(content)

    async with open_world(failing("soon", "1s"), failing("late", "1h")) as world:
        outcome = await world.rest({"a": 1})
        outcome = await world.after(outcome.task.id, 1000)
        assert outcome.steps == ["soon", "late", "soon"]
        assert outcome.state is TaskState.WAITING
        outcome = await world.after(outcome.task.id, 3_600_000)

    assert outcome.steps == ["soon", "late", "soon", "late"]


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


async def test_an_error_that_cannot_show_itself_is_kept_by_its_type(open_world):
    @step(condition={"a": 1})
    async def fails():
        raise Unprintable

    async with open_world(fails) as world:
        outcome = await world.run({"a": 1})

    assert (outcome.errors["fails"]["type"], outcome.errors["fails"]["message"]) == ("Unprintable", "Unprintable")


async def test_an_error_with_an_endless_text_is_cut(open_world):
    @step(condition={"a": 1})
    async def fails():
        raise ValueError("x" * 5_000_000)

    async with open_world(fails) as world:
        outcome = await world.run({"a": 1})

    assert len(outcome.errors["fails"]["message"]) < 9_000
    assert outcome.errors["fails"]["message"].endswith("(5,000,000 characters)")
