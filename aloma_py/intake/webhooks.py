"""What a webhook asks for (its options), and what a request to it becomes: data, ``$via``, a key. Pure values."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final

from aloma_py.durations import parse_duration
from aloma_py.errors import InputError, NotFoundError, PayloadError
from aloma_py.intake.checks import check_name
from aloma_py.intake.forms import parameters, read_multipart, read_urlencoded
from aloma_py.intake.jsontask import _decode, _parse
from aloma_py.intake.signatures import PRESETS, Signature, read_header_name, read_signature
from aloma_py.models import Json, Limits, Millis
from aloma_py.paths import MISSING, Path, get, parse_path

DEFAULT_HEADERS: Final = (
    "content-type",
    "user-agent",
    "x-github-event",
    "x-gitlab-event",
    "x-shopify-topic",
    "x-event-key",
    "traceparent",
)
"""Headers that go into ``$via.headers`` where the options name no others."""

SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that are never put into a task."""

MAX_QUERY: Final = 8192
"""How many characters the query string may have."""

MAX_KEY: Final = 200
"""Deduplication keys that are longer, or not printable, are kept as their hash."""

MAX_TIMEOUT: Millis = 60_000

_CHARSETS: Final = {"utf-8", "utf8", "us-ascii", "iso-8859-1", "latin1", "windows-1252", "utf-16"}


class BodyError(PayloadError):
    """A body that cannot be taken; ``status`` is that of the answer: 400, 413, 415."""

    def __init__(self, reason: str, status: int) -> None:
        self.status = status
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Dedupe:
    """Where a delivery's own name is: in a header, or at a path of the body."""

    header: str | None = None
    body: Path | None = None


DEDUPE_PRESETS: Final[Mapping[str, Dedupe]] = {
    "github": Dedupe(header="x-github-delivery"),
    "stripe": Dedupe(body=("id",)),
    "shopify": Dedupe(header="x-shopify-webhook-id"),
    "slack": Dedupe(body=("event_id",)),
}


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """What a webhook asks for. ``rate`` is a minute's deliveries, ``timeout`` that of ``respond="result"``."""

    signature: Signature | None = None
    dedupe: Dedupe | None = None
    headers: tuple[str, ...] = DEFAULT_HEADERS
    rate: int | None = None
    max_bytes: int | None = None
    allow: tuple[IPv4Network | IPv6Network, ...] = ()
    respond: str = "accepted"
    timeout: Millis = 10_000
    task: str | None = None  # the tasks' name; None: the webhook's
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a request becomes: a task's data (without ``$via``), what more is in its ``$via``, and its own name."""

    data: dict[str, Json]
    via: dict[str, Json]
    key: str | None


# ── options ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_options(given: Mapping[str, Json]) -> WebhookOptions:
    """The options of a webhook from JSON; :class:`~aloma_py.errors.InputError` says what is wrong with them."""
    read: dict[str, Any] = {}
    for name, value in given.items():
        reader = _OPTIONS.get(name)
        if reader is None:
            raise NotFoundError("option of a webhook", name, _OPTIONS)
        read[name] = reader(value)
    options = WebhookOptions(**read)
    signature = options.signature
    if signature is not None and signature.header in options.headers:
        raise InputError(f"headers names {signature.header}, which holds the signature: it is never put into a task")
    return options


def read_dedupe(given: Json) -> Dedupe | None:
    """A preset's name, ``header:NAME``, ``body:PATH``, or ``none``."""
    if given is None or given == "none":
        return None
    if isinstance(given, str):
        kind, colon, rest = given.partition(":")
        if given in DEDUPE_PRESETS:
            return DEDUPE_PRESETS[given]
        if colon and rest and kind == "header":
            return Dedupe(header=read_header_name(rest, "dedupe"))
        if colon and rest and kind == "body":
            return Dedupe(body=parse_path(rest))
        raise NotFoundError("way to deduplicate", given, [*DEDUPE_PRESETS, "header:NAME", "body:PATH", "none"])
    raise InputError(f"dedupe is {given!r}; {', '.join(DEDUPE_PRESETS)}, header:NAME, body:PATH or none was expected")


def _headers(given: Json) -> tuple[str, ...]:
    if not isinstance(given, list) or len(given) > 50:
        raise InputError("headers is no list of at most 50 names of headers")
    found = tuple(dict.fromkeys(read_header_name(one, "headers") for one in given))
    for name in found:
        if name in SECRET_HEADERS:
            raise InputError(f"headers names {name}, which is never put into a task")
    return found


def _allow(given: Json) -> tuple[IPv4Network | IPv6Network, ...]:
    if not isinstance(given, list) or len(given) > 1000:
        raise InputError("allow is no list of addresses, such as 192.0.2.0/24")
    return tuple(read_network(one, "allow") for one in given)


def read_network(given: Any, place: str) -> IPv4Network | IPv6Network:
    """An address, or a range of them as ``192.0.2.0/24``."""
    try:
        if isinstance(given, str):
            return ip_network(given)
    except ValueError:
        pass
    raise InputError(f"{place} has {given!r}; an address, or a range such as 192.0.2.0/24, was expected")


def _whole(name: str, largest: int) -> Callable[[Json], int | None]:
    def read(given: Json) -> int | None:
        if given is not None and (type(given) is not int or not 1 <= given <= largest):
            raise InputError(f"{name} is {given!r}; a whole number from 1 to {largest:,} was expected")
        return given

    return read


def _respond(given: Json) -> str:
    if given not in ("accepted", "result"):
        raise InputError(f"respond is {given!r}; accepted or result was expected")
    return str(given)


