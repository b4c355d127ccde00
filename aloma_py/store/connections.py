"""Opening SQLite's connections, with the settings that durability and a file that can shrink need."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from aloma_py.errors import StoreError
from aloma_py.store import schema
from aloma_py.store.writer import translate

BUSY_TIMEOUT: Final = 5.0
"""Seconds to wait for another connection's lock; only a program that ignores our lock file can hold one."""

STATEMENTS: Final = 128
"""Prepared statements kept by a connection."""


def check_folder(path: Path) -> None:
    """Raise :class:`~aloma_py.errors.StoreError` where the store's folder is missing, or ``path`` is one itself."""
    if not path.parent.is_dir():
        raise StoreError(f"the folder {path.parent} of the store {path.name} does not exist")
    if path.is_dir():
        raise StoreError(f"the store {path} cannot be opened: it is a folder, a file was expected")


def open_memory() -> sqlite3.Connection:
    """A new, empty store in memory."""
    connection = _connect("file::memory:", check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    schema.create(connection)
    return connection


def open_writer(path: Path, synchronous: str) -> sqlite3.Connection:
    """The connection that writes; makes the file and its tables where they are missing, and migrates older ones."""
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path.as_uri() + "?mode=rwc", check_same_thread=False)
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # counts only before the first table is made
        schema.applied(connection)  # refuses a foreign file before anything of it is changed
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA journal_size_limit = 67108864")  # a log that grew once is cut to 64 MB
        connection.execute("PRAGMA mmap_size = 0")  # an I/O error is to be an error, and no signal
        schema.migrate(connection)
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, (sqlite3.Error, StoreError)):
            raise _unusable(error, path) from error
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, for any thread that uses it alone."""
    try:
        connection = _connect(path.as_uri() + "?mode=ro", check_same_thread=False)
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise _unusable(error, path) from error
    return connection


def open_readers(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """Two of :func:`open_reader`, for short and for long reads.

    Raises :class:`~aloma_py.errors.StoreError` where there is no file, or it is no store, or of another version.
    """
    check_folder(path)
    if not path.exists():
        raise StoreError(f"there is no store {path}")
    first = open_reader(path)
    try:
        behind = len(schema.MIGRATIONS) - len(schema.applied(first))
        if behind:
            raise StoreError(
                "it was written by an older version of aloma_py; open it for writing once, which updates it"
            )
        return first, open_reader(path)
    except (StoreError, sqlite3.Error) as error:
        first.close()
        raise _unusable(error, path) from error


def _connect(uri: str, *, check_same_thread: bool) -> sqlite3.Connection:
    return sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,  # transactions are begun by name
        check_same_thread=check_same_thread,
        cached_statements=STATEMENTS,
    )


def _unusable(error: Exception, path: Path) -> StoreError:
    if isinstance(error, sqlite3.Error):
        known = translate(error, str(path))
        if type(known) is not StoreError:
            return known
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            return StoreError(f"the file {path} is no store: it is not an SQLite file")
    return StoreError(f"the store {path} cannot be opened: {error}")
