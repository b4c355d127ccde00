"""The one representation of a condition (SPEC §2), whatever it was written in.

A pattern is a tree of the frozen records below. Python literals, helpers and pydantic models are read into it by
``parse`` and ``from_model``; it is what is judged (``compiled``, ``naive``), indexed (``index``), explained
(``explain``) and shown (``show``). Records hold only JSON values and functions, so another front end can build them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel

from aloma_py.models import Json
from aloma_py.paths import Path, format_path

KindName = Literal["string", "number", "integer", "boolean", "array", "object", "null", "container"]
Comparison = Literal["$gt", "$gte", "$lt", "$lte"]


@dataclass(frozen=True, slots=True)
class Value:
    """Equal to a string, a number or a boolean, of the same JSON type."""

    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Equal:
    """Equal to an object or an array, member by member, each of the same JSON type."""

    value: Json


@dataclass(frozen=True, slots=True)
class Null:
    """Null, or missing."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Of a JSON type. ``container`` is JavaScript's ``Object``: an object or an array."""

    name: KindName


@dataclass(frozen=True, slots=True)
class Regex:
    """A string in which ``search`` finds something.

    ``search`` gives ``None`` where it gave up because the search took too long; that counts as not found.
    """

    source: str
    flags: str
    search: Callable[[str], bool | None] = field(compare=False)
    flavour: Literal["python", "javascript"] = "python"


@dataclass(frozen=True, slots=True)
class Predicate:
    """A value for which a function returns something true. ``text`` is its source, or its name."""

    function: Callable[[Any], Any]
    text: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """A number on the right side of a number, or a string on the right side of a string."""

    operator: Comparison
    bound: int | float | str


@dataclass(frozen=True, slots=True)
class OneOf:
    """What one of the options matches (``$in``)."""

    options: tuple[Value | Equal | Null | Regex, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """``$exists``: something is there (``wanted``) or not. Null counts as not there, as everywhere in a condition."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class HiddenKind:
    """A confidential value of one of these types: what is seen of it is the name of its type (``"String"``)."""

    names: tuple[str, ...]
    or_missing: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    """What the pattern does not match (``$ne``, ``$nin``, ``$not``, ``$nor``)."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class AllOf:
    """What all patterns match."""

    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """What at least one of the patterns matches."""

    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """An array in which every pattern is matched by at least one element; without patterns, any array."""

    patterns: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class Size:
    """An array whose length the pattern matches."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Members:
    """An object whose members match; without members, any object.

    A key that is a number (from a dotted key) is an index of an array, or the member of that name.
    """

    items: tuple[tuple[str | int, Pattern], ...]


@dataclass(frozen=True, slots=True)
class ModelField:
    """A required leaf field of a pydantic model: where its value is in the data, and its type in words."""

    path: Path
    expected: str


@dataclass(frozen=True, slots=True)
class Model:
    """What a pydantic model validates in strict mode.

    ``derived`` is a pattern that everything it validates matches (for the index and to say no cheaply), ``fields`` its
    required leaf fields (at least one entry), ``reads`` what it looks at.
    """

    model: type[BaseModel]
    check: Callable[[Json], BaseModel] = field(compare=False)  # the instance; raises when it does not validate
    derived: Pattern
    fields: tuple[ModelField, ...]
    reads: frozenset[Path]


@dataclass(frozen=True, slots=True)
class Computed:
    """A pattern that depends on the whole data (``{$lt: data.limit}``): ``resolve(data)`` gives it for one task."""

    text: str
    resolve: Callable[[Json], Pattern] = field(compare=False)


Pattern: TypeAlias = (
    Value
    | Equal
    | Null
    | Kind
    | Regex
    | Predicate
    | Compare
    | OneOf
    | Exists
    | HiddenKind
    | Not
    | AllOf
    | AnyOf
    | Array
    | Size
    | Members
    | Model
    | Computed
)

PATTERN_TYPES: Final[tuple[type, ...]] = (
    Value, Equal, Null, Kind, Regex, Predicate, Compare, OneOf, Exists, HiddenKind, Not, AllOf, AnyOf, Array, Size,
    Members, Model, Computed,
)  # fmt: skip

ELEMENT: Final = "[]"
"""Stands in a leaf's path for "some element of the array"."""

_MAX_INDEXES: Final = 3
"""Array indexes of one path that are kept apart; below that the path is cut, which only widens what it covers."""

JSON_KINDS: Final[dict[type, str]] = {
    str: "string", int: "number", float: "number", bool: "boolean", type(None): "null", list: "array", dict: "object",
}  # fmt: skip


def kind_of(value: Json) -> str:
    """The JSON type of a value: string number boolean null array object (``other`` for what is no JSON)."""
    kind = JSON_KINDS.get(type(value))
    if kind is not None:
        return kind
    return next((name for base, name in JSON_KINDS.items() if isinstance(value, base)), "other")


def is_leaf(pattern: Pattern) -> bool:
    """Whether the pattern is one leaf: it counts one towards specificity and has one row in an explanation."""
    if isinstance(pattern, (Array, Members)):
        return not (pattern.patterns if isinstance(pattern, Array) else pattern.items)
    if isinstance(pattern, Not):
        return is_leaf(pattern.pattern)
    return not isinstance(pattern, (AllOf, AnyOf, Size, Model))


def leaves(pattern: Pattern, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Pattern | ModelField]]:
    """Every leaf with the text of its path, in the order in which ``explain`` has its rows."""
    if is_leaf(pattern):
        yield place(path), pattern
    elif isinstance(pattern, Members):
        for key, part in pattern.items:
            yield from leaves(part, (*path, key))
    elif isinstance(pattern, Array):
        for part in pattern.patterns:
            yield from leaves(part, (*path, ELEMENT))
    elif isinstance(pattern, (AllOf, AnyOf)):
        for part in pattern.patterns:
            yield from leaves(part, path)
    elif isinstance(pattern, Not):
        yield from leaves(pattern.pattern, path)
    elif isinstance(pattern, Size):
        yield from leaves(pattern.pattern, (*path, "$size"))
    elif isinstance(pattern, Model):
        for one in pattern.fields:
            yield place((*path, *one.path)), one


