"""``mapper()``: an object made from parts of another, told as pairs of paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aloma_py.errors import InputError
from aloma_py.paths import MISSING, Path, get, parse_path, put
from aloma_py.run.plain import plain

Transform = Callable[..., Any]

_EACH = "[]"


@dataclass(frozen=True, slots=True)
class _Rule:
    sources: tuple[str, ...]
    alternatives: tuple[str, ...] = ()
    several: bool = False  # whether the sources came as a list, so that the answer is a list of values
    target: str | None = None
    transform: Transform | None = None
    default: Any = MISSING


class Mapper:
    """Rules from one object to another; each ``map`` begins one, each ``to`` ends it.

    ::

        mapper().map("customer.name").to("contact.fullName").map("lines[].sku").to("skus").execute(order)

    - ``map("a.b").to("c.d")`` copies the value at ``a.b`` to ``c.d``; a source that is missing writes nothing.
    - ``.to("c", function)`` writes what the function makes of the value; ``.to("c", default=0)`` fills in for a
      missing source.
    - ``.map("a").or_("b", "c").to("d")`` takes the first source that is there and not null.
    - ``.map(["a", "b"]).to("c", lambda a, b: …)`` calls the function with all values, ``None`` for what is missing;
      without a function the values that are there are written as a list.
    - ``.map("a")`` without ``to`` keeps the path. ``.map().to("c", lambda: 1)`` writes without a source.
    - ``lines[].sku`` takes ``sku`` of every element of ``lines`` that has one. As a target, ``skus[]`` writes the list
      at ``skus``, and ``rows[].code`` writes each value as ``code`` of the row of the same position.

    A number in a path is an index of an array, in targets too. A mapper may be executed any number of times.
    """

    def __init__(self) -> None:
        self._rules: list[_Rule] = []

    def map(self, source: str | Sequence[str] | None = None) -> Mapper:
        """Begin a rule from one path, from several, or from none. Raises ``InputError`` for anything else."""
        if source is None:
            rule = _Rule(())
        elif isinstance(source, str):
            rule = _Rule((_path(source),))
        elif isinstance(source, Sequence):
            rule = _Rule(tuple(_path(path) for path in source), several=True)
        else:
            raise InputError(f"map() takes a path such as 'order.id' or a list of paths, not {source!r}")
        self._rules.append(rule)
        return self

    def or_(self, *sources: str) -> Mapper:
        """Where the value before is missing or null, take the first of these that is there."""
        rule = self._last("or_()")
        self._rules[-1] = replace(rule, alternatives=(*rule.alternatives, *(_path(path) for path in sources)))
        return self

    def to(self, target: str | None = None, transform: Transform | None = None, default: Any = MISSING) -> Mapper:
        """End the rule: where its value goes, and what is made of it on the way. Raises ``InputError``."""
        rule = self._last("to()")
        if transform is not None and not callable(transform):
            raise InputError(f"the second argument of to() is a function of the value, not {transform!r}")
        target = _path(target) if target is not None else None
        if target is None and len(rule.sources) != 1:
            raise InputError("to() needs a path such as 'contact.name' where map() does not name exactly one")
        self._rules[-1] = replace(rule, target=target, transform=transform, default=default)
        return self

    def execute(self, source: Any, into: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A new object with what the rules take from ``source``, added to a copy of ``into``.

        The answer is plain JSON and shares nothing with ``source``. Raises ``InputError`` for a rule without target,
        ``ResultError`` where a value is no JSON, and what a transform function raises.
        """
        target: dict[str, Any] = plain(dict(into or {}), root="into")
        for rule in self._rules:
            value = _value(rule, source)
            if value is not MISSING:
                _write(target, self._target(rule), plain(value, root="the mapped value"))
        return target

    def _last(self, word: str) -> _Rule:
        if not self._rules:
            raise InputError(f"{word} comes after map(): mapper().map('a').to('b')")
        return self._rules[-1]

    def _target(self, rule: _Rule) -> str:
        if rule.target is not None:
            return rule.target
        if len(rule.sources) != 1:
            raise InputError(f"map({list(rule.sources)!r}) needs a to(…) that says where its value goes")
        return rule.sources[0]


def mapper() -> Mapper:
    """A mapper without rules."""
    return Mapper()


def _path(text: Any) -> str:
    if not isinstance(text, str) or not text:
        raise InputError(f"a path is a text such as 'order.id', not {text!r}")
    return text


def _value(rule: _Rule, source: Any) -> Any:
    found = [_read(source, path) for path in rule.sources]
    if not rule.several and rule.sources:
        found = [_first([*found, *(_read(source, path) for path in rule.alternatives)])]
    if all(value is MISSING for value in found) and (found or rule.transform is None):
        return rule.default
    if rule.transform is not None:
        return rule.transform(*(None if value is MISSING else value for value in found))
    return [value for value in found if value is not MISSING] if rule.several else found[0]


def _first(values: Sequence[Any]) -> Any:
    """The first value that is there and not null; else the first that is there, or MISSING."""
    there = [value for value in values if value is not MISSING]
    return next((value for value in there if value is not None), there[0] if there else MISSING)


def _read(source: Any, text: str) -> Any:
    head, each, rest = text.partition(_EACH)
    value = get(source, parse_path(head)) if head else source
    if not each:
        return value
    if not isinstance(value, list):
        return MISSING
    rest = rest.removeprefix(".")
    if not rest:
        return list(value)
    found = [_read(element, rest) for element in value]
    if _EACH in rest:  # lists of lists become one list
        found = [inner for values in found if values is not MISSING for inner in values]
    return [inner for inner in found if inner is not MISSING]


def _write(target: dict[str, Any], text: str, value: Any) -> None:
    head, each, rest = text.partition(_EACH)
    path: Path = parse_path(head)
    rest = rest.removeprefix(".")
    if not each or not rest:
        put(target, path, value)
        return
    if _EACH in rest or not head:
        raise InputError(f"a target may hold one '[]', after the name of an array as in 'rows[].code', not {text!r}")
    rows: Iterable[Any] = value if isinstance(value, list) else [value]
    for index, element in enumerate(rows):
        put(target, (*path, index, *parse_path(rest)), element)
