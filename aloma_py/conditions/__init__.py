"""Conditions: patterns over a task's data (SPEC §2).

A condition may be written as a Python literal, with helpers, or as a pydantic model. :func:`compile_condition` reads
all of them into one representation, which is judged, indexed, explained and shown.
"""

from aloma_py.conditions.condition import Condition, Leaf, compile_condition, condition_of
from aloma_py.conditions.explain import ExplainRow, Explanation, explain, leaf_results
from aloma_py.conditions.helpers import (
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
from aloma_py.conditions.index import ConditionIndex
from aloma_py.conditions.naive import naive_match

__all__ = [
    "Condition",
    "ConditionIndex",
    "ExplainRow",
    "Explanation",
    "Leaf",
    "all_of",
    "any_of",
    "compile_condition",
    "condition_of",
    "eq",
    "exists",
    "explain",
    "gt",
    "gte",
    "has",
    "leaf_results",
    "lt",
    "lte",
    "matches",
    "naive_match",
    "ne",
    "none_of",
    "not_",
    "one_of",
]
