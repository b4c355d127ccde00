"""How often somebody may be wrong: attempts at passwords and tokens, counted by email and by address, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from aloma_py.models import Millis
from aloma_py.serve.web.problems import AccessError

LIMITS: Final = {"email": 5, "address": 20}
"""Failures within :data:`WINDOW` after which attempts are refused; many people may share an address."""

WINDOW: Final[Millis] = 60_000
LONGEST: Final[Millis] = 15 * 60_000
"""The longest time for which attempts are refused: longer would let anybody keep somebody out."""

MEMORY: Final[Millis] = 3_600_000
"""How long it is remembered that attempts were refused, to refuse them for twice as long the next time."""

MOST: Final = 10_000
"""Emails and addresses that are remembered."""


@dataclass(slots=True)
class _Count:
    since: Millis
    failures: int = 0
    under_way: int = 0
    blocks: int = 0
    blocked_until: Millis = 0


@dataclass(slots=True)
class Attempt:
    """One that is under way; it failed unless it is told to have succeeded."""

    good: bool = False

    def succeeded(self) -> None:
        self.good = True


class Attempts:
    """Counts attempts, on the clock ``now``."""

    def __init__(self, now: Callable[[], Millis]) -> None:
        self._now = now
        self._counts: dict[str, _Count] = {}

    @contextmanager
    def at(self, *names: str) -> Iterator[Attempt]:
        """An attempt at each of ``names`` (``email …``, ``address …``), or :class:`AccessError` 429.

        It counts as a failure where the block raises :class:`AccessError`. Attempts that are under way count as
        failures as long as they are, so that many at once gain nothing.
        """
        counts = {name: self._count(name) for name in names}
        wait = max(self._wait(name, count) for name, count in counts.items())
        if wait > 0:
            raise AccessError(429, f"too many attempts failed; try again in {wait} s", retry_after=wait)
        attempt = Attempt()
        for count in counts.values():
            count.under_way += 1
        try:
            yield attempt
        except AccessError:
            for name, count in counts.items():
                self._fail(name, count)
            raise
        finally:
            for count in counts.values():
                count.under_way -= 1
        if attempt.good:
            for name in names:
                if name.startswith("email "):  # who knows one password may go on trying others from there
                    self._counts.pop(name, None)

    def _count(self, name: str) -> _Count:
        now = self._now()
        count = self._counts.pop(name, None)
        if count is None or now - max(count.since, count.blocked_until) > MEMORY:
            self._forget(now)
            count = _Count(now) if count is None or not count.under_way else count
        if now - count.since > WINDOW:
            count.since, count.failures = now, 0
        self._counts[name] = count  # the one that was used last is last
        return count

    def _wait(self, name: str, count: _Count) -> int:
        """Seconds until an attempt may be made; 0: now."""
        left = count.blocked_until - self._now()
        if left > 0:
            return -(-left // 1000)
        return 1 if count.failures + count.under_way >= LIMITS[name.split(" ", 1)[0]] else 0

    def _fail(self, name: str, count: _Count) -> None:
        count.failures += 1
        if count.failures >= LIMITS[name.split(" ", 1)[0]]:
            count.blocked_until = self._now() + min(WINDOW * 2**count.blocks, LONGEST)
            count.blocks = min(count.blocks + 1, 8)
            count.failures = 0

    def _forget(self, now: Millis) -> None:
        """Make room: what is old goes, then what was used longest ago."""
        if len(self._counts) < MOST:
            return
        old = [name for name, one in self._counts.items() if now - max(one.since, one.blocked_until) > MEMORY]
        for name in old or list(self._counts)[: MOST // 10]:
            del self._counts[name]
