"""What was under way is started again; what had returned is not called again (SPEC §3, After a crash)."""

from __future__ import annotations

import anyio
import pytest

from aloma_py import CallError, TaskState, step

pytestmark = pytest.mark.anyio


async def never(_):
    await anyio.sleep_forever()


def hang(_):
    return never(_)


@step(condition={"order": {"status": "new"}}, name="charge")
async def charge(data, connectors):
    data.order.attempts = data.order.get("attempts", 0) + 1
    paid = await connectors.bank.charge({"amount": 5})
    try:
        await connectors.bank.check({"id": paid.id})
    except CallError as error:
        data.order.check = [error.status, str(error)]
    await connectors.bank.receipt({"id": paid.id})
    data.order.status = "paid"


async def crashed(open_world, path, bank, content, data, **options):
    """A task whose run was under way when the process ended."""
    async with open_world(content, path=path, connectors=[bank], **options) as world:
        task_id = await world.submit(data)
        with anyio.fail_after(5):
            while not bank.calls or bank.calls[-1][0] != "receipt":
                await anyio.lowlevel.checkpoint()
    return task_id, world.clock


async def test_a_call_that_had_returned_is_not_made_again_when_its_run_is_started_again(open_world, service, tmp_path):
    path = tmp_path / "tasks.db"
    before = service("bank", charge={"id": "c1"}, check=CallError("not yet", 409), receipt=hang)
    task_id, clock = await crashed(open_world, path, before, charge, {"order": {"status": "new"}})

    after = service("bank", charge={"id": "another"}, check=None, receipt=None)
    async with open_world(charge, path=path, connectors=[after], clock=clock) as world:
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert outcome.state is TaskState.DONE
    assert outcome.data["order"] == {"status": "paid", "attempts": 1, "check": [409, "not yet"]}
    assert [method for method, _ in before.calls] == ["charge", "check", "receipt"]
    assert after.calls == [("receipt", {"id": "c1"})]
    assert after.keys[0] == before.keys[2]  # the call that did not return is made again with its key
    assert [call.method for call in outcome.calls] == ["charge", "check", "receipt"]
    assert outcome.steps == ["charge"]


async def test_a_parked_task_that_was_under_way_again_does_not_repeat_its_calls(open_world, service, tmp_path):
    """The store still says that it waits: it was read when its time had come, and not written since."""

    @step(condition={"order": {"status": "draft"}})
    async def wait(data, task):
        data.order.status = "new"
        task.park(1000)

    path = tmp_path / "tasks.db"
    before = service("bank", charge={"id": "c1"}, check=None, receipt=hang)
    async with open_world(wait, charge, path=path, connectors=[before]) as world:
        task_id = await world.submit({"order": {"status": "draft"}})
        await world.scheduler.settle()
        clock = world.clock
        clock.move_to(clock.now() + 1000)
        world.scheduler._asked = False
        with anyio.fail_after(5):
            await world.scheduler.collect()
            while len(before.calls) < 3:
                await anyio.lowlevel.checkpoint()

    after = service("bank", charge={"id": "another"}, check=None, receipt=None)
    async with open_world(wait, charge, path=path, connectors=[after], clock=clock) as world:
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert outcome.state is TaskState.DONE
    assert [method for method, _ in after.calls] == ["receipt"]


async def test_a_retry_that_was_under_way_is_started_again_as_that_attempt(open_world, service, tmp_path):
    @step(condition={"a": 1}, retries=3, backoff=10)
    async def asks(data, connectors, step):
        data.found = (await connectors.bank.charge({})).n
        if step.attempt == 1:
            raise ValueError("first")
        await connectors.bank.receipt({})
        data.attempt = step.attempt

    path = tmp_path / "tasks.db"
    before = service("bank", charge=[{"n": 1}, {"n": 2}], receipt=hang)
    async with open_world(asks, path=path, connectors=[before]) as world:
        task_id = await world.submit({"a": 1})
        await world.scheduler.settle()
        clock = world.clock
        clock.move_to(clock.now() + 10)
        world.scheduler._asked = False
        with anyio.fail_after(5):
            await world.scheduler.collect()
            while len(before.calls) < 3:
                await anyio.lowlevel.checkpoint()

    after = service("bank", charge=[{"n": 3}], receipt=None)
    async with open_world(asks, path=path, connectors=[after], clock=clock) as world:
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert outcome.data == {"a": 1, "found": 2, "attempt": 2}  # the answer of this attempt, not of the first
    assert [method for method, _ in after.calls] == ["receipt"]


async def test_what_was_accepted_and_not_begun_is_run_after_a_restart(open_world, tmp_path):
    @step(condition={"a": int})
    async def work(data):
        data.done = True

    path = tmp_path / "tasks.db"
    async with open_world(work, path=path) as world:
        world.engine.pausing = True  # accepted, and the process ends
        ids = [await world.submit({"a": n}) for n in range(50)]
    async with open_world(work, path=path) as world:
        await world.scheduler.run_until_quiet()
        outcomes = [await world.outcome(task_id) for task_id in ids]

    assert {outcome.state for outcome in outcomes} == {TaskState.DONE}
    assert [outcome.data["a"] for outcome in outcomes] == list(range(50))


async def test_a_parent_waits_over_a_restart_for_a_subtask(open_world, tmp_path):
    @step(condition={"top": True})
    async def parent(task):
        task.subtask("child", {"n": 3}, into="child", wait_for=True, delay="1h")

    @step(condition={"n": int})
    async def square(data, task):
        task.complete(data.n**2)

    path = tmp_path / "tasks.db"
    async with open_world(parent, square, path=path) as world:
        outcome = await world.rest({"top": True})
    async with open_world(parent, square, path=path, clock=world.clock) as world:
        outcome = await world.after(outcome.task.id, 3_600_000)

    assert (outcome.state, outcome.data["child"]["result"]) == (TaskState.DONE, 9)


async def test_two_engines_in_one_process_do_not_see_each_other(open_world, service, tmp_path):
    def content(name):
        async def work(data, connectors, config):
            print(name)
            data.by = [name, config("WHO"), await connectors.crm.who({})]

        return step(condition={"a": 1}, name="work")(work)

    one, other = service(who="one's"), service(who="other's")
    async with (
        open_world(content("one"), path=tmp_path / "1.db", connectors=[one], config={"WHO": 1}) as first,
        open_world(content("other"), path=tmp_path / "2.db", connectors=[other], config={"WHO": 2}) as second,
    ):
        a, b = await first.run({"a": 1}), await second.run({"a": 1})
        assert (a.data["by"], b.data["by"]) == (["one", 1, "one's"], ["other", 2, "other's"])
        assert [line.text for line in (*a.runs[0].logs, *b.runs[0].logs)] == ["one", "other"]
        from aloma_py.errors import NotFoundError

        with pytest.raises(NotFoundError):
            await first.outcome(b.task.id)
