"""The records that pass between the parts: plain values, no behaviour beyond reading and writing themselves.

Times are integers: milliseconds since 1970-01-01 UTC. Durations are milliseconds too. Data is JSON: ``dict``, ``list``,
``str``, ``int``, ``float``, ``bool``, ``None``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aloma_py.paths import Path

Json = Any
Millis = int


class TaskState(enum.StrEnum):
    """Where a task stands (SPEC §3)."""

    PENDING = "pending"  # accepted, not yet begun
    RUNNING = "running"  # being matched or run
    WAITING = "waiting"  # for subtasks, for a time, for a retry, or for a person
    ATTENTION = "attention"  # no step has ever matched, or a person must act
    DONE = "done"  # completed, emptied, or no more steps matched
    ERROR = "error"  # an unhandled error is left, a limit was passed, or the time expired
    IGNORED = "ignored"  # task.ignore()
    STOPPED = "stopped"  # stopped by a person; resume goes on

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in ENDED_STATES


ENDED_STATES = frozenset({TaskState.ATTENTION, TaskState.DONE, TaskState.ERROR, TaskState.IGNORED, TaskState.STOPPED})


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two states of a task's data.

    ``set`` writes ``value`` at ``path``, ``delete`` removes the member, ``append`` adds the elements of ``value`` (a
    list) to the array at ``path``. The empty path is the whole data.
    """

    op: Literal["set", "delete", "append"]
    path: Path
    value: Json = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two runs of one wave wrote one place differently; the later one in the wave's order won."""

    path: Path
    lost: str  # the step whose change was overwritten
    won: str  # the step whose change was kept


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a run's log."""

    at: Millis
    level: str  # debug, info, warning, error
    text: str


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """An error as data: what ``$errors.<step>`` holds, with ``at`` and ``attempt`` added."""

    type: str
    message: str
    stack: str = ""
    status: int | None = None


