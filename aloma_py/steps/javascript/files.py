"""Step files in JavaScript and TypeScript: each step's name, condition, content and the program that V8 gets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tree_sitter import Node

from aloma_py.errors import LoadError
from aloma_py.steps.javascript.comments import Header, comments_above, header_of
from aloma_py.steps.javascript.computed import mark_computed
from aloma_py.steps.javascript.edits import Edits
from aloma_py.steps.javascript.library import JSLibrary, read_library
from aloma_py.steps.javascript.literals import literal
from aloma_py.steps.javascript.rewrite import finish, is_list, names_used, rewrite, top_level
from aloma_py.steps.javascript.shapes import Export, Pair, default_function, pairs_of
from aloma_py.steps.javascript.syntax import FUNCTIONS, Source, bare, field, line_of, statements, walk, words_of

__all__ = ["JSLibrary", "JSStep", "read_library", "read_steps", "step_of_texts"]

_NO_CONTENT = frozenset({"object", "array", "string", "number", "template_string", "true", "false", "null"})


@dataclass(frozen=True, slots=True)
class JSStep:
    """One step of a file.

    ``condition`` and ``content`` are the author's text, for people. ``program`` is the body of a function (its
    parameters are those of the table in the documentation of steps, and ``__computed`` and ``__floating``) that gives
    ``{condition, content}``: ``condition()`` the condition, ``content(data)`` runs the step. Each line of it is the
    line of that number in the file. ``dynamic`` are the parts of the condition that are computed from the data: the
    key that ``__computed`` gets, and the part's text. ``line`` is where the condition's statement begins.
    """

    name: str
    file: str
    line: int
    condition: str
    content: str
    program: str
    options: dict[str, Any]
    id: str | None
    description: str
    dynamic: tuple[tuple[str, str], ...]
    used_names: frozenset[str]
    text: str


def read_steps(text: str, file: str, *, default_name: str) -> list[JSStep]:
    """The steps of a file, in the order of the text; none where the file holds nothing but comments.

    Raises :class:`~aloma_py.errors.LoadError` with file, line and column where it is no JavaScript, has TypeScript
    that is more than types, or a condition without a content or the other way round.
    """
    source = Source(text, file)
    if not top_level(source):
        return []
    pairs = pairs_of(source)
    if not pairs:
        raise LoadError("the file exports no condition: export const condition = {…}", file=file, line=1)
    return [_read(source, pairs, number, default_name) for number in range(len(pairs))]


def step_of_texts(name: str, condition: str, body: str, *, file: str = "") -> JSStep:
    """The step of a condition (the text of an expression) and a body (the inside of an async function).

    The lines of the program are those of the body. Raises :class:`~aloma_py.errors.LoadError`.
    """
    expression = condition.strip().removesuffix(";")
    inner = Source(f"({expression}\n)", file)
    parts = top_level(inner)
    if (
        len(parts) != 1
        or parts[0].type != "expression_statement"
        or bare(parts[0].named_children[0]).type == "sequence_expression"
    ):
        raise LoadError("column 1: the condition must be one expression, as {order: Object}", file=file or None, line=1)
    Source(body, file)  # by itself, as its brackets could otherwise close ours
    joined = f"export const content = async (data) => {{{body}\n}};export const condition = (\n{expression}\n);"
    step = read_steps(joined, file, default_name=name)[0]
    return replace(step, name=name, line=1, content=body, text=f"{condition}\n{body}")


def _read(source: Source, pairs: list[Pair], number: int, default_name: str) -> JSStep:
    """The step of one pair; the statements of the other pairs are blanked out of its program."""
    pair = pairs[number]
    assert pair.condition is not None and pair.content is not None
    own = {export.statement.id for export in pair.exports}
    others = {export.statement.id for other in pairs if other is not pair for export in other.exports} - own
    kept = [node for node in top_level(source) if node.id not in others]
    _refuse_new_data(source, kept, pair.content.value)
    edits = Edits(source.code)
    before = rewrite(source, edits, kept)
    _strip_exports(source, edits, kept, pair)
    expression, function = _condition_in(source, pair.condition)
    dynamic = mark_computed(source, edits, expression, ignoring=function)
    condition = _thunk(source, edits, pair.condition)
    content = _content(source, edits, pair.content)
    header = _header(source, pair, first=number == 0)
    options = _options(source, pair)
    name = options.get("name") or (header.entries.get("step") or header.entries.get("name") if len(pairs) > 1 else None)
    return JSStep(
        name=name or (default_name if number == 0 else f"{default_name} {number + 1}"),
        file=source.file,
        line=line_of(pair.condition.statement),
        condition=edits.without_erased(expression.start_byte, expression.end_byte),
        content=source.read(pair.content.value),
        program=finish(source, edits, before, f"return {{condition: {condition}, content: {content}}};"),
        options=options,
        id=header.entries.get("id") or None,
        description=header.text,
        dynamic=dynamic,
        used_names=names_used(source, kept),
        text=source.text if len(pairs) == 1 else "\n".join(source.read(node) for node in kept),
    )


def _refuse_new_data(source: Source, kept: list[Node], content: Node) -> None:
    """Refuse ``data = …``: the variable would be another object, and the task's data stay as it is, without a word."""
    for top in kept:
        for node in walk(top):
            left = node.child_by_field_name("left") if node.type == "assignment_expression" else None
            if left is None or left.type != "identifier" or source.read(left) != "data":
                continue
            scope = source.scope_of(left, "data")
            if scope is None or scope.id == content.id:
                raise source.fail(node, "data = … does not change the task's data: change its members, data.name = …")


