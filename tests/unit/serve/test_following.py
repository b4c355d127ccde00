"""Sources are looked at when their time has come, or when their host tells of a push."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.applications import Starlette

from aloma_py.cli.output import read_iso
from aloma_py.clock import VirtualClock
from aloma_py.engine import Engine
from aloma_py.operations import Caller, Operations, Role, Site
from aloma_py.serve.following import Following
from aloma_py.serve.web.hooks import AT_ONCE, Hooks
from aloma_py.settings import Settings
from aloma_py.store.ledger import Ledger
from aloma_py.store.scripts import ScriptShelf
from aloma_py.store.sqlite import SQLiteStore

from ..sync.gitserver import Repository, step_of, web_server

pytestmark = pytest.mark.anyio

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
TOKEN = "a-heron-stands-by-the-weir"
PUSH = b'{"ref": "refs/heads/main"}'


class World:
    """A store, the loop that follows, and the door for hooks."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store
        self.clock = VirtualClock()
        self.begun = self.clock.now()
        self.known: dict[str, Operations] = {}
        self.following = Following(store, self.find, self.clock)
        self.hooks = Hooks(store, Starlette(), clock=self.clock)
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.hooks), base_url="http://aloma")

    def find(self, workspace: str) -> Operations:
        if workspace not in self.known:
            engine = Engine(self.store.workspace(workspace), (), clock=self.clock)
            self.known[workspace] = Operations(Site(engine, self.store, Settings(workspace=workspace)))
        return self.known[workspace]

    async def ask(self, operation: str, workspace: str = "default", /, **arguments: Any) -> Any:
        return await self.find(workspace).call(operation, arguments)

    async def shown(self, workspace: str = "default") -> Any:
        return await self.ask("show_source", workspace)

    async def next(self, workspace: str = "default") -> float:
        """When it is looked at next, in seconds from now."""
        return (read_iso((await self.shown(workspace))["next_at"]) - self.clock.now()) / SECOND

    async def pass_by(self, millis: int) -> None:
        """Let the time pass, with the loop looking whenever it wants to."""
        end = self.clock.now() + millis
        while (again := await self.following.once()) <= end:
            self.clock.move_to(max(again, self.clock.now()))
        self.clock.move_to(end)

    async def steps(self, workspace: str = "default") -> list[str]:
        return sorted(one.name for one in await ScriptShelf(self.store, workspace).all("step"))

    async def post(self, path: str, body: bytes = PUSH, status: int = 202, **headers: str) -> Any:
        answer = await self.http.post(path, content=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()


@asynccontextmanager
async def opened(path: Path | str = ":memory:") -> AsyncIterator[World]:
    async with SQLiteStore(path, key=b"k" * 32) as store:
        yield World(store)


@pytest.fixture
def repository(tmp_path: Path) -> Any:
    made = Repository(tmp_path / "project.git")
    made.commit({"steps/a.js": step_of("a")})
    yield made
    made.close()


# ── by itself ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_repository_is_followed_by_itself(repository: Repository) -> None:
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path), automatic=True, every="1m")
        await world.following.once()
        assert await world.steps() == ["a"]
        assert await world.next() == 60
        commit = repository.commit({"steps/b.js": step_of("b")})
        await world.pass_by(59 * SECOND)
        assert await world.steps() == ["a"]
        await world.pass_by(2 * SECOND)
        assert await world.steps() == ["b"]
        assert (await world.shown())["commit"] == commit
        noted = [(one.who, one.details["steps"]) for one in Ledger(world.store).list() if one.action == "sync_source"]
        assert noted == [("source", {"added": ["b"], "deleted": ["a"]}), ("source", {"added": ["a"]})]


async def test_what_is_not_automatic_waits_until_it_is_asked_for(repository: Repository) -> None:
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path))
        await world.pass_by(2 * HOUR)
        assert await world.steps() == []
        await world.ask("set_source", automatic=True)
        await world.following.once()
        assert await world.steps() == ["a"]
        await world.ask("set_source", automatic=False)
        repository.commit({"steps/b.js": step_of("b")})
        await world.pass_by(2 * HOUR)
        assert await world.steps() == ["a"]


async def test_a_commit_that_was_taken_is_read_again_only_after_edits(repository: Repository) -> None:
    with web_server({"flows": repository}, "git", TOKEN) as served:
        async with opened() as world:
            await world.ask("set_source", url=f"{served.url}/flows", password=TOKEN, automatic=True, every="30s")
            await world.following.once()
            assert len(served.requests) == 2
            await world.pass_by(5 * MINUTE)
            assert len(served.requests) == 12  # one question each
            assert set(served.requests[2:]) == {"/flows/info/refs"}
            await world.ask("update_step", name="a", text=step_of("edited"))
            assert (await world.shown())["edited"]
            await world.pass_by(30 * SECOND)
            assert served.requests.count("/flows/git-upload-pack") == 2
            assert not (await world.shown())["edited"]
            assert ScriptShelf(world.store, "default").get("step", "a").text == step_of("a")


