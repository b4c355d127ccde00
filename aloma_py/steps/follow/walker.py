"""Walks the code of a step, and of the functions it calls, over :class:`Memory`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any

from aloma_py.steps.definition import Footprint
from aloma_py.steps.follow.calls import eval_call
from aloma_py.steps.follow.memory import Memory, widen
from aloma_py.steps.follow.places import get_member, set_member
from aloma_py.steps.follow.scopes import Scope, outside_of
from aloma_py.steps.follow.statements import walk_statements
from aloma_py.steps.follow.values import (
    NOTHING,
    NUMBER,
    OPAQUE,
    SCALAR,
    Func,
    Head,
    Plain,
    Ref,
    Site,
    Text,
    Value,
    join,
    members_of,
    texts_of,
)
from aloma_py.steps.libraries import Libraries
from aloma_py.steps.sources import Sources

MAX_ROUNDS = 60
MAX_FUNCTIONS = 80


class Walker:
    """The analysis of one step's function. ``entry`` are the values of its parameters."""

    def __init__(
        self,
        root: FunctionType,
        scope: Scope,
        entry: Mapping[str, Value],
        sources: Sources,
        libraries: Libraries | None,
    ) -> None:
        self.memory = Memory()
        self.root = root
        self.scope = scope
        self.sources = sources
        self.libraries = libraries
        self.raised = Site("raised")
        self._helpers: dict[int, Scope | None] = {}
        self._functions: list[FunctionType] = []  # keeps the ids in _helpers from being used again
        self._pending: list[Scope] = []
        for name, value in entry.items():
            self.bind(scope, name, value)

    def run(self) -> Footprint:
        """Go over all of the code until nothing new is learnt of what its names may stand for."""
        for _ in range(MAX_ROUNDS):
            self.memory.begin()
            self._pending = [self.scope, *(scope for scope in self._helpers.values() if scope is not None)]
            seen: set[int] = set()
            while self._pending:
                scope = self._pending.pop()
                if id(scope) not in seen:
                    seen.add(id(scope))
                    self._walk_function(scope)
            if not self.memory.grew:
                break
        else:
            self.memory.cannot_follow(self.scope.node, self.scope, "its names stand for too many things")
        self.memory.read(self.scope.returns)
        return self.memory.footprint()

    # --- functions --------------------------------------------------------------------------------------------

    def _walk_function(self, scope: Scope) -> None:
        if isinstance(scope.node, ast.Lambda):
            self.give_back(scope, self.eval(scope.node.body, scope))
        else:
            walk_statements(self, scope.node.body, scope)

    def give_back(self, scope: Scope, value: Value) -> None:
        joined = widen(scope.returns | value)
        if joined != scope.returns:
            scope.returns = joined
            self.memory.grew = True

    def inner(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scope: Scope) -> Value:
        """The function that a ``def`` or ``lambda`` inside a function makes."""
        child = scope.children.get(id(node))
        if child is None:
            child = Scope(node, file=scope.file, lines=scope.lines, parent=scope, entry=scope.entry)
            scope.children[id(node)] = child
        self._bind_defaults(child, scope)
        self._pending.append(child)
        return frozenset({Func(child)})

    def helper(self, function: FunctionType, node: ast.AST, caller: Scope) -> Scope | None:
        """The scope of a function outside the step's, or ``None``: followed are the same package's and libraries'."""
        if id(function) in self._helpers:
            return self._helpers[id(function)]
        found = None
        if len(self._functions) < MAX_FUNCTIONS and not hasattr(function, "__wrapped__") and self._is_near(function):
            source = self.sources.find(function)
            if source is not None:
                line = getattr(node, "lineno", None)
                entry = caller.entry if caller.entry is not None else line
                same = source.file == self.scope.file
                found = Scope(
                    source.node,
                    file=source.file,
                    lines=source.lines,
                    outside=outside_of(function),
                    entry=None if same else entry,
                )
                self._bind_defaults(found, None)
        self._helpers[id(function)] = found
        self._functions.append(function)
        if found is not None:
            self._pending.append(found)
        return found

    def _is_near(self, function: FunctionType) -> bool:
        package = function.__module__.partition(".")[0]
        if package in sys.stdlib_module_names and package != "__main__":
            return False
        if package == self.root.__module__.partition(".")[0]:
            return True
        libraries = self.libraries or ()
        spaces = [getattr(self.libraries, name) for name in libraries]
        return any(
            isinstance(member, FunctionType) and member.__module__.partition(".")[0] == package
            for space in spaces
            for member in vars(space).values()
        )

    def _bind_defaults(self, scope: Scope, outer: Scope | None) -> None:
        spec = scope.node.args
        positional = [*spec.posonlyargs, *spec.args]
        pairs = [
            *zip(reversed(positional), reversed(spec.defaults), strict=False),
            *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
        ]
        for argument, default in pairs:
            if default is not None:
                # A default is one object for all calls, so what is put into it cannot be followed.
                plain = isinstance(default, ast.Constant)
                value = self.eval(default, outer or scope) if plain or outer is not None else OPAQUE
                if not plain:
                    value |= OPAQUE
                self.bind(scope, argument.arg, value)

    # --- names ------------------------------------------------------------------------------------------------

    def bind(self, scope: Scope, name: str, value: Value) -> None:
        owner = scope.owner(name)
        if owner is None:
            if self.memory.tracked(value):
                self.memory.cannot_follow(scope.node, scope, f"data is kept in the global {name!r}")
            return
        joined = widen(owner.names[name] | value)
        if joined != owner.names[name]:
            owner.names[name] = joined
            self.memory.grew = True

    def assign(self, target: ast.expr, value: Value, scope: Scope, source: ast.expr | None = None) -> None:
        """Bind or store a value at a target; ``source`` is its expression, where each part has its own."""
        memory = self.memory
        match target:
            case ast.Name(id=name):
                self.bind(scope, name, value)
            case ast.Starred(value=inner):
                self.assign(inner, memory.make_from(target, value), scope)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                parts = source.elts if isinstance(source, (ast.Tuple, ast.List)) else []
                if len(parts) == len(targets) and not any(isinstance(x, ast.Starred) for x in (*parts, *targets)):
                    for inner, part in zip(targets, parts, strict=True):
                        self.assign(inner, self.eval(part, scope), scope, part)
                    return
                found = self.iterate(value)
                for inner in targets:
                    # A starred target takes a list of the elements.
                    self.assign(inner, value if isinstance(inner, ast.Starred) else found, scope)
            case ast.Attribute(value=base, attr=name):
                set_member(self, self.eval(base, scope), name, value, target, scope)
            case ast.Subscript(value=base, slice=index):
                holder = self.eval(base, scope)
                if isinstance(index, ast.Slice):  # x[0:1] = y puts the elements of y there
                    value |= memory.elements(value)
                for key in self.index(index, scope):
                    set_member(self, holder, key, value, target, scope)

    def index(self, index: ast.expr, scope: Scope) -> list[str | None]:
        """The names of members that ``[index]`` can mean; ``[None]``: it cannot be told which."""
        if isinstance(index, ast.Slice):
            for part in (index.lower, index.upper, index.step):
                if part is not None:
                    self.memory.read(self.eval(part, scope))
            return [None]
        value = self.eval(index, scope)
        self.memory.read(value)
        return members_of(value)

    def iterate(self, value: Value) -> Value:
        """The elements, noting that the value is looked through from one end to the other."""
        self.memory.read(frozenset(atom for atom in value if isinstance(atom, Ref)))
        return self.memory.elements(value)

    # --- expressions ------------------------------------------------------------------------------------------

    def eval(self, node: ast.expr, scope: Scope) -> Value:
        """What the expression may stand for; what evaluating it reads and writes is noted."""
        method: Callable[[Any, Scope], Value] | None = getattr(self, f"_eval_{type(node).__name__}", None)
        if method is None:
            self.memory.cannot_follow(node, scope, "this kind of expression is not followed")
            return OPAQUE
        return method(node, scope)

    def use(self, node: ast.expr | None, scope: Scope) -> Value:
        """Evaluate, and read the whole of what comes out."""
        value = self.eval(node, scope) if node is not None else NOTHING
        self.memory.read(value)
        return value

    def _eval_Constant(self, node: ast.Constant, scope: Scope) -> Value:
        if isinstance(node.value, str):
            return frozenset({Text(node.value)})
        return NUMBER if isinstance(node.value, (int, float)) else SCALAR

    def _eval_Name(self, node: ast.Name, scope: Scope) -> Value:
        return scope.lookup(node.id)

    def _eval_Attribute(self, node: ast.Attribute, scope: Scope) -> Value:
        return get_member(self, self.eval(node.value, scope), node.attr, node, scope)

    def _eval_Subscript(self, node: ast.Subscript, scope: Scope) -> Value:
        base = self.eval(node.value, scope)
        names = self.index(node.slice, scope)
        found = join(get_member(self, base, name, node, scope) for name in names)
        if isinstance(node.slice, ast.Slice):
            self.memory.read(frozenset(atom for atom in base if isinstance(atom, Ref)))
            return self.memory.make_from(node, base) | (base & SCALAR)
        return found

    def _eval_Call(self, node: ast.Call, scope: Scope) -> Value:
        return eval_call(self, node, scope)

    def _eval_BoolOp(self, node: ast.BoolOp, scope: Scope) -> Value:
        values = [self.eval(part, scope) for part in node.values]
        for value in values[:-1]:  # the last one is passed on as it is
            self.memory.read(value)
        return join(values)

    def _eval_NamedExpr(self, node: ast.NamedExpr, scope: Scope) -> Value:
        value = self.eval(node.value, scope)
        self.bind(scope, node.target.id, value)
        return value

    def _eval_BinOp(self, node: ast.BinOp, scope: Scope) -> Value:
        return self.combine(node, node.op, self.use(node.left, scope), self.use(node.right, scope))

    def combine(self, node: ast.AST, operator: ast.operator, left: Value, right: Value) -> Value:
        """What an operator may give: with ``+ * | & - ^`` maybe a container of what the operands hold."""
        operands = left | right
        if isinstance(operator, (ast.Div, ast.FloorDiv, ast.Pow, ast.Mod, ast.LShift, ast.RShift, ast.MatMult)):
            return NUMBER | SCALAR | (operands & OPAQUE)
        if left <= NUMBER and right <= NUMBER:
            return NUMBER
        if isinstance(operator, (ast.Add, ast.Sub)) and (left == NUMBER or right == NUMBER):
            return NUMBER | (operands & OPAQUE)  # a list or text and a number cannot be added
        if isinstance(operator, ast.Add) and (_only_text(left) or _only_text(right)):
            return SCALAR | (operands & OPAQUE)
        return self.memory.make_from(node, left, right) | SCALAR | (operands & OPAQUE)

    def _eval_UnaryOp(self, node: ast.UnaryOp, scope: Scope) -> Value:
        self.use(node.operand, scope)
        return NUMBER

    def _eval_Compare(self, node: ast.Compare, scope: Scope) -> Value:
        values = [self.eval(part, scope) for part in (node.left, *node.comparators)]
        if len(values) == 2 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            names, holder = texts_of(values[0]), values[1]
            if names and holder and all(isinstance(atom, Ref) and atom.exact for atom in holder):
                # "x" in data.order looks at that member alone (and in an array at its elements, which have its path).
                self.memory.read(
                    frozenset(ref.member(name) for ref in holder for name in names if isinstance(ref, Ref))
                )
                return NUMBER
        for value in values:
            self.memory.read(value)
        return NUMBER

    def _eval_IfExp(self, node: ast.IfExp, scope: Scope) -> Value:
        self.use(node.test, scope)
        return self.eval(node.body, scope) | self.eval(node.orelse, scope)

    def _eval_JoinedStr(self, node: ast.JoinedStr, scope: Scope) -> Value:
        for part in node.values:
            self.use(part, scope)
        match node.values[:1]:
            case [ast.Constant(value=str(text))]:
                return frozenset({Head(text)})
        return SCALAR

    def _eval_FormattedValue(self, node: ast.FormattedValue, scope: Scope) -> Value:
        self.use(node.value, scope)
        self.use(node.format_spec, scope)
        return SCALAR

    def _eval_Tuple(self, node: ast.Tuple | ast.List | ast.Set, scope: Scope) -> Value:
        return self.memory.make(node, *(self.eval(element, scope) for element in node.elts))

    _eval_List = _eval_Tuple
    _eval_Set = _eval_Tuple

    def _eval_Starred(self, node: ast.Starred, scope: Scope) -> Value:
        return self.iterate(self.eval(node.value, scope))

    def _eval_Dict(self, node: ast.Dict, scope: Scope) -> Value:
        memory = self.memory
        held: list[Value] = []
        names: set[str] | None = set()
        for key, part in zip(node.keys, node.values, strict=True):
            value = self.eval(part, scope)
            if key is None:
                held.append(self.iterate(value))
                known = self.keys_of(value)
            else:
                held.append(value)
                texts = texts_of(self.use(key, scope))
                known = None if texts is None else frozenset(texts)
            names = None if names is None or known is None else names | known
        made = memory.make(node, *held)
        memory.name_keys(Site(node), None if names is None else frozenset(names))
        return made

    def keys_of(self, value: Value) -> frozenset[str] | None:
        """The members that an object can have; ``None`` if that is not known."""
        names: frozenset[str] = frozenset()
        for atom in value:
            known = self.memory.keys.get(atom) if isinstance(atom, Site) else None
            if known is None:
                return None
            names |= known
        return names if value else None

    def _eval_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, scope: Scope) -> Value:
        self._generators(node.generators, scope)
        return self.memory.make(node, self.eval(node.elt, scope))

    _eval_SetComp = _eval_ListComp
    _eval_GeneratorExp = _eval_ListComp

    def _eval_DictComp(self, node: ast.DictComp, scope: Scope) -> Value:
        self._generators(node.generators, scope)
        self.use(node.key, scope)
        return self.memory.make(node, self.eval(node.value, scope))

    def _generators(self, generators: Iterable[ast.comprehension], scope: Scope) -> None:
        for generator in generators:
            self.assign(generator.target, self.iterate(self.eval(generator.iter, scope)), scope)
            for test in generator.ifs:
                self.use(test, scope)

    def _eval_Lambda(self, node: ast.Lambda, scope: Scope) -> Value:
        return self.inner(node, scope)

    def _eval_Await(self, node: ast.Await, scope: Scope) -> Value:
        return self.eval(node.value, scope)

    def _eval_Yield(self, node: ast.Yield, scope: Scope) -> Value:
        value = self.eval(node.value, scope) if node.value is not None else SCALAR
        self.give_back(scope, self.memory.make(node, value))
        return OPAQUE

    def _eval_YieldFrom(self, node: ast.YieldFrom, scope: Scope) -> Value:
        value = self.eval(node.value, scope)
        self.give_back(scope, value)
        return value


def _only_text(value: Value) -> bool:
    """Whether the value can be nothing but text or another plain value: with ``+``, the other one is the same."""
    return bool(value) and all(isinstance(atom, (Text, Head)) or atom is Plain.SCALAR for atom in value)
