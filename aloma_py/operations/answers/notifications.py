"""What the operations on notifications answer."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class GroupShown(TypedDict):
    """Somebody who is told. ``kind`` is ``unknown`` for a name in a workspace that no group has: nobody is told.

    ``every`` is milliseconds. ``next_at``: when the next digest is due; ``null`` where nothing failed.
    """

    name: str
    kind: Literal["group", "address", "webhook", "unknown"]
    addresses: list[str]
    webhooks: list[str]
    every: int | None
    signed: bool
    workspaces: list[str]
    next_at: str | None
    updated_at: str | None
    updated_by: str | None


class GroupMade(GroupShown):
    """``secret`` is what its webhooks are signed with, where one was made or changed; it is not shown again."""

    secret: str | None


class GroupDeleted(TypedDict):
    name: str
    deleted: bool
    workspaces: list[str]


class MessageShown(TypedDict):
    """A message to one target. ``state`` is ``waiting``, ``delivered`` or ``failed``."""

    no: int
    group: str
    target: str
    text: str
    state: str
    created_at: str
    attempts: int
    next_at: str | None
    error: str | None


class Tried(TypedDict):
    """What became of a test: ``answer`` is what the other side said, or what went wrong."""

    target: str
    delivered: bool
    answer: str
