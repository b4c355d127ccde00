"""What became of an attempt to deliver something, and when it is tried again. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aloma_py.models import Millis

TIMEOUT: Final = 30
"""Seconds that an attempt may take."""

_MINUTE: Final = 60_000
WAITS: Final = tuple(minutes * _MINUTE for minutes in (1, 5, 15, 60, 180, 360, 720))
"""How long it is waited after each failed attempt; after the last of them always so long."""

GIVE_UP: Final[Millis] = 3 * 24 * 60 * _MINUTE
"""How long it is tried, from when the message was made."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``answer`` is what the other side said, or what went wrong, on one line. ``final``: to try again is no use.

    ``wait`` is how long the other side asked to wait, in milliseconds.
    """

    delivered: bool
    answer: str
    final: bool = False
    wait: Millis = 0


def next_attempt(attempts: int, created_at: Millis, now: Millis, wait: Millis = 0) -> Millis | None:
    """When to try again after so many attempts failed; ``None`` where it is given up."""
    if now >= created_at + GIVE_UP:
        return None
    pause = max(WAITS[min(attempts, len(WAITS)) - 1], min(wait, WAITS[-1]))
    return min(now + pause, created_at + GIVE_UP)
