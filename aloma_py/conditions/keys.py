"""What data must show before a condition can match: the keys that the index files a condition under.

A *fact* about data is a pair of an aspect of a place (its value, its JSON type, where it lies on a scale) and a key.
A *key set* is a necessary disjunction: a condition cannot match unless the data shows at least one of its facts. An
equality gives a key set of one, ``$in`` one key a value, ``$or`` the union of what its alternatives need, and what can
hold on a missing member gives none. Key sets need only be necessary: what the index finds is judged whole afterwards.
"""

from __future__ import annotations

import bisect
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from aloma_py.conditions.pattern import (
    ELEMENT,
    AllOf,
    AnyOf,
    Array,
    Compare,
    Equal,
    Exists,
    HiddenKind,
    Kind,
    Members,
    Model,
    Not,
    Null,
    OneOf,
    Pattern,
    Predicate,
    Regex,
    Size,
    Value,
    kind_of,
)
from aloma_py.paths import Path

Aspect = Literal["value", "kind", "number", "string"]
"""The last two are scales: where a number lies among numbers, a string among strings."""

_ALL_KINDS: Final = ("string", "number", "boolean", "null", "array", "object")
_KINDS: Final[dict[str, tuple[str, ...]]] = {
    **{kind: (kind,) for kind in _ALL_KINDS}, "integer": ("number",), "container": ("array", "object"),
}  # fmt: skip


class Truth:
    """Stands for a boolean among values that are keys, because ``True == 1`` and JSON's ``true`` is not ``1``."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


TRUE: Final = Truth("true")
FALSE: Final = Truth("false")


@dataclass(frozen=True, slots=True)
class Range:
    """The part of a scale between two bounds, ``None`` where it is open; ``*_closed``: the bound belongs to it."""

    low: Any = None
    low_closed: bool = False
    high: Any = None
    high_closed: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that data may show at a path (through :data:`ELEMENT`: at some element)."""

    path: tuple[str | int, ...]
    aspect: Aspect
    key: Hashable


KeySet = tuple[Fact, ...]


def value_key(value: str | int | float | bool) -> Hashable:
    """A scalar as a key: equal for what a condition holds equal, and only for that."""
    if isinstance(value, bool):
        return TRUE if value else FALSE
    return value


def necessary(pattern: Pattern, path: tuple[str | int, ...] = ()) -> Iterator[KeySet]:
    """The key sets of a pattern on the value at ``path``."""
    match pattern:
        case Members(items) if items:
            for key, part in items:
                yield from necessary(part, (*path, key))
        case AllOf(parts):
            yield from _ranges([part for part in parts if isinstance(part, Compare)], path)
            for part in parts:
                if not isinstance(part, Compare):
                    yield from necessary(part, path)
        case Array(parts) if parts:
            yield _kinds(path, ("array",))
            for part in parts:
                yield from necessary(part, (*path, ELEMENT))
        case AnyOf(parts):
            yield from _alternatives(parts, path)
        case Compare():
            yield from _ranges([pattern], path)
        case Model(derived=derived):
            yield _kinds(path, ("object",))
            yield from necessary(derived, path)
        case _:
            yield from _of_leaf(pattern, path)


def _of_leaf(pattern: Pattern, path: Path) -> Iterator[KeySet]:
    match pattern:
        case Value(value):
            yield (Fact(path, "value", value_key(value)),)
        case OneOf(options):
            found = [_of_option(one, path) for one in options]
            if None not in found:
                yield tuple(dict.fromkeys(one for one in found if one is not None))
        case HiddenKind(names, or_missing=False):
            yield tuple(Fact(path, "value", name) for name in names)
        case Equal(value):
            yield _kinds(path, (kind_of(value),))
        case Kind(name):
            yield _kinds(path, _KINDS[name])
        case Regex():
            yield _kinds(path, ("string",))
        case Size() | Array():
            yield _kinds(path, ("array",))
        case Members():
            yield _kinds(path, ("object",))
        case Exists(True) | Not(Null()):
            yield _kinds(path, tuple(kind for kind in _ALL_KINDS if kind != "null"))
        case Predicate():
            yield _kinds(path, _ALL_KINDS)
        case _:
            return