EntryKind = Literal["run", "update", "resume", "stop", "answer", "expire", "end"]
RunOutcome = Literal["ok", "failed", "retry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a task's history: a run, or something from outside that changed the task.

    ``kind`` is ``run`` for a step's run, ``update`` for data from outside, ``answer`` for a subtask's result written
    at ``into``, ``resume``, ``stop`` and ``expire`` for what they say, ``end`` for a limit that ended the task.
    """

    n: int  # counts from 1 within the task
    kind: EntryKind
    started_at: Millis
    ended_at: Millis
    step: str | None = None
    version: str | None = None  # of the step's code
    wave: int | None = None  # counts from 1 within the task
    attempt: int = 1
    outcome: RunOutcome = "ok"
    changes: tuple[Change, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    effects: tuple[str, ...] = ()  # what else it asked for, in words: "redo", "park 2000 ms", "subtask …"
    error: ErrorInfo | None = None
    logs: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A connector call that returned: its answer is given again when its run is started again after a crash.

    Matched by ``step``, ``ordinal`` (how many runs of that step the task has seen), ``attempt``, ``connector``,
    ``method``, ``digest`` of the arguments, and ``position`` (the how-manieth call with all these the same).
    """

    step: str
    ordinal: int
    attempt: int
    connector: str
    method: str
    digest: str
    position: int
    arguments: Json
    outcome: Literal["returned", "raised"]
    answer: Json  # the answer, or {"message", "type", "status"} of the error
    key: str  # the idempotency key that was handed to the connector
    started_at: Millis
    ended_at: Millis


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A line of the audit trail (``audit.log``), or a reference to something outside (``audit.reference``)."""

    at: Millis
    kind: Literal["log", "reference"]
    text: str  # the message, or the reference's name
    details: Json = None  # what was passed with it; for a reference the whole object, with its ``id``


@dataclass(frozen=True, slots=True)
class Visualization:
    """A picture asked for by ``task.visualize``."""

    at: Millis
    type: str
    name: str
    data: Json
    options: Json = None


@dataclass(frozen=True, slots=True)
class Retry:
    """A step that failed and will be tried again."""

    attempt: int  # the number of the next attempt
    due: Millis


@dataclass(slots=True)
class Cycle:
    """What the engine remembers of a task between two matches; stored with it as JSON."""

    runs: int = 0  # runs since the start or the last resume, against max_runs
    wave: int = 0  # the last wave's number
    matched: bool = False  # whether any step has ever run
    spent: set[str] = field(default_factory=set)  # steps that ran and have matched ever since
    ordinals: dict[str, int] = field(default_factory=dict)  # runs of each step that ended for good
    retries: dict[str, Retry] = field(default_factory=dict)
    idle_redos: dict[str, int] = field(default_factory=dict)  # consecutive redos that changed nothing
    held: int = 0  # subtasks with waitFor that have not ended
    owed: int = 0  # subtasks with into, and without waitFor, that have not ended
    person: str | None = None  # what a person was asked for
    delivered: bool = False  # whether the parent has been told how it ended
    depth: int = 0  # how many tasks are above it: 0 for one that is no subtask

    def to_json(self) -> dict[str, Json]:
        """Only what differs from a fresh one."""
        found: dict[str, Json] = {}
        for name in (
            "runs",
            "wave",
            "matched",
            "ordinals",
            "idle_redos",
            "held",
            "owed",
            "person",
            "delivered",
            "depth",
        ):
            value = getattr(self, name)
            if value:
                found[name] = value
        if self.spent:
            found["spent"] = sorted(self.spent)
        if self.retries:
            found["retries"] = {step: [retry.attempt, retry.due] for step, retry in self.retries.items()}
        return found

    def copy(self) -> Cycle:
        # By hand: dataclasses.replace takes four times as long, and every wave makes a copy.
        return Cycle(
            self.runs,
            self.wave,
            self.matched,
            set(self.spent),
            self.ordinals.copy(),
            self.retries.copy(),
            self.idle_redos.copy(),
            self.held,
            self.owed,
            self.person,
            self.delivered,
            self.depth,
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Cycle:
        return cls(
            runs=value.get("runs", 0),
            wave=value.get("wave", 0),
            matched=value.get("matched", False),
            spent=set(value.get("spent", ())),
            ordinals=dict(value.get("ordinals", {})),
            retries={step: Retry(*pair) for step, pair in value.get("retries", {}).items()},
            idle_redos=dict(value.get("idle_redos", {})),
            held=value.get("held", 0),
            owed=value.get("owed", 0),
            person=value.get("person"),
            delivered=value.get("delivered", False),
            depth=value.get("depth", 0),
        )


@dataclass(slots=True)
class Task:
    """A task as it is stored. The engine works on one object per task; others get copies of their own."""

    id: str
    workspace: str
    name: str
    data: dict[str, Json]  # with ``$via``; ``$stash`` holds the types only
    initial: dict[str, Json]  # the data as it was accepted; history entries lead from it to ``data``
    created_at: Millis
    tags: list[str] = field(default_factory=list)
    state: TaskState = TaskState.PENDING
    reason: str | None = None  # why it is in this state, in words
    result: Json = None  # what it gave to complete()
    updated_at: Millis = 0
    ended_at: Millis | None = None
    due_at: Millis | None = None  # when it must be looked at again (park, retry, delay); None: not by itself
    expires_at: Millis | None = None  # task.timeout()
    on_expire: Json = None  # {"result": …} where expiring means done; None where it means error
    parent: str | None = None  # the id of the task that made it
    into: str | None = None  # where in the parent its result is written
    wait_for: bool = False  # whether the parent is held until it ended
    last_entry: int = 0  # the number of the newest history entry
    revision: int = 0  # counts the commits; a write names the revision it was made on
    cycle: Cycle = field(default_factory=Cycle)
    stash: bytes | None = None  # the encrypted values of ``$stash``


@dataclass(slots=True)
class TaskCommit:
    """What becomes true of one task in one transaction: its new row, and what is added around it.

    ``task.revision`` is the revision that the change was made on; the store writes ``revision + 1`` and refuses the
    whole transaction with :class:`~aloma_py.errors.StaleTask` where the stored one differs. ``task`` is not changed.
    """

    task: Task
    entries: tuple[Entry, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    visualizations: tuple[Visualization, ...] = ()
    children: tuple[Task, ...] = ()  # new tasks


@dataclass(frozen=True, slots=True)
class Blob:
    """A larger payload outside the task's data."""

    id: str
    task: str | None
    name: str | None
    mimetype: str | None
    content: bytes
    meta: Json
    created_at: Millis


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; what is ``None`` does not narrow."""

    states: frozenset[TaskState] | None = None
    name: str | None = None  # part of the name, any case
    tag: str | None = None
    search: str | None = None  # words of the name or of an audit reference
    parent: str | None = None
    limit: int = 50
    before: str | None = None  # the id of the last task of the page before; newest first
    below: int | None = None  # only tasks that arrived before the one of this number


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task may not go beyond, per workspace (SPEC §3, §5)."""

    max_runs: int = 1000
    max_redo: int = 100
    max_data_bytes: int = 1024 * 1024
    max_depth: int = 64
    max_name: int = 200
    max_log_lines: int = 10_000  # a run
    max_log_bytes: int = 1024 * 1024  # a run
    step_timeout: Millis = 30_000
    max_subtask_depth: int = 32
    max_hold: Millis = 2_000  # that JavaScript code may compute without a pause
    max_script_memory: int = 256  # MB that the JavaScript of a workspace may have in one worker
    parallel: bool = True  # whether independent steps of one task share a wave