async def test_failures_are_told_once_and_tried_again_later_and_later(
    repository: Repository, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aloma_py.source")
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path), automatic=True, every="10m", branch="gone")
        waits = []
        for _ in range(6):
            await world.following.once()
            waits.append(await world.next())
            world.clock.move_to(world.clock.now() + round(waits[-1] * SECOND))
        assert waits == [600, 1200, 2400, 3600, 3600, 3600]
        shown = await world.shown()
        assert "no branch 'gone'" in shown["error"] and shown["failures"] == 6
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        await world.ask("set_source", branch="")
        await world.following.once()
        assert ((await world.shown())["error"], await world.next()) == (None, 600)
        repository.commit({"steps/a.js": "export const condition = {"})
        caplog.clear()
        await world.pass_by(2 * HOUR)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "steps/a.js:1" in caplog.text and await world.steps() == ["a"]
        repository.commit({"steps/b.js": step_of("b")})
        await world.pass_by(HOUR)
        assert "can be read again" in caplog.text and await world.steps() == ["b"]


async def test_a_host_that_does_not_answer_holds_up_nobody_else(repository: Repository) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with opened() as world:
            await world.ask("add_workspace", name="other")
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
            await world.ask("set_source", url=url, automatic=True)
            await world.ask("set_source", "other", url=str(repository.path), automatic=True, every="1m")
            async with anyio.create_task_group() as group:
                group.start_soon(world.following.run)
                await until(lambda: ScriptShelf(world.store, "other").has("step"))
                repository.commit({"steps/b.js": step_of("b")})
                await until(lambda: world.clock.next_wake is not None)
                world.clock.move_to(world.begun + MINUTE)
                await until(lambda: ScriptShelf(world.store, "other").find("step", "b") is not None)
                group.cancel_scope.cancel()
            shown = await world.shown()
            assert (shown["error"], shown["commit"]) == (None, None)
            assert 0 < await world.next() <= 600  # whoever serves next makes up for it


async def until(reached: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not reached():
            await anyio.lowlevel.checkpoint()


async def test_a_look_that_ended_with_its_process_is_made_up_for(repository: Repository, tmp_path: Path) -> None:
    async with opened(tmp_path / "aloma.db") as world:
        await world.ask("set_source", url=str(repository.path), automatic=True, every="1d")
        from aloma_py.store.sources import SourceRow, due

        (source,) = due(world.store, world.clock.now())
        assert await SourceRow(world.store, "default").begin(source, world.clock.now(), world.clock.now() + 10 * MINUTE)
        assert not await SourceRow(world.store, "default").begin(source, world.clock.now(), 0)
    async with opened(tmp_path / "aloma.db") as world:
        await world.pass_by(9 * MINUTE)
        assert await world.steps() == []
        await world.pass_by(MINUTE)
        assert await world.steps() == ["a"]


async def test_archived_workspaces_are_left_alone(repository: Repository) -> None:
    async with opened() as world:
        await world.ask("add_workspace", name="other")
        await world.ask("set_source", "other", url=str(repository.path), automatic=True)
        hook = (await world.shown("other"))["hook"]
        await world.ask("archive_workspace", "other")
        await world.pass_by(HOUR)
        assert await world.steps("other") == []
        await world.post(hook, status=409)


async def test_a_source_that_is_changed_during_a_look_is_not_written_over(repository: Repository) -> None:
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path), automatic=True)
        from aloma_py.store.sources import SourceRow

        row = SourceRow(world.store, "default")
        looked = row.get()
        await world.ask("set_source", branch="other")
        await row.end(looked, at=5, until=looked.next_at, next_at=7, taken="f" * 40, seen={})
        assert (await world.shown())["commit"] is None


# ── hooks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_push_is_looked_at_at_once(repository: Repository) -> None:
    async with opened() as world:
        hook = (await world.ask("set_source", url=str(repository.path), automatic=True, every="1d"))["hook"]
        await world.following.once()
        assert await world.next() == 86_400
        world.clock.move_to(world.clock.now() + MINUTE)
        repository.commit({"steps/b.js": step_of("b")})
        assert await world.post(hook) == {"looks": True}
        await world.following.once()
        assert await world.steps() == ["b"] and await world.next() == 86_400


