"""The door for webhooks: what comes in becomes a task on disk, once, or is refused with a reason."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from aloma_py.clock import VirtualClock
from aloma_py.errors import NotFoundError, StoreFull
from aloma_py.models import Task, TaskFilter
from aloma_py.operations import Caller, Role
from aloma_py.serve.house import House
from aloma_py.serve.web.door import Door, Front
from aloma_py.serve.web.server import listen, serving
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.webhooks import KEEP_KEYS, Deliveries

pytestmark = pytest.mark.anyio

STEPS = """
from aloma_py import step

@step(condition={"number": int})
async def square(data, task):
    task.complete(data.number ** 2)

@step(condition={"wait": True})
async def wait(data, task):
    task.park("1h")
"""
SECRET = "shh, it is secret"


class World:
    def __init__(self, store: SQLiteStore, house: House, clock: VirtualClock, **options: Any) -> None:
        self.store = store
        self.house = house
        self.clock = clock
        self.door = Door(store, house.find, clock=clock, **options)
        transport = httpx2.ASGITransport(Front(self.door, Starlette()), client=("192.0.2.7", 5))
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://aloma")

    async def ask(self, name: str, /, *, who: Caller | None = None, **arguments: Any) -> Any:
        operations = self.house.find("shop")
        return await operations.call(name, arguments, *([who] if who else []))

    async def add(self, name: str = "orders", secret: str | None = None, **options: Any) -> str:
        """A new webhook's path."""
        given = {} if secret is None else {"secret": secret}
        return str((await self.ask("add_webhook", name=name, options=options, **given))["path"])

    async def post(self, path: str, content: str | bytes = "{}", status: int = 202, **headers: str) -> dict[str, Any]:
        given = {"content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.client.post(path, content=content, headers=given)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert found["status"] == status and found["detail"]
        return found

    async def tasks(self) -> list[Task]:
        return await self.store.workspace("shop").list(TaskFilter())


@asynccontextmanager
async def opened(place: Path | str = ":memory:", *, served: Path | None = None, **options: Any) -> AsyncIterator[World]:
    clock = VirtualClock()
    async with SQLiteStore(place, key=b"k" * 32) as store, anyio.create_task_group() as group:
        house = House(store, Settings(workspace="shop", script_workers=1), group)
        await store.workspace("shop").set_facts()
        if served is not None:
            (served / "shop_steps.py").write_text(STEPS)
            await house.open("shop", [str(served / "shop_steps.py")])
            await house.begin()
        yield World(store, house, clock, **options)
        group.cancel_scope.cancel()


def signed(body: str, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()


def files_with(folder: Path, text: str) -> list[Path]:
    return [file for file in folder.iterdir() if text.encode() in file.read_bytes()]


async def call(
    door: Door, path: str, messages: Sequence[dict[str, Any]], headers: Sequence[tuple[bytes, bytes]] = ()
) -> list[dict[str, Any]]:
    """What the door sends for a request whose body comes in these messages."""
    waiting, sent = list(messages), []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": list(headers)}
    await door(scope, receive, send)
    return sent


# ── what comes in ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_delivery_is_a_task_on_disk_when_it_is_answered(tmp_path: Path) -> None:
    file = tmp_path / "aloma.db"
    async with opened(file) as world:
        path = await world.add()
        answer = await world.post(f"{path}?from=crm", '{"order": 7}', user_agent="tests")
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as other:
            rows = other.execute("SELECT id, workspace, name, state, data FROM task").fetchall()
        other.close()
    ((id, workspace, name, state, data),) = rows
    assert answer == {"task": id}
    assert (workspace, name, state) == ("shop", "orders", "pending")
    assert json.loads(data) == {
        "order": 7,
        "$via": {
            "id": path.removeprefix("/event/"),
            "name": "orders",
            "type": "webhook",
            "received": world.clock.now(),
            "query": {"from": "crm"},
            "headers": {"content-type": "application/json", "user-agent": "tests"},
        },
    }


async def test_the_door_can_be_mounted() -> None:
    async with opened() as world:
        path = await world.add()
        app = Starlette(routes=[Mount("/event", app=world.door)])
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://aloma") as client:
            assert (await client.post(path, json={"a": 1})).status_code == 202
            assert (await client.post("/event/", json={"a": 1})).status_code == 404


async def test_confidential_values_are_put_apart() -> None:
    async with opened() as world:
        await world.post(await world.add(), '{"$stash": {"card": "4242"}}')
        (task,) = await world.tasks()
        assert task.data["$stash"] == {"card": "String"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
async def test_only_post_is_taken(method: str) -> None:
    async with opened() as world:
        answer = await world.client.request(method, await world.add())
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert method == "HEAD" or "takes POST" in answer.json()["detail"]
        assert not await world.tasks()


@pytest.mark.parametrize("id", ["wh_unknown", "", "a/b", "wh_%00", "wh_" + "a" * 200])
async def test_an_unknown_webhook_says_nothing_more(id: str) -> None:
    async with opened() as world:
        await world.add()
        answer = await world.post(f"/event/{id}", status=404)
        assert answer["detail"] == "there is nothing here"


async def test_other_addresses_go_past_the_door() -> None:
    async with opened() as world:
        assert (await world.client.get("/eventual")).text == "Not Found"


# ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "headers", "status", "said"),
    [
        ('{"a": 1, "a": 2}', {}, 422, "has the member 'a' twice"),
        ("{", {}, 422, "the text ends too early"),
        ("{}", {"content_encoding": "gzip"}, 415, "without Content-Encoding"),
        ("\x89PNG", {"content_type": "image/png; charset=us-ascii"}, 415, "is no us-ascii text"),
        ('{"a": "' + "x" * 1_100_000 + '"}', {}, 413, "larger than the limit of 1,048,576 bytes"),
        ('{"a": 1}', {"content_length": "-8"}, 400, "Content-Length is no number"),
        ('{"a": 1}', {"content_length": "9" * 30}, 413, "larger than the limit"),
        ('{"a": 1}', {"content_length": "9"}, 400, "Content-Length says 9"),
        ('{"a":' * 70 + "1" + "}" * 70, {}, 422, "more than 64 levels deep"),
    ],
)
async def test_what_cannot_be_taken_is_told(content: str, headers: dict[str, str], status: int, said: str) -> None:
    async with opened() as world:
        body = content.encode("latin-1")
        assert said in (await world.post(await world.add(), body, status, **headers))["detail"]
        assert not await world.tasks()


async def test_a_body_that_is_too_large_is_not_read_to_its_end() -> None:
    async with opened() as world:
        path = await world.add(max_bytes=10)
        # A third message would not be there: to ask for it would be an error.
        piece = {"type": "http.request", "body": b"x" * 8, "more_body": True}
        sent = await call(world.door, path, [piece, piece])
        assert sent[0]["status"] == 413
        assert (b"connection", b"close") in sent[0]["headers"]
        assert (await call(world.door, path, [], [(b"content-length", b"11")]))[0]["status"] == 413


async def test_a_body_in_pieces_is_one_task() -> None:
    async with opened() as world:
        pieces = [{"type": "http.request", "body": piece, "more_body": True} for piece in (b'{"a"', b": 1", b"}")]
        last = {"type": "http.request", "body": b""}
        assert (await call(world.door, await world.add(), [*pieces, last]))[0]["status"] == 202
        assert (await world.tasks())[0].data["a"] == 1


@pytest.mark.parametrize("before", [[], [{"type": "http.request", "body": b'{"a": 1}', "more_body": True}]])
async def test_a_sender_that_goes_away_leaves_nothing(before: list[dict[str, Any]]) -> None:
    async with opened() as world:
        assert await call(world.door, await world.add(), [*before, {"type": "http.disconnect"}]) == []
        assert not await world.tasks()


async def test_a_sender_that_goes_away_from_a_real_server_leaves_nothing() -> None:
    async with opened() as world:
        path, listener = await world.add(), listen("127.0.0.1:0")
        port = listener.getsockname()[1]
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        async with serving(Front(world.door, Starlette()), listener):
            stream = await anyio.connect_tcp("127.0.0.1", port)
            await stream.send(f'{head}Content-Length: 40\r\n\r\n{{"a": 1}}'.encode())
            await stream.aclose()
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(f'{head}Transfer-Encoding: chunked\r\n\r\n8\r\n{{"a": 2}}\r\n0\r\n\r\n'.encode())
                assert (await stream.receive()).startswith(b"HTTP/1.1 202")
        assert [task.data["a"] for task in await world.tasks()] == [2]


# ── who may ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_signatures_are_asked_for_over_the_raw_body() -> None:
    async with opened() as world:
        path = await world.add(signature="github", secret=SECRET)
        body = '{"a":   1}'
        await world.post(path, body, X_Hub_Signature_256=signed(body))
        said = {
            (await world.post(path, body, 401, **headers))["detail"]
            for headers in ({}, {"X_Hub_Signature_256": signed(body, "other")}, {"X_Hub_Signature_256": "sha256="})
        }
        assert said == {"the signature is missing or wrong"}
        await world.ask("update_webhook", name="orders", secret="another")
        await world.post(path, body, 401, X_Hub_Signature_256=signed(body))
        await world.post(path, body, X_Hub_Signature_256=signed(body, "another"))
        assert len(await world.tasks()) == 2


async def test_a_webhook_that_waits_for_its_secret_takes_nothing() -> None:
    async with opened() as world:
        path = await world.add(signature="stripe")
        mac = hmac.new(b"", b"{}", hashlib.sha256).hexdigest()
        now = world.clock.now() // 1000
        await world.post(path, "{}", 401, Stripe_Signature=f"t={now},v1={mac}")


async def test_a_secret_sealed_with_another_key_lets_nobody_in(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as world:
        path = await world.add(signature="bearer", secret=SECRET)
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("UPDATE webhook SET sealed = zeroblob(60)")
    connection.close()
    async with opened(tmp_path / "a.db") as world:
        await world.post(path, "{}", 503, Authorization=f"Bearer {SECRET}")


async def test_slack_gets_its_challenge_back_and_no_task_is_made() -> None:
    async with opened() as world:
        path = await world.add(signature="slack", secret=SECRET)
        body, now = '{"type": "url_verification", "challenge": "c-1"}', world.clock.now() // 1000
        mac = hmac.new(SECRET.encode(), f"v0:{now}:{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"X_Slack_Request_Timestamp": str(now), "X_Slack_Signature": f"v0={mac}"}
        assert await world.post(path, body, 200, **headers) == {"challenge": "c-1"}
        await world.post(path, body, 401)
        assert not await world.tasks()


@pytest.mark.parametrize(
    ("allow", "forwarded", "status"),
    [
        (["192.0.2.0/24"], None, 202),
        (["198.51.100.0/24"], None, 403),
        (["198.51.100.0/24"], "198.51.100.1", 403),  # 192.0.2.7 is no proxy of ours
        (["2001:db8::/32"], None, 403),
    ],
)
async def test_addresses(allow: list[str], forwarded: str | None, status: int) -> None:
    async with opened() as world:
        headers = {} if forwarded is None else {"X_Forwarded_For": forwarded}
        await world.post(await world.add(allow=allow), "{}", status, **headers)


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("198.51.100.1", 202),
        ("203.0.113.9, 198.51.100.1", 202),
        ("198.51.100.1, 203.0.113.9", 403),  # what the sender made up stands before what our proxy saw
        ("198.51.100.1, 192.0.2.8", 202),  # two proxies of ours
        ("::ffff:198.51.100.1", 202),
        ("nonsense", 403),
        ("", 403),
    ],
)
async def test_a_proxy_of_ours_is_believed(forwarded: str, status: int) -> None:
    async with opened(proxies=["192.0.2.0/24"]) as world:
        path = await world.add(allow=["198.51.100.0/24"])
        await world.post(path, "{}", status, X_Forwarded_For=forwarded)


async def test_the_rate_is_kept_and_says_when_to_come_again() -> None:
    async with opened() as world:
        path = await world.add(rate=2)
        await world.post(path)
        await world.post(path)
        answer = await world.client.post(path, content="{}")
        assert answer.status_code == 429 and answer.headers["retry-after"] == "30"
        world.clock.move_to(world.clock.now() + 30_000)
        await world.post(path)
        await world.post(path, status=429)
        assert len(await world.tasks()) == 3


# ── once ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_delivery_that_comes_again_gets_the_same_task(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as world:
        path = await world.add(dedupe="github")
        first = await world.post(path, '{"n": 1}', X_GitHub_Delivery="d-1")
        assert await world.post(path, '{"n": 2}', 200, X_GitHub_Delivery="d-1") == {**first, "duplicate": True}
        await world.post(path, X_GitHub_Delivery="d-2")
        await world.post(await world.add("others", dedupe="github"), X_GitHub_Delivery="d-1")
        await world.post(path)
        await world.post(path)  # without a name each counts for itself
    async with opened(tmp_path / "a.db") as world:
        assert await world.post(path, "{}", 200, X_GitHub_Delivery="d-1") == {**first, "duplicate": True}
        assert len(await world.tasks()) == 5


async def test_many_at_once_are_one_task(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as world:
        path = await world.add(dedupe="body:id")
        answers = []

        async def send(n: int) -> None:
            answer = await world.client.post(path, json={"id": n % 5})
            answers.append((n % 5, answer.status_code, answer.json()["task"]))

        async with anyio.create_task_group() as group:
            for n in range(50):
                group.start_soon(send, n)
        assert len({(n, task) for n, _, task in answers}) == 5
        assert sorted(status for _, status, _ in answers) == [200] * 45 + [202] * 5
        assert len(await world.tasks()) == 5


async def test_keys_are_forgotten_after_their_time() -> None:
    async with opened() as world:
        path, deliveries = await world.add(dedupe="body:id"), Deliveries(world.store)
        await world.post(path, '{"id": 1}')
        assert await deliveries.purge_keys(world.clock.now()) == 0
        world.clock.move_to(world.clock.now() + KEEP_KEYS + 1)
        assert await deliveries.purge_keys(world.clock.now() - KEEP_KEYS) == 1
        await world.post(path, '{"id": 1}')


# ── when the store cannot ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_store_that_cannot_is_told_and_the_next_try_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as world:
        path = await world.add(dedupe="body:id")

        async def full(write: Any) -> None:
            raise StoreFull("there is no room left")

        with monkeypatch.context() as patch:
            patch.setattr(world.store.writer, "write", full)
            answer = await world.client.post(path, json={"id": 1})
            assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        await world.post(path, '{"id": 1}')
        assert len(await world.tasks()) == 1


async def test_one_that_cannot_be_stored_keeps_none_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as world:
        path = await world.add()
        write = world.store.writer.write

        async def partly(given: Any) -> Any:
            await anyio.lowlevel.checkpoint()
            if any('"bad"' in text for _, text in given.origins):
                raise StoreFull("there is no room left")
            return await write(given)

        monkeypatch.setattr(world.store.writer, "write", partly)
        statuses = []

        async def send(kind: str) -> None:
            statuses.append((kind, (await world.client.post(path, json={"kind": kind})).status_code))

        async with anyio.create_task_group() as group:
            for kind in ("good", "bad", "good", "good"):
                group.start_soon(send, kind)
        assert sorted(statuses) == [("bad", 503), ("good", 202), ("good", 202), ("good", 202)]
        assert len(await world.tasks()) == 3


async def test_a_server_that_stops_takes_nothing() -> None:
    async with opened() as world:
        path = await world.add()
        world.house.stop()
        assert "stopping" in (await world.post(path, status=503))["detail"]


@pytest.mark.parametrize("fact", ["archived_at", "delete_at"])
async def test_a_closed_workspace_takes_nothing(fact: str) -> None:
    async with opened() as world:
        path = await world.add()
        await world.store.workspace("shop").set_facts(**{fact: 7})
        assert "takes no tasks" in (await world.post(path, status=409))["detail"]
        await world.store.workspace("shop").set_facts(**{fact: None})
        await world.post(path)


# ── the task's end ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_result_can_be_waited_for(tmp_path: Path) -> None:
    async with opened(served=tmp_path) as world:
        path = await world.add(respond="result")
        answer = await world.post(path, '{"number": 7}', 200)
        assert (answer["state"], answer["result"]) == ("done", 49)
        assert (await world.tasks())[0].id == answer["task"]
        await world.post(await world.add("impatient", respond="result", timeout="1ms"), '{"wait": true}', 202)


async def test_nobody_waits_where_nobody_works() -> None:
    async with opened() as world:
        assert list(await world.post(await world.add(respond="result"))) == ["task"]


async def test_served_tasks_are_run(tmp_path: Path) -> None:
    async with opened(served=tmp_path) as world:
        id = (await world.post(await world.add(), '{"number": 3}'))["task"]
        pieces = [piece async for piece in world.house.find("shop").follow(id)]
        assert pieces[-1]["task"]["result"] == 9


# ── operations ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_numbers_are_written_at_most_once_a_second() -> None:
    async with opened() as world:
        path = await world.add()
        await world.post(path)
        await world.post(path)
        assert (await world.ask("show_webhook", name="orders"))["accepted"] == 0
        await world.door.write_counts()
        await world.door.write_counts()
        found = await world.ask("show_webhook", name="orders")
        assert (found["accepted"], found["last_at"]) == (2, "2026-01-01T00:00:00.000Z")
        async with anyio.create_task_group() as group:
            group.start_soon(world.door.keep_counts)
            await world.post(path)
            await anyio.wait_all_tasks_blocked()
            await world.post(path)
            assert (await world.ask("show_webhook", name="orders"))["accepted"] == 3
            group.cancel_scope.cancel()
        assert (await world.ask("show_webhook", name="orders"))["accepted"] == 4


async def test_rotating_gives_another_address_and_keeps_the_rest() -> None:
    async with opened() as world:
        old = await world.add(signature="bearer", dedupe="body:id", secret=SECRET)
        first = await world.post(old, '{"id": 1}', Authorization=f"Bearer {SECRET}")
        new = (await world.ask("rotate_webhook", name="orders"))["path"]
        await world.post(old, '{"id": 1}', 404, Authorization=f"Bearer {SECRET}")
        again = await world.post(new, '{"id": 1}', 200, Authorization=f"Bearer {SECRET}")
        assert again == {**first, "duplicate": True}
        await world.post(new, '{"id": 2}', 401)


async def test_a_made_up_secret_is_told_once_and_kept_sealed(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as world:
        made = await world.ask("add_webhook", name="orders", options={"signature": "github"})
        secret = made["secret"]
        await world.post(made["path"], "{}", X_Hub_Signature_256=signed("{}", secret))
        for answer in (
            await world.ask("list_webhooks"),
            await world.ask("show_webhook", name=made["id"]),
            await world.ask("update_webhook", name="orders", options={"rate": 5}),
            await world.ask("rotate_webhook", name="orders"),
        ):
            assert secret not in json.dumps(answer) and '"has_secret": true' in json.dumps(answer)
    assert not files_with(tmp_path, secret)


async def test_changing_and_deleting() -> None:
    async with opened() as world:
        path = await world.add(rate=5, headers=["X-A"])
        found = await world.ask("update_webhook", name="orders", options={"rate": None, "task": "t"}, new_name="o")
        assert (found["name"], found["options"]) == ("o", {"headers": ["X-A"], "task": "t"})
        await world.post(path)
        assert (await world.tasks())[0].name == "t"
        await world.ask("delete_webhook", name="o")
        await world.post(path, status=404)
        with pytest.raises(NotFoundError, match="there is no webhook 'o'"):
            await world.ask("show_webhook", name="o")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "orders"}, "there is a webhook 'orders' already"),
        ({"name": "wh_x"}, "looks like a webhook's id"),
        ({"name": " "}, "name is empty"),
        ({"name": "a", "secret": "s"}, "no signature that it is for"),
        ({"name": "a", "secret": "", "options": {"signature": "github"}}, "the secret is no printable text"),
        ({"name": "a", "options": {"sign": 1}}, "there is no option of a webhook 'sign'"),
    ],
)
async def test_webhooks_that_cannot_be(arguments: dict[str, Any], said: str) -> None:
    async with opened() as world:
        await world.add()
        with pytest.raises(Exception, match=said):
            await world.ask("add_webhook", **arguments)


