"""How often, and how many at once, a step may run over all tasks: its ``concurrency`` and ``rate``."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from aloma_py.clock import Clock
from aloma_py.models import Millis
from aloma_py.steps.definition import StepDefinition


class StepLimiter:
    """Holds the runs of one step back. In memory: after a restart the counts begin anew."""

    def __init__(self, step: StepDefinition, clock: Clock) -> None:
        self._slots = anyio.Semaphore(step.concurrency) if step.concurrency else None
        self._rate = step.rate
        self._starts: deque[Millis] = deque(maxlen=step.rate.count if step.rate else 0)
        self._turn = anyio.Lock()
        self._clock = clock

    @asynccontextmanager
    async def turn(self, waits: Callable[[], None] = lambda: None) -> AsyncIterator[None]:
        """Wait until a run may start; the slot is given back at the end. ``waits`` is told that it cannot start now."""
        if self._slots is None:
            await self._wait_for_rate(waits)
            yield
            return
        await _acquire(self._slots, waits)
        try:
            await self._wait_for_rate(waits)
            yield
        finally:
            self._slots.release()

    async def _wait_for_rate(self, waits: Callable[[], None]) -> None:
        if self._rate is None:
            return
        await _acquire(self._turn, waits)  # one after another, so that two do not take the same place
        try:
            if len(self._starts) == self._starts.maxlen:
                waits()
                await self._clock.sleep_until(self._starts[0] + self._rate.per)
            self._starts.append(self._clock.now())
        finally:
            self._turn.release()


async def _acquire(lock: anyio.Lock | anyio.Semaphore, waits: Callable[[], None]) -> None:
    try:
        lock.acquire_nowait()
    except anyio.WouldBlock:
        waits()
        await lock.acquire()
