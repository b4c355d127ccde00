"""Calls that a step's code has begun: awaited, left to themselves, or left in the data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import anyio
import anyio.abc
import anyio.from_thread


class Pending:
    """A call under way; ``await`` gives its answer or raises its error, any number of times."""

    __slots__ = ("_done", "_error", "_value", "awaited", "what")

    def __init__(self, what: str) -> None:
        self.what = what
        self.awaited = False
        self._done = anyio.Event()
        self._value: Any = None
        self._error: Exception | None = None

    async def run(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Do the work and keep what comes of it."""
        try:
            self._value = await work()
        except Exception as error:  # kept for whoever awaits; else it fails the run at its end
            self._error = error
        finally:
            self._done.set()

    def __await__(self) -> Generator[Any, None, Any]:
        self.awaited = True
        return self._wait().__await__()

    async def _wait(self) -> Any:
        await self._done.wait()
        if self._error is not None:
            raise self._error
        return self._value

    @property
    def failed(self) -> bool:
        """Whether it ended with an error."""
        return self._error is not None

    async def settle(self) -> Any:
        """What came of it, at the run's end. An error that the code has seen already is not raised again."""
        await self._done.wait()
        if self._error is not None and not self.awaited:
            raise self._error
        return self._value

    def __repr__(self) -> str:
        return f"<the answer of {self.what}, not awaited>"


class Calls:
    """The calls of one run. In an ``async def`` step they run beside its code; in a ``def`` step its thread waits.

    Use as an async context manager around the code; leaving it waits for every call.
    """

    def __init__(self, *, in_thread: bool, watch: Stopwatch) -> None:
        self._in_thread = in_thread
        self._watch = watch
        self._group: anyio.abc.TaskGroup | None = None
        self.pending: list[Pending] = []

    async def __aenter__(self) -> Calls:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exc_info: Any) -> bool | None:
        assert self._group is not None
        if exc_info[0] is not None:
            self._group.cancel_scope.cancel()  # the code has failed: nobody wants the answers
        return await self._group.__aexit__(*exc_info)

    def start(self, what: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Begin ``work``: a :class:`Pending` for code on the loop, the answer itself for code in a thread."""
        timed = self._watch.without(work)
        if self._in_thread:
            return anyio.from_thread.run(_awaited, timed)
        if self._group is None:
            raise RuntimeError("the run has ended")
        call = Pending(what)
        self.pending.append(call)
        self._group.start_soon(call.run, timed)
        return call


async def _awaited(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


class Stopwatch:
    """A time limit that does not run while a call is under way (SPEC §4). ``scope`` is cancelled when it is over."""

    def __init__(self, seconds: float | None) -> None:
        self.scope = anyio.CancelScope()
        self._calls = 0
        self._left = seconds
        if seconds is not None:
            self.scope.deadline = anyio.current_time() + seconds

    def without(self, work: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
        """``work``, with the limit held while it is under way."""
        if self._left is None:
            return work

        async def timed() -> Any:
            self._hold()
            try:
                return await work()
            finally:
                self._go_on()

        return timed

    def suspend(self) -> None:
        """Have no limit any more: somebody looks at the code in a debugger. Called on the event loop."""
        self._left = None
        self.scope.deadline = float("inf")

    def _hold(self) -> None:
        self._calls += 1
        if self._calls == 1 and self._left is not None:
            self._left = max(self.scope.deadline - anyio.current_time(), 0)
            self.scope.deadline = float("inf")

    def _go_on(self) -> None:
        self._calls -= 1
        if self._calls == 0 and self._left is not None:
            self.scope.deadline = anyio.current_time() + self._left
