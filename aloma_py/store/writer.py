"""Group commit: writes that are under way at once share a transaction, and each succeeds or fails for itself.

The writer takes everything that was submitted while the previous transaction went to the disk and commits it as one.
An idle writer commits at once. When a batch cannot be committed it is rolled back, and its writes are done one by one,
each in a transaction of its own: only the guilty one fails.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final

from aloma_py.errors import AlomaError, InputError, StaleTask, StoreBusy, StoreError, StoreFull
from aloma_py.store import statements
from aloma_py.store.records import Row

MAX_BATCH: Final = 512
"""The most writes in one transaction."""

Job = Callable[[sqlite3.Connection], Any]


@dataclass(slots=True)
class Write:
    """What one caller wants to be true, whole or not at all. ``job`` runs last; what it gives is the write's result.

    Rows are as :mod:`~aloma_py.store.statements` wants them.
    """

    updates: list[Row] = field(default_factory=list)
    tasks: list[Row] = field(default_factory=list)
    origins: list[Row] = field(default_factory=list)
    entries: list[Row] = field(default_factory=list)
    job: Job | None = None
    bare: bool = False  # nothing but the job, outside of a transaction: a checkpoint, a VACUUM
    # Set by the writer:
    future: asyncio.Future[Any] | None = None
    result: Any = None
    error: BaseException | None = None


class GroupWriter:
    """The one that writes. Used from the event loop that started it; its thread does the waiting.

    Without ``threaded`` (a store in memory, which has nothing to wait for) every write is done on the spot.
    """

    def __init__(self, connection: sqlite3.Connection, place: str, *, threaded: bool) -> None:
        self.connection = connection
        self.batches = 0  # transactions tried, to see how well writes are grouped
        self.jobs = 0  # those with a job in them: while it stays, nothing but tasks has changed in the store
        self._place = place
        self._threaded = threaded
        self._closed = False
        self._submitted: SimpleQueue[Write | None] = SimpleQueue()
        self._stopped: asyncio.Future[None] | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin; called on the event loop."""
        self._loop = asyncio.get_running_loop()
        if self._threaded:
            self._thread = threading.Thread(target=self._serve, name="aloma-store-writer", daemon=True)
            self._thread.start()

    async def write(self, write: Write) -> Any:
        """Do ``write``; returns what its job gave, when all of it is on disk, or raises with nothing changed.

        When the caller is cancelled while it waits, the write happens whole or not at all all the same.
        """
        if self._closed or self._loop is None:
            raise StoreError(f"the store {self._place} is not open")
        if self._thread is None:
            self._commit([write])
            if write.error is not None:
                raise write.error
            return write.result
        write.future = self._loop.create_future()
        self._submitted.put(write)
        return await write.future

    async def close(self) -> None:
        """Finish what was submitted, then stop the thread."""
        self._closed = True
        if self._thread is not None and self._loop is not None:
            self._stopped = self._loop.create_future()
            self._submitted.put(None)
            await self._stopped
            self._thread.join()
            self._thread = None

    def _serve(self) -> None:
        """The thread: take all there is, commit it, have the loop told; until it is told to stop."""
        loop = self._loop
        assert loop is not None
        submitted = self._submitted
        going_on = True
        while going_on:
            batch: list[Write] = []
            write = submitted.get()
            while True:
                if write is None:
                    going_on = False
                    break
                batch.append(write)
                if len(batch) == MAX_BATCH or submitted.empty():
                    break
                write = submitted.get()
            self._commit(batch)
            try:
                loop.call_soon_threadsafe(self._tell, batch, going_on)
            except RuntimeError:  # the loop was closed without closing the store: nobody is left to be told
                return

    def _tell(self, batch: list[Write], going_on: bool) -> None:
        for write in batch:
            future = write.future
            if future is None or future.done():  # its caller was cancelled
                continue
            if write.error is None:
                future.set_result(write.result)
            else:
                future.set_exception(write.error)
        if not going_on and self._stopped is not None:
            self._stopped.set_result(None)

    def _commit(self, batch: list[Write]) -> None:
        """Commit a batch; what failed has its ``error`` set."""
        grouped = [write for write in batch if not write.bare]
        if grouped and not self._try(grouped) and len(grouped) > 1:
            for write in grouped:
                write.error = None
                self._try([write])
        for write in batch:
            if write.bare and write.job is not None:
                try:
                    write.result = write.job(self.connection)
                except Exception as error:
                    write.error = translate(error, self._place)

    def _try(self, batch: list[Write]) -> bool:
        connection = self.connection
        self.batches += 1
        has_job = any(write.job is not None for write in batch)
        try:
            connection.execute("BEGIN IMMEDIATE")
            _perform(connection, batch)
            connection.execute("COMMIT")
        except BaseException as error:
            problem = _problem(error, self._place)
            for write in batch:
                write.error = problem
            self._roll_back()
            if not isinstance(error, Exception):
                raise
            return False
        finally:
            self.jobs += has_job  # before anybody is told
        return True

    def _roll_back(self) -> None:
        if self.connection.in_transaction:  # some errors have rolled back by themselves
            try:
                self.connection.execute("ROLLBACK")
            except sqlite3.Error:
                return


def _problem(error: BaseException, place: str) -> AlomaError:
    if isinstance(error, AlomaError):
        return error
    if isinstance(error, UnicodeEncodeError):
        return InputError("a text holds half a character, which cannot be stored")
    if isinstance(error, OverflowError) or "Error binding parameter" in str(error):
        return InputError(f"a value cannot be stored: {error}")
    return translate(error, place)


def _perform(connection: sqlite3.Connection, batch: Sequence[Write]) -> None:
    """All the statements of a batch, rows of one kind together. Raises for the first thing that does not fit."""
    updates = [row for write in batch for row in write.updates]
    if updates and statements.update(connection, updates) != len(updates):
        raise _stale(updates)
    for table, rows in (
        ("task", [row for write in batch for row in write.tasks]),
        ("origin", [row for write in batch for row in write.origins]),
        ("entry", [row for write in batch for row in write.entries]),
    ):
        if rows:
            statements.insert(connection, table, rows)
    for write in batch:
        if write.job is not None:
            write.result = write.job(connection)


def _stale(updates: Sequence[Row]) -> StaleTask:
    ids = ", ".join(str(row[0]) for row in updates[:3])
    return StaleTask(f"task {ids} was changed or deleted by somebody else in between; nothing was written")


def translate(error: BaseException, place: str, done: str = "written") -> StoreError:
    """What an error of SQLite's means for users of the store at ``place``, which could not be ``done``."""
    code = getattr(error, "sqlite_errorcode", 0) or 0
    if code & 0xFF == sqlite3.SQLITE_FULL or code in (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE):
        problem: StoreError = StoreFull(
            f"there is no room left for the store {place} ({error}); nothing was changed, free some space and try again"
        )
    elif code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        problem = StoreBusy(f"another program is writing to the store {place}; nothing was changed, try again")
    else:
        problem = StoreError(f"the store {place} could not be {done}: {error}; nothing was changed")
    problem.__cause__ = error
    return problem
