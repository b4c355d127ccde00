"""Firing the schedules of a store when their time comes: one loop for all workspaces.

It runs in the process that has the store. What is fired, and what comes next, is written in one transaction with the
tasks, so that the loop itself keeps nothing: killed at any moment, the next one goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio

from aloma_py.clock import Clock, SystemClock, wait_for
from aloma_py.errors import AlomaError
from aloma_py.models import Millis
from aloma_py.operations import Operations
from aloma_py.operations.schedules import fire, fire_waiting
from aloma_py.operations.sites import Site
from aloma_py.store.news import schedule_news
from aloma_py.store.schedules import Stored, due, holding_back, soonest
from aloma_py.store.sqlite import SQLiteStore

logger = logging.getLogger("aloma_py.serve")

Work = Callable[[Site, Stored], Awaitable[int]]

LONGEST_WAIT: Final[Millis] = 60_000
"""After so long the clock is looked at again: it may have been set, or the machine may have slept."""

LOOK_AGAIN: Final[Millis] = 1_000
"""How soon firings that wait for a task to end are looked at again."""

RETRY: Final[Millis] = 5_000
"""How soon it is tried again to fire what could not be stored."""


class Firing:
    """Fires the schedules of ``store``; ``find`` gives the operations on a workspace, served or not."""

    def __init__(self, store: SQLiteStore, find: Callable[[str], Operations], clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.fired = 0  # tasks, since the beginning
        self._store = store
        self._find = find
        self._changed = anyio.Event()
        self._later: dict[str, Millis] = {}  # schedules that could not be fired, and when that is tried again
        schedule_news.listen(store, self.look)

    def look(self) -> None:
        """Plan anew: schedules were changed."""
        self._changed.set()

    async def run(self) -> None:
        """Fire what comes, for ever."""
        while True:
            self._changed = anyio.Event()
            await wait_for(self._changed, self.clock, await self.once())

    async def once(self) -> Millis:
        """Fire what is due now; gives when to look again."""
        now = self.clock.now()
        self._later = {id: at for id, at in self._later.items() if now < at <= now + RETRY}
        try:
            await self._each(due(self._store, now, self._later), lambda site, stored: fire(site, stored, now))
            held = [stored for stored in holding_back(self._store) if stored.id not in self._later]
            await self._each(held, fire_waiting)
            at = soonest(self._store, self._later)
        except Exception as error:  # a store that cannot be read now: what is due stays due
            unknown = None if isinstance(error, AlomaError) else error
            logger.error("the schedules could not be looked at; it is tried again: %s", error, exc_info=unknown)
            return now + RETRY
        wait = LOOK_AGAIN if held else LONGEST_WAIT
        return min([now + wait, *self._later.values()] + ([] if at is None else [at]))

    async def _each(self, found: Sequence[Stored], work: Work) -> None:
        """All at once, so that they share a transaction: one after the other, the last of hundreds would be late."""
        async with anyio.create_task_group() as group:
            for stored in found:
                group.start_soon(self._do, stored, work)

    async def _do(self, stored: Stored, work: Work) -> None:
        """Look after a schedule; what goes wrong with one keeps none of the others."""
        try:
            site = self._find(stored.workspace).site
            if not site.stopping:
                self.fired += await work(site, stored)
                return
        except Exception as error:
            level = logging.WARNING if isinstance(error, AlomaError) else logging.ERROR
            unknown = None if isinstance(error, AlomaError) else error
            text = "schedule %r of workspace %r could not be fired, it is tried again: %s"
            logger.log(level, text, stored.name, stored.workspace, error, exc_info=unknown)
        self._later[stored.id] = self.clock.now() + RETRY
