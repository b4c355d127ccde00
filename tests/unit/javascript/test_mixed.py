"""Steps in both languages on one task, and what JavaScript does to data."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from aloma_py import TaskState, Workspace, step
from aloma_py.intake import new_task
from aloma_py.outcome import Outcome, read_outcome
from aloma_py.scheduler import Scheduler
from aloma_py.store import SQLiteStore

pytestmark = pytest.mark.anyio


def script(folder: Path, name: str, condition: str, body: str) -> Path:
    file = folder / f"{name}.js"
    file.write_text(f"export const condition = {condition};\nexport const content = async () => {{ {body} }};\n")
    return file


async def run(folder: Path, body: str, data: dict[str, Any], *, condition: str = "{go: true}") -> Outcome:
    """The outcome of a task with ``go``, on which one step runs."""
    return await Workspace.load(script(folder, "one", condition, body)).run({"go": True, **data})


async def run_all(workspace: Workspace, tasks: list[dict[str, Any]]) -> list[Outcome]:
    """The outcome of each task; one engine runs them all, so that one worker is started."""
    store = SQLiteStore(":memory:")
    async with store:
        handle = store.workspace(workspace.name)
        engine = workspace.engine(handle, cipher=lambda: store.cipher)
        scheduler = Scheduler(engine)
        made = [new_task(workspace.name, "task", data, via={"type": "api"}, now=engine.clock.now()) for data in tasks]
        async with scheduler.running():
            await engine.submit(made)
            await scheduler.quiet()
        return [await read_outcome(handle, task.id) for task in made]


async def test_steps_of_both_languages_take_turns_and_see_the_same(tmp_path):
    @step(condition={"n": 1})
    async def second(data, graph, audit):
        assert data.by == ["js"] and data["$stash"].key == "geheim ä😀"
        data["$stash"].other = {"pin": 1234}
        data.by.append("python")
        graph.addVertex({"id": "p"})
        audit.log("from python", {"n": 1})
        data.n = 2

    first = script(
        tmp_path,
        "first",
        "{n: 0}",
        "data.by = ['js']; data.$stash.key = 'geheim ä😀'; audit.log('from js'); data.n = 1;",
    )
    third = script(
        tmp_path,
        "third",
        "{n: 2, $stash: {key: String, other: Object}}",
        "data.by.push('js'); data.pin = data.$stash.other.pin; delete data.$stash.key;"
        "data.trail = audit.get().map(one => one.msg); data.n = 3;",
    )
    outcome = await Workspace("w", [first, second, third]).run({"n": 0})

    assert outcome.steps == ["first", "second", "third"], outcome.errors
    assert outcome.data["by"] == ["js", "python", "js"]
    assert outcome.data["pin"] == 1234 and outcome.data["$stash"] == {"other": "Object"}
    assert outcome.data["trail"] == ["from js", "from python"]
    assert "geheim" not in repr(outcome)


async def test_both_languages_share_a_wave(tmp_path):
    @step(condition={"a": 1, "left": None})
    async def python(data):
        data.left = data.a

    javascript = script(tmp_path, "javascript", "{b: 1, right: null}", "data.right = data.b;")
    outcome = await Workspace("w", [python, javascript]).run({"a": 1, "b": 1})

    assert outcome.data == {"a": 1, "b": 1, "left": 1, "right": 1}
    assert len({entry.wave for entry in outcome.runs}) == 1 and len(outcome.runs) == 2


EXACT: list[Any] = [
    1.0, -0.0, 0.0, 1e308, 5e-324, 2**53 + 1, -(2**53) - 1, 123456789012345678901234567890, 1e21, 0.1, "\ud83d", "😀",
    "\u2028\x00\"\\", {"2": 1, "b": 2, "1": 3}, {"__proto__": {"x": 1}, "constructor": 1}, {"toJSON": 1, "then": 2},
    {"": {}}, [], [[[]]], None, True, {"length": 3}, [1.0, 2], {"hasOwnProperty": None, "valueOf": []},
]  # fmt: skip


async def test_what_is_not_touched_stays_exactly_as_it_was(tmp_path):
    data = {"all": EXACT, "go": True, "10": 1, "9": 2, "\ud83d": 1}
    outcome = await run(tmp_path, "data.all; data.seen = data.all.length; data.all.push('more')", data)

    assert repr(outcome.data["all"]) == repr([*EXACT, "more"])
    assert outcome.data["seen"] == len(EXACT)
    assert list(outcome.data) == ["go", "all", "10", "9", "\ud83d", "seen"]


CASES: list[tuple[str, Any, Any]] = [
    ("data.v = data.v + 1n", 2**60, 2**60 + 1),
    ("data.v = 123456789012345678901234567890n", None, 123456789012345678901234567890),
    ("data.v = 5n", None, 5),
    ("data.v = -0", 1, -0.0),
    ("data.v = 0.1 + 0.2", None, 0.30000000000000004),
    ("data.v = undefined", 1, "gone"),
    ("data.v = () => 1", 1, "gone"),
    ("data.v = NaN", 1, None),
    ("data.v = [undefined, () => 1, NaN, Infinity]", 1, [None, None, None, None]),
    ("data.v = new Date(0)", 1, "1970-01-01T00:00:00.000Z"),
    ("data.v = {at: new Date(0), none: undefined}", 1, {"at": "1970-01-01T00:00:00.000Z"}),
    ("delete data.v", 1, "gone"),
    ("delete data.v.a", {"a": 1, "b": 2}, {"b": 2}),
    ("data.v.length = 1", [1, 2, 3], [1]),
    ("data.v.length = 0", [1, 2, 3], []),
    ("data.v[4] = 1", [1], [1, None, None, None, 1]),
    ("data.v.sort((a, b) => a - b)", [3, 1, 2], [1, 2, 3]),
    ("data.v.reverse()", [1.0, 2.0, 3], [3, 2.0, 1]),
    ("data.v.splice(1, 1)", [1, 2, 3], [1, 3]),
    ("data.v.splice(1, 0, 'x', 'y')", [1, 2], [1, "x", "y", 2]),
    ("data.v.shift()", [{"a": 1}, {"b": 2}], [{"b": 2}]),
    ("data.v.unshift(0)", [1], [0, 1]),
    ("data.v.pop(); data.v.push(4)", [1, 2], [1, 4]),
    ("data.v = [...data.v, ...data.v]", [1], [1, 1]),
    ("data.v = data.v.map(x => ({x}))", ["😀"], [{"x": "😀"}]),
    ("data.v = '\\ud800'", None, "\ud800"),
    ('data.v = JSON.parse(\'{"__proto__": {"x": 1}}\')', 1, {"__proto__": {"x": 1}}),
    ("data.v.b = data.v.a", {"a": [1]}, {"a": [1], "b": [1]}),
    ("data.v = {a: data.v}", {"b": 1}, {"a": {"b": 1}}),
    ("data.v = {toJSON: () => 'shown'}", 1, "shown"),
    ("data.v = new Map([[1, 2]])", 1, {}),
    ("data.v = 'x'.repeat(3)", [1], "xxx"),
    ("Object.assign(data.v, {a: null})", {"a": 1}, {"a": None}),
    ("data.v = null", 1, None),
]


async def test_what_javascript_makes_of_values(tmp_path):
    lines = [f"  async () => {{ {body} }}," for body, _, _ in CASES]
    file = tmp_path / "one.js"
    file.write_text(
        "const CASES = [\n" + "\n".join(lines) + "\n];\n"
        "export const condition = {only: Number, done: null};\n"
        "export const content = async () => { data.done = true; await CASES[data.only](); };\n"
    )
    workspace = Workspace.load(file)
    wrong = []
    outcomes = await run_all(workspace, [{"only": n, "v": before} for n, (_, before, _) in enumerate(CASES)])
    for (body, _, after), outcome in zip(CASES, outcomes, strict=True):
        if repr(outcome.data.get("v", "gone")) != repr(after):
            wrong.append((body, outcome.data.get("v", "gone"), outcome.errors))
    assert wrong == []


async def test_a_bigint_and_a_number_do_not_mix(tmp_path):
    outcome = await run(tmp_path, "data.v = data.v + 1", {"v": 2**60})
    assert outcome.state is TaskState.ERROR
    assert "BigInt" in outcome.errors["one"]["message"] and outcome.data["v"] == 2**60


async def test_data_that_holds_itself_is_refused_with_its_place(tmp_path):
    outcome = await run(tmp_path, "data.v = {}; data.v.w = data.v; data.x = 1", {})
    assert outcome.state is TaskState.ERROR and "data.v" in outcome.errors["one"]["message"]
    assert "x" not in outcome.data


async def test_emptied_data_ends_the_task(tmp_path):
    outcome = await run(tmp_path, "for (const key of Object.keys(data)) delete data[key]", {"v": {"w": 1}})
    assert outcome.state is TaskState.DONE and outcome.data == {}


def some_json(chance: random.Random, depth: int) -> Any:
    pick = chance.random()
    if depth and pick < 0.3:
        return [some_json(chance, depth - 1) for _ in range(chance.randrange(4))]
    if depth and pick < 0.6:
        return {chance.choice(NAMES): some_json(chance, depth - 1) for _ in range(chance.randrange(5))}
    return chance.choice(SCALARS)


NAMES = ("a", "b", "__proto__", "constructor", "1", "0", "length", "then", "toJSON", "", "😀", "\ud800", "a.b")
SCALARS: tuple[Any, ...] = (
    None, True, False, 0, 1.0, -0.0, 2**53 + 1, -(2**64), 1e308, 0.1, "", "x", "\udfff", "1970-01-01", 3,
)  # fmt: skip


async def test_only_what_the_code_changes_is_changed(tmp_path):
    """Random data through a step that does nothing, and through one that rebuilds one member."""
    script(tmp_path, "nothing", "{mode: 'nothing'}", "JSON.stringify(data); Object.keys(data.v); data.mode = 'done'")
    script(tmp_path, "rebuild", "{mode: 'rebuild'}", "data.w = {made: [1, 'x']}; data.mode = 'done'")
    workspace = Workspace.load(tmp_path)
    chance = random.Random(11)
    tasks: list[dict[str, Any]] = [
        {
            "mode": mode,
            "v": {key: some_json(chance, 3) for key in chance.sample(NAMES, 6)},
            "w": some_json(chance, 2),
        }
        for _ in range(30)
        for mode in ("nothing", "rebuild")
    ]
    for data, outcome in zip(tasks, await run_all(workspace, tasks), strict=True):
        wanted = {**data, "mode": "done"}
        if data["mode"] == "rebuild":
            wanted["w"] = {"made": [1, "x"]}
        assert outcome.errors == {}
        assert repr(outcome.data) == repr(wanted)


@pytest.mark.parametrize(
    "body",
    [
        "data.$stash.key = 'ge' + 'heim ä'; console.log(data.$stash.key); throw new Error(data.$stash.key);",
        "await 0; data.$stash = {a: [{key: 'ge' + 'heim ä'}]}; const key = data.$stash.a[0].key; console.log(key); "
        "try { await connectors.utils.sleep({milliseconds: key}) } catch (error) { console.log(error, key) }",
        "data.$stash.key = 'ge' + 'heim ä'; await connectors.keeper.keep({key: data.$stash.key}); data.kept = 1;",
        "data.$stash.key = 'ge' + 'heim ä'; await connectors.keeper.keep({key: data.$stash.key}); throw Error('x');",
        "data.$stash.key = 'ge' + 'heim ä'; console.log(data.$stash.key); data.f = () => 1;",
        "data.$stash.f = () => 1; data.$stash.key = 'ge' + 'heim ä'; throw new Error('x');",
    ],
)
async def test_what_a_run_puts_into_the_stash_is_hidden_from_then_on_however_it_ends(tmp_path, body):
    class Keeper:
        namespace = "keeper"
        methods = ("keep",)
        default = None
        recorded = True

        async def call(self, method, arguments, context):
            assert arguments == {"key": "geheim ä"}
            return {"you said": arguments["key"]}

    workspace = Workspace.load(script(tmp_path, "one", "{go: true}", body), connectors=[Keeper()])
    async with SQLiteStore(tmp_path / "tasks.db") as store:
        handle = store.workspace(workspace.name)
        engine = workspace.engine(handle, cipher=lambda: store.cipher)
        scheduler = Scheduler(engine)
        task = new_task(workspace.name, "task", {"go": True}, via={"type": "api"}, now=engine.clock.now())
        async with scheduler.running():
            await engine.submit([task])
            await scheduler.quiet()
        outcome = await read_outcome(handle, task.id)
        assert outcome.runs
    files = [file.read_bytes() for file in tmp_path.glob("tasks.db*")]
    assert not [file for file in files if b"geheim" in file]
