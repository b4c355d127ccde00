"""Steps and libraries that are stored, on a served workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.requests import Request

from aloma_py.errors import InputError, LoadError, NotFoundError, StaleVersion, StateError
from aloma_py.operations import Caller, Role
from aloma_py.serve.house import House
from aloma_py.serve.web.app import make_app
from aloma_py.serve.web.guard import Identity
from aloma_py.settings import Settings
from aloma_py.steps.javascript import define
from aloma_py.steps.javascript.define import Checked, JSStep, Program, version_of_text
from aloma_py.store.scripts import ScriptShelf
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

ADA = Caller("ada", Role.DEVELOPER)


def writes(value: str, needs: str = "a", gives: str = "b") -> str:
    return (
        f"export const condition = {{{needs}: Number, {gives}: null}};\n"
        f"export const content = async () => {{\n  data.{gives} = {value};\n}};\n"
    )


class Kit:
    """A house with one workspace, and what tests ask of it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.shelf = ScriptShelf(house.store, "default")

    async def ask(self, operation: str, /, **arguments: Any) -> Any:
        return await self.house.find("default").call(operation, arguments, ADA)

    async def run(self, **data: Any) -> dict[str, Any]:
        """The task of this data when nothing more happens to it."""
        task = await self.ask("new_task", data=data)
        await self.house.served["default"].scheduler.quiet()
        found: dict[str, Any] = await self.ask("show_task", id=task["id"])
        return found

    async def names(self) -> list[str]:
        return [one["name"] for one in await self.ask("list_steps")]


@asynccontextmanager
async def opened(path: str | Path = ":memory:", *sources: Path) -> AsyncIterator[Kit]:
    async with SQLiteStore(path) as store, anyio.create_task_group() as group:
        house = House(store, Settings(script_workers=1), group)
        if sources:
            await house.open("default", [str(one) for one in sources])
        await house.open_all(but="")
        await house.begin()
        yield Kit(house)
        group.cancel_scope.cancel()


async def test_a_stored_step_runs_and_its_runs_name_its_version() -> None:
    async with opened() as kit:
        made = await kit.ask("add_step", name="count", text=writes("data.a + 1"), description="Adds one.")
        assert made == {
            "name": "count", "source": "stored", "suffix": ".js", "version": version_of_text(writes("data.a + 1")),
            "enabled": True, "description": "Adds one.", "created_at": made["created_at"],
            "updated_at": made["created_at"], "updated_by": "ada",
        }  # fmt: skip
        task = await kit.run(a=4)
        assert task["data"]["b"] == 5
        log = await kit.ask("task_log", id=task["id"])
        versions = {entry["version"] for entry in log["entries"] if entry.get("step")}
        assert versions == {made["version"]}
        text = await kit.ask("show_step_version", name="count", version=made["version"])
        assert text["text"] == writes("data.a + 1")
        shown = await kit.ask("show_step", name="count")
        assert (shown["source"], shown["description"], shown["location"]["file"], shown["text"]) == (
            "stored", "Adds one.", "count.js", text["text"],
        )  # fmt: skip


async def test_a_condition_and_a_body_are_a_step() -> None:
    async with opened() as kit:
        await kit.ask("add_step", name="one", condition={"a": "Number", "b": None}, content="data.b = 1; // done")
        assert (await kit.run(a=0))["data"]["b"] == 1
        await kit.ask("update_step", name="one", condition="{a: Number, c: null}", content="data.c = 2;")
        assert (await kit.run(a=0))["data"] == {"a": 0, "c": 2}
        for given in ({}, {"condition": "{}"}, {"condition": "{}", "content": "", "text": "x"}):
            with pytest.raises(InputError):
                await kit.ask("add_step", name="three", **given)


async def test_an_update_takes_effect_for_the_next_wave_of_a_task_under_way() -> None:
    slow = (
        "export const condition = {a: Number, half: null};\n"
        "export const content = async () => { await new Promise(next => setTimeout(next, 300)); data.half = data.a; };"
    )
    async with opened() as kit:
        await kit.ask("add_step", name="slow", text=slow)
        first = await kit.ask("add_step", name="then", text=writes("'old'", "half", "end"))
        task = await kit.ask("new_task", data={"a": 2})
        await state_is(kit, task["id"], "running")
        changed = await kit.ask("update_step", name="then", text=writes("'new'", "half", "end"))
        assert changed["version"] != first["version"]
        assert "half" not in (await kit.ask("show_task", id=task["id"]))["data"], "the first wave is still under way"
        await kit.house.served["default"].scheduler.quiet()
        data = (await kit.ask("show_task", id=task["id"]))["data"]
        assert (data["half"], data["end"]) == (2, "new")


