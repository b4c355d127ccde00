"""Whether a value can be a task's data, name or tags."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, Final

from aloma_py.errors import PayloadError
from aloma_py.jsontext import dumps
from aloma_py.models import Limits
from aloma_py.paths import Path, format_path

MAX_DIGITS: Final = 4300
"""The longest whole number: Python reads no longer one from text."""

MAX_TAGS: Final = 100
"""How many tags a task may have."""

NEARLY: Final = 0.8
"""The share of the size limit from which on the run log warns (SPEC §5)."""

_LARGEST: Final = 10**MAX_DIGITS
_SCALARS: Final = frozenset({str, bool, type(None)})
_NAMES: Final[Mapping[type, str]] = {
    dict: "an object",
    list: "an array",
    str: "a text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}
_CURES: Final[Mapping[str, str]] = {
    "datetime": "; write it as text, in quotes or by .isoformat()",
    "date": "; write it as text, in quotes or by .isoformat()",
    "time": "; write it as text, in quotes or by .isoformat()",
    "Decimal": "; write it as text by str(…), or as a number by float(…)",
    "UUID": "; write it as text by str(…)",
    "tuple": "; write it as a list",
    "set": "; write it as a list by sorted(…)",
    "bytes": "; write it as text by .decode()",
}


def check_data(value: Any, limits: Limits | None = None, *, where: str = "data") -> int:
    """Make sure that ``value`` can be a task's data; gives its size: the bytes of its compact JSON text.

    Raises :class:`~aloma_py.errors.PayloadError` for anything but an object of JSON values, with the path inside it:
    other types, keys that are no text, ``nan`` and infinities, numbers of more than :data:`MAX_DIGITS` digits, too many
    levels, an object that contains itself, too many bytes. ``where`` names the value in messages.
    """
    return len(checked_text(value, limits or Limits(), where).encode())


def checked_text(value: Any, limits: Limits, where: str) -> str:
    """The compact JSON text of what can be a task's data; raises as :func:`check_data` does."""
    if not isinstance(value, dict):
        raise PayloadError(f"{where} is {describe(value)}; an object was expected")
    # A text shared by many aliases may be small here and endless when written: count before writing.
    left = _count(value, limits.max_depth, limits.max_data_bytes)
    if left is None:
        _find(value, limits, where)
    if left is None or left < 0:
        raise PayloadError(f"{where} is larger than the limit of {limits.max_data_bytes:,} bytes")
    text = dumps(value)
    check_size(len(text) if text.isascii() else len(text.encode()), limits, where)
    return text


def check_size(size: int, limits: Limits, where: str = "data") -> None:
    """Raise :class:`~aloma_py.errors.PayloadError` where so many bytes are too many."""
    if size > limits.max_data_bytes:
        raise PayloadError(f"{where} is {size:,} bytes, more than the limit of {limits.max_data_bytes:,} bytes")


def nearly_full(size: int, limits: Limits) -> str | None:
    """The warning for the run log where data of ``size`` bytes is near its limit (from 80 %), else ``None``."""
    if size < limits.max_data_bytes * NEARLY:
        return None
    share = size * 100 // limits.max_data_bytes
    return f"the data is {size:,} bytes, {share} % of the limit of {limits.max_data_bytes:,} bytes"


def check_name(name: Any, limits: Limits | None = None) -> str:
    """The task's name as given. Raises :class:`~aloma_py.errors.PayloadError` where it cannot be one (SPEC §5)."""
    return _label(name, "name", (limits or Limits()).max_name)


def check_tags(tags: Iterable[Any], limits: Limits | None = None) -> list[str]:
    """The tags, each once, in the order given. Raises :class:`~aloma_py.errors.PayloadError` for what cannot be one."""
    if isinstance(tags, (str, bytes, dict)) or not isinstance(tags, Iterable):
        raise PayloadError(f"the task's tags are {describe(tags)}; a list of texts was expected")
    longest = (limits or Limits()).max_name
    checked = list(dict.fromkeys(_label(tag, f"tag {number}", longest) for number, tag in enumerate(tags, 1)))
    if len(checked) > MAX_TAGS:
        raise PayloadError(f"the task has {len(checked)} tags; at most {MAX_TAGS} were expected")
    return checked


def _label(text: Any, what: str, longest: int) -> str:
    if not isinstance(text, str):
        raise PayloadError(f"the task's {what} is {describe(text)}; a text was expected")
    if not text.strip():
        raise PayloadError(f"the task's {what} is empty; a text of 1 to {longest} characters was expected")
    if len(text) > longest:
        raise PayloadError(f"the task's {what} has {len(text):,} characters; at most {longest} were expected")
    if not text.isprintable():
        for place, character in enumerate(text, 1):
            if unicodedata.category(character) in ("Cc", "Cs"):
                raise PayloadError(
                    f"the task's {what} has a control character (U+{ord(character):04X}) at place {place}; "
                    "printable text was expected"
                )
    return str(text)


def describe(value: Any) -> str:
    """What a value is, for messages: ``an array``, ``a datetime``."""
    known = _NAMES.get(type(value))
    name = type(value).__name__
    if type(value) is object:
        return "a bare object()"
    return known or f"{'an' if name[:1].lower() in tuple('aeio') else 'a'} {name}"


def _count(value: Any, depth: int, left: int) -> int | None:
    """Whether ``value`` is JSON, at most ``depth`` levels deep: ``left`` less a byte for each value, or ``None``.

    Stops below 0. Quick, and says nothing about what is wrong: :func:`_find` does.
    """
    kind = type(value)
    if kind in _SCALARS:
        return left - 1
    if kind is int:
        return left - 1 if -_LARGEST < value < _LARGEST else None
    if kind is float:
        return left - 1 if isfinite(value) else None
    if isinstance(value, dict):
        if not depth or not all(type(key) is str for key in value):
            return None
        parts: Iterable[Any] = value.values()
    elif isinstance(value, list):
        if not depth:
            return None
        parts = value
    else:
        return None
    left -= 1
    for part in parts:
        counted = _count(part, depth - 1, left)
        if counted is None or counted < 0:
            return counted
        left = counted
    return left


def _find(value: Any, limits: Limits, where: str) -> None:
    """Raise the error for the first thing in ``value`` that is no JSON, naming its place."""

    def walk(value: Any, path: Path, above: tuple[int, ...]) -> None:
        place = f"{where}.{format_path(path)}" if path else where
        if isinstance(value, (dict, list)):
            if id(value) in above:
                raise PayloadError(f"{place} contains itself; JSON cannot say that")
            if len(path) >= limits.max_depth:
                start = f"{where}.{format_path(path[:3])}"
                raise PayloadError(
                    f"{start}… is more than {limits.max_depth} levels deep; at most {limits.max_depth} objects and "
                    "arrays may stand inside each other"
                )
            inside = (*above, id(value))
            for part, element in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(value, dict) and type(part) is not str:
                    raise PayloadError(
                        f"{place} has the key {part!r}, {describe(part)}; keys are texts: put it in quotes"
                    )
                walk(element, (*path, part), inside)
        elif type(value) is float and not isfinite(value):
            raise PayloadError(f"{place} is {value}; JSON has no such number")
        elif type(value) is int and abs(value) >= _LARGEST:
            raise PayloadError(f"{place} is a number of more than {MAX_DIGITS} digits, which cannot be kept")
        elif type(value) not in _NAMES:
            cure = _CURES.get(type(value).__name__, "")
            raise PayloadError(f"{place} is {describe(value)}, which JSON does not have{cure}")

    walk(value, (), ())
