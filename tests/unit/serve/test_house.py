"""The workspaces of a store, served side by side."""

from __future__ import annotations

import anyio
import pytest

from aloma_py.serve import house as houses
from aloma_py.serve.house import House
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio


async def test_asking_for_names_that_there_are_not_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(houses, "MOST_IDLE", 3)
    async with SQLiteStore(":memory:") as store, anyio.create_task_group() as group:
        house = House(store, Settings(), group)
        for n in range(10):
            assert house.find(f"w{n}").site.workspace == f"w{n}"
        assert house.find("w9") is house.find("w9")
        assert list(house._idle) == ["w7", "w8", "w9"]
