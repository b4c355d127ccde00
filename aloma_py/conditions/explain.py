"""Why a condition matches or not: leaf by leaf, what was expected, what was found, and whether it held (SPEC §2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from aloma_py.conditions.compiled import ALONE, ANCHORS, FAILS, NEEDS, call, judge, when_missing
from aloma_py.conditions.condition import Condition, compile_condition
from aloma_py.conditions.pattern import (
    AllOf,
    AnyOf,
    Array,
    Members,
    Model,
    Not,
    Pattern,
    Predicate,
    Regex,
    Size,
    has_computed,
    is_leaf,
    kind_of,
    leaves,
    place,
    resolve,
)
from aloma_py.conditions.regexes import LIMIT
from aloma_py.conditions.show import brief, expected
from aloma_py.models import Json
from aloma_py.paths import MISSING, Path, get

_A_KIND: Final = {"null": "null", "array": "an array", "object": "an object"}
_EMPTY: Final = "missing (its object counts as empty)"
_UNANCHORED: Final = "missing (its object is missing too, and nothing else that the condition asks for is there)"


@dataclass(frozen=True, slots=True)
class ExplainRow:
    """One leaf, or with ``leaf=False`` a remark on several: on the alternatives of ``$or``, on a whole model."""

    path: str  # in the data; the element of an array that came nearest is named by its index
    expected: str
    found: str
    held: bool
    leaf: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """``matched`` is what :meth:`Condition.matches` says; ``rows`` are in the condition's order."""

    matched: bool
    rows: tuple[ExplainRow, ...]


def explain(condition: Any, data: Json) -> Explanation:
    """Why the data matches the condition or not. There is one row with ``leaf=True`` for each of its leaves.

    ``condition`` is a :class:`Condition`, or whatever :func:`compile_condition` reads. Inside ``$not`` and
    ``$nor`` a row says whether the leaf itself held; the remark above it says what followed. Raises
    :class:`~aloma_py.errors.ConditionError` for what is no condition.
    """
    condition = compile_condition(condition)
    pattern = resolve(condition.pattern, data) if has_computed(condition.pattern) else condition.pattern
    helped = judge(pattern, root=True)(data) in (ANCHORS, FAILS) and _Rows(True).anchor_in(pattern, data)
    rows = tuple(_Rows(helped).of(pattern, data, ()))
    return Explanation(condition.matches(data), rows)


