"""A task while the engine has it in hand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import anyio

from aloma_py.match.table import StepTable
from aloma_py.models import Json, Task
from aloma_py.run.context import RunContext


@dataclass(eq=False, slots=True)
class Cell:
    """A task as last committed, and what is known of it beside. One cell per task at a time.

    Whoever changes the task holds ``lock`` from reading it to the end of the commit.
    """

    task: Task
    stash: dict[str, Json] = field(default_factory=dict)
    recovered: bool = False  # loaded from the store in the middle of things: runs may have recorded calls
    matched: set[int] | None = None  # ranks in ``table``; None: not known
    table: StepTable | None = None
    lock: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))
    scope: anyio.CancelScope | None = None  # of the wave under way
    runs: set[RunContext] = field(default_factory=set)  # under way
    touched: bool = False  # changed from outside since it came to rest
    epoch: int = 0  # counts interruptions: a wave that was begun in an earlier one is dropped
    trail: deque[str] = field(default_factory=lambda: deque(maxlen=24))  # the last steps that ran
    holders: int = 0  # who needs the cell to stay
