from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from aloma_py.steps import define, describe, step


class Order(BaseModel):
    status: str
    total: int


class Paid(BaseModel):
    order: Order


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    total: int


def test_a_step_is_shown_as_json() -> None:
    # Given a step with one place that cannot be followed
    @step(condition={"order": {"status": "new"}}, retries=2, retry_on=[ValueError, 503], rate="5/s", tags=["t"])
    async def validate(data: Any, task: Any) -> None:
        """Check the order."""
        data.order.status = data.order.next
        task.complete()

    shown = describe(define(validate))

    line = validate.location.line
    assert line is not None
    assert json.loads(json.dumps(shown)) == shown
    assert shown.pop("version") and shown.pop("condition")
    assert shown == {
        "name": "validate",
        "description": "Check the order.",
        "specificity": 1,
        "priority": 0,
        "parallel": "auto",
        "options": {
            "retries": 2,
            "backoff": 1000,
            "retry_on": ["ValueError", "503"],
            "timeout": None,
            "enabled": True,
            "tags": ["t"],
            "concurrency": None,
            "rate": {"count": 5, "per": 1000},
        },
        "language": "python",
        "async": True,
        "parameters": {"data": "data", "task": "task"},
        "location": {"file": __file__, "line": line},
        "looks_at": ["order.status"],
        "reads": ["order.next"],
        "writes": ["order.status"],
        "unknown": [
            {
                "line": line + 4,
                "code": "task.complete()",
                "reason": "it ends the task, which every other step would notice",
            }
        ],
    }


def test_a_model_parameter_reads_what_the_condition_looks_at() -> None:
    @step(condition=Paid)
    def ship(paid: Paid, data: Any) -> None:
        data.note = paid.order.status

    made = define(ship)

    assert made.parameters == {"paid": "model", "data": "data"}
    assert made.footprint.reads == made.condition.paths
    assert made.footprint.writes == {("note",)}


def test_a_model_with_free_members_reads_everything() -> None:
    @step(condition=Loose)
    def ship(loose: Loose) -> None: ...

    assert define(ship).footprint.reads == {()}
