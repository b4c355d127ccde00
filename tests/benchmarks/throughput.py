"""Durable tasks a second, and the time that one task takes on an idle engine.

Three tiny steps a task, the store on disk with ``synchronous=FULL``. A task counts as accepted when ``submit`` has
returned, and as finished when the commit of its end has: both are on disk then.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import psutil

from aloma_py import Workspace, step
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


async def parked_memory(tasks: int) -> float:
    """How many MB the engine grows by while the store holds so many parked tasks."""
    workspace = Workspace("bench", tiny_steps(threads=False))
    process = psutil.Process(os.getpid())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.db"
        async with SQLiteStore(path) as store:
            handle = store.workspace("bench")
            now = workspace.engine(handle).clock.now()
            for start in range(0, tasks, 1000):
                batch = [
                    new_task(
                        "bench", f"order {n}", order(n), via=None, now=now, due_at=now + 86_400_000, limits=Limits()
                    )
                    for n in range(start, min(start + 1000, tasks))
                ]
                await handle.accept(batch)
        before = process.memory_info().rss
        async with SQLiteStore(path) as store:
            scheduler = Scheduler(workspace.engine(store.workspace("bench")))
            async with scheduler.running():
                await scheduler.collect()
                return (process.memory_info().rss - before) / 1024 / 1024


if __name__ == "__main__":
    backend = {"backend_options": {"use_uvloop": True}}
    print(anyio.run(lambda: measure(5000, 200), **backend))
    print(anyio.run(lambda: measure(3000, 100, threads=True), **backend))
    print("parked", anyio.run(lambda: parked_memory(20_000), **backend))
