"""What data must show before a condition can match: what the index files conditions under.

A *fact* is something about one place in the data that can be looked up: its value, its JSON type, or where it lies
between the bounds that conditions mention. A *key set* is a necessary disjunction: a condition cannot match unless the
data shows at least one of its facts. An equality gives a key set of one, ``$in`` one fact a value, ``$or`` the union
of what its alternatives need. Many conditions are exactly a conjunction of key sets, and then need not be judged at
all; the others are judged whole after the facts have let them pass.
"""

from __future__ import annotations

import bisect
from collections.abc import Hashable, Iterable
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

Place = tuple[str | int, ...]
"""A path in data, through :data:`ELEMENT` where some element of an array is meant."""

Aspect = Literal["value", "kind", "number", "string"]
"""The last two are scales: where a number lies among numbers, a string among strings."""

_NOT_NULL: Final = ("string", "number", "boolean", "array", "object")
_KINDS: Final[dict[str, tuple[str, ...]]] = {
    **{kind: (kind,) for kind in (*_NOT_NULL, "null")},
    "integer": ("number",),
    "container": ("array", "object"),
}


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

    path: Place
    aspect: Aspect
    key: Hashable


KeySet = tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What facts say about a pattern.

    It cannot match unless the data shows one fact of each of ``sets``, and none of ``never``. ``exact``: it then does
    match, so that it need not be judged. ``anchored``: only beside a leaf that matched a value that is there.
    """

    sets: tuple[KeySet, ...] = ()
    never: tuple[Fact, ...] = ()
    exact: bool = False
    anchored: bool = False

    @property
    def single(self) -> bool:
        """Whether the pattern matches just when one of a set of facts is shown."""
        return self.exact and len(self.sets) == 1 and not self.never and not self.anchored


_UNKNOWN: Final = Plan()


def value_key(value: str | int | float | bool) -> Hashable:
    """A scalar as a key: equal for what a condition holds equal, and only for that."""
    if isinstance(value, bool):
        return TRUE if value else FALSE
    return value


def whole_plan(pattern: Pattern) -> Plan:
    """The plan of a whole condition: a fact below the data's top that must be shown is the anchor of all the others."""
    found = plan(pattern)
    anchor = any(all(fact.path for fact in keys) for keys in found.sets)
    return Plan(found.sets, found.never, found.exact and (anchor or not found.anchored))


def plan(pattern: Pattern, path: Place = ()) -> Plan:
    """The plan of a pattern on the value at ``path``."""
    match pattern:
        case Members(items) if items:
            return _of_members(items, path)
        case AllOf(parts):
            ranges = _of_ranges([part for part in parts if isinstance(part, Compare)], path)
            others = [plan(part, path) for part in parts if not isinstance(part, Compare)]
            return _in_element(_together([ranges, *others]), path)
        case AnyOf(parts):
            return _of_alternatives([plan(part, path) for part in parts])
        case Array(parts) if parts:
            return _of_array([plan(part, (*path, ELEMENT)) for part in parts], path)
        case Compare():
            return _of_ranges([pattern], path)
        case Not(inner) if inner != Null():
            return _of_negation(plan(inner, path), path)
        case Model(derived=derived):
            known = plan(derived, path)
            return Plan((*known.sets, _kinds(path, ("object",))), known.never)
        case Null() | Exists(False):
            return Plan((), _kinds(path, _NOT_NULL), exact=True) if ELEMENT not in path else _UNKNOWN
        case _:
            return _of_leaf(pattern, path)


def _of_members(items: Iterable[tuple[str | int, Pattern]], path: Place) -> Plan:
    """Facts below an object say that it is there. Without any it may be missing, but it cannot be anything else."""
    found = _together([plan(part, (*path, key)) for key, part in items])
    if path and not found.sets:
        objects = not any(isinstance(key, int) for key, _ in items)
        never = (*found.never, *_kinds(path, (kind for kind in (*_NOT_NULL, "null") if kind != "object")))
        found = Plan((), never if objects else found.never, found.exact and objects, anchored=True)
    return _in_element(found, path)


def _together(plans: Iterable[Plan]) -> Plan:
    plans = list(plans)
    return Plan(
        tuple(dict.fromkeys(one for each in plans for one in each.sets)),
        tuple(dict.fromkeys(one for each in plans for one in each.never)),
        all(each.exact for each in plans),
        any(each.anchored for each in plans),
    )


def _in_element(found: Plan, path: Place) -> Plan:
    """Two facts of an array may come from two of its elements, so they say less than one element with both."""
    return found if ELEMENT not in path or found.single else Plan(found.sets)


