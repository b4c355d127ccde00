"""HTML forms as JSON: names in brackets are nested (``subscriber[email]``, ``items[]``, ``items[0][sku]``)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl

from aloma_py.errors import PayloadError
from aloma_py.models import Json

MAX_FIELDS: Final = 1000
"""How many fields a form may have."""

MAX_NESTING: Final = 32
"""How many brackets a name may have."""

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PARAMETER = re.compile(r';\s*([a-z0-9*-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))', re.IGNORECASE)


def read_urlencoded(text: str, where: str) -> dict[str, Json]:
    """The members of ``a=1&b[c]=2``. Raises :class:`~aloma_py.errors.PayloadError` for what cannot be a form."""
    if not text:
        return {}
    if text.count("&") >= MAX_FIELDS:
        raise PayloadError(f"{where} has more than {MAX_FIELDS} fields")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise PayloadError(f"{where} has a field that is not UTF-8 text in percent encoding") from None
    return nest(pairs, where)


def read_multipart(body: bytes, content_type: str, where: str) -> dict[str, Json]:
    """The fields of a ``multipart/form-data`` body; files are refused."""
    boundary = parameters(content_type).get("boundary", "")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise PayloadError(
            f"{where} has no boundary in its Content-Type; boundary=… of 1 to 70 characters was expected"
        )
    # A delimiter stands at the beginning of a line.
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise PayloadError(f"{where} is cut off, or its boundary is another: the closing boundary was expected")
    if len(pieces) > MAX_FIELDS + 2:
        raise PayloadError(f"{where} has more than {MAX_FIELDS} fields")
    return nest([_field(piece, where) for piece in pieces[1:-1]], where)


def _field(piece: bytes, where: str) -> tuple[str, str]:
    head, blank, content = piece.partition(b"\r\n\r\n")
    if not blank or not head.startswith(b"\r\n"):
        raise PayloadError(f"{where} has a part without headers; Content-Disposition: form-data was expected")
    try:
        lines = head.decode().split("\r\n")
        value = content.decode()
    except UnicodeDecodeError:
        raise PayloadError(f"{where} has a part that is not UTF-8 text; files are not taken") from None
    headers = {name.strip().lower(): rest.strip() for name, _, rest in (line.partition(":") for line in lines if line)}
    disposition = headers.get("content-disposition", "")
    given = parameters(disposition)
    if not disposition.lower().startswith("form-data") or "name" not in given:
        raise PayloadError(f"{where} has a part without a name; Content-Disposition: form-data; name=… was expected")
    if "filename" in given or "filename*" in given:
        raise PayloadError(f"{where} has a file in the field {given['name']!r}; files are not taken, only texts")
    return given["name"].replace("%22", '"'), value


def parameters(header: str) -> dict[str, str]:
    """The parameters of a header such as ``text/plain; charset=utf-8``, with names in lower case."""
    return {name.lower(): re.sub(r"\\(.)", r"\1", quoted) or bare for name, quoted, bare in _PARAMETER.findall(header)}


def nest(pairs: Iterable[tuple[str, str]], where: str) -> dict[str, Json]:
    """The fields as an object.

    ``a[b]`` is a member, ``a[]`` appends, and ``a[0]``, ``a[1]`` … are an array where none is missing (else members).
    A name that comes again makes an array of its values; ``a[][b]`` begins a new element when it has its ``b`` already.
    """
    root: dict[str, Any] = {}
    for name, value in pairs:
        path = _path(name, where)
        at: dict[str, Any] | _Many = root
        for part, following in zip(path, [*path[1:], None], strict=True):
            if following is None:
                _set(at, part, value, name, where)
            else:
                at = _step(at, part, following, name, where)
    made: dict[str, Json] = _settle(root, top=True)
    return made


class _Many(list[Any]):
    """An array under ``name[]``."""


def _path(name: str, where: str) -> list[str]:
    match = _NAME.fullmatch(name)
    path = [name] if match is None else [match[1], *match[2][1:-1].split("][")] if match[2] else [match[1]]
    if len(path) > MAX_NESTING:
        raise PayloadError(f"{where} has a field that is nested in more than {MAX_NESTING} brackets: {name[:40]}…")
    return path


def _step(at: dict[str, Any] | _Many, part: str, following: str, name: str, where: str) -> dict[str, Any] | _Many:
    """What stands at ``part``, made where it is missing: an array where an empty bracket follows."""
    made: dict[str, Any] | _Many = _Many() if following == "" else {}
    if isinstance(at, _Many):
        last = at[-1] if at else None
        if type(last) is type(made) and isinstance(last, dict) and following not in last:
            return last
        at.append(made)
        return made
    child = at.setdefault(part, made)
    if type(child) is not type(made):
        raise _clash(name, where)
    return child


def _set(at: dict[str, Any] | _Many, part: str, value: str, name: str, where: str) -> None:
    if isinstance(at, _Many):
        at.append(value)
    elif part not in at:
        at[part] = value
    elif isinstance(at[part], str):
        at[part] = [at[part], value]
    elif type(at[part]) is list:
        at[part].append(value)
    else:
        raise _clash(name, where)


def _clash(name: str, where: str) -> PayloadError:
    return PayloadError(f"{where} has the field {name!r} beside one that it cannot stand in: a text and an object")


def _settle(value: Any, *, top: bool = False) -> Any:
    """Plain JSON: objects whose names are 0, 1, 2 … without a gap become arrays, but for the form itself."""
    if isinstance(value, list):
        return [_settle(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: _settle(one) for name, one in value.items()}
    if not top and all(str(n) in made for n in range(len(made))):
        return [made[str(n)] for n in range(len(made))]
    return made
