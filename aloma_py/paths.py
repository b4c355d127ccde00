"""Paths into JSON data: ``("order", "items", 0, "sku")``, written ``order.items.0.sku``.

A part is a member's name (``str``) or an index of an array (``int``). In text, parts are joined by dots; a name that
holds a dot, is empty or is all digits is written ``["a.b"]``.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, Final

Path = tuple[str | int, ...]


class _Missing:
    """The type of :data:`MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()
"""Stands for "there is no such member", which is not the same as ``None`` (JSON's null)."""

MAX_INDEX: Final = 100_000
"""The largest array index that :func:`put` makes room for."""


def parse_path(text: str) -> Path:
    """The path that ``text`` means: ``"a.b.0"`` gives ``("a", "b", 0)``; a part of digits only is an index."""
    return tuple(int(part) if part.isascii() and part.isdigit() else part for part in text.split("."))


def format_path(path: Path) -> str:
    """The text of a path, for messages and records; ``""`` for the whole."""
    text = ""
    for part in path:
        if isinstance(part, str) and (not part or "." in part or (part.isascii() and part.isdigit())):
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def get(data: Any, path: Path) -> Any:
    """The value at ``path``, or :data:`MISSING`."""
    for part in path:
        if isinstance(data, dict):
            data = data.get(part if isinstance(part, str) else str(part), MISSING)
        elif isinstance(data, list) and isinstance(part, int) and 0 <= part < len(data):
            data = data[part]
        else:
            return MISSING
    return data


def put(data: Any, path: Path, value: Any) -> None:
    """Write ``value`` at ``path``, making missing parents: an array where the next part is a number, else an object.

    Gaps in an array are filled with ``None``. What stands in the way (a text where an object is needed) is replaced.
    Raises ``ValueError`` for an empty path or an index above :data:`MAX_INDEX`.
    """
    if not path:
        raise ValueError("an empty path cannot be written to")
    for part, following in pairwise(path):
        child = get(data, (part,))
        if not isinstance(child, (dict, list)) or (isinstance(child, list) and not isinstance(following, int)):
            child = [] if isinstance(following, int) else {}
            _set(data, part, child)
        data = child
    _set(data, path[-1], value)


def _set(data: Any, part: str | int, value: Any) -> None:
    if isinstance(data, dict):
        data[str(part)] = value
        return
    if not isinstance(part, int):
        raise ValueError(f"{part!r} is no index of an array")
    if part > MAX_INDEX:
        raise ValueError(f"the index {part} is above {MAX_INDEX}")
    data.extend([None] * (part + 1 - len(data)))
    data[part] = value


def overlaps(one: Path, other: Path) -> bool:
    """Whether a change at one path may be seen at the other: one is the beginning of the other."""
    return all(a == b for a, b in zip(one, other, strict=False))