def _of_array(parts: list[Plan], path: Place) -> Plan:
    """Every part needs an element; a fact about an element says that there is an array."""
    sets = tuple(dict.fromkeys(one for part in parts for one in part.sets))
    exact = all(part.single for part in parts)
    return _in_element(Plan(sets or (_kinds(path, ("array",)),), (), exact), path)


def _of_alternatives(plans: list[Plan]) -> Plan:
    """One key set for all alternatives: the narrowest of each; nothing where one alternative needs nothing."""
    if not all(one.sets for one in plans):
        return _UNKNOWN
    narrowest = [min(one.sets, key=_breadth) for one in plans]
    union = tuple(dict.fromkeys(fact for one in narrowest for fact in one))
    return Plan((union,), (), all(one.single for one in plans))


def _breadth(keys: Iterable[Fact]) -> tuple[int, int]:
    aspects = [("value", "string", "number", "kind").index(fact.aspect) for fact in keys]
    return max(aspects, default=0), len(aspects)


def _of_negation(inner: Plan, path: Place) -> Plan:
    """What must not be one of some facts; a missing member is none of them."""
    if not inner.single or ELEMENT in path or any(fact.path != path for fact in inner.sets[0]):
        return _UNKNOWN
    return Plan((), inner.sets[0], exact=True)


def _of_ranges(comparisons: list[Compare], path: Place) -> Plan:
    """One range for all comparisons with numbers, and one for all with strings."""
    sets = []
    used = 0
    for aspect, kind in (("number", (int, float)), ("string", str)):
        bounds: dict[str, Any] = {}
        for one in comparisons:
            if isinstance(one.bound, kind):
                bounds.setdefault(one.operator, one.bound)
        if bounds:
            low = next((name for name in ("$gt", "$gte") if name in bounds), None)
            high = next((name for name in ("$lt", "$lte") if name in bounds), None)
            used += (low is not None) + (high is not None)
            key = Range(bounds.get(low or ""), low == "$gte", bounds.get(high or ""), high == "$lte")
            sets.append((Fact(path, "number" if aspect == "number" else "string", key),))
    return Plan(tuple(sets), (), exact=used == len(comparisons))  # a second bound on one side is not in the range


def _of_leaf(pattern: Pattern, path: Place) -> Plan:
    match pattern:
        case Value(value):
            return _one((Fact(path, "value", value_key(value)),))
        case OneOf(options):
            found = [_of_option(one, path) for one in options]
            if None in found:
                return _UNKNOWN
            keys = tuple(dict.fromkeys(one for one in found if one is not None))
            return Plan((keys,), (), all(isinstance(one, Value) for one in options))
        case HiddenKind(names, or_missing=False):
            return _one(tuple(Fact(path, "value", name) for name in names))
        case Kind(name):
            return Plan((_kinds(path, _KINDS[name]),), (), name != "integer")
        case Members():
            return _one(_kinds(path, ("object",)))
        case Array():
            return _one(_kinds(path, ("array",)))
        case Exists(True) | Not(Null()):
            return _one(_kinds(path, _NOT_NULL))
        case Equal(value):
            return Plan((_kinds(path, (kind_of(value),)),))
        case Regex():
            return Plan((_kinds(path, ("string",)),))
        case Size():
            return Plan((_kinds(path, ("array",)),))
        case Predicate():
            return Plan((_kinds(path, (*_NOT_NULL, "null")),))
        case _:
            return _UNKNOWN


def _one(keys: KeySet) -> Plan:
    return Plan((keys,), (), exact=True)


def _of_option(option: Value | Equal | Null | Regex, path: Place) -> Fact | None:
    match option:
        case Value(value):
            return Fact(path, "value", value_key(value))
        case Equal(value):
            return Fact(path, "kind", kind_of(value))
        case Regex():
            return Fact(path, "kind", "string")
    return None


def _kinds(path: Place, kinds: Iterable[str]) -> KeySet:
    return tuple(Fact(path, "kind", kind) for kind in kinds)


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
        first = 0 if wanted.low is None else self.piece(wanted.low) + (not wanted.low_closed)
        last = 2 * len(self.points) if wanted.high is None else self.piece(wanted.high) - (not wanted.high_closed)
        return first, last

    def piece(self, value: Any) -> int:
        """The piece that a value lies in: an even number between two bounds, an odd one on a bound."""
        at = bisect.bisect_left(self.points, value)
        return 2 * at + (at < len(self.points) and self.points[at] == value)
