"""pytest collects ``*.scenario.yaml`` files: every scenario is a test.

``pytest --aloma-coverage`` also tells which leaves of conditions no scenario reached. pytest loads this module in
every project where aloma_py is installed, so it imports nothing of aloma_py before there is a scenario file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aloma_py.steps import StepSet
    from aloma_py.testing.coverage import Coverage
    from aloma_py.testing.result import ScenarioResult
    from aloma_py.testing.scenario import Scenario

SUFFIX = ".scenario.yaml"
_MOST = 10
"""How many steps that never ran are named without ``--aloma-coverage``."""

_coverage = pytest.StashKey["Coverage"]()


class ScenarioFailed(Exception):
    """A scenario was not as it expects; ``result`` says how."""

    def __init__(self, result: ScenarioResult) -> None:
        self.result = result
        super().__init__("; ".join(result.failures))


class ScenarioModule(pytest.File):
    """A scenario file. Its steps are loaded once, when the first of its scenarios is run."""

    _steps: StepSet | None = None

    def collect(self) -> Iterator[ScenarioItem]:
        from aloma_py.testing.scenario import load_scenarios

        for n, scenario in enumerate(load_scenarios(self.path, name=self.nodeid), 1):
            yield ScenarioItem.from_parent(self, name=scenario.name or f"scenario {n}", scenario=scenario)

    def steps(self, scenario: Scenario) -> StepSet:
        from aloma_py.testing.runner import load_file_steps

        if self._steps is None:
            self._steps = load_file_steps(scenario.file)
        return self._steps

    def teardown(self) -> None:
        if self._steps is not None:
            self._steps.unload()
            self._steps = None

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return _told(excinfo) or super().repr_failure(excinfo)


class ScenarioItem(pytest.Item):
    """One scenario."""

    def __init__(self, *, scenario: Scenario, **rest: Any) -> None:
        super().__init__(**rest)
        self.scenario = scenario

    def runtest(self) -> None:
        import anyio

        from aloma_py.testing.runner import run_scenario

        assert isinstance(self.parent, ScenarioModule)
        steps = None if self.scenario.problem else self.parent.steps(self.scenario)
        result = anyio.run(run_scenario, self.scenario, steps)
        coverage_of(self.config).add(result)
        if not result.passed:
            raise ScenarioFailed(result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return _told(excinfo) or super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        line = self.scenario.line
        return self.path, None if line is None else line - 1, self.name


def _told(excinfo: pytest.ExceptionInfo[BaseException]) -> str | None:
    """Failures as they are, without the frames of the runner; ``None`` for an error that nobody expected."""
    from aloma_py.errors import InputError

    if isinstance(excinfo.value, ScenarioFailed):
        result = excinfo.value.result
        return "\n".join([*result.failures, *(["", "what happened:", *result.timeline()] if result.outcome else [])])
    return str(excinfo.value) if isinstance(excinfo.value, InputError) else None


def coverage_of(config: pytest.Config) -> Coverage:
    """What the scenarios of this session reached so far."""
    from aloma_py.testing.coverage import Coverage

    if _coverage not in config.stash:
        config.stash[_coverage] = Coverage()
    return config.stash[_coverage]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("aloma_py")
    group.addoption(
        "--aloma-coverage",
        action="store_true",
        help="tell which steps and which leaves of their conditions no scenario reached",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioModule | None:
    if not file_path.name.endswith(SUFFIX):
        return None
    module: ScenarioModule = ScenarioModule.from_parent(parent, path=file_path)
    return module


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if _coverage not in config.stash:
        return
    report = config.stash[_coverage].report()
    if config.getoption("--aloma-coverage"):
        terminalreporter.section("what scenarios reached")
        for line in report.lines():
            terminalreporter.line(line)
    elif report.never_ran:
        names = [name for name, _ in report.never_ran[:_MOST]]
        more = len(report.never_ran) - len(names)
        text = f"{', '.join(names)}{f' and {more} more' if more else ''}"
        terminalreporter.line(f"steps that no scenario ran: {text} (more with --aloma-coverage)")
