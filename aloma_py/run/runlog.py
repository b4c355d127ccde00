"""The log of one run: ``log.*``, and what its code prints."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from aloma_py import jsontext
from aloma_py.clock import Clock, current_run
from aloma_py.models import Limits, LogLine


def as_text(*parts: Any) -> str:
    """Several arguments as one line: joined by a space; what is no text as JSON, or else as Python shows it."""
    return " ".join(part if isinstance(part, str) else _show(part) for part in parts)


def _show(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, dict, list)):
        try:
            return jsontext.dumps(value)
        except (TypeError, ValueError, RecursionError):
            pass
    return str(value)


class RunLog:
    """Collects lines, up to the workspace's limits; what is beyond them is dropped and said once.

    ``log.info("total", 3)``, or ``log("total", 3)``; ``log.warn`` is ``log.warning``.
    """

    def __init__(self, clock: Clock, limits: Limits) -> None:
        self._clock = clock
        self._limits = limits
        self._bytes = 0
        self._full = False
        self._partial = ""  # printed, without a line's end so far
        self.lines: list[LogLine] = []

    def __call__(self, *parts: Any) -> None:
        self.add("info", as_text(*parts))

    def debug(self, *parts: Any) -> None:
        self.add("debug", as_text(*parts))

    def info(self, *parts: Any) -> None:
        self.add("info", as_text(*parts))

    def warning(self, *parts: Any) -> None:
        self.add("warning", as_text(*parts))

    warn = warning

    def error(self, *parts: Any) -> None:
        self.add("error", as_text(*parts))

    log = info

    def add(self, level: str, text: str) -> None:
        if self._full:
            return
        left = self._limits.max_log_bytes - self._bytes
        if len(self.lines) >= self._limits.max_log_lines or len(text) > left:
            self.cut()
            return
        self._bytes += len(text)
        self.lines.append(LogLine(self._clock.now(), level, text))

    def clear(self) -> None:
        """Forget all that was said."""
        self.lines.clear()
        self._bytes, self._full, self._partial = 0, False, ""

    def cut(self) -> None:
        """Say that the log is full, and take no more lines."""
        if not self._full:
            self._full = True
            self.lines.append(LogLine(self._clock.now(), "warning", "the log of this run is full; the rest is dropped"))

    def printed(self, text: str) -> None:
        """Take what ``print`` wrote: whole lines become lines of the log."""
        *whole, self._partial = (self._partial + text).split("\n")
        for line in whole:
            self.add("info", line)
        if self._full or len(self._partial) > self._limits.max_log_bytes:
            self.add("info", self._partial)
            self._partial = ""

    def close(self) -> tuple[LogLine, ...]:
        if self._partial:
            self.add("info", self._partial)
            self._partial = ""
        return tuple(self.lines)


class _Redirect:
    """Stands in for ``sys.stdout`` while engines run: what a run's code prints goes to its log."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        log = getattr(current_run.get(), "log", None)
        if log is None:
            return self.stream.write(text)
        log.printed(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _debugger_on(stream: IO[str]) -> Callable[..., Any]:
    """What ``breakpoint()`` does in a run's code: pdb talks to the terminal, not to the log, and has no time limit."""

    def breakpoint_hook(*arguments: Any, **named: Any) -> Any:
        run = current_run.get()
        if run is None or os.environ.get("PYTHONBREAKPOINT"):
            return sys.__breakpointhook__(*arguments, **named)
        suspend: Any = getattr(run, "suspend_limit", None)
        if suspend is not None:
            suspend()
        import pdb  # nothing that every command needs to load

        pdb.Pdb(stdout=stream).set_trace(sys._getframe(1))
        return None

    return breakpoint_hook


_guard = threading.Lock()
_users = 0


@contextmanager
def capture_prints() -> Iterator[None]:
    """While this is open, ``print`` in a run's code writes to the run's log. May be open several times at once."""
    global _users
    with _guard:
        if not isinstance(sys.stdout, _Redirect):
            if sys.breakpointhook is sys.__breakpointhook__:  # else somebody, such as pytest, has a better one
                sys.breakpointhook = _debugger_on(sys.stdout)
            sys.stdout = _Redirect(sys.stdout)
        redirect: Any = sys.stdout
        _users += 1
    try:
        yield
    finally:
        with _guard:
            _users -= 1
            if _users == 0 and sys.stdout is redirect:
                sys.stdout = redirect.stream
                if getattr(sys.breakpointhook, "__module__", None) == __name__:
                    sys.breakpointhook = sys.__breakpointhook__
