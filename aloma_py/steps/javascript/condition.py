"""A JavaScript condition, as V8 described it, in the one representation of conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aloma_py import jsontext
from aloma_py.conditions import Condition, condition_of
from aloma_py.conditions.hidden import hide
from aloma_py.conditions.jsregex import translate
from aloma_py.conditions.parse import ORDINARY, Parser
from aloma_py.conditions.pattern import (
    PATTERN_TYPES,
    AllOf,
    Computed,
    Equal,
    Kind,
    Null,
    Pattern,
    Predicate,
    Regex,
    Value,
)
from aloma_py.errors import ConditionError
from aloma_py.javascript.consult import Asker, ConditionFailed, NotAnswered, question
from aloma_py.models import Json
from aloma_py.paths import Path, format_path

_FLAGS: Final = "dgimsuvy"
_TYPES: Final = {"String": "string", "Number": "number", "Boolean": "boolean", "Array": "array", "Object": "container"}


def javascript_condition(tree: Any, source: str, asker: Asker, dynamic: dict[str, str]) -> Condition:
    """The condition of the tree that ``check`` gave. ``dynamic`` are the texts of the parts that are computed.

    Raises :class:`~aloma_py.errors.ConditionError`.
    """
    match tree:
        case ["c", part, given]:
            raise _no_pattern(dynamic.get(part, part), given)
        case [kind, *_] if kind in _ONE_VALUE and tree != ["t", "Object"]:
            raise ConditionError(
                f"a task's data is an object, which {source} can never match; write what its members must be, "
                "as {status: 'new'}"
            )
    return condition_of(_Reader(asker, dynamic, whole=tree).pattern(tree), source)


_ONE_VALUE: Final = {"n": "null", "v": "value", "t": "type", "r": "regular expression", "a": "array"}
"""What matches no object, as a tree begins."""


def _no_pattern(text: str, given: str) -> ConditionError:
    body = f"({text})" if text.startswith("{") else text
    return ConditionError(
        f"{text} gives a {given}, and a condition is a pattern, as {{total: {{$gt: 3}}}}; "
        f"or make it a function of the data: export const condition = (data) => {body}"
    )


class _Reader:
    """Reads a tree into what the parser of conditions takes.

    ``data`` is the JSON text of the task's data where the computed parts of the tree have been filled in for it.
    ``whole`` is the tree of the whole condition.
    """

    def __init__(self, asker: Asker, dynamic: dict[str, str], data: str = "{}", whole: Any = None) -> None:
        self._asker = asker
        self._dynamic = dynamic
        self._data = data
        self._whole = whole

    def pattern(self, tree: Any) -> Pattern:
        return hide(_Parser(regex=self.regex).pattern(self.read(tree)))

    def read(self, tree: Any, path: Path = ()) -> Any:
        match tree:
            case ["n"]:
                return None
            case ["v", value]:
                return value
            case ["v", value, why]:
                return _Unreadable(value, why)
            case ["t", name]:
                return Kind(_TYPES[name])  # type: ignore[arg-type]
            case ["r", source, flags]:
                return self.regex(source, flags)
            case ["f", text, place, *part]:
                return Predicate(self._predicate(place, *part), text)
            case ["c", part]:
                return Computed(self._dynamic.get(part, part), self._resolver(tree))
            case ["o", members] if any(_is_operator(key) and _has_part(value) for key, value in members):
                return Computed(self._text(tree), self._resolver(tree))  # {$lt: data.limit}: known for one task only
            case ["o", members]:
                return {key: self._member(key, member, (*path, key)) for key, member in members}
            case ["a", elements]:
                return [self.read(element, (*path, at)) for at, element in enumerate(elements)]
            case ["x", what]:
                raise ConditionError(f"{what} is no pattern", path=format_path(path[:8]) + "…" * (len(path) > 8))
            case ["e", why]:
                raise ConditionError(why, path=format_path(path))
        raise ConditionError(f"{tree!r} is no pattern")

    def _member(self, key: str, tree: Any, path: Path) -> Any:
        if key == "$type" and tree[0] == "t":
            return str(tree[1])  # {$type: String} is {$type: "String"}
        return self.read(tree, path)

    def regex(self, source: str, flags: str) -> Regex:
        return Regex(source, flags, self._search(source, flags), "javascript")

    def _text(self, tree: Any) -> str:
        match tree:
            case ["c", part]:
                return str(self._dynamic.get(part, part))
            case ["o", members]:
                return f"{{{', '.join(f'{key}: {self._text(value)}' for key, value in members)}}}"
            case ["a", elements]:
                return f"[{', '.join(map(self._text, elements))}]"
            case ["v", value]:
                return jsontext.dumps(value)
            case [_, text, *_]:
                return str(text)
        return "null"

    def _ask(self, **parts: Any) -> Any:
        return self._asker.ask(question(**parts), self._data)

    def _search(self, source: str, flags: str) -> Callable[[str], bool | None]:
        known = translate(source, flags)
        if known is not None:
            return known

        def search(text: str) -> bool | None:
            try:
                return bool(self._ask(regex=[source, flags], value=text))
            except NotAnswered:
                return False
            except ConditionFailed:
                return None

        return search

    def _predicate(self, path: list[str | int], part: str | None = None) -> Callable[[Any], Any]:
        where = {"path": path} if part is None else {"path": path, "part": part, "call": True}

        def holds(value: Any) -> bool:
            try:
                return bool(self._ask(**where, value=value))
            except NotAnswered:
                return False

        return holds

    def _resolver(self, tree: Any) -> Callable[[Json], Pattern]:
        def resolve(data: Json) -> Pattern:
            inner = _Reader(self._asker, self._dynamic, jsontext.dumps(data))
            try:
                filled = inner.fill(tree)
                if tree is self._whole and filled[0] in _ONE_VALUE and filled != ["t", "Object"]:
                    raise _no_pattern(self._text(tree), _ONE_VALUE[filled[0]])
                return inner.pattern(filled)
            except NotAnswered:
                return Predicate(lambda value: False, "not known yet")
            except (ConditionFailed, ConditionError) as error:
                return _failing(error)

        return resolve

    def fill(self, tree: Any) -> Any:
        """The tree with its computed parts replaced by what they are for the data."""
        match tree:
            case ["c", part]:
                return _of_part(self._ask(part=part, path=[]), part)
            case ["o", members]:
                return ["o", [[key, self.fill(value)] for key, value in members]]
            case ["a", elements]:
                return ["a", [self.fill(element) for element in elements]]
        return tree


@dataclass(frozen=True)
class _Parser(Parser):
    """Reads what the reader made of a JavaScript condition, in which regular expressions are JavaScript's."""

    regex: Callable[[str, str], Regex] = field(kw_only=True)

    def _object(self, source: Mapping[Any, Any], path: Path) -> Pattern:
        if "$regex" not in source:
            return super()._object(source, path)
        regex = self._regex(source["$regex"], source.get("$options"), (*path, "$regex"))
        # What is beside it is read by the parser of all conditions, with one that it can read in its place.
        others = {key: value for key, value in source.items() if key != "$options"} | {"$regex": ""}
        found = super()._object(others, path)
        if isinstance(found, AllOf):
            return AllOf(tuple(regex if isinstance(part, Regex) else part for part in found.patterns))
        return regex

    def _regex(self, value: Any, flags: Any, path: Path) -> Regex:
        if isinstance(value, Regex):
            if flags is None:
                return value
            value = value.source  # the flags of the text replace those of the regular expression, as in RegExp()
        if not isinstance(value, str) or not (flags is None or isinstance(flags, str)):
            what = flags if isinstance(value, str) else value
            raise ConditionError(f"$regex and $options take text, got {_naming(what)}", path=format_path(path))
        flags = flags or ""
        if wrong := _wrong_flags(flags):
            raise ConditionError(wrong, path=format_path(path))
        if isinstance(value, _Unreadable):
            raise ConditionError(f"{str(value)!r} is no regular expression: {value.why}", path=format_path(path))
        return self.regex(value, flags)

    def _operator(self, name: str, value: Any, path: Path) -> Pattern:
        takes, fits = _OPERANDS.get(name, ("", lambda _: True))
        if not fits(value):
            raise ConditionError(f"{name} {takes}, got {_naming(value)}", path=format_path(path))
        return super()._operator(name, value, path)

    def equal(self, value: Any, path: Path) -> Value | Equal | Null:
        for inner, place in _everything(value, path):
            if isinstance(inner, PATTERN_TYPES):
                raise ConditionError(
                    f"expected a JSON value here, got {_naming(inner)}; patterns go into $not, $or or $and",
                    path=format_path(place),
                )
        return super().equal(value, path)

    def _options(self, value: Any, path: Path) -> tuple[Value | Equal | Null | Regex, ...]:
        return tuple(one if isinstance(one, Regex) else self.equal(one, (*path, at)) for at, one in enumerate(value))


