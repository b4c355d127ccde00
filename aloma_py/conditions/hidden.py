"""Patterns on ``$stash``: its values are hidden, so only their types can be matched (SPEC §2).

A condition sees ``data["$stash"]`` as the names of types, ``{"token": "String"}``. Type patterns below ``$stash`` are
turned into comparisons with these names; anything that would need the value is refused.
"""

from __future__ import annotations

from typing import Final

from aloma_py.conditions.pattern import (
    AllOf,
    AnyOf,
    Exists,
    HiddenKind,
    Kind,
    Members,
    Model,
    Not,
    Null,
    Pattern,
    place,
)
from aloma_py.conditions.show import show
from aloma_py.errors import ConditionError
from aloma_py.paths import Path

STASH: Final = "$stash"
NAMES: Final = ("String", "Number", "Boolean", "Array", "Object", "Null")
_NAMED: Final = {
    "string": ("String",), "number": ("Number",), "integer": ("Number",), "boolean": ("Boolean",),
    "array": ("Array",), "object": ("Object",), "null": ("Null",), "container": ("Object", "Array"),
}  # fmt: skip


def hide(pattern: Pattern) -> Pattern:
    """A whole condition with what it says about ``$stash`` turned into comparisons of types.

    Raises :class:`~aloma_py.errors.ConditionError` for a pattern that needs a hidden value.
    """
    if isinstance(pattern, Members):
        return Members(tuple((key, _stash(part) if key == STASH else part) for key, part in pattern.items))
    if isinstance(pattern, (AllOf, AnyOf)):
        return type(pattern)(tuple(hide(part) for part in pattern.patterns))
    if isinstance(pattern, Not):
        return Not(hide(pattern.pattern))
    if isinstance(pattern, Model):
        for path in pattern.reads:
            if path[:1] == (STASH,) and len(path) > 1:
                raise ConditionError("values in $stash are hidden from models", path=place(path))
    return pattern


def _stash(pattern: Pattern) -> Pattern:
    """The pattern on ``$stash`` itself: an object, of which the members are hidden."""
    if isinstance(pattern, Members):
        return Members(tuple((key, _value(part, (STASH, key))) for key, part in pattern.items))
    if isinstance(pattern, (AllOf, AnyOf)):
        return type(pattern)(tuple(_stash(part) for part in pattern.patterns))
    if isinstance(pattern, Not):
        return Not(_stash(pattern.pattern))
    if isinstance(pattern, (Kind, Null, Exists)):
        return pattern
    raise _refused(pattern, (STASH,))


def _value(pattern: Pattern, path: Path) -> Pattern:
    """The pattern on one hidden value."""
    match pattern:
        case HiddenKind():
            return pattern
        case Kind(name):
            return HiddenKind(_NAMED[name])
        case Null() | Exists(False):
            return HiddenKind(("Null",), or_missing=True)
        case Exists(True) | Not(Null()):
            return HiddenKind(NAMES[:-1])
        case AllOf(parts) | AnyOf(parts):
            return type(pattern)(tuple(_value(part, path) for part in parts))
        case Not(inner):
            return Not(_value(inner, path))
    raise _refused(pattern, path)


def _refused(pattern: Pattern, path: Path) -> ConditionError:
    return ConditionError(
        f"values in $stash are hidden: expected a type, None or $exists, got {show(pattern)}", path=place(path)
    )
