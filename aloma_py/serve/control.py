"""The control socket: how other processes of the same user ask the engine process for operations."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from aloma_py import jsontext
from aloma_py.errors import InputError, StoreError
from aloma_py.groups import unwrapped
from aloma_py.operations import Operations
from aloma_py.operations.progress import progress
from aloma_py.serve import wire

logger = logging.getLogger("aloma_py.serve")

Finder = Callable[[str], Operations]
"""Gives the operations on a workspace, by its name."""

PROGRESS_SECONDS = 0.2
"""How often a client is told how far its operation is."""

GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead, ConnectionError)
"""What is raised where the other side has closed the connection."""


@asynccontextmanager
async def control_socket(
    store: Path, find: Finder, about: Mapping[str, str | None] | None = None
) -> AsyncIterator[Path]:
    """Answer requests on the store's control socket while this is open; gives the socket's path.

    ``about`` is what the server says of itself (:data:`aloma_py.serve.wire.ABOUT`).

    Only this user may connect (mode 0600). Whoever opens it holds the store's lock, so that a socket that is there
    already was left by a server that died, and is replaced. Raises :class:`~aloma_py.errors.StoreError` where the
    socket cannot be made.
    """
    file = wire.socket_file(store)
    folder: Path | None = None
    address = file
    try:
        file.unlink(missing_ok=True)
        if len(os.fsencode(file)) > wire.MAX_ADDRESS:
            folder = Path(tempfile.mkdtemp(prefix="aloma-"))  # mode 0700
            address = folder / "control.sock"
            file.write_text(f"{address}\n", encoding="utf-8")
        listener = await _listen(address)
    except OSError as error:
        raise StoreError(f"the control socket {file} cannot be made: {error.strerror or error}") from error
    try:
        async with listener, anyio.create_task_group() as group:
            group.start_soon(listener.serve, lambda stream: _converse(stream, find, about or {}))
            try:
                yield address
            finally:
                group.cancel_scope.cancel()
    finally:
        file.unlink(missing_ok=True)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


async def _listen(address: Path) -> anyio.abc.SocketListener:
    before = os.umask(0o177)  # so that there is no moment at which others may connect
    try:
        return await anyio.create_unix_listener(address, mode=0o600)
    finally:
        os.umask(before)


async def _converse(stream: anyio.abc.SocketStream, find: Finder, about: Mapping[str, str | None]) -> None:
    """Answer one client's requests, one after another."""
    buffered = BufferedByteReceiveStream(stream)
    try:
        async with stream:
            while True:
                try:
                    request = await buffered.receive_until(b"\n", wire.MAX_REQUEST)
                except anyio.DelimiterNotFound:
                    error = InputError(f"the request is longer than {wire.MAX_REQUEST:,} bytes")
                    await stream.send(wire.line({"error": wire.error_to_json(error)}))
                    return
                await _answer(stream, buffered, request, find, about)
    except GONE:
        pass
    except Exception:  # one client's trouble is nobody else's
        logger.exception("a request on the control socket could not be answered")


async def _answer(
    stream: anyio.abc.SocketStream,
    buffered: BufferedByteReceiveStream,
    request: bytes,
    find: Finder,
    about: Mapping[str, str | None],
) -> None:
    answer: dict[str, Any]
    try:
        workspace, name, arguments, telling = _read(request)
        if name == wire.ABOUT:
            answer = {"ok": dict(about)}
        elif name == "follow":
            await _stream(stream, buffered, find(workspace), arguments)
            answer = {"ok": None}
        elif telling:
            answer = {"ok": await _telling(stream, find(workspace), name, arguments)}
        else:
            answer = {"ok": await find(workspace).call(name, arguments)}
    except GONE:
        raise
    except Exception as error:
        reply = wire.error_to_json(error)
        if reply["family"] == "AlomaError":
            logger.exception("the request could not be answered")
        answer = {"error": reply}
    await stream.send(wire.line(answer))


async def _telling(stream: anyio.abc.SocketStream, operations: Operations, name: str, arguments: dict[str, Any]) -> Any:
    """The answer of an operation; before it, every now and then, how far it is. It ends though the client has gone."""
    latest: dict[str, tuple[str, int, int]] = {}

    def note(what: str, done: int, total: int) -> None:
        latest["is"] = (what, done, total)

    async def tell() -> None:
        with contextlib.suppress(*GONE):
            while True:
                await anyio.sleep(PROGRESS_SECONDS)
                told = latest.pop("is", None)
                if told is not None:
                    await stream.send(wire.line({"progress": told}))

    token = progress.set(note)
    try:
        with unwrapped():
            async with anyio.create_task_group() as group:
                group.start_soon(tell)
                answer = await operations.call(name, arguments)
                group.cancel_scope.cancel()
        return answer
    finally:
        progress.reset(token)


def _read(request: bytes) -> tuple[str, str, dict[str, Any], bool]:
    try:
        asked = jsontext.loads(request)
    except ValueError as error:
        raise InputError(f"the request is no JSON: {error}") from None
    match asked:
        case {"workspace": str(workspace), "op": str(name), "args": dict(arguments)}:
            return workspace, name, arguments, asked.get("progress") is True
    raise InputError('the request is not {"workspace": text, "op": text, "args": object}')


async def _stream(
    stream: anyio.abc.SocketStream,
    buffered: BufferedByteReceiveStream,
    operations: Operations,
    arguments: dict[str, Any],
) -> None:
    """Send what ``follow`` gives, until it ends or the client has gone."""
    try:
        items = operations.follow(**arguments)
    except TypeError as error:
        raise InputError(f"the operation follow: {error}") from None
    scope = anyio.CancelScope()

    async def notice_end() -> None:
        try:
            await buffered.receive_exactly(1)  # a client says nothing more while it follows
        except GONE:
            scope.cancel()

    failed: Exception | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(notice_end)
        try:
            with scope:
                async with aclosing(items) as each:
                    async for item in each:
                        await stream.send(wire.line({"item": item}))
        except Exception as error:  # kept as it is: the group would wrap it
            failed = error
        group.cancel_scope.cancel()
    if failed is not None:
        raise failed
    if scope.cancelled_caught:
        raise anyio.EndOfStream