async def state_is(kit: Kit, task: str, state: str) -> None:
    with anyio.fail_after(5):
        while (await kit.ask("show_task", id=task))["state"] != state:
            await anyio.lowlevel.checkpoint()


async def test_a_change_of_another_version_is_refused_and_both_are_named() -> None:
    async with opened() as kit:
        first = await kit.ask("add_step", name="one", text=writes("1"))
        second = await kit.ask("update_step", name="one", text=writes("2"), version=first["version"])
        for name, more in (("update_step", {"text": writes("3")}), ("delete_step", {})):
            with pytest.raises(StaleVersion, match=f"{second['version']}.*{first['version']}"):
                await kit.ask(name, name="one", version=first["version"], **more)
        assert (await kit.ask("show_step", name="one"))["text"] == writes("2")
        assert [one["version"] for one in await kit.ask("step_versions", name="one")] == [
            second["version"], first["version"],
        ]  # fmt: skip


async def test_of_two_changes_of_one_version_at_once_one_is_refused() -> None:
    async with opened() as kit:
        first = await kit.ask("add_step", name="one", text=writes("0"))
        ends: list[str] = []

        async def change(value: int) -> None:
            try:
                await kit.ask("update_step", name="one", text=writes(str(value)), version=first["version"])
                ends.append("changed")
            except StaleVersion:
                ends.append("refused")

        async with anyio.create_task_group() as group:
            for value in (1, 2, 3):
                group.start_soon(change, value)
        assert sorted(ends) == ["changed", "refused", "refused"]
        assert len(await kit.ask("step_versions", name="one")) == 2


BAD = (
    (
        "export const condition = {a: Number};\nexport const content = async () => {\n  if (\n};",
        r"one\.js:\d+: .*column",
    ),
    (writes("1").replace("Number", "Numbr"), r"one\.js:1: step 'one': .*Numbr is not defined"),
    ("export const condition = {a: Number};", r"one\.js:1"),
    ("// \ud800", "half a character"),
    ("/" * 1_000_001, "may have 1000000 bytes"),
)


async def test_what_cannot_be_loaded_is_not_stored() -> None:
    async with opened() as kit:
        for text, message in BAD:
            with pytest.raises(InputError, match=message):
                await kit.ask("add_step", name="one", text=text)
        assert await kit.shelf.all() == []
        await kit.ask("add_step", name="one", text=writes("1"))
        for text, message in BAD:
            with pytest.raises(InputError, match=message):
                await kit.ask("update_step", name="one", text=text)
        assert [one.text for one in await kit.shelf.versions("step", "one")] == [writes("1")]
        assert (await kit.run(a=1))["data"]["b"] == 1, "it goes on as it was"


@pytest.mark.parametrize(
    "name",
    ["", " ", "../up", "a/../b", "/etc/x", "a//b", "a/", ".hidden", "_own", "a\\b", "a\nb", "a\u2028b", "a/versions"],
)
async def test_names_that_cannot_be_files_are_refused(name: str) -> None:
    async with opened() as kit:
        with pytest.raises(InputError, match="name"):
            await kit.ask("add_step", name=name, text=writes("1"))
        assert await kit.shelf.all() == []


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    async with opened(store) as kit:
        await kit.ask("add_library", name="sums", text="export const twice = (n) => n * 2;")
        await kit.ask("add_step", name="one", text=writes("lib.sums.twice(data.a)"))
        await kit.ask("add_step", name="two", text=writes("1"), enabled=False)
        before = await kit.ask("list_steps")
    async with opened(store) as kit:
        assert await kit.ask("list_steps") == before
        assert [(one["name"], one["options"]["enabled"]) for one in before] == [("one", True), ("two", False)]
        assert (await kit.run(a=4))["data"]["b"] == 8


async def test_enabling_disabling_renaming_cloning_and_deleting() -> None:
    async with opened() as kit:
        made = await kit.ask("add_step", name="a/one", text=writes("1"))
        await kit.ask("update_step", name="a/one", enabled=False)
        assert "b" not in (await kit.run(a=1))["data"]
        copy = await kit.ask("clone_step", name="a/one", new_name="two")
        assert (copy["version"], copy["enabled"]) == (made["version"], True)
        assert (await kit.run(a=1))["data"]["b"] == 1
        with pytest.raises(StateError, match="there is a stored step 'two' already"):
            await kit.ask("update_step", name="a/one", new_name="two")
        await kit.ask("update_step", name="a/one", new_name="three", enabled=True)
        assert await kit.names() == ["three", "two"], "a renamed step keeps its place"
        assert len(await kit.ask("step_versions", name="three")) == 1, "nothing but a text makes a version"
        assert [one["deleted"] for one in await kit.ask("step_versions", name="a/one")] == [True, False]
        await kit.ask("delete_step", name="three")
        await kit.ask("delete_step", name="two")
        assert await kit.names() == []
        assert (await kit.run(a=1))["data"]["a"] == 1, "a workspace without steps goes on"
        with pytest.raises(NotFoundError, match="there is no step 'two'"):
            await kit.ask("delete_step", name="two")
        assert (await kit.ask("show_step_version", name="two", version=made["version"]))["text"] == writes("1")


