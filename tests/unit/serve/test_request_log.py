"""The id of each request: taken or made, answered, in the lines that are logged for it; and the line of its answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from aloma_py.cli.logs import About
from aloma_py.serve.web.door import Front
from aloma_py.serve.web.request_log import RequestLog, request_id

pytestmark = pytest.mark.anyio

logger = logging.getLogger("aloma_py.serve")


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    about = About()
    caplog.handler.addFilter(about)
    with caplog.at_level(logging.INFO, "aloma_py"), caplog.at_level(logging.INFO, "aloma_py.access"):
        yield caplog
    caplog.handler.removeFilter(about)


def records(said: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    return [record.__dict__ for record in said.records if record.name == f"aloma_py.{name}"]


class Door:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 202})
        await send({"type": "http.response.body", "body": b""})


def app() -> ASGIApp:
    api = FastAPI()

    @api.get("/api/v1/workspaces/{workspace}/tasks/{id}")
    async def show(workspace: str, id: str) -> dict[str, Any]:
        logger.warning("looking")
        return {"id": request_id()}

    @api.get("/api/v1/fails")
    async def fails() -> None:
        raise ValueError("it failed")

    return RequestLog(Front(Door(), api))  # type: ignore[arg-type]


def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app(), raise_app_exceptions=False, client=("192.0.2.7", 1)), base_url="http://x"
    )


PATH = "/api/v1/workspaces/shop/tasks/t1"


async def test_an_id_that_is_given_is_taken_and_one_is_made_where_none_is(said: pytest.LogCaptureFixture) -> None:
    async with client() as http:
        given = await http.get(PATH, headers={"X-Request-ID": "req-1/a:b"})
        made = [await http.get(PATH) for _ in range(2)]
    assert given.headers["x-request-id"] == given.json()["id"] == "req-1/a:b"
    ids = {answer.headers["x-request-id"] for answer in made}
    assert len(ids) == 2 and all(len(one) == 32 for one in ids)
    assert {one["request_id"] for one in (*records(said, "serve"), *records(said, "access"))} == {"req-1/a:b", *ids}
    assert request_id() is None


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "<script>", "a\tb", "é".encode(), '"', "%0a"])
async def test_an_id_that_could_do_harm_is_replaced(given: str | bytes) -> None:
    async with client() as http:
        answer = await http.get(
            PATH, headers=[(b"X-Request-ID", given if isinstance(given, bytes) else given.encode())]
        )
    assert len(answer.headers.get_list("x-request-id")) == 1
    assert len(answer.headers["x-request-id"]) == 32


async def test_a_line_says_what_was_answered_and_no_path_nor_query(said: pytest.LogCaptureFixture) -> None:
    async with client() as http:
        await http.get(f"{PATH}?token=hush")
        await http.post("/event/hush?token=hush")
        await http.get("/nothing/hush")
        assert (await http.get("/api/v1/fails")).status_code == 500
    lines = records(said, "access")
    names = ("method", "route", "status", "workspace", "task", "client")
    assert [tuple(line.get(name) for name in names) for line in lines] == [
        ("GET", "/workspaces/{workspace}/tasks/{id}", 200, "shop", "t1", "192.0.2.7"),
        ("POST", "/event/{id}", 202, None, None, "192.0.2.7"),
        ("GET", "(none)", 404, None, None, "192.0.2.7"),
        ("GET", "/fails", 500, None, None, "192.0.2.7"),
    ]
    assert all(line["action"] == "request" and line["ms"] >= 0 for line in lines)
    assert "hush" not in f"{lines} {records(said, 'serve')}"


async def test_what_goes_on_after_the_answer_has_no_id(said: pytest.LogCaptureFixture) -> None:
    go_on, gone_on = anyio.Event(), anyio.Event()

    async def later() -> None:
        logger.warning("at first")
        await go_on.wait()
        logger.warning("later")
        gone_on.set()

    async with anyio.create_task_group() as group:

        async def begin(scope: Scope, receive: Receive, send: Send) -> None:
            group.start_soon(later)
            await anyio.lowlevel.checkpoint()
            await Door()(scope, receive, send)

        transport = httpx2.ASGITransport(RequestLog(begin))
        async with httpx2.AsyncClient(transport=transport, base_url="http://x") as http:
            await http.get("/")
        go_on.set()
        await gone_on.wait()
    assert [one.get("request_id") is None for one in records(said, "serve")] == [False, True]


async def test_nothing_is_logged_and_the_id_is_there_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "aloma_py.access"):
        async with client() as http:
            assert (await http.post("/event/x")).headers["x-request-id"]
    assert not [record for record in caplog.records if record.name == "aloma_py.access"]
