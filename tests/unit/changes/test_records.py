"""Changes as JSON, and in words."""

import pytest

from aloma_py.changes import change_from_json, change_to_dict, change_to_json, describe
from aloma_py.models import Change


@pytest.mark.parametrize(
    ("change", "stored", "shown", "words"),
    [
        (
            Change("set", ("order", "status"), "paid"),
            ["set", ["order", "status"], "paid"],
            {"op": "set", "path": "order.status", "value": "paid"},
            'order.status = "paid"',
        ),
        (
            Change("delete", ("order", "tmp")),
            ["delete", ["order", "tmp"]],
            {"op": "delete", "path": "order.tmp"},
            "− order.tmp",
        ),
        (
            Change("append", ("order", "items"), [1, 2]),
            ["append", ["order", "items"], [1, 2]],
            {"op": "append", "path": "order.items", "value": [1, 2]},
            "order.items + 2 elements",
        ),
        (
            Change("append", ("a.b", 0, "1"), [None]),
            ["append", ["a.b", 0, "1"], [None]],
            {"op": "append", "path": '["a.b"].0["1"]', "value": [None]},
            '["a.b"].0["1"] + 1 element',
        ),
        (Change("set", (), {}), ["set", [], {}], {"op": "set", "path": "", "value": {}}, "data = {}"),
    ],
)
def test_forms_of_a_change(change, stored, shown, words):
    assert change_to_json(change) == stored
    assert change_from_json(stored) == change
    assert change_to_dict(change) == shown
    assert describe(change) == words


def test_a_long_value_is_cut():
    assert describe(Change("set", ("text",), "x" * 100), width=10) == 'text = "xxxxxxxx…'


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["move", ["a"], 1], 'this is no change: ["move",["a"],1]'),
        (["set", ["a"]], 'this is no change: ["set",["a"]]'),
        (["set", "a", 1], 'this is no change: ["set","a",1]'),
        (["set", [True], 1], 'this is no change: ["set",[true],1]'),
        (["set", [-1], 1], 'this is no change: ["set",[-1],1]'),
        ({"op": "set"}, 'this is no change: {"op":"set"}'),
        (["append", ["a"], "text"], 'a change that appends needs a list of elements, not "text"'),
    ],
)
def test_what_is_no_change_is_refused(value, message):
    with pytest.raises(ValueError) as raised:
        change_from_json(value)
    assert str(raised.value) == message
