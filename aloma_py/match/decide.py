"""What a task does next: run a wave, wait, or end (SPEC §3). Pure: everything it looks at is handed in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aloma_py.match.table import StepTable
from aloma_py.match.waves import choose_wave
from aloma_py.models import Cycle, Json, Limits, Millis, Task, TaskState

RESERVED = frozenset({"$via"})
"""Members that do not count when the data is looked at for being empty."""


@dataclass(frozen=True, slots=True)
class Rest:
    """The task runs nothing now: it ended, or it waits until ``due_at`` (``None``: for something from outside)."""

    state: TaskState
    reason: str
    due_at: Millis | None = None
    result: Json = None
    kind: Literal["expire", "end"] | None = None  # what its history says: its time expired, or a limit was passed


@dataclass(frozen=True, slots=True)
class Wave:
    """The steps to run now, by rank, in order."""

    ranks: tuple[int, ...]


def see(table: StepTable, cycle: Cycle, matched: Collection[int]) -> None:
    """Note which conditions hold now: a spent step that does not match any more may run again when it does.

    Steps that are not there, or are disabled, at this moment are not judged, so they stay spent.
    """
    if cycle.spent:
        rank_of = table.rank_of
        cycle.spent = {name for name in cycle.spent if rank_of.get(name, -1) in matched or name not in rank_of}
    if cycle.retries:
        for name in [name for name in cycle.retries if table.rank_of.get(name, -1) not in matched]:
            drop_retry(cycle, name)


def drop_retry(cycle: Cycle, name: str) -> None:
    """Do not try the step again for this match; if it runs later, that is another run, with calls of its own."""
    del cycle.retries[name]
    cycle.ordinals[name] = cycle.ordinals.get(name, 0) + 1


def decide(
    table: StepTable,
    task: Task,
    matched: Collection[int],
    *,
    now: Millis,
    limits: Limits,
    touched: bool = False,
    trail: Iterable[str] = (),
) -> Wave | Rest:
    """The next thing for ``task``, whose data matches the steps ``matched`` (as :func:`see` has noted).

    ``touched`` says that its data was changed from outside since it came to rest: then steps that wait for a retry
    do not hold the others. ``trail`` names the last steps that ran, for the message of a limit.
    """
    cycle = task.cycle
    if task.expires_at is not None and now >= task.expires_at:
        return expired(task)
    if cycle.runs and is_empty(task.data):
        return Rest(TaskState.DONE, "its data is empty")
    if cycle.held:
        return Rest(TaskState.WAITING, waits_for(cycle.held))
    waits = {name: retry.due for name, retry in cycle.retries.items() if retry.due > now}
    rank_of = table.rank_of
    idle = {rank_of[name] for name in (*cycle.spent, *waits) if name in rank_of}
    eligible = sorted(rank for rank in matched if rank not in idle)
    if waits and not touched:  # the others wait with it, but for those whose own next attempt is due
        eligible = [rank for rank in eligible if table.ranked[rank].name in cycle.retries]
    if not eligible:
        return _wait_for_retry(waits) if waits else _nothing_eligible(task)
    if cycle.runs >= limits.max_runs:
        reason = f"it ran {cycle.runs} steps, the limit (max_runs){describe_cycle([*trail])}"
        return Rest(TaskState.ERROR, reason, kind="end")
    for rank in eligible:
        name = table.ranked[rank].name
        if cycle.idle_redos.get(name, 0) > limits.max_redo:
            return Rest(
                TaskState.ERROR,
                f"step {name!r} asked for redo {limits.max_redo} times in a row (max_redo) and changed nothing",
                kind="end",
            )
    spent = [rank_of[name] for name in cycle.spent if name in rank_of]
    wave = choose_wave(table, eligible, spent, task.data, parallel=limits.parallel)
    return Wave(wave[: limits.max_runs - cycle.runs])


def _nothing_eligible(task: Task) -> Rest:
    cycle = task.cycle
    if cycle.person is not None:
        return Rest(TaskState.WAITING, f"waits for a person: {cycle.person}")
    if cycle.owed:
        return Rest(TaskState.WAITING, waits_for(cycle.owed))
    errors = task.data.get("$errors")
    if errors:
        names = ", ".join(errors) if isinstance(errors, dict) else "?"
        return Rest(TaskState.ERROR, f"unhandled error in {names}")
    if cycle.matched:
        return Rest(TaskState.DONE, "no more steps match")
    return Rest(TaskState.ATTENTION, "no step has ever matched")


def _wait_for_retry(waits: dict[str, Millis]) -> Rest:
    name = min(waits, key=waits.__getitem__)
    return Rest(TaskState.WAITING, f"will retry step {name!r}", due_at=waits[name])


def expired(task: Task) -> Rest:
    """What becomes of a task whose time is over."""
    if task.on_expire is not None:
        return Rest(TaskState.DONE, "its time expired", result=task.on_expire.get("result"), kind="expire")
    return Rest(TaskState.ERROR, "its time expired", kind="expire")


def is_empty(data: dict[str, Any]) -> bool:
    return not (data.keys() - RESERVED)


def waits_for(subtasks: int) -> str:
    return f"waits for {subtasks} subtask{'' if subtasks == 1 else 's'}"


def describe_cycle(trail: Sequence[str]) -> str:
    """The steps that go round, if the last ones do: ``": ping → pong → ping goes round"``; else the last few."""
    for length in range(1, len(trail) // 2 + 1):
        if list(trail[-length:]) == list(trail[-2 * length : -length]):
            return f"; these go round: {' → '.join([*trail[-length:], trail[-length]])}"
    return f"; the last were: {' → '.join(trail[-5:])}" if trail else ""
