"""Durable webhooks a second: how many deliveries a server takes, and how long a sender waits for its answer.

The server is a process of its own, the store on disk with ``synchronous=FULL``; every delivery is answered when its
task is on disk, and counted there at the end. The load comes from ``wrk`` where it is installed and each request may be
the same, else from connections of our own, which send a request when the one before was answered.

    python tests/benchmarks/webhooks.py [--seconds 10] [--connections 64] [--signed] [--dedupe] [--advance]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import os
import re
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import cast

import anyio
from starlette.applications import Starlette

from aloma_py.operations.webhooks import new_webhook_id
from aloma_py.serve.house import House
from aloma_py.serve.web.door import Door, Front
from aloma_py.serve.web.server import address_of, listen, serving
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.webhooks import WebhookRows

SECRET = "a secret of the benchmark"
STEP = """
from aloma_py import step

@step(condition={"order": {"status": "new"}})
async def take(data, task):
    data.order.status = "taken"
    task.complete()
"""
BODY = (
    b'{"order": {"id": "A-%d", "status": "new", "customer": {"id": "C-17", "email": "customer@example.org"}, '
    b'"items": [{"sku": "P-100", "quantity": 2, "price": 12.5}, {"sku": "P-200", "quantity": 1, "price": 99.0}]}}'
)


@dataclass
class Measured:
    """What the senders saw; times in milliseconds."""

    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    times: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        return sorted(self.times)[int(len(self.times) * share)] if self.times else 0.0

    def __str__(self) -> str:
        return (
            f"{self.accepted / self.seconds:,.0f} webhooks/s ({self.accepted:,} accepted, {self.refused} refused), "
            f"p50 {statistics.median(self.times):.1f} ms, p99 {self.percentile(0.99):.1f} ms, "
            f"longest {max(self.times):.0f} ms"
        )


# ── the server ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def serve(folder: Path, *, signed: bool, dedupe: bool, advance: bool) -> None:
    """Print the webhook's address, and answer until SIGTERM."""
    (folder / "bench_steps.py").write_text(STEP)
    options = {"signature": "github"} if signed else {}
    if dedupe:
        options["dedupe"] = "github"
    id = new_webhook_id()
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async with SQLiteStore(folder / "bench.db") as store, anyio.create_task_group() as group:
            house = House(store, Settings(workspace="bench"), group)
            await WebhookRows(store, "bench").add(id, "orders", options, SECRET if signed else None, 0, "bench")
            if advance:
                await house.open("bench", [str(folder / "bench_steps.py")])
                await house.begin()
            door = Door(store, house.find)
            group.start_soon(door.keep_counts)
            listener = listen("127.0.0.1:0")
            async with serving(Front(door, Starlette()), listener):
                print(f"{address_of(listener)}/event/{id}", flush=True)
                await anext(signals)
            group.cancel_scope.cancel()


# ── the senders ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Sender(asyncio.Protocol):
    """One connection: a request, its answer, the next request, until the time is over."""

    def __init__(self, requests: Iterator[bytes], measured: Measured, until: float) -> None:
        self._requests = requests
        self._measured = measured
        self._until = until
        self._got = b""
        self._sent_at = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head)
        if not end or found is None or len(body) < int(found[1]):
            return
        now = time.perf_counter()
        self._measured.times.append((now - self._sent_at) * 1000)
        if head.startswith(b"HTTP/1.1 202"):
            self._measured.accepted += 1
        else:
            self._measured.refused += 1
        self._got = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def requests(path: str, *, signed: bool, dedupe: bool) -> Iterator[bytes]:
    for n in count():
        body = BODY % n
        lines = [
            f"POST {path} HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            "User-Agent: benchmark",
            f"Content-Length: {len(body)}",
        ]
        if signed:
            lines.append(f"X-Hub-Signature-256: sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}")
        if dedupe:
            lines.append(f"X-GitHub-Delivery: {n}")
        yield "\r\n".join((*lines, "", "")).encode() + body


async def send(address: str, seconds: float, connections: int, *, signed: bool, dedupe: bool) -> Measured:
    host, path = address.removeprefix("http://").split("/", 1)
    name, port = host.rsplit(":", 1)
    measured = Measured()
    each = requests(f"/{path}", signed=signed, dedupe=dedupe)
    begun = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: Sender(each, measured, begun + seconds), name, int(port)))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(sender.ended for sender in made))
    measured.seconds = time.perf_counter() - begun
    return measured


def send_with_wrk(address: str, seconds: float, connections: int, folder: Path) -> str:
    script = folder / "post.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = [[{(BODY % 1).decode()}]]\n'
    )
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "-s", str(script), address]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def measure(
    seconds: float, connections: int, *, signed: bool, dedupe: bool, advance: bool, profile: str | None = None
) -> None:
    flags = [flag for flag, on in (("--signed", signed), ("--dedupe", dedupe), ("--advance", advance)) if on]
    python = [sys.executable, *(["-m", "cProfile", "-o", profile] if profile else [])]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        server = subprocess.Popen(
            [*python, __file__, "--serve", temporary, *flags], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        try:
            if shutil.which("wrk") and not (signed or dedupe):
                print(send_with_wrk(address, seconds, connections, folder))
                sent = None
            else:
                sent = anyio.run(
                    lambda: send(address, seconds, connections, signed=signed, dedupe=dedupe),
                    backend_options={"use_uvloop": True},
                )
        finally:
            server.terminate()
            server.wait()
        with sqlite3.connect(folder / "bench.db") as connection:
            stored, done = connection.execute("SELECT count(*), total(state = 'done') FROM task").fetchone()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        each = (used.ru_utime + used.ru_stime) * 1e6 / max(stored, 1)
        what = " ".join(flags) or "plain"
        print(
            f"{what}, {connections} connections: {sent or ''}; "
            f"{stored:,} tasks on disk, {done:,.0f} done; "
            f"{each:.0f} µs of the server's CPU each, its start included"
        )
        if sent is not None and stored < sent.accepted:
            raise SystemExit("deliveries were accepted that are not on disk")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=64)
    for flag in ("--signed", "--dedupe", "--advance"):
        parser.add_argument(flag, action="store_true")
    parser.add_argument("--profile", metavar="FILE", help="where cProfile writes what the server did")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    options = {"signed": given.signed, "dedupe": given.dedupe, "advance": given.advance}
    if given.serve is not None:
        anyio.run(lambda: serve(given.serve, **options), backend_options={"use_uvloop": True})
    else:
        measure(given.seconds, given.connections, **options, profile=given.profile)


if __name__ == "__main__":
    main()
