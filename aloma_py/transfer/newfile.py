"""A file that is there when it is whole and not before, and that never takes the place of another."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from aloma_py.errors import InputError

NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What a file system says that cannot give a file a second name."""


class NewFile:
    """``path`` in the making: ``file`` is open for writing, :meth:`publish` gives it its name."""

    def __init__(self, path: Path, part: Path, file: IO[bytes]) -> None:
        self.path = path
        self.part = part
        self.file = file

    def publish(self) -> None:
        """Have all of it on the disk under its name. Raises ``FileExistsError`` where there is one by now."""
        if not self.file.closed:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
        try:
            os.link(self.part, self.path)  # not over a file that was made meanwhile
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            self.part.replace(self.path)


@contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """A file to be written; what was not published is gone at the end. The caller's thread waits for the disk.

    Raises :class:`~aloma_py.errors.InputError` where there is such a file, or it cannot be written.
    """
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")  # two at once are not to share it
    if path.exists():
        raise InputError(f"the file {path} is there already; nothing was overwritten")
    try:
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        try:
            yield NewFile(path, part, file)
        finally:
            file.close()
            part.unlink(missing_ok=True)
    except FileExistsError:
        raise InputError(f"the file {path} is there already; nothing was overwritten") from None
    except OSError as error:
        raise InputError(f"the file {path} cannot be written: {error.strerror or error}") from None
