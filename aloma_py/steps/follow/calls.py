"""Calls: of functions that can be followed, of known ones of Python, of methods, and of all others."""

from __future__ import annotations

import ast
import logging
import re
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING

from aloma_py.steps.decorator import Step
from aloma_py.steps.follow import names
from aloma_py.steps.follow.methods import call_on_data, call_on_object
from aloma_py.steps.follow.places import delete_member, get_member, set_member
from aloma_py.steps.follow.roles import call_role
from aloma_py.steps.follow.scopes import Scope, arguments_of
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
    members_of,
)

if TYPE_CHECKING:
    from aloma_py.steps.follow.walker import Walker


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a call passes."""

    positional: tuple[Value, ...]
    named: dict[str, Value]
    spread: Value  # what is in ``*x``
    doubled: tuple[Value, ...] = ()  # the objects in ``**x``

    def all(self, walker: Walker) -> Value:
        """Everything that is passed, in one."""
        opened = join(walker.memory.elements(value) for value in self.doubled)
        return join((*self.positional, *self.named.values(), self.spread, opened))


@dataclass(frozen=True, slots=True)
class Call:
    """A call: where it is, and what it passes."""

    node: ast.Call
    scope: Scope
    arguments: Arguments
    everything: Value  # all that is passed

    @property
    def shown(self) -> str:
        return " ".join(ast.unparse(self.node.func).split())


def eval_call(walker: Walker, node: ast.Call, scope: Scope) -> Value:
    """What the call may give; what it reads and writes is noted."""
    arguments = _arguments(walker, node, scope)
    call = Call(node, scope, arguments, arguments.all(walker))
    if isinstance(node.func, ast.Attribute):
        base = walker.eval(node.func.value, scope)
        if not base:
            return _call_unknown(walker, call, NOTHING)
        return join(_call_method(walker, call, atom, node.func.attr) for atom in base)
    callee = walker.eval(node.func, scope)
    if not callee:
        return _call_unknown(walker, call, NOTHING)
    return join(call_atom(walker, call, atom) for atom in callee)


def _arguments(walker: Walker, node: ast.Call, scope: Scope) -> Arguments:
    positional: list[Value] = []
    named: dict[str, Value] = {}
    spread: Value = NOTHING
    doubled: list[Value] = []
    for argument in node.args:
        value = walker.eval(argument, scope)
        if isinstance(argument, ast.Starred):
            spread |= value
        else:
            positional.append(value)
    for keyword in node.keywords:
        value = walker.eval(keyword.value, scope)
        if keyword.arg is None:
            walker.iterate(value)
            doubled.append(value)
        else:
            named[keyword.arg] = value
    return Arguments(tuple(positional), named, spread, tuple(doubled))


def _call_method(walker: Walker, call: Call, atom: Atom, name: str) -> Value:
    memory = walker.memory
    match atom:
        case Ref():
            _call_functions(walker, call, frozenset({Ref(atom.path, exact=False)}))
            return call_on_data(walker, call, atom, name)
        case Site():
            _call_functions(walker, call, memory.elements(frozenset({atom})))
            return call_on_object(walker, call, atom, name)
        case Text() | Head() | Plain.SCALAR | Plain.NUMBER:
            memory.read(call.everything)
            return SCALAR | memory.make(call.node, SCALAR)
        case Outer(value=thing) if thing is not None and not callable(thing):
            fixed = isinstance(thing, (*names.FIXED_TYPES, re.Pattern, logging.Logger))
            if fixed or (type(thing) in (dict, list, set) and name in names.CONTAINER_READERS):
                memory.read(call.everything)
                return OPAQUE if not isinstance(thing, re.Pattern) else SCALAR | memory.make(call.node, SCALAR)
    members = get_member(walker, frozenset({atom}), name, call.node.func, call.scope)
    return join(call_atom(walker, call, member) for member in members)


def call_atom(walker: Walker, call: Call, atom: Atom) -> Value:
    """What calling ``atom`` may give."""
    memory = walker.memory
    match atom:
        case Func(scope=inner):
            return follow(walker, call, inner)
        case Role():
            return call_role(walker, call, atom)
        case Outer():
            return _call_outer(walker, call, atom)
        case Ref():
            memory.cannot_follow(call.node, call.scope, "something in the data is called")
            return OPAQUE
        case Text() | Head() | Plain.SCALAR | Plain.NUMBER:
            memory.read(call.everything)
            return SCALAR | memory.make(call.node, SCALAR)
    return _call_unknown(walker, call, frozenset({atom}))


def _call_unknown(walker: Walker, call: Call, callee: Value) -> Value:
    """A call of something that is not known: it can do whatever its arguments allow."""
    if walker.memory.tracked(call.everything | callee):
        walker.memory.cannot_follow(
            call.node, call.scope, f"data is handed to {call.shown}, whose code is not followed"
        )
    for atom in walker.memory.reach(call.everything):
        if isinstance(atom, Site) and atom in walker.memory.keys:
            walker.memory.name_keys(atom, None)  # it may put members into what it is given
    return OPAQUE


def _call_outer(walker: Walker, call: Call, outer: Outer) -> Value:
    memory, thing, name = walker.memory, outer.value, outer.name
    if isinstance(thing, Step):
        thing = thing.function
    if names.is_forbidden(name):
        memory.cannot_follow(call.node, call.scope, f"{call.shown} can do anything")
        return OPAQUE
    if name in names.ATTRIBUTES:
        return _attribute(walker, call, name)
    if names.reads_only(name):
        memory.read(call.everything)
        _call_functions(walker, call, call.everything | memory.elements(call.everything), name)
        if name == "builtins.range":
            return memory.make(call.node, NUMBER)
        if name in _NUMBERS:
            return NUMBER
        if name == "builtins.type":
            return OPAQUE  # calling it makes a copy that shares what is inside
        return SCALAR | memory.make(call.node, SCALAR, loop=True)
    if names.holds_arguments(name):
        held = _hold(walker, call, name)
        # A sum without a start begins with 0, so what it adds are numbers.
        return NUMBER if name == "builtins.sum" and len(call.node.args) == 1 and not call.node.keywords else held
    if isinstance(thing, type) and issubclass(thing, BaseException) and thing.__module__ == "builtins":
        memory.read(call.everything)
        return memory.make(call.node, call.everything, SCALAR)
    if isinstance(thing, FunctionType):
        inner = walker.helper(thing, call.node, call.scope)
        if inner is not None:
            return follow(walker, call, inner)
    return _call_unknown(walker, call, NOTHING)


_NUMBERS = frozenset(
    f"builtins.{name}" for name in ("len", "int", "float", "bool", "all", "any", "isinstance", "round", "abs", "ord")
)


def _hold(walker: Walker, call: Call, name: str) -> Value:
    """``list(x)``, ``zip(x, y)``, ``min(x, y)``, ``map(f, x)``: a new object of what is in the arguments."""
    memory, arguments = walker.memory, call.arguments
    walker.iterate(call.everything)
    inside = memory.elements(call.everything)
    results = _call_functions(walker, call, call.everything | inside, name)
    positional = arguments.positional
    if name == "collections.defaultdict" and positional and _makes_fresh(positional[0]):
        positional = positional[1:]
    made = memory.make_from(call.node, *positional, *arguments.doubled, arguments.spread)
    made |= memory.make(call.node, *arguments.named.values(), results)
    if name in names.CONTAINERS:
        return made
    memory.make(call.node, call.everything)
    return made | call.everything | inside | results  # one of them may be given back itself


def _makes_fresh(factory: Value) -> bool:
    """Whether what a ``defaultdict`` makes is new and empty each time."""
    kinds = ("builtins.list", "builtins.dict", "builtins.set", "builtins.int", "builtins.float", "builtins.str")
    return all(isinstance(atom, Outer) and atom.name in kinds for atom in factory)


def _call_functions(walker: Walker, call: Call, elements: Value, name: str | None = None) -> Value:
    """Functions among the arguments are called with what is in the others (``sorted(x, key=f)``)."""
    results: Value = NOTHING
    deeper = elements | walker.memory.elements(elements)  # starmap opens what it is given once more
    inner = Call(call.node, call.scope, Arguments((), {}, deeper), deeper)
    for atom in _called(call, name):
        if isinstance(atom, Outer) and callable(atom.value):
            results |= call_atom(walker, inner, atom)
        elif not isinstance(atom, (Func, Role)) and atom is not Plain.SCALAR and walker.memory.tracked(call.everything):
            walker.memory.cannot_follow(call.node, call.scope, f"what {call.shown} calls is not followed")
    for atom in call.everything:
        if isinstance(atom, Func) or (isinstance(atom, Outer) and (name is None or name in names.CALLING)):
            if isinstance(atom, Outer) and not callable(atom.value):
                continue
            results |= call_atom(walker, inner, atom)
        elif isinstance(atom, Role) and atom.sensitive and "." in atom.name:
            walker.memory.cannot_follow(call.node, call.scope, f"{atom.name} is handed to {call.shown}")
    return results


def _called(call: Call, name: str | None) -> Value:
    """What stands where a function is wanted: it is called, whatever it is."""
    arguments = call.arguments
    found = [arguments.named.get(word, NOTHING) for word in ("key", "func", "function", "object_hook")]
    if name in names.CALLS_FIRST or (name == "builtins.iter" and len(arguments.positional) == 2):
        found += arguments.positional[:1]
    elif name in names.CALLS_SECOND:
        found += arguments.positional[1:2]
    elif name == "collections.defaultdict" and arguments.positional and not _makes_fresh(arguments.positional[0]):
        found += arguments.positional[:1]
    return join(found)


def _attribute(walker: Walker, call: Call, name: str) -> Value:
    """``getattr``, ``hasattr``, ``setattr``, ``delattr`` with a name that is known, or not."""
    memory, arguments = walker.memory, call.arguments
    if arguments.spread or arguments.doubled or len(arguments.positional) < 2:
        return _call_unknown(walker, call, NOTHING)
    base, key, *rest = arguments.positional
    memory.read(key)
    members = members_of(key)
    if None in members and any(isinstance(atom, (Ref, Role)) for atom in base):
        memory.cannot_follow(call.node, call.scope, "which member this is cannot be told")
        return OPAQUE
    results = join(rest)
    for member in members:
        if name.endswith("setattr"):
            set_member(walker, base, member, join(rest), call.node, call.scope)
        elif name.endswith("delattr"):
            delete_member(walker, base, member, call.node, call.scope)
        else:
            results |= get_member(walker, base, member, call.node, call.scope)
    if name.endswith("hasattr"):
        memory.read(frozenset(atom for atom in results if isinstance(atom, Ref)))
        return NUMBER
    return results


def follow(walker: Walker, call: Call, scope: Scope) -> Value:
    """Pass the arguments to a function whose code is followed; what it gives back."""
    memory, arguments, spec = walker.memory, call.arguments, scope.node.args
    positional = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
    everyone = {argument.arg for argument in arguments_of(scope.node)}
    opened = join(memory.elements(value) for value in arguments.doubled)
    for n, value in enumerate(arguments.positional):
        if n < len(positional):
            walker.bind(scope, positional[n], value)
        elif spec.vararg is not None:
            walker.bind(scope, spec.vararg.arg, memory.make((scope, "*"), value))
    for name, value in arguments.named.items():
        if name in everyone:
            walker.bind(scope, name, value)
        elif spec.kwarg is not None:
            walker.bind(scope, spec.kwarg.arg, memory.make((scope, "**"), value))
    if arguments.spread or opened:
        for argument in arguments_of(scope.node):
            starred = argument is spec.vararg or argument is spec.kwarg
            value = arguments.spread | opened
            walker.bind(scope, argument.arg, memory.make((scope, "*"), value) if starred else value)
    if spec.vararg is not None:
        walker.bind(scope, spec.vararg.arg, memory.make((scope, "*")))
    if spec.kwarg is not None:
        walker.bind(scope, spec.kwarg.arg, memory.make((scope, "**")))
    return scope.returns
