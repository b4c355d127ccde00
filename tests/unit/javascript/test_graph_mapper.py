"""Paths, graphs and mappers in V8 do what the engine's own do: the same operations, scripted in both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_mini_racer import MiniRacer, init_mini_racer

from aloma_py import paths
from aloma_py.errors import AlomaError
from aloma_py.javascript.prelude import prelude_source
from aloma_py.run.data import to_data
from aloma_py.run.graph import Graph
from aloma_py.run.mapper import mapper
from aloma_py.run.plain import plain

from .node import FLAGS

_SCRIPTS = """
globalThis.caught = action => {
  try { return action() ?? null } catch (error) { return [error.name, error.message] }
};
globalThis.onGraph = text => {
  const {data, operations} = JSON.parse(text), graph = internal.graph(data);
  const answers = operations.map(([name, ...given]) => JSON.stringify(caught(() => graph[name](...given))));
  return JSON.stringify([data, answers.map(answer => JSON.parse(answer))]);
};
globalThis.onMapper = text => {
  const {rules, source, into} = JSON.parse(text);
  const functions = {wrap: (...values) => [values], count: (...values) => values.length};
  return JSON.stringify(caught(() => {
    const made = internal.mapper();
    for (const [name, ...given] of rules) {
      if (name === 'to') made.to(given[0], functions[given[1]], given.length > 2 ? given[2] : undefined);
      else made[name](...given);
    }
    return made.execute(source, into);
  }));
};
globalThis.onPaths = text => JSON.stringify(JSON.parse(text).map(([data, path, value]) => {
  const parsed = internal.paths.parse(path), before = internal.paths.get(data, parsed);
  const failed = caught(() => internal.paths.put(data, parsed, value));
  return [internal.paths.format(parsed), before === undefined ? 'missing' : [before], failed, data];
}));
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[MiniRacer]:
    init_mini_racer(flags=FLAGS, ignore_duplicate_init=True)
    with MiniRacer() as made:
        made.eval(f"globalThis.internal = {prelude_source(('paths', 'graph', 'mapper'))}; 0")
        made.eval(_SCRIPTS)
        yield made


def script(engine: MiniRacer, name: str, given: Any) -> Any:
    return json.loads(str(engine.eval(f"{name}({json.dumps(json.dumps(given))})")))


def caught(action: Any) -> Any:
    try:
        return action()
    except (AlomaError, ValueError) as error:
        kind = "RangeError" if isinstance(error, ValueError) else type(error).__name__
        return [kind, str(error).replace("or_()", "or()").replace("'None'", "'null'")]


# --- paths ---------------------------------------------------------------------------------------------------------


def python_paths(cases: list[list[Any]]) -> list[Any]:
    found = []
    for data, text, value in json.loads(json.dumps(cases)):
        parsed = paths.parse_path(text)
        before = paths.get(data, parsed)
        shown = "missing" if before is paths.MISSING else [json.loads(json.dumps(before))]
        failed = caught(lambda data=data, parsed=parsed, value=value: paths.put(data, parsed, value))
        found.append([paths.format_path(parsed), shown, failed, data])
    return found


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab01"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "0", "1", "__proto__", "7"]), VALUES, max_size=4)
PATHS = st.lists(st.sampled_from(["a", "b", "0", "1", "2", "", "__proto__", "07", "x"]), min_size=1, max_size=4)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(OBJECTS | st.lists(VALUES, max_size=3), PATHS.map(".".join), VALUES), min_size=1, max_size=12)
)
def test_paths(engine, cases):
    assert script(engine, "onPaths", cases) == python_paths([list(case) for case in cases])


def test_paths_at_their_limits(engine):
    long = "9" * 40
    cases: list[list[Any]] = [
        [{}, "a.100001", 1],
        [{}, f"a.{long}.b", 1],
        [{long: 1}, long, 2],
        [{"7": 1}, "007", 2],
        [{"٣": 1}, "٣", 2],
        [[1], "a", 2],
        [[], "3", 2],
        [{"constructor": 1}, "constructor.name.length", 2],
        [{}, "toString", 2],
        [{}, "__proto__.polluted", 2],
    ]
    assert script(engine, "onPaths", cases) == python_paths(cases)
    assert engine.eval("({}).polluted === undefined")
    with pytest.raises(Exception, match="an empty path cannot be written to"):
        engine.eval("internal.paths.put({}, [], 1)")


# --- graphs --------------------------------------------------------------------------------------------------------


