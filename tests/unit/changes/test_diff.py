"""The changes that two states give, and what applying a change means."""

import pytest

from aloma_py.changes import apply, diff
from aloma_py.models import Change


def test_members_that_came_went_and_changed_give_one_change_each():
    before = {"order": {"status": "new", "tmp": 1, "total": 5}, "other": {"deep": [1]}}
    after = {"order": {"status": "paid", "total": 5, "at": None}, "other": {"deep": [1]}}
    assert diff(before, after) == (
        Change("set", ("order", "status"), "paid"),
        Change("delete", ("order", "tmp")),
        Change("set", ("order", "at"), None),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [(1, True), (1, 1.0), (0, False), (0.0, -0.0), (None, False), ("1", 1), ([], {}), ("", None)],
)
def test_values_of_different_json_type_differ(before, after):
    assert diff({"a": before}, {"a": after}) == (Change("set", ("a",), after),)
    assert diff({"a": [before]}, {"a": [after]}) == (Change("set", ("a", 0), after),)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ([], [1, 2], [("append", (), [1, 2])]),
        ([1], [1, 2], [("append", (), [2])]),
        ([1, 2, 3], [1, 9, 3], [("set", (1,), 9)]),
        ([1, 2], [1, 9, 3], [("set", (1,), 9), ("append", (), [3])]),
        ([{"n": 1, "ok": False}, {"n": 2}], [{"n": 1, "ok": True}, {"n": 2}], [("set", (0, "ok"), True)]),
        ([False, True, False], [True, True, False], [("set", (0,), True)]),
        ([None, None, 1], [2, None, 1], [("set", (0,), 2)]),
    ],
)
def test_an_array_that_kept_its_elements_gives_changes_of_elements(before, after, changes):
    assert diff(before, after) == tuple(Change(*change) for change in changes)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1, 2, 3], [1, 2]),
        ([1, 2], []),
        (["a", "b", "c"], ["new", "a", "b", "c"]),
        (["a", "b", "c"], ["b", "c", "d"]),
        (["c", "a", "b"], ["a", "b", "c"]),
        ([{"id": 1}, {"id": 2}, {"id": 3}], [{"id": 0}, {"id": 1}, {"id": 2}, {"id": 3}]),
        (list(range(100)), [n / 7 for n in range(100)]),
    ],
)
def test_an_array_that_got_shorter_or_whose_elements_moved_is_set_whole(before, after):
    assert diff({"list": before}, {"list": after}) == (Change("set", ("list",), after),)


def test_many_elements_that_each_changed_a_member_stay_changes_of_elements():
    before = [{"id": n, "done": False} for n in range(50)]
    after = [{"id": n, "done": True} for n in range(50)]
    assert diff(before, after) == tuple(Change("set", (n, "done"), True) for n in range(50))


def test_emptied_data_gives_a_delete_for_each_member():
    assert diff({"a": 1, "b": {}}, {}) == (Change("delete", ("a",)), Change("delete", ("b",)))


def test_applying_shares_what_did_not_change():
    data = {"big": {"list": [1, 2]}, "order": {"status": "new"}}
    made = apply(data, [Change("set", ("order", "status"), "paid")])
    assert made == {"big": {"list": [1, 2]}, "order": {"status": "paid"}}
    assert made["big"] is data["big"]
    assert data["order"] == {"status": "new"}


@pytest.mark.parametrize(
    ("data", "change", "expected"),
    [
        ({}, Change("set", ("a", "b"), 1), {"a": {"b": 1}}),
        ({}, Change("set", ("a", 1, "b"), 1), {"a": [None, {"b": 1}]}),
        ({"a": "text"}, Change("set", ("a", "b"), 1), {"a": {"b": 1}}),
        ({"a": [1, 2]}, Change("set", ("a", "b"), 1), {"a": {"b": 1}}),
        ({"a": {"x": 0}}, Change("set", ("a", 3), 1), {"a": {"x": 0, "3": 1}}),
        ({"a": [1]}, Change("set", ("a", 3), 4), {"a": [1, None, None, 4]}),
        ({"a": [1]}, Change("set", ("a", 10**9), 4), {"a": [1, 4]}),
        ({"a": [1]}, Change("set", (), {"b": 2}), {"b": 2}),
        ({"a": 1}, Change("delete", ("b", "c")), {"a": 1}),
        ({"a": [1, 2, 3]}, Change("delete", ("a", 1)), {"a": [1, 3]}),
        ({"a": {"0": 1}}, Change("delete", ("a", 0)), {"a": {}}),
        ({"a": 1}, Change("delete", ()), {}),
        ({"a": [1]}, Change("append", ("a",), [2, 3]), {"a": [1, 2, 3]}),
        ({}, Change("append", ("a", "b"), [2]), {"a": {"b": [2]}}),
        ({"a": "text"}, Change("append", ("a",), [2]), {"a": [2]}),
        ([1], Change("append", (), [2]), [1, 2]),
    ],
)
def test_a_change_can_be_applied_where_its_place_is_gone(data, change, expected):
    assert apply(data, [change]) == expected


def test_a_missing_place_is_not_even_copied_for_a_delete():
    data = {"a": {}}
    assert apply(data, [Change("delete", ("a", "b"))]) is data


def test_a_value_that_was_set_is_not_altered_by_the_changes_after_it():
    value = {"list": [1]}
    made = apply({}, [Change("set", ("a",), value), Change("append", ("a", "list"), [2]), Change("set", ("a", "n"), 1)])
    assert made == {"a": {"list": [1, 2], "n": 1}}
    assert value == {"list": [1]}
