"""The README, the pages of ``docs/`` and the examples' READMEs, and the fenced blocks in them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]

_BLOCK = re.compile(
    r"(?:^ *<!-- (?P<mark>[^\n]*) -->\n)?"
    r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)  # fmt: skip
_INFO = re.compile(r'(?P<kind>\w+)(?: title="(?P<file>[^"]+)")?')


@dataclass(frozen=True)
class Block:
    """A fenced block.

    ``kind`` is the language behind its fence, ``file`` the name in ``title="…"`` or ``""``, ``line`` that of its fence,
    and ``mark`` what a comment on the line above says: ``<!-- not run: it takes a real host -->``.
    """

    page: Path
    line: int
    kind: str
    file: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """The page's blocks in order."""
    return read_blocks(page, page.read_text(encoding="utf-8"))


def read_blocks(page: Path, text: str) -> tuple[Block, ...]:
    """The blocks of ``text``. Raises ``ValueError`` where a fence is followed by anything else than is known."""
    found = []
    for one in _BLOCK.finditer(text):
        line = text.count("\n", 0, one.start("info")) + 1
        info = _INFO.fullmatch(one["info"])
        if info is None:
            raise ValueError(f'{page.name}:{line}: ```{one["info"]}: a language, and title="FILE" for a file')
        body = textwrap.dedent(one["text"]) if one["indent"] else one["text"]
        found.append(Block(page, line, info["kind"], info["file"] or "", body, one["mark"] or ""))
    return tuple(found)


def of_kind(*kinds: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.kind in kinds]
