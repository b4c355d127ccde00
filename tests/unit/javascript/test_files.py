"""Step and library files: what is read from them, and that V8 does the right thing with the programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from py_mini_racer import MiniRacer

from aloma_py.errors import LoadError
from aloma_py.steps.javascript.files import JSStep, read_library, read_steps, step_of_texts

STEP = (
    "__computed, data, task, step, connectors, lib, audit, graph, mapper, file, blob, user, fetch, console, config, "
    "setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, module, exports, require, __floating"
)
LIBRARY = (
    "task, connectors, lib, audit, console, config, fetch, setTimeout, clearTimeout, setInterval, clearInterval, "
    "setImmediate, module, exports, require, __floating"
)
HARNESS = """
globalThis.log = [];
const answer = value => Promise.resolve({body: value, list: [1, 2], toString: () => `<${value}>`});
const world = {
  __computed: (key, get) => `computed ${key}`,
  connectors: {a: {b: (x = {}) => { log.push(['call', x]); return answer(x.v) }}},
  fetch: url => answer(url),
  console: {log() {}},
  require: name => { throw new Error(`no ${name}`) },
  __floating: x => { log.push(['floating', typeof x]); return x },
};
globalThis.start = (factory, names, data) => {
  const module = {exports: {}};
  const given = {...world, data, module, exports: module.exports};
  globalThis.result = factory(...names.map(name => given[name])) ?? module.exports;
};
0
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[MiniRacer]:
    mr = MiniRacer()
    mr.eval(HARNESS)
    yield mr
    mr.close()


Run = Callable[..., Any]


@pytest.fixture
def run(engine: MiniRacer) -> Run:
    """``run(program, expression, names=STEP, data=None)``: the expression over ``result``, awaited, as JSON."""

    def run_it(program: str, expression: str, names: str = STEP, data: Any = None) -> Any:
        engine.eval("log.length = 0; globalThis.out = undefined; 0")
        listed = json.dumps(names.split(", "))
        factory = f"(function({names}){{'use strict';{program}\n}})"
        engine.eval(f"start({factory}, {listed}, {json.dumps(data) if data is not None else 'undefined'}); 0")
        engine.eval(
            f"Promise.resolve().then(() => ({expression}))"
            ".then(v => { out = JSON.stringify(v === undefined ? null : v) },"
            " e => { out = JSON.stringify('ERR ' + e) }); 0"
        )
        return json.loads(str(engine.eval("out")))

    return run_it


def one(text: str, file: str = "steps/order.js") -> JSStep:
    (step,) = read_steps(text, file, default_name="order")
    return step


def refused(text: str, file: str = "a.js") -> tuple[str, int | None]:
    with pytest.raises(LoadError) as caught:
        read_steps(text, file, default_name="a")
    return caught.value.reason, caught.value.line


