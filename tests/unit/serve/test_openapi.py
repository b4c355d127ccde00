"""The OpenAPI: every answer is described, and the answers are as they are described."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import anyio
import httpx2
import jsonschema_rs
import pytest

from aloma_py.operations import ALL, Role
from aloma_py.operations.operations import GROUPS
from aloma_py.serve.house import House
from aloma_py.serve.web.access import Keepers, access_router
from aloma_py.serve.web.app import PREFIX, make_app
from aloma_py.serve.web.calls import calls_router
from aloma_py.serve.web.events import Events, events_router
from aloma_py.serve.web.guard import ACCOUNT, Identity
from aloma_py.serve.web.intake import Idempotency, bulk_router
from aloma_py.serve.web.metrics import Metrics, metrics_router
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

HERE: Final = f"{PREFIX}/workspaces/default"

NOTHING_TO_READ: Final = {"sign_out"}
"""Operations whose good answer is empty."""

TEXTS: Final = {"new_tasks", "follow_task", "follow_events", "metrics"}
"""Operations that answer with another media type than JSON."""

OPEN_SHAPES: Final = {"AuditLineShown"}
"""Shapes that have members of the author's own."""

ELSEWHERE: Final = {"SourceOperations", "NotificationOperations", "ConnectorOperations", "ModuleOperations",
                    "TransferOperations"}  # fmt: skip
"""Groups of operations that need something outside; their tests say more of their answers."""

STEP: Final = """
/** Says hello. */
export const condition = {name: String, greeting: null};
export const content = () => {
  console.log('hello');
  audit.log('greeted', {loud: true});
  audit.reference({id: 'r-1', name: 'a reference', url: 'https://example.com'});
  task.visualize({type: 'data', name: 'picture', data: {a: 1}});
  task.subtask('child', {n: 1});
  data.greeting = 'Hello';
};
"""
FAILING: Final = "export const condition = {n: 2};\nexport const content = () => { throw new Error('no'); };\n"


class Ops:
    """A guard that takes all for an administrator."""

    async def identify(self, request: object) -> Identity:
        return Identity("key:ops", {ACCOUNT: Role.ADMIN})


def application(house: House | None, store: SQLiteStore) -> Any:
    """All that is served below the API's prefix."""
    guard, find = Ops(), house.find if house is not None else None
    keepers = Keepers(store)
    return make_app(
        find,  # type: ignore[arg-type]
        guard,
        idempotency=Idempotency(store),
        more=[
            access_router(keepers),
            events_router(find, guard, Events(0)),  # type: ignore[arg-type]
            bulk_router(find, guard),  # type: ignore[arg-type]
            metrics_router(guard, Metrics(store)),
            calls_router(find, guard),  # type: ignore[arg-type]
        ],
    )


OPENAPI: Final[dict[str, Any]] = application(None, SQLiteStore(":memory:")).openapi()
OPERATIONS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    facts["operationId"]: (verb.upper(), path, facts)
    for path, verbs in OPENAPI["paths"].items()
    for verb, facts in verbs.items()
}


def schema_of(name: str, status: int | None = None) -> dict[str, Any]:
    """The schema of an operation's good answer."""
    responses = OPERATIONS[name][2]["responses"]
    good = str(status) if status is not None else next(code for code in responses if code.startswith("2"))
    found: dict[str, Any] = responses[good]["content"]["application/json"]["schema"]
    return found


