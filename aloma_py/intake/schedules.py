"""Schedules: when they come, and what is fired of what came since. Pure values: the time is always given.

When they come is in :mod:`~aloma_py.intake.timing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from aloma_py.durations import parse_duration
from aloma_py.errors import InputError, NotFoundError, PayloadError
from aloma_py.intake.checks import check_data, check_name, check_tags
from aloma_py.intake.timing import Timing, millis, newest, next_time, times, zone_of
from aloma_py.models import Json, Limits, Millis

DST: Final = ("shift", "skip")
MISSED: Final = ("last", "skip", "all")
OVERLAP: Final = ("allow", "skip", "queue")
"""The rules that a schedule can have; the first is the default."""

MAX_MISSED: Final = 1_000
"""How many missed times ``missed: all`` makes up for; and how many firings may wait with ``overlap: queue``."""

AT_ONCE: Final = 100
"""How many firings are written together."""

GRACE: Final[Millis] = 60_000
"""A time that came no longer ago than this is late, not missed."""

MIN_EVERY: Final[Millis] = 100
MAX_EVERY: Final[Millis] = 3_660 * 86_400_000
MAX_CRON: Final = 500  # characters

SHORT: Final[Mapping[str, str]] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_FIELDS: Final[Mapping[str, str]] = {
    "second": "0 to 59",
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, L for the last or LW for the last weekday",
    "month": "1 to 12 or JAN to DEC",
    "day-of-week": "0 to 7 or SUN to SAT, MON#2 for the second one, 5L for the last",
}

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a schedule says: when, what task it gives, and what happens when it could not or should not fire."""

    timing: Timing
    missed: str = MISSED[0]
    overlap: str = OVERLAP[0]
    data: dict[str, Json] | None = None
    task: str | None = None  # the task's name; None: the schedule's
    tags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        timing = {name: getattr(self.timing, name) for name in Timing.__slots__}
        rest = {name: getattr(self, name) for name in ("missed", "overlap", "data", "task")}
        return {**timing, **rest, "tags": list(self.tags)}

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> Schedule:
        """The opposite of :meth:`to_json`; nothing is checked again."""
        rest = {name: kept[name] for name in ("missed", "overlap", "data", "task")}
        return Schedule(Timing(**{name: kept[name] for name in Timing.__slots__}), tags=tuple(kept["tags"]), **rest)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Times that came and are not made up for: ``count`` of them, ``None`` where there are too many to count."""

    first: Millis
    last: Millis
    count: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done about times that have come; ``next_at`` is the next one, which may have come as well."""

    fire: tuple[Millis, ...]
    dropped: Dropped | None
    next_at: Millis | None


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def read_schedule(
    given: Mapping[str, Any], now: Millis, before: Schedule | None = None, limits: Limits | None = None
) -> Schedule:
    """The schedule that ``given`` says; ``before`` has what is not said there.

    ``cron`` or ``every`` (a duration), ``zone``, ``dst``, ``missed``, ``overlap``, ``start``, ``end`` and ``anchor``
    (ISO 8601, in the schedule's zone where they name none; an empty text is none), ``data``, ``task`` and ``tags``.
    Raises :class:`~aloma_py.errors.InputError` for what cannot be read, and for a schedule that never comes.
    """
    old = before or Schedule(Timing())
    timing = _read_timing(given, now, old.timing, new=before is None)
    data = given.get("data", old.data)
    if data is not None:
        check_data(data, limits)
        for own in ("$via", "$stash"):
            if own in data:
                cure = "it says what fired the task" if own == "$via" else "keep what is confidential as a secret"
                raise PayloadError(f"data.{own} cannot be given by a schedule; {cure}")
    task = given.get("task", old.task) or None
    return Schedule(
        timing,
        missed=_choice("missed", given.get("missed", old.missed), MISSED),
        overlap=_choice("overlap", given.get("overlap", old.overlap), OVERLAP),
        data=data or None,
        task=None if task is None else check_name(task, limits),
        tags=tuple(check_tags(given.get("tags", old.tags), limits)),
    )


def _read_timing(given: Mapping[str, Any], now: Millis, old: Timing, *, new: bool) -> Timing:
    cron, every = given.get("cron"), given.get("every")
    if cron is not None and every is not None:
        raise InputError("a schedule has cron or every, not both")
    if cron is None and every is None:
        if new:
            raise InputError('a schedule needs cron ("0 9 * * mon") or every ("15m")')
        cron, every = old.cron, old.every
    zone = read_zone(given.get("zone", old.zone)).key
    dst = _choice("dst", given.get("dst", old.dst), DST)
    start, end = (
        _moment(name, given[name], zone) if name in given else getattr(old, name) for name in ("start", "end")
    )
    timing = Timing(zone=zone, dst=dst, start=start, end=end)
    if cron is not None:
        timing = replace(timing, cron=check_cron(cron))
    else:
        anchor = _moment("anchor", given["anchor"], zone) if "anchor" in given else None
        kept = None if new or "every" in given else old.anchor
        first = next((at for at in (anchor, kept, start) if at is not None), now)
        timing = replace(timing, every=_check_every(every), anchor=first)
    if start is not None and end is not None and end < start:
        raise InputError("the schedule's end is before its start")
    when = {"cron", "every", "zone", "dst", "start", "end", "anchor"}
    if (new or when & given.keys()) and next_time(timing, now) is None:
        within = " between its start and its end" if end is not None or start is not None else ""
        raise InputError(f"the schedule never comes: there is no time for {_said(timing)}{within} from now on")
    return timing


