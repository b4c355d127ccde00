"""Variables and secrets: how they are kept, asked for and brought in, and how the key is changed."""

from __future__ import annotations

import base64
import json
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner

from aloma_py.cli.app import app
from aloma_py.clock import VirtualClock
from aloma_py.engine import Engine
from aloma_py.errors import InputError, LoadError, NotFoundError, StateError, StoreError
from aloma_py.intake import new_task
from aloma_py.operations import ALL, Caller, Operations, Role, Site
from aloma_py.serve.web.app import PREFIX, make_app
from aloma_py.serve.web.guard import Identity
from aloma_py.settings import Settings
from aloma_py.store import SQLiteStore, rotation
from aloma_py.store.places import SEALED
from aloma_py.store.rotation import check_key, rotate
from aloma_py.store.stash import KEY_VARIABLE, OLD_KEY_VARIABLE, StashCipher, key_file, new_key_file, old_keys_file
from aloma_py.store.variables import Variables

pytestmark = pytest.mark.anyio

SECRET = "correct-horse-battery"
NEW = base64.b64encode(b"n" * 32).decode()


@pytest.fixture(autouse=True)
def no_key_in_the_environment_and_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (KEY_VARIABLE, OLD_KEY_VARIABLE, rotation.NEW_KEY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(rotation, "BATCH", 5)


@asynccontextmanager
async def opened(path: Any = ":memory:", *, reload: Any = None) -> AsyncIterator[Operations]:
    """The operations on the workspace ``default`` of a store."""
    async with SQLiteStore(path) as store:
        engine = Engine(store.workspace("default"), (), clock=VirtualClock(), cipher=lambda: store.cipher)
        yield Operations(Site(engine, store, Settings(), reload=reload))


async def add_stash(store: SQLiteStore, text: str) -> str:
    """A task with a confidential value; gives its id."""
    engine = Engine(store.workspace("default"), (), clock=VirtualClock(), cipher=lambda: store.cipher)
    task = new_task("default", "t", {"$stash": {"token": text}}, via={"type": "api"}, now=engine.clock.now())
    await engine.submit([task])
    return task.id


def assert_nowhere(folder: Path) -> None:
    """The secret is in no file."""
    files = sorted(folder.glob("*"))
    assert files
    assert [file.name for file in files if SECRET.encode() in file.read_bytes()] == []


async def stash_of(store: SQLiteStore, task_id: str) -> dict[str, Any]:
    task = await store.workspace("default").get(task_id)
    assert task.stash is not None
    return store.cipher.decrypt(task_id, task.stash)


# ── kept ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_values_come_back_as_they_were_given_and_secrets_are_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    async with SQLiteStore(path) as store:
        ours, others = Variables(store, "default"), Variables(store, "other")
        assert (ours.values(), ours.secrets()) == ({}, ())
        assert not key_file(path).exists(), "no key is made before it is needed"
        await ours.set("LIMITS", {"a": [1, None, "ü"]}, at=1, by="me")
        await ours.set("NOTHING", None, at=1, by="me")
        await ours.set_secret("api.token-1", SECRET, at=2, by="me", description="of the crm")
        await others.set_secret("api.token-1", "another secret", at=2, by="me")
        assert ours.values() == {"LIMITS": {"a": [1, None, "ü"]}, "NOTHING": None, "api.token-1": SECRET}
        assert (ours.secrets(), others.secrets()) == ((SECRET,), ("another secret",))
        listed = [(one.name, one.secret, one.value, one.description) for one in ours.list()]
        assert listed == [
            ("LIMITS", False, {"a": [1, None, "ü"]}, None),
            ("NOTHING", False, None, None),
            ("api.token-1", True, None, "of the crm"),
        ]
        await ours.set_secret("api.token-1", "changed it", at=3, by="you")
        assert (ours.secrets(), ours.list()[-1].description) == (("changed it",), "of the crm")
    assert_nowhere(tmp_path)


@pytest.mark.parametrize("target", [("default", "B"), ("other", "A")])
async def test_a_secret_moved_elsewhere_cannot_be_read(target: tuple[str, str]) -> None:
    async with SQLiteStore(":memory:") as store:
        await Variables(store, "default").set_secret("A", SECRET, at=1, by="me")
        with store.reading() as connection:
            connection.execute("UPDATE variable SET workspace = ?, name = ?", target)
        with pytest.raises(
            StoreError, match=f"the secret '{target[1]}' of workspace '{target[0]}' is damaged, or belo"
        ):
            Variables(store, target[0]).values()


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "it is empty"), ("a b", "it has ' ' in it"), ("é", "it has 'é' in it"), ("a" * 101, "it has 101 characters"),
     ("a/b", "it has '/' in it"), ("a\n", r"it has '\\n' in it")],
)  # fmt: skip
async def test_a_name_that_cannot_be_is_refused(name: str, why: str) -> None:
    async with SQLiteStore(":memory:") as store:
        variables = Variables(store, "default")
        for work in (variables.set(name, 1, at=1, by="me"), variables.set_secret(name, SECRET, at=1, by="me")):
            with pytest.raises(InputError, match=rf"cannot be used: {why}; 1 to 100 letters, digits, '_', '.' and '-'"):
                await work
        await variables.set("A.b_c-9" + "x" * 93, 1, at=1, by="me")
        for dots in (".", "..", "..."):
            with pytest.raises(InputError, match="nothing but dots, which mean a folder"):
                await variables.set(dots, 1, at=1, by="ann")


