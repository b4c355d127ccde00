"""What the API answers beside the operations' own answers: versions, members that are not known, who gave a task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from aloma_py.errors import StoreError
from aloma_py.operations import Role
from aloma_py.serve.house import House
from aloma_py.serve.web.app import make_app
from aloma_py.serve.web.guard import ACCOUNT, Identity
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

STEP = "export const condition = {a: Number, b: null};\nexport const content = () => { data.b = 1 };\n"
HERE = "/api/v1/workspaces/default"


class Everybody:
    """A guard that takes all for an administrator."""

    async def identify(self, request: object) -> Identity:
        return Identity("key:ops", {ACCOUNT: Role.ADMIN})


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with SQLiteStore(folder / "tasks.db") as store, anyio.create_task_group() as group:
        house = House(store, Settings(store=folder / "tasks.db"), group)
        await house.begin()
        transport = httpx2.ASGITransport(make_app(house.find, Everybody()))
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as http:
            yield http
        group.cancel_scope.cancel()


async def test_a_change_names_the_version_that_it_was_made_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as http:
        made = await http.post(f"{HERE}/steps", json={"name": "one", "text": STEP})
        assert (made.status_code, made.headers["etag"]) == (201, f'"{made.json()["version"]}"')
        changed = await http.patch(
            f"{HERE}/steps/one", json={"text": STEP + "// 2\n"}, headers={"If-Match": made.headers["etag"]}
        )
        assert changed.status_code == 200 and changed.headers["etag"] != made.headers["etag"]
        for how, status in (({"headers": {"If-Match": made.headers["etag"]}}, 412), ({}, 409)):
            more = {"version": made.json()["version"]} if not how else {}
            late = await http.patch(f"{HERE}/steps/one", json={"text": STEP + "// 3\n", **more}, **how)
            assert (late.status_code, late.json()["error"]) == (status, "ConflictError")
            assert changed.json()["version"] in late.json()["detail"]


async def test_a_filter_that_there_is_not_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as http:
        answer = await http.get(f"{HERE}/tasks", params={"state": "error"})
        assert answer.status_code == 422 and "did you mean 'states'?" in answer.json()["detail"]
        assert (await http.get(f"{HERE}/tasks", params={"states": "error"})).json() == []


async def test_who_gave_a_task_is_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as http:
        answer = await http.post(f"{HERE}/tasks", json={"data": {"a": 1}})
        assert (answer.json()["via"]["type"], answer.json()["via"]["name"]) == ("api", "key:ops")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"dta": {}}', "body.dta: there is no such member; did you mean 'data'?"),
        (b'{"data": {', "the body is no JSON"),
        (b"[1]", "a JSON object was expected"),
        (b"{}", "body.data: this is missing"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said_in_words(tmp_path: Path, content: bytes, reason: str) -> None:
    async with opened(tmp_path) as http:
        answer = await http.post(f"{HERE}/tasks", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422 and reason in answer.json()["detail"], answer.json()


async def test_a_body_that_is_too_long_is_refused_before_it_is_read(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 100_000

    async with opened(tmp_path) as http:
        answer = await http.post(f"{HERE}/tasks", content=endless(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 413 and "longer than" in answer.json()["detail"]
        assert (await http.post(f"{HERE}/tasks", content=b" " * 3_000_000)).status_code == 413


async def test_no_new_key_is_made_where_the_old_one_is_missed(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "tasks.db") as store:
        from aloma_py.store.variables import Variables

        await Variables(store, "default").set_secret("TOKEN", "long enough", at=1, by="me", description=None, new=True)
    key = tmp_path / "tasks.db.key"
    kept = key.read_text()
    key.unlink()
    async with SQLiteStore(tmp_path / "tasks.db") as store:
        with pytest.raises(StoreError, match="put it back"):
            _ = store.cipher
        assert not key.exists()
    key.write_text(kept)
    async with SQLiteStore(tmp_path / "tasks.db") as store:
        assert store.cipher.fingerprint


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/store/purge", {"keep_tasks_days": True}),  # it is no 1: everything older than a day would go
        ("/api/v1/store/purge", {"keep_tasks_days": "1"}),
        (f"{HERE}/tasks", {"data": {}, "tags": "abc"}),
        (f"{HERE}/tasks", {"data": {}, "name": 5}),
        (f"{HERE}/schedules", {"name": "x", "every": "1h", "enabled": "no"}),
    ],
)
async def test_a_value_of_another_type_is_not_taken_for_one(tmp_path: Path, path: str, body: dict[str, object]) -> None:
    async with opened(tmp_path) as http:
        answer = await http.post(path, json=body)
        assert answer.status_code == 422 and answer.json()["errors"], answer.text
