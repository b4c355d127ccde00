"""V8's own functions, ``%Name()``, kept out of what it is given.

V8 may run with the switch that lets scripts call them. No grammar of JavaScript takes them, but the grammar's and V8's
reading differ in places: for ``{} %Name()`` the one sees an object and a remainder, the other a block and a native. So
the text that V8 gets is made such that no ``%`` in it can begin a native, whatever either thinks that it is part of.
"""

from __future__ import annotations

import re
from typing import Final

from tree_sitter import Node

from aloma_py.errors import LoadError
from aloma_py.steps.javascript.edits import Edits
from aloma_py.steps.javascript.syntax import Source, field, walk

_SPACE: Final = r"[\s\ufeff]*"
_COMMENT: Final = r"(?:/[*/]|<!--|-->)"
_LETTER: Final = r"(?:[\w$]|\u200c|\u200d|\\u(?:\{[0-9a-fA-F]+\}|[0-9a-fA-F]{4}))"
_NATIVE: Final = re.compile(rf"%(?={_SPACE}(?:{_COMMENT}|(?!\d){_LETTER}+{_SPACE}(?:\(|{_COMMENT})))")
_NO_NUMBERS: Final = frozenset({"object", "function_expression", "generator_function", "class", "yield_expression"})
_OPAQUE: Final = frozenset({"string_fragment", "regex_pattern", "comment", "html_comment"})


def keep_natives_out(source: Source, edits: Edits, nodes: list[Node]) -> None:
    """Make each ``%`` of these parts of the file one that cannot begin a native."""
    for top in nodes:
        for node in walk(top):
            if node.type == "binary_expression" and field(node, "operator").type == "%":
                left, right = field(node, "left"), field(node, "right")
                if left.type in _NO_NUMBERS or (left.type == "identifier" and source.read(left) == "await"):
                    raise source.fail(field(node, "operator"), "syntax error near '%'")
                edits.wrap(right.start_byte, right.end_byte, b"(", b")")
                for child in node.children:
                    if child.type in ("comment", "html_comment"):
                        edits.replace(child.start_byte, child.end_byte, re.sub(rb"[^\r\n]", b" ", child.text or b""))
            elif node.type in _OPAQUE:
                _escape(source, edits, node)


def _escape(source: Source, edits: Edits, node: Node) -> None:
    """Say the percent sign of a text by its number; in a comment it is left out."""
    text = source.read(node)
    if "%" not in text or not _NATIVE.search(text):
        return
    parent = source.parent(node)
    if parent is not None and parent.type == "binary_expression":
        return  # erased with the remainder around it
    outer = source.parent(parent) if parent is not None and parent.type == "template_string" else None
    if outer is not None and outer.type == "call_expression":
        raise source.fail(node, "a percent sign, a name and a parenthesis cannot stand in a tagged template")
    escaped = " " if node.type in ("comment", "html_comment") else r"\\x25"
    edits.replace(node.start_byte, node.end_byte, _NATIVE.sub(escaped, text).encode())


def refuse_natives(program: str, file: str) -> None:
    """Raise :class:`~aloma_py.errors.LoadError` if V8 could still find a native in the text."""
    found = _NATIVE.search(program)
    if found is not None:
        line = program.count("\n", 0, found.start()) + 1
        column = found.start() - program.rfind("\n", 0, found.start())
        raise LoadError(f"column {column}: '%' before a name and a parenthesis", file=file or None, line=line)
