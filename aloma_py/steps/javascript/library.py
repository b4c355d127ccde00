"""Library files: the program that gives ``module.exports``, and what is known of the functions in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from aloma_py.steps.javascript.comments import doc_of
from aloma_py.steps.javascript.edits import Edits
from aloma_py.steps.javascript.rewrite import finish, is_list, rewrite, top_level
from aloma_py.steps.javascript.shapes import default_function, exports_of
from aloma_py.steps.javascript.syntax import FUNCTIONS, Source, bare, field, statements, words_of


@dataclass(frozen=True, slots=True)
class JSLibrary:
    """A library.

    ``program`` is the body of a function after which ``module.exports`` holds what the library gives; each line of it
    is the line of that number in the file. ``functions`` are the exported functions with their doc comments, where the
    text tells that they are functions.
    """

    file: str
    program: str
    functions: dict[str, str]
    text: str


def read_library(text: str, file: str) -> JSLibrary:
    """The library of a file. Raises :class:`~aloma_py.errors.LoadError` as for steps."""
    source = Source(text, file)
    edits = Edits(source.code)
    kept = top_level(source)
    before = rewrite(source, edits, kept)
    named: list[tuple[str, str]] = []  # what is exported, and the expression that gives it
    alone = not any(_exports_names(node) for node in kept)
    for node in kept:
        if node.type == "export_statement" and "type" not in words_of(node):
            named.extend(_export(source, edits, node, alone=alone))
    if any(node.type == "export_statement" and _is_star(node) for node in kept):
        before += _stars(source, kept)
    for name, value in named:
        getter = f"{{enumerable:true,configurable:true,get(){{return {value}}}}}"
        before += f"Object.defineProperty(exports,{json.dumps(name)},{getter});"
    return JSLibrary(
        file=source.file,
        program=finish(source, edits, before, ""),
        functions=dict(_functions(source)),
        text=source.text,
    )


def _exports_names(node: Node) -> bool:
    return node.type == "export_statement" and "default" not in words_of(node)


def _is_star(node: Node) -> bool:
    return "*" in words_of(node)


def _stars(source: Source, kept: list[Node]) -> str:
    names = [field(node, "source") for node in kept if node.type == "export_statement" and _is_star(node)]
    return "".join(f"Object.assign(exports,require({source.read(name)}));" for name in names)


def _export(source: Source, edits: Edits, node: Node, *, alone: bool) -> Iterator[tuple[str, str]]:
    """Make an export statement one that V8 takes here; the names and expressions to be exported."""
    if is_list(node):
        yield from _listed(source, node)
        return
    declaration = node.child_by_field_name("declaration")
    value = node.child_by_field_name("value")
    if value is not None:
        whole = alone and bare(value).type == "object"
        edits.replace(node.start_byte, value.start_byte, b"module.exports = " if whole else b"exports.default = ")
        if default_function(value) is not value:
            edits.insert(default_function(value).end_byte, b";")
        return
    assert declaration is not None
    edits.erase(node.start_byte, declaration.start_byte)
    name = declaration.child_by_field_name("name")
    if "default" in words_of(node):
        if name is None:
            edits.wrap(declaration.start_byte, declaration.end_byte, b"exports.default = ", b";")
        else:
            yield "default", source.read(name)
    elif name is not None:
        yield source.read(name), source.read(name)
    else:
        for declarator in declaration.named_children:
            if declarator.type == "variable_declarator":
                yield from ((bound, bound) for bound in source.bound_names(field(declarator, "name")))


def _listed(source: Source, node: Node) -> Iterator[tuple[str, str]]:
    """``export {a, b as c}``, also ``from`` another module; ``export * as name from``."""
    origin = node.child_by_field_name("source")
    required = f"require({source.read(origin)})" if origin is not None else ""
    for clause in node.named_children:
        if clause.type == "namespace_export":
            yield source.read(clause.named_children[0]).strip("'\""), required
        for specifier in clause.named_children if clause.type == "export_clause" else ():
            if specifier.type != "export_specifier" or "type" in words_of(specifier):
                continue
            name = source.read(field(specifier, "name"))
            alias = specifier.child_by_field_name("alias")
            exported = source.read(alias).strip("'\"") if alias is not None else name
            yield exported, f"{required}[{json.dumps(name)}]" if required else name


def _functions(source: Source) -> Iterator[tuple[str, str]]:
    """The exported functions with their doc comments."""
    declared = dict(_declared_functions(source))
    for export in exports_of(source):
        value = bare(export.value)
        name = source.read(value) if value.type in ("identifier", "shorthand_property_identifier") else ""
        if name in declared:
            yield export.name, doc_of(source, export.place) or doc_of(source, declared[name])
        elif value.type in FUNCTIONS:
            yield export.name, doc_of(source, export.place) or doc_of(source, export.statement)


def _declared_functions(source: Source) -> Iterator[tuple[str, Node]]:
    """The functions that the file's statements declare by name, with the statement."""
    for statement in statements(source.root.children):
        inner = statement.child_by_field_name("declaration") if statement.type == "export_statement" else statement
        if inner is None:
            continue
        name = inner.child_by_field_name("name")
        if inner.type in FUNCTIONS and name is not None:
            yield source.read(name), statement
        elif inner.type in ("lexical_declaration", "variable_declaration"):
            for child in inner.named_children:
                value = child.child_by_field_name("value")
                if value is not None and bare(value).type in FUNCTIONS:
                    yield source.read(field(child, "name")), statement