def _timeout(given: Json) -> Millis:
    found = parse_duration(given, "timeout")
    if not 1 <= found <= MAX_TIMEOUT:
        raise InputError(f"timeout is {given!r}; at most {MAX_TIMEOUT // 1000} s was expected")
    return found


def _description(given: Json) -> str | None:
    if given is not None and (not isinstance(given, str) or len(given) > 2000):
        raise InputError("description is no text of at most 2000 characters")
    return given


_OPTIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "signature": read_signature,
    "dedupe": read_dedupe,
    "headers": _headers,
    "rate": _whole("rate", 10_000_000),
    "max_bytes": _whole("max_bytes", 100_000_000),
    "allow": _allow,
    "respond": _respond,
    "timeout": _timeout,
    "task": lambda given: None if given is None else check_name(given),
    "description": _description,
}


# ── deliveries ──────────────────────────────────────────────────────────────────────────────────────────────────────


def read_delivery(
    options: WebhookOptions, headers: Mapping[str, str], query: str, body: bytes, limits: Limits
) -> Delivery:
    """What a request becomes.

    ``headers`` have names in lower case, ``query`` is what stands behind the ``?``. Raises :class:`BodyError` for a
    body of a kind that is not taken, :class:`~aloma_py.errors.PayloadError` for what is wrong inside it.
    """
    check_encoding(headers)
    via: dict[str, Json] = {}
    kept: dict[str, Json] = {name: headers[name] for name in options.headers if name in headers}
    asked: dict[str, Json] = {}
    if query:
        if len(query) > MAX_QUERY:
            raise BodyError(f"the query has more than {MAX_QUERY:,} characters", 414)
        asked = read_urlencoded(query, "the query")
        _check_names(asked, "the query")
        via["query"] = asked
    if body.strip():
        data, plain = _read_body(headers.get("content-type", ""), body, limits)
        if plain:
            kept["content-type"] = headers["content-type"]
    else:
        data = dict(asked)
    data.pop("$via", None)  # where a task came from is not for the sender to say
    if kept:
        via["headers"] = kept
    return Delivery(data, via, _key(options.dedupe, headers, data))


def check_encoding(headers: Mapping[str, str]) -> None:
    """Refuse a compressed body: a small one may be endless when it is unpacked."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise BodyError(f"the body is compressed ({encoding[:40]}); send it as it is, without Content-Encoding", 415)


def _read_body(content_type: str, body: bytes, limits: Limits) -> tuple[dict[str, Json], bool]:
    """The data, and whether the body was kept as text because of its type."""
    kind = content_type.partition(";")[0].strip().lower()
    charset = parameters(content_type).get("charset", "utf-8").lower() if ";" in content_type else "utf-8"
    if kind == "application/json" or kind.endswith("+json"):
        if charset not in ("utf-8", "utf8", "us-ascii"):
            raise BodyError(f"the body is JSON in the charset {charset[:40]}; UTF-8 was expected", 415)
        return _wrapped(_read_json(body, limits)), False
    if kind == "application/x-www-form-urlencoded":
        if body.lstrip()[:1] in (b"{", b"[") and _is_json(body, limits):  # what curl -d sends when nothing is said
            raise BodyError("the body is JSON but is declared a form; send Content-Type: application/json", 415)
        return _named(read_urlencoded(_text(body, charset, kind), "the form")), False
    if kind == "multipart/form-data":
        return _named(read_multipart(body, content_type, "the form")), False
    text = _text(body, charset, kind)
    if kind in ("", "text/plain"):
        return (_wrapped(_read_json(body, limits)) if _is_json(body, limits) else {"body": text}), False
    return {"body": text}, True


def _read_json(body: bytes, limits: Limits) -> Json:
    source = _decode(body, "the body", limits)
    value = _parse(source, "the body")
    if "\\u" in source or "__proto__" in source:
        _check_names(value, "the body")
    return value


def _is_json(body: bytes, limits: Limits) -> bool:
    try:
        _parse(_decode(body, "the body", limits), "the body")
    except PayloadError:
        return False
    return True


def _wrapped(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {"body": value}


def _named(form: dict[str, Json]) -> dict[str, Json]:
    _check_names(form, "the form")
    return form


def _text(body: bytes, charset: str, kind: str) -> str:
    if charset not in _CHARSETS:
        raise BodyError(f"the body is in the charset {charset[:40]}, which is not known here; use UTF-8", 415)
    try:
        return body.decode(charset)
    except UnicodeDecodeError as error:
        raise BodyError(
            f"the body ({kind[:80] or 'without Content-Type'}) is no {charset} text from byte {error.start + 1} on; "
            "JSON, a form or text was expected",
            415,
        ) from None


def _check_names(value: Json, where: str) -> None:
    """Refuse what JavaScript would take for an object's prototype, and halves of characters."""
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if "__proto__" in one:
                raise PayloadError(f"{where} has a member __proto__, which is not taken; another name was expected")
            waiting.extend(one)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, str) and not one.isascii():
            try:
                one.encode()
            except UnicodeEncodeError as error:
                half = ord(one[error.start])
                raise PayloadError(
                    f"{where} has half a character (U+{half:04X}) in a text; its other half was expected beside it"
                ) from None


def _key(dedupe: Dedupe | None, headers: Mapping[str, str], data: dict[str, Json]) -> str | None:
    if dedupe is None:
        return None
    if dedupe.header is not None:
        found: Any = headers.get(dedupe.header)
    else:
        found = get(data, dedupe.body or ())
    if found is MISSING or type(found) not in (str, int) or found == "":
        return None
    text = str(found)
    if len(text) <= MAX_KEY and text.isprintable():
        return text
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


__all__ = ["DEDUPE_PRESETS", "PRESETS", "BodyError", "Delivery", "WebhookOptions", "read_delivery", "read_options"]