def _of_option(option: Value | Equal | Null | Regex, path: Path) -> Fact | None:
    match option:
        case Value(value):
            return Fact(path, "value", value_key(value))
        case Equal(value):
            return Fact(path, "kind", kind_of(value))
        case Regex():
            return Fact(path, "kind", "string")
    return None


def _alternatives(parts: Iterable[Pattern], path: Path) -> Iterator[KeySet]:
    """One key set for all alternatives: the narrowest of each; none where one alternative needs nothing."""
    union: dict[Fact, None] = {}
    for part in parts:
        found = list(necessary(part, path))
        if not found:
            return
        narrowest: KeySet = min(found, key=_breadth)
        union.update(dict.fromkeys(narrowest))
    yield tuple(union)


def _breadth(keys: KeySet) -> tuple[int, int]:
    return max(("value", "string", "number", "kind").index(fact.aspect) for fact in keys), len(keys)


def _kinds(path: Path, kinds: tuple[str, ...]) -> KeySet:
    return tuple(Fact(path, "kind", kind) for kind in kinds)


def _ranges(comparisons: Iterable[Compare], path: Path) -> Iterator[KeySet]:
    """One range for all comparisons with numbers, and one for all with strings."""
    numbers: dict[str, Any] = {}
    strings: dict[str, Any] = {}
    for one in comparisons:
        (strings if isinstance(one.bound, str) else numbers).setdefault(one.operator, one.bound)
    if numbers:
        yield (Fact(path, "number", _range(numbers)),)
    if strings:
        yield (Fact(path, "string", _range(strings)),)


def _range(bounds: dict[str, Any]) -> Range:
    """The range of some operators; one bound on each side is enough for a necessary condition."""
    low = next((name for name in ("$gt", "$gte") if name in bounds), None)
    high = next((name for name in ("$lt", "$lte") if name in bounds), None)
    return Range(bounds[low] if low else None, low == "$gte", bounds[high] if high else None, high == "$lte")


class Scale:
    """Ranges of one place as keys: a segment tree over the bounds.

    The bounds cut the line into pieces (the bounds themselves, and what lies between). A range is the union of a few
    nodes of the binary tree over the pieces; a value shows the nodes from its piece up to the root. So a range
    contains a value exactly when they have a node in common, and both have about ``2 log2(bounds)`` of them.
    """

    __slots__ = ("points", "size")

    def __init__(self, ranges: Iterable[Range]) -> None:
        bounds = {bound for one in ranges for bound in (one.low, one.high) if bound is not None}
        self.points: list[Any] = sorted(bounds)
        self.size = 1 << (2 * len(self.points)).bit_length()

    def nodes(self, value: Any) -> list[int]:
        """The nodes that a value shows, from its piece to the root."""
        node = self.size + self._piece(value)
        found = []
        while node:
            found.append(node)
            node >>= 1
        return found

    def cover(self, wanted: Range) -> list[int]:
        """The nodes that a range is the union of; none for an empty range."""
        first, last = self._ends(wanted)
        low, high = self.size + first, self.size + last + 1
        found = []
        while low < high:
            if low & 1:
                found.append(low)
                low += 1
            if high & 1:
                high -= 1
                found.append(high)
            low >>= 1
            high >>= 1
        return found

    def share(self, wanted: Range) -> float:
        """Which part of the pieces a range covers."""
        first, last = self._ends(wanted)
        return max(0, last + 1 - first) / (2 * len(self.points) + 1)

    def _ends(self, wanted: Range) -> tuple[int, int]:
        first = 0 if wanted.low is None else self._piece(wanted.low) + (not wanted.low_closed)
        last = 2 * len(self.points) if wanted.high is None else self._piece(wanted.high) - (not wanted.high_closed)
        return first, last

    def _piece(self, value: Any) -> int:
        at = bisect.bisect_left(self.points, value)
        return 2 * at + (at < len(self.points) and self.points[at] == value)
