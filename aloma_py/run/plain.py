"""What a step left in its data, back to plain JSON, or an error that says which member is none and what to write."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

from pydantic import BaseModel

from aloma_py.errors import ResultError
from aloma_py.models import Json, Limits
from aloma_py.paths import Path, format_path
from aloma_py.run.data import Data, MemberData, MemberList

MAX_DEPTH: Final = Limits().max_depth
"""How many objects and arrays may stand inside each other where nothing else is said."""

MAX_DIGITS: Final = 4300
"""The longest whole number: Python reads no longer one from text."""

_TOO_BIG: Final = 10**MAX_DIGITS
_ATOMS: Final = frozenset({str, bool, type(None)})
_OBJECTS: Final = (dict, Data, MemberData)
_ARRAYS: Final = (list, MemberList, tuple)

# By name, as most of these modules need not be loaded at all: type -> what to write instead.
_CURES: Final[Mapping[str, str]] = {
    "datetime.datetime": "write .isoformat()",
    "datetime.date": "write .isoformat()",
    "datetime.time": "write .isoformat()",
    "datetime.timedelta": "write .total_seconds()",
    "decimal.Decimal": "write str(…) or float(…)",
    "fractions.Fraction": "write float(…)",
    "uuid.UUID": "write str(…)",
    "pathlib.PurePath": "write str(…)",
    "builtins.set": "write sorted(…) or list(…)",
    "builtins.frozenset": "write sorted(…) or list(…)",
    "builtins.range": "write list(…)",
    "builtins.generator": "write list(…)",
    "builtins.map": "write list(…)",
    "builtins.filter": "write list(…)",
    "builtins.zip": "write list(…)",
    "builtins.dict_keys": "write list(…)",
    "builtins.dict_values": "write list(…)",
    "builtins.dict_items": "write list(…)",
    "builtins.bytes": "write .decode(), or keep it with blob.create",
    "builtins.bytearray": "write .decode(), or keep it with blob.create",
    "builtins.coroutine": "write await before the call",
    "_asyncio.Future": "write await before it",
    "_asyncio.Task": "write await before it",
    "builtins.function": "call it, and keep what it gives",
    "builtins.method": "call it, and keep what it gives",
    "builtins.builtin_function_or_method": "call it, and keep what it gives",
    "builtins.type": "write its .__name__",
    "enum.Enum": "write .value",
    "collections.abc.Mapping": "write dict(…)",
}


class _Unusual(Exception):
    """Something that needs a closer look; what and where is found in a second, slower pass."""


def plain(value: Any, *, max_depth: int = MAX_DEPTH, root: str = "data") -> Json:
    """A deep copy of ``value`` in plain JSON types, in which nothing is shared with it but texts and numbers.

    Taken as JSON: ``Data`` and dicts with text keys; lists and tuples; texts, numbers and booleans, of derived types
    too (a ``StrEnum`` or ``IntEnum`` becomes its value); pydantic models (their ``model_dump(mode="json")``).

    Raises :class:`~aloma_py.errors.ResultError` that names the place, beginning with ``root``, for anything else: other
    types, keys that are no texts, ``nan`` and infinities, numbers of more than :data:`MAX_DIGITS` digits, an object
    that holds itself, more than ``max_depth`` objects and arrays inside each other (SPEC §5).
    """
    try:
        return _copy(value, max_depth)
    except _Unusual:
        return _Careful(max_depth, root).copy(value, ())


def _copy(value: Any, depth: int) -> Json:
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind in _OBJECTS:
        if not depth:
            raise _Unusual
        made = {}
        for name, member in dict.items(value):
            if type(name) is not str:
                raise _Unusual
            made[name] = member if type(member) in _ATOMS else _copy(member, depth - 1)
        return made
    if kind is int:
        if -_TOO_BIG < value < _TOO_BIG:
            return value
    elif kind is float:
        if isfinite(value):
            return value
    elif kind in _ARRAYS and depth:
        return [element if type(element) in _ATOMS else _copy(element, depth - 1) for element in value]
    raise _Unusual


class _Careful:
    """The pass that knows where it is: it takes what is unusual and complains about what is wrong."""

    def __init__(self, max_depth: int, root: str) -> None:
        self.max_depth = max_depth
        self.root = root
        self.inside: dict[int, Path] = {}  # the objects and arrays around, by identity

    def copy(self, value: Any, path: Path) -> Json:
        if isinstance(value, BaseModel):
            value = value.model_dump(mode="json")
        elif isinstance(value, enum.Enum) and isinstance(value, (str, int, float)):
            value = value.value
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, (int, float)):
            return self.number(value, path)
        if isinstance(value, (dict, list, tuple)):
            return self.container(value, path)
        raise ResultError(f"{self.place(path)} is {_a(type(value))}, which JSON does not know: {_cure(value)}")

    def number(self, value: int | float, path: Path) -> Json:
        if isinstance(value, float):
            if not isfinite(value):
                raise ResultError(f"{self.place(path)} is {float(value)!r}, which is no number in JSON: write None")
            return float(value)
        if not -_TOO_BIG < value < _TOO_BIG:
            raise ResultError(
                f"{self.place(path)} is a number of more than {MAX_DIGITS} digits, which cannot be kept: "
                "write it as a hexadecimal text"
            )
        return int(value)

    def container(self, value: Any, path: Path) -> Json:
        if id(value) in self.inside:
            raise ResultError(
                f"{self.place(path)} is {self.place(self.inside[id(value)])} itself, which JSON cannot show: "
                "write a copy of the part that is needed"
            )
        if len(path) >= self.max_depth:
            raise ResultError(
                f"{self.place(path[:3])}… is more than {self.max_depth} levels deep; "
                f"at most {self.max_depth} objects and arrays may stand inside each other"
            )
        self.inside[id(value)] = path
        made: Json
        if isinstance(value, dict):
            made = {}
            for name, member in dict.items(value):
                if not isinstance(name, str):
                    raise ResultError(
                        f"{self.place(path)} has the key {name!r}, which is {_a(type(name))}; "
                        f"keys are texts: write {str(name)!r}"
                    )
                made[self.copy(name, path)] = self.copy(member, (*path, str(name)))
        else:
            made = [
                self.copy(element, (*path, index))
                for index, element in enumerate(
                    list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)
                )
            ]
        del self.inside[id(value)]
        return made

    def place(self, path: Path) -> str:
        inner = format_path(path)
        return self.root + (inner if inner.startswith("[") else f".{inner}" if inner else "")


def _a(kind: type) -> str:
    name = kind.__qualname__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _cure(value: object) -> str:
    for kind in type(value).__mro__:
        cure = _CURES.get(f"{kind.__module__}.{kind.__qualname__}")
        if cure is not None:
            return cure
    if isinstance(value, Mapping):
        return _CURES["collections.abc.Mapping"]
    if hasattr(type(value), "__await__"):
        return _CURES["_asyncio.Future"]
    if hasattr(type(value), "__dataclass_fields__"):
        return "write dataclasses.asdict(…)"
    return "write its parts as texts, numbers, lists and dicts"
