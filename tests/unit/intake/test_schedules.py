"""When schedules come, and what is fired of what was missed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py.errors import InputError, NotFoundError
from aloma_py.intake.schedules import AT_ONCE, GRACE, MAX_MISSED, Schedule, plan, read_schedule, read_zone
from aloma_py.intake.timing import Timing, millis, newest, next_time, shown_in, times, zone_of

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def at(text: str, zone: str = "UTC") -> int:
    moment = datetime.fromisoformat(text)
    return millis(moment if moment.tzinfo else moment.replace(tzinfo=zone_of(zone)))


NOW = at("2026-01-01T00:00")


def shown(cron: str, zone: str, day: str, dst: str = "shift") -> list[str]:
    """What comes from that midnight for five hours, as a clock of the zone shows it, with its offset."""
    begin = at(day, zone)
    found = []
    for moment in times(Timing(cron=cron, zone=zone, dst=dst), begin - 1):
        if moment > begin + 5 * HOUR:
            break
        found.append(shown_in(moment, zone)[11:].replace(":00+", "+").replace(":00-", "-"))
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "day", "shift", "skip"),
    [
        # the clock is set forward
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["03:00+02:00"], []),
        ("0,30 2 * * *", "Europe/Berlin", "2026-03-29", ["03:00+02:00"], []),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-29", ["03:00+02:00"], ["03:00+02:00"]),
        ("*/30 1-3 * * *", "Europe/Berlin", "2026-03-29",
         ["01:00+01:00", "01:30+01:00", "03:00+02:00", "03:30+02:00"], None),
        ("30 2 * * *", "America/New_York", "2026-03-08", ["03:00-04:00"], []),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["02:30+11:00"], []),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-10-04", ["01:45+10:30"], None),
        # the clock is set back
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["02:30+02:00"], None),
        ("30 * * * *", "Europe/Berlin", "2026-10-25",
         ["00:30+02:00", "01:30+02:00", "02:30+02:00", "02:30+01:00", "03:30+01:00"], None),
        ("0 */2 * * *", "Europe/Berlin", "2026-10-25",
         ["00:00+02:00", "02:00+02:00", "02:00+01:00", "04:00+01:00"], None),
        ("30 1 * * *", "America/New_York", "2026-11-01", ["01:30-04:00"], None),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["01:45+11:00"], None),
        ("*/30 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["01:00+11:00", "01:30+11:00", "01:30+10:30"], None),
    ],
)  # fmt: skip
def test_when_the_clock_is_set(cron: str, zone: str, day: str, shift: list[str], skip: list[str] | None) -> None:
    assert shown(cron, zone, day) == shift
    assert shown(cron, zone, day, "skip") == (shift if skip is None else skip)


def test_every_fifteen_minutes_is_that_in_real_time_whatever_the_clock_shows() -> None:
    for zone, day in (
        ("Europe/Berlin", "2026-10-25"),
        ("Europe/Berlin", "2026-03-29"),
        ("Africa/Casablanca", "2026-02-15"),
    ):
        found = list(islice(times(Timing(cron="*/15 * * * *", zone=zone), at(day, zone)), 200))
        assert {later - sooner for sooner, later in pairwise(found)} == {15 * MINUTE}


def test_six_fields_begin_with_the_second_and_follow_the_same_rule() -> None:
    timing = Timing(cron="20 30 2 * * *", zone="Europe/Berlin")
    assert next_time(timing, at("2026-03-28T12:00", "Europe/Berlin")) == at("2026-03-29T01:00:00Z")
    assert next_time(timing, at("2026-10-24T12:00", "Europe/Berlin")) == at("2026-10-25T00:30:20Z")
    assert next_time(Timing(cron="*/10 * * * * *"), NOW) == NOW + 10_000


# ── the law: the same as looking at every minute ────────────────────────────────────────────────────────────────────

CHANGES = (
    ("Europe/Berlin", "2026-03-28"), ("Europe/Berlin", "2026-10-24"), ("America/New_York", "2026-03-07"),
    ("America/New_York", "2026-10-31"), ("Australia/Lord_Howe", "2026-10-03"), ("Australia/Lord_Howe", "2026-04-04"),
    ("Pacific/Apia", "2011-12-29"), ("Africa/Casablanca", "2026-03-21"), ("Asia/Kolkata", "2026-05-01"),
    ("UTC", "2026-02-27"),
)  # fmt: skip


class Field:
    """A field of an expression, and what it admits, found without reading the expression."""

    def __init__(self, text: str, admits: Callable[[int], bool]) -> None:
        self.text = text
        self.admits = admits

    def __repr__(self) -> str:
        return self.text


def fields(low: int, high: int) -> st.SearchStrategy[Field]:
    numbers = st.integers(low, high)
    return st.one_of(
        st.just(Field("*", lambda _: True)),
        st.sampled_from((2, 3, 5, 15, 20)).map(lambda n: Field(f"*/{n}", lambda value: (value - low) % n == 0)),
        st.lists(numbers, min_size=1, max_size=4).map(
            lambda of: Field(",".join(map(str, of)), lambda value: value in of)
        ),
        st.tuples(numbers, numbers)
        .map(sorted)
        .map(lambda ends: Field(f"{ends[0]}-{ends[1]}", lambda value: ends[0] <= value <= ends[1])),
    )


@cache
def clock(zone: str, begin: int, end: int) -> list[tuple[int, datetime, int]]:
    """Each minute: the moment, what a clock of the zone shows, and whether for the second time."""
    there = zone_of(zone)
    walls = [(moment, datetime.fromtimestamp(moment / 1000, there)) for moment in range(begin, end + 1, MINUTE)]
    return [(moment, wall.replace(tzinfo=None, fold=0), wall.fold) for moment, wall in walls]


def by_looking(minute: Field, hour: Field, days: Field, zone: str, dst: str, begin: int, end: int) -> list[int]:
    """What comes after ``begin`` and not after ``end``: a clock is looked at each minute."""
    named = not minute.text.startswith("*") and not hour.text.startswith("*")

    def fits(wall: datetime) -> bool:
        return minute.admits(wall.minute) and hour.admits(wall.hour) and days.admits((wall.weekday() + 1) % 7)

    found, before = [], None
    for moment, wall, again in clock(zone, begin, end):
        comes = fits(wall) and not (named and again)
        if named and dst == "shift" and before is not None:
            step = before + timedelta(minutes=1)
            while step < wall:  # what the clock did not show
                comes = comes or fits(step)
                step += timedelta(minutes=1)
        if comes and moment > begin:
            found.append(moment)
        before = wall
    return found


@settings(max_examples=60)
@given(
    st.sampled_from(CHANGES), st.sampled_from((0, 7, 121)), fields(0, 59), fields(0, 23), fields(0, 6),
    st.sampled_from(("shift", "skip")),
)  # fmt: skip
def test_the_same_as_looking_at_the_clock_each_minute(
    change: tuple[str, str], offset: int, minute: Field, hour: Field, days: Field, dst: str
) -> None:
    zone, day = change
    begin = at(day, zone) + offset * MINUTE
    end = begin + 30 * HOUR
    timing = Timing(cron=f"{minute} {hour} * * {days}", zone=zone, dst=dst)
    found = [moment for moment in islice(times(timing, begin), 30 * 60) if moment <= end]
    assert found == by_looking(minute, hour, days, zone, dst, begin, end)
    assert all(sooner < later for sooner, later in pairwise(found))
    for moment in found[:20]:  # wherever one begins
        assert next_time(timing, moment - 1) == moment


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
def test_some_weeks_of_an_expression_of_each_kind(zone: str) -> None:
    begin = at("2026-03-20", zone)
    end = begin + 21 * DAY
    every = Field("*", lambda _: True)
    for minute, hour in (
        (Field("30", lambda value: value == 30), Field("1-3", lambda value: 1 <= value <= 3)),
        (Field("*/20", lambda value: value % 20 == 0), every),
    ):
        timing = Timing(cron=f"{minute} {hour} * * *", zone=zone)
        found = [moment for moment in islice(times(timing, begin), 5000) if moment <= end]
        assert found == by_looking(minute, hour, every, zone, "shift", begin, end)


@given(st.integers(100, 10**9), st.integers(0, 2 * 10**12), st.integers(0, 2 * 10**12))
def test_intervals_are_counted_from_their_anchor_in_both_directions(every: int, anchor: int, after: int) -> None:
    found = list(islice(times(Timing(every=every, anchor=anchor), after), 3))
    assert after < found[0] <= after + every
    assert all((moment - anchor) % every == 0 for moment in found)
    assert found[2] - found[0] == 2 * every


def test_start_and_end_are_part_of_it() -> None:
    timing = read_schedule({"every": "1h", "start": "2026-01-02T00:00", "end": "2026-01-02T02:00"}, NOW).timing
    assert list(times(timing, NOW)) == [NOW + DAY, NOW + DAY + HOUR, NOW + DAY + 2 * HOUR]


def test_a_time_without_offset_is_one_of_the_zone() -> None:
    given = {"cron": "@daily", "zone": "Europe/Berlin", "start": "2026-07-01T00:00"}
    assert read_schedule(given, NOW).timing.start == at("2026-06-30T22:00")


# ── what was missed ─────────────────────────────────────────────────────────────────────────────────────────────────


def schedule(missed: str, **timing: Any) -> Schedule:
    return Schedule(Timing(**timing), missed=missed)


@pytest.mark.parametrize(("missed", "late", "fired", "dropped"), [
    ("last", 5 * HOUR, 1, 5), ("skip", 5 * HOUR, 1, 5), ("all", 5 * HOUR, 6, 0),
    ("last", 5 * HOUR + GRACE + 1, 1, 5), ("skip", 5 * HOUR + GRACE + 1, 0, 6), ("all", 5 * HOUR + GRACE + 1, 6, 0),
    ("last", 0, 1, 0), ("skip", GRACE, 1, 0), ("skip", GRACE + 1, 0, 1),
])  # fmt: skip
def test_what_is_fired_of_what_was_missed(missed: str, late: int, fired: int, dropped: int) -> None:
    found = plan(schedule(missed, every=HOUR, anchor=NOW), NOW, NOW + late)
    hours = [NOW + n * HOUR for n in range(late // HOUR + 1)]
    assert list(found.fire) == hours[len(hours) - fired :]
    assert (found.dropped.count if found.dropped else 0) == dropped
    if found.dropped:
        assert (found.dropped.first, found.dropped.last) == (hours[0], hours[dropped - 1])
    assert found.next_at == hours[-1] + HOUR


def test_what_is_made_up_for_is_bounded_told_and_done_in_portions() -> None:
    rule = schedule("all", every=1000, anchor=NOW)
    now = NOW + (MAX_MISSED + 500) * 1000
    fired: list[int] = []
    first, told = NOW, []
    while first <= now:
        found = plan(rule, first, now)
        assert 0 < len(found.fire) <= AT_ONCE
        fired += found.fire
        told += [found.dropped] if found.dropped else []
        assert found.next_at is not None
        first = found.next_at
    assert fired == [now - n * 1000 for n in reversed(range(MAX_MISSED))]
    assert [(one.first, one.last, one.count) for one in told] == [(NOW, NOW + 500 * 1000, 501)]


@settings(max_examples=30)
@given(
    st.sampled_from(
        (("*/7 1-3 * * *", 20), ("30 2 * * *", 50), ("*/5 * * * *", 1), ("0 0 * * 0", 50), ("*/20 * * * * *", 0.1))
    ),
    st.integers(0, 2 * DAY), st.integers(1, 20), st.sampled_from(("UTC", "Europe/Berlin")),
)  # fmt: skip
def test_the_newest_are_the_last_of_all(kind: tuple[str, float], span: int, bound: int, zone: str) -> None:
    cron, more = kind
    timing, until = Timing(cron=cron, zone=zone), at("2026-04-02", zone)
    begin = until - round(span * more)
    every = list(takewhile(lambda moment: moment <= until, times(timing, begin)))
    found, count = newest(timing, begin, until, bound)
    assert found == every[-bound:]
    assert count == (len(every) if len(every) < 2 * bound else None)


def test_a_year_of_seconds_is_not_counted() -> None:
    timing = Timing(cron="* * * * * *", zone="Europe/Berlin")
    found, count = newest(timing, NOW - 365 * DAY, NOW, 10)
    assert found == [NOW - n * 1000 for n in reversed(range(10))]
    assert count is None
    planned = plan(Schedule(timing, missed="skip"), NOW - 365 * DAY, NOW + 500)
    assert planned.dropped is not None
    assert (planned.dropped.first, planned.dropped.last) == (NOW - 365 * DAY, NOW - 1000)
    assert (planned.fire, planned.next_at) == ((NOW,), NOW + 1000)


def test_nothing_is_left_after_the_end() -> None:
    found = plan(schedule("all", every=HOUR, anchor=NOW, end=NOW + 2 * HOUR), NOW, NOW + DAY)
    assert (len(found.fire), found.next_at) == (3, None)


# ── mistakes ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("given", "said"), [
    ({"cron": "30 2 30 2 *"}, "never comes: no month 2 has a day 30"),
    ({"cron": "0 0 31 4,6 *"}, "never comes"),
    ({"cron": "61 * * * *"}, "the minute '61' cannot be read; expected 0 to 59"),
    ({"cron": "0 9 * * monday"}, "the day of week 'monday' cannot be read"),
    ({"cron": "0 9 * *"}, "has 4 fields; five were expected"),
    ({"cron": "@dayly"}, "did you mean '@daily'?"),
    ({"cron": "@every 5m"}, "an interval is given with every"),
    ({"cron": "9" * 600}, "cron must be text"),
    ({"cron": "\u0663 * * * *"}, "cron must be text"),
    ({"cron": "9" * 450 + " * * * *"}, "the minute"),
    ({"cron": "1#2/3 * * * *"}, "the minute '1#2/3' cannot be read"),
    ({"cron": 5}, "cron must be text"),
    ({"every": "10ms"}, "every must be from 100 ms to ten years"),
    ({"every": "0s"}, "every must be from"),
    ({"every": "often"}, "every must be a duration"),
    ({}, "needs cron"),
    ({"cron": "@daily", "every": "1h"}, "not both"),
    ({"cron": "@daily", "zone": "Europe/Berln"}, "did you mean 'Europe/Berlin'?"),
    ({"cron": "@daily", "dst": "twice"}, "dst must be one of shift, skip, not 'twice'"),
    ({"cron": "@daily", "missed": "al"}, "missed must be one of last, skip, all"),
    ({"cron": "@daily", "overlap": []}, "overlap must be one of allow, skip, queue"),
    ({"cron": "@daily", "start": "soon"}, "start must be a time"),
    ({"cron": "@daily", "end": "2025-01-01"}, "the schedule never comes"),
    ({"cron": "@daily", "start": "2026-05-02", "end": "2026-05-01"}, "end is before its start"),
    ({"cron": "@daily", "start": "9000-01-01"}, "start must be a time"),
    ({"cron": "@daily", "data": {"$via": {}}}, "data.$via cannot be given"),
    ({"cron": "@daily", "data": {"$stash": {}}}, "data.$stash cannot be given"),
    ({"cron": "@daily", "data": {"a": float("nan")}}, "data.a is nan"),
    ({"cron": "@daily", "tags": "urgent"}, "tags are a text"),
    ({"cron": "@daily", "task": " "}, "name is empty"),
])  # fmt: skip
def test_what_cannot_be_a_schedule_is_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_schedule(given, NOW)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "Europe", "europe/berlin", "CEST", None, 5, "a\0b", "x" * 5000]
)
def test_an_unknown_zone_is_told(name: Any) -> None:
    with pytest.raises(NotFoundError) as caught:
        read_zone(name)
    assert len(str(caught.value)) < 300


@given(st.text(alphabet="0123456789*/,-#LW? @aefjmnrsu", max_size=30))
def test_any_text_is_an_expression_or_a_mistake(text: str) -> None:
    try:
        timing = read_schedule({"cron": text}, NOW).timing
    except InputError:
        return
    found = list(islice(times(timing, NOW), 3))
    assert found == sorted(set(found))
    assert found[0] > NOW


def test_what_is_not_given_stays_as_it_was() -> None:
    before = read_schedule({"every": "1h", "anchor": "2026-01-01T00:10", "data": {"a": 1}, "missed": "all"}, NOW)
    after = read_schedule({"overlap": "skip"}, NOW + DAY, before)
    assert (after.timing, after.data, after.missed, after.overlap) == (before.timing, {"a": 1}, "all", "skip")
    other = read_schedule({"cron": "@hourly"}, NOW, before)
    assert (other.timing.cron, other.timing.every) == ("0 * * * *", None)
    ended = read_schedule({"every": "1h", "end": "2026-01-02"}, NOW)
    assert read_schedule({"task": "other"}, NOW + 9 * DAY, ended).timing == ended.timing
    assert read_schedule({"end": ""}, NOW + 9 * DAY, ended).timing.end is None
    assert Schedule.from_json(before.to_json()) == before
