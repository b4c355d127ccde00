"""The names that aloma_py exports are a promise: they change here and in the documentation first."""

from __future__ import annotations

import re
from pathlib import Path

import aloma_py
import aloma_py.testing

STEPS_PAGE = Path(__file__).resolve().parents[2] / "docs" / "steps.md"

PUBLIC = [
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


def test_what_is_exported_is_what_was_promised() -> None:
    assert aloma_py.__all__ == PUBLIC == sorted(PUBLIC)


def test_every_name_is_there() -> None:
    for module in (aloma_py, aloma_py.testing):
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_the_documentation_lists_the_same_names() -> None:
    section = STEPS_PAGE.read_text(encoding="utf-8").partition("## What `aloma_py` exports")[2]
    cells = re.findall(r"^\| (.+?) \|", section, flags=re.MULTILINE)
    names = {name for cell in cells for code in re.findall(r"`([^`]+)`", cell) for name in code.split()}
    assert names == set(PUBLIC)


def test_the_testing_kit_is_sorted() -> None:
    assert aloma_py.testing.__all__ == sorted(aloma_py.testing.__all__)
