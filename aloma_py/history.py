"""A task's history read backwards: how its data looked at each revision, and why a step ran or did not.

Everything here is computed from the task, its history entries and the steps of today: nothing is stored for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from typing_extensions import TypedDict

from aloma_py.changes import apply, describe
from aloma_py.conditions import ExplainRow, explain
from aloma_py.match.table import StepTable
from aloma_py.models import Change, Entry, Json, Millis, Task, TaskState
from aloma_py.paths import overlaps
from aloma_py.run.handles import iso
from aloma_py.steps.definition import StepDefinition


@dataclass(frozen=True, slots=True)
class Revision:
    """The task's data at one moment at which it was matched, and the entries that led there from the one before."""

    entries: tuple[Entry, ...]  # the runs of one wave, or one entry from outside; none: the task was accepted
    data: Json

    @property
    def wave(self) -> int | None:
        return self.entries[0].wave if self.entries else None

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps whose runs led here, in the wave's order."""
        return tuple(entry.step for entry in self.entries if entry.kind == "run" and entry.step is not None)

    @property
    def title(self) -> str:
        """``at the beginning``, ``after wave 3``, ``after an update from outside``."""
        if not self.entries:
            return "at the beginning"
        kind = self.entries[0].kind
        if kind == "run":
            return f"after wave {self.wave}"
        return "after " + {"update": "an update from outside", "answer": "a subtask's answer"}.get(kind, f"the {kind}")


class RowShown(TypedDict):
    """What one leaf of a condition says of the data."""

    path: str
    expected: str
    found: str
    held: bool
    leaf: bool


class MatchShown(TypedDict):
    """A moment at which a step matched; ``after`` are the numbers of the entries that led there."""

    when: str
    wave: int | None
    after: list[int]


class RunShown(TypedDict):
    """A run of a step."""

    n: int
    wave: int | None
    outcome: str
    started_at: str


class WhyShown(TypedDict):
    """Why a step ran on a task or did not."""

    task: str
    state: str
    step: str
    condition: str
    matches: bool
    rows: list[RowShown]
    matched: list[MatchShown]
    ran: list[RunShown]
    explanation: list[str]


@dataclass(frozen=True, slots=True)
class Why:
    """Why a step ran on a task, or did not. ``rows`` judge its condition on the data as it is now."""

    task: Task
    step: StepDefinition
    matches: bool  # now
    rows: tuple[ExplainRow, ...]
    matched_at: tuple[Revision, ...]  # the moments at which it matched
    ran: tuple[Entry, ...]  # its runs
    sentences: tuple[str, ...]  # the answer, in words

    def to_json(self) -> WhyShown:
        return {
            "task": self.task.id,
            "state": self.task.state.value,
            "step": self.step.name,
            "condition": self.step.condition.source,
            "matches": self.matches,
            "rows": rows_to_json(self.rows),
            "matched": [
                {"when": moment.title, "wave": moment.wave, "after": [entry.n for entry in moment.entries]}
                for moment in self.matched_at
            ],
            "ran": [
                {"n": run.n, "wave": run.wave, "outcome": run.outcome, "started_at": iso(run.started_at)}
                for run in self.ran
            ],
            "explanation": list(self.sentences),
        }


def rows_to_json(rows: Sequence[ExplainRow]) -> list[RowShown]:
    """Explain's rows as JSON: ``{path, expected, found, held, leaf}``."""
    return [
        {"path": row.path, "expected": row.expected, "found": row.found, "held": row.held, "leaf": row.leaf}
        for row in rows
    ]


def revisions(task: Task, entries: Sequence[Entry]) -> Iterator[Revision]:
    """The task's data at each moment at which it was matched, from the beginning to now.

    ``entries`` is its whole history. The runs of one wave lead to one revision, as nothing is matched between them.
    """
    data = task.initial
    yield Revision((), data)
    for _, group in groupby(entries, key=lambda entry: ("run", entry.wave) if entry.kind == "run" else ("", entry.n)):
        together = tuple(group)
        for entry in together:
            data = apply(data, entry.changes)
        yield Revision(together, data)


def why(task: Task, entries: Sequence[Entry], step_name: str, table: StepTable, now: Millis) -> Why:
    """Why the step ran on the task, or did not.

    Raises :class:`~aloma_py.errors.NotFoundError` where the workspace has no such step. The step's condition is that
    of today, also for what happened before it was changed.
    """
    step = table.named(step_name)
    moments = list(revisions(task, entries))
    held = [step.condition.matches(moment.data) for moment in moments]
    explanation = explain(step.condition, task.data)
    story = _Story(task, step, table, moments, held, now)
    return Why(
        task=task,
        step=step,
        matches=explanation.matched,
        rows=explanation.rows,
        matched_at=tuple(moment for moment, matched in zip(moments, held, strict=True) if matched),
        ran=story.ran,
        sentences=tuple(story.tell()),
    )


