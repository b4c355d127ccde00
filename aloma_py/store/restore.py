"""Putting a backup in the place of a store, so that whatever interrupts it, both are still there.

The backup is copied beside the store, brought to the present schema and read through, all before the store is touched.
What was there is kept under another name: it has both names for a moment, then the copy takes the first.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aloma_py.errors import InputError, StoreBusy, StoreError
from aloma_py.models import Millis
from aloma_py.store import connections, schema
from aloma_py.store.lockfile import FileLock
from aloma_py.store.rotation import fingerprints_in
from aloma_py.store.stash import (
    KEY_VARIABLE,
    StashCipher,
    key_file,
    load_keys,
    new_key_file,
    old_keys_file,
    sync_folder,
)
from aloma_py.store.verify import check
from aloma_py.transfer.newfile import NO_LINKS

LOGS: Final = ("-wal", "-journal", "-shm")
"""What SQLite may have beside a file: what belongs to it, and an index that is made anew."""

KEY_FILES: Final[tuple[Callable[[Path], Path], ...]] = (key_file, new_key_file, old_keys_file)


@dataclass(frozen=True, slots=True)
class Restored:
    """What ``restore`` did."""

    path: Path
    backup: Path
    tasks: int
    entries: int
    kept: Path | None  # the store that was there, under its new name
    keys: tuple[Path, ...]  # key files that were copied, as they are called now
    missing_keys: tuple[str, ...]  # fingerprints of keys that confidential values need, and that are not here


def restore(path: str | Path, backup: str | Path, now: Millis) -> Restored:
    """Put the copy ``backup`` in the place of the store at ``path``.

    Key files beside the backup (``BACKUP.key``, or the store's key file of that name in another folder) come with it.
    ``now`` (milliseconds) names what is kept of the store that was there. Raises
    :class:`~aloma_py.errors.StoreBusy` while a process has the store, :class:`~aloma_py.errors.StoreError` where the
    backup is none, is not sound, or there is no room; then the store is as it was.
    """
    place, source = Path(path).expanduser().absolute(), Path(backup).expanduser().absolute()
    connections.check_folder(place)
    if not source.is_file():
        raise StoreError(f"there is no backup {source}")
    if place.exists() and place.samefile(source):
        raise InputError(f"the backup {source} is the store itself")
    lock = FileLock(place)
    try:
        lock.acquire()
    except StoreBusy as error:
        raise StoreBusy(f"{error}: stop it first; nothing was changed") from None
    try:
        return _restore(place, source, now)
    finally:
        lock.release()


def _restore(place: Path, source: Path, now: Millis) -> Restored:
    part = place.with_name(place.name + ".restoring")
    keys = _keys_beside(source, place)
    with _nothing_left(part), _telling(source):
        _copy(source, part)
        tasks, entries, needed = _look_through(part, source)
        parts = {target: _copy_key(found, _part_of(target)) for found, target in keys}
        _own_alike(place, [part, *parts.values()])
        kept = _swap(part, parts, place, now)
    return Restored(place, source, tasks, entries, kept, tuple(parts), _missing(place, needed))


@contextmanager
def _telling(source: Path) -> Iterator[None]:
    """Says of what goes wrong that nothing was changed."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StoreError(f"the backup {source} could not be restored: {reason}; the store is as it was") from error


@contextmanager
def _nothing_left(part: Path) -> Iterator[None]:
    """Removes what an attempt has left, this one or one that was killed."""
    _remove_parts(part)
    try:
        yield
    finally:
        _remove_parts(part)


def _remove_parts(part: Path) -> None:
    store = part.with_name(part.name.removesuffix(".restoring"))
    for file in (part, *(part.with_name(part.name + end) for end in LOGS), *(_part_of(of(store)) for of in KEY_FILES)):
        with contextlib.suppress(OSError):
            file.unlink()


def _part_of(file: Path) -> Path:
    return file.with_name(file.name + ".restoring")


# ── before the store is touched ─────────────────────────────────────────────────────────────────────────────────────


def _copy(source: Path, part: Path) -> None:
    """Copy the backup page by page, with what is in a log beside it."""
    with closing(connections.open_reader(source)) as reading:
        try:
            schema.applied(reading)
        except (StoreError, sqlite3.Error) as error:
            raise StoreError(f"the backup {source} cannot be restored: {error}; the store is as it was") from error
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, source.stat().st_mode & 0o777))
        with closing(sqlite3.connect(part)) as writing:
            reading.backup(writing)


