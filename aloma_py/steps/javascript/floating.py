"""Calls that nobody waits for, handed to ``__floating``: a promise that fails unseen must fail the run."""

from __future__ import annotations

from typing import Final

from tree_sitter import Node

from aloma_py.steps.javascript.edits import Edits
from aloma_py.steps.javascript.syntax import Source, bare, chain_root, field, is_async, statements, walk

_WATCHED: Final = frozenset({"connectors", "console", "task", "audit", "step", "data", "graph"})
_LOGICAL: Final = frozenset({"&&", "||", "??"})


def wrap_floating(source: Source, edits: Edits, nodes: list[Node]) -> None:
    """Put ``__floating(…)`` around calls that are statements, and around async functions given to ``forEach``."""
    for top in nodes:
        for node in walk(top):
            if node.type == "expression_statement" and source.function_of(node) is not None:
                call = _voided(node.named_children[0])
                if _floats(source, call):
                    edits.wrap(call.start_byte, call.end_byte, b"__floating(", b")")
            elif node.type == "call_expression" and _is_for_each(source, node):
                for argument in statements(field(node, "arguments").children)[:1]:
                    if argument.type in ("arrow_function", "function_expression") and is_async(argument):
                        edits.wrap(argument.start_byte, argument.end_byte, b"__floating(", b")")


def _voided(node: Node) -> Node:
    """What is behind ``void``, else the expression itself."""
    inner = bare(node)
    if inner.type == "unary_expression" and field(inner, "operator").type == "void":
        return field(inner, "argument")
    return node


def _floats(source: Source, node: Node) -> bool:
    """Whether the expression is a call that may give a promise, or chooses whether to make one."""
    stack = [node]
    while stack:
        inner = bare(stack.pop())
        if inner.type == "binary_expression" and field(inner, "operator").type in _LOGICAL:
            stack.append(field(inner, "right"))
        elif inner.type == "ternary_expression":
            stack += [field(inner, "consequence"), field(inner, "alternative")]
        elif inner.type == "call_expression":
            root, _ = chain_root(field(inner, "function"))
            if root.type != "super" and not (root.type == "identifier" and source.read(root) in _WATCHED):
                return True
    return False


def _is_for_each(source: Source, call: Node) -> bool:
    callee = bare(field(call, "function"))
    return (
        callee.type == "member_expression"
        and source.read(field(callee, "property")) == "forEach"
        and field(call, "arguments").type == "arguments"
    )