class _Story:
    """Puts what happened to one step on one task into words."""

    def __init__(
        self,
        task: Task,
        step: StepDefinition,
        table: StepTable,
        moments: list[Revision],
        held: list[bool],
        now: Millis,
    ) -> None:
        self.task = task
        self.step = step
        self.table = table
        self.moments = moments
        self.held = held
        self.now = now
        self.ran = tuple(
            entry for moment in moments for entry in moment.entries if entry.kind == "run" and entry.step == step.name
        )

    def tell(self) -> Iterator[str]:
        if not self.step.enabled:
            yield "The step is disabled (enabled=False), so it is not matched at all."
        yield from self._runs()
        if not any(self.held):
            yield "Its condition has never matched this task; the rows above say what is missing now."
        yield from self._missed_turns()
        if self.held[-1]:
            yield self._now()

    def _runs(self) -> Iterator[str]:
        for run in self.ran:
            words = {"ok": "and ended well", "retry": "and failed, to be tried again", "failed": "and failed"}
            attempt = f" (attempt {run.attempt})" if run.attempt > 1 else ""
            error = f": {run.error.type}: {run.error.message}" if run.error else ""
            yield f"It ran in wave {run.wave}{attempt}, at {iso(run.started_at)}, {words[run.outcome]}{error}."

    def _missed_turns(self) -> Iterator[str]:
        """Each time that it matched, did not run, and then matched no more."""
        spent = False
        began: int | None = None
        for n, (matched, following) in enumerate(pairwise(self.held)):
            if not matched:
                spent, began = False, None
                continue
            if began is None:
                began = n
            after = self.moments[n + 1]
            spent = spent or self.step.name in after.steps
            if not following and not spent:
                yield self._outrun(began, n + 1)

    def _outrun(self, began: int, ended: int) -> str:
        after = self.moments[ended]
        matched = f"It matched {self.moments[began].title}, but did not get its turn: "
        stopper = self._what_ended_it(ended)
        if not after.steps:
            return f"{matched}{after.title.removeprefix('after ')}{stopper} its condition held no more."
        return f"{matched}{self._ahead(after.steps)}{stopper} its condition held no more."

    def _ahead(self, names: Sequence[str]) -> str:
        """Who ran first, and why first."""
        reasons = "; ".join(f"{name!r} ran first ({self._reason(name)})" for name in names)
        return f"{reasons}; then"

    def _reason(self, name: str) -> str:
        """Why the step ``name`` is ahead of this one (SPEC §3.4)."""
        other = next((step for step in self.table.all if step.name == name), None)
        if other is None:
            return "it is no step of the workspace any more"
        mine, its = (self.step.priority, self.step.condition.specificity), (other.priority, other.condition.specificity)
        if its[0] > mine[0]:
            return f"its priority is {its[0]}, this one's {mine[0]}"
        if its[0] == mine[0] and its[1] > mine[1]:
            return f"its condition is more specific: {_leaves(its[1])}, this one's has {mine[1]}"
        if its == mine and self._created(other) < self._created(self.step):
            return "as specific, and created earlier"
        return "this one was not eligible then, or the steps were others"

    def _created(self, step: StepDefinition) -> int:
        return self.table.all.index(step)

    def _what_ended_it(self, ended: int) -> str:
        found = self._change_that_ended_it(ended)
        if found is None:
            return ""
        entry, change = found
        who = f"step {entry.step!r} changed " if entry.step else "changed "
        return f" {who}{describe(change)}, and"

    def _change_that_ended_it(self, ended: int) -> tuple[Entry, Change] | None:
        """The change after which the condition held no more."""
        data = self.moments[ended - 1].data
        for entry in self.moments[ended].entries:
            for change in entry.changes:
                data = apply(data, (change,))
                looked_at = any(overlaps(change.path, path) for path in self.step.condition.paths)
                if looked_at and not self.step.condition.matches(data):
                    return entry, change
        return None

    def _now(self) -> str:
        """Why a step that matches now does not run."""
        task, name = self.task, self.step.name
        retry = task.cycle.retries.get(name)
        if retry is not None:
            wait = "is due" if retry.due <= self.now else f"is due at {iso(retry.due)}"
            return f"It matches now; after a failed attempt, attempt {retry.attempt} {wait}."
        if name in task.cycle.spent and name in (task.data.get("$errors") or {}):
            return (
                f"It matches now, and has failed: see $errors.{name}. It runs again after: aloma-py task resume "
                f"{task.id}."
            )
        if name in task.cycle.spent:
            return (
                "It matches now, but is spent: it has run, and has matched ever since. It runs again when its "
                "condition has ceased to match and matches again, by step.redo(), or when an update touches what it "
                "looks at."
            )
        if not self.step.enabled:
            return "It would match now, were it enabled."
        if task.state is TaskState.WAITING:
            due = f" until {iso(task.due_at)}" if task.due_at is not None else ""
            return f"It matches now, but the task is waiting{due}: {task.reason}."
        if task.state.ended:
            return f"It matches now, but the task has ended ({task.state}: {task.reason}) before it was its turn."
        ahead = self._eligible_ahead()
        if ahead:
            return f"It matches now, and its turn comes after {', '.join(map(repr, ahead))}."
        return "It matches now, and is the next to run."

    def _eligible_ahead(self) -> list[str]:
        idle = self.task.cycle.spent | self.task.cycle.retries.keys()
        mine = self.table.rank_of[self.step.name]
        ahead = (self.table.ranked[rank].name for rank in sorted(self.table.match(self.task.data)) if rank < mine)
        return [name for name in ahead if name not in idle]


def _leaves(count: int) -> str:
    return f"{count} leaf" if count == 1 else f"{count} leaves"
