"""People and keys over HTTP: coming in, staying in, being kept out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import pytest
from argon2 import PasswordHasher
from fastapi import APIRouter, FastAPI

from aloma_py.clock import VirtualClock
from aloma_py.errors import InputError, StoreFull
from aloma_py.operations import LOCAL, Caller, Role
from aloma_py.operations.passwords import Hasher, check_password
from aloma_py.serve.house import idle_operations
from aloma_py.serve.web.access import COOKIE, IDLE, LONGEST, Keepers, access_router, known_first, setup_token
from aloma_py.serve.web.app import make_app
from aloma_py.serve.web.attempts import Attempts
from aloma_py.serve.web.guard import Identity
from aloma_py.serve.web.problems import AccessError
from aloma_py.settings import Settings
from aloma_py.store import SQLiteStore
from aloma_py.store.writer import Write

pytestmark = pytest.mark.anyio

GOOD: Final = "a heron by the weir"
OTHER: Final = "two herons by the weir"
ADA: Final = {"email": "ada@example.org", "name": "Ada", "password": GOOD}
OURS: Final = {"X-Requested-With": "aloma-py"}

CHEAP: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Counting(Hasher):
    """Counts how often passwords are looked at."""

    verified = 0

    async def verify(self, encoded: str | None, password: str) -> bool:
        self.verified += 1
        return await super().verify(encoded, password)


@dataclass
class World:
    """A server with the clock that it lives by, and clients for it."""

    store: SQLiteStore
    app: FastAPI
    keepers: Keepers
    clock: VirtualClock
    hasher: Counting

    def client(self, **headers: str) -> httpx2.AsyncClient:
        where = httpx2.ASGITransport(self.app, raise_app_exceptions=False, client=("192.0.2.1", 1))
        return httpx2.AsyncClient(transport=where, base_url="http://aloma.test/api/v1", headers=headers)

    def wait(self, millis: int) -> None:
        self.clock.move_to(self.clock.now() + millis)

    async def ask(self, name: str, who: Caller = LOCAL, workspace: str = "default", /, **arguments: Any) -> Any:
        return await self.operations(workspace).call(name, arguments, who)

    def operations(self, workspace: str) -> Any:
        found = idle_operations(self.store, Settings(workspace=workspace))
        found.engine.clock = self.clock
        return found

    async def admin(self) -> httpx2.AsyncClient:
        """A client that is signed in as the first admin."""
        token = await setup_token(self.store)
        client = self.client(**OURS)
        assert (await client.post("/setup", json={"token": token, **ADA})).status_code == 201
        return client

    async def key(self, role: str = "admin", **more: Any) -> httpx2.AsyncClient:
        made = await self.ask("add_key", name=f"a {role}", role=role, **more)
        return self.client(Authorization=f"Bearer {made['key']}")


@dataclass
class Stage:
    """The application, made once since that takes long, and the guard that knows the store of the test under way."""

    keepers: Keepers
    app: FastAPI
    world: World | None = None

    def operations(self, workspace: str) -> Any:
        assert self.world is not None
        return self.world.operations(workspace)


@pytest.fixture(scope="module")
def stage() -> Stage:
    made = Stage(Keepers(SQLiteStore(":memory:")), FastAPI())
    made.app = make_app(made.operations, made.keepers, more=[access_router(made.keepers)])
    return made


@pytest.fixture
async def world(stage: Stage) -> AsyncIterator[World]:
    async with SQLiteStore(":memory:") as store:
        await store.workspace("orders").set_facts()
        clock, hasher = VirtualClock(), Counting(CHEAP)
        vars(stage.keepers).update(vars(Keepers(store, now=clock.now, hasher=hasher)))
        stage.world = World(store, stage.app, stage.keepers, clock, hasher)
        yield stage.world
        stage.world = None


def detail(answer: httpx2.Response) -> str:
    text: str = answer.json()["detail"]
    return text


# ── the first run ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_admin_is_made_with_the_token_that_was_printed(world: World) -> None:
    old, token = await setup_token(world.store), await setup_token(world.store)
    client = world.client(**OURS)
    assert (await client.post("/setup", json={"token": old, **ADA})).status_code == 403
    made = await client.post("/setup", json={"token": token, **ADA})
    assert made.status_code == 201
    me = {"kind": "person", "name": "Ada", "email": "ada@example.org", "role": "admin", "workspaces": {}}
    assert made.json() == (await client.get("/me")).json() == me
    again = await world.client().post("/setup", json={"token": token, **ADA, "email": "eve@example.org"})
    assert (again.status_code, detail(again)) == (404, "the account has been set up already: sign in")
    assert await setup_token(world.store) is None
    assert [line["action"] for line in await world.ask("account_audit")] == ["setup"]


async def test_a_bad_password_does_not_use_the_setup_token_up(world: World) -> None:
    token = await setup_token(world.store)
    client = world.client(**OURS)
    refused = await client.post("/setup", json={"token": token, **ADA, "password": "short"})
    assert (refused.status_code, detail(refused)) == (422, "the password has 5 characters; at least 12 are needed")
    assert (await client.post("/setup", json={"token": token, **ADA})).status_code == 201


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_cookie_cannot_be_read_by_pages_nor_sent_by_those_of_others(world: World) -> None:
    await world.admin()
    client = world.client()
    answer = await client.post("/session", json={"email": " ADA@example.org ", "password": GOOD})
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={LONGEST // 1000}"))
    assert "Secure" not in cookie
    there = httpx2.ASGITransport(world.app)
    async with httpx2.AsyncClient(transport=there, base_url="https://aloma.test/api/v1") as safe:
        answer = await safe.post("/session", json={"email": "ada@example.org", "password": GOOD})
        assert "Secure" in answer.headers["set-cookie"]
    with world.store.reading() as reader:
        kept = reader.execute("SELECT * FROM token").fetchall()
    assert client.cookies[COOKIE] not in str(kept)


async def test_a_session_holds_twelve_hours_from_its_last_use_and_seven_days_at_most(world: World) -> None:
    client = await world.admin()
    begun = world.clock.now()
    while world.clock.now() + IDLE - 1 < begun + LONGEST:
        world.wait(IDLE - 1)
        assert (await client.get("/me")).status_code == 200
    world.clock.move_to(begun + LONGEST - 1)
    assert (await client.get("/me")).status_code == 200
    world.clock.move_to(begun + LONGEST)
    assert (await client.get("/me")).status_code == 401

    await client.post("/session", json={"email": "ada@example.org", "password": GOOD})
    world.wait(IDLE)
    assert (await client.get("/me")).status_code == 401


async def test_who_signs_out_is_out_also_with_a_copy_of_the_cookie(world: World) -> None:
    client = await world.admin()
    copy = world.client(Cookie=f"{COOKIE}={client.cookies[COOKIE]}")
    assert (await copy.get("/me")).status_code == 200
    assert (await client.delete("/session")).status_code == 204
    assert COOKIE not in client.cookies
    assert (await copy.get("/me")).status_code == 401


async def test_a_session_of_somebody_disabled_opens_nothing_also_where_it_is_still_there(world: World) -> None:
    client = await world.admin()
    await world.store.writer.write(
        Write(job=lambda connection: connection.execute("UPDATE person SET disabled_at = 1"))
    )
    assert (await client.get("/me")).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "http://aloma.test.evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"X-Requested-With": "XMLHttpRequest"}, 403),
        ({"Origin": "http://aloma.test"}, 201),
        (OURS, 201),
    ],
)
async def test_a_cookie_alone_changes_nothing(world: World, headers: dict[str, str], status: int) -> None:
    cookie = (await world.admin()).cookies[COOKIE]
    client = world.client(Cookie=f"{COOKIE}={cookie}", **headers)
    assert (await client.get("/people")).status_code == 200
    assert (await client.post("/keys", json={"name": "ci", "role": "viewer"})).status_code == status
    assert len(await world.ask("list_keys")) == (status == 201)


async def test_a_page_of_somebody_else_signs_nobody_in(world: World) -> None:
    await world.admin()
    client = world.client(Origin="https://evil.test")
    answer = await client.post("/session", json={"email": "ada@example.org", "password": GOOD})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_another_password_ends_every_other_session(world: World) -> None:
    client, other = await world.admin(), world.client()
    await other.post("/session", json={"email": "ada@example.org", "password": GOOD})
    wrong = await client.post("/me/password", json={"old": OTHER, "new": OTHER})
    assert (wrong.status_code, detail(wrong)) == (403, "the present password is wrong")
    assert (await client.post("/me/password", json={"old": GOOD, "new": OTHER})).status_code == 200
    assert (await client.get("/me")).status_code == 200
    assert (await other.get("/me")).status_code == 401
    assert (await other.post("/session", json={"email": "ada@example.org", "password": GOOD})).status_code == 401


# ── guessing ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_email_that_nobody_has_is_answered_alike_with_the_same_work(world: World) -> None:
    await world.admin()
    await world.ask("invite_person", email="new@example.org", role="viewer")
    answers = set()
    for n, email in enumerate(("ada@example.org", "nobody@example.org", "new@example.org", "no email")):
        for attempt in range(1, 7):
            answer = await world.client().post("/session", json={"email": email, "password": "wrong"})
            answers.add((attempt, answer.status_code, detail(answer), answer.headers.get("Retry-After")))
            assert world.hasher.verified == n * 5 + min(attempt, 5)
        world.wait(3_600_001)  # the address too has been wrong often
    assert answers == {
        *((n, 401, "the email or the password is wrong", None) for n in range(1, 6)),
        (6, 429, "too many attempts failed; try again in 60 s", "60"),
    }


async def test_the_right_password_is_refused_too_while_attempts_are(world: World) -> None:
    await world.admin()
    client, right = world.client(), {"email": "ada@example.org", "password": GOOD}
    for _ in range(5):
        await client.post("/session", json={**right, "password": "wrong"})
    assert (await client.post("/session", json=right)).status_code == 429
    world.wait(60_000)
    assert (await client.post("/session", json=right)).status_code == 200


async def test_who_signs_in_at_last_begins_anew(world: World) -> None:
    await world.admin()
    client, right = world.client(), {"email": "ada@example.org", "password": GOOD}
    for _ in range(3):
        for _ in range(4):
            assert (await client.post("/session", json={**right, "password": "wrong"})).status_code == 401
        assert (await client.post("/session", json=right)).status_code == 200


def fail(attempts: Attempts, *names: str) -> None:
    with pytest.raises(AccessError) as caught, attempts.at(*names):
        raise AccessError(401, "wrong")
    assert caught.value.status == 401


def refusal(attempts: Attempts, *names: str) -> int | None:
    """After how many seconds to try again."""
    with pytest.raises(AccessError) as caught, attempts.at(*names):
        pytest.fail("the attempt was let through")
    assert caught.value.status == 429
    return caught.value.retry_after


def test_attempts_are_refused_for_twice_as_long_each_time() -> None:
    clock = VirtualClock()
    attempts, waits = Attempts(clock.now), []
    for _ in range(6):
        for _ in range(5):
            fail(attempts, "email ada")
        wait = refusal(attempts, "email ada")
        assert wait is not None
        waits.append(wait)
        clock.move_to(clock.now() + wait * 1000)
    assert waits == [60, 120, 240, 480, 900, 900]


def test_an_address_is_counted_over_all_emails_and_a_success_does_not_clear_it() -> None:
    attempts = Attempts(VirtualClock().now)
    for n in range(20):
        fail(attempts, f"email {n}", "address 192.0.2.1")
        if n < 19:
            with attempts.at("email mine", "address 192.0.2.1") as attempt:
                attempt.succeeded()
    assert refusal(attempts, "email another", "address 192.0.2.1") == 60
    fail(attempts, "email another", "address 192.0.2.2")


def test_many_attempts_at_once_gain_nothing() -> None:
    attempts = Attempts(VirtualClock().now)
    under_way = [attempts.at("email ada") for _ in range(5)]
    for one in under_way:
        one.__enter__()
    assert refusal(attempts, "email ada") == 1


def test_what_is_remembered_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aloma_py.serve.web.attempts.MOST", 100)
    attempts = Attempts(VirtualClock().now)
    for n in range(250):
        fail(attempts, f"email {n}")
    assert len(attempts._counts) <= 100
    for _ in range(4):
        fail(attempts, "email 249")
    assert refusal(attempts, "email 249") == 60


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_is_shown_once_and_kept_as_a_hash(world: World) -> None:
    admin = await world.admin()
    made = (await admin.post("/keys", json={"name": "ci", "role": "operator", "workspace": "orders"})).json()
    assert made["key"].startswith("alk_")
    listed = (await admin.get("/keys")).json()
    assert listed == [{name: value for name, value in made.items() if name != "key"}]
    with world.store.reading() as reader:
        kept = [reader.execute(f"SELECT * FROM {table}").fetchall() for table in ("token", "ledger", "person")]
    assert made["key"] not in str(kept)
    me = await world.client(Authorization=f"bearer {made['key']}").get("/me")
    assert me.json() == {"kind": "key", "name": "ci", "email": None, "role": None, "workspaces": {"orders": "operator"}}


async def test_a_bad_key_is_not_made_up_for_by_a_cookie(world: World) -> None:
    admin = await world.admin()
    answer = await admin.get("/me", headers={"Authorization": "Bearer alk_unknown"})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (await admin.get("/me", headers={"Authorization": "Basic YTpi"})).status_code == 200


async def test_the_use_of_a_key_is_written_down_once_a_minute(world: World) -> None:
    client = await world.key()
    seen = []
    for _ in range(5):
        assert (await client.get("/me")).status_code == 200
        seen.append((await world.ask("list_keys"))[0]["used_at"])
        world.wait(30_000)
    assert [moment[14:19] for moment in seen] == ["00:00", "00:00", "01:00", "01:00", "02:00"]


async def test_a_full_disk_keeps_nobody_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await world.key()

    async def full(*args: object) -> None:
        raise StoreFull("no room is left")

    monkeypatch.setattr(world.keepers.people, "used", full)
    assert (await client.get("/me")).status_code == 200


async def test_nobody_gives_a_role_above_their_own(world: World) -> None:
    developer = Caller("dev@example.org", Role.DEVELOPER)
    for name, arguments in (
        ("add_key", {"name": "ci", "role": "admin"}),
        ("invite_person", {"email": "new@example.org", "workspaces": {"orders": "admin"}}),
        ("invite_person", {"email": "new@example.org", "role": "owner"}),
    ):
        with pytest.raises(InputError, match="more than dev@example"):
            await world.ask(name, developer, **arguments)
    assert (await world.ask("add_key", developer, name="ci", role="developer"))["role"] == "developer"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("add_key", {"name": "a\nb", "role": "viewer"}, "is no name"),
        ("add_key", {"name": "ci", "role": "viewr"}, "did you mean 'viewer'"),
        ("add_key", {"name": "ci", "role": "viewer", "workspace": "order"}, "did you mean 'orders'"),
        ("add_key", {"name": "ci", "role": "viewer", "workspace": ""}, "there is no workspace ''"),
        ("add_key", {"name": "ci", "role": "viewer", "expires_at": "2020-01-01"}, "which has passed"),
        ("add_key", {"name": "ci", "role": "viewer", "expires_at": "soon"}, "a time such as"),
        ("invite_person", {"email": "new", "role": "viewer"}, "no email address"),
        ("invite_person", {"email": "key:ci@x", "role": "viewer"}, "no email address"),
        ("invite_person", {"email": "new@example.org"}, "invited to nothing"),
        ("invite_person", {"email": "new@example.org", "workspaces": {"": "admin"}}, "given as role"),
        ("update_person", {"id": "nobody@example.org"}, "there is no person"),
        ("account_audit", {"limit": 0}, "1 to 1,000 was expected"),
    ],
)
async def test_mistakes_are_named(world: World, name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        await world.ask(name, **arguments)
    assert [*await world.ask("list_keys"), *await world.ask("list_people"), *await world.ask("account_audit")] == []


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_from_the_invitation_to_the_removal(world: World) -> None:
    admin, bob = await world.admin(), world.client(**OURS)
    asked = {"email": "Bob@example.org", "workspaces": {"orders": "developer"}}
    invited = (await admin.post("/people", json=asked)).json()
    weak = await bob.post("/invitation", json={"token": invited["invitation"], "password": "bob-bob-2026"})
    assert weak.status_code == 422
    accepted = await bob.post("/invitation", json={"token": invited["invitation"], "password": OTHER})
    assert accepted.json()["workspaces"] == {"orders": "developer"}
    assert (await bob.get("/workspaces/orders/tasks")).status_code == 200
    assert (await bob.get("/workspaces/default/tasks")).status_code == 404
    again = await bob.post("/invitation", json={"token": invited["invitation"], "password": OTHER})
    assert (again.status_code, detail(again)) == (403, "the invitation is unknown, has expired, or was used")

    await admin.patch(f"/people/{invited['id']}", json={"workspaces": {"orders": "none", "default": "viewer"}})
    assert (await bob.get("/workspaces/orders/tasks")).status_code == 404
    assert (await bob.get("/workspaces/default/tasks")).status_code == 200
    await admin.patch("/people/bob@example.org", json={"disabled": True})
    assert (await bob.get("/me")).status_code == 401
    refused = await bob.post("/session", json={"email": "bob@example.org", "password": OTHER})
    assert (refused.status_code, detail(refused)) == (401, "the email or the password is wrong")
    assert (await admin.delete(f"/people/{invited['id']}")).json()["removed"] is True
    assert [one["email"] for one in (await admin.get("/people")).json()] == ["ada@example.org"]


async def test_the_last_admin_is_told_why_they_stay(world: World) -> None:
    admin = await world.admin()
    for answer in (
        await admin.delete("/people/ada@example.org"),
        await admin.patch("/people/ada@example.org", json={"disabled": True}),
        await admin.patch("/people/ada@example.org", json={"role": "viewer"}),
    ):
        assert answer.status_code == 409
        assert detail(answer) == "the account would be left without an admin: make somebody else one first"


async def test_who_leaves_has_their_keys_named(world: World) -> None:
    admin = await world.admin()
    bob = await world.ask("invite_person", email="bob@example.org", role="admin")
    client = world.client(**OURS)
    await client.post("/invitation", json={"token": bob["invitation"], "password": OTHER})
    await client.post("/keys", json={"name": "of Bob", "role": "viewer"})
    assert (await admin.delete("/people/bob@example.org")).json()["keys"] == ["of Bob"]


async def test_a_forgotten_password_is_set_with_a_new_invitation(world: World) -> None:
    await world.admin()
    renewed = await world.ask("renew_invitation", id="ada@example.org")
    client = world.client(**OURS)
    world.wait(7 * 86_400_000)
    late = await client.post("/invitation", json={"token": renewed["invitation"], "password": OTHER})
    assert late.status_code == 403
    renewed = await world.ask("renew_invitation", id="ada@example.org")
    await client.post("/invitation", json={"token": renewed["invitation"], "password": OTHER})
    assert (await client.get("/me")).json()["role"] == "admin"


# ── the ledger ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_ledger_says_who_changed_what_where(world: World) -> None:
    admin = await world.admin()
    await admin.post("/keys", json={"name": "ci", "role": "viewer"})
    await admin.post("/keys", json={"name": "ci", "role": "viewer"})  # refused
    purging = await world.key()
    await world.operations("orders").call("set_variable", {"name": "A", "value": 1}, Caller("key:a admin", Role.ADMIN))
    lines = (await purging.get("/audit")).json()
    assert [(line["who"], line["workspace"], line["action"]) for line in lines] == [
        ("key:a admin", "orders", "set_variable"),
        ("local", None, "add_key"),
        ("ada@example.org", None, "add_key"),
        ("ada@example.org", None, "setup"),
    ]
    assert lines[0]["details"] == {"name": "A", "value": 1}
    here = (await purging.get("/workspaces/orders/audit", params={"limit": 5})).json()
    assert here == lines[:1]
    assert (await purging.get("/audit", params={"before": lines[2]["no"]})).json() == lines[3:]


async def test_what_is_hidden_and_what_only_looks_is_not_written_down(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from aloma_py.operations import operations

    facts = {**operations.ALL, "purge": replace(operations.ALL["purge"], hidden=frozenset({"keep_logs_days"}))}
    monkeypatch.setattr(operations, "ALL", facts)
    await world.ask("list_people")
    await world.ask("audit")
    await world.ask("purge", keep_logs_days=77, keep_tasks_days=5)
    (line,) = await world.ask("account_audit")
    assert line["details"] == {"keep_logs_days": "…", "keep_tasks_days": 5}


async def test_what_was_done_is_answered_also_where_the_ledger_cannot_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    operations = world.operations("default")

    async def full(*args: object) -> None:
        raise StoreFull("no room is left")

    monkeypatch.setattr(operations._ledger, "note", full)
    assert (await operations.call("add_key", {"name": "ci", "role": "viewer"}))["name"] == "ci"
    assert "local did add_key, which the ledger lacks" in caplog.text


# ── passwords ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("elevenchars", "has 11 characters"),
        ("x" * 1025, "longer than 1,024"),
        ("918273645546", "is a number"),
        ("abcabcabcabc", "again and again"),
        ("hunter2hunter2", "again and again"),
        ("qwertyuiopas", "follows the keyboard"),
        ("lkjihgfedcba", "follows the keyboard"),
        ("Password2026!", "tried first"),
        ("P@ssw0rd1234", "tried first"),
        ("correct horse battery staple", "tried first"),
        ("ada.lovelace99", "tried first"),
    ],
)
def test_a_password_that_would_be_guessed_is_refused(password: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        check_password(password, "ada@example.org", "Ada Lovelace")
    assert password not in str(caught.value)


@pytest.mark.parametrize(
    "password", [GOOD, "k3#jd9fjs02k", "Ada walks home at six", "шесть цапель", "🦩🐢🦉🦔🐝🦦🐸🦎🐋🦥🐿🦭"]
)
def test_a_password_of_ones_own_is_good(password: str) -> None:
    check_password(password, "ada@example.org", "Ada Lovelace")


async def test_passwords_are_hashed_by_argon2_each_with_a_salt() -> None:
    hasher = Hasher(CHEAP)
    one, other = await hasher.hash(GOOD), await hasher.hash(GOOD)
    assert one.startswith("$argon2id$") and one != other
    assert await hasher.verify(one, GOOD)
    assert not await hasher.verify(one, OTHER)
    assert not await hasher.verify(None, GOOD)
    assert not await hasher.verify("no hash", GOOD)


# ── routes that look at who asks first ──────────────────────────────────────────────────────────────────────────────


async def test_nobodys_body_is_not_read(world: World) -> None:
    router = APIRouter(route_class=known_first(world.keepers))
    handled: list[int] = []

    @router.post("/count")
    async def count(body: dict[str, int]) -> None:
        handled.append(body["n"])

    world.app = make_app(world.operations, world.keepers, more=[router])
    client: Callable[..., Any] = (await world.key()).post
    assert (await world.client().post("/count", content="{")).status_code == 401
    assert (await client("/count", content="{")).status_code == 422
    assert (await client("/count", json={"n": 3})).status_code == 200
    assert handled == [3]


def test_a_caller_knows_of_all_workspaces_only_by_a_role_on_the_account() -> None:
    mine = Identity("ada", {"shop": Role.ADMIN})
    assert mine.caller("shop", Role.VIEWER) == Caller("ada", Role.ADMIN, frozenset({"shop"}))
    both = Identity("ada", {"": Role.VIEWER, "shop": Role.ADMIN})
    assert both.caller("shop", Role.VIEWER) == Caller("ada", Role.ADMIN)
