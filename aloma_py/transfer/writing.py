"""Writing an export: members one after another, each with its hash; the manifest comes last."""

from __future__ import annotations

import datetime
import hashlib
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO

from aloma_py.models import Millis
from aloma_py.transfer.layout import MANIFEST
from aloma_py.transfer.manifest import Manifest, Member

_GATHERED = 256 * 1024  # bytes of lines that are compressed at once


class ArchiveWriter:
    """Writes to ``file``, which need not be able to seek back. ``at`` is the time that members are dated with."""

    def __init__(self, file: IO[bytes], at: Millis) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True)
        moment = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)
        self._date = (max(moment.year, 1980), *moment.timetuple()[1:6])
        self.members: dict[str, Member] = {}

    def add(self, name: str, content: bytes) -> None:
        """Write a member."""
        with self.lines(name) as write:
            write(content)

    @contextmanager
    def lines(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Write a member piece by piece."""
        hashed, length = hashlib.sha256(), 0
        gathered: list[bytes] = []
        size = 0
        with self._zip.open(self._info(name), "w", force_zip64=True) as out:

            def flush() -> None:
                nonlocal size, length
                piece = b"".join(gathered)
                gathered.clear()
                size = 0
                hashed.update(piece)
                length += len(piece)
                out.write(piece)

            def write(piece: bytes) -> None:
                nonlocal size
                gathered.append(piece)
                size += len(piece)
                if size >= _GATHERED:
                    flush()

            yield write
            flush()
        self.members[name] = Member(sha256=hashed.hexdigest(), bytes=length)

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, with what was written before, and the zip's end."""
        manifest.members = dict(sorted(self.members.items()))
        with self._zip.open(self._info(MANIFEST), "w") as out:
            out.write(manifest.to_bytes())
        self._zip.close()

    def abandon(self) -> None:
        """Write no more; what is there is no export."""
        with suppress(OSError, ValueError):
            self._zip.close()

    def _info(self, name: str) -> zipfile.ZipInfo:
        info = zipfile.ZipInfo(name, self._date)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        return info
