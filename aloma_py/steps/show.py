"""A step as JSON: what ``step show`` prints."""

from __future__ import annotations

from collections.abc import Iterable

from typing_extensions import TypedDict

from aloma_py.paths import Path, format_path
from aloma_py.steps.definition import StepDefinition


class RateShown(TypedDict):
    """At most ``count`` runs in ``per`` milliseconds."""

    count: int
    per: int


class OptionsShown(TypedDict):
    """A step's options; durations in milliseconds."""

    retries: int
    backoff: int
    retry_on: list[str]
    timeout: int | None
    enabled: bool
    tags: list[str]
    concurrency: int | None
    rate: RateShown | None


class LocationShown(TypedDict):
    """Where a step was written."""

    file: str | None
    line: int | None


class UnknownShown(TypedDict):
    """A place in a step's code that counts as everything."""

    line: int
    code: str
    reason: str


StepShown = TypedDict(
    "StepShown",
    {
        "name": str,
        "description": str,
        "condition": str,
        "specificity": int,
        "priority": int,
        "parallel": str,
        "options": OptionsShown,
        "language": str,
        "async": bool,
        "parameters": dict[str, str],
        "location": LocationShown,
        "version": str,
        "looks_at": list[str],
        "reads": list[str],
        "writes": list[str],
        "unknown": list[UnknownShown],
    },
)
"""A step; a member is called ``async``, so that it cannot be written as a class."""


def describe(step: StepDefinition) -> StepShown:
    """The step as a JSON object: what it matches, its options, and what its code may read and write.

    ``looks_at``, ``reads`` and ``writes`` are sorted texts of paths (``"$data"`` is the whole); ``unknown`` lists the
    places that count as everything, each ``{line, code, reason}``. Durations are milliseconds.
    """
    return {
        "name": step.name,
        "description": step.description,
        "condition": step.condition.source,
        "specificity": step.condition.specificity,
        "priority": step.priority,
        "parallel": step.parallel,
        "options": {
            "retries": step.retries,
            "backoff": step.backoff,
            "retry_on": [kind if isinstance(kind, str) else kind.__name__ for kind in step.retry_on],
            "timeout": step.timeout,
            "enabled": step.enabled,
            "tags": list(step.tags),
            "concurrency": step.concurrency,
            "rate": None if step.rate is None else {"count": step.rate.count, "per": step.rate.per},
        },
        "language": step.language,
        "async": step.is_async,
        "parameters": dict(step.parameters),
        "location": {"file": step.location.file, "line": step.location.line},
        "version": step.version,
        "looks_at": _texts(step.condition.paths),
        "reads": _texts(step.footprint.reads),
        "writes": _texts(step.footprint.writes),
        "unknown": [{"line": at.line, "code": at.code, "reason": at.reason} for at in step.footprint.unknown],
    }


def _texts(paths: Iterable[Path]) -> list[str]:
    return sorted(format_path(path) or "$data" for path in paths)
