"""The web server inside the engine's process: uvicorn, started and stopped with everything else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import anyio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aloma_py.errors import InputError, StoreError
from aloma_py.serve.web.problems import problem

logger = logging.getLogger("aloma_py.serve")

LONGEST_HEAD: Final = 64 * 1024
"""How many bytes a request may have before its body."""

LONGEST_ADDRESS: Final = 16 * 1024

HEAD_SECONDS: Final = 20
"""Seconds in which what stands before a body must have come, from the connection or from its first byte on."""

UNREADABLE: Final = "this is no HTTP/1.1 request, or its parts contradict each other"

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


class _Protocol(HttpToolsProtocol):
    """Tells what is wrong with what is no HTTP as a problem, too, and bounds what stands before a body.

    Who connects and says nothing, or says it slowly, does not keep a connection.
    """

    _refused: tuple[int, str] | None = None
    _size = 0  # of the headers that were read
    _waiting: int | None = None  # bytes that came while a head is not whole; None: no head is being read
    _deadline: asyncio.TimerHandle | None = None  # by which the next head is to be whole

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._take(data)
        self._watch_head()

    def _take(self, data: bytes) -> None:
        before = self._waiting
        super().data_received(data)
        if before is not None and self._waiting is not None:
            self._waiting = before + len(data)
            if self._waiting > LONGEST_HEAD:  # one header without an end is not seen before it is whole
                self._refuse_head()
                self.send_400_response("")

    def _watch_head(self) -> None:
        """Have the clock run as long as nothing is to be answered."""
        if self._waiting is None and self.cycle is not None and not self.cycle.response_complete:
            self._forget_deadline()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._end_waiting)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_waiting(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._waiting is not None:
            self._refused = 408, f"the headers did not come within {HEAD_SECONDS} seconds"
            self.send_400_response("")
        else:
            self.transport.close()

    def on_message_begin(self) -> None:
        self._size, self._waiting = 0, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._size += len(name) + len(value)
        if self._size > LONGEST_HEAD:
            self._refuse_head()
            raise ValueError  # ends the parser's work
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._waiting = None
        if len(self.url) > LONGEST_ADDRESS:
            self._refused = 414, f"the address is longer than {LONGEST_ADDRESS:,} bytes"
            raise ValueError
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            raise ValueError
        super().on_headers_complete()

    def _refuse_head(self) -> None:
        self._refused = 431, f"the headers are longer than {LONGEST_HEAD:,} bytes"

    def send_400_response(self, msg: str) -> None:
        """Instead of uvicorn's plain text; nothing where an answer is on its way already."""
        if not (self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete):
            status, detail = self._refused or (400, UNREADABLE)
            answer = problem(status, detail, {"Connection": "close", "Cache-Control": "no-store",
                                              "X-Content-Type-Options": "nosniff"})  # fmt: skip
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode("ascii")
            lines = (name + b": " + value + b"\r\n" for name, value in answer.raw_headers)
            self.transport.write(head + b"".join(lines) + b"\r\n" + bytes(answer.body))
        self.transport.close()


class _Server(uvicorn.Server):
    """Signals are the engine's own concern."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """Answer requests while this is open. Those under way then have :data:`CLOSING` to end, also where all else is
    cancelled."""
    config = uvicorn.Config(
        app,
        http=_Protocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anybody may send X-Forwarded-For: who believes it, says of whom (the setting `proxies`)
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=CLOSING,
    )
    server = _Server(config)
    ended, working = anyio.Event(), anyio.CancelScope(shield=True)

    async def serve() -> None:
        try:
            with working:
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
            working.cancel()
            group.cancel_scope.cancel()
