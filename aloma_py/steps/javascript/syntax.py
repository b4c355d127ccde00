"""A parsed file: its syntax tree, where things are in it, and which names are bound where."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import tree_sitter_javascript
import tree_sitter_typescript
from tree_sitter import Language, Node, Parser

from aloma_py.errors import LoadError

_JAVASCRIPT: Final = Parser(Language(tree_sitter_javascript.language()))
_TYPESCRIPT: Final = Parser(Language(tree_sitter_typescript.language_typescript()))

FUNCTIONS: Final = frozenset(
    {
        "arrow_function",
        "function_declaration",
        "function_expression",
        "generator_function",
        "generator_function_declaration",
        "method_definition",
    }
)
WRAPPERS: Final = frozenset(
    {"parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression", "type_assertion"}
)
_USES: Final = frozenset({"identifier", "shorthand_property_identifier"})
_DECLARATIONS: Final = frozenset(
    {"function_declaration", "generator_function_declaration", "class_declaration", "abstract_class_declaration"}
)


class Source:
    """One file's text and tree. Positions are those of the UTF-8 bytes; messages count lines and columns from 1.

    Raises :class:`~aloma_py.errors.LoadError` for text that is no JavaScript (or TypeScript).
    """

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text.removeprefix("\ufeff")
        try:
            self.code = self.text.encode()
        except UnicodeEncodeError:
            raise LoadError("the text has half a character in it (a lone surrogate)", file=file) from None
        self.root = self._parse()
        self._parents: dict[int, Node] = {}
        self._uses: dict[str, list[Node]] = {}
        for node in walk(self.root):
            self._parents.update((child.id, node) for child in node.children)
            if node.type in _USES:
                self._uses.setdefault(self.read(node), []).append(node)
        self._bound: dict[int, frozenset[str]] = {}

    def _parse(self) -> Node:
        """The tree by the grammar of the file's kind.

        Not the TypeScript grammar for everything, as it rejects JavaScript that uses names like ``satisfies``; but it
        is asked where a JavaScript file has TypeScript in it (``declare function`` lines).
        """
        if self.file.endswith((".ts", ".mts", ".cts")):
            root = _TYPESCRIPT.parse(self.code).root_node
        else:
            root = _JAVASCRIPT.parse(self.code).root_node
            if root.has_error:
                typed = _TYPESCRIPT.parse(self.code).root_node
                root = root if typed.has_error else typed
        if root.has_error:
            node = _first_error(root)
            lines = self.code[node.start_byte : node.start_byte + 80].decode(errors="ignore").splitlines()
            near = lines[0][:20] if lines else ""
            missing = f"; {node.type!r} is missing" if node.is_missing else ""
            raise self.fail(
                node, f"syntax error near {near!r}{missing}" if near else f"syntax error at the end{missing}"
            )
        return root

    def fail(self, node: Node, reason: str) -> LoadError:
        """The error that something is wrong at the node; the reason begins with the column."""
        begin = self.code.rfind(b"\n", 0, node.start_byte) + 1
        column = len(self.code[begin : node.start_byte].decode(errors="replace")) + 1
        return LoadError(f"column {column}: {reason}", file=self.file or None, line=line_of(node))

    def read(self, node: Node) -> str:
        return self.code[node.start_byte : node.end_byte].decode()

    def parent(self, node: Node) -> Node | None:
        return self._parents.get(node.id)

    def above(self, node: Node) -> Iterator[tuple[Node, Node]]:
        """Each node around this one with the child that leads here, from the inside out."""
        while True:
            parent = self.parent(node)
            if parent is None:
                return
            yield parent, node
            node = parent

    def function_of(self, node: Node) -> Node | None:
        """The nearest function around the node."""
        return next((parent for parent, _ in self.above(node) if parent.type in FUNCTIONS), None)

    def function_of_scope(self, scope: Node) -> int | None:
        """The id of the function that the scope is, or is in; ``None`` for the module."""
        function = scope if scope.type in FUNCTIONS else self.function_of(scope)
        return function.id if function is not None else None

    def scope_of(self, node: Node, name: str) -> Node | None:
        """The function, block, loop … around the node that binds the name; ``None`` where it is free."""
        return next((parent for parent, _ in self.above(node) if name in self._names_bound(parent)), None)

    def mentions(self, node: Node, name: str, *, ignoring: Node | None = None) -> list[Node]:
        """Where the free name is mentioned inside the node; what ``ignoring`` itself binds does not count."""
        found = []
        for inner in self.uses(node, name):
            scope = self.scope_of(inner, name)
            if scope is None or (ignoring is not None and scope.id == ignoring.id):
                found.append(inner)
        return found

    def uses(self, node: Node, name: str) -> list[Node]:
        """The identifiers of that name inside the node, whatever they mean, in the order of the text."""
        start, end = node.start_byte, node.end_byte
        return [use for use in self._uses.get(name, ()) if start <= use.start_byte and use.end_byte <= end]

    def is_free(self, node: Node, name: str) -> bool:
        """Whether the node is the identifier ``name``, and no binding of the file hides what it means outside."""
        return node.type == "identifier" and self.read(node) == name and self.scope_of(node, name) is None

    def _names_bound(self, node: Node) -> frozenset[str]:
        known = self._bound.get(node.id)
        if known is None:
            known = self._bound[node.id] = frozenset(self._binding(node))
        return known

    def _binding(self, node: Node) -> Iterator[str]:
        """The names that this node itself binds for what is inside it."""
        kind = node.type
        if kind in FUNCTIONS:
            yield from self._of_function(node)
        elif kind in ("statement_block", "program", "switch_case", "switch_default", "class_static_block"):
            for child in node.named_children:
                yield from self._of_statement(child)
            if kind == "program":
                yield from self._of_vars(node)
        elif kind in ("for_statement", "for_in_statement"):
            for role in ("initializer", "left"):
                begin = node.child_by_field_name(role)
                if begin is None:
                    continue
                if begin.type in ("lexical_declaration", "variable_declaration"):
                    yield from self._of_statement(begin)
                elif role == "left" and node.child_by_field_name("kind") is not None:
                    yield from self.bound_names(begin)
        elif kind == "catch_clause":
            caught = node.child_by_field_name("parameter")
            if caught is not None:
                yield from self.bound_names(caught)
        elif kind == "class":
            yield from self._name(node)

    def _of_function(self, node: Node) -> Iterator[str]:
        if node.type in ("function_expression", "generator_function"):
            yield from self._name(node)
        for role in ("parameters", "parameter"):
            child = node.child_by_field_name(role)
            if child is not None:
                yield from self.bound_names(child)
        yield from self._of_vars(node)

    def _of_vars(self, function: Node) -> Iterator[str]:
        """``var`` belongs to the function, however deep in it the statement is."""
        for node in walk(function, unless=lambda inner: inner.type in FUNCTIONS and inner.id != function.id):
            if node.type == "variable_declaration":
                yield from self._of_statement(node)
            elif node.type == "for_in_statement" and self._kind_of_loop(node) == "var":
                left = node.child_by_field_name("left")
                yield from self.bound_names(left) if left is not None else ()

    def _kind_of_loop(self, node: Node) -> str | None:
        kind = node.child_by_field_name("kind")
        return self.read(kind) if kind is not None else None

    def _of_statement(self, node: Node) -> Iterator[str]:
        if node.type == "export_statement":
            inner = node.child_by_field_name("declaration")
            if inner is not None:
                yield from self._of_statement(inner)
        elif node.type == "import_statement":
            # some too many: the original name of a renamed one
            yield from (self.read(name) for name in walk(node) if name.type == "identifier")
        elif node.type in _DECLARATIONS:
            yield from self._name(node)
        elif node.type in ("lexical_declaration", "variable_declaration"):
            for child in node.named_children:
                name = child.child_by_field_name("name")
                if child.type == "variable_declarator" and name is not None:
                    yield from self.bound_names(name)

    def _name(self, node: Node) -> Iterator[str]:
        name = node.child_by_field_name("name")
        if name is not None:
            yield self.read(name)

    def bound_names(self, node: Node) -> Iterator[str]:
        """The names that a pattern or a list of parameters binds: ``{a, b: [c]}`` gives a and c."""
        if node.type in ("identifier", "shorthand_property_identifier_pattern"):
            yield self.read(node)
            return
        for role in ("pattern", "left", "value") if node.type != "rest_pattern" else ():
            child = node.child_by_field_name(role)
            if child is not None:
                yield from self.bound_names(child)
                return
        if node.type == "object_assignment_pattern":
            yield from self.bound_names(node.named_children[0])
        elif node.type not in ("member_expression", "subscript_expression", "type_annotation"):
            for child in node.named_children:
                yield from self.bound_names(child)


def walk(node: Node, unless: Callable[[Node], bool] | None = None) -> Iterator[Node]:
    """The node and all inside it, in the order of the text, without recursion; what is ``unless`` is left out whole."""
    stack = [node]
    while stack:
        node = stack.pop()
        if unless is not None and unless(node):
            continue
        yield node
        stack.extend(reversed(node.children))


def line_of(node: Node) -> int:
    return int(node.start_point[0]) + 1


def field(node: Node, name: str) -> Node:
    """The child that the grammar promises."""
    child = node.child_by_field_name(name)
    assert child is not None, (node.type, name)
    return child


def bare(node: Node) -> Node:
    """The expression without the parentheses and types around it."""
    while node.type in WRAPPERS:
        inner = [child for child in node.named_children if child.type != "comment"]
        node = inner[-1] if node.type == "type_assertion" else inner[0]
    return node


def is_async(function: Node) -> bool:
    return any(child.type == "async" for child in function.children)


def words_of(node: Node) -> set[str]:
    """The kinds of the node's direct children, which for keywords are the words themselves."""
    return {child.type for child in node.children}


def chain_root(node: Node) -> tuple[Node, int]:
    """The innermost object of ``a.b[c].d`` and how many members were asked of it (0: the node is no member)."""
    members = 0
    node = bare(node)
    while node.type in ("member_expression", "subscript_expression"):
        members += 1
        node = bare(field(node, "object"))
    return node, members


def statements(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that are no comments."""
    return [node for node in nodes if node.is_named and node.type not in ("comment", "html_comment")]


def _first_error(node: Node) -> Node:
    for child in walk(node):
        if child.type == "ERROR" or child.is_missing:
            return child
    return node
