"""The functions and constructors of JavaScript itself: what each does with what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aloma_py.steps.follow.values import NOTHING, NUMBER, OPAQUE, SCALAR, Ref, Site, Value, join
from aloma_py.steps.javascript import footprint_names as names
from aloma_py.steps.javascript.footprint_calls import (
    Call,
    call_back,
    call_functions,
    call_unknown,
    plain_call,
)
from aloma_py.steps.javascript.footprint_members import get_member, set_member

if TYPE_CHECKING:
    from aloma_py.steps.javascript.footprint_walker import Walker


def call_global(walker: Walker, call: Call, name: str) -> Value:
    """``name(…)`` or ``new name(…)``, by the full name of the function."""
    memory, given = walker.memory, call.everything
    if name == "Object.hasOwn":
        return _has_own(walker, call)
    if name in ("JSON.stringify", "JSON.parse"):
        memory.read(given)
        inside = _below(walker, call.argument(0))
        call_functions(walker, call, inside | SCALAR | walker.fresh(call.node))
        return SCALAR | walker.fresh(call.node) if name == "JSON.parse" else SCALAR
    if name in names.FRESH or name.startswith("Intl."):
        plain_call(walker, call)
        return walker.fresh(call.node)
    if names.is_number(name):
        memory.read(given)
        return NUMBER
    if names.is_plain(name):
        return plain_call(walker, call)
    if name in names.ERRORS:
        memory.read(given)
        return walker.fresh(call.node, given, memory.elements(given))
    if name in names.COLLECTIONS:
        walker.iterate(given)
        inside = memory.elements(given)
        return walker.fresh(call.node, inside, memory.elements(inside))
    if name in names.TIMERS:
        memory.read(call.argument(1))
        call_back(walker, call, call.argument(0), (*call.positional[2:], call.spread))
        return walker.fresh(call.node)
    space, _, method = name.partition(".")
    if space == "Object":
        return _object(walker, call, method)
    if space == "Array":
        return _array(walker, call, method)
    if space == "Promise":
        return _promise(walker, call, method)
    return call_unknown(walker, call)


def _below(walker: Walker, value: Value) -> Value:
    """A value and all that is in it."""
    reached = walker.memory.reach(value)
    return frozenset(Ref(atom.path, exact=False) if isinstance(atom, Ref) else atom for atom in reached)


def _has_own(walker: Walker, call: Call) -> Value:
    from aloma_py.steps.follow.values import members_of

    walker.memory.read(call.argument(1))
    for key in members_of(call.argument(1)):
        found = get_member(walker, call.argument(0), key, call.node)
        walker.memory.read(frozenset(atom for atom in found if isinstance(atom, Ref)))
    return NUMBER


def pairs(walker: Walker, call: Call, inside: Value) -> Value:
    """``[[name, value], …]``"""
    memory = walker.memory
    pair = Site((call.node, "pair"))
    memory.put_member(pair, "0", SCALAR)
    memory.put_member(pair, "1", inside)
    return memory.make((call.node, "pairs"), frozenset({pair}))


def _object(walker: Walker, call: Call, method: str) -> Value:
    memory, first = walker.memory, call.argument(0)
    inside = memory.elements(first)
    match method:
        case "values" | "entries":
            walker.iterate(first)
            return pairs(walker, call, inside) if method == "entries" else memory.make(call.node, inside)
        case "fromEntries":
            walker.iterate(first)
            return memory.make(call.node, inside, memory.elements(inside), SCALAR)
        case "freeze" | "seal" | "preventExtensions":
            return first
        case "assign":
            return _assign(walker, call)
        case "groupBy":
            walker.iterate(first)
            call_back(walker, call, call.argument(1), (inside, NUMBER))
            return memory.make(call.node, memory.make((call.node, "group"), inside))
        case "":
            return first | walker.fresh(call.node)
    return call_unknown(walker, call)


def _assign(walker: Walker, call: Call) -> Value:
    """``Object.assign(target, …)``: the members that are named, where all of them are known."""
    memory, target = walker.memory, call.argument(0)
    sources = (*call.positional[1:], *([call.spread] if call.spread else []))
    for source in sources:
        for atom in source:
            one: Value = frozenset({atom})
            walker.iterate(one)
            keys = walker.keys_of(one) if isinstance(atom, Site) else None
            if isinstance(atom, Site) and keys is not None:
                for key in sorted(keys):
                    set_member(walker, target, key, memory.member(atom, key), call.node)
            elif isinstance(atom, (Ref, Site)) or memory.elements(one) - SCALAR - NUMBER:
                set_member(walker, target, None, memory.elements(one), call.node)
    return target


def _array(walker: Walker, call: Call, method: str) -> Value:
    memory, first = walker.memory, call.argument(0)
    match method:
        case "" | "of":
            return memory.make(call.node, call.everything, SCALAR)
        case "from" | "fromAsync":
            walker.iterate(first)
            inside = memory.elements(first) | SCALAR
            # An object with a length serves as well: its members are the elements.
            if len(call.positional) < 2 and not call.spread:
                return memory.make(call.node, inside)
            return memory.make(call.node, call_back(walker, call, call.argument(1), (inside, NUMBER)))
    return call_unknown(walker, call)


def _promise(walker: Walker, call: Call, method: str) -> Value:
    """A promise counts as what it is kept with."""
    memory, first = walker.memory, call.argument(0)
    inside = memory.elements(first)
    match method:
        case "resolve":
            return first | SCALAR
        case "reject":
            memory.read(first)
            if not first <= walker.thrown:
                walker.thrown |= first
                memory.grew = True
            return SCALAR
        case "all":
            walker.iterate(first)
            others = frozenset(atom for atom in first if not isinstance(atom, Site))
            shared = frozenset(atom for atom in first if isinstance(atom, Site))
            return shared | (memory.make(call.node, memory.elements(others)) if others else NOTHING)
        case "allSettled":
            walker.iterate(first)
            one = memory.make((call.node, "settled"), inside, walker.thrown, SCALAR)
            return memory.make(call.node, one)
        case "race" | "any":
            walker.iterate(first)
            return inside
        case "":  # new Promise((resolve, reject) => …)
            call_back(walker, call, first, (OPAQUE, OPAQUE))
            return OPAQUE
    return join((call_unknown(walker, call), OPAQUE))
