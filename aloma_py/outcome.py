"""What became of a task: everything about it, read together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import TypedDict

from aloma_py.changes import ChangeShown, change_to_dict
from aloma_py.delivery import answer_of, public_data
from aloma_py.models import AuditEntry, Call, Conflict, Entry, Json, LogLine, Task, TaskState, Visualization
from aloma_py.paths import format_path
from aloma_py.run.handles import audit_to_json, iso, iso_or_none
from aloma_py.store.protocol import WorkspaceStore


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task at rest, with its history. ``subtasks`` are outcomes too."""

    task: Task
    entries: tuple[Entry, ...] = ()
    calls: tuple[Call, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    visualizations: tuple[Visualization, ...] = ()
    subtasks: tuple[Outcome, ...] = field(default=())

    @property
    def state(self) -> TaskState:
        return self.task.state

    @property
    def reason(self) -> str | None:
        return self.task.reason

    @property
    def data(self) -> dict[str, Json]:
        """The final data, without ``$via`` (see :attr:`via`)."""
        return public_data(self.task)

    @property
    def via(self) -> dict[str, Json]:
        """Where the task came from."""
        via: dict[str, Json] = self.task.data.get("$via", {})
        return via

    @property
    def result(self) -> Json:
        """What it gave to ``task.complete``."""
        return self.task.result

    @property
    def runs(self) -> tuple[Entry, ...]:
        """The runs of steps, in order."""
        return tuple(entry for entry in self.entries if entry.kind == "run")

    @property
    def steps(self) -> list[str]:
        """The names of the steps that ran, in order; a retried run counts once for each attempt."""
        return [entry.step for entry in self.runs if entry.step is not None]

    @property
    def logs(self) -> list[LogLine]:
        return [line for entry in self.entries for line in entry.logs]

    @property
    def conflicts(self) -> list[Conflict]:
        return [conflict for entry in self.entries for conflict in entry.conflicts]

    @property
    def errors(self) -> dict[str, Json]:
        """The errors that nobody has handled, by step."""
        return self.task.data.get("$errors") or {}

    @property
    def all_calls(self) -> list[Call]:
        """The connector calls of the task and of its subtasks."""
        return [*self.calls, *(call for child in self.subtasks for call in child.all_calls)]

    def counts(self) -> Counter[str]:
        """How many times each step ran."""
        return Counter(self.steps)


async def read_outcome(store: WorkspaceStore, task_id: str) -> Outcome:
    """Everything that the store knows of a task."""
    task = await store.get(task_id)
    return Outcome(
        task=task,
        entries=tuple(await store.entries(task.id)),
        calls=tuple(await store.calls(task.id)),
        audit=tuple(await store.audit(task.id)),
        visualizations=tuple(await store.visualizations(task.id)),
        subtasks=tuple([await read_outcome(store, child.id) for child in await store.children(task.id)]),
    )


# ── as JSON, the same everywhere: CLI, API, testing kit ─────────────────────────────────────────────────────────────


class _Head(TypedDict):
    id: str
    name: str
    tags: list[str]
    state: str
    reason: str | None


class _Tail(TypedDict):
    result: Json
    via: dict[str, Json] | None
    created_at: str
    updated_at: str
    ended_at: str | None
    due_at: str | None
    expires_at: str | None
    parent: str | None


class TaskSummary(_Head, _Tail):
    """A task without its data."""


class TaskShown(_Head, _Tail):
    """A task."""

    data: dict[str, Json]


class LogLineShown(TypedDict):
    """A line that a run logged."""

    at: str
    level: str
    text: str


class ConflictShown(TypedDict):
    """A change that was lost to another step's of the same wave."""

    path: str
    lost: str
    won: str


class ErrorShown(TypedDict):
    """How a run failed."""

    type: str
    message: str
    status: int | None
    stack: str


class EntryShown(TypedDict):
    """A line of a task's history: a run, or something from outside."""

    n: int
    kind: str
    step: str | None
    wave: int | None
    attempt: int
    outcome: str
    started_at: str
    ended_at: str
    changes: list[ChangeShown]
    conflicts: list[ConflictShown]
    effects: list[str]
    logs: list[LogLineShown]
    error: ErrorShown | None
    version: str | None


class RecordedCall(TypedDict):
    """A connector call that was recorded."""

    connector: str
    method: str
    arguments: Json
    outcome: str
    answer: Json
    step: str
    key: str


class PictureShown(TypedDict):
    """A picture that is shown with a task."""

    type: str
    name: str
    data: Json
    options: dict[str, Json] | None


class AuditLineShown(TypedDict):
    """A line of a task's audit trail. What the step passed with it stands beside these members."""

    text: str
    kind: str
    at: str


def task_to_json(task: Task) -> TaskShown:
    """A task as it is shown."""
    return {**_head(task), "data": public_data(task), **_tail(task)}


def task_summary(task: Task) -> TaskSummary:
    """A task as it is shown in lists: without its data."""
    return {**_head(task), **_tail(task)}


def _head(task: Task) -> _Head:
    return {
        "id": task.id,
        "name": task.name,
        "tags": list(task.tags),
        "state": task.state.value,
        "reason": task.reason,
    }


def _tail(task: Task) -> _Tail:
    return {
        "result": task.result,
        "via": task.data.get("$via"),
        "created_at": iso(task.created_at),
        "updated_at": iso(task.updated_at),
        "ended_at": iso_or_none(task.ended_at),
        "due_at": iso_or_none(task.due_at),
        "expires_at": iso_or_none(task.expires_at),
        "parent": task.parent,
    }


def entry_to_json(entry: Entry) -> EntryShown:
    """A line of the history as it is shown."""
    error = entry.error
    return {
        "n": entry.n,
        "kind": entry.kind,
        "step": entry.step,
        "wave": entry.wave,
        "attempt": entry.attempt,
        "outcome": entry.outcome,
        "started_at": iso(entry.started_at),
        "ended_at": iso(entry.ended_at),
        "changes": [change_to_dict(change) for change in entry.changes],
        "conflicts": [
            {"path": format_path(conflict.path), "lost": conflict.lost, "won": conflict.won}
            for conflict in entry.conflicts
        ],
        "effects": list(entry.effects),
        "logs": [{"at": iso(line.at), "level": line.level, "text": line.text} for line in entry.logs],
        "error": None
        if error is None
        else {"type": error.type, "message": error.message, "status": error.status, "stack": error.stack},
        "version": entry.version,
    }


def call_to_json(call: Call) -> RecordedCall:
    return {
        "connector": call.connector,
        "method": call.method,
        "arguments": call.arguments,
        "outcome": call.outcome,
        "answer": call.answer,
        "step": call.step,
        "key": call.key,
    }


def picture_to_json(picture: Visualization) -> PictureShown:
    return {"type": picture.type, "name": picture.name, "data": picture.data, "options": picture.options}


def outcome_to_json(outcome: Outcome) -> dict[str, Json]:
    """A task with all of its history."""
    return {
        "task": task_to_json(outcome.task),
        "runs": [entry_to_json(entry) for entry in outcome.runs],
        "history": [entry_to_json(entry) for entry in outcome.entries if entry.kind != "run"],
        "calls": [call_to_json(call) for call in outcome.all_calls],
        "audit": [audit_line(entry) for entry in outcome.audit],
        "visualizations": [picture_to_json(picture) for picture in outcome.visualizations],
        "subtasks": [
            {**answer_of(child.task), "id": child.task.id, "name": child.task.name} for child in outcome.subtasks
        ],
    }


def audit_line(entry: AuditEntry) -> AuditLineShown:
    """An entry of the audit trail as it is shown: its text, kind and time, and what was passed with it."""
    passed: dict[str, Json] = audit_to_json(entry)
    line: Any = {name: value for name, value in passed.items() if name not in AuditLineShown.__annotations__}
    return {"text": entry.text, "kind": entry.kind, "at": iso(entry.at), **line}
