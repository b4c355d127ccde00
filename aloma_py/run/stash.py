"""``data.$stash``: confidential values. Step code sees them; everyone else sees their type (SPEC §4).

A task's ``data`` holds ``$stash`` as type names (``{"token": "String"}``), and so do its changes. The values are apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from aloma_py.models import Change, Json
from aloma_py.run.redaction import Redactor
from aloma_py.store.stash import mask, type_name

SHORTEST_SECRET: Final = 4
"""Texts of fewer characters are not looked for elsewhere: they would be found in every word."""


def with_stash(data: dict[str, Json], stash: dict[str, Json]) -> dict[str, Json]:
    """The data as step code sees it. The result shares its parts with ``data``: it is to be read only."""
    return {**data, "$stash": stash} if stash else data


def without_stash(data: dict[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """The data as others see it, and the hidden values; a ``$stash`` that is no object counts as empty."""
    if "$stash" not in data:
        return data, {}
    stash = data["$stash"]
    if not isinstance(stash, dict) or not stash:
        return {name: value for name, value in data.items() if name != "$stash"}, {}
    return {**data, "$stash": mask(stash)}, stash


def hide_changes(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    """The changes as others see them."""
    if any(change.path[:1] == ("$stash",) for change in changes):
        return tuple(_hide(change) for change in changes)
    return changes


def _hide(change: Change) -> Change:
    path = change.path
    if not path or path[0] != "$stash" or (change.op == "delete" and len(path) <= 2):
        return change
    if len(path) == 1:
        return replace(change, value=mask(change.value) if isinstance(change.value, dict) else {})
    if len(path) == 2:
        return Change("set", path, type_name(change.value))
    return Change("set", path[:2], "Array" if isinstance(path[2], int) else "Object")


def secret_texts(*stashes: Any) -> tuple[str, ...]:
    """The texts in hidden values that must not be shown anywhere, the longest first."""
    found = {text for stash in stashes for text in _texts(stash) if len(text) >= SHORTEST_SECRET}
    return tuple(sorted(found, key=len, reverse=True))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in dict.values(value):
            yield from _texts(member)
    elif isinstance(value, (list, tuple)):
        for element in value:
            yield from _texts(element)


def redact(value: Json, secrets: tuple[str, ...]) -> Json:
    """``value`` without the secrets (see :class:`~aloma_py.run.redaction.Redactor`, which is built for this once)."""
    return Redactor(secrets)(value) if secrets else value
