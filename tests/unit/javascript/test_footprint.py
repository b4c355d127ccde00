"""What a JavaScript step's code may read and write: idiom by idiom, beside Python's, and against real runs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py_mini_racer import MiniRacer

from aloma_py.paths import Path, format_path, overlaps
from aloma_py.steps import Footprint, Sources, fill_parameters, footprint
from aloma_py.steps.javascript.footprint import javascript_footprint

HEAD = """\
const FIELDS = ['first', 'second'];
const RATES = {EUR: 1.0};
const kept = [];
let seen = null;
const KEY = 'status';
const mark = (order, value) => { order.marked = value; return order.lines; };
function walk(node) { node.seen = true; for (const child of node.children) walk(child); }
const keep = value => { kept.push(value); };
async function enrich({order, note = 'none'}) { order.note = note; return order; }
function touch() { data.touched = data.source; }
function ends() { task.complete(); }
class Box { constructor(value) { this.value = value; } }
class Failure extends Error { constructor(text) { super(text); this.name = 'Failure'; } }
"""


def analyse(code: str) -> Footprint:
    """The footprint of a step with this body, behind HEAD."""
    return javascript_footprint(f"{HEAD}export const content = async () => {{\n{code}\n}};\n")


def texts(paths: frozenset[Path]) -> set[str]:
    return {format_path(path) for path in paths}


@pytest.mark.parametrize(
    ("code", "reads", "writes"),
    [
        # members
        ("data.a.b = 1", "", "a.b"),
        ("data['a']['b'] = data[`c`]", "c", "a.b"),
        ("data?.a?.['b']?.c", "a.b.c", ""),
        ("const order = data.a.order", "a.order", ""),
        ("data.a.b += 1", "a.b", "a.b"),
        ("data.a.n++", "a.n", "a.n"),
        ("data.a.b ??= {}", "a.b", "a.b"),
        ("data.a.b ||= data.c", "a.b c", "a.b"),
        ("data[KEY] = 1", "", "status"),
        ("for (const field of FIELDS) data.form[field] = null", "", "form.first form.second"),
        ("data.form[data.field] = 1", "field", "form"),
        ("data.items[0].x = 1", "", "items"),
        ("delete data.a.b", "", "a.b"),
        ("if ('x' in data.a) {}", "a.x", ""),
        ("if (data.a.hasOwnProperty('x') || Object.hasOwn(data.b, 'y')) {}", "a.x b.y", ""),
        ("data.a.items = data.items.length", "items", "a.items"),
        ("data.items.length = 0", "", "items"),
        ("if (data && data.$via.name === 'x') data.$stash.k = 1", "$via.name", "$stash.k"),
        ("return data.a", "a", ""),
        ("data.all = data.all || []; data.all.push({name: data.name})", "all name", "all"),
        ("delete data.tmp.x; data.list = data.list.filter(Boolean).map(s => s.trim()).sort()", "list", "list tmp.x"),
        ("const tags = task.tags() || []; tags.push('x'); task.tags(tags)", "$task.tags", "$task.tags"),
        (
            "const byId = {}; data.a.forEach(x => { byId[x.id] = x }); data.b.forEach(y => { byId[y.id].m = 1 })",
            "a b",
            "a",
        ),
        ("const {assign} = Object; assign(data.a, {x: 1})", "", "a.x"),
        ("[Object.assign][0](data.a, {x: 1})", "a", "a.x"),
        ("const e = [data.a, 1]; data.e = e; data.e.reverse(); const [, o] = e; o.x = 1", "a e", "a.x e"),
        # aliases
        ("const order = data.order; order.x = order.y", "order.y", "order.x"),
        ("const order = data.flag ? data.a : data.b; order.x = 1", "flag", "a.x b.x"),
        ("const order = data.flag && data.a; order.x = 1", "flag", "a.x"),
        ("const order = data.a || {}; order.x = 1", "a", "a.x"),
        ("let t; if (data.flag) t = data.a; else t = data.b; t.n += 1", "flag a.n b.n", "a.n b.n"),
        ("const {a: {b}, c = 1} = data; data.d = b + c", "a.b c", "d"),
        ("const {a, ...rest} = data.o; console.log(rest.z)", "o", ""),
        ("let a; ({a} = data.o); a.x = 1", "", "o.a.x"),
        ("const [first, ...rest] = data.lines; rest[0].ok = true", "lines", "lines"),
        ("[data.a, data.b] = [1, data.c]", "c", "a b"),
        ("const box = {k: data.a, n: data.b}; box.k.x = 1", "b", "a.x"),
        ("const box = {}; box.k = data.a; const other = box; other.k.x = 1", "", "a.x"),
        ("data.a = data.b; data.a.x = 1", "b", "a b"),
        ("const copy = {...data.a}; copy.x = 1", "a", ""),
        ("const copy = {...data.a}; copy.y.x = 1", "a", "a"),
        ("const rows = [...data.rows, data.extra]; rows[0].x = 1", "rows", "rows extra.x"),
        ("{ const data = {}; data.x = 1 }", "", ""),
        ("{ const data = {}; data.x = 1 } data.y = 2", "", "y"),
        ("((data) => { data.x = 1 })({})", "", ""),
        ("const f = (x = data.a) => { x.y = 1 }; f()", "", "a.y"),
        # loops
        ("for (const line of data.order.lines) line.ok = true", "order.lines", "order.lines"),
        ("for (let i = 0; i < data.lines.length; i++) data.lines[i].n = i", "lines", "lines"),
        ("for (const [n, line] of data.lines.entries()) line.n = n", "lines", "lines"),
        ("for (const [k, v] of Object.entries(data.prices)) v.seen = k", "prices", "prices"),
        ("for (const k in data.prices) data.sum += data.prices[k]", "prices sum", "sum"),
        ("data.lines.forEach((line, n) => { line.n = n })", "lines", "lines"),
        ("data.total = data.lines.reduce((sum, line) => sum + line.price * line.n, 0)", "lines", "total"),
        ("data.names = data.people.filter(p => p.ok).map(p => p.name)", "people", "names"),
        ("const best = data.lines.find(line => line.id === data.id); best.chosen = true", "id lines", "lines"),
        ("data.lines.sort((a, b) => a.n - b.n)", "lines", "lines"),
        ("data.lines.slice(0, 2).forEach(console.log)", "lines", ""),
        ("data.numbers = data.words.map(Number).filter(Boolean)", "words", "numbers"),
        ("let node = data.tree; while (node.next) node = node.next; node.end = true", "tree", "tree"),
        ("const m = new Map(); for (const p of data.people) m.set(p.id, p); m.get(1).lead = 1", "people", "people"),
        ("for (const id of new Set(data.ids)) data.last = id", "ids", "last"),
        # methods
        ("data.a.tags.push('x')", "a.tags", "a.tags"),
        ("data.queue.shift().done = true", "queue", "queue"),
        ("Object.assign(data.a, {x: 1, y: data.b})", "b", "a.x a.y"),
        ("Object.assign(data, {x: 1})", "", "x"),
        ("Object.assign(data.a, data.b)", "b", "a"),
        ("data.domain = data.mail.split('@')[1].toLowerCase()", "mail", "domain"),
        ("data.has = data.tags.includes(data.tag)", "tag tags", "has"),
        ("data.slug = data.name.replace(/ +/g, m => m.length)", "name", "slug"),
        # what does not change its arguments
        ("data.at = new Date().toISOString()", "", "at"),
        ("data.text = `${data.a} of ${data.b}`", "a b", "text"),
        ("data.text = JSON.stringify(data.a)", "a", "text"),
        ("const other = structuredClone(data.a); other.x = 1", "a", ""),
        ("const other = JSON.parse(JSON.stringify(data.a)); other.x = 1", "a", ""),
        ("data.sum = Math.max(...data.numbers) + parseInt(data.n, 10)", "n numbers", "sum"),
        ("data.count = Object.keys(data.prices).length", "prices", "count"),
        ("throw new Error(`no ${data.a}`)", "a", ""),
        ("try { f() } catch (error) { data.error = String(error.message) }", "", "error"),
        ("switch (data.a) { case 1: data.b = 2; break; default: data.c = typeof data.d }", "a d", "b c"),
        # functions
        ("mark(data.order, data.v).push(1)", "order.lines v", "order.lines order.marked"),
        ("walk(data.tree)", "tree.children", "tree.children tree.seen"),
        ("touch()", "source", "touched"),
        ("const o = await enrich({order: data.order, note: data.note}); o.ok = 1", "note", "order.note order.ok"),
        ("const f = x => { x.n = data.b }; f(data.a)", "b", "a.n"),
        (
            "await Promise.all(data.companies.map(async c => { c.ok = await connectors.crm.find({id: c.id}) }))",
            "companies",
            "companies",
        ),
        ("const [a, b] = await Promise.all([connectors.x.a(), connectors.x.b({n: data.n})]); data.a = a", "n", "a"),
        ("connectors.crm.find({}).then(r => { data.r = r.id }).catch(e => { data.e = `${e}` })", "", "r e"),
        ("await new Promise(resolve => setTimeout(resolve, 5))", "", ""),
        # handles
        ("console.log('x', data.a); audit.log('y', data.c)", "a c", ""),
        ("data.r = await connectors.crm.find({id: data.id})", "id", "r"),
        ("connectors.crm.find({id: 1, into: 'a.b.0.c'})", "", "a.b"),
        ("connectors.crm.find({id: 1, into: `people.${data.n}.crm`})", "n", "people"),
        ("const q = {id: data.id}; await connectors.crm.find(q)", "id", ""),
        ("if (connectors.zendesk) data.z = true", "", "z"),
        ("const r = await fetch(`http://x/${data.id}`); data.body = await r.json()", "id", "body"),
        ("task.subtask('child', {c: data.c}, {into: 'answer'})", "c", "answer"),
        ("task.subtask('child', data.c, {into: 'answer', waitFor: false})", "c", "answer"),
        ("step.redo()", "", ""),
        ("data.name = task.name() + task.id + task.id() + task.config('K')", "$task.name", "name"),
        ("task.tags(['x'])", "$task.tags", "$task.tags"),
        ("task.completeOnExpire(5)", "", "$task.expires"),
        ("graph.addVertex(data.a)", "$graph a", "$graph"),
        ("data.m = mapper().map('a').to('b').execute(data.x)", "x", "m"),
        ("file.write('n', data.a)", "a", "$files"),
        ("task.visualize({type: 'data', data: data.a})", "a", ""),
        ("data.x = lib.text.upper('a')", "", "x"),
        ("throw new Failure('x')", "", ""),
    ],
)
def test_finds_what_is_read_and_written(code: str, reads: str, writes: str) -> None:
    found = analyse(code)

    assert found.unknown == ()
    assert (texts(found.reads), texts(found.writes)) == (set(reads.split()), set(writes.split()))


@pytest.mark.parametrize(
    ("code", "place", "reason"),
    [
        ("task.complete()", "task.complete()", "ends the task"),
        ("const {ignore} = task; ignore()", "ignore()", "ends the task"),
        ("ends()", "task.complete()", "ends the task"),
        ("data.lines.forEach(task.ignore)", "data.lines.forEach", "ends the task"),
        ("task.park(100)", "task.park(100)", "parks the task"),
        ("task.subtask('c', {}, {into: 'a', waitFor: true})", "task.subtask", "holds the task"),
        ("task.subtask('c', {}, data.options)", "task.subtask", "not written out"),
        ("task[data.what]()", "task[data.what]", "not known"),
        ("data[data.key] = 1", "data[data.key]", "which member of the data"),
        ("data = {}", "data", "itself is replaced"),
        ("delete data.a", "data.a", "without data"),
        ("new Box(data.a)", "new Box(data.a)", "data is handed to Box, whose code is not followed"),
        ("keep(data.a)", "kept.push(value)", "data is kept"),
        ("seen = data.a", "seen", "global 'seen'"),
        ("const b = new Box(1); b.a = data.a", "b.a", "data is kept in something"),
        ("eval('data.a')", "eval", "can do anything"),
        ("new Function('data.a')()", "Function", "can do anything"),
        ("globalThis.data.a = 1", "globalThis", "can do anything"),
        ("new Proxy(data.a, {})", "new Proxy(data.a, {})", "handed to Proxy"),
        ("(function () { arguments[0].x = 1 })(data.a)", "arguments", "can do anything"),
        ("(function () { this.x = 1 }).call(data.a)", "this", "'this'"),
        ("lib.pricing.total(data.a)", "lib.pricing.total(data.a)", "not known here"),
        ("lib.pricing.each(() => data.a)", "lib.pricing.each", "not known here"),
        ("data.a.strange()", "data.a.strange()", "no method of JSON values"),
        ("const push = data.lines.push; push(1)", "push(1)", "something in the data is called"),
        ("const f = kept.push.bind(kept); f(data.a)", "f(data.a)", "handed to f"),
        ("Array.prototype.push.call(data.a, 1)", "Array.prototype.push.call", "handed to"),
        ("Array.prototype.map = mark", "Array.prototype.map", "nothing can be set"),
        ("connectors.crm.find(data.query)", "connectors.crm.find(data.query)", "may have 'into'"),
        ("connectors.crm.find({...data.query})", "connectors.crm.find", "may have 'into'"),
        ("connectors.crm.find({into: data.place})", "connectors.crm.find", "which place 'into' names"),
        ("audit.get()", "audit.get()", "audit trail"),
        ("user.conversation({kind: 'form'})", "user.conversation", "hold the task for a person"),
        ("data.a.__proto__.x = 1", "data.a.__proto__", "goes around"),
        ("data.a.toJSON = () => 1", "data.a.toJSON", "goes around"),
        ("const o = {get x() { return data.a }}; o.x.y = 1", "get x()", "getter"),
        ("class Inner { get() { return data.a } } new Inner().get().x = 1", "return data.a", "method of a class"),
        ("unknownGlobal(data.a)", "unknownGlobal(data.a)", "handed to unknownGlobal"),
        ("unknownGlobal(o => { o.x = data.a })", "o.x", "kept in something"),
        ("const {tag} = lib.x; tag`${data.a}`", "tag`", "not known here"),
        ("const f = mark.bind(null, data.a); f(1)", "mark.bind", "handed to"),
        ("const o = {[Symbol.iterator]: function* () { yield data.a }}", "Symbol.iterator", "not followed"),
        ("with (data.a) { x = 1 }", "with", "not followed"),
        ("({}).constructor.assign(data.a, {x: 1})", "constructor.assign", "whose code is not followed"),
        ("const o = {catch(f, x) { x.k.n = 1; f(x) }}; o.catch(g => unknown(g), {k: data.a})", "unknown(g)", "handed"),
        ("const q = {id: 1}; data.q = q; data.q.into = 'x'; connectors.c.m(q)", "connectors.c.m(q)", "may have 'into'"),
        ("const {h} = require('./h'); h()", "require", "can do anything"),
        ("Object.defineProperty(data.a, 'x', {value: 1})", "Object.defineProperty", "handed to"),
    ],
)
def test_says_which_place_cannot_be_followed(code: str, place: str, reason: str) -> None:
    found = analyse(code)

    assert found.everything
    assert any(place in at.code and reason in at.reason for at in found.unknown), found.unknown


@pytest.mark.parametrize(
    "source",
    [
        "export const content = async () => { data.a.x = 1 }",
        "export async function content() { data.a.x = 1 }",
        "const content = () => { data.a.x = 1 }\nexport { content }",
        "export default async (input) => { input.a.x = 1 }",
        "export default function (input) { input.a.x = 1 }",
        "const run = ({a}) => { a.x = 1 }\nexport default run",
        "module.exports = async (input) => { input.a.x = 1 }",
        "module.exports = { content: async () => { data.a.x = 1 } }",
        "exports.content = async () => { data.a.x = 1 }",
        "data.a.x = 1\nexport const content = async () => {}",
        "export const condition = {a: {n: n => n > 1}}\nexport const content = async () => { data.a.x = 1 }",
        "export const content = async () => helper()\nfunction helper() { data.a.x = 1 }",
    ],
)
def test_finds_the_entry_of_a_module(source: str) -> None:
    found = javascript_footprint(source)

    assert (texts(found.reads), texts(found.writes), found.unknown) == (set(), {"a.x"}, ())


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("const a = 1", "the function's source cannot be found"),
        ("export const content = wrap(() => 1)", "the function's source cannot be found"),
        ("export const content = () => {", "the source cannot be parsed"),
        ("export const content = () => d\\u0061ta.a", "the source cannot be parsed"),
        ("import x from 'y'\nexport const content = () => x()", "what is imported is not followed"),
        ("export const content = () => (" + "(" * 3000 + "1" + ")" * 3000 + ")", "the source is nested too deeply"),
    ],
)
def test_a_module_that_cannot_be_understood_is_unknown(source: str, reason: str) -> None:
    assert reason in [at.reason for at in javascript_footprint(source).unknown]


def test_types_mean_nothing() -> None:
    source = """\
    interface Order { total?: number }
    export default async (data: any, other?: string): Promise<void> => {
      const order = (data.order as Order)!;
      order.total = <number>data.n satisfies number;
      data.list.forEach((item: Order): void => { item.total = 1 });
    }"""

    found = javascript_footprint(source, typescript=True)

    assert (texts(found.reads), texts(found.writes)) == ({"n", "list"}, {"order.total", "list"})
    assert found.unknown == ()


def test_an_unknown_place_has_the_line_of_the_file() -> None:
    found = javascript_footprint("export const content = () => {\n  task.complete()\n}", first_line=10)

    assert [(at.line, at.code) for at in found.unknown] == [(11, "task.complete()")]


def test_a_library_that_there_is_is_named_as_one() -> None:
    source = "export default () => lib.pricing.total(data.a)"

    (place,) = javascript_footprint(source, libraries=["pricing"]).unknown

    assert place.reason == "data is handed to lib.pricing.total, whose code is not followed"


TWINS = [
    ("data.a.b = 1", "data.a.b = 1"),
    ("data.a.b += 1", "data.a.b += 1"),
    ("del data.a.b", "delete data.a.b"),
    ("data.form[data.field] = 1", "data.form[data.field] = 1"),
    ("data.a.items = len(data.items)", "data.a.items = data.items.length"),
    ("order = data.order\norder.x = order.y", "const order = data.order; order.x = order.y"),
    ("order = data.a if data.flag else data.b\norder.x = 1", "const order = data.flag ? data.a : data.b; order.x = 1"),
    ("first, *rest = data.lines\nrest[0].ok = True", "const [first, ...rest] = data.lines; rest[0].ok = true"),
    ("data.a = data.b\ndata.a.x = 1", "data.a = data.b; data.a.x = 1"),
    ("box = {}\nbox['k'] = data.a\nbox['k'].x = 1", "const box = {}; box.k = data.a; box.k.x = 1"),
    ("rows = [data.a]\nrows[0].x = 1", "const rows = [data.a]; rows[0].x = 1"),
    ("for line in data.order.lines: line.ok = True", "for (const line of data.order.lines) line.ok = true"),
    ("for line in data.lines: line.n = data.n", "for (const line of data.lines) line.n = data.n"),
    ("for k, v in data.prices.items(): v.seen = k", "for (const [k, v] of Object.entries(data.prices)) v.seen = k"),
    (
        "data.total = sum(line.price * line.n for line in data.lines)",
        "data.total = data.lines.reduce((sum, line) => sum + line.price * line.n, 0)",
    ),
    (
        "data.names = [p.name for p in data.people if p.ok]",
        "data.names = data.people.filter(p => p.ok).map(p => p.name)",
    ),
    ("data.a.tags.append('x')", "data.a.tags.push('x')"),
    ("data.a.update({'x': 1, 'y': data.b})", "Object.assign(data.a, {x: 1, y: data.b})"),
    ("data.domain = data.mail.split('@')[1].lower()", "data.domain = data.mail.split('@')[1].toLowerCase()"),
    ("data.text = f'{data.a} of {data.b}'", "data.text = `${data.a} of ${data.b}`"),
    ("def f(x):\n    x.n = data.b\nf(data.a)", "const f = x => { x.n = data.b }; f(data.a)"),
    ("data.r = await connectors.crm.find({'id': data.id})", "data.r = await connectors.crm.find({id: data.id})"),
    ("connectors.crm.find({'into': 'a.b.0.c'})", "connectors.crm.find({into: 'a.b.0.c'})"),
    ("task.subtask('c', {'c': data.c}, {'into': 'x'})", "task.subtask('c', {c: data.c}, {into: 'x'})"),
    ("task.tags(['x'])", "task.tags(['x'])"),
    ("graph.addVertex(data.a)", "graph.addVertex(data.a)"),
    ("order = data.order", "const order = data.order"),
    ("task.complete()", "task.complete()"),
    ("task.park(1)", "task.park(1)"),
    ("data[data.key] = 1", "data[data.key] = 1"),
    ("del data.a", "delete data.a"),
    ("lib.pricing.total(data.a)", "lib.pricing.total(data.a)"),
    ("connectors.crm.find(data.query)", "connectors.crm.find(data.query)"),
    ("audit.get()", "audit.get()"),
    ("user.conversation({})", "user.conversation({})"),
    ("data.a.strange()", "data.a.strange()"),
]


@pytest.mark.parametrize(("python", "javascript"), TWINS)
def test_says_the_same_as_of_python(python: str, javascript: str) -> None:
    names = "data, task, step, connectors, lib, audit, graph, mapper, file, log, user"
    text = f"async def content({names}):\n{textwrap.indent(python, '    ')}\n"
    scope: dict[str, Any] = {"__name__": "generated"}
    exec(compile(text, "generated.py", "exec"), scope)
    function = scope["content"]
    assert isinstance(function, FunctionType)
    expected = footprint(function, fill_parameters(function, None), sources=Sources({"generated.py": text}))

    found = analyse(javascript)

    assert (texts(found.reads), texts(found.writes)) == (texts(expected.reads), texts(expected.writes))
    assert {at.reason for at in found.unknown} == {at.reason for at in expected.unknown}


# --- against real runs ----------------------------------------------------------------------------------------------

RECORDER = """
const start = () => {
  const thing = n => ({x: n, y: {z: n + 1}, k: [n, n + 2]});
  return {a: thing(1), b: thing(10), c: thing(20), d: {x: 'word', tree: {next: {next: {x: 1}}}},
          l: [5, 3, 4].map(thing), m: [7, 8].map(thing), n: 2, key: 'x', w: 'some words'};
};
let log, raw;
const inherited = key => key in Object.prototype || (key in Array.prototype && key !== 'length');
const watch = (target, path) => new Proxy(target, {
  get(object, key) {
    const value = object[key];
    if (typeof key === 'symbol') return value;
    if (Object.hasOwn(object, key) || !inherited(key)) note('r', [...path, key]);
    return value !== null && typeof value === 'object' ? watched(value, [...path, key]) : value;
  },
  has(object, key) { note('r', [...path, key]); return key in object; },
  ownKeys(object) { note('r', path); return Reflect.ownKeys(object); },
  getOwnPropertyDescriptor(object, key) {
    note('r', [...path, key]);
    return Reflect.getOwnPropertyDescriptor(object, key);
  },
  set(object, key, value) { note('w', [...path, key]); object[key] = value; return true; },
  defineProperty(object, key, what) { note('w', [...path, key]); return Reflect.defineProperty(object, key, what); },
  deleteProperty(object, key) { note('w', [...path, key]); return delete object[key]; },
});
let proxies;  // what is met again, or put elsewhere, keeps the path where it was found first
const watched = (value, path) => {
  if (proxies.has(value)) return proxies.get(value);
  const made = watch(value, path);
  proxies.set(value, made).set(made, made);
  return made;
};
const note = (kind, path) => { if (path.at(-1) !== 'then' && path.at(-1) !== 'toJSON') log.push([kind, path]); };
const run = content => {
  log = []; raw = start(); proxies = new WeakMap();
  content(watched(raw, [])).catch(error => { log.push(['e', [String(error)]]) });
};
const found = () => {
  const kept = log;
  log = [];
  let after = null;
  try { after = JSON.parse(JSON.stringify(raw)); } catch {}
  return JSON.stringify({log: kept, before: start(), after});
};
"""

HELPERS = """
const keepAll = [];
const mark = (thing, value) => { thing.x = value; return thing.y; };
function first(things) { for (const thing of things) return thing; }
const deep = node => { node.seen = 1; if (node.next) deep(node.next); };
async function later({thing, n = 1}) { await null; thing.n = n; return thing; }
const bag = (...things) => { for (const thing of things) thing.bagged = true; return things; };
const build = (thing) => ({thing, list: [thing], get: () => thing});
function* each(things) { for (const thing of things) yield thing; }
"""

OBJECT = ["data.a", "data.b", "data['c']", "(data?.a)", "data.a.y", "data.l[0]", "data.m[1]", "data.l.at(-1)", "o", "p"]
ARRAY = [
    "data.l",
    "data.m",
    "data.a.k",
    "q",
    "data.l.slice(1)",
    "[...data.m]",
    "data.l.filter(e=>e.x>3)",
    "r",
    "Object.values(data.a)",
]
VALUE = [
    "data.n",
    "1",
    "data.b.x",
    "data.c.y",
    "o.x",
    "data.l.length",
    "`${data.a.x}`",
    "data.m.reduce((s,e)=>s+e.x,0)",
    "p",
    "q",
]

TEMPLATES = [
    "o = {O}",
    "p = {O}",
    "q = {A}",
    "r = [{O}, {O}]",
    "r.push({O})",
    "r.unshift({O}); r[0].x = 3",
    "o.x = {V}",
    "p.y = {V}",
    "{O}.x = {V}",
    "{O}.x += 1",
    "{O}.x++",
    "{O}.new ??= {O}",
    "({O}.y ||= {O}).z = 1",
    "{O}['w'] = {O}",
    "{O}[data.key] = {V}",
    "data.e = {O}; data.e.x = {V}",
    "data.e = {A}; data.e[0].x = 9",
    "data.f = {in: {O}}; data.f.in.x = {V}",
    "{A}.push({O})",
    "{A}.push(...{A})",
    "for (const e of {A}) e.x = {V}",
    "for (const e of {A}) o = e",
    "for (const [i, e] of {A}.entries()) e.i = i",
    "for (const [k, v] of Object.entries({O})) { v.z = k; data.n = k }",
    "for (const k in {O}) data.n = {O}[k]",
    "for (let i = 0; i < {A}.length; i++) {A}[i].x = i",
    "{A}.forEach((e, i, all) => { e.x = i; all[0].z = 3 })",
    "{A}.map(e => e.y)[0].z = 2",
    "{A}.find(e => e.x > 3).x = 1",
    "{A}.flatMap(e => [e, e.y])[0].x = 1",
    "{A}.reduce((best, e) => best.x > e.x ? best : e).best = true",
    "{A}.reduce((all, e) => { all[e.x] = e; return all }, {})[5].x = 1",
    "{A}.some(e => { e.x = 2; return false })",
    "r = {A}.concat({O}); r[0].x = 4",
    "{A}.sort((s, t) => s.x - t.x)[0].x = 2",
    "{A}.reverse()",
    "{A}.pop().x = 1",
    "{A}.splice(0, 1, {O})[0].x = 5",
    "{A}.length = 1",
    "const {y, ...rest} = {O}; y.z = 1; rest.k.push(2)",
    "const {y: {z = {V}} = {}} = {O}; data.n = z",
    "const [s, ...t] = {A}; s.x = 0; t[0].x = 1",
    "[o, p] = [{O}, {O}]",
    "({y: o.q, x: data.n} = {O})",
    "o = {V} ? {O} : {O}",
    "o = {O} || {O}",
    "o = {V} && {O}",
    "mark({O}, {V}).z = 5",
    "first({A}).x = 1",
    "deep(data.d.tree)",
    "(await later({thing: {O}, n: {V}})).x = 3",
    "later({thing: {O}}).then(t => { t.x = {V} })",
    "const [s, t] = await Promise.all([later({thing: {O}}), {O}]); s.x = 1; t.x = 2",
    "await Promise.all({A}.map(async e => { e.x = await later({thing: {O}}) }))",
    "bag({O}, ...{A})[0].x = 3",
    "const b = build({O}); b.thing.x = 1; b.list[0].y = {V}; b.get().w = 3",
    "const {list: [s]} = build({O}); s.x = {V}",
    "for (const e of each({A})) e.x = 3",
    "each({A}).next().value.x = 3",
    "delete {O}.x",
    "delete {A}[0]",
    "Object.assign({O}, {x: {V}, v: {O}}); o.v.x = 1",
    "Object.assign({O}, {O}).y.z = 3",
    "const t = Object.assign({}, {O}); t.y.z = 3; t.x = 1",
    "const t = {...{O}, x: {V}}; t.y.z = 4",
    "const t = [...{A}, {O}]; t.at(-1).x = 4",
    "const t = structuredClone({x: 1}); t.x = {O}; t.x.y = 2",
    "const t = JSON.parse(JSON.stringify({O})); t.y.z = 3",
    "const t = new Map(); t.set(1, {O}); t.get(1).x = 6; for (const [k, v] of t) v.k2 = k",
    "const t = new Map({A}.map(e => [e.x, e])); for (const v of t.values()) v.x = 2",
    "const t = new Set({A}); t.add({O}); t.forEach(e => { e.x = 1 })",
    "const t = Array.from({A}, e => e.y); t[0].z = 2",
    "const t = Object.fromEntries({A}.map(e => [e.x, e])); t[5].x = 1",
    "let node = data.d.tree; while (node.next) node = node.next; node.end = 1",
    "try { throw {O} } catch (error) { error.x = 1 }",
    "try { throw Object.assign(new Error('x'), {held: {O}}) } catch ({held}) { held.x = 1 }",
    "switch ({V}) { case 1: o = {O}; default: p = {O} }",
    "if ('x' in {O}) data.n = 5",
    "if ({A}.length) data.n = 6",
    "if ({O}.hasOwnProperty('y')) data.n = {O}?.y?.z",
    "data.n = {V}",
    "data.w = data.w.split(' ').map(s => s.toUpperCase()).join('-')",
    "data.w = data.w.replace(/o/g, () => {V})",
    "const make = () => { const box = {in: {O}}; return () => box.in }; make()().x = 1",
    "const s = {go: mark}; s.go({O}, {V}); s['go']({O}, 2)",
    "{ const data = {a: {}}; data.a.x = 1 }",
    "{ let o = {O}; o.x = {V} }",
    "const f = ({y}, t = {O}) => { t.x = y }; f({O})",
    "keepAll.concat([{O}])[0].x = 2",
    "const t = [[{O}]]; t.flat()[0].x = 1; t[0][0].w = 2",
    "const t = {s: {O}, u: {O}}; for (const k of Object.keys(t)) t[k].x = 2",
    "const t = {s: {O}}; const u = {...t, n: 1}; u.s.x = {V}",
    "JSON.stringify({O}, (k, v) => { if (v && v.z) v.z = 9; return v })",
    "o = o?.y ?? {O}; o.z2 = 1",
    "mark.call(null, {O}, {V}).w = 1",
    "data.l = data.l || []; data.l.push({O}); data.l.at(-1).x = {V}",
    "data.l = data.l.filter(e => e.x); data.l.forEach(e => { e.x = {V} })",
    "const s = []; data.e = s; s.push({O}); data.e.unshift({O}); const [t, u] = s; t.x = 1; u.w = 2",
    "const swap = {A}; [swap[0], swap[1]] = [swap[1], swap[0]]",
]


def fill(template: str, draw: Any) -> str:
    for sign, choices in (("{O}", OBJECT), ("{A}", ARRAY), ("{V}", VALUE)):
        while sign in template:
            template = template.replace(sign, draw(st.sampled_from(choices)), 1)
    return template


@st.composite
def programs(draw: Any) -> str:
    lines = draw(st.lists(st.sampled_from(TEMPLATES), min_size=1, max_size=6))
    body = "\n".join(f"try {{ {fill(line, draw)} }} catch {{}}" for line in lines)
    return f"async data => {{ {HELPERS} let o = {{}}, p = {{}}, q = [], r = [];\n{body}\n}}"


@pytest.fixture(scope="module")
def isolate() -> Iterator[MiniRacer]:
    made = MiniRacer()
    made.eval(RECORDER + "; 0")
    yield made
    made.close()


def differences(before: Any, after: Any, path: Path = ()) -> set[Path]:
    if isinstance(before, dict) and isinstance(after, dict):
        members = before.keys() | after.keys()
        missing = object()
        found = (differences(before.get(name, missing), after.get(name, missing), (*path, name)) for name in members)
        return set().union(*found)
    return set() if type(before) is type(after) and before == after else {path}


def covers(paths: frozenset[Path], path: Path) -> bool:
    return any(path[: len(known)] == known for known in paths)


def escapes(isolate: MiniRacer, text: str, found: Footprint) -> list[str]:
    """What a run of the function does beside its footprint."""
    isolate.eval(f"run({text}); 0")
    result = json.loads(str(isolate.eval("found()")))
    wrong = []
    for kind, parts in result["log"]:
        path: Path = tuple(parts)
        if kind == "w" and not covers(found.writes, path):
            wrong.append(f"writes {path}")
        if kind == "r" and path and not any(overlaps(path, known) for known in found.reads | found.writes):
            wrong.append(f"reads {path}")
        if kind == "r" and not path and not found.reads:
            wrong.append("reads all")
    if result["after"] is not None:
        changed = differences(result["before"], result["after"])
        wrong += [f"changes {path}" for path in sorted(changed, key=str) if not covers(found.writes, path)]
    return wrong


def test_a_run_stays_within_its_footprint_and_most_programs_are_followed(isolate: MiniRacer) -> None:
    followed: list[bool] = []

    @settings(max_examples=150, deadline=None)
    @given(programs())
    def stays(text: str) -> None:
        found = javascript_footprint(f"export default {text}")
        followed.append(not found.everything)
        if not found.everything:
            assert escapes(isolate, text, found) == []

    stays()

    assert sum(followed) > 0.8 * len(followed)


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_idiom_is_followed_and_stays_within_its_footprint(isolate: MiniRacer, template: str) -> None:
    for shift in range(3):  # with some of the places that it can be about
        line = template
        for sign, choices in (("{O}", OBJECT), ("{A}", ARRAY), ("{V}", VALUE)):
            for n in range(line.count(sign)):
                line = line.replace(sign, choices[(shift + n * 2) % len(choices)], 1)
        text = f"async data => {{ {HELPERS} let o = data.b, p = data.c, q = data.m, r = data.l;\n{line}\n}}"
        found = javascript_footprint(f"export default {text}")

        assert found.unknown == ()
        assert escapes(isolate, text, found) == [], line
