"""What a run in V8 is to the workers: its program, what it finds around it, and how it fails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from aloma_py.errors import CallError
from aloma_py.javascript.program import Program


class ScriptError(CallError):
    """What JavaScript code threw. ``name`` and ``stack`` are as they were there."""

    def __init__(
        self, name: str, message: str, stack: str = "", status: int | None = None, kinds: Iterable[str] = ()
    ) -> None:
        super().__init__(message, status, (name, *kinds))
        self.name = name
        self.stack = stack


class ScriptMemory(ScriptError):
    """The code asked for more memory than it may have."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the runs of one workspace share in an isolate."""

    workspace: str
    libraries: tuple[Program, ...] = ()
    connectors: tuple[tuple[str, str | None], ...] = ()  # namespace, the method that calling it means
    hold: float = 2.0  # seconds of CPU that one turn may take
    memory: int = 256 << 20  # bytes of V8's heap


class Job(Protocol):
    """A run, as the pool needs it."""

    program: Program
    surroundings: Surroundings
    limit: float  # seconds of running

    async def spec(self, again: bool) -> str:
        """The JSON text of what V8 is told at its start; ``again`` after a worker died under it."""
        ...

    async def call(self, kind: str, arguments: list[Any]) -> Any:
        """Answer a call of the code."""
        ...

    def log(self, level: str, line: str) -> None: ...

    def stash(self, value: Any) -> None:
        """Take notice of what ``$stash`` is now: none of it is to be shown."""
        ...
