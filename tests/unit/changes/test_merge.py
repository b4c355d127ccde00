"""What the runs of one wave make together, and which conflicts are told."""

import pytest

from aloma_py.changes import Merged, apply, diff, merge
from aloma_py.models import Change, Conflict


def conflict(path, lost="one", won="two"):
    return Conflict(tuple(path), lost, won)


def merge_states(base, *states):
    """Each state is what one run left: ``one``, ``two``, ``three``."""
    return merge(
        base, [(name, diff(base, state)) for name, state in zip(("one", "two", "three"), states, strict=False)]
    )


def test_different_members_merge():
    base = {"order": {"status": "new", "tmp": 1}}
    merged = merge_states(base, {"order": {"status": "paid", "tmp": 1}}, {"order": {"status": "new"}, "seen": True})
    assert merged.data == {"order": {"status": "paid"}, "seen": True}
    assert merged.conflicts == ()


def test_appends_to_one_array_are_both_kept_in_the_order_of_the_runs():
    assert merge_states({"log": ["a"]}, {"log": ["a", "b"]}, {"log": ["a", "c"]}) == Merged(
        {"log": ["a", "b", "c"]},
        ((Change("append", ("log",), ["b"]),), (Change("append", ("log",), ["c"]),)),
    )


def test_different_elements_of_one_array_merge():
    merged = merge_states({"n": [1, 2, 3]}, {"n": [9, 2, 3]}, {"n": [1, 2, 8, 4]})
    assert merged.data == {"n": [9, 2, 8, 4]}
    assert merged.conflicts == ()


def test_the_later_of_two_runs_wins_and_the_conflict_is_told():
    merged = merge_states({"x": 0}, {"x": 1}, {"x": 2})
    assert merged.data == {"x": 2}
    assert merged.conflicts == (conflict("x"),)


def test_each_of_three_runs_loses_to_the_next():
    merged = merge_states({"x": 0}, {"x": 1}, {"x": 2}, {"x": 3})
    assert merged.data == {"x": 3}
    assert merged.conflicts == (conflict("x"), conflict("x", "two", "three"))


def test_two_runs_that_agreed_both_lose_to_a_third():
    merged = merge_states({}, {"x": 1}, {"x": 1}, {"x": 3})
    assert merged.conflicts == (conflict("x", "one", "three"), conflict("x", "two", "three"))


def test_a_run_does_not_conflict_with_itself():
    changes = [Change("set", ("a",), {"b": 1}), Change("set", ("a", "b"), 2), Change("delete", ("a",))]
    merged = merge({}, [("one", changes), ("two", [Change("set", ("c",), 1)])])
    assert merged.data == {"c": 1}
    assert merged.conflicts == ()


