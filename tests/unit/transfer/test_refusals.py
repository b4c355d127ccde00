"""What cannot be imported is refused before anything is written, and what was interrupted leaves nothing open."""

from __future__ import annotations

import io
import json
import signal
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from aloma_py.errors import AlomaError, InputError, StateError, StoreFull
from aloma_py.models import TaskFilter
from aloma_py.operations import LOCAL, Caller, Role
from aloma_py.store import importing
from aloma_py.store.claims import clear_interrupted
from aloma_py.store.workspaces import WorkspaceRecords
from aloma_py.transfer import ArchiveWriter
from aloma_py.transfer.manifest import read_manifest

from .places import NOW, PASSPHRASE, Place, fill, opened, put

pytestmark = pytest.mark.anyio

Lines = list[dict[str, Any]]


def rewritten(file: Path, folder: Path, member: str, change: Callable[[Any], Any]) -> Path:
    """The export with a member changed, and hashes that fit: as whoever wants to do harm would make it."""
    with zipfile.ZipFile(file) as before:
        contents = {name: before.read(name) for name in before.namelist()}
    manifest = read_manifest(contents.pop("manifest.json"))
    text = contents[member].decode()
    if member.endswith(".ndjson"):
        lines = [json.loads(line) for line in text.splitlines()]
        changed = change(lines)
        contents[member] = "".join(json.dumps(line) + "\n" for line in changed or lines).encode()
    elif member.endswith(".json"):
        value = json.loads(text)
        contents[member] = json.dumps(change(value) or value).encode()
    else:
        contents[member] = change(text).encode()
    out = io.BytesIO()
    writer = ArchiveWriter(out, NOW)
    for name, content in contents.items():
        writer.add(name, content)
    writer.finish(manifest)
    target = folder / "changed.zip"
    target.write_bytes(out.getvalue())
    return target


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store (a.db) and the export of what is in it (x.zip), without secrets (plain.zip) too."""
    folder = tmp_path_factory.mktemp("kept")

    async def make() -> None:
        async with opened(folder / "a.db") as here:
            await fill(here)
            await here.ask(
                "orders", "export_workspace", target=str(folder / "x.zip"), tasks=True, passphrase=PASSPHRASE
            )
            await here.ask("orders", "export_workspace", target=str(folder / "plain.zip"), tasks=True)

    anyio.run(make)
    return folder


async def nothing_is_there(there: Place) -> None:
    for table in ("task", "entry", "call", "blob", "script", "variable", "webhook", "schedule", "source", "connector"):
        assert there.rows(f"SELECT count(*) FROM {table}") == [(0,)], table
    assert there.rows("SELECT name FROM workspace") == []


def put_in(key: str, value: Any, at: int = 0) -> Callable[[Lines], None]:
    return lambda lines: lines[at].update({key: value})


@pytest.mark.parametrize(
    ("member", "change", "said"),
    [
        ("steps/and/greet.ts", lambda text: text + "}", "and/greet.ts"),
        ("libraries/money.js", lambda text: "export const cents = (", "money.js"),
        ("scripts.json", lambda found: found[1].update(name="other"), "the file of the step 'other' cannot be"),
        ("scripts.json", lambda found: found[0].update(name="../../x"), "cannot be"),
        ("scripts.json", lambda found: found + found[:1], "two of the scripts library 'money'"),
        ("scripts.json", lambda found: {"a": 1}, "scripts.json cannot be used: Expected `array`"),
        ("workspace.json", lambda found: found.update(limits={"max_rums": 1}), "did you mean 'max_runs'?"),
        ("workspace.json", lambda found: found.update(title="\x1b[31m"), "printable text"),
        ("variables.json", lambda found: found[0].update(name="a b"), "the name 'a b' cannot be used"),
        ("webhooks.json", lambda found: found[0].update(id="../x"), "an id that no address can have"),
        ("webhooks.json", lambda found: found[0].update(options={"sig": 1}), "there is no option of a webhook 'sig'"),
        ("schedules.json", lambda found: found[0].update(options={}), "options of the schedule 'nightly' cannot be"),
        ("tasks.ndjson", put_in("state", "lost", 1), "line 2 of tasks.ndjson cannot be used"),
        ("tasks.ndjson", put_in("data", [], 2), "line 3 of tasks.ndjson cannot be used: its data is no object"),
        ("tasks.ndjson", put_in("tags", [1]), "its tags are no texts"),
        ("tasks.ndjson", put_in("id", "a b"), "'a b' is no id of a task"),
        ("tasks.ndjson", put_in("last_entry", 5), "its history should have 5 entries, but there are 2"),
        ("tasks.ndjson", put_in("ended_at", None, 2), "it is done, but does not say when it ended"),
        ("tasks.ndjson", put_in("cycle", {"runs": -1}), "numbers that cannot be"),
        ("tasks.ndjson", put_in("cycle", [], 1), "cannot be read"),
        ("tasks.ndjson", put_in("cycle", {"ordinals": {"a": "1"}}), "Expected `int`, got `str`"),
        ("tasks.ndjson", put_in("cycle", {"retries": {"a": ["1", 2]}}), "Expected `int`, got `str`"),
        ("tasks.ndjson", put_in("cycle", {"retries": {"a": [1, 2**62]}}), "cannot be read"),
        ("tasks.ndjson", put_in("revision", 2**63 - 1), "numbers that cannot be"),
        ("tasks.ndjson", put_in("created_at", 2**62), "line 1 of tasks.ndjson cannot be used"),
        ("tasks.ndjson", put_in("expires_at", -(2**62)), "line 1 of tasks.ndjson cannot be used"),
        ("webhooks.json", lambda found: found[0].update(last_at=2**62), "webhooks.json cannot be used"),
        ("webhook_keys.ndjson", put_in("webhook", "somebody-elses"), "no webhook 'somebody-elses' in the file"),
        ("firings.ndjson", put_in("schedule", "somebody-elses"), "no schedule 'somebody-elses' in the file"),
        ("tasks.ndjson", put_in("stash", "AAAA"), "the encrypted value of 'stash task-"),
        ("tasks.ndjson", lambda lines: lines + lines[-1:], "its history should have 2 entries"),
        ("tasks.ndjson", lambda lines: lines[:2], "is not there, or not in this order"),
        ("history.ndjson", lambda lines: lines[::-1], "should have 2 entries"),
        ("history.ndjson", put_in("changes", 7), "cannot be read"),
        ("calls.ndjson", put_in("task", "nobody", -1), "the task 'nobody' is not there"),
        ("blobs.ndjson", put_in("content", "?", 1), "line 2 of blobs.ndjson cannot be used"),
        ("secrets.json", lambda found: found["variables"].update(TOKEN="AAAA"), "of 'variable TOKEN' is damaged"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_told_and_nothing_is_written(
    tmp_path: Path, kept: Path, member: str, change: Callable[[Any], Any], said: str
) -> None:
    file = rewritten(kept / "x.zip", tmp_path, member, change)
    async with opened(tmp_path / "b.db") as there:
        with pytest.raises(InputError) as caught:
            await there.ask("orders", "import_workspace", file=str(file), passphrase=PASSPHRASE)
        assert said in str(caught.value)
        await nothing_is_there(there)


async def test_a_wrong_passphrase_writes_nothing(tmp_path: Path, kept: Path) -> None:
    file = kept / "x.zip"
    async with opened(tmp_path / "b.db") as there:
        for given, said in (({"passphrase": "wrong horse"}, "is not the one"), ({}, "is missing")):
            with pytest.raises(InputError, match=said):
                await there.ask("orders", "import_workspace", file=str(file), **given)
        await nothing_is_there(there)


async def test_a_parent_that_is_not_in_the_file_is_none_of_the_store(tmp_path: Path, kept: Path) -> None:
    file = rewritten(kept / "plain.zip", tmp_path, "tasks.ndjson", put_in("parent", "task-of-others", 1))
    async with opened(tmp_path / "b.db") as there:
        for name, more in (("orders", {}), ("copy", {"new_ids": True, "new_addresses": True})):
            await there.ask(name, "import_workspace", file=str(file), **more)
            tasks = {task.name: task for task in await there.store.workspace(name).list(TaskFilter())}
            assert (tasks["child"].parent, tasks["child"].into) == (None, None)


async def test_where_there_is_something_already(tmp_path: Path, kept: Path) -> None:
    file = kept / "x.zip"
    how = {"file": str(file), "passphrase": PASSPHRASE}
    async with opened(kept / "a.db") as here:
        for name, more, said in (
            ("orders", {}, "the workspace 'orders' is not empty, it has tasks, blobs, files, steps and libraries"),
            ("copy", {}, "the store has tasks of the file already"),
            ("copy", {"new_ids": True}, "the addresses of the file already (shop, the repository's)"),
            ("a/b", {}, "the workspace's name 'a/b' cannot be used"),
        ):
            with pytest.raises(InputError) as caught:
                await here.ask(name, "import_workspace", **how, **more)
            assert said in str(caught.value)
        assert [name for (name,) in here.rows("SELECT name FROM workspace")] == ["orders"]
    async with opened(tmp_path / "b.db") as there:
        await there.ask("default", "add_workspace", name="orders", title="Mine", tags=["x"])
        await there.ask("orders", "archive_workspace")
        with pytest.raises(StateError, match="the workspace 'orders' is archived"):
            await there.ask("orders", "import_workspace", **how)
        await there.ask("orders", "archive_workspace", unarchive=True)
        await there.ask("orders", "import_workspace", **how)  # it is empty
        assert (await there.ask("orders", "show_workspace"))["title"] == "Orders"


@pytest.mark.parametrize("before", [False, True])
async def test_what_fails_half_way_is_taken_out(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    file = kept / "x.zip"

    def full(*_: Any) -> None:
        raise StoreFull("there is no room left")

    async with opened(tmp_path / "b.db") as there:
        if before:
            await there.ask("default", "add_workspace", name="orders", title="Mine")
        seen = there.rows("SELECT * FROM workspace")
        with monkeypatch.context() as patched:
            patched.setattr(importing, "_numbered", full)
            with pytest.raises(StoreFull):
                await there.ask("orders", "import_workspace", file=str(file), passphrase=PASSPHRASE)
        assert there.rows("SELECT * FROM workspace") == seen
        assert there.rows("SELECT count(*) FROM task") == there.rows("SELECT count(*) FROM webhook") == [(0,)]
        await there.ask("orders", "import_workspace", file=str(file), passphrase=PASSPHRASE)
        assert len(await there.store.workspace("orders").list(TaskFilter())) == 3


KILLED = """
import os, signal, sys
from pathlib import Path
import anyio
from aloma_py.store import importing
from aloma_py.cli.app import app

