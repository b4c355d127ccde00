"""The pack that a git server sends: in a file that has no name, looked through before anything of it is unpacked."""

from __future__ import annotations

import contextlib
import io
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from dulwich.object_format import DEFAULT_OBJECT_FORMAT
from dulwich.pack import MemoryPackIndex, Pack, PackData

from aloma_py.sync.errors import SourceError
from aloma_py.sync.stopping import Stop

MAX_BYTES: Final = 100 * 1024 * 1024
"""How much may be sent, and how large one object may be."""

MAX_UNPACKED: Final = 1024 * 1024 * 1024
"""What all objects together may be unpacked."""

MAX_OBJECTS: Final = 50_000

_DELTAS: Final = (6, 7)
_OFFSET, _REFERENCE = _DELTAS
_CHUNK: Final = 64 * 1024


class _Raw(io.RawIOBase):
    """The file, which stays open when the reader is gone."""

    def __init__(self, file: IO[bytes]) -> None:
        self._from = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        read = self._from.read(len(buffer))
        buffer[: len(read)] = read
        return len(read)


if TYPE_CHECKING:
    _Reader = io.BufferedReader[_Raw]


class Packs:
    """Takes in a pack (:meth:`write`), and gives its objects."""

    def __init__(self, file: IO[bytes], stop: Stop) -> None:
        self._file = file
        self._stop = stop
        self.size = 0

    def write(self, data: bytes) -> int:
        self._stop.check()
        self.size += len(data)
        if self.size > MAX_BYTES:
            raise too_large()
        try:
            return self._file.write(data)
        except OSError as error:
            raise SourceError(f"there is no room for the repository in {tempfile.gettempdir()}: {error}") from error

    @contextmanager
    def opened(self) -> Iterator[Pack]:
        """The pack, ready to be read. Raises :class:`SourceError` for one that is damaged, or too large."""
        self._file.flush()
        _look_through(self._file, self._stop)
        self._file.seek(0)
        data = PackData.from_file(self._file, DEFAULT_OBJECT_FORMAT, self.size)
        try:
            try:
                data.check()
                index = MemoryPackIndex([*data.sorted_entries()], DEFAULT_OBJECT_FORMAT)
            except Exception as error:
                raise _damaged() from error
            with contextlib.closing(Pack.from_objects(data, index)) as pack:
                yield pack
        finally:
            data.close()


@contextmanager
def taking_in(stop: Stop) -> Iterator[Packs]:
    """Room for a pack. Its file has no name: it is gone with the process, however that ends."""
    with tempfile.TemporaryFile(prefix="aloma-source-") as file:
        yield Packs(file, stop)


def too_large() -> SourceError:
    return SourceError(
        f"the repository is larger than {MAX_BYTES // (1024 * 1024)} MB: keep steps in a repository of their own"
    )


def _look_through(file: IO[bytes], stop: Stop) -> None:
    """Unpack every object without keeping it, to know how large it becomes."""
    file.seek(0)
    reader: _Reader = io.BufferedReader(_Raw(file), _CHUNK)
    head = reader.read(12)
    if len(head) < 12 or head[:4] != b"PACK":
        raise SourceError("the git server sent no pack")
    count = int.from_bytes(head[8:12], "big")
    if count > MAX_OBJECTS:
        raise SourceError(f"the repository has {count:,} files and folders; up to {MAX_OBJECTS:,} are taken")
    total = 0
    for _ in range(count):
        stop.check()
        kind, size = _header(reader)
        if kind == _REFERENCE:
            reader.read(20)
        elif kind == _OFFSET:
            while _byte(reader) & 0x80:
                pass
        total += _grown(kind, size, _inflate(reader, size, stop))
        if total > MAX_UNPACKED:
            raise SourceError("the repository becomes larger than 1 GB when it is unpacked")


def _grown(kind: int, size: int, begin: bytes) -> int:
    """How large an object becomes; a delta says so in its second number."""
    if kind not in _DELTAS:
        return size
    _, at = _number(begin, 0)
    made, _ = _number(begin, at)
    if made > MAX_BYTES:
        raise too_large()
    return size + made


def _header(reader: _Reader) -> tuple[int, int]:
    """Kind and size of the object that begins here."""
    byte = _byte(reader)
    kind, size, shift = (byte >> 4) & 7, byte & 0x0F, 4
    while byte & 0x80:
        byte = _byte(reader)
        size |= (byte & 0x7F) << shift
        shift += 7
        if shift > 63:
            raise _damaged()
    if size > MAX_BYTES:
        raise too_large()
    return kind, size


def _inflate(reader: _Reader, size: int, stop: Stop) -> bytes:
    """Read to the end of an object of ``size`` bytes; gives its first bytes. What is behind it stays unread."""
    inflater, made, begin = zlib.decompressobj(), 0, b""
    while not inflater.eof:
        chunk = reader.peek(1)
        if not chunk:
            raise _damaged()
        stop.check()
        try:
            out = inflater.decompress(chunk, _CHUNK)
            # At the end of the stream the tail can be the same bytes once more.
            taken = len(chunk) - len(inflater.unused_data if inflater.eof else inflater.unconsumed_tail)
        except zlib.error:
            raise _damaged() from None
        reader.read(taken)
        made += len(out)
        if len(begin) < 32:
            begin += out[:32]
        if made > size or not (taken or out):
            raise _damaged()
    return begin


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at
    raise _damaged()


def _byte(reader: _Reader) -> int:
    read = reader.read(1)
    if not read:
        raise _damaged()
    return read[0]


def _damaged() -> SourceError:
    return SourceError("what the git server sent is damaged")


__all__ = ["MAX_BYTES", "Packs", "taking_in", "too_large"]
