"""A task while the engine has it in hand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from aloma_py.match.table import StepTable
from aloma_py.models import Json, Task
from aloma_py.run.context import RunContext
from aloma_py.turn import Turn


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
    lock: Turn = field(default_factory=Turn)
    runs: set[RunContext] = field(default_factory=set)  # under way
    touched: bool = False  # changed from outside since it came to rest
    news: set[str] | None = None  # changed from outside since its wave began: the steps that this makes eligible again
    gone: bool = False  # deleted
    epoch: int = 0  # counts interruptions: a wave that was begun in an earlier one is dropped
    trail: deque[str] = field(default_factory=lambda: deque(maxlen=24))  # the last steps that ran
    holders: int = 0  # who needs the cell to stay

    def interrupt(self) -> None:
        """Stop the runs under way; what they did is dropped."""
        for run in self.runs:
            run.interrupt()
