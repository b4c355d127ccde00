"""What happens around a step's code: time limits, exits, prints, logs, results that are no JSON (SPEC §4, §5)."""

from __future__ import annotations

import asyncio
import sys
import threading

import anyio
import pytest

from aloma_py import Limits, TaskState, step

pytestmark = pytest.mark.anyio


async def error_of(open_world, content, data=None, **options):
    """The error that the step leaves, beside a step that goes on."""

    @step(condition={"a": 1}, priority=-1)
    async def bystander(data):
        data.bystander = True

    async with open_world(content, bystander, **options) as world:
        outcome = await world.run({"a": 1, **(data or {})})
    assert outcome.state is TaskState.ERROR
    assert outcome.data.pop("bystander") is True
    (error,) = outcome.errors.values()
    return error


async def test_an_async_step_that_runs_too_long_is_stopped(open_world):
    @step(condition={"a": 1}, timeout=20)
    async def slow(data):
        data.half = True
        await asyncio.sleep(60)

    error = await error_of(open_world, slow)
    assert (error["type"], error["message"]) == (
        "StepTimeout", "step 'slow' ran longer than its time limit of 20 ms",
    )  # fmt: skip


async def test_a_def_step_that_runs_too_long_is_left_behind_and_can_do_nothing_more(open_world, service):
    release, refused = threading.Event(), []

    @step(condition={"a": 1}, timeout=20)
    def slow(data, task, connectors):
        release.wait(10)
        for act in (task.complete, lambda: connectors.crm.find({})):
            try:
                act()
            except Exception as error:
                refused.append(str(error))

    crm = service(find=1)
    error = await error_of(open_world, slow, connectors=[crm])
    release.set()
    with anyio.fail_after(5):
        while len(refused) < 2:
            await anyio.lowlevel.checkpoint()

    assert error["message"] == "step 'slow' ran longer than its time limit of 20 ms"
    assert refused == ["the run of step 'slow' has ended; what its code asks for now is refused"] * 2
    assert crm.calls == []


@pytest.mark.parametrize("kind", ["async", "def"])
async def test_waiting_for_a_call_does_not_count_against_the_time_limit(open_world, service, kind):
    async def answer():
        for _ in range(20):
            await asyncio.sleep(0.01)
        return 1

    @step(condition={"a": 1}, timeout=100, name="async")
    async def on_the_loop(data, connectors):
        data.found = await connectors.crm.find({})

    @step(condition={"a": 1}, timeout=100, name="def")
    def in_a_thread(data, connectors):
        data.found = connectors.crm.find({})

    content = on_the_loop if kind == "async" else in_a_thread
    async with open_world(content, connectors=[service(find=lambda _: answer())]) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"a": 1, "found": 1}


@pytest.mark.parametrize("kind", ["async", "def"])
async def test_a_step_that_exits_fails_and_the_engine_goes_on(open_world, kind):
    @step(condition={"a": 1}, name="async")
    async def on_the_loop(connectors):
        sys.exit(3)

    @step(condition={"a": 1}, name="def")
    def in_a_thread():
        sys.exit(3)

    error = await error_of(open_world, on_the_loop if kind == "async" else in_a_thread)
    assert error["message"] == "the step called exit(3); use task.complete() or return"


async def test_a_step_that_raises_a_cancellation_fails_and_does_not_hang(open_world):
    @step(condition={"a": 1})
    async def cancels():
        raise asyncio.CancelledError

    error = await error_of(open_world, cancels)
    assert error["message"].startswith("the step's code cancelled itself")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "data.bad is a set, which JSON does not know: write sorted(…) or list(…)"),
        (b"x", "data.bad is a bytes, which JSON does not know: write .decode(), or keep it with blob.create"),
        (float("nan"), "data.bad is nan, which is no number in JSON: write None"),
        ({1: 2}, "data.bad has the key 1, which is an int; keys are texts: write '1'"),
        (lambda: 1, "data.bad is a function, which JSON does not know: call it, and keep what it gives"),
    ],
)
async def test_what_is_no_json_fails_the_run_and_names_the_place(open_world, value, message):
    @step(condition={"a": 1})
    async def writes(data):
        data.bad = value

    error = await error_of(open_world, writes)
    assert (error["type"], error["message"]) == ("ResultError", message)


