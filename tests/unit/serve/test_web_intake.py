"""Many tasks in one request, and requests that are sent again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from aloma_py.errors import AlomaError, InputError, StateError, StoreFull
from aloma_py.operations import Operations, Role
from aloma_py.serve.house import idle_operations
from aloma_py.serve.web import intake
from aloma_py.serve.web.guard import Identity
from aloma_py.serve.web.intake import KEPT, NDJSON, Idempotency, bulk_router, purge_idempotency
from aloma_py.serve.web.problems import problem_of
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

BULK = "/workspaces/default/tasks/bulk"
NDJSON_HEADERS = {"Content-Type": NDJSON}
NOW = 1_767_225_600_000


class Keys:
    """Who asks has the role that stands in the header."""

    async def identify(self, request: Request) -> Identity:
        role = request.headers.get("x-role", "operator")
        return Identity(request.headers.get("x-name", "ada"), {"default": Role[role.upper()]})


async def tell(request: Request, error: Exception) -> Response:
    return problem_of(error)


class Place:
    def __init__(self, store: SQLiteStore) -> None:
        self.store = store
        self.operations: Operations = idle_operations(store, Settings(max_data_bytes=1024))
        self.idempotency = Idempotency(store)
        self.now = NOW
        self.made = 0
        self.keeps = True
        self.make: Callable[[Request], Any] = self.count
        app = FastAPI()  # without all that there is beside: each test makes one
        app.add_exception_handler(AlomaError, tell)
        for router in (bulk_router(lambda name: self.operations, Keys()), self._things()):
            app.include_router(router, prefix="/api/v1")
        where = httpx2.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx2.AsyncClient(transport=where, base_url="http://x/api/v1")

    async def bulk(self, *lines: Any, **headers: str) -> tuple[int, list[dict[str, Any]]]:
        body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
        answer = await self.http.post(BULK, content=body, headers=NDJSON_HEADERS | headers)
        if answer.headers["content-type"] != NDJSON:
            return answer.status_code, [answer.json()]
        return answer.status_code, [json.loads(line) for line in answer.text.splitlines()]

    async def tasks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.operations.call("list_tasks", {"limit": 1000})
        return found[::-1]

    async def count(self, request: Request) -> Response:
        self.made += 1
        return JSONResponse({"made": self.made}, 201)

    async def thing(self, key: str | None, body: str = "{}", path: str = "", **headers: str) -> httpx2.Response:
        given = headers if key is None else {"Idempotency-Key": key, **headers}
        return await self.http.post(f"/workspaces/default/things{path}", content=body, headers=given)

    def _things(self) -> APIRouter:
        router = APIRouter()

        @router.post("/workspaces/{workspace}/things{rest:path}")
        async def things(request: Request, workspace: str, rest: str) -> Response:
            who = (await Keys().identify(request)).name
            return await self.idempotency.answer(
                request, workspace, who, self.now, lambda: self.make(request), keep=self.keeps
            )

        return router


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    async with SQLiteStore(":memory:") as store:
        here = Place(store)
        async with here.http:
            yield here


# ── many tasks ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_line_is_a_task() -> None:
    async with place() as here:
        status, told = await here.bulk({"data": {"n": 1}, "name": "one", "tags": ["a"]}, b"", {"data": {"n": 2}}, b"")
        assert status == 200
        tasks = await here.tasks()
        assert told == [{"line": 1, "id": tasks[0]["id"]}, {"line": 3, "id": tasks[1]["id"]}]
        assert [(task["name"], task["tags"]) for task in tasks] == [("one", ["a"]), ("task", [])]
        assert tasks[0]["via"]["type"] == "api"
        assert (await here.operations.call("show_task", {"id": tasks[1]["id"]}))["data"] == {"n": 2}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "the line: line 1, column 2: the text ends too early"),
        (b"[1]", "the line is an array; an object was expected"),
        ({"data": [1]}, "data is an array; an object was expected"),
        ({"name": "x"}, 'data is missing; {"data": {…}} was expected'),
        ({"data": {}, "tag": ["a"]}, "the line has a member 'tag'; did you mean 'tags'?"),
        ({"data": {}, "tags": "a"}, "the task's tags are"),
        ({"data": {}, "name": 5}, "the task's name is"),
        ({"data": {"x": "y" * 2000}}, "data is 2,"),
        (b'{"data": {"a": 1, "a": 2}}', "has the member 'a' twice"),
        (b'{"data": {"a": NaN}}', "the line.data.a is NaN"),
        (b'{"data": {"a": "\xff"}}', "the line is not UTF-8 text"),
    ],
)
async def test_a_line_that_is_no_task_is_said_and_the_others_are_taken(line: Any, said: str) -> None:
    async with place() as here:
        status, told = await here.bulk({"data": {}}, line, {"data": {}})
        assert (status, [one["line"] for one in told]) == (200, [1, 2, 3])
        assert said in told[1]["error"]
        assert len(await here.tasks()) == 2


async def test_what_one_task_cannot_does_not_keep_the_others() -> None:
    """Where the transaction is refused for one of its tasks, each goes by itself."""
    async with place() as here:
        submit, calls = here.operations.engine.submit, []

        async def picky(tasks: Any) -> None:
            calls.append(len(tasks))
            if any(task.name == "bad" for task in tasks):
                raise InputError("not this one")
            await submit(tasks)

        here.operations.engine.submit = picky  # type: ignore[method-assign]
        status, told = await here.bulk({"data": {}}, {"data": {}, "name": "bad"}, {"data": {}})
        assert (status, calls) == (200, [3, 1, 1, 1])
        assert told[1] == {"line": 2, "error": "not this one"}
        assert [task["id"] for task in await here.tasks()] == [told[0]["id"], told[2]["id"]]


async def test_the_body_is_read_and_stored_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first tasks are on disk before the last ones have been sent."""
    monkeypatch.setattr(intake, "CHUNK_TASKS", 10)
    async with place() as here:
        seen = []
        text = b"".join(b'{"data": {"n": %d}}\n' % n for n in range(100))
        pieces = [*(text[start : start + 70] for start in range(0, len(text), 70)), b""]
        waiting = iter({"type": "http.request", "body": piece, "more_body": bool(piece)} for piece in pieces)

        async def receive() -> Any:
            seen.append(len(await here.tasks()))
            return next(waiting)

        bulk = intake.Bulk(here.operations, here.operations.engine.limits)
        answer = await intake._take_all(bulk, Request({"type": "http", "headers": []}, receive))
        assert len(bytes(answer.body).splitlines()) == 100
        assert seen == sorted(seen)
        assert set(seen) == {*range(0, 101, 10)}


