"""What JavaScript steps find around them, from the step's text to what is in the store: web, people, files, time."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from aloma_py import CallError, TaskState
from aloma_py.interventions import update

from .world import HOUR, OF_AN_ERROR, found_of, opened, write

pytestmark = pytest.mark.anyio

KEPT: dict[str, tuple[str, Any]] = {
    "text": (
        "const id = await blob.create({content: 'hé', name: 'n', mimetype: 'text/plain', pages: 2});"
        "const {id: same, ...about} = await blob.get(id); data.v = [await blob.getContent(id), same === id, about]",
        ["hé", True, {"name": "n", "mimetype": "text/plain", "size": 3, "pages": 2}],
    ),
    "bytes": (
        "const id = await blob.create({content: Uint8Array.of(0, 255)}); const kept = await blob.getContent(id);"
        "data.v = [Buffer.isBuffer(kept), [...kept], (await blob.get(id)).name]",
        [True, [0, 255], None],
    ),
    "value": ("data.v = await blob.getContent(await blob.create({content: {a: [1]}}))", '{"a":[1]}'),
    "no_blob": (OF_AN_ERROR.replace("error.name, ", "").format("await blob.get('b1')"), ["there is no blob 'b1'"]),
    "files": (
        "await file.write('a', 'ä'); await file.write('b', {x: [1]}); await file.write('a', 'new');"
        "await file.write('c', Buffer.from('ab').subarray(1));"
        "data.v = [await file.read('a'), await file.read('b'), [...await file.read('c')]]",
        ["new", {"x": [1]}, [98]],
    ),
    "no_file": ("await file.read('nowhere')", "there is no file 'nowhere'"),
    "tags": ("const given = task.tags(['a']); given.push('b'); data.v = task.tags()", ["a"]),
    "redone": ("data.v = [...(data.v ?? []), step.attempt]; if (data.v.length < 3) step.redo()", [1, 1, 1]),
    "trail": (
        "audit.log('seen', {n: 1}); audit.reference({id: 'r1', name: 'Order', url: 'u'}); data.v = audit.get()",
        [{"msg": "seen", "details": {"n": 1}}, {"id": "r1", "name": "Order", "url": "u"}],
    ),
    "no_reference": ("audit.reference({name: 'x'})", "audit.reference needs an id"),
    "copied": ("const copy = await task.getData(); copy.step = 'x'; data.v = data.step", "copied"),
}


async def test_what_is_kept_comes_back(tmp_path):
    found = await found_of(tmp_path / "steps", KEPT, [])
    assert found == {name: then for name, (_, then) in KEPT.items()}


async def test_a_task_is_named_tagged_shown_and_referred_to(tmp_path):
    steps = write(
        tmp_path / "steps",
        named="data.was = task.name(); data.now = task.name('order 7'); task.tags(['x', 'y']);"
        "audit.reference({id: 'r1'})",
        shown="task.visualize({type: 'table', name: 't', data: [[1]], options: {headers: ['h']}});"
        "task.visualize({type: 'document', name: 'd', data: 'b1', mimetype: 'application/pdf'})",
        ignored="task.ignore(); data.after = 1",
    )
    async with opened(steps) as world:
        tasks = await world.submit({"step": "named"}, {"step": "shown"}, {"step": "ignored"})
        named, shown, ignored = [await world.rest(task) for task in tasks]
    assert (named.data["was"], named.data["now"]) == ("a task", "order 7")
    assert (named.task.name, list(named.task.tags)) == ("order 7", ["x", "y"])
    assert [(entry.kind, entry.details) for entry in named.audit] == [("reference", {"id": "r1"})]
    assert [(one.type, one.name, one.data, one.options) for one in shown.visualizations] == [
        ("table", "t", [[1]], {"headers": ["h"]}),
        ("document", "d", "b1", {"mimetype": "application/pdf"}),
    ]
    assert (ignored.state, ignored.data["after"]) == (TaskState.IGNORED, 1)


# ── time and people ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_parking_and_expiring(tmp_path):
    steps = write(
        tmp_path / "steps",
        parked="if (data.n) { data.woke = 1; return } data.n = 1; task.park('1h'); step.redo()",
        held="if (data.answer) { task.complete(data.answer); return } task.park(); step.redo()",
        expired="task.timeout(1000); task.park()",
        completed="task.timeout('1s'); task.completeOnExpire({late: true}); task.park()",
        intime="task.timeout(1000); task.completeOnExpire({late: true}); task.complete('early')",
    )
    async with opened(steps) as world:
        names = ("parked", "held", "expired", "completed", "intime")
        tasks = dict(zip(names, await world.submit(*({"step": name} for name in names)), strict=True))
        waiting = {name: (await world.rest(task)).state for name, task in tasks.items()}
        expired, completed = await world.after(tasks["expired"], 1000), await world.outcome(tasks["completed"])
        asleep = (await world.after(tasks["parked"], HOUR - 1001)).data
        parked, held = await world.after(tasks["parked"], 1), await world.outcome(tasks["held"])
        await update(world.engine, tasks["held"], {"answer": "yes"})
        answered, intime = await world.rest(tasks["held"]), await world.outcome(tasks["intime"])
    assert waiting == dict.fromkeys(names[:-1], TaskState.WAITING) | {"intime": TaskState.DONE}
    assert (expired.state, expired.reason) == (TaskState.ERROR, "its time expired")
    assert (completed.state, completed.result) == (TaskState.DONE, {"late": True})
    assert "woke" not in asleep and (parked.state, parked.data["woke"]) == (TaskState.DONE, 1)
    assert held.state is TaskState.WAITING and (answered.state, answered.result) == (TaskState.DONE, "yes")
    assert intime.result == "early"


async def test_a_subtask_begins_after_its_delay_and_answers_into_the_data(tmp_path):
    steps = write(
        tmp_path / "steps",
        parent="if (data.got) { data.ready = data.got.length; return } step.redo();"
        "data.ids = [task.subtask('one', {step: 'child', n: 1}, {into: 'got.0', waitFor: true}),"
        " task.subtask('two', {step: 'child', n: 2}, {into: 'got.1', waitFor: true, delay: '1h'})];",
        child="task.complete({n: data.n * 10, by: task.name()})",
        alone="data.id = task.subtask('later', {step: 'child', n: 3}, {delay: 5000})",
    )
    async with opened(steps) as world:
        task, alone = await world.submit({"step": "parent"}, {"step": "alone"})
        held, left = await world.rest(task), await world.rest(alone)
        done, child = await world.after(task, HOUR), await world.outcome(left.data["id"])
    assert (held.state, left.state) == (TaskState.WAITING, TaskState.DONE)
    assert (done.state, done.data["ready"]) == (TaskState.DONE, 2)
    assert [one["result"] for one in done.data["got"]] == [{"n": 10, "by": "one"}, {"n": 20, "by": "two"}]
    assert [child.task.id for child in done.subtasks] == done.data["ids"]
    assert done.subtasks[1].runs[0].started_at - done.subtasks[0].runs[0].started_at == HOUR
    assert child.result == {"n": 30, "by": "later"} and child.runs[0].started_at - world.clock.now() == 5000 - HOUR


async def test_a_form_waits_for_a_person_and_shown_data_does_not(tmp_path):
    steps = write(
        tmp_path / "steps",
        asks="user.conversation({kind: 'form', title: 'Approve?', data: {amount: 5}})",
        shows="user.conversation({kind: 'data', name: 'Look', data: [1]})",
    )
    (steps / "uses.js").write_text(
        "export const condition = {answer: String};\nexport const content = () => task.complete(data.answer);\n"
    )
    async with opened(steps) as world:
        asks, shows = await world.submit({"step": "asks"}, {"step": "shows"})
        asked, shown = await world.rest(asks), await world.rest(shows)
        await update(world.engine, asks, {"answer": "yes"})
        answered = await world.rest(asks)
    assert (asked.state, asked.reason) == (TaskState.WAITING, "waits for a person: Approve?")
    assert [(one.type, one.name, one.data) for one in asked.visualizations] == [
        ("conversation", "Approve?", {"amount": 5})
    ]
    assert shown.state is TaskState.DONE and shown.visualizations[0].name == "Look"
    assert (answered.state, answered.result) == (TaskState.DONE, "yes")


# ── crashes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Bank:
    """A connector that notes what it is asked. ``check`` fails; ``receipt`` does not return where it hangs."""

    namespace = "bank"
    methods: tuple[str, ...] | None = None
    default: str | None = None
    recorded = True

    def __init__(self, *, hangs: int = 0) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.keys: list[str] = []
        self.asked_for_receipt = anyio.Event()
        self._hangs = hangs

    async def call(self, method: str, arguments: Any, context: Any) -> Any:
        self.calls.append((method, arguments))
        self.keys.append(context.key)
        if method == "check":
            raise CallError("409 not yet", 409)
        if method == "receipt" and self._hangs:
            self._hangs -= 1
            self.asked_for_receipt.set()
            await anyio.sleep_forever()
        return {"id": len(self.calls)}


CHARGE = """
data.runs = (data.runs ?? 0) + 1; console.log('begun');
const paid = await Promise.all([5, 7].map(amount => connectors.bank.charge({amount})));
const failed = await connectors.bank.check({}).catch(error => error);
data.failed = [failed.status, failed.message, failed instanceof Error];
data.child = task.subtask('child', {n: 1}); audit.log('paid');
const receipt = await connectors.bank.receipt({of: paid.map(one => one.id)});
data.paid = [...paid, receipt].map(one => one.id);
"""
BEFORE = [("charge", {"amount": 5}), ("charge", {"amount": 7}), ("check", {})]
RECEIPT = ("receipt", {"of": [1, 2]})
CHARGED = {"step": "charge", "runs": 1, "failed": [409, "409 not yet", True]}


async def test_answers_from_before_a_crash_of_the_engine_are_not_asked_for_again(tmp_path):
    steps, path = write(tmp_path / "steps", charge=CHARGE), tmp_path / "tasks.db"
    before, after = Bank(hangs=1), Bank()
    async with opened(steps, path=path, connectors=[before]) as world:
        (task,) = await world.submit({"step": "charge"})
        with anyio.fail_after(5):
            await before.asked_for_receipt.wait()
    async with opened(steps, path=path, connectors=[after], clock=world.clock) as world:
        await world.scheduler.run_until_quiet()
        outcome = await world.outcome(task)
    assert before.calls == [*BEFORE, RECEIPT] and after.calls == [RECEIPT]
    assert after.keys == before.keys[3:]
    assert outcome.state is TaskState.DONE and len(outcome.subtasks) == 1 and outcome.steps == ["charge"]
    assert outcome.data == {**CHARGED, "paid": [1, 2, 1], "child": outcome.subtasks[0].task.id}
    assert [call.method for call in outcome.calls] == ["charge", "charge", "check", "receipt"]
    assert [entry.text for entry in outcome.audit] == ["paid"] and [line.text for line in outcome.logs] == ["begun"]
