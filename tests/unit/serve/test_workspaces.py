"""Workspaces: their own facts, being closed, being removed with everything, and how they are doing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import Request

from aloma_py import step
from aloma_py.builtin.fetch import Fetch
from aloma_py.cli.app import app
from aloma_py.clock import VirtualClock
from aloma_py.connect.connector import CallContext, Registry
from aloma_py.engine import Engine
from aloma_py.errors import AlomaError, InputError, NotFoundError, StateError
from aloma_py.intake import new_task
from aloma_py.models import Cycle, Entry, Task, TaskState
from aloma_py.operations import DAY, Operations, Role, Site
from aloma_py.operations.workspaces import GRACE, LIMITS, settings_for
from aloma_py.serve.web.app import make_app
from aloma_py.serve.web.guard import Identity
from aloma_py.settings import Settings, limits_of
from aloma_py.steps import load_steps
from aloma_py.store import records
from aloma_py.store.overview import overview
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.workspaces import OF_WORKSPACE, WorkspaceRecords, check_open, purge_deleted
from aloma_py.store.writer import Write

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


class Mail:
    namespace, methods, default, recorded = "mail", ("send",), "send", True

    async def call(self, method: str, arguments: Any, context: CallContext) -> Any:
        raise AssertionError("nothing is called here")


class Served:
    """The operations on workspaces of one store; ``reloads`` are those whose engine was told of a change."""

    def __init__(self, store: SQLiteStore, clock: VirtualClock, steps: Sequence[object] = ()) -> None:
        self.store, self.clock, self.steps = store, clock, steps
        self.reloads: list[str] = []

    def of(self, name: str) -> Operations:
        async def reload() -> None:
            self.reloads.append(name)

        steps = load_steps(list(self.steps)).steps if self.steps else ()
        connectors = Registry([Mail(), Fetch()])
        engine = Engine(self.store.workspace(name), steps, clock=self.clock, connectors=connectors)
        return Operations(Site(engine, self.store, Settings(workspace=name), advancing=True, reload=reload))

    async def ask(self, workspace: str, operation: str, **arguments: Any) -> Any:
        return await self.of(workspace).call(operation, arguments)

    async def put(
        self, workspace: str, state: str, *, took: int = 1000, runs: Sequence[Entry] = (), **more: Any
    ) -> Task:
        """A task that was accepted now and is in that state."""
        now = self.clock.now()
        task = new_task(workspace, "t", more.pop("data", {"a": 1}), now=now)
        task = replace(task, state=TaskState(state), updated_at=now + took, last_entry=len(runs), **more)
        task.ended_at = now + took if task.state.ended else None
        write = Write(tasks=[records.new_row(task)], origins=[(task.id, "{}")])
        write.entries.extend(records.entry_row(task.id, run) for run in runs)
        await self.store.writer.write(write)
        return task


@asynccontextmanager
async def serving(steps: Sequence[object] = (), path: Path | str = ":memory:") -> AsyncIterator[Served]:
    async with SQLiteStore(path) as store:
        yield Served(store, VirtualClock(), steps)


# ── facts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_workspace_is_made_changed_and_shown() -> None:
    async with serving() as served:
        made = await served.ask("default", "add_workspace", name="orders", title="Orders", tags=["eu"])
        assert (made["name"], made["title"], made["state"]) == ("orders", "Orders", "active")
        assert made["created_at"] == "2026-01-01T00:00:00.000Z"
        limits = {"max_runs": "50", "step_timeout": "2m", "parallel": "false"}
        changed = await served.ask("orders", "update_workspace", limits=limits, tags=[], health_enabled=True)
        assert changed["limits"] == {"max_runs": 50, "step_timeout": "2m", "parallel": False}
        assert (changed["tags"], changed["title"], changed["health_enabled"]) == ([], "Orders", True)
        again = await served.ask("orders", "update_workspace", limits={"max_runs": None}, title="")
        assert again["limits"] == {"step_timeout": "2m", "parallel": False}
        await served.put("orders", "done")
        shown = await served.ask("orders", "show_workspace")
        assert (shown["title"], shown["tasks"]) == (None, {"done": 1})
        listed = await served.ask("default", "list_workspaces")
        assert [(one["name"], one["tasks"]) for one in listed] == [("default", {}), ("orders", {"done": 1})]
        assert served.reloads == ["orders", "orders"]


async def test_limits_stand_in_for_the_settings() -> None:
    facts = {"limits": {"max_runs": 7, "step_timeout": "2s", "max_hold": 50}}
    found = limits_of(settings_for(Settings(), facts))
    assert (found.max_runs, found.step_timeout, found.max_hold) == (7, 2000, 50)
    assert found.max_redo == Settings().max_redo
    for name in LIMITS:
        assert name in Settings.model_fields


@pytest.mark.parametrize(
    ("operation", "arguments", "said"),
    [
        ("update_workspace", {"limits": {"max_run": 5}}, "there is no limit 'max_run'; did you mean 'max_runs'?"),
        ("update_workspace", {"limits": {"max_runs": "many"}}, "the limit max_runs is 'many': Input should be a valid"),
        ("update_workspace", {"limits": {"max_runs": 0}}, "the limit max_runs is 0: Input should be greater than"),
        ("update_workspace", {"limits": {"max_data_bytes": 10**12}}, "less than or equal to 67108864"),
        ("update_workspace", {"limits": {"step_timeout": "soon"}}, "step_timeout must be a duration"),
        ("update_workspace", {"limits": {"step_timeout": "2d"}}, "at most 1d were expected"),
        ("update_workspace", {"title": "a\x1b[31m"}, "printable text"),
        ("add_workspace", {"name": "a/b"}, "the workspace's name 'a/b' cannot be used"),
        ("add_workspace", {"name": ""}, "the workspace's name '' cannot be used"),
        ("workspace_overview", {"period": "0s"}, "more than nothing and at most 366d"),
        ("workspace_overview", {"period": "400d"}, "more than nothing and at most 366d"),
        ("archive_workspace", {}, "the workspace 'default' is always there: it cannot be archived"),
        ("delete_workspace", {}, "the workspace 'default' is always there: it cannot be deleted"),
    ],
)
async def test_what_cannot_be_is_said(operation: str, arguments: dict[str, Any], said: str) -> None:
    async with serving() as served:
        with pytest.raises(InputError) as caught:
            await served.ask("default", operation, **arguments)
        assert said in str(caught.value)
        assert WorkspaceRecords(served.store).get("default") == {}


async def test_an_unknown_workspace_and_one_that_is_there_already() -> None:
    async with serving() as served:
        await served.ask("default", "add_workspace", name="orders")
        with pytest.raises(StateError, match="'orders' is there already; another name"):
            await served.ask("default", "add_workspace", name="orders")
        for operation in ("show_workspace", "update_workspace", "archive_workspace", "delete_workspace"):
            with pytest.raises(NotFoundError, match="did you mean 'orders'"):
                await served.ask("order", operation)
        assert await served.store.workspaces() == ["orders"]


# ── closed ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_archived_workspace_takes_nothing_and_shows_everything() -> None:
    async with serving() as served:
        await served.ask("default", "add_workspace", name="orders")
        task = await served.ask("orders", "new_task", data={})
        archived = await served.ask("orders", "archive_workspace")
        assert (archived["state"], archived["archived_at"]) == ("archived", "2026-01-01T00:00:00.000Z")
        for operation, arguments in (("new_task", {"data": {}}), ("stop_task", {"id": task["id"]})):
            with pytest.raises(StateError, match="the workspace 'orders' is archived: it takes no tasks"):
                await served.ask("orders", operation, **arguments)
        assert len(await served.ask("orders", "list_tasks")) == 1
        assert (await served.ask("orders", "archive_workspace", unarchive=True))["state"] == "active"
        await served.ask("orders", "new_task", data={})
        assert served.reloads == ["orders", "orders"]


async def test_a_deleted_workspace_can_be_had_back_for_thirty_days() -> None:
    async with serving() as served:
        await served.ask("default", "add_workspace", name="orders")
        deleted = await served.ask("orders", "delete_workspace")
        assert (deleted["state"], deleted["delete_at"]) == ("deleting", "2026-01-31T00:00:00.000Z")
        with pytest.raises(StateError, match="about to be deleted"):
            check_open(served.store, "orders")
        served.clock.move_to(served.clock.now() + DAY)
        assert (await served.ask("orders", "delete_workspace"))["delete_at"] == deleted["delete_at"]
        assert await purge_deleted(served.store, served.clock.now() + GRACE - DAY - 1) == {}
        assert (await served.ask("orders", "delete_workspace", cancel=True))["state"] == "active"
        assert await purge_deleted(served.store, served.clock.now() + 2 * GRACE) == {}
        assert (await served.ask("orders", "new_task", data={}))["state"] == "pending"


NOT_OF_A_WORKSPACE = {
    "person", "search", "search_dirty", "search_state", "_sqlite_migrations", "notification", "notification_group",
}  # fmt: skip
"""Tables with nothing of a workspace in them; of the search, what belongs to its tasks is removed with them."""


async def test_removing_a_workspace_forgets_no_table() -> None:
    """Every table with rows that lead to a workspace loses those of the one, and keeps those of the other."""
    async with serving() as served:
        write = served.store.writer.write
        for name in ("gone", "kept"):
            await served.ask("default", "add_workspace", name=name)
            await write(Write(job=lambda connection, name=name: fill(connection, name)))
        tables = await served.store.read(tables_of)
        for table, leads in tables.items():
            assert leads or table in NOT_OF_A_WORKSPACE | {"workspace"}, f"does {table} have rows of a workspace?"
        before = await served.store.read(lambda connection: count(connection, tables))
        assert all(before[table]["gone"] for table, leads in tables.items() if leads), before

        await served.ask("gone", "delete_workspace")
        await purge_deleted(served.store, served.clock.now() + GRACE)

        after = await served.store.read(lambda connection: count(connection, tables))
        assert {table: rows["gone"] for table, rows in after.items() if rows["gone"]} == {}
        assert {table: rows["kept"] for table, rows in after.items()} == {t: r["kept"] for t, r in before.items()}
        assert await served.store.workspaces() == ["kept"]
        (line,) = served.store.reader.execute("SELECT who, details FROM ledger WHERE workspace = ''").fetchall()[-1:]
        assert line[0] == "local"
        assert '"gone"' in line[1]


def tables_of(connection: Any) -> dict[str, str]:
    """Each table, with the condition that leads to a workspace; empty where none does."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    found = {}
    for table in names:
        if table.startswith(("search_", "sqlite_")) and table not in ("search_dirty", "search_state"):
            continue  # what the full-text search keeps for itself
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        keys = {row[3]: row[2] for row in connection.execute(f"PRAGMA foreign_key_list({table})")}
        above = next((key for key, other in keys.items() if other in ("task", "webhook", "schedule")), None)
        if "workspace" in columns:
            found[table] = "workspace = ?"
        elif above is not None:
            found[table] = f"{above} LIKE ? || '%'"
        else:
            found[table] = ""
    return found


