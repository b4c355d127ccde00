"""Explanations: a row for each leaf, with what was expected, what was found and whether it held."""

from __future__ import annotations

from typing import Any

import pytest

from aloma_py.conditions import compile_condition, explain, has, matches, not_


def rows(source: Any, data: Any) -> list[tuple[str, str, str, bool]]:
    return [(row.path, row.expected, row.found, row.held) for row in explain(compile_condition(source), data).rows]


def test_each_leaf_is_told_apart() -> None:
    source = {"order": {"status": "new", "total": {"$gt": 100}}, "customer": str, "note": None}
    data = {"order": {"status": "paid", "total": 150}, "note": None}
    assert rows(source, data) == [
        ("order.status", 'equal to "new"', '"paid"', False),
        ("order.total", "greater than 100", "150", True),
        ("customer", "a string", "missing", False),
        ("note", "null or missing", "null", True),
    ]


@pytest.mark.parametrize(
    ("data", "found", "held"),
    [
        ({"request": "x"}, "missing (its object counts as empty)", True),
        ({}, "missing (its object is missing too, and nothing else that the condition asks for is there)", False),
        ({"request": "x", "agent": "busy"}, 'missing (agent is the string "busy", not an object)', False),
        ({"request": "x", "agent": None}, "missing (agent is null, not an object)", False),
    ],
)
def test_the_rule_of_the_missing_object_is_explained(data: Any, found: str, held: bool) -> None:
    result = rows({"agent": {"ready": None}, "request": str}, data)
    assert result[0] == ("agent.ready", "null or missing", found, held)


def test_of_an_array_the_nearest_element_is_shown() -> None:
    source = {"items": [{"sku": "a", "count": {"$gt": 5}, "open": True}]}
    data = {"items": [{"sku": "b"}, {"sku": "a", "count": 2, "open": True}, {"sku": "a"}]}
    assert rows(source, data) == [
        ("items.1.sku", 'equal to "a"', '"a"', True),
        ("items.1.count", "greater than 5", "2", False),
        ("items.1.open", "equal to true", "true", True),
    ]


def test_of_an_array_the_matching_element_is_shown() -> None:
    [row] = rows({"tags": has("vip")}, {"tags": ["x", "vip"]})
    assert row == ("tags.1", 'equal to "vip"', '"vip"', True)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"tags": []}, "missing (tags is an empty array)"),
        ({"tags": "vip"}, 'missing (tags is the string "vip", not an array)'),
        ({}, "missing"),
    ],
)
def test_without_an_element_the_reason_is_shown(data: Any, found: str) -> None:
    assert rows({"tags": ["vip"]}, data) == [("tags[]", 'equal to "vip"', found, False)]


def test_alternatives_and_negations_have_a_remark_above_their_rows() -> None:
    assert rows({"$or": [{"a": 1}, {"b": 2}]}, {"b": 2}) == [
        ("", "at least one of 2 alternatives", "alternative 2 held", True),
        ("a", "equal to 1", "missing", False),
        ("b", "equal to 2", "2", True),
    ]
    assert rows({"v": {"$nor": [{"a": 1}, {"b": 2}]}}, {"v": {"b": 2}}) == [
        ("v", "none of the alternatives", "it held", False),
        ("v", "at least one of 2 alternatives", "alternative 2 held", True),
        ("v.a", "equal to 1", "missing", False),
        ("v.b", "equal to 2", "2", True),
    ]
    assert rows({"a": not_("x")}, {"a": "x"}) == [("a", 'not equal to "x"', '"x"', False)]


def test_a_predicate_that_raises_is_shown_with_its_error() -> None:
    [row] = rows({"n": lambda n: n > 3}, {"n": "x"})
    assert row[1] == "a value for which lambda n: n > 3 holds"
    assert row[2].startswith('"x" (the function raised TypeError: ')
    assert row[3] is False


def test_lengths_regexes_and_long_values_are_readable() -> None:
    assert rows({"a": {"$size": {"$gt": 2}}}, {"a": [1]}) == [("a.$size", "greater than 2", "1", False)]
    assert rows({"a": {"$size": 2}}, {"a": "xy"}) == [("a.$size", "equal to 2", 'the string "xy", not an array', False)]
    [row] = rows({"a": matches("^b", "i")}, {"a": "c" * 500})
    assert row[1] == "a string in which /^b/i finds something"
    assert len(row[2]) <= 80
    assert rows({"a": 1}, {"a": list(range(9))})[0][2] == "an array of 9 elements"