@pytest.mark.parametrize("text", ["five5", "  abc  \n", "half \ud800 character", "x" * 16_385])
async def test_a_secret_that_cannot_be_one_is_refused_without_saying_it(text: str) -> None:
    async with SQLiteStore(":memory:") as store:
        with pytest.raises(InputError, match="the secret 'A' ") as caught:
            await Variables(store, "default").set_secret("A", text, at=1, by="me")
        assert text.strip() not in str(caught.value)
        assert Variables(store, "default").list() == []


async def test_no_name_is_of_both_and_the_nearest_is_named() -> None:
    async with SQLiteStore(":memory:") as store:
        variables = Variables(store, "default")
        await variables.set("REGION", "eu", at=1, by="me")
        await variables.set_secret("TOKEN", SECRET, at=1, by="me")
        with pytest.raises(StateError, match="'TOKEN' is a secret, no variable; delete it first"):
            await variables.set("TOKEN", 1, at=2, by="me")
        with pytest.raises(StateError, match="'REGION' is a variable, no secret"):
            await variables.set_secret("REGION", SECRET, at=2, by="me")
        with pytest.raises(StateError, match="there is a secret 'TOKEN' already; nothing was changed"):
            await variables.set_secret("TOKEN", "something else", at=2, by="me", new=True)
        with pytest.raises(NotFoundError, match=r"there is no secret 'TOKN'; did you mean 'TOKEN'\?"):
            await variables.delete("TOKN", secret=True)
        with pytest.raises(NotFoundError, match="there is no variable 'TOKEN'; there are: REGION"):
            await variables.delete("TOKEN", secret=False)
        await variables.delete("TOKEN", secret=True)
        assert variables.values() == {"REGION": "eu"}


# ── asked for ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_operations_change_them_bring_them_in_and_never_tell_a_secret(tmp_path: Path) -> None:
    reloads = []

    async def reload() -> None:
        reloads.append(len(reloads))

    who = Caller("ann", Role.DEVELOPER)
    told = []
    async with opened(tmp_path / "tasks.db", reload=reload) as operations:

        async def ask(name: str, /, **arguments: Any) -> Any:
            told.append(await operations.call(name, arguments, who))
            return told[-1]

        made = await ask("set_secret", name="TOKEN", value=SECRET, description="d")
        assert made["name"] == "TOKEN"
        assert (made["secret"], made["updated_by"], "value" in made) == (True, "ann", False)
        assert (await ask("set_variable", name="N", value=5))["value"] == 5
        assert [one["name"] for one in await ask("list_variables")] == ["N", "TOKEN"]
        assert [one["name"] for one in await ask("list_secrets")] == ["TOKEN"]
        assert (await ask("delete_variable", name="N"))["deleted"] is True
        assert (await ask("delete_secret", name="TOKEN"))["deleted"] is True
        assert reloads == [0, 1, 2, 3]
    assert SECRET not in json.dumps(told)
    assert_nowhere(tmp_path)  # nor in the ledger
    assert {name: ALL[name].least for name in ("set_secret", "delete_secret", "set_variable", "rotate_key")} == {
        "set_secret": Role.DEVELOPER, "delete_secret": Role.DEVELOPER, "set_variable": Role.DEVELOPER,
        "rotate_key": Role.ADMIN,
    }  # fmt: skip
    assert (ALL["set_secret"].hidden, ALL["rotate_key"].hidden) == ({"value"}, {"new_key"})
    assert ALL["rotate_key"].account


