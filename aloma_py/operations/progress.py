"""How far long work is: whoever asked for an operation may be told, wherever the work is done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import anyio.from_thread

Progress = Callable[[str, int, int], None]
"""Is told what is being done, and how much of how much of it is done. It may be called from any thread."""


def nobody(what: str, done: int, total: int) -> None:
    """Where nobody wants to know."""


progress: Final[ContextVar[Progress]] = ContextVar("aloma_py_progress", default=nobody)
"""Who is told of the operation that is being carried out."""


def telling(what: str) -> Callable[[int, int], None]:
    """What long work calls with how much of how much is done. In a thread, it ends the work that nobody waits for."""
    told = progress.get()

    def tell(done: int, total: int) -> None:
        with contextlib.suppress(RuntimeError):  # no thread of anyio's: whoever is cancelled ends by itself
            anyio.from_thread.check_cancelled()
        told(what, done, total)

    return tell


class Counting:
    """Adds up what is done; ``told`` is called with each new sum, of ``total``."""

    def __init__(self, what: str, total: int) -> None:
        self._told = telling(what)
        self._done = 0
        self._total = total

    def __call__(self, count: int) -> None:
        self._done += count
        self._told(self._done, self._total)