async def test_a_text_that_says_disabled_cannot_be_enabled_beside_it() -> None:
    async with opened() as kit:
        await kit.ask("add_step", name="one", text=writes("1") + "export const disabled = true;")
        with pytest.raises(StateError, match="says that it is disabled"):
            await kit.ask("update_step", name="one", enabled=True)


async def test_steps_of_files_are_read_only_and_can_be_cloned(tmp_path: Path) -> None:
    (tmp_path / "one.js").write_text(writes("1"))
    (tmp_path / "two.py").write_text("from aloma_py import step\n\n\n@step(condition={'x': 1})\ndef two(data): ...\n")
    async with opened(":memory:", tmp_path) as kit:
        for name in ("one", "two"):
            with pytest.raises(StateError, match=rf"'{name}' is from the file .*{name}\.\w+:\d"):
                await kit.ask("update_step", name=name, enabled=False)
            with pytest.raises(StateError, match="is from the file"):
                await kit.ask("add_step", name=name, text=writes("2"))
            with pytest.raises(StateError, match="is from the file"):
                await kit.ask("delete_step", name=name)
        with pytest.raises(StateError, match="is Python"):
            await kit.ask("clone_step", name="two", new_name="three")
        await kit.ask("clone_step", name="one", new_name="three")
        assert {one["name"]: one["source"] for one in await kit.ask("list_steps")} == {
            "one": "file", "two": "file", "three": "stored",
        }  # fmt: skip


async def test_libraries_with_their_functions_and_a_new_text_takes_effect() -> None:
    first = "/** Twice as much. */\nexport const more = (n) => n * 2;\n"
    async with opened() as kit:
        made = await kit.ask("add_library", name="sums", text=first)
        await kit.ask("add_step", name="one", text=writes("lib.sums.more(data.a)"))
        assert (await kit.run(a=5))["data"]["b"] == 10
        listed = await kit.ask("list_libraries")
        assert [(one["name"], one["functions"]) for one in listed] == [("sums", {"more": "Twice as much."})]
        await kit.ask("update_library", name="sums", text=first.replace("2", "3"), version=made["version"])
        assert (await kit.run(a=5))["data"]["b"] == 15
        assert (await kit.ask("show_library", name="sums"))["text"] == first.replace("2", "3")
        with pytest.raises(StaleVersion):
            await kit.ask("update_library", name="sums", text=first, version=made["version"])
        with pytest.raises(LoadError, match=r"sums\.js:1: library 'sums': .*nothing is not defined"):
            await kit.ask("update_library", name="sums", text="nothing();")
        with pytest.raises(InputError, match="a library's name"):
            await kit.ask("add_library", name="../sums", text=first)
        assert (await kit.ask("delete_library", name="sums"))["named_in"] == ["step 'one'"]
        assert await kit.ask("list_libraries") == []


async def test_a_type_that_is_misspelt_in_json_is_pointed_out() -> None:
    condition = {"order": {"id": "Strng", "paid": "boolean", "state": "new", "items": ["Objekt"], "n": "Number"}}
    async with opened() as kit:
        made = await kit.ask("add_step", name="one", condition=condition, content="data.b = 1;")
        assert made["hints"] == [
            "order.id: 'Strng' is that text itself; the type is 'String'",
            "order.paid: 'boolean' is that text itself; the type is 'Boolean'",
            "order.items[0]: 'Objekt' is that text itself; the type is 'Object'",
        ]
        condition = {"order": {"id": "String", "state": "strong"}}
        assert "hints" not in await kit.ask("update_step", name="one", condition=condition, content="data.b = 2;")


async def test_who_names_a_variable_or_secret_is_told_when_it_is_deleted() -> None:
    async with opened() as kit:
        await kit.ask("set_secret", name="TOKEN", value="a-long-secret")
        await kit.ask("set_variable", name="TOKEN_2", value=1)
        await kit.ask("add_step", name="one", text=writes("task.config('TOKEN_2')"))
        assert (await kit.ask("delete_secret", name="TOKEN"))["named_in"] == []
        assert (await kit.ask("delete_variable", name="TOKEN_2"))["named_in"] == ["step 'one'"]


