"""``aloma-py db restore``: a backup in the place of the store, whatever comes between."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from aloma_py.errors import StoreError
from aloma_py.store import restore as module
from aloma_py.store.places import place_of
from aloma_py.store.restore import restore
from aloma_py.store.sqlite import SQLiteStore

from .conftest import Shell

NOW = 1_767_323_045_000  # 2026-01-02T03:04:05Z
ENDING = ".before-20260102T030405Z"


@pytest.fixture
def place(shell: Shell) -> Shell:
    """A store with two tasks and a secret, of which the backup ``monday.db`` has the first task only."""
    shell("secret", "set", "TOKEN", "first value")
    shell("task", "new", "first", "-d", "{}")
    shell("db", "backup", "monday.db")
    shell("task", "new", "second", "-d", "{}")
    return shell


def names(shell: Shell, *store: str) -> list[str]:
    return [one["name"] for one in shell.json("task", "list", *store)]


def files(shell: Shell) -> set[str]:
    """What lies in the folder, but for locks, and what readers leave beside a store."""
    return {file.name for file in shell.folder.iterdir() if not file.name.endswith((".lock", ".py", "-wal", "-shm"))}


def test_a_backup_takes_the_store_s_place_and_the_store_is_kept(place: Shell) -> None:
    done = place.json("db", "restore", "monday.db")
    assert (done["tasks"], done["keys"], done["missing_keys"]) == (1, [], [])
    assert names(place) == ["first"]
    # And what was there is a whole store
    assert place("--store", done["kept"], "db", "verify").stdout == "sound: 2 tasks, 0 history entries\n"
    assert names(place, "--store", done["kept"]) == ["second", "first"]
    # And the backup is as it was, and nothing else was left
    assert names(place, "--store", "monday.db") == ["first"]
    kept = Path(done["kept"]).name
    assert files(place) == {"aloma.db", "aloma.db.key", "monday.db", kept}


def test_a_store_that_is_gone_is_made_again(place: Shell) -> None:
    (place.folder / "aloma.db").unlink()
    printed = place("db", "restore", "monday.db").stdout
    assert printed == f"restored {place.folder / 'aloma.db'}: 1 tasks, 0 history entries\n"
    assert names(place) == ["first"]


def test_a_log_that_was_left_by_a_killed_process_is_kept_with_its_store(place: Shell) -> None:
    # Given a store whose last task is in its log only, and which nobody can bring in: it was copied so
    folder = place.folder
    writer = sqlite3.connect(folder / "aloma.db", isolation_level=None)
    writer.execute("UPDATE task SET name = 'changed' WHERE name = 'second'")
    for end in ("", "-wal"):
        shutil.copy(folder / f"aloma.db{end}", folder / f"left.db{end}")
    writer.close()
    # When a backup comes in its place
    kept = restore(folder / "left.db", folder / "monday.db", NOW).kept
    # Then nothing of it is lost
    assert kept == folder / f"left.db{ENDING}"
    assert names(place, "--store", str(kept)) == ["changed", "first"]
    assert names(place, "--store", "left.db") == ["first"]


def test_a_log_that_cannot_be_emptied_goes_with_its_store(place: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place.folder
    writer = sqlite3.connect(folder / "aloma.db", isolation_level=None)
    writer.execute("UPDATE task SET name = 'changed' WHERE name = 'second'")
    for end in ("", "-wal"):
        shutil.copy(folder / f"aloma.db{end}", folder / f"left.db{end}")
    writer.close()
    monkeypatch.setattr(module, "_empty_log", lambda place: None)
    kept = restore(folder / "left.db", folder / "monday.db", NOW).kept
    assert (folder / f"left.db{ENDING}-wal").exists() and not (folder / "left.db-wal").exists()
    assert names(place, "--store", str(kept)) == ["changed", "first"]
    assert names(place, "--store", "left.db") == ["first"]


def test_keys_beside_the_backup_come_with_it(place: Shell, tmp_path_factory: pytest.TempPathFactory) -> None:
    # Given a backup and its key elsewhere, and a store whose key was changed since
    there = tmp_path_factory.mktemp("backups")
    shutil.move(place.folder / "monday.db", there / "monday.db")
    shutil.copy(place.folder / "aloma.db.key", there / "monday.db.key")
    old = (there / "monday.db.key").read_text()
    place("secret", "rotate-key")
    new = (place.folder / "aloma.db.key").read_text()
    # When it is restored
    done = place.json("db", "restore", str(there / "monday.db"))
    # Then its key is the key, and the others are kept with the store that needs them
    assert done["keys"] == [str(place.folder / "aloma.db.key")]
    assert (place.folder / "aloma.db.key").read_text() == old
    assert (place.folder / "aloma.db.key").stat().st_mode & 0o777 == 0o600
    assert Path(f"{done['kept']}.key").read_text() == new
    assert Path(f"{done['kept']}.key.old").exists() and not (place.folder / "aloma.db.key.old").exists()

    async def value(store: str) -> str:
        async with SQLiteStore(store) as opened:
            (blob,) = await opened.read(lambda reader: reader.execute("SELECT sealed FROM variable").fetchone())
            return opened.cipher.unseal(place_of("default", "TOKEN"), blob, "it")

    for store in ("aloma.db", done["kept"]):  # each can be read with the key beside it
        assert anyio.run(value, store) == "first value"
    assert done["missing_keys"] == []


def test_a_key_that_is_missing_is_told(place: Shell, tmp_path_factory: pytest.TempPathFactory) -> None:
    there = tmp_path_factory.mktemp("elsewhere")
    result = place("--store", str(there / "new.db"), "db", "restore", "monday.db", status=1)
    assert "confidential values in it need the key " in result.stderr
    assert "(new.db.key) or into ALOMA_STASH_KEY" in result.stderr
    assert names(place, "--store", str(there / "new.db")) == ["first"]


def test_mistakes_change_nothing(place: Shell) -> None:
    folder = place.folder
    before = files(place)
    (folder / "notes.txt").write_text("not a database, but long enough to be read as one " * 20)
    shutil.copy(folder / "monday.db", folder / "torn.db")
    with (folder / "torn.db").open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 4096)
    other = sqlite3.connect(folder / "other.db")
    other.execute("CREATE TABLE a (b)")
    other.close()
    assert "there is no backup" in place.refused("db", "restore", "tuesday.db", status=3)
    assert "is the store itself" in place.refused("db", "restore", "aloma.db")
    assert "it is not an SQLite file" in place.refused("db", "restore", "notes.txt", status=3)
    assert "the store is as it was" in place.refused("db", "restore", "torn.db", status=3)
    assert "of something else, not a store" in place.refused("db", "restore", "other.db", status=3)
    assert "on the machine of the store" in place.refused("--url", "https://a.example", "db", "restore", "monday.db")
    assert names(place) == ["second", "first"]
    assert files(place) == before | {"notes.txt", "torn.db", "other.db"}


def test_a_store_that_is_in_use_is_left_alone(place: Shell) -> None:
    async def beside() -> str:
        async with SQLiteStore("aloma.db"):
            return await anyio.to_thread.run_sync(lambda: place.refused("db", "restore", "monday.db", status=3))

    message = anyio.run(beside)
    assert "is in use by process " in message and message.endswith("stop it first; nothing was changed")
    assert names(place) == ["second", "first"]


class Cut(BaseException):
    """The end of the process."""


def failing(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> Callable[[], int]:
    """Has the ``at``-th change of names raise; gives how many there were."""
    count = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal count
            count += 1
            if count == at or (isinstance(error, Cut) and count > at):
                raise error
            return function(*given, **named)

        return call

    monkeypatch.setattr(os, "link", counted(os.link))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(module, "sync_folder", counted(module.sync_folder))
    monkeypatch.setattr(module, "_to_disk", counted(module._to_disk))
    unlink = Path.unlink
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: (counted(unlink) if path.exists() else unlink)(
        path, missing_ok=missing_ok))  # fmt: skip
    return lambda: count


@pytest.mark.parametrize("logged", [False, True], ids=["", "with a log"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Cut()], ids=["full", "killed"])
def test_whatever_fails_both_are_there(
    place: Shell, monkeypatch: pytest.MonkeyPatch, error: BaseException, logged: bool
) -> None:
    """At each change of a name in turn: the store is the old one or the new one, or it is gone and the old one is kept
    whole; where it was no kill, it is the old one. Another attempt does it."""
    folder = place.folder
    shutil.copy(folder / "monday.db", folder / "backup.db")
    (folder / "backup.db.key").write_bytes(b"A" * 43 + b"=\n")
    if logged:
        monkeypatch.setattr(module, "_empty_log", lambda place: None)
    at = 0
    while True:
        at += 1
        there = folder / f"try{at}"
        there.mkdir()
        store = there / "aloma.db"
        writer = sqlite3.connect(folder / "aloma.db", isolation_level=None)
        writer.execute("UPDATE task SET name = 'changed' WHERE name IN ('second', 'changed')")
        for end in ("", "-wal"):
            shutil.copy(folder / f"aloma.db{end}", f"{store}{end}")
        writer.close()
        shutil.copy(folder / "aloma.db.key", f"{store}.key")
        failed = False
        with monkeypatch.context() as patched:
            made = failing(patched, at, error)
            try:
                restore(store, folder / "backup.db", NOW)
            except StoreError as told:
                assert str(told).endswith("No space left on device; the store is as it was")
                failed = True
            except Cut:
                pass
            changes = made()
        if changes < at:
            break
        kept = Path(f"{store}{ENDING}")
        if failed:
            assert names(place, "--store", str(store)) == ["changed", "first"]
            assert Path(f"{store}.key").read_bytes() == (folder / "aloma.db.key").read_bytes()
            assert {file.name for file in there.iterdir()} <= {
                "aloma.db", "aloma.db-wal", "aloma.db-shm", "aloma.db.key", "aloma.db.lock"
            }  # fmt: skip
        elif store.exists():
            found = names(place, "--store", str(store))
            assert found in (["changed", "first"], ["first"])
            if found == ["first"]:
                assert names(place, "--store", str(kept)) == ["changed", "first"]
        else:
            assert names(place, "--store", str(kept)) == ["changed", "first"]
        # And a second attempt does what the first could not
        again = restore(store, folder / "backup.db", NOW)
        assert names(place, "--store", str(store)) == ["first"]
        assert again.tasks == 1
    assert at > 5


def test_a_disk_without_room_changes_nothing(place: Shell) -> None:
    """The system itself refuses to let files grow: in the middle of the copy, and of what comes after it."""
    folder = place.folder
    size = (folder / "monday.db").stat().st_size
    for room in (0, 4096, size // 2, size - 4096):
        with file_size_limit(room):
            message = place.refused("db", "restore", "monday.db", status=3)
        assert "the store is as it was" in message or (room == 0 and "the lock " in message)
        assert names(place) == ["second", "first"]
        assert files(place) == {"aloma.db", "aloma.db.key", "monday.db"}
    place("db", "restore", "monday.db")
    assert names(place) == ["first"]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