def count(connection: Any, tables: dict[str, str]) -> dict[str, dict[str, int]]:
    return {
        table: {
            name: connection.execute(f"SELECT count(*) FROM {table} WHERE {leads}", (name,)).fetchone()[0]
            for name in ("gone", "kept")
        }
        for table, leads in tables.items()
        if leads
    }


def fill(connection: Any, workspace: str) -> None:
    """Rows for each table that leads to the workspace, whatever columns it has: two, or the one that it may have.

    Ids begin with its name.
    """
    connection.execute("PRAGMA defer_foreign_keys = ON")
    person = "INSERT OR IGNORE INTO person (id, email, name, created_at) VALUES (?, ?, 'p', 0)"
    connection.executemany(person, [("p0", "a"), ("p1", "b")])
    for table, leads in tables_of(connection).items():
        if not leads:
            continue
        keys = {row[3]: row[2] for row in connection.execute(f"PRAGMA foreign_key_list({table})")}
        for number in range(2):
            values: dict[str, Any] = {}
            for _, column, kind, needed, _, key in connection.execute(f"PRAGMA table_info({table})"):
                if column == "workspace":
                    values[column] = workspace
                elif keys.get(column) == "person":
                    values[column] = f"p{number}"
                elif keys.get(column):
                    values[column] = f"{workspace}{number}"
                elif kind == "INTEGER" and key and column == "no":
                    continue
                elif needed or key:
                    values[column] = number if kind == "INTEGER" else f"{workspace}{number}"
            places = ", ".join("?" * len(values))
            names = ", ".join(values)
            connection.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})", list(values.values()))


