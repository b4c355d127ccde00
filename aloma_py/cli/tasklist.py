"""``aloma-py task list``: which tasks there are, in which order, and how they change."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import anyio
import rich_click as click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from aloma_py import jsontext
from aloma_py.cli import client, output
from aloma_py.cli.options import Common, pass_common
from aloma_py.errors import InputError
from aloma_py.settings import Settings

PAUSE: Final = 1.0
"""Seconds between two looks of ``--watch``."""

FILTERED: Final = {"state": "states", "states": "states", "status": "states", "name": "name", "tag": "tag",
                   "tags": "tag", "search": "search"}  # fmt: skip
"""The members that ``--filter`` may have, and the arguments that they mean."""

SORTS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "created": lambda one: one["created_at"],
    "changed": lambda one: one["updated_at"],
    "name": lambda one: one["name"].lower(),
    "state": lambda one: one["state"],
}
NEWEST_FIRST: Final = ("created", "changed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What ``list_tasks`` is asked for; ``None`` for what does not matter."""

    states: tuple[str, ...] | None
    name: str | None
    tag: str | None
    search: str | None
    limit: int

    def arguments(self) -> dict[str, Any]:
        given = {"name": self.name, "tag": self.tag, "search": self.search, "limit": self.limit}
        return given | {"states": None if self.states is None else list(self.states)}

    @property
    def everything(self) -> bool:
        return not (self.states or self.name or self.tag or self.search)


@click.command("list")
@click.option(
    "--state",
    "--status",
    "states",
    multiple=True,
    metavar="STATE",
    help="Only of this state; several: again, or with commas.",
)
@click.option("--name", help="Only with this in their name.")
@click.option("--tag", help="Only with this tag.")
@click.option("--search", metavar="WORDS", help="Only with these words in the name or an audit reference.")
@click.option("--filter", "text", metavar="JSON", help='The same as an object: {"state": "error", "name": "order"}.')
@click.option(
    "--sort",
    type=click.Choice(list(SORTS)),
    default="created",
    metavar="ORDER",
    help="Those that are listed by created or changed, newest first, or by name or state.",
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@click.option("--watch", "watching", is_flag=True, help="Go on with those that change, until Ctrl-C.")
@pass_common
def list_tasks(
    common: Common,
    states: tuple[str, ...],
    name: str | None,
    tag: str | None,
    search: str | None,
    text: str | None,
    sort: str,
    limit: int,
    watching: bool,
) -> None:  # fmt: skip
    """List tasks, newest first.

    With --watch each is printed again when it has changed, the newest --limit of them; with --json one line for each.
    """
    words = tuple(word for text in states for word in text.split(",") if word.strip())
    given = {"states": words or None, "name": name, "tag": tag, "search": search}
    wanted = Wanted(**{**given, **_read_filter(text, given)}, limit=limit)
    settings = common.settings
    if watching:
        if sort != "created":
            raise InputError("--watch prints tasks as they change: leave --sort out")
        client.run(lambda: watch(settings, wanted, as_json=common.as_json))
        return
    fills = search is not None and settings.store.exists()  # new tasks are read into the search when it is asked
    found = client.ask(settings, "list_tasks", writing=fills, **wanted.arguments())
    newest = len(found)
    found.sort(key=SORTS[sort], reverse=sort in NEWEST_FIRST)
    out = output.listing(common.as_json, found, "no tasks" if wanted.everything else "no tasks fit")
    if out is None:
        return
    (_print_list if out.width < 90 else _print_table)(out, found)
    if newest == limit:
        out.print(output.styled(f"the newest {limit}; more with --limit", "dim"))


def _read_filter(text: str | None, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that ``--filter`` means."""
    if text is None:
        return {}
    try:
        wanted = jsontext.loads(text)
    except ValueError as error:
        raise InputError(f"--filter {text!r} is no JSON: {error}") from None
    if not isinstance(wanted, dict):
        raise InputError(f'--filter {text!r}: an object was expected, like {{"state": "error"}}')
    found: dict[str, Any] = {}
    for member, value in wanted.items():
        if member not in FILTERED:
            raise InputError(f"--filter cannot look at {member!r}: tasks are found by {', '.join(FILTERED)}, "
                             "not by their data; a step can put into tags what is to be found")  # fmt: skip
        words = value if isinstance(value, list) else [value]
        if not words or not all(isinstance(word, str) for word in words):
            raise InputError(f"--filter: {member!r} takes a text")
        argument = FILTERED[member]
        if argument != "states" and len(words) > 1:
            raise InputError(f"--filter: {member!r} takes one text; {len(words)} were given")
        if argument in found or given[argument] is not None:
            raise InputError(f"--filter: {member!r} is given twice")
        found[argument] = tuple(words) if argument == "states" else words[0]
    return found


def now() -> int:
    return time.time_ns() // 1_000_000


def _print_table(out: Console, found: list[dict[str, Any]]) -> None:
    """A task a line."""
    made = output.table("id", "name", "state", "changed", "reason")
    for column in (0, 2, 3):
        made.columns[column].no_wrap = True
    for one in found:
        made.add_row(*_cells(one), output.styled(output.one_line(one["reason"] or ""), "dim"))
    output.print_table(out, made)


def _print_list(out: Console, found: list[dict[str, Any]]) -> None:
    """A task in two or three lines, where a table of all that there is to say would be too narrow to read."""
    for one in found:
        id, name, state, changed = _cells(one)
        out.print(Text.assemble(id, "  ", state, "  ", changed), overflow="fold")
        for text in (name, output.styled(output.one_line(one["reason"] or ""), "dim")):
            if text:
                out.print(Padding(text, (0, 0, 0, 2)), overflow="fold")


def _cells(one: dict[str, Any]) -> tuple[Text, Text, Text, Text]:
    changed = f"{output.duration(max(now() - output.read_iso(one['updated_at']), 0))} ago"
    return output.styled(one["id"]), output.styled(one["name"]), output.state_text(one["state"]), Text(changed)


# ── --watch ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def watch(settings: Settings, wanted: Wanted, *, as_json: bool, pause: float = PAUSE) -> None:
    """Print the tasks, and each again that has changed, the latest last; until it is cancelled."""
    out = output.console()
    known: dict[str, str] = {}
    async with client.connect(settings, "list_tasks") as connection:
        if isinstance(connection, client.LocalClient):
            click.echo("no server has this store: nothing changes until `aloma-py serve` runs", err=True)
        while True:
            found = await connection.call("list_tasks", **wanted.arguments())
            changed = [one for one in found if known.get(one["id"]) != one["updated_at"]]
            for one in sorted(changed, key=lambda one: one["updated_at"]):
                if as_json:
                    output.emit_json(one, compact=True)
                else:
                    _print_change(out, one)
            sys.stdout.flush()
            known = {one["id"]: one["updated_at"] for one in found}
            await anyio.sleep(pause)


def _print_change(out: Console, one: dict[str, Any]) -> None:
    reason = output.one_line(one["reason"] or "")
    parts = [output.styled(one["updated_at"], "dim"), output.styled(one["id"]), output.state_text(one["state"]),
             output.styled(output.one_line(one["name"])), output.styled(reason, "dim")]  # fmt: skip
    out.print(Text("  ").join(part for part in parts if part), overflow="fold")
