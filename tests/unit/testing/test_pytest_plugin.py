"""pytest collects scenario files, as a user's own pytest does."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

STEPS = """
from aloma_py import step


@step(condition={"a": 1})
def one(data, log):
    log.info("one was here")
    data.a = 2


@step(condition={"b": 1})
def other(data): ...
"""

SCENARIOS = """
steps: [steps/]
scenarios:
  - {name: good, task: {a: 1}, expect: {state: done}}
  - {name: not good, task: {a: 1}, expect: {state: error}}
  - {name: bad, task: {a: 1}, expcet: {}}
"""


def run_pytest(folder: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The user's pytest, in a process of its own, with warnings as errors."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *arguments],
        cwd=folder.path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_every_scenario_is_a_test(folder: Any) -> None:
    # Given a folder with scenarios of all kinds, and a file that is none
    folder.write("steps/orders.py", STEPS)
    folder.write("a.scenario.yaml", SCENARIOS)
    folder.write("b.scenario.yaml", "scenarios: []")

    # When pytest runs there
    ran = run_pytest(folder, "-rA", "--continue-on-collection-errors")

    # Then the good one passes, the others tell why not, without the frames of the runner
    assert "PASSED a.scenario.yaml::good" in ran.stdout
    assert "state: expected error, but it is done (no more steps match)" in ran.stdout
    assert "what happened:\n  1  one: ok (wave 1)\n    a = 2\n    [info] one was here\ndone: no more" in ran.stdout
    assert "a.scenario.yaml:5: scenarios.2: there is no key 'expcet' here; did you mean 'expect'?" in ran.stdout
    assert "b.scenario.yaml:1: the key 'steps' is missing" in ran.stdout
    assert "Traceback" not in ran.stdout
    assert "runner.py" not in ran.stdout
    assert "steps that no scenario ran: other (more with --aloma-coverage)" in ran.stdout
    assert "1 passed" in ran.stdout
    assert ran.returncode == 1


def test_a_test_is_picked_by_its_id_and_coverage_is_told(folder: Any) -> None:
    folder.write("steps/orders.py", STEPS)
    folder.write("a.scenario.yaml", SCENARIOS)
    ran = run_pytest(folder, "a.scenario.yaml::good", "--aloma-coverage", "-q")
    assert "1 passed" in ran.stdout
    assert "1 of 2 steps ran; of 2 leaves of their conditions 1 held and 2 did not hold at some time" in ran.stdout
    assert "never held:\n  other: b: equal to 1" in ran.stdout
    assert ran.returncode == 0


def test_steps_that_cannot_be_loaded(folder: Any) -> None:
    folder.write("steps/orders.py", "import nothing_of_that_name\n")
    folder.write("a.scenario.yaml", "steps: [steps/]\nscenarios: [{name: it, task: {}}]")
    ran = run_pytest(folder)
    assert "orders.py:1: ModuleNotFoundError: No module named 'nothing_of_that_name'" in ran.stdout
    assert ran.returncode == 1


def test_without_scenario_files_nothing_is_said_and_little_is_imported(folder: Any) -> None:
    folder.write(
        "test_any.py",
        """
        import sys

        def test_it():
            assert "ruamel.yaml" not in sys.modules
            assert not any(name.startswith("aloma_py.testing.") for name in sys.modules
                           if name != "aloma_py.testing.pytest_plugin")
        """,
    )
    ran = run_pytest(folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "no scenario ran" not in ran.stdout