async def test_removing_goes_on_after_an_interruption_and_cannot_be_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aloma_py.store.workspaces.BATCH", 2)
    async with serving() as served:
        await served.ask("default", "add_workspace", name="gone")
        before = served.of("gone")
        for _ in range(5):
            await before.call("new_task", {"data": {}})
        await served.ask("gone", "delete_workspace")
        write, calls = served.store.writer.write, 0

        async def failing(one: Write) -> Any:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise AlomaError("the disk is away")
            return await write(one)

        monkeypatch.setattr(served.store.writer, "write", failing)
        with pytest.raises(AlomaError, match="away"):
            await purge_deleted(served.store, served.clock.now() + GRACE)
        monkeypatch.undo()
        assert served.store.reader.execute("SELECT count(*) FROM task").fetchone() == (3,)
        with pytest.raises(StateError, match="is being removed"):
            await served.ask("gone", "delete_workspace", cancel=True)
        gone = await purge_deleted(served.store, served.clock.now() + GRACE)
        assert gone["gone"]["task"] == 3
        for known in (served.of("gone"), before):  # also who has known it
            with pytest.raises(InputError, match="there is no workspace 'gone'"):
                await known.call("new_task", {"data": {}})
        assert await served.store.workspaces() == []


def test_what_is_removed_is_what_the_tables_are_called() -> None:
    from aloma_py.store.removal import AROUND_TASK, KEPT

    assert set(OF_WORKSPACE) <= set(KEPT) | set(AROUND_TASK)


