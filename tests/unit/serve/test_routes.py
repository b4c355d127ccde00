"""Every route there is, with everybody who might ask: what is not allowed on purpose is refused.

A new route is found here by itself. It is an operation, whose own role counts, or it has its line in one of the tables
below; else the test fails.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import httpx2
import pytest
from fastapi.routing import iter_route_contexts
from pydantic import TypeAdapter

from aloma_py.operations import ALL, Caller, Role
from aloma_py.operations.passwords import new_token
from aloma_py.serve.house import idle_operations
from aloma_py.serve.web.access import COOKIE, Keepers, access_router
from aloma_py.serve.web.app import PREFIX, make_app
from aloma_py.serve.web.calls import calls_router
from aloma_py.serve.web.events import Events, events_router
from aloma_py.serve.web.intake import bulk_router
from aloma_py.serve.web.metrics import metrics_router
from aloma_py.settings import Settings
from aloma_py.store import SQLiteStore
from aloma_py.store.ledger import Ledger
from aloma_py.store.people import ACCOUNT, People

pytestmark = pytest.mark.anyio

NOW: Final = 1_767_225_600_000
HERE, THERE = "orders", "billing"

OPEN: Final = {
    "GET /healthz",
    "GET /readyz",
    "GET /api/v1/openapi.json",
    "POST /api/v1/setup",  # only with the token that the server printed
    "POST /api/v1/session",
    "POST /api/v1/invitation",  # only with an invitation
}
"""Routes that are open to all, on purpose."""

KNOWN: Final = {"GET /api/v1/me", "DELETE /api/v1/session", "POST /api/v1/me/password"}
"""Routes on oneself, for whoever is known."""

IN_WORKSPACE: Final = {
    "POST /api/v1/workspaces/{workspace}/call/{name}": Role.VIEWER,  # here with a name that no operation has
    "GET /api/v1/workspaces/{workspace}/tasks/{id}/follow": Role.VIEWER,
    "GET /api/v1/workspaces/{workspace}/events": Role.VIEWER,
    "POST /api/v1/workspaces/{workspace}/tasks/bulk": Role.OPERATOR,
}
"""Routes of a workspace beside those of the operations, with the least role."""

ON_ACCOUNT: Final = {"GET /api/v1/metrics": Role.VIEWER}
"""The same of the account."""

ANYBODY: Final = {"list_workspaces"}
"""Operations for whoever is known: they tell only of what the caller has a role in."""

LOOKING: Final = {"check_step", "preview_schedule"}
"""Operations that are asked with a body, and change nothing."""


BODIES: Final[dict[str, Any]] = {"POST /api/v1/me/password": {"old": "x", "new": "x"}}
"""What is sent to routes that are no operations, where it is not an empty object."""


@dataclass(frozen=True, slots=True)
class Route:
    """``place`` is where the role counts: :data:`HERE`, the account, or ``None`` where none is needed."""

    verb: str
    path: str
    place: str | None
    least: Role | None
    query: dict[str, Any]
    body: Any

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"

    @property
    def url(self) -> str:
        """With something in every place; the workspace is :data:`HERE`."""
        return re.sub(r"{[^}]*}", "x", self.path.replace("{workspace}", HERE).replace("{no}", "1"))


class Recorder:
    """Stands for the operations: what gets through to it was let through."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find(self, workspace: str) -> Any:
        return self

    async def call(self, name: str, arguments: dict[str, Any], who: Caller) -> None:
        self.asked.append(name)


RECORDER: Final = Recorder()
KEEPERS: Final = Keepers(SQLiteStore(":memory:"), now=lambda: NOW)
APP: Final = make_app(
    RECORDER.find,  # type: ignore[arg-type]
    KEEPERS,
    more=[
        access_router(KEEPERS),
        calls_router(RECORDER.find, KEEPERS),  # type: ignore[arg-type]
        events_router(RECORDER.find, KEEPERS, Events(NOW)),  # type: ignore[arg-type]
        bulk_router(RECORDER.find, KEEPERS),  # type: ignore[arg-type]
        metrics_router(KEEPERS, None),  # type: ignore[arg-type]
    ],
)


def routes() -> list[Route]:
    """Every route there is, whether the OpenAPI tells of it or not."""
    found = []
    for one in iter_route_contexts(APP.routes):
        assert one.methods, f"{one.path} answers to every method"
        for verb in sorted(one.methods - {"HEAD"}):
            text = f"{verb} {one.path}"
            name = str(one.name)
            if name in ALL and text == full_route(name):
                found.append(Route(verb, str(one.path), *needed_for(name), *sample(cast(Any, one).endpoint)))
            elif text in IN_WORKSPACE or text in ON_ACCOUNT:
                least = {**IN_WORKSPACE, **ON_ACCOUNT}[text]
                found.append(Route(verb, str(one.path), ACCOUNT if text in ON_ACCOUNT else HERE, least, {}, {}))
            else:
                assert text in OPEN | KNOWN, f"{text} is in no table: say who may ask for it"
                found.append(Route(verb, str(one.path), None, None, {}, BODIES.get(text, {})))
    return found


