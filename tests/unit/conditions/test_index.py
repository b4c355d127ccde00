"""The index judges only what it has to, and shows conditions as text."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel

from aloma_py.conditions import ConditionIndex, compile_condition, gt, matches, naive_match, none_of
from aloma_py.conditions.condition import Condition, condition_of
from aloma_py.conditions.pattern import Compare, Computed, Members


class Counting:
    """A predicate that counts its calls."""

    def __init__(self, answer: bool = True) -> None:
        self.calls = 0
        self.answer = answer

    def __call__(self, value: Any) -> bool:
        self.calls += 1
        return self.answer


def others(count: int) -> list[Condition]:
    return [compile_condition({"n": number, "kind": {"of": "thing"}}) for number in range(count)]


def test_only_conditions_that_look_at_a_change_are_judged_again() -> None:
    for beside in (0, 50):  # judged one by one, and through the tree
        # Given two predicates on different members, both matched
        one, two = Counting(), Counting()
        index = ConditionIndex([compile_condition({"a": one}), compile_condition({"b": {"c": two}}), *others(beside)])
        data: dict[str, Any] = {"a": 1, "b": {"c": 1}, "n": -1}
        before = index.match(data)
        assert before == {0, 1}
        one.calls = two.calls = 0
        # When one member changes
        data["b"]["c"] = 2
        two.answer = False
        after = index.rematch(data, before, [("b", "c")])
        # Then only the predicate on it was called
        assert after == {0}
        assert (one.calls, two.calls) == (0, 1)


def test_many_conditions_on_the_changed_path_do_not_call_the_others() -> None:
    # Given more conditions on the changed member than are judged one by one
    one = Counting()
    index = ConditionIndex([compile_condition({"a": one}), *others(100)])
    before = index.match({"a": 1, "n": 5, "kind": {"of": "thing"}})
    assert before == {0, 6}
    one.calls = 0
    assert index.rematch({"a": 1, "n": 7, "kind": {"of": "thing"}}, before, [("n",)]) == {0, 8}
    assert one.calls == 0


def test_no_change_judges_nothing() -> None:
    one = Counting()
    index = ConditionIndex([compile_condition({"a": one})])
    assert index.rematch({"a": 1}, {0}, []) == {0}
    assert index.rematch({"a": 1}, {0}, [("elsewhere",)]) == {0}
    assert one.calls == 0


def test_facts_keep_predicates_from_being_called_in_vain() -> None:
    one = Counting()
    index = ConditionIndex([compile_condition({"a": one, "kind": "x"}), *others(50)])
    assert index.match({"a": 1, "kind": "y"}) == set()
    assert one.calls == 0


def test_a_path_is_looked_at_from_above_and_from_below() -> None:
    index = ConditionIndex(
        [
            compile_condition({"order": {"status": "new"}}),
            compile_condition({"order": dict}),
            compile_condition({"items": [{"sku": str}]}),
            compile_condition({"items.0.sku": "x"}),
            compile_condition({}),
            compile_condition({"orders": 1}),
        ]
    )
    assert index.looking_at([("order", "status")]) == {0, 1, 4}
    assert index.looking_at([("order",)]) == {0, 1, 4}
    assert index.looking_at([("order", "total")]) == {1, 4}
    assert index.looking_at([("items", 0)]) == {2, 3, 4}
    assert index.looking_at([("items", 1, "sku")]) == {2, 4}
    assert index.looking_at([()]) == {0, 1, 2, 3, 4, 5}
    assert index.looking_at([]) == set()


def test_the_same_condition_may_be_there_several_times() -> None:
    condition = compile_condition({"a": 1})
    assert ConditionIndex([condition] * 30).match({"a": 1}) == set(range(30))
    assert ConditionIndex([]).match({"a": 1}) == set()
    assert len(ConditionIndex([condition] * 3)) == 3


def test_ranges_that_overlap_and_bounds_that_touch() -> None:
    conditions = [
        compile_condition({"n": {low: a, high: a + width}})
        for a in range(-3, 12)
        for width in (0, 1, 5)
        for low in ("$gt", "$gte")
        for high in ("$lt", "$lte")
    ]
    index = ConditionIndex(conditions)
    for value in [*range(-4, 18), 0.5, 2.5, True, None, "5", 10**40, -(10**40)]:
        data = {"n": value}
        assert index.match(data) == naive_match(conditions, data), value


def test_ten_thousand_members_of_data_are_no_trouble() -> None:
    conditions = [compile_condition({f"m{number}": {"v": number}}) for number in range(300)]
    data = {f"m{number}": {"v": number % 200} for number in range(10_000)}
    assert ConditionIndex(conditions).match(data) == set(range(200))


def test_a_pattern_may_depend_on_the_data() -> None:
    # Given {n: {$lt: data.limit}}, as another front end may build it
    below = Computed("data.limit", lambda data: Compare("$lt", data["limit"]))
    condition = condition_of(Members((("n", below), ("limit", Compare("$gt", 0)))), "{n: {$lt: data.limit}}")
    index = ConditionIndex([condition, *others(50)])
    assert condition.paths >= {()}
    assert condition.matches({"n": 4, "limit": 5})
    assert not condition.matches({"n": 6, "limit": 5})
    assert index.match({"n": -4, "limit": 5}) == {0}


def test_conditions_are_shown_as_python_writes_them() -> None:
    class Paid(BaseModel):
        a: int

    def big(value: Any) -> bool:
        return bool(value > 5)

    assert compile_condition({"order.status": "new", "order": {"items": [{"sku": str}]}}).source == (
        '{"order": {"status": "new", "items": [{"sku": str}]}}'
    )
    assert compile_condition({"a": gt(5), "b": none_of("x", None), "c": matches("a+", "i")}).source == (
        '{"a": {"$gt": 5}, "b": {"$nin": ["x", None]}, "c": /a+/i}'
    )
    assert (
        compile_condition({"a": {"$gte": 1, "$lt": 2}, "b": Paid}).source == '{"a": {"$gte": 1, "$lt": 2}, "b": Paid}'
    )
    assert compile_condition({"a": big, "b": lambda v: v["x"] > 1}).source == '{"a": big, "b": lambda v: v["x"] > 1}'
    assert compile_condition({"a": 1, "$or": [{"b": True}, {"c": None}]}).source == (
        '{"a": 1, "$or": [{"b": True}, {"c": None}]}'
    )
    assert repr(compile_condition({"a": re.compile("x")})) == 'Condition({"a": /x/})'


def test_leaves_say_where_and_what() -> None:
    condition = compile_condition({"items": [{"sku": "a"}], "n": {"$gt": 1}})
    assert [(leaf.path, leaf.expected) for leaf in condition.leaves] == [
        ("items[].sku", 'equal to "a"'),
        ("n", "greater than 1"),
    ]
