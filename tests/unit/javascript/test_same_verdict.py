"""What is promised of conditions: written in Python or in JavaScript, the same verdict on the same data.

A condition is drawn once, as a tree that knows how either language writes it (:class:`Both`), with data that is made to
match it and then changed here and there. All conditions are read by one process of V8 and judged by one worker.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from aloma_py import Limits
from aloma_py.conditions import Condition, compile_condition
from aloma_py.conditions.condition import may_match_object
from aloma_py.connect.connector import Registry
from aloma_py.errors import ConditionError
from aloma_py.javascript.check import check
from aloma_py.javascript.consult import Asker
from aloma_py.javascript.program import Program
from aloma_py.run.script import Scripts
from aloma_py.steps.javascript.condition import javascript_condition
from aloma_py.steps.javascript.files import read_steps

pytestmark = pytest.mark.anyio

CONDITIONS: Final = 120
EACH: Final = 8  # data per condition
MARKS: Final = "\ue000\ue001"

KEYS: Final = ("a", "b", "c", "k k", "ä😀", "__proto__", "constructor", "length", "1", "$via", "$errors", "$graph")
PARTS: Final = ("a", "b", "0", "1", "2", "01", "__proto__", "$via")
TEXTS: Final = ("", "a", "ab", "abc", "A", "10", "String", "ä😀", "Ä", "\ud800", "\u2028", 'q"\\\n', "null", "toString")
NUMBERS: Final = (
    0, 1, 2, 3, -1, -0.0, 0.0, 1.0, 1.5, 0.1, 1e21, 10**21, 5e-324, 1e308, 2**53, 2**53 + 1, -(2**63), 10**30,
)  # fmt: skip
SCALARS: Final = (None, True, False, *NUMBERS, *TEXTS)
REGEXES: Final = (
    ("^a", "", "ab"), ("B+c", "i", "abC"), ("[0-9]{2,}", "", "x10"), ("x|y", "", "y"), ("a.c", "", "abc"),
    ("^(?:a|b)*!", "", "abab!"), ("ä", "i", "xÄ"), ("^b", "m", "a\nb"), ("a.b", "s", "a\nb"), ("\\.", "", "1.5"),
    ("(?<!a)b", "", "cb"), ("(a|b)\\1", "", "bb"), ("(?=.*1)a", "", "a1"), ("[^a-z]", "i", "é"), ("", "", ""),
    ("\\u00e4😀", "", "ä😀"), ("\\x61", "", "a"), ("a{2}", "", "aa"), ("\\ba\\b", "", "b a"),
)  # fmt: skip
"""Of regular expressions only what both languages read alike, with a text in which it is found."""

PREDICATES: Final[tuple[tuple[Callable[[Any], Any], str, Any], ...]] = (
    (lambda v: isinstance(v, (int, float)) and not isinstance(v, bool) and v > 1,
     "x => (typeof x === 'number' || typeof x === 'bigint') && x > 1", 2),
    (lambda v: v.startswith("a"), "x => x.startsWith('a')", "ab"),
    (lambda v: isinstance(v, list) and len(v) == 1, "x => Array.isArray(x) && x.length === 1", [3]),
    (lambda v: v["a"]["b"] == 1, "function (x) { return x.a.b === 1 }", {"a": {"b": 1}}),
    (lambda v: isinstance(v, str) and len(v) == 2, "x => typeof x === 'string' && [...x].length === 2", "ä😀"),
    (lambda v: v is None, "x => x === null", None),
)  # fmt: skip
TYPES: Final[tuple[tuple[Any, str, Any], ...]] = (
    (str, "String", "x"), (float, "Number", 1.5), (int, "{$type: 'integer'}", 2.0), (bool, "Boolean", False),
    (list, "Array", []), (dict, "{$type: 'object'}", {}), ({"$type": "Object"}, "Object", [1]),
    (type(None), "null", None), ({"$type": float}, "{$type: Number}", 3), ({"$type": "null"}, "{$type: 'null'}", None),
    ({"$type": "String"}, "{$type: String}", ""),
)  # fmt: skip
WRONG: Final[tuple[tuple[str, Any], ...]] = (
    ("$gt", True), ("$lte", None), ("$gte", []), ("$in", 3), ("$in", []), ("$nin", "a"), ("$exists", 1), ("$size", -1),
    ("$size", True), ("$size", {"a": 1}), ("$type", "strng"), ("$all", {}), ("$and", []), ("$or", 1), ("$nor", []),
    ("$gtt", 1), ("$options", "i"), ("$regex", "("), ("$regex", 1), ("$elemMatch", {"$x": 1}), ("$not", {"$lt": None}),
)  # fmt: skip


@dataclass(frozen=True)
class Both:
    """A condition, or a part of one, in both languages; ``sample`` draws something that it mostly matches.

    In ``marked``, the text of JavaScript, whatever may as well be computed from the data stands between two marks.
    """

    python: Any
    marked: str
    sample: Callable[[st.DrawFn], Any]

    @property
    def script(self) -> str:
        return self.marked.translate({ord(mark): None for mark in MARKS})

    @property
    def computed(self) -> str:
        """The same condition, of which V8 has to be asked for each task."""
        return self.marked.replace(MARKS[0], "(data ? ").replace(MARKS[1], " : 0)")


def script_of(value: Any) -> str:
    """A JSON value as JavaScript writes it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'[{json.dumps(key)}]: {script_of(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(script_of, value))}]"
    if isinstance(value, int) and abs(value) > 2**53:
        return f"{value}n"
    return json.dumps(value)