async def test_too_long_a_line_and_too_many_end_it_and_what_was_before_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "AROUND", 100)
    async with place() as here:
        status, told = await here.bulk({"data": {}}, b"x" * 2000, {"data": {}})
        assert (status, len(told), len(await here.tasks())) == (200, 2, 1)
        assert told[1] == {
            "after": 1,
            "error": "nothing after this line was read: the next line is longer than 1,124 bytes",
        }
        status, told = await here.bulk(b"x" * 2000)
        assert (status, told[0]["detail"]) == (422, "the next line is longer than 1,124 bytes")
        monkeypatch.setattr(intake, "MAX_LINES", 3)
        status, told = await here.bulk(*[{"data": {}}] * 5)
        assert (status, [one.get("line") for one in told]) == (200, [1, 2, 3, None])
        assert told[3]["after"] == 3
        assert len(await here.tasks()) == 4


async def test_a_store_that_cannot_ends_it_and_says_which_were_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "CHUNK_TASKS", 2)
    async with place() as here:
        submit, calls = here.operations.engine.submit, 0

        async def full(tasks: Any) -> None:
            nonlocal calls
            calls += 1
            if calls % 2 == 0:
                raise StoreFull("there is no room")
            await submit(tasks)

        here.operations.engine.submit = full  # type: ignore[method-assign]
        status, told = await here.bulk(*[{"data": {}}] * 6)
        assert (status, [sorted(one) for one in told]) == (
            200, [["id", "line"], ["id", "line"], ["error", "line"], ["error", "line"], ["after", "error"]],
        )  # fmt: skip
        assert told[4]["after"] == 4
        assert len(await here.tasks()) == 2
        calls = 1
        status, told = await here.bulk({"data": {}})
        assert (status, told[0]["detail"]) == (
            503,
            "the store cannot do this now: there is no room left; try again later",
        )


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"Content-Type": "application/json"}, 415, "the body is application/json; application/x-ndjson was expected"),
        ({"Content-Encoding": "gzip"}, 415, "not compressed"),
        ({"Idempotency-Key": "k"}, 422, "Idempotency-Key is not taken here"),
        ({"X-Role": "viewer"}, 403, "this needs the role operator"),
    ],
)
async def test_what_is_no_bulk_request_is_said(headers: dict[str, str], status: int, said: str) -> None:
    async with place() as here:
        answer = await here.http.post(BULK, content=b'{"data": {}}', headers=NDJSON_HEADERS | headers)
        assert (answer.status_code, said in answer.json()["detail"]) == (status, True)
        assert await here.tasks() == []


