"""What ``mkdocs.yml`` does with the pages before they are made into HTML."""

from __future__ import annotations

import re
from typing import Any

CELL_WITH_CODE = re.compile(r"`[^`\n]*`")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A bar in the code of a table's cell, which Markdown wants as ``\\|``, is shown as a bar alone."""
    lines = markdown.split("\n")
    return "\n".join(
        CELL_WITH_CODE.sub(lambda code: code[0].replace(r"\|", "|"), line) if line.startswith("|") else line
        for line in lines
    )
