"""Waves against one step after another, on generated workspaces with all that a condition and a step may do (SPEC §3).

Nested and missing members, ``$or`` and ``$nor``, deletions, errors and who handles them, redo, retries and priority.
The same seed makes the same workspace. On the way, every match that was brought up to date is compared with a new one.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from aloma_py import Limits, step
from aloma_py.clock import VirtualClock
from aloma_py.conditions import compile_condition
from aloma_py.engine import Engine
from aloma_py.intake import new_task
from aloma_py.match.table import StepTable
from aloma_py.outcome import Outcome, read_outcome
from aloma_py.paths import Path, get, put
from aloma_py.scheduler import Scheduler
from aloma_py.steps import Footprint, StepDefinition
from aloma_py.store.sqlite import SQLiteStore

MEMBERS: list[Path] = [("a",), ("b",), ("c",), ("o", "x"), ("o", "y"), ("q", "x"), ("q", "y")]
LEAVES: list[Any] = [
    0, 1, 2, None, None, {"$exists": True}, {"$exists": False}, {"$ne": 1}, {"$in": [0, 1]}, {"$not": 1}, {"$gt": 0},
    {"$ne": None},
]  # fmt: skip
SEEDS = (*range(1, 391), 409, 937, 1006, 1191, 2122, 2600, 2849, 3513, 4558, 4986, 5392)
"""The last ones are those that showed a difference once."""


def nested(pairs: Iterable[tuple[Path, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, value in pairs:
        put(found, path, value)
    return found


def some_condition(chance: random.Random, names: Sequence[str]) -> dict[str, Any]:
    kind = chance.random()
    plain = nested((path, chance.choice(LEAVES)) for path in chance.sample(MEMBERS, chance.randint(1, 2)))
    if kind < 0.15:
        plain = {"$or": [plain, nested([(chance.choice(MEMBERS), chance.choice(LEAVES))])]}
    elif kind < 0.25:
        plain = {"$nor": [plain], chance.choice("ab"): {"$exists": True}}
    elif kind < 0.33:
        plain = {"o": chance.choice([{"$exists": True}, {"x": None}, {"$ne": None}])}
    if chance.random() < 0.12:
        name = chance.choice(names)
        plain["$errors"] = chance.choice([{name: dict}, None, {"$exists": True}, {name: None}])
    return plain


@dataclass(frozen=True)
class Plan:
    """What a generated step does, beside its condition."""

    reads: list[Path]
    writes: list[tuple[Path, int | None]]  # what is added to what was read; None deletes
    fails: bool
    asks_again: bool
    handles: str | None  # whose error

    @classmethod
    def draw(cls, chance: random.Random, names: Sequence[str]) -> Plan:
        written = chance.sample(MEMBERS, chance.choice([0, 1, 1, 1, 2]))
        return cls(
            reads=chance.sample(MEMBERS, chance.randint(0, 1)),
            writes=[
                (path, None if len(path) == 2 and chance.random() < 0.2 else chance.randint(0, 2)) for path in written
            ],
            fails=chance.random() < 0.25,
            asks_again=chance.random() < 0.15,
            handles=chance.choice(names) if chance.random() < 0.2 else None,
        )

    async def run(self, data: Any, step: Any) -> None:
        seen = sum(value for path in self.reads if isinstance(value := get(data, path), int))
        if self.fails and (seen % 2 or (not self.reads and step.attempt < 2)):
            raise ValueError("odd")
        for path, plus in self.writes:
            if plus is not None:
                put(data, path, (seen + plus) % 3)
            elif isinstance(holder := get(data, path[:-1]), dict):
                holder.pop(path[-1], None)
        if self.handles and isinstance(data.get("$errors"), dict):
            data["$errors"].pop(self.handles, None)
        if self.asks_again and seen % 2:
            step.redo()

    @property
    def footprint(self) -> Footprint:
        error: set[Path] = {("$errors", self.handles)} if self.handles else set()
        return Footprint(
            reads=frozenset({*self.reads, *error}), writes=frozenset({path for path, _ in self.writes} | error)
        )


def generated(seed: int) -> tuple[list[StepDefinition], dict[str, Any]]:
    """The steps, and the data of a task."""
    chance = random.Random(seed)
    names = [f"s{n}" for n in range(chance.randint(3, 8))]
    steps = []
    for name in names:
        plan = Plan.draw(chance, names)
        steps.append(
            StepDefinition(
                name=name,
                condition=compile_condition(some_condition(chance, names)),
                function=plan.run,
                parameters={"data": "data", "step": "step"},
                is_async=True,
                retries=chance.choice([0, 0, 1]) if plan.fails else 0,
                priority=chance.choice([0, 0, 0, 1]),
                footprint=plan.footprint,
            )
        )
    return steps, nested((path, chance.randint(0, 2)) for path in chance.sample(MEMBERS, chance.randint(1, 5)))


async def run(steps: Sequence[StepDefinition], data: dict[str, Any], *, parallel: bool) -> Outcome:
    async with SQLiteStore(":memory:") as store:
        handle = store.workspace("test")
        limits = Limits(max_runs=60, max_redo=10, parallel=parallel)
        engine = Engine(handle, steps, clock=VirtualClock(), limits=limits, chance=lambda: 1.0)
        scheduler = Scheduler(engine)
        task = new_task("test", "t", copy.deepcopy(data), via=None, now=engine.clock.now(), limits=limits)
        async with scheduler.running():
            await engine.submit([task])
            await scheduler.run_until_quiet()
        return await read_outcome(handle, task.id)


async def both(steps: Sequence[StepDefinition], data: dict[str, Any]) -> tuple[Outcome, Outcome]:
    return await run(steps, data, parallel=True), await run(steps, data, parallel=False)


def strip(outcome: Outcome) -> dict[str, Any]:
    """The final data, without what tells the time and the stack of an error."""
    return {
        name: sorted(value) if name == "$errors" and isinstance(value, dict) else value
        for name, value in outcome.data.items()
    }


@pytest.fixture
def compare_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    rematch = StepTable.rematch

    def compared(self: StepTable, data: Any, before: Collection[int], changed: Iterable[Path]) -> Any:
        paths = list(changed)
        found = rematch(self, data, before, paths)
        assert set(found) == set(self.match(data)), f"brought up to date after {paths}: {data}"
        return found

    monkeypatch.setattr(StepTable, "rematch", compared)


@pytest.mark.usefixtures("compare_matches")
@pytest.mark.parametrize("block", range(8))
def test_generated_workspaces_come_out_as_one_step_after_another(block: int) -> None:
    shared = 0
    for seed in SEEDS[block::8]:
        together, in_order = anyio.run(both, *generated(seed))

        assert "engine failed" not in (together.reason or "") + (in_order.reason or ""), f"seed {seed}"
        assert together.state == in_order.state, f"seed {seed}"
        if "max_r" in (together.reason or "") + (in_order.reason or ""):
            continue  # both go round; where each was cut is another matter
        assert strip(together) == strip(in_order), f"seed {seed}"
        assert sorted(together.steps) == sorted(in_order.steps), f"seed {seed}"
        assert not together.conflicts, f"seed {seed}"
        shared += len({entry.wave for entry in together.runs}) < len(together.runs)
    assert shared, "no two steps ever shared a wave: nothing was compared"


# ── the ways in which it once went wrong ────────────────────────────────────────────────────────────────────────


def overtaking() -> list[object]:
    """``set_y`` in the first wave would let ``rival`` run before ``set_x`` does."""

    @step(condition={"go": 1}, priority=9)
    async def first(data):  # type: ignore[no-untyped-def]
        data.c = 1

    @step(condition={"y": 1, "x": None}, priority=5)
    async def rival(data):  # type: ignore[no-untyped-def]
        data.winner = "rival"

    @step(condition={"c": 1}, priority=3)
    async def set_x(data):  # type: ignore[no-untyped-def]
        data.x = 1

    @step(condition={"go": 1})
    async def set_y(data):  # type: ignore[no-untyped-def]
        data.y = 1

    return [first, rival, set_x, set_y]


def missing_object() -> list[object]:
    """An answer written into an object that there is not yet makes a condition on another of its members hold."""

    @step(condition={"go": 1}, priority=9)
    async def first(connectors):  # type: ignore[no-untyped-def]
        await connectors.utils.sleep(milliseconds=1, into="o.x")

    @step(condition={"o": {"y": None}}, priority=5)
    async def better(data):  # type: ignore[no-untyped-def]
        data.a = data.get("a") or "better"

    @step(condition={"go": 1, "a": None})
    async def later(data):  # type: ignore[no-untyped-def]
        data.a = "later"

    return [first, better, later]


def tried_again() -> list[object]:
    @step(condition={"go": 1}, priority=5, retries=1, backoff=1000)
    async def flaky(data, step):  # type: ignore[no-untyped-def]
        if step.attempt == 1:
            raise ValueError("once")
        data.a = 1

    @step(condition={"b": 1, "a": None}, priority=9)
    async def rival(data):  # type: ignore[no-untyped-def]
        data.winner = "rival"

    @step(condition={"go": 1})
    async def set_b(data):  # type: ignore[no-untyped-def]
        data.b = 1

    return [flaky, rival, set_b]


def redone() -> list[object]:
    @step(condition={"n": int}, priority=5)
    async def counter(data, step):  # type: ignore[no-untyped-def]
        data.n += 1
        if data.n < 3:
            step.redo()

    @step(condition={"b": 1, "n": {"$lt": 3}}, priority=9)
    async def rival(data):  # type: ignore[no-untyped-def]
        data.winner = "rival"

    @step(condition={"go": 1})
    async def set_b(data):  # type: ignore[no-untyped-def]
        data.b = 1

    return [counter, rival, set_b]


@pytest.mark.anyio
@pytest.mark.parametrize("workspace", [overtaking, missing_object, tried_again, redone], ids=lambda one: one.__name__)
async def test_what_a_wave_makes_eligible_does_not_come_before_what_would_have_run_first(open_world, workspace):  # type: ignore[no-untyped-def]
    outcomes = []
    for parallel in (True, False):
        async with open_world(*workspace(), limits=Limits(parallel=parallel)) as world:
            outcomes.append(await world.run({"go": 1, "n": 0}))

    together, in_order = outcomes
    assert together.data == in_order.data
    assert "winner" not in together.data
    assert sorted(together.steps) == sorted(in_order.steps)


@pytest.mark.anyio
async def test_a_condition_on_the_errors_is_judged_again_after_the_first_error(open_world):  # type: ignore[no-untyped-def]
    @step(condition={"go": True})
    async def fails():  # type: ignore[no-untyped-def]
        raise ValueError("no")

    @step(condition={"$errors": {"other": None}})
    async def watch(data):  # type: ignore[no-untyped-def]
        data.seen = list(data["$errors"])

    async with open_world(fails, watch) as world:
        outcome = await world.run({"go": True})

    assert outcome.data["seen"] == ["fails"]
