"""What JavaScript steps find around them, from the step's text to what is in the store: web, people, files, time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from aloma_py import CallError, Outcome, TaskState, Workspace
from aloma_py.builtin.fetch import Fetch
from aloma_py.clock import VirtualClock
from aloma_py.intake import new_task
from aloma_py.interventions import update
from aloma_py.outcome import read_outcome
from aloma_py.scheduler import Scheduler
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


class World:
    """An engine with the steps of a folder, on a clock that only its user moves."""

    def __init__(self, engine: Any, scheduler: Scheduler, clock: VirtualClock) -> None:
        self.engine = engine
        self.scheduler = scheduler
        self.clock = clock

    async def submit(self, *tasks: dict[str, Any]) -> list[str]:
        made = [
            new_task("builtins", "a task", data, via={"type": "api"}, now=self.clock.now(), limits=self.engine.limits)
            for data in tasks
        ]
        await self.engine.submit(made)
        return [task.id for task in made]

    async def outcome(self, task: str) -> Outcome:
        return await read_outcome(self.engine.store, task)

    async def rest(self, task: str) -> Outcome:
        """The task when nothing happens without the time moving."""
        await self.scheduler.settle()
        return await self.outcome(task)

    async def after(self, task: str, milliseconds: int) -> Outcome:
        await self.scheduler.move_to(self.clock.now() + milliseconds)
        return await self.outcome(task)


@asynccontextmanager
async def opened(
    folder: Path, *, path: object = ":memory:", connectors: Sequence[Any] = (), clock: VirtualClock | None = None
) -> AsyncIterator[World]:
    workspace = Workspace.load(folder, name="builtins", connectors=connectors)
    clock = clock or VirtualClock()
    async with SQLiteStore(str(path), key=b"k" * 32) as store:
        engine = workspace.engine(store.workspace("builtins"), clock=clock, cipher=lambda: store.cipher)
        scheduler = Scheduler(engine)
        async with scheduler.running():
            yield World(engine, scheduler, clock)


def write(folder: Path, **steps: str) -> Path:
    """A folder of steps, each for the task whose ``step`` is its name."""
    folder.mkdir(exist_ok=True)
    for name, body in steps.items():
        (folder / f"{name}.js").write_text(
            f"export const condition = {{step: '{name}'}};\nexport const content = async () => {{\n{body}\n}};\n"
        )
    return folder


async def found_of(folder: Path, rows: dict[str, tuple[str, Any]], connectors: Sequence[Any]) -> dict[str, Any]:
    """``data.v`` of each row's step, or the text of its error; all run in one engine."""
    write(folder, **{name: body for name, (body, _) in rows.items()})
    async with opened(folder, connectors=connectors) as world:
        tasks = await world.submit(*({"step": name} for name in rows))
        await world.scheduler.run_until_quiet()
        outcomes = {name: await world.outcome(task) for name, task in zip(rows, tasks, strict=True)}
    return {
        name: outcome.errors[name]["message"] if outcome.errors else outcome.data.get("v")
        for name, outcome in outcomes.items()
    }


# ── fetch ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Web:
    """A server; ``/hang`` never answers: ``begun`` and ``given_up`` say what becomes of a request for it."""

    def __init__(self) -> None:
        self.begun, self.given_up = anyio.Event(), anyio.Event()
        self.requests: list[str] = []

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request.url.path)
        match request.url.path:
            case "/json":
                return httpx2.Response(200, json={"n": 1, "items": [1]}, headers={"X-Page": "2"})
            case "/quoted":
                return httpx2.Response(200, json="12")
            case "/broken":
                return httpx2.Response(200, text="{no", headers={"Content-Type": "application/json"})
            case "/missing":
                return httpx2.Response(404, json={"error": "gone"})
            case "/nothing":
                return httpx2.Response(204)
            case "/body":
                return httpx2.Response(200, json={"body": {"json": "mine"}, "status": "x"})
            case "/echo":
                names = ("x-key", "content-type")
                headers = {name: request.headers[name] for name in names if name in request.headers}
                return httpx2.Response(201, json=[request.method, request.content.decode(), headers])
            case "/hang":
                self.begun.set()
                try:
                    await anyio.sleep_forever()
                finally:
                    self.given_up.set()
        return httpx2.Response(200, text="plain words")


