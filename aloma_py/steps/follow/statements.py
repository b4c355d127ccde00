"""What statements do. The order of execution plays no part: every name may be all that it is anywhere."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aloma_py.steps.follow.places import delete_member, get_member, set_member
from aloma_py.steps.follow.scopes import Scope
from aloma_py.steps.follow.values import NUMBER, OPAQUE, SCALAR, Outer, Ref, Site, Value, join, value_of

if TYPE_CHECKING:
    from aloma_py.steps.follow.walker import Walker


def walk_statements(walker: Walker, body: Iterable[ast.stmt], scope: Scope) -> None:
    """Note what the statements bind, read and write."""
    for statement in body:
        _walk(walker, statement, scope)


def _walk(walker: Walker, node: ast.stmt, scope: Scope) -> None:
    match node:
        case ast.Expr(value=source):
            walker.use(source, scope)
        case ast.Assign(targets=targets, value=source):
            value = walker.eval(source, scope)
            for target in targets:
                walker.assign(target, value, scope, source)
        case ast.AnnAssign(target=target, value=ast.expr() as source):
            walker.assign(target, walker.eval(source, scope), scope, source)
        case ast.AugAssign():
            _augmented(walker, node, scope)
        case ast.For(target=target, iter=iterated) | ast.AsyncFor(target=target, iter=iterated):
            walker.assign(target, walker.iterate(walker.eval(iterated, scope)), scope)
            walk_statements(walker, (*node.body, *node.orelse), scope)
        case ast.While(test=test) | ast.If(test=test):
            walker.use(test, scope)
            walk_statements(walker, (*node.body, *node.orelse), scope)
        case ast.With() | ast.AsyncWith():
            for item in node.items:
                value = walker.eval(item.context_expr, scope)
                if item.optional_vars is not None:
                    walker.assign(item.optional_vars, value | walker.memory.elements(value), scope)
            walk_statements(walker, node.body, scope)
        case ast.Try() | ast.TryStar():
            _try(walker, node, scope)
        case ast.Match():
            _match(walker, node, scope)
        case ast.Return(value=source):
            if source is not None:
                walker.give_back(scope, walker.eval(source, scope))
        case ast.Raise(exc=raised, cause=cause):
            walker.memory.put(walker.raised, walker.use(raised, scope) | walker.use(cause, scope))
        case ast.Assert(test=test, msg=message):
            walker.use(test, scope)
            walker.memory.put(walker.raised, walker.use(message, scope))
        case ast.Delete(targets=targets):
            for target in targets:
                _delete(walker, target, scope)
        case ast.Import() | ast.ImportFrom():
            _import(walker, node, scope)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            _define(walker, node, scope)
        case ast.Pass() | ast.Break() | ast.Continue() | ast.Global() | ast.Nonlocal() | ast.AnnAssign():
            pass
        case _:
            walker.memory.cannot_follow(node, scope, "this kind of statement is not followed")


def _try(walker: Walker, node: ast.Try | ast.TryStar, scope: Scope) -> None:
    walk_statements(walker, node.body, scope)
    for handler in node.handlers:
        walker.use(handler.type, scope)
        if handler.name is not None:
            walker.bind(scope, handler.name, frozenset({walker.raised}) | SCALAR)
        walk_statements(walker, handler.body, scope)
    walk_statements(walker, (*node.orelse, *node.finalbody), scope)


def _match(walker: Walker, node: ast.Match, scope: Scope) -> None:
    """A pattern's names may be bound to the subject or to anything in it."""
    memory = walker.memory
    subject = walker.use(node.subject, scope)
    inside = frozenset(atom for atom in memory.reach(subject) if not isinstance(atom, Ref))
    refs = frozenset(Ref(atom.path, exact=False) for atom in memory.reach(subject) if isinstance(atom, Ref))
    for case in node.cases:
        for pattern in ast.walk(case.pattern):
            match pattern:
                case ast.MatchAs(name=str(name)):
                    walker.bind(scope, name, subject | inside | refs)
                case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                    walker.bind(scope, name, memory.make(pattern, subject | inside | refs, loop=True))
        walker.use(case.guard, scope)
        walk_statements(walker, case.body, scope)


def _augmented(walker: Walker, node: ast.AugAssign, scope: Scope) -> None:
    """``x += y`` changes a list or object in place, and replaces a number or text."""
    memory = walker.memory
    given = walker.use(node.value, scope)
    holder: Value | None = None
    names: list[str | None] = []
    match node.target:
        case ast.Name(id=name):
            current = scope.lookup(name)
        case ast.Attribute(value=base, attr=attribute):
            holder, names = walker.eval(base, scope), [attribute]
            current = get_member(walker, holder, attribute, node.target, scope)
        case ast.Subscript(value=base, slice=index):
            holder, names = walker.eval(base, scope), walker.index(index, scope)
            current = join(get_member(walker, holder, key, node.target, scope) for key in names)
    memory.read(frozenset(atom for atom in current if isinstance(atom, Ref)))
    if not isinstance(node.op, (ast.Add, ast.Mult, ast.BitOr)) or (isinstance(node.op, ast.Add) and given == NUMBER):
        current_in_place: Value = frozenset()  # no list or object can be meant
    else:
        current_in_place = frozenset(atom for atom in current if isinstance(atom, (Ref, Site)))
    inside = memory.elements(given)
    set_member(walker, current_in_place, None, inside | memory.elements(inside), node, scope)
    result = walker.combine(node, node.op, current, given) | frozenset(
        atom for atom in current_in_place if isinstance(atom, Site)
    )
    if holder is None:
        walker.assign(node.target, result, scope)
        return
    for member in names:
        set_member(walker, holder, member, result, node.target, scope)


def _delete(walker: Walker, target: ast.expr, scope: Scope) -> None:
    match target:
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            for inner in targets:
                _delete(walker, inner, scope)
        case ast.Attribute(value=base, attr=name):
            delete_member(walker, walker.eval(base, scope), name, target, scope)
        case ast.Subscript(value=base, slice=index):
            holder = walker.eval(base, scope)
            for key in walker.index(index, scope):
                delete_member(walker, holder, key, target, scope)


def _import(walker: Walker, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
    for alias in node.names:
        if isinstance(node, ast.Import):
            full = alias.name if alias.asname else alias.name.partition(".")[0]
            module = sys.modules.get(full)
            value: Value = value_of(module) if module is not None else frozenset({Outer(full)})
            walker.bind(scope, alias.asname or full, value)
        elif node.level or node.module is None:
            walker.bind(scope, alias.asname or alias.name, OPAQUE)
        else:
            module = sys.modules.get(node.module)
            outer = frozenset({Outer(node.module, module)})
            found = get_member(walker, outer, alias.name, node, scope) if module else OPAQUE
            walker.bind(scope, alias.asname or alias.name, found)


def _define(walker: Walker, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
    made = walker.inner(node, scope)
    if node.decorator_list:
        # What a decorator makes of the function is not known; it may call it with anything it is called with.
        for decorator in node.decorator_list:
            walker.use(decorator, scope)
        if walker.memory.tracked(made):
            walker.memory.cannot_follow(node, scope, "what the decorator makes of this function is not known")
        made = OPAQUE
    walker.bind(scope, node.name, made)
