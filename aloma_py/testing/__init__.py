"""The testing kit: scenarios in files, fake connectors and a virtual clock.

::

    fakes = FakeConnectors([{"call": "crm.find", "return": {"id": 7}}])
    outcome = await workspace.run({"mail": "ada@example.org"}, connectors=fakes.registry(), clock=VirtualClock())

Names are imported when they are asked for: pytest loads this package in every project, tests of steps or not.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aloma_py.clock import VirtualClock
    from aloma_py.testing.coverage import Coverage, CoverageReport
    from aloma_py.testing.fakes import FakeCall, FakeConnectors, UnexpectedCall
    from aloma_py.testing.junit import junit_xml, write_junit
    from aloma_py.testing.result import ScenarioResult
    from aloma_py.testing.rules import Rule, read_rules
    from aloma_py.testing.runner import find_files, run_file, run_files, run_scenario
    from aloma_py.testing.scenario import Scenario, load_scenarios

_HOMES = {
    "Coverage": "aloma_py.testing.coverage",
    "CoverageReport": "aloma_py.testing.coverage",
    "FakeCall": "aloma_py.testing.fakes",
    "FakeConnectors": "aloma_py.testing.fakes",
    "Rule": "aloma_py.testing.rules",
    "Scenario": "aloma_py.testing.scenario",
    "ScenarioResult": "aloma_py.testing.result",
    "UnexpectedCall": "aloma_py.testing.fakes",
    "VirtualClock": "aloma_py.clock",
    "find_files": "aloma_py.testing.runner",
    "junit_xml": "aloma_py.testing.junit",
    "load_scenarios": "aloma_py.testing.scenario",
    "read_rules": "aloma_py.testing.rules",
    "run_file": "aloma_py.testing.runner",
    "run_files": "aloma_py.testing.runner",
    "run_scenario": "aloma_py.testing.runner",
    "write_junit": "aloma_py.testing.junit",
}

__all__ = [
    "Coverage",
    "CoverageReport",
    "FakeCall",
    "FakeConnectors",
    "Rule",
    "Scenario",
    "ScenarioResult",
    "UnexpectedCall",
    "VirtualClock",
    "find_files",
    "junit_xml",
    "load_scenarios",
    "read_rules",
    "run_file",
    "run_files",
    "run_scenario",
    "write_junit",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
