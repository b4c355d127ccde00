"""What a step left in its data, back to plain JSON."""

import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid

import pytest
from pydantic import BaseModel

from aloma_py.errors import ResultError
from aloma_py.run.data import to_data
from aloma_py.run.plain import plain


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Plain(enum.Enum):
    ONE = 1


class Text(str):
    pass


class Rows(list):
    pass


class Customer(BaseModel):
    name: str
    since: datetime.date


@dataclasses.dataclass
class Point:
    x: int


class Odd:
    pass


def test_values_of_derived_types_become_plain():
    data = to_data({})
    data.a = (1, (2,))
    data.b = Rows([Text("t"), Colour.RED, Level.HIGH])
    data.c = collections.OrderedDict(x=collections.defaultdict(list, y=[True]))
    data.d = Customer(name="Ada", since=datetime.date(2026, 1, 2))
    data.e = {Colour.RED: 1, Text("k"): 2}
    made = plain(data)
    assert made == {
        "a": [1, [2]],
        "b": ["t", "red", 3],
        "c": {"x": {"y": [True]}},
        "d": {"name": "Ada", "since": "2026-01-02"},
        "e": {"red": 1, "k": 2},
    }
    assert [type(element) for element in made["b"]] == [str, str, int]
    assert {type(name) for name in made["e"]} == {str}
    assert type(made["c"]) is type(made["c"]["x"]) is dict


def test_one_object_at_two_places_is_copied_twice():
    shared = to_data({"n": 1})
    made = plain({"a": shared, "b": [shared]})
    assert made == {"a": {"n": 1}, "b": [{"n": 1}]}
    assert made["a"] is not made["b"][0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (datetime.datetime(2026, 1, 2), "is a datetime, which JSON does not know: write .isoformat()"),
        (datetime.timedelta(1), "is a timedelta, which JSON does not know: write .total_seconds()"),
        (decimal.Decimal(1), "is a Decimal, which JSON does not know: write str(…) or float(…)"),
        (uuid.UUID(int=1), "is an UUID, which JSON does not know: write str(…)"),
        (pathlib.PurePosixPath("x"), "is a PurePosixPath, which JSON does not know: write str(…)"),
        ({1}, "is a set, which JSON does not know: write sorted(…) or list(…)"),
        ({}.keys(), "is a dict_keys, which JSON does not know: write list(…)"),
        (b"x", "is a bytes, which JSON does not know: write .decode(), or keep it with blob.create"),
        (len, "is a builtin_function_or_method, which JSON does not know: call it, and keep what it gives"),
        (Plain.ONE, "is a Plain, which JSON does not know: write .value"),
        (Point(1), "is a Point, which JSON does not know: write dataclasses.asdict(…)"),
        (collections.ChainMap(), "is a ChainMap, which JSON does not know: write dict(…)"),
        (Odd(), "is an Odd, which JSON does not know: write its parts as texts, numbers, lists and dicts"),
        (float("nan"), "is nan, which is no number in JSON: write None"),
        (float("-inf"), "is -inf, which is no number in JSON: write None"),
        ({1: "x"}, "has the key 1, which is an int; keys are texts: write '1'"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place_and_the_cure(value, message):
    data = to_data({"order": {"list": [0]}})
    data.order.list.append(value)
    with pytest.raises(ResultError) as raised:
        plain(data)
    assert str(raised.value) == f"data.order.list.1 {message}"


def test_an_answer_that_was_not_awaited_is_named():
    async def call(): ...

    coroutine = call()
    with pytest.raises(ResultError) as raised:
        plain({"answer": coroutine})
    coroutine.close()
    assert str(raised.value) == "data.answer is a coroutine, which JSON does not know: write await before the call"

    loop = asyncio.new_event_loop()
    future = loop.create_future()
    loop.close()
    with pytest.raises(ResultError, match="write await before it"):
        plain({"answer": future})


def test_the_place_begins_with_what_is_looked_at():
    with pytest.raises(ResultError, match=r"^result is nan"):
        plain(float("nan"), root="result")
    with pytest.raises(ResultError, match=r'^result\["a.b"\] is nan'):
        plain({"a.b": float("nan")}, root="result")


def test_data_that_holds_itself_is_refused():
    data = to_data({"order": {"n": 1}})
    data.order.back = data.order
    with pytest.raises(ResultError, match=r"^data\.order\.back is data\.order itself, which JSON cannot show"):
        plain(data)


def nested(depth):
    value = []
    for _ in range(depth - 1):
        value = {"a": value}
    return value


def test_as_deep_as_allowed_and_one_level_more():
    assert plain(nested(64)) == nested(64)
    with pytest.raises(ResultError) as raised:
        plain(nested(65))
    assert str(raised.value) == (
        "data.a.a.a… is more than 64 levels deep; at most 64 objects and arrays may stand inside each other"
    )
    assert plain({"a": ()}, max_depth=2) == {"a": []}
    with pytest.raises(ResultError, match="more than 1 levels deep"):
        plain({"a": ()}, max_depth=1)
    with pytest.raises(ResultError, match="more than 64 levels deep"):
        plain(nested(5000))


def test_a_number_too_long_for_text_is_refused():
    with pytest.raises(ResultError) as raised:
        plain({"n": 10**4300})
    assert str(raised.value) == (
        "data.n is a number of more than 4300 digits, which cannot be kept: write it as a hexadecimal text"
    )


def test_large_numbers_and_all_texts_are_kept():
    value = {"n": 10**400, "m": -(10**4299), "t": "\ud800\x00", "z": -0.0}
    assert repr(plain(value)) == repr(value)
