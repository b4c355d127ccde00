"""What goes over the control socket: lines of JSON.

A request is ``{"workspace": …, "op": …, "args": {…}}``. It is answered by one line, ``{"ok": result}`` or
``{"error": {"type", "family", "message"}}``; the operation ``follow`` by any number of lines ``{"item": …}`` before it,
and a request with ``"progress": true`` by lines ``{"progress": [what, done, total]}``.
A connection may be used for one request after another.

The socket is ``<store>.sock``. Where that path is too long for a socket's address, the socket is in a private folder,
and ``<store>.sock`` is a text file that holds its path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from aloma_py import jsontext
from aloma_py.errors import AlomaError, InputError, RunError, StoreBusy, StoreError, StoreFull
from aloma_py.models import Json

MAX_ADDRESS: Final = 100
"""The longest path of a socket, in bytes; the systems' limits are a little above."""

ABOUT: Final = "server"
"""What a client asks, in place of an operation, for what the server says of itself: an object with ``http`` (where it
answers; ``None`` for nowhere), ``public`` (where people reach it, as it was told), and ``mail`` (the mail server)."""

MAX_REQUEST: Final = 64 * 1024 * 1024
"""The longest line that a server reads: several times the largest data a task may have."""

MAX_ANSWER: Final = 1024 * 1024 * 1024

_FAMILIES: Final = {
    kind.__name__: kind for kind in (InputError, RunError, StoreBusy, StoreFull, StoreError, AlomaError)
}


def socket_file(store: Path) -> Path:
    """Where the control socket of a store is, or the file that says where."""
    return store.with_name(store.name + ".sock")


def socket_address(store: Path) -> Path | None:
    """The address that a client connects to, or ``None`` where no server has left one."""
    file = socket_file(store)
    try:
        if file.is_file():
            return Path(file.read_text(encoding="utf-8").strip())
        return file if file.is_socket() else None
    except (OSError, UnicodeDecodeError):
        return None


def line(value: Json) -> bytes:
    """The JSON text of ``value`` and the line's end."""
    return jsontext.dumps(value).encode() + b"\n"


def error_to_json(error: Exception) -> dict[str, Json]:
    """An error as it goes over the wire. One that is none of ours is said to be the engine's."""
    for family in _FAMILIES.values():
        if isinstance(error, family):
            return {"type": type(error).__name__, "family": family.__name__, "message": str(error)}
    message = f"the engine failed: {type(error).__name__}: {error}"
    return {"type": type(error).__name__, "family": "AlomaError", "message": message}


def error_from_json(value: Any) -> AlomaError:
    """The error that :func:`error_to_json` wrote, as the nearest class that is made from a text alone."""
    if not isinstance(value, dict):
        return AlomaError(f"the server answered something unknown: {value!r}")
    return _FAMILIES.get(value.get("family", ""), AlomaError)(str(value.get("message")))
