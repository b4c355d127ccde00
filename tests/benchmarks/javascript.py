"""What a JavaScript step costs: one connector call each, many in flight, beside Node.js running the same bodies."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import anyio
import psutil

from aloma_py.javascript.job import Surroundings
from aloma_py.javascript.pool import Pool
from aloma_py.javascript.program import Program

BODY = """
  const answer = await connectors.crm.find({ id: data.customer.id });
  data.total = data.items.reduce((sum, item) => sum + item.price * item.count, 0);
  data.customer.tier = answer.tier;
"""
DATA = {
    "customer": {"id": 4711, "name": "Ada Lovelace", "mail": "ada@example.com"},
    "items": [{"sku": f"S-{n}", "price": 12.5, "count": n} for n in range(5)],
}
STEP = Program("step", "step.js", f"return {{condition: () => ({{}}), content: async () => {{{BODY}}}}}")
AROUND = Surroundings("bench", connectors=(("crm", None),))
ROUNDS = 3

NODE = f"""
const step = async (data, connectors) => {{{BODY}}};
const text = {json.dumps(json.dumps(DATA))};
const find = async () => {{ await new Promise(r => setImmediate(r)); return {{ tier: 'gold' }} }};
const connectors = {{ crm: {{ find }} }};
const RUNS = 20000, FLIGHT = 100;
const lane = async n => {{ for (let i = 0; i < n; i++) {{
  const data = JSON.parse(text); await step(data, connectors); JSON.stringify(data) }} }};
(async () => {{
  await Promise.all(Array.from({{ length: FLIGHT }}, () => lane(20)));
  const began = process.hrtime.bigint();
  await Promise.all(Array.from({{ length: FLIGHT }}, () => lane(RUNS / FLIGHT)));
  console.log(Number(process.hrtime.bigint() - began) / 1000 / RUNS);
}})();
"""


@dataclass
class BenchRun:
    """A run whose connector answers after one turn of the loop."""

    spec_text: str
    program: Program = STEP
    surroundings: Surroundings = AROUND
    limit: float = 30

    async def spec(self, again: bool) -> str:
        return self.spec_text

    async def call(self, kind: str, arguments: list[Any]) -> Any:
        await anyio.lowlevel.checkpoint()
        return {"tier": "gold"}

    def log(self, level: str, line: str) -> None: ...

    def stash(self, value: Any) -> None: ...


def spec() -> str:
    return json.dumps(
        {
            "key": STEP.key,
            "data": DATA,
            "task": {"id": "t", "name": "n", "tags": [], "createdAt": "", "workspace": "w", "region": "local"},
            "step": {"name": "step", "attempt": 1},
            "config": {},
            "audit": [],
            "child": "c",
            "limits": {"logLines": 100, "logBytes": 9999, "depth": 64, "runMillis": 30000, "dataBytes": 1 << 20},
        }
    )


async def micros(workers: int, in_flight: int, runs: int) -> float:
    """Microseconds a step."""
    pool = Pool(size=workers)
    text = spec()

    async def lane(count: int) -> None:
        for _ in range(count):
            await pool.run(BenchRun(text))

    async def all_lanes(each: int) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(in_flight):
                group.start_soon(lane, each)

    async with pool.running():
        await all_lanes(max(200 // in_flight, 2))
        began = time.perf_counter()
        await all_lanes(runs // in_flight)
        return (time.perf_counter() - began) / (runs // in_flight * in_flight) * 1e6


async def first_run() -> tuple[float, float]:
    """Milliseconds from nothing to the end of the first run, and megabytes of the idle worker."""
    pool = Pool(size=1)
    async with pool.running():
        began = time.perf_counter()
        await pool.run(BenchRun(spec()))
        took = (time.perf_counter() - began) * 1000
        await anyio.sleep(0.2)
        return took, psutil.Process(pool.links[0].process.pid).memory_info().rss / 1e6


def node() -> float | None:
    found = shutil.which("node")
    if found is None:
        return None
    return float(subprocess.run([found, "-e", NODE], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    firsts = [anyio.run(first_run) for _ in range(ROUNDS)]
    print(f"first run, from no worker: {statistics.median(took for took, _ in firsts):.0f} ms")
    print(f"an idle worker: {statistics.median(size for _, size in firsts):.0f} MB")
    print(f"\nmicroseconds a step, one connector call each ({os.cpu_count()} cores)")
    for workers, in_flight, runs in ((1, 1, 1000), (1, 100, 10_000), (2, 100, 10_000), (1, 1000, 10_000)):
        took = statistics.median(anyio.run(micros, workers, in_flight, runs, backend_options={"use_uvloop": True})
                                 for _ in range(ROUNDS))  # fmt: skip
        print(f"  {workers} worker{'s' if workers > 1 else ' '} {in_flight:5} in flight   {took:7.1f}")
    took_by_node = node()
    if took_by_node is not None:
        print(f"  Node.js, the bodies alone, 100 in flight {took_by_node:7.1f}")


if __name__ == "__main__":
    main()