async def test_who_only_looks_is_not_told_the_address() -> None:
    async with opened() as world:
        path = await world.add()
        for role, shown in ((Role.VIEWER, None), (Role.OPERATOR, path)):
            assert (await world.ask("list_webhooks", who=Caller("anna", role)))[0]["path"] == shown


async def test_another_workspace_has_other_webhooks() -> None:
    async with opened() as world:
        made = await world.ask("add_webhook", name="orders")
        other = world.house.find("other")
        await world.ask("add_workspace", name="other")
        assert await other.call("list_webhooks", {}) == []
        for name in ("show_webhook", "delete_webhook", "rotate_webhook", "update_webhook"):
            with pytest.raises(NotFoundError):
                await other.call(name, {"name": made["id"]})


async def test_trying_a_delivery_makes_no_task() -> None:
    async with opened() as world:
        await world.add(signature="github", dedupe="github", secret=SECRET)
        body = '{"a": 1}'
        headers = {"Content-Type": "application/json", "X-GitHub-Delivery": "d", "X-Hub-Signature-256": signed(body)}
        found = await world.ask("test_webhook", name="orders", body=body, headers=headers, query="q=1")
        assert (found["data"], found["dedupe_key"], found["signature"]) == ({"a": 1}, "d", "valid")
        assert (found["via"]["query"], found["problem"]) == ({"q": "1"}, None)
        found = await world.ask("test_webhook", name="orders", body="{", headers={"content-type": "application/json"})
        assert (found["data"], found["signature"]) == (None, "missing or wrong")
        assert "the text ends too early" in found["problem"]
        assert not await world.tasks()
