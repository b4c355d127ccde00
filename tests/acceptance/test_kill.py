"""kill -9 over a real ``aloma-py serve``, again and again, while tasks come in (SPEC §3, After a crash).

The invariants: what was accepted ends, exactly once; no state change happens twice; no call whose answer was recorded
is made again.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Client, Place

KILLS = 60
SEED = 20_260
DEADLINE = 20.0  # seconds for what should take one

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

STEPS = """
from aloma_py import step


@step(condition={"stage": "new"})
async def first(data):
    data.trail.append("first")
    data.stage = "charge"


@step(condition={"stage": "charge", "charged": None}, retries=5, backoff=1)
async def charge(data, connectors):
    answer = await connectors.ledger.write({"order": data.order, "line": "charge"})
    again = await connectors.ledger.write({"order": data.order, "line": "receipt"})
    data.charged = [answer.line, again.line]
    data.trail.append("charge")
    data.stage = "split"


@step(condition={"stage": "split", "parts": None})
def split(data, task):
    for n in range(2):
        task.subtask(f"part {n}", {"part": n}, into=f"parts.{n}", wait_for=True)
    data.trail.append("split")


@step(condition={"part": int})
async def part(data, task):
    task.complete(data.part)


@step(condition={"stage": "split", "parts": [{"result": int}]})
async def finish(data, task):
    data.trail.append("finish")
    data.stage = "parked"
    task.park(5)


@step(condition={"stage": "parked"})
async def last(data):
    data.trail.append("last")
    data.stage = "done"
"""


def submit_until_killed(place: Place, accepted: dict[str, int], numbers: Iterator[int]) -> None:
    """Hand in tasks one after another; only what was answered counts as accepted."""
    try:
        with place.client() as client:
            for number in numbers:
                data = {"order": number, "stage": "new", "trail": []}
                answer = client.ask("new_task", data=data, name=f"order {number}")
                assert isinstance(answer, dict)
                accepted[answer["id"]] = number
    except (OSError, ValueError, RuntimeError):
        pass  # the server has gone


def wait_until_nothing_is_open(client: Client) -> None:
    until = time.monotonic() + 60
    while left := client.ask("list_tasks", states=["pending", "running", "waiting"], limit=3):
        if time.monotonic() > until:
            pytest.fail(f"these do not end: {left}")
        threading.Event().wait(0.05)


def recorded_calls(place: Place) -> set[str]:
    """The idempotency keys of the calls whose answers are on disk."""
    connection = sqlite3.connect(f"file:{place.store}?mode=ro", uri=True)
    try:
        return {key for (key,) in connection.execute("SELECT key FROM call")}
    finally:
        connection.close()


def test_kill_9_loses_nothing_and_repeats_nothing(place: Place) -> None:
    chance = random.Random(SEED)
    accepted: dict[str, int] = {}
    numbers = iter(range(1_000_000))
    made_when_recorded: dict[str, int] = {}

    for _ in range(KILLS):
        with place.serving(STEPS) as server:
            submitter = threading.Thread(target=submit_until_killed, args=(place, accepted, numbers))
            submitter.start()
            submitter.join(chance.uniform(0.005, 0.25))  # the server lives on for as long as this waits
            server.send_signal(signal.SIGKILL)
            server.wait(DEADLINE)
            submitter.join(DEADLINE)
        made = place.ledger()
        for key in recorded_calls(place):
            made_when_recorded.setdefault(key, made[key])

    with place.serving(STEPS) as server:
        with place.client() as client:
            wait_until_nothing_is_open(client)
            tasks = {task_id: client.ask("show_task", id=task_id) for task_id in accepted}
        server.send_signal(signal.SIGTERM)
        server.wait(DEADLINE)

    assert len(accepted) > KILLS  # the kills came while work was under way
    for task_id, task in tasks.items():
        assert isinstance(task, dict)
        data = task["data"]
        assert task["state"] == "done", (task_id, task["reason"])
        assert data["order"] == accepted[task_id]
        assert data["trail"] == ["first", "charge", "split", "finish", "last"]
        assert data["charged"] == ["charge", "receipt"]
        assert [part["result"] for part in data["parts"]] == [0, 1]
    made = place.ledger()
    repeated = {key: (before, made[key]) for key, before in made_when_recorded.items() if made[key] != before}
    assert not repeated, "calls that were recorded were made again"
    orders = Counter(accepted.values())
    assert not [number for number, times in orders.items() if times > 1]
    interrupted = sum(1 for times in made.values() if times > 1)
    print(f"{KILLS} kills, {len(accepted)} tasks accepted, {sum(made.values())} calls, {interrupted} made twice")
