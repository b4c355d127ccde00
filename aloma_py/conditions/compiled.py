"""A pattern compiled to closures that judge data.

Most conditions become plain yes-or-no functions (:func:`tester`). Where a missing object may count as empty (SPEC §2),
one bit is not enough: such an object is fine *if* another leaf of the whole condition matched a value that is there.
So each part of these conditions gives an *outcome* (:func:`judge`):

==========  =====================  ==================  ==============================================
outcome     alone                  beside an anchor    for example
==========  =====================  ==================  ==============================================
FAILS       does not hold          does not hold       ``{"a": 1}`` on ``{}``
NEEDS       does not hold          holds               ``{"a": {"b": None}}`` on ``{}``
SHUNS       holds                  does not hold       the negation of that
HOLDS       holds                  holds               ``{"a": None}`` on ``{}``
ANCHORS     holds, and is itself   holds               ``{"a": 1}`` on ``{"a": 1}``
            an anchor
==========  =====================  ==================  ==============================================

A leaf of an alternative that does not hold anchors nothing, and neither does the data as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

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
    children,
    kind_of,
)
from aloma_py.models import Json
from aloma_py.paths import MISSING, get

Test = Callable[[Any], bool]
Judge = Callable[[Any], int]

FAILS: Final = 0b000
NEEDS: Final = 0b001
SHUNS: Final = 0b010
HOLDS: Final = 0b011
ANCHORS: Final = 0b111
ALONE: Final = 0b010
"""The bit of an outcome that says that it holds without an anchor."""


def compile_pattern(pattern: Pattern) -> Test:
    """The function that says whether data matches a whole condition. It never raises for JSON data."""
    if not _may_need_anchor(pattern):
        return tester(pattern)
    judged = judge(pattern, root=True)

    def matches(data: Json) -> bool:
        return judged(data) & ALONE != 0

    return matches


def same(one: Json, other: Json) -> bool:
    """Equality of JSON values: ``1`` equals ``1.0``, and neither equals ``true``; the order of members is free."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return len(one) == len(other) and all(key in other and same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def when_missing(pattern: Pattern) -> int:
    """The outcome of a pattern where there is no such member; it does not depend on the data."""
    match pattern:
        case Null() | Exists(False) | HiddenKind(or_missing=True):
            return HOLDS
        case OneOf(options):
            return HOLDS if Null() in options else FAILS
        case Not(inner):
            return negated(when_missing(inner))
        case AllOf(parts):
            return together(when_missing(part) for part in parts)
        case AnyOf(parts):
            return either(when_missing(part) for part in parts)
        case Members(items) if items:
            return NEEDS & together(when_missing(part) for _, part in items)
        case _:
            return FAILS


def together(outcomes: Iterable[int]) -> int:
    """The outcome of parts that must all hold."""
    all_bits, any_bits = HOLDS, 0
    for outcome in outcomes:
        all_bits &= outcome
        any_bits |= outcome
    if any_bits > HOLDS:  # an anchor: what needs one has it, what shuns one fails
        return ANCHORS if all_bits & NEEDS else FAILS
    return all_bits


def either(outcomes: Iterable[int]) -> int:
    """The outcome of alternatives: at least one must hold."""
    bits = 0
    for outcome in outcomes:
        bits |= outcome
    return bits


def negated(outcome: int) -> int:
    """The outcome of what must not hold; what anchors it is decided where the value is known."""
    return ~outcome & HOLDS


def tester(pattern: Pattern) -> Test:
    """The function that says whether a pattern matches a value that is there, for patterns that need no anchor."""
    match pattern:
        case Members(items):
            return _members_test(items)
        case AllOf(parts):
            return _all_test([tester(part) for part in parts])
        case AnyOf(parts):
            tests = [tester(part) for part in parts]
            return lambda value: any(test(value) for test in tests)
        case Not(inner):
            holds = tester(inner)
            return lambda value: not holds(value)
        case Array(parts):
            return _array_test([tester(part) for part in parts])
        case _:
            return _leaf_test(pattern)


def judge(pattern: Pattern, *, root: bool = False) -> Judge:
    """The function that gives the outcome of a pattern on a value that is there (``root``: on the whole data)."""
    match pattern:
        case Members(items) if items:
            return _members_judge(items)
        case AllOf(parts):
            all_judges = [judge(part, root=root) for part in parts]
            return lambda value: together([one(value) for one in all_judges])
        case AnyOf(parts):
            any_judges = [judge(part, root=root) for part in parts]
            return lambda value: either([one(value) for one in any_judges])
        case Not(inner):
            return _not_judge(judge(inner, root=root), root)
        case Array(parts) if parts:
            return _array_judge([judge(part) for part in parts])
        case _:
            test, held = _leaf_test(pattern), HOLDS if root else ANCHORS
            return lambda value: held if test(value) else FAILS


def _may_need_anchor(pattern: Pattern, *, root: bool = True) -> bool:
    """Whether some object of the pattern may be missing and then count as empty."""
    if isinstance(pattern, Members) and not root and when_missing(pattern) != FAILS:
        return True
    below = root and isinstance(pattern, (AllOf, AnyOf, Not))
    return any(_may_need_anchor(part, root=below) for part in children(pattern))


