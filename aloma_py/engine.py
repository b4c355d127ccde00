"""The engine: it advances tasks.

::

    accepted ──> match ──> run ──> merge ──> commit ──┐
                   ^                                  │
                   └────────────── again, until it rests

:meth:`Engine.advance` is that ladder. What is beside it: the tasks in hand and their commits (``custody``), running a
wave (``runner``), data from outside, stopping and resuming (``interventions``), and which task is advanced when
(``scheduler``).
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from typing import Any, TypeVar

from aloma_py.cell import Cell
from aloma_py.clock import Clock, SystemClock
from aloma_py.connect.connector import Registry, close
from aloma_py.custody import Custody, Watcher
from aloma_py.errors import NotFoundError, StaleTask
from aloma_py.intake import new_task
from aloma_py.javascript.pool import Pool
from aloma_py.match.decide import Rest, Wave, decide, expired, is_empty, see
from aloma_py.match.table import StepTable
from aloma_py.models import Entry, Limits, Task, TaskCommit, TaskState
from aloma_py.paths import Path
from aloma_py.run.calls import Broker
from aloma_py.run.conclude import Conclusion, conclude
from aloma_py.run.context import Services
from aloma_py.run.effects import Subtask
from aloma_py.run.script import Scripts
from aloma_py.runner import WaveResults, WaveRunner
from aloma_py.steps.definition import StepDefinition
from aloma_py.store.protocol import WorkspaceStore
from aloma_py.store.stash import StashCipher

T = TypeVar("T")

__all__ = ["Engine", "Watcher"]


class Engine:
    """Advances the tasks of one workspace. It does nothing by itself: a scheduler calls :meth:`advance`.

    ``steps`` are in the order of creation. ``secrets`` are the texts that must not be shown, of those in ``config``
    and in connectors.
    ``cipher`` gives the key of ``$stash`` when it is first needed;
    without one, tasks that use it are refused. ``chance`` gives random numbers from 0 to 1, for the jitter of retries.
    ``pool`` are the JavaScript workers, to share them with other engines.
    """

    def __init__(
        self,
        store: WorkspaceStore,
        steps: Sequence[StepDefinition],
        *,
        connectors: Registry | None = None,
        libraries: Any = None,
        config: Mapping[str, Any] | None = None,
        secrets: Sequence[str] = (),
        limits: Limits | None = None,
        clock: Clock | None = None,
        cipher: Callable[[], StashCipher] | None = None,
        chance: Callable[[], float] | None = None,
        pool: Pool | None = None,
    ) -> None:
        self.store = store
        self.table = StepTable(steps)
        self.clock = clock or SystemClock()
        self.limits = limits or Limits()
        self.chance = chance or random.random
        self.pausing = False  # the process is about to end: waves under way end, and none is begun
        self.custody = Custody(store, self.clock, self.limits, cipher)
        registry = connectors or Registry()
        self.scripts = Scripts(store.workspace, registry, self.limits, pool)
        self.runner = WaveRunner(
            Services(
                clock=self.clock,
                store=store,
                broker=Broker(registry, self.clock, self.custody.record_call),
                libraries=libraries,
                config=config or {},
                limits=self.limits,
                scripts=self.scripts,
                secrets=tuple(secrets),
            )
        )

    async def submit(self, tasks: Sequence[Task]) -> None:
        """Accept new tasks, all or none: on return they are on disk, and will be advanced when they are due."""
        await self.custody.accept(tasks)

    def adopt(
        self,
        steps: Sequence[StepDefinition],
        libraries: Any,
        config: Mapping[str, Any],
        secrets: Sequence[str] = (),
        connectors: Registry | None = None,
    ) -> None:
        """Go on with other steps, libraries, configuration and connectors.

        Runs under way end with those that they began with. ``secrets`` are the texts, of those in ``config`` and in
        connectors, that must not be shown. Without ``connectors`` they stay as they are.
        """
        self.table = StepTable(steps)
        services = replace(self.runner.services, libraries=libraries, config=config, secrets=tuple(secrets))
        if connectors is not None:
            services.broker = copy(services.broker)
            services.broker.connectors = connectors
            self.scripts = services.scripts = Scripts(self.store.workspace, connectors, self.limits, self.scripts.pool)
        self.runner.services = services

    @asynccontextmanager
    async def connectors_closing(self) -> AsyncIterator[None]:
        """At the end, have the connectors close what they hold open; a later call opens it again."""
        try:
            yield
        finally:
            for connector in self.runner.services.broker.connectors:
                await close(connector)

    # ── the ladder ──────────────────────────────────────────────────────────────────────────────────────────────

    async def advance(self, cell: Cell) -> None:
        """Run the task's waves until it rests: ended, or waiting."""
        if self.pausing or cell.gone:
            return
        try:
            await self._climb(cell)
        except (StaleTask, NotFoundError):
            if not cell.gone:
                await self.custody.read_again(cell)

    async def _climb(self, cell: Cell) -> None:
        epoch = cell.epoch
        following = await self._begin(cell)
        while isinstance(following, Wave) and not self.pausing:
            assert cell.table is not None
            results = await self.runner.run(cell, [cell.table.ranked[rank] for rank in following.ranks])
            following = await (self._begin(cell) if results == [] else self._finish(cell, results, epoch))

    async def _begin(self, cell: Cell) -> Wave | Rest | None:
        """Match the task; where nothing is to be run now, write down that it rests."""
        async with cell.lock:
            task = cell.task
            if task.state.ended and not cell.touched:
                return None
            if task.state is TaskState.WAITING and not cell.touched and not self._is_due(task):
                return None
            spent = task.cycle.spent
            following = await self._match(cell, task, None)
            if isinstance(following, Rest):
                cell.touched = False
                task = replace(task, cycle=task.cycle.copy())
                entries = self._come_to_rest(task, following)
                if task.cycle.spent != spent or _rests_differently(task, cell.task):
                    await self.custody.commit(cell, TaskCommit(task, entries))
            return following

    async def _finish(self, cell: Cell, results: WaveResults | None, epoch: int) -> Wave | Rest | None:
        """Merge what the runs did, decide what comes next, and commit both together."""
        async with cell.lock:
            if cell.epoch != epoch:
                return None  # stopped or deleted meanwhile: what the wave did is dropped
            if results is None:  # its time expired while the wave was under way
                return await self._expire(cell)
            ending = conclude(cell.task, cell.stash, results, now=self.clock.now(), chance=self.chance)
            task = ending.task
            cell.trail.extend(step.name for step, _, _ in results)
            task.cycle.spent -= cell.news or set()
            if ending.stash != cell.stash:
                task.stash = self.custody.encrypt(task.id, ending.stash)
            following: Wave | Rest | None = self._asked_for(ending, news=cell.news is not None)
            if following is None:
                following = await self._match(cell, task, ending.changed)
            children = tuple(self._child(task, child) for child in ending.subtasks)
            entries = ending.entries
            if isinstance(following, Rest):
                entries += self._come_to_rest(task, following)
            else:
                task.state, task.reason, task.due_at = TaskState.RUNNING, None, None
            await self.custody.commit(cell, TaskCommit(task, entries, ending.audit, ending.visualizations, children))
            cell.stash = ending.stash
            cell.recovered = False
            for child in children:
                self.custody.take_in(child)
            return following

    # ── matching and deciding ───────────────────────────────────────────────────────────────────────────────────

    async def _match(self, cell: Cell, task: Task, changed: Iterable[Path] | None) -> Wave | Rest:
        """Match the task's data and decide what comes next; ``changed`` narrows what must be judged again."""
        table = self.table
        if changed is None or cell.matched is None or cell.table is not table:
            matched = await self._judge(lambda: table.match(task.data))
            cell.table, cell.matched = table, matched
        else:
            before, places = cell.matched, tuple(changed)
            cell.matched = matched = await self._judge(lambda: table.rematch(task.data, before, places))
        see(table, task.cycle, matched)
        return await self._judge(
            lambda: decide(
                table,
                task,
                matched,
                now=self.clock.now(),
                limits=self.limits,
                touched=cell.touched,
                trail=cell.trail,
            )
        )

    async def _judge(self, work: Callable[[], T]) -> T:
        """What ``work``, which judges conditions, gives; V8 is asked where some of them are JavaScript."""
        return await self.scripts.settle(work) if self.table.has_scripts else work()

    def _is_due(self, task: Task) -> bool:
        now = self.clock.now()
        return any(at is not None and at <= now for at in (task.due_at, task.expires_at))

    def _asked_for(self, ending: Conclusion, *, news: bool) -> Rest | None:
        """The end, or the waiting, that a run asked for. With ``news`` from outside, there is no waiting for such."""
        task = ending.task
        for step, effects in ending.effects:
            if effects.completed:
                return Rest(TaskState.DONE, f"completed by step {step!r}", result=task.result)
        for step, effects in ending.effects:
            if effects.ignored:
                return Rest(TaskState.IGNORED, f"ignored by step {step!r}")
        parked = [(step, effects.park) for step, effects in ending.effects if effects.parked]
        if not parked or news or is_empty(task.data):
            return None
        step, park = min(parked, key=lambda pair: float("inf") if pair[1] is None else pair[1])
        if park is None:
            return Rest(TaskState.WAITING, f"parked by step {step!r} until its data is changed from outside")
        return Rest(TaskState.WAITING, f"parked by step {step!r}", due_at=self.clock.now() + park)

    def _come_to_rest(self, task: Task, rest: Rest) -> tuple[Entry, ...]:
        """Write down where the task rests, in ``task``, which is not stored yet; gives what its history says of it."""
        now = self.clock.now()
        task.state, task.reason, task.due_at, task.updated_at = rest.state, rest.reason, rest.due_at, now
        task.ended_at = now if rest.state.ended else None
        if rest.result is not None:
            task.result = rest.result
        if rest.kind is None:
            return ()
        task.last_entry += 1
        return (Entry(task.last_entry, rest.kind, now, now, effects=(rest.reason,)),)

    async def _expire(self, cell: Cell) -> Rest:
        task = replace(cell.task)
        rest = expired(task)
        await self.custody.commit(cell, TaskCommit(task, self._come_to_rest(task, rest)))
        return rest

    def _child(self, parent: Task, child: Subtask) -> Task:
        now = self.clock.now()
        task = new_task(
            parent.workspace,
            child.name,
            child.data,
            id=child.id,
            via={"id": parent.id, "name": parent.name, "type": "subtask"},
            now=now,
            due_at=now + child.delay if child.delay else None,
            parent=parent.id,
            into=child.into,
            wait_for=child.wait_for,
            limits=self.limits,
        )
        task.cycle.depth = parent.cycle.depth + 1
        self.custody.hide_stash(task)
        return task

    async def give_up(self, cell: Cell, error: Exception) -> None:
        """An error of the engine itself ends the task with its text: better than a task that hangs."""
        async with cell.lock:
            if cell.gone or cell.task.state.ended:
                return
            task = replace(cell.task, cycle=cell.task.cycle.copy())
            reason = self.runner.services.redactor.text(f"the engine failed: {type(error).__name__}: {error}")
            entries = self._come_to_rest(task, Rest(TaskState.ERROR, reason, kind="end"))
            await self.custody.commit(cell, TaskCommit(task, entries))


def _rests_differently(one: Task, other: Task) -> bool:
    return (one.state, one.reason, one.due_at, one.result) != (other.state, other.reason, other.due_at, other.result)
