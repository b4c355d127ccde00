"""When schedules come. Pure values: the time is always given.

A schedule is a cron expression in a time zone, or an interval. Where the clock is set forward or back (SPEC §6):

- An expression whose second, minute and hour do not begin with ``*`` names times of day. Each comes once: the first
  time where the clock shows it twice; where it does not show it at all, ``dst`` says: ``shift`` to the moment when the
  clock was set, or ``skip``.
- Any other expression, and every interval, goes on in real time: ``*/15 * * * *`` comes every fifteen minutes, whatever
  the clock shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from aloma_py.models import Millis

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLI: Final = timedelta(milliseconds=1)
_SECOND: Final = timedelta(seconds=1)
_LONGEST_CHANGE: Final[Millis] = 26 * 3_600_000  # of a zone that changed sides of the date line


@dataclass(frozen=True, slots=True)
class Timing:
    """When something comes: ``cron`` or ``every`` is given. ``start`` and ``end`` are the first and last moments."""

    cron: str | None = None  # five or six fields
    every: Millis | None = None
    zone: str = "UTC"
    dst: str = "shift"
    start: Millis | None = None
    end: Millis | None = None
    anchor: Millis = 0  # intervals are counted from here, in both directions


@cache
def zone_of(name: str) -> ZoneInfo:
    """The time zone; raises what ``ZoneInfo`` raises."""
    return ZoneInfo(name)


def millis(at: datetime) -> Millis:
    return (at - _EPOCH) // _MILLI


def shown_in(at: Millis, zone: str) -> str:
    """The moment as a clock of the zone shows it, in seconds, with the offset: ``2026-03-29T03:00:00+02:00``."""
    return _utc(at).astimezone(zone_of(zone)).isoformat(timespec="seconds")


def next_time(timing: Timing, after: Millis) -> Millis | None:
    """The first time after the moment ``after``, or ``None`` where none comes within fifty years."""
    return next(times(timing, after), None)


def times(timing: Timing, after: Millis) -> Iterator[Millis]:
    """All times after the moment ``after``, each later than the one before; without end where there is none."""
    if timing.start is not None:
        after = max(after, timing.start - 1)
    for at in _endless(timing, after):
        if timing.end is not None and at > timing.end:
            return
        yield at


def newest(timing: Timing, after: Millis, until: Millis, bound: int) -> tuple[list[Millis], int | None]:
    """The last times after ``after`` and not after ``until``, at most ``bound``; and how many there are in all.

    ``None`` says that there are at least twice as many as ``bound``: they are not counted, so that a schedule that
    comes each second and was forgotten for a year costs no more than another.
    """
    found = _some(timing, after, until, 2 * bound)
    if len(found) < 2 * bound:
        return found[-bound:], len(found)
    many, few = after, until  # moments after which too many, and too few, are left
    while True:
        middle = (many + few) // 2
        found = _some(timing, middle, until, 2 * bound)
        if len(found) >= 2 * bound:
            many = middle
        elif len(found) < bound:
            few = middle
        else:
            return found[-bound:], None


def _some(timing: Timing, after: Millis, until: Millis, most: int) -> list[Millis]:
    found = []
    for at in islice(times(timing, after), most):
        if at > until:
            break
        found.append(at)
    return found


def _endless(timing: Timing, after: Millis) -> Iterator[Millis]:
    if timing.cron is None:
        assert timing.every is not None
        return _intervals(timing.every, timing.anchor, after)
    zone = zone_of(timing.zone)
    *_, minute, hour = timing.cron.split()[:-3]
    seconds = timing.cron.split()[:-5]
    free = any(field.startswith("*") for field in (*seconds, minute, hour))
    return _real(timing.cron, zone, after) if free else _named(timing.cron, zone, timing.dst, after)


def _intervals(every: Millis, anchor: Millis, after: Millis) -> Iterator[Millis]:
    at = after - (after - anchor) % every
    while True:
        at += every
        yield at


def _named(cron: str, zone: ZoneInfo, dst: str, after: Millis) -> Iterator[Millis]:
    """Times of day: each once, whatever happens to the clock."""
    walls = CronSim(cron, _shown(after, zone))  # without a zone it knows nothing of changes
    last = after
    while (wall := _next(walls)) is not None:
        found = _moments(wall, zone)
        if found:
            at = found[0]
        elif dst == "skip":
            continue
        else:
            at = _end_of_gap(wall, zone)
        if at > last:
            yield at
            last = at


def _real(cron: str, zone: ZoneInfo, after: Millis) -> Iterator[Millis]:
    """Every moment at which the clock shows a time of the expression."""
    walls = CronSim(cron, _shown(after, zone))
    at = _next_real(walls, zone, after)
    while at is not None:
        yield at
        at = _next_real(walls, zone, at)


def _next_real(walls: CronSim, zone: ZoneInfo, after: Millis) -> Millis | None:
    walls.dt = _shown(after, zone).replace(microsecond=0)
    at = None
    while at is None and (wall := _next(walls)) is not None:
        at = min((moment for moment in _moments(wall, zone) if moment > after), default=None)
    # What the clock has shown before, it shows again after it was set back: such times lie no further ahead than this.
    soon = after + _LONGEST_CHANGE
    until = soon if at is None else min(at, soon)
    if _offset(until, zone) < _offset(after, zone):
        change = _change(after, until, zone)
        again = _shown(change, zone)
        walls.dt = again - _SECOND
        wall = _next(walls)
        if wall is not None:
            repeated = change + (wall - again) // _MILLI
            if _shown(repeated, zone) == wall and (at is None or repeated < at):
                at = repeated
    return at


def _next(walls: CronSim) -> datetime | None:
    try:
        return next(walls, None)
    except OverflowError:  # the year 9999 is over
        return None


def _utc(at: Millis) -> datetime:
    return _EPOCH + timedelta(milliseconds=at)


def _shown(at: Millis, zone: ZoneInfo) -> datetime:
    """What a clock of the zone shows at the moment."""
    return _utc(at).astimezone(zone).replace(tzinfo=None, fold=0)


def _offset(at: Millis, zone: ZoneInfo) -> timedelta:
    found = _utc(at).astimezone(zone).utcoffset()
    assert found is not None
    return found


def _moments(wall: datetime, zone: ZoneInfo) -> list[Millis]:
    """The moments, none to two, at which a clock of the zone shows that time, in order."""
    both = {millis(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)) for fold in (0, 1)}
    return sorted(moment for moment in both if _shown(moment, zone) == wall)


def _end_of_gap(wall: datetime, zone: ZoneInfo) -> Millis:
    """The moment when the clock was set forward over ``wall``."""
    late, early = (millis(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)) for fold in (0, 1))
    return _change(early - 1, late, zone)


def _change(low: Millis, high: Millis, zone: ZoneInfo) -> Millis:
    """The moment after ``low``, and not after ``high``, at which the zone's offset changed."""
    before = _offset(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high
