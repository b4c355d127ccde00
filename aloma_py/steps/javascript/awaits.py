"""``await`` put in where the value of a connector call is used directly.

Such a call gives a promise. Code that asks that promise for a member of the answer means the answer; code that passes
it on may well mean the promise. Only the first is changed.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from tree_sitter import Node

from aloma_py.steps.javascript.edits import Edits
from aloma_py.steps.javascript.syntax import (
    FUNCTIONS,
    WRAPPERS,
    Source,
    bare,
    chain_root,
    field,
    is_async,
    statements,
    walk,
    words_of,
)

_THENABLE: Final = frozenset({"then", "catch", "finally"})
_LOGICAL: Final = frozenset({"&&", "||", "??"})
_NO_OPERAND: Final = frozenset({"instanceof", "in"})
_TESTS: Final = frozenset({"if_statement", "while_statement", "do_statement", "switch_statement"})


class _Use(Enum):
    """What the code around an expression does with its value."""

    MEMBER = auto()  # it asks for a part of it, puts it into a text, goes through it
    OPERAND = auto()  # it compares, computes or tests it
    BOUND = auto()  # it gives it to a variable
    PROMISE = auto()  # it uses the promise itself: awaited, returned, .then, Promise.all
    OTHER = auto()


def insert_awaits(source: Source, edits: Edits, nodes: list[Node]) -> None:
    """Put ``(await …)`` around such calls in async functions."""
    for top in nodes:
        for node in walk(top):
            if node.type == "call_expression" and _is_connector_call(source, node) and _may_await(source, node):
                use, place = _use_of(source, node)
                if use in (_Use.MEMBER, _Use.OPERAND) or (use is _Use.BOUND and _value_meant(source, place)):
                    edits.wrap(node.start_byte, node.end_byte, b"(await ", b")")
                    _keep_short_circuit(source, edits, node)


def _is_connector_call(source: Source, call: Node) -> bool:
    """``connectors.a.b(…)`` or ``fetch(…)``, without ``into``: with it, the answer is not meant to be waited for."""
    root, members = chain_root(field(call, "function"))
    if not (source.is_free(root, "connectors") if members else source.is_free(root, "fetch")):
        return False
    arguments = field(call, "arguments")
    for argument in statements(arguments.children) if arguments.type == "arguments" else ():
        value = bare(argument)
        for member in value.named_children if value.type == "object" else ():
            key = member.child_by_field_name("key")
            name = source.read(key if key is not None else member).strip("'\"")
            if member.type != "comment" and name == "into":
                return False
    return arguments.type == "arguments"


def _may_await(source: Source, node: Node) -> bool:
    """Whether ``await`` is allowed here: directly in the body of an async function."""
    for parent, child in source.above(node):
        if parent.type == "class_body":
            return False
        if parent.type in FUNCTIONS:
            return is_async(parent) and field(parent, "body").id == child.id
    return False


def _use_of(source: Source, node: Node) -> tuple[_Use, Node]:
    """How the value of the expression is used, and the node that uses it."""
    for parent, child in source.above(node):
        if parent.type in WRAPPERS and not _is_test(source, parent):
            continue
        if parent.type == "binary_expression" and field(parent, "operator").type in _LOGICAL:
            if field(parent, "right").id == child.id:
                continue
            return _Use.OPERAND, parent
        if parent.type == "ternary_expression" and field(parent, "condition").id != child.id:
            continue
        return _use_in(source, parent, child), parent
    return _Use.OTHER, node


def _is_test(source: Source, node: Node) -> bool:
    parent = source.parent(node)
    return node.type == "parenthesized_expression" and parent is not None and parent.type in _TESTS


def _use_in(source: Source, parent: Node, child: Node) -> _Use:
    kind = parent.type
    if kind in ("member_expression", "subscript_expression"):
        return _use_of_member(source, parent, child)
    if kind in ("await_expression", "return_statement", "yield_expression", "array"):
        return _Use.PROMISE
    if kind == "arrow_function":  # its body: it is returned
        return _Use.PROMISE
    if kind == "arguments":
        call = source.parent(parent)
        callee = call.child_by_field_name("function") if call is not None else None
        promised = callee is not None and source.read(chain_root(callee)[0]) == "Promise"
        return _Use.PROMISE if promised else _Use.OTHER
    if kind == "binary_expression":
        return _Use.OTHER if field(parent, "operator").type in _NO_OPERAND else _Use.OPERAND
    if kind == "unary_expression":
        return _Use.OPERAND if field(parent, "operator").type in "!-+~" else _Use.OTHER
    if kind in ("ternary_expression", "augmented_assignment_expression", "parenthesized_expression"):
        return _Use.OPERAND
    if kind == "template_substitution":
        return _Use.MEMBER if not _is_tagged(source, parent) else _Use.OTHER
    if kind == "spread_element":
        return _Use.MEMBER
    if kind == "for_in_statement":
        through = field(parent, "right").id == child.id and "await" not in words_of(parent)
        return _Use.MEMBER if through else _Use.OTHER
    return _use_in_binding(parent, child)


def _use_of_member(source: Source, parent: Node, child: Node) -> _Use:
    if field(parent, "object").id != child.id:
        return _Use.OTHER
    name = parent.child_by_field_name("property")
    return _Use.PROMISE if name is not None and source.read(name) in _THENABLE else _Use.MEMBER


def _use_in_binding(parent: Node, child: Node) -> _Use:
    if parent.type == "variable_declarator":
        left = field(parent, "name")
    elif parent.type == "assignment_expression" and field(parent, "right").id == child.id:
        left = field(parent, "left")
    else:
        return _Use.OTHER
    if left.type in ("object_pattern", "array_pattern"):
        return _Use.MEMBER
    return _Use.BOUND if left.type == "identifier" else _Use.OTHER


def _is_tagged(source: Source, substitution: Node) -> bool:
    template = source.parent(substitution)
    outer = source.parent(template) if template is not None else None
    return outer is not None and outer.type == "call_expression"


def _value_meant(source: Source, binding: Node) -> bool:
    """Whether a variable's later uses are such that the answer is meant, and none of them means the promise."""
    variable = field(binding, "name" if binding.type == "variable_declarator" else "left")
    name = source.read(variable)
    scope = source.scope_of(variable, name)
    function = source.function_of(binding)
    if scope is None or function is None or source.function_of_scope(scope) != function.id:
        return False
    meant = False
    for node in source.uses(function, name):
        bound = source.scope_of(node, name)
        if bound is None or bound.id != scope.id or node.id == variable.id:
            continue
        use, _ = _use_of(source, node)
        if use is _Use.PROMISE:
            return False
        meant = meant or (use is _Use.MEMBER and node.start_byte > binding.start_byte)
    return meant


def _keep_short_circuit(source: Source, edits: Edits, call: Node) -> None:
    """``connectors.a?.b().c`` is undefined where there is no ``a``: then so must ``(await …)?.c`` be."""
    parent = source.parent(call)
    callee = field(call, "function")
    chained = any(
        node.type == "optional_chain" for node in walk(callee, unless=lambda inner: inner.type == "arguments")
    )
    if not chained or parent is None or parent.type not in ("member_expression", "subscript_expression"):
        return
    if "optional_chain" not in words_of(parent):
        edits.insert(call.end_byte, b"?" if parent.type == "member_expression" else b"?.")
