"""A workspace out of one store and into another: nothing is lost, and nothing is told that is not to be."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py.models import TaskFilter
from aloma_py.store import admin
from aloma_py.store.usage import UsageCounter
from aloma_py.store.variables import Variables
from aloma_py.store.webhooks import WebhookRows

from .places import DAY, PASSPHRASE, SECRET, fill, manifest, members, opened, put

pytestmark = pytest.mark.anyio


async def test_export_import_export_gives_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    async with opened(tmp_path / "a.db") as here:
        ids = await fill(here)
        await put(here, "default", "of another workspace")
        made = await here.ask("orders", "export_workspace", target=str(first), tasks=True, passphrase=PASSPHRASE)
        assert made["counts"]["tasks"] == 3
        assert "2 open tasks would go on here" in made["warning"]
    assert SECRET.encode() not in first.read_bytes()
    assert first.stat().st_mode & 0o777 == 0o600
    async with opened(tmp_path / "b.db") as there:
        usage = UsageCounter(there.store)
        done = await there.ask("orders", "import_workspace", file=str(first), passphrase=PASSPHRASE)
        assert done["left_out"]["secrets"] == []
        await usage.write()
        assert there.rows("SELECT * FROM usage") == []  # calls that were made elsewhere are not counted here
        await there.ask("orders", "export_workspace", target=str(second), tasks=True, passphrase=PASSPHRASE)
        assert Variables(there.store, "orders").secrets() == (SECRET,)
        assert WebhookRows(there.store, "orders").secret(ids["webhook"]) == SECRET + "2"
        parent = await there.store.workspace("orders").get(ids["parent"])
        assert parent.stash is not None
        assert there.store.cipher.decrypt(parent.id, parent.stash) == {"pin": 4711, "odd": "\ud800"}
        shown = await there.ask("orders", "show_workspace")
        assert (shown["title"], shown["state"], shown["limits"]) == ("Orders", "active", {"keep_tasks_days": 90.0})
        calls = await there.store.workspace("orders").calls(ids["done"])
        assert [call.position for call in calls] == [1, 2]
        found = await there.store.workspace("orders").list(TaskFilter(search="7"))
        assert len(found) == 3  # by their references
    assert members(first) == members(second)
    assert admin.verify(tmp_path / "b.db").problems == []


async def test_without_a_passphrase_secrets_are_named_and_left_out(tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    async with opened(tmp_path / "a.db") as here:
        ids = await fill(here)
        await here.ask("orders", "export_workspace", target=str(file), tasks=True)
    facts = manifest(file)
    assert facts["encryption"] is None
    assert facts["left_out"] == {
        "secrets": ["TOKEN"], "webhook_secrets": ["shop"], "connectors": ["shop"], "source": True, "stashes": 1,
        "sources": [], "libraries": {},
    }  # fmt: skip
    async with opened(tmp_path / "b.db") as there:
        await there.ask("other", "import_workspace", file=str(file))
        assert [one["name"] for one in await there.ask("other", "list_variables")] == ["REGION"]
        assert WebhookRows(there.store, "other").secret(ids["webhook"]) is None
        assert (await there.store.workspace("other").get(ids["parent"])).stash is None
        assert (await there.store.workspace("other").get(ids["parent"])).data["$stash"] == {"pin": "Number"}


async def test_a_copy_beside_the_original_has_ids_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    async with opened(tmp_path / "a.db") as here:
        ids = await fill(here)
        await here.ask("orders", "export_workspace", target=str(file), tasks=True, passphrase=PASSPHRASE)
        how = {"file": str(file), "passphrase": PASSPHRASE, "new_ids": True, "new_addresses": True}
        done = await here.ask("copy", "import_workspace", **how)
        tasks = {task.name: task for task in await here.store.workspace("copy").list(TaskFilter())}
        parent, child, last = tasks["parent"], tasks["child"], tasks["done"]
        assert not {task.id for task in tasks.values()} & set(ids.values())
        assert sorted([parent.id, child.id, last.id]) == [parent.id, child.id, last.id]  # they sort as before
        assert (child.parent, child.data["of"]) == (parent.id, parent.id)
        assert last.data["text"] == f"see {child.id}, not task-00000000000000000000"
        blob = await here.store.workspace("copy").get_blob(last.data["file"])
        assert (blob.task, blob.content) == (child.id, b"\x00\xff")
        assert parent.stash is not None
        assert here.store.cipher.decrypt(parent.id, parent.stash)["pin"] == 4711
        webhook = WebhookRows(here.store, "copy").list()[0]
        assert done["new_addresses"] == [{"name": "shop", "path": f"/event/{webhook.id}"}]
        assert webhook.id != ids["webhook"]
        assert WebhookRows(here.store, "copy").secret(webhook.id) == SECRET + "2"
        assert here.rows("SELECT task FROM webhook_key WHERE webhook = ?", webhook.id) == [(last.id,)]
        assert here.rows("SELECT task FROM firing ORDER BY task") == sorted([(ids["done"],), (last.id,)])
    assert admin.verify(tmp_path / "a.db").problems == []


async def test_which_tasks_are_wanted(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as here:
        await here.ask("default", "add_workspace", name="orders")
        await put(here, "orders", "old")
        await put(here, "orders", "open", "waiting")
        here.clock.move_to(here.clock.now() + 10 * DAY)
        await put(here, "orders", "new")

        files = iter(tmp_path / f"{n}.zip" for n in range(9))

        async def names(**wanted: Any) -> list[str]:
            file = next(files)
            await here.ask("orders", "export_workspace", target=str(file), **wanted)
            found = members(file)
            return [line["name"] for line in found.get("tasks.ndjson", [])]

        assert await names() == []
        assert await names(tasks=True) == ["old", "open", "new"]
        assert await names(tasks=True, since="5d") == ["open", "new"]
        assert await names(tasks=True, ended_only=True) == ["old", "new"]
        assert await names(tasks=True, ended_only=True, since="5d") == ["new"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.dictionaries(st.text(st.characters(exclude_categories=()), min_size=1), JSON, max_size=3)))
def test_any_data_comes_back(datas: list[dict[str, Any]]) -> None:
    async def there_and_back(folder: Path) -> None:
        async with opened(folder / "a.db") as here:
            await here.ask("default", "add_workspace", name="orders")
            for data in datas:
                data.pop("$via", None)
                await put(here, "orders", "t", data=data, reason="é\x00")
            before = await here.store.workspace("orders").list(TaskFilter())
            await here.ask("orders", "export_workspace", target=str(folder / "x.zip"), tasks=True)
        async with opened(folder / "b.db") as there:
            await there.ask("orders", "import_workspace", file=str(folder / "x.zip"))
            assert await there.store.workspace("orders").list(TaskFilter()) == before
            entries = [await there.store.workspace("orders").entries(task.id) for task in before]
            assert all(len(found) == 2 for found in entries)

    with tempfile.TemporaryDirectory() as folder:
        anyio.run(there_and_back, Path(folder))


async def test_progress_is_told(tmp_path: Path) -> None:
    from aloma_py.operations.progress import progress

    told: list[tuple[str, int, int]] = []
    token = progress.set(lambda *one: told.append(one))
    async with opened(tmp_path / "a.db") as here:
        await fill(here)
        await here.ask("orders", "export_workspace", target=str(tmp_path / "x.zip"), tasks=True)
        await here.ask("default", "backup", target=str(tmp_path / "b.db"))
    async with opened(tmp_path / "c.db") as there:
        await there.ask("orders", "import_workspace", file=str(tmp_path / "x.zip"))
    progress.reset(token)
    last = {what: (done, total) for what, done, total in told}
    assert {"writing tasks", "copying", "checking the file", "checking tasks", "importing tasks"} <= set(last)
    assert all(done == total for done, total in last.values())


async def test_the_ledger_says_who_exported_and_imported(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as here:
        await fill(here)
        file = str(tmp_path / "x.zip")
        await here.ask("orders", "export_workspace", target=file, passphrase=PASSPHRASE)
        await here.ask("copy", "import_workspace", file=file, passphrase=PASSPHRASE, new_addresses=True)
        found = here.rows("SELECT workspace, action, details FROM ledger WHERE action LIKE '%port_workspace'")
    assert [(workspace, action) for workspace, action, _ in found] == [
        ("orders", "export_workspace"), ("copy", "import_workspace"),
    ]  # fmt: skip
    assert not any(PASSPHRASE in json.dumps(row) for row in found)
