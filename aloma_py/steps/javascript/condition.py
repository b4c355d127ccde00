"""A JavaScript condition, as V8 described it, in the one representation of conditions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aloma_py import jsontext
from aloma_py.conditions import Condition, condition_of
from aloma_py.conditions.hidden import hide
from aloma_py.conditions.jsregex import translate
from aloma_py.conditions.parse import ORDINARY, Parser
from aloma_py.conditions.pattern import AllOf, Computed, Equal, Kind, Null, Pattern, Predicate, Regex, Value
from aloma_py.errors import ConditionError
from aloma_py.javascript.consult import Asker, ConditionFailed, NotAnswered, question
from aloma_py.models import Json
from aloma_py.paths import Path, format_path

_TYPES = {"String": "string", "Number": "number", "Boolean": "boolean", "Array": "array", "Object": "container"}


def javascript_condition(tree: Any, source: str, asker: Asker, dynamic: dict[str, str]) -> Condition:
    """The condition of the tree that ``check`` gave. ``dynamic`` are the texts of the parts that are computed.

    Raises :class:`~aloma_py.errors.ConditionError`.
    """
    return condition_of(_Reader(asker, dynamic).pattern(tree), source)


class _Reader:
    """Reads a tree into what the parser of conditions takes.

    ``data`` is the JSON text of the task's data where the computed parts of the tree have been filled in for it.
    """

    def __init__(self, asker: Asker, dynamic: dict[str, str], data: str = "{}") -> None:
        self._asker = asker
        self._dynamic = dynamic
        self._data = data

    def pattern(self, tree: Any) -> Pattern:
        return hide(_Parser(regex=self.regex).pattern(self.read(tree)))

    def read(self, tree: Any, path: Path = ()) -> Any:
        match tree:
            case ["n"]:
                return None
            case ["v", value]:
                return value
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
                return inner.pattern(inner.fill(tree))
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
            raise ConditionError("$regex takes a regular expression or text, and $options text", path=format_path(path))
        flags = flags or ""
        if set(flags) - set("dgimsuvy") or len(set(flags)) < len(flags) or {"u", "v"} <= set(flags):
            raise ConditionError(f"{flags!r} are no flags of a regular expression", path=format_path(path))
        return self.regex(value, flags)

    def _options(self, value: Any, path: Path) -> tuple[Value | Equal | Null | Regex, ...]:
        if not isinstance(value, list):
            return super()._options(value, path)  # which tells what is wrong
        return tuple(one if isinstance(one, Regex) else self.equal(one, (*path, at)) for at, one in enumerate(value))


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
