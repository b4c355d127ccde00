"""What the comments above a step or a function say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tree_sitter import Node

from aloma_py.steps.javascript.syntax import Source

_WORDS: Final = "Step|Name|ID|Version|Path|UpdatedAt|Workspace"
_ENTRY: Final = re.compile(rf"\s*({_WORDS})\s*:\s*(.*?)\s*$", re.IGNORECASE)
_SQUEEZED: Final = re.compile(rf"(?:^|\s)\*\s+(?=(?:{_WORDS})\s*:)")  # a header on one line, its stars still in it


@dataclass(frozen=True, slots=True)
class Header:
    """``entries`` by their word in small letters (``step``, ``name``, ``id`` …), and the rest of a doc comment."""

    entries: dict[str, str]
    text: str


def comments_above(source: Source, node: Node) -> list[Node]:
    """The comments between this statement and the one before; not one that stands behind that on its line."""
    found: list[Node] = []
    other = node.prev_named_sibling
    while other is not None and other.type in ("comment", "html_comment"):
        found.insert(0, other)
        other = other.prev_named_sibling
    if other is not None and other.type != "hash_bang_line":
        found = [comment for comment in found if comment.start_point[0] > other.end_point[0]]
    return found


def header_of(source: Source, comments: list[Node]) -> Header:
    """What these comments say together. An entry that occurs twice: the last, which is nearest, counts."""
    entries: dict[str, str] = {}
    text = []
    for comment in comments:
        kept = []
        for line in _lines(source.read(comment)):
            entry = _ENTRY.match(line)
            if entry:
                entries[entry[1].lower()] = entry[2]
            else:
                kept.append(line)
        if source.read(comment).startswith("/**"):
            text.append("\n".join(kept).strip())
    return Header(entries, "\n\n".join(part for part in text if part))


def doc_of(source: Source, node: Node) -> str:
    """The text of the doc comment right above the node; empty where there is none."""
    above = node.prev_named_sibling
    if above is None or above.type != "comment" or not source.read(above).startswith("/**"):
        return ""
    return "\n".join(_lines(source.read(above))).strip()


def _lines(comment: str) -> list[str]:
    if comment.startswith("//"):
        return [comment[2:].strip()]
    inner = comment.removeprefix("/*").removesuffix("*/")
    lines = [re.sub(r"^\s*\*+ ?", "", line).rstrip() for line in inner.splitlines()]
    return [part for line in lines for part in _SQUEEZED.split(line)]
