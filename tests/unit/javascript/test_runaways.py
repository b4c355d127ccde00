"""A thousand tasks with a runaway step among every ten: all end, each in its right state."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import anyio
import pytest

from aloma_py import TaskState, Workspace
from aloma_py.intake import new_task
from aloma_py.javascript.job import Surroundings
from aloma_py.javascript.pool import Pool
from aloma_py.javascript.program import Program
from aloma_py.models import Limits
from aloma_py.outcome import read_outcome
from aloma_py.scheduler import Scheduler
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

TASKS: Final = 1_000
EVERY: Final = 10
WAYS: Final = (
    "while (true) {}",
    "await connectors.shop.echo({n: data.n}); while (true) {}",
    "for (;;) await null;",
    "await new Promise(() => setTimeout(() => { while (true) {} }, 1));",
    "/^(a+)+$/.test('a'.repeat(40) + 'b');",
)


class Shop:
    namespace = "shop"
    methods: tuple[str, ...] | None = ("echo",)
    default: str | None = None
    recorded = True

    async def call(self, method: str, arguments: Any, context: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return arguments


@pytest.mark.timeout(180)
async def test_all_end_each_in_its_right_state(tmp_path):
    ways = "".join(f"  if (data.way === {n}) {{ {way} }}\n" for n, way in enumerate(WAYS))
    (tmp_path / "work.js").write_text(
        "export const condition = {n: Number, done: null};\n"
        f"export const content = async () => {{\n{ways}"
        "  const {n} = await connectors.shop.echo({n: data.n});\n"
        "  await new Promise(go => setTimeout(go, 1));\n"
        "  data.done = n * 2;\n};\n"
    )
    workspace = Workspace("test", [tmp_path], connectors=[Shop()], limits=Limits(max_hold=50))
    ended: dict[str, TaskState] = {}
    all_ended = anyio.Event()

    def watch(task: Any, entries: Any) -> None:
        if task.state not in (TaskState.PENDING, TaskState.RUNNING):
            ended[task.id] = task.state
        if len(ended) == TASKS:
            all_ended.set()

    async with SQLiteStore(":memory:") as store:
        engine = workspace.engine(store.workspace("test"), cipher=lambda: store.cipher)
        engine.custody.watchers.append(watch)
        datas = [{"n": n, **({"way": n // EVERY % len(WAYS)} if n % EVERY == 0 else {})} for n in range(TASKS)]
        tasks = [
            new_task("test", str(n), data, via={"type": "api"}, now=engine.clock.now(), limits=Limits())
            for n, data in enumerate(datas)
        ]
        scheduler = Scheduler(engine)
        async with scheduler.running():
            await engine.submit(tasks)
            with anyio.fail_after(150):
                await all_ended.wait()
        assert Counter(ended.values()) == {TaskState.DONE: TASKS * 9 // 10, TaskState.ERROR: TASKS // 10}
        for n, task in enumerate(tasks):
            outcome = await read_outcome(engine.store, task.id)
            if n % EVERY:
                assert outcome.data["done"] == n * 2
            else:
                error = outcome.errors["work"]
                assert error["type"] == "StepTimeout" and "computed for more than 0.05 s" in error["message"]


async def test_an_isolate_of_libraries_that_are_not_used_any_more_is_closed():
    pool = Pool(size=1)
    async with pool.running():
        for n in range(4):
            library = Program("tools", "tools.js", f"module.exports = {{ f: () => {n} }}", "library")
            around = Surroundings(f"shop#{n}", (library,))
            [answer] = await pool.judge(around, CONDITION, '{"n":0}', [f'{{"path":["n"],"value":{n}}}'])
            assert answer == {"value": True}, answer
        [link] = pool.links
        assert list(link._isolates) == ["shop#3"]
        assert len(await pool.judge(around, CONDITION, '{"n":0}', ['{"path":["n"],"value":9}'])) == 1


CONDITION = Program(
    "c", "c.js", "return {condition: () => ({ n: value => value === lib.tools.f() }), content: () => {}}"
)
