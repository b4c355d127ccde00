"""Work in a thread of its own that ends soon when it is told to, and holds up nobody who leaves it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

import anyio

from aloma_py.sync.errors import SourceError

T = TypeVar("T")

SECONDS: Final = 120.0
"""How long a repository may take."""

LINGER: Final = 1.0
"""Seconds that are left to the thread to clean up, when nobody waits for its result any more."""


class Stopped(Exception):
    """Nobody waits for the result any more."""


class Stop:
    """What the work asks whether it may go on. ``seconds`` is all it has."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + seconds
        self._told = False
        self._closers: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raises where the work is to end."""
        if self._told:
            raise Stopped
        if time.monotonic() > self._ends:
            raise self.late()

    def late(self) -> SourceError:
        return SourceError(f"the repository took longer than {self._seconds:g} s")

    def left(self, most: float) -> float:
        """Seconds that a single wait may take: at its end all the time is over, or it was the other side's fault."""
        self.check()
        return min(most, self._ends - time.monotonic() + 0.05)

    def closing(self, close: Callable[[], object]) -> None:
        """Have ``close`` called when the work is to end, so that what waits on a connection wakes up."""
        with self._lock:
            if not self._told:
                self._closers.append(close)
                return
        close()

    def tell(self) -> None:
        """The work is to end."""
        with self._lock:
            self._told = True
            closers, self._closers = self._closers, []
        for close in closers:
            with contextlib.suppress(Exception):
                close()


async def in_thread(work: Callable[[Stop], T], seconds: float = SECONDS) -> T:
    """What ``work`` gives. Not a thread of the pool: those hold up the end of the process.

    Raises :class:`SourceError` where it takes longer than ``seconds``. When this is cancelled, the work is told to
    stop, and is left alone after a second.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()
    ended = asyncio.Event()
    stop = Stop(seconds)

    def settle(value: T | None, error: BaseException | None) -> None:
        ended.set()
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value, error = None, None
        try:
            value = work(stop)
        except BaseException as caught:
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop may be gone
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="aloma_py source", daemon=True).start()
    try:
        with anyio.fail_after(seconds):
            return await result
    except TimeoutError:
        raise stop.late() from None
    finally:
        stop.tell()
        result.cancel()
        with anyio.CancelScope(shield=True), anyio.move_on_after(LINGER):
            await ended.wait()
