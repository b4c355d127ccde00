"""What encrypted values are bound to (moved elsewhere, they cannot be read), and what they are called in errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


def place_of(workspace: str, name: str) -> str:
    """Of a secret."""
    return f"secret\0{workspace}\0{name}"


def what_of(workspace: str, name: str) -> str:
    return f"the secret {name!r} of workspace {workspace!r}"


def webhook_what(workspace: str, name: str) -> str:
    """Of a webhook's secret, which is bound to the webhook's id."""
    return f"the secret of the webhook {name!r} of workspace {workspace!r}"


def source_place(workspace: str) -> str:
    """Of the password, token or key for the repository that a workspace follows."""
    return f"source\0{workspace}"


def source_what(workspace: str) -> str:
    return f"the credentials for the source of workspace {workspace!r}"


def connector_place(workspace: str, namespace: str) -> str:
    """Of a connector's configuration."""
    return f"connector\0{workspace}\0{namespace}"


def connector_what(workspace: str, namespace: str) -> str:
    return f"the configuration of the connector {namespace!r} of workspace {workspace!r}"


def group_place(name: str) -> str:
    """Of the secret that a notification group's webhooks are signed with."""
    return f"notification_group\0{name}"


def group_what(name: str) -> str:
    return f"the secret of the notification group {name!r}"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A table with encrypted values in its column ``sealed``; ``place`` makes of the columns ``key`` what each is
    bound to, and ``what`` of the columns ``named`` what it is called in an error."""

    table: str
    key: tuple[str, ...]
    place: Callable[..., str]
    named: tuple[str, ...]
    what: Callable[..., str]


SEALED: Final = (
    Sealed("variable", ("workspace", "name"), place_of, ("workspace", "name"), what_of),
    Sealed("webhook", ("id",), str, ("workspace", "name"), webhook_what),
    Sealed("source", ("workspace",), source_place, ("workspace",), source_what),
    Sealed("connector", ("workspace", "namespace"), connector_place, ("workspace", "namespace"), connector_what),
    Sealed("notification_group", ("name",), group_place, ("name",), group_what),
)
"""Everything that is encrypted, beside the tasks' ``$stash``."""

FINGERPRINTS: Final = "SELECT DISTINCT substr(stash, 1, 8) FROM task WHERE stash IS NOT NULL" + "".join(
    f" UNION SELECT substr(sealed, 1, 8) FROM {one.table} WHERE sealed IS NOT NULL" for one in SEALED
)
"""Those of the keys that something in a store is encrypted with."""
