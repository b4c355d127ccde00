"""A bar on stderr while long work is done: on a terminal only, and once it has taken half a second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aloma_py.cli.options import Common
from aloma_py.operations.progress import Progress, nobody, progress

PATIENCE = 0.5
"""Seconds in which work may end without a bar."""


@contextmanager
def shown(common: Common, what: str) -> Iterator[Progress]:
    """Show how far operations are that are asked for inside; ``what`` is being done while they say nothing.

    Gives what may be told by work in this process too. Nothing is shown where stderr is no terminal, or with --json.
    """
    if common.as_json or not sys.stderr.isatty():
        yield nobody
        return
    bar = _Bar(what)
    token = progress.set(bar.tell)
    try:
        yield bar.tell
    finally:
        progress.reset(token)
        bar.end()


class _Bar:
    """Comes up by itself; what it is told before is what it begins with. It may be told things by any thread."""

    def __init__(self, what: str) -> None:
        from rich.console import Console  # here: most commands show none
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
            console=Console(file=sys.stderr, markup=False, emoji=False), transient=True,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self._now = self._bars.add_task(what, total=None)
        self._what = what
        self._lock = threading.Lock()
        self._ended = False
        self._timer = threading.Timer(PATIENCE, self._begin)
        self._timer.daemon = True
        self._timer.start()

    def tell(self, what: str, done: int, total: int) -> None:
        if what != self._what:  # another bar, so that the time that is left is that of this part
            self._bars.remove_task(self._now)
            self._what, self._now = what, self._bars.add_task(what, total=total)
        self._bars.update(self._now, completed=done, total=max(total, 1))

    def end(self) -> None:
        with self._lock:
            self._ended = True
            self._timer.cancel()
            self._bars.stop()

    def _begin(self) -> None:
        with self._lock:
            if not self._ended:
                self._bars.start()