def leaf_results(condition: Condition, data: Json) -> tuple[bool, ...]:
    """Whether each leaf held, in the order of ``condition.leaves``."""
    return tuple(row.held for row in explain(condition, data).rows if row.leaf)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Makes rows. ``helped``: missing objects count as empty, since some leaf matched a value that is there."""

    helped: bool

    def of(self, pattern: Pattern, value: Any, path: Path, orphan: bool = False) -> list[ExplainRow]:
        """The rows of a pattern on the value at ``path``; ``orphan``: its object is missing as well."""
        if is_leaf(pattern):
            return [self._leaf(pattern, value, path, orphan)]
        match pattern:
            case Members(items):
                return self._members(items, value, path, orphan)
            case Array(parts):
                return self._array(parts, value, path)
            case AllOf(parts):
                return [row for part in parts for row in self.of(part, value, path, orphan)]
            case AnyOf(parts):
                return self._alternatives(parts, value, path, orphan)
            case Not(inner):
                return self._negation(pattern, inner, value, path, orphan)
            case Size():
                return self._size(pattern, value, path)
            case Model():
                return _model_rows(pattern, value, path)
        return []

    def anchor_in(self, pattern: Pattern, data: Json) -> bool:
        """Whether some leaf held on a value that is there: that is what lets missing objects count as empty."""
        return any(row.held and row.leaf and not row.found.startswith("missing") for row in self.of(pattern, data, ()))

    def _holds(self, pattern: Pattern, value: Any, path: Path) -> bool:
        outcome = when_missing(pattern) if value is MISSING else judge(pattern, root=not path)(value)
        return bool(outcome & (NEEDS if self.helped else ALONE))

    def _leaf(self, pattern: Pattern, value: Any, path: Path, orphan: bool) -> ExplainRow:
        held = self._holds(pattern, value, path)
        found = brief(value)
        if orphan and held:
            held, found = self.helped, _EMPTY if self.helped else _UNANCHORED
        elif value is not MISSING and not held:
            found += _remark(pattern, value)
        return ExplainRow(place(path), expected(pattern), found, held)

    def _members(
        self, items: tuple[tuple[str | int, Pattern], ...], value: Any, path: Path, orphan: bool
    ) -> list[ExplainRow]:
        indexed = any(isinstance(key, int) for key, _ in items)
        if value is not MISSING and not isinstance(value, (dict, list) if indexed else dict):
            note = f"missing ({place(path) or 'the data'} is {_found_kind(value)}, not an object)"
            return [row for key, part in items for row in _lost(part, (*path, key), note)]
        rows: list[ExplainRow] = []
        for key, part in items:
            inner = MISSING if value is MISSING else get(value, (key,))
            rows += self.of(part, inner, (*path, key), orphan or value is MISSING)
        return rows

    def _array(self, parts: tuple[Pattern, ...], value: Any, path: Path) -> list[ExplainRow]:
        rows: list[ExplainRow] = []
        for part in parts:
            if not isinstance(value, list) or not value:
                note = "an empty array" if value == [] else f"{_found_kind(value)}, not an array"
                note = "missing" if value is MISSING else f"missing ({place(path)} is {note})"
                rows += _lost(part, (*path, "[]"), note)
            else:
                at = self._nearest(part, value, path)
                rows += self.of(part, value[at], (*path, at))
        return rows

    def _nearest(self, part: Pattern, elements: list[Json], path: Path) -> int:
        """The first element that matches, else the first of those with the most leaves that hold."""
        best, most = 0, -1
        for at, element in enumerate(elements):
            if self._holds(part, element, (*path, at)):
                return at
            held = sum(row.held for row in self.of(part, element, (*path, at)))
            if held > most:
                best, most = at, held
        return best

    def _alternatives(self, parts: tuple[Pattern, ...], value: Any, path: Path, orphan: bool) -> list[ExplainRow]:
        held = [at + 1 for at, part in enumerate(parts) if self._holds(part, value, path)]
        if orphan and not self.helped:
            held = []
        found = f"alternative {', '.join(map(str, held))} held" if held else "none held"
        rows = [ExplainRow(place(path), f"at least one of {len(parts)} alternatives", found, bool(held), leaf=False)]
        for part in parts:
            rows += self.of(part, value, path, orphan)
        return rows

    def _negation(self, pattern: Not, inner: Pattern, value: Any, path: Path, orphan: bool) -> list[ExplainRow]:
        held = self._holds(pattern, value, path)
        found = "it did not hold" if held else "it held"
        wanted = "none of the alternatives" if isinstance(inner, AnyOf) else "what follows must not hold"
        return [ExplainRow(place(path), wanted, found, held, leaf=False), *self.of(inner, value, path, orphan)]

    def _size(self, pattern: Size, value: Any, path: Path) -> list[ExplainRow]:
        if isinstance(value, list):
            return self.of(pattern.pattern, len(value), (*path, "$size"))
        return _lost(pattern, path, "missing" if value is MISSING else f"{_found_kind(value)}, not an array")


def _lost(pattern: Pattern, path: tuple[str | int, ...], note: str) -> list[ExplainRow]:
    """The rows of a pattern of which no leaf could be judged, because what it is inside is not there."""
    return [ExplainRow(where, expected(leaf), note, held=False) for where, leaf in leaves(pattern, path)]


def _found_kind(value: Any) -> str:
    kind = kind_of(value)
    return _A_KIND.get(kind, f"the {kind} {brief(value)}")


def _remark(pattern: Pattern, value: Json) -> str:
    """What more there is to say about a leaf that did not hold."""
    if isinstance(pattern, Predicate):
        answer = call(pattern.function, value)
        if isinstance(answer, Exception):
            return f" (the function raised {type(answer).__name__}: {answer})"
    if isinstance(pattern, Regex) and isinstance(value, str) and pattern.search(value) is None:
        return f" (the search took longer than {LIMIT * 1000:g} ms and was given up)"
    return ""


def _model_rows(pattern: Model, value: Any, path: Path) -> list[ExplainRow]:
    """A row for each required leaf field of a model, then a remark for each error that belongs to none of them."""
    if value is MISSING:
        return _lost(pattern, path, "missing")
    errors: list[tuple[Path, str]] = []
    try:
        pattern.check(value)
    except ValidationError as error:
        errors = [(tuple(one["loc"]), one["msg"]) for one in error.errors(include_url=False, include_context=False)]
    except Exception as error:
        errors = [((), f"the model raised {type(error).__name__}: {error}")]
    rows = []
    told: set[int] = set()
    for one in pattern.fields:
        mine = [at for at, (where, _) in enumerate(errors) if _concerns(where, one.path)]
        told.update(mine)
        found = brief(get(value, one.path)) + (f" ({errors[mine[0]][1]})" if mine else "")
        rows.append(ExplainRow(place((*path, *one.path)), one.expected, found, not mine))
    for at, (where, message) in enumerate(errors):
        if at not in told:
            found = brief(get(value, where))
            wanted = f"a valid {pattern.model.__name__}"
            rows.append(ExplainRow(place((*path, *where)), wanted, f"{found} ({message})", held=False, leaf=False))
    return rows


def _concerns(where: Path, field: Path) -> bool:
    """Whether an error at ``where`` says that a field is not valid: it is about it, a part of it, or its object."""
    return all(one == other for one, other in zip(where, field, strict=False)) and bool(where or not field)
