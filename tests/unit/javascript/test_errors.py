"""What is told of an error in JavaScript: name, message, the author's file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aloma_py import CallError, TaskState, Workspace
from aloma_py.clock import VirtualClock
from aloma_py.errors import LoadError
from aloma_py.models import Limits

pytestmark = pytest.mark.anyio


class Bank:
    """A connector that fails with a status."""

    namespace = "bank"
    methods: tuple[str, ...] | None = ("charge", "pay")
    default: str | None = None
    recorded = True

    async def call(self, method: str, arguments: Any, context: Any) -> Any:
        if method == "charge":
            raise CallError("402 Payment Required: the card is empty", 402)
        return {"paid": True}


async def error_of(folder: Path, body: str, *, name: str = "one.js", libraries: Any = None) -> dict[str, Any]:
    """What ``$errors`` has of a step whose content begins on line 4 of its file."""
    file = folder / name
    file.write_text(
        f"// a step\nexport const condition = {{go: true}};\nexport const content = async () => {{\n{body}\n}};\n"
    )
    outcome = await Workspace.load(file, connectors=[Bank()], libraries=libraries).run({"go": True})
    assert outcome.state is TaskState.ERROR, outcome.data
    error: dict[str, Any] = outcome.errors["one"]
    return error


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("throw new RangeError('too far')", "RangeError", "too far"),
        ("null.x", "TypeError", "Cannot read properties of null"),
        ("nowhere()", "ReferenceError", "nowhere is not defined"),
        ("class OwnError extends Error { name = 'OwnError' }; throw new OwnError('own')", "OwnError", "own"),
        ("throw 'just text'", "Error", "just text"),
        ("throw 5", "Error", "5"),
        ("throw null", "Error", "null"),
        ("throw undefined", "Error", "undefined"),
        ("throw {code: 7}", "Error", "code"),
        ("throw Object.create(null)", "Error", "thrown"),
        ("throw {get message() { throw 1 }}", "Error", "cannot be shown"),
        ("await Promise.reject(new SyntaxError('later'))", "SyntaxError", "later"),
        ("JSON.parse('{')", "SyntaxError", "JSON"),
        ("await connectors.bank.charge({})", "CallError", "402 Payment Required"),
        ("connectors.bank.charge({})", "CallError", "402 Payment Required"),
        ("[1].forEach(async () => { throw new RangeError('in a loop') })", "RangeError", "in a loop"),
        ("const work = async () => { throw new RangeError('floating') }; work()", "RangeError", "floating"),
        ("setTimeout(() => { throw new RangeError('timer') }, 1); await connectors.utils.sleep({milliseconds: 5})",
         "RangeError", "timer"),
    ],
)  # fmt: skip
async def test_what_is_thrown_is_told(tmp_path, body, kind, message):
    error = await error_of(tmp_path, body)
    assert (error["type"], message in error["message"]) == (kind, True), error
    assert error["attempt"] == 1 and "prelude" not in error["stack"]


async def test_the_stack_has_the_file_and_the_line(tmp_path):
    body = "const deep = () => {\n  throw new Error('deep')\n}\ndeep()"
    error = await error_of(tmp_path, body)
    frames = error["stack"].splitlines()
    assert "one.js:5" in frames[1] and "one.js:7" in frames[2]


async def test_the_lines_of_typescript_are_those_of_the_file(tmp_path):
    body = "interface Order {\n  id: string;\n}\nconst order: Order = {id: '1'} as Order;\nthrow new Error(order.id)"
    error = await error_of(tmp_path, body, name="one.mts")
    assert "one.mts:8" in error["stack"]


async def test_the_stack_goes_on_behind_an_await(tmp_path):
    body = "const deep = async () => {\n  await connectors.bank.pay({});\n  throw new Error('deep')\n};\nawait deep()"
    error = await error_of(tmp_path, body)
    assert "one.js:6" in error["stack"] and "one.js:8" in error["stack"]


async def test_the_stack_has_the_lines_of_a_library(tmp_path):
    library = tmp_path / "tools.js"
    library.write_text("// tools\nmodule.exports = {\n  fail() {\n    throw new Error('in the library')\n  },\n};\n")
    folder = tmp_path / "steps"
    folder.mkdir()
    error = await error_of(folder, "\nlib.tools.fail()", libraries={"tools": str(library)})
    assert "tools.js:4" in error["stack"] and "one.js:5" in error["stack"]


async def test_the_code_sees_the_status_of_a_failed_call(tmp_path):
    file = tmp_path / "one.js"
    file.write_text(
        "export const condition = {go: true};\nexport const content = async () => {\n"
        "  try { await connectors.bank.charge({}) } catch (error) {\n"
        "    data.seen = [error instanceof Error, error.status, error.message];\n  }\n};\n"
    )
    outcome = await Workspace.load(file, connectors=[Bank()]).run({"go": True})
    assert outcome.data["seen"] == [True, 402, "402 Payment Required: the card is empty"]


@pytest.mark.parametrize(
    ("body", "kind", "runs"),
    [
        ("throw new TypeError('maybe the next time')", "TypeError", 3),
        ("await connectors.bank.charge({})", "CallError", 3),
        ("await connectors.bank.chrage({})", "NoSuchCall", 1),
        ("connectors.bank.chrage({})", "NoSuchCall", 1),
        ("data.self = data", "ResultError", 1),
        ("await connectors.bank.pay({get self() { throw new TypeError('no') }})", "TypeError", 3),
        ("const a = {}; a.a = a; await connectors.bank.pay(a)", "ResultError", 1),
        ("await new Promise(() => setTimeout(() => { for (;;); }, 1))", "StepTimeout", 3),
        ("lib.tools.missing()", "TypeError", 3),
    ],
)
async def test_what_would_be_the_same_the_next_time_is_not_tried_again(tmp_path, body, kind, runs):
    file = tmp_path / "one.js"
    head = "export const condition = {go: true};\nexport const retries = 2;\n"
    file.write_text(f"{head}export const content = async () => {{\n{body}\n}};\n")
    workspace = Workspace.load(file, connectors=[Bank()], limits=Limits(max_hold=50))
    outcome = await workspace.run({"go": True}, clock=VirtualClock())
    assert (outcome.errors["one"]["type"], outcome.steps) == (kind, ["one"] * runs), outcome.errors


@pytest.mark.parametrize(
    "asks", ["task.config('KEY')", "config(`KEY`)", "task.config('K' + 'EY')", "config(data.name)"]
)
async def test_values_of_the_configuration_are_there_however_they_are_named(tmp_path, asks):
    file = tmp_path / "one.js"
    file.write_text(f"export const condition = {{name: 'KEY'}};\nexport const content = () => {{ data.v = {asks} }};\n")
    outcome = await Workspace.load(file, config={"KEY": "value", "OTHER": "x"}).run({"name": "KEY"})
    assert outcome.data["v"] == "value"


async def test_a_failed_run_changes_nothing(tmp_path):
    file = tmp_path / "one.js"
    file.write_text(
        "export const condition = {go: true};\n"
        "export const content = () => { data.changed = true; task.name('other'); throw new Error('no') };\n"
    )
    outcome = await Workspace.load(file).run({"go": True})
    assert "changed" not in outcome.data and outcome.task.name == "task"


@pytest.mark.parametrize(
    "body",
    [
        "[1].forEach(async () => { await connectors.bank.charge({}) })",
        "[1].forEach(async () => { await connectors.bank.pay({}); await connectors.bank.charge({}) })",
        "(async () => { await connectors.bank.charge({}) })()",
        "Promise.all([connectors.bank.charge({})])",
        "connectors.bank.charge({}).finally(() => {})",
        "const work = async () => { await new Promise(go => setTimeout(go, 3)); throw new Error('402 late') }; work()",
        "(async () => { await null; await null; await null; throw new Error('402') })()",
        "data.later = (async () => { await null; throw new Error('402') })()",
    ],
)
async def test_no_failure_is_lost_where_nobody_waits(tmp_path, body):
    error = await error_of(tmp_path, body)
    assert "402" in error["message"]


async def test_what_nobody_waits_for_is_finished_before_the_run_ends(tmp_path):
    file = tmp_path / "one.js"
    file.write_text(
        "export const condition = {go: true};\nexport const content = async () => {\n  data.found = [];\n"
        "  [1, 2].forEach(async n => {\n    await connectors.bank.pay({});\n"
        "    await new Promise(go => setTimeout(go, 2));\n    data.found.push(n);\n  });\n};\n"
    )
    outcome = await Workspace.load(file, connectors=[Bank()]).run({"go": True})
    assert outcome.data["found"] == [1, 2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("export const condition = {a: 1};\nexport const content = () => {\n  data = {b: 1};\n};", ":3: "),
        ("export const match = () => ({a: 1});\nexport default (data) => {\n\n  data = {};\n};", ":4: "),
        (
            "export const condition = {a: 1};\nexport const content = async () => {\n  await import('fs')\n};",
            "import()",
        ),
        ("export const condition = {a: 1}, retrys = 2;\nexport const content = () => {};", "did you mean"),
        ("export const condition = {a: 1}, time_out = '1s';\nexport const content = () => {};", "'timeout'"),
    ],
)
def test_what_would_do_something_else_than_it_says_is_refused(tmp_path, text, reason):
    file = tmp_path / "one.js"
    file.write_text(text)
    with pytest.raises(LoadError) as caught:
        Workspace.load(file)
    assert reason in str(caught.value)


def test_a_variable_of_that_name_is_no_concern_of_the_task(tmp_path):
    file = tmp_path / "one.js"
    file.write_text(
        "export const condition = {a: 1};\nexport const content = () => {\n  { let data = 1; data = 2; }\n};"
    )
    assert [step.name for step in Workspace.load(file).steps] == ["one"]


@pytest.mark.parametrize(
    "body",
    ["task.subtask('kid', 5)", "task.park('soon')", "task.tags('a')", "audit.reference({name: 'no id'})"],
)
async def test_what_the_engine_refuses_is_told_with_the_line_that_asked_for_it(tmp_path, body):
    error = await error_of(tmp_path, f"data.x = 1;\n{body};")
    assert body.startswith("audit") or "one.js:5" in error["stack"], error
    assert error["message"]
