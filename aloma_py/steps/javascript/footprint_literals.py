"""Arrays and objects that are written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aloma_py.steps.follow.values import NOTHING, Value
from aloma_py.steps.javascript.footprint_members import UNCLEAR
from aloma_py.steps.javascript.footprint_memory import Scope
from aloma_py.steps.javascript.footprint_patterns import copy_members, key_of
from aloma_py.steps.javascript.footprint_syntax import Syntax

if TYPE_CHECKING:
    from aloma_py.steps.javascript.footprint_walker import Walker


def eval_array(walker: Walker, node: Syntax, scope: Scope) -> Value:
    site = walker.new_site(node, scope)
    moved = False
    walker.memory.put(site, NOTHING)
    for child, position in zip(node.children, node.positions, strict=True):
        if child.kind == "spread_element":
            moved = True
            walker.put(site, None, walker.iterate(walker.eval(child.children[0], scope)), node, made=True)
        else:
            walker.put(site, None if moved else str(position), walker.eval(child, scope), node, made=True)
    return frozenset({site})


def eval_object(walker: Walker, node: Syntax, scope: Scope) -> Value:
    memory = walker.memory
    site = walker.new_site(node, scope)
    memory.name_keys(site, frozenset())
    for child in node.children:
        match child.kind:
            case "pair":
                for key in key_of(walker, child.fields["key"], scope):
                    walker.put(site, key, walker.eval(child.fields["value"], scope), node, made=True)
            case "shorthand_property_identifier":
                walker.put(site, child.text, walker.lookup(child, scope), node, made=True)
            case "spread_element":
                copy_members(walker, site, walker.eval(child.children[0], scope), node)
            case "method_definition":
                if child.words & {"get", "set"}:
                    memory.cannot(child, "a getter or setter is not followed")
                for key in key_of(walker, child.fields["name"], scope):
                    walker.put(site, key, walker.inner(child, scope), node, made=True)
            case _:
                memory.cannot(child, UNCLEAR)
    return frozenset({site})
