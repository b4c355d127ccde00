"""``connectors.fetch``: HTTP requests. It answers for any status; it raises only where there was no answer."""

from __future__ import annotations

from collections.abc import Callable

import httpx2

from aloma_py.builtin.messages import answer_of, content_of, headers_of, read_request
from aloma_py.connect.connector import CallContext, Connector
from aloma_py.connect.outbound import client
from aloma_py.errors import CallError
from aloma_py.hookspecs import hookimpl
from aloma_py.models import Json


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
        self._client: httpx2.AsyncClient | None = None

    async def call(self, method: str, arguments: Json, context: CallContext) -> Json:
        url, options, body_only = read_request("fetch", arguments)
        try:
            response = await self._opened().request(
                str(options.get("method", "GET")).upper(),
                url,
                headers=headers_of(options, context),
                timeout=options.get("timeout", 30_000) / 1000,
                **content_of(options.get("body")),
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise CallError(f"fetch {url}: {type(error).__name__}: {error}") from error
        return answer_of(response, as_text=bool(options.get("text")), body_only=body_only)

    def _opened(self) -> httpx2.AsyncClient:
        """The client: one for all calls, whose connections stay open for the next."""
        if self._client is None:
            self._client = client(self._transport, follow_redirects=True)
        return self._client

    async def aclose(self) -> None:
        """Close the connections; the next call opens others."""
        opened, self._client = self._client, None
        if opened is not None:
            await opened.aclose()


@hookimpl
def register_connectors(register: Callable[[Connector], None]) -> None:
    register(Fetch())