def _options(source: Source, pair: Pair) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for export in pair.options:
        name = {"disabled": "enabled", "retryOn": "retry_on"}.get(export.name, export.name)
        value = literal(source, export.value)
        if name in options:
            raise source.fail(export.place, f"the option {export.name!r} is there twice for one step")
        if export.name == "disabled":
            if not isinstance(value, bool):
                raise source.fail(export.value, "the option 'disabled' must be true or false")
            value = not value
        if name == "name" and not isinstance(value, str):
            raise source.fail(export.value, "the option 'name' must be a string")
        options[name] = value
    return options


def _header(source: Source, pair: Pair, *, first: bool) -> Header:
    """What the comments above the step say; for the first step also those at the top of the file."""
    begin = min((export.statement for export in pair.exports), key=lambda node: node.start_byte)
    comments = comments_above(source, begin)
    assert pair.condition is not None
    if pair.condition.statement.id != begin.id:
        comments += comments_above(source, pair.condition.statement)
    top = top_level(source)[0]
    if first and top.id != begin.id:
        comments = comments_above(source, top) + comments
    return header_of(source, comments)


def _strip_exports(source: Source, edits: Edits, kept: list[Node], pair: Pair) -> None:
    """``export`` goes, what it exports stays; a default export that has no name gets one."""
    assert pair.content is not None and pair.condition is not None
    for node in kept:
        if node.type != "export_statement" or is_list(node):
            continue
        declaration = node.child_by_field_name("declaration")
        value = node.child_by_field_name("value")
        if declaration is not None:
            edits.erase(node.start_byte, declaration.start_byte)
            if "default" in words_of(node) and declaration.child_by_field_name("name") is None:
                edits.wrap(declaration.start_byte, declaration.end_byte, b"const __content=", b";")
        elif value is None:
            raise source.fail(node, "this export cannot be used here")
        else:
            if default_function(value) is not value:
                edits.insert(default_function(value).end_byte, b";")
            held = bare(value).type == "object"
            edits.replace(node.start_byte, value.start_byte, b"module.exports = " if held else b"const __content = ")


def _condition_in(source: Source, export: Export) -> tuple[Node, Node | None]:
    """The condition's expression, and the function that returns it, where one does."""
    value = bare(export.value)
    if export.role == "condition" and value.type not in ("function_declaration", "method_definition"):
        return _resolved(source, value), None
    if value.type not in FUNCTIONS or words_of(value) & {"async", "*"}:
        raise source.fail(value, "match must be a function that returns the condition: () => ({…})")
    _check_parameters(source, value)
    body = field(value, "body")
    if body.type != "statement_block":
        return bare(body), value
    inner = statements(body.children)
    result = statements(inner[0].children) if len(inner) == 1 and inner[0].type == "return_statement" else []
    if not result:
        raise source.fail(body, "match must do nothing but return the condition")
    return bare(result[0]), value


def _check_parameters(source: Source, function: Node) -> None:
    for role in ("parameter", "parameters"):
        node = function.child_by_field_name(role)
        if node is not None and [*source.bound_names(node)] not in ([], ["data"]):
            raise source.fail(node, "match can have no parameter but data")


def _resolved(source: Source, value: Node) -> Node:
    """The initializer of the constant that the condition names, else the condition itself."""
    if value.type not in ("identifier", "shorthand_property_identifier"):
        return value
    for statement in statements(source.root.children):
        inner = statement.child_by_field_name("declaration") if statement.type == "export_statement" else statement
        for child in inner.named_children if inner is not None and inner.type == "lexical_declaration" else ():
            found = child.child_by_field_name("value")
            if found is not None and source.read(field(child, "name")) == source.read(value):
                return bare(found)
    return value


def _thunk(source: Source, edits: Edits, export: Export) -> str:
    """Make the condition one that is evaluated when asked for; what it is called at the end of the program."""
    value, place = export.value, export.place
    if bare(value).type in FUNCTIONS and (export.role == "match" or place.id == value.id):
        function = bare(value)
        for role in ("parameter", "parameters"):  # its data is that of the program
            node = function.child_by_field_name(role)
            if node is not None and [*source.bound_names(node)]:
                edits.replaced = [edit for edit in edits.replaced if not node.start_byte <= edit[0] < node.end_byte]
                edits.replace(node.start_byte, node.end_byte, b"()")
        return export.local or f"() => module.exports.{export.name}()"
    if value.type == "shorthand_property_identifier":
        return f"() => {source.read(value)}"
    edits.wrap(value.start_byte, value.end_byte, b"() => (", b")")
    if place.type == "variable_declarator":
        name = field(place, "name")
        edits.replace(name.start_byte, name.end_byte, b"__condition")
        return "__condition"
    return f"module.exports.{export.name}"


def _content(source: Source, edits: Edits, export: Export) -> str:
    """What the content is called at the end of the program."""
    if bare(export.value).type in _NO_CONTENT:
        raise source.fail(export.value, "the content must be a function: async () => {…}")
    if export.local is not None:
        return export.local
    if export.place.id == export.statement.id or export.value.id == _declaration_in(export.statement).id:
        return "__content"
    return f"data => module.exports.{export.name}(data)"


def _declaration_in(statement: Node) -> Node:
    """The declaration in an export statement."""
    return statement.child_by_field_name("declaration") or statement
