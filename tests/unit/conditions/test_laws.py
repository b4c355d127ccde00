"""What must be true of any condition and any data: the three ways to judge agree, and the index agrees with them."""

from __future__ import annotations

import itertools
import re
from typing import Any, Literal

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from aloma_py.conditions import (
    Condition,
    ConditionIndex,
    compile_condition,
    explain,
    leaf_results,
    naive_match,
)
from aloma_py.conditions.naive import holds
from aloma_py.errors import ConditionError
from aloma_py.paths import Path

laws = settings(deadline=None, max_examples=200)

KEYS = st.sampled_from(["a", "b", "c", "d"])
TEXTS = st.sampled_from(["", "x", "xy", "yx", "String"])
NUMBERS = st.sampled_from([0, 1, 2, 3, -1, 1.0, 2.5, 10**30])
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans())
JSON = st.recursive(
    st.none() | SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4) | KEYS, inner, max_size=4),
    max_leaves=20,
)


class Small(BaseModel):
    a: Literal["x", "xy"]
    b: int = Field(gt=0)
    c: str | None = None


def even(value: Any) -> bool:
    return bool(value % 2 == 0)  # raises for texts on purpose: that counts as not holding


LEAVES = st.one_of(
    SCALARS,
    st.none(),
    st.sampled_from([str, int, float, bool, list, dict, type(None), re.compile("x"), re.compile("Y", re.I), even]),
    st.just({}),
    st.just([]),
    st.sampled_from(["$gt", "$gte", "$lt", "$lte"]).flatmap(
        lambda name: (NUMBERS | TEXTS).map(lambda bound: {name: bound})
    ),
    st.tuples(NUMBERS, NUMBERS).map(lambda ends: {"$gte": ends[0], "$lt": ends[1]}),
    st.sampled_from(["$eq", "$ne"]).flatmap(lambda name: JSON.map(lambda value: {name: value})),
    st.sampled_from(["$in", "$nin"]).flatmap(
        lambda name: st.lists(st.none() | SCALARS, min_size=1, max_size=3).map(lambda values: {name: values})
    ),
    st.booleans().map(lambda wanted: {"$exists": wanted}),
    st.sampled_from(["string", "number", "integer", "boolean", "array", "object", "null", "Object"]).map(
        lambda name: {"$type": name}
    ),
    st.integers(0, 2).map(lambda length: {"$size": length}),
)
MEMBER_KEYS = st.one_of(KEYS, st.sampled_from(["a.b", "b.0", "a.0.b", "c.d.a"]))


def composite(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.dictionaries(MEMBER_KEYS, inner, min_size=1, max_size=3),
        several,
        st.sampled_from(["$and", "$or", "$nor"]).flatmap(lambda name: several.map(lambda parts: {name: parts})),
        inner.map(lambda part: {"$not": part}),
        inner.map(lambda part: {"$elemMatch": part}),
    )


PATTERNS = st.recursive(LEAVES, composite, max_leaves=8)
SOURCES = st.one_of(
    st.dictionaries(MEMBER_KEYS, PATTERNS, max_size=4),
    st.tuples(st.dictionaries(MEMBER_KEYS, PATTERNS, max_size=2), st.dictionaries(KEYS, PATTERNS, min_size=1)).map(
        lambda two: {"$or": list(two)}
    ),
    st.tuples(st.dictionaries(KEYS, PATTERNS, max_size=2), st.dictionaries(KEYS, PATTERNS, min_size=1)).map(
        lambda two: {**two[0], "$not": two[1]}
    ),
    st.just(Small),
    st.dictionaries(KEYS, st.one_of(PATTERNS, st.just(Small)), min_size=1, max_size=3),
)


@st.composite
def near(draw: st.DrawFn, source: Any) -> Any:
    """A value that mostly matches a pattern, with something changed here and there."""
    if draw(st.integers(0, 9)) == 0:
        return draw(JSON)
    if source is Small:
        return {"a": draw(st.sampled_from(["x", "xy", "q"])), "b": draw(st.sampled_from([1, 2, 0, True])), "d": 1}
    if isinstance(source, list):
        return [draw(near(part)) for part in source] + draw(st.lists(JSON, max_size=1))
    if isinstance(source, dict):
        return draw(near_object(source))
    examples = {str: "x", int: 1, float: 2.5, bool: True, list: [], dict: {}, even: 2}
    if isinstance(source, re.Pattern):
        return "xy"
    if isinstance(source, type) or callable(source):
        return examples.get(source)
    return source


@st.composite
def near_object(draw: st.DrawFn, source: dict[str, Any]) -> Any:
    found: dict[str, Any] = {}
    for key, part in source.items():
        if not key.startswith("$"):
            if draw(st.integers(0, 5)) > 0:
                write(found, key.split("."), draw(near(part)))
        elif key in ("$and", "$or", "$nor"):
            inner = draw(near(draw(st.sampled_from(part))))
            if not isinstance(inner, dict):
                return inner
            found.update(inner)
        elif key == "$elemMatch":
            return [draw(JSON), draw(near(part))]
        elif key == "$size":
            return [0] * part
        elif key in ("$in", "$nin"):
            return draw(st.sampled_from(part))
        elif key in ("$eq", "$ne", "$gte", "$lte"):
            return part
        elif key not in ("$not", "$exists"):
            return draw(JSON)
    found.update(draw(st.dictionaries(KEYS, JSON, max_size=1)))
    return found


