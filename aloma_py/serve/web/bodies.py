"""How long a request's body may be, and how long it may take to come."""

from __future__ import annotations

import re
from typing import Final

import anyio
from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aloma_py.serve.web.problems import problem

SECONDS: Final = 30
"""Seconds in which a body must have come."""

SMALL: Final = 16 * 1024
"""The longest body of those who are not known yet, in bytes."""

LARGE: Final = 16 * 1024 * 1024
"""The longest body of many scripts."""

IMPORTS: Final = re.compile(r"/workspaces/[^/]+/import")

OPEN: Final = ("/session", "/setup", "/invitation", "/me/password")


class Bodies:
    """Refuses bodies that are too long (413) or too slow (408) before they are in memory.

    ``most`` is the longest ordinary body in bytes. What streams has limits of its own (bulk intake, imports).
    """

    def __init__(self, app: ASGIApp, prefix: str, most: int) -> None:
        self._app = app
        self._prefix = prefix
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(self._prefix)
        if path.endswith("/tasks/bulk") or IMPORTS.fullmatch(path):
            await self._app(scope, receive, send)
            return
        most = SMALL if path in OPEN else LARGE if path.endswith("/scripts") else self._most
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not announced.isdigit() or int(announced) > most:
            await problem(413, f"the body is longer than {most:,} bytes")(scope, receive, send)
            return
        await self._app(scope, _limited(receive, most), send)


def _limited(receive: Receive, most: int) -> Receive:
    """``receive`` as far as the body is not too long or too slow; an ``HTTPException`` beyond."""
    size = 0
    whole = False
    deadline = anyio.current_time() + SECONDS

    async def limited() -> Message:
        nonlocal size, whole
        if whole:  # whoever waits for the client to go away may wait
            return await receive()
        with anyio.move_on_at(deadline):
            message = await receive()
            if message["type"] == "http.request":
                size += len(message.get("body", b""))
                whole = not message.get("more_body", False)
            if size > most:
                raise HTTPException(413, f"the body is longer than {most:,} bytes")
            return message
        raise HTTPException(408, f"the body did not come within {SECONDS} seconds")

    return limited
