"""Calls: of functions that can be followed, of what is known of JavaScript, of methods, and of all others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from aloma_py.steps.javascript.footprint_memory import Scope, scope_of
from aloma_py.steps.javascript.footprint_patterns import assign
from aloma_py.steps.javascript.footprint_syntax import Syntax, parameters_of

if TYPE_CHECKING:
    from aloma_py.steps.javascript.footprint_walker import Walker


@dataclass(frozen=True, slots=True)
class Call:
    """A call: where it is, and what it passes; ``spread`` is what is in ``...x``."""

    node: Syntax
    scope: Scope
    positional: tuple[Value, ...]
    spread: Value = NOTHING

    @property
    def everything(self) -> Value:
        return join((*self.positional, self.spread))

    @property
    def sources(self) -> list[Syntax]:
        """The arguments as they are written."""
        listed = self.node.fields.get("arguments")
        return listed.children if listed is not None and listed.kind == "arguments" else []

    @property
    def shown(self) -> str:
        callee = self.node.fields.get("function", self.node.fields.get("constructor", self.node))
        return " ".join(callee.text.split())

    def argument(self, n: int) -> Value:
        return (self.positional[n] if n < len(self.positional) else NOTHING) | self.spread


def eval_call(walker: Walker, node: Syntax, scope: Scope) -> Value:
    """What the call may give; what it reads and writes is noted."""
    from aloma_py.steps.javascript.footprint_methods import call_method

    call = arguments_of(walker, node, scope)
    target = node.fields["function"]
    if target.kind not in ("member_expression", "subscript_expression"):
        callee = walker.eval(target, scope)
        return join(call_atom(walker, call, atom) for atom in callee) if callee else call_unknown(walker, call)
    base = walker.eval(target.fields["object"], scope)
    members: list[str | None] = (
        [target.fields["property"].text] if target.kind == "member_expression" else walker.index(target, scope)
    )
    if not base:
        return call_unknown(walker, call)
    return join(call_method(walker, call, atom, name) for atom in base for name in members)


def arguments_of(walker: Walker, node: Syntax, scope: Scope) -> Call:
    positional: list[Value] = []
    spread: Value = NOTHING
    listed = node.fields.get("arguments")
    for argument in listed.children if listed is not None else ():
        if argument.kind == "spread_element":
            spread |= walker.iterate(walker.eval(argument.children[0], scope))
        elif spread:
            spread |= walker.eval(argument, scope)
        else:
            positional.append(walker.eval(argument, scope))
    return Call(node, scope, tuple(positional), spread)


def eval_tagged(walker: Walker, node: Syntax, scope: Scope) -> Value:
    """A tagged template: its function gets the texts and the values."""
    template = node.fields["arguments"]
    values = [
        walker.eval(child.children[0], scope) for child in template.children if child.kind == "template_substitution"
    ]
    call = Call(node, scope, (walker.fresh(template), *values))
    callee = walker.eval(node.fields["function"], scope)
    return join(call_atom(walker, call, atom) for atom in callee) if callee else call_unknown(walker, call)


def eval_new(walker: Walker, node: Syntax, scope: Scope) -> Value:
    """``new Map(x)``"""
    call = arguments_of(walker, node, scope)
    callee = walker.eval(node.fields["constructor"], scope)
    if not callee:
        return call_unknown(walker, call)
    return join(call_atom(walker, call, atom, new=True) for atom in callee)


def call_atom(walker: Walker, call: Call, atom: Atom, *, new: bool = False) -> Value:
    """What calling ``atom`` may give."""
    from aloma_py.steps.javascript.footprint_globals import call_global
    from aloma_py.steps.javascript.footprint_roles import call_role

    memory = walker.memory
    match atom:
        case Func():
            found = follow(walker, call.positional, call.spread, scope_of(atom), call.node)
            return found | walker.fresh(call.node) if new else found
        case Role():
            return call_role(walker, call, atom)
        case Outer():
            return call_global(walker, call, atom.name)
        case Ref():
            memory.cannot(call.node, "something in the data is called")
            return OPAQUE
        case Text() | Head() | Plain.SCALAR | Plain.NUMBER:
            return SCALAR  # it fails
    return call_unknown(walker, call, frozenset({atom}))


def call_unknown(walker: Walker, call: Call, callee: Value = NOTHING) -> Value:
    """A call of something that is not known: it can do whatever its arguments allow."""
    memory, given = walker.memory, call.everything
    if not callee and not walker.settled:
        return NOTHING
    if memory.tracked(given | callee):
        memory.cannot(call.node, f"data is handed to {call.shown}, whose code is not followed")
    walker.expose(given)
    for atom in memory.reach(given):
        if isinstance(atom, Site):
            memory.put(atom, OPAQUE)  # it may put members into what it is given
            if atom in memory.keys:
                memory.name_keys(atom, None)
    return OPAQUE


def follow(walker: Walker, positional: Iterable[Value], spread: Value, scope: Scope, node: Syntax) -> Value:
    """Pass the arguments to a function whose code is followed; what it gives back."""
    given = list(positional)
    walker.run_later(scope)
    for n, parameter in enumerate(parameters_of(scope.node)):
        pattern = parameter.fields.get("pattern", parameter)
        if pattern.kind == "rest_pattern":
            rest = walker.memory.make((scope, "..."), *given[n:], spread)
            assign(walker, parameter, rest, scope, declare=True)
        else:
            assign(walker, parameter, (given[n] if n < len(given) else SCALAR) | spread, scope, declare=True)
    return scope.returns


def call_back(walker: Walker, call: Call, callee: Value, given: tuple[Value, ...]) -> Value:
    """A known function or method calls what it was passed, with ``given``; what that gives."""
    memory = walker.memory
    inner = Call(call.node, call.scope, given)
    results: Value = NOTHING
    if not callee and walker.settled and memory.tracked(inner.everything):
        memory.cannot(call.node, f"what {call.shown} calls is not followed")
    for atom in callee:
        if isinstance(atom, (Func, Role, Outer)):
            results |= call_atom(walker, inner, atom)
        elif atom is Plain.OPAQUE or isinstance(atom, (Ref, Site)):
            if memory.tracked(inner.everything) or isinstance(atom, Ref):
                memory.cannot(call.node, f"what {call.shown} calls is not followed")
            results |= OPAQUE
    return results


def call_functions(walker: Walker, call: Call, given: Value) -> Value:
    """The functions among the arguments, called in a way that is not told apart."""
    results: Value = NOTHING
    for atom in call.everything:
        if isinstance(atom, (Func, Role, Outer)) and not (isinstance(atom, Role) and not atom.sensitive):
            results |= call_back(walker, call, frozenset({atom}), (given,) * 4)
    return results


def plain_call(walker: Walker, call: Call) -> Value:
    """It reads what it is given, and gives plain values."""
    walker.memory.read(call.everything)
    call_functions(walker, call, NUMBER | SCALAR)
    return walker.fresh(call.node) | SCALAR
