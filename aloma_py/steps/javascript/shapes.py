"""Which of a file's top-level statements are conditions, contents and options, and which of them make up a step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tree_sitter import Node

from aloma_py.errors import nearest
from aloma_py.steps.javascript.literals import OPTIONS
from aloma_py.steps.javascript.syntax import FUNCTIONS, Source, bare, field, statements, words_of

_CONSTANTS: Final = frozenset({"number", "string", "true", "false", "array", "unary_expression"})
_ROLES: Final = {"condition": "condition", "match": "match", "content": "content", "default": "content"}


@dataclass(frozen=True, slots=True)
class Export:
    """One thing that a statement exports.

    ``value`` is the expression, or the function declaration; ``place`` the declarator, member or statement it is in;
    ``local`` the name it has in the file, where it has one.
    """

    name: str
    value: Node
    place: Node
    statement: Node
    local: str | None

    @property
    def role(self) -> str:
        return _ROLES.get(self.name) or ("option" if self.name in OPTIONS else "other")


@dataclass(slots=True)
class Pair:
    """The exports of one step."""

    condition: Export | None = None
    content: Export | None = None
    options: list[Export] = dataclasses.field(default_factory=list)

    @property
    def exports(self) -> list[Export]:
        return [export for export in (self.condition, self.content, *self.options) if export is not None]

    @property
    def is_open(self) -> bool:
        return (self.condition is None) != (self.content is None)


def exports_of(source: Source) -> Iterator[Export]:
    """All exports of the file in their order, but those from other modules."""
    listed = dict(_listed(source))
    for statement in statements(source.root.children):
        if statement.type == "export_statement":
            declaration = statement.child_by_field_name("declaration")
            value = statement.child_by_field_name("value")
            default = "default" in words_of(statement)
            if declaration is not None:
                for name, inner, place in _declared(source, declaration):
                    yield Export("default" if default else name, inner, place, statement, name or None)
            elif value is not None and bare(value).type == "object":
                yield from _members(source, bare(value), statement)
            elif value is not None:
                yield Export("default", default_function(value), statement, statement, None)
        elif statement.type == "expression_statement":
            yield from _assigned(source, statement)
        else:
            for name, inner, place in _declared(source, statement):
                if name in listed:
                    yield Export(listed[name], inner, place, statement, name)


def default_function(value: Node) -> Node:
    """The function of ``export default function () {}``, which ends there for JavaScript but not for the grammar.

    That goes on with the next line where it begins with a bracket.
    """
    inner = value
    while inner.type in ("call_expression", "member_expression", "subscript_expression"):
        inner = inner.children[0]
    return inner if inner.type in ("function_expression", "generator_function", "class") else value


def _listed(source: Source) -> Iterator[tuple[str, str]]:
    """``export {a, b as c}``: the local names with the exported ones."""
    for statement in statements(source.root.children):
        if statement.type == "export_statement" and statement.child_by_field_name("source") is None:
            for clause in statement.named_children:
                for specifier in clause.named_children if clause.type == "export_clause" else ():
                    name = source.read(field(specifier, "name"))
                    alias = specifier.child_by_field_name("alias")
                    yield name, source.read(alias).strip("'\"") if alias is not None else name


def _declared(source: Source, declaration: Node) -> Iterator[tuple[str, Node, Node]]:
    """Name, value and place of what a declaration declares."""
    if declaration.type in FUNCTIONS or declaration.type == "class_declaration":
        name = declaration.child_by_field_name("name")
        yield source.read(name) if name is not None else "", declaration, declaration
    elif declaration.type in ("lexical_declaration", "variable_declaration"):
        for child in declaration.named_children:
            value = child.child_by_field_name("value") if child.type == "variable_declarator" else None
            if value is not None and field(child, "name").type == "identifier":
                yield source.read(field(child, "name")), value, child


def _assigned(source: Source, statement: Node) -> Iterator[Export]:
    """``module.exports = {…}`` and ``exports.name = …``."""
    assignment = statement.named_children[0]
    if assignment.type != "assignment_expression":
        return
    left, value = source.read(field(assignment, "left")), field(assignment, "right")
    if left == "module.exports" and bare(value).type == "object":
        yield from _members(source, bare(value), statement)
    for begin in ("module.exports.", "exports."):
        if left.startswith(begin) and left.removeprefix(begin).isidentifier():
            yield Export(left.removeprefix(begin), value, assignment, statement, None)
            return


def _members(source: Source, value: Node, statement: Node) -> Iterator[Export]:
    for member in statements(value.children):
        if member.type == "shorthand_property_identifier":
            yield Export(source.read(member), member, member, statement, None)
        elif member.type in ("pair", "method_definition"):
            key = field(member, "key" if member.type == "pair" else "name")
            inner = field(member, "value") if member.type == "pair" else member
            yield Export(source.read(key).strip("'\""), inner, member, statement, None)


def pairs_of(source: Source) -> list[Pair]:
    """The steps of the file.

    A condition goes with the next content, or with the one before that has none; an option with the step that is
    begun, else with the next one, after the last with the last. Raises :class:`~aloma_py.errors.LoadError` where
    something is missing.
    """
    pairs: list[Pair] = []
    waiting: list[Export] = []
    for export in exports_of(source):
        if export.role == "other":
            _refuse_slip(source, export)
            continue
        current = pairs[-1] if pairs and pairs[-1].is_open else None
        if export.role == "option":
            (current.options if current is not None else waiting).append(export)
            continue
        side = "content" if export.role == "content" else "condition"
        if current is not None and getattr(current, side) is not None:
            raise _incomplete(source, current)
        if current is None:
            current = Pair(options=waiting)
            waiting = []
            pairs.append(current)
        setattr(current, side, export)
    if pairs:
        pairs[-1].options += waiting
    for pair in pairs:
        if pair.is_open:
            raise _incomplete(source, pair)
    return pairs


def _refuse_slip(source: Source, export: Export) -> None:
    """Refuse a constant whose name is nearly an option's: the option would not hold, without a word."""
    near = nearest(export.name, OPTIONS)
    if near is not None and bare(export.value).type in _CONSTANTS:
        raise source.fail(
            export.place,
            f"a step has no option {export.name!r}; did you mean {near!r}? What is the file's own needs no export",
        )


def _incomplete(source: Source, pair: Pair) -> Exception:
    if pair.condition is not None:
        return source.fail(
            pair.condition.statement, f"the {pair.condition.name} has no content: export const content = …"
        )
    assert pair.content is not None
    return source.fail(pair.content.statement, "the content has no condition: export const condition = …")
