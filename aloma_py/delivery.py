"""What a subtask's end means for its parent (SPEC §4, last paragraphs on subtasks)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aloma_py.changes import apply, copy_json, diff
from aloma_py.errors import PayloadError
from aloma_py.intake import check_data
from aloma_py.match.decide import waits_for
from aloma_py.models import Entry, Json, Limits, Millis, Task, TaskCommit, TaskState
from aloma_py.paths import parse_path, put

DELIVERED_STATES = frozenset({TaskState.DONE, TaskState.ERROR, TaskState.ATTENTION, TaskState.IGNORED})
DELETED: Json = {"state": TaskState.STOPPED.value, "error": {"message": "the subtask was deleted"}}
BAD_STATES = frozenset({TaskState.ERROR, TaskState.ATTENTION})


def owes_answer(task: Task) -> bool:
    """Whether the task's end is still to be told to a parent. One that was stopped may yet go on."""
    return task.parent is not None and not task.cycle.delivered and task.state in DELIVERED_STATES


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
        if cycle.held:
            parent.reason = waits_for(cycle.held)
        else:  # it goes on now, and would after a crash in the very next moment
            parent.state, parent.reason, parent.due_at = TaskState.PENDING, None, None
    if child.into is None or parent.state in (TaskState.DONE, TaskState.IGNORED):
        return TaskCommit(parent)
    draft = _with_answer(parent, child.into, answer or answer_of(child))
    try:
        check_data(draft, limits)
    except PayloadError as error:
        message = f"the result of subtask {child.name!r} does not fit into its parent: {error}"
        draft = _with_answer(parent, child.into, {"state": child.state.value, "error": {"message": message}})
    changes = diff(parent.data, draft)
    entry = Entry(
        n=parent.last_entry + 1,
        kind="answer",
        started_at=now,
        ended_at=now,
        changes=changes,
        effects=(f"answer of subtask {child.name!r} ({child.id})",),
    )
    parent.data = apply(parent.data, changes)
    parent.last_entry += 1
    return TaskCommit(parent, (entry,))


def _with_answer(parent: Task, into: str, answer: Json) -> dict[str, Json]:
    draft: dict[str, Json] = copy_json(parent.data)
    put(draft, parse_path(into), answer)
    return draft
