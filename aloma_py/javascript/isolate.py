"""One V8 isolate in a worker process, driven by a message pump.

Exactly one call into V8 is under way at any time, and it is one that can be cancelled. A message is handled in V8 with
all the microtasks that follow from it before the next, so that a loop, before or after an ``await``, always belongs to
one run: the watchdog reads which one from memory that V8 shares, without entering it, and stops that run alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

from py_mini_racer import JSEvalException, JSOOMException, JSTimeoutException, MiniRacer, mini_racer
from py_mini_racer._exc import JSTerminatedException

from aloma_py.javascript.prelude import prelude_source

V8_FLAGS: Final = (
    "--single-threaded",
    "--allow-natives-syntax",  # %PerformMicrotaskCheckpoint(); step files with %Name() are refused when they are read
    "--disallow-code-generation-from-strings",  # no eval, no Function
    "--stack-size=900",
)
MESSAGE, RUN, BATCH, STOP, SLOWEST = range(5)
"""What V8 shares: the messages so far, the run at work or -1, the last batch it took, whether it is to stop, and the
run whose turn was the longest in the last batch, or -1."""

PIECE: Final = 30_000
"""How many characters of messages, or a little more, go into V8 at once."""

MOST_FRAMES: Final = 32
"""How many frames of messages go into V8 at once."""

OURS: Final = True
"""Marks a message that the worker itself has made: the engine counts its own."""

FLUSH: Final = 0.02
"""Seconds in which the last words of a worker are sent."""

PATIENCE: Final = 5
"""A turn that uses no CPU (its process waits for its turn on the machine) is stopped after so many limits."""

GRACE: Final = 1.0
"""Seconds in which V8 has to stop what it does when it is told to."""

Emit = Callable[[int, bytes], None]
"""``(isolate, JSON text)``: tell the parent."""


class Isolate:
    """``hold`` is how many seconds of CPU one turn may take, ``memory`` V8's heap limit in bytes.

    ``lost_answers`` counts the calls that V8 ended, when it was stopped, with something that mini-racer cannot read: it
    raises in a callback of the loop, and what waits for the call is never told.
    """

    lost_answers = 0

    def __init__(self, number: int, emit: Emit, hold: float, memory: int) -> None:
        self.number = number
        self.hold = hold
        self.memory = memory
        self._emit = emit
        self._items: list[tuple[str, Any]] = []
        self._wake = asyncio.Event()
        self._acknowledged = "false"
        self._stopped: dict[int, str] = {}  # runs of which the engine does not know it yet
        self._batch = 0
        self._name = f"_{secrets.token_hex(16)}"  # a lexical name: no property that code could find
        self._context = mini_racer(asyncio.get_running_loop())
        self._v8: MiniRacer = self._context.__enter__()
        self._v8.eval(f"const {self._name} = {prelude_source()}; {self._name}.random.seed('{secrets.token_hex(32)}')")
        shared = self._v8.eval(f"{self._name}.progress")
        assert isinstance(shared, memoryview)
        self._progress = shared.cast("i")
        self._v8.set_hard_memory_limit(memory)
        self._task = asyncio.create_task(self._work())

    def put(self, kind: str, content: Any) -> None:
        """Queue ``("messages", text of a JSON array)`` or ``("load", {…})``."""
        self._items.append((kind, content))
        self._wake.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._context.__exit__(None, None, None)

    async def _work(self) -> None:
        try:
            await self._handle_items()
        except Exception:
            # Nobody would hear of the runs in here any more: they start again in another worker.
            traceback.print_exc()
            os._exit(1)

    async def _handle_items(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._items:
                kind, content = self._items[0]
                if kind == "load":
                    del self._items[0]
                    await self._load(content)
                else:
                    await self._pump()

    async def _pump(self) -> None:
        parts: list[str] = []
        size = 0
        while self._items and self._items[0][0] == "messages" and size < PIECE and len(parts) < MOST_FRAMES:
            text = self._items.pop(0)[1][1:-1]
            size += len(text)
            if text:
                parts.append(text)
        left: str | None = f"[{','.join(parts)}]"
        while left is not None:
            left = await self._post(left)

    async def _post(self, messages: str) -> str | None:
        """Have V8 handle the messages, and tell what it said. Gives what is to be posted next to come to an end.

        What is left of a batch that was stopped is in V8's inbox; the runs that were stopped hear nothing more.
        """
        text = json.dumps(messages)
        exact = "true" if has_long_number(text) else "false"
        self._batch += 1
        result, stopped = await self._call(f"{self._name}.pump({self._acknowledged},{text},{exact},{self._batch})")
        out_of_memory = self._v8.was_hard_memory_limit_reached()
        if out_of_memory:
            await self._recover()
            # V8 may have dropped the rest of a turn and gone on: that turn was longer than any other.
            stopped = {run: "memory" for run in (stopped or [self._progress[SLOWEST]]) if run >= 0}
        if result is None:
            # What V8 has to say is still in its outbox; the messages are not in its inbox where it was stopped early.
            self._acknowledged = "false"
            if self._progress[BATCH] != self._batch:
                return messages
        else:
            self._acknowledged = "true"
            self._emit(self.number, result.encode("utf-8", "surrogatepass"))
            for run, reason in self._stopped.items():  # behind what V8 has to say of them still: their logs
                self.tell("stopped", run, reason)
            self._stopped.clear()
            if not out_of_memory:
                return None
        self._stopped.update(stopped)
        return json.dumps([["kill", run, OURS] for run in stopped])

    async def _load(self, item: dict[str, Any]) -> None:
        door = "library" if item["kind"] == "library" else "load"
        code = f"{self._name}.{door}({json.dumps(item['key'])},{json.dumps(item['file'])},{item['code']}"
        try:
            result, _ = await self._call(code)
            trouble = None if result is not None else "it ran too long, or took too much memory, while it was loaded"
        except JSEvalException as error:
            trouble = str(error)
        if trouble is not None:
            told = ",".join(json.dumps(word) for word in (item["kind"], item["key"], trouble))
            await self._call(f"{self._name}.unloaded({told})")

    async def _call(self, code: str) -> tuple[str | None, dict[int, str]]:
        """What V8 gave; or ``None``, and the runs that were stopped: for their ``time``, or for a ``neighbour``'s."""
        call = asyncio.ensure_future(self._v8.eval_cancelable(code))
        culprit = await self._watch(call)
        try:
            return str(call.result()), {}
        except (asyncio.CancelledError, JSOOMException, JSTimeoutException, JSTerminatedException):
            stopped = {} if culprit is None else {culprit: "time"}
            if culprit is not None:
                await self._drain(culprit)
            self._progress[STOP] = 0
            at_work = self._progress[RUN]
            if at_work != -1 and at_work not in stopped:
                stopped[at_work] = "neighbour"  # the stop came when the culprit had just ended its turn
            return None, stopped

    async def _recover(self) -> None:
        """Make V8 usable again after it ran out of memory: the first call after that is stopped by it."""
        self._v8.low_memory_notification()
        self._v8.set_hard_memory_limit(self.memory)
        await self._drain(self._progress[RUN])

    async def _watch(self, call: asyncio.Future[Any]) -> int | None:
        """Wait for the call; stop it when one message holds V8 for too long. Gives the message's run then."""
        lost = Isolate.lost_answers
        done, _ = await asyncio.wait({call}, timeout=self.hold / 4)
        seen = (-1, -1)
        cpu = wall = 0.0
        probe: asyncio.Future[Any] | None = None
        culprit = None
        while not done:
            at = (self._progress[MESSAGE], self._progress[RUN])
            if at != seen:
                seen, cpu, wall = at, time.process_time(), time.monotonic()
            elif time.process_time() - cpu > self.hold or time.monotonic() - wall > PATIENCE * self.hold:
                culprit = seen[1]
                self._progress[STOP] = 1
                call.cancel()
            if Isolate.lost_answers != lost and probe is None:  # an answer was lost: of this call, or of a neighbour's
                probe = asyncio.ensure_future(self._v8.eval_cancelable("0"))
            if probe is not None and probe.done():
                call.cancel()
            done, _ = await asyncio.wait({call}, timeout=self.hold / 8)
        return culprit

    async def _drain(self, culprit: int) -> None:
        """Wait until V8 has stopped, and until the stop has left nothing behind.

        A stop hits what V8 is at when it comes, which may be the next call, or the making of its answer: so calls that
        nobody needs go ahead of the next, until one of them is answered.
        """
        probes: list[asyncio.Future[Any]] = []
        began = time.monotonic()
        while not (probes and probes[-1].done() and probes[-1].exception() is None):
            lost = Isolate.lost_answers
            probes.append(asyncio.ensure_future(self._v8.eval_cancelable("0")))
            while not probes[-1].done() and Isolate.lost_answers == lost:
                await asyncio.wait({probes[-1]}, timeout=0.02)
                if time.monotonic() - began > GRACE:
                    # It is in a built-in function that no stop reaches. The other runs start again elsewhere.
                    for run, reason in {**self._stopped, culprit: "time"}.items():
                        self.tell("stopped", run, reason)
                    await asyncio.sleep(FLUSH)
                    os._exit(1)
        for probe in probes:
            probe.cancel()

    def tell(self, *event: Any) -> None:
        """An event about this isolate, for the parent."""
        self._emit(self.number, json.dumps([["event", *event]]).encode())


def has_long_number(text: str) -> bool:
    """Whether the JSON text may hold a whole number that JavaScript's numbers cannot."""
    return _LONG.search(text) is not None


_LONG: Final = re.compile(r"\d{16}")
