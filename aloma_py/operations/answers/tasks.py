"""What operations on tasks answer."""

from __future__ import annotations

from typing_extensions import TypedDict

from aloma_py.outcome import AuditLineShown, EntryShown, PictureShown, RecordedCall, TaskShown, TaskSummary


class AcceptedTask(TaskSummary):
    """A task that was just given or changed; ``served``: whether somebody advances it."""

    served: bool


class TaskDetails(TaskShown):
    """A task with what its steps said and made; ``history_entries`` is how many lines its history has."""

    history_entries: int
    audit: list[AuditLineShown]
    visualizations: list[PictureShown]
    calls: list[RecordedCall]
    subtasks: list[TaskSummary]


class TaskLog(TypedDict):
    """A task and lines of its history, in order."""

    task: TaskSummary
    entries: list[EntryShown]


class DeletedTask(TypedDict):
    """Which task was deleted."""

    id: str
    deleted: bool
