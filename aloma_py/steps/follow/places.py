"""Members of values: what getting, setting and deleting one means."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from aloma_py.steps.follow.scopes import Scope
from aloma_py.steps.follow.values import (
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
    name_of,
    value_of,
)

if TYPE_CHECKING:
    from aloma_py.steps.follow.walker import Walker

KEEPING = frozenset({"add", "append", "appendleft", "extend", "insert", "send", "setdefault", "update", "get", "pop"})
COMPUTED = "which member of the data this is cannot be told"
SPECIAL = "it goes around the members of the data"
EMPTIED = "removing a member of the data itself may leave the task without data, which ends it"
KEPT = "data is kept in something that cannot be followed"


def get_member(walker: Walker, base: Value, name: str | None, node: ast.AST, scope: Scope) -> Value:
    """What ``base.name`` or ``base[name]`` may be; ``None`` stands for an index or a computed name."""
    return join(_get(walker, atom, name, node, scope) for atom in base)


def _get(walker: Walker, atom: Atom, name: str | None, node: ast.AST, scope: Scope) -> Value:
    memory = walker.memory
    match atom:
        case Ref():
            if name is None and not atom.path:
                memory.cannot_follow(node, scope, COMPUTED)
            if _is_special(name, node):
                memory.cannot_follow(node, scope, SPECIAL)
            found = atom.member(name) if name is not None else Ref(atom.path, exact=False)
            memory.touched.add(found.path)
            return frozenset({found})
        case Site():
            inside = memory.elements(frozenset({atom}))
            # The attribute may be a bound method that puts what it is called with into the object.
            return inside | OPAQUE if name in KEEPING and isinstance(node, ast.Attribute) else inside
        case Role():
            if name is not None and name.startswith("_") and isinstance(node, ast.Attribute):
                memory.cannot_follow(node, scope, f"it goes behind {atom.root!r}")
            return _role(walker, atom, name)
        case Outer():
            return _outer(atom, name)
        case Text() | Head() | Plain.SCALAR:
            return SCALAR
        case Plain.NUMBER:
            return NUMBER | SCALAR
        case Func() | Plain.OPAQUE:
            return OPAQUE


def _is_special(name: str | None, node: ast.AST) -> bool:
    return name is not None and name.startswith("__") and isinstance(node, ast.Attribute)


def _role(walker: Walker, role: Role, name: str | None) -> Value:
    if role.root == "lib" and walker.libraries is not None and name is not None:
        _, *path = role.name.split(".")
        if not path:
            return frozenset({Role(f"lib.{name}")})
        space = vars(walker.libraries).get(path[0])
        if len(path) == 1 and space is not None and name in space:
            return value_of(getattr(space, name))
    return frozenset({Role(f"{role.name}.{name if name is not None else '*'}")})


def _outer(outer: Outer, name: str | None) -> Value:
    thing = outer.value
    if name is None:
        return OPAQUE
    if isinstance(thing, ModuleType):
        if name not in vars(thing):
            return frozenset({Outer(f"{outer.name}.{name}")})
        member = vars(thing)[name]
        found = value_of(member)
        if name_of(member) or not any(isinstance(atom, Outer) for atom in found):
            return found
        return frozenset({Outer(f"{outer.name}.{name}", member, id(member))})
    if isinstance(thing, type):
        return frozenset({Outer(f"{outer.name}.{name}")})
    if isinstance(thing, Mapping):
        return OPAQUE
    return frozenset({Outer(f"{outer.name}.{name}" if outer.name else "")})


def set_member(walker: Walker, base: Value, name: str | None, value: Value, node: ast.AST, scope: Scope) -> None:
    """``base.name = value``; without a name, the value becomes an element or a member that cannot be told."""
    memory = walker.memory
    if not base and memory.tracked(value):
        memory.cannot_follow(node, scope, KEPT)
    for atom in base:
        match atom:
            case Ref():
                if _is_special(name, node):
                    memory.cannot_follow(node, scope, SPECIAL)
                place = atom.member(name) if name is not None else Ref(atom.path, exact=False)
                if not place.path:
                    memory.cannot_follow(node, scope, COMPUTED)
                memory.write(place)
                memory.change(atom, value)
                memory.read(value)
                memory.link(place.path, value, below=place.path == atom.path)
            case Site():
                memory.put(atom, value)
                if atom in memory.keys:
                    memory.name_keys(atom, None if name is None else frozenset({name}))
            case Role():
                memory.cannot_follow(node, scope, f"nothing can be set on {atom.root!r}")
            case Outer() | Func() | Plain.OPAQUE:
                if memory.tracked(value):
                    memory.cannot_follow(node, scope, KEPT)


def delete_member(walker: Walker, base: Value, name: str | None, node: ast.AST, scope: Scope) -> None:
    """``del base.name``."""
    memory = walker.memory
    for atom in base:
        if isinstance(atom, Ref):
            if _is_special(name, node):
                memory.cannot_follow(node, scope, SPECIAL)
            place = atom.member(name) if name is not None else Ref(atom.path, exact=False)
            if not atom.path:
                memory.cannot_follow(node, scope, EMPTIED if name is not None else COMPUTED)
            memory.write(place)
            memory.change(atom)
        elif isinstance(atom, Role):
            memory.cannot_follow(node, scope, f"nothing can be removed from {atom.root!r}")