async def test_a_workspace_that_cannot_be_loaded_anew_is_told_and_the_change_is_kept() -> None:
    async def reload() -> None:
        raise LoadError("broken", file="a.py", line=3)

    async with opened(reload=reload) as operations:
        answer = await operations.call("set_variable", {"name": "N", "value": 5})
        assert (answer["active"], answer["problem"]) == (
            False, "stored, but the workspace goes on as it was: a.py:3: broken",
        )  # fmt: skip
        assert Variables(operations.site.store, "default").values() == {"N": 5}


class Ann:
    """A guard to whom everybody is a developer."""

    async def identify(self, request: object) -> Identity:
        return Identity("ann", {"": Role.DEVELOPER})


async def test_over_http(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with opened(tmp_path / "tasks.db") as operations:
        transport = httpx2.ASGITransport(make_app(lambda name: operations, Ann()), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=f"http://aloma.test{PREFIX}") as http:

            async def ask(verb: str, path: str, body: Any = None) -> tuple[int, Any]:
                answer = await http.request(verb, f"/workspaces/default{path}", json=body)
                assert SECRET not in answer.text
                return answer.status_code, answer.json()

            status, made = await ask("PUT", "/secrets/TOKEN", {"value": SECRET})
            assert (status, made["name"], made["updated_by"]) == (200, "TOKEN", "ann")
            assert (await ask("PUT", "/variables/NONE", {"value": None}))[1]["value"] is None
            assert (await ask("PUT", "/variables/TOKEN", {"value": 1}))[0] == 409
            for wrong in ({"value": [SECRET]}, {"value": SECRET, "more": 1}, {}, {"value": "abc"}):
                assert (await ask("PUT", "/secrets/OTHER", wrong))[0] == 422
            assert [one["name"] for one in (await ask("GET", "/variables"))[1]] == ["NONE", "TOKEN"]
            assert [one["name"] for one in (await ask("GET", "/secrets"))[1]] == ["TOKEN"]
            assert (await ask("DELETE", "/secrets/NOTHING"))[0] == 404
            assert (await ask("DELETE", "/secrets/TOKEN"))[0] == 200
            assert (await http.post("/key/rotate", json={})).status_code == 403
    assert SECRET not in caplog.text
    assert_nowhere(tmp_path)


# ── the key ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def filled(store: SQLiteStore) -> list[str]:
    """Two secrets, a webhook's secret, and more tasks with confidential values than one transaction takes."""
    await Variables(store, "default").set_secret("A", SECRET, at=1, by="me")
    await Variables(store, "other").set_secret("B", SECRET + "!", at=1, by="me")
    sealed = store.cipher.encrypt("hook-1", {"secret": SECRET})

    def add(connection: sqlite3.Connection) -> None:
        sql = "INSERT INTO webhook (id, workspace, name, options, sealed, created_at, created_by) VALUES (?, ?, ?, ?, ?, 1, ?)"  # noqa: E501
        connection.execute(sql, ("hook-1", "default", "in", "{}", sealed, "me"))

    await rotation._in_writer(store, add)
    return [await add_stash(store, f"stash {n}") for n in range(rotation.BATCH + 3)]


async def readable(store: SQLiteStore, tasks: list[str], only: str | None = None) -> None:
    """Everything of :func:`filled` can be read; with ``only``, all is encrypted with the key of that fingerprint."""
    assert Variables(store, "default").values() == {"A": SECRET}
    assert Variables(store, "other").secrets() == (SECRET + "!",)
    with store.reading() as connection:
        (sealed,) = connection.execute("SELECT sealed FROM webhook").fetchone()
    assert store.cipher.decrypt("hook-1", sealed) == {"secret": SECRET}
    for n, task in enumerate(tasks):
        assert await stash_of(store, task) == {"token": f"stash {n}"}
    if only is not None:
        assert await rotation._fingerprints(store) == {bytes.fromhex(only)}


async def test_a_rotation_encrypts_everything_anew_and_the_next_process_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    async with SQLiteStore(path) as store:
        tasks = await filled(store)
        before = key_file(path).read_text()
        done = await rotate(store)
        assert done.values == len(tasks) + 3
        assert done.damaged == []
        await readable(store, tasks, only=done.fingerprint)
        assert key_file(path).read_text() != before
        assert old_keys_file(path).read_text() == before
        assert not new_key_file(path).exists()
        assert [stat.S_IMODE(file(path).stat().st_mode) for file in (key_file, old_keys_file)] == [0o600, 0o600]
        again = await rotate(store)
        assert (again.before, len(old_keys_file(path).read_text().splitlines())) == (done.fingerprint, 2)
    old_keys_file(path).unlink()
    async with SQLiteStore(path) as store:
        await check_key(store)
        await readable(store, tasks, only=again.fingerprint)


@pytest.mark.parametrize("crash", ["_table_again", "_tasks_again", "_take_over", "in the middle"])
async def test_a_rotation_that_is_interrupted_loses_nothing_and_is_finished_at_the_next_start(
    tmp_path: Path, crash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tasks.db"
    calls = []

    def fail(*arguments: Any) -> Any:
        calls.append(arguments)
        if crash != "in the middle" or len(calls) == 2:
            raise OSError("the power is gone")
        return tasks_again(*arguments)

    tasks_again = rotation._tasks_again
    async with SQLiteStore(path) as store:
        tasks = await filled(store)
        with monkeypatch.context() as patch:
            patch.setattr(rotation, "_tasks_again" if crash == "in the middle" else crash, fail)
            with pytest.raises((OSError, StoreError)):
                await rotate(store)
        await readable(store, tasks)
        late = await add_stash(store, "in between")
    async with SQLiteStore(path) as store:
        await readable(store, tasks)
        assert await stash_of(store, late) == {"token": "in between"}
        await check_key(store)
        assert not new_key_file(path).exists()
        await readable(store, tasks, only=store.cipher.fingerprint)
    async with SQLiteStore(path) as store:
        old_keys_file(path).unlink()
        await readable(store, tasks, only=store.cipher.fingerprint)


async def test_what_was_written_meanwhile_with_the_old_key_is_brought_over_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "tasks.db"
    async with SQLiteStore(path) as store:
        task_id = await add_stash(store, "under way")
        task = await store.workspace("default").get(task_id)
        done = await rotate(store)
        stale = task.stash  # an engine that had the task in hand writes it as it was

        def write_back(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE task SET stash = ? WHERE id = ?", (stale, task_id))

        await rotation._in_writer(store, write_back)
        assert await stash_of(store, task_id) == {"token": "under way"}
    async with SQLiteStore(path) as store:
        await check_key(store)
        assert await rotation._fingerprints(store) == {bytes.fromhex(done.fingerprint)}
        assert await stash_of(store, task_id) == {"token": "under way"}


async def test_a_wrong_key_is_noticed_and_both_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tasks.db"
    async with SQLiteStore(path) as store:
        await check_key(store)
        assert not key_file(path).exists(), "nothing is encrypted: no key is needed"
        await add_stash(store, "x")
        await check_key(store)
        right = store.cipher.fingerprint
    wrong = StashCipher(b"w" * 32).fingerprint
    monkeypatch.setenv(KEY_VARIABLE, base64.b64encode(b"w" * 32).decode())
    for work in (check_key, rotate):
        async with SQLiteStore(path) as store:
            with pytest.raises(StoreError, match=f"encrypted with the key {right}, but the key given is {wrong}: "):
                await work(store)
    monkeypatch.delenv(KEY_VARIABLE)
    key_file(path).rename(tmp_path / "kept")
    async with SQLiteStore(path) as store:
        with pytest.raises(StoreError, match=f"encrypted with the key {right}, but there is no key file"):
            await check_key(store)
        assert not key_file(path).exists(), "a new key would help nobody"


async def test_a_key_of_the_environment_is_changed_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tasks.db"
    monkeypatch.setenv(KEY_VARIABLE, base64.b64encode(b"k" * 32).decode())
    async with opened(path) as operations:
        store = operations.site.store
        tasks = await filled(store)
        with pytest.raises(InputError, match=f"comes from the environment variable {KEY_VARIABLE}: give the new one"):
            await operations.call("rotate_key", {})
        with pytest.raises(InputError, match="the argument new_key holds no key") as caught:
            await operations.call("rotate_key", {"new_key": "geheim!"})
        assert "geheim" not in str(caught.value)
        with pytest.raises(InputError, match="the new key is the present one"):
            await rotate(store, b"k" * 32)
        answer = await operations.call("rotate_key", {"new_key": NEW})
        assert answer["next"].startswith(f"before the next start, put the new key into {KEY_VARIABLE}")
        await readable(store, tasks, only=StashCipher(b"n" * 32).fingerprint)
    assert not key_file(path).exists()
    assert not new_key_file(path).exists()
    monkeypatch.setenv(OLD_KEY_VARIABLE, base64.b64encode(b"n" * 32).decode())
    async with SQLiteStore(path) as store:  # nobody has changed the environment, but the other key is there too
        await check_key(store)
        await readable(store, tasks, only=StashCipher(b"k" * 32).fingerprint)


async def test_a_damaged_value_keeps_nothing_else_from_being_encrypted_anew(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "tasks.db") as store:
        first, second = [await add_stash(store, text) for text in ("one", "two")]

        def damage(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE task SET stash = substr(stash, 1, 30) WHERE id = ?", (first,))

        await rotation._in_writer(store, damage)
        done = await rotate(store)
        assert done.damaged == [f"the $stash of task {first} is damaged, or belongs elsewhere"]
        assert (done.values, await stash_of(store, second)) == (1, {"token": "two"})


# ── the command line ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def call(*words: str, stdin: str | None = None, status: int = 0) -> str:
        result = CliRunner().invoke(app, words, input=stdin)
        assert result.exit_code == status, result.output
        return result.output

    said = call("secret", "add", "TOKEN", "--description", "of the crm", stdin=f"{SECRET}\n")
    said += call("secret", "add", "TOKEN", stdin="something else", status=2)
    Path("value.txt").write_text(SECRET + "!\r\n")
    said += call("secret", "set", "TOKEN", "-f", "value.txt")
    said += call("secret", "set", "SHORT", stdin="abc", status=2)
    said += call("secret", "set", "NONE", "-f", "nothing.txt", status=2)
    said += call("env", "set", "REGION", "eu")
    said += call("env", "set", "LIMIT", '{"a": 5}', "--parse", "--json")
    said += call("env", "set", "LIMIT", "{", "--parse", status=2)
    listed = json.loads(call("env", "list", "--json"))
    assert [(one["name"], one.get("value"), one["description"]) for one in listed] == [
        ("LIMIT", {"a": 5}, None), ("REGION", "eu", None), ("TOKEN", None, "of the crm"),
    ]  # fmt: skip
    said += call("env", "list") + call("secret", "list")
    said += call("secret", "rotate-key")
    assert "encrypted 1 value with the key" in said
    said += call("env", "delete", "REGIN", status=2)
    assert "there is no variable 'REGIN'; did you mean 'REGION'?" in said
    said += call("env", "delete", "REGION") + call("secret", "delete", "TOKEN")
    assert json.loads(call("secret", "list", "--json")) == []
    assert SECRET not in said


async def test_every_table_with_encrypted_values_is_known(tmp_path: Path) -> None:
    """A table that was forgotten would keep the old key's values, and a key file that is lost be made anew."""
    async with SQLiteStore(tmp_path / "tasks.db") as store:
        with store.reading() as reader:
            sql = (
                "SELECT m.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c "
                "WHERE m.type = 'table' AND c.name = 'sealed'"
            )
            found = {name for (name,) in reader.execute(sql)}
    assert found == {one.table for one in SEALED}


@pytest.mark.parametrize("error", [InputError("a step is wrong"), StoreError("the disk is away")])
async def test_what_is_stored_and_cannot_be_taken_in_is_told_as_that(tmp_path: Path, error: Exception) -> None:
    async def reload() -> None:
        raise error

    async with opened(tmp_path / "tasks.db", reload=reload) as operations:
        answer = await operations.call("set_variable", {"name": "N", "value": 5})
        assert (answer["active"], answer["problem"]) == (False, f"stored, but the workspace goes on as it was: {error}")
        assert Variables(operations.site.store, "default").values() == {"N": 5}
