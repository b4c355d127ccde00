"""Methods of the data (``data.order.items.append(x)``), and of objects that the code made itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aloma_py.steps.follow import names
from aloma_py.steps.follow.places import EMPTIED, get_member, set_member
from aloma_py.steps.follow.values import SCALAR, Ref, Site, Value, join, members_of

if TYPE_CHECKING:
    from aloma_py.steps.follow.calls import Call
    from aloma_py.steps.follow.walker import Walker


def call_on_data(walker: Walker, call: Call, ref: Ref, name: str) -> Value:
    """``data.path.name(…)``: the method of a JSON value of that name; a member that is called is not followed."""
    memory, arguments = walker.memory, call.arguments
    whole: Value = frozenset({ref})
    if name == "get":
        return _get(walker, call, ref)
    if name in names.VIEWS:
        memory.read(whole)
        return memory.make_from(call.node, whole)
    if name in names.READERS:
        memory.read(whole | call.everything)
        return SCALAR | memory.make(call.node, SCALAR)
    if name in names.CHANGERS:
        memory.read(whole)
        _replace(walker, call, ref)
        held = walker.memory.elements(call.everything)
        set_member(walker, whole, None, call.everything | held, call.node, call.scope)
        return walker.memory.elements(whole)
    if name == "update":
        _update(walker, call, ref)
        return SCALAR
    if name in ("pop", "setdefault"):
        keys = _keys(call)
        found = join(get_member(walker, whole, key, call.node, call.scope) for key in keys)
        memory.read(found)
        given = join((*arguments.positional[1:], *arguments.named.values()))
        for key in keys:
            if name == "setdefault":
                set_member(walker, whole, key, given, call.node, call.scope)
            else:
                memory.write(ref.member(key) if key is not None else ref)
                memory.change(ref)
                if not ref.path:
                    memory.cannot_follow(call.node, call.scope, EMPTIED)
        return found | given
    memory.cannot_follow(call.node, call.scope, f"{name!r} is no method of JSON values that is known")
    return frozenset({Ref(ref.path, exact=False)})


def _keys(call: Call) -> list[str | None]:
    """The members that the first argument can name; ``[None]`` if that cannot be told."""
    arguments = call.arguments
    if not arguments.positional or arguments.spread or arguments.doubled:
        return [None]
    return members_of(arguments.positional[0])


def _get(walker: Walker, call: Call, ref: Ref) -> Value:
    arguments = call.arguments
    walker.memory.read(join(arguments.positional[:1]))
    found = join(get_member(walker, frozenset({ref}), key, call.node, call.scope) for key in _keys(call))
    rest = join((*arguments.positional[1:], *arguments.named.values(), arguments.spread))
    return found | rest | SCALAR


def _replace(walker: Walker, call: Call, ref: Ref) -> None:
    """The whole object at ``ref`` is changed."""
    if not ref.path:
        walker.memory.cannot_follow(call.node, call.scope, EMPTIED)
    walker.memory.write(ref)
    walker.memory.change(ref)


def _update(walker: Walker, call: Call, ref: Ref) -> None:
    """``update``: the members that are named, where all of them are known."""
    memory, arguments = walker.memory, call.arguments
    whole: Value = frozenset({ref})
    for name, value in arguments.named.items():
        set_member(walker, whole, name, value, call.node, call.scope)
    objects = (*arguments.positional, *arguments.doubled, *([arguments.spread] if arguments.spread else []))
    for given in objects:
        walker.iterate(given)
        inside = memory.elements(given)
        keys = walker.keys_of(given)
        for key in [None] if keys is None else sorted(keys):
            set_member(walker, whole, key, inside | memory.elements(inside), call.node, call.scope)


def call_on_object(walker: Walker, call: Call, site: Site, name: str) -> Value:
    """A method of an object that the code made: it may keep what it is given, and give what it holds."""
    memory = walker.memory
    memory.read(call.everything)
    if name in ("send", "asend", "athrow", "throw") and memory.tracked(call.everything):
        memory.cannot_follow(call.node, call.scope, "data is handed to a generator that waits")
    inside = memory.elements(call.everything)
    memory.put(site, call.everything | inside | memory.elements(inside))
    if memory.keys.get(site) is not None and name in ("update", "setdefault", "__setitem__"):
        memory.name_keys(site, None)
    held = memory.elements(frozenset({site}))
    made = memory.make(call.node, held, SCALAR, loop=True)
    return made | held | call.everything | SCALAR
