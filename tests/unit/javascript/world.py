"""An engine with the steps of a folder, on a clock that only its user moves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aloma_py import Outcome, Workspace
from aloma_py.clock import VirtualClock
from aloma_py.intake import new_task
from aloma_py.outcome import read_outcome
from aloma_py.scheduler import Scheduler
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


class World:
    """An engine with the steps of a folder, on a clock that only its user moves."""

    def __init__(self, engine: Any, scheduler: Scheduler, clock: VirtualClock) -> None:
        self.engine = engine
        self.scheduler = scheduler
        self.clock = clock

    async def submit(self, *tasks: dict[str, Any]) -> list[str]:
        made = [
            new_task("builtins", "a task", data, via={"type": "api"}, now=self.clock.now(), limits=self.engine.limits)
            for data in tasks
        ]
        await self.engine.submit(made)
        return [task.id for task in made]

    async def outcome(self, task: str) -> Outcome:
        return await read_outcome(self.engine.store, task)

    async def rest(self, task: str) -> Outcome:
        """The task when nothing happens without the time moving."""
        await self.scheduler.settle()
        return await self.outcome(task)

    async def after(self, task: str, milliseconds: int) -> Outcome:
        await self.scheduler.move_to(self.clock.now() + milliseconds)
        return await self.outcome(task)


@asynccontextmanager
async def opened(
    folder: Path, *, path: object = ":memory:", connectors: Sequence[Any] = (), clock: VirtualClock | None = None
) -> AsyncIterator[World]:
    workspace = Workspace.load(folder, name="builtins", connectors=connectors)
    clock = clock or VirtualClock()
    async with SQLiteStore(str(path), key=b"k" * 32) as store:
        engine = workspace.engine(store.workspace("builtins"), clock=clock, cipher=lambda: store.cipher)
        scheduler = Scheduler(engine)
        async with scheduler.running():
            yield World(engine, scheduler, clock)


def write(folder: Path, **steps: str) -> Path:
    """A folder of steps, each for the task whose ``step`` is its name."""
    folder.mkdir(exist_ok=True)
    for name, body in steps.items():
        (folder / f"{name}.js").write_text(
            f"export const condition = {{step: '{name}'}};\nexport const content = async () => {{\n{body}\n}};\n"
        )
    return folder


async def found_of(folder: Path, rows: dict[str, tuple[str, Any]], connectors: Sequence[Any]) -> dict[str, Any]:
    """``data.v`` of each row's step, or the text of its error; all run in one engine."""
    write(folder, **{name: body for name, (body, _) in rows.items()})
    async with opened(folder, connectors=connectors) as world:
        tasks = await world.submit(*({"step": name} for name in rows))
        await world.scheduler.run_until_quiet()
        outcomes = {name: await world.outcome(task) for name, task in zip(rows, tasks, strict=True)}
    return {
        name: outcome.errors[name]["message"] if outcome.errors else outcome.data.get("v")
        for name, outcome in outcomes.items()
    }


# ── fetch ───────────────────────────────────────────────────────────────────────────────────────────────────────────


OF_AN_ERROR = "try {{ {} }} catch (error) {{ data.v = [error.name, error.message] }}"
