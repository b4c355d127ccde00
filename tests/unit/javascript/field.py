"""Two workspaces with one JavaScript worker, and innocent runs in both while the first one is attacked from inside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aloma_py import Workspace
from aloma_py.intake import new_task
from aloma_py.javascript.pool import Pool
from aloma_py.models import Limits
from aloma_py.outcome import Outcome
from aloma_py.scheduler import Scheduler
from aloma_py.store.sqlite import SQLiteStore

from .test_limits import INNOCENT, Gate, Yard, culprit, message


class Plot(Yard):
    """The yard of one workspace among others."""

    async def submit(self, *datas: dict[str, Any]) -> list[str]:
        now, place = self.engine.clock.now(), self.engine.store.workspace
        tasks = [new_task(place, "t", data, via={"type": "api"}, now=now, limits=Limits()) for data in datas]
        await self.engine.submit(tasks)
        return [task.id for task in tasks]


class Field:
    """Two workspaces with one worker: the first is attacked from inside, the other knows nothing of it."""

    def __init__(self, near: Plot, far: Plot, pool: Pool) -> None:
        self.near = near
        self.pool = pool
        self._yards = (near, far)
        self._innocents: list[list[str]] = []

    async def begin(self) -> None:
        self._innocents = [await yard.innocents() for yard in self._yards]

    async def do(self, *names: str) -> dict[str, Outcome]:
        """What comes of a task for each of these steps; they run at the same time."""
        outcomes = await self.near.ended(await self.near.submit(*({"do": name} for name in names)))
        return dict(zip(names, outcomes, strict=True))

    async def end_well(self) -> None:
        for yard, innocents in zip(self._yards, self._innocents, strict=True):
            await yard.end_well(innocents)


@asynccontextmanager
async def open_field(
    folder: Path, steps: Mapping[str, str], libraries: Mapping[str, str] | None = None, **limits: Any
) -> AsyncIterator[Field]:
    """``steps`` are the texts of the near workspace's files by name; the innocents are added in both."""
    pool = Pool(size=1)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SQLiteStore(":memory:"))
        yards = []
        for place, files in (("near", {"innocent": INNOCENT, **steps}), ("far", {"innocent": INNOCENT})):
            (folder / place).mkdir()
            for name, text in files.items():
                (folder / place / f"{name}.js").write_text(text, encoding="utf-8")
            gate = Gate()
            workspace = Workspace(
                place,
                [folder / place],
                connectors=[gate],
                limits=Limits(**limits),
                libraries=write_libraries(folder, libraries or {}) if place == "near" else None,
            )
            engine = workspace.engine(store.workspace(place), cipher=lambda: store.cipher)
            engine.scripts.pool = pool
            scheduler = Scheduler(engine)
            await stack.enter_async_context(scheduler.running())
            yards.append(Plot(engine, scheduler, gate))
        field = Field(yards[0], yards[1], pool)
        await field.begin()
        yield field
        await field.end_well()


def write_libraries(folder: Path, libraries: Mapping[str, str]) -> dict[str, str]:
    (folder / "libraries").mkdir()
    for name, text in libraries.items():
        (folder / "libraries" / f"{name}.js").write_text(text, encoding="utf-8")
    return {name: str(folder / "libraries" / f"{name}.js") for name in libraries}


async def messages_of(folder: Path, table: Mapping[str, tuple[str, str]], **limits: Any) -> dict[str, str]:
    """The messages that the bodies of the table fail with, where they lack what the table says: ``{}`` is wanted."""
    steps = {name: culprit(name, body) for name, (body, _) in table.items()}
    async with open_field(folder, steps, **limits) as field:
        outcomes = await field.do(*table)
    found = {name: message(outcome) for name, outcome in outcomes.items()}
    if field.pool.started != 1:
        return {"workers": f"{field.pool.started}; {found}"}  # somebody had to begin again
    return {name: text for name, text in found.items() if table[name][1] not in text}
