"""One condition written in Python and in JavaScript: the same verdict, the same specificity, the same leaves."""

from __future__ import annotations

import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aloma_py import Limits, Workspace
from aloma_py.conditions import Condition, compile_condition, explain
from aloma_py.connect.connector import Registry
from aloma_py.errors import ConditionError, LoadError
from aloma_py.javascript.check import check
from aloma_py.javascript.consult import Asker
from aloma_py.javascript.program import Program
from aloma_py.run.script import Scripts
from aloma_py.steps.javascript.condition import javascript_condition
from aloma_py.steps.javascript.files import read_steps

pytestmark = pytest.mark.anyio

PATTERNS = ("^a", "b+c", "[0-9]{2,}", "x|y", "a.c", "^$")
TYPES = ((str, "String"), (float, "Number"), (bool, "Boolean"), (list, "Array"))
NAMES = ("string", "number", "integer", "boolean", "array", "object", "null")
OPERATORS = (
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$regex", "$size", "$all",
    "$elemMatch", "$not", "$and", "$or", "$nor",
)  # fmt: skip
KEYS = ("a", "b", "c", "$via", "k k", "__proto__", "1")


class Both:
    """Makes conditions: each is given as what Python takes and as the text of JavaScript."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def literal(self) -> Any:
        return self.chance.choice([None, True, False, 0, 1, 2, -1, 1.5, 1e21, "", "a", "abc", "xy", "10", "ä😀"])

    def json(self, depth: int = 2) -> Any:
        pick = self.chance.random()
        if depth == 0 or pick < 0.6:
            return self.literal()
        if pick < 0.8:
            return [self.json(depth - 1) for _ in range(self.chance.randrange(3))]
        return {self.chance.choice(KEYS): self.json(depth - 1) for _ in range(self.chance.randrange(3))}

    def data(self) -> dict[str, Any]:
        return {key: self.json(3) for key in self.chance.sample(KEYS, self.chance.randrange(5))}

    def members(self, depth: int) -> tuple[Any, str]:
        python: dict[str, Any] = {}
        script = []
        for key in self.chance.sample(KEYS, self.chance.randrange(1, 4)):
            path = [
                key,
                *(self.chance.choice(("a", "b", "0", "1")) for _ in range(self.chance.choice((0, 0, 0, 1, 2)))),
            ]
            text = ".".join(path)
            python[text], shown = self.pattern(depth - 1)
            script.append(f"[{json.dumps(text)}]: {shown}")
        if depth and self.chance.random() < 0.25:
            name = self.chance.choice(("$and", "$or", "$nor"))
            python[name], shown = self.several(depth - 1, 1)
            script.append(f"{name}: {shown}")
        return python, f"{{{', '.join(script)}}}"

    def several(self, depth: int, least: int = 0) -> tuple[list[Any], str]:
        found = [self.pattern(depth) for _ in range(self.chance.randrange(least, 4))]
        return [one for one, _ in found], f"[{', '.join(shown for _, shown in found)}]"

    def pattern(self, depth: int) -> tuple[Any, str]:
        pick = self.chance.random()
        if depth <= 0 or pick < 0.3:
            return self.leaf()
        if pick < 0.5:
            return self.members(depth)
        if pick < 0.6:
            return self.several(depth - 1)
        found = [self.operator(depth) for _ in range(self.chance.choice((1, 1, 2)))]
        python: dict[str, Any] = {}
        shown: dict[str, str] = {}
        for name, value, text in found:
            python[name], shown[name] = value, text
        return python, f"{{{', '.join(f'{name}: {text}' for name, text in shown.items())}}}"

    def leaf(self) -> tuple[Any, str]:
        pick = self.chance.random()
        if pick < 0.25:
            return self.chance.choice(TYPES)
        if pick < 0.35:
            pattern, flags = self.chance.choice(PATTERNS), self.chance.choice(("", "i"))
            return re.compile(pattern, re.I if flags else 0), f"/{pattern}/{flags}"
        if pick < 0.4:
            return None, "undefined"
        value = self.literal()
        return value, json.dumps(value)

    def operator(self, depth: int) -> tuple[str, Any, str]:
        name = self.chance.choice(OPERATORS)
        value: Any
        match name:
            case "$eq" | "$ne":
                value = self.json()
            case "$gt" | "$gte" | "$lt" | "$lte":
                value = self.chance.choice([0, 1, 1.5, -1, "a", "b", ""])
            case "$in" | "$nin":
                value = [self.json() for _ in range(self.chance.randrange(1, 4))]
                pattern = self.chance.choice(PATTERNS)
                return name, [*value, re.compile(pattern)], f"[{', '.join(map(json.dumps, value))}, /{pattern}/]"
            case "$exists":
                value = self.chance.random() < 0.5
            case "$type":
                if self.chance.random() < 0.5:
                    return name, *self.chance.choice(TYPES)
                value = self.chance.choice(NAMES)
            case "$regex":
                value = self.chance.choice(PATTERNS)
            case "$size":
                value = self.chance.choice([0, 1, 2, {"$gt": 1}, {"$in": [0, 2]}])
            case "$all":
                return name, *self.several(depth - 1)
            case "$and" | "$or" | "$nor":
                return name, *self.several(depth - 1, 1)
            case _:
                return name, *self.pattern(depth - 1)
        return name, value, json.dumps(value)


def load(folder: Path, conditions: list[str]) -> list[Condition]:
    """The conditions of a folder, read by V8 in one go."""
    for n, text in enumerate(conditions):
        (folder / f"s{n:03}.js").write_text(f"export const condition = {text};\nexport const content = () => {{}};\n")
    return [step.condition for step in Workspace.load(folder).steps]


def read(condition: Condition) -> tuple[int, list[str]]:
    # Sorted, as JavaScript puts keys that are whole numbers first.
    return condition.specificity, sorted(leaf.path for leaf in condition.leaves)


def test_a_condition_is_the_same_in_both_languages(tmp_path):
    both = Both(7)
    made: list[tuple[Condition, str]] = []
    while len(made) < 150:
        python, script = both.members(3)
        try:
            made.append((compile_condition(python), script))
        except ConditionError:
            continue  # {$or: [1]} on the whole data can never match
    loaded = load(tmp_path, [script for _, script in made])
    verdicts = []
    for (python, script), javascript in zip(made, loaded, strict=True):
        assert read(javascript) == read(python), script
        assert javascript.paths == python.paths, script
        for data in [{}, *(both.data() for _ in range(20))]:
            verdict = python.matches(data)
            assert javascript.matches(data) is verdict, (script, data)
            verdicts.append(verdict)
    assert 0.02 < sum(verdicts) / len(verdicts) < 0.9  # else nothing was compared


def test_what_only_one_language_writes_so(tmp_path):
    texts = [
        "{a: Object}",
        "{a: {$type: Object}}",
        "{a: {$regex: /B/i}}",
        "{a: {$regex: /B/i, $options: ''}}",
        "{a: 12345678901234567890123n}",
        "{a: -0}",
    ]
    either, typed, loose, strict, big, zero = load(tmp_path, texts)
    for one in (either, typed):
        assert [one.matches({"a": value}) for value in ({}, [], "x", None, 1)] == [True, True, False, False, False]
    assert loose.matches({"a": "abc"}) and not strict.matches({"a": "abc"}) and strict.matches({"a": "aBc"})
    assert big.matches({"a": 12345678901234567890123}) and not big.matches({"a": 12345678901234567890124})
    assert zero.matches({"a": 0}) and zero.matches({"a": -0.0})


def test_a_missing_parent_of_null_counts_as_empty_beside_something_that_is_there(tmp_path):
    alone, beside = load(tmp_path, ["{release: {latest: null}}", "{agent: {ready: null}, request: String}"])
    assert not alone.matches({}) and alone.matches({"release": {}})
    assert beside.matches({"request": "x"}) and not beside.matches({})


@pytest.mark.parametrize(
    ("condition", "path", "reason"),
    [
        ("{a: {b: {$gtt: 3}}}", "a.b.$gtt", "there is no operator '$gtt'"),
        ("{a: {$type: 'strng'}}", "a.$type", "did you mean 'string'"),
        ("{a: {$in: 3}}", "a.$in", "$in takes a list"),
        ("{a: [String, class Order {}]}", "a.1", "the class Order is no pattern"),
        ("{a: {b: new Map()}}", "a.b", "a Map is no pattern"),
        ("{a: new Date()}", "a", "a Date is no pattern"),
        ("{a: {$not: Symbol('x')}}", "a.$not", "a symbol is no pattern"),
        ("{a: NaN}", "a", "NaN is no number that JSON has"),
        ("{a: {$regex: 'x', $options: 'q'}}", "a.$regex", "unknown regex flag 'q'; there are: d, g, i, m, s, u, v, y"),
        ("{a: {$regex: 3}}", "a.$regex", "text"),
        ("{a: {$regex: 'x', b: 1}}", "a", "the operator $regex and the member 'b' are mixed"),
        ("{'a..b': 1}", "a..b", "empty part"),
    ],
)
def test_a_mistake_is_told_at_load_with_its_place(tmp_path, condition, path, reason):
    file = tmp_path / "orders.js"
    file.write_text(f"// orders\n\nexport const condition = {condition};\nexport const content = async () => {{}};\n")
    with pytest.raises(LoadError) as caught:
        Workspace.load(tmp_path)
    message = str(caught.value)
    assert reason in message and path in message
    assert f"{file}:3" in message and "'orders'" in message


MISTAKES = [
    ("{a: {$regex: 'x', $options: 'ii'}}", "a.$regex", "one twice"),
    ("{a: {$regex: 'x', $options: 'uv'}}", "a.$regex", "u and v exclude each other"),
    ("{a: {$regex: '('}}", "a.$regex", "'(' is no regular expression: Unterminated group"),
    ("{a: {$not: {b: {$regex: '[a', $options: 'i'}}}}", "a.$not.b.$regex", "'[a' is no regular expression"),
    ("{a: {$regex: /\\-/, $options: 'u'}}", "a.$regex", "is no regular expression: Invalid escape"),
    ("{a: {$gt: Number}}", "a.$gt", "$gt orders numbers and strings, got the type Number"),
    ("{a: {$in: [1, {b: x => x}]}}", "a.$in.1.b", "expected a JSON value here, got the function x => x"),
    ("{a: {$exists: null}}", "a.$exists", "$exists takes true or false, got null"),
    ("{a: new Error('x')}", "a", "an Error is no pattern; write a plain object"),
    ("{a: new String('x')}", "a", "a boxed string (new String) is no pattern; write the string itself"),
    ("{a: new Number(1)}", "a", "a boxed number (new Number) is no pattern; write the number itself"),
    ("{a: new Boolean(0)}", "a", "a boxed boolean"),
    ("{a: Object(1n)}", "a", "a BigInt is no pattern"),
    ("{a: new Set([1])}", "a", "a Set is no pattern; for one of several values write {$in: […]}"),
    ("{a: new URL('http://x')}", "a", "a URL is no pattern"),
    ("{a: new (class Order { total = 3 })()}", "a", "an Order is no pattern; write a plain object"),
    ("{a: {__proto__: {b: 1}}}", "a", "an object that inherits from another is no pattern"),
    ("{a: {[Symbol('x')]: 1}}", "a", "an object that has Symbol(x) as a key is no pattern"),
    ("{a: parseInt}", "a", "the built-in function parseInt is no pattern; write a function of your own"),
    ("{a: Math.random}", "a", "the built-in function random is no pattern"),
    ("{a: Date}", "a", "the class Date is no pattern; a time in JSON is text: String"),
    ("{a: Map}", "a", "the class Map is no pattern; expected String, Number, Boolean, Array or Object"),
    ("{a: Symbol}", "a", "the class Symbol is no pattern"),
    ("{a: RegExp}", "a", "the class RegExp is no pattern; write the regular expression itself"),
    ("{a: async x => false}", "a", "a function that is async or a generator is no pattern"),
    ("{a: function* () {}}", "a", "a function that is async or a generator is no pattern"),
    ("{a: task}", "a", "what only a run has (task, connectors, fetch and the like) is no pattern"),
]


def test_what_is_no_pattern_is_told_with_what_to_write():
    texts = [condition for condition, _, _ in MISTAKES]
    contents = [f"export const condition = {text};\nexport const content = () => {{}};" for text in texts]
    steps = [read_steps(content, f"s{n}.js", default_name=f"s{n}")[0] for n, content in enumerate(contents)]
    programs = [Program(step.name, step.file, step.program) for step in steps]
    for (text, path, reason), program, checked in zip(MISTAKES, programs, check(programs), strict=True):
        with pytest.raises(ConditionError) as caught:
            javascript_condition(checked.condition, text, Asker(program), {})
        assert reason in caught.value.bare, text
        assert caught.value.path == path, text


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("data.a > 3", "data.a > 3 gives a boolean, and a condition is a pattern, as {total: {$gt: 3}}; or make it"),
        ("data.a.b.c === 3", "export const condition = (data) => data.a.b.c === 3"),
        ("{a: 1} && data.tags.includes('x')", "(data) => ({a: 1} && data.tags.includes('x'))"),
        ("!data.a", "!data.a gives a boolean"),
        ("`${data.a}`", "gives a string"),
        ("true", "a task's data is an object, which true can never match; write what its members must be"),
        ("['x']", "which ['x'] can never match"),
        ("null", "which null can never match"),
        ("Array", "which Array can never match"),
        ("async (data) => data.a > 3", "a function that is async or a generator is no pattern"),
        ("task.id() === 'x' ? {a: 1} : {b: 1}", "task is not there"),
        ("{a: task.id()}", "task is not there"),
        ("{a: lib.rules.broken()}", "TypeError: nothing to see"),
    ],
)
def test_what_is_no_condition_as_a_whole_is_told_with_its_line(tmp_path, condition, reason):
    file = tmp_path / "orders.js"
    file.write_text(f"// orders\n\nexport const condition = {condition};\nexport const content = async () => {{}};\n")
    library = tmp_path / "rules.js"
    library.write_text("\n" * 20 + "export const broken = () => { throw new TypeError('nothing to see') };\n")
    with pytest.raises(LoadError) as caught:
        Workspace("w", [file], libraries={"rules": library})
    message = str(caught.value)
    assert message.startswith(f"{file}:3: step 'orders': ") and reason in message


def test_a_match_that_gives_a_boolean_is_told_what_to_write(tmp_path):
    file = tmp_path / "orders.mts"
    file.write_text("export const match = (data: any) => data.a > 3;\nexport default async () => {};\n")
    with pytest.raises(ConditionError, match=r"orders.mts:1: .*export const condition = \(data\) => data.a > 3"):
        Workspace.load(tmp_path)


async def test_a_condition_may_be_computed_as_a_whole(tmp_path, scripts):
    texts = [
        "data.vip ? {total: {$gt: 1}} : {total: {$gt: 5}}",
        "{...(data.vip ? {total: 2} : {}), id: Number}",
        "(data) => data.total > 1",
        "((loop) => { for (const one of data.list ?? []) loop[one] = String; return loop })({})",
        "data.rules",
    ]
    data = [{"vip": True, "total": 2}, {"total": 2}, {"id": 1}, {"list": ["id"], "id": "x", "rules": True}]
    loaded = load(tmp_path, texts)
    found = await scripts.settle(lambda: [[one.matches(given) for given in data] for one in loaded])
    assert found == [
        [True, False, False, False],
        [False, False, True, False],
        [True, True, False, False],
        [True, True, True, True],
        [False, False, False, False],
    ]
    told = await scripts.settle(lambda: explain(loaded[4], data[3]))
    assert "data.rules gives a value, and a condition is a pattern" in " ".join(row.found for row in told.rows)


async def test_functions_that_are_meant_as_tests_are_patterns(tmp_path, scripts):
    texts = ["Number.isInteger", "Array.isArray", "(n => n > 1).bind(null)", "async => async === 2", "[,]"]
    whole, array, bound, named, hole = load(tmp_path, [f"{{a: {text}}}" for text in texts])
    for condition, values in (
        (whole, [2, 2.5]),
        (array, [[], {}]),
        (bound, [2, 1]),
        (named, [2, 1]),
        (hole, [[None], []]),
    ):
        found = await scripts.settle(lambda one=condition, given=values: [one.matches({"a": value}) for value in given])
        assert found == [True, False], condition.source


async def test_a_function_that_gives_a_promise_does_not_match_and_the_explanation_says_so(tmp_path, scripts):
    [condition] = load(tmp_path, ["{a: x => (async () => false)()}"])
    assert not await scripts.settle(lambda: condition.matches({"a": 1}))
    found = await scripts.settle(lambda: explain(condition, {"a": 1}))
    assert "it gives a promise, and a condition does not wait" in found.rows[0].found


@pytest.fixture
async def scripts() -> AsyncIterator[Scripts]:
    made = Scripts("test", Registry(), Limits(max_hold=200))
    async with made.pool.running():
        yield made


async def test_regular_expressions_that_python_does_not_have_keep_their_meaning(tmp_path, scripts):
    cases = [
        ("/(?<=\\$)\\d+/", ["$12", "12"], [True, False]),
        ("/(?<![a-z]+)\\d/", ["7", "ab7"], [True, False]),
        ("/^(\\w)(?:\\1)+$/", ["aaa", "aab"], [True, False]),
        ("/(?<q>['\"]).*\\k<q>/", ["'x'", "'x\""], [True, False]),
        ("/^\\p{Lu}/u", ["Éa", "éa"], [True, False]),
        ("/^[\\p{L}--[a-z]]$/v", ["A", "a"], [True, False]),
        ("/^.$/u", ["😀", "ab"], [True, False]),
        ("/^.$/", ["😀", "a"], [False, True]),
        ("{$regex: '(?<=a)b'}", ["ab", "b"], [True, False]),
        ("{$in: [/(a)\\1/, 3]}", ["aa", 3, "a"], [True, True, False]),
        ("{$not: /(a)\\1/}", ["aa", 3, "a"], [False, True, True]),
        ("[/(a)\\1/]", [["b", "aa"], ["b"]], [True, False]),
    ]
    loaded = load(tmp_path, [f"{{a: {text}}}" for text, _, _ in cases])
    for condition, (text, values, wanted) in zip(loaded, cases, strict=True):
        for value, verdict in zip(values, wanted, strict=True):
            got = await scripts.settle(lambda one=condition, given=value: one.matches({"a": given}))
            assert got is verdict, (text, value)


async def test_functions_and_computed_bounds_are_answered_by_v8(tmp_path, scripts):
    cases: list[tuple[str, dict[str, Any], bool]] = [
        ("{a: x => x > 3}", {"a": 4}, True),
        ("{a: x => x > 3}", {"a": 3}, False),
        ("{a: x => x === undefined}", {"a": 1}, False),
        ("{a: {b: x => x.length === 2, c: null}}", {"a": {"b": [1, 2]}}, True),
        ("{a: {$not: x => x > 3}}", {"a": 3}, True),
        ("{a: {$not: x => x > 3}}", {"a": 4}, False),
        ("{a: [x => x % 2 === 0, 3]}", {"a": [1, 3, 4]}, True),
        ("{a: {$elemMatch: {n: x => x > 1}}}", {"a": [{"n": 1}, {"n": 2}]}, True),
        ("{a: {$lt: data.limit}}", {"a": 1, "limit": 2}, True),
        ("{a: {$lt: data.limit}}", {"a": 2, "limit": 2}, False),
        ("{a: data.b}", {"a": [1, 2], "b": [1]}, True),
        ("{a: data.b}", {"a": "x", "b": "y"}, False),
        ("{$or: [{a: data.b}, {c: 1}]}", {"c": 1, "a": 0, "b": 1}, True),
        ("{a: {$in: data.list, $gt: 1}}", {"a": 2, "list": [1, 2]}, True),
        ("{a: {$in: data.list, $gt: 1}}", {"a": 1, "list": [1, 2]}, False),
        ("{a: {$gt: data.b.c.d}}", {"a": 1}, False),  # there is no such bound: it raises, and does not match
        ("{a: {$size: data.n}}", {"a": [1], "n": 1}, True),
        ("{a: {$gte: 9007199254740993n}}", {"a": 9007199254740992}, False),
    ]
    loaded = load(tmp_path, [text for text, _, _ in cases])
    for condition, (text, data, verdict) in zip(loaded, cases, strict=True):
        got = await scripts.settle(lambda one=condition, given=data: one.matches(given))
        assert got is verdict, (text, data)


async def test_a_function_that_throws_does_not_match_and_the_explanation_says_so(tmp_path, scripts):
    throws, other = load(
        tmp_path, ["{a: x => { throw new Error('no luck') }}", "{a: x => x.deep.er > 1, b: {$gt: data.c.d}}"]
    )
    assert not await scripts.settle(lambda: throws.matches({"a": 1}))
    found = await scripts.settle(lambda: explain(throws, {"a": 1}))
    assert not found.matched
    assert "no luck" in " ".join(f"{row.expected} {row.found}" for row in found.rows)
    found = await scripts.settle(lambda: explain(other, {"a": 1, "b": 1}))
    assert [row.held for row in found.rows if row.leaf] == [False, False]
    assert "undefined" in " ".join(row.found for row in found.rows)


async def test_a_function_that_does_not_end_is_stopped_and_does_not_match(tmp_path, scripts):
    endless, plain = load(tmp_path, ["{a: x => { for (;;) {} }}", "{a: x => true}"])
    assert not await scripts.settle(lambda: endless.matches({"a": 1}))
    assert await scripts.settle(lambda: plain.matches({"a": 1}))