def python_graph(data: Any, operations: list[list[Any]]) -> list[Any]:
    kept = to_data(data)
    graph = Graph(kept)
    answers = []
    for name, *given_ in operations:
        answers.append(json.loads(json.dumps(caught(lambda n=name, g=given_: getattr(graph, n)(*g)))))
    return [plain(kept), answers]


IDS = st.sampled_from(["v1", "v2", "v3", "e1", "e2", "a", "alice", "alcie", "it's", 3])
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS | st.none(),
        "type": st.sampled_from(["t", "u"]),
        "n": st.integers(-9, 9),
        "__proto__": st.just([{}]),
    },
)
EDGES = st.fixed_dictionaries(
    {}, optional={"out": IDS | MEMBERS, "in": IDS, "id": IDS, "type": st.just("t"), "weight": st.none()}
)
FULL_EDGES = st.fixed_dictionaries({"out": IDS, "in": IDS}, optional={"id": IDS, "type": st.just("t")})
OPERATIONS = st.one_of(
    st.tuples(st.just("addVertex"), MEMBERS),
    st.tuples(st.just("addVertex")),
    st.tuples(st.just("addVertex"), st.sampled_from(["bob", 'a"b', "it's", 3, [1, "x"]])),
    st.tuples(st.just("connect"), EDGES | FULL_EDGES | FULL_EDGES),
    st.tuples(st.sampled_from(["getVertex", "removeVertex", "removeEdge"]), IDS),
    st.tuples(st.sampled_from(["vertices", "edges", "get"])),
)
GRAPHS = st.one_of(
    st.just({}),
    st.just({"$graph": 3, "x": 1}),
    st.just({"$graph": {"vertices": [{"id": "v1"}, {"id": "v2"}]}}),
    st.just({"$graph": {"vertices": [{"id": "alice"}, 7, {"id": "z", "type": "t"}], "edges": None}}),
)


@settings(max_examples=150)
@given(GRAPHS, st.lists(OPERATIONS, min_size=1, max_size=12))
def test_graphs(engine, data, operations):
    found = script(engine, "onGraph", {"data": data, "operations": operations})
    expected = python_graph(data, [list(operation) for operation in operations])
    assert found == expected
    assert json.dumps(found) == json.dumps(expected), "the order of members"


def test_vertices_without_an_id_stay(engine):
    data = {
        "$graph": {"vertices": [{"type": "t"}, {"id": None}, "text", {"id": "a"}], "edges": [{"out": "a", "in": "b"}]}
    }
    operations: list[list[Any]] = [["getVertex", None], ["addVertex"], ["vertices"], ["removeVertex", "a"], ["get"]]
    assert script(engine, "onGraph", {"data": data, "operations": operations}) == python_graph(data, operations)


NAMES = st.text("abcxyz_", min_size=1, max_size=7) | st.sampled_from(["retry", "retries", "status", "stauts", "sta"])


@settings(max_examples=100)
@given(st.lists(NAMES, max_size=14, unique=True), NAMES)
def test_the_same_name_is_suggested(engine, names, wanted):
    operations = [*(["addVertex", {"id": name}] for name in names), ["removeVertex", wanted]]
    assert script(engine, "onGraph", {"data": {}, "operations": operations}) == python_graph({}, operations)


def test_what_the_graph_gives_is_what_it_keeps(engine):
    engine.eval("globalThis.data = {}; globalThis.graph = internal.graph(data); 0")
    found = engine.eval(
        """JSON.stringify((() => {
          const given = {id: 'a', deep: {n: 1}}, a = graph.addVertex(given), edge = graph.connect({out: a, in: a});
          given.deep.n = 2;
          a.name = 'Ada';
          edge.type = 'self';
          return [data, graph.getVertex(a) === a, graph.getVertex('gone') === undefined, graph.get() === data.$graph];
        })())"""
    )
    vertex = {"id": "a", "deep": {"n": 1}, "name": "Ada"}
    edge = {"out": "a", "in": "a", "id": "e1", "type": "self"}
    assert json.loads(str(found)) == [{"$graph": {"vertices": [vertex], "edges": [edge]}}, True, True, True]


def test_what_runs_share_is_frozen(engine):
    parts = "Object.getOwnPropertyNames(kind).map(name => kind[name])"
    kinds = "[internal.graph({}), internal.mapper()].map(Object.getPrototypeOf)"
    assert engine.eval(f"{kinds}.every(kind => [kind, ...{parts}].every(Object.isFrozen))")


# --- mappers -------------------------------------------------------------------------------------------------------

FUNCTIONS = {"wrap": lambda *values: [list(values)], "count": lambda *values: len(values)}


