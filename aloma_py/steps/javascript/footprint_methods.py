"""Methods: of values of the data (``data.items.push(x)``), of the code's own objects, of functions and all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aloma_py.steps.follow.places import EMPTIED
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
from aloma_py.steps.javascript import footprint_names as names
from aloma_py.steps.javascript.footprint_calls import (
    Call,
    call_atom,
    call_back,
    call_functions,
    call_unknown,
    follow,
    plain_call,
)
from aloma_py.steps.javascript.footprint_globals import pairs
from aloma_py.steps.javascript.footprint_members import get_member, set_member
from aloma_py.steps.javascript.footprint_memory import scope_of
from aloma_py.steps.javascript.footprint_statements import caught

if TYPE_CHECKING:
    from aloma_py.steps.javascript.footprint_walker import Walker


def call_method(walker: Walker, call: Call, atom: Atom, name: str | None) -> Value:
    """``atom.name(…)``; without a name, which method it is cannot be told."""
    one: Value = frozenset({atom})
    if name in names.LATER and not isinstance(atom, (Role, Outer)):
        return _later(walker, call, one, name or "")
    match atom:
        case Ref():
            return _call_on_data(walker, call, atom, name)
        case Site():
            return _call_on_object(walker, call, atom, name)
        case Text() | Head() | Plain.SCALAR | Plain.NUMBER:
            return plain_call(walker, call)
        case Func():
            return _call_on_function(walker, call, atom, name)
        case Plain.OPAQUE:
            return call_unknown(walker, call)
    target = call.node.fields["function"]
    return join(call_atom(walker, call, member) for member in get_member(walker, one, name, target))


def _later(walker: Walker, call: Call, value: Value, name: str) -> Value:
    """``promise.then(…)``: a promise counts as what it is kept with."""
    error = caught(walker, call.node) if name != "finally" else NOTHING
    results: Value = NOTHING
    for atom in value:
        if isinstance(atom, Site):  # it may be a method of the code's own
            for member in walker.memory.member(atom, name):
                if isinstance(member, (Func, Role, Outer)) or member is Plain.OPAQUE:
                    results |= call_atom(walker, call, member)
    for n, callee in enumerate(call.positional):
        given = () if name == "finally" else (value if name == "then" and n == 0 else error,)
        results |= call_back(walker, call, callee, given)
    if call.spread:
        return call_unknown(walker, call)
    return results | value | SCALAR


def _call_on_function(walker: Walker, call: Call, function: Func, name: str | None) -> Value:
    """``f.call(…)`` is followed; what ``apply``, ``bind`` and others do with it is not."""
    if name == "call":
        # 'this' in the function counts as unknown by itself.
        return follow(walker, call.positional[1:], call.spread, scope_of(function), call.node)
    if name == "toString":
        return SCALAR
    one: Value = frozenset({function})
    if scope_of(function).node.kind:  # whoever gets it may call it with what it was given here
        walker.expose(one)
    return call_unknown(walker, call, one)


def _call_on_data(walker: Walker, call: Call, ref: Ref, name: str | None) -> Value:
    """A method of a JSON value. A member that is called is not followed."""
    memory = walker.memory
    whole: Value = frozenset({ref})
    if name is None:
        memory.cannot(call.node, "something in the data is called")
        return OPAQUE
    if name == "hasOwnProperty":
        memory.read(call.everything)
        for key in members_of(call.argument(0)):
            memory.read(get_member(walker, whole, key, call.node))
        return NUMBER
    if name == "valueOf":
        return whole
    if name not in names.ARRAY:
        memory.cannot(call.node, f"{name!r} is no method of JSON values that is known")
        return frozenset({Ref(ref.path, exact=False)})
    memory.read(whole)
    if name in names.CHANGERS:
        if not ref.path:
            memory.cannot(call.node, EMPTIED)
        memory.write(ref)
        memory.change(ref)
    return _array_method(walker, call, ref, name)


def _call_on_object(walker: Walker, call: Call, site: Site, name: str | None) -> Value:
    """A method of an object that the code made: a function it holds, or one of the language."""
    memory = walker.memory
    held = memory.member(site, name)
    mine = frozenset(atom for atom in held if isinstance(atom, (Func, Role, Outer)) or atom is Plain.OPAQUE)
    found: Value = NOTHING
    if site in memory.keys or name not in names.ARRAY | {"get", "set", "has", "add", "delete", "clear"}:
        found = join(call_atom(walker, call, atom) for atom in mine)
    if name in ("hasOwnProperty", "toString"):
        memory.read(call.everything)
        return found | SCALAR
    if name in names.ARRAY and site not in memory.keys:
        assert name is not None
        return found | _array_method(walker, call, site, name)
    if site in memory.keys and mine and name not in names.ARRAY:
        return found
    return found | _any_method(walker, call, site, name)


def _any_method(walker: Walker, call: Call, site: Site, name: str | None) -> Value:
    """It may call what it is given, keep what it is given, and give what the object holds."""
    memory, given = walker.memory, call.everything
    if name in ("next", "throw", "return", "defineProperty") and memory.tracked(given):
        memory.cannot(call.node, "data is handed to a generator that waits")
    memory.read(frozenset(atom for atom in given if isinstance(atom, Ref)))
    held = memory.elements(frozenset({site}))
    inside = memory.elements(given)
    results = call_functions(walker, call, held | memory.elements(held) | {site} | given)
    walker.put(site, None, given | inside | memory.elements(inside) | results, call.node)
    made = memory.make(call.node, held, results, SCALAR, loop=True)
    return made | held | results | given | {site} | SCALAR


def _array_method(walker: Walker, call: Call, base: Ref | Site, name: str) -> Value:
    """A method of arrays and texts; that the whole is read or changed is noted already for data."""
    memory, node = walker.memory, call.node
    whole: Value = frozenset({base})
    inside = memory.elements(whole)
    given = call.everything
    if name in names.PLACING:
        memory.read(frozenset(atom for atom in given if isinstance(atom, Ref)))
    if name in names.CALLERS:
        return _calling(walker, call, whole, inside, name)
    if name in names.READERS:
        memory.read(given)
        call_functions(walker, call, SCALAR | NUMBER)
        if name in names.NUMBER_READERS:
            return NUMBER
        return SCALAR | memory.make(node, SCALAR, loop=True)
    if name in names.CHANGERS:
        return _changing(walker, call, base, inside, name)
    if name == "at":
        return inside | SCALAR
    if name == "entries":
        return pairs(walker, call, inside)
    if name == "flat":
        return memory.make_from(node, whole)
    walker.iterate(given)
    added = given | memory.elements(given) if name in ("concat", "toSpliced", "with") else NOTHING
    return memory.make(node, inside, added) | SCALAR


def _changing(walker: Walker, call: Call, base: Ref | Site, inside: Value, name: str) -> Value:
    memory, given = walker.memory, call.everything
    whole: Value = frozenset({base})
    if isinstance(base, Site):
        memory.mix(base)
        walker.put(base, None, given, call.node)
    elif given:
        set_member(walker, whole, None, given, call.node)
    if name in ("push", "unshift"):
        return NUMBER
    if name in ("pop", "shift"):
        return inside | SCALAR
    return memory.make(call.node, inside) if name == "splice" else whole


def _calling(walker: Walker, call: Call, whole: Value, inside: Value, name: str) -> Value:
    memory, node = walker.memory, call.node
    callee = call.argument(0)
    if name in ("sort", "toSorted"):
        if call.positional or call.spread:
            call_back(walker, call, callee, (inside, inside))
        memory.read(inside)
        if name == "toSorted":
            return memory.make(node, inside)
        for atom in whole:
            if isinstance(atom, Site):
                memory.mix(atom)
        return whole
    if name in ("reduce", "reduceRight"):
        # What the function gave is what it gets next time.
        kept = memory.make((node, "kept"))
        begin = call.argument(1) if len(call.positional) > 1 or call.spread else inside
        results = call_back(walker, call, callee, (begin | memory.elements(kept), inside, NUMBER, whole))
        for atom in kept:
            if isinstance(atom, Site):
                memory.put(atom, results)
        return results | begin
    results = call_back(walker, call, callee, (inside, NUMBER, whole))
    match name:
        case "map":
            return memory.make(node, results)
        case "flatMap":
            walker.iterate(results)
            return memory.make(node, results, memory.elements(results))
        case "filter":
            memory.test(results)
            return memory.make(node, inside)
        case "find" | "findLast":
            memory.test(results)
            return inside | SCALAR
        case "forEach":
            return SCALAR
    memory.test(results)
    return NUMBER
