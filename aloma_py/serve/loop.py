"""The engine process's life: open, load, recover, run until it is told to stop, stop without losing anything."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket as Socket
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc

from aloma_py.connect.outbound import read_networks
from aloma_py.errors import AlomaError, InputError, NotFoundError, StoreError
from aloma_py.groups import unwrapped
from aloma_py.models import Entry, Millis, Task, TaskState
from aloma_py.notify.digest import one_line
from aloma_py.operations import Operations
from aloma_py.operations.store import purge_old
from aloma_py.serve.control import control_socket
from aloma_py.serve.firing import Firing
from aloma_py.serve.following import Following
from aloma_py.serve.house import House
from aloma_py.serve.telemetry import opened
from aloma_py.serve.telling import Telling
from aloma_py.serve.watching import watch_files
from aloma_py.settings import DEFAULT_WORKSPACE, Settings
from aloma_py.store.claims import clear_interrupted
from aloma_py.store.notifications import Notifications
from aloma_py.store.rotation import check_key
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.usage import UsageCounter
from aloma_py.store.webhooks import KEEP_KEYS, Deliveries
from aloma_py.store.workspaces import purge_deleted

if TYPE_CHECKING:
    from aloma_py.serve.web.whole import Web

logger = logging.getLogger("aloma_py.serve")

MAINTENANCE: Millis = 3_600_000
"""How often what is old is purged, and the search is brought up to date."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What is told when the engine runs."""

    workspace: str
    store: Path
    steps: int
    open_tasks: int  # pending, running or waiting when it began
    socket: Path
    address: str | None = None  # of the HTTP API

    def __str__(self) -> str:
        at = f" at {self.address}" if self.address else ""
        tasks = f"{self.open_tasks} task{'' if self.open_tasks == 1 else 's'}"
        steps = f"{self.steps} step{'' if self.steps == 1 else 's'}"
        return f"serving workspace {self.workspace!r} with {steps}{at}; {tasks} to go on with (store {self.store})"


@dataclass(frozen=True, slots=True)
class Serving:
    """What to serve. Without ``sources`` the workspace is served with the steps that it was last served with."""

    settings: Settings
    sources: Sequence[str] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    grace: Millis = 10_000  # how long waves under way may take to end when it is told to stop
    watching: bool = False  # take in the files of steps and libraries whenever they change


