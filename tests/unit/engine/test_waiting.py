"""Tasks that wait: park, timeout, completeOnExpire, people (SPEC §3, States; §4)."""

from __future__ import annotations

import pytest

from aloma_py import TaskState, interventions, step

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


@step(condition={"parked": None})
async def parker(data, task):
    data.parked = True
    task.park(HOUR)


@step(condition={"parked": True})
async def after(data):
    data.after = data.get("after", 0) + 1


async def test_a_parked_task_is_not_matched_until_its_time_is_over_though_its_own_changes_match(open_world):
    async with open_world(parker, after) as world:
        outcome = await world.rest({"a": 1})
        assert (outcome.state, outcome.reason) == (TaskState.WAITING, "parked by step 'parker'")
        assert outcome.data == {"a": 1, "parked": True}
        assert (await world.after(outcome.task.id, HOUR - 1)).steps == ["parker"]
        outcome = await world.after(outcome.task.id, 1)

    assert outcome.steps == ["parker", "after"]
    assert outcome.state is TaskState.DONE


async def test_an_outside_update_wakes_a_parked_task_before_its_time(open_world):
    async with open_world(parker, after) as world:
        outcome = await world.rest({"a": 1})
        outcome = await world.update(outcome.task.id, {"note": "wake up"})

    assert outcome.steps == ["parker", "after"]
    assert world.elapsed == 0


async def test_parked_without_a_time_a_task_waits_for_an_update(open_world):
    @step(condition={"approved": None}, name="ask")
    async def ask(data, task):
        task.park()

    @step(condition={"approved": True})
    async def go_on(data, task):
        task.complete("approved")

    async with open_world(ask, go_on) as world:
        outcome = await world.run({"a": 1})
        assert outcome.state is TaskState.WAITING
        assert outcome.reason == "parked by step 'ask' until its data is changed from outside"
        outcome = await world.update(outcome.task.id, {"approved": True})

    assert outcome.result == "approved"


async def test_an_update_while_the_parking_run_is_under_way_is_not_slept_through(open_world):
    @step(condition={"approved": None})
    async def ask(data, task, connectors):
        await connectors.utils.sleep(milliseconds=100)
        task.park()

    @step(condition={"approved": True})
    async def go_on(task):
        task.complete("approved")

    async with open_world(ask, go_on) as world:
        task_id = await world.submit({"a": 1})
        await world.scheduler.settle()
        await interventions.update(world.engine, task_id, {"approved": True})
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert (outcome.state, outcome.result) == (TaskState.DONE, "approved")


async def test_an_update_long_before_does_not_keep_a_task_from_parking(open_world):
    async with open_world(parker, after) as world:
        task_id = await world.submit({"a": 1})
        await interventions.update(world.engine, task_id, {"b": 1})
        outcome = await world.settled(task_id)

    assert outcome.state is TaskState.WAITING


async def test_a_polling_step_parks_and_asks_for_redo(open_world):
    @step(condition={"ready": None})
    async def poll(data, task, step):
        data.polls = data.get("polls", 0) + 1
        if data.polls == 3:
            data.ready = True
        else:
            task.park("10m")
            step.redo()

    async with open_world(poll) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"a": 1, "polls": 3, "ready": True}
    assert world.elapsed == 20 * 60_000


async def test_of_two_parks_in_a_wave_the_earlier_counts(open_world):
    def parking(name, after):
        async def content(task):
            task.park(after)

        return step(condition={"a": 1}, name=name, parallel="always")(content)

    async with open_world(parking("long", 9000), parking("short", 10), parking("open", None)) as world:
        outcome = await world.rest({"a": 1})

    assert outcome.task.due_at == world.clock.now() + 10


# ── expiring ────────────────────────────────────────────────────────────────────────────────────────────────────────


def expiring(*, done: bool, then: str):
    @step(condition={"a": 1}, name="expiring")
    async def content(data, task, connectors):
        task.timeout(1000)
        if done:
            task.complete_on_expire({"partial": True})
        data.begun = True
        if then == "park":
            task.park()

    return content


