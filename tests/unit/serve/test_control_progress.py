"""The control socket tells a client that asks how far its operation is, before it answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from aloma_py.cli.client import RemoteClient
from aloma_py.errors import InputError
from aloma_py.operations.progress import Counting, nobody, progress
from aloma_py.serve import control

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
