"""A condition: a pattern over a task's data, ready to be judged (SPEC §2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from aloma_py.conditions.compiled import compile_pattern
from aloma_py.conditions.hidden import hide
from aloma_py.conditions.naive import holds
from aloma_py.conditions.parse import Parser
from aloma_py.conditions.pattern import (
    AllOf,
    AnyOf,
    Computed,
    Equal,
    Exists,
    Kind,
    Members,
    Model,
    Not,
    OneOf,
    Pattern,
    Predicate,
    has_computed,
    leaves,
    reads,
)
from aloma_py.conditions.show import expected, show
from aloma_py.errors import ConditionError
from aloma_py.models import Json
from aloma_py.paths import Path


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf of a condition: where it looks (``items[].sku``: at some element) and what it asks for, in words."""

    path: str
    expected: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Condition:
    """A condition, made by :func:`compile_condition`. Two conditions are equal only if they are the same object."""

    source: str  # the condition as text, in the notation of a Python literal
    pattern: Pattern  # the one representation, whatever it was written in
    specificity: int  # the number of leaves (SPEC §2); at least 1
    paths: frozenset[Path]  # what it looks at, each path with all below it; an array pattern looks at the whole array
    model: type[BaseModel] | None  # the pydantic model, where the whole condition is one
    leaves: tuple[Leaf, ...]  # in the order of explain's rows; as many as ``specificity``
    test: Callable[[Json], bool] = field(compare=False)  # the compiled form; the index calls it without a detour

    def matches(self, data: Json) -> bool:
        """Whether the task's data matches. Never raises for JSON data; a predicate that raises does not hold."""
        return self.test(data)

    def instance(self, data: Json) -> BaseModel:
        """The model's validated instance of the data.

        Raises ``TypeError`` where the condition is no model, and what the model raises (``pydantic.ValidationError``)
        where the data does not match.
        """
        if not isinstance(self.pattern, Model):
            raise TypeError(f"the condition {self.source} is no pydantic model")
        return self.pattern.check(data)

    def __repr__(self) -> str:
        return f"Condition({self.source})"


def compile_condition(source: Any, *, step: str | None = None, json_types: bool = False) -> Condition:
    """Read a condition from a literal, helpers, a pydantic model class or a :class:`Condition` (given back as it is).

    ``step`` is the name that an error names. With ``json_types`` the texts ``"String" "Number" "Boolean" "Array"
    "Object"`` are types, for conditions that come from JSON or YAML. Raises
    :class:`~aloma_py.errors.ConditionError` with the path inside the condition and the reason.
    """
    if isinstance(source, Condition):
        return source
    try:
        pattern = hide(Parser(json_types).pattern(source))
        if not may_match_object(pattern):
            raise ConditionError(f"a task's data is an object, which {show(pattern)} can never match")
    except ConditionError as error:
        raise (error.at(step=step) if step else error) from None
    return condition_of(pattern)


def condition_of(pattern: Pattern, source: str | None = None) -> Condition:
    """The condition of a pattern that another front end built; ``source`` is its text, by default as in Python."""
    found = tuple(Leaf(path, expected(leaf)) for path, leaf in leaves(pattern))
    return Condition(
        source=source or show(pattern),
        pattern=pattern,
        specificity=len(found),
        paths=frozenset(reads(pattern)),
        model=pattern.model if isinstance(pattern, Model) else None,
        leaves=found,
        test=(lambda data: holds(pattern, data)) if has_computed(pattern) else compile_pattern(pattern),
    )


def may_match_object(pattern: Pattern) -> bool:
    """Whether a pattern on the whole data can match at all."""
    match pattern:
        case Kind(name):
            return name in ("object", "container")
        case AllOf(parts):
            return all(map(may_match_object, parts))
        case AnyOf(parts):
            return any(map(may_match_object, parts))
        case Not(inner):
            return not isinstance(inner, Kind) or inner.name not in ("object", "container")
        case Equal(value):
            return isinstance(value, dict)
        case OneOf(options):
            return any(map(may_match_object, options))
        case Exists(wanted):
            return wanted
        case _:
            return isinstance(pattern, (Members, Predicate, Model, Computed))
