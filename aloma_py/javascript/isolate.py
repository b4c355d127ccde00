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
BATCH: Final = 1_000_000
"""How many characters of messages go into V8 at once."""

FLUSH: Final = 0.02
"""Seconds in which the last words of a worker are sent."""

PATIENCE: Final = 5
"""A turn that uses no CPU (its process waits for its turn on the machine) is stopped after so many limits."""

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
        self._batch = 0
        self._name = f"_{secrets.token_hex(16)}"  # a lexical name: no property that code could find
        self._context = mini_racer(asyncio.get_running_loop())
        self._v8: MiniRacer = self._context.__enter__()
        self._v8.eval(f"const {self._name} = {prelude_source()}; {self._name}.random.seed('{secrets.token_hex(32)}')")
        shared = self._v8.eval(f"{self._name}.progress")
        assert isinstance(shared, memoryview)
        self._progress = shared.cast("i")  # [messages so far, the run at work or -1, the last batch taken]
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
        while self._items and self._items[0][0] == "messages" and size < BATCH:
            text = self._items.pop(0)[1][1:-1]
            size += len(text)
            if text:
                parts.append(text)
        stopped = await self._post(f"[{','.join(parts)}]")
        while stopped:
            # What is left of the batch is in V8's inbox; the killed runs hear nothing more.
            stopped = await self._post(json.dumps([["kill", run] for run in stopped]))

    async def _post(self, messages: str) -> list[int]:
        """Have V8 handle the messages, and tell what it said. Gives the runs that had to be stopped."""
        text = json.dumps(messages)
        exact = "true" if has_long_number(text) else "false"
        self._batch += 1
        while True:
            code = f"{self._name}.pump({self._acknowledged},{text},{exact},{self._batch})"
            result, at_work = await self._call(code)
            out_of_memory = self._v8.was_hard_memory_limit_reached()
            if result is not None or self._progress[2] == self._batch:
                break
            # A stop that was meant for the call before can hit this one before V8 has taken its messages.
            self._acknowledged = "false"
            if out_of_memory:
                await self._recover()
        self._acknowledged = "false" if result is None else "true"
        stopped = [] if result is not None else [at_work]
        if out_of_memory:
            await self._recover()
            if result is not None:  # V8 dropped what was left of a run's turn and went on: that run waits for nothing
                stopped = json.loads(result)[0][2]
        if result is not None:
            self._emit(self.number, result.encode("utf-8", "surrogatepass"))
        for run in stopped:
            self.tell("stopped", run, "memory" if out_of_memory else "time")
        return stopped

    async def _load(self, item: dict[str, Any]) -> None:
        door = "library" if item["kind"] == "library" else "load"
        code = f"{self._name}.{door}({json.dumps(item['key'])},{json.dumps(item['file'])},{item['code']}"
        try:
            result, _ = await self._call(code)
            if result is None:
                self.tell("unloaded", item["key"], "it ran too long while it was loaded")
        except JSEvalException as error:
            self.tell("unloaded", item["key"], str(error))

    async def _call(self, code: str) -> tuple[str | None, int]:
        """What V8 gave, ``None`` where it was stopped; and the run that was at work when it was looked at last."""
        call = asyncio.ensure_future(self._v8.eval_cancelable(code))
        at_work = await self._watch(call)
        try:
            return str(call.result()), at_work
        except (asyncio.CancelledError, JSOOMException, JSTimeoutException, JSTerminatedException):
            return None, at_work if at_work > 0 else self._progress[1]

    async def _recover(self) -> None:
        """Make V8 usable again after it ran out of memory: the first call after that is stopped by it."""
        self._v8.low_memory_notification()
        self._v8.set_hard_memory_limit(self.memory)
        await self._call("0")

    async def _watch(self, call: asyncio.Future[Any]) -> int:
        """Wait for the call; cancel it when one message holds V8 for too long. Gives the run that was at work."""
        done, _ = await asyncio.wait({call}, timeout=self.hold / 4)
        seen = (-1, -1)
        cpu = wall = 0.0
        while not done:
            at = (self._progress[0], self._progress[1])
            if at != seen:
                seen, cpu, wall = at, time.process_time(), time.monotonic()
            elif time.process_time() - cpu > self.hold or time.monotonic() - wall > PATIENCE * self.hold:
                call.cancel()
                await self._cancelled(call)
                break
            done, _ = await asyncio.wait({call}, timeout=self.hold / 8)
        return seen[1]

    async def _cancelled(self, call: asyncio.Future[Any]) -> None:
        """Wait until V8 has stopped the call."""
        lost = Isolate.lost_answers
        for _ in range(40):
            done, _ = await asyncio.wait({call}, timeout=0.05)
            if done:
                return
            if Isolate.lost_answers != lost:
                break
        # V8 cannot be used any more. Its runs start again in another worker, but for the one that was at work.
        self.tell("stopped", self._progress[1], "time")
        await asyncio.sleep(FLUSH)
        os._exit(1)

    def tell(self, *event: Any) -> None:
        """An event about this isolate, for the parent."""
        self._emit(self.number, json.dumps([["event", *event]]).encode())


def has_long_number(text: str) -> bool:
    """Whether the JSON text may hold a whole number that JavaScript's numbers cannot."""
    return _LONG.search(text) is not None


_LONG: Final = re.compile(r"\d{16}")
