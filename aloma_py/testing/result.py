"""What came of a scenario: as a record, as JSON, and as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aloma_py.changes import describe
from aloma_py.models import Entry, Json
from aloma_py.outcome import Outcome, outcome_to_json
from aloma_py.steps import StepSet
from aloma_py.testing.fakes import FakeCall


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """A scenario that was run, or (``outcome`` is ``None``) could not be. It passed where there are no failures.

    ``name`` is ``None`` where the file itself, or the name, could not be read.
    """

    file: str
    name: str | None
    failures: tuple[str, ...] = ()
    outcome: Outcome | None = None
    calls: tuple[FakeCall, ...] = ()  # of the task and its subtasks, in the order made
    step_set: StepSet | None = None
    seconds: float = 0.0
    line: int | None = None  # where the scenario begins in its file

    @property
    def passed(self) -> bool:
        return not self.failures

    @property
    def title(self) -> str:
        return f"{self.file}: {self.name}" if self.name else self.file

    def to_json(self) -> dict[str, Json]:
        """The line that is printed for it: the same keys whatever came of it; ``task`` is null where it did not run."""
        shown: dict[str, Any] = {
            "file": self.file,
            "name": self.name,
            "passed": self.passed,
            "failures": list(self.failures),
            "task": None,
            "runs": [],
            "history": [],
            "calls": [],
            "audit": [],
            "visualizations": [],
            "subtasks": [],
        }
        if self.outcome is not None:
            shown |= outcome_to_json(self.outcome)
            shown["calls"] = [call.to_json() for call in self.calls]
        return shown

    def timeline(self) -> list[str]:
        """What happened to the task, a line for each run, change, line of the log, and error."""
        return [] if self.outcome is None else list(_timeline(self.outcome))


def _timeline(outcome: Outcome) -> Iterator[str]:
    for entry in outcome.entries:
        yield _heading(entry)
        for change in entry.changes:
            yield f"    {describe(change)}"
        for effect in entry.effects:
            yield f"    {effect}"
        for conflict in entry.conflicts:
            place = ".".join(map(str, conflict.path))
            yield f"    conflict at {place}: {conflict.won!r} won over {conflict.lost!r}"
        for line in entry.logs:
            yield f"    [{line.level}] {line.text}"
        if entry.error is not None:
            yield f"    {entry.error.type}: {entry.error.message}"
    for child in outcome.subtasks:
        yield f"subtask {child.task.name!r}: {child.state.value} ({child.task.reason})"
    yield f"{outcome.state.value}: {outcome.reason}"


def _heading(entry: Entry) -> str:
    if entry.kind != "run":
        return f"{entry.n:>3}  {entry.kind}"
    attempt = f", attempt {entry.attempt}" if entry.attempt > 1 else ""
    return f"{entry.n:>3}  {entry.step}: {entry.outcome} (wave {entry.wave}{attempt})"
