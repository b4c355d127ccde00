"""Pages of long lists: an operation says where the next one begins, and is told so again as its ``cursor``.

A cursor names a place in the list's order, not a number of elements: what is added or removed meanwhile moves nothing,
so that whoever goes from page to page sees each element that was there all the time exactly once.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeVar

from aloma_py.errors import InputError

T = TypeVar("T")

MOST: Final = 10_000
"""How many elements a page may have."""

_LARGEST: Final = 2**63 - 1


@dataclass(slots=True)
class Page:
    """What is told beside an answer that is a page: the cursor of ``next``, where there is one."""

    next: str | None = None


page: ContextVar[Page | None] = ContextVar("aloma_py_page", default=None)
"""Where operations say it; nothing is said where nobody set it."""


def check_limit(limit: int, most: int = MOST) -> int:
    if not 1 <= limit <= most:
        raise InputError(f"limit is {limit}; 1 to {most:,} was expected")
    return limit


def read_cursor(text: str | None, kind: str) -> int | None:
    """The place that a cursor names; :class:`~aloma_py.errors.InputError` for what no list of this ``kind`` gave."""
    if text is None:
        return None
    try:
        given = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
        mark, _, number = given.partition(":")
        if mark == kind and number.isdigit() and int(number) <= _LARGEST:
            return int(number)
    except (ValueError, binascii.Error):
        pass
    raise InputError(f"cursor is {text[:40]!r}; that of a Link header of this list was expected")


def tell_next(kind: str, place: int) -> None:
    """Say that there is another page, behind ``place``."""
    told = page.get()
    if told is not None:
        told.next = base64.urlsafe_b64encode(f"{kind}:{place}".encode("ascii")).decode("ascii")


def cut(found: list[T], limit: int, kind: str, place: Callable[[T], int]) -> list[T]:
    """The first ``limit`` of what was found; one more than these means that there is another page."""
    if len(found) > limit:
        found = found[:limit]
        tell_next(kind, place(found[-1]))
    return found
