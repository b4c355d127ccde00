"""JSON to text and back on the hot path: fast, and exact for every JSON value.

msgspec does the work: it keeps integers of any size, where others give a float. What it cannot write (a lone
surrogate such as ``"\\ud800"``, which JSON allows and UTF-8 does not) goes through the standard library.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def dumps(value: Any) -> str:
    """Compact JSON text of a JSON value. The caller has made sure that it is one (no NaN, no other types)."""
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)


def loads(text: str | bytes) -> Any:
    """The value of JSON text that :func:`dumps` wrote. Text from outside goes through ``intake`` instead."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return json.loads(text)
