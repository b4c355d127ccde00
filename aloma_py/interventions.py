"""What people and other systems do to a task from outside: update, stop, resume, clone, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio

from aloma_py.cell import Cell
from aloma_py.changes import apply, copy_json, diff
from aloma_py.engine import Engine
from aloma_py.errors import NotFoundError, StateError
from aloma_py.intake import check_data, new_task
from aloma_py.match.decide import drop_retry
from aloma_py.models import Change, Entry, EntryKind, Json, Task, TaskCommit, TaskFilter, TaskState
from aloma_py.run.stash import hide_changes, with_stash, without_stash

RESTING_FOR_GOOD = frozenset({TaskState.STOPPED, TaskState.IGNORED})


async def update(engine: Engine, task_id: str, patch: dict[str, Json], *, by: str = "") -> Task:
    """Bring data from outside into a task: objects are merged member by member, anything else is set.

    The task is matched again, whether it waits or has ended, unless a person stopped it or it was ignored. A step
    that has run may run again if the update touched what its condition looks at (SPEC §3.3).
    """
    check_data(patch, engine.limits)
    async with engine.custody.holding(task_id) as cell, cell.lock:
        before = with_stash(cell.task.data, cell.stash)
        changes = diff(before, merge_patch(before, patch))
        after = apply(before, changes)
        check_data(after, engine.limits)
        touched = {engine.table.ranked[rank].name for rank in engine.table.looking_at(c.path for c in changes)}
        visible, stash = without_stash(after)
        task = _next(engine, cell, data=visible)
        task.cycle.spent -= touched
        task.cycle.person = None
        if changes:
            cell.news = (cell.news or set()) | touched
        if stash != cell.stash:
            task.stash = engine.custody.encrypt(task.id, stash)
        delayed = task.state is TaskState.PENDING and (task.due_at or 0) > engine.clock.now()
        if task.state.ended and task.expires_at is not None and task.expires_at <= engine.clock.now():
            task.expires_at = None  # its time was that of what has ended
        goes_on = task.state not in RESTING_FOR_GOOD and not delayed
        await _commit(engine, cell, task, "update", hide_changes(changes), by, wake=goes_on)
        cell.stash = stash
        return cell.task


def merge_patch(value: Json, patch: Json) -> Json:
    """``value`` with ``patch`` in it: objects merge member by member, anything else replaces what was there."""
    if not isinstance(value, dict) or not isinstance(patch, dict):
        return copy_json(patch)
    return {**value, **{name: merge_patch(value.get(name), member) for name, member in patch.items()}}


async def stop(engine: Engine, task_id: str, *, by: str = "") -> Task:
    """Stop a task and its open subtasks. Runs under way are dropped, with their changes."""
    async with engine.custody.holding(task_id) as cell:
        _make_sure_it_goes_on(cell)
        _interrupt(cell)
        async with cell.lock:
            _make_sure_it_goes_on(cell)  # it may have ended while its last wave was committed
            task = _next(engine, cell)
            task.state, task.reason, task.due_at = TaskState.STOPPED, f"stopped by {by or 'a person'}", None
            task.ended_at = engine.clock.now()
            await _commit(engine, cell, task, "stop", (), by, wake=False)
    for child in await engine.store.children(task_id):
        if not child.state.ended:
            await stop(engine, child.id, by=by)
    return await engine.store.get(task_id)


def _make_sure_it_goes_on(cell: Cell) -> None:
    state = cell.task.state
    if state.ended and state is not TaskState.ATTENTION:
        raise StateError(f"task {cell.task.id} is {state}: there is nothing to stop")


async def resume(engine: Engine, task_id: str, *, by: str = "") -> Task:
    """Let a task that rests go on now: its errors are cleared, and the steps that failed are eligible again.

    With a task that was stopped go on the subtasks that were stopped with it.
    """
    async with engine.custody.holding(task_id) as cell, cell.lock:
        if cell.runs and cell.task.state is TaskState.WAITING:  # its retry is under way
            raise StateError(f"task {task_id} is running: there is nothing to resume")
        was_stopped = cell.task.state is TaskState.STOPPED
        if cell.task.state in (TaskState.PENDING, TaskState.RUNNING):
            raise StateError(f"task {task_id} is {cell.task.state}: there is nothing to resume")
        errors = cell.task.data.get("$errors")
        changes = (Change("delete", ("$errors",)),) if "$errors" in cell.task.data else ()
        task = _next(engine, cell, data=apply(cell.task.data, changes))
        cycle = task.cycle
        cycle.spent -= set(errors) if isinstance(errors, dict) else set()
        for name in tuple(cycle.retries):
            drop_retry(cycle, name)
        cycle.idle_redos, cycle.runs, cycle.person = {}, 0, None
        if task.expires_at is not None and task.expires_at <= engine.clock.now():
            task.expires_at = None
        task.state, task.reason, task.due_at, task.ended_at, task.result = TaskState.PENDING, None, None, None, None
        await _commit(engine, cell, task, "resume", changes, by, wake=True)
    for child in await engine.store.children(task_id) if was_stopped else ():
        if child.state is TaskState.STOPPED:
            await resume(engine, child.id, by=by)
    return task


async def clone(engine: Engine, task_id: str, *, name: str | None = None, current: bool = False) -> Task:
    """A new task with the data that this one began with, or, with ``current``, with the data that it has now."""
    async with engine.custody.holding(task_id) as cell:
        original = cell.task
        data = copy_json(original.data if current else original.initial)
        data.pop("$errors", None)
        via = data.pop("$via", None)
        if "$stash" in data:
            if current:
                data["$stash"] = copy_json(cell.stash)
            else:  # what the hidden values were at the beginning is not kept
                data["$stash"] = {name: value for name, value in cell.stash.items() if name in data["$stash"]}
    task = new_task(
        original.workspace,
        name or original.name,
        data,
        tags=tuple(original.tags),
        via={**(via or {}), "clone": original.id},
        now=engine.clock.now(),
        limits=engine.limits,
    )
    await engine.submit([task])
    return task


async def delete(engine: Engine, task_id: str) -> None:
    """Remove a task and its subtasks for good; what is under way is dropped."""
    async with engine.custody.holding(task_id) as cell:
        _interrupt(cell)
        async with cell.lock:
            if cell.gone:
                raise NotFoundError("task", task_id)  # somebody else is deleting it, or has
            cell.gone = True  # from here on it is not advanced, so it makes no more subtasks
        try:
            for child in await engine.store.children(cell.task.id):
                await delete(engine, child.id)
            with anyio.CancelScope(shield=True):
                async with cell.lock:
                    await engine.custody.answer_for_deleted(cell)
                    await engine.store.delete(cell.task.id)
        except BaseException:
            cell.gone = False
            engine.custody.wake(cell)
            raise
        engine.custody.forget(cell)


async def find(engine: Engine, wanted: TaskFilter) -> list[Task]:
    """Tasks that fit, as they are now: one that the engine is working on is shown as running."""
    tasks = await engine.store.list(wanted)
    return [shown(engine, task) for task in tasks]


def shown(engine: Engine, task: Task) -> Task:
    cell = engine.custody.cells.get(task.id)
    if cell is not None and cell.runs and task.state is TaskState.PENDING:
        return replace(task, state=TaskState.RUNNING)
    return task


def _interrupt(cell: Cell) -> None:
    """Drop the wave under way, if there is one, with all that it did."""
    cell.epoch += 1
    cell.interrupt()


def _next(engine: Engine, cell: Cell, **changed: Any) -> Task:
    return replace(cell.task, cycle=cell.task.cycle.copy(), updated_at=engine.clock.now(), **changed)


async def _commit(
    engine: Engine, cell: Cell, task: Task, kind: EntryKind, changes: tuple[Change, ...], by: str, *, wake: bool
) -> None:
    now = engine.clock.now()
    task.last_entry += 1
    if wake and task.state not in (TaskState.PENDING, TaskState.RUNNING):
        task.state, task.reason, task.due_at, task.ended_at = TaskState.PENDING, None, None, None
    entry = Entry(task.last_entry, kind, now, now, changes=changes, effects=(f"by {by}",) if by else ())
    await engine.custody.commit_from_outside(cell, TaskCommit(task, (entry,)))
    cell.matched = None
    if wake:
        cell.touched = True
        engine.custody.wake(cell)