SHAPES = {
    "const": "export const condition = {a: 1};\nexport const content = async () => 7;\n",
    "other order": "export const content = async () => 7;\nexport const condition = {a: 1};\n",
    "together": "export const condition = {a: 1}, content = async () => 7\n",
    "function": "export const condition = {a: 1}\nexport async function content() { return 7 }\n",
    "match": "export const match = () => ({a: 1})\nexport default async (data: any) => 7\n",
    "match block": "export const match = function () { return {a: 1} }\nexport default async () => { return 7 }",
    "match function": "export function match() { return {a: 1}; }\nexport default async function () { return 7 }",
    "named default": "export default async function go(d) { return 7 }\nexport const match = () => ({a: 1});",
    "match with data": "export const match = (data: any) => ({a: 1})\nexport default () => 7",
    "module.exports": "module.exports = {condition: {a: 1}, content: async () => 7}",
    "method": "module.exports = {condition: {a: 1}, async content() { return this.seven }, seven: 7};",
    "shorthand": "const condition = {a: 1}\nconst content = () => 7\nmodule.exports = {condition, content}",
    "members": "exports.condition = {a: 1}\nmodule.exports.content = () => 7",
    "list": "const c = {a: 1}, f = () => 7\nexport {c as condition, f as content}",
    "default object": "export default {condition: {a: 1}, content: () => 7}",
    "name": "const base = {a: 1};\nexport const condition = base; export const content = f\nfunction f() { return 7 }",
    "default then bracket": "export const match = () => ({a: 1})\nexport default function () { return 7 }\n[1].at(0)",
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_shape_gives_condition_and_content(shape: str, end: str, run: Run) -> None:
    step = one("\ufeff" + SHAPES[shape].replace("\n", end), "steps/order.mts")
    assert step.condition == "{a: 1}"
    assert run(step.program, "result.condition()") == {"a": 1}
    assert run(step.program, "result.content({})") == 7


def test_the_record_of_a_step() -> None:
    text = (
        "/**\n * Step: other name\n * ID: abc123\n *\n * Sends the order.\n */\n\n"
        "export const condition = {order: {id: String}} as const;\n"
        "export const content = async (data: any) => { data.done = true };\n"
    )
    step = one(text, "steps/order.ts")
    assert (step.name, step.file, step.line, step.id) == ("order", "steps/order.ts", 8, "abc123")
    assert step.description == "Sends the order."
    assert step.condition == "{order: {id: String}}"
    assert step.content == "async (data: any) => { data.done = true }"
    assert (step.options, step.dynamic, step.text) == ({}, (), text)
    assert {"data", "done", "String", "order"} <= step.used_names


def test_lines_stay_where_they_are(run: Run) -> None:
    text = (
        "import {\n x } from 'y'\ninterface A {\n b: string }\n"
        "export const condition = {}\nexport const content = () => {\n\n  throw new Error('here') }"
    )
    program = one(text, "a.ts").program
    assert [line.strip() for line in program.splitlines()][7] == "throw new Error('here') }"
    assert run(
        program.replace('require("y")', "{}"), "(() => { try { result.content() } catch (e) { return e.stack } })()"
    )


def test_an_import_throws_when_the_step_is_made(run: Run) -> None:
    step = one(
        "import a, {b as c} from 'lodash'\nimport type {T} from 't'\nexport const condition = {}, content = () => a"
    )
    with pytest.raises(Exception, match="no lodash"):
        run(step.program, "1")


ERASED = """
import type { X } from './x';
type A<T> = { [key: string]: T };
declare function helper(x: number): string;
declare const VERSION: string
abstract class Base<T> implements Iterable<T> {
  private readonly a: number = 1;
  declare gone: string
  b?: string
  ['c'] = 3;
  abstract d(): void
  static get e(): number { return 5 }
  public override?: number;
  constructor(public_: number) {}
  protected f<U>(this: Base<T>, x: U, y?: number): U { return x }
  [Symbol.iterator](): any { return [][Symbol.iterator]() }
  g(): this is Base<T> { return true }
}
class Sub extends Base<string> { d(): void {} }
function over(a: string): string
function over(a: number): number
function over(a: any): any { return a }
const list = [1, 2] as number[]
;[3].forEach((x: number): void => { list.push(x) })
const wide = (a: { b: number }): {
  c: number
} => ({ c: a!.b })
const kept = list as any
(4, 5)
let sure!: number
const same = <T,>(x: T): T => x
export const condition = { a: 1 } satisfies object
export const content = async (data?: any, ...rest: string[]): Promise<any> => {
  const { x = 2 }: { x?: number } = {}
  for (const i of list as number[]) sure = i
  const s = new Sub(1)
  return [(s as any).c, Base.e, over(6), wide({ b: 7 }).c, sure, same<number>(8), x, (<any>9), list!.length, s.f(1)]
}
"""


def test_types_are_erased_and_the_rest_works(run: Run) -> None:
    step = one(ERASED, "a.ts")
    assert run(step.program, "result.content()") == [3, 5, 6, 7, 3, 8, 2, 9, 3, 1]
    line = next(number for number, line in enumerate(ERASED.splitlines()) if "new Sub(1)" in line)
    assert step.program.splitlines()[line] == "  const s = new Sub(1)"


@pytest.mark.parametrize(
    ("text", "said", "line"),
    [
        ("enum A { B }", "an enum", 1),
        ("\nconst enum A { B }", "an enum", 2),
        ("namespace A { export const b = 1 }", "a namespace", 1),
        ("class A { constructor(private a: number) {} }", "a parameter property", 1),
        ("class A { constructor(readonly a: number) {} }", "a parameter property", 1),
        ("@d class A {}", "a decorator", 1),
        ("import a = require('b')", "import", 1),
    ],
)
def test_what_cannot_be_erased_is_refused_with_its_place(text: str, said: str, line: int) -> None:
    reason, found = refused(f"{text}\nexport const condition = {{}}, content = () => 1", "a.ts")
    assert reason.startswith("column ") and said in reason and found == line


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("const a = 1;\nexport const condition = ( };", "column 24: syntax error near", 2),
        ("const ä = 'ä'; const b = (;", "column ", 1),
        ("const a = 1", "the file exports no condition", 1),
        ("\nexport const condition = {}", "column 1: the condition has no content", 2),
        ("export const content = () => 1", "column 1: the content has no condition", 1),
        ("export const condition = {}\nexport const condition = {}", "column 1: the condition has no content", 1),
        ("export const condition = {}, content = {}", "column 40: the content must be a function", 1),
        ("export const match = {}\nexport default () => 1", "column 22: match must be a function", 1),
        ("export const match = async () => ({})\nexport default () => 1", "column 22: match must be", 1),
        ("export const match = x => ({})\nexport default () => 1", "column 22: match can have no parameter", 1),
        (
            "export const match = () => { f(); return {} }\nexport default () => 1",
            "column 28: match must do nothing",
            1,
        ),
        ("export const condition = {}, content = () => 1\nawait 1", "column 1: await outside", 2),
        ("export const condition = {}, content = () => 1\nreturn 1", "column 1: return outside", 2),
        ("export const condition = {}, content = () => <a/>", "column 46: JSX", 1),
        ("export const condition = {}, content = () => 1\nexport const retries = f()", "column 24: an option must", 2),
        ("\ud800", "the text has half a character", None),
    ],
)
def test_errors_say_where(text: str, reason: str, line: int | None) -> None:
    found, at = refused(text)
    assert found.startswith(reason)
    assert at == line


