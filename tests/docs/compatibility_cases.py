# ruff: noqa: E501 - a case is easier to read on one line
"""The cases behind ``docs/compatibility.md``: small steps and conditions, what goes in and what must come out.

A step's text is its body, or a whole file where it exports something; ``CASE`` in it is the case's number. ``then``
holds members of the data as they must be afterwards, and by names that begin with a dot other things of the outcome
(``.state``, ``.result``, …; see ``seen_of`` in ``test_compatibility.py``). A text is the begin of the message of the
error that must be left. ``js_then`` and ``py_then`` stand where one language gives something else than ``then``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Then = dict[str, Any] | str


@dataclass(frozen=True)
class Other:
    """What one language gives instead of what a case wants, and what the table calls that."""

    status: str
    then: Then


def differs(then: Then) -> Other:
    return Other("differs", then)


def not_yet(then: Then) -> Other:
    return Other("not yet", then)


def never(then: Then) -> Other:
    return Other("never", then)


@dataclass(frozen=True)
class Case:
    """One row. A language without a text has nothing to run: its cell is ``—``."""

    construct: str
    js: str | None
    py: str | None
    then: Then = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    js_then: Other | None = None
    py_then: Other | None = None


@dataclass(frozen=True)
class Pattern:
    """A row about conditions: ``yes`` must match and ``no`` must not, in both languages.

    A refused condition has the begin of the error's text as ``refused``. ``js_yes``, ``js_no``, ``py_yes`` and
    ``py_no`` are for values that one language treats otherwise than the other.
    """

    construct: str
    js: str | None
    py: str | None
    yes: tuple[Any, ...] = ()
    no: tuple[Any, ...] = ()
    note: str = ""
    refused: str = ""
    alone: bool = False  # the pattern is the whole condition, without the member that keeps the cases apart
    py_no: tuple[Any, ...] | None = None  # matches in JavaScript, not in Python


FILES = [
    Case("`export const condition` with `export const content`",
         "export const condition = {case: CASE};\nexport const content = async () => { data.ran = 1 };",
         "data.ran = 1", {"ran": 1}, note="in Python `@step(condition=…)` above a function; the files of a build (`.step.json`) are not read yet"),
    Case("`export const match` with `export default`",
         "export const match = () => ({case: CASE});\nexport default async (data) => { data.ran = 1 };",
         None, {"ran": 1}),
    Case("the same with TypeScript's types (`.ts`, `.mts`)",
         "// .mts\nexport const match = () => ({case: CASE});\ninterface Order { total: number }\n"
         "export default async (data: any): Promise<void> => { const o = data.order as Order; data.ran = o!.total };",
         None, {"ran": 3}, {"order": {"total": 3}}, note="types are stripped; an `enum` or a `namespace` is refused"),
    Case("a header `/** Step: NAME ID: … */`",
         "/**\n * Step: another name\n * ID: 0123456789abcdef0123456789abcdef\n */\n"
         "export const condition = {case: CASE};\nexport const content = async () => { data.ran = step.name !== 'another name' };",
         None, {"ran": True}, note="the file's name is the step's name; in a file of several, the header's"),
    Case("several steps in a file, functions beside them",
         "export const condition = {case: CASE, x: null};\nexport const content = async () => { data.x = twice(2) };\n"
         "function twice(n) { return 2 * n }\n"
         "export const condition = {case: CASE, x: 4};\nexport const content = async () => { data.y = twice(data.x) };",
         "data.x = 4; data.y = 8", {"x": 4, "y": 8}),
    Case("`module.exports = {condition, content}`",
         "module.exports = {condition: {case: CASE}, content: async () => { data.ran = 1 }};", None, {"ran": 1}),
    Case("`return` in the body", "data.a = 1; return; data.b = 1", "data.a = 1\nreturn\ndata.b = 1", {"a": 1, "b": None}),
    Case("`export const disabled = true`",
         "export const disabled = true;\nexport const condition = {case: CASE};\n"
         "export const content = async () => { data.ran = 1 };", None, {"ran": None, ".state": "attention"},
         note="in Python `enabled=False`"),
    Case("options: `export const retries = 2`, …",
         "export const retries = 2;\nexport const backoff = '1s';\nexport const condition = {case: CASE};\n"
         "export const content = async () => { if (step.attempt < 3) throw new Error('no'); data.n = step.attempt };",
         None, {"n": 3}, note="those of `@step`: [steps](steps.md)"),
    Case("`import` and `require`", "require('fs')", None, {".state": "done"}, js_then=never("*asks for the module 'fs': steps have no modules"),
         note="shared code is a library: `lib.…`"),
]  # fmt: skip

CONDITIONS = [
    Pattern("nested objects, exact values", "{a: {b: 'x', n: 21, t: true}}", "{'a': {'b': 'x', 'n': 21, 't': True}}",
            ({"a": {"b": "x", "n": 21.0, "t": True, "more": 1}},),
            ({"a": {"b": "X", "n": 21, "t": True}}, {"a": {"b": "x", "n": "21", "t": True}}, {})),
    Pattern("`String`", "String", "str", ("", "x"), (1, None, True), note="`str`"),
    Pattern("`Number`", "Number", "float", (0, 1.5), ("1", True), note="`float`; `int` for whole numbers"),
    Pattern("`Boolean`", "Boolean", "bool", (False,), (0, "true"), note="`bool`"),
    Pattern("`Array`", "Array", "list", ([],), ({}, "x"), note="`list`"),
    Pattern("`Object`", "Object", "dict", ({}, {"a": 1}), ("x", None), py_no=([], [1]),
            note="matches arrays too in JavaScript; Python's `dict` does not"),
    Pattern("`null`", "null", "None", (None, ...), (False, 0, ""), note="null or missing"),
    Pattern("`undefined`", "undefined", None, (None, ...), (False, 0), note="the same as `null`"),
    Pattern("a missing object above a `null`", "{agent: {ready: null}, request: String}",
            "{'agent': {'ready': None}, 'request': str}", ({"request": "x"},), ({"request": "x", "agent": {"ready": 1}},)),
    Pattern("the same, and no other leaf", "{release: {latest: null}}", "{'release': {'latest': None}}",
            ({"release": {}},), ({"other": 1},), alone=True),
    Pattern("`[{…}]`, nested too", "[{value: [{address: String}]}]", "[{'value': [{'address': str}]}]",
            ([{"x": 1}, {"value": [0, {"address": "a"}]}],), ([{"value": [{"address": 1}]}], {"value": []})),
    Pattern("`[\"email\", \"sms\"]`", "['email', 'sms']", "['email', 'sms']", (["sms", "x", "email"],), (["sms"], "sms")),
    Pattern("`[String]`", "[String]", "[str]", ([1, "a"],), ([1], [])),
    Pattern("`$eq`, `$ne`", "{$ne: null, $not: {$eq: 3}}", "{'$ne': None, '$not': {'$eq': 3}}", (2, ""), (3, None, ...)),
    Pattern("`$gt $gte $lt $lte`", "{$gt: 1, $gte: 2, $lt: 9, $lte: 8}", "{'$gt': 1, '$gte': 2, '$lt': 9, '$lte': 8}",
            (2, 8), (1, 9, "5", None)),
    Pattern("`$in`, `$nin`", "{$in: [1, 'a', null], $nin: ['b']}", "{'$in': [1, 'a', None], '$nin': ['b']}",
            (1, "a"), (2, "b")),
    Pattern("`$exists`", "{$exists: true}", "{'$exists': True}", (0, False), (None, ...), note="there, and not null"),
    Pattern("`$type`, `$size`", "{$type: 'array', $size: 2}", "{'$type': 'array', '$size': 2}", ([1, 2],), ([1], "ab")),
    Pattern("`$all`, `$elemMatch`", "{$all: [1], $elemMatch: {$gt: 5}}", "{'$all': [1], '$elemMatch': {'$gt': 5}}",
            ([1, 6],), ([1, 2], [6])),
    Pattern("`$and $or $nor`", "{$and: [{$or: [{a: 1}, {a: 2}]}, {$nor: [{b: 1}]}]}",
            "{'$and': [{'$or': [{'a': 1}, {'a': 2}]}, {'$nor': [{'b': 1}]}]}", ({"a": 1}, {"a": 2, "b": 2}),
            ({"a": 3}, {"a": 1, "b": 1})),
    Pattern("a regular expression with flags", "/.*chuck +norris.*/i", "re.compile('.*chuck +norris.*', re.I)",
            ("a CHUCK  Norris b",), ("chucknorris", 7, None)),
    Pattern("what only JavaScript's expressions have", r"/^\p{Lu}(?<n>.)\k<n>$/u", None, ("Éaa",), ("éaa", "Éab"),
            note="asked of V8; Python conditions take Python's expressions"),
    Pattern("`$regex` with `$options`", "{$regex: '^a', $options: 'i'}", "{'$regex': '^a', '$options': 'i'}",
            ("Ab",), ("ba", 1)),
    Pattern("a function", "value => value > 3", "lambda value: isinstance(value, int) and value > 3", (4,), (3, None),
            note="asked of V8 for each task: slower, and not indexed"),
    Pattern("dotted keys", "{'contact.name': 'Ada', 'list.0': 1}", "{'contact.name': 'Ada', 'list.0': 1}",
            ({"contact": {"name": "Ada"}, "list": [1]},), ({"contact.name": "Ada", "list": [1]},)),
    Pattern("`$via`", "{$via: {type: 'api'}}", "{'$via': {'type': 'api'}}", ({},), (), alone=True),
    Pattern("`$graph`", "{$graph: {vertices: [{type: 'order'}]}}", "{'$graph': {'vertices': [{'type': 'order'}]}}",
            ({"$graph": {"vertices": [{"id": "a", "type": "x"}, {"id": "b", "type": "order"}], "edges": []}},),
            ({"$graph": {"vertices": [{"id": "a", "type": "x"}], "edges": []}}, {"a": 1}), alone=True),
    Pattern("`$stash`", "{$stash: {pin: String, n: Number}}", "{'$stash': {'pin': str, 'n': float}}",
            ({"$stash": {"pin": "12", "n": 1}},), ({"$stash": {"pin": 12, "n": 1}}, {"a": 1}), alone=True,
            note="the type is what can be asked for"),
    Pattern("`data` in a condition", "{a: {$lt: data.v.b?.length || 0}}", None, ({"a": 1, "b": [1, 2]},),
            ({"a": 2, "b": [1, 2]}, {"a": 0}), note="in Python a function, or a `$and` of paths, says it"),
    Pattern("spread, names, computed keys", "{...{a: 1}, ['b' + 1]: String}", "{**{'a': 1}, 'b' + str(1): str}",
            ({"a": 1, "b1": ""},), ({"a": 1},)),
    Pattern("an unknown operator", "{$gtt: 1}", "{'$gtt': 1}", refused="there is no operator '$gtt'; did you mean '$gt'?",
            note="refused when the step is loaded, as is all that can never match"),
    Pattern("a date, a symbol, a class", "new Date(0)", "__import__('datetime').date(2020, 1, 1)",
            refused="is no pattern", note="refused: data is JSON"),
]  # fmt: skip

TASK = [
    Case("`task.id`, `task.id()`", "data.same = task.id() === `${task.id}` && JSON.stringify({i: task.id}).includes(task.id())",
         "data.same = task.id() == str(task.id)", {"same": True}, note="a function whose text and JSON are the id"),
    Case("`task.name()`, `task.name(text)`", "data.was = task.name(); task.name('new')",
         "data.was = task.name(); task.name('new')", {"was": "case", ".name": "new"}),
    Case("`task.tags()`, `task.tags(list)`", "task.tags([...(task.tags() || []), 'x']); data.tags = task.tags()",
         "task.tags([*task.tags(), 'x']); data.tags = task.tags()", {"tags": ["x"], ".tags": ["x"]}),
    Case("`task.config(name)`", "data.key = task.config('KEY'); data.none = task.config('NONE') === undefined",
         "data.key = task.config('KEY'); data.none = task.config('NONE') is None", {"key": "k1", "none": True},
         note="also `config(name)`"),
    Case("`task.createdAt`, `workspace()`, `region()`",
         "data.at = task.createdAt; data.facts = [task.workspace(), task.region()]",
         "data.at = task.createdAt; data.facts = [task.workspace(), task.region()]",
         {"at": "2026-01-01T00:00:00.000Z", "facts": ["compat", "local"]}),
    Case("`task.complete(result)`", "task.complete({ok: 1}); data.after = true", "task.complete({'ok': 1}); data.after = True",
         {".state": "done", ".result": {"ok": 1}, "after": True}, note="the code goes on after it"),
    Case("`task.ignore()`", "task.ignore()", "task.ignore()", {".state": "ignored"}),
    Case("`task.timeout(ms)`", "task.timeout(50); task.park()", "task.timeout(50); task.park()", {".state": "error"}),
    Case("`task.completeOnExpire(result)`", "task.timeout(50); task.completeOnExpire({late: 1}); task.park()",
         "task.timeout(50); task.completeOnExpire({'late': 1}); task.park()", {".state": "done", ".result": {"late": 1}}),
    Case("`task.park(ms)` with `step.redo()`",
         "data.n = (data.n || 0) + 1; if (data.n < 3) { task.park(60000); step.redo() }",
         "data.n = data.get('n', 0) + 1\nif data.n < 3: task.park(60000); step.redo()", {"n": 3, ".runs": 3}),
    Case("`task.subtask(name, data, {into, waitFor})`",
         "if (data.child) return; task.subtask('child', {child: true, case: 'child'}, {into: 'got.0', waitFor: true})",
         "task.subtask('child', {'child': True, 'case': 'child'}, {'into': 'got.0', 'waitFor': True})",
         {"got": [{"state": "done", "result": {"by": "child"}}]}),
    Case("`delay` of a subtask",
         "task.timeout('2h'); task.completeOnExpire('late'); for (const [n, delay] of [3600000, '20h'].entries())"
         " task.subtask('child', {case: 'child'}, {into: `got.${n}`, waitFor: true, delay})",
         "task.timeout('2h'); task.completeOnExpire('late')\nfor n, delay in enumerate([3600000, '20h']):"
         " task.subtask('child', {'case': 'child'}, {'into': f'got.{n}', 'waitFor': True, 'delay': delay})",
         {".state": "done", ".result": "late", "got": [{"state": "done", "result": {"by": "child"}}]},
         note="milliseconds, or a text such as `\"3d\"`"),
    Case("`task.visualize({type, name, data, options})`",
         "task.visualize({type: 'table', name: 't', data: [[1]], options: {headers: ['h']}})",
         "task.visualize({'type': 'table', 'name': 't', 'data': [[1]], 'options': {'headers': ['h']}})",
         {".pictures": [["table", "t", [[1]], {"headers": ["h"]}]]}),
    Case("`task.getData()`", "data.copy = (await task.getData()).x", "data.copy = (await task.getData()).x", {"copy": 1},
         {"x": 1}, py_then=not_yet("'TaskHandle' object has no attribute 'getData'"), note="Python steps have `data` itself"),
    Case("`task.getExecutionTrace()`", "await task.getExecutionTrace()", "await task.getExecutionTrace()",
         {".state": "done"}, js_then=not_yet("task.getExecutionTrace is not a function"),
         py_then=not_yet("'TaskHandle' object has no attribute 'getExecutionTrace'"), note="the history is in the outcome and the API"),
    Case("`step.redo()`, `step.name`", "data.n = (data.n || 0) + 1; data.me = step.name === 'CASE' ; if (data.n < 2) step.redo()",
         "data.n = data.get('n', 0) + 1; data.me = step.name == 'CASE'\nif data.n < 2: step.redo()", {"n": 2, "me": True}),
]  # fmt: skip

DATA = [
    Case("read, set, `delete`, `||=`", "data.a.b ||= 5; delete data.x; data.list.push(data.a.b)",
         "data.a.setdefault('b', 5); del data['x']; data.list.append(data.a.b)",
         {"a": {"b": 5}, "x": None, "list": [1, 5]}, {"a": {}, "x": 1, "list": [1]}),
    Case("emptying the data", "for (const key of Object.keys(data)) delete data[key]", "data.clear()", {".state": "done", ".data": {}}),
    Case("emptying it and adding again", "for (const key of Object.keys(data)) delete data[key]; data.fresh = 1",
         "data.clear(); data.fresh = 1", {".data": {"fresh": 1}}),
    Case("`data.$via`", "data.from = data.$via.type", "data['from'] = data['$via'].type", {"from": "api"}, note="always there"),
    Case("`data.$stash`", "data.$stash.pin = '12'; data.back = data.$stash.pin.length",
         "data['$stash'] = {'pin': '12'}; data.back = len(data['$stash']['pin'])", {"back": 2, "$stash": {"pin": "String"}},
         note="made by itself in JavaScript; others see the type"),
    Case("`data.$errors`", "delete data.$errors.other", "del data['$errors']['other']", {".state": "done"},
         {"$errors": {"other": {"message": "m"}}}),
    Case("whole numbers above 2^53", "data.n = data.n + 1n", "data.n = data.n + 1", {"n": 9007199254740994},
         {"n": 9007199254740993}, note="a `BigInt` in JavaScript"),
    Case("`undefined` in an object", "data.o = {a: undefined, b: 1}", None, {"o": {"b": 1}}, note="left out, as in JSON"),
    Case("`NaN`, infinity", "data.n = [NaN, 1 / 0]", "data.n = [float('nan'), float('inf')]", {"n": [None, None]},
         py_then=differs("*nan"), note="null in JavaScript, as in JSON; an error in Python"),
    Case("a `Date`", "data.at = new Date(0)", "import datetime\ndata.at = datetime.datetime.fromtimestamp(0, datetime.UTC)",
         {"at": "1970-01-01T00:00:00.000Z"}, py_then=differs("data.at is a datetime, which JSON does not know"),
         note="its ISO text in JavaScript; Python asks for `.isoformat()`"),
    Case("a promise left in `data`", "data.later = connectors.crm.echo({x: 1})", "data.later = connectors.crm.echo({'x': 1})",
         {"later": {"x": 1}}, note="settled before the changes are taken"),
    Case("a step that throws", "data.half = 1; throw new TypeError('no luck')", "data.half = 1\nraise TypeError('no luck')",
         "no luck", note="its changes are discarded, `$errors` says why"),
]  # fmt: skip

CONNECTORS = [
    Case("`await connectors.NS.method(args)`", "data.got = await connectors.crm.echo({x: [1]})",
         "data.got = await connectors.crm.echo({'x': [1]})", {"got": {"x": [1]}}),
    Case("`connectors[name].method`, `connectors.NS.a.b`", "data.got = [await connectors['crm'].count({}), await connectors.crm.a.b({})]",
         "data.got = [await connectors['crm'].count({}), await connectors.crm.a.b({})]", {"got": [7, {}]}),
    Case("`if (connectors.zendesk)`", "data.has = [!!connectors.zendesk, !!connectors.crm]",
         "data.has = [bool(connectors.zendesk), bool(connectors.crm)]", {"has": [False, True]}),
    Case("a connector that is not there", "await connectors.zendesk.get({})", "await connectors.zendesk.get({})",
         "*there is no connector 'zendesk'"),
    Case("a failed call", "try { await connectors.crm.fail({}) } catch (e) { data.e = [e.status, String(e).includes('409')] }",
         "try: await connectors.crm.fail({})\nexcept CallError as e: data.e = [e.status, '409' in str(e)]", {"e": [409, True]}),
    Case("a call that is not awaited", "connectors.crm.echo({}); task.complete()", "connectors.crm.echo({}); task.complete()",
         {".state": "done", ".calls": 1}, note="finished before the run ends; its failure fails the run"),
    Case("the value of a call that is not awaited", "data.x = connectors.crm.echo({x: 2}).x; const r = connectors.crm.echo({y: 3}); data.y = r.y",
         "data.x = connectors.crm.echo({'x': 2}).x", {"x": 2, "y": 3}, py_then=differs("'Pending' object has no attribute 'x'"),
         note="JavaScript gets an `await` put in when it is loaded; Python must write it"),
    Case("`.then()` of a call", "connectors.crm.echo({x: 2}).then(got => { data.x = got.x })", None, {"x": 2}),
    Case("`into: 'a.b'`", "connectors.crm.echo({v: 1, into: 'a.b'})", "connectors.crm.echo({'v': 1, 'into': 'a.b'})", {"a": {"b": {"v": 1}}}),
    Case("`into` with a number in the path, a scalar", "connectors.crm.count({into: 'list.0'})", "connectors.crm.count({'into': 'list.0'})",
         {"list": [{"count": 7}]}, note="anything but an object is written as `{method: answer}`"),
    Case("`connectors.fetch({url, options})`",
         "const r = await connectors.fetch({url: data.url, options: {method: 'POST', body: JSON.stringify({q: 1})}}); data.got = [r.status, r.ok, r.body.method, r.body.body]",
         "r = await connectors.fetch({'url': data.url, 'options': {'method': 'POST', 'body': '{\"q\": 1}'}}); data.got = [r.status, r.ok, r.body.method, r.body.body.replace(' ', '')]",
         {"got": [200, True, "POST", '{"q":1}']}, {"url": "URL"}),
    Case("`bodyOnly: true`", "data.got = (await connectors.fetch({url: data.url, bodyOnly: true})).method",
         "data.got = (await connectors.fetch({'url': data.url, 'bodyOnly': True})).method", {"got": "GET"}, {"url": "URL"}),
    Case("`fetch(url, options)`", "const r = await fetch(data.url); data.got = [r.ok, r.body.method, (await r.json()).method, r.headers.get('content-type')]",
         "r = await connectors.fetch(url=data.url); data.got = [r.ok, r.body.method, r.json().method, r.headers.get('content-type')]",
         {"got": [True, "GET", "GET", "application/json"]}, {"url": "URL"}, note="in Python `connectors.fetch(url=…)`"),
    Case("`fetch({url, method, …})`", "data.got = (await fetch({url: data.url, method: 'PUT', body: 'b'})).body", None,
         {"got": {"method": "PUT", "body": "b"}}, {"url": "URL"}),
    Case("`text: true`", "const r = await connectors.fetch({url: data.url, options: {text: true}}); data.got = [JSON.parse(r.body).method, (await r.json()).method]",
         "import json\nr = await connectors.fetch({'url': data.url, 'options': {'text': True}}); data.got = [json.loads(r.body)['method'], r.json()['method']]",
         {"got": ["GET", "GET"]}, {"url": "URL"}, py_then=differs("string indices must be integers, not 'str'"),
         note="`json()` parses it in JavaScript; in Python it gives the text"),
    Case("`fetch` with a `signal`", "const c = new AbortController(); c.abort(); data.got = await fetch(data.url, {signal: c.signal}).catch(e => e.name)",
         None, {"got": "AbortError"}, {"url": "URL"}, note="a request under way is given up; in Python `timeout`, in milliseconds"),
    Case("`fetch` with a body of bytes", "data.got = (await fetch(data.url, {method: 'POST', body: Uint8Array.of(255)})).body.body", None,
         {"got": "\xff"}, {"url": "URL"}, js_then=not_yet("fetch sends text and JSON; a body of bytes that are no UTF-8 text cannot be sent"),
         note="bytes that are a text are sent"),
    Case("`connectors.utils.sleep({milliseconds})`", "await connectors.utils.sleep({milliseconds: 20}); data.woke = 1",
         "await connectors.utils.sleep({'milliseconds': 20}); data.woke = 1", {"woke": 1}),
]  # fmt: skip

OTHERS = [
    Case("`lib.NS.fn()`, state kept in the library", "data.got = [lib.words.up('a'), await lib.words.ask(2)]",
         "data.got = [lib.words.up('a'), await lib.words.ask(connectors, 2)]", {"got": ["A", {"x": 2}]},
         note="JavaScript libraries find `connectors`, `task` and `console` around them; Python ones are handed them"),
    Case("a library that is not there", "lib.nothing.here()", "lib.nothing.here()", "*there is no library 'nothing'", note="an error that names those that there are"),
    Case("`audit.log`, `reference`, `get`", "audit.log('seen', {n: 1}); audit.reference({id: 'r1', name: 'R'}); data.n = audit.get().map(e => e.msg || e.id)",
         "audit.log('seen', {'n': 1}); audit.reference({'id': 'r1', 'name': 'R'}); data.n = [e.get('msg') or e['id'] for e in audit.get()]",
         {"n": ["seen", "r1"], ".audit": ["seen", "R"]}),
    Case("`graph.addVertex`, `connect`, `getVertex`, `vertices`, `edges`, `get`",
         "const a = graph.addVertex({id: 'a'}), b = graph.addVertex({id: 'b'}); const e = graph.connect({out: a, in: b, type: 't'}); data.n = [graph.getVertex('a').id, graph.vertices().length, graph.edges().length, graph.get().edges[0].type]",
         "a = graph.addVertex({'id': 'a'}); b = graph.addVertex({'id': 'b'}); graph.connect({'out': a, 'in': b, 'type': 't'}); data.n = [graph.getVertex('a').id, len(graph.vertices()), len(graph.edges()), graph.get()['edges'][0]['type']]",
         {"n": ["a", 2, 1, "t"]}, note="kept in `data.$graph`"),
    Case("`graph.removeVertex`, `removeEdge`",
         "graph.connect({out: graph.addVertex({id: 'a'}), in: graph.addVertex({id: 'b'}), type: 't'}); graph.removeEdge(graph.edges()[0].id); graph.removeVertex('a'); data.n = [graph.vertices().length, graph.edges().length]",
         "graph.connect({'out': graph.addVertex({'id': 'a'}), 'in': graph.addVertex({'id': 'b'}), 'type': 't'}); graph.removeEdge(graph.edges()[0]['id']); graph.removeVertex('a'); data.n = [len(graph.vertices()), len(graph.edges())]",
         {"n": [1, 0]}),
    Case("`mapper().map(a).to(b).execute(obj)`", "data.out = mapper().map('a.b').to('c.d').map('l[].x').to('xs').execute(data.in)",
         "data.out = mapper().map('a.b').to('c.d').map('l[].x').to('xs').execute(data['in'])", {"out": {"c": {"d": 1}, "xs": [2]}},
         {"in": {"a": {"b": 1}, "l": [{"x": 2}]}}),
    Case("`file.write(name, content)`, `file.read(name)`", "await file.write('n.txt', 'hi'); data.got = await file.read('n.txt')",
         "await file.write('n.txt', 'hi'); data.got = await file.read('n.txt')", {"got": "hi"}),
    Case("`blob.create`, `get`, `getContent`", "const id = await blob.create({content: {a: 1}, name: 'n'}); data.got = [(await blob.get(id)).name, await blob.getContent(id)]",
         "id = await blob.create({'content': {'a': 1}, 'name': 'n'}); data.got = [(await blob.get(id))['name'], await blob.getContent(id)]",
         {"got": ["n", '{"a":1}']}, note="an object comes back as JSON text"),
    Case("bytes in a blob", "const id = await blob.create({content: new Uint8Array([1, 255])}); data.got = [...await blob.getContent(id)]",
         "id = await blob.create({'content': bytes([1, 255])}); data.got = list(await blob.getContent(id))", {"got": [1, 255]}),
    Case("`user.conversation({kind: 'data', …})`", "user.conversation({kind: 'data', title: 'T', data: {a: 1}})",
         "user.conversation({'kind': 'data', 'title': 'T', 'data': {'a': 1}})", {".state": "done", ".pictures": [["conversation", "T", {"a": 1}, {"kind": "data", "title": "T", "data": {"a": 1}}]]},
         note="shows, and does not wait"),
    Case("`user.conversation` that asks", "user.conversation({kind: 'form', title: 'T'})", "user.conversation({'kind': 'form', 'title': 'T'})", {".state": "waiting"},
         note="a `Form` step has no code and no file; this asks in its place"),
    Case("`console.log info warn error debug`", "console.log('a', {b: 1}); console.info('i'); console.warn('w'); console.error('e'); console.debug('d')",
         "print('a', '{\"b\":1}'); log.info('i'); log.warning('w'); log.error('e'); log.debug('d')",
         {".logs": [["info", 'a {"b":1}'], ["info", "i"], ["warning", "w"], ["error", "e"], ["debug", "d"]]}, note="`print` and `log.…` in Python"),
]  # fmt: skip


def _global(names: str, js: str, becomes: Any, note: str = "") -> Case:
    return Case(names, f"data.got = {js}", None, {"got": becomes}, note=note)


GLOBALS = [
    _global("`JSON Math Date RegExp Map Set`", "[JSON.parse('[1]')[0], Math.max(1, 2), new Date(0).getTime(), new Map([[1, 2]]).get(1), new Set([1]).size]", [1, 2, 0, 2, 1]),
    Case("`Promise.all`, `allSettled`", "data.got = await Promise.all([connectors.crm.count({}), 1]); data.st = (await Promise.allSettled([connectors.crm.fail({})]))[0].status", None, {"got": [7, 1], "st": "rejected"}),
    _global("`Uint8Array`, typed arrays", "[...new Uint8Array([1, 257])]", [1, 1]),
    _global("`encodeURIComponent`, `escape` …", "encodeURIComponent('a b')", "a%20b"),
    _global("`URL`, `URLSearchParams`", "[new URL('/x?a=1', 'http://h:80').href, new URLSearchParams({a: 'b c'}).toString()]", ["http://h/x?a=1", "a=b+c"]),
    _global("`Intl`, `toLocaleString`", "[(1234.5).toLocaleString('en-US'), new Intl.NumberFormat('de-DE').format(1234.5)]", ["1,234.5", "1.234,5"]),
    _global("`Buffer`", "Buffer.from('hé').toString('base64')", "aMOp"),
    _global("`atob`, `btoa`", "[btoa('hi'), atob('aGk=')]", ["aGk=", "hi"]),
    _global("`TextEncoder`, `TextDecoder`", "new TextDecoder().decode(new TextEncoder().encode('é'))", "é"),
    _global("`structuredClone`", "structuredClone({a: [1]})", {"a": [1]}),
    _global("`crypto.randomUUID`, `getRandomValues`", "[crypto.randomUUID().length, crypto.getRandomValues(new Uint8Array(4)).length]", [36, 4]),
    _global("`crypto.createHash`, `createHmac`", "crypto.createHmac('sha256', 'k').update('a').digest('hex').slice(0, 8)", "78da9151"),
    _global("`AbortController`, `Event`, `EventTarget`", "new AbortController().signal.aborted", False),
    Case("`setTimeout`, `setInterval`, `setImmediate`", "await new Promise(go => setTimeout(go, 60000)); await new Promise(go => setImmediate(go)); data.got = 1", None, {"got": 1},
         note="a timer still open when the content ends is dropped"),
    Case("`await` of a promise that nobody settles",
         "export const timeout = '200ms';\nexport const condition = {case: CASE};\n"
         "export const content = async () => { await new Promise(() => {}) };", None, "the step waited for 0.2 s for something that did not come"),
    Case("`eval`, `new Function`", "eval('1')", None, {".state": "done"}, js_then=never("eval(…) makes code of a text, which steps cannot")),
    Case("`process`", "process.memoryUsage()", None, {".state": "done"}, js_then=never("process is not defined")),
    Case("`global`, `window`", "global.x", None, {".state": "done"}, js_then=never("global is not defined"), note="`globalThis` is there, and cannot be changed"),
    Case("`WebAssembly`, `SharedArrayBuffer`, `Worker`", "data.got = [typeof WebAssembly, typeof SharedArrayBuffer, typeof Worker]", None,
         {"got": ["object", "function", "function"]}, js_then=never({"got": ["undefined"] * 3})),
    Case("changing a built-in", "Array.prototype.last = 1", None, {".state": "done"}, js_then=never("Cannot add property last, object is not extensible")),
]  # fmt: skip

SECTIONS: dict[str, list[Case | Pattern]] = {
    "Files": [*FILES],
    "Conditions": [*CONDITIONS],
    "The task and the step": [*TASK],
    "Data": [*DATA],
    "Connectors": [*CONNECTORS],
    "Libraries, audit, graph, files, people": [*OTHERS],
    "What the language has around it": [*GLOBALS],
}
