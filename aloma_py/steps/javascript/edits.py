"""Changes of a text at places that were found in the original, applied all at once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


def spaces(text: bytes) -> bytes:
    """As many spaces as bytes; line ends stay."""
    return re.sub(rb"[^\r\n]", b" ", text)


@dataclass(slots=True)
class Edits:
    """What is to be replaced, and what is to be put around parts of ``code``.

    Replacements must not overlap; a part that something is put around may contain replacements and other parts.
    """

    code: bytes
    replaced: list[tuple[int, int, bytes]] = field(default_factory=list)
    erased: list[tuple[int, int]] = field(default_factory=list)  # those of the replaced that mean nothing at run time
    wrapped: list[tuple[int, int, bytes, bytes]] = field(default_factory=list)

    def erase(self, start: int, end: int, first: bytes = b"") -> None:
        """Put spaces there, or ``first`` and spaces behind it."""
        if start < end:
            self.erased.append((start, end))
            self.replaced.append((start, end, first + spaces(self.code[start + len(first) : end])))

    def replace(self, start: int, end: int, text: bytes) -> None:
        self.replaced.append((start, end, text))

    def wrap(self, start: int, end: int, before: bytes, after: bytes) -> None:
        self.wrapped.append((start, end, before, after))

    def insert(self, place: int, text: bytes) -> None:
        """Behind all that ends there."""
        self.wrapped.append((0, place, b"", text))

    def result(self) -> bytes:
        """The text with all changes."""
        pieces: list[tuple[tuple[int, int, int, int], int, bytes]] = []  # sort key, where the original goes on, text
        for order, (start, end, before, after) in enumerate(self.wrapped):
            if before:
                pieces.append(((start, 1, -end, order), start, before))
            pieces.append(((end, 0, -start, -order), end, after))
        pieces.extend(((start, 2, 0, 0), end, text) for start, end, text in self.replaced)
        out, place = [], 0
        for (start, *_), end, text in sorted(pieces, key=lambda piece: piece[0]):
            out += [self.code[place:start], text]
            place = end
        out.append(self.code[place:])
        return b"".join(out)

    def without_erased(self, start: int, end: int) -> str:
        """The original text of that range less what was erased in it, for people."""
        out, place = [], start
        for first, last in sorted(self.erased):
            if start <= first and last <= end and first >= place:
                out.append(self.code[place:first])
                place = last
        return b"".join([*out, self.code[place:end]]).decode().strip()