@pytest.mark.parametrize("text", ["", "\n", "// a\n/* b */", "\ufeff"])
def test_a_file_of_comments_has_no_steps(text: str) -> None:
    assert read_steps(text, "a.js", default_name="a") == []


def test_options_are_literals() -> None:
    step = one(
        "export const condition = {}, content = () => 1\nexport const disabled = true, priority = -3\n"
        "export const retryOn = ['429', \"a\\u00e9\\n\"], backoff = 1_500, rate = `5/s`\n"
        "export const name = 'N', timeout = 1.5, tags = []"
    )
    assert step.name == "N"
    assert step.options == {
        "enabled": False,
        "priority": -3,
        "retry_on": ["429", "aé\n"],
        "backoff": 1500,
        "rate": "5/s",
        "name": "N",
        "timeout": 1.5,
        "tags": [],
    }


MANY = """
const shared = 10
export const priority = 1
/** Adds one. */
export const condition = {a: 1}
export const content = async () => helper(1)

/** Step: second
 * ID: two */
export const condition = {b: 2}
export const retries = 2
export const content = async () => helper(2)

export const content = () => shared
export const condition = {c: 3}
function helper(x) { return x + shared }
"""


def test_several_steps_of_one_file(run: Run) -> None:
    steps = read_steps(MANY, "a.js", default_name="a")
    assert [(s.name, s.line, s.id, s.options, s.condition) for s in steps] == [
        ("a", 5, None, {"priority": 1}, "{a: 1}"),
        ("second", 10, "two", {"retries": 2}, "{b: 2}"),
        ("a 3", 15, None, {}, "{c: 3}"),
    ]
    assert [run(s.program, "result.content()") for s in steps] == [11, 12, 10]
    assert [run(s.program, "result.condition()") for s in steps] == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert "b: 2" not in steps[0].text and "helper" in steps[0].text
    assert [s.description for s in steps] == ["Adds one.", "", ""]


