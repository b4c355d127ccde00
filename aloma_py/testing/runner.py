"""Running scenarios: each with a store, an engine and a clock of its own, in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio

from aloma_py import interventions
from aloma_py.clock import VirtualClock
from aloma_py.engine import Engine
from aloma_py.errors import InputError, LoadError, suggest
from aloma_py.intake import new_task
from aloma_py.models import Task, TaskState
from aloma_py.outcome import Outcome, read_outcome
from aloma_py.run.stash import redact, secret_texts
from aloma_py.scheduler import Scheduler
from aloma_py.steps import StepSet, load_steps
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.testing.expect import Expect
from aloma_py.testing.fakes import FakeConnectors
from aloma_py.testing.result import ScenarioResult
from aloma_py.testing.scenario import SUFFIX, After, Scenario, ScenarioFile, load_scenarios

HORIZON: Final = 30 * 86_400_000
"""How far the clock jumps by itself, in milliseconds, each time the task is let go on."""

WORKSPACE: Final = "scenario"
"""The name of the workspace that scenarios run in."""


def load_file_steps(file: ScenarioFile) -> StepSet:
    """The steps and libraries that a scenario file names. Raises :class:`~aloma_py.errors.LoadError`."""
    return load_steps(list(file.steps), libraries=file.libraries)


async def run_scenario(scenario: Scenario, step_set: StepSet | None = None) -> ScenarioResult:
    """Run one scenario; what is not as it expects, and what keeps it from running, are the result's failures.

    ``step_set`` are the steps of its file, loaded before (:func:`load_file_steps`); without it they are loaded. The
    jitter of retries is none: each waits the whole of its backoff.
    """
    result = ScenarioResult(scenario.file.name, scenario.name, line=scenario.line)
    if scenario.problem is not None:
        return replace(result, failures=(scenario.problem,))
    started = time.perf_counter()
    try:
        steps = step_set or load_file_steps(scenario.file)
        task = _task(scenario)
    except InputError as error:
        return replace(result, failures=(str(error),))
    fakes = FakeConnectors(scenario.rules)
    failures, outcome = await _run(scenario, steps, fakes, task)
    _hide_stash(fakes, scenario)
    failures += scenario.expect.failures(outcome, fakes, [step.name for step in steps.steps])
    return replace(
        result,
        failures=(*_unexpected(scenario.expect, outcome, fakes, failures), *failures),
        outcome=outcome,
        calls=tuple(fakes.calls),
        step_set=steps,
        seconds=time.perf_counter() - started,
    )


def _task(scenario: Scenario) -> Task:
    try:
        return new_task(
            WORKSPACE,
            scenario.task_name,
            scenario.task,
            tags=scenario.tags,
            via={"type": "api"},
            now=VirtualClock().now(),
            limits=scenario.file.limits,
        )
    except InputError as error:
        reason = f"the task of {scenario.name!r}: {error}"
        raise LoadError(reason, file=scenario.file.name, line=scenario.line) from None


async def _run(scenario: Scenario, steps: StepSet, fakes: FakeConnectors, task: Task) -> tuple[list[str], Outcome]:
    """Run the task to its rest, and again after each ``after``; gives what could not be done, and the outcome."""
    failures: list[str] = []
    async with SQLiteStore(":memory:") as store:
        engine = Engine(
            store.workspace(WORKSPACE),
            steps.steps,
            connectors=fakes.registry(),
            libraries=steps.libraries,
            config=scenario.file.config,
            limits=scenario.file.limits,
            clock=VirtualClock(),
            cipher=lambda: store.cipher,
            chance=lambda: 1.0,
        )
        scheduler = Scheduler(engine)
        await engine.submit([task])
        async with scheduler.running():
            await _rest(scenario, scheduler)
            for n, after in enumerate(scenario.after, 1):
                try:
                    await _apply(after, task.id, engine, scheduler)
                except InputError as error:
                    failures.append(f"after, number {n} ({after}): {error}")
                    break
                await _rest(scenario, scheduler)
        return failures, await read_outcome(engine.store, task.id)


async def _rest(scenario: Scenario, scheduler: Scheduler) -> None:
    if scenario.clock == "manual":
        await scheduler.settle()
    else:
        await scheduler.run_until_quiet(HORIZON)


async def _apply(after: After, task_id: str, engine: Engine, scheduler: Scheduler) -> None:
    if after.update is not None:
        await interventions.update(engine, task_id, after.update)
    elif after.advance is not None:
        await scheduler.move_to(engine.clock.now() + after.advance)
    elif after.stop:
        await interventions.stop(engine, task_id)
    else:
        await interventions.resume(engine, task_id)


def _hide_stash(fakes: FakeConnectors, scenario: Scenario) -> None:
    """Take the hidden values that the task began with out of the calls: a report shows them nowhere (SPEC §4)."""
    secrets = secret_texts(scenario.task.get("$stash"))
    for call in fakes.calls if secrets else ():
        call.arguments, call.answer = redact(call.arguments, secrets), redact(call.answer, secrets)


def _unexpected(expect: Expect, outcome: Outcome, fakes: FakeConnectors, failures: Sequence[str]) -> list[str]:
    """The calls that fitted no rule, where the scenario failed, or where it says nothing about how the task ends."""
    says_nothing = expect.state is None and expect.errors is None and outcome.state is TaskState.ERROR
    if not failures and not says_nothing:
        return []
    return list(dict.fromkeys(f"step {call.step!r}: {call.answer}" for call in fakes.unexpected()))


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def find_files(paths: Sequence[str | Path]) -> list[Path]:
    """The scenario files that ``paths`` mean: files, and all below folders; sorted within each, none twice.

    Names that begin with a dot are not looked into. Raises :class:`~aloma_py.errors.InputError` where a path is not
    there or is no scenario file, and where there is no scenario file at all.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            below = (file for file in path.rglob(f"*{SUFFIX}") if not _is_hidden(file.relative_to(path)))
            for file in sorted(below):
                found.setdefault(file.absolute(), file)
        elif not path.exists():
            near = [place.name for place in path.absolute().parent.glob("*")]
            hint = suggest(path.name, near) if len(near) > 0 else ""
            raise InputError(f"there is no file or folder {str(path)!r}{hint}")
        elif not path.name.endswith(SUFFIX):
            raise InputError(f"{str(path)!r} is no scenario file: its name must end in {SUFFIX}")
        else:
            found.setdefault(path.absolute(), path)
    if not found:
        raise InputError(
            f"there is no scenario: no file ending in {SUFFIX} in {', '.join(map(str, paths)) or 'nothing'}"
        )
    return list(found.values())


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def run_files(paths: Sequence[str | Path], keyword: str | None = None) -> Iterator[ScenarioResult]:
    """Run the scenarios of files and folders (as :func:`find_files` finds them), and give each result as it is there.

    ``keyword`` picks those that have it in their name or their file's, in any case. A file that cannot be loaded gives
    one result that failed. Each file's steps are loaded once. Must not be called inside an event loop. Raises
    :class:`~aloma_py.errors.InputError` at once where :func:`find_files` does, and at the end where no scenario has
    the keyword.
    """
    return _run_files(find_files(paths), keyword)