async def test_an_archived_workspace_takes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "CHUNK_TASKS", 1)
    async with place() as here:
        handle = here.store.workspace("default")
        await handle.set_facts(archived_at=5)
        status, told = await here.bulk({"data": {}})
        assert (status, told[0]["detail"]) == (
            409,
            "the workspace 'default' is archived: it takes no tasks and changes none",
        )
        await handle.set_facts(archived_at=None)
        submit = here.operations.engine.submit

        async def then_archive(tasks: Any) -> None:
            await submit(tasks)
            await handle.set_facts(archived_at=5)

        here.operations.engine.submit = then_archive  # type: ignore[method-assign]
        status, told = await here.bulk({"data": {}}, {"data": {}})
        assert (status, "id" in told[0], "is archived" in told[1]["error"]) == (200, True, True)


# ── idempotency keys ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_same_key_and_request_give_the_same_answer() -> None:
    async with place() as here:
        first, again = await here.thing("k"), await here.thing("k")
        assert (first.status_code, first.json()) == (201, {"made": 1})
        assert (again.status_code, again.json()) == (201, {"made": 1})
        assert (first.headers.get("idempotent-replay"), again.headers["idempotent-replay"]) == (None, "true")
        assert (await here.thing("other")).json() == {"made": 2}
        assert (await here.thing(None)).json() == {"made": 3}
        assert (await here.thing("k", **{"X-Name": "bob"})).json() == {"made": 4}  # somebody else's key


@pytest.mark.parametrize(("body", "path"), [('{"a": 1}', ""), ("{}", "/other"), ("{}", "?a=1")])
async def test_the_same_key_for_another_request_is_refused(body: str, path: str) -> None:
    async with place() as here:
        await here.thing("k")
        answer = await here.thing("k", body, path)
        assert answer.status_code == 409
        assert answer.json()["detail"] == "this Idempotency-Key was used for another request; a new one was expected"
        assert here.made == 1


async def test_an_answer_that_may_hold_a_secret_is_not_kept_and_nothing_is_done_twice() -> None:
    async with place() as here:
        here.keeps = False
        assert (await here.thing("k")).json() == {"made": 1}
        again = await here.thing("k")
        assert (again.status_code, here.made) == (409, 1)
        assert "this was done when its Idempotency-Key was first used" in again.json()["detail"]
        assert here.store.reader.execute("SELECT answer FROM idempotency").fetchall() == [("",)]


async def test_what_failed_may_be_tried_again_with_its_key() -> None:
    async with place() as here:

        async def refuse(request: Request) -> Response:
            raise StateError("not now")

        async def busy(request: Request) -> Response:
            return JSONResponse({}, 503)

        here.make = refuse
        assert (await here.thing("k")).status_code == 409
        here.make = busy
        assert (await here.thing("k")).status_code == 503
        here.make = here.count
        assert (await here.thing("k")).json() == {"made": 1}


async def test_what_nobody_knows_the_end_of_is_not_done_again() -> None:
    """The server ended, or failed, between doing it and keeping its answer."""
    async with place() as here:

        async def die(request: Request) -> Response:
            raise RuntimeError("nobody knows how far it came")

        here.make = die
        assert (await here.thing("k")).status_code == 500
        here.make = here.count
        answer = await here.thing("k")
        assert (answer.status_code, here.made) == (409, 0)
        assert "see whether it was done" in answer.json()["detail"]


async def test_two_at_once_are_done_once() -> None:
    async with place() as here:
        begun, go_on = anyio.Event(), anyio.Event()
        answers: list[httpx2.Response] = []

        async def wait(request: Request) -> Response:
            begun.set()
            await go_on.wait()
            return await here.count(request)

        async def ask() -> None:
            answers.append(await here.thing("k"))

        here.make = wait
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await begun.wait()
            second = await here.thing("k")
            go_on.set()
        assert (second.status_code, answers[0].status_code, here.made) == (409, 201, 1)
        assert "is under way" in second.json()["detail"]
        assert (await here.thing("k")).json() == {"made": 1}


async def test_answers_are_kept_for_a_day() -> None:
    async with place() as here:
        await here.thing("k")
        here.now += KEPT
        assert (await here.thing("k")).json() == {"made": 1}
        here.now += 1
        assert (await here.thing("k")).json() == {"made": 2}
        for number in range(3):
            await here.thing(f"more {number}")
        assert await purge_idempotency(here.store, here.now + KEPT) == 0
        assert await purge_idempotency(here.store, here.now + KEPT + 1) == 4


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_that_cannot_be_one_is_refused(key: str) -> None:
    async with place() as here:
        assert (await here.thing(key)).status_code == 422
        assert here.made == 0
