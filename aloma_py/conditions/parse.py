"""Python literals, helpers and JSON into the one representation; every mistake gets its place and its reason."""

from __future__ import annotations

import enum
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from aloma_py.conditions import regexes
from aloma_py.conditions.from_model import model_pattern
from aloma_py.conditions.pattern import (
    PATTERN_TYPES,
    AllOf,
    AnyOf,
    Array,
    Compare,
    Comparison,
    Equal,
    Exists,
    Kind,
    KindName,
    Members,
    Not,
    Null,
    OneOf,
    Pattern,
    Predicate,
    Regex,
    Size,
    Value,
)
from aloma_py.conditions.show import function_text
from aloma_py.errors import ConditionError, suggest
from aloma_py.paths import Path, format_path

ORDINARY: Final = ("$via", "$stash", "$graph", "$errors")
"""Members of a task's data whose name begins with a dollar sign (SPEC §2)."""

MAX_DEPTH: Final = 64

PYTHON_TYPES: Final[dict[type, Pattern]] = {
    str: Kind("string"), float: Kind("number"), int: Kind("integer"), bool: Kind("boolean"), list: Kind("array"),
    dict: Kind("object"), type(None): Null(),
}  # fmt: skip
JSON_TYPES: Final[dict[str, Pattern]] = {
    "String": Kind("string"), "Number": Kind("number"), "Boolean": Kind("boolean"), "Array": Kind("array"),
    "Object": Kind("container"),
}  # fmt: skip
TYPE_NAMES: Final[dict[str, KindName]] = {
    "string": "string", "number": "number", "int": "integer", "integer": "integer", "boolean": "boolean",
    "array": "array", "object": "object", "null": "null", "String": "string", "Number": "number",
    "Boolean": "boolean", "Array": "array", "Object": "container", "Null": "null",
}  # fmt: skip
_ORDERINGS: Final[dict[str, Comparison]] = {"$gt": "$gt", "$gte": "$gte", "$lt": "$lt", "$lte": "$lte"}
_LOGICAL: Final = ("$and", "$or", "$nor", "$not")


