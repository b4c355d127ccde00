"""``connectors.fetch``: HTTP requests. It answers for any status; it raises only where there was no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2

from aloma_py.connect.connector import CallContext, Connector
from aloma_py.errors import CallError, suggest
from aloma_py.hookspecs import hookimpl
from aloma_py.models import Json

OPTIONS = ("method", "headers", "body", "text", "timeout")
ARGUMENTS = ("url", "options", "bodyOnly")


class Fetch:
    """``connectors.fetch({"url": …, "options": {"method", "headers", "body", "text", "timeout"}, "bodyOnly": …})``.

    Gives ``{status, ok, statusText, headers, body}``; the body is parsed where it is JSON (unless ``text`` is true),
    else text. ``bodyOnly`` gives the body alone. A body that is an object or array is sent as JSON. ``timeout`` is in
    milliseconds, 30,000 unless told.
    """

    namespace = "fetch"
    methods: tuple[str, ...] | None = ("fetch",)
    default: str | None = "fetch"
    recorded = True

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._transport = transport  # tests hand in a httpx2.MockTransport

    async def call(self, method: str, arguments: Json, context: CallContext) -> Json:
        url, options, body_only = _checked(arguments)
        headers = {str(name): str(value) for name, value in (options.get("headers") or {}).items()}
        body = options.get("body")
        content: dict[str, Any] = {}
        if isinstance(body, (dict, list)):
            content["json"] = body
        elif body is not None:
            content["content"] = str(body).encode()
        if not any(name.lower() == "idempotency-key" for name in headers):
            headers["Idempotency-Key"] = context.key
        try:
            async with httpx2.AsyncClient(transport=self._transport, follow_redirects=True) as client:
                response = await client.request(
                    str(options.get("method", "GET")).upper(),
                    url,
                    headers=headers,
                    timeout=options.get("timeout", 30_000) / 1000,
                    **content,
                )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise CallError(f"fetch {url}: {type(error).__name__}: {error}") from error
        answer = {
            "status": response.status_code,
            "ok": response.is_success,
            "statusText": response.reason_phrase,
            "headers": dict(response.headers),
            "body": _body(response, as_text=bool(options.get("text"))),
        }
        return answer["body"] if body_only else answer


def _checked(arguments: Json) -> tuple[str, dict[str, Any], bool]:
    if isinstance(arguments, str):
        arguments = {"url": arguments}
    if not isinstance(arguments, dict) or not isinstance(arguments.get("url"), str):
        raise CallError("fetch takes {url: text, options?: {…}, bodyOnly?: boolean}")
    options = arguments.get("options") or {}
    if not isinstance(options, dict):
        raise CallError("fetch: options must be an object")
    if not isinstance(options.get("headers"), (dict, type(None))):
        raise CallError("fetch: headers must be an object")
    timeout = options.get("timeout", 0)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout < 0:
        raise CallError("fetch: timeout must be a number of milliseconds")
    for given, known in ((arguments, ARGUMENTS), (options, OPTIONS)):
        for name in given:
            if name not in known:
                raise CallError(f"fetch knows no option {name!r}{suggest(name, known)}")
    return arguments["url"], options, bool(arguments.get("bodyOnly"))


def _body(response: httpx2.Response, *, as_text: bool) -> Json:
    if not as_text:
        try:
            return response.json()
        except ValueError:
            pass  # no JSON, whatever its content type says: text then
    return response.text


@hookimpl
def register_connectors(register: Callable[[Connector], None]) -> None:
    register(Fetch())
