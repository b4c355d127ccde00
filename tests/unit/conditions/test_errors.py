"""What cannot be read as a condition: the place, what was wrong, and what was expected, by their text (SPEC §2)."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from pydantic import BaseModel, Field

from aloma_py.conditions import compile_condition, gt, has, one_of
from aloma_py.errors import ConditionError


class Order(BaseModel):
    status: str


class Hidden(BaseModel):
    token: str


class WithStash(BaseModel):
    stash: Hidden = Field(alias="$stash")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"a": {"$gtt": 1}}, "at a.$gtt: there is no operator '$gtt'; did you mean '$gt'?"),
        ({"$vai": {"name": "x"}}, "at $vai: there is no operator '$vai'; did you mean '$via'?"),
        (
            {"a": {"b": {"$type": "strng"}}},
            "at a.b.$type: $type takes string, number, integer, boolean, array, object or null, got 'strng'; did you "
            "mean 'string'?",
        ),
        ({"a": {"$in": 3}}, "at a.$in: $in takes a list, got 3"),
        ({"a": {"$in": []}}, "at a.$in: $in with an empty list never matches"),
        (
            {"a": {"$in": ["x", str]}},
            "at a.$in.1: expected a JSON value here, got the class str; patterns go into $not, $or or $and",
        ),
        ({"a": {"$nin": "x"}}, "at a.$nin: $nin takes a list, got 'x'"),
        (
            {"a": {"$ne": {"b": re.compile("x")}}},
            "at a.$ne.b: expected a JSON value here, got a Pattern; patterns go into $not, $or or $and",
        ),
        ({"a": {"$gt": True}}, "at a.$gt: $gt orders numbers and strings, got True"),
        ({"a": {"$lte": None}}, "at a.$lte: $lte orders numbers and strings, got None"),
        ({"a": gt(float("inf"))}, "at a.$gt: inf is no number that JSON has"),
        ({"a": [1, float("nan")]}, "at a.1: nan is no number that JSON has"),
        ({"a": {"$exists": 1}}, "at a.$exists: $exists takes true or false, got 1"),
        ({"a": {"$size": -1}}, 'at a.$size: $size takes a length or an operator such as {"$gt": 2}, got -1'),
        ({"a": {"$size": {"b": 1}}}, "at a.$size: $size takes a length or an operator, got members"),
        ({"a": {"$all": "x"}}, "at a.$all: $all takes a list, got 'x'"),
        ({"$or": []}, "at $or: $or takes at least one pattern"),
        ({"$and": {"a": 1}}, "at $and: $and takes a list, got a dict"),
        ({"a": {"$gt": 1, "b": 2}}, "at a: the operator $gt and the member 'b' are mixed in one object"),
        ({"a": {"$regex": "(", "$options": ""}}, "at a.$regex: '(' is no regular expression: "),
        ({"a": {"$regex": 5}}, "at a.$regex: $regex and $options take text, got 5"),
        ({"a": {"$regex": "x", "$options": "g"}}, "at a.$regex: unknown regex flag 'g'; there are: a, i, m, s, u, x"),
        ({"a": {"$options": "i"}}, "at a.$options: $options belongs beside a $regex"),
        ({"a": re.compile(b"x")}, "at a: a regex of bytes finds nothing in JSON; write it as text"),
        ({"a": {"x", "y"}}, "at a: a value of type set is no pattern; for one of several values write one_of(…)"),
        ({"a": {"b": b"x"}}, "at a.b: a value of type bytes is no pattern; JSON has only text"),
        (
            {"a": has(dt.datetime(2020, 1, 1))},
            "at a.0: a value of type datetime is no pattern; a time in JSON is text, compare with that",
        ),
        ({"a": object()}, "at a: a value of type object is no pattern"),
        (
            {"a": set},
            "at a: the class set is no type of JSON; expected str, int, float, bool, list, dict or a pydantic model",
        ),
        ({"a": Order(status="x")}, "at a: an instance of Order is no pattern; give the class Order"),
        ({"a": {0: 1}}, 'at a: the key 0 is no text; an element of an array is written "items.0"'),
        ({"a..b": 1}, "the dotted key 'a..b' has an empty part"),
        ({"a.$gt": 1}, "at a.$gt: '$gt' cannot be part of a dotted key; write it as the key of an object"),
        (5, "condition: a task's data is an object, which 5 can never match"),
        (["a"], 'condition: a task\'s data is an object, which ["a"] can never match'),
        (None, "condition: a task's data is an object, which None can never match"),
        (one_of("a", "b"), 'a task\'s data is an object, which {"$in": ["a", "b"]} can never match'),
        (
            {"$stash": {"token": "secret"}},
            'at $stash.token: values in $stash are hidden: expected a type, None or $exists, got "secret"',
        ),
        ({"$stash.token": {"$gt": 5}}, "at $stash.token: values in $stash are hidden"),
        ({"$or": [{"$stash": {"a": {"b": str}}}]}, "at $stash.a: values in $stash are hidden"),
        (WithStash, "at $stash.token: values in $stash are hidden from models"),
    ],
)
def test_a_mistake_is_named_with_its_place(source: Any, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition(source)
    assert message in str(caught.value)


def test_the_step_is_named_and_the_path_is_kept() -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition({"order": {"total": {"$gtt": 1}}}, step="ship")
    assert str(caught.value).startswith("step 'ship': condition at order.total.$gtt: ")
    assert caught.value.path == "order.total.$gtt"
    assert caught.value.step == "ship"


def test_a_condition_that_contains_itself_is_refused() -> None:
    source: dict[str, Any] = {}
    source["a"] = source
    with pytest.raises(ConditionError, match="nested deeper than 64 levels"):
        compile_condition(source)


def test_a_deep_condition_and_deep_data_are_no_trouble() -> None:
    source: Any = {"x": 1}
    for _ in range(60):
        source = {"a": source}
    assert compile_condition(source).matches(source)
