"""Notifications in the store: who is told, what failed since they were, and messages on their way.

Failures are rows that a trigger writes with the task (``schema_outside``), numbered in the order of their commits.
Everybody who is told has the number of the last one that was: a digest is made of those behind it, and written with its
messages in the transaction that moves the number. So nothing is lost, or told by two digests.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aloma_py.errors import InputError, NotFoundError, StaleTask, StateError
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json, Millis
from aloma_py.store.places import group_place, group_what
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

KEEP: Final = 30 * 86_400_000
"""How long messages are kept that were delivered or given up, in milliseconds."""

PURGE_BATCH: Final = 2_000

LONGEST_MESSAGE: Final = 20_000
"""Characters of an error's message that are read."""

_COLUMNS: Final = "name, options, sealed IS NOT NULL, told_until, next_at, updated_at, updated_by"
_NEWEST: Final = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'failure'), 0)"

PAGE: Final = 1_000
"""How many failures are read at once."""

# Each task once, by the last of its failures; of its runs that failed, the last one says why.
_FAILED: Final = f"""
SELECT failure.no, task.workspace, task.id, task.name, task.state, task.reason, failure.at, entry.step,
    entry.error ->> 0, substr(entry.error ->> 1, 1, {LONGEST_MESSAGE})
FROM failure CROSS JOIN task ON task.id = failure.task
LEFT JOIN entry ON entry.task = task.id AND task.reason LIKE 'unhandled error in %' AND entry.n = (
    SELECT max(n) FROM entry AS failed WHERE failed.task = task.id AND failed.outcome = 'failed'
)
WHERE failure.no > :after AND failure.no <= :until
    AND failure.workspace IN (SELECT value FROM json_each(:workspaces))
    AND NOT EXISTS (
        SELECT 1 FROM failure AS later
        WHERE later.task = failure.task AND later.no > failure.no AND later.no <= :until
    )
ORDER BY failure.no LIMIT {PAGE}
"""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told: a group, or one address that workspaces name. ``options`` are addresses, webhooks and every."""

    name: str
    options: Mapping[str, Any]
    has_secret: bool
    told_until: int  # the number of a failure
    next_at: Millis | None  # when its next digest is due; None: nothing failed yet
    updated_at: Millis
    updated_by: str

    @property
    def direct(self) -> bool:
        """Whether it is an address that workspaces name: a group's name has no such signs."""
        return "@" in self.name or "://" in self.name

    @property
    def targets(self) -> list[str]:
        return [*self.options["addresses"], *self.options["webhooks"]]


@dataclass(frozen=True, slots=True)
class Failed:
    """A task that failed, as it is now: it may do so no more."""

    no: int
    workspace: str
    id: str
    name: str
    state: str
    reason: str | None
    at: Millis
    step: str | None
    type: str | None
    message: str | None


@dataclass(frozen=True, slots=True)
class Message:
    no: int
    audience: str
    target: str
    body: Mapping[str, Any]  # {"id", "content"}: what it is called on its way, and the digest
    created_at: Millis
    state: str
    attempts: int
    next_at: Millis | None
    error: str | None


