"""Which of many conditions match: an index whose cost follows what matches, not how many conditions there are.

Data is first turned into the set of *facts* that it shows (``facts``), small numbers for what conditions ask for. A
discrimination tree then finds the candidates: each node files every condition under the most selective of its key sets
(``keys``) that is not used above it, so that data only comes across conditions with whose keys it agrees. A candidate
passes its gate, a few set operations on facts; what facts cannot decide (regexes, predicates, models, several leaves on
one element of an array) is judged by its compiled form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aloma_py.conditions.condition import Condition
from aloma_py.conditions.facts import FactMap
from aloma_py.conditions.keys import KeySet, Place, Plan, Range, whole_plan
from aloma_py.conditions.pattern import has_computed
from aloma_py.models import Json
from aloma_py.paths import Path

_FEW: Final = 10
"""Up to so many conditions are simply judged: that is faster than looking them up."""

_BUCKET: Final = 2
_DEEPEST: Final = 10
_MOST_COPIES: Final = 64
"""A condition under several keys is in several branches; so many of them at most, over all levels."""


class ConditionIndex:
    """An index over a sequence of conditions; the answers are positions in it. Immutable, and safe to share."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.conditions = tuple(conditions)
        self._tests = [one.test for one in self.conditions]
        self._readers = _Readers(self.conditions)
        self._filed: _Filed | None = _Filed(self.conditions) if len(self.conditions) > _FEW else None

    def __len__(self) -> int:
        return len(self.conditions)

    def match(self, data: Json) -> set[int]:
        """The positions of all conditions that match."""
        if self._filed is not None:
            return self._filed.match(data)
        return {at for at, test in enumerate(self._tests) if test(data)}

    def rematch(self, data: Json, before: Collection[int], changed: Iterable[Path]) -> set[int]:
        """The same as :meth:`match`, given what matched ``before`` and the paths that have ``changed`` since.

        Only conditions that look at a changed path are judged; the others are as they were.
        """
        groups = self._readers.groups(changed)
        if not groups:
            return set(before)
        kept = {at for at in before if not any(at in group for group in groups)}
        if self._filed is None or sum(map(len, groups)) <= _FEW:
            tests = self._tests
            return kept.union(at for at in set().union(*groups) if tests[at](data))
        return kept | self._filed.match(data, groups)

    def looking_at(self, changed: Iterable[Path]) -> set[int]:
        """The positions of the conditions that look at any of these paths, or at a part or the whole of one."""
        return set().union(*self._readers.groups(changed))


@dataclass(slots=True)
class _Node:
    """``below``: by the number of a fact, what to look at next where the data shows it; ``rest``: always candidates."""

    below: dict[int, _Node | list[int]] = field(default_factory=dict)
    rest: list[int] = field(default_factory=list)


class _Gate(NamedTuple):
    """What the facts have to be before a condition is judged; ``test`` is ``None`` where that decides it.

    All tuples, because there are many gates and data comes across a few here and there: the less memory each of them
    takes, the more of them are in the processor's caches. That counts more than what is done with them.
    """

    every: tuple[int, ...]  # all of these facts
    some: tuple[tuple[int, ...], ...]  # of each of these at least one
    never: tuple[int, ...]  # none of these
    test: Callable[[Json], bool] | None


class _Filed:
    """Conditions filed in a discrimination tree, with the gate of each."""

    __slots__ = ("_facts", "_gates", "_tree")

    def __init__(self, conditions: Sequence[Condition]) -> None:
        plans = [Plan() if has_computed(one.pattern) else whole_plan(one.pattern) for one in conditions]
        self._facts = FactMap(fact for one in plans for keys in (*one.sets, one.never) for fact in keys)
        choices = [[_choice(keys, self._facts) for keys in one.sets] for one in plans]
        self._gates = [
            _gate(one, mine, self._facts, condition.test)
            for one, mine, condition in zip(plans, choices, conditions, strict=True)
        ]
        self._tree = _node([_Entry(at, mine) for at, mine in enumerate(choices)], 0)

    def match(self, data: Json, groups: Sequence[set[int]] | None = None) -> set[int]:
        """The positions that match; with ``groups`` only those that are in one of these sets."""
        shown = self._facts.shown(data)
        matched: set[int] = set()
        gates = self._gates
        for at in self.candidates(shown):
            every, some, never, test = gates[at]
            if (
                shown.issuperset(every)
                and not (never and not shown.isdisjoint(never))
                and not (some and any(map(shown.isdisjoint, some)))
                and (groups is None or any(at in group for group in groups))
                and (test is None or test(data))
            ):
                matched.add(at)
        return matched

    def candidates(self, shown: set[int]) -> set[int]:
        """Positions among which are all that match data with these facts."""
        found: list[int] = []
        nodes = [self._tree]
        while nodes:
            node = nodes.pop()
            found += node.rest
            for fact in node.below.keys() & shown:
                below = node.below[fact]
                if isinstance(below, list):
                    found += below
                else:
                    nodes.append(below)
        return set(found)


