"""A deploy.yaml made true: the plan, applying it, doing it again, and a failure half-way."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from aloma_py.deploy import applying
from aloma_py.deploy.planning import Change, Present, plan
from aloma_py.deploy.reading import read_deployment
from aloma_py.deploy.wanted import ThingWanted, WorkspaceWanted
from aloma_py.errors import InputError, LoadError
from aloma_py.serve.house import House
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

FILE = """\
workspaces:
  - name: orders
    tags: [eu]
    steps: [{syncPath: steps}]
    libraries: [{syncPath: libraries}]
    environment: [{name: URL, value: "https://shop"}]
    secrets: [{name: TOKEN, value: "${TOKEN}"}]
    webhooks: [{name: shop, description: orders come here}]
    schedules: [{name: nightly, cron: "0 3 * * *", data: {run: true}}]
    tasks: [{name: first, data: {a: 1}}]
"""
STEP = (
    "export const condition = {a: Number, b: null};\nexport const content = () => { data.b = lib.tools.inc(data.a) };\n"
)


class Asker:
    """Asks the operations of one workspace of a house."""

    def __init__(self, house: House, workspace: str) -> None:
        self.house = house
        self.workspace = workspace
        self.asked: list[str] = []

    async def call(self, name: str, /, **arguments: Any) -> Any:
        self.asked.append(name)
        return await self.house.find(self.workspace).call(name, arguments)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Asker]:
    async with SQLiteStore(folder / "tasks.db") as store, anyio.create_task_group() as group:
        house = House(store, Settings(store=folder / "tasks.db"), group)
        await house.begin()
        yield Asker(house, "orders")
        group.cancel_scope.cancel()


def written(folder: Path, text: str = FILE) -> WorkspaceWanted:
    for name, content in {"steps/add.js": STEP, "libraries/tools.js": "module.exports = { inc: x => x + 1 };"}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        if not (folder / name).exists():
            (folder / name).write_text(content)
    (folder / "deploy.yaml").write_text(text)
    return read_deployment(folder / "deploy.yaml", {"TOKEN": "very secret"}).workspaces[0]


async def deploy(asker: Asker, wanted: WorkspaceWanted, *, prune: bool = False) -> list[Change]:
    present = await applying.look(asker, wanted)
    changes = plan(wanted, present, prune=prune)
    if present.exists:
        await applying.check(asker, changes)
    await applying.apply(asker, wanted.name, changes)
    return changes


def actions(changes: list[Change]) -> dict[str, str]:
    return {f"{change.kind} {change.name}": change.action for change in changes}


async def test_a_workspace_is_made_and_works(tmp_path: Path) -> None:
    wanted = written(tmp_path)
    async with opened(tmp_path) as asker:
        found = actions(await deploy(asker, wanted))
        assert Counter(found.values()) == {"add": 8}
        [task] = await asker.call("list_tasks")
        with anyio.fail_after(10):
            async for _ in asker.house.find("orders").follow(task["id"]):
                pass
        shown = await asker.call("show_task", id=task["id"])
        assert (shown["state"], shown["data"]["b"], shown["via"]["type"]) == ("done", 2, "deploy")
        assert [one["name"] for one in await asker.call("list_secrets")] == ["TOKEN"]


async def test_to_do_it_again_changes_nothing(tmp_path: Path) -> None:
    wanted = written(tmp_path)
    async with opened(tmp_path) as asker:
        await deploy(asker, wanted)
        again = actions(await deploy(asker, wanted))
        assert again.pop("secret TOKEN") == "set" and set(again.values()) == {"same"}
        assert len(await asker.call("list_tasks")) == 1
        assert len(await asker.call("step_versions", name="add")) == 1


SAME = [
    ("{every: 1m, data: {a: 1}}", "{every: 60s, data: {a: 1}}"),
    ('{cron: "@daily"}', '{cron: "0  0 * * *", zone: UTC}'),
    ('{cron: "0 3 * * *", zone: Europe/Berlin, start: "2026-03-01T09:00"}', None),
    ("{every: 1h, task: beat, tags: [a]}", None),
]
OTHER = [
    ("{every: 1m}", "{every: 61s}"),
    ("{every: 1m}", '{cron: "@daily"}'),
    ('{cron: "@daily"}', "{every: 1m}"),
    ("{every: 1m}", "{every: 1m, enabled: false}"),
    ("{every: 1m}", "{every: 1m, data: {a: 1}}"),
    ("{every: 1m}", '{every: 1m, anchor: "2026-03-01T09:00"}'),
    ("{every: 1m}", "{every: 1m, task: other}"),
    ('{cron: "@daily"}', '{cron: "@daily", zone: Asia/Tokyo}'),
]


@pytest.mark.parametrize(
    ("first", "then", "action"), [(a, b or a, "same") for a, b in SAME] + [(*each, "change") for each in OTHER]
)
async def test_a_schedule_is_compared_by_what_it_means(tmp_path: Path, first: str, then: str, action: str) -> None:
    def asked(facts: str) -> WorkspaceWanted:
        text = f"workspaces: [{{name: orders, schedules: [{{name: beat, {facts[1:-1]}}}]}}]"
        return written(tmp_path, text)

    async with opened(tmp_path) as asker:
        await deploy(asker, asked(first))
        before = await asker.call("show_schedule", name="beat")
        assert actions(await deploy(asker, asked(then)))["schedule beat"] == action
        after = await asker.call("show_schedule", name="beat")
        assert (before == after) is (action == "same")


def test_a_schedule_that_is_over_is_compared_too() -> None:
    old = {"name": "beat", "enabled": True, "cron": "0 3 * * *", "end": "2020-03-01T09:00:00.000Z", "task": "beat"}
    wanted = WorkspaceWanted(
        "w", things=(ThingWanted("schedule", "beat", {"cron": "0 3 * * *", "end": "2020-03-01T09:00"}),)
    )
    found = plan(wanted, Present(exists=True, schedules=(old,)), prune=False)
    assert actions(found)["schedule beat"] == "same"


async def test_only_what_is_different_is_changed_and_only_what_is_listed_is_pruned(tmp_path: Path) -> None:
    wanted = written(tmp_path)
    async with opened(tmp_path) as asker:
        await deploy(asker, wanted)
        await asker.call("add_step", name="by hand", text=STEP.replace("Number", "String"))
        await asker.call("set_variable", name="OTHER", value=1)
        (tmp_path / "steps" / "add.js").write_text(STEP.replace("b: null", "b: null, c: null"))
        text = "workspaces:\n  - name: orders\n    tags: [us]\n    steps: [{syncPath: steps}]\n"
        found = await deploy(asker, written(tmp_path, text))
        assert actions(found) == {"workspace orders": "change", "step add": "change", "step by hand": "left"}
        assert {one["name"] for one in await asker.call("list_steps")} == {"add", "by hand"}
        found = await deploy(asker, written(tmp_path, text), prune=True)
        assert actions(found) == {"workspace orders": "same", "step add": "same", "step by hand": "delete"}
        assert {one["name"] for one in await asker.call("list_steps")} == {"add"}
        assert {one["name"] for one in await asker.call("list_variables")} == {"OTHER", "TOKEN", "URL"}


async def test_a_failure_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    wanted = written(tmp_path)
    async with opened(tmp_path) as asker:
        await deploy(asker, wanted)
        before = [await asker.call(name) for name in ("list_steps", "list_variables", "list_webhooks")]
        (tmp_path / "steps" / "add.js").write_text(STEP.replace("b: null", "b: null, c: null"))
        text = FILE.replace("https://shop", "https://other").replace("[eu]", "[us]")
        text = text.replace("description: orders come here", "secret: for no signature")
        with pytest.raises(applying.DeployError) as caught:
            await deploy(asker, written(tmp_path, text))
        assert "webhook 'shop'" in str(caught.value) and "everything is as it was before" in str(caught.value)
        after = [await asker.call(name) for name in ("list_steps", "list_variables", "list_webhooks")]
        changing = ("updated_at",)
        cut = [[{k: v for k, v in one.items() if k not in changing} for one in part] for part in (*before, *after)]
        assert cut[:3] == cut[3:]
        assert (await asker.call("show_workspace"))["tags"] == ["eu"]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("description: orders come here", "rat: 5", "deploy.yaml:8: .*did you mean 'rate'"),
        ("description: orders come here", "rate: nonsense", "deploy.yaml:8: .*rate is 'nonsense'"),
        ("data: {run: true}", "mised: all", "deploy.yaml:9: .*did you mean 'missed'"),
        ("data: {run: true}", "missed: al", "deploy.yaml:9: .*missed must be one of"),
        ("data: {run: true}", "zone: Europe/Berln", "deploy.yaml:9: .*did you mean 'Europe/Berlin'"),
    ],
)
def test_what_the_server_would_refuse_is_told_with_its_line(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    with pytest.raises(LoadError, match=said):
        written(tmp_path, FILE.replace(right, wrong))


def test_a_time_that_is_none_is_told_when_the_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"deploy\.yaml:9: .*the hour '99' cannot be read"):
        written(tmp_path, FILE.replace("0 3 * * *", "0 99 * * *"))


async def test_a_time_that_is_none_for_the_server_is_told_before_anything_is_changed(tmp_path: Path) -> None:
    wanted = written(tmp_path)
    async with opened(tmp_path) as asker:
        await deploy(asker, wanted)
        asker.asked.clear()
        other = written(tmp_path, FILE.replace("[eu]", "[us]"))
        things = tuple(
            replace(one, facts={**one.facts, "cron": "0 99 * * *"}) if one.kind == "schedule" else one
            for one in other.things
        )
        with pytest.raises(InputError, match="schedule 'nightly'"):
            await deploy(asker, replace(other, things=things))
        assert "update_workspace" not in asker.asked


async def test_a_step_that_cannot_be_loaded_is_told_before_anything_is_changed(tmp_path: Path) -> None:
    wanted = written(tmp_path)
    async with opened(tmp_path) as asker:
        await deploy(asker, wanted)
        (tmp_path / "steps" / "add.js").write_text("export const condition = {a: 1\n")
        asker.asked.clear()
        with pytest.raises(LoadError, match=r"add\.js"):
            await deploy(asker, written(tmp_path, FILE.replace("https://shop", "https://other")))
        assert "set_variable" not in asker.asked


def test_a_plan_for_nothing_is_no_plan() -> None:
    changes = plan(WorkspaceWanted("w"), Present(exists=True), prune=True)
    assert [(one.action, one.call) for one in changes] == [("same", None)]