def _look_through(part: Path, source: Path) -> tuple[int, int, set[bytes]]:
    """Bring the copy to the present schema, read all of it, and have it on disk.

    Gives the numbers of tasks and history entries, and the fingerprints of the keys that its values need.
    """
    try:
        opened = connections.open_writer(part, "FULL")
    except StoreError as error:
        raise StoreError(f"the backup {source} could not be restored: {error}; the store is as it was") from error
    with closing(opened) as connection:
        found = check(connection)
        if not found.sound:
            more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
            raise StoreError(f"the backup {source} is not sound: {found.problems[0]}{more}; the store is as it was")
        needed = fingerprints_in(connection)
        connection.execute("PRAGMA journal_mode = DELETE")  # one file, with no log beside it
    _to_disk(part)
    return found.tasks, found.entries, needed


def _keys_beside(source: Path, place: Path) -> list[tuple[Path, Path]]:
    """The key files that lie beside the backup, each with the place where it belongs; not those that are there."""
    found: list[tuple[Path, Path]] = []
    for of in KEY_FILES if not os.environ.get(KEY_VARIABLE) else ():
        target = of(place)
        for file in (of(source), of(source.with_name(place.name))):
            if file.is_file() and not (target.exists() and file.samefile(target)):
                found.append((file, target))
                break
    if all(target != key_file(place) for _, target in found):
        return []  # older keys alone are not to push aside those of the key that stays
    return found if any(not _same(file, target) for file, target in found) else []


def _same(file: Path, target: Path) -> bool:
    return target.exists() and file.read_bytes() == target.read_bytes()


def _copy_key(file: Path, part: Path) -> Path:
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(file.read_bytes())
        out.flush()
        os.fsync(out.fileno())
    return part


def _to_disk(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _own_alike(place: Path, files: list[Path]) -> None:
    """Have the files belong to whom the store belongs to: the server may be another user than who restores."""
    if not place.exists():
        return
    old = place.stat()
    files[0].chmod(old.st_mode & 0o777)
    for file in files:
        with contextlib.suppress(PermissionError):
            os.chown(file, old.st_uid, old.st_gid)


def _missing(place: Path, needed: set[bytes]) -> tuple[str, ...]:
    """The fingerprints of keys that are needed and not here."""
    if not needed:
        return ()
    known: frozenset[bytes] = frozenset()
    if os.environ.get(KEY_VARIABLE) or key_file(place).exists():
        first, *others = load_keys(place)
        known = StashCipher(first, others).fingerprints
    return tuple(sorted(one.hex() for one in needed - known))


# ── the change ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _swap(part: Path, keys: dict[Path, Path], place: Path, now: Millis) -> Path | None:
    """Keep what is there under another name, and put the copies (``keys`` by their places) where they belong."""
    _empty_log(place)
    ending = _free_ending(place, now)
    logs = [place.with_name(place.name + end) for end in LOGS]
    there = [place, *logs[:-1], *((of(place) for of in KEY_FILES) if keys else ())]
    # A log goes on belonging to its file: FILE.before-… and FILE.before-…-wal.
    moved = {old: _kept_name(old, place, ending) for old in there if old.exists()}
    try:
        for old, new in moved.items():
            _second_name(old, new)
        sync_folder(place)
        if any(log in moved for log in logs):
            place.unlink(missing_ok=True)  # before its log: a log without its file is never read into another one
        for old in (*logs, *moved):
            if old != place and old not in keys:
                old.unlink(missing_ok=True)
        for target, file in keys.items():
            file.replace(target)
        part.replace(place)
        sync_folder(place)
    except OSError:
        _put_back(moved, new=[target for target in (place, *keys) if target not in moved])
        raise
    return moved.get(place)


def _empty_log(place: Path) -> None:
    """Bring what is in the store's log into the store, if that can be done: then there is one file to keep."""
    if not place.exists():
        return
    with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(place, timeout=1)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _free_ending(place: Path, now: Millis) -> str:
    """``.before-20260102T030405Z``, with a number behind it where that is taken."""
    moment = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC)
    wanted = ending = f".before-{moment:%Y%m%dT%H%M%SZ}"
    number = 1
    while place.with_name(place.name + ending).exists():
        number += 1
        ending = f"{wanted}-{number}"
    return ending


def _kept_name(file: Path, place: Path, ending: str) -> Path:
    return file.with_name(place.name + ending + file.name.removeprefix(place.name))


def _second_name(old: Path, new: Path) -> None:
    """Give a file another name beside its own; where the file system has no such thing, copy it."""
    try:
        os.link(old, new)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copy2(old, new)
        _to_disk(new)


def _put_back(moved: dict[Path, Path], new: list[Path]) -> None:
    """Give what was there its first names again, the log before the file; and take away what is ``new``."""
    for file in new:
        with contextlib.suppress(OSError):
            file.unlink()
    for old, kept in reversed(moved.items()):
        with contextlib.suppress(OSError):
            kept.replace(old)
            kept.unlink(missing_ok=True)  # two names of one file are left as they are by the line above
