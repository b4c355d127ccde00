"""Frames between the engine and a worker: length, isolate number, and so many bytes of JSON text."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

HEADER: Final = struct.Struct("<II")
CONTROL: Final = 0
"""The isolate number of what concerns the worker itself."""


def frame(isolate: int, body: bytes) -> bytes:
    """One frame."""
    return HEADER.pack(len(body), isolate) + body


class Frames:
    """Puts frames together from pieces of a stream."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> Iterator[tuple[int, bytes]]:
        """The whole frames that ``piece`` completes: (isolate, body)."""
        buffer = self._buffer
        buffer += piece
        start = 0
        while len(buffer) - start >= HEADER.size:
            size, isolate = HEADER.unpack_from(buffer, start)
            end = start + HEADER.size + size
            if len(buffer) < end:
                break
            yield isolate, bytes(memoryview(buffer)[start + HEADER.size : end])
            start = end
        del buffer[:start]