class _Unreadable(str):
    """The text of a ``$regex`` that V8 cannot read, and why; elsewhere it is text as any other."""

    why: str

    def __new__(cls, text: str, why: str) -> _Unreadable:
        made = super().__new__(cls, text)
        made.why = why
        return made


def _is_bound(value: Any) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


_BOUND: Final = ("orders numbers and strings", _is_bound)
_LIST: Final = ("takes a list", lambda value: isinstance(value, list))
_OPERANDS: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "$gt": _BOUND, "$gte": _BOUND, "$lt": _BOUND, "$lte": _BOUND,
    "$in": _LIST, "$nin": _LIST, "$all": _LIST, "$and": _LIST, "$or": _LIST, "$nor": _LIST,
    "$exists": ("takes true or false", lambda value: isinstance(value, bool)),
    "$type": ("takes string, number, integer, boolean, array, object or null", lambda value: isinstance(value, str)),
    "$size": ("takes a length or an operator such as {$gt: 2}", _is_size),
}  # fmt: skip
"""What an operator takes, and whether a value is that. The parser of all conditions checks it in Python's words."""


def _everything(value: Any, path: Path) -> Iterator[tuple[Any, Path]]:
    """A value and all inside it, each with its place."""
    yield value, path
    if isinstance(value, (Mapping, list)):
        for key, one in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _everything(one, (*path, key))


