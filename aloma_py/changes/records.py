"""Changes as JSON for the store and for users, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired

from typing_extensions import TypedDict

from aloma_py import jsontext
from aloma_py.models import Change, Json
from aloma_py.paths import format_path


def change_to_json(change: Change) -> list[Json]:
    """The compact form that the store keeps: ``["set", ["order", "items", 0], value]``, ``["delete", [path]]``.

    :func:`change_from_json` gives exactly the same change again: a member named ``"0"`` and the index ``0`` differ.
    """
    if change.op == "delete":
        return [change.op, list(change.path)]
    return [change.op, list(change.path), change.value]


def change_from_json(value: Json) -> Change:
    """The change that :func:`change_to_json` wrote. Raises ``ValueError`` for anything else."""
    match value:
        case ["delete", [*path]] if _is_path(path):
            return Change("delete", tuple(path))
        case ["set" | "append" as op, [*path], content] if _is_path(path):
            if op == "append" and not isinstance(content, list):
                raise ValueError(f"a change that appends needs a list of elements, not {jsontext.dumps(content)}")
            return Change(op, tuple(path), content)
    raise ValueError(f"this is no change: {_cut(jsontext.dumps(value), 100)}")


class ChangeShown(TypedDict):
    """A change as users see it."""

    op: str
    path: str
    value: NotRequired[Json]


def change_to_dict(change: Change) -> ChangeShown:
    """The form that users see: ``{"op": "set", "path": "order.items.0", "value": …}``; no value with ``delete``."""
    shown: ChangeShown = {"op": change.op, "path": format_path(change.path)}
    if change.op != "delete":
        shown["value"] = change.value
    return shown


def describe(change: Change, width: int = 60) -> str:
    """The change in one line for people; a value longer than ``width`` characters is cut.

    >>> describe(Change("set", ("order", "status"), "paid"))
    'order.status = "paid"'
    >>> describe(Change("delete", ("order", "tmp")))
    '− order.tmp'
    >>> describe(Change("append", ("order", "items"), [1, 2]))
    'order.items + 2 elements'
    """
    return describe_dict(change_to_dict(change), width)


def describe_dict(change: Mapping[str, Json], width: int = 60) -> str:
    """The same for the form that :func:`change_to_dict` gives."""
    place = change["path"] or "data"
    if change["op"] == "delete":
        return f"− {place}"
    if change["op"] == "append":
        count = len(change["value"])
        return f"{place} + {count} {'element' if count == 1 else 'elements'}"
    return f"{place} = {_cut(jsontext.dumps(change['value']), width)}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def _is_path(parts: list[Any]) -> bool:
    return all(type(part) is str or (type(part) is int and part >= 0) for part in parts)
