"""What each pattern of SPEC §2 matches, row by row; every case is judged by all three matchers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from aloma_py.conditions import (
    ConditionIndex,
    all_of,
    any_of,
    compile_condition,
    eq,
    exists,
    gt,
    gte,
    has,
    lt,
    lte,
    matches,
    naive_match,
    ne,
    none_of,
    not_,
    one_of,
)


def matched(source: Any, data: Any, *, json_types: bool = False) -> bool:
    """Whether data matches, by the compiled condition, the interpreter and the index, which must agree."""
    condition = compile_condition(source, json_types=json_types)
    others = [compile_condition({f"other{number}": number}) for number in range(20)]
    verdicts = {
        condition.matches(data),
        bool(naive_match([condition], data)),
        0 in ConditionIndex([condition]).match(data),
        0 in ConditionIndex([condition, *others]).match(data),
    }
    assert len(verdicts) == 1, f"the matchers disagree on {condition} and {data}"
    return verdicts.pop()


VALUES: list[tuple[Any, list[Any], list[Any]]] = [
    # pattern of the member v, values it matches, values it does not; ... stands for a missing member
    ("new", ["new"], ["New", "", None, ..., ["new"], {"new": 1}]),
    (1, [1, 1.0], [True, "1", 0, None, ..., [1]]),
    (0, [0, 0.0, -0.0], [False, None, ..., "", []]),
    (1.5, [1.5], [1, True]),
    (10**30, [10**30], [10**30 + 1]),
    (True, [True], [1, 1.0, "true", None, ...]),
    (False, [False], [0, None, ..., ""]),
    (None, [None, ...], [False, 0, "", [], {}]),
    (type(None), [None, ...], [False]),
    (str, ["", "x"], [1, None, ..., ["x"]]),
    (float, [0, 1, 2.5, 10**30], [True, "1", None, ...]),
    (int, [0, 7, 2.0], [2.5, True, "1", None, ...]),
    (bool, [True, False], [0, 1, None, ...]),
    (list, [[], [1]], [{}, "x", None, ...]),
    (dict, [{}, {"a": 1}], [[], None, ...]),
    ({}, [{}, {"a": 1}], [[], "", None, ...]),
    ([], [[], [1]], [{}, None, ...]),
    (["a", "b"], [["b", "x", "a"], ["a", "b", "a"]], [["a"], [], "ab", ...]),
    ([str], [["a"], [1, "a"]], [[1], []]),
    ([None], [[None], [1, None]], [[], [1], ...]),
    ([[1]], [[[2, 1]], [[], [1]]], [[1], [[]]]),
    ([{"a": 1, "b": 2}], [[{"a": 1, "b": 2, "c": 3}]], [[{"a": 1}, {"b": 2}], [{"a": 1, "b": 3}]]),
    (("a", "b"), [["a", "b"]], [["a"]]),
    (re.compile("b+"), ["abc", "b"], ["ac", None, ..., 5, ["b"]]),
    (re.compile("^B", re.IGNORECASE), ["bc"], ["ab"]),
    (lambda v: v > 3, [4, 3.5], [3, "x", None, ..., []]),
    ({"$eq": [1, {"a": True}]}, [[1, {"a": True}], [1.0, {"a": True}]], [[1, {"a": 1}], [1], ...]),
    ({"$eq": None}, [None, ...], [0]),
    ({"$ne": 1}, [2, True, "1", None, ..., [1]], [1, 1.0]),
    ({"$ne": None}, [0, False, "", []], [None, ...]),
    ({"$ne": {"a": 1}}, [{"a": 2}, {"a": 1, "b": 1}, ...], [{"a": 1}, {"a": 1.0}]),
    ({"$gt": 5}, [6, 5.5, 10**30], [5, 4, True, "6", None, ..., [6]]),
    ({"$gte": 5}, [5, 6], [4.9, "5", True]),
    ({"$lt": 1}, [0, -1.5], [1, False, None, ..., "0"]),
    ({"$lte": "b"}, ["a", "b", ""], ["c", 1, None, ...]),
    ({"$gt": "a", "$lt": "c"}, ["b", "aa"], ["a", "c", 1]),
    ({"$gte": 1, "$gt": 1, "$lt": 3}, [2], [1, 3]),
    ({"$gt": 1, "$lt": "b"}, [], [2, "a"]),
    ({"$gt": 5, "$lt": 3}, [], [4, 6, 2]),
    ({"$in": ["a", 1, False]}, ["a", 1, 1.0, False], [True, 0, "1", None, ..., ["a"]]),
    ({"$in": [None, "a"]}, [None, ..., "a"], [0, "b"]),
    ({"$in": [re.compile("^a"), [1]]}, ["ab", [1]], ["b", 1]),
    ({"$nin": ["a", 1]}, ["b", True, None, ...], ["a", 1, 1.0]),
    ({"$nin": [None]}, [0], [None, ...]),
    ({"$nin": []}, [1, None, ...], []),
    ({"$exists": True}, [0, False, "", [], {}], [None, ...]),
    ({"$exists": False}, [None, ...], [0, False]),
    ({"$type": "number"}, [1, 1.5], [True, "1", ...]),
    ({"$type": "integer"}, [1, 2.0], [1.5, True]),
    ({"$type": "null"}, [None], [..., 0]),
    ({"$type": "Object"}, [{}, []], [None, "x", ...]),
    ({"$type": "object"}, [{}], [[], None]),
    ({"$type": str}, ["x"], [1]),
    ({"$regex": "a.c", "$options": "is"}, ["xA\nC"], ["ab"]),
    ({"$size": 2}, [[1, 2]], [[1], "ab", {"a": 1, "b": 2}, ...]),
    ({"$size": {"$gte": 1, "$lt": 3}}, [[1], [1, 2]], [[], [1, 2, 3]]),
    ({"$all": ["a", str]}, [["a"]], [["b"], []]),
    ({"$elemMatch": {"$gt": 1, "$lt": 3}}, [[0, 2]], [[0, 4], 2, ...]),
    ({"$not": {"$gt": 5}}, [5, "x", None, ...], [6]),
    ({"$not": None}, [0, ""], [None, ...]),
    ({"$not": {"$not": 5}}, [5], [6, ...]),
    ({"$or": ["a", {"$gt": 5}]}, ["a", 6], ["b", 5, ...]),
    ({"$or": ["a", None]}, ["a", None, ...], ["b"]),
    ({"$and": [{"$gt": 1}, {"$gt": 5}]}, [6], [2]),
    ({"$nor": ["a", {"$gt": 5}]}, ["b", 5, ..., None], ["a", 6]),
    ({"$gt": 1, "$nor": [3, 4]}, [2, 5], [3, 4, 1]),
    # helpers mean the operators
    (eq("a"), ["a"], ["b", ...]),
    (ne("a"), ["b", ...], ["a"]),
    (gt(1), [2], [1]),
    (gte(1), [1], [0]),
    (lt(1), [0], [1]),
    (lte(1), [1], [2]),
    (one_of("a", None), ["a", None, ...], ["b"]),
    (one_of(["a", "b"]), ["a"], [["a", "b"]]),
    (none_of("a", "b"), ["c", ...], ["a"]),
    (exists(), [1], [..., None]),
    (exists(False), [..., None], [1]),
    (matches("^A", "i"), ["ab"], ["ba", 1]),
    (matches("^A", re.I), ["ab"], ["ba"]),
    (all_of(gt(1), lt(5)), [2], [1, 5]),
    (any_of(str, gt(5)), ["", 6], [5, ...]),
    (not_(str), [1, ...], ["x"]),
    (has("a", gt(1)), [["a", 2]], [["a"], [2]]),
    (has(), [[]], [...]),
]


@pytest.mark.parametrize(("pattern", "fits", "others"), VALUES, ids=lambda one: repr(one)[:40])
def test_a_pattern_matches_these_values_and_not_those(pattern: Any, fits: list[Any], others: list[Any]) -> None:
    for value in fits:
        data = {} if value is ... else {"v": value}
        assert matched({"v": pattern}, data), f"{pattern!r} should match {value!r}"
    for value in others:
        data = {} if value is ... else {"v": value}
        assert not matched({"v": pattern}, data), f"{pattern!r} should not match {value!r}"


@pytest.mark.parametrize(
    ("source", "data", "expected"),
    [
        # a missing object counts as empty beside a leaf that matched something that is there
        ({"agent": {"ready": None}, "request": str}, {"request": "x"}, True),
        ({"release": {"latest": None}}, {}, False),
        ({"release": {"latest": None}}, {"other": 1}, False),
        ({"release": {"latest": None}}, {"release": {}}, True),
        ({"agent": {"ready": None}, "request": str}, {}, False),
        ({"agent": {"ready": None}, "gone": None}, {}, False),
        ({"agent": {"ready": None}, "gone": None}, {"gone": None}, True),
        ({"a": {"b": {"c": None}}, "x": 1}, {"x": 1}, True),
        ({"a": {"b": {"c": None}}, "x": 1}, {"x": 1, "a": {}}, True),
        ({"a": {"b": {"c": None}}}, {"a": {}}, False),
        ({"a": {"b": None, "c": 1}, "x": 1}, {"x": 1}, False),
        ({"a": {"b": {"$ne": 1}}, "x": 1}, {"x": 1}, True),
        ({"a": {}, "x": 1}, {"x": 1}, False),  # "is an object" is a leaf, and no missing member matches it
        ({"agent": {"ready": None}, "request": str}, {"request": "x", "agent": None}, False),
        ({"agent": {"ready": None}, "request": str}, {"request": "x", "agent": "busy"}, False),
        # only leaves can be anchors, not the data itself
        ({"$and": [{}, {"a": {"b": None}}]}, {}, False),
        ({"$nor": [{"z": 1}], "a": {"b": None}}, {}, False),
        ({"flag": None}, {}, True),
        # inside array elements
        ({"items": [{"a": {"b": None}}]}, {"items": [{}]}, False),
        ({"items": [{"a": {"b": None}}], "x": 1}, {"items": [{}], "x": 1}, True),
        ({"items": [{"sku": 1, "a": {"b": None}}]}, {"items": [{"sku": 1}]}, True),
        ({"items": [{"sku": 1, "a": {"b": None}}]}, {"items": [{"sku": 2}]}, False),
        # inside alternatives: one that does not hold anchors nothing
        ({"$or": [{"a": {"b": None}}, {"c": 1}]}, {"c": 1}, True),
        ({"$or": [{"a": {"b": None}}, {"c": 1}]}, {}, False),
        ({"$or": [{"a": {"b": None}}, {"c": 1}], "t": str}, {"t": "x"}, True),
        ({"$or": [{"a": {"b": None}}, {"c": 1, "d": 2}]}, {"c": 1}, False),
        ({"$and": [{"a": {"b": None}}, {"c": 1}]}, {"c": 1}, True),
        # negated: beside an anchor the missing object counts as empty, so the inner pattern holds
        ({"$not": {"a": {"b": None}}}, {}, True),
        ({"$not": {"a": {"b": None}}, "x": 1}, {"x": 1}, False),
        ({"$nor": [{"a": {"b": None}}], "x": 1}, {"x": 1, "a": {"b": 2}}, True),
    ],
)
def test_a_missing_object_counts_as_empty_beside_a_match(source: Any, data: Any, expected: bool) -> None:
    assert matched(source, data) is expected


@pytest.mark.parametrize(
    ("source", "data", "expected"),
    [
        ({"a.b": 1}, {"a": {"b": 1}}, True),
        ({"a.b": 1}, {"a.b": 1}, False),
        ({"items.0.sku": "x"}, {"items": [{"sku": "x"}]}, True),
        ({"items.0.sku": "x"}, {"items": [{"sku": "y"}, {"sku": "x"}]}, False),
        ({"items.1": None}, {"items": ["x"]}, True),
        ({"items.1": "x"}, {"items": ["x"]}, False),
        ({"items.0": "x"}, {"items": {"0": "x"}}, True),
        ({"codes.007": 1}, {"codes": {"007": 1}}, True),
        ({"0": 1}, {"0": 1}, True),
        ({"a.b": 1, "a": {"c": 2}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a.b": 1, "a": {"c": 2}}, {"a": {"b": 1}}, False),
        ({"a.b": 1, "a": dict}, {"a": {"b": 1}}, True),
        ({"a": {"b": {"c": int}}, "a.b.c": {"$gt": 1}}, {"a": {"b": {"c": 2}}}, True),
        ({"a": {"b": {"c": int}}, "a.b.c": {"$gt": 1}}, {"a": {"b": {"c": 1}}}, False),
        ({"$via.name": "shop"}, {"$via": {"name": "shop"}}, True),
        ({"$errors": {"ship": dict}}, {"$errors": {"ship": {"message": "no"}}}, True),
        ({"$graph": {"vertices": [{"type": "a"}]}}, {"$graph": {"vertices": [{"type": "a"}]}}, True),
        ({}, {}, True),
        (dict, {"a": 1}, True),
        (lambda data: len(data) == 1, {"a": 1}, True),
        (lambda data: len(data) == 1, {}, False),
        ({"a": 1, "$or": [{"b": 1}, {"c": 1}]}, {"a": 1, "c": 1}, True),
        ({"a": 1, "$or": [{"b": 1}, {"c": 1}]}, {"a": 2, "c": 1}, False),
    ],
)
def test_dotted_keys_and_whole_data(source: Any, data: Any, expected: bool) -> None:
    assert matched(source, data) is expected


@pytest.mark.parametrize(
    ("source", "stash", "expected"),
    [
        ({"$stash": {"token": str}}, {"token": "String"}, True),
        ({"$stash": {"token": str}}, {"token": "Number"}, False),
        ({"$stash": {"token": str}}, {}, False),
        ({"$stash.token": float}, {"token": "Number"}, True),
        ({"$stash": {"token": None}}, {}, True),
        ({"$stash": {"token": None}}, {"token": "Null"}, True),
        ({"$stash": {"token": None}}, {"token": "String"}, False),
        ({"$stash": {"token": exists()}}, {"token": "Boolean"}, True),
        ({"$stash": {"token": ne(None)}}, {"token": "Null"}, False),
        ({"$stash": {"token": any_of(list, dict)}}, {"token": "Object"}, True),
        ({"$stash": {"token": not_(str)}}, {"token": "String"}, False),
        ({"$or": [{"$stash": {"a": str}}, {"$stash": {"b": str}}]}, {"b": "String"}, True),
    ],
)
def test_hidden_values_are_matched_by_their_type(source: Any, stash: Any, expected: bool) -> None:
    assert matched(source, {"$stash": stash, "x": 1}) is expected


def test_names_of_types_are_types_only_in_conditions_from_json() -> None:
    source = {"a": "String", "b": "Object", "c": {"$ne": "Number"}}
    data = {"a": "x", "b": [], "c": "x"}
    assert matched(source, data, json_types=True)
    assert not matched(source, data)
    assert matched(source, {"a": "String", "b": "Object"})


def test_a_condition_may_hold_another() -> None:
    paid = compile_condition({"status": "paid"})
    assert matched({"order": paid, "x": 1}, {"order": {"status": "paid"}, "x": 1})
    assert compile_condition(paid) is paid


@pytest.mark.parametrize(
    ("source", "leaves"),
    [
        ({}, 1),
        ({"a": 1, "b": {"c": None, "d": str}}, 3),
        ({"a": []}, 1),
        ({"a": ["x", {"b": 1, "c": 2}]}, 3),
        ({"a": {"$gt": 1, "$lt": 5}}, 2),
        ({"a": {"$in": [1, 2, 3]}}, 1),
        ({"a": {"$regex": "x", "$options": "i"}}, 1),
        ({"a": {"$not": {"b": 1, "c": 2}}}, 2),
        ({"a": {"$size": {"$gt": 1, "$lt": 3}}}, 2),
        ({"$or": [{"a": 1}, {"b": 1, "c": 1}]}, 3),
        ({"a.b": 1, "a": {"c": 2}}, 2),
        ({"a": {}}, 1),
    ],
)
def test_specificity_is_the_number_of_leaves(source: Any, leaves: int) -> None:
    condition = compile_condition(source)
    assert condition.specificity == leaves == len(condition.leaves)


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ({"a": 1, "b": {"c": None}}, {("a",), ("b", "c")}),
        ({"a.b.c": 1}, {("a", "b", "c")}),
        ({"items": [{"sku": str}], "n": {"$size": 2}}, {("items",), ("n",)}),
        ({"items.0.sku": 1}, {("items", 0, "sku"), ("items", "0", "sku")}),
        ({"$or": [{"a": 1}, {"b": 1}], "$not": {"c": 1}}, {("a",), ("b",), ("c",)}),
        ({"order": {}}, {("order",)}),
        ({}, {()}),
    ],
)
def test_paths_are_what_the_condition_looks_at(source: Any, paths: set[Any]) -> None:
    assert compile_condition(source).paths == paths
