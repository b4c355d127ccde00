"""What changed between two states of a task's data, and what several runs' changes make together. Pure.

A run's changes are the :func:`diff` of the data before and after it; a wave's are brought together by :func:`merge`;
the history is replayed with :func:`apply`.
"""

from aloma_py.changes.applying import apply
from aloma_py.changes.diffing import diff
from aloma_py.changes.merging import Merged, merge
from aloma_py.changes.records import (
    ChangeShown,
    change_from_json,
    change_to_dict,
    change_to_json,
    describe,
    describe_dict,
)
from aloma_py.changes.values import copy_json, same

__all__ = [
    "ChangeShown",
    "Merged",
    "apply",
    "change_from_json",
    "change_to_dict",
    "change_to_json",
    "copy_json",
    "describe",
    "describe_dict",
    "diff",
    "merge",
    "same",
]
