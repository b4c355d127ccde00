"""What an author's step becomes: one frozen record that the matcher, the engine, the CLI and the console share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aloma_py.conditions import Condition
from aloma_py.javascript.consult import Asker
from aloma_py.javascript.program import Program
from aloma_py.models import Millis
from aloma_py.paths import Path

Parallel = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A place in a step's code that could not be followed, so that it may read and write everything."""

    line: int  # in the step's file
    code: str  # the source of that place, one line
    reason: str  # why it counts as everything


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a step's code may read and write in the task's data (its condition's paths are not included).

    A path stands for itself and everything below it. With ``unknown`` the step may read and write everything, and
    the paths are only what was found beside it.
    """

    reads: frozenset[Path] = frozenset()
    writes: frozenset[Path] = frozenset()
    unknown: tuple[Unknown, ...] = ()

    @property
    def everything(self) -> bool:
        return bool(self.unknown)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` runs in ``per`` milliseconds."""

    count: int
    per: Millis


@dataclass(frozen=True, slots=True)
class Location:
    """Where a step was written."""

    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file and self.line else self.file or "<unknown>"


@dataclass(frozen=True, slots=True)
class Script:
    """What runs a JavaScript step."""

    program: Program
    libraries: tuple[Program, ...] = ()
    asker: Asker | None = None  # its condition's questions to V8
    mentions: str | None = ""  # the text in which names of configuration values are looked for


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """A step, ready to be matched and run."""

    name: str
    condition: Condition
    function: Callable[..., Any]
    parameters: Mapping[str, str] = field(default_factory=dict)  # the function's parameter -> what fills it
    language: Literal["python", "javascript"] = "python"
    is_async: bool = False  # ``async def`` runs on the loop, ``def`` in a worker thread
    priority: int = 0  # higher runs first
    retries: int = 0
    backoff: Millis = 1000  # before the first retry; doubles from one to the next, with jitter
    max_backoff: Millis = 3_600_000
    retry_on: tuple[type[BaseException] | str, ...] = ()  # empty: any error
    timeout: Millis | None = None  # of one attempt; None: the workspace's
    parallel: Parallel = "auto"
    enabled: bool = True
    tags: tuple[str, ...] = ()
    concurrency: int | None = None  # runs of this step at once, over all tasks
    rate: Rate | None = None
    footprint: Footprint = field(default_factory=Footprint)
    location: Location = field(default_factory=Location)
    version: str = ""  # a hash of the step's code and condition
    source: str = ""  # the step's text
    description: str = ""  # the function's docstring
    script: Script | None = None  # in place of the function, where the step is JavaScript
