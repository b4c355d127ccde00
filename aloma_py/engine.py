"""The engine: it advances tasks.

::

    accepted ──> match ──> run ──> merge ──> commit ──┐
                   ^                                  │
                   └────────────── again, until it rests

:meth:`Engine.advance` is that ladder. What is beside it: how tasks are read, held and committed is in ``keeper``; data
from outside, stopping and resuming in ``interventions``; which task is advanced when, in ``scheduler``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio

from aloma_py.cell import Cell
from aloma_py.clock import Clock, SystemClock, current_run
from aloma_py.connect.connector import Registry
from aloma_py.errors import NotFoundError, StaleTask
from aloma_py.intake import new_task
from aloma_py.keeper import Keeper, Watcher
from aloma_py.limiter import StepLimiter
from aloma_py.match.decide import Rest, Wave, decide, expired, is_empty, see
from aloma_py.match.table import StepTable
from aloma_py.models import Limits, Task, TaskCommit, TaskState
from aloma_py.paths import Path
from aloma_py.run.calls import Broker, RunCalls
from aloma_py.run.conclude import Conclusion, conclude
from aloma_py.run.context import RunContext, Services
from aloma_py.run.effects import Effects, Subtask
from aloma_py.run.execute import RunResult, execute
from aloma_py.run.stash import with_stash, without_stash
from aloma_py.steps.definition import StepDefinition
from aloma_py.store.protocol import WorkspaceStore
from aloma_py.store.stash import StashCipher


class Engine(Keeper):
    """Advances the tasks of one workspace. It does nothing by itself: a scheduler calls :meth:`advance`.

    ``steps`` are in the order of creation. ``cipher`` gives the key of ``$stash`` when it is first needed;
    without one, tasks that use it are refused.
    """

    def __init__(
        self,
        store: WorkspaceStore,
        steps: Sequence[StepDefinition],
        *,
        connectors: Registry | None = None,
        libraries: Any = None,
        config: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        cipher: Callable[[], StashCipher] | None = None,
        chance: Callable[[], float] | None = None,
    ) -> None:
        super().__init__(store, clock=clock or SystemClock(), limits=limits or Limits(), cipher=cipher)
        self.table = StepTable(steps)
        self.chance = chance or random.random
        self.held_back: set[RunContext] = set()  # runs that wait for their step's concurrency or rate
        self.pausing = False  # the process is about to end: waves under way end, and none is begun
        self.holds_back: Callable[[], None] = lambda: None  # the scheduler's: a run waits for its step's limits
        self._limiters: dict[str, StepLimiter] = {}
        self._services = Services(
            clock=self.clock,
            store=store,
            broker=Broker(connectors or Registry(), self.clock, self._record_call),
            libraries=libraries,
            config=config or {},
            limits=self.limits,
        )

    # ── intake ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def submit(self, tasks: Sequence[Task]) -> None:
        """Accept new tasks, all or none: on return they are on disk, and will be advanced when they are due."""
        for task in tasks:
            self._hide_stash(task)
        await self.store.accept(tasks)
        for task in tasks:
            self._notify(task, ())
            self._take_in(task)

    def _hide_stash(self, task: Task) -> None:
        """Put the confidential values of a new task apart."""
        task.data, stash = without_stash(task.data)
        task.initial, _ = without_stash(task.initial)
        task.stash = self.encrypt(task.id, stash)

    def _take_in(self, task: Task) -> None:
        if task.due_at is not None and task.due_at > self.clock.now():
            self.rests(task.due_at)
        else:
            cell = self.adopt(task)
            if cell is not None:
                cell.recovered = False
                self.wake(cell)

    # ── the ladder ──────────────────────────────────────────────────────────────────────────────────────────────

    async def advance(self, cell: Cell) -> None:
        """Run the task's waves until it rests: ended, or waiting."""
        if self.pausing or cell.gone:
            return
        try:
            await self._climb(cell)
        except (StaleTask, NotFoundError):
            if not cell.gone:
                await self._read_again(cell)

    async def _climb(self, cell: Cell) -> None:
        epoch = cell.epoch
        following = await self._begin(cell)
        while isinstance(following, Wave) and not self.pausing:
            results = await self._run_wave(cell, following)
            if cell.epoch != epoch:
                return  # stopped or deleted meanwhile
            following = await self._finish_wave(cell, results, epoch)

    async def _begin(self, cell: Cell) -> Wave | Rest | None:
        async with cell.lock:
            task = cell.task
            if task.state.ended and not cell.touched:
                return None
            if task.state is TaskState.WAITING and not cell.touched and not self._is_due(task):
                return None
            spent = task.cycle.spent
            following = self._match(cell, task, None)
            if isinstance(following, Rest):
                cell.touched = False
                task = replace(task, cycle=task.cycle.copy())
                self._come_to_rest(task, following)
                if task.cycle.spent != spent or _rests_differently(task, cell.task):
                    await self._commit(cell, TaskCommit(task))
            return following

    def _is_due(self, task: Task) -> bool:
        now = self.clock.now()
        return any(at is not None and at <= now for at in (task.due_at, task.expires_at))

    def _match(self, cell: Cell, task: Task, changed: Iterable[Path] | None) -> Wave | Rest:
        """Match the task's data and decide what comes next; ``changed`` narrows what must be judged again."""
        table = self.table
        if changed is None or cell.matched is None or cell.table is not table:
            cell.table, cell.matched = table, table.match(task.data)
        else:
            cell.matched = table.rematch(task.data, cell.matched, changed)
        see(table, task.cycle, cell.matched)
        return decide(
            table,
            task,
            cell.matched,
            now=self.clock.now(),
            limits=self.limits,
            touched=cell.touched,
            trail=tuple(cell.trail),
        )

    async def _run_wave(self, cell: Cell, wave: Wave) -> list[tuple[StepDefinition, int, RunResult]] | None:
        """Run the wave's steps side by side; ``None`` where the task was interrupted or its time expired."""
        table = cell.table
        assert table is not None
        task = cell.task
        before = with_stash(task.data, cell.stash)
        epoch, cell.news = cell.epoch, None
        kept = await self.store.calls(task.id) if cell.recovered else []
        contexts = []
        for rank in wave.ranks:
            step = table.ranked[rank]
            retry = task.cycle.retries.get(step.name)
            attempt = retry.attempt if retry else 1
            calls = RunCalls(task.id, step.name, task.cycle.ordinals.get(step.name, 0), attempt)
            calls.keep(kept)
            trail = await self.store.audit(task.id) if "audit" in step.parameters.values() else ()
            contexts.append(
                RunContext(self._services, step, task, before, attempt=attempt, run_calls=calls, audit_before=trail)
            )
        if cell.epoch != epoch:
            return None  # interrupted while its journal was read
        cell.runs.update(contexts)
        try:
            results = await self._run_all(cell, contexts)
        finally:
            cell.runs.clear()
        if any(context.interrupted for context in contexts):
            return None
        return [(run.step, run.attempt, result) for run, result in zip(contexts, results, strict=True)]

    async def _run_all(self, cell: Cell, contexts: list[RunContext]) -> list[RunResult]:
        expires_at = cell.task.expires_at
        if len(contexts) == 1 and expires_at is None:
            return [await self._run(contexts[0])]
        results: dict[int, RunResult] = {}
        watch = anyio.CancelScope()

        async def keep(n: int, context: RunContext) -> None:
            results[n] = await self._run(context)
            cell.runs.discard(context)
            self.holds_back()  # those that are left may all wait for the clock
            if len(results) == len(contexts):
                watch.cancel()

        async with anyio.create_task_group() as group:
            for n, context in enumerate(contexts):
                group.start_soon(keep, n, context)
            if expires_at is not None:
                with watch:
                    await self.clock.sleep_until(expires_at)
                    cell.interrupt()
        return [results[n] for n in range(len(contexts))]

    async def _run(self, context: RunContext) -> RunResult:
        step = context.step
        if step.concurrency is None and step.rate is None:
            return await execute(context)
        limiter = self._limiters.get(step.name)
        if limiter is None:
            limiter = self._limiters[step.name] = StepLimiter(step, self.clock)
        token = current_run.set(context)

        def hold_back() -> None:
            self.held_back.add(context)
            self.holds_back()

        try:
            with anyio.CancelScope() as context.scope:  # an interruption ends the waiting too
                async with limiter.turn(hold_back):
                    self.held_back.discard(context)
                    return await execute(context)
            return await execute(context)  # interrupted: this only says so
        finally:
            self.held_back.discard(context)
            current_run.reset(token)

    async def _finish_wave(
        self, cell: Cell, results: list[tuple[StepDefinition, int, RunResult]] | None, epoch: int
    ) -> Wave | Rest | None:
        """Merge what the runs did, decide what comes next, and commit both together."""
        async with cell.lock:
            if cell.epoch != epoch:
                return None
            if results is None:  # its time expired while the wave was under way
                task = replace(cell.task)
                rest = expired(task)
                self._come_to_rest(task, rest)
                await self._commit(cell, TaskCommit(task))
                return rest
            ending = conclude(cell.task, cell.stash, results, now=self.clock.now(), chance=self.chance)
            task = ending.task
            cell.trail.extend(step.name for step, _, _ in results)
            task.cycle.spent -= cell.news or set()
            if ending.stash != cell.stash:
                task.stash = self.encrypt(task.id, ending.stash)
            following = self._asked_for(ending, news=cell.news is not None) or self._match(cell, task, ending.changed)
            children = tuple(self._child(task, child) for child in ending.subtasks)
            if isinstance(following, Rest):
                if following.state.ended:
                    cell.matched = None
                self._come_to_rest(task, following)
            else:
                task.state, task.reason, task.due_at = TaskState.RUNNING, None, None
            await self._commit(
                cell,
                TaskCommit(task, ending.entries, ending.audit, ending.visualizations, children),
            )
            cell.stash = ending.stash
            cell.recovered = False
            for child in children:
                self._take_in(child)
            return following

    def _asked_for(self, ending: Conclusion, *, news: bool) -> Rest | None:
        """The end, or the waiting, that a run asked for. With ``news`` from outside, there is no waiting for such."""
        task = ending.task
        for step, effects in ending.effects:
            if effects.completed:
                return Rest(TaskState.DONE, f"completed by step {step!r}", result=task.result)
        for step, effects in ending.effects:
            if effects.ignored:
                return Rest(TaskState.IGNORED, f"ignored by step {step!r}")
        parked = [(step, effects) for step, effects in ending.effects if effects.parked]
        if not parked or news or is_empty(task.data):
            return None
        step, effects = min(parked, key=lambda pair: float("inf") if pair[1].park is None else pair[1].park)
        return self._parked(step, effects)

    def _parked(self, step: str, effects: Effects) -> Rest:
        if effects.park is None:
            return Rest(TaskState.WAITING, f"parked by step {step!r} until its data is changed from outside")
        return Rest(TaskState.WAITING, f"parked by step {step!r}", due_at=self.clock.now() + effects.park)

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
        self._hide_stash(task)
        return task


def _rests_differently(one: Task, other: Task) -> bool:
    return (one.state, one.reason, one.due_at, one.result) != (other.state, other.reason, other.due_at, other.result)


__all__ = ["Engine", "Watcher"]