@pytest.mark.parametrize(
    ("condition", "expected", "dynamic"),
    [
        ("{a: {$lt: data.x?.length}, b: 1}", {"a": {"$lt": "computed 0"}, "b": 1}, ["data.x?.length"]),
        (
            "{a: [data.x, (data.y)], c: data}",
            {"a": ["computed 0", "computed 1"], "c": "computed 2"},
            ["data.x", "data.y", "data"],
        ),
        ("{a: {[data.x]: 1, b: 2}, c: 3}", {"a": "computed 0", "c": 3}, ["{[data.x]: 1, b: 2}"]),
        ("{a: {...data.x, b: 2}}", {"a": "computed 0"}, ["{...data.x, b: 2}"]),
        ("{a: v => v > data.x}", {"a": "computed 0"}, ["v => v > data.x"]),
        ("{data}", {"data": "computed 0"}, ["data"]),
        ("{data: 1, b: {data: 2}.data}", {"data": 1, "b": 2}, []),
        ("{a: [1].map(data => data)}", {"a": [1]}, []),
        ("{a: data.x as any}", {"a": "computed 0"}, ["data.x"]),
    ],
)
def test_parts_computed_from_the_data(condition: str, expected: Any, dynamic: list[str], run: Run) -> None:
    for text in (
        f"export const condition = {condition}; export const content = () => 1",
        f"export const match = (data: any) => ({condition}); export default () => 1",
        f"const condition = {condition}\nmodule.exports = {{condition, content() {{}}}}",
    ):
        step = one(text, "a.ts")
        assert run(step.program, "result.condition()") == expected
        assert [part for _, part in step.dynamic] == dynamic


def test_condition_and_body_as_separate_texts(run: Run) -> None:
    step = step_of_texts("n", "{a: {$gt: data.x}} // more", "  const x = data.a\nif (x) return x\n// end")
    assert (step.name, step.line, step.condition) == ("n", 1, "{a: {$gt: data.x}}")
    assert run(step.program, "result.content({a: 4})") == 4
    assert run(step.program, "result.condition()") == {"a": {"$gt": "computed 0"}}


@pytest.mark.parametrize(
    ("condition", "body"),
    [
        ("{a: 1}", "}; evil(); {"),
        ("{}), evil(", "1"),
        ("{}; evil()", ""),
        ("", ""),
        ("{}", "export const a = 1"),
        ("{}, 1", ""),
    ],
)
def test_separate_texts_must_be_whole_by_themselves(condition: str, body: str) -> None:
    with pytest.raises(LoadError):
        step_of_texts("n", condition, body)


AWAITED = [
    "return connectors.a.b({v: 1}).body",
    "return [connectors.a.b({v: 1}).body, 2][0]",
    "return connectors['a'].b({v: 1})['body']",
    "return `${connectors.a.b({v: 1})}` == '<1>' ? 1 : 0",
    "const {body} = connectors.a.b({v: 1}); return body",
    "const r = connectors.a.b({v: 1}); return r.body",
    "let r; r = connectors.a.b({v: 1}); if (r) return r.body",
    "return connectors.a?.b({v: 1}).body",
    "return fetch(1).body",
    "for (const x of connectors.a.b().list) return x",
    "const r = true && connectors.a.b({v: 1}); return r.body",
    "return (connectors.a.b({v: 1}) as any)!.body",
    "return connectors.none?.b().body.c ?? 1",
    "return (await connectors.a.b({v: 1})).body",
    "return (() => { const f = async () => connectors.a.b({v: 1}).body; return f() })()",
    "return 0 + connectors.a.b({v: 1}) == '0<1>' ? 1 : 0",
]


@pytest.mark.parametrize("body", AWAITED)
def test_the_value_of_a_call_is_awaited_where_it_is_used(body: str, run: Run) -> None:
    step = one(f"export const condition = {{}}, content = async () => {{ {body} }}", "a.ts")
    assert run(step.program, "result.content()") == 1


