"""Numbers for Prometheus, in a registry of their own: what the engine told, and what the store says when asked."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import anyio
from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import aloma_py
from aloma_py.models import Entry, Task
from aloma_py.operations import Role
from aloma_py.serve.web.app import PREFIX
from aloma_py.serve.web.guard import ACCOUNT, Guard
from aloma_py.serve.web.openapi import documented
from aloma_py.store.sqlite import SQLiteStore

BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60)
"""Seconds."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

NO_ROUTE: Final = "(none)"

_TASKS: Final = "SELECT workspace, state, count(*) FROM task GROUP BY workspace, state"
_CALLS: Final = """
SELECT task.workspace, count(*) FROM call JOIN task ON task.id = call.task WHERE call.no > ? GROUP BY task.workspace
"""
_LAST_CALL: Final = "SELECT coalesce(max(no), 0) FROM call"
_WEBHOOKS: Final = "SELECT workspace, name, accepted FROM webhook"

Rows = list[tuple[Any, ...]]


class Metrics:
    """The numbers of one server. ``watch`` is the watcher to give the house.

    ``workers`` gives how many JavaScript workers were started so far, ``listeners`` how many clients follow events.
    """

    def __init__(
        self,
        store: SQLiteStore,
        *,
        workers: Callable[[], int] = lambda: 0,
        listeners: Callable[[], int] = lambda: 0,
    ) -> None:
        self._store = store
        self._workers = workers
        self._asked = _Asked()
        self._last_call: int | None = None  # calls up to this number have been counted
        self._asking = anyio.Lock()
        self.registry = CollectorRegistry(auto_describe=False)
        self._runs = Counter(
            "aloma_runs", "Runs of steps, by how they ended: ok, failed, retry.", ["workspace", "step", "outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._calls = Counter(
            "aloma_calls", "Connector calls that were recorded, since somebody first asked.", ["workspace"],
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "aloma_run_seconds", "How long runs took.", ["workspace"], buckets=BUCKETS, registry=self.registry
        )
        self._requests = Counter(
            "aloma_http_requests", "HTTP requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._started = Gauge("aloma_javascript_workers_started", "JavaScript workers so far.", registry=self.registry)
        self._started.set_function(lambda: float(self._workers()))
        following = Gauge("aloma_event_listeners", "Clients that follow events now.", registry=self.registry)
        following.set_function(lambda: float(listeners()))
        build = Gauge("aloma_build_info", "Which version this is.", ["version", "python"], registry=self.registry)
        build.labels(aloma_py.__version__, platform.python_version()).set(1)
        self.registry.register(self._asked)

    def watch(self, task: Task, entries: Sequence[Entry]) -> None:
        """A :data:`~aloma_py.custody.Watcher`."""
        for entry in entries:
            if entry.kind == "run":
                self._runs.labels(task.workspace, entry.step, entry.outcome).inc()
                self._seconds.labels(task.workspace).observe((entry.ended_at - entry.started_at) / 1000)

    def count_request(self, method: str, route: str, status: int) -> None:
        self._requests.labels(method if method in METHODS else "other", route, str(status)).inc()

    async def text(self) -> bytes:
        """All numbers as Prometheus reads them; the store is asked now."""
        async with self._asking:  # one after the other, so that no call is counted twice
            found = await self._store.read(self._ask)
            for workspace, number in found["calls"]:
                self._calls.labels(workspace).inc(number)
            self._asked.found = found
            return generate_latest(self.registry)

    def _ask(self, connection: sqlite3.Connection) -> dict[str, Rows]:
        last = int(connection.execute(_LAST_CALL).fetchone()[0])
        before, self._last_call = last if self._last_call is None else self._last_call, last
        return {
            "tasks": connection.execute(_TASKS).fetchall(),
            "calls": connection.execute(_CALLS, (before,)).fetchall(),
            "webhooks": connection.execute(_WEBHOOKS).fetchall(),
        }


class _Asked(Collector):
    """What the store said."""

    def __init__(self) -> None:
        self.found: dict[str, Rows] = {}

    def collect(self) -> Iterator[Metric]:
        tasks = GaugeMetricFamily("aloma_tasks", "Tasks in the store.", labels=["workspace", "state"])
        yield _filled(tasks, self.found.get("tasks", []))
        webhooks = CounterMetricFamily(
            "aloma_webhook_accepted", "What webhooks accepted.", labels=["workspace", "webhook"]
        )
        yield _filled(webhooks, self.found.get("webhooks", []))


def _filled(family: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[tuple[Any, ...]]) -> Metric:
    for *labels, number in rows:
        family.add_metric([str(label) for label in labels], float(number))
    return family


class RequestCounter:
    """Counts the requests that ``app`` answers, by the route's pattern; streams when they begin."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count_request(scope["method"], route_of(scope), message["status"])
            await send(message)

        await self._app(scope, receive, send_counted)


def route_of(scope: Scope) -> str:
    """The pattern of the route that took the request, below the prefix; never the path, of which there is no end."""
    pattern = getattr(scope.get("route"), "path", None)
    return pattern.removeprefix(PREFIX) if isinstance(pattern, str) else NO_ROUTE


def metrics_router(guard: Guard, metrics: Metrics) -> APIRouter:
    """``GET /metrics``, for callers with a role on the account.

    Not for whoever comes from this machine: behind a proxy that is everybody.
    """
    router = APIRouter()

    @router.get(
        "/metrics",
        summary="Numbers for Prometheus.",
        tags=["metrics"],
        **documented("metrics", 200, "Prometheus' text", 401, 403, media="text/plain"),
    )
    async def show_metrics(request: Request) -> Response:
        (await guard.identify(request)).caller(ACCOUNT, Role.VIEWER)
        return Response(await metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router