def needed_for(name: str) -> tuple[str | None, Role | None]:
    """Where an operation needs which role."""
    facts = ALL[name]
    if name in ANYBODY:
        return None, None
    return (ACCOUNT if facts.account else HERE), facts.least


def full_route(name: str) -> str:
    verb, path = ALL[name].route.split(" ", 1)
    return f"{verb} {PREFIX}{'' if ALL[name].account else '/workspaces/{workspace}'}{path}".rstrip("/")


def sample(endpoint: Callable[..., Any]) -> tuple[dict[str, Any], Any]:
    """A query and a body that an endpoint reads without complaint: of each thing that it must have, the plainest."""
    query: dict[str, Any] = {}
    body: Any = None
    for name, parameter in inspect.signature(endpoint).parameters.items():
        if name == "request" or parameter.default is None or "Path" in str(parameter.annotation):
            continue
        schema = TypeAdapter(parameter.annotation).json_schema()
        if name == "body":
            body = plainest(schema, schema.get("$defs", {}))
        elif parameter.default is inspect.Parameter.empty:
            query[name] = plainest(schema, {})
    return query, body


def plainest(schema: dict[str, Any], known: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return plainest(known[schema["$ref"].rsplit("/", 1)[1]], known)
    if "anyOf" in schema:
        return plainest(schema["anyOf"][0], known)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "object":
        members = schema.get("properties", {})
        return {name: plainest(members[name], known) for name in schema.get("required", [])}
    plain = {"string": "x", "integer": 1, "number": 1, "boolean": True, "array": []}
    return plain.get(schema.get("type", ""))


ROUTES: Final = routes()


@dataclass(frozen=True)
class Who:
    """Somebody who asks. ``roles`` are by place; ``None`` where it is nobody that is known."""

    headers: dict[str, str]
    roles: dict[str, Role] | None = None

    def expected(self, route: Route) -> int | None:
        """The status with which the route must refuse, or ``None`` where it must not."""
        if str(route) in OPEN:
            return None
        if self.roles is None:
            return 401
        if route.least is None:
            return None
        role = max((role for place, role in self.roles.items() if place in (ACCOUNT, route.place)), default=None)
        if role is None:
            return 403 if route.place == ACCOUNT else 404
        return 403 if role < route.least else None


@pytest.fixture
async def everybody() -> AsyncIterator[dict[str, Who]]:
    """Who may ask, by what they are; each with a token in a store of their own."""
    async with SQLiteStore(":memory:") as store:
        people = KEEPERS.people = People(store)
        KEEPERS.ledger = Ledger(store)
        found = {"nobody": Who({}), "an unknown key": Who({"Authorization": f"Bearer {new_token('alk')[0]}"})}

        async def add_key(name: str, place: str, role: Role, *, until: int | None = None) -> Who:
            token, hashed = new_token("alk")
            await people.add_key(hashed, name, place, str(role), "test", NOW - 2, until)
            return Who({"Authorization": f"Bearer {token}"}, {place: role})

        for place, called in ((HERE, "here"), (THERE, "there"), (ACCOUNT, "everywhere")):
            for role in Role:
                name = f"a key of a {role} {called}"
                found[name] = await add_key(name, place, role)
        expired = await add_key("expired", ACCOUNT, Role.ADMIN, until=NOW)
        found["an expired key"] = replace(expired, roles=None)
        revoked = await add_key("revoked", ACCOUNT, Role.ADMIN)
        await people.revoke_key("revoked", NOW)
        found["a revoked key"] = replace(revoked, roles=None)

        async def add_person(name: str, roles: dict[str, Role], until: int) -> Who:
            words = {place: str(role) for place, role in roles.items()}
            person = await people.invite(f"{name}@x", name, words, name.encode(), "test", NOW - 2, NOW + 1)
            await people.accept(name.encode(), "hash", NOW - 2)
            token, hashed = new_token("alw")
            assert await people.open_session(person.id, "hash", hashed, NOW - 2, until)
            return Who({"Cookie": f"{COOKIE}={token}", "X-Requested-With": "aloma-py"}, roles)

        found["a person with several roles"] = await add_person(
            "several", {HERE: Role.DEVELOPER, THERE: Role.ADMIN, ACCOUNT: Role.VIEWER}, NOW + 1
        )
        found["a person without a role"] = await add_person("none", {}, NOW + 1)
        late = await add_person("late", {ACCOUNT: Role.ADMIN}, NOW)
        found["a session that has ended"] = replace(late, roles=None)
        gone = await add_person("gone", {ACCOUNT: Role.ADMIN}, NOW + 1)
        await people.update("gone@x", NOW, name=None, roles={}, disabled=True)
        found["somebody disabled"] = replace(gone, roles=None)
        yield found


def client() -> httpx2.AsyncClient:
    where = httpx2.ASGITransport(APP, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=where, base_url="http://aloma.test")


async def ask(http: httpx2.AsyncClient, route: Route, who: Who) -> httpx2.Response:
    body = {} if route.body is None else {"json": route.body}
    return await http.request(route.verb, route.url, params=route.query, headers=who.headers, **body)


@pytest.mark.parametrize("route", ROUTES, ids=str)
async def test_a_route_answers_those_who_may_and_nobody_else(route: Route, everybody: dict[str, Who]) -> None:
    async with client() as http:
        for name, who in everybody.items():
            if str(route) in OPEN and who.roles is not None:
                continue  # nobody may, so everybody may
            RECORDER.asked.clear()
            answer = await ask(http, route, who)
            expected = who.expected(route)
            if expected is not None:
                assert answer.status_code == expected, f"{name}: {answer.text}"
                assert RECORDER.asked == [], f"{name} was refused, but it was done"
                assert expected != 404 or f"there is no workspace {HERE!r}" in answer.json()["detail"]
            elif route.least is not None:
                assert answer.status_code not in (401, 403, 422), f"{name}: {answer.text}"
                assert "no workspace" not in answer.text, f"{name}: {answer.text}"
                if full_route_of(route) is not None:
                    assert RECORDER.asked == [full_route_of(route)], f"{name}: {answer.text}"


def full_route_of(route: Route) -> str | None:
    """The operation that is behind a route."""
    return next((name for name, facts in ALL.items() if facts.route and full_route(name) == str(route)), None)


async def test_an_open_route_asks_nobody_who_they_are(everybody: dict[str, Who]) -> None:
    async with client() as http:
        for route in ROUTES:
            if str(route) in OPEN:
                answer = await ask(http, route, everybody["nobody"])
                assert answer.status_code in (200, 422), f"{route}: {answer.text}"


async def test_an_operation_by_name_needs_the_same_role_as_its_route(everybody: dict[str, Who]) -> None:
    async with client() as http:
        for operation, facts in ALL.items():
            path = f"{PREFIX}/workspaces/{{workspace}}/call/{operation}"
            route = Route("POST", path, *needed_for(operation), {}, {})
            for name, who in everybody.items():
                if "everywhere" in name and "admin" not in name:
                    continue  # as those here
                RECORDER.asked.clear()
                answer = await ask(http, route, who)
                expected = who.expected(route) or (0 if facts.route else 403)  # without a route: on its machine only
                assert (answer.status_code == expected) if expected else (answer.status_code < 400), (
                    f"{operation} {name}"
                )
                assert RECORDER.asked == ([] if expected else [operation])


def test_every_operation_with_a_route_has_it() -> None:
    assert {full_route(name) for name, facts in ALL.items() if facts.route} <= {str(route) for route in ROUTES}


def test_only_those_named_here_are_for_anybody() -> None:
    assert {name for name, facts in ALL.items() if facts.anybody} == ANYBODY


async def test_everybody_is_told_of_their_own_workspaces_only(everybody: dict[str, Who]) -> None:
    async with SQLiteStore(":memory:") as store:
        operations = idle_operations(store, Settings())
        for name in (HERE, THERE):
            await operations.call("add_workspace", {"name": name})
        app = make_app(lambda workspace: operations, KEEPERS)
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://aloma.test") as http:
            for name, who in everybody.items():
                if who.roles is None:
                    continue
                found = await http.get(f"{PREFIX}/workspaces", headers=who.headers)
                expected = [THERE, "default", HERE] if ACCOUNT in who.roles else sorted(who.roles)
                assert [one["name"] for one in found.json()] == sorted(expected), name


def test_every_line_of_the_tables_is_a_route() -> None:
    assert {*OPEN, *KNOWN, *IN_WORKSPACE, *ON_ACCOUNT} <= {str(route) for route in ROUTES}


def test_what_changes_something_needs_more_than_looking() -> None:
    """A viewer's operations are also those that run beside another process that has the store."""
    changing = {name for name, facts in ALL.items() if facts.route and not facts.route.startswith("GET ")}
    assert {name for name in changing if ALL[name].least is Role.VIEWER} <= LOOKING


def test_what_is_about_people_and_keys_is_for_admins_of_the_account() -> None:
    concerned = {name: facts for name, facts in ALL.items() if re.match(r"\w+ /(people|keys)\b", facts.route)}
    assert len(concerned) == 8
    assert all(facts.account and facts.least is Role.ADMIN for facts in concerned.values())
