"""Exports and imports over HTTP: who may, what is refused, and that the file is the same."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import httpx2
import pytest
from starlette.requests import Request

from aloma_py.operations import Operations, Role
from aloma_py.serve.house import idle_operations
from aloma_py.serve.web import transfer
from aloma_py.serve.web.app import make_app
from aloma_py.serve.web.guard import Identity
from aloma_py.serve.web.transfer import PASSPHRASE, WARNING, ZIP, transfer_router
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

WORDS = "correct hörse"


class Keys:
    """Ada is admin of the account, Bob of one workspace, Eve is developer of it."""

    async def identify(self, request: Request) -> Identity:
        return {
            "ada": Identity("ada", {"": Role.ADMIN}),
            "bob": Identity("bob", {"orders": Role.ADMIN}),
            "eve": Identity("eve", {"orders": Role.DEVELOPER}),
        }[request.headers["x-name"]]


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[tuple[httpx2.AsyncClient, SQLiteStore]]:
    async with SQLiteStore(path) as store:

        def find(name: str) -> Operations:
            return idle_operations(store, Settings(workspace=name))

        for name in ("orders", "other"):
            await find("default").call("add_workspace", {"name": name})
        await find("orders").call("new_task", {"data": {"a": 1}})
        await find("orders").call("set_secret", {"name": "TOKEN", "value": "a-heron-stands"})
        app = make_app(find, Keys(), most_bytes=1000, more=[transfer_router(find, Keys())])
        where = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(
            transport=where, base_url="http://x/api/v1/workspaces", headers={"x-name": "ada"}
        ) as http:
            yield http, store


async def test_there_and_back(tmp_path: Path) -> None:
    async with serving(tmp_path / "a.db") as (http, store):
        got = await http.post("/orders/export", json={"tasks": True, "passphrase": WORDS}, headers={"x-name": "bob"})
        assert (got.status_code, got.headers["content-type"]) == (200, ZIP)
        assert len(got.content) == int(got.headers["content-length"]) > 1000  # an import's limits are its own
        assert got.headers[WARNING].startswith("1 open task would go on here")
        headers = {"content-type": ZIP, PASSPHRASE: quote(WORDS)}
        query = {"new_ids": "true"}
        made = await http.post("/copy/import", content=got.content, headers=headers, params=query)
        assert (made.status_code, made.json()["counts"]["tasks"]) == (201, 1)
        again = await http.post("/copy/import", content=got.content, headers=headers, params=query)
        assert (again.status_code, again.json()["detail"][:34]) == (409, "the workspace 'copy' is not empty,")
        wrong = await http.post("/x/import", content=got.content, headers={**headers, PASSPHRASE: "wrong%20words"})
        assert (wrong.status_code, "passphrase is not the one" in wrong.json()["detail"]) == (422, True)
        with store.reading() as reader:
            lines = reader.execute("SELECT who, workspace, action FROM ledger WHERE action LIKE '%port%'").fetchall()
        assert lines == [("bob", "orders", "export_workspace"), ("ada", "copy", "import_workspace")]
    assert not [name for name in os.listdir(tmp_path) if not name.startswith("a.db")]  # noqa: PTH208


async def test_who_may(tmp_path: Path) -> None:
    async with serving(tmp_path / "a.db") as (http, _):
        eve, bob = {"x-name": "eve"}, {"x-name": "bob"}
        assert (await http.post("/orders/export", headers=eve)).status_code == 403
        assert (await http.post("/other/export", headers=bob)).status_code == 404
        assert (await http.post("/nowhere/export")).status_code == 404
        for who in (eve, bob):  # it makes a workspace, which takes a role on the account
            refused = await http.post("/new/import", content=b"x", headers={**who, "content-type": ZIP})
            assert refused.status_code in (403, 404)


async def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path / "a.db") as (http, _):
        headers = {"content-type": ZIP}
        for content, sent, status, said in (
            (b"x", {"content-type": "application/json"}, 415, "application/zip was expected"),
            (b"x" * 5000, headers, 422, "the file cannot be imported: it is no zip file"),
            (b"", headers, 422, "it is no zip file"),
            (b"x", {**headers, "idempotency-key": "k"}, 422, "Idempotency-Key is not taken here"),
        ):
            answer = await http.post("/new/import", content=content, headers=sent)
            assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.text
        assert (await http.post("/orders/export", json={"task": True})).status_code == 422
        short = await http.post("/orders/export", json={"passphrase": "short"})
        assert "at least 8 were expected" in short.json()["detail"]
        monkeypatch.setattr(transfer, "MOST", 4000)
        long = await http.post("/new/import", content=b"x" * 5000, headers=headers)
        assert (long.status_code, long.json()["detail"]) == (413, "the file is longer than 4,000 bytes")
        monkeypatch.setattr(transfer, "PIECE_SECONDS", 0.01)

        async def never() -> AsyncIterator[bytes]:
            yield b"x"
            await anyio.sleep_forever()

        slow = await http.post("/new/import", content=never(), headers=headers)
        assert slow.status_code == 408
        monkeypatch.setattr(transfer, "AT_ONCE", 0)
        assert (await http.post("/orders/export")).status_code == 429


async def test_a_file_that_nobody_takes_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PIECE_SECONDS", 0.05)
    file = io.BytesIO(b"x" * 1_000_000)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    async def receive() -> Any:
        await anyio.sleep_forever()

    with anyio.fail_after(10):
        await transfer._Download(file, {})({"type": "http"}, receive, send)
    assert file.closed


@pytest.mark.parametrize("place", ["export", "import"])
async def test_a_full_disk_is_no_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    class Full(io.BytesIO):
        def write(self, content: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer, "_temporary", lambda operations: Full())
    async with serving(tmp_path / "a.db") as (http, _):
        headers = {"x-name": "ada", "content-type": ZIP if place == "import" else "application/json"}
        content = b"PK" if place == "import" else b"{}"
        answer = await http.post(f"/default/{place}", content=content, headers=headers)
        assert answer.status_code == 503, answer.text
    assert "cannot be kept beside the store: No space left on device" in caplog.text