async def test_a_flood_of_posts_is_one_look_in_ten_seconds(repository: Repository) -> None:
    with web_server({"flows": repository}) as served:
        async with opened() as world:
            given = {"url": f"{served.url}/flows", "automatic": True, "every": "1d"}
            hook = (await world.ask("set_source", **given))["hook"]
            await world.following.once()
            before = len(served.requests)
            for _ in range(60):  # a minute
                for _ in range(5):
                    await world.post(hook)
                await world.pass_by(SECOND)
            assert 5 <= len(served.requests) - before <= 6


async def test_bodies_that_come_slowly_do_not_fill_the_memory(repository: Repository) -> None:
    async with opened() as world:
        hook = (await world.ask("set_source", url=str(repository.path), automatic=True, every="1d"))["hook"]
        go = anyio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield b" "
            await go.wait()
            yield PUSH

        async with anyio.create_task_group() as group:
            for _ in range(AT_ONCE):
                group.start_soon(partial(world.http.post, hook, content=slowly()))
            await anyio.wait_all_tasks_blocked()
            refused = await world.http.post(hook, content=PUSH)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert (await world.http.post("/hook/of-nobody", content=PUSH)).status_code == 404
            go.set()
        assert await world.post(hook) == {"looks": True}


async def test_a_push_during_a_look_is_looked_at_after_it(repository: Repository) -> None:
    async with opened() as world:
        hook = (await world.ask("set_source", url=str(repository.path), automatic=True, every="1d"))["hook"]
        from aloma_py.operations import sources

        real, pushed = sources._look_at, []

        async def look_at(*given: Any) -> Any:
            found = await real(*given)
            if not pushed:
                pushed.append(repository.commit({"steps/b.js": step_of("b")}))
                await world.post(hook)
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sources, "_look_at", look_at)
            await world.following.once()
        assert await world.steps() == ["a"] and await world.next() == 10
        await world.pass_by(10 * SECOND)
        await world.following.once()
        assert await world.steps() == ["b"] and await world.next() == 86_400


async def test_other_branches_and_what_is_not_automatic_are_ignored(repository: Repository) -> None:
    async with opened() as world:
        hook = (await world.ask("set_source", url=str(repository.path), automatic=True, every="1d"))["hook"]
        other = b'{"ref": "refs/heads/next"}'
        assert (await world.post(hook, other))["looks"]  # which branch it follows is not known yet
        await world.following.once()
        world.clock.move_to(world.clock.now() + MINUTE)
        assert await world.post(hook, other) == {"looks": False, "why": "another branch is followed"}
        assert await world.next() > 80_000
        for body in (b"", b"what?", b"{}", PUSH):
            assert (await world.post(hook, body))["looks"]
        await world.ask("set_source", automatic=False)
        assert not (await world.post(hook))["looks"]
        assert (await world.shown())["next_at"] is None


async def test_a_secret_is_asked_for_and_fails_closed(repository: Repository) -> None:
    async with opened() as world:
        shown = await world.ask("set_source", url=str(repository.path), automatic=True, every="1d", hook_secret=TOKEN)
        hook = shown["hook"]
        await world.following.once()
        world.clock.move_to(world.clock.now() + MINUTE)
        digest = hmac.new(TOKEN.encode(), PUSH, hashlib.sha256).hexdigest()
        for wrong in ({}, {"x-hub-signature-256": "sha256=" + "0" * 64}, {"x-gitlab-token": "guess"}):
            await world.post(hook, status=401, **wrong)
        assert await world.next() > 80_000
        assert (await world.post(hook, **{"x-hub-signature-256": f"sha256={digest}"}))["looks"]
        assert (await world.post(hook, **{"X-Gitlab-Token": TOKEN}))["looks"]
        assert await world.next() == 0


async def test_addresses_that_nobody_gave_are_unknown(repository: Repository) -> None:
    async with opened() as world:
        first = (await world.ask("set_source", url=str(repository.path), automatic=True))["hook"]
        second = (await world.ask("rotate_source_hook"))["hook"]
        for path in (first, "/hook/", "/hook/x", f"{second}/x", "/hook/" + "a" * 3000, second[:-1]):
            await world.post(path, status=404)
        await world.post(second)
        assert (await world.http.get(second)).status_code == 405
        assert (await world.http.post("/elsewhere")).status_code == 404
        await world.post(second, b" " * (10 * 1024 * 1024 + 1), status=413)


async def test_those_who_may_not_change_steps_are_not_told_the_address(repository: Repository) -> None:
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path))
        told = {}
        for role in Role:
            shown = await world.find("default").call("show_source", {}, Caller("x", role))
            told[role] = shown["hook"] is not None
        assert told == {role: role >= Role.DEVELOPER for role in Role}
        assert json.dumps(shown)
