"""One process at a time: an advisory lock on a file beside the store."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import IO

from aloma_py.errors import StoreBusy, StoreError


class FileLock:
    """Holds ``<store>.lock`` from :meth:`acquire` to :meth:`release`. The system gives it up when the process dies.

    The file stays when the lock is released: taking it away would let two processes hold "the" lock.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self.path = store.with_name(store.name + ".lock")
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock, or raise :class:`~aloma_py.errors.StoreBusy` naming who has it."""
        try:
            file = self.path.open("a+", encoding="ascii")
        except OSError as error:
            raise StoreError(f"the lock {self.path} of the store cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(file)
            file.close()
            raise StoreBusy(f"the store {self.store} is in use by process {holder} (lock file {self.path})") from None
        try:
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        except OSError as error:  # a full disk; closing tries to write again
            with contextlib.suppress(OSError):
                file.close()
            raise StoreError(f"the lock {self.path} of the store cannot be written: {error.strerror}") from error
        self._file = file

    def release(self) -> None:
        """Give the lock up; does nothing where it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None


def holder(store: Path) -> int | None:
    """The number of the process that holds the store, or ``None`` where nobody does."""
    path = store.with_name(store.name + ".lock")
    try:
        with path.open(encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found = _holder(file)
                return int(found) if found.isdigit() else None
    except FileNotFoundError:
        return None
    return None


def _holder(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip() or "unknown"
