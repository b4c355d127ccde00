"""``${NAME}`` in a configuration's texts: the workspace's variable or secret of that name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aloma_py.errors import InputError, suggest
from aloma_py.models import Json

_REFERENCE: Final = re.compile(r"\$(\$?)\{([^{}]*)\}")


class UnknownName(InputError):
    """A configuration names a variable or a secret that the workspace does not have."""


def resolve(config: Mapping[str, Json], known: Mapping[str, Any]) -> tuple[dict[str, Json], dict[str, str]]:
    """The configuration with values in the place of references, and what is wrong, by member.

    A text that is nothing but a reference becomes the value itself, whatever it is; within a longer text it must be
    one that can be written out. ``$${`` stands for ``${``.
    """
    found: dict[str, Json] = {}
    wrong: dict[str, str] = {}
    for name, value in config.items():
        try:
            found[name] = _fill(value, known)
        except InputError as error:
            found[name] = value
            wrong[name] = str(error)
    return found, wrong


def references_in(value: Json) -> Iterator[str]:
    """The names that a configuration refers to, again and again where they are there so often."""
    if isinstance(value, (dict, list)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from references_in(member)
    elif isinstance(value, str):
        yield from (one[2] for one in _REFERENCE.finditer(value) if not one[1])


def _fill(value: Json, known: Mapping[str, Any]) -> Json:
    if isinstance(value, dict):
        return {name: _fill(member, known) for name, member in value.items()}
    if isinstance(value, list):
        return [_fill(member, known) for member in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole is not None and not whole[1]:
        return _of(whole[2], known)
    return _REFERENCE.sub(lambda one: f"${{{one[2]}}}" if one[1] else _text(one[2], known), value)


def _of(name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise UnknownName(f"the workspace has no variable or secret {name!r}{suggest(name, known)}")
    return known[name]


def _text(name: str, known: Mapping[str, Any]) -> str:
    value = _of(name, known)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InputError(f"the variable {name!r} is no text or number: it cannot stand within a text")
    return str(value)


__all__ = ["UnknownName", "references_in", "resolve"]
