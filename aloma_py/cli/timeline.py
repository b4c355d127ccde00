"""A task's history for people: each wave, its runs, what they changed and said. Works on JSON entries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from aloma_py.changes import describe_dict
from aloma_py.cli.output import clean, duration, one_line, read_iso, state_text, styled
from aloma_py.errors import InputError, suggest
from aloma_py.models import Json, Millis

_MARKS: Final = {"ok": ("✓", "green"), "retry": ("↻", "yellow"), "failed": ("✗", "bold red")}
_LEVELS: Final = {"warning": "yellow", "error": "red", "debug": "dim"}
_KINDS: Final = {
    "update": "data from outside",
    "answer": "a subtask's answer",
    "resume": "resumed",
    "stop": "stopped",
    "expire": "expired",
    "end": "ended",
}


@dataclass(slots=True)
class Timeline:
    """Prints entries as they come. With neither ``changes`` nor ``logs`` it prints all there is."""

    out: Console
    started_at: Millis
    changes: bool = True
    logs: bool = True
    _wave: tuple[str, int | None] | None = None

    def show(self, entries: Iterable[Mapping[str, Any]], subtask: str = "") -> None:
        """Print entries of the task, or of its subtask of that name."""
        for entry in entries:
            if entry["kind"] == "run":
                self._heading(entry, subtask)
                self._run(entry)
            else:
                self._from_outside(entry, subtask)

    def _heading(self, entry: Mapping[str, Any], subtask: str) -> None:
        wave = (subtask, entry["wave"])
        if wave == self._wave:
            return
        self._wave = wave
        whose = f" of subtask {subtask!r}" if subtask else ""
        self._line(styled(f"wave {entry['wave']}{whose}", "bold"), Text(f"  {self._since(entry)}", style="dim"))

    def _since(self, entry: Mapping[str, Any]) -> str:
        return f"+{duration(max(read_iso(entry['started_at']) - self.started_at, 0))}"

    def _run(self, entry: Mapping[str, Any]) -> None:
        mark, style = _MARKS[entry["outcome"]]
        took = duration(read_iso(entry["ended_at"]) - read_iso(entry["started_at"]))
        more = f"  {took}" + (f", attempt {entry['attempt']}" if entry["attempt"] > 1 else "")
        self._line(Text(f"  {mark} ", style=style), styled(entry["step"], "cyan"), Text(more, style="dim"))
        self._inside(entry)

    def _from_outside(self, entry: Mapping[str, Any], subtask: str) -> None:
        self._wave = None
        whose = f" of subtask {subtask!r}" if subtask else ""
        title = styled(f"{_KINDS.get(entry['kind'], entry['kind'])}{whose}", "bold")
        self._line(title, Text(f"  {self._since(entry)}", style="dim"))
        self._inside(entry)

    def _inside(self, entry: Mapping[str, Any]) -> None:
        if self.changes:
            for change in entry["changes"]:
                self._line(styled(f"      {describe_dict(change)}"))
            for conflict in entry["conflicts"]:
                place = conflict["path"] or "data"
                text = f"      conflict at {place}: what {conflict['lost']!r} wrote was replaced by {conflict['won']!r}"
                self._line(styled(text, "yellow"))
            for effect in entry["effects"]:
                self._line(styled(f"      → {effect}", "magenta"))
        if self.logs:
            for line in entry["logs"]:
                style = _LEVELS.get(line["level"], "")
                label = "" if line["level"] == "info" else f"{line['level']}: "
                for text in f"{label}{clean(line['text'])}".split("\n"):
                    self._line(Text(f"      │ {text}", style=style))
        error = entry["error"]
        if error is not None:
            for text in f"{error['type']}: {clean(error['message'])}".split("\n"):
                self._line(styled(f"      {text}", "red"))

    def _line(self, *parts: Text) -> None:
        self.out.print(Text.assemble(*parts), overflow="fold", no_wrap=False)


def rest_line(task: Mapping[str, Json], now: Millis | None = None) -> Text:
    """Where the task stands, in one line: ``done: no more steps match``."""
    parts: list[Any] = [state_text(str(task["state"]))]
    if task.get("reason"):
        parts.append(styled(f": {one_line(task['reason'])}"))
    due = task.get("due_at")
    if task["state"] == "waiting" and isinstance(due, str):
        left = f" (in {duration(read_iso(due) - now)})" if now is not None and read_iso(due) > now else ""
        parts.append(styled(f", until {due}{left}", "dim"))
    return Text.assemble(*parts)


def check_chosen(entries: Sequence[dict[str, Any]], step: str | None, task: str) -> None:
    """Raise :class:`~aloma_py.errors.InputError` where ``--step`` means none of the task's entries."""
    if step is None or chosen(entries, step):
        return
    if not entries:
        raise InputError(f"task {task} has no history yet, so --step {step} means nothing in it")
    if step.isdigit():
        numbers = [entry["n"] for entry in entries]
        raise InputError(f"task {task} has no entry {step}; its entries are {min(numbers)} to {max(numbers)}")
    ran = {entry["step"] for entry in entries if entry["step"]}
    raise InputError(f"no step {step!r} has run on task {task}{suggest(step, ran)}")


def chosen(entries: Sequence[dict[str, Any]], step: str | None) -> list[dict[str, Any]]:
    """The entries that ``--step`` means: that of a number, or the runs of a step."""
    if step is None:
        return list(entries)
    if step.isdigit():
        return [entry for entry in entries if entry["n"] == int(step)]
    return [entry for entry in entries if entry["step"] == step]
