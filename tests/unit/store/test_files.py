"""The store's file: its lock, its migrations, how it shrinks, and looking after it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aloma_py.errors import InputError, StoreBusy, StoreError
from aloma_py.models import Blob, Change, Entry, LogLine, Task, TaskCommit, TaskFilter, TaskState
from aloma_py.store import SQLiteStore, admin, connections, removal, retention, schema

pytestmark = pytest.mark.anyio


def task(id: str, **members: Any) -> Task:
    data = members.pop("data", {"n": 1})
    members = {"name": "order", "created_at": 1000} | members
    return Task(id=id, workspace="main", data=data, initial=data, **members)


def size(path: Path) -> int:
    """Of the file, in bytes; -1 where there is none."""
    return path.stat().st_size if path.exists() else -1


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    async with SQLiteStore(path) as opened:
        yield opened


async def test_a_second_opening_is_refused_by_name(store: SQLiteStore, path: Path) -> None:
    with pytest.raises(StoreBusy) as caught:
        async with SQLiteStore(path):
            pass
    assert str(caught.value) == f"the store {path} is in use by process {os.getpid()} (lock file {path}.lock)"


async def test_it_can_be_read_while_it_is_open_but_not_written(store: SQLiteStore, path: Path) -> None:
    await store.workspace("main").accept([task("t1")])
    async with SQLiteStore.inspect(path) as look:
        assert (await look.workspace("main").get("t1")).id == "t1"
        with pytest.raises(StoreError, match="was opened for reading only"):
            await look.workspace("main").delete("t1")
    assert admin.info(path).process == os.getpid()


async def test_the_lock_is_given_back(path: Path) -> None:
    for _ in range(2):
        async with SQLiteStore(path) as store:
            assert await store.workspaces() == []
    assert size(path.with_name("store.db-wal")) == -1


def write_foreign(path: Path, content: bytes | None) -> bytes:
    """A file with ``content``, or an SQLite file of another program; gives its bytes."""
    if content is None:
        foreign = sqlite3.connect(path)
        foreign.execute("CREATE TABLE theirs (a)")
        foreign.close()
    else:
        path.write_bytes(content)
    return path.read_bytes()


def read(path: Path) -> bytes:
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a database, but a text of some length" * 10, "is no store: it is not an SQLite file"),
        (None, "cannot be opened: it is an SQLite file of something else, not a store"),
    ],
)
async def test_a_file_that_is_no_store_is_refused_and_left_alone(
    path: Path, content: bytes | None, message: str
) -> None:
    before = write_foreign(path, content)
    with pytest.raises(StoreError, match=message):
        async with SQLiteStore(path):
            pass
    assert read(path) == before


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"the folder .*nowhere of the store a\.db does not exist"):
        async with SQLiteStore(tmp_path / "nowhere" / "a.db"):
            pass
    with pytest.raises(StoreError, match=r"there is no store .*b\.db"):
        async with SQLiteStore.inspect(tmp_path / "b.db"):
            pass


async def test_an_older_file_is_migrated_and_a_newer_one_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SQLiteStore(path) as store:
        await store.workspace("main").accept([task("t1")])
    newer = schema.MIGRATIONS | {"m002_more": "ALTER TABLE task ADD COLUMN more TEXT;\nCREATE TABLE extra (a);"}
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", newer)
        with pytest.raises(StoreError, match="written by an older version"):
            admin.info(path)
        async with SQLiteStore(path) as store:
            assert (await store.workspace("main").get("t1")).data == {"n": 1}
            assert store.reader.execute("SELECT more FROM task").fetchall() == [(None,)]
        assert admin.info(path).schema == "m002_more"
    with pytest.raises(StoreError, match=r"newer version of aloma_py \(its schema has 'm002_more', this version knows"):
        async with SQLiteStore(path):
            pass


async def test_a_migration_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with SQLiteStore(path) as store:
        await store.workspace("main").accept([task("t1")])
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", schema.MIGRATIONS | {"m002_bad": "CREATE TABLE extra (a);\nNONSENSE;"})
        with pytest.raises(StoreError, match=r"cannot be opened: .*syntax error"):
            async with SQLiteStore(path):
                pass
    async with SQLiteStore(path) as store:
        assert "extra" not in retention.tables(store.reader)


async def test_memory_and_file_have_the_same_schema(store: SQLiteStore) -> None:
    sql = "SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE '%sqlite_%' ORDER BY name"
    memory = connections.open_memory()
    assert memory.execute(sql).fetchall() == store.reader.execute(sql).fetchall()
    memory.close()


async def test_the_file_keeps_its_promises(store: SQLiteStore) -> None:
    writer = store.writer.connection
    asked = ("journal_mode", "synchronous", "auto_vacuum", "foreign_keys", "mmap_size")
    assert [writer.execute(f"PRAGMA {name}").fetchone()[0] for name in asked] == ["wal", 2, 2, 1, 0]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.reader.execute("DELETE FROM task")


async def test_no_table_is_forgotten_by_the_purge(store: SQLiteStore) -> None:
    known = {"task", *removal.AROUND_TASK, *removal.BY_NUMBER, *removal.KEPT}
    assert set(retention.tables(store.reader)) == known


async def test_a_purge_makes_the_file_smaller(store: SQLiteStore, path: Path) -> None:
    main = store.workspace("main")
    old = [task(f"old{n}", data={"text": "x" * 2000}, state=TaskState.DONE, ended_at=5) for n in range(700)]
    await main.accept([*old, task("new")])
    await main.put_blob(Blob("b", "old1", None, None, b"x" * 300_000, None, 1))
    await main.list(TaskFilter(search="order"))  # so that the search has rows too
    await store.shrink()
    before = size(path)
    gone = await store.purge(tasks_before=10, logs_before=0)
    assert gone == {"task": 700, "origin": 700, "blob": 1}
    assert size(path) < before / 10
    assert size(path.with_name("store.db-wal")) == 0
    assert [one.id for one in await main.list(TaskFilter(search="order"))] == ["new"]
    for table in ("search", "search_dirty"):
        assert store.reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0] <= 1
    assert admin.verify(path).sound


async def test_hot_questions_are_answered_by_an_index(store: SQLiteStore) -> None:
    task_of = "FROM task WHERE workspace = '' AND state = ''"
    for question, index in {
        f"SELECT id {task_of} AND wake_at > 0 AND wake_at <= 9 ORDER BY wake_at, no": "task_state",
        f"SELECT min(wake_at) {task_of} AND wake_at > 0": "task_state",
        f"SELECT no {task_of} AND wake_at IS NULL ORDER BY no DESC": "task_state",
        "SELECT state, count(*) FROM task WHERE workspace = '' GROUP BY state": "task_state",
        "SELECT no FROM task WHERE parent = ''": "task_child",
    }.items():
        plan = " ".join(row[3] for row in store.reader.execute(f"EXPLAIN QUERY PLAN {question}"))
        assert f"SEARCH task USING COVERING INDEX {index}" in plan or f"SEARCH task USING INDEX {index}" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


async def filled(store: SQLiteStore) -> None:
    main = store.workspace("main")
    await main.accept([task("t1", data={"a": 1}), task("t2", created_at=2000)])
    changed = Entry(
        n=1, kind="run", started_at=1, ended_at=2, changes=(Change("set", ("a",), 2),), logs=(LogLine(1, "info", "x"),)
    )
    await main.commit([TaskCommit(replace(await main.get("t1"), data={"a": 2}, last_entry=1), (changed,))])


async def test_info_tells_what_is_in_it(store: SQLiteStore, path: Path) -> None:
    await filled(store)
    told = admin.info(path)
    assert told.tasks == {"main": {"pending": 2}}
    assert (told.rows["task"], told.rows["entry"], told.rows["workspace"]) == (2, 1, 1)
    assert (told.oldest, told.newest, told.schema) == (1000, 2000, list(schema.MIGRATIONS)[-1])
    assert told.file_bytes > 0
    assert told.sqlite_version == sqlite3.sqlite_version


async def test_a_backup_of_an_open_store_is_a_sound_store(store: SQLiteStore, path: Path, tmp_path: Path) -> None:
    await filled(store)
    copy = tmp_path / "copy.db"
    written = admin.backup(path, copy)
    assert (written.path, written.bytes, written.key_fingerprint) == (copy, size(copy), None)
    async with SQLiteStore(copy) as opened:
        assert await opened.workspace("main").get("t1") == await store.workspace("main").get("t1")
    assert store.cipher.fingerprint == admin.backup(path, tmp_path / "second.db").key_fingerprint
    with pytest.raises(InputError, match="is there already; nothing was overwritten"):
        admin.backup(path, copy)
    assert not [name for name in names(tmp_path) if "part" in name]


async def test_verify_finds_what_is_wrong(store: SQLiteStore, path: Path) -> None:
    await filled(store)
    found = admin.verify(path)
    assert (found.problems, found.tasks, found.entries) == ([], 2, 1)
    writer = store.writer.connection
    writer.execute("PRAGMA foreign_keys = OFF")
    writer.execute("UPDATE task SET data = '{\"a\":3}', wake_at = 9 WHERE id = 't1'")
    writer.execute("UPDATE task SET last_entry = 4, state = 'lost' WHERE id = 't2'")
    writer.execute("INSERT INTO audit (task, at, kind, text, details) VALUES ('gone', 1, 'log', '', '{')")
    assert admin.verify(path).problems == [
        "a row of table audit belongs to no task",
        "details in table audit is no JSON: the row of 1",
        "task t1 would be woken at 9, but 0 follows from its state",
        "task t1: its history does not lead to its data; they differ at a",
        "task t2 cannot be read: 'lost' is not a valid TaskState",
    ]


async def test_vacuum_needs_the_store_for_itself(path: Path) -> None:
    async with SQLiteStore(path) as store:
        await filled(store)
        with pytest.raises(StoreBusy):
            admin.vacuum(path)
    before, after = admin.vacuum(path)
    assert 0 < after <= before
    assert admin.verify(path).sound