def closed(schema: Any) -> Any:
    """The same schema, in which members that it does not name are an error, unless it says that there may be others."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if "properties" in found and found.get("title") not in OPEN_SHAPES:
        found.setdefault("additionalProperties", False)
    return found


PARTS: Final = closed(OPENAPI["components"])


def validator(schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator({**closed(copy.deepcopy(schema)), "components": PARTS})


# ── the document ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_operation_with_a_route_is_described() -> None:
    assert {name for name, facts in ALL.items() if facts.route} <= OPERATIONS.keys()


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - NOTHING_TO_READ - TEXTS))
def test_an_answer_says_what_is_in_it(name: str) -> None:
    """Objects have members, arrays have elements: no schema lets everything through."""

    def says(schema: dict[str, Any]) -> bool:
        if "$ref" in schema:
            return says(OPENAPI["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
        if "anyOf" in schema:
            return all(says(one) for one in schema["anyOf"])
        if schema.get("type") == "array":
            return says(schema["items"])
        return bool(schema.get("properties")) or bool(schema.get("additionalProperties", {}).get("type"))

    assert says(schema_of(name)), schema_of(name)


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_an_answer_of_another_type_names_it(name: str) -> None:
    found = OPERATIONS[name][2]["responses"]["200"]["content"]
    assert found.keys() <= {"application/x-ndjson", "text/event-stream", "text/plain"} and len(found) == 1


def test_every_problem_is_told_in_one_way() -> None:
    for name, (_, _, facts) in OPERATIONS.items():
        bad = {code: told for code, told in facts["responses"].items() if not code.startswith("2")}
        assert "4XX" in bad, name
        assert ("401" in bad) == (facts.get("security") != []) or name == "sign_in", name
        for code, told in bad.items():
            if "$ref" in told:
                told = OPENAPI["components"]["responses"][told["$ref"].rsplit("/", 1)[1]]
            assert told["content"].keys() == {"application/problem+json"}, (name, code)
            assert told["description"], (name, code)
            assert ("Retry-After" in told.get("headers", {})) == (code in ("429", "503")), (name, code)


def test_what_changes_something_can_be_sent_again() -> None:
    for name, facts in ALL.items():
        if facts.route:
            headers = [one["name"] for one in OPERATIONS[name][2].get("parameters", ()) if one["in"] == "header"]
            assert ("Idempotency-Key" in headers) == (not facts.reading), name
    assert "If-Match" in json.dumps(OPERATIONS["update_step"]) and "ETag" in json.dumps(OPERATIONS["show_step"])


def test_every_tag_and_every_scheme_is_described() -> None:
    used = {tag for _, _, facts in OPERATIONS.values() for tag in facts["tags"]}
    described = {one["name"]: one["description"] for one in OPENAPI["tags"]}
    assert used == described.keys() and all(len(about) > 10 for about in described.values())
    schemes = OPENAPI["components"]["securitySchemes"]
    assert {name for one in OPENAPI["security"] for name in one} == schemes.keys()


def test_the_document_is_an_openapi_with_nothing_missing() -> None:
    text = json.dumps(OPENAPI)
    assert OPENAPI["openapi"].startswith("3.1.")
    for place in set(re.findall(r'"\$ref": "#/([^"]*)"', text)):
        found: Any = OPENAPI
        for part in place.split("/"):
            found = found[part]
        assert found
    for name, schema in OPENAPI["components"]["schemas"].items():
        jsonschema_rs.meta.validate({**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"})
        assert name == schema.get("title", name)
    for _, path, facts in OPERATIONS.values():
        named = [one["name"] for one in facts.get("parameters", ()) if one["in"] == "path"]
        assert sorted(named) == sorted(re.findall(r"{(\w+)}", path))
    assert ":func:" not in text and ":class:" not in text


def test_examples_are_of_their_schemas() -> None:
    found = 0
    for _, _, facts in OPERATIONS.values():
        content = facts.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in content:
            validator(content["schema"]).validate(content["example"])
            found += 1
    assert found > 10


def test_links_lead_to_operations() -> None:
    links = [link for _, _, facts in OPERATIONS.values() for link in facts["responses"].get("201", {}).get("links", {})]
    assert {"show_task", "show_schedule", "show_webhook", "renew_invitation", "revoke_key"} <= set(links)
    assert set(links) <= OPERATIONS.keys()


# ── the answers ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Asker:
    """Asks, and compares each answer with its schema."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self.asked: set[str] = set()

    async def __call__(
        self, name: str, body: dict[str, Any] | None = None, /, query: dict[str, Any] | None = None, **places: str
    ) -> Any:
        verb, path, _ = OPERATIONS[name]
        url = re.sub(r"{(\w+)}", lambda match: places.get(match[1], "default"), path)
        answer = await self.http.request(verb, url, json=body, params=query)
        assert answer.status_code < 300, f"{name}: {answer.text}"
        validator(schema_of(name, answer.status_code)).validate(answer.json())
        self.asked.add(name)
        return answer.json()


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Asker]:
    place = tmp_path / "tasks.db"
    (tmp_path / "steps.py").write_text(
        "from aloma_py import step\n\n\n@step(condition={'n': 1}, rate='3/m')\ndef count(data):\n    data.n = 2\n"
    )
    async with SQLiteStore(place) as store, anyio.create_task_group() as group:
        await store.workspace("default").set_facts(sources=[str(tmp_path / "steps.py")])
        house = House(store, Settings(store=place), group)
        await house.begin()
        transport = httpx2.ASGITransport(application(house, store))
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as http:
            yield Asker(http)
        group.cancel_scope.cancel()


