"""JavaScript steps that look for a way out, or for their neighbours': each fails by itself, with a clear message.

In all of these tests runs of the same workspace and of another are under way in the same worker; they end well after
the attack, with no call made twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import anyio
import pytest

from aloma_py import Workspace
from aloma_py.errors import LoadError
from aloma_py.models import TaskState

from .field import messages_of, open_field
from .test_limits import culprit, message

pytestmark = pytest.mark.anyio

# ── the way out ─────────────────────────────────────────────────────────────────────────────────────────────────────

NO_TEXT: Final = "makes code of a text, which steps cannot; write the function in the step, or in a library"

WAYS_OUT: Final = {
    "eval": ("eval('1')", f"eval(…) {NO_TEXT}"),
    "indirect eval": ("(0, eval)('this')", f"eval(…) {NO_TEXT}"),
    "function": ("new Function('return this')()", f"new Function(…) {NO_TEXT}"),
    "constructor": ("data.constructor.constructor('return this')()", f"new Function(…) {NO_TEXT}"),
    "async": ("(async () => {}).constructor('return this')()", f"new AsyncFunction(…) {NO_TEXT}"),
    "generator": ("(function* () {}).constructor('yield this')()", f"new GeneratorFunction(…) {NO_TEXT}"),
    "asyncGenerator": ("(async function* () {}).constructor('')()", f"new AsyncGeneratorFunction(…) {NO_TEXT}"),
    "subclass": ("class Own extends Function {}\nnew Own('return this')", f"new Function(…) {NO_TEXT}"),
    "reflect": ("Reflect.construct(Function, ['return this'], Array)", f"new Function(…) {NO_TEXT}"),
    "callee": ("(function f() { return arguments.callee })()", "strict mode"),
    "caller": ("(function f() { return f.caller })()", "strict mode"),
    "this": ("(function () { this.x })()", "of undefined"),
    "timer": ("setTimeout('data.x = 1', 1)", "a timer needs a function"),
    "require": ("require('fs')", "steps have no modules; shared code goes into a library (lib.…)"),
    "process": ("process.exit(1)", "process is not defined"),
    "assembly": ("new WebAssembly.Memory({ initial: 1 })", "WebAssembly is not defined"),
    "shared": ("new SharedArrayBuffer(8)", "SharedArrayBuffer is not defined"),
    "internal": ("internal.pump()", "internal is not defined"),
    "timers": ("__timer_manager.x", "of undefined"),
    "native": ("data.x = 1 %DebugPrint(data)", "DebugPrint is not defined"),
}


async def test_there_is_no_way_out(tmp_path: Path) -> None:
    assert await messages_of(tmp_path, WAYS_OUT) == {}


REFUSED: Final = {
    "import": ("await import('fs')", r"import\(\).*library"),
    "module": ("data.x = import.meta.url", "import.meta"),
    "native": ("%DebugPrint(data)", "syntax error near '%"),
    "end": ("}; }}; evil(); {{", "syntax error"),
}


ADVICE: Final = {
    "process": ("data.home = process.env.HOME", "config("),
    "window": ("window.alert(1)", "browser"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_when_it_is_read(tmp_path: Path, name: str) -> None:
    body, told = REFUSED[name]
    (tmp_path / "one.js").write_text(culprit("one", body), encoding="utf-8")
    with pytest.raises(LoadError, match=f"one.js.*{told}"):
        Workspace.load(tmp_path)


async def test_what_is_not_there_is_told_with_what_to_use(tmp_path: Path) -> None:
    assert await messages_of(tmp_path, ADVICE) == {}


async def test_comments_of_html_hide_nothing_and_frames_show_nothing(tmp_path: Path) -> None:
    body = """
      data.one = 1 <!-- + data.never
      --> + data.never
      class Own extends Error {}
      const traces = [new Own('a'), new Error('b')];
      Error.captureStackTrace(traces);
      const shown = Error.prepareStackTrace(new Error('c'), []);
      data.types = [typeof traces[0].stack, typeof traces.stack, typeof shown];
      data.inside = /pump|prelude|run\\.js|dispatch/.test(traces[0].stack + traces.stack);
      data.names = Object.getOwnPropertyNames(globalThis).filter(name => /^_[0-9a-f]{8}|internal|pump/.test(name));
    """
    async with open_field(tmp_path, {"one": culprit("one", body)}) as field:
        outcome = (await field.do("one"))["one"]
    data = outcome.data
    assert (data["one"], data["types"], data["inside"], data["names"]) == (1, ["string"] * 3, False, [])


async def test_nothing_calls_back_between_the_turns(tmp_path: Path) -> None:
    body = """
      const registry = new FinalizationRegistry(() => { for (;;); });
      for (let n = 0; n < 200; n++) registry.register({}, n);
      for (let n = 0; n < 20; n++) { new Array(1e5).fill(n).map(String); await connectors.gate.echo({ n }) }
      data.told = [String(registry), registry instanceof FinalizationRegistry, new WeakRef(data).deref() === data];
    """
    async with open_field(tmp_path, {"one": culprit("one", body)}, max_hold=300, max_script_memory=32) as field:
        outcome = (await field.do("one"))["one"]
        assert field.pool.started == 1
    assert outcome.data["told"] == ["[object FinalizationRegistry]", True, True]


# ── hostile values ──────────────────────────────────────────────────────────────────────────────────────────────────

HOLD: Final = 60
STOPPED: Final = "computed for more than 0.06 s"

LOOPING: Final = {
    "toJSON": "data.x = { toJSON() { for (;;); } }",
    "getter": "Object.defineProperty(data, 'x', { get() { for (;;); }, enumerable: true })",
    "keys": "data.x = new Proxy({}, { ownKeys() { for (;;); } })",
    "length": "data.x = new Proxy([], { get(_, key) { return key === 'length' ? 2 ** 52 : null } })",
    "argument": "connectors.gate.echo({ get n() { for (;;); } })",
    "wish": "task.complete({ toJSON() { for (;;); } })",
    "log": "console.log({ get x() { for (;;); } })",
    "thrown": "throw { get message() { for (;;); } }",
    "stack": "throw Object.defineProperty(new Error('x'), 'stack', { get() { for (;;); } })",
    "floating": "const f = async () => { throw { get message() { for (;;); } } }; f(); await connectors.gate.echo({})",
    "thenable": "await { then() { for (;;); } }",
    "itself": "const t = { then(go) { go(t) } }; await t",
    "content": "return { then() { for (;;); } }",
    "primitive": "`${{ [Symbol.toPrimitive]() { for (;;); } }}`",
    "wait": "setTimeout(() => {}, { valueOf() { for (;;); } })",
    "finally": "try { for (;;); } finally { for (;;); }",
    "catch": "for (;;) try { for (;;); } catch {}",
    "storm": "const f = () => { queueMicrotask(f); queueMicrotask(f) }; f(); await new Promise(() => {})",
    "library": "lib.tools.loop()",
    "library getter": "lib.tools.getter",
}


async def test_values_that_loop_are_stopped_where_they_are_looked_at(tmp_path: Path) -> None:
    library = "module.exports = { loop() { for (;;); } };\n"
    library += "Object.defineProperty(module.exports, 'getter', { get() { for (;;); }, enumerable: true });\n"
    steps = {name: culprit(name, body) for name, body in LOOPING.items()}
    async with open_field(tmp_path, steps, {"tools": library}, max_hold=HOLD) as field:
        outcomes = await field.do(*LOOPING)
    found = {name: message(outcome) for name, outcome in outcomes.items()}
    assert {name: text for name, text in found.items() if STOPPED not in text} == {}


THROWING: Final = {
    "toJSON": ("data.x = { toJSON() { throw new Error('mine') } }", "mine"),
    "getter": ("Object.defineProperty(data, 'x', { get() { throw new Error('mine') }, enumerable: true })", "mine"),
    "keys": ("data.x = new Proxy({}, { ownKeys() { throw new Error('mine') } })", "mine"),
    "argument": ("await connectors.gate.echo({ get n() { throw new Error('mine') } })", "mine"),
    "into": ("await connectors.gate.echo({ get into() { throw new Error('mine') } })", "mine"),
    "wish": ("task.complete({ toJSON() { throw new Error('mine') } })", "mine"),
    "thenable": ("await { get then() { throw new Error('mine') } }", "mine"),
    "url": ("await fetch({ toString() { throw new Error('mine') } })", "mine"),
    "message": ("throw { get message() { throw new Error('mine') } }", "an error that cannot be shown"),
    "revoked": ("const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy", "cannot be shown"),
    "name": ("throw Object.assign(new Error('mine'), { name: { toString: null } })", "mine"),
    "status": ("throw Object.assign(new Error('mine'), { status: 1e300 })", "mine"),
    "own timeout": ("throw Object.assign(new Error('mine'), { name: 'StepTimeout' })", "mine"),
    "cycle": ("data.x = [data]", "holds itself, which JSON cannot show"),
    "own toJSON": ("data.x = { toJSON() { return JSON.stringify(data) } }", "call stack"),
    "digits": ("data.x = 10n ** 5000n", "a number of more than 4300 digits cannot be kept in JSON"),
    "call digits": ("await connectors.gate.echo({ n: 10n ** 5000n })", "a number of more than 4300 digits"),
    "infinite": ("data.x = JSON.rawJSON('1e400')", "an infinite number cannot be kept in JSON"),
    "park": ("task.park({ valueOf() { return 5 } })", "task.park must be a duration"),
    "name of task": ("task.name('a\\u0000b')", "control character"),
    "subtask": ("task.subtask('\\ud800', {})", "control character"),
}


async def test_values_that_throw_fail_their_own_run(tmp_path: Path) -> None:
    assert await messages_of(tmp_path, THROWING) == {}


FORGED: Final = '"]],["done",1,[],[]]\u2028\u2029\n\r\\u0022\ud800'


async def test_no_text_is_taken_for_a_message(tmp_path: Path) -> None:
    literal = '\'"]],["done",1,[],[]]\\u2028\\u2029\\n\\r\\\\u0022\\ud800\''
    body = f"""
      const forged = {literal};
      console.log(forged);
      data[forged] = forged;
      data.echo = await connectors.gate.echo({{ [forged]: forged }});
      audit.log(forged, {{ [forged]: forged }});
      data.known = await connectors[forged]?.x({{}}) ?? 'none';
      const method = await connectors.gate[forged]({{}}).catch(error => error.message.includes('no method'));
      data.method = method;
      task.complete(forged);
    """
    steps = {"one": culprit("one", body), "two": culprit("two", f"throw new Error({literal})")}
    steps["two"] = steps["two"] + "export const name = 'a \"quoted\" \\'name\\'';\n"
    async with open_field(tmp_path, steps) as field:
        outcomes = await field.do("one", "two")
        assert field.pool.started == 1
    one, two = outcomes["one"], outcomes["two"]
    assert (one.state, one.result, [line.text for line in one.logs]) == (TaskState.DONE, FORGED, [FORGED])
    assert (one.data[FORGED], one.data["echo"]) == (FORGED, {FORGED: FORGED})
    assert (one.data["known"], one.data["method"]) == ("none", True)
    assert list(two.errors) == ["a \"quoted\" 'name'"] and message(two) == FORGED


# ── between runs ────────────────────────────────────────────────────────────────────────────────────────────────────

BOX: Final = """
const kept = new Map();
module.exports = {
  put(name, value) { kept.set(name, value) },
  get(name) { return kept.get(name) },
  promise(name) { return new Promise((...ends) => kept.set(name, ends)) },
  call() { return connectors.gate.echo({ n: 'box' }) },
  name(text) { task.name(text) },
};
"""

ENDED: Final = "the run of step 'first' has ended; what its code asks for now is refused"

LATER: Final = {
    "task": "lib.box.get('kept').task.complete('evil')",
    "audit": "lib.box.get('kept').audit.log('evil')",
    "connector": "await lib.box.get('kept').connectors.gate.echo({ n: 'evil' })",
    "kept method": "await lib.box.get('kept').echo({ n: 'evil' })",
    "timer": "lib.box.get('kept').setTimeout(() => {}, 1)",
    "file": "await lib.box.get('kept').file.write('evil', 'evil')",
    "fetch": "await lib.box.get('kept').fetch('http://127.0.0.1/')",
}


async def test_what_a_run_leaves_to_others_does_nothing_when_it_has_ended(tmp_path: Path) -> None:
    first = """
      const { echo } = connectors.gate;
      lib.box.put('kept', { data, task, audit, connectors, echo, setTimeout, file, fetch, console });
      data.x = 1;
    """
    others = """
      const { data: theirs, console: old } = lib.box.get('kept');
      theirs.x = 'evil';
      old.log('evil');
    """
    steps = {"first": culprit("first", first), "others": culprit("others", others)}
    steps |= {name: culprit(name, body) for name, body in LATER.items()}
    async with open_field(tmp_path, steps, {"box": BOX}) as field:
        left = (await field.do("first"))["first"]
        quiet = (await field.do("others"))["others"]
        outcomes = await field.do(*LATER)
        again = (await field.near.ended([left.task.id]))[0]
        assert field.near.gate.count("echo") == 0 and field.pool.started == 1
    assert {name: message(outcome) for name, outcome in outcomes.items()} == dict.fromkeys(LATER, ENDED)
    assert again.state == TaskState.DONE and (again.data["x"], again.result, again.logs) == (1, None, [])
    assert quiet.state == TaskState.DONE and quiet.logs == []


async def test_a_promise_that_another_run_keeps_is_still_its_own_runs(tmp_path: Path) -> None:
    waits = """
      data.got = await lib.box.promise('shared');
      data.call = (await connectors.gate.echo({ n: data.got })).n;
      task.name('waited');
    """
    gives = """
      while (!lib.box.get('shared')) await connectors.gate.echo({});
      lib.box.get('shared')[0]('given');
      data.g = 1;
    """
    steps = {"waits": culprit("waits", waits), "gives": culprit("gives", gives)}
    async with open_field(tmp_path, steps, {"box": BOX}) as field:
        outcomes = await field.do("waits", "gives")
    waited, gave = outcomes["waits"], outcomes["gives"]
    assert waited.state == gave.state == TaskState.DONE
    assert (waited.data["got"], waited.data["call"], waited.task.name) == ("given", "given", "waited")
    assert (gave.data["g"], gave.task.name, "got" in gave.data) == (1, "t", False)


async def test_a_run_that_loops_in_the_turn_of_another_hurts_these_two_only(tmp_path: Path) -> None:
    waits = "await lib.box.promise('shared'); for (;;);"
    gives = "while (!lib.box.get('shared')) await connectors.gate.echo({}); lib.box.get('shared')[0](1); await null"
    steps = {"waits": culprit("waits", waits), "gives": culprit("gives", gives)}
    async with open_field(tmp_path, steps, {"box": BOX}, max_hold=HOLD, step_timeout=400) as field:
        outcomes = await field.do("waits", "gives")
        assert field.pool.started == 1
    assert STOPPED in message(outcomes["gives"])
    assert "waited for 0.4 s" in message(outcomes["waits"])


# ── conditions and what stands at the top ───────────────────────────────────────────────────────────────────────────

HELD: Final = {
    "loop": "{ do: 'loop', a: v => { for (;;); } }",
    "floating": "{ do: 'floating', a: v => { (async () => { for (;;) await null })(); return true } }",
    "memory": "{ do: 'memory', a: v => { const all = []; for (;;) all.push([1, 2, 3, {}]) } }",
    "recursion": "{ do: 'recursion', a: v => { const f = () => f() + 1; return f() } }",
    "pattern": "{ do: 'pattern', a: /^(?<x>a+)+\\k<x>!$/ }",
    "throws": "{ do: 'throws', a: v => { throw { get message() { throw 1 } } } }",
    "computed": "{ do: 'computed', a: (() => { if (data.a) for (;;); return 1 })() }",
    "task": "{ do: 'task', a: v => { task.complete('evil'); return true } }",
    "calls": "{ do: 'calls', a: v => { connectors.gate.echo({}); return true } }",
    "eval": "{ do: 'eval', a: v => eval('true') }",
    "timer": "{ do: 'timer', a: v => { setTimeout(() => {}, 1); return true } }",
    "fetch": "{ do: 'fetch', a: v => { fetch('http://127.0.0.1/'); return true } }",
}


async def test_conditions_that_hold_v8_hold_only_their_own_task(tmp_path: Path) -> None:
    steps = {
        name: f"export const condition = {text};\nexport const content = () => {{ data.ran = true }};\n"
        for name, text in HELD.items()
    }
    async with open_field(tmp_path, steps, max_hold=HOLD, max_script_memory=64) as field:
        given = ({"do": name, "a": "a" * 40} for name in HELD)
        outcomes = await field.near.ended(await field.near.submit(*given))
        assert field.near.gate.count("echo") == 0 and field.pool.started == 1
    states = {name: outcome.state for name, outcome in zip(HELD, outcomes, strict=True)}
    assert states == dict.fromkeys(HELD, TaskState.ATTENTION)


async def test_what_stands_at_the_top_fails_the_steps_own_run(tmp_path: Path) -> None:
    tops = {
        "loop": ("for (;;);", STOPPED),
        "throws": ("throw new Error('at the top')", "at the top"),
        "depth": ("const f = () => f() + 1; f()", "call stack"),
        "pollutes": ("Array.prototype.map = null", "read only"),
    }
    steps = {name: f"if (data.do === '{name}') {{ {text} }}\n{culprit(name, '')}" for name, (text, _) in tops.items()}
    async with open_field(tmp_path, steps, max_hold=HOLD) as field:
        outcomes = await field.do(*tops)
        assert field.pool.started == 1
    found = {name: message(outcome) for name, outcome in outcomes.items()}
    assert {name: text for name, text in found.items() if tops[name][1] not in text} == {}


# ── what the engine has to read ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_boxed_number_that_gives_something_else(tmp_path: Path) -> None:
    body = """
      class Own extends Number { valueOf() { let at = 1; for (let n = 0; n < 3000; n++) at = [at]; return at } }
      data.x = new Own(7);
    """
    async with open_field(tmp_path, {"one": culprit("one", body)}) as field:
        outcome = (await field.do("one"))["one"]
    assert outcome.data["x"] == 7


async def test_a_timer_that_waits_for_ever(tmp_path: Path) -> None:
    body = "await new Promise(go => setTimeout(go, Infinity))"
    async with open_field(tmp_path, {"one": culprit("one", body)}, step_timeout=200) as field:
        with anyio.fail_after(1):
            await field.do("one")


async def test_a_computed_part_that_json_does_not_take(tmp_path: Path) -> None:
    condition = "{ do: 'one', a: data.a ? 10n ** 5000n : 1 }"
    step = f"export const condition = {condition};\nexport const content = () => {{ data.ran = true }};\n"
    async with open_field(tmp_path, {"one": step}) as field:
        [outcome] = await field.near.ended(await field.near.submit({"do": "one", "a": 1}))
        assert outcome.state == TaskState.ATTENTION
        assert field.pool.started == 1


async def test_the_name_of_an_error_is_cut_like_its_message(tmp_path: Path) -> None:
    body = "throw Object.assign(new Error('x'.repeat(2e6)), { name: 'n'.repeat(2e6) })"
    async with open_field(tmp_path, {"one": culprit("one", body)}) as field:
        outcome = (await field.do("one"))["one"]
    assert len(message(outcome)) < 10_000 and len(outcome.errors["one"]["type"]) < 1_000


async def test_a_flood_of_messages_does_not_hold_the_engine(tmp_path: Path) -> None:
    body = "for (let n = 0; n < 30_000; n++) clearTimeout(setTimeout(() => {}, 1e6))"
    gaps = []

    async def beat() -> None:
        while True:
            began = anyio.current_time()
            await anyio.sleep(0.01)  # how much later it comes back is what is measured
            gaps.append(anyio.current_time() - began)

    async with open_field(tmp_path, {"flood": culprit("flood", body)}) as field, anyio.create_task_group() as group:
        group.start_soon(beat)
        await field.do("flood")
        group.cancel_scope.cancel()
    assert max(gaps) < 1


async def test_arguments_that_no_connector_takes_do_not_reach_the_engine(tmp_path: Path) -> None:
    body = "await connectors.gate.echo({ x: 'x'.repeat(2e7) })"
    async with open_field(tmp_path, {"big": culprit("big", body)}) as field:
        outcome = (await field.do("big"))["big"]
        assert field.near.gate.count("echo") == 0
    assert "limit" in message(outcome)
