"""The control socket tells a client that asks how far its operation is, before it answers."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest

from aloma_py.cli.client import RemoteClient
from aloma_py.errors import InputError
from aloma_py.operations.progress import Counting, nobody, progress, telling
from aloma_py.serve import control
from aloma_py.store import admin
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """As the server runs: the listeners of plain asyncio may be told of one connection twice."""
    return "asyncio", {"use_uvloop": True}


class Slow:
    """Operations that go on when the client has heard how far they are."""

    def __init__(self) -> None:
        self.heard = anyio.Event()

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        if progress.get() is nobody:
            return "untold"
        count = Counting("copying", 10)
        count(3)
        count(4)
        await self.heard.wait()
        if name == "fail":
            raise InputError("it cannot be")
        return "done"


async def test_progress_comes_before_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PROGRESS_SECONDS", 0)
    slow, told = Slow(), []

    def tell(*one: Any) -> None:
        told.append(one)
        slow.heard.set()

    with anyio.fail_after(10):
        async with control.control_socket(tmp_path / "a.db", lambda name: slow) as address:  # type: ignore[arg-type,return-value]
            client = RemoteClient(await anyio.connect_unix(address), "default")
            assert await client.call("backup") == "untold"
            token = progress.set(tell)
            assert await client.call("backup") == "done"
            assert told == [("copying", 7, 10)]
            with pytest.raises(InputError, match="it cannot be"):
                await client.call("fail")
            progress.reset(token)
            await client._stream.aclose()


async def test_work_in_a_thread_ends_when_nobody_waits_for_it() -> None:
    """An export of hours must not keep the server from stopping."""
    begun, told, loop = anyio.Event(), telling("writing tasks"), anyio.lowlevel.current_token()
    cancelled = threading.Event()

    def work() -> None:
        anyio.from_thread.run_sync(begun.set, token=loop)
        assert cancelled.wait(10)
        told(64, 2_000)
        raise AssertionError("it went on")

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, work)
        await begun.wait()
        group.cancel_scope.cancel()
        cancelled.set()


async def test_a_backup_that_nobody_waits_for_leaves_nothing(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "a.db"):

        def tell(done: int, pages: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            admin.backup(tmp_path / "a.db", tmp_path / "copy.db", tell)
    assert [file.name async for file in anyio.Path(tmp_path).glob("copy*")] == []
