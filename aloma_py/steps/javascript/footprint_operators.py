"""Operators and assignments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aloma_py.steps.follow.values import NUMBER, SCALAR, Head, Ref, Text, Value, texts_of
from aloma_py.steps.javascript.footprint_members import delete_member
from aloma_py.steps.javascript.footprint_memory import Scope
from aloma_py.steps.javascript.footprint_patterns import assign
from aloma_py.steps.javascript.footprint_syntax import Syntax

if TYPE_CHECKING:
    from aloma_py.steps.javascript.footprint_walker import Walker

_NUMERIC = frozenset(
    [
        "-",
        "*",
        "/",
        "%",
        "**",
        "<<",
        ">>",
        ">>>",
        "&",
        "|",
        "^",
        "<",
        "<=",
        ">",
        ">=",
        "==",
        "!=",
        "===",
        "!==",
        "instanceof",
        "in",
    ]
)


def eval_binary(walker: Walker, node: Syntax, scope: Scope) -> Value:
    left, right = walker.eval(node.fields["left"], scope), walker.eval(node.fields["right"], scope)
    if node.words & {"&&", "||", "??"}:
        walker.memory.test(left)
        return right | SCALAR if "&&" in node.words else left | right  # what is falsy is a plain value
    if "in" in node.words:
        names = texts_of(left)
        if names and right and all(isinstance(atom, Ref) and atom.exact for atom in right):
            found = frozenset(ref.member(name) for ref in right for name in names if isinstance(ref, Ref))
            walker.memory.read(found)
            return NUMBER
    walker.memory.read(left | right)
    if node.words & _NUMERIC or (left <= NUMBER and right <= NUMBER):
        return NUMBER
    heads = frozenset(Head(atom.text) for atom in left if isinstance(atom, (Text, Head)))
    return heads if left and len(heads) == len(left) else SCALAR


def eval_unary(walker: Walker, node: Syntax, scope: Scope) -> Value:
    target = node.fields["argument"]
    if "delete" not in node.words:
        value = walker.eval(target, scope)
        if "!" in node.words:
            walker.memory.test(value)
        elif "void" not in node.words:
            walker.memory.read(value)
        return SCALAR if node.words & {"typeof", "void"} else NUMBER
    if target.kind == "member_expression":
        holder = walker.eval(target.fields["object"], scope)
        delete_member(walker, holder, target.fields["property"].text, target)
    elif target.kind == "subscript_expression":
        holder = walker.eval(target.fields["object"], scope)
        for key in walker.index(target, scope):
            delete_member(walker, holder, key, target)
    else:
        walker.eval(target, scope)
    return NUMBER


def eval_update(walker: Walker, node: Syntax, scope: Scope) -> Value:
    walker.use(node.fields["argument"], scope)
    assign(walker, node.fields["argument"], NUMBER, scope)
    return NUMBER


def eval_assignment(walker: Walker, node: Syntax, scope: Scope) -> Value:
    value = walker.eval(node.fields["right"], scope)
    assign(walker, node.fields["left"], value, scope)
    return value


def eval_augmented(walker: Walker, node: Syntax, scope: Scope) -> Value:
    target = node.fields["left"]
    current, given = walker.eval(target, scope), walker.eval(node.fields["right"], scope)
    if node.words & {"||=", "&&=", "??="}:
        walker.memory.test(current)
        assign(walker, target, given, scope)
        return current | given
    walker.memory.read(current | given)
    number = "+=" not in node.words or (current <= NUMBER and given <= NUMBER)
    result = NUMBER if number else SCALAR
    assign(walker, target, result, scope)
    return result