async def test_every_answer_is_as_it_is_described(ask: Asker) -> None:
    """A workspace with something of every kind: what each operation answers has what its schema says, and no more."""
    await ask("add_step", {"name": "greet", "text": STEP})
    await ask("add_step", {"name": "fail", "text": FAILING})
    await ask("update_step", {"description": "greets"}, name="greet")
    await ask("clone_step", {"new_name": "again", "enabled": False}, name="greet")
    await ask("add_library", {"name": "money", "text": "/** In cents. */\nexport const cents = (n) => n * 100;"})
    await ask("update_library", {"description": "sums"}, name="money")
    await ask("sync_scripts", {"scripts": [{"name": "more", "text": STEP}], "dry_run": True})
    task = await ask("new_task", {"data": {"name": "Ada", "n": 1}, "name": "one", "tags": ["a"]})
    shown = await settled(ask, task["id"])
    assert shown["audit"] and shown["visualizations"] and shown["subtasks"] and shown["state"] == "error"
    log = await ask("task_log", id=task["id"])
    assert any(entry["error"] for entry in log["entries"]) and any(entry["logs"] for entry in log["entries"])
    await ask("list_tasks", query={"limit": 2})
    await ask("why", id=task["id"], step="greet")
    await ask("clone_task", {"name": "two"}, id=task["id"])
    await ask("update_task", {"data": {"b": 1}}, id=task["id"])
    waiting = await ask("new_task", {"data": {"nothing": True}})
    await settled(ask, waiting["id"])
    await ask("stop_task", id=waiting["id"])
    await ask("resume_task", id=waiting["id"])
    await ask("delete_task", id=waiting["id"])
    await ask("list_steps")
    await ask("check_step", {"data": {"name": 1}})
    assert (await ask("show_step", name="greet"))["suffix"] == ".js"
    assert (await ask("show_step", name="count"))["options"]["rate"] == {"count": 3, "per": 60_000}
    version = (await ask("step_versions", name="greet"))[0]["version"]
    await ask("show_step_version", name="greet", version=version)
    await ask("list_libraries")
    await ask("show_library", name="money")
    version = (await ask("library_versions", name="money"))[0]["version"]
    await ask("show_library_version", name="money", version=version)
    await ask("list_scripts", query={"texts": True})
    await ask("delete_step", name="again")
    await ask("delete_library", name="money")
    await values(ask)
    await schedules_and_webhooks(ask)
    await account(ask)
    known = {name for name, facts in ALL.items() if facts.route and of_ours(name)}
    for name in sorted(known - ask.asked):
        if ALL[name].reading:
            await ask(name)
    assert known <= ask.asked, known - ask.asked


def of_ours(name: str) -> bool:
    """Whether the operation must be asked here; of other groups, those that give lists."""
    if next(group for group in GROUPS if hasattr(group, name)).__name__ not in ELSEWHERE:
        return True
    return name.startswith("list_")