JSON: Final = st.recursive(
    st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)


def always(value: Any) -> Callable[[st.DrawFn], Any]:
    return lambda draw: value


def literal(value: Any) -> Both:
    return Both(value, marked(script_of(value)), always(value))


def marked(text: str) -> str:
    return f"{MARKS[0]}{text}{MARKS[1]}"


@st.composite
def leaves(draw: st.DrawFn) -> Both:
    match draw(st.integers(0, 9)):
        case 0 | 1:
            python, script, sample = draw(st.sampled_from(TYPES))
            return Both(python, marked(script), always(sample))
        case 2:
            source, flags, sample = draw(st.sampled_from(REGEXES))
            return Both(regex(source, flags), marked(f"new RegExp({json.dumps(source)}, '{flags}')"), always(sample))
        case 3:
            call, script, sample = draw(st.sampled_from(PREDICATES))
            return Both(call, marked(script), always(sample))
        case 4:
            return Both(None, draw(st.sampled_from(["null", "undefined"])), always(None))
    return literal(draw(st.sampled_from(SCALARS)))


def regex(source: str, flags: str) -> re.Pattern[str]:
    return re.compile(source, sum({"i": re.I, "m": re.M, "s": re.S}[flag] for flag in flags))


@st.composite
def patterns(draw: st.DrawFn, depth: int = 3) -> Both:
    pick = draw(st.integers(0, 10)) if depth > 0 else 0
    if pick < 4:
        return draw(leaves())
    if pick < 6:
        return draw(members(depth))
    if pick == 6:
        return draw(several(depth))
    found = draw(
        st.lists(operators(depth), min_size=1, max_size=draw(st.sampled_from([1, 1, 2])), unique_by=lambda one: one[0])
    )
    if found[-1][0] == "$regex" and draw(st.integers(0, 3)):
        usual = [flags for source, flags, _ in REGEXES if source == found[-1][1].python and flags]
        found.insert(0, ("$options", literal(draw(st.sampled_from(usual or ["", "i", "ms"])))))
    return together(dict(found))


def together(parts: dict[str, Both]) -> Both:
    """What is in one object: each part is sampled, and objects are laid over each other."""

    def sample(draw: st.DrawFn) -> Any:
        found: Any = None
        for part in parts.values():
            one = part.sample(draw)
            found = over(found, one) if isinstance(found, dict) and isinstance(one, dict) else one
        return found

    script = ", ".join(f"[{json.dumps(name)}]: {part.marked}" for name, part in parts.items())
    return Both({name: part.python for name, part in parts.items()}, f"{{{script}}}", sample)


