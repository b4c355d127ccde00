"""Reading an export that anybody may have made: nothing is believed before it was looked at, nothing is unpacked."""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

from aloma_py.errors import InputError
from aloma_py.transfer import layout
from aloma_py.transfer.manifest import Manifest, read_manifest

_PIECE = 1024 * 1024

_BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError,
    UnicodeDecodeError, OverflowError, ValueError, IndexError, OSError,
)  # fmt: skip
"""What Python's zipfile raises for files that are damaged, or made to do harm."""


class Archive:
    """An export in ``file``, which is read from wherever it is needed; ``name`` is what it is called in errors.

    To make it looks at the zip's directory and at the manifest. Raises :class:`~aloma_py.errors.InputError` for a file
    that is no export, is not whole, or has in it what an export has not.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        with self._reading("it is no zip file, or not a whole one"):
            size = file.seek(0, 2)
            self._zip = zipfile.ZipFile(file)
        self._infos = self._look(size)
        content = self._content(layout.MANIFEST)
        with self._explaining():
            self.manifest: Manifest = read_manifest(content)
        listed, there = set(self.manifest.members), set(self._infos) - {layout.MANIFEST}
        if listed != there:
            odd = sorted(listed ^ there)[0]
            raise self._refusal(f"{odd} is {'missing' if odd in listed else 'not listed in its manifest'}")
        for member, facts in self.manifest.members.items():
            if self._infos[member].file_size != facts.bytes:
                raise self._refusal(f"{member} is not as long as the manifest says")

    @property
    def size(self) -> int:
        """How many bytes :meth:`check` reads."""
        return sum(facts.bytes for facts in self.manifest.members.values())

    def has(self, member: str) -> bool:
        return member in self._infos

    def check(self, told: Callable[[int], None] = lambda count: None) -> None:
        """Read everything once, and compare the hashes. ``told`` is called with how many bytes were read."""
        for member, facts in self.manifest.members.items():
            hashed = hashlib.sha256()
            for piece in self._pieces(member):
                hashed.update(piece)
                told(len(piece))
            if hashed.hexdigest() != facts.sha256:
                raise self._refusal(f"{member} is not what it was when it was written")

    def document(self, member: str, kind: Any) -> Any:
        """The value of a JSON document, of that type."""
        with self._explaining():
            return layout.read_document(member, self._content(member), kind)

    def text(self, member: str) -> str:
        """A member that is text."""
        if member not in self.manifest.members:
            raise self._refusal(f"{member} is missing")
        content = self._content(member)
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise self._refusal(f"{member} is no text in UTF-8") from None

    def rows(self, name: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The rows of a member with lines (:data:`~aloma_py.transfer.layout.ROWS`), with the numbers of their lines.

        There are none where the member is not there.
        """
        rows = layout.ROWS[name]
        if not self.has(rows.name):
            return
        for number, line in enumerate(self._lines(rows.name), 1):
            with self._explaining():
                row = rows.decode(number, line)
            yield number, row

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self, size: int) -> dict[str, zipfile.ZipInfo]:
        """The members of the zip's directory, where all of them may be there."""
        infos = self._zip.infolist()
        if len(infos) > layout.MAX_MEMBERS:
            raise self._refusal(f"it has {len(infos):,} members; at most {layout.MAX_MEMBERS:,} were expected")
        found: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            name = info.filename
            if not layout.is_known(info.orig_filename) or name != info.orig_filename:
                raise self._refusal(f"it has a member {info.orig_filename[:200]!r}, which an export has not")
            if name in found:
                raise self._refusal(f"it has two members {name!r}")
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise self._refusal(f"{name} is packed in another way than an export's members are")
            if not name.endswith(".ndjson") and info.file_size > layout.MAX_DOCUMENT:
                raise self._refusal(f"{name} has {info.file_size:,} bytes; at most {layout.MAX_DOCUMENT:,} may be")
            found[name] = info
        if layout.MANIFEST not in found:
            raise self._refusal(f"it has no {layout.MANIFEST}")
        whole = sum(info.file_size for info in infos)
        if sum(info.compress_size for info in infos) > size:
            raise self._refusal("its members lie over one another")
        if whole > max(layout.MAX_UNQUESTIONED, layout.MAX_RATIO * size):
            raise self._refusal(f"it has {size:,} bytes and would unpack to {whole:,}")
        return found

    def _content(self, member: str) -> bytes:
        return b"".join(self._pieces(member))

    def _pieces(self, member: str) -> Iterator[bytes]:
        """A member's content in pieces; never more than its directory says."""
        info = self._infos[member]
        left = info.file_size
        with self._reading(f"{member} is damaged"):
            opened = self._zip.open(info)
        with opened:
            while True:
                with self._reading(f"{member} is damaged"):
                    piece = opened.read(min(_PIECE, left + 1))
                if not piece:
                    break
                left -= len(piece)
                if left < 0:
                    break
                yield piece
        if left:
            raise self._refusal(f"{member} is not as long as its directory says")

    def _lines(self, member: str) -> Iterator[bytes]:
        rest = bytearray()
        for piece in self._pieces(member):
            *whole, last = piece.split(b"\n")
            if whole:
                yield bytes(rest + whole[0])
                yield from whole[1:]
                rest.clear()
            rest += last
            if len(rest) > layout.MAX_LINE:
                raise self._refusal(f"{member} has a line of more than {layout.MAX_LINE:,} bytes")
        if rest:
            raise self._refusal(f"the last line of {member} is not whole")

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        try:
            yield
        except _BROKEN as error:
            raise self._refusal(f"{what} ({error})" if str(error) else what) from None

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except InputError as error:
            raise self._refusal(str(error)) from None

    def _refusal(self, why: str) -> InputError:
        return InputError(f"{self.name} cannot be imported: {why}")
