"""JSON values: whether two are the same, and copies."""

from __future__ import annotations

from math import copysign

from aloma_py.models import Json


def same(one: Json, other: Json) -> bool:
    """Whether two JSON values would be written as the same JSON, whatever the order of members.

    Python's ``==`` is not enough: ``1 == True == 1.0`` and ``0.0 == -0.0``, which JSON text tells apart.
    """
    if one is other:
        return True
    kind = type(one)
    if kind is not type(other) or one != other:
        return False
    if kind is dict:
        return all(same(value, other[name]) for name, value in one.items())
    if kind is list:
        return all(map(same, one, other))
    return kind is not float or one != 0.0 or copysign(1.0, one) == copysign(1.0, other)


def copy_json(value: Json) -> Json:
    """A deep copy of a JSON value of plain types: no object or array is shared with ``value``."""
    kind = type(value)
    if kind is dict:
        return {
            name: copy_json(member) if type(member) is dict or type(member) is list else member
            for name, member in value.items()
        }
    if kind is list:
        return [copy_json(element) if type(element) is dict or type(element) is list else element for element in value]
    return value