def check_cron(text: Any) -> str:
    """The expression in five or six fields. Raises :class:`~aloma_py.errors.InputError` naming the wrong field."""
    if not isinstance(text, str) or len(text) > MAX_CRON or not text.isascii():
        raise InputError(f'cron must be text such as "0 9 * * mon", not {str(text)[:80]!r}')
    if text.strip().startswith("@"):
        word = text.strip().lower()
        if word.split()[0] == "@every":
            raise InputError(f'cron {text!r}: an interval is given with every: "15m"')
        if word not in SHORT:
            raise NotFoundError("cron word", text.strip(), SHORT)
        return SHORT[word]
    fields = text.split()
    if len(fields) not in (5, 6):
        raise InputError(
            f"cron {text!r} has {len(fields)} field{'' if len(fields) == 1 else 's'}; five were expected: minute, "
            "hour, day of the month, month, day of the week (or six, with the second first)"
        )
    try:
        CronSim(" ".join(fields), datetime(2000, 1, 1))
    except (CronSimError, ValueError, AssertionError, IndexError) as error:
        raise _wrong_field(text, fields, str(error)) from None
    return " ".join(fields)


def _wrong_field(text: str, fields: list[str], said: str) -> InputError:
    names = list(_FIELDS)[-len(fields) :]
    name = said.removeprefix("Bad ")
    if name not in names:
        return InputError(f"cron {text!r} cannot be read")
    given = fields[names.index(name)]
    if name == "day-of-month":
        try:
            CronSim(f"0 0 {given} * *", datetime(2000, 1, 1))
        except (CronSimError, ValueError, AssertionError, IndexError):
            pass
        else:  # only the month is too short for it
            return InputError(f"cron {text!r} never comes: no month {fields[names.index('month')]} has a day {given}")
    return InputError(f"cron {text!r}: the {name.replace('-', ' ')} {given!r} cannot be read; expected {_FIELDS[name]}")


def _check_every(value: Any) -> Millis:
    every = parse_duration(value, "every")
    if not MIN_EVERY <= every <= MAX_EVERY:
        raise InputError(f"every must be from {MIN_EVERY} ms to ten years, not {value!r}")
    return every


def read_zone(name: Any) -> ZoneInfo:
    """The time zone of that name, or :class:`~aloma_py.errors.NotFoundError` with the nearest."""
    try:
        return zone_of(name)
    except (KeyError, ValueError, OSError, TypeError, AttributeError):
        known = available_timezones()
        text = str(name)[:100]
        same = [one for one in known if one.lower() == text.strip().lower().replace(" ", "_")]
        ends = [one for one in known if one.lower().endswith("/" + text.strip().lower().replace(" ", "_"))]
        raise NotFoundError("time zone", text, same or ends[:1] or known) from None


def _choice(what: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InputError(f"{what} must be one of {', '.join(known)}, not {value!r}")
    return str(value)


def _moment(what: str, value: Any, zone: str) -> Millis | None:
    """The milliseconds of an ISO 8601 text; without an offset it is a time of the zone."""
    if value in (None, ""):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= millis(_LAST):
        return value
    try:
        at = datetime.fromisoformat(value)
        at = at.replace(tzinfo=zone_of(zone)) if at.tzinfo is None else at
        if not _FIRST <= at <= _LAST:
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise InputError(
            f'{what} must be a time from 1970 to 2200 such as "2026-03-01T09:00" or "2026-03-01T08:00Z", not {value!r}'
        ) from None
    return millis(at)


def _said(timing: Timing) -> str:
    return f"cron {timing.cron!r}" if timing.cron is not None else f"every {timing.every} ms"


# ── what is fired ───────────────────────────────────────────────────────────────────────────────────────────────────


def plan(schedule: Schedule, first: Millis, now: Millis) -> Plan:
    """What is to be fired at ``now`` of the times from ``first`` on, by the schedule's rule for missed ones."""
    found, count = newest(schedule.timing, first - 1, now, MAX_MISSED)
    if schedule.missed == "all":
        fire = found
    else:
        fire = found[-1:] if schedule.missed == "last" or (found and now - found[-1] <= GRACE) else []
    left = None if count is None else count - len(fire)
    dropped = None
    if left != 0:
        before = fire[0] - 1 if fire else now
        oldest = next(times(schedule.timing, first - 1))
        dropped = Dropped(oldest, newest(schedule.timing, first - 1, before, 1)[0][-1], left)
    if len(fire) > AT_ONCE:
        return Plan(tuple(fire[:AT_ONCE]), dropped, fire[AT_ONCE])
    return Plan(tuple(fire), dropped, next_time(schedule.timing, now))
