"""An import into a running engine: the workspace is served when it is whole, and its open tasks go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from aloma_py.errors import StoreFull
from aloma_py.models import TaskFilter
from aloma_py.serve.house import House
from aloma_py.settings import Settings
from aloma_py.store import importing
from aloma_py.store.scripts import Put, ScriptShelf
from aloma_py.store.sqlite import SQLiteStore

from .places import NOW, opened

pytestmark = pytest.mark.anyio

STEP = "export const condition = { a: 1, b: null };\nexport const content = async () => { data.b = 2; };\n"


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[House]:
    async with SQLiteStore(path) as store, anyio.create_task_group() as group:
        house = House(store, Settings(), group)
        await house.open("default", empty=True)
        await house.begin()
        yield house
        house.stop()
        await house.wind_down()
        group.cancel_scope.cancel()


async def exported(folder: Path) -> str:
    file = str(folder / "x.zip")
    async with opened(folder / "a.db") as here:
        await here.ask("default", "add_workspace", name="orders")
        await ScriptShelf(here.store, "orders").put(Put("step", "one", STEP), by="local", at=NOW)
        await here.ask("orders", "new_task", name="open", data={"a": 1})
        await here.ask("orders", "archive_workspace")
        made = await here.ask("orders", "export_workspace", target=file, tasks=True)
        assert "warning" not in made
    return file


@pytest.mark.parametrize("name", ["orders", "default"])
async def test_it_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    file = await exported(tmp_path)
    async with serving(tmp_path / "b.db") as house:

        def full(*_: object, **more: object) -> None:
            raise StoreFull("there is no room left")

        with monkeypatch.context() as patched:
            patched.setattr(importing, "_insert", full)
            with pytest.raises(StoreFull):
                await house.find(name).call("import_workspace", {"file": file})
        assert "orders" not in house.served
        ended = anyio.Event()
        await house.find(name).call("import_workspace", {"file": file})
        assert name in house.served
        house.served[name].engine.custody.watchers.append(
            lambda task, entries: ended.set() if task.state.ended else None
        )
        handle = house.store.workspace(name)
        with anyio.fail_after(20):
            while not (task := (await handle.list(TaskFilter()))[0]).state.ended:
                await ended.wait()
        assert (task.data["b"], task.state.value) == (2, "done")
