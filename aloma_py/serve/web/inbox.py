"""Taking deliveries in: each once by its key, on disk before it is told, and watched where its end is waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import anyio

from aloma_py.delivery import answer_of
from aloma_py.engine import Engine
from aloma_py.models import Entry, Json, Millis, Task
from aloma_py.operations import Operations
from aloma_py.serve.web.routes import Finder
from aloma_py.store.webhooks import Arrival, Deliveries

logger = logging.getLogger("aloma_py.serve")

Ended = asyncio.Future[Task]
Waiting = tuple[Arrival, asyncio.Future[None]]

MAX_TOGETHER: Final = 256
"""How many deliveries go into one transaction."""

MAX_WATCHED: Final = 500
"""How many tasks' ends are waited for at once; those who come then are answered when the task is stored."""


class Inbox:
    """Stores deliveries as tasks and has them advanced."""

    def __init__(self, deliveries: Deliveries, find: Finder) -> None:
        self._deliveries = deliveries
        self._find = find
        self._coming: dict[tuple[str, str], asyncio.Future[None]] = {}  # keys that are being written
        self._waiting: list[Waiting] = []  # to be written next
        self._writing: asyncio.Task[None] | None = None
        self._watched: WeakKeyDictionary[Engine, dict[str, Ended]] = WeakKeyDictionary()

    async def take(self, task: Task, webhook: str, key: str | None) -> str | None:
        """Accept the task: on return it is on disk. Where its key is known, nothing is stored: gives the first's id."""
        if key is None:
            await self._store(Arrival(task, webhook, None))
            return None
        place = (webhook, key)
        while (coming := self._coming.get(place)) is not None:
            await asyncio.wait([coming])  # the same delivery is on its way: it is the first, unless it fails
        first = self._deliveries.task_of(webhook, key)
        if first is not None:
            return first
        coming = self._coming[place] = asyncio.get_running_loop().create_future()
        try:
            await self._store(Arrival(task, webhook, key))
        finally:
            del self._coming[place]
            coming.set_result(None)
        return None

    async def _store(self, arrival: Arrival) -> None:
        """Store it together with all that come while the disk is busy with those before."""
        self._find(arrival.task.workspace).engine.custody.hide_stash(arrival.task)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, stored))
        if self._writing is None:
            # A task of its own: what is stored is taken in hand, whatever becomes of the sender.
            self._writing = asyncio.create_task(self._write_all())
        await stored

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
                try:
                    await self._deliveries.accept([arrival for arrival, _ in batch])
                except Exception as error:
                    await self._write_each(batch, error)
                else:
                    for arrival, stored in batch:
                        self._stored(arrival.task, stored)
        finally:
            self._writing = None

    async def _write_each(self, batch: Sequence[Waiting], error: Exception) -> None:
        """After a failure each for itself, so that only the guilty one is refused."""
        for arrival, stored in batch:
            if len(batch) > 1:
                try:
                    await self._deliveries.accept([arrival])
                except Exception as own:
                    error = own
                else:
                    self._stored(arrival.task, stored)
                    continue
            if not stored.done():
                stored.set_exception(error)

    def _stored(self, task: Task, stored: asyncio.Future[None]) -> None:
        """Have it advanced, by whoever advances the workspace now, and its sender told."""
        if not stored.done():
            stored.set_result(None)
        try:
            custody = self._find(task.workspace).engine.custody
            for watcher in custody.watchers:
                watcher(task, ())
            custody.take_in(task)
        except Exception:  # it is stored: it is found there, and the others are to be told too
            logger.exception("task %s: it was accepted, and goes on when it is looked for", task.id)

    # ── waiting for the end ─────────────────────────────────────────────────────────────────────────────────────

    def watch(self, task: Task, operations: Operations) -> Ended | None:
        """What is done when the task ends; ``None`` where nobody advances it, or too many are watched."""
        if not operations.site.advancing or sum(map(len, self._watched.values())) >= MAX_WATCHED:
            return None
        engine = operations.engine
        watched = self._watched.get(engine)
        if watched is None:
            watched = self._watched[engine] = {}
            engine.custody.watchers.append(_tell(watched))
        ended: Ended = asyncio.get_running_loop().create_future()
        watched[task.id] = ended
        return ended

    def forget(self, task: Task, operations: Operations) -> None:
        """The end is not waited for any more."""
        self._watched.get(operations.engine, {}).pop(task.id, None)

    async def answer(self, ended: Ended, timeout: Millis) -> dict[str, Json] | None:
        """``{state, result}`` of the task, or ``None`` where it has not ended by then."""
        with anyio.move_on_after(timeout / 1000):
            task = await ended
            found: dict[str, Any] = answer_of(task)
            return {"state": found["state"], "result": found["result"]}
        return None


def _tell(watched: dict[str, Ended]) -> Callable[[Task, Sequence[Entry]], None]:
    def watch(task: Task, entries: Sequence[Entry]) -> None:
        ended = watched.get(task.id) if task.state.ended else None
        if ended is not None and not ended.done():
            ended.set_result(task)

    return watch