@dataclass(slots=True)
class _Choice:
    """A key set as the tree uses it. For a range: its scale, and how much of that it covers."""

    numbers: tuple[int, ...]
    scale: tuple[Place, str] | None = None
    share: float = 0


@dataclass(slots=True)
class _Entry:
    """A condition on its way down the tree: the key sets that are left, and in how many branches it is."""

    position: int
    choices: list[_Choice]
    copies: int = 1


def _choice(keys: KeySet, facts: FactMap) -> _Choice:
    numbers = tuple(number for fact in keys for number in facts.numbers(fact))
    if len(keys) == 1 and isinstance(keys[0].key, Range):
        return _Choice(numbers, (keys[0].path, keys[0].aspect), facts.share(keys[0]))
    return _Choice(numbers)


def _gate(of: Plan, choices: Iterable[_Choice], facts: FactMap, test: Callable[[Json], bool]) -> _Gate:
    return _Gate(
        tuple(one.numbers[0] for one in choices if len(one.numbers) == 1),
        tuple(one.numbers for one in choices if len(one.numbers) != 1),
        tuple(number for fact in of.never for number in facts.numbers(fact)),
        None if of.exact else test,
    )


def _node(entries: list[_Entry], depth: int) -> _Node:
    node = _Node()
    cost = _costs(entries)
    filed: dict[int, list[_Entry]] = {}
    for entry in entries:
        usable = [one for one in entry.choices if entry.copies * len(one.numbers) <= _MOST_COPIES]
        if not usable:
            node.rest.append(entry.position)
            continue
        chosen = min(usable, key=cost)
        left = [one for one in entry.choices if one is not chosen]
        below = _Entry(entry.position, left, entry.copies * max(1, len(chosen.numbers)))
        for number in chosen.numbers:
            filed.setdefault(number, []).append(below)
    node.below = {number: _branch(found, depth + 1) for number, found in filed.items()}
    return node


def _branch(entries: list[_Entry], depth: int) -> _Node | list[int]:
    if len(entries) <= _BUCKET or depth >= _DEEPEST or not any(entry.choices for entry in entries):
        return [entry.position for entry in entries]
    return _node(entries, depth)


def _costs(entries: list[_Entry]) -> Callable[[_Choice], float]:
    """How many conditions data comes across, about, that shows a fact of a choice: fewer is better."""
    by_number: Counter[int] = Counter()
    by_scale: Counter[tuple[Place, str]] = Counter()
    for entry in entries:
        for choice in entry.choices:
            if choice.scale is None:
                by_number.update(choice.numbers)
            else:
                by_scale[choice.scale] += 1

    def cost(choice: _Choice) -> float:
        if choice.scale is not None:
            return choice.share * by_scale[choice.scale]
        return max((by_number[number] for number in choice.numbers), default=0)

    return cost


class _Readers:
    """Which conditions look at a path, found along a trie of all paths that conditions look at."""

    __slots__ = ("_root",)

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._root = _Reader()
        for at, condition in enumerate(conditions):
            for path in condition.paths:
                reader = self._root
                reader.below.add(at)
                for part in path:
                    reader = reader.parts.setdefault(str(part), _Reader())
                    reader.below.add(at)
                reader.here.add(at)

    def groups(self, changed: Iterable[Path]) -> list[set[int]]:
        """Sets of positions, which may overlap, of all conditions that look at one of the paths."""
        found: dict[int, set[int]] = {}
        for path in changed:
            reader: _Reader | None = self._root
            for part in path:
                assert reader is not None
                if reader.here:
                    found[id(reader.here)] = reader.here
                reader = reader.parts.get(str(part))
                if reader is None:
                    break
            else:
                assert reader is not None
                found[id(reader.below)] = reader.below
        return list(found.values())


class _Reader:
    """``here``: positions of conditions that look at this very path; ``below``: at it or at something inside it."""

    __slots__ = ("below", "here", "parts")

    def __init__(self) -> None:
        self.here: set[int] = set()
        self.below: set[int] = set()
        self.parts: dict[str, _Reader] = {}