def over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = over(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged


@st.composite
def members(draw: st.DrawFn, depth: int = 3) -> Both:
    parts: dict[str, Both] = {}
    for key in draw(st.lists(st.sampled_from(KEYS), min_size=0 if depth < 3 else 1, max_size=3, unique=True)):
        rest = draw(st.lists(st.sampled_from(PARTS), max_size=2)) if draw(st.booleans()) else []
        part = draw(patterns(depth - 1))
        parts[".".join([key, *rest])] = Both(part.python, part.marked, placed([key, *rest], part))
    if draw(st.integers(0, 5)) == 0:
        part = draw(stash())
        parts["$stash"] = Both(part.python, part.marked, placed(["$stash"], part))
    if depth and draw(st.integers(0, 3)) == 0:
        name, part = draw(logical(depth - 1, members))
        parts[name] = part
    return together(parts) if parts else literal({})


def placed(path: Sequence[str], part: Both) -> Callable[[st.DrawFn], Any]:
    """A sample of an object that has one of the part at that path."""

    def sample(draw: st.DrawFn) -> Any:
        value = part.sample(draw)
        if value is None and draw(st.booleans()):
            return {}  # null may be missing, and its parents too
        for key in reversed(path[1:]):
            fits = key in ("0", "1", "2") and draw(st.integers(0, 3))
            value = [*([0] * int(key)), value] if fits else {key: value}
        return {path[0]: value}

    return sample


@st.composite
def stash(draw: st.DrawFn) -> Both:
    kind, python, script = draw(st.sampled_from([("String", str, "String"), ("Number", float, "Number"),
                                                 ("Array", list, "Array"), ("Boolean", bool, "Boolean")]))  # fmt: skip
    match draw(st.integers(0, 3)):
        case 0:
            return Both({"k": {"$exists": True}}, "{k: {$exists: true}}", always({"k": kind}))
        case 1:
            return Both({"k": {"$not": python}}, f"{{k: {{$not: {script}}}}}", always({"k": "Null"}))
    return Both({"k": python}, f"{{k: {script}}}", always({"k": kind}))


@st.composite
def several(draw: st.DrawFn, depth: int, least: int = 0) -> Both:
    found = draw(st.lists(patterns(depth - 1), min_size=least, max_size=3))
    return array(found)


def array(found: list[Both]) -> Both:
    def sample(draw: st.DrawFn) -> Any:
        return draw(st.permutations([part.sample(draw) for part in found] + draw(st.lists(JSON, max_size=1))))

    return Both([part.python for part in found], f"[{', '.join(part.marked for part in found)}]", sample)


def logical(depth: int, of: Callable[[int], st.SearchStrategy[Both]]) -> st.SearchStrategy[tuple[str, Both]]:
    @st.composite
    def draw_one(draw: st.DrawFn) -> tuple[str, Both]:
        name = draw(st.sampled_from(["$and", "$or", "$nor"]))
        found = draw(st.lists(of(depth), min_size=1, max_size=3))
        both = array(found)

        def sample(inner: st.DrawFn) -> Any:
            if name == "$and":
                return together(dict(enumerate(found))).sample(inner)  # type: ignore[arg-type]
            return inner(st.sampled_from(found)).sample(inner) if name == "$or" else inner(JSON)

        return name, Both(both.python, both.marked, sample)

    return draw_one()


@st.composite
def operators(draw: st.DrawFn, depth: int) -> tuple[str, Both]:
    """The name of an operator, and its operand; the sample is one of what the operator matches."""
    if draw(st.integers(0, 60)) == 0:
        name, wrong = draw(st.sampled_from(WRONG))
        return name, literal(wrong)
    name = draw(st.sampled_from([
        "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$regex", "$regex", "$size",
        "$all", "$elemMatch", "$not", "logical",
    ]))  # fmt: skip
    match name:
        case "$eq" | "$ne":
            value = draw(JSON)
            return name, Both(
                value, marked(script_of(value)), always(value) if name == "$eq" else lambda draw: draw(JSON)
            )
        case "$gt" | "$gte" | "$lt" | "$lte":
            bounds = st.sampled_from(NUMBERS) if draw(st.booleans()) else st.sampled_from(TEXTS)
            bound = draw(bounds)
            return name, Both(bound, marked(script_of(bound)), lambda draw: draw(bounds))
        case "$in" | "$nin":
            return name, draw(options(name == "$in"))
        case "$exists":
            wanted = draw(st.booleans())
            return name, Both(wanted, json.dumps(wanted), (lambda draw: draw(JSON)) if wanted else always(None))
        case "$type":
            python, script, sample = draw(st.sampled_from([one for one in TYPES if script_of(None) != one[1]]))
            python = python["$type"] if isinstance(python, dict) else python
            return name, Both(python, script.removeprefix("{$type: ").removesuffix("}"), always(sample))
        case "$regex":
            source, _, sample = draw(st.sampled_from(REGEXES) | st.sampled_from([one for one in REGEXES if one[1]]))
            return name, Both(source, marked(json.dumps(source)), always(sample))
        case "$size":
            size = draw(st.sampled_from([0, 1, 2, {"$gt": 1}, {"$in": [0, 2]}, {"$gte": 1, "$lt": 3}]))
            return name, Both(size, script_of(size), lambda draw: draw(st.lists(JSON, max_size=3)))
        case "$all":
            return name, draw(several(depth))
        case "$elemMatch":
            part = draw(patterns(depth - 1))
            return name, Both(part.python, part.marked, array([part]).sample)
        case "$not":
            part = draw(patterns(depth - 1))
            return name, Both(part.python, part.marked, lambda draw: draw(JSON))
    return draw(logical(depth - 1, patterns))


@st.composite
def options(draw: st.DrawFn, one_of_them: bool) -> Both:
    values = draw(st.lists(JSON, min_size=1, max_size=3))
    source, flags, sample = draw(st.sampled_from(REGEXES))
    with_regex = draw(st.booleans())
    python = [*values, regex(source, flags)] if with_regex else values
    shown = [*map(script_of, values), f"new RegExp({json.dumps(source)}, '{flags}')"][: len(python)]
    samples = [*values, sample] if with_regex else values
    return Both(
        python,
        marked(f"[{', '.join(shown)}]"),
        lambda draw: draw(st.sampled_from(samples)) if one_of_them else draw(JSON),
    )


def changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with one thing in it that is another, or gone."""
    if isinstance(value, (dict, list)) and value and draw(st.integers(0, 3)):
        keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
        copy = value.copy()
        if draw(st.integers(0, 2)):
            copy[key] = changed(draw, value[key])
        else:
            del copy[key]
        return copy
    twins: dict[str, list[Any]] = {
        "bool": [1, 0, None, "true"], "int": [True, 1.0, "1", 2], "float": [1, "1.5", None], "str": [1, None, "AB", []],
        "NoneType": [False, 0, "", {}], "list": [{}, None, {"0": 1}, [[]]], "dict": [[], None, {"b": 1}],
    }  # fmt: skip
    return draw(st.sampled_from(twins[type(value).__name__]) | st.sampled_from(SCALARS))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Both, list[dict[str, Any]]]:
    condition = draw(members())
    compiled = in_python(condition.python)
    found = []
    for n in range(EACH):
        data = draw(JSON)
        for _ in range(4 if n < EACH - 1 else 0):
            data = condition.sample(draw)
            if isinstance(compiled, str) or (isinstance(data, dict) and compiled.matches(data)):
                break  # a sample of parts that exclude each other does not match: another one may
        if n % 3 == 2:
            data = changed(draw, data)
        found.append(data if isinstance(data, dict) else {"a": data})
    return condition, found


def drawn(number: int, first: int = 0) -> list[tuple[Both, list[dict[str, Any]]]]:
    """So many different conditions with data: hypothesis likes to draw what is much like what it drew before."""
    made: dict[str, tuple[Both, list[dict[str, Any]]]] = {}

    def keep(case: tuple[Both, list[dict[str, Any]]]) -> None:
        made.setdefault(case[0].script, case)

    few = settings(max_examples=10, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    while len(made) < number:
        first += 1
        seed(first)(few(given(cases())(lambda case: keep(case))))()
    return list(made.values())[:number]


def in_python(source: Any) -> Condition | str:
    try:
        return compile_condition(source)
    except ConditionError as error:
        return str(error)


def in_javascript(texts: list[str]) -> list[Condition | str]:
    """The condition of each text, or why it is refused; V8 reads them all in one go."""
    contents = [f"export const condition = {text};\nexport const content = () => {{}};" for text in texts]
    steps = [read_steps(content, f"s{n}.js", default_name=f"s{n}")[0] for n, content in enumerate(contents)]
    programs = [Program(step.name, step.file, step.program) for step in steps]
    found: list[Condition | str] = []
    for step, program, checked in zip(steps, programs, check(programs), strict=True):
        assert checked.error is None, (step.condition, checked.error)
        try:
            condition = javascript_condition(checked.condition, step.condition, Asker(program), dict(step.dynamic))
            found.append(condition if may_match_object(condition.pattern) else "can never match")
        except ConditionError as error:
            found.append(str(error))
    return found


def read(condition: Condition) -> tuple[int, list[str]]:
    # Sorted, as JavaScript puts keys that are whole numbers first.
    return condition.specificity, sorted(leaf.path for leaf in condition.leaves)


def different(pairs: list[tuple[str, Condition, Any]], verdicts: list[bool]) -> list[tuple[str, Any, bool]]:
    """The smallest of the pairs for which Python's condition says something else than ``verdicts``."""
    found = [
        (text, data, verdict)
        for (text, condition, data), verdict in zip(pairs, verdicts, strict=True)
        if condition.matches(data) is not verdict
    ]
    return sorted(found, key=lambda one: len(repr(one)))[:3]


async def test_a_condition_gives_the_same_verdict_in_both_languages():
    # Given conditions in both languages, with data that is made to match most of them
    made = drawn(CONDITIONS)
    python = [in_python(both.python) for both, _ in made]
    script = in_javascript([both.script for both, _ in made])
    # Then one is refused where the other is
    for (both, _), one, other in zip(made, python, script, strict=True):
        assert isinstance(one, str) == isinstance(other, str), (both.script, one, other)
    pairs = [
        (both, one, other, data)
        for (both, found), one, other in zip(made, python, script, strict=True)
        if isinstance(one, Condition) and isinstance(other, Condition)
        for data in found
    ]
    for both, one, other, _ in pairs[::EACH]:
        assert read(one) == read(other), both.script
    # And they say the same of all data
    scripts = Scripts("test", Registry(), Limits(max_hold=200))
    async with scripts.pool.running():
        verdicts = await scripts.settle(lambda: [other.matches(data) for _, _, other, data in pairs])
    assert different([(both.script, one, data) for both, one, _, data in pairs], verdicts) == []
    # And enough of it matches, and enough does not, for this to mean something
    assert len(pairs) > 0.8 * CONDITIONS * EACH
    assert 0.25 < sum(verdicts) / len(verdicts) < 0.85


async def test_a_condition_that_v8_computes_for_each_task_gives_the_same_verdict():
    made = [(both, data) for both, data in drawn(40, first=1000) if not isinstance(in_python(both.python), str)]
    python = [in_python(both.python) for both, _ in made]
    script = in_javascript([both.computed for both, _ in made])
    pairs = [
        (both.computed, one, other, data)
        for (both, found), one, other in zip(made, python, script, strict=True)
        if isinstance(one, Condition)
        for data in found
    ]
    assert [(text, other) for text, _, other, _ in pairs if isinstance(other, str)] == []
    scripts = Scripts("test", Registry(), Limits(max_hold=200))
    async with scripts.pool.running():
        verdicts = await scripts.settle(
            lambda: [isinstance(other, Condition) and other.matches(data) for _, _, other, data in pairs]
        )
    assert different([(text, one, data) for text, one, _, data in pairs], verdicts) == []
    assert sum("(data ?" in text for text, *_ in pairs) > 0.8 * len(pairs)
    assert 0.25 < sum(verdicts) / len(verdicts) < 0.85


OPERATORS: Final = (
    "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$type", "$regex", "$size", "$all",
    "$elemMatch", "$not", "$and", "$or", "$nor", "$options", "$gtt", "$via.$gt",
)  # fmt: skip
OPERANDS: Final[tuple[tuple[Any, str], ...]] = (
    *((value, script_of(value)) for value in (None, True, 1, 1.5, -1, "x", "(", [], [None], ["x"], {}, {"a": 1})),
    ({"a": {"$gt": None}}, "{a: {$gt: null}}"), ([{"$x": 1}], "[{$x: 1}]"), (str, "String"), ([str], "[String]"),
    (re.compile("x"), "/x/"), ([[re.compile("x")]], "[[/x/]]"), (lambda value: True, "x => true"),
    ([lambda value: True], "[x => true]"), (float("inf"), "Infinity"),
)  # fmt: skip


async def test_an_operator_refuses_the_same_operands_in_both_languages_in_alike_words():
    pairs = [(name, *operand) for name in OPERATORS for operand in OPERANDS]
    script = in_javascript([f"{{a: {{{json.dumps(name)}: {text}}}}}" for name, _, text in pairs])
    refused = 0
    for (name, value, text), other in zip(pairs, script, strict=True):
        one = in_python({"a": {name: value}})
        assert isinstance(one, str) == isinstance(other, str), (name, text, one, other)
        if isinstance(one, str) and isinstance(other, str):
            refused += 1
            # What was expected is told in the same words; what was found instead, as the language calls it.
            if text != "Infinity":
                assert alike(other) == alike(one), (name, text)
            assert not re.search(r"Kind|Predicate|Regex|dict|None|True\b", other), other
    assert 0.4 < refused / len(pairs) < 0.9


def alike(message: str) -> str:
    return re.sub(r"(, got | is no regular expression: ).*?(?=; patterns go|$)", "", message).replace('"', "")
