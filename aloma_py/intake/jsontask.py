"""JSON text from outside, read strictly: what two readers could take for two things is refused."""

from __future__ import annotations

import json
import re
from math import isinf
from typing import Any, Final

from aloma_py.errors import PayloadError
from aloma_py.intake.checks import MAX_DIGITS, check_data, check_size, describe
from aloma_py.models import Json, Limits
from aloma_py.paths import Path, format_path

_EXPECTED: Final = {
    "Expecting value": "a value was expected",
    "Expecting property name enclosed in double quotes": "a member's name in double quotes was expected",
    "Expecting ':' delimiter": "':' was expected after the member's name",
    "Expecting ',' delimiter": "',' or the end of the object or array was expected",
    "Illegal trailing comma before end of object": "another member was expected after ','",
    "Illegal trailing comma before end of array": "another element was expected after ','",
    "Extra data": "the end of the text was expected after one value",
    "Unterminated string starting at": "a closing '\"' was expected for the text that begins here",
    "Invalid control character at": "a text holds a control character; \\n, \\t or \\u… was expected",
    "Invalid \\escape": 'a text holds an unknown escape; one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u… was expected',
    "Invalid \\uXXXX escape": "four hexadecimal digits were expected after \\u",
}


class _Refused:
    """Stands where a value of the text was that is not taken; ``reason`` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def read_task_json(text: str | bytes, *, where: str = "data", limits: Limits | None = None) -> dict[str, Json]:
    """The object that JSON text from outside holds, fit to be a task's data.

    ``where`` names the text in messages ("order.json", "the request"). Raises
    :class:`~aloma_py.errors.PayloadError` for text that is no JSON (with line and column), too large, too deep, or no
    object; that names a member twice, or holds ``NaN``, ``Infinity`` or a number that cannot be kept (with the path).
    """
    limits = limits or Limits()
    source = _decode(text, where, limits)
    value = _parse(source, where)
    if not isinstance(value, dict):
        raise PayloadError(f'{where} is {describe(value)}; an object was expected, like {{"order": {{…}}}}')
    check_data(value, limits, where=where)
    return value


def _decode(text: str | bytes, where: str, limits: Limits) -> str:
    if isinstance(text, str):
        check_size(len(text.encode(errors="surrogatepass")), limits, where)
        return text.removeprefix("\ufeff")
    check_size(len(text), limits, where)
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise PayloadError(
            f"{where} is not UTF-8 text: line {line}, byte {error.start + 1} of the whole is "
            f"0x{text[error.start]:02x}, which cannot be there"
        ) from None


def _parse(source: str, where: str) -> Json:
    refused: list[_Refused] = []

    def refuse(reason: str) -> _Refused:
        refused.append(_Refused(reason))
        return refused[-1]

    def members(pairs: list[tuple[str, Any]]) -> Any:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return refuse(f"has the member {twice!r} twice; every name may stand there once")

    def fraction(digits: str) -> Any:
        number = float(digits)
        return (
            refuse(f"is {_cut(digits)}, too large a number; at most 1.8e308 was expected") if isinf(number) else number
        )

    def whole(digits: str) -> Any:
        if len(digits) > MAX_DIGITS:
            return refuse(f"is a number of {len(digits):,} digits; at most {MAX_DIGITS} were expected")
        return int(digits)

    try:
        value = json.loads(
            source,
            object_pairs_hook=members,
            parse_float=fraction,
            parse_int=whole,
            parse_constant=lambda name: refuse(f"is {name}, which JSON does not have; a number or null was expected"),
        )
    except json.JSONDecodeError as error:
        raise PayloadError(f"{where}: {_explain(error)}") from None
    except RecursionError:
        raise PayloadError(f"{where} is nested far too deep to be read") from None
    if refused:
        path, reason = _place_of(value) or ((), refused[0].reason)
        place = f"{where}.{format_path(path)}" if path else where
        raise PayloadError(f"{place} {reason}")
    return value


def _explain(error: json.JSONDecodeError) -> str:
    """Line, column, what stands there and what was expected."""
    expected = _EXPECTED.get(error.msg.removesuffix(": "), error.msg)
    rest = error.doc[error.pos :]
    if not error.doc.strip():
        return "the text is empty; a JSON object was expected"
    if not rest.strip():
        found = "the text ends too early"
    elif error.msg.startswith(("Unterminated", "Invalid")):
        found = "no JSON"
    else:
        word = re.match(r"\w+|.", rest, re.DOTALL)
        found = f"{_cut(word[0])!r} is no JSON here" if word else "no JSON"
    return f"line {error.lineno}, column {error.colno}: {found}; {expected}"


def _cut(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:20]}…"


def _place_of(value: Json) -> tuple[Path, str] | None:
    """The path and the reason of the first refused value."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _Refused):
            return path, value.reason
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        waiting.extend(reversed([((*path, part), element) for part, element in parts]))
    return None
