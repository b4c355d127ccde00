"""Stores in files with operations on their workspaces, and a workspace that has something of everything."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aloma_py.clock import VirtualClock
from aloma_py.engine import Engine
from aloma_py.intake import new_task
from aloma_py.models import (
    AuditEntry,
    Blob,
    Call,
    Change,
    Cycle,
    Entry,
    LogLine,
    Task,
    TaskCommit,
    TaskState,
    Visualization,
)
from aloma_py.operations import Operations, Site
from aloma_py.settings import Settings
from aloma_py.store import places
from aloma_py.store.scripts import Put, ScriptShelf
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

NOW = 1_767_225_600_000
DAY = 86_400_000
PASSPHRASE = "correct horse"
SECRET = "a-heron-stands-by-the-weir"


class Place:
    """A store, and what can be asked of its workspaces."""

    def __init__(self, store: SQLiteStore) -> None:
        self.store, self.clock = store, VirtualClock()

    def of(self, workspace: str) -> Operations:
        engine = Engine(self.store.workspace(workspace), (), clock=self.clock, cipher=lambda: self.store.cipher)
        return Operations(Site(engine, self.store, Settings(workspace=workspace)))

    async def ask(self, workspace: str, operation: str, **arguments: Any) -> Any:
        return await self.of(workspace).call(operation, arguments)

    async def write(self, sql: str, *values: Any) -> None:
        await self.store.writer.write(Write(job=lambda connection: connection.execute(sql, values) and None))

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.store.reader.execute(sql, values).fetchall()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Place]:
    async with SQLiteStore(path) as store:
        yield Place(store)


def members(path: Path) -> dict[str, Any]:
    """What is in an export, save the manifest and what was encrypted, which differ from one to the next."""
    with zipfile.ZipFile(path) as file:
        found: dict[str, Any] = {name: file.read(name) for name in file.namelist()}
    found.pop("manifest.json")
    found.pop("secrets.json", None)
    if "tasks.ndjson" in found:
        lines = [json.loads(line) for line in found["tasks.ndjson"].splitlines()]
        found["tasks.ndjson"] = [{**line, "stash": line.get("stash") is not None} for line in lines]
    return found


def manifest(path: Path) -> Any:
    with zipfile.ZipFile(path) as file:
        return json.loads(file.read("manifest.json"))


async def put(place: Place, workspace: str, name: str, state: str = "done", **more: Any) -> Task:
    """A task with two runs, in that state, changed at the time of the clock."""
    now = place.clock.now()
    task = new_task(workspace, name, more.pop("data", {"a": 1}), now=now)
    task = replace(task, state=TaskState(state), **more)
    handle = place.store.workspace(workspace)
    await handle.accept([replace(task, state=TaskState.PENDING)])
    changes = (Change("set", ("b",), {"x": [1, "é", None]}),)
    runs = [
        Entry(n=n, kind="run", started_at=now, ended_at=now + 1, step="s", version="abc", wave=n,
              changes=changes if n == 1 else (), logs=(LogLine(now, "info", "said"),))
        for n in (1, 2)
    ]  # fmt: skip
    task = replace(task, data={**task.data, "b": {"x": [1, "é", None]}}, last_entry=2, updated_at=now)
    task.ended_at = now if task.state.ended else None
    await handle.commit([TaskCommit(task, tuple(runs), (AuditEntry(now, "reference", "order", {"id": 7}),),
                                    (Visualization(now, "line", "p", [1, 2], None),))])  # fmt: skip
    call = Call("s", 1, 1, "shop", "get", "d", 1, {"q": 1}, "returned", {"ok": True}, "k", now, now + 1)
    await handle.record_call(task.id, call)
    await handle.record_call(task.id, replace(call, position=2))
    return task


async def fill(place: Place, name: str = "orders") -> dict[str, str]:
    """A workspace that has something of everything; gives ids by what they are of."""
    await place.ask("default", "add_workspace", name=name, title="Orders", tags=["eu"], limits={"keep_tasks_days": 90})
    shelf = ScriptShelf(place.store, name)  # not by the operations, which try each text in V8
    text = (
        "export const condition = { never: 1 };\nexport const content = async () => { data.x = lib.money.cents(1); };\n"
    )
    for put_there in (
        Put("library", "money", "export const cents = (n) => Math.round(n * 100);"),
        Put("step", "and/greet", text, ".ts", enabled=False, description="Greets"),
        Put("step", "and/greet", text.replace("cents(1)", "cents(2)")),
    ):
        await shelf.put(put_there, by="local", at=NOW)
    await place.ask(name, "set_variable", name="REGION", value={"eu": [1, 2.5, "\ud800"]}, description="where")
    await place.ask(name, "set_secret", name="TOKEN", value=SECRET)
    hook = await place.ask(name, "add_webhook", name="shop", options={"signature": "github"}, secret=SECRET + "2")
    await place.ask(name, "add_schedule", name="nightly", cron="0 3 * * *", zone="Europe/Berlin", data={"r": 1})
    cipher = place.store.cipher
    await place.write(
        "INSERT INTO source (workspace, options, sealed, hook, updated_at, updated_by) VALUES (?, ?, ?, ?, ?, ?)",
        name, '{"url":"https://x/y"}', cipher.seal(places.source_place(name), SECRET + "3"), f"src_{name:_<20}", NOW,
        "local",
    )  # fmt: skip
    await place.write(
        "INSERT INTO connector VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        name, "shop", "Shop", "http", '{"tags":[]}', cipher.seal(places.connector_place(name, "shop"), SECRET + "4"),
        1, NOW, NOW, "local",
    )  # fmt: skip
    parent = await put(place, name, "parent", "waiting", data={"$stash": {"pin": "Number"}}, cycle=Cycle(held=1))
    child = await put(place, name, "child", "pending", parent=parent.id, into="parts", wait_for=True,
                      data={"of": parent.id})  # fmt: skip
    sealed = cipher.encrypt(parent.id, {"pin": 4711, "odd": "\ud800"})
    await place.write("UPDATE task SET stash = ? WHERE id = ?", sealed, parent.id)
    blob = "blob-0123456789abcdef01234567"
    handle = place.store.workspace(name)
    await handle.put_blob(Blob(blob, child.id, "a.pdf", "application/pdf", b"\x00\xff", {"pages": 2}, NOW))
    await handle.put_blob(Blob("blob-aaaaaaaaaaaaaaaaaaaaaaaa", None, None, None, b"", None, NOW))
    await handle.write_file("reports/1.csv", b"1;2", NOW)
    done = await put(place, name, "done", data={"file": blob, "text": f"see {child.id}, not task-00000000000000000000"})
    schedule = place.rows("SELECT id FROM schedule WHERE workspace = ?", name)[0][0]
    await place.write("INSERT INTO webhook_key VALUES (?, ?, ?, ?)", hook["id"], "delivery 1", done.id, NOW)
    await place.write("INSERT INTO firing VALUES (?, ?, ?, ?)", schedule, NOW, done.id, None)
    return {"parent": parent.id, "child": child.id, "done": done.id, "webhook": hook["id"], "schedule": schedule,
            "blob": blob}  # fmt: skip
