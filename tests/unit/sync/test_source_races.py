"""Sources that are changed, removed, archived or pushed to while they are looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aloma_py.clock import VirtualClock
from aloma_py.engine import Engine
from aloma_py.errors import StaleTask
from aloma_py.operations import Operations, Site, sources
from aloma_py.serve.following import RETRY, Following
from aloma_py.settings import Settings
from aloma_py.store.news import source_news
from aloma_py.store.scripts import ScriptShelf
from aloma_py.store.sources import SourceRow
from aloma_py.store.sqlite import SQLiteStore

from .gitserver import Repository

pytestmark = pytest.mark.anyio


class Listener:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.heard = 0

    def hear(self) -> None:
        self.heard += 1


class World:
    """A workspace that follows ``repository``, and the loop that looks at it."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store = store
        self.clock = VirtualClock()
        self.known: dict[str, Operations] = {}
        self.following = Following(store, self.find, self.clock)

    def find(self, workspace: str) -> Operations:
        if workspace not in self.known:
            engine = Engine(self.store.workspace(workspace), (), clock=self.clock)
            self.known[workspace] = Operations(Site(engine, self.store, Settings(workspace=workspace)))
        return self.known[workspace]

    async def ask(self, operation: str, workspace: str = "default", /, **arguments: Any) -> Any:
        return await self.find(workspace).call(operation, arguments)

    async def steps(self) -> list[str]:
        return [one.name for one in await ScriptShelf(self.store, "default").all("step")]


@asynccontextmanager
async def opened() -> AsyncIterator[World]:
    async with SQLiteStore(":memory:", key=b"k" * 32) as store:
        yield World(store)


def meanwhile(monkeypatch: pytest.MonkeyPatch, world: World, job: Callable[[], Awaitable[Any]]) -> None:
    """Have ``job`` done, once, when the repository was read and nothing of it is taken yet."""
    read = sources._look_at

    async def slowly(*given: Any) -> Any:
        found = await read(*given)
        monkeypatch.setattr(sources, "_look_at", read)
        world.clock.move_to(world.clock.now() + 1)
        await job()
        return found

    monkeypatch.setattr(sources, "_look_at", slowly)


async def test_nothing_is_taken_from_a_source_that_was_removed_meanwhile(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"steps/a.js": "export const condition = {a: 1};\nexport const content = async () => {};\n"})
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path), automatic=True)
        meanwhile(monkeypatch, world, lambda: world.ask("delete_source"))
        await world.following.once()
        assert await world.steps() == []


async def test_whoever_asked_is_told_that_it_was_changed_meanwhile(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"steps/a.js": "export const condition = {a: 1};\nexport const content = async () => {};\n"})
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path))
        meanwhile(monkeypatch, world, lambda: world.ask("set_source", branch="other"))
        with pytest.raises(StaleTask, match="was changed while it was looked at; try again"):
            await world.ask("sync_source")
        assert await world.steps() == []
        shown = await world.ask("show_source")
        assert (shown["branch"], shown["commit"], shown["error"]) == ("other", None, None)


async def test_the_failure_of_an_old_password_is_not_written_over_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as world:
        await world.ask("set_source", url="https://127.0.0.1:9/x", password="old", hook_secret="a")

        async def refused(*given: Any) -> Any:
            world.clock.move_to(world.clock.now() + 1)
            await world.ask("set_source", password="new")
            raise sources.SourceError("the password was refused")

        monkeypatch.setattr(sources, "_look_at", refused)
        with pytest.raises(sources.SourceError):
            await world.ask("sync_source")
        assert (await world.ask("show_source"))["error"] is None


async def test_two_who_change_it_at_once_do_not_take_back_what_the_other_did() -> None:
    async with opened() as world:
        await world.ask("set_source", url="https://127.0.0.1:9/x", password="old")
        row = SourceRow(world.store, "default")
        before = row.get()
        hook = (await world.ask("rotate_source_hook"))["hook"]
        assert before.hook is not None and not hook.endswith(before.hook)
        now = world.clock.now() + 1
        await row.put(before, before.options, {"password": "new"}, before.hook, None, again=False, at=now, by="a")
        assert (await world.ask("show_source"))["hook"] == hook  # the old address may be known to somebody
        with pytest.raises(StaleTask):  # its options are the same
            await row.put(before, before.options, {}, before.hook, None, again=False, at=now, by="b")
        assert row.secrets() == {"password": "new"}


async def test_nothing_is_looked_at_while_the_engine_stops_and_nobody_is_busy_with_that(
    repository: Repository,
) -> None:
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path), automatic=True)
        world.find("default").site.stopping = True
        assert await world.following.once() == world.clock.now() + RETRY
        assert (await world.ask("show_source"))["last_at"] is None


async def test_a_workspace_that_is_opened_again_is_looked_at_at_once(repository: Repository) -> None:
    async with opened() as world:
        await world.ask("add_workspace", name="other")
        await world.ask("set_source", "other", url=str(repository.path), automatic=True)
        await world.ask("archive_workspace", "other")
        listener = Listener()
        source_news.listen(world.store, listener.hear)
        await world.ask("archive_workspace", "other", unarchive=True)
        assert listener.heard == 1
