"""Names for the operators, for those who prefer ``gt(5)`` to ``{"$gt": 5}``. Each gives that literal (SPEC §2)."""

from __future__ import annotations

from typing import Any

Literal = dict[str, Any]


def eq(value: Any) -> Literal:
    """Equal to a JSON value, of the same type; ``eq(None)`` is null or missing."""
    return {"$eq": value}


def ne(value: Any) -> Literal:
    """Not equal to a JSON value; a missing member is not equal. ``ne(None)`` is present and not null."""
    return {"$ne": value}


def gt(bound: float | str) -> Literal:
    """Greater than a number, or a string that sorts after a string."""
    return {"$gt": bound}


def gte(bound: float | str) -> Literal:
    """At least."""
    return {"$gte": bound}


def lt(bound: float | str) -> Literal:
    """Less than a number, or a string that sorts before a string."""
    return {"$lt": bound}


def lte(bound: float | str) -> Literal:
    """At most."""
    return {"$lte": bound}


def one_of(*values: Any) -> Literal:
    """Equal to one of the values: ``one_of("a", "b")``, or ``one_of(["a", "b"])`` with one collection."""
    return {"$in": _values(values)}


def none_of(*values: Any) -> Literal:
    """Equal to none of the values; a missing member is none of them."""
    return {"$nin": _values(values)}


def exists(wanted: bool = True) -> Literal:
    """Something is there that is not null; ``exists(False)``: null or missing."""
    return {"$exists": wanted}


def matches(regex: str, flags: str | int = "") -> Literal:
    """A string in which the regular expression finds something; flags as letters (``"i"``) or ``re`` flags."""
    return {"$regex": regex, "$options": flags}


def all_of(*patterns: Any) -> Literal:
    """What every pattern matches."""
    return {"$and": list(patterns)}


def any_of(*patterns: Any) -> Literal:
    """What at least one of the patterns matches."""
    return {"$or": list(patterns)}


def not_(pattern: Any) -> Literal:
    """What the pattern does not match; a missing member counts, unless the pattern matches missing ones."""
    return {"$not": pattern}


def has(*patterns: Any) -> list[Any]:
    """An array in which every pattern is matched by at least one element; ``has()`` is any array."""
    return list(patterns)


def _values(values: tuple[Any, ...]) -> list[Any]:
    if len(values) == 1 and isinstance(values[0], (list, tuple, set, frozenset)):
        return list(values[0])
    return list(values)
