"""What a subtask's end means for its parent (SPEC §4, last paragraphs on subtasks)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aloma_py.changes import apply
from aloma_py.errors import PayloadError
from aloma_py.intake import check_data
from aloma_py.jsontext import dumps
from aloma_py.match.decide import waits_for
from aloma_py.models import Change, Entry, Json, Limits, Millis, Task, TaskCommit, TaskState
from aloma_py.paths import parse_path

DELIVERED_STATES = frozenset({TaskState.DONE, TaskState.ERROR, TaskState.ATTENTION, TaskState.IGNORED})
DELETED: Json = {"state": TaskState.STOPPED.value, "error": {"message": "the subtask was deleted"}}
BAD_STATES = frozenset({TaskState.ERROR, TaskState.ATTENTION})


def owes_answer(task: Task) -> bool:
    """Whether the task's end is still to be told to a parent. One that was stopped may yet go on."""
    return is_awaited(task) and not task.cycle.delivered and task.state in DELIVERED_STATES


def is_awaited(task: Task) -> bool:
    """Whether a parent wants to know how the task ends."""
    return task.parent is not None and (task.wait_for or task.into is not None)


def public_data(task: Task) -> dict[str, Json]:
    """The task's data as it is shown: without ``$via``, which is shown beside it."""
    return {name: value for name, value in task.data.items() if name != "$via"}


def answer_of(child: Task) -> dict[str, Json]:
    """``{state, result}``, and ``error`` where it ended badly."""
    result = child.result if child.result is not None else public_data(child)
    answer: dict[str, Any] = {"state": child.state.value, "result": result}
    if child.state in BAD_STATES:
        answer["error"] = {"message": child.reason, **_first_error(child)}
    return answer


def _first_error(child: Task) -> dict[str, Json]:
    errors = child.data.get("$errors")
    for step, error in errors.items() if isinstance(errors, dict) else ():
        if isinstance(error, dict):
            return {"message": error.get("message"), "type": error.get("type"), "step": step}
    return {}


def add_answer(parent: Task, child: Task, now: Millis, limits: Limits, answer: Json = None) -> TaskCommit:
    """The parent with its child's ``answer``, by default that of its end. Nothing is altered.

    An answer that would make the parent's data larger or deeper than ``limits`` allow comes as an error without a
    result. A parent that is done with stays as it is; one that a person can resume gets the answer.
    """
    cycle = parent.cycle.copy()
    if child.wait_for:
        cycle.held = max(cycle.held - 1, 0)
    elif child.into is not None:
        cycle.owed = max(cycle.owed - 1, 0)
    parent = replace(parent, cycle=cycle, updated_at=now)
    if parent.state is TaskState.WAITING:
        for_subtasks = parent.reason == waits_for(cycle.held + child.wait_for)  # else it is parked, say
        if cycle.held:
            parent.reason = waits_for(cycle.held) if for_subtasks else parent.reason
        elif child.into is not None or for_subtasks:
            # Its data changes, or this was what it waited for: it goes on, also after a crash in the next moment.
            parent.state, parent.reason, parent.due_at = TaskState.PENDING, None, None
    if child.into is None or parent.state in (TaskState.DONE, TaskState.IGNORED):
        return TaskCommit(parent)
    changes = (Change("set", parse_path(child.into), answer or answer_of(child)),)
    data = apply(parent.data, changes)
    try:
        _check(data, changes[0], limits)
    except PayloadError as error:
        message = f"the result of subtask {child.name!r} does not fit into its parent: {error}"
        changes = (replace(changes[0], value={"state": child.state.value, "error": {"message": message}}),)
        data = apply(parent.data, changes)
    entry = Entry(
        n=parent.last_entry + 1,
        kind="answer",
        started_at=now,
        ended_at=now,
        changes=changes,
        effects=(f"answer of subtask {child.name!r} ({child.id})",),
    )
    parent.data = data
    parent.last_entry += 1
    return TaskCommit(parent, (entry,))


def _check(data: dict[str, Json], change: Change, limits: Limits) -> None:
    """Whether the parent's data is within its limits. A parent may have thousands of answers: only the new one is
    walked through for its depth, and the whole is measured as text."""
    nested = change.value
    for part in reversed(change.path):
        nested = [nested] if isinstance(part, int) else {part: nested}
    check_data(nested, limits)
    size = len(dumps(data).encode(errors="surrogatepass"))
    if size > limits.max_data_bytes:
        raise PayloadError(f"the data is {size:,} bytes, more than the limit of {limits.max_data_bytes:,} bytes")
