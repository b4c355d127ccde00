"""What is told of tasks that failed: one digest for many of them, as JSON and as text. Pure.

A digest is ``{type, timestamp, text, data}``, ``text`` being its one line. ``data`` is::

    {group, since, until, every, tasks, error, attention, recovered,
     workspaces: [{name, tasks, error, attention, causes: [cause], more: {causes, tasks}}]}

and a cause ``{state, step, type, message, tasks, examples: [{id, name, at, message, url}]}``. ``tasks`` are numbers.
``more`` are those that are not shown. Times are ISO 8601, ``every`` is milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from aloma_py.models import Json, Millis
from aloma_py.run.handles import iso

MAX_SHOWN: Final = 20
"""How many tasks a digest shows, and so how many causes."""

MAX_EXAMPLES: Final = 3
"""How many of them are of one cause."""

LONGEST_LINE: Final = 300
"""Characters of an error's first line, and of a task's name, that are shown."""

TASK_PLACE: Final = "/api/v1/workspaces/{workspace}/tasks/{id}"
"""Where a task is shown, behind the server's address."""

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_VARYING: Final = re.compile(r"\b(?!\d{3}\b)\w*\d\w*")
"""Words that differ from task to task: numbers, ids. A number of three digits is rather a status."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that came into ``error`` or ``attention``. ``step`` and ``type`` are those of the error that it has."""

    workspace: str
    id: str
    name: str
    state: str
    at: Millis
    step: str | None
    type: str | None
    message: str


@dataclass(slots=True)
class _Cause:
    first: Failure
    number: int = 0
    examples: list[Failure] = field(default_factory=list)


def one_line(text: str) -> str:
    """The first line of a text, without anything that could be more than text, cut where it is long."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    plain = " ".join(_CONTROLS.sub(" ", first).encode(errors="replace").decode().split())
    return plain if len(plain) <= LONGEST_LINE else plain[: LONGEST_LINE - 1] + "…"


def alike(message: str) -> str:
    """What messages of the same cause have in common: numbers and ids in them may differ.

    >>> alike("order A-4711 gave 404")
    'order A-# gave 404'
    """
    return _VARYING.sub("#", message)


class Digest:
    """A digest of failures that are added in order of time; it keeps a few of each cause."""

    def __init__(self) -> None:
        self._causes: dict[tuple[Any, ...], _Cause] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self.tasks = 0

    def add(self, failures: Iterable[Failure]) -> None:
        for one in failures:
            self.tasks += 1
            self._counts.setdefault(one.workspace, {"error": 0, "attention": 0})[one.state] += 1
            key = (one.workspace, one.state, one.step, one.type, alike(one.message))
            cause = self._causes.get(key)
            if cause is None:
                cause = self._causes[key] = _Cause(one)
            cause.number += 1
            if len(cause.examples) < MAX_EXAMPLES:
                cause.examples.append(one)

    def finish(
        self,
        group: str,
        *,
        since: Millis,
        until: Millis,
        every: Millis,
        recovered: int = 0,
        public_url: str = "",
    ) -> dict[str, Json]:
        """The digest. ``recovered`` counts those that failed and do so no more."""
        counts = self._counts
        ranked = sorted(self._causes.values(), key=lambda cause: -cause.number)
        shown = _portions(ranked)
        errors = sum(count["error"] for count in counts.values())
        attention = sum(count["attention"] for count in counts.values())
        names = sorted(counts, key=lambda name: (-sum(counts[name].values()), name))
        causes: dict[str, list[tuple[_Cause, int]]] = {name: [] for name in names}
        for cause, number in zip(ranked, shown, strict=True):
            causes[cause.first.workspace].append((cause, number))
        return {
            "type": "tasks.failed",
            "timestamp": iso(until),
            "text": subject(errors, attention, names),
            "data": {
                "group": group,
                "since": iso(since),
                "until": iso(until),
                "every": every,
                "tasks": errors + attention,
                "error": errors,
                "attention": attention,
                "recovered": recovered,
                "workspaces": [_workspace(name, counts[name], causes[name], public_url) for name in names],
            },
        }


def _portions(ranked: Sequence[_Cause]) -> list[int]:
    """How many examples are shown of each cause: one of each as far as they go, then more of the most frequent."""
    portions = [0] * len(ranked)
    left = MAX_SHOWN
    for _ in range(MAX_EXAMPLES):
        for place, cause in enumerate(ranked[:MAX_SHOWN]):
            if left and portions[place] < len(cause.examples):
                portions[place] += 1
                left -= 1
    return portions


def _workspace(
    name: str, count: Mapping[str, int], causes: Sequence[tuple[_Cause, int]], public_url: str
) -> dict[str, Json]:
    """A workspace's part; each of its causes comes with how many examples of it are shown."""
    left = [cause for cause, number in causes if not number]
    return {
        "name": name,
        "tasks": sum(count.values()),
        "error": count["error"],
        "attention": count["attention"],
        "causes": [_shown(cause, number, public_url) for cause, number in causes if number],
        "more": {"causes": len(left), "tasks": sum(cause.number for cause in left)},
    }


def _shown(cause: _Cause, number: int, public_url: str) -> dict[str, Json]:
    first = cause.first
    return {
        "state": first.state,
        "step": first.step,
        "type": first.type,
        "message": first.message,
        "tasks": cause.number,
        "examples": [
            {
                "id": one.id,
                "name": one.name,
                "at": iso(one.at),
                "message": one.message,
                "url": address_of(public_url, one.workspace, one.id),
            }
            for one in cause.examples[:number]
        ],
    }


def address_of(public_url: str, workspace: str, id: str) -> str | None:
    """Where people see a task; ``None`` where it is not known how they reach the server."""
    if not public_url:
        return None
    place = TASK_PLACE.format(workspace=quote(workspace, safe=""), id=quote(id, safe=""))
    return public_url.rstrip("/") + place


def subject(errors: int, attention: int, workspaces: Sequence[str]) -> str:
    """``12 tasks failed in orders, invoices``.

    >>> subject(12, 1, ["orders", "invoices"])
    '12 tasks failed and 1 needs attention in orders, invoices'
    """
    needs = f"{'needs' if attention == 1 else 'need'} attention"
    tasks = "task" if (errors or attention) == 1 else "tasks"
    if errors and attention:
        what = f"{errors:,} {tasks} failed and {attention:,} {needs}"
    elif errors:
        what = f"{errors:,} {tasks} failed"
    else:
        what = f"{attention:,} {tasks} {needs}"
    shown = [one_line(name)[:60] for name in workspaces[:3]]
    more = f" and {len(workspaces) - 3} more" if len(workspaces) > 3 else ""
    return f"{what} in {', '.join(shown)}{more}"


def make_test(to: str, now: Millis) -> dict[str, Json]:
    """What is sent to try the way."""
    text = "a test of notifications: they arrive"
    return {"type": "test", "timestamp": iso(now), "text": text, "data": {"group": to}}
