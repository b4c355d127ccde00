"""What a scenario expects of its task's end. Each thing that is not so makes one clear sentence."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from aloma_py.conditions import Condition, Explanation, explain
from aloma_py.delivery import answer_of
from aloma_py.models import Json, TaskState
from aloma_py.outcome import Outcome
from aloma_py.testing.fakes import FakeConnectors
from aloma_py.testing.order import Order, parse_order
from aloma_py.testing.rules import parse_condition
from aloma_py.testing.yamlfile import Item

EXPECT_KEYS: Final = (
    "state",
    "reason",
    "result",
    "data",
    "steps",
    "logs",
    "calls",
    "audit",
    "errors",
    "subtasks",
)
"""What ``expect`` may say."""

_LEVELS: Final = ("debug", "info", "warning", "error")
_SAME_LEVEL: Final = {"warn": "warning", "log": "info"}
_ROWS: Final = 6
"""How many leaves of a condition a failure tells of."""


@dataclass(frozen=True, slots=True)
class ExpectedLog:
    """A line of the log: its text holds ``text``, and its level is ``level`` where that is said."""

    text: str
    level: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectedSubtask:
    name: str | None = None
    state: str | None = None
    result: Condition | None = None  # on ``{"result": result}``

    def fits(self, child: Outcome) -> bool:
        return (
            self.name in (None, child.task.name)
            and self.state in (None, child.task.state.value)
            and (self.result is None or self.result.matches({"result": answer_of(child.task)["result"]}))
        )

    def __str__(self) -> str:
        parts = (
            ("name", self.name and repr(self.name)),
            ("state", self.state),
            ("result", self.result and self.result.source),
        )
        return ", ".join(f"{part} {value}" for part, value in parts if value) or "anything"


@dataclass(frozen=True, slots=True)
class Expect:
    """What is expected; what is ``None`` is free.

    ``data`` is judged on the final data with its ``$via``, ``$stash`` types and ``$errors``; ``calls`` counts the
    calls of the task and its subtasks; ``logs`` and ``audit`` are looked for in both as well. ``errors`` are the
    names of all the steps in ``$errors``. Other subtasks than those named are free.
    """

    state: str | None = None
    reason: str | None = None
    result: Condition | None = None  # on ``{"result": result}``
    data: Condition | None = None
    steps: Order | None = None
    logs: tuple[ExpectedLog, ...] = ()
    calls: tuple[tuple[str, int], ...] = ()
    audit: tuple[str, ...] = ()
    errors: tuple[str, ...] | None = None
    subtasks: tuple[ExpectedSubtask, ...] = ()

    def failures(self, outcome: Outcome, fakes: FakeConnectors, known: Collection[str]) -> list[str]:
        """A sentence for each thing that is not as expected. ``known`` are the names of the workspace's steps."""
        return list(self._failures(outcome, fakes, known))

    def _failures(self, outcome: Outcome, fakes: FakeConnectors, known: Collection[str]) -> Iterator[str]:
        if self.state is not None and outcome.state.value != self.state:
            yield f"state: expected {self.state}, but it is {outcome.state.value} ({outcome.reason})"
        if self.reason is not None and self.reason not in (outcome.reason or ""):
            yield f"reason: expected {self.reason!r} in it, but it is {outcome.reason!r}"
        if self.result is not None:
            yield from _unmatched("result", explain(self.result, {"result": outcome.result}), "result")
        if self.data is not None:
            yield from _unmatched("data", explain(self.data, outcome.task.data))
        if self.steps is not None:
            yield from self.steps.failures(outcome, known)
        yield from self._log_failures(outcome)
        for call, expected in self.calls:
            made = fakes.count(call)
            if made != expected:
                yield f"calls: expected {_times(expected)} of {call}, but there {'was' if made == 1 else 'were'} {made}"
        texts = [entry.text for one in family(outcome) for entry in one.audit]
        for text in self.audit:
            if not any(text in line for line in texts):
                there = _listed("the entries are", [repr(line) for line in texts], "there is none")
                yield f"audit: expected an entry with {text!r}; {there}"
        if self.errors is not None and sorted(self.errors) != sorted(outcome.errors):
            there = _listed("there are errors of", list(outcome.errors), "there are none")
            yield f"errors: expected {', '.join(self.errors) or 'none'}, but {there}"
        yield from self._subtask_failures(outcome)

    def _log_failures(self, outcome: Outcome) -> Iterator[str]:
        lines = [line for one in family(outcome) for line in one.logs]
        for wanted in self.logs:
            level = f" of level {wanted.level}" if wanted.level else ""
            if not any(wanted.text in line.text and wanted.level in (None, line.level) for line in lines):
                texts = [f"{line.text!r}{f' ({line.level})' if level else ''}" for line in lines]
                there = _listed("the lines are", texts, "there is none")
                yield f"logs: expected a line{level} with {wanted.text!r}; {there}"

    def _subtask_failures(self, outcome: Outcome) -> Iterator[str]:
        left = list(outcome.subtasks)
        for wanted in self.subtasks:
            found = next((child for child in left if wanted.fits(child)), None)
            if found is not None:
                left.remove(found)
                continue
            there = [
                f"{child.task.name!r} ({child.task.state.value}, result {_short(answer_of(child.task)['result'])})"
                for child in left
            ]
            yield f"subtasks: expected one with {wanted}; {_listed('left are', there, 'there is none left')}"


