"""Numbers for Prometheus: which there are, where they come from, and who may see them."""

from __future__ import annotations

import httpx2
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request

from aloma_py.models import Call, Entry, Task
from aloma_py.operations import Role
from aloma_py.serve.house import idle_operations
from aloma_py.serve.web.app import make_app
from aloma_py.serve.web.guard import Identity
from aloma_py.serve.web.metrics import Metrics, RequestCounter, metrics_router
from aloma_py.serve.web.problems import AccessError
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

pytestmark = pytest.mark.anyio


class Keys:
    async def identify(self, request: Request) -> Identity:
        match request.headers.get("authorization"):
            case "Bearer account":
                return Identity("account", {"": Role.VIEWER})
            case "Bearer workspace":
                return Identity("workspace", {"default": Role.ADMIN})
        raise AccessError(401, "who are you?")


def client(store: SQLiteStore, metrics: Metrics, key: str = "account") -> httpx2.AsyncClient:
    operations = idle_operations(store, Settings())
    app = make_app(lambda name: operations, Keys(), more=[metrics_router(Keys(), metrics)])
    app.add_middleware(RequestCounter, metrics=metrics)
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://x/api/v1", headers={"Authorization": f"Bearer {key}"}
    )


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Name and label values, these in the order of the labels' names, with the value."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_numbers_there_are() -> None:
    async with SQLiteStore(":memory:") as store:
        metrics = Metrics(store, workers=lambda: 3, listeners=lambda: 7)
        operations = idle_operations(store, Settings())
        for _ in range(2):
            await operations.call("new_task", {"data": {}})
        rows = [
            "INSERT INTO webhook (id, workspace, name, options, created_at, created_by, accepted) "
            "VALUES ('w', 'default', 'a \"shop\"\\', '{}', 0, '', 6)",
        ]
        await store.writer.write(Write(job=lambda connection: [connection.execute(sql) for sql in rows]))
        task = Task("t", "default", "n", {}, {}, 0)
        metrics.watch(task, [Entry(1, "run", 0, 40, step="check"), Entry(2, "update", 0, 9)])
        metrics.watch(task, [Entry(3, "run", 0, 2000, step="check", outcome="failed")])
        async with client(store, metrics) as http:
            answer = await http.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        found = samples(answer.text)
        assert found["aloma_tasks", "pending", "default"] == 2
        assert found["aloma_runs_total", "ok", "check", "default"] == 1
        assert found["aloma_runs_total", "failed", "check", "default"] == 1
        assert found["aloma_run_seconds_count", "default"] == 2
        assert found["aloma_run_seconds_sum", "default"] == 2.04
        assert found["aloma_run_seconds_bucket", "0.05", "default"] == 1
        assert found["aloma_webhook_accepted_total", 'a "shop"\\', "default"] == 6
        assert found["aloma_javascript_workers_started",] == 3
        assert found["aloma_event_listeners",] == 7
        assert [key for key in found if key[0] == "aloma_build_info"]


async def test_calls_are_counted_once() -> None:
    async with SQLiteStore(":memory:") as store:
        metrics = Metrics(store)
        handle = store.workspace("default")
        task = await idle_operations(store, Settings()).call("new_task", {"data": {}})

        async def call_and_ask(times: int) -> float:
            for position in range(times):
                call = Call("check", 0, 1, "crm", "find", "", position, {}, "returned", {}, "key", 0, 0)
                await handle.record_call(task["id"], call)
            return samples((await metrics.text()).decode()).get(("aloma_calls_total", "default"), 0)

        assert await call_and_ask(2) == 0  # from now on
        assert await call_and_ask(3) == 3
        assert await call_and_ask(0) == 3
        assert await call_and_ask(1) == 4
        await handle.delete(task["id"])
        task = await idle_operations(store, Settings()).call("new_task", {"data": {}})
        assert await call_and_ask(0) == 4  # numbers may come again
        assert await call_and_ask(2) == 6


async def test_requests_are_counted_by_the_routes_pattern() -> None:
    async with SQLiteStore(":memory:") as store:
        metrics = Metrics(store)
        async with client(store, metrics) as http:
            for number in range(3):
                await http.get(f"/workspaces/default/tasks/task-{number}")
            await http.get("/workspaces/default/tasks")
            await http.get("/nothing/here")
            await http.request("BREW", "/nothing/here")
            found = samples((await http.get("/metrics")).text)
        counted = {key[1:]: number for key, number in found.items() if key[0] == "aloma_http_requests_total"}
        assert counted["GET", "/workspaces/{workspace}/tasks/{id}", "404"] == 3
        assert counted["GET", "/workspaces/{workspace}/tasks", "200"] == 1
        assert counted["GET", "(none)", "404"] == 1
        assert counted["other", "(none)", "404"] == 1
        assert "nothing" not in str(counted)


@pytest.mark.parametrize(("key", "status"), [("account", 200), ("workspace", 404), ("nobody", 401)])
async def test_only_who_has_a_role_on_the_account_sees_them(key: str, status: int) -> None:
    async with SQLiteStore(":memory:") as store, client(store, Metrics(store), key) as http:
        assert (await http.get("/metrics")).status_code == status


async def test_two_servers_in_a_process_do_not_share_numbers() -> None:
    async with SQLiteStore(":memory:") as store:
        one, other = Metrics(store), Metrics(store)
        one.watch(Task("t", "default", "n", {}, {}, 0), [Entry(1, "run", 0, 4, step="check")])
        assert b"aloma_runs_total{" in await one.text()
        assert b"aloma_runs_total{" not in await other.text()
        assert not [name for name in REGISTRY._names_to_collectors if name.startswith("aloma")]