def _naming(value: Any) -> str:
    """A value that stands where it must not, as JavaScript calls it."""
    match value:
        case Kind(name):
            return f"the type {next(written for written, kind in _TYPES.items() if kind == name)}"
        case Regex():
            return f"the regular expression /{value.source}/{value.flags}"
        case Predicate(_, text):
            return f"the function {text}"
        case Computed(text):
            return f"what is computed: {text}"
        case Mapping():
            return "an object"
        case list():
            return "an array"
        case str():
            return repr(str(value))
    return jsontext.dumps(value)


def _wrong_flags(flags: str) -> str | None:
    """What is wrong with the flags of a regular expression."""
    unknown = sorted(set(flags) - set(_FLAGS))
    if unknown:
        return f"unknown regex flag {unknown[0]!r}; there are: {', '.join(_FLAGS)}"
    if len(set(flags)) < len(flags):
        return f"the regex flags {flags!r} have one twice"
    return "the regex flags u and v exclude each other" if {"u", "v"} <= set(flags) else None


def _is_operator(key: str) -> bool:
    return key.startswith("$") and key.split(".")[0] not in ORDINARY and key not in ("$and", "$or", "$nor", "$not")


def _has_part(tree: Any) -> bool:
    match tree:
        case ["c", _]:
            return True
        case ["o", members]:
            return any(_has_part(value) for _, value in members)
        case ["a", elements]:
            return any(map(_has_part, elements))
    return False


def _of_part(tree: Any, part: str) -> Any:
    """The tree with its functions marked as those of a computed part."""
    match tree:
        case ["f", text, path]:
            return ["f", text, path, part]
        case ["o", members]:
            return ["o", [[key, _of_part(value, part)] for key, value in members]]
        case ["a", elements]:
            return ["a", [_of_part(element, part) for element in elements]]
    return tree


def _failing(error: Exception) -> Pattern:
    def fail(value: Any) -> bool:
        raise error

    return Predicate(fail, str(error))