# ── how it is doing ─────────────────────────────────────────────────────────────────────────────────────────────────


def run(n: int, name: str, outcome: Any, at: int, took: int) -> Entry:
    return Entry(n, "run", at, at + took, step=name, wave=n, outcome=outcome)


async def test_the_overview_counts_the_period() -> None:
    async with serving() as served:
        await served.ask("default", "add_workspace", name="other")
        await served.put("default", "error", took=9000)  # long ago
        served.clock.move_to(served.clock.now() + 48 * HOUR)
        at = served.clock.now()
        for took in range(1, 18):
            await served.put(
                "default", "done", took=took * 100, runs=[run(1, "a", "ok", at, 10), run(2, "b", "ok", at, 30)]
            )
        runs = [run(1, "a", "retry", at, 20), run(2, "a", "failed", at, 50)]
        await served.put("default", "error", took=1800, runs=runs)
        await served.put("default", "attention", took=1900)
        await served.put("default", "ignored", took=2000)
        await served.put("default", "waiting", runs=[run(1, "a", "ok", at, 10)])
        await served.put("other", "done")
        served.clock.move_to(at + HOUR)
        found = await served.ask("default", "workspace_overview", period="24h")
        assert found["created"] == 21
        assert found["ended"] == {"attention": 1, "done": 17, "error": 1, "ignored": 1, "stopped": 0}
        assert found["tasks"]["error"] == 2
        assert found["tasks"]["waiting"] == 1
        assert found["automation_rate"] == round(17 / 19, 4)
        assert found["duration_ms"] == {"median": 1000, "p95": 1900}
        assert (found["runs"], found["errors"], found["retries"]) == (37, 1, 1)
        assert found["steps"] == [
            {"step": "a", "runs": 20, "errors": 1, "retries": 1, "mean_ms": 12.5, "median_ms": 10, "longest_ms": 50},
            {"step": "b", "runs": 17, "errors": 0, "retries": 0, "mean_ms": 30.0, "median_ms": 30, "longest_ms": 30},
        ]
        longer = await served.ask("default", "workspace_overview", period="7d")
        assert longer["automation_rate"] == round(17 / 20, 4)


