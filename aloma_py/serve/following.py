"""Repositories that workspaces follow: one loop looks at each when its time has come.

What is known of each is in the store, so that the loop keeps nothing: killed at any moment, the next one goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import anyio
import anyio.abc

from aloma_py.clock import Clock, SystemClock, wait_for
from aloma_py.errors import AlomaError
from aloma_py.models import Millis
from aloma_py.operations import Operations
from aloma_py.operations.sources import look
from aloma_py.store.news import source_news
from aloma_py.store.sources import Source, due, soonest
from aloma_py.store.sqlite import SQLiteStore

logger = logging.getLogger("aloma_py.serve")

LONGEST_WAIT: Final[Millis] = 60_000
"""After so long the clock is looked at again: it may have been set, or the machine may have slept."""

RETRY: Final[Millis] = 5_000
"""How soon it is tried again where the store could not do it."""

AT_ONCE: Final = 8
"""How many repositories are looked at side by side."""


class Following:
    """Follows the sources of ``store``; ``find`` gives the operations on a workspace, served or not."""

    def __init__(self, store: SQLiteStore, find: Callable[[str], Operations], clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self._store = store
        self._find = find
        self._changed = anyio.Event()
        self._busy: set[str] = set()  # workspaces whose source is being looked at
        self._later: dict[str, Millis] = {}  # those that cannot be looked at now, and when that is tried again
        self._slots = anyio.CapacityLimiter(AT_ONCE)
        source_news.listen(store, self.look)

    def look(self) -> None:
        """Plan anew: sources were changed."""
        self._changed.set()

    async def run(self) -> None:
        """Look at what comes, for ever. A host that does not answer holds up its own workspace only."""
        async with anyio.create_task_group() as group:
            while True:
                self._changed = anyio.Event()
                await wait_for(self._changed, self.clock, self._begin(group))

    async def once(self) -> Millis:
        """Look at what is due now, to the end; gives when to look again."""
        async with anyio.create_task_group() as group:
            self._begin(group)
        return self._again(self.clock.now())

    def _begin(self, group: anyio.abc.TaskGroup) -> Millis:
        """Have what is due looked at in ``group``; gives when there is more."""
        now = self.clock.now()
        self._later = {name: at for name, at in self._later.items() if now < at <= now + RETRY}
        try:
            for source in due(self._store, now, {*self._busy, *self._later}):
                self._busy.add(source.workspace)
                group.start_soon(self._do, source)
            return self._again(now)
        except Exception as error:  # a store that cannot be read now: what is due stays due
            unknown = None if isinstance(error, AlomaError) else error
            logger.error("the sources could not be looked at; it is tried again: %s", error, exc_info=unknown)
            return now + RETRY

    def _again(self, now: Millis) -> Millis:
        at = soonest(self._store, {*self._busy, *self._later})
        return min([now + LONGEST_WAIT, *self._later.values()] + ([] if at is None else [at]))

    async def _do(self, source: Source) -> None:
        try:
            async with self._slots:
                site = self._find(source.workspace).site
                if site.stopping:
                    self._later[source.workspace] = self.clock.now() + RETRY
                else:
                    await look(site, source)
        except Exception as error:
            unknown = None if isinstance(error, AlomaError) else error
            text = "the source of workspace %r could not be looked at, it is tried again: %s"
            logger.error(text, source.workspace, error, exc_info=unknown)
            self._later[source.workspace] = self.clock.now() + RETRY
        finally:
            self._busy.discard(source.workspace)
            self.look()
