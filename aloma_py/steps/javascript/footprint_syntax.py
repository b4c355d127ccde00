"""The syntax tree of a JavaScript or TypeScript module in a form that is cheap to walk many times: without types."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import tree_sitter_javascript
import tree_sitter_typescript
from tree_sitter import Language, Node, Parser

JAVASCRIPT = Language(tree_sitter_javascript.language())
TYPESCRIPT = Language(tree_sitter_typescript.language_typescript())

FUNCTIONS = frozenset(
    [
        "arrow_function",
        "function_expression",
        "function_declaration",
        "generator_function",
        "generator_function_declaration",
        "method_definition",
    ]
)
CLASSES = frozenset({"class", "class_declaration", "abstract_class_declaration"})

_ERASED = frozenset(
    [
        "abstract_method_signature",
        "accessibility_modifier",
        "ambient_declaration",
        "asserts_annotation",
        "comment",
        "empty_statement",
        "function_signature",
        "hash_bang_line",
        "html_comment",
        "implements_clause",
        "index_signature",
        "interface_declaration",
        "optional_chain",
        "override_modifier",
        "regex_flags",
        "statement_identifier",
        "type_alias_declaration",
        "type_annotation",
        "type_arguments",
        "type_parameters",
        "type_predicate_annotation",
    ]
)  # they mean nothing at run time
_FIRST = frozenset({"as_expression", "satisfies_expression", "non_null_expression", "instantiation_expression"})


@dataclass(eq=False, slots=True)
class Syntax:
    """One node. Compared by identity."""

    kind: str
    line: int
    source: bytes = field(repr=False)
    start: int = 0
    end: int = 0
    fields: dict[str, Syntax] = field(default_factory=dict, repr=False)
    children: list[Syntax] = field(default_factory=list, repr=False)
    positions: list[int] = field(default_factory=list, repr=False)  # of each child: how many commas are before it
    words: frozenset[str] = frozenset()  # the key words and signs of the node itself

    @property
    def text(self) -> str:
        return self.source[self.start : self.end].decode(errors="replace")


def parse(source: str, *, typescript: bool, first_line: int) -> Syntax | None:
    """The tree of a module; ``None`` where the text is none. Raises ``RecursionError`` for absurdly deep nesting."""
    text = source.encode()
    for language in (TYPESCRIPT,) if typescript else (JAVASCRIPT, TYPESCRIPT):
        root = Parser(language).parse(text).root_node
        if not root.has_error:
            return _convert(root, text, first_line) if not _has_hidden_name(root, text) else None
    return None


def _has_hidden_name(root: Node, source: bytes) -> bool:
    """Whether a name is written with escapes (``d\\u0061ta``), so that it is not the name that it seems to be."""
    pending = [root] if b"\\u" in source else []
    while pending:
        node = pending.pop()
        if node.type.endswith(("identifier", "identifier_pattern")) and b"\\" in (node.text or b""):
            return True
        pending.extend(node.children)
    return False


def _convert(node: Node, source: bytes, first_line: int) -> Syntax:
    named = [child for child in node.named_children if child.type not in _ERASED]
    if node.type == "parenthesized_expression" or node.type in _FIRST:
        return _convert(named[0], source, first_line)
    if node.type == "type_assertion":
        return _convert(named[-1], source, first_line)
    made = Syntax(node.type, first_line + node.start_point[0], source, node.start_byte, node.end_byte)
    words: set[str] = set()
    commas = 0
    for n, child in enumerate(node.children):
        if not child.is_named:
            words.add(child.type)
            commas += child.type == ","
        elif child.type not in _ERASED:
            inner = _convert(child, source, first_line)
            made.children.append(inner)
            made.positions.append(commas)
            name = node.field_name_for_child(n)
            if name is not None:
                made.fields.setdefault(name, inner)
    made.words = frozenset(words)
    return made


def bound_names(pattern: Syntax) -> list[str]:
    """The names that a declaration's pattern binds: ``{a, b: [c]}`` gives a and c."""
    match pattern.kind:
        case "identifier" | "shorthand_property_identifier_pattern" | "type_identifier":
            return [pattern.text]
        case "pair_pattern":
            return bound_names(pattern.fields["value"])
        case "assignment_pattern" | "object_assignment_pattern":
            return bound_names(pattern.fields["left"])
        case "required_parameter" | "optional_parameter":
            return bound_names(pattern.fields["pattern"])
        case "object_pattern" | "array_pattern" | "rest_pattern":
            return [name for child in pattern.children for name in bound_names(child)]
    return []


def parameters_of(function: Syntax) -> list[Syntax]:
    """The patterns of a function's parameters."""
    single = function.fields.get("parameter")
    if single is not None:
        return [single]
    listed = function.fields.get("parameters")
    return listed.children if listed is not None else []


def lexical_names(statements: list[Syntax]) -> Iterator[str]:
    """What ``let``, ``const``, ``class``, ``function`` and ``import`` bind among these statements."""
    for statement in statements:
        inner = statement.fields.get("declaration", statement) if statement.kind == "export_statement" else statement
        if inner.kind == "lexical_declaration":
            yield from (name for each in inner.children for name in bound_names(each.fields["name"]))
        elif inner.kind == "import_statement":
            yield from imported_names(inner)
        elif (inner.kind in FUNCTIONS or inner.kind in CLASSES) and "name" in inner.fields:
            yield inner.fields["name"].text


def imported_names(node: Syntax) -> list[str]:
    """The local names of an import."""
    if node.kind == "import_specifier":
        return [node.fields.get("alias", node.fields["name"]).text]
    if node.kind == "identifier":
        return [node.text]
    return [name for child in node.children for name in imported_names(child)]


def variable_names(node: Syntax) -> Iterator[str]:
    """What ``var`` binds in a function's body, without the functions inside it."""
    pending = [node]
    while pending:
        inner = pending.pop()
        if inner.kind == "variable_declaration":
            yield from (name for each in inner.children for name in bound_names(each.fields["name"]))
        elif inner.kind == "for_in_statement" and "var" in inner.words:
            yield from bound_names(inner.fields["left"])
        pending.extend(child for child in inner.children if child.kind not in FUNCTIONS and child.kind not in CLASSES)