async def test_an_empty_period_has_no_rate() -> None:
    async with serving() as served:
        found = await served.store.read(lambda connection: overview(connection, "default", 0, 10))
        assert found["automation_rate"] is None
        assert found["duration_ms"] == {"median": None, "p95": None}
        assert found["steps"] == []


@step(condition={"a": int})
def works(data: Any) -> None:
    data.b = 1


@step(condition={"a": str})
def fails(data: Any, task: Any) -> None:
    task.config("TOKEN")
    raise ValueError(data.a)


@step(condition={"never": True})
def rests(data: Any, lib: Any) -> None:
    data.x = lib.rates.vat()


def put_things(connection: Any) -> None:
    """Two secrets, a variable, two libraries and a webhook."""
    sealed = (
        "INSERT INTO variable (workspace, name, sealed, updated_at, updated_by) VALUES ('default', ?, x'00', 0, '')"
    )
    connection.executemany(sealed, [("TOKEN",), ("OLD",)])
    connection.execute(
        "INSERT INTO variable (workspace, name, value, updated_at, updated_by) VALUES ('default', 'region', '1', 0, '')"
    )
    library = (
        "INSERT INTO script (workspace, kind, name, no, suffix, version, enabled, created_at, updated_at, updated_by, "
        "text) VALUES ('default', 'library', ?, 1, '.js', '', 1, 0, 0, '', 'export const vat = () => 1')"
    )
    connection.executemany(library, [("rates",), ("unused",)])
    connection.execute(
        "INSERT INTO webhook (id, workspace, name, options, created_at, created_by) "
        "VALUES ('w', 'default', 'shop', '{}', 0, '')"
    )


async def test_health_names_what_does_nothing() -> None:
    async with serving([works, fails, rests]) as served:
        at = served.clock.now()
        await served.put("default", "done", runs=[run(1, "works", "ok", at, 1), run(2, "works", "failed", at, 1)])
        await served.put("default", "error", runs=[run(1, "fails", "retry", at, 1), run(2, "fails", "failed", at, 1)])
        stuck = await served.put("default", "waiting", data={"nothing": 1})
        await served.put("default", "waiting", data={"a": 1})
        await served.put("default", "waiting", data={"nothing": 1}, cycle=Cycle(held=1))
        lost = await served.put("default", "attention", reason="no step has ever matched")
        await served.store.writer.write(Write(job=put_things))
        served.clock.move_to(at + HOUR)
        found = await served.ask("default", "workspace_health")
        assert found["steps_never_ran"] == ["rests"]
        assert found["steps_only_failed"] == ["fails"]
        assert found["secrets_unused"] == ["OLD"]
        assert found["variables_unused"] == ["region"]
        assert found["libraries_unused"] == ["unused"]
        assert found["webhooks_unused"] == ["shop"]
        assert found["connectors_unused"] == ["mail"]
        assert [task["id"] for task in found["stuck"]["tasks"]] == [stuck.id]
        assert (found["stuck"]["count"], found["stuck"]["looked_at"]) == (1, 3)
        assert [task["id"] for task in found["attention"]["tasks"]] == [lost.id]
        assert found["attention"]["count"] == 1


# ── over HTTP, and at the command line ──────────────────────────────────────────────────────────────────────────────


class Keys:
    """Ada is admin of the account, Bob is viewer of one workspace and admin of another."""

    async def identify(self, request: Request) -> Identity:
        return {
            "ada": Identity("ada", {"": Role.ADMIN}),
            "bob": Identity("bob", {"orders": Role.VIEWER, "own": Role.ADMIN}),
        }[request.headers["x-name"]]


