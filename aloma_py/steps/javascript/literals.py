"""Literals of JavaScript as Python values, for the options of a step."""

from __future__ import annotations

import re
from typing import Any, Final

from tree_sitter import Node

from aloma_py.steps.javascript.syntax import Source, bare, field, statements

OPTIONS: Final = {  # as they are written -> as they are handed on
    "disabled": "enabled",
    "enabled": "enabled",
    "priority": "priority",
    "retries": "retries",
    "backoff": "backoff",
    "retryOn": "retry_on",
    "retry_on": "retry_on",
    "timeout": "timeout",
    "parallel": "parallel",
    "tags": "tags",
    "concurrency": "concurrency",
    "rate": "rate",
    "name": "name",
    "description": "description",
}
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]+)\}|(\r\n|[\s\S]))")
_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}


def literal(source: Source, node: Node) -> Any:
    """The value of a string, number, boolean or an array of these.

    Raises :class:`~aloma_py.errors.LoadError` for anything else.
    """
    node = bare(node)
    if node.type == "array":
        return [_scalar(source, bare(child)) for child in statements(node.children)]
    return _scalar(source, node)


def _scalar(source: Source, node: Node) -> Any:
    if node.type in ("true", "false"):
        return node.type == "true"
    if node.type == "number":
        return _number(source.read(node), source, node)
    if node.type == "unary_expression" and field(node, "argument").type == "number":
        value = _number(source.read(field(node, "argument")), source, node)
        if field(node, "operator").type in ("-", "+"):
            return -value if field(node, "operator").type == "-" else value
    if node.type == "string" or (
        node.type == "template_string" and all(child.type != "template_substitution" for child in node.children)
    ):
        return string_value(source, node)
    raise source.fail(node, "an option must be written as a string, a number, true, false, or an array of these")


def string_value(source: Source, node: Node) -> str:
    """What a string literal says."""
    text = _ESCAPE.sub(_escaped, source.read(node)[1:-1])
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise source.fail(node, "the text has half a character in it (a lone surrogate)") from None


def _escaped(found: re.Match[str]) -> str:
    number = found[1] or found[2] or found[3]
    if number:
        code = int(number, 16)
        return chr(code) if code < 0x110000 else ""
    return _SHORT.get(found[4], found[4])


def _number(text: str, source: Source, node: Node) -> int | float:
    plain = text.replace("_", "")
    try:
        if re.fullmatch(r"0[xXoObB]\w+", plain):
            return int(plain, 0)
        value = float(plain)
        return int(value) if value.is_integer() else value
    except (ValueError, OverflowError):
        raise source.fail(node, f"{text} is not a number that an option can have") from None
