"""Programs as V8 evaluates them: the text of a step or library inside the function that gives it what it uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

STEP_PARAMETERS: Final = (
    "__computed", "data", "task", "step", "connectors", "lib", "audit", "graph", "mapper", "file", "blob", "user",
    "fetch", "console", "config", "setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate",
    "module", "exports", "require", "__floating",
)  # fmt: skip
LIBRARY_PARAMETERS: Final = (
    "task", "connectors", "lib", "audit", "console", "config", "fetch", "setTimeout", "clearTimeout", "setInterval",
    "clearInterval", "setImmediate", "module", "exports", "require", "__floating",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """Text that V8 can load: a step's, under a key of its own, or a part of a library, under its namespace."""

    key: str
    file: str  # for stacks
    text: str  # the function's body
    kind: Literal["step", "library"] = "step"

    @property
    def code(self) -> str:
        """The function, the closing parenthesis of the call that takes it, and the file's name for stacks.

        The body begins on the first line, so that line numbers are those of the author.
        """
        names = STEP_PARAMETERS if self.kind == "step" else LIBRARY_PARAMETERS
        name = self.file.replace("\n", " ").replace("\r", " ")
        return f"function({','.join(names)}){{'use strict';{self.text}\n}})\n//# sourceURL={name}"

    def order(self) -> dict[str, str]:
        """What tells a worker to load it."""
        return {"kind": self.kind, "key": self.key, "file": self.file, "code": self.code}
