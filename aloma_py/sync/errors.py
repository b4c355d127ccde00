"""What goes wrong with a repository."""

from __future__ import annotations

import re
from typing import Final

from aloma_py.errors import StateError

CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def plain(text: str) -> str:
    """The text on one line, without what could change a terminal: it comes from the other side."""
    return CONTROLS.sub(" ", text)


class SourceError(StateError):
    """The repository cannot be read, or not be taken as it is. The workspace stays as it was.

    The text never holds a password, token or key.
    """

    def __init__(self, text: str) -> None:
        super().__init__(plain(text))
