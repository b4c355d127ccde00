"""Types, ``import`` and what else V8 does not take, overwritten with spaces so that every line stays where it is."""

from __future__ import annotations

import json
from typing import Final

from tree_sitter import Node

from aloma_py.steps.javascript.edits import Edits
from aloma_py.steps.javascript.syntax import Source, field, walk, words_of

_ERASED: Final = frozenset(
    {
        "abstract_method_signature",
        "accessibility_modifier",
        "ambient_declaration",
        "asserts_annotation",
        "function_signature",
        "hash_bang_line",
        "implements_clause",
        "index_signature",
        "interface_declaration",
        "method_signature",
        "override_modifier",
        "type_alias_declaration",
        "type_annotation",
        "type_arguments",
        "type_parameters",
        "type_predicate_annotation",
    }
)
_WHOLE: Final = frozenset(  # statements and members: a semicolon stays in their place
    {
        "abstract_method_signature",
        "ambient_declaration",
        "function_signature",
        "import_statement",
        "index_signature",
        "interface_declaration",
        "method_signature",
        "type_alias_declaration",
    }
)
_WORDS: Final = {
    "abstract_class_declaration": {"abstract"},
    "method_definition": {"override", "?", "abstract"},
    "public_field_definition": {"declare", "readonly", "override", "abstract", "!", "?"},
    "optional_parameter": {"?", "readonly"},
    "required_parameter": {"readonly"},
    "variable_declarator": {"!"},
}
_REFUSED: Final = {
    "enum_declaration": "an enum",
    "internal_module": "a namespace",
    "module": "a module block",
    "decorator": "a decorator",
    "import_alias": "import … = …",
    "import_require_clause": "import … = require(…)",
    "jsx_element": "JSX",
    "jsx_self_closing_element": "JSX",
}
_ENDED: Final = frozenset(
    {
        "expression_statement",
        "lexical_declaration",
        "public_field_definition",
        "return_statement",
        "throw_statement",
        "variable_declaration",
    }
)


def blank(source: Source, edits: Edits, nodes: list[Node]) -> None:
    """Erase what means nothing at run time from these parts of the file.

    Raises :class:`~aloma_py.errors.LoadError` for TypeScript that would have to be compiled: enums, namespaces,
    decorators, parameter properties.
    """
    for node in nodes:
        stack = [node]
        while stack:
            inner = stack.pop()
            if not _erase(source, edits, inner):
                stack.extend(reversed(inner.children))
    _close_statements(edits, nodes)


def erase_statement(edits: Edits, node: Node) -> None:
    """A semicolon stays, as two statements could otherwise become one."""
    edits.erase(node.start_byte, node.end_byte, b";")


def _erase(source: Source, edits: Edits, node: Node) -> bool:
    """Erase the node, or the parts of it that are types; whether there is nothing more to do inside."""
    kind = node.type
    if node.is_named and kind in _REFUSED:
        raise source.fail(node, f"{_REFUSED[kind]} cannot be used here: only types that can be left out are understood")
    if kind in _WHOLE or (kind == "public_field_definition" and "declare" in words_of(node)):
        erase_statement(edits, node)
        return True
    if node.is_named and kind in _ERASED:
        edits.erase(node.start_byte, node.end_byte)
        return True
    if kind in ("as_expression", "satisfies_expression", "non_null_expression"):
        edits.erase(node.children[0].end_byte, node.end_byte)
        _end_before_bracket(source, edits, node)
    elif kind == "type_assertion":  # <T>value
        pass  # its type_arguments are erased below
    elif kind in ("required_parameter", "optional_parameter"):
        return _parameter(source, edits, node)
    elif kind == "arrow_function":
        _keep_arrow_on_line(source, edits, node)
    for child in node.children:
        if not child.is_named and child.type in _WORDS.get(kind, ()):
            edits.erase(child.start_byte, child.end_byte)
    return False


def _end_before_bracket(source: Source, edits: Edits, node: Node) -> None:
    """``a as T`` ends where a line follows that begins with a bracket; the grammar takes it for a call of all that."""
    parent = source.parent(node)
    if node.type != "non_null_expression" and parent is not None and parent.children[0].id == node.id:
        between = source.code[node.end_byte : parent.children[1].start_byte]
        if parent.type in ("call_expression", "subscript_expression") and b"\n" in between:
            edits.insert(node.end_byte, b";")


def _parameter(source: Source, edits: Edits, node: Node) -> bool:
    if words_of(node) & {"accessibility_modifier", "override_modifier", "readonly"}:
        raise source.fail(node, "a parameter property cannot be used here: declare the member and assign it")
    pattern = node.child_by_field_name("pattern")
    if pattern is not None and pattern.type == "this":
        after = node.next_sibling
        edits.erase(node.start_byte, after.end_byte if after is not None and after.type == "," else node.end_byte)
        return True
    for child in node.children:
        if child.type == "?":
            edits.erase(child.start_byte, child.end_byte)
    return False


def _keep_arrow_on_line(source: Source, edits: Edits, node: Node) -> None:
    """``=>`` must be on the line of its ``)``: where a type of many lines was between them, that is moved."""
    kind = node.child_by_field_name("return_type")
    if kind is not None and b"\n" in source.code[kind.start_byte : kind.end_byte]:
        closing = field(node, "parameters").children[-1]
        edits.erase(closing.start_byte, closing.end_byte)
        edits.insert(kind.end_byte, b")")


def _close_statements(edits: Edits, nodes: list[Node]) -> None:
    """A semicolon where a statement ended in a type and a line break: the next line might go on with it now."""
    ends = {end for _, end in edits.erased}
    for node in nodes:
        for inner in walk(node):
            last = inner.children[-1] if inner.type in _ENDED and inner.children else None
            if last is not None and last.type != ";" and inner.end_byte in ends:
                edits.insert(inner.end_byte, b";")


def import_text(source: Source, node: Node) -> str:
    """What an import is when it is asked of ``require``; empty where it imports only types."""
    if words_of(node) & {"type", "typeof"}:
        return ""
    name = node.child_by_field_name("source")
    if name is None:
        raise source.fail(node, "this import cannot be used here")
    required = required_text(source, name)
    clause = next((child for child in node.named_children if child.type == "import_clause"), None)
    if clause is None:
        return f"{required};"
    return "".join(_imported(source, child, required) for child in clause.named_children)


def required_text(source: Source, name: Node) -> str:
    return f"require({json.dumps(source.read(name)[1:-1])})"


def _imported(source: Source, node: Node, required: str) -> str:
    if node.type == "identifier":
        return f"const {source.read(node)}=(m=>m&&m.default!==undefined?m.default:m)({required});"
    if node.type == "namespace_import":
        return f"const {source.read(node.named_children[0])}={required};"
    names = []
    for specifier in node.named_children:
        if specifier.type != "import_specifier" or words_of(specifier) & {"type", "typeof"}:
            continue
        alias = specifier.child_by_field_name("alias")
        name = source.read(field(specifier, "name"))
        names.append(f"{name}:{source.read(alias)}" if alias is not None else name)
    return f"const {{{','.join(names)}}}={required};"
