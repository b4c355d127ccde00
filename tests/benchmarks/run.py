"""``make bench``: prints what the engine reaches on this machine. Medians; compare figures of one run only."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import sys
from functools import partial
from pathlib import Path

import anyio
from rich.console import Console
from rich.table import Table

from aloma_py.serve.loop import tune_memory

sys.path.insert(0, str(Path(__file__).parent))

import javascript
from matching import bench_matching
from matching import table as table_of_matching
from raw_sqlite import raw_sqlite
from throughput import Throughput, measure, order, parked_memory

TASKS = 6_000
SINGLES = 300
REPEATS = 3
PARKED = 100_000
UVLOOP = {"use_uvloop": sys.platform != "win32"}


def throughput_rows() -> list[tuple[str, Throughput]]:
    """The variants in turn, several times; the run with the median of each."""
    variants = {
        "async def steps": partial(measure, TASKS, SINGLES),
        "def steps (worker threads)": partial(measure, TASKS // 3, SINGLES // 3, threads=True),
        "async def, synchronous=NORMAL": partial(measure, TASKS, SINGLES, synchronous="NORMAL"),
    }
    results: dict[str, list[Throughput]] = {name: [] for name in variants}
    for _ in range(REPEATS):
        for name, work in variants.items():
            results[name].append(anyio.run(work, backend_options=UVLOOP))
    return [(name, sorted(found, key=lambda one: one.tasks_a_second)[REPEATS // 2]) for name, found in results.items()]


def main() -> None:
    tune_memory()
    console = Console(width=110)
    console.print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores; "
        f"medians of {REPEATS}"
    )

    table = Table("durable tasks, three tiny steps each", "tasks/s", "p50 ms", "p99 ms", "peak MB")
    for name, row in throughput_rows():
        table.add_row(
            name, f"{row.tasks_a_second:,.0f}", f"{row.p50_ms:.2f}", f"{row.p99_ms:.2f}", f"{row.peak_mb:.0f}"
        )
    for group in (1, 100):
        rates = [raw_sqlite(1_500 if group == 1 else 20_000, order(1), group=group) for _ in range(REPEATS)]
        label = "raw sqlite3, four commits a task" if group == 1 else f"raw sqlite3, commits shared by {group} tasks"
        table.add_row(label, f"{statistics.median(rates):,.0f}", "", "", "")
    console.print(table)
    console.print("p50 and p99: one task at a time on an idle engine, from submit to its last commit\n")

    console.print(table_of_matching(bench_matching()))

    empty, full = anyio.run(partial(parked_memory, PARKED), backend_options=UVLOOP)
    console.print(f"\nmemory of an engine's process with an empty store: {empty:.0f} MB")
    console.print(f"memory of an engine's process with {PARKED:,} parked tasks in the store: {full:.0f} MB")


if __name__ == "__main__":
    main()
    print()
    javascript.main()
