"""Runs the steps of a wave side by side (SPEC §3.5, §3.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from aloma_py.cell import Cell
from aloma_py.clock import current_run
from aloma_py.limiter import StepLimiter
from aloma_py.run.calls import RunCalls
from aloma_py.run.context import RunContext, Services
from aloma_py.run.execute import RunResult, execute
from aloma_py.run.stash import with_stash
from aloma_py.steps.definition import StepDefinition


def _asks_for_trail(step: StepDefinition) -> bool:
    if step.script is not None:
        return "audit" in step.source or any("audit" in program.text for program in step.script.libraries)
    return "audit" in step.parameters.values()


WaveResults = list[tuple[StepDefinition, int, RunResult]]
"""(step, attempt, what came of it), in the wave's order."""


class WaveRunner:
    """``held_back`` are the runs that wait for their step's ``concurrency`` or ``rate``."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.held_back: set[RunContext] = set()
        self.on_change: Callable[[], None] = lambda: None  # a run was held back, or ended
        self._limiters: dict[str, StepLimiter] = {}

    async def run(self, cell: Cell, steps: Sequence[StepDefinition]) -> WaveResults | None:
        """Run the steps on the task as it is now; ``None`` where it was interrupted, or its time expired.

        A step that had to wait for its ``concurrency`` or ``rate``, and whose task has changed meanwhile, is left
        out of the results: it is for the engine to see whether it still matches.
        """
        epoch, cell.news = cell.epoch, None
        contexts = await self._contexts(cell, steps)
        if cell.epoch != epoch:
            return None  # interrupted while its journal was read
        cell.runs.update(contexts)
        try:
            results = await self._run_all(cell, contexts)
        finally:
            cell.runs.clear()
        if any(context.interrupted and not context.outdated for context in contexts):
            return None
        return [
            (run.step, run.attempt, result) for run, result in zip(contexts, results, strict=True) if not run.outdated
        ]

    async def _contexts(self, cell: Cell, steps: Sequence[StepDefinition]) -> list[RunContext]:
        task, store = cell.task, self.services.store
        before = with_stash(task.data, cell.stash)
        contexts = []
        for step in steps:
            retry = task.cycle.retries.get(step.name)
            attempt = retry.attempt if retry else 1
            ordinal = task.cycle.ordinals.get(step.name, 0)
            calls = RunCalls(task.id, step.name, ordinal, attempt)
            if cell.recovered:
                calls.keep(await store.calls(task.id, step.name, ordinal))
            trail = await store.audit(task.id) if _asks_for_trail(step) else ()
            contexts.append(
                RunContext(self.services, step, task, before, attempt=attempt, run_calls=calls, audit_before=trail)
            )
        return contexts

    async def _run_all(self, cell: Cell, contexts: list[RunContext]) -> list[RunResult]:
        expires_at = cell.task.expires_at
        if len(contexts) == 1 and expires_at is None:
            return [await self._run(cell, contexts[0])]
        results: dict[int, RunResult] = {}
        watch = anyio.CancelScope()

        async def keep(n: int, context: RunContext) -> None:
            results[n] = await self._run(cell, context)
            cell.runs.discard(context)
            self.on_change()  # those that are left may all wait for the clock
            if len(results) == len(contexts):
                watch.cancel()

        async with anyio.create_task_group() as group:
            for n, context in enumerate(contexts):
                group.start_soon(keep, n, context)
            if expires_at is not None:
                with watch:
                    await self.services.clock.sleep_until(expires_at)
                    cell.interrupt()
        return [results[n] for n in range(len(contexts))]

    async def _run(self, cell: Cell, context: RunContext) -> RunResult:
        step = context.step
        if step.concurrency is None and step.rate is None:
            return await execute(context)
        limiter = self._limiters.get(step.name)
        if limiter is None:
            limiter = self._limiters[step.name] = StepLimiter(step, self.services.clock)
        token = current_run.set(context)

        def hold_back() -> None:
            self.held_back.add(context)
            self.on_change()

        try:
            with anyio.CancelScope() as context.scope:  # an interruption ends the waiting too
                async with limiter.turn(hold_back):
                    self.held_back.discard(context)
                    if cell.task is not context.task:
                        context.outdated = True
                        context.interrupt()
                    return await execute(context)
            return await execute(context)  # interrupted: this only says so
        finally:
            self.held_back.discard(context)
            current_run.reset(token)
