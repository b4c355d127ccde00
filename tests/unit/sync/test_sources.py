"""A workspace becomes what its repository says: all of it, or it stays as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from aloma_py.clock import VirtualClock
from aloma_py.engine import Engine
from aloma_py.errors import AlomaError, InputError, LoadError, NotFoundError, StateError
from aloma_py.jsontext import dumps
from aloma_py.operations import Caller, Operations, Role, Site, sources
from aloma_py.operations.sources import check_options
from aloma_py.serve.house import idle_operations
from aloma_py.settings import Settings
from aloma_py.steps import load_steps
from aloma_py.store.ledger import Ledger
from aloma_py.store.scripts import ScriptShelf
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

from .gitserver import Repository, new_key, step_of, web_server

pytestmark = pytest.mark.anyio

TOKEN = "a-heron-stands-by-the-weir"
ADMIN = Caller("ada", Role.ADMIN)
LIBRARY = "export const one = () => 1;\n"


class World:
    def __init__(self, store: SQLiteStore, steps: Any = ()) -> None:
        self.store = store
        self.clock = VirtualClock()
        engine = Engine(store.workspace("default"), steps, clock=self.clock)
        self.site = Site(engine, store, Settings())
        self.operations = Operations(self.site)

    async def ask(self, name: str, /, *, who: Caller | None = None, **arguments: Any) -> Any:
        return await self.operations.call(name, arguments, *([who] if who else []))

    async def refused(self, kind: type[AlomaError], name: str, /, **arguments: Any) -> str:
        with pytest.raises(kind) as raised:
            await self.ask(name, **arguments)
        return str(raised.value)

    async def stored(self) -> dict[str, str]:
        return {
            f"{one.kind} {one.name}{one.suffix}": one.text for one in await ScriptShelf(self.store, "default").all()
        }

    def noted(self) -> list[Any]:
        return [(one.who, one.action, one.details) for one in reversed(Ledger(self.store).list())]


@asynccontextmanager
async def opened(place: Path | str = ":memory:", steps: Any = ()) -> AsyncIterator[World]:
    async with SQLiteStore(place, key=b"k" * 32) as store:
        yield World(store, steps)


def names(plan: Any, kind: str = "steps") -> dict[str, list[str]]:
    return {word: plan[kind][word] for word in plan[kind] if plan[kind][word]}


# ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_workspace_follows_its_repository(repository: Repository) -> None:
    first = repository.commit(
        {"steps/a.js": step_of("a"), "steps/x/b c.mts": step_of("b"), "libraries/u.js": LIBRARY, "steps/p.py": "boom"}
    )
    async with opened() as world:
        shown = await world.ask("set_source", url=str(repository.path))
        assert (shown["commit"], shown["next_at"], shown["automatic"], shown["every"]) == (None, None, False, 300_000)
        plan = await world.ask("plan_source")
        assert names(plan) == {"added": ["a", "x/b c"]} and names(plan, "libraries") == {"added": ["u"]}
        assert (plan["applied"], plan["commit"], plan["branch"]) == (False, first, "main")
        assert plan["skipped"] == [{"path": "steps/p.py", "why": "Python on the server comes from whoever serves it"}]
        assert await world.stored() == {} and (await world.ask("show_source"))["commit"] is None
        assert {**(await world.ask("sync_source")), "applied": False} == plan
        assert await world.stored() == {
            "step a.js": step_of("a"), "step x/b c.mts": step_of("b"), "library u.js": LIBRARY,
        }  # fmt: skip
        shown = await world.ask("show_source")
        assert (shown["commit"], shown["commit_branch"], shown["author"], shown["title"], shown["edited"]) == (
            first, "main", "Ada <ada@example.org>", "a change", False,
        )  # fmt: skip
        assert names(await world.ask("sync_source")) == {"unchanged": ["a", "x/b c"]}
        assert world.noted()[1:] == [("local", "sync_source", {
            "commit": first, "branch": "main", "author": "Ada <ada@example.org>", "title": "a change",
            "steps": {"added": ["a", "x/b c"]}, "libraries": {"added": ["u"]},
        })]  # fmt: skip


async def test_edits_are_overwritten_and_others_deleted(repository: Repository) -> None:
    repository.commit({"steps/a.js": step_of("a"), "steps/b.js": step_of("b"), "libraries/u.js": LIBRARY})
    async with opened() as world:
        await world.ask("add_library", name="ours", text=LIBRARY)
        await world.ask("set_source", url=str(repository.path))
        await world.ask("sync_source")
        assert "library ours.js" not in await world.stored()
        await world.ask("update_step", name="a", text=step_of("edited"))
        await world.ask("add_step", name="more", text=step_of("more"))
        await world.ask("update_step", name="b", enabled=False)
        assert (await world.ask("show_source"))["edited"]
        repository.commit({"steps/b.js": step_of("bb"), "steps/a.js": step_of("a")})
        plan = await world.ask("sync_source", who=ADMIN)
        assert names(plan) == {"changed": ["a", "b"], "deleted": ["more"]}
        assert names(plan, "libraries") == {"left": ["u"]}  # there is no folder that speaks of libraries
        assert sorted(await world.stored()) == ["library u.js", "step a.js", "step b.js"]
        assert not ScriptShelf(world.store, "default").get("step", "b").enabled  # as `step sync` leaves it
        assert world.noted()[-1][0] == "ada"
        assert [one["by"] for one in await world.ask("step_versions", name="a")] == ["ada", "local", "local"]


async def test_disabled_and_built_steps(repository: Repository) -> None:
    built = '{"name": "and so/on", "content": {"if": "{a: String}", "do": "data.b = 1", "enabled": false}}'
    repository.commit({"export/steps/and__so__on.step.json": built})
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path))
        await world.ask("sync_source")
        listed: Any = await idle_operations(world.store, Settings()).call("list_steps", {})
        assert [(one["name"], one["options"]["enabled"]) for one in listed] == [("and so/on", False)]


BROKEN = "export const condition = { b: String };\nexport const content = async () => {\n  data.q = ;\n};\n"


@pytest.mark.parametrize(("files", "said"), [
    ({"steps/bad one.js": BROKEN}, "steps/bad one.js:3: step 'bad one': column 10"),
    ({"src/steps/bad.mts": BROKEN}, "src/steps/bad.mts:3"),
    ({"steps/u.js": step_of("u"), "libraries/u.js": "export const one = () => {\n  return 1 +;\n};\n"},
     "libraries/u.js:2"),
    ({"export/steps/x.step.json": '{"name": "x", "content": {"if": "{a: String}", "do": "a();\\ndata.b = ;"}}'},
     "export/steps/x.step.json: step 'x': line 2 of its code"),
    ({"steps/two.js": step_of("a") + step_of("b")}, "steps/two.js:1: step 'two': one condition and one content"),
    ({"steps/clone.js": step_of("a"), "steps/x/clone.js": step_of("a")}, "a part after a slash cannot be one of"),
    ({"steps/a.js": step_of("a"), "libraries/deep/u.js": LIBRARY}, "libraries/deep/u.js: a library's name must be"),
    ({"steps/big.js": step_of("a") + "/" * 1_000_001}, "steps/big.js: the text of a step may have"),
])  # fmt: skip
async def test_what_cannot_be_loaded_leaves_everything_as_it_was(
    repository: Repository, files: Mapping[str, str], said: str
) -> None:
    repository.commit({"steps/a.js": step_of("a"), "libraries/u.js": LIBRARY})
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path))
        await world.ask("sync_source")
        before, commit = await world.stored(), (await world.ask("show_source"))["commit"]
        repository.commit({"steps/good.js": step_of("good"), **files} if "steps/good.js" not in files else files)
        if not any(path.startswith("steps/") for path in files):
            repository.commit(files)
        assert said in await world.refused(LoadError, "plan_source")
        assert said in await world.refused(LoadError, "sync_source")
        shown = await world.ask("show_source")
        assert (await world.stored(), shown["commit"]) == (before, commit)
        assert said in shown["error"] and shown["failures"] == 1
        assert len(world.noted()) == 2
        repository.commit({"steps/a.js": step_of("a"), "libraries/u.js": LIBRARY})
        await world.ask("sync_source")
        assert (await world.ask("show_source"))["error"] is None


async def test_a_name_that_a_served_step_has(repository: Repository, tmp_path: Path) -> None:
    served = tmp_path / "served.py"
    served.write_text("from aloma_py import step\n\n@step(condition={'x': 1})\ndef close(data):\n    data.y = 1\n")
    repository.commit({"steps/close.js": step_of("a")})
    async with opened(steps=load_steps(str(served)).steps) as world:
        await world.store.workspace("default").set_facts(sources=[str(served)])
        await world.ask("set_source", url=str(repository.path))
        said = await world.refused(LoadError, "sync_source")
        assert said.startswith("steps/close.js: the step 'close' is served from") and "served.py" in said
        assert await world.stored() == {}


async def test_where_it_cannot_be_reached(repository: Repository) -> None:
    repository.commit({"steps/a.js": step_of("a")})
    async with opened() as world:
        with web_server({"flows": repository}, "git", TOKEN) as served:
            await world.ask("set_source", url=f"{served.url}/flows", password=TOKEN, branch="main")
            await world.ask("sync_source")
        assert "cannot be reached" in await world.refused(StateError, "sync_source")
        shown = await world.ask("show_source")
        assert "cannot be reached" in shown["error"] and shown["commit"] is not None
        assert "step a.js" in await world.stored()


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_secrets_are_kept_encrypted_and_shown_to_nobody(tmp_path: Path) -> None:
    key = new_key()[1]
    async with opened(tmp_path / "aloma.db") as world:
        await world.ask("set_source", url="https://git.example.org/a", user="ada", password=TOKEN, hook_secret=TOKEN)
        shown = await world.ask("show_source")
        assert (shown["user"], shown["secrets"]) == ("ada", ["password", "hook_secret"])
        await world.ask("set_source", url="git@example.org:a", ssh_key=key, password="", hook_secret="", host_key="any")
        shown = await world.ask("show_source")
        assert (shown["secrets"], shown["host_key"], shown["user"]) == (["ssh_key"], "any", "git")
        told = repr((shown, world.noted()))
        assert TOKEN not in told and "PRIVATE" not in told
    held = b"".join(file.read_bytes() for file in [*tmp_path.iterdir()] if file.is_file())  # noqa: ASYNC240
    assert TOKEN.encode() not in held and b"PRIVATE" not in held


async def test_secrets_do_not_follow_the_address_to_another_host() -> None:
    async with opened() as world:
        await world.ask("set_source", url="https://git.example.org/a", password=TOKEN)
        await world.ask("set_source", url="https://git.example.org/b")  # the same host
        for url in ("https://evil.example.org/a", "https://git.example.org:8443/a", "git@git.example.org:a"):
            said = await world.refused(InputError, "set_source", url=url)
            assert "this is another host: give it again" in said
        assert (await world.ask("set_source", url="https://evil.example.org/a", password=""))["secrets"] == []


async def test_the_user_of_an_address_counts_where_no_other_is_given() -> None:
    async with opened() as world:
        assert (await world.ask("set_source", url="https://ada@example.org/a"))["user"] == "ada"
        assert (await world.ask("set_source", url="https://example.org/b"))["user"] == "ada"
        assert (await world.ask("set_source", url="https://bob@example.org/b"))["user"] == "bob"
        assert (await world.ask("set_source", url="https://bob@example.org/b", user="eve"))["user"] == "eve"
        assert (await world.ask("set_source", url="https://other.org/b"))["user"] is None


async def test_the_ledger_has_some_of_very_many_names(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "NOTED", 2)
    repository.commit({f"steps/{name}.js": step_of(name) for name in "abcd"})
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path))
        await world.ask("sync_source")
        assert world.noted()[-1][2]["steps"] == {"added": ["a", "b", "… and 2 more"]}


async def test_what_is_not_given_stays_and_an_empty_text_takes_away() -> None:
    async with opened() as world:
        first = await world.ask(
            "set_source", url="https://git.example.org/a", branch="main", folder="/flows/", user="ada", every="10m"
        )
        assert (first["folder"], first["every"]) == ("flows", 600_000)
        second = await world.ask("set_source", automatic=True, branch="", user="")
        assert second == {
            **first, "branch": None, "user": None, "automatic": True, "next_at": second["next_at"],
        }  # fmt: skip
        assert second["next_at"] is not None
        third = await world.ask("rotate_source_hook")
        assert third["hook"] != first["hook"] and len(third["hook"]) >= len("/hook/") + 32
        viewer = await world.ask("show_source", who=Caller("v", Role.VIEWER))
        assert viewer["hook"] is None
        assert (await world.ask("delete_source"))["deleted"]
        assert "follows no repository" in await world.refused(NotFoundError, "show_source")
        for name in ("plan_source", "sync_source", "delete_source", "rotate_source_hook"):
            await world.refused(NotFoundError, name)


@pytest.mark.parametrize(("given", "said"), [
    ({}, "url is missing"),
    ({"url": "git://example.org/x"}, "git:// is refused"),
    ({"url": "https://example.org/x", "ssh_key": "x"}, "ssh_key is for ssh"),
    ({"url": "https://example.org/x", "host_key": "any"}, "host_key is for ssh"),
    ({"url": "git@example.org:x", "ssh_key": "hunter2"}, "no private key"),
    ({"url": "git@example.org:x", "host_key": "hunter2"}, "host_key has a line that is no host key"),
    ({"url": "https://example.org/x", "branch": "a..b"}, "cannot be the name of a branch"),
    ({"url": "https://example.org/x", "branch": "\ud800"}, "cannot be the name of a branch"),
    ({"url": "https://example.org/x", "folder": "../x"}, "no folder of a repository"),
    ({"url": "https://example.org/x", "user": "a:b"}, "without a colon"),
    ({"url": "https://example.org/x", "password": "hunter2\n"}, "password must be a text"),
    ({"url": "https://example.org/x", "every": "29s"}, "from 30s to 30d was expected"),
    ({"url": "https://example.org/x", "every": "soon"}, "every must be a duration"),
    ({"url": "/srv/x", "password": "hunter2"}, "takes no user and no password"),
])  # fmt: skip
async def test_settings_that_are_refused(given: dict[str, Any], said: str) -> None:
    async with opened() as world:
        told = await world.refused(InputError, "set_source", **given)
        assert said in told and "hunter2" not in told
        assert world.noted() == []


@pytest.mark.parametrize(("options", "said"), [
    ({}, "the url is empty"),
    ({"url": "/srv/x"}, "only for whoever asks on its machine"),
    ({"url": "https://example.org/x", "branche": "main"}, "did you mean 'branch'?"),
    ({"url": "https://example.org/x", "every": "1h"}, "every is str"),
    ({"url": "https://example.org/x", "every": 5}, "from 30s to 30d"),
    ({"url": 5}, "url is int"),
    ({"url": "https://example.org/x", "branch": ["main"]}, "branch is list"),
    ({"url": "https://example.org/x", "folder": "../x"}, "no folder of a repository"),
    ({"url": "https://example.org/x", "secrets": ["passwort"]}, "did you mean 'password'?"),
])  # fmt: skip
def test_options_that_come_from_a_file(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as raised:
        check_options(options, local=False)
    assert said in str(raised.value)
    check_options({"url": "https://example.org/x", "branch": None, "secrets": ["password"]}, local=False)
    check_options({"url": "/srv/x"}, local=True)


async def test_a_row_that_has_less_than_we_write(repository: Repository) -> None:
    repository.commit({"steps/a.js": step_of("a")})
    async with opened() as world:
        await world.ask("set_source", url=str(repository.path))
        sql = "UPDATE source SET hook = NULL, options = ?"
        text = dumps({"url": str(repository.path)})
        await world.store.writer.write(Write(job=lambda connection: connection.execute(sql, (text,))))
        assert (await world.ask("show_source"))["hook"] is None
        assert names(await world.ask("sync_source")) == {"added": ["a"]}
        assert (await world.ask("show_source"))["commit"] is not None
        assert (await world.ask("set_source", branch="main"))["hook"] is not None


async def test_folders_are_for_the_local_caller_only(repository: Repository) -> None:
    repository.commit({"steps/a.js": step_of("a")})
    async with opened() as world:
        with pytest.raises(InputError, match="only for whoever asks on its machine"):
            await world.ask("set_source", who=ADMIN, url=str(repository.path))
        await world.ask("set_source", url=str(repository.path))
        await world.ask("set_source", who=ADMIN, branch="main")
        assert names(await world.ask("sync_source", who=ADMIN)) == {"added": ["a"]}
        with pytest.raises(InputError, match="only for whoever asks on its machine"):
            await world.ask("set_source", who=ADMIN, url=str(repository.path.parent / "other"))


async def test_a_secret_that_an_import_left_out_is_still_asked_for() -> None:
    async with opened() as world:
        await world.ask("set_source", url="https://127.0.0.1:9/x", hook_secret="a-long-enough-secret")
        sql = "UPDATE source SET sealed = NULL"
        await world.store.writer.write(Write(job=lambda connection: connection.execute(sql)))
        shown = await world.ask("set_source", password=TOKEN)
        assert shown["secrets"] == ["password", "hook_secret"]
        assert (await world.ask("set_source", hook_secret=""))["secrets"] == ["password"]