def family(outcome: Outcome) -> Iterator[Outcome]:
    """The outcome, and those of all subtasks below it."""
    yield outcome
    for child in outcome.subtasks:
        yield from family(child)


def _unmatched(what: str, found: Explanation, prefix: str = "") -> Iterator[str]:
    """Why the condition ``what`` does not hold, in one sentence; nothing where it holds."""
    if found.matched:
        return
    rows = [row for row in found.rows if not row.held] or list(found.rows)
    told = []
    for row in rows[:_ROWS]:
        place = row.path.removeprefix(prefix).lstrip(".") if prefix else row.path
        told.append(f"{place + ': ' if place else ''}expected {row.expected}, found {row.found}")
    more = f"; and {len(rows) - _ROWS} more" if len(rows) > _ROWS else ""
    yield f"{what}: {'; '.join(told)}{more}"


def _times(count: int) -> str:
    return f"{count} call{'' if count == 1 else 's'}"


def _listed(before: str, things: Sequence[str], none: str) -> str:
    """``before`` and the things, the first few of them; or ``none``."""
    if not things:
        return none
    shown = ", ".join(thing if len(thing) <= 80 else f"{thing[:79]}…" for thing in things[:8])
    return f"{before} {shown}{f' and {len(things) - 8} more' if len(things) > 8 else ''}"


def _short(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def parse_expect(item: Item) -> Expect:
    """What ``expect`` says. Raises :class:`~aloma_py.errors.LoadError` with the line of what it cannot say."""
    members = item.mapping(known=EXPECT_KEYS)
    get = members.get
    result, data, steps = get("result"), get("data"), get("steps")
    calls, errors = get("calls"), get("errors")
    state, reason = get("state"), get("reason")
    return Expect(
        state=None if state is None else state.choice(one.value for one in TaskState),
        reason=None if reason is None else reason.text(),
        result=None if result is None else parse_condition(result, "result"),
        data=None if data is None else parse_condition(data),
        steps=None if steps is None else parse_order(steps),
        logs=_parse_logs(get("logs")),
        calls=() if calls is None else tuple((name, count.count()) for name, count in calls.mapping().items()),
        audit=_texts(get("audit")),
        errors=None if errors is None else errors.texts(),
        subtasks=_parse_subtasks(get("subtasks")),
    )


def _texts(item: Item | None) -> tuple[str, ...]:
    return () if item is None else item.texts()


def _parse_logs(item: Item | None) -> tuple[ExpectedLog, ...]:
    if item is None:
        return ()
    if isinstance(item.value, str):
        return (ExpectedLog(item.text()),)
    return tuple(_parse_log(one) for one in item.items())


def _parse_log(item: Item) -> ExpectedLog:
    if isinstance(item.value, str):
        return ExpectedLog(item.text())
    members = item.mapping(known=("level", "text"))
    level = members["level"].choice((*_LEVELS, *_SAME_LEVEL)) if "level" in members else None
    text = members["text"].text() if "text" in members else ""
    return ExpectedLog(text, _SAME_LEVEL.get(level, level) if level else None)


def _parse_subtasks(item: Item | None) -> tuple[ExpectedSubtask, ...]:
    parsed = []
    for one in item.items() if item is not None else ():
        members = one.mapping(known=("name", "state", "result"))
        name, state, result = members.get("name"), members.get("state"), members.get("result")
        parsed.append(
            ExpectedSubtask(
                name=None if name is None else name.text(),
                state=None if state is None else state.choice(one.value for one in TaskState),
                result=None if result is None else parse_condition(result, "result"),
            )
        )
    return tuple(parsed)
