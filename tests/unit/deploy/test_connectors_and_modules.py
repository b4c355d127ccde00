"""The connectors and modules of a deploy.yaml made true, done again, pruned, and taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aloma_py.deploy import applying
from aloma_py.deploy.planning import Change, plan
from aloma_py.deploy.reading import read_deployment
from aloma_py.errors import InputError

from .test_deploying import Asker, actions, deploy, opened

pytestmark = pytest.mark.anyio

ALOMAS = """\
company: ACME
workspaces:
  - name: orders
    environment: [{name: SHOP, value: "https://shop.example"}]
    secrets: [{name: SHOP_TOKEN, value: "the-token-of-the-shop"}]
    connectors:
      - connectorName: hubspot.com (private)
        config: {apiToken: "${TOKEN}"}
      - connectorName: http
        name: The shop
        namespace: shop
        config: {base_url: "$${SHOP}/api", bearer_token: "$${SHOP_TOKEN}"}
      - file: connector.json
"""
STEP = "from aloma_py import step\n\n\n@step(condition={{'{name}': 1}})\ndef {name}(data):\n    data.{name} = 2\n"


def wanted(folder: Path, text: str = ALOMAS, token: str = "very secret") -> Any:
    (folder / "connector.json").write_text(
        '{"connectorName": "http", "namespace": "other", '
        '"config": {"base_url": "https://o", "bearer_token": "${TOKEN}"}}'
    )
    for name in ("one", "two", "broken"):
        (folder / f"{name}.py").write_text(STEP.format(name=name) if name != "broken" else "import not_there\n")
    (folder / "deploy.yaml").write_text(text)
    return read_deployment(folder / "deploy.yaml", {"TOKEN": token}).workspaces[0]


def of(changes: list[Change], kind: str) -> dict[str, str]:
    return {one.name: one.action for one in changes if one.kind == kind}


async def shown(asker: Asker) -> list[dict[str, Any]]:
    return [{**one, "updated_at": ""} for one in await asker.call("list_connectors")]


async def test_a_file_of_alomas_deploys_with_a_connector_that_nobody_offers(tmp_path: Path) -> None:
    async with opened(tmp_path) as asker:
        found = await deploy(asker, wanted(tmp_path))
        assert of(found, "connector") == {"hubspotCom": "add", "shop": "add", "other": "add"}
        [warning] = [one.warning for one in found if one.warning]
        assert warning.endswith("is of the kind 'hubspot.com (private)', which no installed plugin offers")
        states = {one["namespace"]: (one["state"], one["name"]) for one in await shown(asker)}
        assert states == {
            "hubspotCom": ("unavailable", "hubspot.com (private)"), "shop": ("ready", "The shop"),
            "other": ("ready", "http"),
        }  # fmt: skip
        again = await deploy(asker, wanted(tmp_path))
        assert set(of(again, "connector").values()) == {"same"}
        assert [one.warning for one in again if one.warning] == [warning]
    for file in tmp_path.glob("tasks.db*"):  # noqa: ASYNC240
        assert b"very secret" not in file.read_bytes()


async def test_only_what_is_different_is_changed_and_pruned(tmp_path: Path) -> None:
    async with opened(tmp_path) as asker:
        await deploy(asker, wanted(tmp_path))
        before = {one["namespace"]: one["updated_at"] for one in await asker.call("list_connectors")}
        found = await deploy(asker, wanted(tmp_path, token="another secret"))
        assert of(found, "connector") == {"hubspotCom": "change", "shop": "same", "other": "change"}
        assert {one.note for one in found if one.action == "change"} == {"config"}
        after = {one["namespace"]: one["updated_at"] for one in await asker.call("list_connectors")}
        assert after["shop"] == before["shop"]
        text = ALOMAS.replace("      - file: connector.json\n", "")
        found = await deploy(asker, wanted(tmp_path, text, "another secret"))
        assert of(found, "connector") == {"hubspotCom": "same", "shop": "same", "other": "left"}
        silent = "workspaces:\n  - name: orders\n"
        assert of(await deploy(asker, wanted(tmp_path, silent), prune=True), "connector") == {}
        found = await deploy(asker, wanted(tmp_path, text, "another secret"), prune=True)
        assert of(found, "connector")["other"] == "delete"
        assert [one["namespace"] for one in await shown(asker)] == ["hubspotCom", "shop"]


async def test_a_failure_half_way_puts_connectors_and_their_secrets_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as asker:
        await deploy(asker, wanted(tmp_path))
        before = await shown(asker)
        text = ALOMAS.replace("      - file: connector.json\n", "").replace("hubspot.com (private)", "slack.com")
        text = text.replace("The shop", "Our shop").replace("the-token-of-the-shop", "short")
        with pytest.raises(applying.DeployError, match="everything is as it was before"):
            await deploy(asker, wanted(tmp_path, text, "another secret"), prune=True)
        assert await shown(asker) == before
        again = await deploy(asker, wanted(tmp_path))
        assert set(of(again, "connector").values()) == {"same"}, "their secrets are what they were"


@pytest.mark.parametrize(("old", "new", "said"), [
    ("base_url:", "base_ulr:", "http: there is no field 'base_ulr'; did you mean 'base_url'?"),
    ("namespace: shop", "namespace: fetch", "there is a connector 'fetch' already; give another namespace"),
    ("namespace: shop", "namespace: other", "there is a connector 'other' already, at line 9"),
    ("namespace: shop", "namespace: a-b", "a letter first"),
])  # fmt: skip
async def test_what_is_wrong_is_told_before_anything_is_changed(tmp_path: Path, old: str, new: str, said: str) -> None:
    async with opened(tmp_path) as asker:
        with pytest.raises(InputError) as caught:
            await deploy(asker, wanted(tmp_path, ALOMAS.replace(old, new)))
        assert said in str(caught.value) and "secret" not in str(caught.value)
        assert [one["name"] for one in await asker.call("list_workspaces")] == ["default"]


MODULES = "workspaces:\n  - name: orders\n    modules: [{}]\n"


async def test_modules_are_given_to_the_workspace(tmp_path: Path) -> None:
    async with opened(tmp_path) as asker:
        found = await deploy(asker, wanted(tmp_path, MODULES.format("one.py, two.py")))
        one, two = str(tmp_path / "one.py"), str(tmp_path / "two.py")
        assert of(found, "module") == {one: "add", two: "add"}
        assert sum(change.call is not None for change in found if change.kind == "module") == 1
        assert {step["name"] for step in await asker.call("list_steps")} == {"one", "two"}
        again = await deploy(asker, wanted(tmp_path, MODULES.format("one.py, two.py")))
        assert actions(again) == {"workspace orders": "same", f"module {one}": "same", f"module {two}": "same"}
        found = await deploy(asker, wanted(tmp_path, MODULES.format("two.py")))
        assert of(found, "module") == {two: "same", one: "left"}
        found = await deploy(asker, wanted(tmp_path, MODULES.format("two.py, one.py")), prune=True)
        assert of(found, "module") == {two: "change", one: "same"}
        assert (await asker.call("show_workspace"))["sources"] == [two, one]
        found = await deploy(asker, wanted(tmp_path, MODULES.format("two.py")), prune=True)
        assert of(found, "module") == {two: "same", one: "delete"}
        assert (await asker.call("show_workspace"))["sources"] == [two]


async def test_modules_that_cannot_be_loaded_are_told_first_and_what_was_done_is_taken_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as asker:
        await deploy(asker, wanted(tmp_path, MODULES.format("one.py")))
        one = str(tmp_path / "one.py")
        text = MODULES.format("one.py, broken.py") + "    environment: [{name: A, value: 1}]\n"
        asker.asked.clear()
        with pytest.raises(InputError, match="not_there"):
            await deploy(asker, wanted(tmp_path, text))
        assert "set_variable" not in asker.asked
        text = MODULES.format("two.py") + "    secrets: [{name: A, value: short}]\n"
        with pytest.raises(applying.DeployError, match="everything is as it was before"):
            await deploy(asker, wanted(tmp_path, text), prune=True)
        assert (await asker.call("show_workspace"))["sources"] == [one]
        assert [step["name"] for step in await asker.call("list_steps")] == ["one"]


async def test_a_step_may_move_from_the_store_to_a_module(tmp_path: Path) -> None:
    async with opened(tmp_path) as asker:
        await asker.call("add_workspace", name="orders")
        await asker.call(
            "add_step", name="one", text="export const condition = {a: 1}; export const content = () => 1;"
        )
        found = await deploy(asker, wanted(tmp_path, MODULES.format("one.py") + "    steps: []\n"), prune=True)
        assert (of(found, "step"), [*of(found, "module").values()]) == ({"one": "delete"}, ["add"])
        [step] = await asker.call("list_steps")
        assert (step["name"], step["source"]) == ("one", "file")


async def test_a_plan_says_what_comes_where_there_is_no_workspace_yet(tmp_path: Path) -> None:
    asked = wanted(tmp_path, ALOMAS + "    modules: [one.py]\n")
    async with opened(tmp_path) as asker:
        found = plan(asked, await applying.look(asker, asked), prune=False)
        assert {one.action for one in found} == {"add"}
        assert [one.name for one in found if one.warning] == ["hubspotCom"]
        assert not [name for name in asker.asked if name.startswith(("add", "put", "set"))]
