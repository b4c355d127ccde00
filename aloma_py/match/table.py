"""The steps of a workspace in the order in which they are tried, with their index."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import Any

from aloma_py.conditions import ConditionIndex
from aloma_py.errors import NotFoundError
from aloma_py.paths import Path, overlaps
from aloma_py.steps.definition import StepDefinition


class StepTable:
    """Steps by *rank*: priority, then specificity, then creation (SPEC §3.4). Rank 0 is tried first.

    ``steps`` are given in the order of creation. Disabled ones keep their place in :attr:`all` and have no rank.
    Everywhere else a step is named by its rank.
    """

    def __init__(self, steps: Sequence[StepDefinition]) -> None:
        self.all = tuple(steps)
        # Sorting keeps the order of creation among equals.
        self.ranked: tuple[StepDefinition, ...] = tuple(
            sorted(
                (step for step in steps if step.enabled),
                key=lambda step: (-step.priority, -step.condition.specificity),
            )
        )
        self.rank_of = {step.name: rank for rank, step in enumerate(self.ranked)}
        self.has_scripts = any(step.script is not None for step in self.ranked)
        self._independent: dict[tuple[int, int], bool] = {}

    def __len__(self) -> int:
        return len(self.ranked)

    @cached_property
    def index(self) -> ConditionIndex:
        return ConditionIndex([step.condition for step in self.ranked])

    def named(self, name: str) -> StepDefinition:
        """The step of that name, disabled or not, or :class:`NotFoundError`."""
        for step in self.all:
            if step.name == name:
                return step
        raise NotFoundError("step", name, [step.name for step in self.all])

    def match(self, data: Any) -> set[int]:
        return self.index.match(data)

    def rematch(self, data: Any, before: Collection[int], changed: Iterable[Path]) -> set[int]:
        return self.index.rematch(data, before, changed)

    def looking_at(self, changed: Iterable[Path]) -> set[int]:
        """The steps whose condition looks at any of these paths."""
        return self.index.looking_at(changed)

    def writes(self, rank: int) -> frozenset[Path]:
        """What a run of the step may change: what its code writes, and its error."""
        step = self.ranked[rank]
        return step.footprint.writes | {("$errors", step.name)}

    def independent(self, one: int, other: int) -> bool:
        """Whether neither may write what the other may read or write (Bernstein's conditions, SPEC §3.5)."""
        key = (one, other) if one < other else (other, one)
        found = self._independent.get(key)
        if found is None:
            found = self._independent[key] = self._judge(*key)
        return found

    def _judge(self, one: int, other: int) -> bool:
        a, b = self.ranked[one], self.ranked[other]
        if a.footprint.everything or b.footprint.everything:
            return False
        a_reads = a.condition.paths | a.footprint.reads
        b_reads = b.condition.paths | b.footprint.reads
        a_writes, b_writes = self.writes(one), self.writes(other)
        return not (meet(a_writes, b_reads | b_writes) or meet(b_writes, a_reads))


def meet(some: Iterable[Path], others: Collection[Path]) -> bool:
    """Whether a change at one of ``some`` may be seen at one of ``others``."""
    return any(overlaps(path, other) for path in some for other in others)
