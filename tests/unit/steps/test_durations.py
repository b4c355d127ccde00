from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloma_py.durations import parse_duration
from aloma_py.errors import InputError


@pytest.mark.parametrize(
    ("value", "millis"),
    [
        (0, 0), (200, 200), (1.6, 2), ("200ms", 200), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000),
        ("1d", 86_400_000), ("1h30m", 5_400_000), ("1.5 s", 1500), (" 2 m 5 s ", 125_000),
        (timedelta(seconds=2), 2000),
    ],
)  # fmt: skip
def test_reads_what_people_write(value: Any, millis: int) -> None:
    assert parse_duration(value, "the pause") == millis


@pytest.mark.parametrize(
    "value", ["", "soon", "5 min", "5", "s", "--5s", "-", None, True, float("nan"), float("inf"), [1]]
)
def test_refuses_what_is_no_duration(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        parse_duration(value, "the pause")

    assert str(caught.value) == (
        'the pause must be a duration: a number of milliseconds, a timedelta, or text such as "200ms", "30s", "5m", '
        f'"2h" or "1d", not {value!r}'
    )


@pytest.mark.parametrize("value", [-1, "-5s", " -1h30m", timedelta(seconds=-2)])
def test_refuses_a_negative_duration(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        parse_duration(value, "the pause")

    assert str(caught.value) == f"the pause must not be negative, but is {value!r}"


@given(st.integers(0, 10**9))
def test_numbers_are_milliseconds(millis: int) -> None:
    assert parse_duration(millis, "it") == parse_duration(f"{millis}ms", "it") == millis