def _run_files(files: Sequence[Path], keyword: str | None) -> Iterator[ScenarioResult]:
    count = 0
    for file in files:
        for result in run_file(file, keyword):
            count += 1
            yield result
    if not count:
        raise InputError(f"no scenario has {keyword!r} in its name")


def run_file(file: Path, keyword: str | None = None) -> Iterator[ScenarioResult]:
    """The results of one file's scenarios, as for :func:`run_files`."""
    try:
        scenarios = [one for one in load_scenarios(file) if _has(one, keyword)]
    except LoadError as error:
        yield ScenarioResult(str(file), None, failures=(str(error),), line=error.line)
        return
    if not scenarios:
        return
    try:
        with loaded_steps(scenarios[0].file) as steps:
            for one in scenarios:
                yield anyio.run(run_scenario, one, steps)
    except LoadError as error:
        for one in scenarios:
            yield ScenarioResult(one.file.name, one.name, failures=(one.problem or str(error),), line=one.line)


@contextmanager
def loaded_steps(file: ScenarioFile) -> Iterator[StepSet]:
    """The file's steps; their modules are forgotten at the end."""
    steps = load_file_steps(file)
    try:
        yield steps
    finally:
        steps.unload()


def _has(scenario: Scenario, keyword: str | None) -> bool:
    if not keyword:
        return True
    return keyword.lower() in f"{scenario.file.name} {scenario.name or ''}".lower()
