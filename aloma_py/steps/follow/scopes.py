"""The names of a function: which are its own, and what each may be bound to."""

from __future__ import annotations

import ast
import builtins
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any

from aloma_py.steps.follow.values import NOTHING, OPAQUE, Value, value_of
from aloma_py.steps.sources import FunctionNode


class Scope:
    """One function of the code: a step's, one inside it, or a helper. Compared by identity.

    ``names`` says what each local name may be, over the whole function; ``returns`` what it may give back.
    Comprehensions' variables count as the function's own: that can only add possibilities.
    """

    def __init__(
        self,
        node: FunctionNode,
        *,
        file: str,
        lines: Sequence[str],
        parent: Scope | None = None,
        outside: Mapping[str, Any] | None = None,
        entry: int | None = None,
    ) -> None:
        self.node = node
        self.file = file
        self.lines = lines
        self.parent = parent
        self.outside = outside if outside is not None else {}  # captured and global names of a helper or step
        self.entry = entry  # the line of the step's file where a helper of another file was called
        self.returns: Value = NOTHING
        self.children: dict[int, Scope] = {}
        self.globals: set[str] = set()
        nonlocals: set[str] = set()
        bound = {argument.arg for argument in arguments_of(node)}
        for inner in _own_nodes(node):
            match inner:
                case ast.Global():
                    self.globals.update(inner.names)
                case ast.Nonlocal():
                    nonlocals.update(inner.names)
                case _:
                    bound.update(_bound_by(inner))
        self.names: dict[str, Value] = dict.fromkeys(bound - self.globals - nonlocals, NOTHING)

    def owner(self, name: str) -> Scope | None:
        """The scope whose local ``name`` is seen here, or ``None``: it is captured, global or built in."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope
            if name in scope.globals:
                return None
            scope = scope.parent
        return None

    def lookup(self, name: str) -> Value:
        """What the name may stand for here."""
        owner = self.owner(name)
        if owner is not None:
            return owner.names[name]
        top: Scope = self
        while top.parent is not None:
            top = top.parent
        if name in top.outside:
            return value_of(top.outside[name])
        if hasattr(builtins, name):
            return value_of(getattr(builtins, name))
        return OPAQUE


def arguments_of(node: FunctionNode) -> list[ast.arg]:
    """All parameters, ``*args`` and ``**kwargs`` last."""
    spec = node.args
    found = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    return [*found, *(argument for argument in (spec.vararg, spec.kwarg) if argument is not None)]


def outside_of(function: FunctionType) -> Mapping[str, Any]:
    """The names that a function sees from outside: its module's, and the variables that it captured."""
    captured: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            captured[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return ChainMap(captured, function.__globals__)


def _own_nodes(node: FunctionNode) -> Iterator[ast.AST]:
    """The nodes of a function's body, without those inside functions, lambdas and classes in it."""
    pending: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    while pending:
        inner = pending.pop()
        yield inner
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            pending.extend(inner.decorator_list)
        elif not isinstance(inner, ast.Lambda):
            pending.extend(ast.iter_child_nodes(inner))


def _bound_by(node: ast.AST) -> list[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchMapping(rest=str(name)):
            return [name]
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [alias.asname or alias.name.partition(".")[0] for alias in names]
    return []