@dataclass(frozen=True, slots=True)
class Parser:
    """Reads patterns. With ``json_types`` the texts ``"String"``, ``"Number"`` … are types: JSON has no other way."""

    json_types: bool = False

    def pattern(self, source: Any, path: Path = ()) -> Pattern:
        """The pattern that ``source`` is; ``path`` is its place. Raises :class:`~aloma_py.errors.ConditionError`."""
        if len(path) > MAX_DEPTH:
            raise ConditionError(f"it is nested deeper than {MAX_DEPTH} levels", path=format_path(path[:8]) + "…")
        inner = getattr(source, "pattern", None)
        if isinstance(inner, PATTERN_TYPES) and not isinstance(source, PATTERN_TYPES):
            return inner  # type: ignore[return-value]  # a compiled condition inside another
        if isinstance(source, PATTERN_TYPES):
            return source  # type: ignore[return-value]
        if isinstance(source, enum.Enum):
            source = source.value
        if source is None:
            return Null()
        if isinstance(source, str) and self.json_types and source in JSON_TYPES:
            return JSON_TYPES[source]
        if isinstance(source, (str, bool, int, float)):
            return Value(_finite(source, path))
        if isinstance(source, type):
            return self._type(source, path)
        if isinstance(source, re.Pattern):
            return _regex(source, path)
        if isinstance(source, Mapping):
            return self._object(source, path)
        if isinstance(source, (list, tuple)):
            return Array(tuple(self.pattern(one, (*path, at)) for at, one in enumerate(source)))
        if isinstance(source, types.GenericAlias):
            raise ConditionError(
                f"{source!r} is no pattern; expected {source.__origin__.__name__}, a list of patterns, or a pydantic "
                "model",
                path=format_path(path),
            )
        if callable(source):
            return Predicate(source, function_text(source))
        raise ConditionError(_no_pattern(source), path=format_path(path))

    def _type(self, source: type, path: Path) -> Pattern:
        if source in PYTHON_TYPES:
            return PYTHON_TYPES[source]
        if issubclass(source, BaseModel):
            return model_pattern(source, path)
        raise ConditionError(
            f"the class {source.__name__} is no type of JSON; expected str, int, float, bool, list, dict or a pydantic "
            "model",
            path=format_path(path),
        )

    def _object(self, source: Mapping[Any, Any], path: Path) -> Pattern:
        """Members, operators, or members beside ``$and $or $nor $not``: what is in one object must all hold."""
        members: list[Members] = []
        operators: list[str] = []
        parts: list[Pattern] = []
        for key, value in source.items():
            if not isinstance(key, str):
                raise ConditionError(
                    f'the key {key!r} is no text; an element of an array is written "items.0"', path=format_path(path)
                )
            if not key.startswith("$") or key.split(".")[0] in ORDINARY:
                members.append(self._member(key, value, path))
                continue
            if key not in _LOGICAL:
                operators.append(key)
            if key == "$options":
                if "$regex" not in source:
                    raise ConditionError("$options belongs beside a $regex", path=format_path((*path, key)))
            elif key == "$regex":
                parts.append(_regex_of(value, source.get("$options", ""), (*path, key)))
            else:
                parts.append(self._operator(key, value, (*path, key)))
        if members and operators:
            name = next(str(key) for one in members for key, _ in one.items)
            raise ConditionError(
                f"the operator {operators[0]} and the member {name!r} are mixed in one object", path=format_path(path)
            )
        if members:
            parts.insert(0, merge(members))
        if not source:
            return Members(())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _member(self, key: str, value: Any, path: Path) -> Members:
        """One member; a dotted key is a path, so it becomes members inside each other."""
        parts: list[str | int] = [key]
        if "." in key:
            parts = [int(part) if re.fullmatch("0|[1-9][0-9]{0,8}", part) else part for part in key.split(".")]
            for part in parts:
                if part == "":
                    raise ConditionError(f"the dotted key {key!r} has an empty part", path=format_path((*path, key)))
                if isinstance(part, str) and part.startswith("$") and part not in ORDINARY:
                    raise ConditionError(
                        f"{part!r} cannot be part of a dotted key; write it as the key of an object",
                        path=format_path((*path, *parts)),
                    )
        pattern = self.pattern(value, (*path, *parts))
        for part in reversed(parts):
            pattern = Members(((part, pattern),))
        assert isinstance(pattern, Members)
        return pattern

    def _operator(self, name: str, value: Any, path: Path) -> Pattern:
        if name in _ORDERINGS:
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise ConditionError(f"{name} orders numbers and strings, got {_naming(value)}", path=format_path(path))
            return Compare(_ORDERINGS[name], _finite(value, path))
        reader = _READERS.get(name)
        if reader is None:
            known = (*_READERS, *_ORDERINGS, "$regex", *ORDINARY)
            raise ConditionError(f"there is no operator {name!r}{suggest(name, known)}", path=format_path(path))
        return reader(self, value, path)

    def equal(self, value: Any, path: Path) -> Value | Equal | Null:
        """A literal of ``$eq``, ``$ne``, ``$in``: any JSON value, never a pattern."""
        if isinstance(value, enum.Enum):
            value = value.value
        if value is None:
            return Null()
        if isinstance(value, (str, bool, int, float)):
            return Value(_finite(value, path))
        return Equal(_json(value, path))

    def _eq(self, value: Any, path: Path) -> Pattern:
        return self.equal(value, path)

    def _ne(self, value: Any, path: Path) -> Pattern:
        return Not(self.equal(value, path))

    def _in(self, value: Any, path: Path) -> Pattern:
        options = self._options(value, path)
        if not options:
            raise ConditionError("$in with an empty list never matches", path=format_path(path))
        return OneOf(options)

    def _nin(self, value: Any, path: Path) -> Pattern:
        return Not(OneOf(self._options(value, path)))

    def _options(self, value: Any, path: Path) -> tuple[Value | Equal | Null | Regex, ...]:
        return tuple(
            _regex(one, (*path, at)) if isinstance(one, re.Pattern) else self.equal(one, (*path, at))
            for at, one in enumerate(_listed(value, path))
        )

    def _exists(self, value: Any, path: Path) -> Pattern:
        if not isinstance(value, bool):
            raise ConditionError(f"$exists takes true or false, got {_naming(value)}", path=format_path(path))
        return Exists(value)

    def _kind(self, value: Any, path: Path) -> Pattern:
        if isinstance(value, str) and value in TYPE_NAMES:
            return Kind(TYPE_NAMES[value])
        if isinstance(value, type) and value in PYTHON_TYPES:
            return PYTHON_TYPES[value]
        hint = suggest(value, TYPE_NAMES) if isinstance(value, str) else ""
        raise ConditionError(
            f"$type takes string, number, integer, boolean, array, object or null, got {_naming(value)}{hint}",
            path=format_path(path),
        )

    def _size(self, value: Any, path: Path) -> Pattern:
        if isinstance(value, bool) or not (isinstance(value, Mapping) or (isinstance(value, int) and value >= 0)):
            raise ConditionError(
                f'$size takes a length or an operator such as {{"$gt": 2}}, got {_naming(value)}',
                path=format_path(path),
            )
        pattern = self.pattern(value, path)
        if isinstance(pattern, Members):
            raise ConditionError("$size takes a length or an operator, got members", path=format_path(path))
        return Size(pattern)

    def _all(self, value: Any, path: Path) -> Pattern:
        return Array(tuple(self.pattern(one, (*path, at)) for at, one in enumerate(_listed(value, path))))

    def _elem_match(self, value: Any, path: Path) -> Pattern:
        return Array((self.pattern(value, path),))

    def _not(self, value: Any, path: Path) -> Pattern:
        return Not(self.pattern(value, path))

    def _several(self, value: Any, path: Path) -> tuple[Pattern, ...]:
        found = tuple(self.pattern(one, (*path, at)) for at, one in enumerate(_listed(value, path)))
        if not found:
            raise ConditionError(f"{path[-1]} takes at least one pattern", path=format_path(path))
        return found

    def _and(self, value: Any, path: Path) -> Pattern:
        return AllOf(self._several(value, path))

    def _or(self, value: Any, path: Path) -> Pattern:
        return AnyOf(self._several(value, path))

    def _nor(self, value: Any, path: Path) -> Pattern:
        return Not(AnyOf(self._several(value, path)))


