"""kill -9 over a real ``aloma-py serve``, again and again, while tasks come in (SPEC §3, After a crash).

The invariants: what was accepted ends, exactly once; no state change happens twice; no call whose answer was recorded
is made again.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

KILLS = 60
SEED = 20_260
DEADLINE = 20.0  # seconds for what should take one

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(420)]

STEPS = '''
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
'''

LEDGER = '''
import json, os

from aloma_py.hookspecs import hookimpl


class Ledger:
    """A service with a memory of its own: every call that reaches it is a line of a file."""

    namespace, methods, default, recorded = "ledger", ("write",), None, True

    async def call(self, method, arguments, context):
        line = json.dumps({"key": context.key, **arguments}) + "\\n"
        file = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)
        return {"line": arguments["line"]}


@hookimpl
def register_connectors(register):
    register(Ledger())
'''


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with steps, and a distribution whose plugin brings the connector."""
    (tmp_path / "steps.py").write_text(STEPS)
    plugins = tmp_path / "plugins"
    info = plugins / "ledger_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (plugins / "ledger_plugin.py").write_text(LEDGER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ledger-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aloma_py]\nledger = ledger_plugin\n")
    return tmp_path


@contextmanager
def serving(place: Path) -> Iterator[subprocess.Popen[str]]:
    """A server that is ready; killed at the end if it still runs."""
    environment = {
        **os.environ,
        "ALOMA_STORE": str(place / "tasks.db"),
        "LEDGER": str(place / "ledger.jsonl"),
        "PYTHONPATH": os.pathsep.join([str(place / "plugins"), *sys.path]),
    }
    command = [sys.executable, "-m", "aloma_py.cli", "serve", str(place / "steps.py")]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=place
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "serving workspace" in line:
                break
        else:
            pytest.fail("the server did not start:\n" + "".join(lines))
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))  # it never waits for a full pipe
        reader.start()
        yield process
        reader.join(DEADLINE)
        if process.returncode not in (0, -signal.SIGKILL):
            pytest.fail(f"the server ended with {process.returncode}:\n" + "".join(lines[-60:]))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(DEADLINE)
        if process.stdout is not None:
            process.stdout.close()


class Client:
    """Talks to the server's control socket."""

    def __init__(self, place: Path) -> None:
        self.address = place / "tasks.db.sock"
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(DEADLINE)
        address = self.address.read_text().strip() if self.address.is_file() else str(self.address)
        self.connection.connect(address)
        self.file = self.connection.makefile("rwb")

    def ask(self, operation: str, **arguments: object) -> object:
        request = {"workspace": "default", "op": operation, "args": arguments}
        self.file.write(json.dumps(request).encode() + b"\n")
        self.file.flush()
        line = self.file.readline()
        if not line:
            raise ConnectionError("the server has gone")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["ok"]

    def close(self) -> None:
        self.file.close()
        self.connection.close()


def submit_until_killed(place: Path, accepted: dict[str, int], numbers: Iterator[int]) -> None:
    """Hand in tasks one after another; only what was answered counts as accepted."""
    client = None
    try:
        client = Client(place)
        while True:
            number = next(numbers)
            answer = client.ask(
                "new_task", data={"order": number, "stage": "new", "trail": []}, name=f"order {number}"
            )
            assert isinstance(answer, dict)
            accepted[answer["id"]] = number
    except (OSError, ValueError, RuntimeError):
        pass  # the server has gone
    finally:
        if client is not None:
            with_gone_server(client)


def with_gone_server(client: Client) -> None:
    try:
        client.close()
    except OSError:
        pass


def wait_until_nothing_is_open(client: Client) -> None:
    until = time.monotonic() + 60
    while left := client.ask("list_tasks", states=["pending", "running", "waiting"], limit=3):
        if time.monotonic() > until:
            pytest.fail(f"these do not end: {left}")
        threading.Event().wait(0.05)


def recorded_calls(place: Path) -> set[str]:
    """The idempotency keys of the calls whose answers are on disk."""
    connection = sqlite3.connect(f"file:{place / 'tasks.db'}?mode=ro", uri=True)
    try:
        return {key for (key,) in connection.execute("SELECT key FROM call")}
    finally:
        connection.close()


def ledger(place: Path) -> Counter[str]:
    path = place / "ledger.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return Counter(json.loads(line)["key"] for line in lines)


def test_kill_9_loses_nothing_and_repeats_nothing(place: Path) -> None:
    chance = random.Random(SEED)
    accepted: dict[str, int] = {}
    numbers = iter(range(1_000_000))
    made_when_recorded: dict[str, int] = {}

    for _ in range(KILLS):
        with serving(place) as server:
            submitter = threading.Thread(target=submit_until_killed, args=(place, accepted, numbers))
            submitter.start()
            submitter.join(chance.uniform(0.005, 0.25))  # the server lives on for as long as this waits
            server.send_signal(signal.SIGKILL)
            server.wait(DEADLINE)
            submitter.join(DEADLINE)
        made = ledger(place)
        for key in recorded_calls(place):
            made_when_recorded.setdefault(key, made[key])

    with serving(place) as server:
        client = Client(place)
        try:
            wait_until_nothing_is_open(client)
            tasks = {task_id: client.ask("show_task", id=task_id) for task_id in accepted}
        finally:
            client.close()
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
    made = ledger(place)
    repeated = {key: (before, made[key]) for key, before in made_when_recorded.items() if made[key] != before}
    assert not repeated, "calls that were recorded were made again"
    orders = Counter(accepted.values())
    assert not [number for number, times in orders.items() if times > 1]
    interrupted = sum(1 for times in made.values() if times > 1)
    print(f"{KILLS} kills, {len(accepted)} tasks accepted, {sum(made.values())} calls, {interrupted} made twice")
