"""Schedules in the store, and their firings: each is one row, written with its task in one transaction.

A firing's row says what became of it: ``task`` and no ``why``: it gave that task; neither: it waits for the task of the
firing before it; ``why`` and no ``task``: it was skipped.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aloma_py.errors import InputError, NotFoundError, StaleTask
from aloma_py.intake.schedules import MAX_MISSED, Schedule
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Millis, Task, TaskState
from aloma_py.store import records, statements
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

MAX_KEPT: Final = 1_000
"""How many firings are kept of each schedule, besides those that wait."""

AT_ONCE: Final = 100
"""How many schedules whose time has come are read at once."""

_COLUMNS: Final = "id, workspace, name, enabled, options, next_at, last_at, created_at, created_by"
_SELECT: Final = f"SELECT {_COLUMNS} FROM schedule "
_OPEN: Final = tuple(state.value for state in TaskState if not state.ended)
_LIVE: Final = (
    "enabled = 1 AND NOT EXISTS (SELECT 1 FROM workspace WHERE workspace.name = schedule.workspace "
    "AND coalesce(json_extract(workspace.facts, '$.archived_at'), json_extract(workspace.facts, '$.delete_at')) "
    "IS NOT NULL)"
)
_WAITS: Final = "EXISTS (SELECT 1 FROM firing WHERE firing.schedule = schedule.id AND task IS NULL AND why IS NULL)"
_OPEN_TASK: Final = (
    "SELECT firing.task FROM firing JOIN task ON task.id = firing.task WHERE firing.schedule = ? "
    f"AND task.state IN ({', '.join('?' * len(_OPEN))}) ORDER BY firing.at DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A schedule as it is kept; ``options`` is the JSON text of its :class:`Schedule`."""

    id: str
    workspace: str
    name: str
    enabled: bool
    options: str
    next_at: Millis | None
    last_at: Millis | None
    created_at: Millis
    created_by: str

    @property
    def schedule(self) -> Schedule:
        return Schedule.from_json(loads(self.options))


@dataclass(frozen=True, slots=True)
class Firing:
    at: Millis
    task: str | None
    why: str | None


