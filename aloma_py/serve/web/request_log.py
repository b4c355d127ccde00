"""One id for each request: in its answer, in every line that is logged for it, and in the line that it was answered."""

from __future__ import annotations

import logging
import re
import secrets
import time
from contextvars import ContextVar
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aloma_py.serve.web.door import PREFIX as DOOR
from aloma_py.serve.web.metrics import NO_ROUTE, route_of

logger = logging.getLogger("aloma_py.access")

HEADER: Final = b"x-request-id"

_GIVEN: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
"""What is taken from whoever asks; anything else is replaced by an id of our own."""


class _Request:
    """``open`` until it is answered: what was begun for it may go on longer, with a copy of its context."""

    __slots__ = ("id", "open")

    def __init__(self, id: str) -> None:
        self.id, self.open = id, True


_current: ContextVar[_Request | None] = ContextVar("aloma_py_request", default=None)


def request_id() -> str | None:
    """The id of the request that is being answered here, if one is."""
    found = _current.get()
    return found.id if found is not None and found.open else None


class RequestLog:
    """Gives each request that ``app`` answers its id, and logs it: by the route's pattern, as a path may be secret."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(_id_of(scope))
        header, begun, status = (HEADER, request.id.encode()), time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        token = _current.set(request)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            if logger.isEnabledFor(logging.INFO):
                _tell(scope, status, (time.perf_counter() - begun) * 1000)
            request.open = False
            _current.reset(token)


def _id_of(scope: Scope) -> str:
    given = next((value for name, value in scope["headers"] if name == HEADER), b"")
    return given.decode("ascii") if _GIVEN.fullmatch(given) else secrets.token_hex(16)


def _tell(scope: Scope, status: int, ms: float) -> None:
    """One line; the status is 0 where whoever asked went away before there was one."""
    route = route_of(scope)
    if route == NO_ROUTE and scope["path"].startswith(f"{DOOR}/"):
        route = f"{DOOR}/{{id}}"
    facts: dict[str, Any] = {"method": scope["method"], "route": route, "status": status, "ms": round(ms, 1)}
    named = scope.get("path_params") or {}
    if "workspace" in named:
        facts["workspace"] = str(named["workspace"])
    if "/tasks/{id}" in route:
        facts["task"] = str(named.get("id"))
    client = scope.get("client")
    if client:
        facts["client"] = client[0]
    text = "%s %s answered %d in %.1f ms"
    logger.info(text, scope["method"], route, status, ms, extra={"action": "request", **facts})
