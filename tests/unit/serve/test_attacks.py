"""Requests that nobody sends by accident: each is refused with what is wrong, and the server goes on.

The routes are those of the OpenAPI, and each of their parameters is given everything that it is not: a new route is
attacked by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import httpx2
import pytest
from argon2 import PasswordHasher

from aloma_py.operations import ALL, Operations, Role
from aloma_py.operations.operations import GROUPS
from aloma_py.operations.passwords import Hasher, new_token
from aloma_py.serve.house import idle_operations
from aloma_py.serve.web.access import Keepers, access_router
from aloma_py.serve.web.app import PREFIX, make_app
from aloma_py.serve.web.calls import calls_router
from aloma_py.serve.web.events import Events, events_router
from aloma_py.serve.web.intake import Idempotency, bulk_router
from aloma_py.serve.web.metrics import Metrics, metrics_router
from aloma_py.serve.web.transfer import transfer_router
from aloma_py.settings import Settings
from aloma_py.store import SQLiteStore
from aloma_py.store.ledger import Ledger
from aloma_py.store.people import ACCOUNT, People

pytestmark = pytest.mark.anyio

NOW: Final = 1_767_225_600_000
OURS, THEIRS = "orders", "billing"
SECRET: Final = "a-heron-stands-by-the-weir"

ENDLESS: Final = {"follow_events"}
"""Streams, which have tests of their own."""

CLOSING: Final = {"archive_workspace", "delete_workspace"}
"""What would have the workspace refuse everything after it; asked of one that there is not."""

NUMBERS: Final = ("-1", "1" + "0" * 30, "1e308", "NaN", "1e999")
TEXTS: Final = ('"\\u0000"', '"\\ud800"', '".."', '"' + "x" * 5000 + '"')
SHAPES: Final = ("null", '["\\udfff"]', '{"\\ud800":1}', '{"a":NaN,"a":{}}', '{"__proto__":[1]}',
                 "[" * 2000 + "]" * 2000)  # fmt: skip
BODIES: Final = (b"", b"x", b"{", b"[]", b"null", b"1", b'"x"', b"NaN", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"zz":1}',
                 b'{"\\ud800":1}', b"[" * 100_000, b'{"a":' * 20_000, b"9" * 5000)  # fmt: skip

PATHS: Final = ("..%2F..%2Fetc%2Fpasswd", "%00", "%ed%a0%80", "%0d%0aX:1", "%252e%252e", "a" * 3000)

HEADERS: Final[tuple[tuple[str, bytes], ...]] = (
    ("Content-Type", b"text/plain"),
    ("Content-Type", b"application/json; charset=utf-16"),
    ("Content-Type", b"\xff"),
    ("Idempotency-Key", b"\xff\x00"),
    ("If-Match", b"\xff"),
    ("Cookie", b"aloma_session=\xff"),
    ("Host", b"a/../b?c#d"),
    ("Origin", b"http://[::1"),
)


class Stage:
    """The application, made once since that takes long, over the store of the test under way."""

    def __init__(self) -> None:
        self.store = SQLiteStore(":memory:")
        self._found: dict[str, Operations] = {}
        hasher = Hasher(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.keepers = Keepers(self.store, now=lambda: NOW, hasher=hasher)
        self.idempotency = Idempotency(self.store)
        self.metrics = Metrics(self.store, workers=lambda: 0, listeners=lambda: 0)
        self.app = make_app(
            self.find,
            self.keepers,
            idempotency=self.idempotency,
            more=[
                access_router(self.keepers),
                calls_router(self.find, self.keepers),
                events_router(self.find, self.keepers, Events(NOW)),
                bulk_router(self.find, self.keepers),
                metrics_router(self.keepers, self.metrics),
                transfer_router(self.find, self.keepers),
            ],
        )

    def find(self, workspace: str) -> Operations:
        if workspace not in self._found:
            self._found[workspace] = idle_operations(self.store, Settings(workspace=workspace))
        return self._found[workspace]

    def put_on(self, store: SQLiteStore) -> None:
        self.store, self._found = store, {}
        self.keepers.people, self.keepers.ledger = People(store), Ledger(store)
        self.idempotency._store = self.metrics._store = store

    async def client(self, role: Role = Role.ADMIN, place: str = ACCOUNT) -> httpx2.AsyncClient:
        token, hashed = new_token("alk")
        await self.keepers.people.add_key(hashed, f"{role} {place}", place, str(role), "test", NOW - 2, None)
        where = httpx2.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return httpx2.AsyncClient(transport=where, base_url="http://aloma.test", headers=headers)


STAGE: Final = Stage()
OPENAPI: Final[dict[str, Any]] = STAGE.app.openapi()
ROUTES: Final = [
    (verb.upper(), path, facts) for path, verbs in OPENAPI["paths"].items() for verb, facts in verbs.items()
]


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with SQLiteStore(tmp_path / "aloma.db") as store:
        STAGE.put_on(store)
        for name in (OURS, THEIRS):
            await STAGE.find("default").call("add_workspace", {"name": name})
        yield STAGE


@pytest.fixture
async def filled(stage: Stage) -> Stage:
    """With something of every kind that is called ``x``, so that changes of it are read to the end."""
    ours = stage.find(OURS)
    await ours.call("add_step", {"name": "x", "condition": {"a": 1}, "content": "data.b = 1;"})
    await ours.call("add_library", {"name": "x", "text": "export const one = () => 1;"})
    await ours.call("add_webhook", {"name": "x"})
    await ours.call("add_schedule", {"name": "x", "every": "1h"})
    await stage.find("default").call("invite_person", {"email": "x@example.org", "role": "viewer"})
    return stage


@asynccontextmanager
async def attacking() -> AsyncIterator[Attacker]:
    attacker = Attacker(await STAGE.client())
    async with attacker.http:
        yield attacker
    assert not attacker.found, "\n".join(attacker.found[:40])


class Attacker:
    """Sends requests and looks at the answers: each went well, or is a problem that says what is wrong."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http
        self.sent = 0
        self.found: list[str] = []

    async def send(self, what: str, verb: str, url: str, body: bytes | None = None, **headers: bytes) -> None:
        self.sent += 1
        given = [(name.encode(), value) for name, value in headers.items()]
        answer = await self.http.request(verb, url, content=body, headers=given)
        if answer.status_code < 400:
            return
        try:
            told = answer.json()["detail"] if answer.headers["content-type"] == "application/problem+json" else ""
        except (KeyError, ValueError):
            told = ""
        if answer.status_code >= 500 or not told:
            asked = f"{what}: {verb} {url[:100]} {(body or b'')[:80]!r}"
            self.found.append(f"{asked}: {answer.status_code} {answer.text[:150]}")


