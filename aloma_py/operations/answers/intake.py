"""What operations on schedules, webhooks, variables and secrets answer."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from aloma_py.models import Json


class ScheduleSummary(TypedDict):
    """A schedule without its data: ``cron`` and ``dst``, or ``every`` in milliseconds and ``anchor``."""

    id: str
    name: str
    enabled: bool
    next_at: str | None
    last_at: str | None
    zone: str
    start: str | None
    end: str | None
    missed: str
    overlap: str
    task: str
    tags: list[str]
    created_at: str
    created_by: str
    cron: NotRequired[str]
    dst: NotRequired[str]
    every: NotRequired[int]
    anchor: NotRequired[str]


class ScheduleShown(ScheduleSummary):
    """A schedule with the data of its tasks."""

    data: dict[str, Json]


class ChangedSchedule(ScheduleShown):
    """A schedule that was just made or changed; ``served``: whether somebody fires it."""

    served: bool


class ComingTime(TypedDict):
    """A time to come, in UTC and as a clock of the schedule's zone shows it."""

    at: str
    local: str


class FiringShown(TypedDict):
    """What became of one time: ``fired`` gave a task, ``waits`` has yet to, ``skipped`` says why."""

    at: str
    state: str
    task: str | None
    why: str | None


class ScheduleDetails(ScheduleShown):
    """A schedule with its next times, its newest firings and the newest of its tasks that is open."""

    open_task: str | None
    next: list[ComingTime]
    firings: list[FiringShown]


class FiredSchedule(TypedDict):
    """The task that a schedule gave; ``served``: whether somebody advances it."""

    id: str
    schedule: str
    state: str
    served: bool


class DeletedThing(TypedDict):
    """What was deleted."""

    id: str
    name: str
    deleted: bool


class WebhookShown(TypedDict):
    """A webhook; ``id`` and ``path`` are null for who may give no tasks."""

    id: str | None
    path: str | None
    name: str
    options: dict[str, Json]
    has_secret: bool
    accepted: int
    last_at: str | None
    created_at: str
    created_by: str


class NewWebhook(WebhookShown):
    """A webhook with the secret that was made up for it, which is not shown again."""

    secret: str


class WebhookTest(TypedDict):
    """What a request would become; ``problem`` says what is wrong with it, then there is no data."""

    data: dict[str, Json] | None
    via: dict[str, Json] | None
    signature: str
    dedupe_key: str | None
    problem: str | None


class VariableShown(TypedDict):
    """A variable, or a secret, which has no ``value``."""

    name: str
    secret: bool
    value: NotRequired[Json]
    description: str | None
    updated_at: str
    updated_by: str


class Active(TypedDict):
    """Whether the steps have a change from now on, else ``problem`` may say why."""

    active: bool
    problem: NotRequired[str]


class ChangedVariable(VariableShown, Active):
    """A variable that was set; ``active``: whether the steps have it from now on, else ``problem`` may say why."""


class DeletedVariable(Active):
    """What was deleted; ``active``: whether the steps know it from now on, else ``problem`` may say why.

    ``named_in``: the steps and connectors that name it still.
    """

    name: str
    deleted: bool
    named_in: list[str]


class RotateAnswer(TypedDict):
    """Fingerprints of the keys before and now, how many values were encrypted anew, and what is left to do."""

    before: str
    fingerprint: str
    values: int
    damaged: list[str]
    next: str
