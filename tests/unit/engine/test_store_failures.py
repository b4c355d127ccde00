"""A store that fails: what was done is not lost, and not done twice (SPEC §3)."""

from __future__ import annotations

import logging

import anyio
import pytest

from aloma_py import TaskState, interventions, step
from aloma_py.errors import NotFoundError, StoreError, StoreFull

pytestmark = pytest.mark.anyio


class Troubled:
    """A store whose writes fail as a plan says: ``"fail"``, ``"lie"`` (done, and reported as failed), or done."""

    def __init__(self, inner, **plans):
        self.inner = inner
        self.plans = plans

    def __getattr__(self, name):
        found = getattr(self.inner, name)
        if name not in ("accept", "commit", "record_call"):
            return found

        async def write(*arguments):
            plan = self.plans.get(name) or []
            outcome = plan.pop(0) if plan else "done"
            if outcome == "fail":
                raise StoreFull("there is no room left")
            result = await found(*arguments)
            if outcome == "lie":
                raise StoreError("the disk did not answer in time")
            return result

        return write


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch, caplog):
    """The engine pauses between its tries on the machine's clock."""

    async def at_once(_):
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr("aloma_py.custody.anyio.sleep", at_once)
    caplog.set_level(logging.CRITICAL)


def troubled(**plans):
    return lambda handle: Troubled(handle, **plans)


@step(condition={"n": int, "sent": None})
async def send(data, connectors):
    data.n += 1
    data["list"] = [*data.get("list", []), data.n]
    data.sent = (await connectors.crm.send({"n": data.n})).id


@step(condition={"sent": str, "confirmed": None})
async def confirm(data, connectors):
    data.confirmed = True
    await connectors.crm.confirm({})


DONE = {"n": 2, "list": [2], "sent": "m1", "confirmed": True}


@pytest.mark.parametrize("word", ["fail", "lie"])
@pytest.mark.parametrize("before", [0, 1, 2])
async def test_a_commit_that_fails_is_tried_again_and_no_side_effect_is_repeated(open_world, service, word, before):
    crm = service(send={"id": "m1"}, confirm=None)
    plan = ["done"] * before + [word] * (3 if word == "fail" else 1)

    async with open_world(send, confirm, connectors=[crm], wrap=troubled(commit=plan)) as world:
        outcome = await world.run({"n": 1})

    assert plan == [] or before == 2
    assert (outcome.state, outcome.data) == (TaskState.DONE, DONE)
    assert [method for method, _ in crm.calls] == ["send", "confirm"]
    assert outcome.steps == ["send", "confirm"]
    assert [entry.n for entry in outcome.entries] == [1, 2]


@pytest.mark.parametrize("word", ["fail", "lie"])
async def test_an_answer_that_could_not_be_recorded_is_recorded_later_and_the_call_is_made_once(
    open_world, service, word
):
    crm = service(send={"id": "m1"}, confirm=None)

    async with open_world(send, confirm, connectors=[crm], wrap=troubled(record_call=[word])) as world:
        outcome = await world.run({"n": 1})

    assert outcome.data == DONE
    assert [method for method, _ in crm.calls] == ["send", "confirm"]
    assert [call.method for call in outcome.calls] == ["send", "confirm"]


@pytest.mark.parametrize(
    "plan", [["done", "fail", "fail"], ["done", "lie"], ["lie", "done", "lie"], ["lie", "lie", "lie"]]
)
async def test_the_end_of_a_subtask_reaches_its_parent_once(open_world, plan):
    @step(condition={"top": True})
    async def parent(task):
        task.subtask("child", {"n": 3}, into="child", wait_for=True)

    @step(condition={"n": int})
    async def child(task):
        task.complete("r")

    @step(condition={"child": dict, "count": None})
    async def use(data):
        data.count = 1

    async with open_world(parent, child, use, wrap=troubled(commit=plan)) as world:
        outcome = await world.run({"top": True})

    assert outcome.state is TaskState.DONE
    assert outcome.data == {"top": True, "child": {"state": "done", "result": "r"}, "count": 1}
    assert [entry.kind for entry in outcome.entries] == ["run", "answer", "run"]
    assert len(outcome.subtasks) == 1


async def test_a_task_that_cannot_be_stored_is_refused_and_not_taken_in(open_world):
    ran = []

    @step(condition={"a": 1})
    async def note():
        ran.append(1)

    async with open_world(note, wrap=troubled(accept=["fail"])) as world:
        with pytest.raises(StoreFull, match="there is no room left"):
            await world.submit({"a": 1})
        await world.scheduler.run_until_quiet()
        assert (ran, world.engine.custody.cells, await world.engine.store.counts()) == ([], {}, {})
        assert (await world.run({"a": 1})).state is TaskState.DONE  # there is room again


async def test_an_update_that_cannot_be_stored_is_refused_and_changes_nothing(open_world):
    @step(condition={"a": int})
    async def note(data, task):
        data.seen = data.a
        task.park()

    async with open_world(note, wrap=troubled(commit=(plan := []))) as world:
        outcome = await world.run({"a": 1})
        plan.append("fail")
        with pytest.raises(StoreFull):
            await interventions.update(world.engine, outcome.task.id, {"a": 2})
        unchanged = await world.settled(outcome.task.id)
        assert unchanged.data == {"a": 1, "seen": 1}
        outcome = await world.update(outcome.task.id, {"a": 3})

    assert outcome.data == {"a": 3, "seen": 3}


async def test_an_update_that_was_stored_though_the_store_says_otherwise_counts(open_world):
    @step(condition={"a": int})
    async def note(data):
        data.seen = data.a

    async with open_world(note, wrap=troubled(commit=(plan := []))) as world:
        outcome = await world.run({"a": 1})
        plan.append("lie")
        outcome = await world.update(outcome.task.id, {"a": 2})

    assert outcome.data == {"a": 2, "seen": 2}
    assert [entry.kind for entry in outcome.entries] == ["run", "update", "run"]


async def test_a_task_that_was_changed_beside_the_engine_is_read_again(open_world):
    """It should not happen: one engine owns the store. Where it does, nothing of either is lost or done twice."""

    @step(condition={"a": int})
    async def count(data, connectors):
        await connectors.utils.sleep(milliseconds=100)
        data.count = data.get("count", 0) + 1

    async with open_world(count) as world:
        task_id = await world.submit({"a": 1})
        await world.scheduler.settle()
        from aloma_py.models import TaskCommit

        stored = await world.engine.store.get(task_id)
        stored.data["beside"] = True
        await world.engine.store.commit([TaskCommit(stored)])
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert (outcome.state, {**outcome.data}) == (TaskState.DONE, {"a": 1, "beside": True, "count": 1})


async def test_an_error_of_the_engine_itself_ends_the_task_and_tells_its_parent(open_world):
    @step(condition={"top": True})
    async def parent(task):
        task.subtask("child", {"n": 3}, into="child", wait_for=True)

    @step(condition={"n": 3}, retries=1)
    async def child():
        world.engine.chance = None  # breaks the engine, not the step
        raise ValueError("x")

    async with open_world(parent, child) as world:
        outcome = await world.run({"top": True})

    assert outcome.state is TaskState.DONE
    assert outcome.data["child"]["state"] == "error"
    assert outcome.data["child"]["error"]["message"].startswith("the engine failed: TypeError")


async def test_a_deleted_task_is_not_waited_for_in_vain(open_world):
    async with open_world(send) as world:
        outcome = await world.run({"other": 1})
        await interventions.delete(world.engine, outcome.task.id)
        with pytest.raises(NotFoundError):
            await interventions.update(world.engine, outcome.task.id, {"n": 1})
