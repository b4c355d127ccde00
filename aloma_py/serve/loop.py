"""The engine process's life: open, load, recover, run until it is told to stop, stop without losing anything."""

from __future__ import annotations

import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from aloma_py.errors import InputError, StoreError
from aloma_py.javascript.pool import Pool
from aloma_py.models import Entry, Millis, Task, TaskState
from aloma_py.operations import DAY, Operations, Site, limits_of, load_again
from aloma_py.scheduler import Scheduler
from aloma_py.serve.control import control_socket
from aloma_py.settings import Settings
from aloma_py.steps import StepSet
from aloma_py.store.protocol import WorkspaceStore
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.workspace import Workspace

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

    def __str__(self) -> str:
        tasks = f"{self.open_tasks} task{'' if self.open_tasks == 1 else 's'}"
        steps = f"{self.steps} step{'' if self.steps == 1 else 's'}"
        return f"serving workspace {self.workspace!r} with {steps}; {tasks} to go on with (store {self.store})"


@dataclass(frozen=True, slots=True)
class Serving:
    """What to serve. Without ``sources`` the workspace is served with the steps that it was last served with."""

    settings: Settings
    sources: Sequence[str] = ()
    libraries: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    grace: Millis = 10_000  # how long waves under way may take to end when it is told to stop


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
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        store = SQLiteStore(what.settings.store)
        async with store:
            handle = store.workspace(what.settings.workspace)
            workspace = await _load(what, handle)
            pool = Pool(what.settings.script_workers) if what.settings.script_workers else Pool()
            engine = workspace.engine(handle, cipher=lambda: store.cipher, pool=pool)
            engine.custody.watchers.append(_log_ends)
            scheduler = Scheduler(engine, max_active=what.settings.max_active)
            operations = Operations(Site(engine, store, what.settings, advancing=True))
            others = Others(store, what.settings, operations)
            counts = await handle.counts()
            tune_memory()
            async with (
                _unwrapped(),
                control_socket(store.path or what.settings.store, others.find) as socket,
                anyio.create_task_group() as group,
                scheduler.running(),
            ):
                group.start_soon(_maintain, store, operations)
                waiting = sum(number for state, number in counts.items() if not state.ended)
                ready(Ready(workspace.name, store.path or what.settings.store, len(workspace.steps), waiting, socket))
                await _until_stopped(signals, scheduler, others, what.grace)
                group.cancel_scope.cancel()


async def _load(what: Serving, handle: WorkspaceStore) -> Workspace:
    """The workspace with its steps; where they come from is kept with it."""
    name = what.settings.workspace
    if what.sources:
        sources = [*map(_absolute, what.sources)]
        libraries = {space: _absolute(place) for space, place in what.libraries.items()}
    else:
        facts = await handle.facts()
        sources, libraries = facts.get("sources") or [], facts.get("libraries") or {}
        if not sources:
            raise InputError(f"the workspace {name!r} has no steps yet: say where they are: aloma-py serve PATH…")
    workspace = Workspace(name, sources, libraries=libraries, config=what.config, limits=limits_of(what.settings))
    if what.sources:
        await handle.set_facts(sources=sources, libraries=libraries)
    return workspace


def _absolute(source: str) -> str:
    """A path that means the same from every folder; a module's name as it is."""
    return str(Path(source).resolve()) if Path(source).exists() else source


async def _until_stopped(
    signals: AsyncIterator[signal.Signals], scheduler: Scheduler, others: Others, grace: Millis
) -> None:
    """Wait for a signal, then let what is under way end, unless it takes too long or a second signal comes."""
    await anext(signals)
    others.stop()
    logger.info("stopping: waves under way have %g s to end; a second signal drops them", grace / 1000)
    async with anyio.create_task_group() as group:

        async def at_second_signal() -> None:
            await anext(signals)
            group.cancel_scope.cancel()

        group.start_soon(at_second_signal)
        with anyio.move_on_after(grace / 1000):
            await scheduler.wind_down()
        group.cancel_scope.cancel()
    left = scheduler.active
    if left:
        what = (
            "task was interrupted; it goes on where it was"
            if left == 1
            else "tasks were interrupted; they go on where they were"
        )
        logger.warning("%d %s when the store is served next", left, what)
    logger.info("stopped")


class Others:
    """The operations on each workspace of the store. Only the one that is served is advanced."""

    def __init__(self, store: SQLiteStore, settings: Settings, served: Operations) -> None:
        self._store = store
        self._settings = settings
        self._by_name = {settings.workspace: served}
        self._stopping = False

    def find(self, workspace: str) -> Operations:
        """The operations on a workspace; made when it is first asked for."""
        found = self._by_name.get(workspace)
        if found is None:
            found = idle_operations(self._store, self._settings.model_copy(update={"workspace": workspace}))
            found.site.stopping = self._stopping
            self._by_name[workspace] = found
        return found

    def stop(self) -> None:
        """Refuse whatever would begin something new."""
        self._stopping = True
        for operations in self._by_name.values():
            operations.site.stopping = True


def idle_operations(store: SQLiteStore, settings: Settings, sources: Sequence[str] = ()) -> Operations:
    """Operations on a workspace whose tasks nobody advances here. Its steps are loaded when they are first needed."""
    from aloma_py.engine import Engine

    async def load(facts: Mapping[str, Any]) -> StepSet:
        given = {**facts, "sources": list(sources)} if sources else facts
        return load_again(given, settings.workspace)

    engine = Engine(store.workspace(settings.workspace), (), limits=limits_of(settings), cipher=lambda: store.cipher)
    return Operations(Site(engine, store, settings, load=load))


async def _maintain(store: SQLiteStore, operations: Operations) -> None:
    """Purge what is old and bring the search up to date, now and then."""
    settings = operations.settings
    while True:
        now = operations.engine.clock.now()
        try:
            gone = await store.purge(
                now - round(settings.keep_tasks_days * DAY), now - round(settings.keep_logs_days * DAY)
            )
            if gone:
                parts = (f"{rows} row{'' if rows == 1 else 's'} of {table}" for table, rows in sorted(gone.items()))
                logger.info("purged %s", ", ".join(parts))
            await store.fill_search()
        except StoreError as error:
            logger.warning("maintenance was not possible: %s", error)
        await anyio.sleep(MAINTENANCE / 1000)


def _log_ends(task: Task, entries: Sequence[Entry]) -> None:
    """Say which tasks ended, and loudly those that need somebody."""
    if not task.state.ended:
        return
    level = logging.WARNING if task.state in (TaskState.ERROR, TaskState.ATTENTION) else logging.DEBUG
    if logger.isEnabledFor(level):
        logger.log(
            level,
            "task %s (%s): %s: %s",
            task.id,
            task.name,
            task.state,
            task.reason,
            extra={"action": "task_ended", "task": task.id, "state": task.state.value},
        )


@asynccontextmanager
async def _unwrapped() -> AsyncIterator[None]:
    """Raise what was raised inside task groups as it is."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
