"""A workspace's connectors: how they are kept, asked for and brought in, and what steps find of them."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, SecretStr

from aloma_py import plugins
from aloma_py.connect.connector import CallContext
from aloma_py.connect.kinds import Kinds
from aloma_py.errors import AlomaError, CallError, InputError, NotFoundError, StaleTask, StateError, StoreError
from aloma_py.models import Json
from aloma_py.operations import ALL, Caller, Role
from aloma_py.serve.house import House
from aloma_py.settings import Settings
from aloma_py.store import connectors
from aloma_py.store.connectors import ConnectorStore
from aloma_py.store.rotation import rotate
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

pytestmark = pytest.mark.anyio

TOKEN = "correct-horse-battery"


class CrmConfig(BaseModel):
    """``address`` is where it is."""

    address: str
    token: SecretStr
    fails: bool = False


class Crm:
    methods: tuple[str, ...] | None = ("find", "leak", "hold")
    default: str | None = None
    recorded = True

    def __init__(self, kind: CrmKind, namespace: str, config: CrmConfig) -> None:
        self.kind, self.namespace, self.config = kind, namespace, config

    async def call(self, method: str, arguments: Json, context: CallContext) -> Json:
        token = self.config.token.get_secret_value()
        if method == "leak":
            raise CallError(f"the token {token} is refused", 401)
        if method == "hold":
            self.kind.held.set()
            await self.kind.go.wait()
        return {"at": self.config.address, "length": len(token)}

    async def aclose(self) -> None:
        self.kind.closed += 1


class CrmKind:
    """What a plugin offers."""

    name = "crm.example"
    title = "CRM"
    description = "Customers."
    config = CrmConfig

    def __init__(self) -> None:
        self.made = self.closed = 0
        self.held, self.go = anyio.Event(), anyio.Event()

    def make(self, namespace: str, config: CrmConfig) -> Crm:
        if config.fails:
            raise ValueError(f"no way with {config.token.get_secret_value()}")
        self.made += 1
        return Crm(self, namespace, config)

    async def check(self, connector: Crm) -> str | None:
        if connector.config.address == "nowhere":
            raise OSError(f"{connector.config.token.get_secret_value()} leads nowhere")
        return f"it is at {connector.config.address}"


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch) -> CrmKind:
    made = CrmKind()
    installed = plugins.installed()
    kinds = Kinds([*installed.kinds, made])
    monkeypatch.setattr(plugins, "installed", lambda: plugins.Installed(kinds, installed.namespaces, ()))
    return made


class World:
    def __init__(self, store: SQLiteStore, house: House, folder: Path) -> None:
        self.store, self.house, self.folder = store, house, folder

    async def ask(self, operation: str, /, who: Caller | None = None, workspace: str = "default", **given: Any) -> Any:
        operations = self.house.find(workspace)
        return await (operations.call(operation, given) if who is None else operations.call(operation, given, who))

    async def add(self, **given: Any) -> Any:
        config = {"address": "https://crm.example", "token": TOKEN, **given.pop("config", {})}
        return await self.ask("add_connector", kind="crm.example", config=config, **given)

    async def step(self, code: str, name: str = "one") -> None:
        """Have a Python step that runs ``code`` where ``{name: 1}`` is given."""
        place = self.folder / f"{name}.py"
        place.write_text(
            f"from aloma_py import step\n\n\n@step(condition={{'{name}': 1}})\n"
            f"async def {name}(data, connectors, log):\n    {code}\n"
        )
        sources = (await self.ask("show_workspace"))["sources"]
        await self.ask("set_modules", modules=[*sources, str(place)])

    async def run(self, name: str = "one") -> Any:
        task = await self.ask("new_task", name="t", data={name: 1})
        with anyio.fail_after(20):
            async for _ in self.house.find("default").follow(task["id"]):
                pass
        return await self.ask("show_task", id=task["id"])


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[World]:
    async with SQLiteStore(folder / "tasks.db") as store, anyio.create_task_group() as group:
        house = House(store, Settings(store=folder / "tasks.db"), group)
        await house.begin()
        yield World(store, house, folder)
        for name in list(house.served):
            await house.close(name)
        group.cancel_scope.cancel()


def assert_nowhere(folder: Path) -> None:
    """The token is in no file of the store."""
    files = sorted(folder.glob("tasks.db*"))
    assert files
    assert [file.name for file in files if TOKEN.encode() in file.read_bytes()] == []


# ── kept ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_connector_is_added_shown_changed_and_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        made = await world.add(name="Our CRM", tags=["eu", "eu"])
        assert (made["namespace"], made["name"], made["kind"], made["tags"]) == (
            "crmExample", "Our CRM", "crm.example", ["eu"],
        )  # fmt: skip
        assert (made["config"], made["secrets"]) == ({"address": "https://crm.example"}, ["token"])
        assert (made["state"], made["problem"], made["updated_by"]) == ("ready", None, "local")
        shown = await world.ask("show_connector", name="Our CRM")
        assert shown == {key: value for key, value in made.items() if key != "active"}
        changed = await world.ask("update_connector", name="crmExample", config={"fails": True}, rename="Theirs",
                                  namespace="theirs", tags=[], enabled=False)  # fmt: skip
        assert changed["config"] == {"address": "https://crm.example", "fails": True}
        assert (changed["namespace"], changed["name"], changed["tags"]) == ("theirs", "Theirs", [])
        assert changed["state"] == "disabled"
        changed = await world.ask("update_connector", name="theirs", config={"fails": None}, enabled=True)
        assert (changed["config"], changed["secrets"]) == ({"address": "https://crm.example"}, ["token"])
        assert [one["namespace"] for one in await world.ask("list_connectors")] == ["theirs"]
        assert (await world.ask("delete_connector", name="theirs"))["deleted"] is True
        assert await world.ask("list_connectors") == []
        with pytest.raises(NotFoundError):
            await world.ask("show_connector", name="theirs")


async def test_a_configuration_is_on_disk_encrypted_and_survives_a_new_key(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.add()
        await world.ask("update_connector", name="crmExample", namespace="moved", rename="x")
        await rotate(world.store)
        [kept] = ConnectorStore(world.store, "default").list()
        assert kept.config["token"] == TOKEN
        ledger = await world.ask("audit")
        assert {line["action"] for line in ledger} == {"add_connector", "update_connector"}
        assert TOKEN not in json.dumps(ledger)
    assert_nowhere(tmp_path)


async def test_one_that_cannot_be_decrypted_is_told_and_the_others_are_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.add()
        await world.add(namespace="other")
        sql = "UPDATE connector SET namespace = 'moved' WHERE namespace = 'other'"
        await world.store.writer.write(Write(job=lambda connection: connection.execute(sql)))
        found = {one["namespace"]: (one["state"], one["problem"]) for one in await world.ask("list_connectors")}
        assert found["crmExample"] == ("ready", None)
        assert found["moved"][0] == "unavailable" and "is damaged, or belongs elsewhere" in found["moved"][1]
        with pytest.raises(StateError, match="only with another configuration"):
            await world.ask("update_connector", name="moved", namespace="elsewhere")
        changed = await world.ask("update_connector", name="moved", rename="Old one", enabled=False)
        assert (changed["name"], changed["state"]) == ("Old one", "disabled")
        back = "UPDATE connector SET namespace = 'other' WHERE namespace = 'moved'"
        await world.store.writer.write(Write(job=lambda connection: connection.execute(back)))
        assert ConnectorStore(world.store, "default").get("other").config["token"] == TOKEN  # nothing of it is lost
        await world.store.writer.write(Write(job=lambda connection: connection.execute(sql)))
        await world.ask("update_connector", name="moved", enabled=True)
        mended = await world.ask("update_connector", name="moved", config={"address": "a", "token": TOKEN})
        assert mended["state"] == "ready"


@pytest.mark.parametrize(("given", "error", "said"), [
    ({"kind": "crm.exampel"}, InputError, "did you mean 'crm.example'?; there are: crm.example, http"),
    ({"kind": "hubspot.com"}, InputError, "no installed plugin offers a connector 'hubspot.com'; there are:"),
    ({"kind": ""}, InputError, "no installed plugin offers"),
    ({"config": {"address": 7}}, InputError, "crm.example: the field 'address': Input should be a valid string"),
    ({"config": {"adress": "x"}}, InputError, "there is no field 'adress'; did you mean 'address'?"),
    ({"config": {"address": None}}, InputError, "the field 'address' is missing"),
    ({"config": {"token": "x" * 300_000}}, InputError, "at most 262,144 are allowed"),
    ({"namespace": "a.b"}, InputError, "a letter first"),
    ({"namespace": "fetch"}, StateError, "there is a connector 'fetch' already; give another namespace"),
    ({"namespace": "utils"}, StateError, "there is a connector 'utils' already"),
    ({"namespace": "taken"}, StateError, "there is a connector 'taken' already"),
    ({"name": "a\nb"}, InputError, "printable text of 1 to 200 characters"),
    ({"tags": ["x" * 201]}, InputError, "at most 100 tags"),
])  # fmt: skip
async def test_what_cannot_be_added_is_told(
    tmp_path: Path, given: dict[str, Any], error: type[AlomaError], said: str
) -> None:
    async with opened(tmp_path) as world:
        await world.add(namespace="taken")
        config = {"address": "https://crm.example", "token": TOKEN, **given.get("config", {})}
        with pytest.raises(error) as caught:
            await world.ask("add_connector", **{"kind": "crm.example", **given, "config": config})
        assert said in str(caught.value)
        assert TOKEN not in str(caught.value)
        assert len(await world.ask("list_connectors")) == 1


async def test_a_namespace_cannot_become_one_that_is_taken(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.add()
        await world.add(namespace="other", name="crm.example")
        for namespace in ("other", "fetch"):
            with pytest.raises(StateError, match="already"):
                await world.ask("update_connector", name="crmExample", namespace=namespace)
        with pytest.raises(InputError, match=r"several connectors are named 'crm\.example'"):
            await world.ask("show_connector", name="crm.example")


async def test_who_changed_it_first_counts(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.add()
        kept = ConnectorStore(world.store, "default")
        before = kept.get("crmExample")
        await world.ask("update_connector", name="crmExample", rename="other")
        with pytest.raises(StaleTask, match="changed by somebody else"):
            await kept.change(before, before)


async def test_who_may_do_what() -> None:
    looking = {name for name in ALL if "connector" in name and ALL[name].least is Role.VIEWER}
    assert looking == {"list_connectors", "list_connector_kinds", "show_connector", "connector_calls"}
    changing = {name for name in ALL if "connector" in name} - looking
    assert {ALL[name].least for name in changing} == {Role.DEVELOPER}
    assert ALL["set_modules"].least is Role.ADMIN
    for name in ("add_connector", "update_connector", "put_connector"):
        assert ALL[name].hidden == {"config"}


async def test_the_kinds_that_there_are_with_their_fields(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        found = {one["name"]: one for one in await world.ask("list_connector_kinds")}
        assert [*found] == ["crm.example", "http"]
        assert (found["crm.example"]["title"], found["crm.example"]["description"]) == ("CRM", "Customers.")
        fields = [(one["name"], one["required"], one["secret"]) for one in found["crm.example"]["fields"]]
        assert fields == [("address", True, False), ("token", True, True), ("fails", False, False)]


# ── in steps ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_steps_have_a_connector_as_soon_as_it_is_there(tmp_path: Path, kind: CrmKind) -> None:
    async with opened(tmp_path) as world:
        await world.step("data.one = (await connectors.crmExample.find()).at if connectors.crmExample else 'none'")
        assert (await world.run())["data"]["one"] == "none"
        await world.add()
        assert (await world.run())["data"]["one"] == "https://crm.example"
        await world.ask("update_connector", name="crmExample", config={"address": "https://other.example"})
        assert (await world.run())["data"]["one"] == "https://other.example"
        await world.ask("update_connector", name="crmExample", enabled=False)
        assert (await world.run())["data"]["one"] == "none"
        await world.ask("update_connector", name="crmExample", enabled=True)
        assert (await world.run())["data"]["one"] == "https://other.example"
        await world.ask("delete_connector", name="crmExample")
        assert (await world.run())["data"]["one"] == "none"
        assert kind.made == kind.closed == 3
    async with opened(tmp_path) as world:
        await world.add()
        await world.house.open("default")
        assert (await world.run())["data"]["one"] == "https://crm.example"
    assert kind.made == kind.closed == 4, "whoever serves closes what it made"


async def test_a_run_under_way_keeps_what_it_has(tmp_path: Path, kind: CrmKind) -> None:
    async with opened(tmp_path) as world:
        await world.add()
        await world.step("data.one = (await connectors.crmExample.hold()).at")
        task = await world.ask("new_task", name="t", data={"one": 1})
        with anyio.fail_after(20):
            await kind.held.wait()
            await world.ask("update_connector", name="crmExample", config={"address": "https://other.example"})
            assert kind.closed == 0
            kind.go.set()
            async for _ in world.house.find("default").follow(task["id"]):
                pass
        assert (await world.ask("show_task", id=task["id"]))["data"]["one"] == "https://crm.example"
        assert kind.closed == 1


async def test_variables_and_secrets_serve_many_connectors_and_a_new_value_counts_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.step(
            "data.one = [f'{one.at}{one.length}' for one in [await connectors.a.find(), await connectors.b.find()]]"
        )
        for namespace in ("a", "b"):
            made = await world.add(namespace=namespace, config={"address": "https://${HOST}/x", "token": "${KEY}"})
            assert made["state"] == "unavailable"
            assert made["problem"].endswith("the workspace has no variable or secret 'HOST'")
        await world.ask("set_variable", name="HOST", value="one")
        await world.ask("set_secret", name="KEY", value="12345678")
        assert (await world.run())["data"]["one"] == ["https://one/x8"] * 2
        await world.ask("set_secret", name="KEY", value="1234567890")
        await world.ask("set_variable", name="HOST", value="two")
        assert (await world.run())["data"]["one"] == ["https://two/x10"] * 2
        shown = await world.ask("show_connector", name="a")
        assert shown["config"] == {"address": "https://${HOST}/x", "token": "${KEY}"}
        health = await world.ask("workspace_health")
        assert (health["variables_unused"], health["secrets_unused"], health["connectors_unused"]) == ([], [], [])
        await world.ask("delete_secret", name="KEY")
        health = await world.ask("workspace_health")
        assert [one["namespace"] for one in health["connectors_unavailable"]] == ["a", "b"]


async def test_its_secrets_are_hidden_wherever_they_would_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened(tmp_path) as world:
        await world.add()
        await world.step(f"log.info('{TOKEN}'); await connectors.crmExample.leak(q='{TOKEN}')")
        found = await world.run()
        assert found["data"]["$errors"]["one"]["message"].startswith("the token (hidden: String) is refused")
        [call] = await world.ask("connector_calls", name="crmExample")
        assert (call["method"], call["outcome"], call["answer"]["status"]) == ("leak", "raised", 401)
        assert call["arguments"] == {"q": "(hidden: String)"}
        log = await world.ask("task_log", id=found["id"])
        assert "(hidden: String)" in json.dumps(log)
        assert TOKEN not in json.dumps([found["data"]["$errors"], call, log])
    assert TOKEN not in caplog.text


async def test_a_kind_that_nobody_offers_is_told_to_steps_of_both_languages(tmp_path: Path) -> None:
    (tmp_path / "python.py").write_text(
        "from aloma_py import step\n\n\n"
        "@step(condition={'two': 1}, retries=5, backoff='1h')\n"
        "async def two(data, connectors):\n"
        "    data.two = await connectors.hubspotCom.request(url='/x')\n"
    )
    said = "the connector 'hubspotCom' is of the kind 'hubspot.com (private)', which no installed plugin offers"
    async with opened(tmp_path) as world:
        await world.ask("put_connector", namespace="hubspotCom", kind="hubspot.com (private)", config={"apiKey": TOKEN})
        await world.ask("set_modules", modules=[str(tmp_path / "python.py")])
        text = "await connectors.hubspotCom.crm.request({url: '/x'})"
        head = "export const retries = 5;\nexport const backoff = '1h';\nexport const condition = {one: 1};\n"
        await world.ask(
            "add_step", name="one", text=f"{head}export const content = async () => {{ data.one = {text} }};"
        )
        for name in ("one", "two"):
            found = await world.run(name)
            assert found["state"] == "error", "it is not tried again"
            assert found["data"]["$errors"][name]["message"].startswith(said)
        assert (await world.ask("workspace_health"))["connectors_unavailable"] == [
            {"namespace": "hubspotCom", "problem": said}
        ]
        [shown] = await world.ask("list_connectors")
        assert (shown["problem"], shown["config"], shown["secrets"]) == (said, {}, ["apiKey"])
        changed = await world.ask("update_connector", name="hubspotCom", config={"apiKey": None, "more": 1})
        assert changed["secrets"] == ["more"]


async def test_a_plugin_that_comes_later_takes_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = plugins.installed()
    nothing = plugins.Installed(Kinds(), later.namespaces, ())
    async with opened(tmp_path) as world:
        monkeypatch.setattr(plugins, "installed", lambda: nothing)
        config = {"address": "a", "token": TOKEN, "more": 1}
        await world.ask("put_connector", namespace="crm", kind="crm.example", config=config)
        monkeypatch.setattr(plugins, "installed", lambda: later)
        [found] = await world.ask("list_connectors")
        assert found["problem"].startswith("the connector 'crm': crm.example: there is no field 'more'")
        with pytest.raises(InputError, match="there is no field 'mroe'"):
            await world.ask("update_connector", name="crm", config={"mroe": None})
        changed = await world.ask("update_connector", name="crm", config={"more": None})
        assert (changed["state"], changed["config"], changed["secrets"]) == ("ready", {"address": "a"}, ["token"])


async def test_one_is_stored_also_where_the_store_cannot_be_read_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:

        async def reload() -> None:
            raise StoreError("the secret 'X' cannot be read")

        world.house.find("default").site.reload = reload
        made = await world.add()
        assert (made["active"], made["warning"]) == (
            False, "stored, but the workspace goes on as it was: the secret 'X' cannot be read",
        )  # fmt: skip


async def test_one_that_cannot_be_made_keeps_none_of_the_others(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.step("data.one = (await connectors.good.find()).at")
        await world.step("data.two = (await connectors.bad.find()).at", "two")
        await world.add(namespace="good")
        made = await world.add(namespace="bad", config={"fails": True})
        assert made["problem"] == "the connector 'bad' cannot be made: ValueError: no way with (hidden: String)"
        assert (await world.run())["data"]["one"] == "https://crm.example"
        assert (await world.run("two"))["data"]["$errors"]["two"]["message"].startswith(made["problem"])


async def test_whether_one_works(tmp_path: Path, kind: CrmKind) -> None:
    async with opened(tmp_path) as world:
        await world.add()
        found = await world.ask("check_connector", name="crmExample")
        assert found == {"namespace": "crmExample", "ok": True, "said": "it is at https://crm.example"}
        await world.ask("update_connector", name="crmExample", config={"address": "nowhere"}, enabled=False)
        found = await world.ask("check_connector", name="crmExample")
        assert (found["ok"], found["said"]) == (False, "(hidden: String) leads nowhere")
        await world.ask("update_connector", name="crmExample", config={"fails": True})
        assert "cannot be made" in (await world.ask("check_connector", name="crmExample"))["said"]
        await world.ask("put_connector", namespace="hubspotCom", kind="hubspot.com", config={})
        assert (await world.ask("check_connector", name="hubspotCom"))["ok"] is False
        assert kind.made == kind.closed


async def test_a_check_without_end_ends(tmp_path: Path, kind: CrmKind, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(connector: Crm) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(kind, "check", check)
    monkeypatch.setattr("aloma_py.operations.connectors.CHECKING", 0.01)
    async with opened(tmp_path) as world:
        await world.add()
        assert "no answer in 0.01 seconds" in (await world.ask("check_connector", name="crmExample"))["said"]


async def test_the_calls_of_a_built_in_connector_are_told_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.step("await connectors.fetch(url='http://127.0.0.1:1/x')")
        await world.run()
        [call] = await world.ask("connector_calls", name="fetch", limit=5)
        assert (call["method"], call["outcome"], call["arguments"]) == (
            "fetch",
            "raised",
            {"url": "http://127.0.0.1:1/x"},
        )
        with pytest.raises(NotFoundError):
            await world.ask("connector_calls", name="nothing")


async def test_the_calls_of_a_connector_are_found_without_looking_at_every_task(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        with world.store.reading() as reader:
            plan = reader.execute(f"EXPLAIN QUERY PLAN {connectors._CALLS}", ("fetch", "default", 200, 20)).fetchall()
        found = [row[3] for row in plan]
        assert found[0] == "SEARCH call USING INTEGER PRIMARY KEY (rowid>?)"
        assert not any("TEMP B-TREE" in line for line in found)
        with pytest.raises(InputError, match="limit is 0; 1 to 1,000 was expected"):
            await world.ask("connector_calls", name="fetch", limit=0)


# ── many, and as they were ──────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_asked_for_is_compared_without_giving_anything_away(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.add()
        await world.add(namespace="left")
        config = {"address": "https://crm.example", "token": TOKEN}
        asked = [
            {"kind": "crm.example", "config": config},
            {
                "kind": "crm.example",
                "namespace": "left",
                "name": "x",
                "tags": ["t"],
                "config": {**config, "token": "no"},
            },
            {"kind": "hubspot.com (private)", "config": {"apiKey": "x"}},
        ]
        found = await world.ask("compare_connectors", connectors=asked)
        assert [(one["namespace"], one["action"], one["differs"]) for one in found["asked"]] == [
            ("crmExample", "same", []), ("left", "change", ["name", "config", "tags"]), ("hubspotCom", "add", []),
        ]  # fmt: skip
        assert "no installed plugin offers" in found["asked"][2]["warning"]
        assert TOKEN not in json.dumps(found)
        for wrong, said in (
            ([*asked, asked[0]], "two connectors have the namespace 'crmExample'"),
            ([{"kind": "crm.example", "config": {"address": 1}}], "crm.example: the field 'address'"),
            ([{"name": "x"}], "the connector's kind is missing"),
            ([{"kind": "x", "connectorName": "y"}], "a connector has no 'connectorName'"),
            ([{"kind": "x", "config": []}], "config must be an object"),
            ([{"kind": 7}], "the connector's kind must be a text"),
        ):
            with pytest.raises(InputError) as caught:
                await world.ask("compare_connectors", connectors=wrong)
            assert said in str(caught.value)


async def test_one_is_put_back_as_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.add(tags=["a"])
        before = await world.ask("show_connector", name="crmExample")
        [there] = (await world.ask("compare_connectors"))["there"]
        await world.ask("put_connector", namespace="crmExample", kind="http", config={"base_url": "https://x"})
        assert (await world.ask("show_connector", name="crmExample"))["tags"] == ["a"], "what is not said stays"
        for change in (None, "delete_connector"):
            if change:
                await world.ask(change, name="crmExample")
            await world.ask("restore_connector", state=there["state"])
            assert await world.ask("show_connector", name="crmExample") == before
        await world.ask("add_workspace", name="other")
        for state in ("", "x", "AAAA", there["state"][:-4]):
            with pytest.raises(InputError, match="is none of a connector of this workspace"):
                await world.ask("restore_connector", state=state)
        with pytest.raises(InputError, match="is none of a connector of this workspace"):
            await world.ask("restore_connector", workspace="other", state=there["state"])


# ── modules ─────────────────────────────────────────────────────────────────────────────────────────────────────────

STEP = (
    "from aloma_py import step\n\n\n@step(condition={{'{name}': 1}})\ndef {name}(data):\n    data.{name} = '{name}'\n"
)
REMOTE = Caller("ada", Role.ADMIN)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("mod_one", "mod_two"):
        (tmp_path / f"{name}.py").write_text(STEP.format(name=name))
    (tmp_path / "mod_broken.py").write_text("import nothing_of_that_name\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


async def test_modules_are_taken_in_without_a_restart(modules: Path) -> None:
    async with opened(modules) as world:
        found = await world.ask("set_modules", who=REMOTE, modules=["mod_one"])
        assert (found["modules"], found["steps"]) == (["mod_one"], 1)
        assert (await world.run("mod_one"))["data"]["mod_one"] == "mod_one"
        found = await world.ask("set_modules", modules=[str(modules / "mod_two.py"), "mod_one"])
        assert (found["steps"], found["active"]) == (2, True)
        assert (await world.run("mod_two"))["data"]["mod_two"] == "mod_two"
        assert (await world.ask("show_workspace"))["sources"] == [str(modules / "mod_two.py"), "mod_one"]
        kept = await world.ask("set_modules", who=REMOTE, modules=[str(modules / "mod_two.py")])
        assert kept["steps"] == 1, "a path that is there already may stay"
        assert (await world.ask("set_modules", modules=[]))["steps"] == 0
        assert await world.ask("list_steps") == []


async def test_modules_that_cannot_be_loaded_change_nothing(modules: Path) -> None:
    async with opened(modules) as world:
        await world.ask("set_modules", modules=["mod_one"])
        await world.ask(
            "add_step", name="mod_two", text="export const condition = {a: 1}; export const content = () => 1;"
        )
        for wrong, said in (
            (["mod_one", "mod_broken"], "nothing_of_that_name"),
            (["mod_one", "mod_two"], "mod_two"),
            (["mod_one", "mod_one"], "is there twice"),
            (["mod_nowhere"], "mod_nowhere"),
            ([str(modules / "none.py")], "there is no file or folder"),
            (["./mod_one.py"], "is relative"),
            ([" "], "is empty"),
        ):
            with pytest.raises(InputError) as caught:
                await world.ask("set_modules", modules=wrong)
            assert said in str(caught.value)
            assert (await world.ask("show_workspace"))["sources"] == ["mod_one"]
        tried = await world.ask("set_modules", modules=[], dry_run=True)
        assert (tried["steps"], (await world.ask("show_workspace"))["sources"]) == (1, ["mod_one"])


async def test_only_who_has_a_role_on_the_account_names_new_modules(modules: Path) -> None:
    mine = Caller("ada", Role.ADMIN, frozenset({"default"}))
    async with opened(modules) as world:
        with pytest.raises(InputError, match="'mod_one' is new here: whoever names it needs a role on the account"):
            await world.ask("set_modules", who=mine, modules=["mod_one"])
        await world.ask("set_modules", who=REMOTE, modules=["mod_one", "mod_two"])
        assert (await world.ask("set_modules", who=mine, modules=["mod_two"]))["modules"] == ["mod_two"]


async def test_only_who_is_on_the_machine_names_its_files(modules: Path) -> None:
    async with opened(modules) as world:
        for place in (str(modules / "mod_one.py"), str(modules), "../mod_one", "mod_one.py/"):
            with pytest.raises(InputError, match="on its own machine only"):
                await world.ask("set_modules", who=Caller("local", Role.ADMIN), modules=[place])
        assert (await world.ask("show_workspace"))["sources"] == []


async def test_from_elsewhere_no_programs_of_the_server_are_started_and_none_of_its_files_are_told(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (modules / "mod_exits.py").write_text("raise SystemExit(1)\n")
    (modules / "hidden").mkdir()
    (modules / "hidden" / "mod_three.py").write_text(STEP.format(name="mod_three"))
    monkeypatch.chdir(modules)
    async with opened(modules) as world:
        for module, said in (
            ("test.autotest", "none of steps"),
            ("this", "none of steps"),
            ("aloma_py.serve", "none of steps"),
            ("pip.__main__", "none of steps"),
            ("hidden", "on its own machine only"),
            ("mod_one.py", "on its own machine only"),
            ("mod_onee", "the server can import no module 'mod_onee'"),
            ("mod_one.more", "the server can import no module 'mod_one.more'"),
            ("nowhere.at.all", "the server can import no module 'nowhere.at.all'"),
            ("mod_exits", "SystemExit"),
        ):
            with pytest.raises(InputError) as caught:
                await world.ask("set_modules", who=REMOTE, modules=[module], dry_run=True)
            assert said in str(caught.value)
            assert "tasks.db" not in str(caught.value)
            assert "mod_broken" not in str(caught.value)
