"""A small world for engine tests: steps, a store, a virtual clock, and connectors that count."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from aloma_py import interventions
from aloma_py.clock import VirtualClock
from aloma_py.connect.connector import CallContext, Registry
from aloma_py.engine import Engine
from aloma_py.errors import CallError
from aloma_py.intake import new_task
from aloma_py.models import Limits, Task, TaskState
from aloma_py.outcome import Outcome, read_outcome
from aloma_py.plugins import connector_registry, load_plugins
from aloma_py.scheduler import Scheduler
from aloma_py.steps import load_steps
from aloma_py.store.sqlite import SQLiteStore

SECOND = 1000


class FakeService:
    """A connector that answers from a table, by method; what is called is noted, with its idempotency key."""

    default: str | None = None
    recorded = True

    def __init__(self, namespace: str = "crm", **answers: Any) -> None:
        self.namespace = namespace
        self.answers = answers
        self.methods: tuple[str, ...] | None = tuple(answers)
        self.calls: list[tuple[str, Any]] = []
        self.keys: list[str] = []

    async def call(self, method: str, arguments: Any, context: CallContext) -> Any:
        self.calls.append((method, arguments))
        self.keys.append(context.key)
        answer = self.answers[method]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            answer = answer(arguments)
        return await answer if inspect.isawaitable(answer) else answer


class World:
    """An engine at work on some steps."""

    def __init__(self, engine: Engine, scheduler: Scheduler, clock: VirtualClock) -> None:
        self.engine = engine
        self.scheduler = scheduler
        self.clock = clock
        self.begun = clock.now()

    @property
    def elapsed(self) -> int:
        """Milliseconds since the beginning."""
        return self.clock.now() - self.begun

    async def submit(self, data: dict[str, Any], **options: Any) -> str:
        """Take a task in; gives its id. It has not run yet."""
        via = options.pop("via", {"type": "api"})
        name = options.pop("name", "a task")
        task = new_task("test", name, data, via=via, now=self.clock.now(), limits=self.engine.limits, **options)
        await self.engine.submit([task])
        return task.id

    async def run(self, data: dict[str, Any], **options: Any) -> Outcome:
        """A task, run until nothing happens by itself any more, however long that takes."""
        task_id = await self.submit(data, **options)
        await self.scheduler.run_until_quiet()
        return await self.outcome(task_id)

    async def rest(self, data: dict[str, Any], **options: Any) -> Outcome:
        """A task, run until nothing happens without the time moving."""
        return await self.settled(await self.submit(data, **options))

    async def settled(self, task_id: str) -> Outcome:
        await self.scheduler.settle()
        return await self.outcome(task_id)

    async def after(self, task_id: str, milliseconds: int) -> Outcome:
        """The task when so much time has passed."""
        await self.scheduler.move_to(self.clock.now() + milliseconds)
        return await self.outcome(task_id)

    async def outcome(self, task_id: str) -> Outcome:
        return await read_outcome(self.engine.store, task_id)

    async def update(self, task_id: str, patch: dict[str, Any]) -> Outcome:
        await interventions.update(self.engine, task_id, patch)
        return await self.settled(task_id)

    async def stop(self, task_id: str) -> Task:
        return await interventions.stop(self.engine, task_id)

    async def resume(self, task_id: str) -> Outcome:
        await interventions.resume(self.engine, task_id)
        return await self.settled(task_id)

    async def state(self, task_id: str) -> TaskState:
        return (await self.engine.store.get(task_id)).state


OpenWorld = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def open_world() -> OpenWorld:
    """``async with open_world(step, step, …) as world:``; options: see the body."""

    @asynccontextmanager
    async def opened(
        *steps: object,
        path: object = ":memory:",
        connectors: Sequence[Any] = (),
        libraries: Any = None,
        config: dict[str, Any] | None = None,
        limits: Limits | None = None,
        clock: VirtualClock | None = None,
        chance: float = 1.0,
        wrap: Callable[[Any], Any] = lambda handle: handle,
        max_active: int = 256,
        key: bytes | None = b"k" * 32,
    ) -> AsyncIterator[World]:
        manager, _ = load_plugins(installed=False)
        registry: Registry = connector_registry(manager)
        for connector in connectors:
            registry.add(connector)
        clock = clock or VirtualClock()
        loaded = load_steps(list(steps), libraries=libraries)
        async with SQLiteStore(str(path), key=key) as store:
            engine = Engine(
                wrap(store.workspace("test")),
                loaded.steps,
                connectors=registry,
                libraries=loaded.libraries,
                config=config,
                limits=limits,
                clock=clock,
                cipher=lambda: store.cipher,
                chance=lambda: chance,
            )
            scheduler = Scheduler(engine, max_active=max_active)
            async with scheduler.running():
                yield World(engine, scheduler, clock)

    return opened


@pytest.fixture
def service() -> type[FakeService]:
    return FakeService


@pytest.fixture
def kinds_of() -> Callable[[Outcome], list[tuple[str, str | None]]]:
    """The history in short: (kind, step)."""
    return lambda outcome: [(entry.kind, entry.step) for entry in outcome.entries]


@pytest.fixture
def failing_call() -> CallError:
    return CallError("503 Service Unavailable", 503)