async def test_a_sync_is_all_or_none_and_deletes_only_if_asked() -> None:
    async with opened() as kit:
        one, two = ({"name": name, "text": writes(name)} for name in ("1", "2"))
        plan = await kit.ask("sync_scripts", scripts=[one, two], dry_run=True)
        assert plan["added"] == ["1", "2"] and not plan["applied"]
        assert await kit.shelf.all() == []
        with pytest.raises(LoadError, match=r"^3\.js:1"):
            await kit.ask("sync_scripts", scripts=[one, {"name": "3", "text": "export"}])
        assert await kit.shelf.all() == []
        await kit.ask("sync_scripts", scripts=[one, two])
        await kit.shelf.disable("step", "2", by="ada", at=1)
        again = await kit.ask("sync_scripts", scripts=[{**two, "text": writes("22")}])
        assert (again["changed"], again["left"], again["deleted"]) == (["2"], ["1"], [])
        assert [(step.name, step.enabled) for step in await kit.shelf.all()] == [("1", True), ("2", False)]
        pruned = await kit.ask("sync_scripts", scripts=[two], prune=True)
        assert (pruned["changed"], pruned["deleted"]) == (["2"], ["1"])
        assert await kit.names() == ["2"]
        with pytest.raises(LoadError, match="two texts are called '2'"):
            await kit.ask("sync_scripts", scripts=[two, two])


class Anybody:
    """A guard that lets everybody in."""

    async def identify(self, request: Request) -> Identity:
        return Identity("ada", {"": Role.ADMIN})


async def test_over_http_names_may_have_slashes_and_versions_are_below_them() -> None:
    async with opened() as kit:
        transport = httpx2.ASGITransport(make_app(kit.house.find, Anybody()))
        address = "http://here/api/v1/workspaces/default"
        async with httpx2.AsyncClient(transport=transport) as http:
            made = await http.post(f"{address}/steps", json={"name": "a b/one", "text": writes("1")})
            assert made.status_code == 201
            version = made.json()["version"]
            shown = await http.get(f"{address}/steps/a%20b/one")
            assert (shown.json()["text"], shown.json()["updated_by"]) == (writes("1"), "ada")
            text = await http.get(f"{address}/steps/a%20b/one/versions/{version}")
            assert text.json()["text"] == writes("1")
            assert [one["version"] for one in (await http.get(f"{address}/steps/a%20b/one/versions")).json()] == [
                version
            ]
            copy = await http.post(f"{address}/steps/a%20b/one/clone", json={"new_name": "two"})
            assert copy.status_code == 201
            changed = {"text": writes("2"), "version": version}
            assert (await http.patch(f"{address}/steps/two", json=changed)).status_code == 200
            refused = await http.patch(f"{address}/steps/two", json=changed)
            assert refused.status_code in (409, 412) and version in refused.json()["detail"]
            bad = await http.patch(f"{address}/steps/two", json={"text": "if ("})
            assert bad.status_code == 422 and "two.js:1" in bad.json()["detail"]
            assert (await http.delete(f"{address}/steps/two", params={"version": version})).status_code in (409, 412)
            assert (await http.delete(f"{address}/steps/two")).status_code == 200
            assert (await http.get(f"{address}/steps/two")).status_code == 404
            assert (await http.get(f"{address}/libraries")).json() == []


async def test_workspaces_do_not_see_each_other() -> None:
    async with opened() as kit:
        await kit.ask("add_step", name="one", text=writes("1"))
        other = ScriptShelf(kit.house.store, "other")
        assert (await other.all(), other.names("step"), await other.versions("step", "one")) == ([], [], [])
        with pytest.raises(NotFoundError):
            await other.delete("step", "one", by="ada", at=1)


async def test_of_many_steps_only_what_changed_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[int] = []
    read: list[str] = []
    check, read_steps = define.check, define.read_steps

    def count(programs: Sequence[Program]) -> list[Checked]:
        checked.append(len(programs))
        return check(programs)

    def note(text: str, file: str, *, default_name: str) -> list[JSStep]:
        read.append(file)
        return read_steps(text, file, default_name=default_name)

    monkeypatch.setattr(define, "check", count)
    monkeypatch.setattr(define, "read_steps", note)
    async with opened() as kit:
        scripts = [{"name": f"many {n}", "text": writes(str(n), f"a{n}", f"b{n}")} for n in range(60)]
        await kit.ask("sync_scripts", scripts=scripts)
        assert (checked, len(read)) == ([60], 60), "they are loaded twice, to try them and to bring them in"
        await kit.ask("update_step", name="many 7", text=writes("'changed'", "a7", "b7"))
        assert (checked, read[60:]) == ([60, 1], ["many 7.js"])
        assert (await kit.run(a7=1))["data"]["b7"] == "changed"
