"""The plain interpreter: the reference that the compiled matcher and the index are compared with.

It follows the sentences of SPEC §2 one by one and is meant to be read, not to be fast.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aloma_py.conditions.pattern import (
    AllOf,
    AnyOf,
    Array,
    Compare,
    Computed,
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
    has_computed,
    kind_of,
    resolve,
)
from aloma_py.models import Json
from aloma_py.paths import MISSING

if TYPE_CHECKING:
    from aloma_py.conditions.condition import Condition

_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a part of a condition holds.

    ``alone``: with no help. ``helped``: if missing objects count as empty, because some other leaf matched a value
    that is there. ``anchors``: it holds, and one of its own leaves matched a value that is there.
    """

    alone: bool
    helped: bool
    anchors: bool = False


_FAILS: Final = Verdict(False, False)
_HOLDS: Final = Verdict(True, True)
_ANCHORS: Final = Verdict(True, True, True)


def naive_match(conditions: Sequence[Condition], data: Json) -> set[int]:
    """The positions of the conditions that match, found by interpreting each of them."""
    return {at for at, condition in enumerate(conditions) if holds(condition.pattern, data)}


def holds(pattern: Pattern, data: Json) -> bool:
    """Whether the data matches a whole condition."""
    if has_computed(pattern):
        pattern = resolve(pattern, data)
    return judge(pattern, data, root=True).alone


def judge(pattern: Pattern, value: Any, *, root: bool = False) -> Verdict:
    """The verdict on a value, which may be MISSING. ``root``: it is the whole data, which is no anchor."""
    match pattern:
        case AllOf(parts):
            return _all([judge(part, value, root=root) for part in parts])
        case AnyOf(parts):
            return _any([judge(part, value, root=root) for part in parts])
        case Not(inner):
            verdict = judge(inner, value, root=root)
            there = value is not MISSING and not root
            return Verdict(not verdict.alone, not verdict.helped, there and verdict == _FAILS)
        case Members(items) if items:
            return _members(items, value)
        case Array(parts) if parts:
            if not isinstance(value, list):
                return _FAILS
            return _all([_any([judge(part, element) for element in value]) for part in parts])
        case _ if not _leaf_holds(pattern, value):
            return _FAILS
        case _:
            return _HOLDS if root or value is MISSING else _ANCHORS


def _members(items: Collection[tuple[str | int, Pattern]], value: Any) -> Verdict:
    indexed = any(isinstance(key, int) for key, _ in items)
    if value is MISSING:  # counts as empty, but only with help
        return Verdict(False, _all([judge(part, MISSING) for _, part in items]).helped)
    if not (isinstance(value, dict) or (indexed and isinstance(value, list))):
        return _FAILS
    return _all([judge(part, _member(value, key)) for key, part in items])


def _member(value: dict[str, Json] | list[Json], key: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(str(key), MISSING)
    return value[key] if isinstance(key, int) and key < len(value) else MISSING


def _all(verdicts: list[Verdict]) -> Verdict:
    helped = all(one.helped for one in verdicts)
    if any(one.anchors for one in verdicts):  # then all of them have the help
        return Verdict(helped, helped, helped)
    return Verdict(all(one.alone for one in verdicts), helped)


def _any(verdicts: list[Verdict]) -> Verdict:
    return Verdict(
        any(one.alone for one in verdicts), any(one.helped for one in verdicts), any(one.anchors for one in verdicts)
    )


def _leaf_holds(pattern: Pattern, value: Any) -> bool:
    if value is MISSING:
        match pattern:
            case Null() | Exists(False) | HiddenKind(or_missing=True):
                return True
            case OneOf(options):
                return Null() in options
            case _:
                return False
    match pattern:
        case Value(wanted) | Equal(wanted):
            return _equal(value, wanted)
        case Null() | Exists(False):
            return value is None
        case Exists(True):
            return value is not None
        case Kind("integer"):
            return kind_of(value) == "number" and value % 1 == 0
        case Kind("container"):
            return kind_of(value) in ("object", "array")
        case Kind(name):
            return kind_of(value) == name
        case Regex(_, _, search):
            return kind_of(value) == "string" and bool(search(value))
        case OneOf(options):
            return any(_leaf_holds(one, value) for one in options)
        case Compare(name, bound):
            alike = kind_of(value) == kind_of(bound) and kind_of(value) in ("number", "string")
            return alike and _ORDER[name](value, bound)
        case HiddenKind(names):
            return kind_of(value) == "string" and value in names
        case Size(inner):
            return kind_of(value) == "array" and judge(inner, len(value)).alone
        case Array(()):
            return kind_of(value) == "array"
        case Members(()):
            return kind_of(value) == "object"
        case _:
            return _asked(pattern, value)


def _asked(pattern: Pattern, value: Json) -> bool:
    """What only the user's own function or model can say; if it raises, it does not hold."""
    try:
        match pattern:
            case Predicate(function):
                return bool(function(value))
            case Model(_, check):
                check(value)
                return True
    except Exception:
        return False
    assert isinstance(pattern, Computed)
    raise TypeError("a computed pattern is resolved before it is judged")


def _equal(one: Json, other: Json) -> bool:
    if kind_of(one) != kind_of(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(_equal(mine, its) for mine, its in zip(one, other, strict=True))
    return bool(one == other)