def tune_memory() -> None:
    """Let Python look for garbage less often: what a run makes is freed without it, and looking took 7 % of the time.

    For a process that does nothing but serve, once it has loaded what it needs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def serve(what: Serving, ready: Callable[[Ready], None]) -> None:
    """Run the workspace's tasks until SIGTERM or SIGINT; ``ready`` is called when it has begun.

    The first signal lets the waves under way end, for up to ``grace``; a second one drops them at once. What was
    dropped is started again by the next server. Raises :class:`~aloma_py.errors.StoreBusy` where another process has
    the store, :class:`~aloma_py.errors.LoadError` where a step cannot be loaded; then nothing was changed.
    """
    # From the beginning: a signal that comes while the store is being opened is not to be lost.
    with unwrapped(), anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        settings = what.settings
        read_networks(settings.refused_addresses)  # a slip in it is told now, not by the first call
        store = SQLiteStore(settings.store)
        async with opened() as spans, store, anyio.create_task_group() as group:
            listener = _listen(settings.http)
            web = _web_of(store, listener)
            usage = UsageCounter(store)
            watchers = [log_ends, usage.watch, *(web.watchers if web is not None else ())]
            attach = spans.attach if spans is not None else None
            house = House(store, settings, group, config=what.config, watchers=watchers, attach=attach)
            telling = Telling(store, settings)
            await check_key(store)
            await clear_interrupted(store)  # first: what an import that died has left is closed
            await _refuse_unknown(what, store)
            served = await house.open(settings.workspace, what.sources, what.libraries, empty=listener is not None)
            await house.open_all(but=settings.workspace)
            counts = await served.engine.store.counts()
            tune_memory()
            mail = telling.post.server
            about = {
                "http": None if listener is None else _address_of(listener),
                "public": settings.public_url or None,
                "mail": None if mail is None else str(mail),
            }
            async with (
                control_socket(store.path or settings.store, house.find, about) as socket,
                _answering(house, web, listener) as address,
            ):
                group.start_soon(_maintain, store, served.operations)
                group.start_soon(Firing(store, house.find).run)
                group.start_soon(Following(store, house.find).run)
                group.start_soon(telling.run)
                group.start_soon(_write_usage, usage)
                if what.watching:
                    group.start_soon(watch_files, house)
                await telling.cut()  # who is told is known before anything can fail
                await house.begin()
                waiting = sum(number for state, number in counts.items() if not state.ended)
                steps = len(served.steps.steps)
                ready(Ready(settings.workspace, store.path or settings.store, steps, waiting, socket, address))
                await _tell_first_run(store, address)
                await _until_stopped(signals, house, what.grace)
                group.cancel_scope.cancel()


def _listen(address: str) -> Socket | None:
    """The socket for HTTP; ``None`` for ``off``."""
    if address == "off":
        return None
    from aloma_py.serve.web.server import listen

    return listen(address)


def _web_of(store: SQLiteStore, listener: Socket | None) -> Web | None:
    if listener is None:
        return None
    from aloma_py.serve.web.whole import Web  # here: whoever serves no HTTP need not load it

    return Web(store)


@asynccontextmanager
async def _answering(house: House, web: Web | None, listener: Socket | None) -> AsyncIterator[str | None]:
    """Answer HTTP requests at ``listener`` while this is open; gives the address."""
    if web is None or listener is None:
        yield None
        return
    from aloma_py.serve.web.server import serving

    async with web.opened(house) as app, serving(app, listener):
        try:
            yield _address_of(listener)
        finally:
            web.events.close()  # whoever listens is not to hold up those who wait for an answer


def _address_of(listener: Socket) -> str:
    from aloma_py.serve.web.server import address_of

    return address_of(listener)


async def _refuse_unknown(what: Serving, store: SQLiteStore) -> None:
    """Without steps, only a workspace that there is can be served: another one is likely a slip."""
    name, known = what.settings.workspace, await store.workspaces()
    if not what.sources and name not in (DEFAULT_WORKSPACE, *known):
        error = NotFoundError("workspace", name, (DEFAULT_WORKSPACE, *known))
        raise InputError(f"{error} (`aloma-py workspace add {name}`, or `aloma-py serve PATH --workspace {name}`)")


async def _tell_first_run(store: SQLiteStore, address: str | None) -> None:
    """Say how the first person comes in, where there is none yet."""
    if address is None:
        return
    from aloma_py.serve.web.access import setup_token

    token = await setup_token(store)
    if token is not None:
        logger.warning("nobody may use %s yet; an API key: aloma-py key add NAME --role admin", address)
        logger.warning("or its first administrator: aloma-py setup %s --token %s", address, token)


async def _until_stopped(signals: AsyncIterator[signal.Signals], house: House, grace: Millis) -> None:
    """Wait for a signal, then let what is under way end, unless it takes too long or a second signal comes."""
    await anext(signals)
    house.stop()
    logger.info("stopping: waves under way have %g s to end; a second signal drops them", grace / 1000)
    async with anyio.create_task_group() as group:

        async def at_second_signal() -> None:
            await anext(signals)
            group.cancel_scope.cancel()

        group.start_soon(at_second_signal)
        with anyio.move_on_after(grace / 1000):
            await house.wind_down()
        group.cancel_scope.cancel()
    left = house.active
    if left:
        what = (
            "task was interrupted; it goes on where it was"
            if left == 1
            else "tasks were interrupted; they go on where they were"
        )
        logger.warning("%d %s when the store is served next", left, what)
    logger.info("stopped")


async def _maintain(store: SQLiteStore, operations: Operations) -> None:
    """Purge what is old and bring the search up to date, now and then."""
    from aloma_py.serve.web.intake import purge_idempotency  # here: it brings the web framework with it

    settings = operations.settings
    while True:
        now = operations.engine.clock.now()
        try:
            await clear_interrupted(store)
            gone = await purge_old(store, now, settings.keep_tasks_days, settings.keep_logs_days)
            if gone:
                parts = (f"{rows} row{'' if rows == 1 else 's'} of {table}" for table, rows in sorted(gone.items()))
                logger.info("purged %s", ", ".join(parts))
            await Deliveries(store).purge_keys(now - KEEP_KEYS)
            await purge_idempotency(store, now)
            await purge_deleted(store, now)
            await Notifications(store).purge(now)
            await store.fill_search()
        except Exception as error:  # what is left over now is not worth the tasks that are being worked on
            unknown = None if isinstance(error, AlomaError) else error
            logger.warning("maintenance was not possible, it is tried again: %s", error, exc_info=unknown)
        await anyio.sleep(MAINTENANCE / 1000)


async def _write_usage(usage: UsageCounter) -> None:
    """Write what was used once a minute, and when this is cancelled."""
    try:
        while True:
            await anyio.sleep(60)
            try:
                await usage.write()
            except StoreError as error:
                logger.warning("what was used is not written yet: %s", error)
    finally:
        with anyio.CancelScope(shield=True), contextlib.suppress(StoreError):
            await usage.write()


def log_ends(task: Task, entries: Sequence[Entry]) -> None:
    """Say which tasks ended, and loudly those that need somebody."""
    if not task.state.ended:
        return
    level = logging.WARNING if task.state in (TaskState.ERROR, TaskState.ATTENTION) else logging.DEBUG
    if logger.isEnabledFor(level):
        logger.log(
            level,
            "task %s (%s): %s: %s%s",
            task.id,
            task.name,
            task.state,
            task.reason,
            _cause(task, entries),
            extra={"action": "task_ended", "workspace": task.workspace, "task": task.id, "state": task.state.value},
        )


def _cause(task: Task, entries: Sequence[Entry]) -> str:
    """The error that ended the task, as it stands in the history: its secrets are hidden there."""
    error = next((one.error for one in reversed(entries) if one.error is not None), None)
    if task.state is not TaskState.ERROR or error is None:
        return ""
    line = one_line(error.message)
    return f": {error.type}: {line}" if line else f": {error.type}"
