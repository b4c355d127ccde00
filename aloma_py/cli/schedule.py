"""``aloma-py schedule``: give tasks at set times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click

from aloma_py.cli import client, output
from aloma_py.cli.asking import make_sure, yes_option
from aloma_py.cli.options import CommandGroup, Common, pass_common, read_data, switches
from aloma_py.errors import InputError
from aloma_py.settings import limits_of

F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=CommandGroup, no_args_is_help=True)
def schedule() -> None:
    """Give tasks at set times.

    A schedule comes by a cron expression in a time zone, or by an interval. A running `aloma-py serve` fires it.
    """


def _now() -> int:
    return time.time_ns() // 1_000_000


def _timing_options(command: F) -> F:
    options: list[Callable[[F], F]] = [
        click.option("--cron", metavar="TEXT", help='Five fields, "0 9 * * mon", or six with seconds; or @daily …'),
        click.option("--every", metavar="TIME", help="An interval: 30s, 15m, 1h30m, 1d."),
        click.option("--zone", metavar="NAME", help="The time zone, Europe/Berlin.  [default: UTC]"),
        click.option("--dst", metavar="RULE", help="Of a time that the clock skips: shift or skip.  [default: shift]"),
        click.option("--start", metavar="TIME", help="Not before this time, 2026-03-01T09:00."),
        click.option("--end", metavar="TIME", help="Not after this time."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _task_options(command: F) -> F:
    options: list[Callable[[F], F]] = [
        click.option("--anchor", metavar="TIME", help="Count intervals from this time.  [default: the start, or now]"),
        click.option("--missed", metavar="RULE", help="Of what came while nothing served: last, skip or all.  "
                     "[default: last]"),
        click.option("--overlap", metavar="RULE", help="While a task of its is open: allow, skip or queue.  "
                     "[default: allow]"),
        click.option("-d", "--data", metavar="JSON", help="The tasks' data, a JSON object; - reads it from stdin."),
        click.option("-f", "--file", metavar="FILE", help="The data, from a .json or .yaml file."),
        click.option("--task", metavar="NAME", help="The tasks' name.  [default: the schedule's]"),
        click.option("--tag", "tags", multiple=True, help="A tag of the tasks; any number of times."),
    ]  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


def _given(common: Common, options: dict[str, Any]) -> dict[str, Any]:
    """The arguments that the options say; what is not given is left out."""
    data, file, tags = options.pop("data"), options.pop("file"), options.pop("tags")
    found = {name: value for name, value in options.items() if value is not None}
    if data is not None or file is not None:
        found["data"] = read_data(data, file, limits_of(common.settings))
    if tags:
        found["tags"] = list(tags)
    return found


@schedule.command("list")
@pass_common
def list_(common: Common) -> None:
    """List schedules, with when they come next."""
    found = client.ask(common.settings, "list_schedules")
    out = output.listing(common.as_json, found, "no schedules")
    if out is not None:
        rows = (
            (*(output.one_line(text) for text in (one["name"], _when(one), _next(one))),
             output.styled(_ago(one["last_at"]), "dim"))
            for one in found
        )  # fmt: skip
        output.print_rows(out, ("name", "when", "next", "last"), rows)


def _when(one: dict[str, Any]) -> str:
    zone = "" if one["zone"] == "UTC" else f" ({one['zone']})"
    return f"{one['cron']}{zone}" if one.get("cron") else f"every {output.duration(one['every'])}"


def _next(one: dict[str, Any]) -> str:
    if not one["enabled"]:
        return "disabled"
    if one["next_at"] is None:
        return "never again"
    left = output.read_iso(one["next_at"]) - _now()
    return f"{one['next_at']} ({'in ' + output.duration(left) if left > 0 else 'due'})"


def _ago(at: str | None) -> str:
    return "" if at is None else f"{output.duration(max(_now() - output.read_iso(at), 0))} ago"


@schedule.command()
@click.argument("name")
@pass_common
def show(common: Common, name: str) -> None:
    """Show a schedule: its rules, its next times, what its last firings gave."""
    found = client.ask(common.settings, "show_schedule", name=name)
    if common.as_json:
        output.emit_json(found)
        return
    out = output.console()
    rows = [
        ("id", found["id"]),
        ("name", found["name"]),
        ("when", _when(found)),
        ("next", _next(found)),
        ("last", _ago(found["last_at"])),
        ("start", found["start"]),
        ("end", found["end"]),
        ("clock set forward", found.get("dst")),
        ("missed", found["missed"]),
        ("overlap", found["overlap"]),
        ("task", found["task"]),
        ("tags", ", ".join(found["tags"])),
        ("open task", found["open_task"]),
        ("made by", found["created_by"]),
    ]
    output.print_table(out, output.facts(rows))
    out.print(output.styled("data", "dim"))
    output.print_data(out, found["data"])
    if found["firings"]:
        made = output.table("fired", "", "task")
        for one in found["firings"]:
            made.add_row(one["at"], one["state"], output.styled(output.one_line(one["task"] or one["why"] or "")))
        output.print_table(out, made)


@schedule.command()
@click.argument("name")
@_timing_options
@_task_options
@click.option("--disabled", is_flag=True, help="Do not fire it until it is enabled.")
@pass_common
def add(common: Common, name: str, disabled: bool, **options: Any) -> None:
    """Make a schedule."""
    given = _given(common, options)
    _tell(common, client.ask(common.settings, "add_schedule", name=name, enabled=not disabled, **given), "added")


@schedule.command()
@click.argument("name")
@click.option("--rename", metavar="NAME", help="Its new name.")
@_timing_options
@_task_options
@pass_common
def update(common: Common, name: str, **options: Any) -> None:
    """Change what is given of a schedule; the rest stays.

    An empty --start, --end, --anchor or --task takes it away.
    """
    given = _given(common, options)
    if not given:
        raise InputError("nothing to change was given; see aloma-py schedule update -h")
    _tell(common, client.ask(common.settings, "update_schedule", name=name, **given), "changed")


@schedule.command()
@click.argument("name")
@yes_option
@pass_common
def delete(common: Common, name: str, yes: bool) -> None:
    """Remove a schedule; the tasks that it gave stay."""
    make_sure(yes, f"deleting the schedule {name!r}", f"Delete the schedule {name} for good?")
    answer = client.ask(common.settings, "delete_schedule", name=name)
    output.tell(common.as_json, answer, f"deleted {output.one_line(answer['name'])}")


@schedule.command("next")
@click.argument("what", required=False, metavar="[NAME|CRON]")
@click.option("--count", type=click.IntRange(1, 1000), default=10, show_default=True, help="So many.")
@_timing_options
@pass_common
def next_(common: Common, what: str | None, count: int, **options: Any) -> None:
    """Say when a schedule comes next, or an expression that is not kept.

    aloma-py schedule next "0 9 * * mon" --zone Europe/Berlin
    """
    given = {name: value for name, value in options.items() if value is not None}
    found = _coming(common, what, count, given)
    if common.as_json:
        output.emit_json(found)
        return
    for one in found:
        click.echo(one["at"] + ("" if one["local"].endswith("+00:00") else f"  {one['local']}"))


def _coming(common: Common, what: str | None, count: int, given: dict[str, Any]) -> Any:
    from aloma_py.operations.schedules import preview

    if what is None or _is_expression(what):
        if what is not None:
            given = {**given, "cron": what}
        return preview(_now(), count, **given)
    if given:
        raise InputError(f"the schedule {what!r} has times of its own; an expression is five fields, or @daily …")
    return client.ask(common.settings, "next_times", name=what, count=count)


def _is_expression(text: str) -> bool:
    """Whether it is meant as a cron expression, not as a name."""
    words = text.split()
    return (
        text.startswith("@")
        or (len(words) > 1 and "*" in words)
        or (len(words) in (5, 6) and all(set(word) & set("*0123456789") for word in words[:2]))
    )


@schedule.command("run")
@click.argument("name")
@pass_common
def run_(common: Common, name: str) -> None:
    """Fire a schedule now, besides its times."""
    answer = client.ask(common.settings, "run_schedule", name=name)
    if common.as_json:
        output.emit_json(answer)
        return
    click.echo(f"fired {answer['id']}")
    if not answer["served"]:
        click.echo(f"it is {answer['state']}; `aloma-py serve` runs it", err=True)


def _tell(common: Common, answer: dict[str, Any], what: str) -> None:
    if common.as_json:
        output.emit_json(answer)
        return
    click.echo(f"{what} {output.one_line(answer['name'])}: {_when(answer)}; next {_next(answer)}")
    if answer["enabled"] and not answer["served"]:
        click.echo("it fires while `aloma-py serve` is running", err=True)


switches(
    schedule,
    "update_schedule",
    "Fire a schedule from now on; what came meanwhile is not made up for.",
    "Fire a schedule no more, until it is enabled.",
    _tell,
)