@pytest.mark.parametrize(
    "body",
    [
        "connectors.a.b()",
        "return connectors.a.b()",
        "connectors.a.b().then(x => x.body)",
        "const r = connectors.a.b(); return Promise.all([r, r.body])",
        "const r = connectors.a.b(); const x = r.body; return r",
        "const r = connectors.a.b(); (await r).body",
        "const r = connectors.a.b(); r.then(x => x); r.body",
        "const r = connectors.a.b(); helper(r)",
        "const r = connectors.a.b({into: 'x'}).body",
        "data.x = connectors.a.b()",
        "await Promise.all([connectors.a.b(), fetch(1)])",
        "const connectors = {}; return connectors.a.b().body",
        "((fetch) => fetch(1).body)()",
        "const f = () => connectors.a.b().body",
        "function f(x = connectors.a.b().body) {}",
        "connectors.a.b() instanceof Promise",
    ],
)
def test_elsewhere_nothing_is_awaited(body: str) -> None:
    program = one(f"export const condition = {{}}, content = async () => {{ {body} }}").program
    assert "(await connectors" not in program and "(await fetch" not in program


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("f()", "__floating(f())"),
        ("void f()", "void __floating(f())"),
        ("f().catch(g);", "__floating(f().catch(g));"),
        ("connectors.a.b().then(f)", "__floating(connectors.a.b().then(f))"),
        ("(async () => {})()", "__floating((async () => {})())"),
        ("x && f()", "__floating(x && f())"),
        ("x.forEach(async y => y)", "__floating(x.forEach(__floating(async y => y)))"),
        ("data.x.forEach(async function () {})", "data.x.forEach(__floating(async function () {}))"),
        ("connectors.a.b()", "connectors.a.b()"),
        ("console.log(f())", "console.log(f())"),
        ("await f()", "await f()"),
        ("x = f()", "x = f()"),
        ("data.list.push(1)", "data.list.push(1)"),
        ("x.forEach(y => y)", "__floating(x.forEach(y => y))"),
    ],
)
def test_calls_that_nobody_waits_for(body: str, expected: str) -> None:
    head = "export const condition = {}, content = async () => {"
    program = one(f"{head}\n{body}\n}}").program
    assert program.splitlines()[1] == expected


def test_super_and_the_top_level_are_no_floating_calls() -> None:
    program = one(
        "f()\nclass A extends B { constructor() { super(1) } }\nexport const condition = {}, content = () => 1"
    ).program
    assert "__floating" not in program


NATIVES = [
    "%F()", "`${%F()}`", "let a = %F(1)", "() => %F(1)", "({a: %F()})", "if (1) %F()", "void %F()", "{} %F()",
    "function f() {}\n%F()", "class A {} %F()", "async () => { await %F() }", "function* g() { yield %F() }",
    "if (1) {} %F()", "{}\n% /* c */ F()", "{} %\u0046()", "{} %\\u0046()",
]  # fmt: skip


@pytest.mark.parametrize("text", NATIVES)
@pytest.mark.parametrize("file", ["a.js", "a.ts"])
def test_natives_are_syntax_errors(text: str, file: str) -> None:
    reason, _ = refused(f"{text}\nexport const condition = {{}}; export const content = () => 1", file)
    assert "syntax error" in reason
    with pytest.raises(LoadError):
        step_of_texts("n", "{}", text)
    with pytest.raises(LoadError):
        step_of_texts("n", f"(() => {{ {text} }})()", "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7 % f(5)", 2),
        ("7 %f(5) % f(2)", 0),
        ("7 % /* c */ f(5)", 2),
        ("'100 %of(x)'", "100 %of(x)"),
        ("`100 %of(x) ${1}`", "100 %of(x) 1"),
        ("/%f(x)/.test('%fx')", True),
        ("`${f(5)}%${f(6)} %${(7)}`", "5%6 %7"),
        ("7\n%f(5) // %f(1)", 2),
        ("'%c %s (a)'", "%c %s (a)"),
    ],
)
def test_the_remainder_and_percent_signs_in_texts_work(text: str, value: Any, run: Run) -> None:
    step = step_of_texts("n", "{}", f"const f = x => x; const v = {text}\nreturn v")
    assert run(step.program, "result.content({})") == value
    assert "%f(" not in step.program and "%of(" not in step.program


LIBRARIES = {
    "commonjs": """/** Doubles. */
function twice(x) { return 2 * x }
module.exports = {twice, one: 1, /** Adds. */ add: (a, b) => a + b}""",
    "exports": """/** Doubles. */
exports.twice = x => 2 * x
exports.one = 1
/** Adds. */
exports.add = function (a, b) { return a + b }""",
    "module": """declare function x(a: number): string
/** Doubles. */
export function twice(x) { return 2 * x }
export const one = 1
/** Adds. */
export const add = (a: number, b) => a + b""",
    "list": """/** Doubles. */
const twice = x => 2 * x, one = 1
/** Adds. */
function add(a, b) { return a + b }
export { twice, one, add }""",
    "default": """export default {
  /** Doubles. */ twice(x) { return 2 * x }, one: 1, /** Adds. */ add(a, b) { return a + b }}""",
}


