"""The workspaces of one store, served side by side: each with an engine of its own, sharing the JavaScript workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.abc
import anyio.to_thread

from aloma_py import plugins
from aloma_py.connect.configured import ConfiguredConnectors
from aloma_py.custody import Watcher
from aloma_py.engine import Engine
from aloma_py.errors import InputError, LoadError, StoreError
from aloma_py.javascript.pool import Pool
from aloma_py.operations import Operations, Site, load_again
from aloma_py.operations.connectorfacts import configured_of, hide
from aloma_py.operations.workspaces import settings_for
from aloma_py.scheduler import Scheduler
from aloma_py.settings import Settings, limits_of
from aloma_py.steps import StepSet
from aloma_py.store.scripts import ScriptShelf
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.variables import Variables
from aloma_py.store.workspaces import is_closed
from aloma_py.workspace import Workspace

logger = logging.getLogger("aloma_py.serve")

MOST_IDLE: Final = 1_000
"""For how many workspaces that are not served what answers for them is kept."""


@dataclass(slots=True)
class Served:
    """A workspace whose tasks are advanced; ``gone`` is set when they are no more."""

    engine: Engine
    scheduler: Scheduler
    operations: Operations
    scope: anyio.CancelScope
    steps: StepSet
    connectors: ConfiguredConnectors
    begun: bool = False
    gone: anyio.Event = field(default_factory=anyio.Event)


class House:
    """The workspaces of ``store``. Used inside the task group ``group``, which their schedulers run in.

    ``config`` is given to the workspace of the settings, beside what it has itself. ``watchers`` are told of every
    commit in any workspace that is served, ``attach`` is called with each engine that is made.
    """

    def __init__(
        self,
        store: SQLiteStore,
        settings: Settings,
        group: anyio.abc.TaskGroup,
        *,
        config: Mapping[str, Any] | None = None,
        watchers: Sequence[Watcher] = (),
        attach: Callable[[Engine], None] | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.served: dict[str, Served] = {}
        self._group = group
        self._config = dict(config or {})
        self._watchers = tuple(watchers)
        self._attach = attach
        self.pool = Pool(settings.script_workers) if settings.script_workers else Pool()
        self._idle: dict[str, Operations] = {}
        self.stopping = False
        self._begun = False
        self._opening = anyio.Lock()
        self._reloading = anyio.Lock()

    # ── what there is ───────────────────────────────────────────────────────────────────────────────────────────

    def find(self, workspace: str) -> Operations:
        """The operations on a workspace, served or not."""
        served = self.served.get(workspace)
        if served is not None:
            return served.operations
        idle = self._idle.get(workspace)
        if idle is None:
            idle = idle_operations(self.store, self._settings_of(workspace), reload=lambda: self.reload(workspace))
            idle.site.stopping = self.stopping
            while len(self._idle) >= MOST_IDLE:  # whoever asks for names that there are not is not to fill the memory
                del self._idle[next(iter(self._idle))]
            self._idle[workspace] = idle
        return idle

    @property
    def active(self) -> int:
        """How many tasks are queued or being advanced, in all workspaces."""
        return sum(served.scheduler.active for served in self.served.values())

    # ── serving ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def open_all(self, *, but: str) -> None:
        """Serve every workspace that has steps. One that cannot be loaded is told, and keeps none of the others."""
        for name in await self.store.workspaces():
            facts = await self.store.workspace(name).facts()
            if name == but or is_closed(facts) or not await self._has_steps(name, facts):
                continue
            try:
                await self.open(name)
            except (InputError, StoreError) as error:
                logger.warning("workspace %r is not served: %s", name, error)

    async def begin(self) -> None:
        """Advance the tasks of the workspaces that are open; those that are opened later begin at once."""
        self._begun = True
        for one in plugins.installed().broken:
            logger.warning("the plugin %s cannot be used: %s", one.name, one.error)
        for served in list(self.served.values()):
            if not served.scope.cancel_called:  # closed while others began
                await self._group.start(self._serve, served)

    async def open(
        self,
        name: str,
        sources: Sequence[str] = (),
        libraries: Mapping[str, str] | None = None,
        *,
        empty: bool = False,
    ) -> Served:
        """Serve a workspace; where its steps come from is kept with it. ``empty``: also one that has no steps yet.

        Raises :class:`~aloma_py.errors.LoadError` where a step cannot be loaded; then nothing was changed.
        """
        async with self._opening:
            if name in self.served:
                return self.served[name]
            handle = self.store.workspace(name)
            facts = await handle.facts()
            if is_closed(facts):
                raise InputError(
                    f"the workspace {name!r} is archived; `aloma-py workspace archive --unarchive` opens it"
                )
            given: dict[str, Any] = {}
            if sources:
                spaces = {space: _absolute(place) for space, place in (libraries or {}).items()}
                given = {"sources": [_absolute(source) for source in sources], "libraries": spaces}
            workspace = await self._load(name, {**facts, **given}, empty=empty)
            if given:
                await handle.set_facts(**given)
            served = self.served[name] = self._served(name, workspace)  # from here on nothing fails
            if self._begun:
                await self._group.start(self._serve, served)
            self._idle.pop(name, None)
            return served

    def _served(self, name: str, workspace: Workspace) -> Served:
        handle = self.store.workspace(name)
        connectors = ConfiguredConnectors(workspace.registry(), hide)
        self._bring_in(name, workspace, connectors)
        engine = workspace.engine(
            handle,
            cipher=lambda: self.store.cipher,
            pool=self.pool,
            connectors=connectors.registry,
            secrets=connectors.secrets,
        )
        engine.custody.watchers.extend(self._watchers)
        if self._attach is not None:
            self._attach(engine)
        settings = self._settings_of(name)
        site = Site(engine, self.store, settings, advancing=True, reload=lambda: self.reload(name))
        scheduler = Scheduler(engine, max_active=self.settings.max_active)
        return Served(engine, scheduler, Operations(site), anyio.CancelScope(), workspace.step_set, connectors)

    def _bring_in(self, name: str, workspace: Workspace, connectors: ConfiguredConnectors) -> None:
        """Make the connectors that the workspace has now. One that cannot be made keeps none of the others."""
        connectors.bring_in(configured_of(self.store, name), plugins.installed().kinds, workspace.config)

    async def reload(self, name: str) -> None:
        """Bring what the workspace is made of now into its engine; serve it, where it was not and now has steps.

        Raises :class:`~aloma_py.errors.LoadError` where that cannot be loaded; then it goes on as it was.
        """
        async with self._reloading:  # one after the other, so that the last one counts
            connectors = await self._bring_over(name)
        if connectors is not None:
            await connectors.close_old()  # that may take seconds, for which nobody else is to wait

    async def _bring_over(self, name: str) -> ConfiguredConnectors | None:
        """Does it; gives the workspace's connectors, where some are to be closed now."""
        facts = await self.store.workspace(name).facts()
        served = self.served.get(name)
        if served is None:
            self._idle.pop(name, None)
            if not is_closed(facts) and await self._has_steps(name, facts):
                await self.open(name)
            return None
        if is_closed(facts):
            await self.close(name)
            return None
        workspace = await self._load(name, facts, empty=True)
        if workspace.limits != served.engine.limits:  # an engine keeps the limits that it was made with
            await self.close(name)
            await self.open(name, empty=True)
            return None
        steps, connectors = workspace.step_set, served.connectors
        self._bring_in(name, workspace, connectors)
        secrets = (*workspace.secrets, *connectors.secrets)
        served.engine.adopt(steps.steps, steps.libraries, workspace.config, secrets, connectors.registry)
        before, served.steps = served.steps, steps
        before.unload()
        return connectors

    async def close(self, name: str) -> None:
        """Stop advancing the workspace's tasks: waves under way are dropped, and start again when it is opened."""
        served = self.served.pop(name, None)
        if served is not None:
            served.operations.site.stopping = True
            served.scope.cancel()
            if not served.begun:  # and never will be
                await served.connectors.aclose()
                return
            await served.gone.wait()

    def stop(self) -> None:
        """Refuse whatever would begin something new, in every workspace."""
        self.stopping = True
        for operations in (*self._idle.values(), *(served.operations for served in self.served.values())):
            operations.site.stopping = True

    async def wind_down(self) -> None:
        """Let the waves under way end, and begin no more."""
        async with anyio.create_task_group() as group:
            for served in self.served.values():
                group.start_soon(served.scheduler.wind_down)

    async def _serve(self, served: Served, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        served.begun, running = True, False
        try:
            with served.scope:
                async with served.scheduler.running():
                    running = True
                    task_status.started()
                    await anyio.sleep_forever()
            if not running:  # it was closed before: whoever began it waits for this
                task_status.started()
        finally:
            with anyio.CancelScope(shield=True):
                await served.connectors.aclose()
            served.gone.set()

    # ── what a workspace is made of ─────────────────────────────────────────────────────────────────────────────

    async def _has_steps(self, name: str, facts: Mapping[str, Any]) -> bool:
        return bool(facts.get("sources")) or ScriptShelf(self.store, name).has("step")

    async def _load(self, name: str, facts: Mapping[str, Any], *, empty: bool = False) -> Workspace:
        """The workspace as it is now: its steps, of files and stored ones, its variables, its limits."""
        sources = facts.get("sources") or []
        texts = await ScriptShelf(self.store, name).texts()
        if not sources and not any(text.kind == "step" for text in texts) and not empty:
            raise InputError(f"the workspace {name!r} has no steps yet: say where they are: aloma-py serve PATH…")
        variables = Variables(self.store, name)
        secrets = variables.secrets()
        config = {**variables.values(), **(self._config if name == self.settings.workspace else {})}

        def load() -> Workspace:
            return Workspace(
                name,
                list(sources),
                libraries=facts.get("libraries") or None,
                config=config,
                secrets=secrets,
                limits=limits_of(settings_for(self.settings, dict(facts))),
                texts=texts,
                may_be_empty=empty,
            )

        try:
            # While tasks are advanced the loop must not stand still; before, there is nothing to hold up.
            return await anyio.to_thread.run_sync(load) if self._begun else load()
        except OSError as error:
            raise LoadError(f"the steps of the workspace {name!r} cannot be read: {error}") from error

    def _settings_of(self, workspace: str) -> Settings:
        return self.settings.model_copy(update={"workspace": workspace})


def _absolute(source: str) -> str:
    """A path that means the same from every folder; a module's name as it is."""
    return str(Path(source).resolve()) if Path(source).exists() else source


def idle_operations(
    store: SQLiteStore, settings: Settings, sources: Sequence[str] = (), *, reload: Any = None
) -> Operations:
    """Operations on a workspace whose tasks nobody advances here. Its steps are loaded when they are first needed."""

    async def load(facts: Mapping[str, Any]) -> StepSet:
        given = {**facts, "sources": list(sources)} if sources else facts
        return load_again(given, settings.workspace, await ScriptShelf(store, settings.workspace).texts())

    engine = Engine(store.workspace(settings.workspace), (), limits=limits_of(settings), cipher=lambda: store.cipher)
    return Operations(Site(engine, store, settings, load=load, reload=reload))
