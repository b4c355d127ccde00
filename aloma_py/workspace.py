"""A workspace in a program: its steps, and tasks run in memory. ``await Workspace.load("steps/").run({"a": 1})``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from aloma_py.clock import Clock, VirtualClock
from aloma_py.connect.connector import Connector, Registry
from aloma_py.engine import Engine, Watcher
from aloma_py.errors import InputError
from aloma_py.intake import new_task
from aloma_py.javascript.pool import Pool
from aloma_py.models import Json, Limits, Millis
from aloma_py.outcome import Outcome, read_outcome
from aloma_py.plugins import connector_registry, load_plugins
from aloma_py.scheduler import Scheduler
from aloma_py.steps import StepDefinition, StepSet, load_steps
from aloma_py.steps.javascript.define import ScriptText
from aloma_py.steps.libraries import Libraries
from aloma_py.store.protocol import WorkspaceStore
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.stash import StashCipher

NO_STEPS: Final = StepSet((), Libraries({}), ())


class Workspace:
    """Steps, with the libraries, configuration and connectors that they use.

    ``steps`` are objects made by ``@step``, modules, packages, folders or files, in the order of creation; they are
    loaded at once, all or none (:class:`~aloma_py.errors.LoadError`). ``libraries`` are ``{namespace: file or
    module}``, ``config`` what ``task.config`` gives, ``connectors`` are added to those of the installed plugins.
    ``secrets`` are the texts, of those in ``config``, that must not be shown (see docs/secrets.md). ``may_be_empty``
    says that it need not have steps.
    ``texts`` are JavaScript steps and libraries that are no files; the steps come after the others.

    ::

        workspace = Workspace("orders", [validate, ship])
        outcome = await workspace.run({"order": {"status": "new"}})
        print(outcome.state, outcome.data)
    """

    def __init__(
        self,
        name: str = "default",
        steps: Sequence[object] | object = (),
        *,
        libraries: Mapping[str, object] | None = None,
        config: Mapping[str, Any] | None = None,
        connectors: Iterable[Connector] = (),
        limits: Limits | None = None,
        texts: Sequence[ScriptText] = (),
        secrets: Sequence[str] = (),
        may_be_empty: bool = False,
    ) -> None:
        self.name = name
        self.config = dict(config or {})
        self.secrets = tuple(secrets)
        self.limits = limits or Limits()
        self.connectors = tuple(connectors)
        for connector in self.connectors:
            if not isinstance(getattr(connector, "namespace", None), str):
                raise InputError(
                    f"{connector!r} is no connector: one has namespace, methods, default, recorded and call (see "
                    "aloma_py.connect.connector.Connector)"
                )
        sources = list(steps) if isinstance(steps, (list, tuple)) else [steps]
        nothing = may_be_empty and not sources and not any(text.kind == "step" for text in texts)
        self.step_set: StepSet = NO_STEPS if nothing else load_steps(sources, libraries=libraries, texts=texts)

    @classmethod
    def load(cls, *sources: object, name: str = "default", **options: Any) -> Workspace:
        """The workspace of the steps in ``sources``: modules, packages, folders, files. Options as for the class."""
        return cls(name, list(sources), **options)

    @property
    def steps(self) -> tuple[StepDefinition, ...]:
        """The steps in the order of creation."""
        return self.step_set.steps

    def engine(
        self,
        store: WorkspaceStore,
        *,
        clock: Clock | None = None,
        connectors: Registry | None = None,
        cipher: Callable[[], StashCipher] | None = None,
        limits: Limits | None = None,
        pool: Pool | None = None,
        secrets: Sequence[str] = (),
    ) -> Engine:
        """An engine for this workspace's tasks in ``store``. ``connectors`` replaces those that it would have.

        ``pool`` are the JavaScript workers, to share them with other workspaces. ``secrets`` are more texts that must
        not be shown: those of the connectors.
        """
        return Engine(
            store,
            self.steps,
            connectors=connectors or self.registry(),
            libraries=self.step_set.libraries,
            config=self.config,
            secrets=(*self.secrets, *secrets),
            limits=limits or self.limits,
            clock=clock,
            cipher=cipher,
            pool=pool,
        )

    def registry(self) -> Registry:
        """The connectors of the built-in and installed plugins, and this workspace's own."""
        manager, _ = load_plugins()
        registry = connector_registry(manager)
        for connector in self.connectors:
            registry.add(connector)
        return registry

    async def run(
        self,
        data: Mapping[str, Json],
        *,
        name: str = "task",
        tags: Sequence[str] = (),
        connectors: Registry | None = None,
        clock: Clock | None = None,
        watch: Watcher | None = None,
        horizon: Millis = 30 * 86_400_000,
    ) -> Outcome:
        """Run one task in memory, with its subtasks, until nothing more happens by itself; gives its outcome.

        Waiting (a parked task, a retry) takes its time, unless ``clock`` is a :class:`~aloma_py.clock.VirtualClock`:
        that jumps over it, up to ``horizon`` milliseconds. ``watch`` is told of every commit. Raises
        :class:`~aloma_py.errors.PayloadError` where ``data`` is no task.
        """
        store = SQLiteStore(":memory:")
        async with store:
            handle = store.workspace(self.name)
            engine = self.engine(handle, clock=clock, connectors=connectors, cipher=lambda: store.cipher)
            if watch is not None:
                engine.custody.watchers.append(watch)
            scheduler = Scheduler(engine)
            task = new_task(
                self.name, name, data, tags=tags, via={"type": "api"}, now=engine.clock.now(), limits=self.limits
            )
            async with scheduler.running():
                await engine.submit([task])
                if isinstance(engine.clock, VirtualClock):
                    await scheduler.run_until_quiet(horizon)
                else:
                    await scheduler.quiet()
            return await read_outcome(handle, task.id)
