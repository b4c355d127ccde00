"""Durations as people write them: ``200``, ``"200ms"``, ``"30s"``, ``"1h30m"``, ``timedelta(days=1)``."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any, Final

from aloma_py.errors import InputError
from aloma_py.models import Millis

UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
"""The units of a duration's text, in milliseconds."""

_PART: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_WHOLE: Final = re.compile(rf"(?:{_PART.pattern})+")


def parse_duration(value: Any, what: str) -> Millis:
    """The duration that ``value`` means, in whole milliseconds (SPEC §6).

    ``value`` is a number of milliseconds, text made of numbers with the units ms, s, m, h and d (``"1h30m"``), or a
    ``timedelta``. ``what`` names the place in the message. Raises :class:`~aloma_py.errors.InputError` for anything
    else, and for a negative duration.
    """
    millis: float | None = None
    if isinstance(value, timedelta):
        millis = value / timedelta(milliseconds=1)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        millis = value
    elif isinstance(value, str) and _WHOLE.fullmatch(value.strip().removeprefix("-")):
        sign = -1 if value.strip().startswith("-") else 1
        millis = sign * sum(float(number) * UNITS[unit] for number, unit in _PART.findall(value))
    if millis is None or not math.isfinite(millis):
        raise InputError(
            f'{what} must be a duration: a number of milliseconds, a timedelta, or text such as "200ms", "30s", "5m", '
            f'"2h" or "1d", not {value!r}'
        )
    if millis < 0:
        raise InputError(f"{what} must not be negative, but is {value!r}")
    return round(millis)
