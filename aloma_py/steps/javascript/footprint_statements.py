"""What the statements of JavaScript do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aloma_py.steps.follow.values import NOTHING, OPAQUE, SCALAR, Func, Text, Value
from aloma_py.steps.javascript.footprint_memory import Scope, scope_of
from aloma_py.steps.javascript.footprint_patterns import assign
from aloma_py.steps.javascript.footprint_syntax import (
    CLASSES,
    FUNCTIONS,
    Syntax,
    bound_names,
    imported_names,
    lexical_names,
)

if TYPE_CHECKING:
    from aloma_py.steps.javascript.footprint_walker import Walker

_NOTHING = frozenset({"break_statement", "continue_statement", "debugger_statement"})


def walk_statements(walker: Walker, statements: Iterable[Syntax], scope: Scope) -> None:
    """Note what the statements bind, read and write."""
    for statement in statements:
        walk_statement(walker, statement, scope)


def walk_statement(walker: Walker, node: Syntax, scope: Scope) -> None:
    match node.kind:
        case "expression_statement":
            walker.eval(node.children[0], scope)
        case "lexical_declaration" | "variable_declaration":
            for declarator in node.children:
                _declare(walker, declarator, scope)
        case "if_statement" | "while_statement" | "do_statement":
            walker.memory.test(walker.eval(node.fields["condition"], scope))
            for name in ("consequence", "alternative", "body"):
                if name in node.fields:
                    walk_statement(walker, node.fields[name], scope)
        case "for_statement":
            _for(walker, node, scope)
        case "for_in_statement":
            _for_each(walker, node, scope)
        case "statement_block":
            walk_statements(walker, node.children, walker.block(node, scope, lexical_names(node.children)))
        case "else_clause" | "finally_clause":
            walk_statements(walker, node.children, scope)
        case "labeled_statement":
            walk_statement(walker, node.fields["body"], scope)
        case "switch_statement":
            _switch(walker, node, scope)
        case "try_statement":
            _try(walker, node, scope)
        case "return_statement":
            if node.children:
                walker.give_back(scope, walker.eval(node.children[0], scope), node)
        case "throw_statement":
            raised = walker.use(node.children[0], scope)
            if not raised <= walker.thrown:
                walker.thrown |= raised
                walker.memory.grew = True
        case "export_statement":
            _export(walker, node, scope)
        case "import_statement":
            if "type" not in node.words:
                walker.memory.cannot(node, "what is imported is not followed")
            for name in imported_names(node):
                walker.bind(scope, name, OPAQUE, node)
        case kind if kind in FUNCTIONS:
            _define(walker, node, scope)
        case kind if kind in CLASSES:
            walk_class(walker, node, scope)
            walker.bind(scope, node.fields["name"].text, OPAQUE, node)
        case kind if kind not in _NOTHING:
            walker.memory.cannot(node, "this kind of statement is not followed")


def _declare(walker: Walker, node: Syntax, scope: Scope) -> None:
    name, source = node.fields["name"], node.fields.get("value")
    if source is None:
        return
    if scope is walker.module and name.kind == "identifier" and source.kind in FUNCTIONS:
        value = walker.inner(source, scope, walk=False)
        walker.deferred[name.text] = walker.deferred.get(name.text, NOTHING) | value
    else:
        value = walker.eval(source, scope)
    assign(walker, name, value, scope, declare=True)


def _define(walker: Walker, node: Syntax, scope: Scope) -> None:
    name = node.fields["name"].text
    made = walker.inner(node, scope, walk=scope is not walker.module)
    if scope is walker.module:
        walker.deferred[name] = walker.deferred.get(name, NOTHING) | made
    walker.bind(scope, name, made, node)


def _for(walker: Walker, node: Syntax, scope: Scope) -> None:
    begin = node.fields.get("initializer")
    inner = walker.block(node, scope, lexical_names([begin]) if begin is not None else ())
    if begin is not None:
        if begin.kind.endswith("_declaration"):
            walk_statement(walker, begin, inner)
        else:
            walker.eval(begin.children[0] if begin.kind == "expression_statement" else begin, inner)
    for name in ("condition", "increment"):
        part = node.fields.get(name)
        if part is not None and part.kind != "empty_statement":
            found = walker.eval(part.children[0] if part.kind == "expression_statement" else part, inner)
            if name == "condition":
                walker.memory.test(found)
    if "body" in node.fields:  # none where it is an empty statement
        walk_statement(walker, node.fields["body"], inner)


def _for_each(walker: Walker, node: Syntax, scope: Scope) -> None:
    target = node.fields["left"]
    declares = bool(node.words & {"const", "let", "var"})
    inner = walker.block(node, scope, bound_names(target) if node.words & {"const", "let"} else ())
    value = walker.eval(node.fields["right"], scope)
    found = walker.iterate(value)
    if "of" not in node.words:  # for (name in object)
        keys = walker.keys_of(value)
        found = frozenset(Text(key) for key in keys) if keys else SCALAR
    assign(walker, target, found, inner, declare=declares)
    if "body" in node.fields:
        walk_statement(walker, node.fields["body"], inner)


def _switch(walker: Walker, node: Syntax, scope: Scope) -> None:
    walker.use(node.fields["value"], scope)
    body = node.fields["body"]
    cases = [(case, case.fields.get("value")) for case in body.children]
    statements = [[child for child in case.children if child is not value] for case, value in cases]
    inner = walker.block(body, scope, (name for each in statements for name in lexical_names(each)))
    for (_, value), each in zip(cases, statements, strict=True):
        walker.use(value, inner)
        walk_statements(walker, each, inner)


def _try(walker: Walker, node: Syntax, scope: Scope) -> None:
    walk_statement(walker, node.fields["body"], scope)
    handler = node.fields.get("handler")
    if handler is not None:
        target = handler.fields.get("parameter")
        inner = walker.block(handler, scope, bound_names(target) if target is not None else ())
        if target is not None:
            assign(walker, target, caught(walker, handler), inner, declare=True)
        walk_statement(walker, handler.fields["body"], inner)
    if "finalizer" in node.fields:
        walk_statement(walker, node.fields["finalizer"], scope)


def caught(walker: Walker, node: Syntax) -> Value:
    """What a handler may get: what the code throws, or an error of the language."""
    return walker.thrown | walker.fresh(node)


def _export(walker: Walker, node: Syntax, scope: Scope) -> None:
    declaration, value = node.fields.get("declaration"), node.fields.get("value")
    if value is not None:  # export default <expression>
        walker.export("default", walker.eval(value, scope))
    elif declaration is not None:
        names: list[str] = []
        if declaration.kind in FUNCTIONS and "name" not in declaration.fields:
            walker.export("default", walker.inner(declaration, scope))
        else:
            walk_statement(walker, declaration, scope)
            names = list(lexical_names([declaration]))
            if declaration.kind == "variable_declaration":
                names = [name for each in declaration.children for name in bound_names(each.fields["name"])]
        for name in names:
            walker.export("default" if "default" in node.words else name, scope.names[name])
    else:
        for specifier in [child for clause in node.children for child in clause.children]:
            if specifier.kind == "export_specifier" and "source" not in node.fields:
                local = specifier.fields["name"]
                exported = specifier.fields.get("alias", local).text.strip("'\"")
                if exported in ("content", "default"):
                    walker.export(exported, walker.lookup(local, scope))


def walk_class(walker: Walker, node: Syntax, scope: Scope) -> None:
    """A class's code may run at any time, with anything; what it keeps or gives back is not followed."""
    inner = walker.block(node, scope, [node.fields["name"].text] if "name" in node.fields else ())
    if inner.names:
        walker.bind(inner, node.fields["name"].text, OPAQUE, node)
    for child in node.children:
        if child.kind == "class_heritage":
            for part in child.children:
                walker.use(part.children[0] if part.kind == "extends_clause" else part, inner)
    # The fields and static blocks run as a function of the class.
    body = node.fields["body"]
    fields = walker.block(body, inner, ())
    fields.function = fields
    fields.of_class = True
    for member in body.children:
        match member.kind:
            case "method_definition":
                for function in walker.inner(member, fields):
                    _open(walker, function)
            case "field_definition" | "public_field_definition":
                source = member.fields.get("value")
                if source is not None and walker.memory.tracked(walker.eval(source, fields)):
                    walker.memory.cannot(member, "data is kept in something that cannot be followed")
            case "class_static_block":
                walk_statement(walker, member.fields["body"], fields)
            case _:
                walker.memory.cannot(member, "this kind of statement is not followed")
        for key in (member.fields.get("name"), member.fields.get("property")):
            if key is not None and key.kind == "computed_property_name":
                walker.use(key.children[0], inner)


def _open(walker: Walker, function: object) -> None:
    """A method of a class may be called by anyone who has an instance."""
    assert isinstance(function, Func)
    scope_of(function).of_class = True
    walker.expose(frozenset({function}))