class Shop:
    """A connector that gives back what it is given. ``begun`` and ``given_up`` wait for those of the web."""

    namespace = "shop"
    methods: tuple[str, ...] | None = None
    default: str | None = None
    recorded = True

    def __init__(self, web: Web) -> None:
        self._web = web

    async def call(self, method: str, arguments: Any, context: Any) -> Any:
        if method in ("begun", "given_up"):
            await getattr(self._web, method).wait()
        return arguments


OF_AN_ERROR = "try {{ {} }} catch (error) {{ data.v = [error.name, error.message] }}"

FETCHED: dict[str, tuple[str, Any]] = {
    "json_at_once": ("data.v = await (await fetch('http://a/json')).json()", {"n": 1, "items": [1]}),
    "then": ("data.v = await fetch('http://a/json').then(answer => answer.json()).then(body => body.n)", 1),
    "members": (
        "const a = await fetch(new URL('http://a/json')); data.v = [a.status, a.ok, a.statusText, a.body.n]",
        [200, True, "OK", 1],
    ),
    "headers": (
        "const {headers} = await fetch('http://a/json');"
        "data.v = [headers.get('X-Page'), headers['x-page'], headers.has('x-none'), headers.get('x-none')]",
        ["2", "2", False, None],
    ),
    "text_of_json": ("data.v = JSON.parse(await (await fetch('http://a/json')).text()).n", 1),
    "text": ("data.v = await (await fetch('http://a/text')).text()", "plain words"),
    "no_json": (
        OF_AN_ERROR.format("await (await fetch('http://a/text')).json()"),
        ["SyntaxError", "Unexpected token 'p', \"plain words\" is not valid JSON"],
    ),
    "broken_json": (
        "const a = await fetch('http://a/broken'); data.v = [a.body, await a.json().catch(error => error.name)]",
        ["{no", "SyntaxError"],
    ),
    "json_that_is_a_text": ("const a = await fetch('http://a/quoted'); data.v = [await a.json(), await a.text()]",
                            ["12", '"12"']),
    "asked_for_as_text": (
        "const a = await fetch('http://a/json', {text: true}); data.v = [typeof a.body, (await a.json()).n]",
        ["string", 1],
    ),
    "an_error_status": (
        "const a = await fetch('http://a/missing'); data.v = [a.ok, a.status, (await a.json()).error]",
        [False, 404, "gone"],
    ),
    "nothing": ("const a = await fetch('http://a/nothing'); data.v = [a.status, await a.text()]", [204, ""]),
    "as_data": (
        "data.v = await fetch('http://a/json'); data.v = [Object.keys(data.v), JSON.stringify(data.v).includes('get')]",
        [["status", "ok", "statusText", "headers", "body"], False],
    ),
    "request": (
        "const r = {url: 'http://a/echo', method: 'PUT', headers: {'X-Key': 'k'}, body: 'b', credentials: 'include'};"
        "data.v = [(await fetch(r)).body, (await fetch(r, {method: 'PATCH'})).body[0]]",
        [["PUT", "b", {"x-key": "k"}], "PATCH"],
    ),
    "forms_of_headers": (
        "const sent = async headers => (await fetch('http://a/echo', {headers})).body[2]['x-key'];"
        "data.v = [await sent(new Headers({'X-Key': 'a'})), await sent([['X-Key', 'b']]), await sent({'X-Key': 'c'})]",
        ["a", "b", "c"],
    ),
    "form": (
        "const body = new URLSearchParams({a: 'b c'});"
        "data.v = (await fetch('http://a/echo', {method: 'POST', body})).body",
        ["POST", "a=b+c", {"content-type": "application/x-www-form-urlencoded"}],
    ),
    "bytes_that_are_text": (
        "data.v = (await fetch('http://a/echo', {method: 'POST', body: Buffer.from('\\ufeffä')})).body[1]", "\ufeffä",
    ),
    "bytes": (
        OF_AN_ERROR.format("await fetch('http://a/echo', {method: 'POST', body: Uint8Array.of(255)})"),
        ["TypeError", "fetch sends text and JSON; a body of bytes that are no UTF-8 text cannot be sent"],
    ),
    "redirect": (
        "await fetch('http://a/json', {redirect: 'follow', cache: 'no-store'});"
        "data.v = await fetch('http://a/json', {redirect: 'manual'}).catch(error => error.message)",
        "fetch knows no option 'redirect'; there are: body, headers, method, text, timeout",
    ),
    "connector": (
        "const a = await connectors.fetch({url: 'http://a/json'});"
        "data.v = [(await a.json()).n, a.headers.get('X-PAGE')]",
        [1, "2"],
    ),
    "connector_by_any_name": (
        "const web = connectors[['fe', 'tch'].join('')]; const a = await web('http://a/json', {text: true});"
        "const b = await web[['fe', 'tch'].join('')]({url: 'http://a/json'});"
        "data.v = [await a.json(), await b.json()]",
        [{"n": 1, "items": [1]}] * 2,
    ),
    "connector_into": (
        "const a = await connectors.fetch({url: 'http://a/json', into: 'at'});"
        "data.v = [a.ok, await a.json(), data.at]",
        [True, {"n": 1, "items": [1]}, None],
    ),
    "known_connectors": (
        "data.v = ['fetch' in connectors, Object.keys(connectors).sort(), Boolean(connectors.none)]",
        [True, ["fetch", "shop", "utils"], False],
    ),
    "connector_form": (
        "data.v = (await fetch({url: 'http://a/echo', options: {method: 'POST', body: {x: 1}}})).body.slice(0, 2)",
        ["POST", '{"x":1}'],
    ),
    "body_only": (
        "const a = await fetch({url: 'http://a/body', bodyOnly: true}); data.v = [a, typeof a.text]",
        [{"body": {"json": "mine"}, "status": "x"}, "undefined"],
    ),
    "into": ("await fetch({url: 'http://a/json', bodyOnly: true, into: 'v'})", {"n": 1, "items": [1]}),
    "other_connectors": (
        "const given = {body: 'b', headers: {get: 'g'}, json: 5};"
        "const a = await connectors.shop.echo(given); data.v = [a.json, typeof a.text, a.headers.get, a.ok ?? null]",
        [5, "undefined", "g", None],
    ),
    "unseen_failure": (
        "fetch('http://a/json', {nonsense: 1})",
        "fetch knows no option 'nonsense'; there are: body, headers, method, text, timeout",
    ),
    "seen_failure": (
        "try { await fetch('http://a/json', {nonsense: 1}) } catch (error) { data.v = error instanceof Error }", True,
    ),
    "aborted_before": (
        "const caught = await fetch('http://a/never', {signal: AbortSignal.abort()}).catch(error => error);"
        "data.v = [caught.name, caught instanceof DOMException]",
        ["AbortError", True],
    ),
    "aborted_under_way": (
        "const control = new AbortController();"
        "const asked = fetch('http://a/hang', {signal: control.signal});"
        "await connectors.shop.begun({}); control.abort('enough'); control.abort('again');"
        "data.v = await asked.catch(reason => reason); await connectors.shop.given_up({})",
        "enough",
    ),
    "timed_out": (
        "data.v = await fetch('http://a/hang', {signal: AbortSignal.timeout(50)}).catch(error => error.name)",
        "TimeoutError",
    ),
    "aborted_too_late": (
        "const control = new AbortController();"
        "const {status} = await fetch('http://a/json', {signal: control.signal}); control.abort(); data.v = status",
        200,
    ),
}  # fmt: skip


