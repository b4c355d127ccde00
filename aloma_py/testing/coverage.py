"""What no scenario reached: steps that never ran, leaves of conditions that were never seen to hold, or not to hold.

The conditions are judged on every state that the data of the tasks and their subtasks went through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import anyio

from aloma_py import jsontext
from aloma_py.changes import apply
from aloma_py.conditions import leaf_results
from aloma_py.connect.connector import Registry
from aloma_py.models import Json, Limits
from aloma_py.outcome import Outcome
from aloma_py.run.script import Scripts
from aloma_py.steps import StepDefinition
from aloma_py.testing.expect import family
from aloma_py.testing.result import ScenarioResult


@dataclass(frozen=True, slots=True)
class MissedLeaf:
    """A leaf of a step's condition, and where it looks."""

    step: str
    path: str
    expected: str

    def __str__(self) -> str:
        return f"{self.step}: {self.path or 'the data'}: {self.expected}"


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """What no scenario reached, of ``steps`` steps with ``leaves`` leaves in their conditions."""

    steps: int
    leaves: int
    never_ran: tuple[tuple[str, str], ...]  # (step, where it was written)
    never_held: tuple[MissedLeaf, ...]
    never_failed: tuple[MissedLeaf, ...]  # never seen not to hold

    @property
    def complete(self) -> bool:
        """Whether every step ran and every leaf held at some time."""
        return not self.never_ran and not self.never_held

    def lines(self) -> list[str]:
        """The report for people."""
        ran, held = self.steps - len(self.never_ran), self.leaves - len(self.never_held)
        failed = self.leaves - len(self.never_failed)
        text = [
            f"{ran} of {self.steps} steps ran; of {self.leaves} leaves of their conditions "
            f"{held} held and {failed} did not hold at some time"
        ]
        for heading, things in (
            ("never ran", [f"{name} ({place})" for name, place in self.never_ran]),
            ("never held", [str(leaf) for leaf in self.never_held]),
            ("never seen not to hold", [str(leaf) for leaf in self.never_failed]),
        ):
            if things:
                text += [f"{heading}:", *(f"  {thing}" for thing in things)]
        return text

    def to_json(self) -> dict[str, Json]:
        return {
            "steps": self.steps,
            "leaves": self.leaves,
            "never_ran": [{"step": name, "location": place} for name, place in self.never_ran],
            "never_held": [_leaf_to_json(leaf) for leaf in self.never_held],
            "never_failed": [_leaf_to_json(leaf) for leaf in self.never_failed],
        }


def _leaf_to_json(leaf: MissedLeaf) -> dict[str, Json]:
    return {"step": leaf.step, "path": leaf.path, "expected": leaf.expected}


@dataclass(slots=True)
class _Seen:
    """What was seen of one step."""

    step: StepDefinition
    ran: bool = False
    held: list[bool] = field(default_factory=list)
    failed: list[bool] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return all(self.held) and all(self.failed)

    def judge(self, data: Json) -> list[bool]:
        return list(leaf_results(self.step.condition, data))

    def take(self, results: Iterable[bool]) -> None:
        for n, held in enumerate(results):
            if held:
                self.held[n] = True
            else:
                self.failed[n] = True


class Coverage:
    """Collects what scenarios reached: :meth:`add` each result, then ask for the :meth:`report`.

    A step that several scenario files load counts once. Disabled steps do not count. Conditions in JavaScript are
    judged when the report is asked for, all with one worker; so that must not be inside an event loop.
    """

    def __init__(self, results: Iterable[ScenarioResult] = ()) -> None:
        self._seen: dict[tuple[str, str, str], _Seen] = {}
        self._states: set[tuple[int, str]] = set()  # what the steps of each set were judged on
        self._sets: dict[tuple[tuple[str, str, str], ...], int] = {}
        self._later: list[tuple[_Seen, Json]] = []
        for result in results:
            self.add(result)

    def add(self, result: ScenarioResult) -> None:
        """Take in one result; one that did not run reached nothing."""
        if result.step_set is None or result.outcome is None:
            return
        steps = {_key(step): step for step in result.step_set.steps if step.enabled}
        number = self._sets.setdefault(tuple(steps), len(self._sets))
        seen = []
        for key, step in steps.items():
            if key not in self._seen:
                size = len(step.condition.leaves)
                self._seen[key] = _Seen(step, held=[False] * size, failed=[False] * size)
            seen.append(self._seen[key])
        for one in family(result.outcome):
            ran = set(one.steps)
            for each in seen:
                each.ran = each.ran or each.step.name in ran
            for data in states(one):
                known = (number, jsontext.dumps(data))
                if known not in self._states:
                    self._states.add(known)
                    for each in seen:
                        if each.step.script is not None:
                            self._later.append((each, data))
                        elif not each.complete:
                            each.take(each.judge(data))

    def report(self) -> CoverageReport:
        later, self._later = self._later, []
        if later:
            anyio.run(_judge_scripts, later)
        seen = list(self._seen.values())
        return CoverageReport(
            steps=len(seen),
            leaves=sum(len(one.held) for one in seen),
            never_ran=tuple((one.step.name, str(one.step.location)) for one in seen if not one.ran),
            never_held=tuple(_missed((one.step, one.held) for one in seen)),
            never_failed=tuple(_missed((one.step, one.failed) for one in seen)),
        )


async def _judge_scripts(later: Iterable[tuple[_Seen, Json]]) -> None:
    scripts = Scripts("coverage", Registry(), Limits())
    async with scripts.pool.running():
        for seen, data in later:
            if not seen.complete:
                seen.take(await scripts.settle(partial(seen.judge, data)))


def _key(step: StepDefinition) -> tuple[str, str, str]:
    return str(step.location), step.name, step.version


def _missed(seen: Iterable[tuple[StepDefinition, list[bool]]]) -> Iterator[MissedLeaf]:
    for step, flags in seen:
        for leaf, flag in zip(step.condition.leaves, flags, strict=True):
            if not flag:
                yield MissedLeaf(step.name, leaf.path, leaf.expected)


def states(outcome: Outcome) -> Iterator[Json]:
    """Every state that the task's data was in: as it was accepted, and after each line of its history."""
    data: Json = outcome.task.initial
    yield data
    for entry in outcome.entries:
        if entry.changes:
            data = apply(data, entry.changes)
            yield data
