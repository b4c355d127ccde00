"""Steps in JavaScript that take too much: each fails by itself, and what runs beside it ends well."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from aloma_py import Workspace, interventions
from aloma_py.engine import Engine
from aloma_py.intake import new_task
from aloma_py.models import Limits, TaskState
from aloma_py.outcome import Outcome, read_outcome
from aloma_py.scheduler import Scheduler
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

INNOCENT: Final = """
export const condition = { innocent: Number, sum: null };
export const content = async () => {
  data.first = (await connectors.gate.pass({ n: data.innocent })).n;
  await connectors.gate.wait({ n: data.innocent });
  await new Promise(go => setTimeout(go, 1));
  let sum = 0;
  for (let n = 0; n <= data.innocent; n++) sum += n;
  data.sum = sum;
};
"""

INNOCENTS: Final = 3


class Gate:
    """A connector that notes its calls; ``wait`` answers when the gate is open."""

    namespace = "gate"
    default: str | None = None
    recorded = True
    methods: tuple[str, ...] | None = ("pass", "wait", "echo")

    def __init__(self) -> None:
        self.open = anyio.Event()
        self.calls: list[tuple[str, Any]] = []

    async def call(self, method: str, arguments: Any, context: Any) -> Any:
        self.calls.append((method, arguments.get("n")))
        if method == "wait":
            await self.open.wait()
        return arguments

    def count(self, method: str) -> int:
        return sum(called == method for called, _ in self.calls)


class Yard:
    """An engine at work, and some innocent runs in it that wait for the gate."""

    def __init__(self, engine: Engine, scheduler: Scheduler, gate: Gate) -> None:
        self.engine = engine
        self.scheduler = scheduler
        self.gate = gate
        self._rested: dict[str, TaskState] = {}
        engine.custody.watchers.append(lambda task, entries: self._rested.update({task.id: task.state}))

    async def submit(self, *datas: dict[str, Any]) -> list[str]:
        now = self.engine.clock.now()
        tasks = [new_task("test", "t", data, via={"type": "api"}, now=now, limits=Limits()) for data in datas]
        await self.engine.submit(tasks)
        return [task.id for task in tasks]

    async def until(self, holds: Any) -> None:
        with anyio.fail_after(30):
            while not holds():  # noqa: ASYNC110 - what is waited for happens in other processes too
                await anyio.sleep(0.002)

    async def innocents(self) -> list[str]:
        """Tasks whose runs are under way: one call has returned, and one waits."""
        ids = await self.submit(*({"innocent": n} for n in range(INNOCENTS)))
        await self.until(lambda: self.gate.count("wait") >= INNOCENTS)
        return ids

    async def ended(self, ids: list[str]) -> list[Outcome]:
        resting = {*TaskState} - {TaskState.PENDING, TaskState.RUNNING}
        await self.until(lambda: all(self._rested.get(task_id) in resting for task_id in ids))
        return [await read_outcome(self.engine.store, task_id) for task_id in ids]

    async def end_well(self, innocents: list[str]) -> None:
        """Open the gate: they must be done, and no call that had returned was made again."""
        self.gate.open.set()
        for n, outcome in enumerate(await self.ended(innocents)):
            assert outcome.state == TaskState.DONE, outcome.errors
            assert (outcome.data["first"], outcome.data["sum"]) == (n, n * (n + 1) // 2)
        assert self.gate.count("pass") == INNOCENTS


@asynccontextmanager
async def open_yard(folder: Path, steps: Mapping[str, str], **limits: Any) -> AsyncIterator[Yard]:
    for name, text in {"innocent": INNOCENT, **steps}.items():
        (folder / f"{name}.js").write_text(text, encoding="utf-8")
    gate = Gate()
    workspace = Workspace("test", [folder], connectors=[gate], limits=Limits(**limits))
    async with SQLiteStore(":memory:") as store:
        engine = workspace.engine(store.workspace("test"), cipher=lambda: store.cipher)
        scheduler = Scheduler(engine)
        async with scheduler.running():
            yield Yard(engine, scheduler, gate)


def culprit(name: str, body: str) -> str:
    """A step for the tasks ``{"do": name}``."""
    return (
        f"export const condition = {{ do: '{name}', done: null }};\n"
        f"export const content = async () => {{\n{body}\ndata.done = true;\n}};\n"
    )


async def side_by_side(folder: Path, bodies: Mapping[str, str], **limits: Any) -> dict[str, Outcome]:
    """What comes of a task for each body, with innocent runs under way all the time."""
    steps = {name: culprit(name, body) for name, body in bodies.items()}
    async with open_yard(folder, steps, **limits) as yard:
        innocents = await yard.innocents()
        outcomes = await yard.ended(await yard.submit(*({"do": name} for name in bodies)))
        await yard.end_well(innocents)
        return dict(zip(bodies, outcomes, strict=True))


async def one_by_one(folder: Path, bodies: Mapping[str, str], **limits: Any) -> dict[str, Outcome]:
    """As :func:`side_by_side`, but each task is over before the next begins."""
    steps = {name: culprit(name, body) for name, body in bodies.items()}
    async with open_yard(folder, steps, **limits) as yard:
        innocents = await yard.innocents()
        outcomes = {name: (await yard.ended(await yard.submit({"do": name})))[0] for name in bodies}
        await yard.end_well(innocents)
        return outcomes


def message(outcome: Outcome) -> str:
    assert outcome.state == TaskState.ERROR, outcome.data
    [error] = outcome.errors.values()
    return str(error["message"])


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────

LOOPS: Final = {
    "before": "while (true) {}",
    "after": "await connectors.gate.echo({ n: 1 }); while (true) {}",
    "timer": "await new Promise(() => setTimeout(() => { while (true) {} }, 1))",
    "regex": "/^(a+)+$/.test('a'.repeat(40) + 'b')",
    "microtasks": "for (;;) await null",
}


async def test_a_loop_is_stopped_alone(tmp_path: Path) -> None:
    outcomes = await one_by_one(tmp_path, LOOPS, max_hold=100)
    assert {name for name in LOOPS if "computed for more than 0.1 s" not in message(outcomes[name])} == set()


async def test_a_run_that_waits_or_turns_for_ever_passes_its_time_limit(tmp_path: Path) -> None:
    bodies = {
        "never": "await new Promise(() => {})",
        "turns": "for (;;) await new Promise(go => setTimeout(go, 0))",
    }
    outcomes = await side_by_side(tmp_path, bodies, step_timeout=300)
    assert "waited for 0.3 s" in message(outcomes["never"])
    assert "ran longer than its time limit of 300 ms" in message(outcomes["turns"])


async def test_a_condition_that_spins_stops_only_its_own_task(tmp_path: Path) -> None:
    spins = "export const condition = { do: v => { while (true) {} } };\nexport const content = async () => {};\n"
    async with open_yard(tmp_path, {"spins": spins}, max_hold=100) as yard:
        innocents = await yard.innocents()
        [outcome] = await yard.ended(await yard.submit({"do": 1}))
        assert outcome.state == TaskState.ATTENTION
        await yard.end_well(innocents)


# ── space ───────────────────────────────────────────────────────────────────────────────────────────────────────────

BOMBS: Final = {
    "array": "const a = []; for (;;) a.push([1, 2, 3, {}])",
    "text": "let s = 'xyz'; for (;;) s += s.slice(1) + 'é'",
    "late": "await connectors.gate.echo({ n: 2 }); const a = []; for (;;) a.push([1, 2, 3, {}])",
    "bytes": "const a = []; for (;;) a.push(new Uint8Array(1e8).fill(1))",
}


@pytest.mark.parametrize("name", BOMBS)
async def test_who_asks_for_too_much_memory_fails_alone(tmp_path: Path, name: str) -> None:
    outcomes = await side_by_side(tmp_path, {name: BOMBS[name]}, max_hold=300, max_script_memory=64)
    assert "memory" in message(outcomes[name]) or "computed for" in message(outcomes[name])


async def test_one_bomb_after_the_other(tmp_path: Path) -> None:
    bodies = {name: BOMBS[name] for name in ("array", "text")}
    outcomes = await one_by_one(tmp_path, bodies, max_hold=300, max_script_memory=64, step_timeout=1_000)
    assert "memory" in message(outcomes["array"])
    assert "memory" in message(outcomes["text"])


SLOW_BOMBS: Final = {
    "fill": "new Array(1e8).fill(0)",
    "pad": "data.x = ''.padEnd(2e8, 'ab')",
    "map": "const m = new Map(); for (let n = 0; ; n++) m.set(n, { n })",
    "number": "let n = 3n; for (;;) n *= n",
    "end": "data.x = { toJSON() { const a = []; for (;;) a.push([1, 2, 3, {}]) } }",
    "timers": "for (let n = 0; n < 9000; n++) setTimeout(() => {}, 1, new Array(1e4).fill(n))",
}


async def test_who_fills_the_memory_slowly_is_stopped_before(tmp_path: Path) -> None:
    outcomes = await one_by_one(tmp_path, SLOW_BOMBS, max_hold=100)
    told = {name: message(outcome) for name, outcome in outcomes.items()}
    assert {name: text for name, text in told.items() if "memory" not in text and "computed for" not in text} == {}


async def test_what_v8_refuses_by_itself_is_told(tmp_path: Path) -> None:
    bodies = {
        "allocation": ("Buffer.alloc(3e9)", "allocation failed"),
        "buffer": ("new ArrayBuffer(1e12)", "Invalid array buffer length"),
        "length": ("new Array(-1)", "Invalid array length"),
        "repeat": ("'x'.repeat(2 ** 29)", "Invalid string length"),
        "concat": ("let s = 'x'; for (;;) s = s.concat(s)", "Invalid string length"),
        "join": ("new Array(5e8).join('ab')", "Invalid string length"),
        "arguments": ("Math.max(...new Array(1e6).fill(1))", "call stack"),
        "deep text": ("data.x = JSON.parse('['.repeat(1e5) + ']'.repeat(1e5))", "call stack"),
        "deep wish": ("let at = 1; for (let n = 0; n < 1e5; n++) at = [at]; task.complete(at)", "levels deep"),
        "deep clone": ("let at = 1; for (let n = 0; n < 1e5; n++) at = [at]; structuredClone(at)", "call stack"),
        "toJSON": ("const a = { toJSON() { return JSON.stringify(a) } }; data.x = a", "call stack"),
        "pattern": ("new RegExp('('.repeat(1e5) + ')'.repeat(1e5))", "Invalid regular expression"),
        "message": ("throw new Error('x'.repeat(2e6))", "xxx"),
    }
    outcomes = await side_by_side(tmp_path, {name: body for name, (body, _) in bodies.items()})
    told = {name: message(outcome) for name, outcome in outcomes.items()}
    assert {name: text for name, text in told.items() if bodies[name][1] not in text} == {}
    assert max(map(len, told.values())) < 10_000


async def test_a_bomb_that_ends_the_worker_fails_alone(tmp_path: Path) -> None:
    bodies = {"split": "'x'.repeat(3e8).split('')"}
    outcomes = await side_by_side(tmp_path, bodies, max_hold=1_000, max_script_memory=64)
    assert "memory" in message(outcomes["split"])


async def test_too_much_of_anything_else_is_refused(tmp_path: Path) -> None:
    bodies = {
        "recursion": "const f = () => f() + 1; f()",
        "deep": "let at = data; for (let n = 0; n < 1000; n++) at = at.a = {}",
        "calls": "await Promise.all(Array.from({ length: 20000 }, () => connectors.gate.echo({ n: 9 })))",
        "timers": "for (let n = 0; n < 20000; n++) setTimeout(() => {}, 5)",
        "size": "data.x = 'x'.repeat(20e6)",
        "wishes": "for (let n = 0; n < 2e5; n++) audit.log('x')",
    }
    outcomes = await side_by_side(tmp_path, bodies)
    assert "call stack" in message(outcomes["recursion"])
    assert "more than 64 levels deep" in message(outcomes["deep"])
    assert "more than 10000 calls" in message(outcomes["calls"])
    assert "more than 10000 timers" in message(outcomes["timers"])
    assert "more than the limit of 1048576 bytes" in message(outcomes["size"])
    assert "too many things" in message(outcomes["wishes"])


async def test_a_million_lines_are_cut_and_a_million_promises_are_no_harm(tmp_path: Path) -> None:
    bodies = {
        "lines": "for (let n = 0; n < 1e6; n++) console.log('line', n)",
        "promises": "const a = []; for (let n = 0; n < 1e6; n++) a.push(new Promise(() => {})); data.n = a.length",
    }
    outcomes = await side_by_side(tmp_path, bodies, max_hold=10_000)
    lines = outcomes["lines"].logs
    assert outcomes["lines"].state == TaskState.DONE
    assert len(lines) == Limits().max_log_lines + 1
    assert "the rest is dropped" in lines[-1].text
    assert outcomes["promises"].data["n"] == 1_000_000


# ── ends from outside ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_killed_worker_costs_nobody_a_run_or_a_call(tmp_path: Path) -> None:
    async with open_yard(tmp_path, {}) as yard:
        innocents = await yard.innocents()
        for link in yard.engine.scripts.pool.links:
            os.kill(link.process.pid, signal.SIGKILL)
        await yard.until(lambda: yard.gate.count("wait") >= 2 * INNOCENTS)
        await yard.end_well(innocents)


@pytest.mark.parametrize("body", ["await new Promise(() => {})", "while (true) {}"])
async def test_a_task_that_is_stopped_in_its_step(tmp_path: Path, body: str) -> None:
    steps = {"held": culprit("held", f"await connectors.gate.echo({{ n: 1 }}); {body}")}
    async with open_yard(tmp_path, steps, max_hold=500) as yard:
        innocents = await yard.innocents()
        [task_id] = await yard.submit({"do": "held"})
        await yard.until(lambda: yard.gate.count("echo") == 1)
        await interventions.stop(yard.engine, task_id)
        [outcome] = await yard.ended([task_id])
        assert outcome.state == TaskState.STOPPED
        await yard.end_well(innocents)


async def test_an_engine_that_ends_leaves_no_worker_behind(tmp_path: Path) -> None:
    with anyio.fail_after(5):
        async with open_yard(tmp_path, {"held": culprit("held", "while (true) {}")}, max_hold=10_000) as yard:
            await yard.innocents()
            await yard.submit({"do": "held"})
            await anyio.sleep(0.05)
            processes = [link.process for link in yard.engine.scripts.pool.links]
    assert processes
    for process in processes:
        assert process.returncode is not None
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)