def schema_of(facts: dict[str, Any]) -> dict[str, Any] | None:
    """Of the JSON body that a route takes."""
    found = facts.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if found is None:
        return None
    found = found.get("anyOf", [found])[0]
    if "$ref" in found:
        found = OPENAPI["components"]["schemas"][found["$ref"].rsplit("/", 1)[1]]
    assert isinstance(found, dict)
    return found


def plainest(schema: dict[str, Any]) -> str:
    """The members that a body must have, as JSON texts."""
    plain = {"string": '"x"', "integer": "1", "number": "1", "boolean": "true", "array": "[]", "object": "{}"}
    members = schema.get("properties", {})
    given = {name: plain.get(members[name].get("type", ""), '"x"') for name in schema.get("required", [])}
    return joined(given | ({"text": '"}"'} if "text" in given else {}))  # what is a text of JavaScript takes long


def values_for(schema: dict[str, Any]) -> tuple[str, ...]:
    """What a member is given: one value of each other type, and all that are of its own."""
    kinds = set(re.findall(r'"type": "(\w+)"', json.dumps(schema)))
    return (
        *(NUMBERS if not kinds or kinds & {"integer", "number"} else NUMBERS[1:2]),
        *(TEXTS if not kinds or "string" in kinds else TEXTS[1:2]),
        *(SHAPES if not kinds or kinds & {"array", "object"} else SHAPES[:2]),
    )