def reads(pattern: Pattern, prefix: Path = ()) -> Iterator[Path]:
    """The paths that the pattern looks at; a path stands for all below it. Array patterns look at the whole array.

    An index of an array is given as the number and as the name, because it may turn out to be either.
    """
    if isinstance(pattern, Members) and pattern.items:
        for key, part in pattern.items:
            if isinstance(key, int) and sum(isinstance(one, int) or one.isdigit() for one in prefix) >= _MAX_INDEXES:
                yield prefix
                continue
            for spelling in (key, str(key)) if isinstance(key, int) else (key,):
                yield from reads(part, (*prefix, spelling))
    elif isinstance(pattern, (AllOf, AnyOf)):
        for part in pattern.patterns:
            yield from reads(part, prefix)
    elif isinstance(pattern, Not):
        yield from reads(pattern.pattern, prefix)
    elif isinstance(pattern, Model):
        yield from ((*prefix, *path) for path in pattern.reads)
    elif isinstance(pattern, Computed):
        yield ()
    else:
        yield prefix


def has_computed(pattern: Pattern) -> bool:
    """Whether some part of the pattern depends on the whole data."""
    if isinstance(pattern, Computed):
        return True
    return any(has_computed(part) for part in children(pattern))


def resolve(pattern: Pattern, data: Json) -> Pattern:
    """The pattern with its :class:`Computed` parts replaced by what they are for this data."""
    if isinstance(pattern, Computed):
        return pattern.resolve(data)
    if isinstance(pattern, Members):
        return Members(tuple((key, resolve(part, data)) for key, part in pattern.items))
    if isinstance(pattern, (AllOf, AnyOf, Array)):
        return type(pattern)(tuple(resolve(part, data) for part in pattern.patterns))
    if isinstance(pattern, (Not, Size)):
        return type(pattern)(resolve(pattern.pattern, data))
    return pattern


def children(pattern: Pattern) -> tuple[Pattern, ...]:
    """The patterns directly inside this one."""
    if isinstance(pattern, Members):
        return tuple(part for _, part in pattern.items)
    if isinstance(pattern, (AllOf, AnyOf, Array)):
        return pattern.patterns
    if isinstance(pattern, (Not, Size)):
        return (pattern.pattern,)
    return ()


def place(path: tuple[str | int, ...]) -> str:
    """The text of a path that may go through "some element": ``items[].sku``."""
    if ELEMENT not in path:
        return format_path(path)
    at = path.index(ELEMENT)
    rest = place(path[at + 1 :])
    return f"{format_path(path[:at])}[]{'.' if rest and not rest.startswith('[') else ''}{rest}"
