"""The one clock of an engine. Its scheduler owns it; everything that waits for a time waits here.

Time limits of a step's code are not waits: they are measured on the machine's own clock.
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol

import anyio

from aloma_py.models import Millis

current_run: contextvars.ContextVar[object | None] = contextvars.ContextVar("aloma_py_current_run", default=None)
"""The run whose code is being executed, if any: who prints, and who sleeps."""


class Clock(Protocol):
    """Tells the time in milliseconds since 1970-01-01 UTC, and waits for one."""

    def now(self) -> Millis: ...

    async def sleep_until(self, at: Millis) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> Millis:
        return time.time_ns() // 1_000_000

    async def sleep_until(self, at: Millis) -> None:
        # In pieces, so that a machine whose clock was set, or which slept, is noticed.
        while (left := at - self.now()) > 0:  # noqa: ASYNC110 - there is nothing that could tell
            await anyio.sleep(min(left, 60_000) / 1000)


class VirtualClock:
    """A clock that stands still until it is moved: for scenarios and tests.

    ``sleepers`` are the runs (or other sleepers) that wait for it now.
    """

    def __init__(self, start: Millis = 1_767_225_600_000) -> None:  # 2026-01-01T00:00:00Z
        self._now = start
        self._count = itertools.count()
        self._waiting: list[tuple[Millis, int, anyio.Event, object]] = []
        self.on_sleep: Callable[[], None] = lambda: None  # called when somebody begins to wait

    def now(self) -> Millis:
        return self._now

    async def sleep_until(self, at: Millis) -> None:
        if at <= self._now:
            await anyio.lowlevel.checkpoint()
            return
        event = anyio.Event()
        entry = (at, next(self._count), event, current_run.get() or event)
        heapq.heappush(self._waiting, entry)
        self.on_sleep()
        try:
            await event.wait()
        finally:
            if entry in self._waiting:  # cancelled
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)

    @property
    def sleepers(self) -> set[object]:
        return {sleeper for _, _, _, sleeper in self._waiting}

    @property
    def next_wake(self) -> Millis | None:
        """The earliest time that somebody waits for."""
        return self._waiting[0][0] if self._waiting else None

    def move_to(self, at: Millis) -> None:
        """Set the time, never backwards, and wake everyone whose time has come."""
        self._now = max(self._now, at)
        while self._waiting and self._waiting[0][0] <= self._now:
            heapq.heappop(self._waiting)[2].set()


async def wait_for(event: anyio.Event, clock: Clock, at: Millis) -> None:
    """Until the event, or until the moment ``at``, whichever comes first."""
    async with anyio.create_task_group() as group:

        async def until() -> None:
            await clock.sleep_until(at)
            group.cancel_scope.cancel()

        group.start_soon(until)
        await event.wait()
        group.cancel_scope.cancel()
