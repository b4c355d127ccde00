"""Everything that is served over HTTP, put together for one house of workspaces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from starlette.types import ASGIApp

from aloma_py.clock import SystemClock
from aloma_py.custody import Watcher
from aloma_py.serve.house import House
from aloma_py.serve.web.access import Keepers, access_router
from aloma_py.serve.web.app import make_app
from aloma_py.serve.web.calls import calls_router
from aloma_py.serve.web.door import Door, Front
from aloma_py.serve.web.events import Events, events_router
from aloma_py.serve.web.hooks import Hooks
from aloma_py.serve.web.intake import Idempotency, bulk_router
from aloma_py.serve.web.metrics import Metrics, RequestCounter, metrics_router
from aloma_py.serve.web.request_log import RequestLog
from aloma_py.serve.web.transfer import transfer_router
from aloma_py.store.sqlite import SQLiteStore


class Web:
    """The web side of one server. ``watchers`` are to be given to the house, :meth:`app` is made of it then."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self._house: House | None = None
        self.events = Events(SystemClock().now())
        self.metrics = Metrics(store, workers=self._workers, listeners=lambda: self.events.listening)
        self.watchers: tuple[Watcher, ...] = (self.events.watch, self.metrics.watch)

    def _workers(self) -> int:
        return self._house.pool.started if self._house is not None else 0

    @asynccontextmanager
    async def opened(self, house: House) -> AsyncIterator[ASGIApp]:
        """The application for ``house``, with what runs beside it."""
        self._house = house
        keepers = Keepers(self._store)
        proxies = [one.strip() for one in house.settings.proxies.split(",") if one.strip()]
        door = Door(self._store, house.find, proxies=proxies)
        app = make_app(
            house.find,
            keepers,
            home=house.settings.workspace,
            is_ready=lambda: "the engine is stopping" if house.stopping else None,
            idempotency=Idempotency(self._store),
            most_bytes=max(2 * 1024 * 1024, 2 * house.settings.max_data_bytes),
            more=[
                access_router(keepers),
                events_router(house.find, keepers, self.events),
                bulk_router(house.find, keepers),
                metrics_router(keepers, self.metrics),
                calls_router(house.find, keepers),
                transfer_router(house.find, keepers),
            ],
        )
        async with anyio.create_task_group() as group:
            group.start_soon(door.keep_counts)
            try:
                yield RequestLog(Front(door, Hooks(self._store, RequestCounter(app, self.metrics))))
            finally:
                self.events.close()
                group.cancel_scope.cancel()
