"""What a step's code may do and the engine survives; what is tried again, and on which data (SPEC §3, §4, §5)."""

from __future__ import annotations

import threading

import anyio
import pytest

from aloma_py import Limits, TaskState, interventions, step
from aloma_py.engine import Engine
from aloma_py.errors import NotFoundError, StateError
from aloma_py.intake import new_task
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio


class Panic(BaseException):
    """As an extension module may raise it."""


@step(condition={"good": True})
async def good(data):
    data.good = "done"


def raising(error, *, in_thread):
    if in_thread:

        def content():
            raise error
    else:

        async def content():
            raise error

    return step(condition={"boom": True}, name="boom")(content)


@pytest.mark.parametrize(
    ("error", "in_thread", "message"),
    [
        (Panic("out of bounds"), False, "the step raised Panic: out of bounds"),
        (Panic("out of bounds"), True, "the step raised Panic: out of bounds"),
        (GeneratorExit("gone"), False, "the step raised GeneratorExit: gone"),
        (GeneratorExit("gone"), True, "the step raised GeneratorExit"),
        (KeyboardInterrupt(), True, "the step raised KeyboardInterrupt"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
async def test_an_error_of_any_kind_ends_its_run_only(open_world, error, in_thread, message):
    # Given one step that raises what no `except Exception` catches, and another task
    async with open_world(raising(error, in_thread=in_thread), good) as world:
        # When both run
        failed = await world.run({"boom": True})
        other = await world.run({"good": True})

    # Then the error is data, and the engine goes on
    assert failed.state is TaskState.ERROR
    assert failed.data["$errors"]["boom"]["message"] == message
    assert other.data == {"good": "done"}


async def test_more_def_steps_than_a_pool_usually_has_threads_wait_side_by_side(open_world):
    # Given 60 runs that go on when all of them have come to one place; who waits for a thread is over its time
    gate = threading.Barrier(60, timeout=3)

    @step(condition={"n": int}, timeout="3s")
    def meet(data):
        gate.wait()
        data.met = True

    async with open_world(meet) as world:
        # When they run at once
        ids = [await world.submit({"n": n}) for n in range(60)]
        with anyio.fail_after(8):
            await world.scheduler.settle()
        outcomes = [await world.outcome(task_id) for task_id in ids]

    # Then all have met
    assert {outcome.state for outcome in outcomes} == {TaskState.DONE}
    assert all(outcome.data["met"] for outcome in outcomes)


@pytest.mark.parametrize("call", ["file.write", "blob.create"])
async def test_what_a_run_asks_for_after_its_time_limit_is_refused(open_world, call):
    # Given a `def` step that is left behind in its thread
    go_on, ended, refusals = threading.Event(), threading.Event(), []

    @step(condition={"go": True}, timeout=20)
    def late(file, blob):
        go_on.wait(5)
        try:
            file.write("report", "text") if call == "file.write" else blob.create(content="text", name="report")
        except BaseException as error:
            refusals.append(str(error))
        ended.set()

    async with open_world(late) as world:
        outcome = await world.rest({"go": True})
        # When it goes on
        go_on.set()
        assert await anyio.to_thread.run_sync(ended.wait, 5)

        # Then nothing is written
        with pytest.raises(NotFoundError):
            await world.engine.store.read_file("report")

    assert outcome.data["$errors"]["late"]["type"] == "StepTimeout"
    assert refusals == ["the run of step 'late' has ended; what its code asks for now is refused"]


async def test_a_stash_that_is_no_object_is_refused_with_a_clear_message(open_world):
    @step(condition={"go": True})
    async def wrong(data):
        data["$stash"] = 5

    async with open_world(wrong) as world:
        outcome = await world.run({"go": True, "$stash": {"token": "secret-text"}})

    assert outcome.data["$errors"]["wrong"]["message"] == (
        "data.$stash must be an object of confidential values, not Number"
    )
    assert outcome.data["$stash"] == {"token": "String"}  # as it was


# ── what is tried again ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("options", "attempts"), [({}, 1), ({"retry_on": ["NoSuchCall"]}, 4)])
@pytest.mark.parametrize("place", ["nothing.get", "crm.nothing"])
async def test_a_call_that_there_is_not_is_tried_again_only_where_the_step_asks_for_it(
    open_world, service, place, options, attempts
):
    namespace, method = place.split(".")

    @step(condition={"x": 1}, retries=3, backoff=0, name="call", **options)
    async def content(connectors):
        await connectors[namespace][method]({})

    async with open_world(content, connectors=[service(get={})]) as world:
        outcome = await world.run({"x": 1})

    assert outcome.state is TaskState.ERROR
    assert [entry.outcome for entry in outcome.runs] == ["retry"] * (attempts - 1) + ["failed"]


async def test_retry_on_knows_a_base_class_of_the_recorded_error_after_a_crash(open_world, service, tmp_path):
    # Given a call that failed, as was recorded, and a process that ended before its step did
    crm = service(get=[ConnectionResetError("reset by peer"), {"ok": 1}])
    failed, hangs = anyio.Event(), True

    @step(condition={"x": 1}, retries=2, backoff=1000, retry_on=["ConnectionError"])
    async def call(data, connectors):
        try:
            await connectors.crm.get({})
        finally:
            if hangs:
                failed.set()
                await anyio.sleep_forever()
        data.x = 2

    async with open_world(call, path=tmp_path / "tasks.db", connectors=[crm]) as world:
        task_id = await world.submit({"x": 1})
        with anyio.fail_after(5):
            await failed.wait()
    hangs = False

    # When it is started again
    async with open_world(call, path=tmp_path / "tasks.db", connectors=[crm], clock=world.clock) as world:
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    # Then the first attempt gets the recorded failure, and the second calls
    assert (outcome.state, outcome.data) == (TaskState.DONE, {"x": 2})
    assert [entry.outcome for entry in outcome.runs] == ["retry", "ok"]
    assert len(crm.calls) == 2


async def test_a_task_whose_retry_is_under_way_cannot_be_resumed(open_world, service):
    crm = service(charge=lambda _: {"n": 1})

    @step(condition={"x": 1}, retries=3, backoff=1000)
    async def pay(data, connectors, step):
        await connectors.crm.charge({"amount": 7})
        if step.attempt == 1:
            raise ValueError("again")
        await connectors.utils.sleep(milliseconds=5000)
        data.x = 2

    async with open_world(pay, connectors=[crm]) as world:
        # Given the second attempt under way
        task_id = await world.submit({"x": 1})
        await world.after(task_id, 1500)
        # When somebody resumes the task, then that is refused
        with pytest.raises(StateError, match="is running: there is nothing to resume"):
            await world.resume(task_id)
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task_id)

    assert outcome.data == {"x": 2}
    assert len(crm.calls) == 2  # one of each attempt: none was dropped and made again


# ── on which data, and when ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_run_held_back_by_its_rate_does_not_begin_on_outdated_data(open_world):
    charged = []

    @step(condition={"pay": True, "cancelled": None}, rate="1/1h")
    async def charge(data):
        charged.append((data.n, data.amount))
        data.pay = False

    async with open_world(charge) as world:
        # Given three tasks, of which two have to wait for their turn
        await world.submit({"pay": True, "n": 1, "amount": 5})
        cancelled = await world.submit({"pay": True, "n": 2, "amount": 5})
        raised = await world.submit({"pay": True, "n": 3, "amount": 5})
        await world.scheduler.settle()
        # When one is called off meanwhile, and one is changed
        await world.update(cancelled, {"cancelled": True})
        await world.update(raised, {"amount": 6})
        await world.scheduler.run_until_quiet()
        outcomes = [await world.outcome(task_id) for task_id in (cancelled, raised)]

    # Then the one does not run, and the other runs once on what it is now
    assert charged == [(1, 5), (3, 6)]
    assert [outcome.steps for outcome in outcomes] == [[], ["charge"]]


async def test_updating_a_finished_task_after_its_time_does_not_end_it_in_error(open_world):
    @step(condition={"go": True})
    async def begin(data, task):
        data.go = False
        task.timeout("1m")

    @step(condition={"more": True})
    async def more(data):
        data.more = "seen"

    async with open_world(begin, more) as world:
        task_id = await world.submit({"go": True})
        assert (await world.after(task_id, 120_000)).state is TaskState.DONE
        outcome = await world.update(task_id, {"more": True})

    assert (outcome.state, outcome.data["more"]) == (TaskState.DONE, "seen")


async def test_that_its_time_expired_is_in_the_history(open_world):
    @step(condition={"go": True})
    async def begin(task):
        task.timeout("1s")
        task.park()

    async with open_world(begin) as world:
        outcome = await world.run({"go": True})

    assert outcome.state is TaskState.ERROR
    assert [(entry.n, entry.kind, entry.effects) for entry in outcome.entries][1:] == [
        (2, "expire", ("its time expired",))
    ]
    assert outcome.entries[1].started_at - outcome.entries[0].ended_at == 1000


async def test_that_a_limit_ended_it_is_in_the_history(open_world):
    @step(condition={"n": int})
    async def count(data, step):
        data.n += 1
        step.redo()

    async with open_world(count, limits=Limits(max_runs=3)) as world:
        outcome = await world.run({"n": 0})

    assert [entry.kind for entry in outcome.entries] == ["run", "run", "run", "end"]
    assert outcome.entries[-1].effects == (outcome.reason,)
    assert "the limit (max_runs)" in outcome.reason


# ── the engine around it ────────────────────────────────────────────────────────────────────────────────────────


class Slow:
    """A store that has done what it was asked for, and says so when ``gate`` is opened."""

    def __init__(self, inner):
        self.inner = inner
        self.gate: anyio.Event | None = None
        self.written = anyio.Event()

    def __getattr__(self, name):
        found = getattr(self.inner, name)
        if name not in ("accept", "commit"):
            return found

        async def write(*arguments):
            await found(*arguments)
            if self.gate is not None:
                self.written.set()
                await self.gate.wait()

        return write


async def cancelled_while_writing(store, ask):
    """Ask, and be cancelled when it is on disk and nobody has been told yet."""
    store.gate, store.written = anyio.Event(), anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await store.written.wait()
            group.cancel_scope.cancel()
            gate, store.gate = store.gate, None
            gate.set()


async def test_what_was_stored_for_a_caller_that_was_cancelled_is_advanced(open_world, tmp_path):
    @step(condition={"x": int})
    async def follow(data):
        data.y = data.x

    stores = []

    def wrap(handle):
        stores.append(Slow(handle))
        return stores[0]

    async with open_world(follow, path=tmp_path / "tasks.db", wrap=wrap) as world:
        # When a submission is cancelled after it was stored, then the task runs
        await cancelled_while_writing(stores[0], lambda: world.submit({"x": 1}))
        await world.scheduler.settle()
        assert await world.engine.store.counts() == {TaskState.DONE: 1}

        # When an update is, then so it does, and the next update is taken
        task_id = (await world.rest({"x": 5})).task.id
        await cancelled_while_writing(stores[0], lambda: interventions.update(world.engine, task_id, {"x": 9}))
        assert (await world.settled(task_id)).data == {"x": 9, "y": 9}
        assert (await world.update(task_id, {"x": 10})).data == {"x": 10, "y": 10}


async def test_an_engine_that_nobody_schedules_keeps_no_tasks_in_memory():
    async with SQLiteStore(":memory:") as store:
        engine = Engine(store.workspace("other"), ())
        for _ in range(3):
            await engine.submit(
                [new_task("other", "t", {"x": 1}, via=None, now=engine.clock.now(), limits=engine.limits)]
            )
        counts = await engine.store.counts()

    assert counts == {TaskState.PENDING: 3}
    assert engine.custody.cells == {}
