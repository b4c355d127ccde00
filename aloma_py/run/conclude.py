"""What a wave makes of its task: the changes merged, the effects taken, the errors kept as data (SPEC §3.6, §3.7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aloma_py.changes import apply, merge
from aloma_py.models import (
    AuditEntry,
    Change,
    Conflict,
    Cycle,
    Entry,
    Json,
    Millis,
    Retry,
    Task,
    Visualization,
)
from aloma_py.paths import Path
from aloma_py.run.effects import Effects, Subtask
from aloma_py.run.execute import RunResult, error_member
from aloma_py.run.handles import iso
from aloma_py.run.retry import retry_delay
from aloma_py.run.stash import hide_changes, with_stash, without_stash
from aloma_py.steps.definition import StepDefinition


@dataclass(slots=True)
class Conclusion:
    """The task after a wave, not yet stored, and what goes with it."""

    task: Task
    stash: dict[str, Json]
    entries: tuple[Entry, ...]
    changed: set[Path]
    effects: tuple[tuple[str, Effects], ...]  # of the runs that ended well: (step name, effects), in order
    audit: tuple[AuditEntry, ...]
    visualizations: tuple[Visualization, ...]
    subtasks: tuple[Subtask, ...]


def conclude(
    task: Task,
    stash: dict[str, Json],
    runs: Sequence[tuple[StepDefinition, int, RunResult]],
    *,
    now: Millis,
    chance: Callable[[], float],
) -> Conclusion:
    """The task that a wave leaves. ``runs`` are (step, attempt, result) in the wave's order; nothing is altered.

    ``chance`` gives random numbers from 0 to 1, for the jitter of retries.
    """
    cycle = task.cycle.copy()
    cycle.wave += 1
    cycle.runs += len(runs)
    cycle.matched = True
    cycle.person = None
    judged = [_judge(cycle, step, attempt, result, now, chance) for step, attempt, result in runs]
    base = with_stash(task.data, stash)
    merged = merge(base, [(step.name, changes) for (step, _, _), (_, changes) in zip(runs, judged, strict=True)])
    kept = list(merged.changes)
    data = merged.data
    if data.get("$errors") == {}:  # every error was handled: the member goes with the last of them
        tidy = Change("delete", ("$errors",))
        data = apply(data, [tidy])
        kept[-1] = (*kept[-1], tidy)
    entries = tuple(
        _entry(task.last_entry + n, cycle.wave, step, attempt, result, outcome, changes, merged.conflicts)
        for n, ((step, attempt, result), (outcome, _), changes) in enumerate(zip(runs, judged, kept, strict=True), 1)
    )
    visible, new_stash = without_stash(data)
    new = replace(task, data=visible, cycle=cycle, last_entry=task.last_entry + len(runs), updated_at=now)
    good = tuple((step.name, result.effects) for step, _, result in runs if result.error is None)
    _take_effects(new, [effects for _, effects in good])
    _count_redos(cycle, runs)
    return Conclusion(
        task=new,
        stash=new_stash,
        entries=entries,
        changed={change.path for changes in kept for change in changes}
        | ({("$errors",)} if ("$errors" in data) != ("$errors" in base) else set()),
        effects=good,
        audit=tuple(entry for _, effects in good for entry in effects.audit),
        visualizations=tuple(picture for _, effects in good for picture in effects.visualizations),
        subtasks=tuple(child for _, effects in good for child in effects.subtasks),
    )


def _judge(
    cycle: Cycle, step: StepDefinition, attempt: int, result: RunResult, now: Millis, chance: Callable[[], float]
) -> tuple[str, tuple[Change, ...]]:
    """Whether the run is kept, tried again or given up, and the changes that this means."""
    cycle.retries.pop(step.name, None)
    if result.raised is not None and result.error is not None:
        delay = retry_delay(step, result.raised, attempt, chance())
        if delay is not None:
            cycle.retries[step.name] = Retry(attempt + 1, now + delay)
            return "retry", ()
        _spend(cycle, step)
        member = error_member(result.error, attempt, iso(now))
        return "failed", (Change("set", ("$errors", step.name), member),)
    _spend(cycle, step)
    if result.effects.redo:
        cycle.spent.discard(step.name)
    # Where a task came from stays with it, also when a step empties the data.
    return "ok", tuple(change for change in result.changes if (change.op, change.path) != ("delete", ("$via",)))


def _spend(cycle: Cycle, step: StepDefinition) -> None:
    cycle.spent.add(step.name)
    cycle.ordinals[step.name] = cycle.ordinals.get(step.name, 0) + 1


def _entry(
    n: int,
    wave: int,
    step: StepDefinition,
    attempt: int,
    result: RunResult,
    outcome: Any,
    changes: tuple[Change, ...],
    conflicts: Sequence[Conflict],
) -> Entry:
    return Entry(
        n=n,
        kind="run",
        started_at=result.started_at,
        ended_at=result.ended_at,
        step=step.name,
        version=step.version,
        wave=wave,
        attempt=attempt,
        outcome=outcome,
        changes=hide_changes(changes),
        conflicts=tuple(conflict for conflict in conflicts if conflict.won == step.name) if conflicts else (),
        effects=result.effects.in_words(),
        error=result.error,
        logs=result.logs,
    )


def _take_effects(task: Task, all_effects: Sequence[Effects]) -> None:
    """What the runs asked for of the task itself; of two that asked for one thing, the later in the order."""
    cycle = task.cycle
    for effects in all_effects:
        if effects.completed:
            task.result = effects.result
        if effects.name is not None:
            task.name = effects.name
        if effects.tags is not None:
            task.tags = effects.tags
        if effects.expires_at is not None:
            task.expires_at = effects.expires_at
        if effects.on_expire is not None:
            task.on_expire = effects.on_expire
        if effects.person is not None:
            cycle.person = effects.person
        for child in effects.subtasks:
            cycle.held += child.wait_for
            cycle.owed += child.into is not None and not child.wait_for


def _count_redos(cycle: Cycle, runs: Sequence[tuple[StepDefinition, int, RunResult]]) -> None:
    """Count each step's consecutive redos that changed nothing; any change by anyone starts the count anew."""
    if any(result.changes for _, _, result in runs):
        cycle.idle_redos.clear()
    for step, _, result in runs:
        if result.effects.redo and not result.changes and not result.effects.subtasks:
            cycle.idle_redos[step.name] = cycle.idle_redos.get(step.name, 0) + 1
        else:
            cycle.idle_redos.pop(step.name, None)