@pytest.mark.parametrize("shape", LIBRARIES)
def test_each_shape_of_a_library(shape: str, run: Run) -> None:
    library = read_library(LIBRARIES[shape], "libraries/math.js")
    assert library.functions == {"twice": "Doubles.", "add": "Adds."}
    assert run(library.program, "[result.twice(4), result.one, result.add(1, 2)]", LIBRARY) == [8, 1, 3]


def test_exports_of_a_library_are_live_and_may_be_default_functions(run: Run) -> None:
    text = (
        "export let count = 0, {a: [b]} = {a: [2]}\n"
        "export default function next() { return ++count }\nexport {b as 'the b'}"
    )
    library = read_library(text, "a.js")
    assert run(library.program, "[result.default(), result.count, result.b, result['the b']]", LIBRARY) == [1, 1, 2, 2]
    assert library.functions == {"default": ""}


def test_calls_in_a_library_are_awaited_and_watched() -> None:
    library = read_library("exports.f = async () => {\nconst r = connectors.a.b()\ng()\nreturn r.body }", "a.js")
    assert "const r = (await connectors.a.b())\n__floating(g())\n" in library.program


def test_deep_expressions_do_not_exhaust_the_stack() -> None:
    deep = " + ".join(["'a'"] * 3000)
    assert one(f"export const condition = {{a: {deep}}}, content = () => {deep}").dynamic == ()


@pytest.mark.parametrize(
    ("header", "description", "found"),
    [
        ("/** * Step: NAME * ID: abc */", "", "abc"),
        ("// ID: x\n// note", "", "x"),
        (
            "/** Name: a/b\n * ID: 1\n * Version: 2\n * Path: p\n * UpdatedAt: d\n * Workspace: w\n */\n// @ts-nocheck",
            "",
            "1",
        ),
        ("/** First.\n *\n * Second: more.\n */", "First.\n\nSecond: more.", None),
    ],
)
def test_headers(header: str, description: str, found: str | None) -> None:
    step = one(f"{header}\nexport const condition = {{}}\nexport const content = () => 1")
    assert (step.name, step.description, step.id) == ("order", description, found)


def test_a_hash_bang_and_a_last_comment(run: Run) -> None:
    step = one("#!/usr/bin/env node\nexport const condition = {}, content = () => 1 // last")
    assert run(step.program, "result.content()") == 1


def test_a_file_may_have_its_own_things_of_the_names_of_the_parameters(run: Run) -> None:
    text = "const config = 3, data = 1; function fetch() { return user }\nlet user = 4\n"
    step = one(text + "export const condition = {a: data}, content = () => config + fetch()")
    assert step.dynamic == ()
    assert run(step.program, "[result.condition(), result.content()]") == [{"a": 1}, 7]
    library = read_library(text + "export const f = () => config + fetch()", "a.js")
    assert run(library.program, "result.f()", LIBRARY) == 7


def test_a_bare_parameter_of_match() -> None:
    step = one("export const match = data => ({a: data.x})\nexport default (data) => data.x")
    assert step.dynamic == (("0", "data.x"),)
    assert 'match = () => ({a: __computed("0",()=>(data.x))})' in step.program


@pytest.mark.parametrize("value", ["[[1]]", "null", "{}", "60 * 1000", "`${1}`", "- -1", "!1", "name"])
def test_what_is_no_literal_is_no_option(value: str) -> None:
    reason, line = refused(f"export const condition = {{}}, content = () => 1\nexport const tags = {value}")
    assert "an option must be written as" in reason and line == 2


@pytest.mark.parametrize("opening", ["(", "[", "{a: ", "() => ", "!", "x ? 1 : ", "f("])
def test_deep_nesting_is_read(opening: str) -> None:
    closing = {"(": ")", "[": "]", "{a: ": "}", "f(": ")"}.get(opening, "")
    deep = opening * 1500 + "1" + closing * 1500
    text = f"export const condition = {{a: {deep}}}, content = () => {{ connectors.a.b({deep}); ({deep}) }}"
    assert one(text).condition == f"{{a: {deep}}}"