def _members_test(items: tuple[tuple[str | int, Pattern], ...]) -> Test:
    if any(isinstance(key, int) for key, _ in items):
        return _indexed_test(items)
    # texts, and numbers that no boolean equals, are compared without a call
    equal = [(key, part.value) for key, part in items if isinstance(part, Value) and _plain(part.value)]
    others = [(key, tester(part), bool(when_missing(part) & ALONE)) for key, part in items
              if not (isinstance(part, Value) and _plain(part.value))]  # fmt: skip
    if not others:
        if len(equal) == 1:
            only, wanted = equal[0]
            return lambda value: isinstance(value, dict) and bool(value.get(only) == wanted)

        def all_equal(value: Any) -> bool:
            if not isinstance(value, dict):
                return False
            for key, wanted in equal:  # noqa: SIM110 -- a generator costs more than the comparison
                if value.get(key) != wanted:
                    return False
            return True

        return all_equal

    def members(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        find = value.get
        for key, wanted in equal:
            if find(key) != wanted:
                return False
        for key, test, may_miss in others:
            found = find(key, MISSING)
            if not (may_miss if found is MISSING else test(found)):
                return False
        return True

    return members


def _indexed_test(items: tuple[tuple[str | int, Pattern], ...]) -> Test:
    """Members of which some are numbers: of an object, or of an array."""
    parts = [((key,), tester(part), bool(when_missing(part) & ALONE)) for key, part in items]

    def members(value: Any) -> bool:
        if not isinstance(value, (dict, list)):
            return False
        for path, test, may_miss in parts:
            found = get(value, path)
            if not (may_miss if found is MISSING else test(found)):
                return False
        return True

    return members


def _members_judge(items: tuple[tuple[str | int, Pattern], ...]) -> Judge:
    parts = [((key,), judge(part), when_missing(part)) for key, part in items]
    containers = (dict, list) if any(isinstance(key, int) for key, _ in items) else dict

    def members(value: Any) -> int:
        if not isinstance(value, containers):
            return FAILS
        outcomes = []
        for path, judged, missing in parts:
            found = get(value, path)
            outcome = missing if found is MISSING else judged(found)
            if outcome == FAILS:
                return FAILS
            outcomes.append(outcome)
        return together(outcomes)

    return members


def _not_judge(judged: Judge, root: bool) -> Judge:
    held = HOLDS if root else ANCHORS

    def negation(value: Any) -> int:
        outcome = judged(value)
        return held if outcome == FAILS else negated(outcome)

    return negation


def _all_test(tests: list[Test]) -> Test:
    def every(value: Any) -> bool:
        for test in tests:  # noqa: SIM110 -- a generator costs more than the tests
            if not test(value):
                return False
        return True

    return every


def _array_test(tests: list[Test]) -> Test:
    def array(value: Any) -> bool:
        if not isinstance(value, list):
            return False
        for test in tests:
            for element in value:
                if test(element):
                    break
            else:
                return False
        return True

    return array


def _array_judge(judges: list[Judge]) -> Judge:
    def array(value: Any) -> int:
        if not isinstance(value, list):
            return FAILS
        return together([either([judged(element) for element in value]) for judged in judges])

    return array


def _plain(value: Json) -> bool:
    return isinstance(value, str) or (not isinstance(value, bool) and value not in (0, 1))


def _leaf_test(pattern: Pattern) -> Test:
    """The test of a leaf, or of what is judged as a whole: a size, a model."""
    match pattern:
        case Value(bool() as wanted):
            return lambda value: value is wanted
        case Value(wanted) if _plain(wanted):
            return lambda value: bool(value == wanted)
        case Value(wanted) | Equal(wanted):
            return lambda value: same(value, wanted)
        case Null() | Exists(False):
            return lambda value: value is None
        case Exists(True):
            return lambda value: value is not None
        case Kind(name):
            return KIND_TESTS[name]
        case Regex(_, _, search):
            return lambda value: isinstance(value, str) and search(value) is True
        case Predicate(function):
            return lambda value: call(function, value) is True
        case Compare():
            return _compare_test(pattern)
        case OneOf(options):
            return _one_of_test(options)
        case HiddenKind(names):
            return lambda value: isinstance(value, str) and value in names
        case Size(inner):
            length = tester(inner)
            return lambda value: isinstance(value, list) and length(len(value))
        case Model():
            return _model_test(pattern)
        case Array(()):
            return KIND_TESTS["array"]
        case Members(()):
            return KIND_TESTS["object"]
        case Computed():
            raise TypeError("a computed pattern is resolved before it is compiled")
        case _:
            raise TypeError(f"{type(pattern).__name__} is no leaf")


KIND_TESTS: Final[dict[str, Test]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
    "container": lambda value: isinstance(value, (dict, list)),
}
"""How the JSON types are told. ``int`` in a condition is a whole number, so ``2.0`` is one, as it is in JSON."""


def call(function: Callable[[Any], Any], value: Json) -> bool | Exception:
    """Whether a predicate holds; the exception where it raised one, which counts as not holding."""
    try:
        return bool(function(value))
    except Exception as error:
        return error


def _compare_test(pattern: Compare) -> Test:
    bound: Any = pattern.bound
    alike = KIND_TESTS[kind_of(bound)]
    match pattern.operator:
        case "$gt":
            return lambda value: alike(value) and value > bound
        case "$gte":
            return lambda value: alike(value) and value >= bound
        case "$lt":
            return lambda value: alike(value) and value < bound
        case "$lte":
            return lambda value: alike(value) and value <= bound


def _one_of_test(options: tuple[Value | Equal | Null | Regex, ...]) -> Test:
    texts = frozenset(one.value for one in options if isinstance(one, Value) and isinstance(one.value, str))
    tests = [_leaf_test(one) for one in options if not (isinstance(one, Value) and isinstance(one.value, str))]
    if not tests:
        return lambda value: isinstance(value, str) and value in texts
    return lambda value: (isinstance(value, str) and value in texts) or any(test(value) for test in tests)


def _model_test(pattern: Model) -> Test:
    check, likely = pattern.check, compile_pattern(pattern.derived)

    def valid(value: Any) -> bool:
        if not likely(value):
            return False
        try:
            check(value)
        except Exception:  # a validator of the user's model may raise anything
            return False
        return True

    return valid
