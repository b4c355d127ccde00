"""Parts of a condition that are computed from the task's data, found and marked."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from aloma_py.steps.javascript.edits import Edits
from aloma_py.steps.javascript.syntax import WRAPPERS, Source, field, statements


def mark_computed(
    source: Source, edits: Edits, condition: Node, *, ignoring: Node | None = None
) -> tuple[tuple[str, str], ...]:
    """Put ``__computed(key, () => (…))`` around the outermost parts that mention ``data``; their keys and texts.

    ``ignoring`` is a function around the condition whose parameter ``data`` is the same data. The types must have been
    erased before, as the texts are without them.
    """
    found = []
    for number, part in enumerate(_computed_parts(source, condition, ignoring)):
        begin = f'__computed("{number}",()=>('
        if part.type == "shorthand_property_identifier":
            begin = f"{source.read(part)}:{begin}"
        edits.wrap(part.start_byte, part.end_byte, begin.encode(), b"))")
        found.append((str(number), edits.without_erased(part.start_byte, part.end_byte)))
    return tuple(found)


def _computed_parts(source: Source, node: Node, ignoring: Node | None) -> Iterator[Node]:
    """In the order of the text."""
    stack = [node]
    while stack:
        node = stack.pop()
        if not source.mentions(node, "data", ignoring=ignoring):
            continue
        inner = _inside(source, node, ignoring)
        if inner is None:
            yield node
        else:
            stack.extend(reversed(inner))


def _inside(source: Source, node: Node, ignoring: Node | None) -> list[Node] | None:
    """The parts of a literal that are patterns themselves; ``None`` where the node can only be computed whole."""
    if node.type in WRAPPERS:
        inner = statements(node.named_children)
        return [inner[-1] if node.type == "type_assertion" else inner[0]]
    members = statements(node.children)
    if node.type == "array":
        spread = [member for member in members if member.type == "spread_element"]
        return None if any(source.mentions(part, "data", ignoring=ignoring) for part in spread) else members
    if node.type != "object":
        return None
    values = []
    for member in members:
        if member.type == "pair":
            values.append(field(member, "value"))
            fixed = field(member, "key")
        elif member.type == "shorthand_property_identifier":
            values.append(member)
            continue
        else:
            fixed = member
        if fixed.type != "property_identifier" and source.mentions(fixed, "data", ignoring=ignoring):
            return None
    return values