async def test_who_may_do_what_over_http() -> None:
    async with serving() as served:
        where = httpx2.ASGITransport(make_app(served.of, Keys()), raise_app_exceptions=False)
        async with httpx2.AsyncClient(
            transport=where, base_url="http://x/api/v1", headers={"x-name": "ada"}, follow_redirects=True
        ) as http:
            bob = {"x-name": "bob"}
            for name in ("orders", "own"):
                assert (await http.post("/workspaces", json={"name": name})).status_code == 201
            assert (await http.post("/workspaces", json={"name": "own"})).status_code == 409
            assert [one["name"] for one in (await http.get("/workspaces")).json()] == ["default", "orders", "own"]
            assert [one["name"] for one in (await http.get("/workspaces", headers=bob)).json()] == ["orders", "own"]
            assert (await http.post("/workspaces", json={"name": "new"}, headers=bob)).status_code == 404
            assert (await http.get("/workspaces/orders", headers=bob)).json()["name"] == "orders"
            assert (await http.get("/workspaces/default", headers=bob)).status_code == 404
            change = {"limits": {"max_runs": 9}}
            assert (await http.patch("/workspaces/orders", json=change, headers=bob)).status_code == 403
            assert (await http.delete("/workspaces/orders", headers=bob)).status_code == 403
            changed = await http.patch("/workspaces/own", json=change, headers=bob)
            assert (changed.status_code, changed.json()["limits"]) == (200, {"max_runs": 9})
            wrong = await http.patch("/workspaces/own", json={"limits": {"max_rums": 9}}, headers=bob)
            assert (wrong.status_code, wrong.json()["detail"]) == (
                404, "there is no limit 'max_rums'; did you mean 'max_runs'?",
            )  # fmt: skip
            assert (await http.delete("/workspaces/own", headers=bob)).json()["state"] == "deleting"
            assert (await http.post("/workspaces/own/tasks", json={"data": {}}, headers=bob)).status_code == 409
            back = await http.delete("/workspaces/own", params={"cancel": True}, headers=bob)
            assert back.json()["state"] == "active"
            assert (await http.post("/workspaces/own/archive", json={}, headers=bob)).json()["state"] == "archived"
            assert (await http.post("/workspaces/own/archive", json={"unarchive": True}, headers=bob)).is_success
            seen = await http.get("/workspaces/orders/overview", params={"period": "7d"}, headers=bob)
            assert (seen.status_code, seen.json()["period"]["last"]) == (200, "7d")
            assert (await http.get("/workspaces/orders/health", headers=bob)).status_code == 200


def test_at_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALOMA_STORE", str(tmp_path / "aloma.db"))

    def run_command(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            app.main(["workspace", *words])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    made = run_command("create", "orders", "--title", "Orders", "--tags", "a, b", "--limit", "max_runs=5", "--json")
    assert {**json.loads(made[1]), "created_at": ""}["limits"] == {"max_runs": 5}
    assert run_command("list", "--name-only")[1].split() == ["default", "orders"]
    assert run_command("use", "orders")[1] == "export ALOMA_WORKSPACE=orders\n"
    status, _, said = run_command("switch", "order")
    assert (status, said) == (2, "Error: there is no workspace 'order'; did you mean 'orders'?\n")
    changed = json.loads(run_command("update", "orders", "--tags", "", "--limit", "max_runs=", "--json")[1])
    assert (changed["tags"], changed["limits"], changed["title"]) == ([], {}, "Orders")
    assert "archived" in run_command("archive", "orders")[1]
    assert "active" in run_command("archive", "orders", "--unarchive")[1]
    assert "removed at" in run_command("delete", "orders")[1]
    assert json.loads(run_command("delete", "orders", "--cancel", "--json")[1])["state"] == "active"
    assert "automation rate  –" in run_command("overview", "orders")[1]
    assert [one["name"] for one in json.loads(run_command("list", "--json")[1])] == ["default", "orders"]
