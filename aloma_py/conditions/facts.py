"""From data to the facts that it shows, along the places that the conditions of an index mention.

The cost follows the data and the places, whichever is less at each object; how many conditions there are is no matter.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from aloma_py.conditions.keys import FALSE, TRUE, Fact, Range, Scale
from aloma_py.conditions.pattern import ELEMENT, JSON_KINDS, kind_of
from aloma_py.models import Json


class _Ladder:
    """A scale whose nodes have numbers: what a value shows is one look-up after one bisection."""

    __slots__ = ("numbers", "scale", "shown")

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.numbers: dict[int, int] = {}
        self.shown: list[tuple[int, ...]] = []

    def settle(self) -> None:
        """Gather for every node its own number and those above it, once all ranges have theirs."""
        above: list[tuple[int, ...]] = [()]
        for node in range(1, 2 * self.scale.size):
            mine = (self.numbers[node],) if node in self.numbers else ()
            above.append(above[node >> 1] + mine if mine else above[node >> 1])
        self.shown = above[self.scale.size :]


class _Place:
    """A place in data that some fact mentions: the numbers of its facts, and the places below it."""

    __slots__ = ("element", "indexes", "kinds", "names", "number", "string", "values")

    def __init__(self) -> None:
        self.values: dict[Hashable, int] = {}
        self.kinds: dict[Hashable, int] = {}
        self.number: _Ladder | None = None
        self.string: _Ladder | None = None
        self.names: dict[str, _Place] = {}
        self.indexes: dict[int, _Place] = {}
        self.element: _Place | None = None

    def below(self, part: str | int) -> _Place:
        if part == ELEMENT:
            self.element = self.element or _Place()
            return self.element
        if isinstance(part, int):  # an element, or the member of that name
            return self.indexes.setdefault(part, self.names.setdefault(str(part), _Place()))
        return self.names.setdefault(part, _Place())


class FactMap:
    """Gives numbers to facts, and finds the numbers of those that data shows."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._root = _Place()
        self._count = 0
        ranges: dict[tuple[Any, str], list[Range]] = {}
        for fact in (facts := list(facts)):
            if isinstance(fact.key, Range):
                ranges.setdefault((fact.path, fact.aspect), []).append(fact.key)
        ladders = []
        for (path, aspect), found in ranges.items():
            ladders.append(_Ladder(Scale(found)))
            setattr(self._place(path), aspect, ladders[-1])
        for fact in facts:
            self.numbers(fact)
        for ladder in ladders:
            ladder.settle()

    def numbers(self, fact: Fact) -> tuple[int, ...]:
        """The number of a fact; for a range those of the nodes of the scale that make it up, perhaps none."""
        place = self._place(fact.path)
        if isinstance(fact.key, Range):
            ladder = self._ladder(fact)
            return tuple(self._number(ladder.numbers, node) for node in ladder.scale.cover(fact.key))
        return (self._number(place.values if fact.aspect == "value" else place.kinds, fact.key),)

    def share(self, fact: Fact) -> float:
        """For a range, the part of the scale that it covers."""
        assert isinstance(fact.key, Range)
        return self._ladder(fact).scale.share(fact.key)

    def shown(self, data: Json) -> set[int]:
        """The numbers of all facts that the data shows."""
        found: set[int] = set()
        _gather(self._root, data, found)
        return found

    def _ladder(self, fact: Fact) -> _Ladder:
        place = self._place(fact.path)
        ladder = place.number if fact.aspect == "number" else place.string
        assert ladder is not None
        return ladder

    def _place(self, path: Iterable[str | int]) -> _Place:
        place = self._root
        for part in path:
            place = place.below(part)
        return place

    def _number(self, numbers: dict[Any, int], key: Hashable) -> int:
        number = numbers.setdefault(key, self._count)
        if number == self._count:
            self._count += 1
        return number


def _gather(place: _Place, value: Any, found: set[int]) -> None:
    """Add what a value shows, and what is inside it. (The hottest function there is: few calls, few look-ups.)"""
    kind = JSON_KINDS.get(type(value)) or kind_of(value)
    if kind in place.kinds:
        found.add(place.kinds[kind])
    if kind == "object":
        names = place.names
        for name in names.keys() & value.keys():
            _gather(names[name], value[name], found)
    elif kind == "array":
        if place.element is not None:
            for inner in value:
                _gather(place.element, inner, found)
        for index, below in place.indexes.items():
            if index < len(value):
                _gather(below, value[index], found)
    elif kind != "null":
        key = value if kind != "boolean" else TRUE if value else FALSE
        if key in place.values:
            found.add(place.values[key])
        ladder = place.string if kind == "string" else place.number if kind == "number" else None
        if ladder is not None:
            found.update(ladder.shown[ladder.scale.piece(value)])
