"""The default store: one SQLite file, or memory.

One connection writes (see :mod:`~aloma_py.store.writer`), one reads on the event loop, one reads in a thread what may
take longer. Only the writing one takes the write-ahead log over into the file. A lock beside the file keeps other
processes out while it is open; they may look with :func:`~aloma_py.store.admin.info` and its like.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, TypeVar

import anyio
import anyio.to_thread

from aloma_py.errors import InputError, StoreError
from aloma_py.models import Millis
from aloma_py.store import connections, retention, search
from aloma_py.store.lockfile import FileLock
from aloma_py.store.places import FINGERPRINTS, SEALED
from aloma_py.store.stash import KEY_VARIABLE, StashCipher, key_file, load_keys
from aloma_py.store.workspace import SQLiteWorkspaceStore
from aloma_py.store.writer import GroupWriter, Write, translate

T = TypeVar("T")

MEMORY: Final = ":memory:"

_ENCRYPTED: Final = "SELECT EXISTS (SELECT 1 FROM task WHERE stash IS NOT NULL)" + "".join(
    f" OR EXISTS (SELECT 1 FROM {one.table} WHERE sealed IS NOT NULL)" for one in SEALED
)
"""Whether anything is encrypted."""


@contextmanager
def _explaining(place: str) -> Iterator[None]:
    """Turn what goes wrong while reading into errors for people."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, place, "read") from error
    except OverflowError as error:
        raise InputError("a number is larger than the store can take") from error
    except UnicodeEncodeError as error:
        raise InputError(f"{error.object!r} is no text that can be looked for: it holds half a character") from error


