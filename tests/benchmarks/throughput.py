"""Durable tasks a second, and the time that one task takes on an idle engine.

Three tiny steps a task, the store on disk with ``synchronous=FULL``. A task counts as accepted when ``submit`` has
returned, and as finished when the commit of its end has: both are on disk then.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import psutil

from aloma_py import Workspace, step
from aloma_py.clock import SystemClock
from aloma_py.intake import new_task
from aloma_py.models import Limits, Task
from aloma_py.scheduler import Scheduler
from aloma_py.steps import Step
from aloma_py.store.sqlite import SQLiteStore

Synchronous = Literal["FULL", "NORMAL", "OFF"]


def tiny_steps(*, threads: bool) -> list[Step[..., object]]:
    """new -> checked -> priced -> done; ``async def``, or ``def`` in worker threads."""

    async def check(data):  # type: ignore[no-untyped-def]
        data.order.status = "checked"

    async def price(data):  # type: ignore[no-untyped-def]
        data.order.total = sum(item["price"] for item in data.order["items"])
        data.order.status = "priced"

    async def ship(data, task):  # type: ignore[no-untyped-def]
        data.order.status = "shipped"
        task.complete()

    def check_in_thread(data):  # type: ignore[no-untyped-def]
        data.order.status = "checked"

    def price_in_thread(data):  # type: ignore[no-untyped-def]
        data.order.total = sum(item["price"] for item in data.order["items"])
        data.order.status = "priced"

    def ship_in_thread(data, task):  # type: ignore[no-untyped-def]
        data.order.status = "shipped"
        task.complete()

    functions = [check_in_thread, price_in_thread, ship_in_thread] if threads else [check, price, ship]
    conditions = [
        {"order": {"status": "new", "customer": {"id": str}}},
        {"order": {"status": "checked", "items": [{"sku": str}]}},
        {"order": {"status": "priced", "total": float}},
    ]
    return [step(condition=c, name=f.__name__)(f) for f, c in zip(functions, conditions, strict=True)]


def order(n: int) -> dict[str, object]:
    """A document of about 300 bytes."""
    return {
        "order": {
            "id": f"A-{n}",
            "status": "new",
            "customer": {"id": f"C-{n % 997}", "email": f"customer{n}@example.org", "tier": "standard"},
            "items": [
                {"sku": "P-100", "quantity": 2, "price": 12.5},
                {"sku": "P-200", "quantity": 1, "price": 99.0},
            ],
            "note": "leave it with the neighbours if nobody is at home",
        }
    }


@dataclass(frozen=True)
class Throughput:
    tasks_a_second: float
    p50_ms: float
    p99_ms: float
    peak_mb: float


async def measure(
    tasks: int, singles: int, *, threads: bool = False, synchronous: Synchronous = "FULL", producers: int = 64
) -> Throughput:
    """Run ``tasks`` at once, then ``singles`` one after another."""
    workspace = Workspace("bench", tiny_steps(threads=threads))
    with tempfile.TemporaryDirectory() as folder:
        async with SQLiteStore(Path(folder) / "bench.db", synchronous=synchronous) as store:
            engine = workspace.engine(store.workspace("bench"))
            finished: dict[str, anyio.Event] = {}
            left = tasks
            all_done = anyio.Event()

            def watch(task: Task, entries: object) -> None:
                nonlocal left
                if task.state.ended:
                    left -= 1
                    if left == 0:
                        all_done.set()
                    event = finished.get(task.id)
                    if event is not None:
                        event.set()

            engine.custody.watchers.append(watch)
            scheduler = Scheduler(engine)
            numbers = iter(range(tasks))

            async def produce() -> None:
                for n in numbers:
                    await engine.submit([make(n)])

            def make(n: int) -> Task:
                return new_task(
                    "bench", f"order {n}", order(n), via={"type": "api"}, now=engine.clock.now(), limits=Limits()
                )

            async with scheduler.running():
                begun = time.perf_counter()
                async with anyio.create_task_group() as group:
                    for _ in range(producers):
                        group.start_soon(produce)
                await all_done.wait()
                seconds = time.perf_counter() - begun
                times = []
                for n in range(singles):
                    task = make(n)
                    finished[task.id] = anyio.Event()
                    begun = time.perf_counter()
                    await engine.submit([task])
                    await finished[task.id].wait()
                    times.append((time.perf_counter() - begun) * 1000)
    times.sort()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Throughput(
        tasks / seconds,
        statistics.median(times) if times else 0.0,
        times[int(len(times) * 0.99)] if times else 0.0,
        peak,
    )


async def parked_memory(tasks: int) -> tuple[float, float]:
    """MB of memory of an engine in a process of its own: with an empty store, and with so many parked tasks in it."""
    with tempfile.TemporaryDirectory() as folder:
        empty, full = Path(folder) / "empty.db", Path(folder) / "full.db"
        async with SQLiteStore(empty):
            pass
        async with SQLiteStore(full) as store:
            handle = store.workspace("bench")
            now = SystemClock().now()
            for start in range(0, tasks, 1000):
                numbers = range(start, min(start + 1000, tasks))
                await handle.accept([parked_order(n, now) for n in numbers])
        return await memory_of(empty), await memory_of(full)


def parked_order(n: int, now: int) -> Task:
    """A task that is due tomorrow."""
    return new_task("bench", f"order {n}", order(n), via=None, now=now, due_at=now + 86_400_000, limits=Limits())


async def memory_of(store: Path) -> float:
    """MB of a process that has opened the store, started its scheduler and looked for what is due."""
    done = await anyio.run_process([sys.executable, __file__, str(store)])
    return float(done.stdout)


async def stand_by(path: Path) -> None:
    """What that process does."""
    workspace = Workspace("bench", tiny_steps(threads=False))
    async with SQLiteStore(path) as store:
        scheduler = Scheduler(workspace.engine(store.workspace("bench")))
        async with scheduler.running():
            await scheduler.collect()
            await store.workspace("bench").counts()
            print(psutil.Process().memory_info().rss / 1024 / 1024)


if __name__ == "__main__":
    anyio.run(stand_by, Path(sys.argv[1]))
