"""JavaScript code that changes built-ins, or what all runs are handed: it is refused, and nobody finds a difference."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from aloma_py.models import TaskState

from .field import open_field
from .test_limits import culprit, message

pytestmark = pytest.mark.anyio

POLLUTION: Final = r"""
const thrown = (() => { try { null.x } catch (error) { return error } })();
const attacks = {
  object: () => { Object.prototype.evil = 1 },
  objectMethod: () => { Object.prototype.toString = () => 'evil' },
  objectDefine: () => { Object.defineProperty(Object.prototype, 'then', { value: () => {} }) },
  objectGetter: () => { Object.prototype.__defineGetter__('evil', () => 1) },
  objectPrototype: () => { Object.setPrototypeOf(Object.prototype, { evil: 1 }) },
  literal: () => { ({}).__proto__.evil = 1 },
  constructor: () => { ({}).constructor.prototype.evil = 1 },
  assign: () => { Object.assign = () => 'evil' },
  array: () => { Array.prototype.map = () => 'evil' },
  arrayIndex: () => { Array.prototype[0] = 'evil' },
  arrayProto: () => { Object.setPrototypeOf(Array.prototype, { evil: 1 }) },
  arrayIterator: () => { [][Symbol.iterator]().__proto__.next = () => ({ done: true }) },
  unscopables: () => { Array.prototype[Symbol.unscopables].evil = true },
  species: () => { Object.defineProperty(Promise, Symbol.species, { value: Array }) },
  speciesGetter: () => { Object.getOwnPropertyDescriptor(Promise, Symbol.species).get.evil = 1 },
  then: () => { Promise.prototype.then = () => 'evil' },
  promise: () => { Promise.resolve = () => 'evil' },
  call: () => { Function.prototype.call = () => 'evil' },
  hasInstance: () => { Object.defineProperty(Function.prototype, Symbol.hasInstance, { value: () => true }) },
  string: () => { String.prototype.split = () => 'evil' },
  stringIterator: () => { String.prototype[Symbol.iterator].evil = 1 },
  regexp: () => { RegExp.prototype.exec = () => null },
  regexpReplace: () => { RegExp.prototype[Symbol.replace] = () => 'evil' },
  regexpInput: () => { RegExp.input = 'evil' },
  json: () => { JSON.stringify = () => 'evil' },
  map: () => { Map.prototype.get = () => 'evil' },
  weakMap: () => { WeakMap.prototype.get = () => 'evil' },
  iterator: () => { Iterator.prototype.map = () => 'evil' },
  iteratorHelper: () => { [][Symbol.iterator]().map(value => value).__proto__.next = () => 'evil' },
  generator: () => { (function* () {}).prototype.__proto__.next = () => 'evil' },
  asyncGenerator: () => { Object.getPrototypeOf((async function* () {}).prototype).next = () => 'evil' },
  asyncFunction: () => { (async () => {}).__proto__.call = 1; (async () => {}).__proto__.evil = 1 },
  segmenter: () => { new Intl.Segmenter().segment('a').__proto__.containing = 1 },
  intl: () => { Intl.NumberFormat.prototype.evil = 1 },
  typedArray: () => { Uint8Array.prototype.evil = 1 },
  bigint: () => { BigInt.prototype.toJSON = () => 'evil' },
  symbol: () => { Symbol.prototype.evil = 1 },
  math: () => { Math.random = () => 4 },
  now: () => { Date.now = () => 0 },
  reflect: () => { Reflect.ownKeys = () => [] },
  error: () => { thrown.constructor.prototype.name = 'evil' },
  trace: () => { Error.prepareStackTrace = (error, frames) => frames },
  traceLimit: () => { Error.stackTraceLimit = 0 },
  global: () => { globalThis.evil = 1 },
  globalMember: () => { globalThis.Map = class {} },
  globalSelf: () => { globalThis.globalThis = {} },
  globalPrototype: () => { Object.getPrototypeOf(globalThis).evil = 1 },
  globalSetPrototype: () => { Object.setPrototypeOf(globalThis, { evil: 1 }) },
  globalDefine: () => { Object.defineProperty(globalThis, 'setTimeout', { value: () => {} }) },
  globalDelete: () => { delete globalThis.Map },
  undeclared: () => { undeclared = 1 },
  url: () => { URL.prototype.toString = () => 'evil' },
  urlHref: () => { Object.defineProperty(URL.prototype, 'href', { value: 'evil' }) },
  searchParams: () => { new URL('http://a').searchParams.__proto__.get = () => 'evil' },
  buffer: () => { Buffer.prototype.toString = () => 'evil' },
  bufferFrom: () => { Buffer.from = () => 'evil' },
  eventTarget: () => { EventTarget.prototype.dispatchEvent = () => 'evil' },
  signal: () => { new AbortController().signal.__proto__.evil = 1 },
  encoder: () => { TextEncoder.prototype.encode = () => 'evil' },
  headers: () => { Headers.prototype.get = () => 'evil' },
  headersIterator: () => { new Headers().entries().__proto__.next = () => 'evil' },
  clone: () => { structuredClone.evil = 1 },
  crypto: () => { crypto.randomUUID = () => 'evil' },
  exception: () => { DOMException.prototype.evil = 1 },
  text: () => { atob.evil = 1 },
};
const refused = /read only|not extensible|cannot|has only a getter|not defined/i;
const attack = more => {
  const left = [];
  for (const [name, strike] of Object.entries({ ...attacks, ...more })) {
    try { strike(); left.push(name) } catch (error) { if (!refused.test(error.message)) left.push(error.message) }
  }
  return left;
};
"""
"""``attack(more)`` tries all, and gives those that were not refused, or not clearly."""

RUN_ONLY: Final = """
const failed = await connectors.gate.wrong({}).catch(error => error);
const { echo } = connectors.gate;
const [answer] = [{}].map(given => echo(given));
data.left = attack({
  callError: () => { failed.constructor.prototype.evil = 1 },
  answerThen: () => { answer.constructor.prototype.then = () => 'evil' },
  answer: () => { answer.constructor.evil = 1 },
  mapper: () => { mapper.evil = 1 },
  mapping: () => { mapper().__proto__.execute = () => 'evil' },
  graph: () => { graph.__proto__.vertices = () => 'evil' },
  connectors: () => { connectors.evil = 1 },
  connector: () => { connectors.gate.evil = 1 },
  lib: () => { lib.evil = 1 },
  config: () => { task.id.evil = 1 },
});
await answer;
"""

PRINT: Final = r"""
const seen = new Map(), pending = [], print = [], open = [];
const reach = (value, path) => {
  if (value !== null && (typeof value === 'object' || typeof value === 'function') && !seen.has(value)) {
    seen.set(value, path);
    pending.push(value);
  }
};
const { echo } = connectors.gate;
const [answer] = [{}].map(given => echo(given));
const roots = {
  globalThis, mapper, mapping: mapper().__proto__, graph: graph.__proto__, answer: answer.constructor,
  error: (await connectors.gate.wrong({}).catch(error => error)).constructor,
  iterators: [[].values().map(x => x), new Headers().keys(), 'a'.matchAll(/a/g), (async function* () {})().__proto__,
    new Intl.Segmenter().segment('a'), new Intl.Segmenter().segment('a')[Symbol.iterator]()].map(Object.getPrototypeOf),
};
for (const [name, root] of Object.entries(roots)) reach(root, name);
for (const root of roots.iterators) reach(root, 'an iterator');
for (let value; (value = pending.pop());) {
  const path = seen.get(value);
  if (value !== roots.iterators && value !== globalThis && !Object.isFrozen(value)) open.push(path);
  reach(Object.getPrototypeOf(value), `${path}.__proto__`);
  const keys = Reflect.ownKeys(value);
  print.push(`${path} ${keys.map(String).join(' ')} ${typeof value === 'function' ? String(value) : typeof value}`);
  for (const key of keys) {
    const found = Object.getOwnPropertyDescriptor(value, key);
    for (const part of ['value', 'get', 'set']) reach(found[part], `${path}.${String(key)}`);
    if (value === globalThis && (found.writable || found.configurable || found.set)) open.push(`global ${String(key)}`);
  }
}
data.count = print.length;
data.print = crypto.createHash('sha256').update(print.join('\n')).digest('hex');
data.open = open;
await answer;
"""
"""What code finds in V8, as a hash, and what of it could be changed."""


async def test_built_ins_cannot_be_changed_from_anywhere(tmp_path: Path) -> None:
    condition = f"{{ do: 'condition', done: null, none: v => {{ {POLLUTION} return attack({{}}).length === 0 }} }}"
    steps = {
        "before": culprit("before", PRINT),
        "step": culprit("step", POLLUTION + RUN_ONLY),
        "library": culprit("library", "data.left = lib.tools.attack({}); data.first = lib.tools.first"),
        "condition": f"export const condition = {condition};\nexport const content = () => {{ data.done = 1 }};\n",
        "after": culprit("after", PRINT),
    }
    library = f"{POLLUTION}\nmodule.exports = {{ attack, first: attack({{}}) }};\n"
    async with open_field(tmp_path, steps, {"tools": library}, max_hold=5_000) as field:
        before = (await field.do("before"))["before"].data
        [condition_outcome] = await field.near.ended(await field.near.submit({"do": "condition", "none": 1}))
        attacked = await field.do("step", "library")
        after = (await field.do("after"))["after"].data
        assert field.pool.started == 1
    assert not attacked["step"].errors, attacked["step"].errors
    assert attacked["step"].data["left"] == []
    assert attacked["library"].data["left"] == attacked["library"].data["first"] == []
    assert condition_outcome.state == TaskState.DONE and condition_outcome.data["done"] == 1
    assert before["count"] > 1000 and before["open"] == []
    assert (after["count"], after["print"], after["open"]) == (before["count"], before["print"], [])


async def test_members_that_built_ins_have_too_are_ordinary_data(tmp_path: Path) -> None:
    body = """
      const { constructor } = data.in;
      data.seen = [({}).evil, Object.keys(data.in), constructor, Object.getPrototypeOf(data.in) === Object.prototype];
      data.out = JSON.parse('{"__proto__": {"evil": 2}, "constructor": {"prototype": {"evil": 2}}}');
      data.in.toString = data.constructor = data.hasOwnProperty = 'mine';
      data.echo = await connectors.gate.echo({ n: JSON.parse('{"__proto__": {"evil": 3}}') });
      Object.defineProperty(data, '__proto__', { value: { evil: 4 }, enumerable: true });
      data.still = [({}).evil, typeof ({}).toString, typeof ({}).constructor];
    """
    async with open_field(tmp_path, {"one": culprit("one", body)}) as field:
        given = {"do": "one", "in": {"__proto__": {"evil": 1}, "constructor": {"prototype": 1}}}
        [outcome] = await field.near.ended(await field.near.submit(given))
    data = outcome.data
    assert data["seen"] == [None, ["__proto__", "constructor"], {"prototype": 1}, True]
    assert data["out"] == {"__proto__": {"evil": 2}, "constructor": {"prototype": {"evil": 2}}}
    assert data["in"] == {**given["in"], "toString": "mine"}  # type: ignore[dict-item]
    assert (data["constructor"], data["hasOwnProperty"], data["__proto__"]) == ("mine", "mine", {"evil": 4})
    assert data["echo"] == {"n": {"__proto__": {"evil": 3}}} and data["still"] == [None, "function", "function"]


LIB_ATTACKS: Final = {
    "define": "Object.defineProperty(lib, 'tools', { value: { f: () => 'evil' }, configurable: true })",
    "delete": "delete lib.tools",
    "prototype": "Object.setPrototypeOf(lib, { evil: 'evil' })",
    "freeze": "Object.freeze(lib)",
}


async def test_the_table_of_libraries_cannot_be_changed(tmp_path: Path) -> None:
    steps = {name: culprit(name, body) for name, body in LIB_ATTACKS.items()}
    steps["after"] = culprit("after", "data.f = [lib.tools.f(), lib.evil]")
    async with open_field(tmp_path, steps, {"tools": "module.exports = { f: () => 'good' }"}) as field:
        attacked = await field.do(*LIB_ATTACKS)
        after = (await field.do("after"))["after"]
    assert after.data["f"] == ["good", None]
    assert {message(outcome) for outcome in attacked.values()} == {"lib cannot be changed"}
