"""The repositories that workspaces follow, in the store: one row for each, with when it is looked at next."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aloma_py.errors import NotFoundError, StaleTask
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json, Millis
from aloma_py.store.places import source_place, source_what
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

BETWEEN: Final[Millis] = 10_000
"""What lies between two looks at least, however often the host tells of pushes."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "url": "", "branch": None, "folder": None, "user": None, "host_key": None, "automatic": False, "every": 300_000,
    "secrets": (),
}  # fmt: skip
"""The options of a source; ``secrets`` names what is kept encrypted."""

_COLUMNS: Final = "workspace, options, hook, next_at, last_at, taken, error, seen, failures, updated_at, updated_by"
_SELECT: Final = f"SELECT {_COLUMNS} FROM source "
_LIVE: Final = (
    "NOT EXISTS (SELECT 1 FROM workspace WHERE workspace.name = source.workspace "
    "AND coalesce(json_extract(workspace.facts, '$.archived_at'), json_extract(workspace.facts, '$.delete_at')) "
    "IS NOT NULL)"
)


@dataclass(frozen=True, slots=True)
class Source:
    """What a workspace follows. ``seen`` is what the last look that went well found, ``text`` the options as stored."""

    workspace: str
    options: dict[str, Any]
    hook: str | None
    next_at: Millis | None
    last_at: Millis | None
    taken: str | None
    error: str | None
    seen: dict[str, Any]
    failures: int
    updated_at: Millis
    updated_by: str
    text: str


