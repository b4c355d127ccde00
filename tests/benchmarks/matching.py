"""How long it takes to find the steps that match, indexed and naive, by the number of steps.

The mix is meant to look like a large workspace: every condition has two to five leaves over some of forty kinds of
tasks; among them are exact values (most), types, operators, nulls, arrays of objects, regexes and alternatives. Two
other mixes are hard for an index: every condition looks at the same four members (``shared``), and every condition
looks at members of its own (``distinct``). Run it by hand, or through ``run.py`` in this folder.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aloma_py.conditions import ConditionIndex, compile_condition, naive_match

_STATES = ("new", "checked", "paid", "shipped", "closed", "failed")
_REGIONS = ("eu", "us", "apac", "latam", "mea")


@dataclass(frozen=True, slots=True)
class Row:
    """Microseconds a task, as medians over repeats; ``build_ms`` is the time to make the index."""

    mix: str
    steps: int
    matches: float  # conditions that match, on average over the tasks
    match_us: float
    rematch_us: float  # after one member changed
    compiled_us: float  # every compiled condition judged, one after another
    naive_us: float  # every condition interpreted
    build_ms: float


def realistic(count: int, rng: random.Random) -> list[dict[str, Any]]:
    """Conditions of a large workspace: forty kinds of tasks, each with steps for its states."""
    return [_realistic(number, rng) for number in range(count)]


def _realistic(number: int, rng: random.Random) -> dict[str, Any]:
    kind = f"kind{rng.randrange(40)}"
    order: dict[str, Any] = {"status": rng.choice(_STATES)}
    source: dict[str, Any] = {"type": kind, "order": order}
    match number % 10:
        case 0:
            order["total"] = {"$gt": rng.randrange(10_000)}
        case 1:
            order["total"] = {"$gte": (low := rng.randrange(10_000)), "$lt": low + 50}
        case 2:
            order["items"] = [{"sku": f"sku{rng.randrange(500)}"}]
        case 3:
            source["customer"] = {"email": re.compile(rf"@shop{rng.randrange(200)}\.example$")}
        case 4:
            source[f"result{rng.randrange(50)}"] = None
            order["region"] = rng.choice(_REGIONS)
        case 5:
            source["customer"] = {"name": str, "tier": {"$in": ["gold", f"tier{rng.randrange(30)}"]}}
        case 6:
            source["tags"] = [f"tag{rng.randrange(300)}"]
            order["approval"] = {"by": None}
        case 7:
            source["$or"] = [{"owner": f"user{rng.randrange(1000)}"}, {"team": f"team{rng.randrange(1000)}"}]
        case 8:
            source[f"step{rng.randrange(2000)}"] = {"ok": True, "score": float}
        case _:
            order["region"] = rng.choice(_REGIONS)
            order["number"] = rng.randrange(5000)
    return source


def shared(count: int, rng: random.Random) -> list[dict[str, Any]]:
    """Every condition looks at the same four members, and no single one of them tells much."""
    return [
        {
            "type": f"kind{rng.randrange(8)}",
            "region": rng.choice(_REGIONS),
            "total": {"$gte": (low := rng.randrange(10_000)), "$lt": low + 1000},
            "status": {"$ne": rng.choice(_STATES)},
        }
        for _ in range(count)
    ]


def distinct(count: int, rng: random.Random) -> list[dict[str, Any]]:
    """Every condition looks at members of its own."""
    return [{f"part{number}": {"state": rng.choice(_STATES), "value": float}} for number in range(count)]


def task(mix: str, count: int, rng: random.Random) -> dict[str, Any]:
    """A task of about forty values."""
    data: dict[str, Any] = {
        "type": f"kind{rng.randrange(8 if mix == 'shared' else 40)}",
        "region": rng.choice(_REGIONS),
        "status": rng.choice(_STATES),
        "total": rng.randrange(10_000),
        "order": {
            "status": rng.choice(_STATES),
            "total": rng.randrange(10_000),
            "region": rng.choice(_REGIONS),
            "number": rng.randrange(5000),
            "items": [{"sku": f"sku{rng.randrange(500)}", "count": n} for n in range(3)],
        },
        "customer": {"name": "A. Person", "email": f"a@shop{rng.randrange(200)}.example", "tier": "gold"},
        "tags": [f"tag{rng.randrange(300)}" for _ in range(3)],
        "owner": f"user{rng.randrange(1000)}",
        "team": f"team{rng.randrange(1000)}",
        "$via": {"type": "api", "name": "shop", "id": "v1"},
    }
    for _ in range(4):
        data[f"step{rng.randrange(2000)}"] = {"ok": True, "score": 0.5}
        data[f"part{rng.randrange(count)}"] = {"state": rng.choice(_STATES), "value": 3}
    return data


MIXES: dict[str, Callable[[int, random.Random], list[dict[str, Any]]]] = {
    "realistic": realistic,
    "shared": shared,
    "distinct": distinct,
}


def bench_matching(sizes: Sequence[int] = (10, 100, 1000, 10_000), mixes: Sequence[str] = tuple(MIXES)) -> list[Row]:
    """Measure every mix at every size; the random numbers are the same in each run."""
    return [_measure(mix, size) for mix in mixes for size in sizes]


def _measure(mix: str, size: int) -> Row:
    rng = random.Random(f"{mix} {size}")
    conditions = [compile_condition(source) for source in MIXES[mix](size, rng)]
    tasks = [task(mix, size, rng) for _ in range(200)]
    begun = time.perf_counter()
    index = ConditionIndex(conditions)
    build = time.perf_counter() - begun
    found = [index.match(data) for data in tasks]
    few = tasks[: max(1, 2000 // size)]
    assert found[: len(few)] == [naive_match(conditions, data) for data in few]
    pairs = list(zip(tasks, found, strict=True))
    changed = [("order", "status")] if mix == "realistic" else [("total",)]
    return Row(
        mix,
        size,
        statistics.mean(map(len, found)),
        _median(lambda: [index.match(data) for data in tasks], len(tasks)),
        _median(lambda: [index.rematch(data, before, changed) for data, before in pairs], len(tasks)),
        _median(lambda: [[one.matches(data) for one in conditions] for data in few], len(few), repeats=3),
        _median(lambda: [naive_match(conditions, data) for data in few], len(few), repeats=3),
        build * 1000,
    )


def _median(work: Callable[[], object], tasks: int, repeats: int = 7) -> float:
    """Microseconds a task."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times) / tasks * 1e6


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    titles = ("mix", "steps", "matches", "match µs", "rematch µs", "compiled µs", "naive µs", "build ms")
    head = f"{titles[0]:<10}" + "".join(f"{title:>12}" for title in titles[1:])
    lines = [
        f"{r.mix:<10}{r.steps:>12}{r.matches:>12.1f}{r.match_us:>12.1f}{r.rematch_us:>12.1f}{r.compiled_us:>12.0f}"
        f"{r.naive_us:>12.0f}{r.build_ms:>12.0f}"
        for r in rows
    ]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    sizes = [int(one) for one in sys.argv[1:]] or [3, 10, 100, 1000, 10_000]
    print(table(bench_matching(sizes)))
