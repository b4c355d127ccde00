"""From data to the facts that it shows, along the places that the conditions of an index mention.

The cost follows the data and the places, whichever is less at each object; how many conditions there are is no matter.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Final

from aloma_py.conditions.keys import FALSE, TRUE, Fact, Range, Scale
from aloma_py.conditions.pattern import ELEMENT, kind_of
from aloma_py.models import Json

Facts = dict[int, Iterable[Hashable]]
"""What data shows: by slot (the number of an aspect of a place) its keys."""

_UNUSED: Final = -1


class _Place:
    """A place in data that some fact mentions, with the slots of its aspects and the places below it."""

    __slots__ = ("element", "indexes", "kind", "many", "names", "number", "scales", "string", "value")

    def __init__(self, many: bool) -> None:
        self.many = many  # through some array: several values may be there
        self.value = _UNUSED
        self.kind = _UNUSED
        self.number = _UNUSED
        self.string = _UNUSED
        self.scales = False
        self.names: dict[str, _Place] = {}
        self.indexes: dict[int, _Place] = {}
        self.element: _Place | None = None

    def below(self, part: str | int) -> _Place:
        if part == ELEMENT:
            if self.element is None:
                self.element = _Place(True)
            return self.element
        if isinstance(part, int):
            if part not in self.indexes:
                self.indexes[part] = self.names.setdefault(str(part), _Place(self.many))
            return self.indexes[part]
        return self.names.setdefault(part, _Place(self.many))


class FactMap:
    """The places and scales of a set of facts."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._root = _Place(False)
        self._scales: dict[int, Scale] = {}
        self._slots = 0
        ranges: dict[int, list[Range]] = {}
        for fact in facts:
            slot = self.slot(fact)
            if isinstance(fact.key, Range):
                ranges.setdefault(slot, []).append(fact.key)
        self._scales = {slot: Scale(found) for slot, found in ranges.items()}

    def slot(self, fact: Fact) -> int:
        """The number of the fact's aspect of its place."""
        place = self._root
        for part in fact.path:
            place = place.below(part)
        slot: int = getattr(place, fact.aspect)
        if slot == _UNUSED:
            slot = self._slots
            self._slots += 1
            setattr(place, fact.aspect, slot)
            place.scales = place.number != _UNUSED or place.string != _UNUSED
        return slot

    def keys(self, fact: Fact) -> list[tuple[int, Hashable]]:
        """The fact as pairs of slot and key: one, or for a range the nodes of its scale."""
        slot = self.slot(fact)
        if isinstance(fact.key, Range):
            return [(slot, node) for node in self._scales[slot].cover(fact.key)]
        return [(slot, fact.key)]

    def share(self, fact: Fact) -> float:
        """For a range, the part of the scale that it covers."""
        assert isinstance(fact.key, Range)
        return self._scales[self.slot(fact)].share(fact.key)

    def shown(self, data: Json) -> Facts:
        """All facts that the data shows."""
        facts: Facts = {}
        self._gather(self._root, data, facts)
        return facts

    def _gather(self, place: _Place, value: Any, facts: dict[int, Any]) -> None:
        kind = kind_of(value)
        if place.many:
            self._gather_many(place, value, kind, facts)
        else:
            if place.kind >= 0:
                facts[place.kind] = (kind,)
            if place.value >= 0 and kind not in ("object", "array", "null"):
                facts[place.value] = ((TRUE if value else FALSE) if kind == "boolean" else value,)
            if place.scales and (slot := self._scale_of(place, kind)) >= 0:
                facts[slot] = self._scales[slot].nodes(value)
        if kind == "object":
            names = place.names
            if len(names) <= len(value):
                for name, below in names.items():
                    if name in value:
                        self._gather(below, value[name], facts)
            else:
                for name, inner in value.items():
                    if name in names:
                        self._gather(names[name], inner, facts)
        elif kind == "array":
            if place.element is not None:
                for inner in value:
                    self._gather(place.element, inner, facts)
            for index, below in place.indexes.items():
                if index < len(value):
                    self._gather(below, value[index], facts)

    def _gather_many(self, place: _Place, value: Any, kind: str, facts: dict[int, Any]) -> None:
        """As for a single value, but what was found before at this place stays."""
        if place.kind >= 0:
            facts.setdefault(place.kind, set()).add(kind)
        if place.value >= 0 and kind not in ("object", "array", "null"):
            key = (TRUE if value else FALSE) if kind == "boolean" else value
            facts.setdefault(place.value, set()).add(key)
        if place.scales and (slot := self._scale_of(place, kind)) >= 0:
            facts.setdefault(slot, set()).update(self._scales[slot].nodes(value))

    @staticmethod
    def _scale_of(place: _Place, kind: str) -> int:
        if kind == "number":
            return place.number
        return place.string if kind == "string" else _UNUSED