@pytest.mark.parametrize(
    ("base", "one", "two", "data", "conflicts"),
    [
        # the same, or nothing lost
        ({"x": 0}, ("set", "x", 1), ("set", "x", 1), {"x": 1}, []),
        ({"x": 0}, ("delete", "x"), ("delete", "x"), {}, []),
        ({"a": {"x": 0}}, ("delete", "a"), ("delete", "a.x"), {}, []),
        ({"a": {"x": 0}}, ("delete", "a.x"), ("delete", "a"), {}, []),
        ({"a": {"x": 0}}, ("set", "a.x", 1), ("set", "a", {"x": 1}), {"a": {"x": 1}}, []),
        ({"a": {"x": 0}}, ("set", "a", {"x": 1}), ("set", "a.x", 1), {"a": {"x": 1}}, []),
        ({"a": {"x": 0}}, ("set", "a", {}), ("delete", "a.x"), {"a": {}}, []),
        # one sets, the other deletes
        ({"x": 0}, ("set", "x", 1), ("delete", "x"), {}, ["x"]),
        ({"x": 0}, ("delete", "x"), ("set", "x", 1), {"x": 1}, ["x"]),
        # above and below
        ({"a": {"x": 0, "y": 0}}, ("delete", "a"), ("set", "a.x", 1), {"a": {"x": 1}}, ["a.x"]),
        ({"a": {"x": 0}}, ("set", "a.x", 1), ("delete", "a"), {}, ["a"]),
        ({"a": {"x": 0}}, ("set", "a", "text"), ("set", "a.x", 1), {"a": {"x": 1}}, ["a.x"]),
        ({"a": {"x": 0}}, ("set", "a.x", 1), ("set", "a", "text"), {"a": "text"}, ["a"]),
        ({"a": {"x": 0}}, ("set", "a.x", 1), ("set", "", {}), {}, [""]),
        # arrays
        ({"a": [0]}, ("append", "a", [1]), ("set", "a", [9]), {"a": [9]}, ["a"]),
        ({"a": [0]}, ("set", "a", [9]), ("append", "a", [1]), {"a": [9, 1]}, []),
        ({"a": [0]}, ("set", "a", "text"), ("append", "a", [1]), {"a": [1]}, ["a"]),
        ({"a": [0]}, ("delete", "a"), ("append", "a", [1]), {"a": [1]}, ["a"]),
        ({"a": [0]}, ("append", "a", [1]), ("delete", "a"), {}, ["a"]),
        ({"a": [0]}, ("append", "a", [1]), ("set", "a.0", 5), {"a": [5, 1]}, []),
        ({"a": [0]}, ("set", "a.0", 5), ("append", "a", [1]), {"a": [5, 1]}, []),
        ({"a": [0, 1]}, ("set", "a", []), ("set", "a.1", 5), {"a": [None, 5]}, ["a.1"]),
        ({"a": [[0]]}, ("set", "a.0", [7]), ("append", "a.0", [1]), {"a": [[7, 1]]}, []),
        ({"a": {"x": [0]}}, ("set", "a", {}), ("append", "a.x", [1]), {"a": {"x": [1]}}, ["a.x"]),
        ({"a": {"x": 0}}, ("set", "a.x", 1), ("append", "a", [1]), {"a": [1]}, ["a"]),
    ],
)
def test_conflicts(base, one, two, data, conflicts):
    def change(op, path, *value):
        parts = tuple(int(part) if part.isdigit() else part for part in path.split(".")) if path else ()
        return Change(op, parts, *value)

    merged = merge(base, [("one", [change(*one)]), ("two", [change(*two)])])
    assert merged.data == data
    told = [".".join(str(part) for part in found.path) for found in merged.conflicts]
    assert told == conflicts


def test_two_objects_made_at_one_place_merge_member_by_member():
    merged = merge_states({}, {"found": {"crm": {"id": 1}}}, {"found": {"crm": {"name": "x"}, "mail": True}})
    assert merged.data == {"found": {"crm": {"id": 1, "name": "x"}, "mail": True}}
    assert merged.conflicts == ()
    assert merged.changes[1] == (
        Change("set", ("found", "crm", "name"), "x"),
        Change("set", ("found", "mail"), True),
    )


def test_where_two_new_objects_differ_in_a_member_the_later_wins():
    merged = merge_states({}, {"found": {"id": 1, "a": 1}}, {"found": {"id": 2, "b": 1}})
    assert merged.data == {"found": {"id": 2, "a": 1, "b": 1}}
    assert merged.conflicts == (conflict(("found", "id")),)


def test_an_object_that_replaces_one_that_was_there_is_not_merged():
    base = {"a": {"old": 1}}
    runs = [("one", [Change("set", ("a",), {"x": 1})]), ("two", [Change("set", ("a",), {"y": 1})])]
    merged = merge(base, runs)
    assert merged.data == {"a": {"y": 1}}
    assert merged.conflicts == (conflict("a"),)


def test_many_changes_of_two_runs_take_no_more_than_their_number():
    base = {"rows": [{"n": n} for n in range(20_000)]}
    one = [Change("set", ("rows", n, "a"), n) for n in range(20_000)]
    two = [Change("set", ("rows", n, "b"), n) for n in range(20_000)]
    merged = merge(base, [("one", one), ("two", two)])
    assert merged.data["rows"][-1] == {"n": 19_999, "a": 19_999, "b": 19_999}
    assert merged.conflicts == ()
    assert merge(base, [("one", one), ("two", [Change("set", ("rows",), [])])]).conflicts == (conflict(["rows"]),)
    assert apply(base, one)["rows"][5] == {"n": 5, "a": 5}
