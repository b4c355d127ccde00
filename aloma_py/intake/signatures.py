"""Whether whoever sent a request knows the secret: signatures over the raw body, and tokens. Pure; fails closed."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aloma_py.errors import InputError, NotFoundError
from aloma_py.models import Json, Millis

TOLERANCE: Final = 300
"""Seconds that a signed time may lie before or after now."""

ALGORITHMS: Final = ("sha1", "sha256", "sha512")
ENCODINGS: Final = ("hex", "base64")

_MAX_CANDIDATES: Final = 16  # signatures in one header that are looked at
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


@dataclass(frozen=True, slots=True)
class Signature:
    """How a request shows that its sender knows the secret. ``header`` and ``timestamp`` are in lower case.

    ``kind`` is one of :data:`PRESETS`, ``hmac`` (over the body, or over ``<time>.<body>`` where ``timestamp`` names the
    header of the time), or ``token`` (the secret itself is in the header).
    """

    kind: str
    header: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""
    timestamp: str | None = None
    tolerance: int = TOLERANCE

    @property
    def issued(self) -> bool:
        """Whether the sender makes up the secret, so that there is none to be made here."""
        return self.kind in ("stripe", "slack", "shopify")


PRESETS: Final[Mapping[str, Signature]] = {
    "github": Signature("github", "x-hub-signature-256", prefix="sha256="),
    "stripe": Signature("stripe", "stripe-signature"),
    "slack": Signature("slack", "x-slack-signature", prefix="v0=", timestamp="x-slack-request-timestamp"),
    "shopify": Signature("shopify", "x-shopify-hmac-sha256", encoding="base64"),
    "bearer": Signature("token", "authorization", prefix="Bearer "),
}

NONE: Final = "none"
"""Says that a webhook asks for no signature: whoever knows its address may send."""


def read_signature(given: Json) -> Signature | None:
    """The signature that an option asks for: a preset's name, an object, or ``none``.

    ``{"header": NAME, "algorithm": "sha256", "encoding": "hex", "prefix": "", "timestamp": NAME, "tolerance": 300}``
    is an HMAC of the body, of which only ``header`` must be given; ``{"token": NAME}`` is a header that holds the
    secret. Raises :class:`~aloma_py.errors.InputError` for anything else.
    """
    if given is None or given == NONE:
        return None
    if isinstance(given, str):
        found = PRESETS.get(given.lower())
        if found is None:
            raise NotFoundError("signature", given, [*PRESETS, NONE])
        return found
    if not isinstance(given, dict):
        raise InputError(f"signature is {given!r}; one of {', '.join(PRESETS)}, {NONE}, or an object was expected")
    if "token" in given:
        _only(given, ("token",))
        return Signature("token", read_header_name(given["token"], "signature.token"))
    _only(given, ("header", "algorithm", "encoding", "prefix", "timestamp", "tolerance"))
    if "header" not in given:
        raise InputError('signature needs "header", the name of the header that holds it')
    timestamp = given.get("timestamp")
    return Signature(
        "hmac",
        read_header_name(given["header"], "signature.header"),
        _one_of(given.get("algorithm", "sha256"), ALGORITHMS, "signature.algorithm"),
        _one_of(given.get("encoding", "hex"), ENCODINGS, "signature.encoding"),
        _prefix(given.get("prefix", "")),
        None if timestamp is None else read_header_name(timestamp, "signature.timestamp"),
        _tolerance(given.get("tolerance", TOLERANCE)),
    )


def is_signed(signature: Signature, secret: str | None, headers: Mapping[str, str], body: bytes, now: Millis) -> bool:
    """Whether a request shows that its sender knows ``secret``; never where there is none.

    ``headers`` have names in lower case and values decoded as Latin-1; ``body`` is as it came. Comparisons take the
    same time wherever the texts differ.
    """
    if not secret:
        return False
    given = headers.get(signature.header)
    if given is None:
        return False
    if signature.kind == "stripe":
        return _stripe(signature, secret, given, body, now)
    if signature.kind == "token":
        return _token(signature, secret, given)
    if signature.timestamp is not None:
        time = headers.get(signature.timestamp, "")
        if not _is_fresh(time, signature.tolerance, now):
            return False
        head = f"v0:{time}:" if signature.kind == "slack" else f"{time}."
        body = head.encode() + body
    if not given.startswith(signature.prefix):
        return False
    return _same(_digest(signature, secret, body), given[len(signature.prefix) :], signature.encoding)


def _stripe(signature: Signature, secret: str, given: str, body: bytes, now: Millis) -> bool:
    parts = [part.strip().partition("=") for part in given.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not _is_fresh(times[0], signature.tolerance, now):
        return False
    expected = _digest(signature, secret, f"{times[0]}.".encode() + body)
    candidates = [value for name, _, value in parts if name == "v1"][:_MAX_CANDIDATES]
    found = [_same(expected, value, "hex") for value in candidates]  # all, so that the time tells nothing
    return any(found)


def _token(signature: Signature, secret: str, given: str) -> bool:
    prefix = signature.prefix
    if given[: len(prefix)].lower() != prefix.lower():
        return False
    return hmac.compare_digest(secret.encode(), given[len(prefix) :].strip().encode("latin-1", "replace"))


def _digest(signature: Signature, secret: str, content: bytes) -> str:
    made = hmac.digest(secret.encode(), content, signature.algorithm)
    return made.hex() if signature.encoding == "hex" else base64.b64encode(made).decode()


def _same(expected: str, given: str, encoding: str) -> bool:
    told = given.lower() if encoding == "hex" else given
    return hmac.compare_digest(expected.encode(), told.encode("utf-8", "replace"))


def _is_fresh(time: str, tolerance: int, now: Millis) -> bool:
    return time.isascii() and time.isdigit() and len(time) <= 12 and abs(now // 1000 - int(time)) <= tolerance


def read_header_name(given: Any, place: str) -> str:
    """The name of an HTTP header, in lower case."""
    if not isinstance(given, str) or not _HEADER.fullmatch(given):
        raise InputError(f"{place} is {given!r}; the name of an HTTP header was expected")
    return given.lower()


def _only(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise NotFoundError("member of signature", name, known)


def _one_of(given: Any, known: tuple[str, ...], place: str) -> str:
    if given not in known:
        raise InputError(f"{place} is {given!r}; one of {', '.join(known)} was expected")
    return str(given)


def _prefix(given: Any) -> str:
    if not isinstance(given, str) or len(given) > 100:
        raise InputError("signature.prefix is no short text; what stands before the signature was expected")
    return given


def _tolerance(given: Any) -> int:
    if type(given) is not int or not 1 <= given <= 86_400:
        raise InputError(f"signature.tolerance is {given!r}; seconds from 1 to 86400 were expected")
    return given
