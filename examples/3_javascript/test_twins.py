"""The two workspaces are twins: what happens to a task in one of them happens to it in the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from aloma_py import Outcome, Workspace
from aloma_py.testing import ScenarioResult, run_files

HERE = Path(__file__).resolve().parent
LANGUAGES = ("javascript", "python")


def steps_of(language: str) -> Workspace:
    return Workspace.load(HERE / language / "steps", libraries={"scoring": HERE / language / "library"})


def seen_of(outcome: Outcome) -> dict[str, Any]:
    """What of a task must be the same in both languages; ids and times are not."""
    return {
        "name": outcome.task.name,
        "tags": outcome.task.tags,
        "state": outcome.state,
        "reason": outcome.reason,
        "data": outcome.data,
        "result": outcome.result,
        "steps": outcome.steps,
        "errors": outcome.errors,
        "logs": [(line.level, line.text) for line in outcome.logs],
        "audit": [(entry.kind, entry.text, entry.details) for entry in outcome.audit],
        "conflicts": outcome.conflicts,
        "subtasks": sorted((seen_of(child) for child in outcome.subtasks), key=lambda seen: str(seen["name"])),
    }


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str | None, ScenarioResult]]:
    return {one: {result.name: result for result in run_files([HERE / one])} for one in LANGUAGES}


def test_every_scenario_passes_in_both(results: dict[str, dict[str | None, ScenarioResult]]) -> None:
    failed = [(one, name, r.failures) for one in LANGUAGES for name, r in results[one].items() if not r.passed]
    assert failed == []
    assert list(results["javascript"]) == list(results["python"]) != []


def test_a_task_ends_with_the_same_data_history_and_subtasks(
    results: dict[str, dict[str | None, ScenarioResult]],
) -> None:
    for name, javascript in results["javascript"].items():
        python = results["python"][name]
        assert javascript.outcome is not None
        assert python.outcome is not None
        assert seen_of(javascript.outcome) == seen_of(python.outcome), name
        calls = [
            sorted((f"{call.connector}.{call.method}", str(call.arguments)) for call in r.calls)
            for r in (javascript, python)
        ]
        assert calls[0] == calls[1], name


def test_the_steps_have_the_same_names_order_and_weight() -> None:
    weights = [
        [(step.name, step.priority, step.condition.specificity, step.retries) for step in steps_of(one).steps]
        for one in LANGUAGES
    ]
    assert weights[0] == weights[1]


def test_every_step_says_what_it_is_for_and_in_the_same_words() -> None:
    def words(text: str) -> list[str]:
        return re.findall(r"\w+", text.replace("wait_for", "waitFor"))

    javascript, python = (steps_of(one).steps for one in LANGUAGES)
    for one, other in zip(javascript, python, strict=True):
        assert words(one.description) == words(other.description) != [], one.name


def test_the_readme_has_a_row_for_every_file() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (HERE / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for language in LANGUAGES:
        assert {file.stem for file in (HERE / language / "steps").glob("[a-z]*.*")} == set(rows)
