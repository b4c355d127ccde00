"""Which of the eligible steps run together (SPEC §3.4, §3.5).

The result must be that of running one step after another, best match first, matching again after each. So a step may
join the first one's wave only if nothing that would have run before it, one after another, could tell the difference:
neither the steps ahead of it, in the wave or left out of it, nor steps that those could make eligible and that rank
ahead of it. Those then run after it, where they would have run before: so what it makes eligible must not rank ahead of
them either. And no step that is spent may miss being seen not to match between two of the wave's runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from aloma_py.conditions.possible import could_match
from aloma_py.match.table import StepTable
from aloma_py.paths import Path, get


def choose_wave(
    table: StepTable, eligible: Sequence[int], spent: Collection[int], data: Any, *, parallel: bool = True
) -> tuple[int, ...]:
    """The steps of the next wave, by rank, in order. ``eligible`` is not empty and in order; the first is always in.

    ``spent`` are the steps that match but have run; ``data`` is what all of them matched.
    """
    first = table.ranked[eligible[0]]
    if len(eligible) == 1 or first.parallel == "never" or not parallel:
        return (eligible[0],)
    wave = [eligible[0]]
    ahead = _Ahead(table, data, eligible[0])
    for rank in eligible[1:]:
        step = table.ranked[rank]
        if step.parallel == "always" or (step.parallel == "auto" and ahead.allows(rank, spent)):
            wave.append(rank)
            ahead.add(rank)
        else:
            ahead.leave_out(rank)
        if ahead.everything and not any(table.ranked[later].parallel == "always" for later in eligible):
            break
    return tuple(wave)


class _Ahead:
    """The steps that could run before a candidate if one ran after another."""

    def __init__(self, table: StepTable, data: Any, first: int) -> None:
        self.table = table
        self.data = data
        self._changes: dict[int, tuple[set[Path], set[int]]] = {}
        self.certain: list[int] = []  # the wave, and the eligible ones that were left out of it
        self.left_out: list[int] = []
        self.everything = False  # one of them may write anything
        self.add(first)

    def add(self, rank: int) -> None:
        self.certain.append(rank)
        step = self.table.ranked[rank]
        # "always" says: its code does not get in the way of others, whatever it looks like.
        self.everything |= step.footprint.everything and step.parallel != "always"

    def leave_out(self, rank: int) -> None:
        self.left_out.append(rank)
        self.add(rank)

    def allows(self, rank: int, spent: Collection[int]) -> bool:
        if self.everything or self.table.ranked[rank].footprint.everything:
            return False
        if not all(self._apart(rank, other) for other in self.certain):
            return False
        if not self._may_enable(rank).isdisjoint(self.certain) or any(
            rank in self._may_enable(other) for other in self.certain
        ):
            return False  # it makes an object that another's condition notices
        reached = self._reached(self.certain, rank, frozenset(self.certain), ())
        if not all(self._apart(rank, other) for other in reached):
            return False
        return self._may_overtake(rank, reached) and not self._hides_a_change(rank, reached, spent)

    def _apart(self, rank: int, other: int) -> bool:
        return self.table.ranked[other].parallel == "always" or self.table.independent(rank, other)

    def _may_overtake(self, rank: int, reached: set[int]) -> bool:
        """Whether the steps that would have run before it are the same to run after it as well.

        What it makes eligible must not rank ahead of one of them: it would run before it, where it would have run
        after. To a member of the wave that may run again (a retry, ``redo``) that happens too.
        """
        table = self.table
        again = (
            step
            for step in self.certain
            if table.ranked[step].retries or "step" in table.ranked[step].parameters.values()
        )
        before = {*self.certain, *reached, rank}
        return not any(
            self._reached([rank], overtaken, {rank, overtaken}, before - {overtaken})
            for overtaken in {*self.left_out, *reached, *again}
        )

    def _hides_a_change(self, rank: int, reached: set[int], spent: Collection[int]) -> bool:
        """Whether a spent step might have been seen not to match between this step and one that is ahead of it."""
        mine = self._may_enable(rank)
        return any(
            other in mine and any(other in self._may_enable(earlier) for earlier in (*self.certain, *reached))
            for other in spent
        )

    def _written(self, rank: int) -> set[Path]:
        """What a run of the step may change in this data."""
        return self._change(rank)[0]

    def _may_enable(self, rank: int) -> set[int]:
        """The steps whose condition looks at something that a run of this one may change in this data."""
        return self._change(rank)[1]

    def _change(self, rank: int) -> tuple[set[Path], set[int]]:
        found = self._changes.get(rank)
        if found is None:
            written = {self._made(path) for path in self.table.writes(rank)}
            found = self._changes[rank] = written, self.table.looking_at(written)
        return found

    def _made(self, path: Path) -> Path:
        """A write below an object that is not there makes that object, which a condition may notice."""
        for length in range(1, len(path)):
            if not isinstance(get(self.data, path[:length]), (dict, list)):
                return path[:length]
        return path

    def _reached(
        self, begin: Collection[int], rank: int, without: Collection[int], beside: Collection[int]
    ) -> set[int]:
        """The steps ranking ahead of ``rank`` that those of ``begin``, and those they reach, could make eligible.

        What stays as it is may rule a step out: one that waits for two results is not reached by one of them. The
        steps ``beside`` may change the data too.
        """
        reached: set[int] = set()
        grew = True
        while grew:
            sources = (*begin, *reached)
            written: set[Path] = set().union(*(self._written(source) for source in (*sources, *beside)))
            touched = set().union(*(self._may_enable(source) for source in sources))
            found = {
                other
                for other in touched.difference(reached, without)
                if other < rank and could_match(self.table.ranked[other].condition, self.data, written)
            }
            reached |= found
            grew = bool(found)
        return reached
