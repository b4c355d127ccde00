"""The one client of the command line: it asks a server through its control socket, or has the store itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from aloma_py import jsontext
from aloma_py.errors import AlomaError, InputError, StoreError
from aloma_py.groups import unwrapped
from aloma_py.models import Json
from aloma_py.operations.progress import nobody, progress
from aloma_py.serve import wire
from aloma_py.settings import Settings

if TYPE_CHECKING:
    from aloma_py.operations import Operations

# What carries operations out takes half a second to import, and most commands ask a server: it is imported where it is
# needed.

T = TypeVar("T")

_ENDED: Final = "the server ended before it had answered; what was asked may or may not be done"


class Client(Protocol):
    """Asks for operations (see :class:`~aloma_py.operations.Operations`), wherever they are carried out."""

    async def call(self, name: str, /, **arguments: Json) -> Any:
        """The answer of the operation ``name``; raises what it raises."""

    def follow(self, **arguments: Json) -> AsyncGenerator[Any, None]:
        """The operation ``follow``."""


class LocalClient:
    """Carries operations out in this process."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def call(self, name: str, /, **arguments: Json) -> Any:
        return await self._operations.call(name, arguments)

    async def follow(self, **arguments: Any) -> AsyncGenerator[Any, None]:
        async for item in self._operations.follow(**arguments):
            yield item


class RemoteClient:
    """Asks the server at the other end of ``stream``."""

    def __init__(self, stream: anyio.abc.SocketStream, workspace: str) -> None:
        self._stream = stream
        self._buffered = BufferedByteReceiveStream(stream)
        self._workspace = workspace

    async def call(self, name: str, /, **arguments: Json) -> Any:
        told = progress.get()
        await self._ask(name, arguments, telling=told is not nobody)
        while "progress" in (answer := await self._read()):
            told(*answer["progress"])
        return answer["ok"]

    async def follow(self, **arguments: Json) -> AsyncGenerator[Any, None]:
        await self._ask("follow", arguments)
        while "item" in (
            answer := await self._read("the server ended; the task goes on when the store is served next")
        ):
            yield answer["item"]

    async def _ask(self, name: str, arguments: dict[str, Json], *, telling: bool = False) -> None:
        asked = {"workspace": self._workspace, "op": name, "args": arguments}
        await self._stream.send(wire.line({**asked, "progress": True} if telling else asked))

    async def _read(self, ended: str = _ENDED) -> dict[str, Any]:
        """The next answer; raises what it says, and :class:`StoreError` with the text ``ended`` where none comes."""
        try:
            text = await self._buffered.receive_until(b"\n", wire.MAX_ANSWER)
        except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
            raise StoreError(ended) from None
        answer: dict[str, Any] = jsontext.loads(text)
        if "error" in answer:
            raise wire.error_from_json(answer["error"])
        return answer


@asynccontextmanager
async def connect(
    settings: Settings, operation: str, sources: Sequence[str] = (), *, writing: bool = False
) -> AsyncIterator[Client]:
    """A client for ``operation``: of the server that has the store, else of the store, opened here.

    Without a server, a reading operation takes no lock, so that it works beside any other process; a writing one
    raises :class:`~aloma_py.errors.StoreBusy` where there is one. ``sources`` are the steps to use instead of
    those that were last served; a server changes tasks with its own. ``writing`` says that a reading operation brings
    something up to date.
    """
    if settings.url:
        if sources:
            raise InputError("--steps is for a local store: the server at ALOMA_URL has steps of its own")
        from aloma_py.cli.remote import connect_http  # here: most commands are about a local store

        async with connect_http(settings.url, settings.key or None, settings.workspace) as remote:
            yield remote
        return
    stream = None if sources and _is_reading(operation, writing) else await find_server(settings)
    if stream is not None:
        async with stream:
            yield RemoteClient(stream, settings.workspace)
        return
    from aloma_py.serve.house import idle_operations
    from aloma_py.store.sqlite import SQLiteStore

    async with SQLiteStore(settings.store, read_only=_is_reading(operation, writing)) as store:
        yield LocalClient(idle_operations(store, settings, sources))


def _is_reading(operation: str, writing: bool) -> bool:
    from aloma_py.operations import READING

    return operation in READING and not writing


async def find_server(settings: Settings) -> anyio.abc.SocketStream | None:
    """The connection to the store's server, or ``None``; a socket that a killed server left behind is none."""
    address = wire.socket_address(settings.store.expanduser().absolute())
    if address is None:
        return None
    try:
        return await anyio.connect_unix(address)
    except PermissionError:
        raise StoreError(f"the server of the store {settings.store} belongs to another user") from None
    except OSError:
        return None


async def ask_server(settings: Settings) -> dict[str, str | None] | None:
    """What the store's server says of itself (:data:`aloma_py.serve.wire.ABOUT`); ``None`` where none runs here.

    One of an earlier version says nothing.
    """
    stream = None if settings.url else await find_server(settings)
    if stream is None:
        return None
    async with stream:
        try:
            said: dict[str, str | None] = await RemoteClient(stream, settings.workspace).call(wire.ABOUT)
        except AlomaError:
            return {}
        return said


def reached(settings: Settings) -> str:
    """The address at which the server is reached, as far as it is known from here; an empty text for none."""
    found = settings.public_url or settings.url
    if not found:
        said = run(lambda: ask_server(settings)) or {}
        here = None if settings.http == "off" else f"http://{settings.http}"
        found = said.get("public") or said.get("http", here) or ""
    return found.rstrip("/")


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` in an event loop. What it raises comes out as it is, not in a task group's wrapping."""
    with unwrapped():
        return anyio.run(work)


def ask(
    settings: Settings, name: str, /, *, sources: Sequence[str] = (), writing: bool = False, **arguments: Json
) -> Any:
    """The answer of one operation (see :func:`connect`)."""

    async def work() -> Any:
        async with connect(settings, name, sources, writing=writing) as client:
            return await client.call(name, **arguments)

    return run(work)


def ask_in_memory(settings: Settings, name: str, /, *, sources: Sequence[str], **arguments: Json) -> Any:
    """The answer of an operation that needs steps and no stored tasks."""

    from aloma_py.serve.house import idle_operations
    from aloma_py.store.sqlite import SQLiteStore

    async def work() -> Any:
        async with SQLiteStore(":memory:") as store:
            return await idle_operations(store, settings, sources).call(name, arguments)

    return run(work)
