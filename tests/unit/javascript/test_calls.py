"""What JavaScript asks for outside of V8: connectors, time, subtasks, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aloma_py import CallError, TaskState, Workspace
from aloma_py.clock import VirtualClock
from aloma_py.models import Limits
from aloma_py.outcome import Outcome

pytestmark = pytest.mark.anyio


class Shop:
    """A connector that answers with what it was given, and notes it."""

    namespace = "shop"
    methods: tuple[str, ...] | None = ("echo", "count", "fail", "web")
    default: str | None = None
    recorded = True

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    async def call(self, method: str, arguments: Any, context: Any) -> Any:
        self.calls.append((method, arguments))
        if method == "fail":
            raise CallError("503 Service Unavailable", 503)
        return len(self.calls) if method == "count" else arguments


async def run(folder: Path, body: str, data: dict[str, Any] | None = None, *, head: str = "") -> Outcome:
    file = folder / "one.js"
    file.write_text(
        f"{head}export const condition = {{go: true}};\nexport const content = async () => {{\n{body}\n}};\n"
    )
    return await Workspace.load(file, connectors=[Shop()]).run({"go": True, **(data or {})}, clock=VirtualClock())


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("data.v = (await connectors.shop.echo({a: [1, 'ä']})).a", [1, "ä"]),
        ("data.v = connectors.shop.echo({a: 1})", {"a": 1}),
        ("data.v = {inner: [connectors.shop.count({})]}", {"inner": [1]}),
        ("data.v = await Promise.all([1, 2].map(n => connectors.shop.echo({n})))", [{"n": 1}, {"n": 2}]),
        ("await connectors.shop.echo({a: 1, into: 'v'})", {"a": 1}),
        ("connectors.shop.echo({a: 1, into: 'v'})", {"a": 1}),
        ("await connectors.shop.count({into: 'v'})", {"count": 1}),
        ("await connectors.shop.echo({a: 1, into: 'v.0.b'})", [{"b": {"a": 1}}]),
        ("await connectors.shop.echo({a: 1, into: 'v.b.c'})", {"b": {"c": {"a": 1}}}),
        ("try { await connectors.shop.fail({}) } catch (error) { data.v = error.status }", 503),
        ("data.v = Boolean(connectors.nowhere)", False),
        ("data.v = 'shop' in connectors", True),
        ("await file.write('x.bin', Buffer.from([0, 255])); data.v = [...await file.read('x.bin')]", [0, 255]),
        ("data.v = task.id() === task.id.toString() && JSON.stringify({id: task.id}).includes(task.id())", True),
        ("await connectors.utils.sleep({milliseconds: 3600000}); data.v = 'slept'", "slept"),
        ("await new Promise(go => setTimeout(go, 5000)); data.v = 'later'", "later"),
    ],
)
async def test_what_comes_of_a_call(tmp_path, body, found):
    outcome = await run(tmp_path, body)
    assert outcome.state is TaskState.DONE, outcome.errors
    assert outcome.data["v"] == found


async def test_a_call_that_nobody_awaits_fails_the_run(tmp_path):
    outcome = await run(tmp_path, "connectors.shop.fail({}); data.v = 1")
    assert outcome.state is TaskState.ERROR and "503" in outcome.errors["one"]["message"]
    assert "v" not in outcome.data


async def test_a_missing_connector_is_told_with_those_that_there_are(tmp_path):
    outcome = await run(tmp_path, "await connectors.nowhere.send({})")
    message = outcome.errors["one"]["message"]
    assert "there is no connector 'nowhere'" in message and "shop" in message


async def test_a_missing_method_is_told(tmp_path):
    outcome = await run(tmp_path, "await connectors.shop.ecko({})")
    assert "no method 'ecko'" in outcome.errors["one"]["message"]


async def test_a_retry_is_another_attempt(tmp_path):
    head = "export const retries = 2;\n"
    outcome = await run(tmp_path, "if (step.attempt < 3) throw new Error('not yet'); data.v = step.attempt", head=head)
    assert outcome.state is TaskState.DONE and outcome.data["v"] == 3
    assert outcome.steps == ["one"] * 3


async def test_a_step_that_asks_for_it_runs_again(tmp_path):
    outcome = await run(tmp_path, "data.n = (data.n ?? 0) + 1; if (data.n < 3) step.redo()")
    assert outcome.data["n"] == 3 and outcome.steps == ["one"] * 3


async def test_a_subtask_answers_and_has_the_id_that_was_told(tmp_path):
    (tmp_path / "child.js").write_text(
        "export const condition = {child: Number};\nexport const content = () => { task.complete(data.child * 2) };\n"
    )
    (tmp_path / "one.js").write_text(
        "export const condition = {go: true, id: null};\nexport const content = async () => {\n"
        "  data.id = task.subtask('kid', {child: 21}, {into: 'answer', waitFor: true});\n};\n"
    )
    outcome = await Workspace.load(tmp_path).run({"go": True})
    assert outcome.state is TaskState.DONE, outcome.errors
    assert outcome.data["answer"] == {"state": "done", "result": 42}
    assert [child.task.id for child in outcome.subtasks] == [outcome.data["id"]]


async def test_a_task_is_named_tagged_and_completed(tmp_path):
    outcome = await run(
        tmp_path,
        "task.name('order 7'); task.tags(['a', 'b']); data.seen = [task.name(), task.tags()];"
        "audit.reference({id: 'r1', name: 'R'}); task.complete({ok: true}); data.after = 1",
    )
    assert outcome.state is TaskState.DONE and outcome.result == {"ok": True}
    assert (outcome.task.name, list(outcome.task.tags)) == ("order 7", ["a", "b"])
    assert outcome.data["seen"] == ["order 7", ["a", "b"]] and outcome.data["after"] == 1
    assert len(outcome.audit) == 1


async def test_a_task_is_ignored(tmp_path):
    assert (await run(tmp_path, "task.ignore()")).state is TaskState.IGNORED


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("try { await file.read('none') } catch (error) { data.v = error.name }", "NotFoundError"),
        ("data.v = await file.read('none').catch(error => error.name)", "NotFoundError"),
        ("const b = await blob.create({content: new Uint8Array([1, 2]).buffer}); "
         "data.v = [...await blob.getContent(b)]", [1, 2]),
        ("const b = await blob.create({content: new Uint16Array([258])}); data.v = [...await blob.getContent(b)]",
         [2, 1]),
        ("try { blob.create({}) } catch (error) { data.v = error.name }", "TypeError"),
        ("data.v = JSON.stringify(connectors.shop.echo({}))", "{}"),
        ("await new Promise(go => setTimeout(go, Infinity)); data.v = 1", 1),
    ],
)  # fmt: skip
async def test_what_is_asked_for_can_be_caught_and_shown(tmp_path, body, found):
    outcome = await run(tmp_path, body)
    assert outcome.state is TaskState.DONE, outcome.errors
    assert outcome.data["v"] == found


async def test_a_run_that_waits_for_a_timer_that_it_has_cleared_ends(tmp_path):
    file = tmp_path / "one.js"
    file.write_text(
        "export const condition = {go: true};\nexport const timeout = 100;\nexport const content = async () => {\n"
        "clearTimeout(setTimeout(() => {}, 3600000)); await new Promise(() => {});\n};\n"
    )
    outcome = await Workspace.load(file).run({"go": True})
    assert "waited for 0.1 s" in outcome.errors["one"]["message"]


async def test_what_was_logged_before_a_run_was_stopped_is_kept(tmp_path):
    file = tmp_path / "one.js"
    file.write_text(
        "export const condition = {go: true};\nexport const content = async () => {\n"
        "console.log('before'); await connectors.shop.echo({}); console.log('then'); for (;;);\n};\n"
    )
    workspace = Workspace.load(file, connectors=[Shop()], limits=Limits(max_hold=50))
    outcome = await workspace.run({"go": True})
    assert [line.text for entry in outcome.entries for line in entry.logs] == ["before", "then"]


async def test_what_is_thrown_in_a_microtask_fails_the_run(tmp_path):
    outcome = await run(tmp_path, "queueMicrotask(() => { throw new RangeError('small') }); await null")
    assert outcome.errors["one"]["message"] == "small"