@step(condition={"begun": True})
async def slow(data, connectors):
    data.slow = "changed"
    await connectors.utils.sleep(milliseconds=5000)
    data.slow = "ended"


@pytest.mark.parametrize(("done", "state"), [(True, TaskState.DONE), (False, TaskState.ERROR)])
async def test_a_waiting_task_expires(open_world, done, state):
    async with open_world(expiring(done=done, then="park")) as world:
        outcome = await world.run({"a": 1})

    assert (outcome.state, outcome.reason) == (state, "its time expired")
    assert outcome.result == ({"partial": True} if done else None)
    assert world.elapsed == 1000


@pytest.mark.parametrize(("done", "state"), [(True, TaskState.DONE), (False, TaskState.ERROR)])
async def test_a_task_expires_in_the_middle_of_a_run_whose_changes_are_dropped(open_world, done, state):
    async with open_world(expiring(done=done, then="run"), slow) as world:
        outcome = await world.run({"a": 1})

    assert (outcome.state, outcome.reason) == (state, "its time expired")
    assert outcome.data == {"a": 1, "begun": True}
    assert (outcome.steps, world.elapsed) == (["expiring"], 1000)


async def test_a_task_that_ends_in_time_does_not_expire(open_world):
    async with open_world(expiring(done=False, then="end")) as world:
        outcome = await world.run({"a": 1})
        outcome = await world.after(outcome.task.id, 5000)

    assert outcome.state is TaskState.DONE
    assert outcome.reason == "no more steps match"


async def test_a_later_timeout_replaces_an_earlier_one(open_world):
    @step(condition={"begun": True, "n": None})
    async def extend(data, task):
        data.n = 1
        task.timeout("1h")
        task.park()

    async with open_world(expiring(done=False, then="end"), extend) as world:
        await world.run({"a": 1})

    assert world.elapsed == HOUR


async def test_an_expired_task_that_is_resumed_goes_on_without_the_old_limit(open_world):
    async with open_world(expiring(done=False, then="run"), slow) as world:
        outcome = await world.run({"a": 1})
        assert outcome.state is TaskState.ERROR
        await world.resume(outcome.task.id)
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(outcome.task.id)

    assert (outcome.state, outcome.data["slow"]) == (TaskState.DONE, "ended")


async def test_a_run_held_back_by_its_rate_does_not_outlive_its_task(open_world):
    @step(condition={"begun": True}, rate="1/1d")
    async def rare(data):
        data.rare = True

    async with open_world(expiring(done=False, then="run"), rare) as world:
        first = await world.run({"a": 1})
        second = await world.rest({"a": 1})
        second = await world.after(second.task.id, 1000)

    assert (first.state, second.state) == (TaskState.DONE, TaskState.ERROR)
    assert second.reason == "its time expired"


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_form_waits_for_a_person_and_an_update_goes_on(open_world):
    @step(condition={"request": dict, "answer": None})
    async def ask(data, user):
        user.conversation(kind="form", title="Approve the request?", data={"amount": 5})

    @step(condition={"answer": str})
    async def use(data, task):
        task.complete(data.answer)

    async with open_world(ask, use) as world:
        outcome = await world.run({"request": {}})
        assert (outcome.state, outcome.reason) == (TaskState.WAITING, "waits for a person: Approve the request?")
        assert outcome.visualizations[0].data == {"amount": 5}
        outcome = await world.update(outcome.task.id, {"answer": "yes"})

    assert (outcome.state, outcome.result) == (TaskState.DONE, "yes")


async def test_showing_data_to_a_person_does_not_wait(open_world):
    @step(condition={"a": 1})
    async def show(user):
        user.conversation({"kind": "data", "title": "Look", "data": [1]})

    async with open_world(show) as world:
        assert (await world.run({"a": 1})).state is TaskState.DONE
