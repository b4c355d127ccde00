"""Printing: for people in colour where there is a terminal, plain where there is none; JSON for programs."""

from __future__ import annotations

import datetime
import json
import re
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aloma_py.models import Json, Millis

STATE_STYLES: Final = {
    "pending": "cyan", "running": "cyan", "waiting": "yellow", "attention": "bold yellow", "done": "green",
    "error": "bold red", "ignored": "dim", "stopped": "magenta",
}  # fmt: skip

UNLIMITED: Final = 10_000

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: object) -> str:
    """Text that cannot play tricks with a terminal: control characters are shown as ``�``, line ends stay."""
    return _CONTROLS.sub("�", str(text).replace("\r\n", "\n"))


def one_line(text: object) -> str:
    """The same on one line."""
    return " ".join(clean(text).split("\n"))


def styled(text: object, style: str = "") -> Text:
    """Text from outside, cleaned, never read as markup."""
    return Text(clean(text), style=style)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Whoever read has gone: said as everywhere else, instead of by the end of the process."""
        raise BrokenPipeError


def console() -> Console:
    """Where people read. Without a terminal it is plain, and lines are as long as they are."""
    width = None if sys.stdout.isatty() else UNLIMITED
    return _Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False, emoji=False, markup=False)


def print_table(out: Console, made: Table) -> None:
    """Print a table; without a terminal, lines end where their text ends."""
    if out.is_terminal:
        out.print(made)
        return
    with out.capture() as captured:
        out.print(made)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def emit_json(value: Json, *, compact: bool = False) -> None:
    """Print one JSON document; with ``compact`` on one line."""
    dump = partial(json.dumps, value, indent=None if compact else 2, default=str)
    text = dump(ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):  # a lone surrogate, or a terminal that is not UTF-8
        text = dump(ensure_ascii=True)
    click.echo(text)


def print_data(out: Console, value: Json) -> None:
    """JSON for people, indented."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    if out.is_terminal:
        from rich.json import JSON

        out.print(JSON(clean(json.dumps(value))), soft_wrap=True)
    else:
        out.print(styled(text), soft_wrap=True)


_WHOLE: Final = frozenset({"no", "at", "n"})
"""Columns that are shown whole: the others give way."""


def table(*columns: str, **more: Any) -> Table:
    """A table without a frame, that gives way in narrow terminals."""
    made = Table(box=None, pad_edge=False, header_style="bold", **more)
    for name in columns:
        made.add_column(name, overflow="fold", no_wrap=name in _WHOLE)
    return made


def listing(as_json: bool, found: Sequence[Any], nothing: str | None = None) -> Console | None:
    """Where to print a list for people; ``None`` where it is done: as JSON, or with the text for an empty one."""
    if as_json:
        emit_json(list(found))
        return None
    out = console()
    if not found and nothing is not None:
        out.print(styled(nothing, "dim"))
        return None
    return out


def print_rows(out: Console, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table of plain cells; those that have a style keep it."""
    made = table(*columns)
    for cells in rows:
        made.add_row(*(cell if isinstance(cell, Text) else styled(cell) for cell in cells))
    print_table(out, made)


def tell(as_json: bool, answer: Json, text: str) -> None:
    """Say what was done: the answer for programs, one line for people."""
    if as_json:
        emit_json(answer)
    else:
        click.echo(text)


def warn_named(answer: dict[str, Any]) -> None:
    """Say on stderr who still names what was deleted."""
    named = answer.get("named_in") or []
    if named:
        more = f", and {len(named) - 5} more" if len(named) > 5 else ""
        click.echo(clean(f"it is still named by {', '.join(named[:5])}{more}"), err=True)


def facts(rows: Iterable[tuple[str, object]]) -> Table:
    """Two columns: what, and how it is. Rows without a value are left out."""
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value is None or value == "":
            continue
        made.add_row(name, value if isinstance(value, (Text, Table)) else styled(value))
    return made


def state_text(state: str) -> Text:
    return Text(state, style=STATE_STYLES.get(state, ""))


def duration(millis: float) -> str:
    """``12 ms``, ``1.5 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 days``.

    >>> duration(1500)
    '1.5 s'
    """
    if millis < 1000:
        return f"{round(millis)} ms"
    seconds = millis / 1000
    if seconds < 60:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    for unit, size, smaller, part in (("min", 60, "s", 1), ("h", 3600, "min", 60), ("d", 86400, "h", 3600)):
        if seconds < size * {"min": 60, "h": 24, "d": 1e9}[unit]:
            whole, rest = divmod(int(seconds), size)
            return f"{whole} {unit}" + (f" {rest // part} {smaller}" if rest // part else "")
    return f"{seconds:.0f} s"


def counted(count: int, one: str, several: str) -> str:
    """A number with its word: ``1 entry``, ``2 entries``."""
    return f"{count} {one if count == 1 else several}"


def read_iso(text: str) -> Millis:
    """The milliseconds of a UTC time as the operations write it."""
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1000)


def size(count: int) -> str:
    """``1.2 MB`` of bytes."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError


def rows_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Explain's rows: expected, found, held or not."""
    made = table("", "where", "expected", "found")
    for row in rows:
        held = row["held"]
        mark = Text("✓" if held else "✗", style="green" if held else "bold red")
        style = "" if row["leaf"] else "dim"
        made.add_row(
            mark, styled(row["path"] or "data", style), styled(row["expected"], style), styled(row["found"], style)
        )
    return made


def to_seconds(at: str) -> str:
    """A time of an answer without its milliseconds."""
    return f"{at.partition('.')[0]}Z" if "." in at else at
