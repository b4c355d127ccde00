"""Conditional automation in Python: steps that run when a task's data matches their condition.

::

    from aloma_py import Workspace, step

    @step(condition={"order": {"status": "new"}})
    async def validate(data, log):
        data.order.status = "valid" if data.order.items else "invalid"

    outcome = await Workspace("orders", [validate]).run({"order": {"status": "new", "items": ["A-1"]}})
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aloma_py.conditions import (
        all_of,
        any_of,
        eq,
        exists,
        gt,
        gte,
        has,
        lt,
        lte,
        matches,
        ne,
        none_of,
        not_,
        one_of,
    )
    from aloma_py.conditions.explain import explain
    from aloma_py.errors import AlomaError, CallError
    from aloma_py.models import Limits, TaskState
    from aloma_py.outcome import Outcome
    from aloma_py.run.handles import TaskHandle as Task
    from aloma_py.steps import Step, step
    from aloma_py.workspace import Workspace

__version__ = "0.1.0"

__all__ = [
    "AlomaError",
    "CallError",
    "Limits",
    "Outcome",
    "Step",
    "Task",
    "TaskState",
    "Workspace",
    "__version__",
    "all_of",
    "any_of",
    "eq",
    "exists",
    "explain",
    "gt",
    "gte",
    "has",
    "lt",
    "lte",
    "matches",
    "ne",
    "none_of",
    "not_",
    "one_of",
    "step",
]

# A worker process, and a command that only prints its version, need not load everything: each name is imported when it
# is first used.
_WHERE = {
    "all_of": "aloma_py.conditions",
    "any_of": "aloma_py.conditions",
    "eq": "aloma_py.conditions",
    "exists": "aloma_py.conditions",
    "explain": "aloma_py.conditions",
    "gt": "aloma_py.conditions",
    "gte": "aloma_py.conditions",
    "has": "aloma_py.conditions",
    "lt": "aloma_py.conditions",
    "lte": "aloma_py.conditions",
    "matches": "aloma_py.conditions",
    "ne": "aloma_py.conditions",
    "none_of": "aloma_py.conditions",
    "not_": "aloma_py.conditions",
    "one_of": "aloma_py.conditions",
    "AlomaError": "aloma_py.errors",
    "CallError": "aloma_py.errors",
    "Limits": "aloma_py.models",
    "TaskState": "aloma_py.models",
    "Outcome": "aloma_py.outcome",
    "Task": "aloma_py.run.handles:TaskHandle",
    "Step": "aloma_py.steps",
    "step": "aloma_py.steps",
    "Workspace": "aloma_py.workspace",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, original = _WHERE[name].partition(":")
    value = globals()[name] = getattr(importlib.import_module(module), original or name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