def write(found: dict[str, Any], parts: list[str], value: Any) -> None:
    for part, following in itertools.pairwise(parts):
        found = found.setdefault(part, {})
        if not isinstance(found, dict) or (following == "0" and found):
            return
    found[parts[-1]] = value


@st.composite
def cases(draw: st.DrawFn, most: int = 1) -> tuple[list[Condition], Any]:
    """Conditions, and data that is near to matching one of them."""
    sources = draw(st.lists(SOURCES, min_size=1, max_size=most))
    conditions = []
    for source in sources:
        try:
            conditions.append(compile_condition(source))
        except ConditionError:
            assume(False)
    data = draw(near(draw(st.sampled_from(sources))))
    assume(isinstance(data, dict))
    return conditions, data


@laws
@given(cases())
def test_the_compiled_condition_agrees_with_the_interpreter(case: tuple[list[Condition], Any]) -> None:
    [condition], data = case
    assert condition.matches(data) == holds(condition.pattern, data)


@laws
@given(cases(most=40))
def test_the_index_agrees_with_the_interpreter(case: tuple[list[Condition], Any]) -> None:
    conditions, data = case
    expected = naive_match(conditions, data)
    assert ConditionIndex(conditions).match(data) == expected
    # with enough others beside them, the same conditions are found through the tree
    many = conditions * 12
    assert ConditionIndex(many).match(data) == naive_match(many, data)


@laws
@given(st.data(), cases(most=30))
def test_judging_again_what_looks_at_the_changes_gives_all_that_matches(
    draw: st.DataObject, case: tuple[list[Condition], Any]
) -> None:
    conditions, data = case
    index = ConditionIndex(conditions)
    before = index.match(data)
    after = draw.draw(near(data))
    assume(isinstance(after, dict))
    assert index.rematch(after, before, differences(data, after)) == index.match(after)


def differences(one: Any, other: Any, path: Path = ()) -> list[Path]:
    """The paths at which two values differ, as deep as objects go."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return [p for key in sorted(keys) for p in differences(one.get(key, ...), other.get(key, ...), (*path, key))]
    return [] if repr(one) == repr(other) else [path]


@laws
@given(cases())
def test_an_explanation_says_what_the_condition_says(case: tuple[list[Condition], Any]) -> None:
    [condition], data = case
    explanation = explain(condition, data)
    assert explanation.matched == condition.matches(data)
    assert all(isinstance(text, str) for row in explanation.rows for text in (row.path, row.expected, row.found))


@laws
@given(cases())
def test_there_is_one_row_and_one_result_for_each_leaf(case: tuple[list[Condition], Any]) -> None:
    [condition], data = case
    results = leaf_results(condition, data)
    assert len(results) == len(condition.leaves) == condition.specificity >= 1
    rows = [row for row in explain(condition, data).rows if row.leaf]
    assert [row.expected for row in rows] == [leaf.expected for leaf in condition.leaves]


PLAIN = st.dictionaries(KEYS, st.recursive(LEAVES, lambda p: st.dictionaries(KEYS, p, min_size=1), max_leaves=5))


@laws
@given(st.data(), PLAIN)
def test_a_condition_without_alternatives_matches_when_all_its_leaves_hold(draw: st.DataObject, source: Any) -> None:
    condition = compile_condition(source)
    data = draw.draw(near(source))
    assume(isinstance(data, dict))
    assert all(leaf_results(condition, data)) == condition.matches(data)


@laws
@given(cases(), KEYS, LEAVES)
def test_a_further_leaf_makes_a_condition_more_specific(case: tuple[list[Condition], Any], key: str, leaf: Any) -> None:
    [condition], _ = case
    narrower = compile_condition({"$and": [condition, {key: leaf}]})
    assert narrower.specificity > condition.specificity
    assert condition.paths <= narrower.paths


@laws
@given(st.data(), st.dictionaries(MEMBER_KEYS, PATTERNS, min_size=2))
def test_the_order_of_keys_means_nothing(draw: st.DataObject, source: dict[str, Any]) -> None:
    data = draw.draw(near(source))
    assume(isinstance(data, dict))
    try:
        condition = compile_condition(source)
    except ConditionError:
        assume(False)
    turned = compile_condition(dict(reversed(source.items())))
    turned_data = dict(reversed(data.items()))
    assert turned.matches(turned_data) == condition.matches(data)
    assert turned.specificity == condition.specificity
    assert turned.paths == condition.paths


@laws
@given(st.lists(SOURCES, min_size=1, max_size=20), st.dictionaries(st.text() | KEYS, ANY_JSON))
def test_no_json_makes_a_condition_fail(sources: list[Any], data: Any) -> None:
    conditions = []
    for source in sources:
        try:
            conditions.append(compile_condition(source))
        except ConditionError:
            continue
    index = ConditionIndex(conditions)
    assert index.match(data) == naive_match(conditions, data)
    for condition in conditions:
        explain(condition, data)