def python_mapper(rules: list[list[Any]], source: Any, into: Any) -> Any:
    def run() -> Any:
        made = mapper()
        for name, *given_ in rules:
            if name == "to":
                target, function, *default = given_
                made.to(target, FUNCTIONS.get(function), *default)
            else:
                getattr(made, "or_" if name == "or" else name)(*given_)
        return made.execute(source, into)

    return json.loads(json.dumps(caught(run)))


SOURCES = st.fixed_dictionaries(
    {},
    optional={
        "a": VALUES,
        "b": st.dictionaries(st.sampled_from("ab"), VALUES),
        "rows": st.lists(st.fixed_dictionaries({}, optional={"x": VALUES, "tags": st.lists(VALUES, max_size=2)})),
    },
)
READ = st.sampled_from(
    ["a", "b", "b.a", "a.0", "a[]", "rows", "rows[]", "rows[].x", "rows[].tags[]", "rows[].tags", "rows.0.x", "[]", ""]
)
WRITE = st.sampled_from(
    ["a", "a", "c", "c.d", "c.0", "c.1.e", "rows[]", "rows[].code", "rows[].n.m", "r[].s[].t", "[]"]
)
RULES = st.one_of(
    st.tuples(st.just("map"), READ),
    st.tuples(st.just("map"), READ),
    st.tuples(st.just("map"), st.lists(READ, max_size=3)),
    st.tuples(st.just("map")),
    st.tuples(st.just("map"), st.just(3)),
    st.tuples(st.just("or"), READ, READ),
    st.tuples(st.just("to"), WRITE, st.sampled_from([None, "wrap", "count"])),
    st.tuples(st.just("to"), WRITE, st.none()),
    st.tuples(st.just("to"), WRITE | st.none(), st.none(), VALUES),
)


@settings(max_examples=250)
@given(st.lists(RULES, min_size=1, max_size=6), SOURCES, st.none() | OBJECTS)
def test_mappers(engine, rules, source, into):
    expected = python_mapper([list(rule) for rule in rules], source, into)
    assert script(engine, "onMapper", {"rules": rules, "source": source, "into": into}) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m.map('a').to('b', n => n + 1).execute({a: 1})", {"b": 2}),
        ("m.map('gone').to('b', {default: 0}).execute({})", {"b": 0}),
        ("m.map('a').to('b', {transform: n => -n}).execute({a: 1})", {"b": -1}),
        ("m.map('a').to('b', n => undefined).execute({a: 1})", {}),
        ("m.map('a').to('b', n => new Date(0)).execute({a: 1})", {"b": "1970-01-01T00:00:00.000Z"}),
        ("m.map('a').to('b', n => ({x: undefined, y: [undefined]})).execute({a: 1})", {"b": {"y": [None]}}),
        ("m.map(['a', 'gone']).to('b', (a, b) => b === undefined).execute({a: 1})", {"b": True}),
        ("(source => (m.map('a').execute(source).a.push(2), source))({a: [1]})", {"a": [1]}),
        ("m.to('a')", ["InputError", "to() comes after map(): mapper().map('a').to('b')"]),
        ("m.or('a')", ["InputError", "or() comes after map(): mapper().map('a').to('b')"]),
        (
            "m.map('a').to('b', 3)",
            ["InputError", "the second argument of to() is a function of the value, not 3"],
        ),
        (
            "m.map('a').to('b', {defualt: 3})",
            ["InputError", "to() knows the options 'transform' and 'default', not 'defualt'"],
        ),
        (
            "m.map('a').to('b', async () => 1).execute({a: 1})",
            ["ResultError", "the mapped value is a Promise, which JSON does not know: write await before it"],
        ),
        (
            "m.map('a').to('b', n => ({c: [new Set()]})).execute({a: 1})",
            ["ResultError", "the mapped value.c.0 is a Set, which JSON does not know: write [...it]"],
        ),
        (
            "m.map('a').to('b', n => 0 / 0).execute({a: 1})",
            ["ResultError", "the mapped value is NaN, which is no number in JSON: write null"],
        ),
        (
            "m.map('a').to('b', n => { const x = {}; x.y = x; return x }).execute({a: 1})",
            [
                "ResultError",
                "the mapped value.y is the mapped value itself, which JSON cannot show: "
                "write a copy of the part that is needed",
            ],
        ),
    ],
)
def test_what_only_javascript_can_say(engine, expression, expected):
    engine.eval("globalThis.m = internal.mapper(); 0")
    assert json.loads(str(engine.eval(f"JSON.stringify(caught(() => {expression}))"))) == expected
