"""What an expression of a step's code may stand for: sets of atoms.

The analysis never runs code. It asks of each name what it may be bound to *anywhere* in its function: a reference
into the task's data, an object that the code made, a function, one of the handles of SPEC §4, or nothing of interest.
A union of possibilities is a union of sets, so branches, loops and closures need no care of their own.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aloma_py.paths import Path

if TYPE_CHECKING:
    from aloma_py.steps.follow.scopes import Scope

MAX_PATH: Final = 12
"""Longer paths (a loop that walks down a tree) are cut: they stand for all that is below."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference into the data: the value at ``path``, or (not ``exact``) one anywhere at or below it."""

    path: Path
    exact: bool = True

    def member(self, name: str) -> Ref:
        """The member ``name`` of it. Positions in arrays are not told apart: removing one moves the others."""
        if not self.exact or name.isdigit():
            return Ref(self.path, exact=False)
        return Ref((*self.path, name), exact=len(self.path) + 1 < MAX_PATH)


@dataclass(frozen=True, slots=True)
class Site:
    """The objects made at one place in the code: a literal, a comprehension, the answer of a call."""

    key: object


@dataclass(frozen=True, slots=True)
class Func:
    """A function whose code is followed."""

    scope: Scope


@dataclass(frozen=True, slots=True)
class Role:
    """A handle of SPEC §4, or what is reached through it: ``task``, ``task.complete``, ``connectors.crm.find``."""

    name: str

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]

    @property
    def sensitive(self) -> bool:
        """Whether who gets it can do what counts as reading or writing."""
        return self.root in _SENSITIVE and self.name not in _HARMLESS


_SENSITIVE: Final = frozenset({"task", "connectors", "graph", "user", "file", "blob"})
_HARMLESS: Final = frozenset({"task.id", "task.createdAt", "task.created_at"})


@dataclass(frozen=True, slots=True)
class Outer:
    """Something from outside the function: a module, a class, a function, a global. ``name`` is its full name."""

    name: str
    value: Any = field(default=None, compare=False)
    identity: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is known: a constant."""

    text: str


@dataclass(frozen=True, slots=True)
class Head:
    """A text of which the beginning is known."""

    text: str


class Plain(enum.Enum):
    """Something that is not followed."""

    NUMBER = enum.auto()  # a number, true or false
    SCALAR = enum.auto()  # text, null, a date: it cannot be changed and holds nothing
    OPAQUE = enum.auto()  # anything that does not come from the data


Atom = Ref | Site | Func | Role | Outer | Text | Head | Plain
Value = frozenset[Atom]

NOTHING: Final[Value] = frozenset()
NUMBER: Final[Value] = frozenset({Plain.NUMBER})
SCALAR: Final[Value] = frozenset({Plain.SCALAR})
OPAQUE: Final[Value] = frozenset({Plain.OPAQUE})


def join(values: Iterable[Value]) -> Value:
    """The union."""
    return NOTHING.union(*values)


def texts_of(value: Value) -> list[str] | None:
    """The texts that ``value`` can be, sorted, if it can be nothing else; else ``None``."""
    found = [atom.text for atom in value if isinstance(atom, Text)]
    return sorted(found) if found and len(found) == len(value) else None


def members_of(value: Value) -> list[str | None]:
    """The members that an index of that value can mean; ``[None]`` if that cannot be told."""
    texts = texts_of(value)
    return [*texts] if texts is not None else [None]


def value_of(thing: Any) -> Value:
    """What a global or a captured variable stands for."""
    if isinstance(thing, str):
        return frozenset({Text(thing)})
    if isinstance(thing, (int, float)):
        return NUMBER
    if thing is None:
        return SCALAR
    return frozenset({Outer(name_of(thing), thing, id(thing))})


def name_of(thing: Any) -> str:
    """The full name of a module, class or function (``json.dumps``); empty for other things."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if isinstance(module, str) and isinstance(name, str):
        return f"{module.lstrip('_')}.{name}"
    if type(thing).__name__ == "module":
        return str(thing.__name__)
    return ""
