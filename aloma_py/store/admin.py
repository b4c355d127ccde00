"""Looking after a store from outside: what is in it, whether it is sound, a copy of it, a smaller file.

``info`` and ``verify`` read, also while a server has the store open. ``vacuum`` needs it for itself.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from aloma_py.errors import InputError, StoreError
from aloma_py.models import Millis
from aloma_py.store import connections, retention, schema
from aloma_py.store.lockfile import FileLock, holder
from aloma_py.store.stash import KEY_VARIABLE, StashCipher, key_file, load_or_create_key
from aloma_py.store.verify import Told, Verification, check

BACKUP_PAGES = 256
"""How many pages a backup copies before it lets others come in between."""


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """What ``info`` tells; sizes in bytes, times in milliseconds."""

    path: Path
    file_bytes: int
    wal_bytes: int
    free_bytes: int  # inside the file: given back by a purge or a vacuum
    sqlite_version: str
    schema: str  # the newest migration the file has had
    process: int | None  # the process that has it open
    rows: dict[str, int] = field(default_factory=dict)  # by table
    tasks: dict[str, dict[str, int]] = field(default_factory=dict)  # by workspace and state
    oldest: Millis | None = None  # when the oldest task was accepted
    newest: Millis | None = None


@dataclass(frozen=True, slots=True)
class BackupInfo:
    """What ``backup`` wrote. The key for ``$stash`` is not part of a backup: keep it apart."""

    path: Path
    bytes: int
    key_fingerprint: str | None  # of the key that is needed to read $stash; None where no key was made yet


def info(path: str | Path) -> StoreInfo:
    """What is in the store at ``path``. Raises :class:`~aloma_py.errors.StoreError` where there is none."""
    place = _place(path)
    connection, other = connections.open_readers(place)
    other.close()
    with closing(connection):
        connection.execute("BEGIN")  # one moment for all the numbers
        tables = retention.tables(connection)
        tasks: dict[str, dict[str, int]] = {}
        counted = connection.execute("SELECT workspace, state, count(*) FROM task GROUP BY workspace, state")
        for workspace, state, number in counted:
            tasks.setdefault(workspace, {})[state] = number
        oldest, newest = connection.execute("SELECT min(created_at), max(created_at) FROM task").fetchone()
        return StoreInfo(
            path=place,
            file_bytes=place.stat().st_size,
            wal_bytes=_size(place.with_name(place.name + "-wal")),
            free_bytes=retention.free_pages(connection) * connection.execute("PRAGMA page_size").fetchone()[0],
            sqlite_version=sqlite3.sqlite_version,
            schema=schema.applied(connection)[-1],
            process=holder(place),
            rows={table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables},
            tasks=tasks,
            oldest=oldest,
            newest=newest,
        )


def backup(path: str | Path, target: str | Path, told: Told | None = None) -> BackupInfo:
    """Copy the store at ``path``, also while it is open and written to, to the new file ``target``.

    The copy is that of one moment. It takes its name when it is complete and on disk. ``told`` is called with how many
    pages of how many are copied. Raises
    :class:`~aloma_py.errors.InputError` where ``target`` is there already, and
    :class:`~aloma_py.errors.StoreError` where the one cannot be read or the other cannot be written.
    """
    place, copy = _place(path), _place(target)
    if copy.exists():
        raise InputError(f"the backup {copy} is there already; nothing was overwritten")
    source, other = connections.open_readers(place)
    other.close()
    part = copy.with_name(copy.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with closing(source), closing(sqlite3.connect(part)) as destination:
            # One snapshot for the whole copy; without it every write from outside would make it start again.
            source.execute("BEGIN")
            source.execute("SELECT 1 FROM task LIMIT 1").fetchone()
            source.backup(destination, pages=BACKUP_PAGES, progress=_pages(told))
            source.execute("COMMIT")
            destination.execute("PRAGMA journal_mode = DELETE")  # one file, with no log beside it
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(copy)
    except BaseException as error:  # also where nobody waits for it any more
        part.unlink(missing_ok=True)
        if isinstance(error, (sqlite3.Error, OSError)):
            raise StoreError(f"the backup {copy} could not be written: {error}") from error
        raise
    return BackupInfo(copy, copy.stat().st_size, _fingerprint(place))


def _pages(told: Told | None) -> Callable[[int, int, int], None] | None:
    return None if told is None else lambda status, left, pages: told(pages - left, pages)


def verify(path: str | Path, told: Told | None = None) -> Verification:
    """Read everything in the store at ``path`` and say what is not sound (see :func:`aloma_py.store.verify.check`)."""
    connection, other = connections.open_readers(_place(path))
    other.close()
    with closing(connection):
        return check(connection, told)


def vacuum(path: str | Path) -> tuple[int, int]:
    """Rewrite the store's file as small as can be; gives its size before and after, in bytes.

    Raises :class:`~aloma_py.errors.StoreBusy` while another process has it open.
    """
    place = _place(path)
    if not place.exists():
        raise StoreError(f"there is no store {place}")
    before = place.stat().st_size
    lock = FileLock(place)
    lock.acquire()
    try:
        with closing(connections.open_writer(place, "FULL")) as connection:
            try:
                connection.execute("VACUUM")
                retention.checkpoint(connection)
            except sqlite3.Error as error:
                raise StoreError(f"the store {place} could not be rewritten: {error}; it is as it was") from error
    finally:
        lock.release()
    return before, place.stat().st_size


def _fingerprint(store: Path) -> str | None:
    if not os.environ.get(KEY_VARIABLE) and not key_file(store).exists():
        return None
    return StashCipher(load_or_create_key(store)).fingerprint


def _place(path: str | Path) -> Path:
    return Path(path).expanduser().absolute()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
