"""The web server inside the engine's process: uvicorn, started and stopped with everything else."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp

from aloma_py.errors import InputError, StoreError

logger = logging.getLogger("aloma_py.serve")

CLOSING = 3
"""Seconds that requests under way have to end when the server stops."""


def read_address(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``; port 0 is any that is free."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65_535:
        raise InputError(f"{text!r} is no address to listen at: HOST:PORT was expected, as 127.0.0.1:8765")
    return host.strip("[]"), int(port)


def listen(address: str) -> socket.socket:
    """A socket that listens at the address. Raises :class:`~aloma_py.errors.StoreError` where it cannot."""
    host, port = read_address(address)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(1024)
    except OSError as error:
        cure = "ALOMA_HTTP=HOST:PORT names another place, ALOMA_HTTP=off none"
        raise StoreError(f"cannot listen at {address}: {error.strerror or error} ({cure})") from error
    found.setblocking(False)
    return found


def address_of(listener: socket.socket) -> str:
    """``http://HOST:PORT`` of a socket that listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Signals are the engine's own concern."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Answer requests while this is open."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anybody may send X-Forwarded-For: who believes it, says of whom (the setting `proxies`)
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=CLOSING,
    )
    server = _Server(config)
    ended = anyio.Event()

    async def serve() -> None:
        try:
            await server.serve([listener])
        finally:
            ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        try:
            yield
        finally:
            server.should_exit = True
            with anyio.move_on_after(CLOSING + 2, shield=True):
                await ended.wait()
            group.cancel_scope.cancel()
