"""Spans of tasks, runs and calls: their tree, over restarts too, what is in them, and what a lost collector costs."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket as Socket
from typing import Any

import anyio
import httpx2
import pytest
from opentelemetry.propagate import get_global_textmap
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from aloma_py import interventions, step
from aloma_py.builtin.fetch import Fetch
from aloma_py.clock import VirtualClock
from aloma_py.connect.connector import CallContext
from aloma_py.engine import Engine
from aloma_py.errors import CallError
from aloma_py.intake import new_task
from aloma_py.models import Limits, Task
from aloma_py.scheduler import Scheduler
from aloma_py.serve import telemetry
from aloma_py.serve.loop import Serving, serve
from aloma_py.serve.telemetry import Spans, exporters_wanted, opened, shown_trace_id, span_id_of, trace_id_of
from aloma_py.serve.telemetry_sdk import SELDOM, Seldom, make_provider
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.workspace import Workspace

pytestmark = pytest.mark.anyio

SECRET = "S3CRET-of-the-shop"


@pytest.fixture(autouse=True)
def no_telemetry_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


class Shop:
    """A connector. ``find`` works from its second call on, ``fail`` never."""

    namespace = "shop"
    methods: tuple[str, ...] | None = ("find", "fail", "wait")
    default: str | None = None
    recorded = True

    def __init__(self) -> None:
        self.found = 0
        self.headers: list[dict[str, str]] = []
        self.waiting = anyio.Event()

    async def call(self, method: str, arguments: Any, context: CallContext) -> Any:
        self.headers.append(dict(context.headers))
        if method == "wait":
            self.waiting.set()
            await anyio.sleep_forever()
        self.found += 1
        if method == "fail" or self.found == 1:
            raise CallError(f"no answer from https://x/?a=hush&key={SECRET}&b=hush, after {SECRET}", status=503)
        return {"shelf": "B-12"}


@step(condition={"order": "new"}, retries=2, backoff="10s")
async def find(data: Any, connectors: Any) -> None:
    data.shelf = (await connectors.shop.find(order=data.order, mail="ada@example.com")).shelf
    data.order = "found"


@step(condition={"order": "found"})
def close(data: Any, task: Any) -> None:
    data.order = "closed"


@step(condition={"fail": True})
async def fail(data: Any, connectors: Any) -> None:
    await connectors.shop.fail()


@step(condition={"split": True})
def split(data: Any, task: Any) -> None:
    data.split = False
    task.subtask("part", {"order": "found"}, waitFor=True)


@step(condition={"hang": True})
async def hang(data: Any, connectors: Any) -> None:
    data.shelf = (await connectors.shop.find()).shelf
    await connectors.shop.wait()


STEPS = [find, close, fail, split, hang]


class World:
    """An engine whose spans are kept."""

    def __init__(
        self, engine: Engine, scheduler: Scheduler, clock: VirtualClock, exporter: InMemorySpanExporter
    ) -> None:
        self.engine, self.scheduler, self.clock, self.exporter = engine, scheduler, clock, exporter

    async def submit(self, data: dict[str, Any], via: dict[str, Any] | None = None) -> Task:
        given = via or {"type": "api"}
        task = new_task("test", "for ada@example.com", data, via=given, now=self.clock.now(), limits=Limits())
        await self.engine.submit([task])
        return task

    async def run(self, data: dict[str, Any], via: dict[str, Any] | None = None) -> Task:
        task = await self.submit(data, via)
        await self.scheduler.run_until_quiet()
        return await self.engine.store.get(task.id)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (found,) = self.named(name)
        return found


@asynccontextmanager
async def world(
    shop: Shop | None = None, file: Path | str = ":memory:", start: int = 1_767_225_600_000
) -> AsyncIterator[World]:
    exporter = InMemorySpanExporter()
    spans = Spans(make_provider([SimpleSpanProcessor(exporter)]), get_global_textmap())
    clock = VirtualClock(start)
    workspace = Workspace("test", STEPS, connectors=[shop or Shop()], config={"KEY": SECRET}, secrets=[SECRET])
    async with SQLiteStore(file) as store:
        engine = workspace.engine(store.workspace("test"), clock=clock)
        spans.attach(engine)
        scheduler = Scheduler(engine)
        async with scheduler.running():
            yield World(engine, scheduler, clock, exporter)


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def is_below(span: ReadableSpan, other: ReadableSpan) -> bool:
    return span.parent is not None and (span.parent.trace_id, span.parent.span_id) == ids(other)


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_task_its_runs_and_their_calls_are_one_tree() -> None:
    shop = Shop()
    async with world(shop) as here:
        begun = here.clock.now()
        task = await here.run({"order": "new"})
        first, second = here.named("run find")
        failed, good = here.named("call shop.find")
        last, root = here.one("run close"), here.one("task")
    assert len(here.spans) == 6
    assert root.parent is None
    assert ids(root) == (trace_id_of(task.id), span_id_of(task.id))
    assert all(is_below(span, root) for span in (first, second, last))
    assert is_below(failed, first) and is_below(good, second)
    assert len({ids(span)[1] for span in here.spans}) == 6
    assert facts(root) == {
        "aloma.workspace": "test", "aloma.task.id": task.id, "aloma.task.state": "done", "aloma.task.waves": 3,
        "aloma.task.source": "api",
    }  # fmt: skip
    found = facts(second)
    assert found.pop("aloma.step.version")
    assert found == {
        "aloma.workspace": "test", "aloma.task.id": task.id, "aloma.step": "find", "aloma.run.n": 2,
        "aloma.run.wave": 2, "aloma.run.attempt": 2, "aloma.run.outcome": "ok",
    }  # fmt: skip
    assert (root.start_time, root.end_time) == (begun * 1_000_000, (task.ended_at or 0) * 1_000_000)
    assert first.start_time == begun * 1_000_000
    assert (second.start_time or 0) - (first.end_time or 0) > 5_000 * 1_000_000  # it waited for its next attempt
    assert (good.kind, root.kind) == (SpanKind.CLIENT, SpanKind.INTERNAL)
    assert root.status.status_code is good.status.status_code is StatusCode.UNSET


async def test_what_failed_is_told_as_it_is_stored() -> None:
    async with world() as here:
        await here.run({"fail": True})
        run, call, root = here.one("run fail"), here.one("call shop.fail"), here.one("task")
    assert {span.status.status_code for span in (run, call, root)} == {StatusCode.ERROR}
    for span in (run, call):
        assert span.status.description == "no answer from https://x/?…, after (hidden: String)"
    assert root.status.description == "unhandled error in fail"
    assert (facts(run)["error.type"], facts(run)["aloma.run.outcome"]) == ("CallError", "failed")
    assert (facts(call)["error.type"], facts(call)["http.response.status_code"]) == ("CallError", 503)
    assert (facts(call)["aloma.connector"], facts(call)["aloma.method"]) == ("shop", "fail")
    assert facts(root)["aloma.task.state"] == "error"


async def test_neither_data_nor_arguments_nor_secrets_are_in_a_span() -> None:
    async with world() as here:
        await here.run({"order": "new", "note": "call me at noon"})
        await here.run({"fail": True})
        text = "".join(span.to_json() for span in here.spans)
    for part in (SECRET, "hush", "ada@example.com", "noon", "B-12", "closed", '"order'):
        assert part not in text


async def test_a_subtask_has_a_trace_of_its_own_that_links_to_its_parent() -> None:
    async with world() as here:
        task = await here.run({"split": True})
        child, root = sorted(
            here.named("task"), key=lambda span: ids(span) == (trace_id_of(task.id), span_id_of(task.id))
        )
    assert ids(child)[0] != ids(root)[0]
    assert is_below(here.one("run close"), child)
    (link,) = child.links
    assert (link.context.trace_id, link.context.span_id) == ids(root)
    assert dict(link.attributes or {}) == {"aloma.link": "parent"}
    assert facts(child)["aloma.task.parent"] == task.id
    assert not root.links


async def test_a_trace_goes_on_after_a_restart(tmp_path: Path) -> None:
    shop = Shop()
    shop.found = 1
    async with world(shop, tmp_path / "a.db") as before:
        task = await before.submit({"hang": True})
        with anyio.fail_after(5):
            await shop.waiting.wait()
        now = before.clock.now()
    assert [span.name for span in before.spans] == ["call shop.find"]
    again = Shop()
    async with world(again, tmp_path / "a.db", start=now) as after:
        with anyio.fail_after(5):
            await again.waiting.wait()
        assert again.found == 0  # the answer from before was given again
        await interventions.stop(after.engine, task.id)
        await interventions.update(after.engine, task.id, {"hang": False})
        await interventions.resume(after.engine, task.id)
        await after.scheduler.run_until_quiet()
    assert [span.name for span in after.spans] == ["task", "task"]
    stopped, resumed = after.spans
    call = before.one("call shop.find")
    assert ids(call)[0] == ids(stopped)[0] == ids(resumed)[0] == trace_id_of(task.id)
    assert call.parent is not None and call.parent.span_id == span_id_of(task.id, 1, "hang")


async def test_runs_before_and_after_a_restart_are_below_one_root(tmp_path: Path) -> None:
    shop = Shop()
    async with world(shop, tmp_path / "a.db") as before:
        task = await before.submit({"order": "new"})
        await before.scheduler.settle()  # it waits for the next attempt
        now = before.clock.now()
    async with world(shop, tmp_path / "a.db", start=now) as after:
        await after.scheduler.run_until_quiet()
    assert [span.name for span in before.spans] == ["call shop.find", "run find"]
    assert [span.name for span in after.spans] == ["call shop.find", "run find", "run close", "task"]
    root = after.one("task")
    assert ids(root)[0] == trace_id_of(task.id)
    for run in (before.one("run find"), after.one("run find"), after.one("run close")):
        assert is_below(run, root)
    assert is_below(before.one("call shop.find"), before.one("run find"))
    assert is_below(after.one("call shop.find"), after.one("run find"))


async def test_a_task_that_goes_on_after_its_end_has_a_second_span_below_the_first() -> None:
    async with world() as here:
        task = await here.run({"order": "closed"})
        first = here.one("task")
        assert facts(first)["aloma.task.state"] == "attention"
        here.clock.move_to(here.clock.now() + 5_000)
        await interventions.update(here.engine, task.id, {"order": "found"})
        await here.scheduler.run_until_quiet()
        _, second = here.named("task")
        assert is_below(second, first) and ids(second)[1] != ids(first)[1]
        assert (second.start_time or 0) - (first.end_time or 0) == 5_000 * 1_000_000
        assert facts(second)["aloma.task.resumed"] is True
        assert is_below(here.one("run close"), first)


async def test_what_comes_to_an_ended_task_is_no_second_end() -> None:
    async with world() as here:
        task = await here.submit({"order": "new"})
        await interventions.stop(here.engine, task.id)
        here.clock.move_to(here.clock.now() + 1)
        await interventions.update(here.engine, task.id, {"note": 1})
        assert len(here.named("task")) == 1


@pytest.mark.parametrize(
    ("given", "linked"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", False),
        ("what else", False),
        (None, False),
    ],
)
async def test_the_request_that_made_a_task_is_linked(given: str | None, linked: bool) -> None:
    headers = {} if given is None else {"traceparent": given}
    async with world() as here:
        await here.run({"order": "found"}, {"type": "webhook", "headers": headers})
        links = here.one("task").links
    assert [f"{link.context.trace_id:032x}-{link.context.span_id:016x}" for link in links] == (
        ["0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"] if linked else []
    )
    assert not linked or dict(links[0].attributes or {}) == {"aloma.link": "request"}


async def test_calls_carry_the_trace_and_fetch_sends_it() -> None:
    shop = Shop()
    async with world(shop) as here:
        await here.run({"order": "new"})
        calls = here.named("call shop.find")
    sent = [headers["traceparent"] for headers in shop.headers]
    assert sent == [f"00-{ids(call)[0]:032x}-{ids(call)[1]:016x}-01" for call in calls]
    requests: list[httpx2.Request] = []
    fetch = Fetch(httpx2.MockTransport(lambda request: requests.append(request) or httpx2.Response(200)))  # type: ignore[func-returns-value]
    context = CallContext("task-1", "find", "key", VirtualClock(), {"traceparent": sent[0]})
    await fetch.call("fetch", {"url": "https://x/"}, context)
    await fetch.call("fetch", {"url": "https://x/", "options": {"headers": {"TraceParent": "my own"}}}, context)
    await fetch.call("fetch", {"url": "https://x/"}, CallContext("task-1", "find", "key", VirtualClock()))
    assert [request.headers.get_list("traceparent") for request in requests] == [[sent[0]], ["my own"], []]


@pytest.mark.parametrize(("ratio", "kept"), [("0", 0), ("1", 6), ("0.5", None)])
async def test_a_trace_is_kept_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, ratio: str, kept: int | None
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", ratio)
    shop = Shop()
    async with world(shop) as here:
        for _ in range(20):
            shop.found = 0
            await here.run({"order": "new"})
        spans = here.spans
    numbers = [sum(ids(span)[0] == trace for span in spans) for trace in {ids(span)[0] for span in spans}]
    assert set(numbers) <= {6}
    assert len(numbers) * 6 == len(spans) if kept is None else len(spans) == kept * 20
    assert kept is not None or 0 < len(numbers) < 20
    if kept == 0:
        assert shop.headers[0]["traceparent"].endswith("-00")


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, ()),
        ({"OTEL_SERVICE_NAME": "x"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "TRUE"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "console"}, ("console",)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "console, otlp"}, ("otlp", "console")),
        ({"OTEL_TRACES_EXPORTER": "console"}, ("console",)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, ()),
    ],
)
def test_the_environment_says_whether_there_are_spans(environ: dict[str, str], wanted: tuple[str, ...]) -> None:
    assert exporters_wanted(environ) == wanted


def test_the_resource_is_the_environments_word_before_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_provider([]).resource.attributes["service.name"] == "aloma_py"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "orders")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    found = make_provider([]).resource.attributes
    assert (found["service.name"], found["deployment.environment.name"]) == ("orders", "test")
    assert found["service.version"] and found["telemetry.sdk.language"] == "python"


async def test_without_the_extra_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "aloma_py.serve.telemetry_sdk", None)
    async with opened({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) as spans:
        assert spans is None
        assert shown_trace_id("task-1") is None
    (line,) = caplog.records
    assert "pip install 'aloma-py[telemetry]'" in line.getMessage()


async def test_what_the_sdk_cannot_read_is_told_and_no_more(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    async with opened({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}) as spans:
        assert spans is None
    (line,) = caplog.records
    assert line.getMessage().startswith("no spans are written: ")


async def test_logs_name_the_trace_only_while_spans_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    async with opened({"OTEL_TRACES_EXPORTER": "console"}) as spans:
        assert spans is not None
        assert shown_trace_id("task-1") == f"{trace_id_of('task-1'):032x}"
        spans.watch(Task("task-1", "w", "n", {}, {}, 1, state=telemetry.TaskState.DONE, ended_at=5), ())
    assert shown_trace_id("task-1") is None
    assert json.loads(capsys.readouterr().out)["name"] == "task"


def test_the_collectors_credentials_are_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    handler = Seldom(environ={"OTEL_EXPORTER_OTLP_HEADERS": f"api-key={SECRET}%21,{SECRET}"})
    for text in (f"cannot read {SECRET}", f"cannot read api-key={SECRET}%21,{SECRET}", f"sent {SECRET}!"):
        handler.handle(logging.LogRecord("opentelemetry.x", logging.WARNING, "", 0, text, (), None))
    assert len(caplog.records) == 3
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "otpl"}, "names 'otpl'; otlp, console and none are known"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "'grpc'; spans are sent as http/protobuf"),
    ],
)
def test_what_the_environment_asks_for_in_vain_is_told(
    environ: dict[str, str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    exporters_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", **environ})
    (line,) = caplog.records
    assert said in line.getMessage()


def test_the_sdk_says_the_same_trouble_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    handler = Seldom(lambda: now[0])

    def say(text: str, *args: Any, level: int = logging.WARNING) -> None:
        handler.handle(logging.LogRecord("opentelemetry.x", level, "", 0, text, args, None))

    for second in range(3):
        now[0] = second
        say("no answer from %s, retrying in %.1f s", f"http://ada:{SECRET}@x/", second)
    say("another")
    now[0] = SELDOM + 1
    say("no answer from %s, retrying in %.1f s", "http://x/", 9)
    assert [record.getMessage() for record in caplog.records] == [
        "spans: no answer from http://(hidden: String)@x/, retrying in 0.0 s",
        "spans: another",
        "spans: no answer from http://x/, retrying in 9.0 s (2 more like it)",
    ]
    assert not logging.getLogger("opentelemetry.x").isEnabledFor(logging.DEBUG)


STEP = """
from aloma_py import step

