"""Group commit: who fails when something fails, and what is there afterwards."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from aloma_py.errors import StaleTask, StoreError, StoreFull
from aloma_py.models import Entry, Task, TaskCommit, TaskFilter, TaskState
from aloma_py.store import SQLiteStore
from aloma_py.store.writer import Write

pytestmark = pytest.mark.anyio


def task(id: str, **members: Any) -> Task:
    data = members.pop("data", {"n": 1})
    return Task(id=id, workspace="main", name="order", data=data, initial=data, created_at=1, **members)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(tmp_path / "store.db") as opened:
        yield opened


class Fragile:
    """A connection whose next statements of one kind fail as a broken disk makes them fail."""

    def __init__(self, connection: sqlite3.Connection, statement: str, times: int) -> None:
        self._connection = connection
        self._statement = statement
        self._times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == self._statement and self._times:
            self._times -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(sql, *values)


async def test_writes_that_are_under_way_at_once_share_transactions(store: SQLiteStore) -> None:
    main = store.workspace("main")
    await main.accept([task("t0")])
    before = store.writer.batches
    async with anyio.create_task_group() as group:
        for n in range(1, 201):
            group.start_soon(main.accept, [task(f"t{n}")])
    assert store.writer.batches - before < 50
    assert (await main.counts()) == {TaskState.PENDING: 201}


async def test_only_the_guilty_write_of_a_batch_fails(store: SQLiteStore) -> None:
    main = store.workspace("main")
    tasks = [task(f"t{n}") for n in range(30)]
    await main.accept(tasks)
    failed: list[str] = []

    async def commit(one: Task) -> None:
        try:
            await main.commit([TaskCommit(one, (Entry(n=1, kind="run", started_at=1, ended_at=1),))])
        except StaleTask as error:
            failed.append(one.id)
            assert one.id in str(error)
            assert "t2 " not in str(error)

    async with anyio.create_task_group() as group:
        for one in tasks:
            wrong = one.id in ("t7", "t19")
            group.start_soon(commit, replace(one, last_entry=1, revision=5 if wrong else 0))
    assert sorted(failed) == ["t19", "t7"]
    stored = {one.id: one.revision for one in await main.list(TaskFilter())}
    assert stored == {f"t{n}": 0 if n in (7, 19) else 1 for n in range(30)}
    assert await main.entries("t7") == []


async def test_a_failing_commit_leaves_what_was_there(store: SQLiteStore) -> None:
    main = store.workspace("main")
    await main.accept([task("t1")])
    held = await main.get("t1")
    sound = store.writer.connection
    store.writer.connection = Fragile(sound, "COMMIT", times=1)  # type: ignore[assignment]
    with pytest.raises(StoreError, match=r"store\.db could not be written: disk I/O error; nothing was changed"):
        await main.commit([TaskCommit(replace(held, name="renamed"))])
    assert await main.get("t1") == held
    await main.commit([TaskCommit(replace(held, name="renamed"))])
    assert (await main.get("t1")).name == "renamed"
    store.writer.connection = sound


async def test_a_batch_whose_commit_fails_is_tried_one_by_one(store: SQLiteStore) -> None:
    main = store.workspace("main")
    await main.accept([task("t0")])
    sound = store.writer.connection
    store.writer.connection = Fragile(sound, "COMMIT", times=1)  # type: ignore[assignment]
    async with anyio.create_task_group() as group:
        # The first is alone in its batch, or they are together: at most one may fail.
        errors: list[StoreError] = []

        async def accept(n: int) -> None:
            try:
                await main.accept([task(f"t{n}")])
            except StoreError as error:
                errors.append(error)

        for n in range(1, 20):
            group.start_soon(accept, n)
    store.writer.connection = sound
    assert len(errors) <= 1
    assert (await main.counts())[TaskState.PENDING] == 20 - len(errors)


async def test_a_full_disk_is_an_error_and_work_goes_on_when_there_is_room(store: SQLiteStore) -> None:
    main = store.workspace("main")
    await main.accept([task("t1")])

    def pages(limit: str) -> Write:
        return Write(job=lambda connection: connection.execute(limit).fetchall(), bare=True)

    await store.writer.write(pages("PRAGMA max_page_count = 1"))  # SQLite takes it as "no more than now"
    with pytest.raises(StoreFull, match=r"there is no room left for the store .* nothing was changed, free some space"):
        await main.accept([task("big", data={"text": "x" * 500_000})])
    assert [one.id for one in await main.list(TaskFilter())] == ["t1"]
    await store.writer.write(pages("PRAGMA max_page_count = 1000000"))
    await main.accept([task("big", data={"text": "x" * 500_000})])
    assert len((await main.get("big")).data["text"]) == 500_000


async def test_a_cancelled_caller_harms_nobody(store: SQLiteStore) -> None:
    main = store.workspace("main")
    async with anyio.create_task_group() as group:
        for n in range(20):
            group.start_soon(main.accept, [task(f"t{n}")])
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    await main.accept([task("after")])
    ids = {one.id for one in await main.list(TaskFilter())}
    assert "after" in ids


async def test_closing_waits_for_what_was_submitted(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with anyio.create_task_group() as group, SQLiteStore(path) as store:
        for n in range(50):
            group.start_soon(store.workspace("main").accept, [task(f"t{n}")])
        await anyio.lowlevel.checkpoint()
    async with SQLiteStore(path) as store:
        assert (await store.workspace("main").counts())[TaskState.PENDING] == 50
    with pytest.raises(StoreError, match=r"is not open; use it inside `async with store:`"):
        await store.workspace("main").accept([task("x")])


def run_child(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    prelude = """
    import anyio, os, resource, signal, sys
    from aloma_py.errors import StoreFull
    from aloma_py.models import Task
    from aloma_py.store import SQLiteStore

    def task(n, text="x"):
        return Task(id=f"t{n}", workspace="main", name="n", data={"t": text}, initial={}, created_at=1)
    """
    source = textwrap.dedent(prelude) + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", source, str(path)], capture_output=True, text=True, timeout=50)


@pytest.mark.acceptance
async def test_what_was_acknowledged_survives_the_death_of_the_process(tmp_path: Path) -> None:
    code = """
    async def main():
        async with SQLiteStore(sys.argv[1]) as store:
            workspace = store.workspace("main")
            done = 0
            async def one(n):
                nonlocal done
                await workspace.accept([task(n)])
                print(f"t{n}", flush=True)
                done += 1
                if done == 150:
                    os._exit(9)
            async with anyio.create_task_group() as group:
                for n in range(400):
                    group.start_soon(one, n)
                    if n % 7 == 0:
                        await anyio.lowlevel.checkpoint()
    anyio.run(main)
    """
    child = run_child(code, tmp_path / "store.db")
    assert child.returncode == 9, child.stderr
    acknowledged = set(child.stdout.split())
    assert len(acknowledged) == 150
    async with SQLiteStore(tmp_path / "store.db") as store:
        stored = {one.id for one in await store.workspace("main").list(TaskFilter(limit=1000))}
    assert acknowledged <= stored


@pytest.mark.acceptance
async def test_a_file_size_limit_counts_as_a_full_disk(tmp_path: Path) -> None:
    code = """
    async def main():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        async with SQLiteStore(sys.argv[1]) as store:
            workspace = store.workspace("main")
            await workspace.accept([task(0)])
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
            try:
                await workspace.accept([task(1, "x" * 2_000_000)])
            except StoreFull as error:
                print("full", end=" ")
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await workspace.accept([task(2, "x" * 2_000_000)])
            print(*sorted([one.id for one in await workspace.ready(9, 9, frozenset())]))
    anyio.run(main)
    """
    child = run_child(code, tmp_path / "store.db")
    assert child.stdout == "full t0 t2\n", child.stderr