_READERS: Final[dict[str, Callable[[Parser, Any, Path], Pattern]]] = {
    "$eq": Parser._eq, "$ne": Parser._ne, "$in": Parser._in, "$nin": Parser._nin, "$exists": Parser._exists,
    "$type": Parser._kind, "$size": Parser._size, "$all": Parser._all, "$elemMatch": Parser._elem_match,
    "$not": Parser._not, "$and": Parser._and, "$or": Parser._or, "$nor": Parser._nor,
}  # fmt: skip


def merge(objects: Iterable[Members]) -> Members:
    """One object pattern for several on the same value, as ``{"a.b": 1, "a": {"c": 2}}`` needs."""
    by_key: dict[str | int, list[Pattern]] = {}
    for one in objects:
        for key, part in one.items:
            by_key.setdefault(key, []).append(part)
    return Members(tuple((key, _merged(parts)) for key, parts in by_key.items()))


def _merged(parts: list[Pattern]) -> Pattern:
    if len(parts) == 1:
        return parts[0]
    objects = [part for part in parts if isinstance(part, Members) and part.items]
    others = [part for part in parts if part not in objects]
    together = ([merge(objects)] if objects else []) + others
    return together[0] if len(together) == 1 else AllOf(tuple(together))


def _regex_of(value: Any, flags: Any, path: Path) -> Regex:
    """The regex of ``$regex`` beside ``$options``."""
    if isinstance(value, re.Pattern):
        return _regex(value, path)
    if not isinstance(value, str) or isinstance(flags, bool) or not isinstance(flags, (str, int)):
        what = value if not isinstance(value, str) else flags
        raise ConditionError(f"$regex and $options take text, got {_naming(what)}", path=format_path(path))
    try:
        return _regex(regexes.compile_text(value, flags), path)
    except ValueError as error:
        raise ConditionError(str(error), path=format_path(path)) from None


def _regex(pattern: re.Pattern[Any], path: Path) -> Regex:
    if not isinstance(pattern.pattern, str):
        raise ConditionError("a regex of bytes finds nothing in JSON; write it as text", path=format_path(path))
    try:
        return Regex(pattern.pattern, regexes.flag_letters(pattern), regexes.guard(pattern))
    except ValueError as error:
        raise ConditionError(str(error), path=format_path(path)) from None


def _finite(value: Any, path: Path) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConditionError(f"{value} is no number that JSON has", path=format_path(path))
    return value


def _listed(value: Any, path: Path) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConditionError(f"{path[-1]} takes a list, got {_naming(value)}", path=format_path(path))
    return value


def _json(value: Any, path: Path) -> Any:
    """A copy of a JSON value; a pattern in it is an error."""
    if len(path) > MAX_DEPTH:
        raise ConditionError(f"it is nested deeper than {MAX_DEPTH} levels", path=format_path(path[:8]) + "…")
    if isinstance(value, Mapping):
        return {str(key): _json(one, (*path, str(key))) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(one, (*path, at)) for at, one in enumerate(value)]
    if value is None or isinstance(value, (str, bool, int, float)):
        return _finite(value, path)
    raise ConditionError(
        f"expected a JSON value here, got {_naming(value)}; patterns go into $not, $or or $and", path=format_path(path)
    )


def _naming(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if value is None or isinstance(value, (str, bool, int, float)):
        return repr(value)
    return f"a {type(value).__name__}"


def _no_pattern(source: Any) -> str:
    name = type(source).__name__
    hints = {
        "set": "; for one of several values write one_of(…)",
        "frozenset": "; for one of several values write one_of(…)",
        "datetime": "; a time in JSON is text, compare with that",
        "date": "; a date in JSON is text, compare with that",
        "Decimal": "; write it as a number or as text",
        "bytes": "; JSON has only text",
    }
    if isinstance(source, BaseModel):
        return f"an instance of {name} is no pattern; give the class {name}"
    return f"a value of type {name} is no pattern{hints.get(name, '')}"
