"""Live events: what is told, to whom, from where on, and what becomes of those that do not keep up."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from aloma_py import step
from aloma_py.engine import Engine
from aloma_py.errors import AlomaError
from aloma_py.models import Entry, ErrorInfo, LogLine, Task, TaskState
from aloma_py.operations import Operations, Role, Site
from aloma_py.scheduler import Scheduler
from aloma_py.serve.web import events as events_module
from aloma_py.serve.web.app import make_app
from aloma_py.serve.web.events import Events, Listener, events_router
from aloma_py.serve.web.guard import Identity
from aloma_py.serve.web.problems import AccessError, problem_of
from aloma_py.serve.web.server import listen, serving
from aloma_py.settings import Settings
from aloma_py.steps import load_steps
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

START = 1_767_225_600_000
FIRST = START * 1000


class Keys:
    """A guard: ``Bearer NAME`` is who has these roles."""

    def __init__(self) -> None:
        self.roles: dict[str, dict[str, Role]] = {
            "viewer": {"shop": Role.VIEWER},
            "other": {"bank": Role.ADMIN},
        }

    async def identify(self, request: Request) -> Identity:
        name = request.headers.get("authorization", "").removeprefix("Bearer ")
        if name not in self.roles:
            raise AccessError(401, "who are you?")
        return Identity(name, self.roles[name])


class Client:
    """One request to the application; ``text`` is what came so far."""

    def __init__(self, house: Place, path: str, key: str = "viewer", **headers: str) -> None:
        self.status = 0
        self.text = ""
        self.ended = False
        self.reads = True  # else nothing that is sent ever arrives
        self._app = house.app
        self._gone = anyio.Event()
        self._news = anyio.Event()
        path, _, query = path.partition("?")
        given = {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        self._scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": f"/api/v1{path}", "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1),
        }  # fmt: skip

    async def run(self) -> None:
        await self._app(self._scope, self._receive, self._send)
        self.ended = True
        self._news.set()

    async def until(self, *parts: str) -> str:
        """What came, once all parts have; also when the stream has ended."""
        with anyio.fail_after(5):
            while not (self.ended or all(part in self.text for part in parts)):
                self._news = anyio.Event()
                await self._news.wait()
        return self.text

    async def until_ended(self) -> str:
        return await self.until("\0")

    def leave(self) -> None:
        self._gone.set()

    @property
    def told(self) -> list[dict[str, Any]]:
        """The events: ``{event, id, data}``."""
        found = []
        for block in self.text.split("\n\n")[:-1]:
            lines = dict(line.split(": ", 1) for line in block.split("\n") if line[0] != ":")
            if "event" in lines:
                found.append({**lines, "id": int(lines["id"]), "data": json.loads(lines["data"])})
        return found

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if not self.reads:
            await anyio.sleep_forever()
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.text += message.get("body", b"").decode()
        self._news.set()


async def tell(request: Request, error: Exception) -> Response:
    return problem_of(error)


class Place:
    """An application with the events of ``events``, and clients of it."""

    def __init__(self, store: SQLiteStore, events: Events, group: Any) -> None:
        self.store, self.events, self.group = store, events, group
        self.keys = Keys()
        self.app = FastAPI()  # without all that there is beside: each test makes one
        self.app.add_exception_handler(AlomaError, tell)
        self.app.include_router(events_router(self.find, self.keys, events), prefix="/api/v1")

    def find(self, name: str) -> Operations:
        return Operations(Site(Engine(self.store.workspace(name), ()), self.store, Settings(workspace=name)))

    async def listen(self, path: str = "/workspaces/shop/events", key: str = "viewer", **headers: str) -> Client:
        """A client that has been greeted, or was refused."""
        client = Client(self, path, key, **headers)
        self.group.start_soon(client.run)
        await client.until("\n\n")
        return client

    def happens(self, id: str = "task-1", state: str = "running", *entries: Entry, workspace: str = "shop") -> None:
        task = Task(id, workspace, "order", {}, {}, START, state=TaskState(state), updated_at=START, reason="so it is")
        self.events.watch(task, entries)


@asynccontextmanager
async def place(**options: Any) -> AsyncIterator[Place]:
    async with SQLiteStore(":memory:") as store, anyio.create_task_group() as group:
        for name in ("shop", "bank"):
            await store.workspace(name).set_facts(created_at=START)
        yield Place(store, Events(START, **options), group)
        group.cancel_scope.cancel()


def run(n: int = 1, **more: Any) -> Entry:
    return Entry(n, "run", START, START + 12, step="check", wave=n, **more)


# ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_states_runs_and_log_lines_are_told_as_they_happen() -> None:
    async with place() as here:
        client = await here.listen()
        assert client.status == 200
        here.happens("task-1", "running")
        error = ErrorInfo("ValueError", "no such\nshelf", "the stack stays in the history")
        here.happens("task-1", "running", run(logs=(LogLine(START + 3, "info", "línea"),)))
        here.happens("task-1", "error", run(2, outcome="failed", error=error), Entry(3, "end", START, START))
        await client.until('"state":"error"')
        assert [(one["event"], one["id"] - FIRST) for one in client.told] == [
            ("task", 0), ("run", 1), ("log", 2), ("run", 3), ("task", 4),
        ]  # fmt: skip
        state, ok, line, failed, end = (one["data"] for one in client.told)
        at = "2026-01-01T00:00:00"
        assert state == {
            "task": "task-1",
            "name": "order",
            "state": "running",
            "reason": "so it is",
            "at": f"{at}.000Z",
        }
        assert ok == {"task": "task-1", "step": "check", "n": 1, "wave": 1, "attempt": 1, "outcome": "ok", "ms": 12,
                      "at": f"{at}.012Z", "error": None}  # fmt: skip
        assert line == {"task": "task-1", "step": "check", "n": 1, "at": f"{at}.003Z", "level": "info", "text": "línea"}
        assert failed["error"] == {"type": "ValueError", "message": "no such\nshelf"}
        assert "stack" not in client.text
        assert end["state"] == "error"


async def test_long_texts_and_logs_are_cut() -> None:
    async with place() as here:
        client = await here.listen()
        here.happens("task-1", "done", run(logs=tuple(LogLine(START, "info", "x" * 5000) for _ in range(500))))
        await client.until('"state":"done"')
        lines = [one["data"]["text"] for one in client.told if one["event"] == "log"]
        assert len(lines) == events_module.LINES
        assert lines[0] == "x" * 2000 + "…"


async def test_no_more_is_sent_in_one_go_than_a_client_that_does_not_read_may_take_of_the_memory() -> None:
    channel = Events(START).channel("shop")
    listener = Listener(channel, channel.next, frozenset({"log"}), None)
    task = Task("task-1", "shop", "order", {}, {}, START, state=TaskState.RUNNING, updated_at=START)
    channel.put(task, [run(logs=tuple(LogLine(START, "info", f"{n} " + "x" * 1900) for n in range(100)))])
    pieces = list(iter(listener.take, b""))
    assert max(map(len, pieces)) < events_module.BYTES_AT_ONCE + 5_000
    assert b"".join(pieces).count(b"event: log") == 100


async def test_only_what_was_asked_for_is_told() -> None:
    async with place() as here:
        one = await here.listen("/workspaces/shop/events?task=task-2")
        runs = await here.listen("/workspaces/shop/events?kinds=run,log")
        here.happens("task-1", "running", run())
        here.happens("task-2", "done", run())
        await one.until('"state":"done"')
        await runs.until('"task":"task-2"')
        assert {told["data"]["task"] for told in one.told} == {"task-2"}
        assert [told["event"] for told in runs.told] == ["run", "run"]


async def test_nothing_is_told_across_workspaces() -> None:
    async with place() as here:
        client = await here.listen()
        here.happens("task-bank", "running", run(), workspace="bank")
        here.happens("task-shop", "running")
        await client.until("task-shop")
        assert "bank" not in client.text
        assert [one["id"] - FIRST for one in client.told] == [0]  # not even how much happened there
        stranger = await here.listen("/workspaces/bank/events")
        assert (stranger.status, stranger.ended) == (404, True)
        assert "there is no workspace 'bank' that you may see" in stranger.text


@pytest.mark.parametrize(
    ("path", "key", "status", "said"),
    [
        ("/workspaces/shop/events", "nobody", 401, "who are you?"),
        ("/workspaces/shop/events?kinds=runs", "viewer", 404, "there is no kind of event 'runs'; did you mean 'run'?"),
        ("/workspaces/shop/events?after=x", "viewer", 422, "Last-Event-ID is 'x'; the id of an event was expected"),
        ("/workspaces/shop/events?after=-1", "viewer", 422, "Last-Event-ID is '-1'"),
    ],
)
async def test_what_cannot_be_followed_is_said(path: str, key: str, status: int, said: str) -> None:
    async with place() as here:
        client = await here.listen(path, key)
        await client.until_ended()
        assert (client.status, json.loads(client.text)["detail"][: len(said)]) == (status, said)
        assert here.events.listening == 0


# ── from where on ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_client_goes_on_where_it_was() -> None:
    async with place() as here:
        client = await here.listen()
        here.happens("task-1", "running")
        await client.until("task-1")
        client.leave()
        await client.until_ended()
        for number in (2, 3):
            here.happens(f"task-{number}", "running")
        again = await here.listen(last_event_id=str(client.told[-1]["id"]))
        await again.until("task-3")
        assert [one["data"]["task"] for one in again.told] == ["task-2", "task-3"]
        # The same by the address, from the id that it was greeted with before anything happened.
        all_of_it = await here.listen(f"/workspaces/shop/events?after={FIRST - 1}")
        await all_of_it.until("task-3")
        assert [one["id"] - FIRST for one in all_of_it.told] == [0, 1, 2]


async def test_without_an_id_it_begins_now_and_is_told_where_that_is() -> None:
    async with place() as here:
        here.happens("task-1", "running")
        client = await here.listen()
        here.happens("task-2", "running")
        await client.until("task-2")
        assert "task-1" not in client.text
        assert f"id: {FIRST}\n\n" in client.text


@pytest.mark.parametrize("last", [0, 7, 10**17])
async def test_an_id_that_is_not_kept_is_told(last: int) -> None:
    async with place(ring=10) as here:
        for number in range(25):
            here.happens(f"task-{number}", "running")
        client = await here.listen(last_event_id=str(FIRST + last if last == 7 else last))
        here.happens("task-new", "running")
        await client.until("task-new")
        assert [one["event"] for one in client.told] == ["reset", "task"]
        assert [one["id"] - FIRST for one in client.told] == [24, 25]
        kept = await here.listen(last_event_id=str(FIRST + 15))
        await kept.until("task-new")
        assert [one["id"] - FIRST for one in kept.told] == list(range(16, 26))


async def test_ids_go_on_after_a_restart() -> None:
    before, after = Events(START), Events(START + 1)
    channel = before.channel("shop")
    for number in range(900):
        before.watch(Task(f"t{number}", "shop", "n", {}, {}, START), ())
    assert channel.next <= after.channel("shop").first


# ── those that do not keep up, and those that wait ──────────────────────────────────────────────────────────────────


async def test_who_falls_out_of_the_ring_is_disconnected_and_others_are_not() -> None:
    async with place(ring=50) as here:
        slow, quick = await here.listen(), await here.listen()
        for number in range(40):
            here.happens(f"task-{number}", "running")
        await quick.until("task-39")
        (listener,) = [one for one in here.events.channel("shop").listeners if one.place == FIRST + 40][:1]
        listener.place = FIRST  # as if it had been sent nothing of this
        for number in range(40, 80):
            here.happens(f"task-{number}", "running")
        with anyio.fail_after(5):
            while not (slow.ended or quick.ended):
                await anyio.lowlevel.checkpoint()
        other = quick if slow.ended else slow
        await other.until("task-79")
        assert not other.ended
        assert here.events.listening == 1


async def test_who_does_not_read_is_dropped_and_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "SEND_SECONDS", 0.05)
    async with place() as here:
        client, other = await here.listen(), await here.listen()
        client.reads = False
        here.happens("task-1", "running")
        await other.until("task-1")
        await client.until_ended()
        assert here.events.listening == 1
        assert not other.ended


async def test_silence_is_filled_with_comments() -> None:
    async with place(keep_alive=0.02) as here:
        client = await here.listen()
        await client.until(": alive\n\n: alive\n\n")
        assert client.told == []


async def test_who_may_not_any_more_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "CHECK_SECONDS", 0.0)
    async with place(keep_alive=0.02) as here:
        client = await here.listen()
        await client.until(": alive")
        assert not client.ended
        del here.keys.roles["viewer"]
        await client.until_ended()
        assert here.events.listening == 0


async def test_all_streams_end_when_the_server_stops() -> None:
    async with place() as here:
        clients = [await here.listen() for _ in range(50)]
        here.events.close()
        for client in clients:
            await client.until_ended()
        assert here.events.listening == 0


async def test_there_is_a_most_of_listeners(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "MAX_LISTENERS", 1)
    async with place() as here:
        await here.listen()
        assert (await here.listen()).status == 429


async def test_states_that_are_remembered_have_an_end() -> None:
    events = Events(START, ring=10)
    for number in range(1000):
        events.watch(Task(f"t{number}", "shop", "n", {}, {}, START), ())
    assert len(events.channel("shop")._states) <= 10


# ── the whole way ───────────────────────────────────────────────────────────────────────────────────────────────────


@step(condition={"n": 1})
def double(data: Any, log: Any) -> None:
    log.info("doubling")
    data.n = 2


async def test_an_engine_a_server_and_a_socket() -> None:
    async with SQLiteStore(":memory:") as store:
        events = Events(START)
        engine = Engine(store.workspace("shop"), load_steps([double]).steps)
        engine.custody.watchers.append(events.watch)
        operations = Operations(Site(engine, store, Settings(workspace="shop"), advancing=True))
        await store.workspace("shop").set_facts(created_at=START)
        keys = Keys()
        app = make_app(lambda name: operations, keys, more=[events_router(lambda name: operations, keys, events)])
        assert "/api/v1/workspaces/{workspace}/events" in app.openapi()["paths"]
        listener = listen("127.0.0.1:0")
        host, port = listener.getsockname()
        async with Scheduler(engine).running(), serving(app, listener):
            async with await anyio.connect_tcp(host, port) as stream:
                await stream.send(
                    b"GET /api/v1/workspaces/shop/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer\r\n\r\n"
                )
                text = (await stream.receive()).decode()
                assert "content-type: text/event-stream" in text
                assert "content-length" not in text
                await operations.call("new_task", {"data": {"n": 1}})
                with anyio.fail_after(5):
                    while '"state":"done"' not in text:
                        text += (await stream.receive()).decode()
                for part in ('"text":"doubling"', "event: run", '"state":"pending"'):
                    assert part in text
            with anyio.fail_after(5):
                while events.listening:  # it is noticed that the client has gone
                    await anyio.lowlevel.checkpoint()
            events.close()
