"""Members of values: what getting, setting and deleting one means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aloma_py.steps.follow.places import COMPUTED, EMPTIED, KEPT, SPECIAL
from aloma_py.steps.follow.values import (
    NOTHING,
    NUMBER,
    OPAQUE,
    SCALAR,
    Atom,
    Func,
    Head,
    Outer,
    Plain,
    Ref,
    Role,
    Site,
    Text,
    Value,
    join,
)
from aloma_py.steps.javascript.footprint_names import CONVERTING, KEEPING
from aloma_py.steps.javascript.footprint_names import SPECIAL as SPECIAL_NAMES
from aloma_py.steps.javascript.footprint_syntax import Syntax

if TYPE_CHECKING:
    from aloma_py.steps.javascript.footprint_walker import Walker

UNCLEAR = "this kind of expression is not followed"


def get_member(walker: Walker, base: Value, name: str | None, node: Syntax) -> Value:
    """What ``base.name`` or ``base[name]`` may be; ``None`` stands for an index or a computed name."""
    return join(_get(walker, atom, name, node) for atom in base)


def _get(walker: Walker, atom: Atom, name: str | None, node: Syntax) -> Value:
    memory = walker.memory
    if name in SPECIAL_NAMES and isinstance(atom, (Site, Text, Head, Plain)):
        return OPAQUE  # ``[].constructor`` is a function of the language
    match atom:
        case Ref():
            return _get_data(walker, atom, name, node)
        case Site():
            inside = memory.member(atom, name)
            return inside | OPAQUE if name in KEEPING else inside or SCALAR
        case Role():
            return frozenset({Role(f"{atom.name}.{name if name is not None else '*'}")})
        case Outer():
            if atom.name == "Symbol" or (atom.name == "Object" and name in SPECIAL_NAMES):
                memory.cannot(node, UNCLEAR)  # it stands for a member that the language itself looks at
            return frozenset({Outer(f"{atom.name}.{name if name is not None else '*'}")})
        case Text() | Head() | Plain.SCALAR:
            return SCALAR
        case Plain.NUMBER:
            return NUMBER | SCALAR
        case Func() | Plain.OPAQUE:
            return OPAQUE


def _get_data(walker: Walker, ref: Ref, name: str | None, node: Syntax) -> Value:
    memory = walker.memory
    if name is None and not ref.path:
        memory.cannot(node, COMPUTED)
    if name in SPECIAL_NAMES:
        memory.cannot(node, SPECIAL)
    if name == "length" and ref.path:
        memory.read(frozenset({ref}))  # an array's, most of the time
        return NUMBER | {Ref(ref.path, exact=False)}
    found = ref.member(name) if name is not None else Ref(ref.path, exact=False)
    memory.touched.add(found.path)
    return frozenset({found})


def set_member(walker: Walker, base: Value, name: str | None, value: Value, node: Syntax) -> None:
    """``base.name = value``; without a name, the value becomes an element or a member that cannot be told."""
    memory = walker.memory
    if not base and memory.tracked(value):
        memory.cannot(node, KEPT)
    for atom in base:
        match atom:
            case Ref():
                if name in SPECIAL_NAMES or name in CONVERTING:
                    memory.cannot(node, SPECIAL)
                place = _place(atom, name)
                if not place.path:
                    memory.cannot(node, COMPUTED)
                memory.write(place)
                memory.change(atom, value)
                memory.read(value)
                memory.link(place.path, value, below=place.path == atom.path)
            case Site():
                if name in SPECIAL_NAMES and memory.tracked(value):
                    memory.cannot(node, KEPT)
                walker.put(atom, name, value, node)
            case Role():
                memory.cannot(node, f"nothing can be set on {atom.root!r}")
            case Outer():
                memory.cannot(node, f"nothing can be set on {atom.name!r}")
            case Func() | Plain.OPAQUE:
                if memory.tracked(value):
                    memory.cannot(node, KEPT)


def delete_member(walker: Walker, base: Value, name: str | None, node: Syntax) -> None:
    """``delete base.name``."""
    memory = walker.memory
    for atom in base:
        if isinstance(atom, Ref):
            if name in SPECIAL_NAMES:
                memory.cannot(node, SPECIAL)
            if not atom.path:
                memory.cannot(node, EMPTIED if name is not None else COMPUTED)
            memory.write(_place(atom, name))
            memory.change(atom)
        elif isinstance(atom, Role):
            memory.cannot(node, f"nothing can be removed from {atom.root!r}")


def _place(ref: Ref, name: str | None) -> Ref:
    """Where a member is written. The length of an array is about all of it."""
    if name is None or (name == "length" and ref.path):
        return Ref(ref.path, exact=False)
    return ref.member(name)


__all__ = ["NOTHING", "UNCLEAR", "delete_member", "get_member", "set_member"]