def kill(connection, calls):
    os.kill(os.getpid(), signal.SIGKILL)

insert = importing._insert
def insert_and_die(connection, rows):
    insert(connection, rows)
    connection.commit()  # what was written until now is on the disk
    kill(connection, rows)

importing._insert = insert_and_die
app.main(["workspace", "import", sys.argv[2], "--store", sys.argv[1]])
"""


async def test_after_a_kill_the_workspace_is_closed_and_can_be_imported_again(tmp_path: Path, kept: Path) -> None:
    file, store = kept / "plain.zip", tmp_path / "b.db"
    done = await anyio.run_process([sys.executable, "-c", KILLED, str(store), str(file)], check=False)
    assert done.returncode == -signal.SIGKILL
    async with opened(store) as there:
        assert there.rows("SELECT count(*) FROM task") == [(3,)]
        assert (await there.ask("orders", "show_workspace"))["state"] == "importing"
        for operation, arguments in (("new_task", {"data": {}}), ("archive_workspace", {"unarchive": True})):
            with pytest.raises(AlomaError, match="is being imported"):
                await there.ask("orders", operation, **arguments)
        await there.ask("orders", "import_workspace", file=str(file))
        shown = await there.ask("orders", "show_workspace")
        assert (shown["state"], sum(shown["tasks"].values())) == ("active", 3)
        assert await clear_interrupted(there.store) == []


async def test_maintenance_takes_out_what_an_import_left(tmp_path: Path) -> None:
    async with opened(tmp_path / "b.db") as there:
        await put(there, "orders", "left")
        await put(there, "other", "of another workspace")
        facts = {"archived_at": NOW, "importing": {"id": "x", "before": None}}
        await WorkspaceRecords(there.store).change("orders", lambda _: facts)
        assert await clear_interrupted(there.store) == ["orders"]
        assert there.rows("SELECT name, workspace FROM task") == [("of another workspace", "other")]
        assert there.rows("SELECT name FROM workspace") == [("other",)]


@pytest.mark.parametrize("who", [LOCAL, Caller("ann@example.org", Role.ADMIN)], ids=["on the machine", "elsewhere"])
async def test_a_source_that_is_a_folder_of_the_server_comes_from_whoever_is_there(
    kept: Path, tmp_path: Path, who: Caller
) -> None:
    def name_a_folder(source: Any) -> Any:
        return {**source, "options": {**source["options"], "url": "/srv/steps"}}

    file = rewritten(kept / "plain.zip", tmp_path, "source.json", name_a_folder)
    async with opened(tmp_path / "b.db") as place:
        operations = place.of("other")
        given = {"file": str(file)}
        answer = await operations.call("import_workspace", given, who)
        followed = place.rows("SELECT json_extract(options, '$.url') FROM source")
        if who is LOCAL:
            assert (followed, "warning" in answer) == ([("/srv/steps",)], False)
        else:
            assert followed == []
            assert "it does not follow the folder /srv/steps of the server" in answer["warning"]


async def test_the_options_of_a_source_are_held_to_what_they_may_be(kept: Path, tmp_path: Path) -> None:
    def too_often(source: Any) -> Any:
        return {**source, "options": {**source["options"], "every": 1}}

    file = rewritten(kept / "plain.zip", tmp_path, "source.json", too_often)
    async with opened(tmp_path / "b.db") as place:
        with pytest.raises(InputError, match="30s"):
            await place.ask("other", "import_workspace", file=str(file))
        assert place.rows("SELECT * FROM source") == []
