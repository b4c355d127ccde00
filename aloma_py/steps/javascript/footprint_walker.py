"""Walks the code of a JavaScript module over :class:`Notes`: names, functions and expressions.

The order of execution plays no part: every name may be all that it is anywhere in its scope, and a function that is
made may run at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aloma_py.steps.definition import Footprint
from aloma_py.steps.follow.memory import widen
from aloma_py.steps.follow.values import (
    NOTHING,
    NUMBER,
    OPAQUE,
    SCALAR,
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
from aloma_py.steps.javascript.footprint_calls import eval_call, eval_new, eval_tagged, follow
from aloma_py.steps.javascript.footprint_literals import eval_array, eval_object
from aloma_py.steps.javascript.footprint_members import UNCLEAR, get_member
from aloma_py.steps.javascript.footprint_memory import Notes, Scope, function_of, scope_of
from aloma_py.steps.javascript.footprint_names import ANYTHING, GLOBALS, HANDLES
from aloma_py.steps.javascript.footprint_operators import (
    eval_assignment,
    eval_augmented,
    eval_binary,
    eval_unary,
    eval_update,
)
from aloma_py.steps.javascript.footprint_patterns import assign
from aloma_py.steps.javascript.footprint_statements import walk_class, walk_statements
from aloma_py.steps.javascript.footprint_syntax import (
    Syntax,
    bound_names,
    lexical_names,
    parameters_of,
    variable_names,
)

MAX_ROUNDS = 60
ENTRIES = ("content", "default")


class Walker:
    """The analysis of one module."""

    def __init__(self, root: Syntax, libraries: frozenset[str]) -> None:
        self.memory = Notes()
        self.libraries = libraries
        self.module = Scope(root, None, [*lexical_names(root.children), *variable_names(root)], function=True)
        self.thrown: Value = NOTHING
        self.outer_sites: set[Site] = set()  # made by the module, not by one of its functions
        self.deferred: dict[str, Value] = {}  # functions of the module that are walked when they are used
        self.entries: Value = NOTHING
        self.settled = False  # False: a value that nothing is known of yet may still turn out to be something
        self._pending: list[Scope] = []
        exports, module = Site("exports"), Site("module")
        self.outer_sites |= {exports, module}
        self.memory.put_member(module, "exports", frozenset({exports}))
        self.memory.name_keys(exports, frozenset())

    def run(self) -> Footprint:
        """Go over all of the code until nothing new is learnt of what its names may stand for."""
        for _ in range(MAX_ROUNDS):
            self.memory.begin()
            walk_statements(self, self.module.node.children, self.module)
            self._enter()
            seen: set[Scope] = set()
            while self._pending:
                scope = self._pending.pop()
                if scope not in seen:
                    seen.add(scope)
                    self._walk_function(scope)
            if not self.memory.grew and self.settled:
                break
            self.settled = self.settled or not self.memory.grew
        else:
            self.memory.cannot(self.module.node, "its names stand for too many things")
        for atom in self.entries:
            if isinstance(atom, Func):
                self.memory.read(scope_of(atom).returns)
        return self.memory.footprint()

    def _enter(self) -> None:
        """The functions that the module exports as its content are called with the data."""
        memory, module = self.memory, self.module
        for exported in memory.member(Site("module"), "exports"):
            if isinstance(exported, Func):
                self.entries |= {exported}
            elif isinstance(exported, Site):
                self.entries |= join(memory.member(exported, name) for name in ENTRIES)
        if not any(isinstance(atom, Func) for atom in self.entries):
            memory.cannot(module.node, "the function's source cannot be found")
        for atom in self.entries:
            if isinstance(atom, Func):
                follow(self, (frozenset({Ref(())}),), NOTHING, scope_of(atom), module.node)
            elif atom is Plain.OPAQUE or not isinstance(atom, (Text, Plain)):
                memory.cannot(module.node, "the function is wrapped by another one")

    def export(self, name: str, value: Value) -> None:
        if name in ENTRIES:
            self.entries |= value

    # --- functions --------------------------------------------------------------------------------------------

    def run_later(self, scope: Scope) -> None:
        self._pending.append(scope)

    def _walk_function(self, scope: Scope) -> None:
        node, body = scope.node, scope.node.fields["body"]
        for parameter in parameters_of(node):
            # What is not passed is undefined; here the defaults get their turn.
            assign(self, parameter, NOTHING, scope, declare=True)
        if body.kind == "statement_block":
            walk_statements(self, body.children, scope)
        else:
            self.give_back(scope, self.eval(body, scope), body)

    def give_back(self, scope: Scope, value: Value, node: Syntax) -> None:
        """``return value``."""
        owner = scope.function
        if owner.of_class and self.memory.tracked(value):
            self.memory.cannot(node, "data is given back by a method of a class, which is not followed")
        joined = widen(owner.returns | value)
        if joined != owner.returns:
            owner.returns = joined
            self.memory.grew = True

    def inner(self, node: Syntax, scope: Scope, *, walk: bool = True) -> Value:
        """The function that an expression or a declaration makes."""
        child = scope.children.get(node)
        if child is None:
            body = node.fields["body"]
            names = [name for parameter in parameters_of(node) for name in bound_names(parameter)]
            if body.kind == "statement_block":
                names += [*lexical_names(body.children), *variable_names(body)]
            if node.kind in ("function_expression", "generator_function") and "name" in node.fields:
                names.append(node.fields["name"].text)
            child = Scope(node, scope, names, function=True)
            scope.children[node] = child
        made: Value = frozenset({function_of(child)})
        if node.kind in ("function_expression", "generator_function") and "name" in node.fields:
            self.bind(child, node.fields["name"].text, made, node)
        if walk:
            self.run_later(child)
        return made

    def block(self, node: Syntax, scope: Scope, names: Iterable[str]) -> Scope:
        """The scope of a block, a loop or a class."""
        child = scope.children.get(node)
        if child is None:
            child = scope.children[node] = Scope(node, scope, names, function=False)
        return child

    def expose(self, value: Value) -> None:
        """Functions that are handed to unknown code may be called by it, with anything of its own."""
        for atom in self.memory.reach(value):
            if isinstance(atom, Func):
                scope = scope_of(atom)
                for parameter in parameters_of(scope.node):
                    assign(self, parameter, OPAQUE, scope, declare=True)
                self.run_later(scope)

    # --- names ------------------------------------------------------------------------------------------------

    def lookup(self, node: Syntax, scope: Scope) -> Value:
        name = node.text
        owner = scope.owner(name)
        if owner is not None:
            if owner is self.module and name in self.deferred:
                for atom in self.deferred[name]:
                    if isinstance(atom, Func):
                        self.run_later(scope_of(atom))
            return owner.names[name]
        if name == "data":
            return frozenset({Ref(())})
        if name in HANDLES:
            return frozenset({Role(name)})
        if name in ("module", "exports"):
            return frozenset({Site(name)}) if name == "module" else self.memory.member(Site("module"), "exports")
        if name in ANYTHING:
            self.memory.cannot(node, f"{name} can do anything")
        return frozenset({Outer(name)}) if name in GLOBALS else SCALAR if name in ("NaN", "Infinity") else OPAQUE

    def bind(self, scope: Scope, name: str, value: Value, node: Syntax) -> None:
        owner = scope.owner(name)
        if owner is None:
            if name == "data":
                self.memory.cannot(node, "the task's data itself is replaced")
            elif name in HANDLES or name in GLOBALS or self.memory.tracked(value):
                self.memory.cannot(node, f"data is kept in the global {name!r}")
            return
        if owner.function is self.module and scope.function is not self.module and self.memory.tracked(value):
            self.memory.cannot(node, f"data is kept in the global {name!r}")
        joined = widen(owner.names[name] | value)
        if joined != owner.names[name]:
            owner.names[name] = joined
            self.memory.grew = True

    def put(self, site: Site, name: str | None, value: Value, node: Syntax, *, made: bool = False) -> None:
        """Put a value into an object of the code's own."""
        if site in self.outer_sites and not made and self._in_function(node) and self.memory.tracked(value):
            self.memory.cannot(node, "data is kept in something of the module")
        self.memory.put_member(site, name, value)
        if site in self.memory.keys:
            self.memory.name_keys(site, None if name is None else frozenset({name}))

    def _in_function(self, node: Syntax) -> bool:
        """Whether the code is inside a function (what the module itself keeps is as good as a variable of it)."""
        return any(
            scope.node.start <= node.start < scope.node.end
            for scope in self.module.children.values()
            if scope.function is scope
        )

    def new_site(self, key: object, scope: Scope) -> Site:
        site = Site(key)
        if scope.function is self.module:
            self.outer_sites.add(site)
        return site

    def fresh(self, node: Syntax, *held: Value) -> Value:
        """A new object that holds plain values, and what is given."""
        return self.memory.make(node, SCALAR, *held, loop=True)

    def iterate(self, value: Value) -> Value:
        """The elements, noting that the value is looked through from one end to the other."""
        self.memory.read(frozenset(atom for atom in value if isinstance(atom, Ref)))
        return self.memory.elements(value)

    # --- expressions ------------------------------------------------------------------------------------------

    def eval(self, node: Syntax, scope: Scope) -> Value:
        """What the expression may stand for; what evaluating it reads and writes is noted."""
        method: Callable[[Any, Scope], Value] | None = getattr(self, f"_eval_{node.kind}", None)
        if method is None:
            self.memory.cannot(node, UNCLEAR)
            return OPAQUE
        return method(node, scope)

    def use(self, node: Syntax | None, scope: Scope) -> Value:
        """Evaluate, and read the whole of what comes out."""
        value = self.eval(node, scope) if node is not None else NOTHING
        self.memory.read(value)
        return value

    def _eval_number(self, node: Syntax, scope: Scope) -> Value:
        return NUMBER

    _eval_true = _eval_false = _eval_number

    def _eval_null(self, node: Syntax, scope: Scope) -> Value:
        return SCALAR

    _eval_undefined = _eval_null

    def _eval_string(self, node: Syntax, scope: Scope) -> Value:
        if any(child.kind != "string_fragment" for child in node.children):
            return SCALAR
        return frozenset({Text("".join(child.text for child in node.children))})

    def _eval_template_string(self, node: Syntax, scope: Scope) -> Value:
        for child in node.children:
            if child.kind == "template_substitution":
                self.use(child.children[0], scope)
        kinds = [child.kind for child in node.children]
        if kinds and kinds[0] == "string_fragment" and "escape_sequence" not in kinds:
            text = node.children[0].text
            return frozenset({Text(text) if len(kinds) == 1 else Head(text)})
        return SCALAR

    def _eval_regex(self, node: Syntax, scope: Scope) -> Value:
        return self.fresh(node)

    def _eval_identifier(self, node: Syntax, scope: Scope) -> Value:
        return self.lookup(node, scope)

    def _eval_this(self, node: Syntax, scope: Scope) -> Value:
        owner: Scope | None = scope.function
        while owner is not None and owner.node.kind == "arrow_function":
            owner = owner.parent.function if owner.parent is not None else None
        if owner is None or not owner.of_class:
            self.memory.cannot(node, "what 'this' stands for is not followed")
        return OPAQUE

    def _eval_super(self, node: Syntax, scope: Scope) -> Value:
        return OPAQUE

    def _eval_member_expression(self, node: Syntax, scope: Scope) -> Value:
        return get_member(self, self.eval(node.fields["object"], scope), node.fields["property"].text, node)

    def _eval_subscript_expression(self, node: Syntax, scope: Scope) -> Value:
        base = self.eval(node.fields["object"], scope)
        return join(get_member(self, base, key, node) for key in self.index(node, scope))

    def index(self, node: Syntax, scope: Scope) -> list[str | None]:
        """The names of members that ``[index]`` can mean; ``[None]``: it cannot be told which."""
        return members_of(self.use(node.fields["index"], scope))

    def _eval_call_expression(self, node: Syntax, scope: Scope) -> Value:
        if node.fields["arguments"].kind == "template_string":
            return eval_tagged(self, node, scope)
        return eval_call(self, node, scope)

    def _eval_new_expression(self, node: Syntax, scope: Scope) -> Value:
        return eval_new(self, node, scope)

    def _eval_await_expression(self, node: Syntax, scope: Scope) -> Value:
        return self.eval(node.children[0], scope)

    def _eval_sequence_expression(self, node: Syntax, scope: Scope) -> Value:
        return [self.eval(child, scope) for child in node.children][-1]

    def _eval_ternary_expression(self, node: Syntax, scope: Scope) -> Value:
        self.memory.test(self.eval(node.fields["condition"], scope))
        return self.eval(node.fields["consequence"], scope) | self.eval(node.fields["alternative"], scope)

    def _eval_binary_expression(self, node: Syntax, scope: Scope) -> Value:
        return eval_binary(self, node, scope)

    def _eval_unary_expression(self, node: Syntax, scope: Scope) -> Value:
        return eval_unary(self, node, scope)

    def _eval_update_expression(self, node: Syntax, scope: Scope) -> Value:
        return eval_update(self, node, scope)

    def _eval_assignment_expression(self, node: Syntax, scope: Scope) -> Value:
        return eval_assignment(self, node, scope)

    def _eval_augmented_assignment_expression(self, node: Syntax, scope: Scope) -> Value:
        return eval_augmented(self, node, scope)

    def _eval_array(self, node: Syntax, scope: Scope) -> Value:
        return eval_array(self, node, scope)

    def _eval_object(self, node: Syntax, scope: Scope) -> Value:
        return eval_object(self, node, scope)

    def keys_of(self, value: Value) -> frozenset[str] | None:
        """The members that an object can have; ``None`` if that is not known."""
        names: frozenset[str] = frozenset()
        for atom in value:
            known = self.memory.keys.get(atom) if isinstance(atom, Site) else None
            if known is None:
                return None
            names |= known
        return names if value else None

    def _eval_arrow_function(self, node: Syntax, scope: Scope) -> Value:
        return self.inner(node, scope)

    _eval_function_expression = _eval_generator_function = _eval_arrow_function

    def _eval_class(self, node: Syntax, scope: Scope) -> Value:
        walk_class(self, node, scope)
        return OPAQUE

    def _eval_yield_expression(self, node: Syntax, scope: Scope) -> Value:
        value = self.eval(node.children[0], scope) if node.children else SCALAR
        if "*" not in node.words:
            value = self.memory.make(node, value)
        self.give_back(scope, value, node)
        return OPAQUE
