"""What operations on workspaces and on the store answer."""

from __future__ import annotations

from typing_extensions import TypedDict

from aloma_py.models import Json
from aloma_py.store.overview import OverviewNumbers


class WorkspaceShown(TypedDict):
    """A workspace; ``state`` is ``active``, ``archived``, ``importing`` or ``deleting``; ``limits`` are its own."""

    name: str
    title: str | None
    state: str
    tags: list[str]
    health_enabled: bool
    notification_groups: list[str]
    limits: dict[str, Json]
    created_at: str | None
    archived_at: str | None
    delete_at: str | None


class ListedWorkspace(WorkspaceShown):
    """A workspace with how many tasks are in which state."""

    tasks: dict[str, int]


class WorkspaceDetails(ListedWorkspace):
    """A workspace with where its steps and libraries come from."""

    sources: list[str]
    libraries: dict[str, str]


class Span(TypedDict):
    """A period: what was asked for, and from when up to when it is."""

    last: str
    since: str
    until: str


class OverviewAnswer(OverviewNumbers):
    """What happened in a workspace over a period."""

    workspace: str
    period: Span


class TaskLine(TypedDict):
    """A task that somebody should look at."""

    id: str
    name: str
    reason: str | None
    updated_at: str


class StuckTasks(TypedDict):
    """Waiting tasks that nothing will happen to, of so many that were looked at."""

    tasks: list[TaskLine]
    count: int
    looked_at: int


class AttentionTasks(TypedDict):
    """Tasks that wait for a person."""

    tasks: list[TaskLine]
    count: int


class Unmentioned(TypedDict):
    """Names that stand in no step's or library's text."""

    secrets_unused: list[str]
    variables_unused: list[str]
    libraries_unused: list[str]
    connectors_unused: list[str]


class UnavailableConnector(TypedDict):
    """A connector that steps cannot call, and why."""

    namespace: str
    problem: str


class HealthAnswer(Unmentioned):
    """What is in a workspace and does nothing."""

    workspace: str
    period: Span
    steps_never_ran: list[str]
    steps_only_failed: list[str]
    webhooks_unused: list[str]
    connectors_unavailable: list[UnavailableConnector]
    notification_groups_unknown: list[str]
    stuck: StuckTasks
    attention: AttentionTasks


class StoreInfo(TypedDict):
    """What is in the store: sizes in bytes, ``oldest`` and ``newest`` in milliseconds since 1970."""

    path: str
    file_bytes: int
    wal_bytes: int
    free_bytes: int
    sqlite_version: str
    schema: str
    process: int | None
    rows: dict[str, int]
    tasks: dict[str, dict[str, int]]
    oldest: int | None
    newest: int | None
    workspace: str
    facts: dict[str, Json]


class BackupAnswer(TypedDict):
    """The copy that was made, and of which key its secrets are."""

    path: str
    bytes: int
    key_fingerprint: str | None


class VerifyAnswer(TypedDict):
    """What was read, and what is wrong with it, a sentence each."""

    sound: bool
    tasks: int
    entries: int
    problems: list[str]
