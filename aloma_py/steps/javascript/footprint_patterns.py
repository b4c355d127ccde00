"""Targets of assignments: names, members, and patterns that take values apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aloma_py.steps.follow.values import NOTHING, Plain, Ref, Role, Site, Value, join, members_of
from aloma_py.steps.javascript.footprint_members import UNCLEAR, get_member, set_member
from aloma_py.steps.javascript.footprint_memory import Scope
from aloma_py.steps.javascript.footprint_syntax import Syntax

if TYPE_CHECKING:
    from aloma_py.steps.javascript.footprint_walker import Walker


def key_of(walker: Walker, key: Syntax, scope: Scope) -> list[str | None]:
    """The names of members that a key in an object or a pattern can mean."""
    if key.kind == "computed_property_name":
        return members_of(walker.use(key.children[0], scope))
    if key.kind == "property_identifier":
        return [key.text]
    return members_of(walker.eval(key, scope)) if key.kind == "string" else [None]


def assign(walker: Walker, target: Syntax, value: Value, scope: Scope, *, declare: bool = False) -> None:
    """Bind or store a value at a target; with ``declare``, where the target's names are made."""
    match target.kind:
        case "identifier" | "shorthand_property_identifier_pattern" | "type_identifier":
            bound = scope
            if declare and target.text not in scope.names and scope.owner(target.text) is None:
                walker.memory.cannot(target, UNCLEAR)
            walker.bind(bound, target.text, value, target)
        case "member_expression":
            set_member(walker, walker.eval(target.fields["object"], scope), _name(target), value, target)
        case "subscript_expression":
            holder = walker.eval(target.fields["object"], scope)
            for key in walker.index(target, scope):
                set_member(walker, holder, key, value, target)
        case "assignment_pattern" | "object_assignment_pattern":
            default = walker.eval(target.fields["right"], scope)
            walker.memory.test(value)
            assign(walker, target.fields["left"], value | default, scope, declare=declare)
        case "required_parameter" | "optional_parameter":
            if "value" in target.fields:
                value |= walker.eval(target.fields["value"], scope)
            assign(walker, target.fields["pattern"], value, scope, declare=declare)
        case "object_pattern":
            _assign_members(walker, target, value, scope, declare)
        case "array_pattern":
            _assign_elements(walker, target, value, scope, declare)
        case "rest_pattern":  # of a function's parameters: the value is the array already
            assign(walker, target.children[0], value, scope, declare=declare)
        case "this":
            pass
        case _:
            walker.memory.cannot(target, UNCLEAR)


def _name(target: Syntax) -> str:
    return target.fields["property"].text


def _assign_members(walker: Walker, target: Syntax, value: Value, scope: Scope, declare: bool) -> None:
    for child in target.children:
        match child.kind:
            case "shorthand_property_identifier_pattern":
                assign(walker, child, get_member(walker, value, child.text, child), scope, declare=declare)
            case "object_assignment_pattern":
                name = child.fields["left"].text
                assign(walker, child, get_member(walker, value, name, child), scope, declare=declare)
            case "pair_pattern":
                for key in key_of(walker, child.fields["key"], scope):
                    found = get_member(walker, value, key, child)
                    assign(walker, child.fields["value"], found, scope, declare=declare)
            case "rest_pattern":
                site = walker.new_site(child, scope)
                walker.memory.put(site, NOTHING)
                copy_members(walker, site, value, child)
                assign(walker, child.children[0], frozenset({site}), scope, declare=declare)
            case _:
                walker.memory.cannot(child, UNCLEAR)


def _assign_elements(walker: Walker, target: Syntax, value: Value, scope: Scope, declare: bool) -> None:
    memory = walker.memory
    memory.read(frozenset(atom for atom in value if isinstance(atom, Ref)))
    for child, position in zip(target.children, target.positions, strict=True):
        if child.kind == "rest_pattern":
            made = memory.make(child, memory.elements(value))
            assign(walker, child.children[0], made, scope, declare=declare)
            continue
        found = join(
            memory.member(atom, str(position)) if isinstance(atom, Site) else memory.elements(frozenset({atom}))
            for atom in value
        )
        assign(walker, child, found, scope, declare=declare)


def copy_members(walker: Walker, site: Site, source: Value, node: Syntax) -> None:
    """``{...source}``"""
    for atom in source:
        one: Value = frozenset({atom})
        keys = walker.keys_of(one) if isinstance(atom, Site) else None
        if isinstance(atom, Site) and keys is not None:
            for key in sorted(keys):
                walker.put(site, key, walker.memory.member(atom, key), node, made=True)
        elif isinstance(atom, (Ref, Site, Role)) or atom is Plain.OPAQUE:
            walker.put(site, None, walker.iterate(one), node, made=True)