def joined(members: dict[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members.items()) + "}"


def address(path: str, name: str = "", value: str = "x", *, workspace: str = OURS) -> str:
    """The path with something in every place, and ``value`` in that of ``name``."""

    def fill(match: re.Match[str]) -> str:
        return value if match[1] == name else workspace if match[1] == "workspace" else "x"

    return re.sub(r"{(\w+)(?::\w+)?}", fill, path)


def attacked() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Operation, method, address and facts of every route that answers and ends."""
    for verb, path, facts in ROUTES:
        name = facts["operationId"]
        if name not in ENDLESS:
            yield name, verb, address(path, workspace="nowhere" if name in CLOSING else OURS), facts


# ── what cannot be read ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_bodies_with_every_wrong_value(filled: Stage) -> None:
    async with attacking() as attacker:
        for name, verb, url, facts in attacked():
            schema = schema_of(facts)
            if schema is None:
                continue
            plain = json.loads(plainest(schema))
            needed = {member: json.dumps(value) for member, value in plain.items()}
            for member, expected in schema.get("properties", {}).items():
                for value in values_for(expected):
                    await attacker.send(f"{name} {member}", verb, url, joined({**needed, member: value}).encode())
        assert attacker.sent > 500


async def test_queries_with_every_wrong_value(stage: Stage) -> None:
    async with attacking() as attacker:
        for name, verb, url, facts in attacked():
            for parameter in facts.get("parameters", ()):
                if parameter["in"] != "query":
                    continue
                for value in (*NUMBERS, "", "%00", "%ff", "%ed%a0%80", "..", "x" * 3000, "true", "[]", "{}"):
                    await attacker.send(f"{name} {parameter['name']}", verb, f"{url}?{parameter['name']}={value}")


async def test_addresses_with_every_wrong_part(stage: Stage) -> None:
    async with attacking() as attacker:
        for verb, path, facts in ROUTES:
            schema = schema_of(facts)
            body = None if schema is None else plainest(schema).encode()
            for place in re.findall(r"{(\w+)", path):
                for value in PATHS:
                    if facts["operationId"] not in ENDLESS:
                        await attacker.send(facts["operationId"], verb, address(path, place, value), body)


async def test_bodies_that_are_none(stage: Stage) -> None:
    async with attacking() as attacker:
        for name, verb, url, facts in attacked():
            if "requestBody" in facts:
                for body in BODIES:
                    await attacker.send(name, verb, url, body)


async def test_headers_that_are_none(stage: Stage) -> None:
    async with attacking() as attacker:
        for name, verb, url, facts in attacked():
            schema = schema_of(facts)
            body = None if schema is None else plainest(schema).encode()
            for header, value in HEADERS:
                await attacker.send(f"{name} {header}", verb, url, body, **{header: value})


async def test_methods_that_are_none(stage: Stage) -> None:
    async with attacking() as attacker:
        for path in OPENAPI["paths"]:
            for verb in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - {
                one.upper() for one in OPENAPI["paths"][path]
            }:
                await attacker.send("another method", verb, address(path, workspace="nowhere"))


@pytest.mark.parametrize(
    "query", ["after=x", "after=-1", "after=" + "9" * 30, "kinds=x", "kinds=%ff", "kinds=task,%00"]
)
async def test_events_from_nowhere(stage: Stage, query: str) -> None:
    async with attacking() as attacker:
        await attacker.send("follow_events", "GET", f"{PREFIX}/workspaces/{OURS}/events?{query}")


ENDLESS_DAYS: Final = (NUMBERS[1], "1e308", "NaN", "1e999")
HALVED: Final = (("PATCH", "update_step", "steps/x"), ("PATCH", "update_library", "libraries/x"))
"""What has texts that are not looked at for half a character, with address."""


async def test_half_a_character(filled: Stage) -> None:
    async with attacking() as attacker:
        for verb, name, path in HALVED:
            for member in (b"description", b"version"):
                body = b'{"%s":"\\ud800"}' % member
                await attacker.send(name, verb, f"{PREFIX}/workspaces/{OURS}/{path}", body)


@pytest.mark.parametrize("kind", ["variables", "secrets"])
async def test_a_description_of_half_a_character(stage: Stage, kind: str) -> None:
    async with attacking() as attacker:
        body = b'{"value":"long enough","description":"\\ud800"}'
        await attacker.send(kind, "PUT", f"{PREFIX}/workspaces/{OURS}/{kind}/x", body)


async def test_an_unknown_step_is_checked_where_nothing_is_served(filled: Stage) -> None:
    async with attacking() as attacker:
        await attacker.send("check_step", "POST", f"{PREFIX}/workspaces/{OURS}/check", b'{"data":{},"step":"none"}')


@pytest.mark.parametrize("workspace", ["nowhere", "closed", "%20%00"])
async def test_scripts_are_stored_in_open_workspaces_only(stage: Stage, workspace: str) -> None:
    await stage.find("default").call("add_workspace", {"name": "closed"})
    await stage.find("closed").call("archive_workspace", {})
    async with await stage.client(Role.DEVELOPER) as http:
        body = {"name": "x", "text": "export const one = () => 1;"}
        answer = await http.post(f"{PREFIX}/workspaces/{workspace}/libraries", json=body)
        assert 400 <= answer.status_code < 500, answer.text


async def test_who_is_not_known_cannot_have_a_large_body_read(stage: Stage) -> None:
    async with await stage.client() as http:
        del http.headers["Authorization"]
        answer = await http.post(f"{PREFIX}/session", content=b'{"email":"' + b"x" * 2_000_000 + b'","password":"x"}')
        assert answer.status_code == 413


async def test_lists_have_an_end(stage: Stage) -> None:
    async with await stage.client() as http:
        answer = await http.get(f"{PREFIX}/workspaces/{OURS}/tasks?limit=1000000000")
        assert answer.status_code == 422


@pytest.mark.parametrize(
    "query", ["workspaces/orders/tasks?limit=", "workspaces/orders/audit?before=", "audit?before="]
)
async def test_numbers_that_are_too_large(stage: Stage, query: str) -> None:
    async with attacking() as attacker:
        await attacker.send("too large", "GET", f"{PREFIX}/{query}{10**30}")


@pytest.mark.parametrize("days", ENDLESS_DAYS)
async def test_days_that_are_none(stage: Stage, days: str) -> None:
    async with attacking() as attacker:
        await attacker.send("purge", "POST", f"{PREFIX}/store/purge", f'{{"keep_logs_days":{days}}}'.encode())


async def test_operations_by_name_with_arguments_of_another_type(stage: Stage) -> None:
    async with attacking() as attacker:
        for name, facts in ALL.items():
            if not facts.route or name in CLOSING:
                continue
            method = next(getattr(group, name) for group in GROUPS if hasattr(group, name))
            for argument in method.__annotations__.keys() - {"return"}:
                for value in ('{"a":1}',):
                    url = f"{PREFIX}/workspaces/{OURS}/call/{name}"
                    await attacker.send(f"{name} {argument}", "POST", url, joined({argument: value}).encode())


# ── another workspace ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ADMIN], ids=str)
async def test_who_is_known_in_one_workspace_learns_nothing_of_another(stage: Stage, role: Role) -> None:
    there = stage.find(THEIRS)
    await there.call("set_secret", {"name": "TOKEN", "value": SECRET})
    options = {"signature": "bearer"}
    hook: Any = await there.call("add_webhook", {"name": "theirs", "options": options, "secret": SECRET})
    task: Any = await there.call("new_task", {"data": {"of": SECRET}, "name": "theirs"})
    before = await facts_of(there)
    async with await stage.client(role, OURS) as http:
        for verb, path, facts in ROUTES:
            if facts["operationId"] in ENDLESS:
                continue
            schema = schema_of(facts)
            body = None if schema is None else plainest(schema).encode()
            for known in ("TOKEN", "theirs", hook["id"], task["id"]):
                url = re.sub(r"{(?!workspace)[^}]*}", known, path)
                if url == path and known != "TOKEN":
                    break  # it names nothing
                for workspace in (THEIRS, f"{OURS}%2F..%2F{THEIRS}", OURS):
                    if workspace == OURS and (verb != "GET" or not url.endswith(known)):
                        continue
                    if "{workspace}" not in path and re.search(r"/(me|session|setup|invitation)\b", path):
                        continue
                    answer = await http.request(verb, url.replace("{workspace}", workspace), content=body)
                    place = f"{verb} {url} {workspace}: {answer.status_code} {answer.text[:200]}"
                    if facts["operationId"] == "list_workspaces":
                        assert [one["name"] for one in answer.json()] == [OURS]
                        continue
                    assert answer.status_code in (403, 404, 405, 415, 422), place
                    assert SECRET not in answer.text, place
            if "/tasks" in path and verb == "GET" and "{id}" not in path:
                for query in (f"parent={task['id']}", "search=theirs", "name=theirs"):
                    answer = await http.get(f"{PREFIX}/workspaces/{OURS}/tasks?{query}")
                    assert answer.json() == []
    assert await facts_of(there) == before


async def facts_of(operations: Operations) -> list[Any]:
    asked = ("show_workspace", "list_tasks", "list_variables", "list_webhooks", "list_schedules", "audit")
    return [await operations.call(name, {}) for name in asked]


# ── what is secret ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_secret_is_found_nowhere(stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in what is answered, nor in what is written: not in the database, the ledger or the log."""
    texts: list[str] = []
    below = f"{PREFIX}/workspaces/{OURS}"
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", f"{below}/secrets/TOKEN", {"value": SECRET}),
        ("PUT", f"{below}/secrets/TOKEN", {"value": SECRET, "new": True}),
        ("PUT", f"{below}/secrets/TOKEN", {"value": [SECRET]}),
        ("PUT", f"{below}/secrets/a b", {"value": SECRET}),
        ("POST", f"{below}/call/set_secret", {"name": "OTHER", "value": SECRET}),
        ("POST", f"{below}/call/set_secret", {"name": "OTHER", "value": {"in": SECRET}}),
        ("POST", f"{below}/webhooks", {"name": "hook", "options": {"signature": "bearer"}, "secret": SECRET}),
        ("POST", f"{below}/webhooks", {"name": "hook", "options": {"signature": "bearer"}, "secret": SECRET + "\n"}),
        ("PATCH", f"{below}/webhooks/hook", {"secret": SECRET}),
        ("POST", f"{below}/webhooks/hook/test", {"headers": {"Authorization": "Bearer x"}}),
        ("POST", f"{below}/tasks", {"data": {"$stash": {"a": SECRET}}}),
        ("POST", f"{PREFIX}/session", {"email": "a@b.c", "password": SECRET}),
        ("POST", f"{PREFIX}/session", {"email": ["a@b.c"], "password": {"x": SECRET}}),
        ("POST", f"{PREFIX}/setup", {"token": SECRET, "email": "x", "name": "x", "password": SECRET}),
        ("POST", f"{PREFIX}/invitation", {"token": SECRET, "password": SECRET}),
        ("POST", f"{PREFIX}/key/rotate", {"new_key": SECRET}),
    ]
    async with await stage.client() as http:
        for number, (verb, url, body) in enumerate(asked):
            answer = await http.request(verb, url, json=body, headers={"Idempotency-Key": str(number)})
            assert answer.status_code < 500, answer.text
            texts.append(answer.text)
        for verb, path, facts in ROUTES:
            if verb == "GET" and facts["operationId"] not in ENDLESS:
                texts.append((await http.get(re.sub(r"{[^}]*}", "hook", path.replace("{workspace}", OURS)))).text)
    assert all(SECRET not in text for text in texts), [text for text in texts if SECRET in text]
    assert SECRET not in caplog.text
    async for file in anyio.Path(tmp_path).iterdir():
        if await file.is_file():
            assert SECRET.encode() not in await file.read_bytes(), file.name
