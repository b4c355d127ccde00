"""What happened in a workspace over a period, in numbers. For the slow reader: it may look at every task.

Everything is one statement for each question, so that Python's lock is not asked for row by row.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final

from typing_extensions import TypedDict

from aloma_py.models import Millis, TaskState

RATED: Final = (TaskState.DONE, TaskState.ERROR, TaskState.ATTENTION)
"""The states that the automation rate is made of (SPEC §3)."""

_ENDED: Final = """
SELECT state, count(*) FROM task
WHERE ended_at >= :since AND ended_at < :until AND workspace = :workspace GROUP BY state
"""

_CREATED: Final = """
SELECT count(*) FROM task WHERE workspace = :workspace AND created_at >= :since AND created_at < :until
"""

# The nearest rank: of n values in order, the one at n/2 or n*95/100, rounded up.
_DURATIONS: Final = """
WITH took (millis) AS MATERIALIZED (
    SELECT ended_at - created_at FROM task
    WHERE ended_at >= :since AND ended_at < :until AND workspace = :workspace ORDER BY 1
), total (n) AS (SELECT count(*) FROM took)
SELECT (SELECT millis FROM took ORDER BY millis LIMIT 1 OFFSET ((SELECT n FROM total) + 1) / 2 - 1),
       (SELECT millis FROM took ORDER BY millis LIMIT 1 OFFSET ((SELECT n FROM total) * 95 + 99) / 100 - 1)
"""

# A run in the period was committed with its task: a task that was not changed since has none. Runs that took as long
# are counted together first, so that the median (the nearest rank) is looked for among few rows.
_RUNS: Final = """
WITH took (step, millis, runs, failed, retried) AS MATERIALIZED (
    SELECT entry.step, entry.ended_at - entry.started_at, count(*),
           sum(entry.outcome = 'failed'), sum(entry.outcome = 'retry')
    FROM task CROSS JOIN entry ON entry.task = task.id
    WHERE task.workspace = :workspace AND task.updated_at >= :since
      AND entry.kind = 'run' AND entry.ended_at >= :since AND entry.ended_at < :until
    GROUP BY 1, 2
), placed (step, millis, runs, failed, retried, up_to, total) AS (
    SELECT *, sum(runs) OVER (PARTITION BY step ORDER BY millis), sum(runs) OVER (PARTITION BY step) FROM took
)
SELECT step, sum(runs), sum(failed), sum(retried), 1.0 * sum(runs * millis) / sum(runs),
       min(iif(up_to >= (total + 1) / 2, millis, NULL)), max(millis)
FROM placed GROUP BY step
"""

_CALLS: Final = """
SELECT call.connector, count(*) FROM task CROSS JOIN call ON call.task = task.id
WHERE task.workspace = :workspace AND task.updated_at >= :since
  AND call.ended_at >= :since AND call.ended_at < :until
GROUP BY call.connector
"""


class StepNumbers(TypedDict):
    """How often a step ran: attempts, those that gave up, those that were to be tried again, milliseconds."""

    step: str | None
    runs: int
    errors: int
    retries: int
    mean_ms: float
    median_ms: int
    longest_ms: int


class DurationNumbers(TypedDict):
    """From acceptance to the end, in milliseconds."""

    median: int | None
    p95: int | None


class OverviewNumbers(TypedDict):
    """What happened in a period, in numbers."""

    tasks: dict[str, int]
    created: int
    ended: dict[str, int]
    automation_rate: float | None
    duration_ms: DurationNumbers
    runs: int
    errors: int
    retries: int
    steps: list[StepNumbers]


def overview(connection: sqlite3.Connection, workspace: str, since: Millis, until: Millis) -> OverviewNumbers:
    """The numbers of the period from ``since`` up to ``until``; durations in milliseconds.

    ``{tasks, created, ended, automation_rate, duration_ms: {median, p95}, runs, errors, retries, steps}``. ``tasks``
    and ``ended`` are numbers by state, the first of now. The rate is ``None`` where nothing ended that counts.
    ``duration_ms`` is from acceptance to the end. ``steps`` are as :func:`step_numbers` gives them, most runs first.
    """
    given = {"workspace": workspace, "since": since, "until": until}
    now = dict(connection.execute("SELECT state, count(*) FROM task WHERE workspace = ? GROUP BY state", (workspace,)))
    ended = dict(connection.execute(_ENDED, given))
    median, p95 = connection.execute(_DURATIONS, given).fetchone() if ended else (None, None)
    steps = step_numbers(connection, workspace, since, until)
    return {
        "tasks": {state.value: now.get(state.value, 0) for state in TaskState},
        "created": connection.execute(_CREATED, given).fetchone()[0],
        "ended": {state.value: ended.get(state.value, 0) for state in TaskState if state.ended},
        "automation_rate": automation_rate(ended),
        "duration_ms": {"median": median, "p95": p95},
        "runs": sum(step["runs"] for step in steps),
        "errors": sum(step["errors"] for step in steps),
        "retries": sum(step["retries"] for step in steps),
        "steps": steps,
    }


def automation_rate(ended: dict[str, int]) -> float | None:
    """``done / (done + error + attention)``, or ``None`` where there are none of the three."""
    rated = sum(ended.get(state.value, 0) for state in RATED)
    return round(ended.get(TaskState.DONE.value, 0) / rated, 4) if rated else None


def step_numbers(connection: sqlite3.Connection, workspace: str, since: Millis, until: Millis) -> list[StepNumbers]:
    """``[{step, runs, errors, retries, mean_ms, median_ms, longest_ms}]`` of the period: ``runs`` counts attempts,
    ``errors`` those that gave up, ``retries`` those that failed and were to be tried again."""
    rows = connection.execute(_RUNS, {"workspace": workspace, "since": since, "until": until}).fetchall()
    found: list[StepNumbers] = [
        {"step": step, "runs": runs, "errors": errors, "retries": retries, "mean_ms": round(mean, 1),
         "median_ms": median, "longest_ms": longest}
        for step, runs, errors, retries, mean, median, longest in rows
    ]  # fmt: skip
    return sorted(found, key=lambda one: (-one["runs"], one["step"] or ""))


def traces(connection: sqlite3.Connection, workspace: str, since: Millis, until: Millis) -> dict[str, Any]:
    """What the store knows of the use of things in the period.

    ``steps`` as :func:`step_numbers`, ``connectors`` that were called (recorded calls only), ``webhooks`` that accepted
    nothing, the names of ``variables`` and ``secrets``, the ``texts`` of stored steps and libraries by name, and
    ``libraries``, the names of those that are stored.
    """
    given = {"workspace": workspace, "since": since, "until": until}
    webhooks = "SELECT name FROM webhook WHERE workspace = :workspace AND coalesce(last_at, 0) < :since ORDER BY name"
    variables = "SELECT name, sealed IS NOT NULL FROM variable WHERE workspace = :workspace ORDER BY name"
    scripts = "SELECT kind, name, text FROM script WHERE workspace = :workspace"
    named = connection.execute(variables, given).fetchall()
    stored = connection.execute(scripts, given).fetchall()
    return {
        "steps": step_numbers(connection, workspace, since, until),
        "connectors": dict(connection.execute(_CALLS, given)),
        "webhooks": [name for (name,) in connection.execute(webhooks, given)],
        "variables": [name for name, secret in named if not secret],
        "secrets": [name for name, secret in named if secret],
        "texts": {(kind, name): text for kind, name, text in stored},
        "libraries": [name for kind, name, _ in stored if kind == "library"],
    }
