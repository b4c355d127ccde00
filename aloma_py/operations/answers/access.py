"""What operations on people, keys and the ledger answer."""

from __future__ import annotations

from typing_extensions import TypedDict

from aloma_py.models import Json


class PersonShown(TypedDict):
    """A person; ``role`` is that on the account, ``workspaces`` has the others."""

    id: str
    email: str
    name: str
    state: str
    role: str | None
    workspaces: dict[str, str]
    created_at: str
    seen_at: str | None


class InvitedPerson(PersonShown):
    """A person with the invitation that sets the password; it is not shown again."""

    invitation: str
    invitation_until: str


class RemovedPerson(TypedDict):
    """Who was removed; ``keys`` are those they made that still hold."""

    id: str
    email: str
    removed: bool
    keys: list[str]


class KeyShown(TypedDict):
    """An API key, without what it opens with; ``workspace`` is null where it is for the account."""

    id: str
    name: str
    state: str
    role: str | None
    workspace: str | None
    created_at: str
    created_by: str | None
    expires_at: str | None
    used_at: str | None


class NewKey(KeyShown):
    """A key with what it opens with, which is not shown again."""

    key: str


class LedgerLine(TypedDict):
    """Who changed what; ``details`` are the arguments without secrets, ``workspace`` is null for the account."""

    no: int
    at: str
    who: str
    workspace: str | None
    action: str
    details: dict[str, Json]


class MeShown(TypedDict):
    """Who asks: a person or a key. ``role`` is that on the account."""

    kind: str
    name: str
    email: str | None
    role: str | None
    workspaces: dict[str, str]