async def settled(ask: Asker, id: str) -> Any:
    with anyio.fail_after(10):
        while (await ask("show_task", id=id))["state"] in ("pending", "running"):
            await anyio.lowlevel.checkpoint()
    return await ask("show_task", id=id)


async def values(ask: Asker) -> None:
    await ask("set_variable", {"value": {"a": [1]}, "description": "a value"}, name="LIMIT")
    await ask("set_secret", {"value": "long enough"}, name="TOKEN")
    await ask("list_variables")
    await ask("list_secrets")
    await ask("delete_variable", name="LIMIT")
    await ask("delete_secret", name="TOKEN")
    await ask("rotate_key")


async def schedules_and_webhooks(ask: Asker) -> None:
    await ask("add_schedule", {"name": "nightly", "cron": "0 2 * * *", "data": {"a": 1}, "start": "2027-01-01"})
    await ask("add_schedule", {"name": "often", "every": "1h"})
    await ask("update_schedule", {"tags": ["a"]}, name="nightly")
    await ask("run_schedule", name="often")
    await ask("list_schedules")
    assert (await ask("show_schedule", name="often"))["firings"]
    await ask("list_firings", name="often")
    await ask("next_times", name="nightly")
    await ask("preview_schedule", {"every": "1d"})
    await ask("delete_schedule", name="nightly")
    await ask("add_webhook", {"name": "plain"})
    assert "secret" in await ask("add_webhook", {"name": "shop", "options": {"signature": "bearer"}})
    await ask("update_webhook", {"options": {"rate": 60}}, name="plain")
    await ask("list_webhooks")
    await ask("show_webhook", name="shop")
    assert (await ask("test_webhook", {"body": '{"a": 1}'}, name="plain"))["data"]
    assert (await ask("test_webhook", {"body": "{", "headers": {"Content-Type": "application/json"}}, name="plain"))[
        "problem"
    ]
    await ask("rotate_webhook", name="shop")
    await ask("delete_webhook", name="shop")


async def account(ask: Asker) -> None:
    person = await ask("invite_person", {"email": "ada@example.com", "role": "viewer"})
    await ask("renew_invitation", id=person["id"])
    await ask("update_person", {"name": "Ada"}, id=person["id"])
    await ask("list_people")
    await ask("remove_person", id=person["id"])
    await ask("add_key", {"name": "ci", "role": "viewer", "workspace": "default", "expires_at": "2099-01-01"})
    await ask("list_keys")
    await ask("revoke_key", id="ci")
    await ask("add_workspace", {"name": "orders", "title": "Orders", "limits": {"max_runs": 5}})
    await ask("update_workspace", {"tags": ["a"]}, workspace="orders")
    await ask("archive_workspace", workspace="orders")
    await ask("delete_workspace", workspace="orders")
    await ask("list_workspaces")
    await ask("show_workspace")
    await ask("workspace_overview")
    await ask("workspace_health")
    await ask("workspace_usage")
    await ask("account_usage")
    await ask("audit")
    await ask("account_audit")
    await ask("info")
    await ask("verify")
    await ask("purge", {"keep_tasks_days": 0})


async def test_who_asks_is_as_it_is_described(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "tasks.db") as store:
        from aloma_py.serve.web.access import setup_token

        token = await setup_token(store)
        transport = httpx2.ASGITransport(application(None, store))
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as http:
            body = {"token": token, "email": "ada@example.com", "name": "Ada", "password": "a long heron sentence"}
            made = await http.post(f"{PREFIX}/setup", json=body)
            validator(schema_of("setup")).validate(made.json())
            validator(schema_of("me")).validate((await http.get(f"{PREFIX}/me")).json())
            wrong = await http.post(f"{PREFIX}/setup", json=body)
            problem = OPENAPI["components"]["schemas"]["Problem"]
            validator(problem).validate(wrong.json())
            unread = await http.post(f"{PREFIX}/setup", json={})
            validator(problem).validate(unread.json())
            assert (wrong.status_code, unread.status_code) == (404, 422) and unread.json()["errors"]
