"""One worker process as the engine sees it: its socket, its isolates, and the runs that are in it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, Protocol

import anyio
import anyio.abc

from aloma_py import jsontext
from aloma_py.javascript.program import Program
from aloma_py.javascript.wire import CONTROL, Frames, frame

DATA_LIMIT: Final = 2 << 30
"""Bytes of data that a worker may have: what is beyond fails in the step that asked for it."""

FRAME_MESSAGES: Final = 50
"""Messages to a frame: while V8 handles these, the engine deals with what came of those before."""

Message = list[Any]


class WorkerDied(Exception):
    """The worker ended while runs were in it.

    ``suspected``: it may have been this run that ended it. ``explained``: it is known which run it was.
    """

    def __init__(self, *, suspected: bool = False, explained: bool = False) -> None:
        super().__init__("the JavaScript worker died")
        self.suspected = suspected
        self.explained = explained


class Listener(Protocol):
    """Who hears what V8 says about one run."""

    def put(self, message: Message) -> None:
        """Take a message. It must not raise, and not take long: the others wait."""

    def fail(self, error: BaseException) -> None:
        """Hear that there will be no more: the worker died."""


class Link:
    """A worker process. Made by :meth:`start`; :meth:`serve` reads and writes until it dies."""

    def __init__(self, process: anyio.abc.Process, stream: anyio.abc.SocketStream) -> None:
        self.process = process
        self.alive = True
        self._killed = False
        self.runs: dict[int, Listener] = {}
        self._stream = stream
        self._isolates: dict[str, int] = {}
        self._busy: Counter[int] = Counter()  # runs in each isolate
        self._numbers = 0
        self._loaded: set[tuple[int, str]] = set()
        self._setups: dict[int, Any] = {}
        self._outgoing: list[bytes] = []
        self._batches: dict[int, list[str]] = {}
        self._posted: dict[int, deque[int]] = {}  # runs of the messages that V8 may not have handled yet
        self._handled: dict[int, int] = {}
        self._wake = anyio.Event()
        self._ready = anyio.Event()
        self._explained = False
        self.ended = anyio.Event()

    @classmethod
    async def start(cls) -> Link:
        ours, theirs = socket.socketpair()
        with theirs:
            fd = theirs.fileno()
            process = await anyio.open_process(
                [sys.executable, "-m", "aloma_py.javascript.worker", str(fd), str(DATA_LIMIT)],
                pass_fds=[fd],
                env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.defpath, "LANG": "C.UTF-8"},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        ours.setblocking(False)
        return cls(process, await anyio.abc.UNIXSocketStream.from_socket(ours))

    # ── what is asked of it ─────────────────────────────────────────────────────────────────────────────────────

    def isolate(self, workspace: str, hold: float, memory: int) -> int:
        """The number of the workspace's isolate in this worker."""
        number = self._isolates.get(workspace)
        if number is None:
            self._close_others(workspace)
            self._numbers += 1
            number = self._isolates[workspace] = self._numbers
            self._posted[number] = deque()
            self._handled[number] = 0
            self._control({"open": number, "hold": hold, "memory": memory})
        return number

    def _close_others(self, workspace: str) -> None:
        """Close what is left of the workspace with other libraries than now, unless a run is still in it."""
        name, _, _ = workspace.rpartition("#")
        for other, number in list(self._isolates.items()):
            if name and other.rpartition("#")[0] == name and not self._busy[number]:
                del self._isolates[other], self._posted[number], self._handled[number]
                self._setups.pop(number, None)
                self._loaded = {mark for mark in self._loaded if mark[0] != number}
                self._flush(number)
                self._control({"close": number})

    def enter(self, isolate: int, run: int, listener: Listener) -> None:
        """From now on, ``listener`` hears what the isolate says about the run."""
        self.runs[run] = listener
        self._busy[isolate] += 1

    def leave(self, isolate: int, run: int) -> None:
        self.runs.pop(run, None)
        self._busy[isolate] -= 1

    def load(self, isolate: int, programs: Iterable[Program]) -> None:
        """Have the isolate know these programs."""
        for program in programs:
            mark = (isolate, f"{program.kind} {program.key} {program.file} {hash(program.text)}")
            if mark not in self._loaded:
                self._loaded.add(mark)
                self._flush(isolate)
                self._control({"load": isolate, **program.order()})

    def setup(self, isolate: int, facts: Any) -> None:
        """Tell the isolate what holds for all its runs, where that has changed."""
        if self._setups.get(isolate) != facts:
            self._setups[isolate] = facts
            self.post(isolate, 0, f'["setup",0,{json.dumps(facts)}]')

    def post(self, isolate: int, run: int, text: str) -> None:
        """Send a message, as JSON text, about a run."""
        self._batches.setdefault(isolate, []).append(text)
        self._posted[isolate].append(run)
        self._wake.set()

    def _control(self, order: dict[str, Any]) -> None:
        self._outgoing.append(frame(CONTROL, json.dumps(order).encode("utf-8", "surrogatepass")))
        self._wake.set()

    def _flush(self, isolate: int) -> None:
        batch = self._batches.pop(isolate, [])
        for start in range(0, len(batch), FRAME_MESSAGES):
            text = f"[{','.join(batch[start : start + FRAME_MESSAGES])}]"
            self._outgoing.append(frame(isolate, text.encode("utf-8", "surrogatepass")))

    def kill(self) -> None:
        """End the process; who waits for its runs hears of it through :meth:`serve`."""
        self.alive = False
        if not self._killed and self.process.returncode is None:
            self._killed = True
            # Not process.kill(): that reaps a process that has just ended, and whoever waits for it hears a wrong code.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    # ── the socket ──────────────────────────────────────────────────────────────────────────────────────────────

    async def serve(self) -> None:
        """Read and write until the worker dies, then tell the runs that are in it."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._write)
                await self._read()
                group.cancel_scope.cancel()
        except* (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            pass  # it is dead: that is what this method waits for
        finally:
            self._die()
            with anyio.CancelScope(shield=True):
                self.kill()
                await self.process.wait()
                await self._stream.aclose()
            self.ended.set()

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            for isolate in list(self._batches):
                self._flush(isolate)
            pieces, self._outgoing = self._outgoing, []
            await self._stream.send(b"".join(pieces))

    async def _read(self) -> None:
        frames = Frames()
        while True:
            try:
                piece = await self._stream.receive(1 << 20)
            except anyio.EndOfStream:
                return
            self._ready.set()
            for isolate, body in frames.feed(piece):
                try:
                    messages = jsontext.loads(body)
                except (ValueError, RecursionError):
                    return  # no worker of ours speaks like that
                for number, message in enumerate(messages, 1):
                    self._take(isolate, message)
                    if number % FRAME_MESSAGES == 0:
                        await anyio.lowlevel.checkpoint()  # one that says much does not keep all others waiting

    def _take(self, isolate: int, message: Message) -> None:
        kind = message[0]
        if kind == "seen":
            self._explained = False
            posted = self._posted.get(isolate)
            if posted is None:
                return  # it was closed meanwhile
            while self._handled[isolate] < message[1] and posted:
                posted.popleft()
                self._handled[isolate] += 1
            return
        self._explained = kind == "event"
        run = message[2] if kind == "event" else message[1]
        listener = self.runs.get(run)
        if listener is not None:
            listener.put(message)

    async def ready(self) -> None:
        """Wait until the process can take runs. Raises ``RuntimeError`` where it ended instead."""
        await self._ready.wait()
        if not self.alive:
            raise RuntimeError(
                "a JavaScript worker could not be started (python -m aloma_py.javascript.worker shows why)"
            )

    def _die(self) -> None:
        self.alive = False
        self._ready.set()
        suspects = {run for posted in self._posted.values() for run in posted}
        for run, listener in list(self.runs.items()):
            # A worker that had to stop a run, and ended over it, has named the culprit.
            listener.fail(WorkerDied(suspected=run in suspects and not self._explained, explained=self._explained))
