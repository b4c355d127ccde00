"""Which task is advanced when: what was accepted, what is due, and what was touched from outside."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from aloma_py.cell import Cell
from aloma_py.clock import VirtualClock
from aloma_py.engine import Engine
from aloma_py.models import Millis
from aloma_py.run.runlog import capture_prints

logger = logging.getLogger("aloma_py.scheduler")

WINDOW = 2_000
"""How many tasks are kept in memory to be advanced; what is beyond is read from the store when it is its turn."""


LONGEST_WAIT: Millis = 60_000
"""After so long the clock is looked at again: it may have been set, or the machine may have slept."""


class Scheduler:
    """Advances the engine's tasks, at most ``max_active`` at once; as long as :meth:`running` is open.

    It owns the engine's clock: with a :class:`VirtualClock` the time moves only by :meth:`run_until_quiet` and
    :meth:`move_to`.
    """

    def __init__(self, engine: Engine, *, max_active: int = 256) -> None:
        self.engine = engine
        self.max_active = max_active
        self._queue: deque[Cell] = deque()
        self._active: set[Cell] = set()  # queued, or being advanced
        self._again: set[Cell] = set()  # touched while they were being advanced
        self._workers = 0
        self._idle: list[anyio.Event] = []  # of workers that wait for something to do
        self._behind = False  # there may be ready tasks in the store that are not in the queue
        self._asked = False  # whether the store was asked at all
        self._next_due: Millis | None = None
        self._changed = anyio.Event()
        self._group: anyio.abc.TaskGroup | None = None
        engine.custody.wake = self.wake
        engine.custody.rests = self.rests
        self._virtual = isinstance(engine.clock, VirtualClock)
        if isinstance(engine.clock, VirtualClock):
            engine.clock.on_sleep = self._ping
            engine.runner.on_change = self._ping

    # ── from the engine ─────────────────────────────────────────────────────────────────────────────────────────

    def wake(self, cell: Cell) -> None:
        """Advance this task; again, if it is being advanced now."""
        if cell in self._active:
            self._again.add(cell)
            return
        if self.engine.pausing:
            return
        if len(self._queue) >= WINDOW and not cell.touched:
            self._behind = True  # it is on disk
            self.engine.custody.release(cell)
            return
        cell.holders += 1
        self._active.add(cell)
        self._queue.append(cell)
        if self._idle:
            self._idle.pop().set()
        elif self._group is not None and self._workers < self.max_active:
            self._workers += 1
            self._group.start_soon(self._work)

    def rests(self, due: Millis) -> None:
        """A task waits until ``due``."""
        if self._next_due is None or due < self._next_due:
            self._next_due = due
            self._ping()

    # ── the loop ────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Scheduler]:
        """Advance tasks while this is open, beginning with what the store has: pending, interrupted and due ones.

        At the end, runs under way are cancelled; their tasks start again where they were when the store is opened
        next. Use :meth:`wind_down` before it to let them finish. What connectors hold open is closed then.
        """
        with capture_prints():
            async with (
                self.engine.scripts.pool.running(),
                self.engine.connectors_closing(),
                anyio.create_task_group() as group,
            ):
                self._group = group
                await self.collect()
                for _ in range(min(len(self._queue), self.max_active)):
                    self._workers += 1
                    group.start_soon(self._work)
                if not self._virtual:
                    group.start_soon(self._watch_store)
                try:
                    yield self
                finally:
                    self._group = None
                    self._idle.clear()
                    group.cancel_scope.cancel()

    async def _work(self) -> None:
        """A worker: it stays, because to begin one costs more than a tiny task."""
        while True:
            while self._queue:
                await anyio.lowlevel.checkpoint()  # others have their turn, also where nothing really waits
                if not self._queue:
                    break
                await self._advance(self._queue.popleft())
                if not self._active or self._virtual or (self._behind and len(self._queue) < WINDOW // 2):
                    self._ping()
            wanted = anyio.Event()
            self._idle.append(wanted)
            await wanted.wait()

    async def _advance(self, cell: Cell) -> None:
        try:
            await self.engine.advance(cell)
        except Exception as error:
            logger.exception("task %s could not be advanced", cell.task.id)
            await self._give_up(cell, error)
        finally:
            self._active.discard(cell)
            cell.holders -= 1
            if cell in self._again:
                self._again.discard(cell)
                self.wake(cell)
            else:
                self.engine.custody.release(cell)

    async def _give_up(self, cell: Cell, error: Exception) -> None:
        try:
            await self.engine.give_up(cell, error)
        except Exception:
            logger.exception("task %s: its error could not be stored either", cell.task.id)

    async def _watch_store(self) -> None:
        """Bring in what is due, and what did not fit into the queue."""
        while not self.engine.pausing:
            try:
                await self.collect()
            except Exception:  # a store that cannot be read now: what is in hand goes on
                logger.exception("the store could not be asked for tasks; it is asked again in a second")
                self._asked = False
                await anyio.sleep(1)
                continue
            changed = self._changed
            now = self.engine.clock.now()
            if self._behind and len(self._queue) < WINDOW // 2:
                continue
            full = len(self._queue) >= WINDOW  # then a time that has come waits too, until there is room
            left = None if self._next_due is None or full else min(max(self._next_due - now, 0), LONGEST_WAIT) / 1000
            with anyio.move_on_after(left):
                await changed.wait()
                await anyio.lowlevel.checkpoint()

    async def collect(self) -> None:
        """Queue what the store has ready, and learn when more will be."""
        now = self.engine.clock.now()
        due = self._next_due is not None and self._next_due <= now
        room = WINDOW - len(self._queue)
        if room <= 0:
            self._behind = self._behind or due  # when there is room again
            return
        if not (due or self._behind or not self._asked):
            return
        self._asked, self._behind, self._next_due = True, False, None
        known = frozenset(cell.task.id for cell in self._active)
        ready = await self.engine.store.ready(now, room, known)
        self._behind = len(ready) == room
        for task in ready:
            cell = self.engine.custody.adopt(task)
            if cell is None:
                self._behind = True  # it was committed while it was being read
            else:
                self.wake(cell)
        next_due = await self.engine.store.next_due()
        if next_due is not None:
            self.rests(next_due)
        if not self._behind and not self._active:
            self._ping()  # whoever waits for quiet looked before this was known

    # ── waiting until nothing happens ───────────────────────────────────────────────────────────────────────────

    @property
    def active(self) -> int:
        """How many tasks are queued or being advanced."""
        return len(self._active)

    async def drain(self) -> None:
        """Wait until no task is being advanced; what only waits for a time, or for something from outside, stays."""
        while self._active:
            await self._changed.wait()

    async def wind_down(self) -> None:
        """Let the waves under way end, and begin no more; the tasks go on when the store is opened next."""
        self.engine.pausing = True
        await self.drain()

    async def quiet(self) -> None:
        """On the machine's clock: wait until no task is being advanced and none waits for a time."""
        while True:
            while self._active or self._behind or not self._asked:
                await self._changed.wait()
            self._asked = False  # what is due this very moment is ready, not waited for
            await self.collect()
            if self._next_due is None and not self._active and not self._behind:
                return
            await self._changed.wait()

    async def settle(self) -> None:
        """On a virtual clock: wait until everything that can happen without the time moving has happened."""
        while True:
            await self.collect()
            if not self._busy():
                await anyio.lowlevel.checkpoint()
                if not self._busy():
                    return
            else:
                await self._changed.wait()

    def _busy(self) -> bool:
        clock = self.engine.clock
        assert isinstance(clock, VirtualClock)
        if self._queue and len(self._active) - len(self._queue) < self.max_active:
            return True  # a worker is about to take it
        asleep = clock.sleepers | self.engine.runner.held_back
        return any(
            not cell.runs or not cell.runs <= asleep or any(run.interrupted for run in cell.runs)
            for cell in self._active.difference(self._queue)
        )

    async def next_time(self) -> Millis | None:
        """The earliest time at which something will happen by itself."""
        clock = self.engine.clock
        assert isinstance(clock, VirtualClock)
        times = [at for at in (clock.next_wake, await self.engine.store.next_due()) if at is not None]
        return min(times) if times else None

    async def move_to(self, at: Millis) -> None:
        """On a virtual clock: let the time pass until ``at``, with everything that happens on the way."""
        clock = self.engine.clock
        assert isinstance(clock, VirtualClock)
        await self.settle()
        while (following := await self.next_time()) is not None and following <= at:
            clock.move_to(following)
            self._asked = False
            await self.settle()
        clock.move_to(at)

    async def run_until_quiet(self, horizon: Millis | None = None) -> None:
        """On a virtual clock: let the time pass until nothing happens by itself any more, or ``horizon`` is over."""
        await self.settle()
        clock = self.engine.clock
        end = None if horizon is None else clock.now() + horizon
        while (following := await self.next_time()) is not None and (end is None or following <= end):
            await self.move_to(following)

    def _ping(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