async def test_data_that_becomes_too_large_fails_the_run(open_world):
    @step(condition={"a": 1})
    async def writes(data):
        data.bad = "é" * 600  # 1,200 bytes

    error = await error_of(open_world, writes, limits=Limits(max_data_bytes=1000))
    assert error["type"] == "ResultError"
    assert error["message"].endswith("bytes, more than the limit of 1,000 bytes")


async def test_data_that_is_nearly_too_large_warns_in_the_log(open_world):
    @step(condition={"a": 1})
    async def writes(data):
        data.big = "x" * 900

    async with open_world(writes, limits=Limits(max_data_bytes=1200)) as world:
        outcome = await world.run({"a": 1})

    (line,) = outcome.runs[0].logs
    assert (line.level, "% of the limit of 1,200 bytes" in line.text) == ("warning", True)


async def test_data_that_becomes_too_deep_fails_the_run(open_world):
    @step(condition={"a": 1})
    async def writes(data):
        deep = data.deep = {}
        for _ in range(64):
            deep["x"] = {}
            deep = deep["x"]

    error = await error_of(open_world, writes)
    assert error["message"].startswith("data.deep.x.x… is more than 64 levels deep; at most 64")


async def test_a_result_that_is_too_large_or_no_json_fails_the_run(open_world):
    @step(condition={"a": 1})
    async def large(task):
        task.complete("x" * 2000)

    error = await error_of(open_world, large, limits=Limits(max_data_bytes=1000))
    assert error["message"] == "task.complete: the result is 2,002 bytes, more than the limit of 1,000 bytes"

    @step(condition={"a": 1})
    async def odd(task):
        task.complete({"when": {1}})

    error = await error_of(open_world, odd)
    assert error["message"].startswith("result.when is a set")


@pytest.mark.parametrize("kind", ["async", "def"])
async def test_prints_of_steps_that_run_at_once_go_to_their_own_logs(open_world, kind, capsys):
    meet = threading.Barrier(2)

    def content(name):
        async def on_the_loop(connectors):
            print(name, "begins")
            await connectors.utils.sleep(milliseconds=10)
            print(name, end=" ")
            print("ends")

        def in_a_thread():
            print(name, "begins")
            meet.wait(5)
            print(name, end=" ")
            print("ends")

        made = on_the_loop if kind == "async" else in_a_thread
        return step(condition={"a": 1}, name=name, parallel="always")(made)

    async with open_world(content("one"), content("two")) as world:
        outcome = await world.run({"a": 1})

    assert [entry.wave for entry in outcome.runs] == [1, 1]
    assert [[line.text for line in entry.logs] for entry in outcome.runs] == [
        ["one begins", "one ends"], ["two begins", "two ends"],
    ]  # fmt: skip
    assert capsys.readouterr().out == ""


async def test_log_lines_have_a_level_and_the_time(open_world):
    @step(condition={"a": 1})
    async def logs(data, log, connectors):
        log.debug("d")
        log("plain", {"x": [1]}, None)
        await connectors.utils.sleep(milliseconds=5)
        log.warn("w")
        log.error("e", 1.5)

    async with open_world(logs) as world:
        outcome = await world.run({"a": 1})

    assert [(line.at - world.begun, line.level, line.text) for line in outcome.runs[0].logs] == [
        (0, "debug", "d"), (0, "info", 'plain {"x":[1]} null'), (5, "warning", "w"), (5, "error", "e 1.5"),
    ]  # fmt: skip


@pytest.mark.parametrize("way", ["lines", "one line", "no line end"])
async def test_a_log_beyond_its_limits_is_cut_and_says_so(open_world, way):
    @step(condition={"a": 1})
    async def logs(log):
        if way == "lines":
            for n in range(1000):
                log.info(str(n))
        elif way == "one line":
            print("x" * 10_000)
        else:
            for _ in range(1000):
                print("x" * 100, end="")

    async with open_world(logs, limits=Limits(max_log_lines=10, max_log_bytes=5000)) as world:
        outcome = await world.run({"a": 1})

    lines = outcome.runs[0].logs
    assert outcome.state is TaskState.DONE
    assert len(lines) <= 11
    assert lines[-1].text == "the log of this run is full; the rest is dropped"
    assert sum(len(line.text) for line in lines) < 5100
