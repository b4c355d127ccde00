"""What operations on the repository that a workspace follows answer."""

from __future__ import annotations

from typing_extensions import TypedDict


class SourceShown(TypedDict):
    """What a workspace follows; of secrets only which there are.

    ``every`` is in milliseconds. ``commit`` is the one that was taken last, with its branch, author and title.
    ``edited`` says that stored steps or libraries were changed since. ``hook`` is the path that the repository's host
    may post to; null for those who may not change steps. ``served`` says whether somebody looks by itself.
    """

    workspace: str
    url: str
    branch: str | None
    folder: str | None
    user: str | None
    host_key: str | None
    secrets: list[str]
    automatic: bool
    every: int
    next_at: str | None
    last_at: str | None
    commit: str | None
    commit_branch: str | None
    author: str | None
    title: str | None
    edited: bool
    error: str | None
    failures: int
    hook: str | None
    updated_at: str
    updated_by: str
    served: bool


class SyncedNames(TypedDict):
    """What becomes of stored scripts, by name; ``left`` are those that the repository says nothing of."""

    added: list[str]
    changed: list[str]
    unchanged: list[str]
    deleted: list[str]
    left: list[str]


class SkippedFile(TypedDict):
    """A file of the repository that does nothing here."""

    path: str
    why: str


class SourcePlan(TypedDict):
    """What a commit makes of the workspace; ``applied`` is false where that was only asked."""

    commit: str
    branch: str | None
    author: str
    title: str
    folder: str
    steps: SyncedNames
    libraries: SyncedNames
    skipped: list[SkippedFile]
    applied: bool


class UnfollowedSource(TypedDict):
    """The workspace follows nothing any more."""

    workspace: str
    url: str
    deleted: bool
