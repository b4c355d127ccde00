"""Conditional automation in Python: steps that run when a task's data matches their condition.

::

    from aloma_py import Workspace, step

    @step(condition={"order": {"status": "new"}})
    async def validate(data, log):
        data.order.status = "valid" if data.order.items else "invalid"

    outcome = await Workspace("orders", [validate]).run({"order": {"status": "new", "items": ["A-1"]}})
"""

from aloma_py.conditions import (
    all_of,
    any_of,
    eq,
    exists,
    explain,
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