class SQLiteStore:
    """A :class:`~aloma_py.store.protocol.Store` in the SQLite file ``path``, made where it is missing.

    ``path`` may be ``":memory:"``: the same tables and statements, no threads, gone when it is closed. ``key`` is the
    32 bytes that ``$stash`` values are encrypted with; ``None`` takes those of the environment or the file beside the
    store (:func:`~aloma_py.store.stash.load_keys`) when they are first needed. ``synchronous`` other than
    ``FULL`` gives up "accepted means on disk" at a power loss; it is there to measure what that costs.

    Opening it (``async with``) raises :class:`~aloma_py.errors.StoreBusy` where another process has it open, and
    :class:`~aloma_py.errors.StoreError` where the file is no store, or of a newer version.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        key: bytes | None = None,
        synchronous: Literal["FULL", "NORMAL", "OFF"] = "FULL",
        read_only: bool = False,
    ) -> None:
        self.path: Path | None = None if str(path) == MEMORY else Path(path).expanduser().absolute()
        self.synchronous = synchronous
        self.read_only = read_only
        self._key = key
        self._cipher: StashCipher | None = None
        self._lock: FileLock | None = None
        self._writer: GroupWriter | None = None
        self._reader: sqlite3.Connection | None = None
        self._slow_reader: sqlite3.Connection | None = None
        self._slow = anyio.CapacityLimiter(1)

    @classmethod
    def inspect(cls, path: str | Path) -> SQLiteStore:
        """The store at ``path`` for reading only, also while another process has it open."""
        return cls(path, read_only=True)

    @property
    def place(self) -> str:
        """The store's name in messages: the file, or ``:memory:``."""
        return str(self.path or MEMORY)

    @property
    def writer(self) -> GroupWriter:
        if self._writer is None:
            if self._reader is not None:
                raise StoreError(f"the store {self.place} was opened for reading only")
            raise self._not_open()
        return self._writer

    @property
    def reader(self) -> sqlite3.Connection:
        """The connection for short reads on the event loop."""
        if self._reader is None:
            raise self._not_open()
        return self._reader

    @property
    def cipher(self) -> StashCipher:
        """Encrypts ``$stash`` values; makes the key file where there is no key yet. In memory the key is random."""
        if self._cipher is None:
            self._refuse_another_key()
            key, *before = [self._key] if self._key else load_keys(self.path)
            cipher = StashCipher(key, before)
            cipher.refusal = self._refusal(cipher)
            self._cipher = cipher
        return self._cipher

    def _refusal(self, cipher: StashCipher) -> str:
        """Why nothing is to be encrypted: beside values of another key, none of which could be read together again."""
        if self.path is None or self._reader is None:
            return ""
        with self.reading() as reader:
            found = {one for (one,) in reader.execute(FINGERPRINTS)}
        if not found or found & cipher.fingerprints:
            return ""
        names = ", ".join(sorted(one.hex() for one in found))
        return (
            f"the store {self.place} holds values that were encrypted with the key {names}, but the key here is "
            f"{cipher.fingerprint}: nothing is encrypted with another one beside; give the right one in "
            f"{key_file(self.path)} or in {KEY_VARIABLE}"
        )

    def _refuse_another_key(self) -> None:
        """Make no new key for a store that holds values of one that is gone: they could never be read again."""
        if self._key or self.path is None or os.environ.get(KEY_VARIABLE) or key_file(self.path).exists():
            return
        with self.reading() as reader:
            if reader.execute(_ENCRYPTED).fetchone()[0]:
                raise StoreError(
                    f"the key file {key_file(self.path)} is not there, but the store holds values that were encrypted "
                    f"with its key; put it back, or give the key in {KEY_VARIABLE}"
                )

    @property
    def key_given(self) -> bool:
        """Whether whoever made this object gave the key, so that no key file is looked at."""
        return self._key is not None

    def use_cipher(self, cipher: StashCipher) -> None:
        """Encrypt with another key from now on. What was encrypted before must be among what it can read."""
        self._cipher = cipher

    def workspace(self, name: str) -> SQLiteWorkspaceStore:
        return SQLiteWorkspaceStore(self, name)

    async def workspaces(self) -> list[str]:
        with self.reading() as reader:
            return [name for (name,) in reader.execute("SELECT name FROM workspace ORDER BY name")]

    async def purge(
        self, tasks_before: Millis, logs_before: Millis, own: Mapping[str, retention.Times] | None = None
    ) -> dict[str, int]:
        gone = await retention.purge(self._in_writer, self.read, (tasks_before, logs_before), own)
        await self.shrink()
        return gone

    async def shrink(self) -> None:
        """Give the room of what was removed back to the file system, and cut the write-ahead log."""
        free = await self._in_writer(retention.free_pages)
        while free:
            left = await self._in_writer(retention.give_back)
            if left >= free:
                break
            free = left
        if self.path is not None:
            await self.writer.write(Write(job=retention.checkpoint, bare=True))

    async def __aenter__(self) -> SQLiteStore:
        if self._reader is not None:
            raise StoreError(f"the store {self.place} is open already")
        if self.path is None:
            connection = connections.open_memory()
            self._reader = self._slow_reader = connection
        elif self.read_only:
            self._reader, self._slow_reader = await anyio.to_thread.run_sync(connections.open_readers, self.path)
            return self
        else:
            connection = await anyio.to_thread.run_sync(self._open, self.path)
        self._writer = GroupWriter(connection, self.place, threaded=self.path is not None)
        self._writer.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        with anyio.CancelScope(shield=True):
            writer, self._writer = self._writer, None
            if writer is not None:
                await writer.close()
            # Readers first: the connection that is closed last takes the log over into the file.
            for connection in (self._reader, self._slow_reader, writer.connection if writer else None):
                if connection is not None:
                    connection.close()
            self._reader = self._slow_reader = None
            if self._lock is not None:
                self._lock.release()

    async def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """What ``question`` gives, asked in a thread (in memory: on the spot)."""
        connection = self._slow_reader
        if connection is None:
            raise self._not_open()
        with _explaining(self.place):
            if self.path is None:
                return question(connection)
            return await anyio.to_thread.run_sync(question, connection, limiter=self._slow)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection for short reads on the event loop, with SQLite's errors made into ours."""
        with _explaining(self.place):
            yield self.reader

    async def fill_search(self) -> None:
        """Bring the full-text search up to date, in small transactions."""
        if not self.read_only and search.pending(self.reader):
            while await self._in_writer(search.fill):
                pass

    async def _in_writer(self, job: Callable[[sqlite3.Connection], T]) -> T:
        result: T = await self.writer.write(Write(job=job))
        return result

    def _open(self, path: Path) -> sqlite3.Connection:
        lock = FileLock(path)
        connections.check_folder(path)
        lock.acquire()
        opened: list[sqlite3.Connection] = []
        try:
            opened.append(connections.open_writer(path, self.synchronous))
            opened.extend(connections.open_readers(path))
        except BaseException:
            for connection in opened:
                connection.close()
            lock.release()
            raise
        self._lock = lock
        writer, self._reader, self._slow_reader = opened
        return writer

    def _not_open(self) -> StoreError:
        return StoreError(f"the store {self.place} is not open; use it inside `async with store:`")
