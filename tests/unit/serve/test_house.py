"""Workspaces that are closed while the server begins, and what else goes on there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from aloma_py.jsontext import dumps
from aloma_py.scheduler import Scheduler
from aloma_py.serve import loop
from aloma_py.serve.house import House
from aloma_py.serve.web.server import address_of, listen, serving
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    async with SQLiteStore(folder / "tasks.db") as store, anyio.create_task_group() as group:
        house = House(store, Settings(store=folder / "tasks.db"), group)
        for name in ("one", "two"):
            await house.open(name, empty=True)
        yield house
        for name in list(house.served):
            await house.close(name)
        group.cancel_scope.cancel()


async def test_a_workspace_is_closed_before_any_began(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        with anyio.fail_after(5):
            await house.close("one")
            await house.begin()
        assert [*house.served] == ["two"]


async def test_a_workspace_is_closed_while_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as house:
        one, collecting = house.served["one"], anyio.Event()

        async def collect(scheduler: Scheduler) -> None:
            if scheduler is one.scheduler:
                collecting.set()
                await anyio.sleep_forever()

        monkeypatch.setattr(Scheduler, "collect", collect)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(house.begin)
                await collecting.wait()
                await house.close("one")
        assert one.gone.is_set()
        assert [*house.served] == ["two"]


async def test_connectors_that_take_long_to_close_hold_up_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        await house.begin()
        closing, closed = anyio.Event(), anyio.Event()

        async def close_old() -> None:
            closing.set()
            await closed.wait()

        house.served["one"].connectors.close_old = close_old  # type: ignore[method-assign]
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(house.reload, "one")
                await closing.wait()
                await house.reload("two")
                closed.set()


async def test_maintenance_that_fails_ends_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries, again = count(1), anyio.Event()

    async def broken(*_: Any) -> Any:
        if next(tries) == 3:
            again.set()
        raise ValueError("a row that nobody expected")

    monkeypatch.setattr(loop, "clear_interrupted", broken)
    monkeypatch.setattr(loop, "MAINTENANCE", 1)
    async with opened(tmp_path) as house, anyio.create_task_group() as group:
        group.start_soon(loop._maintain, house.store, house.served["one"].operations)
        with anyio.fail_after(5):
            await again.wait()
        group.cancel_scope.cancel()
    assert "maintenance was not possible, it is tried again: a row that nobody expected" in caplog.text


async def test_a_server_starts_after_an_import_that_died(tmp_path: Path) -> None:
    left = dumps({"archived_at": 5, "importing": {"id": "mark", "before": None}})
    sql = "INSERT INTO workspace (name, facts) VALUES ('default', ?)"
    async with SQLiteStore(tmp_path / "tasks.db") as store:
        await store.writer.write(Write(job=lambda connection: connection.execute(sql, (left,)) and None))
    settings = Settings(store=tmp_path / "tasks.db", http="127.0.0.1:0")
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(loop.serve, loop.Serving(settings), lambda ready: group.cancel_scope.cancel())


async def test_a_request_under_way_is_answered_though_all_else_is_cancelled() -> None:
    told, begun, listener = list[str](), anyio.Event(), listen("127.0.0.1:0")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        for _ in range(100):
            await anyio.lowlevel.checkpoint()
        await PlainTextResponse("done")(scope, receive, send)
        told.append("answered")

    async def ask() -> None:
        async with httpx2.AsyncClient() as http:
            told.append((await http.get(address_of(listener))).text)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as asking:
            async with anyio.create_task_group() as group, serving(app, listener):
                asking.start_soon(ask)
                await begun.wait()
                group.cancel_scope.cancel()
            told.append("closed")
    assert told.index("answered") < told.index("closed")
    assert "done" in told
