"""A real server in a process of its own, a service with a memory, and a client of the control socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

DEADLINE = 20.0  # seconds for what should take one

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


@dataclass(frozen=True)
class Place:
    """A folder with the server's files."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "tasks.db"

    def ledger(self) -> Counter[str]:
        """How often each call reached the service, by its idempotency key."""
        path = self.folder / "ledger.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(json.loads(line)["key"] for line in lines)

    @contextmanager
    def serving(self, steps: str) -> Iterator[subprocess.Popen[str]]:
        """A server of these steps that is ready; killed at the end if it still runs."""
        (self.folder / "steps.py").write_text(steps)
        environment = {
            **os.environ,
            "ALOMA_STORE": str(self.store),
            "LEDGER": str(self.folder / "ledger.jsonl"),
            "PYTHONPATH": os.pathsep.join([str(self.folder / "plugins"), *sys.path]),
        }
        command = [sys.executable, "-m", "aloma_py.cli", "serve", str(self.folder / "steps.py")]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder
        )
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))  # it never waits for a full pipe
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if "serving workspace" in line:
                    break
            else:
                pytest.fail("the server did not start:\n" + "".join(lines))
            reader.start()
            yield process
            process.wait(DEADLINE)
            if process.returncode not in (0, -signal.SIGKILL):
                pytest.fail(f"the server ended with {process.returncode}:\n" + "".join(lines[-60:]))
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(DEADLINE)
            if reader.ident is not None:
                reader.join(DEADLINE)
            if process.stdout is not None:
                process.stdout.close()

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A connection to the server that runs."""
        client = Client(self.store)
        try:
            yield client
        finally:
            client.close()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder, with a distribution whose plugin brings the connector ``ledger``."""
    plugins = tmp_path / "plugins"
    info = plugins / "ledger_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (plugins / "ledger_plugin.py").write_text(LEDGER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ledger-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[aloma_py]\nledger = ledger_plugin\n")
    return Place(tmp_path)


class Client:
    """Talks to the server's control socket."""

    def __init__(self, store: Path) -> None:
        file = store.with_name(store.name + ".sock")
        address = file.read_text().strip() if file.is_file() else str(file)
        self.connection = socket.socket(socket.AF_UNIX)
        try:
            self.connection.settimeout(DEADLINE)
            self.connection.connect(address)
        except OSError:
            self.connection.close()
            raise
        self.file = self.connection.makefile("rwb")

    def ask(self, operation: str, **arguments: object) -> object:
        """The operation's answer; ``RuntimeError`` with its message where it failed."""
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

    def follow(self, task_id: str) -> Iterator[dict[str, object]]:
        """The task's news, until it has ended."""
        request = {"workspace": "default", "op": "follow", "args": {"id": task_id}}
        self.file.write(json.dumps(request).encode() + b"\n")
        self.file.flush()
        while "item" in (answer := json.loads(self.file.readline())):
            yield answer["item"]

    def close(self) -> None:
        for end in (self.file, self.connection):
            try:
                end.close()
            except OSError:
                continue  # the server has gone