async def test_what_fetch_gives(tmp_path):
    web = Web()
    connectors = [Fetch(httpx2.MockTransport(web.answer)), Shop(web)]
    with anyio.fail_after(10):
        found = await found_of(tmp_path / "steps", FETCHED, connectors)
    assert found == {name: then for name, (_, then) in FETCHED.items()}
    assert "/never" not in web.requests and web.requests.count("/hang") == 2


MOCKED: dict[str, tuple[str, Any]] = {
    "bare": (
        "const a = await fetch('http://a'); data.v = [a.ok, a.status, a.headers.get('x'), (await a.json()).n, a.body]",
        [True, 200, None, 1, '{"n":1}'],
    ),
    "own": (
        "const a = await fetch('http://own'); data.v = [a.json, a.ok, await a.text(), a.headers]",
        ["its own", False, "b", None],
    ),
}


async def test_an_answer_that_somebody_else_made_up_for_fetch_keeps_what_it_has(tmp_path):
    def answers(given: Any) -> Any:
        own = {"body": "b", "json": "its own", "status": 500, "headers": None}
        return own if given["url"] == "http://own" else {"body": '{"n":1}'}

    class MadeUp(Fetch):
        async def call(self, method: str, arguments: Any, context: Any) -> Any:
            return answers(arguments)

    found = await found_of(tmp_path / "steps", MOCKED, [MadeUp()])
    assert found == {name: then for name, (_, then) in MOCKED.items()}


# ── files, blobs, the task ──────────────────────────────────────────────────────────────────────────────────────────

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