@step(condition={"n": int})
def double(data):
    data.n = str(data.n * 2)
"""


def closed_port() -> int:
    with Socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def test_a_collector_that_is_down_costs_a_line_and_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
    (tmp_path / "steps.py").write_text(STEP)
    settings = Settings(store=tmp_path / "a.db", http="off")
    async with SQLiteStore(settings.store) as store:
        now = 1_767_225_600_000
        tasks = [new_task("default", f"t{n}", {"n": n}, via=None, now=now, limits=Limits()) for n in range(200)]
        await store.workspace("default").accept(tasks)
    ended = anyio.Event()
    left = len(tasks)
    watch = Spans.watch

    def count(self: Spans, task: Task, entries: Sequence[Any]) -> None:
        nonlocal left
        watch(self, task, entries)
        left -= task.state.ended
        if not left:
            ended.set()

    monkeypatch.setattr(Spans, "watch", count)
    with caplog.at_level(logging.WARNING), anyio.fail_after(12):
        async with anyio.create_task_group() as group:
            group.start_soon(serve, Serving(settings, [str(tmp_path / "steps.py")]), lambda ready: None)
            await ended.wait()
            begun = time.perf_counter()
            os.kill(os.getpid(), signal.SIGTERM)
        assert time.perf_counter() - begun < 4
    said = [record.getMessage() for record in caplog.records if "spans" in record.getMessage()]
    assert 1 <= len(said) <= 4, said
    assert len(said) == len(set(said))
    async with SQLiteStore(settings.store) as store:
        assert (await store.workspace("default").counts())[telemetry.TaskState.DONE] == 200
