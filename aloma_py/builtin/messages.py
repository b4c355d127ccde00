"""What the connectors that make HTTP requests share: reading what a step asks for, and the answer that it gets."""

from __future__ import annotations

from typing import Any, Final

import httpx2

from aloma_py.connect.connector import CallContext
from aloma_py.errors import CallError, suggest
from aloma_py.models import Json

OPTIONS: Final = ("method", "headers", "body", "text", "timeout")
ARGUMENTS: Final = ("url", "options", "bodyOnly")


def read_request(name: str, arguments: Json) -> tuple[str, dict[str, Any], bool]:
    """``(url, options, whether only the body is wanted)`` of ``{url, options?, bodyOnly?}``, or of a text, the url.

    ``name`` is that of the call. Raises :class:`~aloma_py.errors.CallError` for anything else.
    """
    if isinstance(arguments, str):
        arguments = {"url": arguments}
    if not isinstance(arguments, dict) or not isinstance(arguments.get("url"), str):
        raise CallError(f"{name} takes {{url: text, options?: {{…}}, bodyOnly?: boolean}}")
    options = arguments.get("options") or {}
    if not isinstance(options, dict):
        raise CallError(f"{name}: options must be an object")
    check_known(name, arguments, ARGUMENTS)
    check_options(name, options, OPTIONS)
    return arguments["url"], options, bool(arguments.get("bodyOnly"))


def check_options(name: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    """Refuse options that there are not, or that are of another type, with a :class:`~aloma_py.errors.CallError`."""
    if not isinstance(options.get("headers"), (dict, type(None))):
        raise CallError(f"{name}: headers must be an object")
    timeout = options.get("timeout", 0)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout < 0:
        raise CallError(f"{name}: timeout must be a number of milliseconds")
    check_known(name, options, known)


def check_known(name: str, given: dict[str, Any], known: tuple[str, ...]) -> None:
    for one in given:
        if one not in known:
            raise CallError(f"{name} knows no option {one!r}{suggest(one, known)}")


def headers_of(options: dict[str, Any], context: CallContext) -> dict[str, str]:
    """The request's headers, with the idempotency key and those of the trace where the step gives none such."""
    headers = {str(name): str(value) for name, value in (options.get("headers") or {}).items()}
    given = {name.lower() for name in headers}
    ours = {"Idempotency-Key": context.key, **context.headers}
    return {**headers, **{name: value for name, value in ours.items() if name.lower() not in given}}


def content_of(body: Json) -> dict[str, Any]:
    """The body as an argument of httpx2: an object or array as JSON, anything else as its text."""
    if isinstance(body, (dict, list)):
        return {"json": body}
    return {} if body is None else {"content": str(body).encode()}


def answer_of(response: httpx2.Response, *, as_text: bool, body_only: bool) -> Json:
    """``{status, ok, statusText, headers, body}``; the body parsed where it is JSON, unless ``as_text``."""
    body = _body(response, as_text=as_text)
    if body_only:
        return body
    return {
        "status": response.status_code,
        "ok": response.is_success,
        "statusText": response.reason_phrase,
        "headers": dict(response.headers),
        "body": body,
    }


def _body(response: httpx2.Response, *, as_text: bool) -> Json:
    if not as_text:
        try:
            return response.json()
        except ValueError:
            pass  # no JSON, whatever its content type says: text then
    return response.text
