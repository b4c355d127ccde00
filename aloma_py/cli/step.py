"""``aloma-py step``: list, show and check steps; change those whose texts are stored."""

from __future__ import annotations

from typing import Any, Final

import rich_click as click
from rich.console import Console

from aloma_py.cli import client, output
from aloma_py.cli.options import CommandGroup, Common, data_options, pass_common, read_data
from aloma_py.cli.steptexts import stored
from aloma_py.errors import AlomaError, InputError
from aloma_py.settings import limits_of

RUNS_PERIOD: Final = "7d"
"""How far `step list --sort runs` looks back."""


@click.group(cls=CommandGroup, no_args_is_help=True)
def step() -> None:
    """List, show, check and change steps.

    Those that are changed here are JavaScript, and stored; a step of a file is changed in its file. Reading a Python
    file runs what is in it outside of functions: `list`, `show` and `check` import the files that they are given.
    """


@step.command("list")
@click.argument("paths", metavar="[PATH]…", nargs=-1)
@click.option("--filter", "text", metavar="TEXT", help="Only with this in their name, condition, tags or file.")
@click.option(
    "--sort",
    type=click.Choice(["order", "name", "runs"]),
    default="order",
    metavar="ORDER",
    help=f"By name, or by runs: those of the last {RUNS_PERIOD}.  [default: as they are tried]",
)
@click.option("--validate", is_flag=True, help="Say whether they can be loaded, and what to look at; 1 if they cannot.")
@pass_common
def list_(common: Common, paths: tuple[str, ...], text: str | None, sort: str, validate: bool) -> int:
    """List the steps in the order in which they are tried.

    Of PATH (files, folders, modules), or else of the workspace as it was last served.
    """
    if sort == "runs" and paths:
        raise InputError("--sort runs counts the runs of the workspace's steps: leave PATH out")
    try:
        found = _ask(common, paths, "list_steps")
    except AlomaError as error:
        if not validate:
            raise
        output.tell(common.as_json, {"valid": False, "problem": str(error)}, output.clean(error))
        return 1
    found = [one for one in found if text is None or _speaks_of(one, text)]
    runs = _runs(common) if sort == "runs" else {}
    if sort == "name":
        found.sort(key=lambda one: one["name"].lower())
    elif sort == "runs":
        found = [{**one, "runs": runs.get(one["name"], 0)} for one in found]
        found.sort(key=lambda one: -one["runs"])
    if validate:
        _validate(common, found)
        return 0
    out = output.listing(common.as_json, found, None if text is None else "no steps fit")
    if out is not None:
        _list(out, found, ["runs"] if sort == "runs" else [])
    return 0


def _list(out: Console, found: list[dict[str, Any]], more: list[str]) -> None:
    numbers = ["priority", "leaves", *more]
    made = output.table("step", *numbers, "condition", "where")
    for column in made.columns[1 : len(numbers) + 1]:
        column.justify, column.no_wrap = "right", True
    for one in found:
        name = output.styled(one["name"], "cyan")
        if not one["options"]["enabled"]:
            name.append(" (disabled)", "dim")
        counts = (str(one[key]) for key in ("priority", "specificity", *more))
        made.add_row(name, *counts, output.styled(one["condition"]), output.styled(_place(one), "dim"))
    output.print_table(out, made)


def _speaks_of(one: dict[str, Any], text: str) -> bool:
    places = (one["name"], one["condition"], one["description"] or "", _place(one), *one["options"]["tags"])
    return any(text.lower() in place.lower() for place in places)


def _runs(common: Common) -> dict[str, int]:
    found = client.ask(common.settings, "workspace_overview", period=RUNS_PERIOD)
    return {one["step"]: one["runs"] for one in found["steps"]}


def _validate(common: Common, found: list[dict[str, Any]]) -> None:
    """That all could be loaded, and where one may want to look: code that keeps a step from running beside others."""
    hints = [
        {"step": one["name"], "line": at["line"], "code": at["code"], "reason": at["reason"]}
        for one in found
        for at in one["unknown"]
    ]
    if common.as_json:
        output.emit_json({"valid": True, "steps": len(found), "hints": hints})
        return
    out = output.console()
    out.print(output.styled(f"{output.counted(len(found), 'step', 'steps')} can be loaded", "green"))
    if hints:
        out.print(output.styled("these run alone, since it cannot be told what they read and write:"))
    for hint in hints:
        out.print(output.styled(f"  {hint['step']}, line {hint['line']}: {hint['code']}"))
        out.print(output.styled(f"    {hint['reason']}", "dim"))


def _place(one: dict[str, Any]) -> str:
    if one["source"] == "stored":
        return "stored"
    file = (one["location"]["file"] or "").rpartition("/")[2]
    return f"{file}:{one['location']['line']}" if file else ""


@step.command()
@click.argument("name")
@click.argument("paths", metavar="[PATH]…", nargs=-1)
@click.option("--code", is_flag=True, help="Print the step's text only.")
@click.option("--verbose", is_flag=True, help="With the step's text.")
@pass_common
def show(common: Common, name: str, paths: tuple[str, ...], code: bool, verbose: bool) -> None:
    """Show a step: what it matches, its options, what its code may read and write.

    What it may read and write says which steps run side by side; a place that could not be followed counts as
    everything, and is named.
    """
    found = _ask(common, paths, "show_step", name=name)
    if common.as_json:
        output.emit_json(found)
        return
    if code:
        click.echo(output.clean(found["text"]), nl=False)
        return
    out = output.console()
    _show(out, found)
    if verbose:
        out.print(output.styled("text", "dim"))
        click.echo(output.clean(found["text"]).rstrip("\n"))


def _show(out: Console, found: dict[str, Any]) -> None:
    location, options = found["location"], found["options"]
    everything = "everything" if found["unknown"] else ""
    rate = options["rate"]
    output.print_table(
        out,
        output.facts(
            [
                ("step", output.styled(found["name"], "bold cyan")),
                ("", found["description"]),
                ("where", "stored" if found["source"] == "stored"
                 else f"{location['file']}:{location['line']}" if location["file"] else None),
                ("changed", f"{found['updated_at']} by {found['updated_by']}" if "updated_at" in found else None),
                ("version", found["version"] if found["source"] == "stored" else None),
                ("condition", found["condition"]),
                ("specificity", f"{found['specificity']} {'leaf' if found['specificity'] == 1 else 'leaves'}"),
                ("looks at", ", ".join(found["looks_at"])),
                ("priority", found["priority"] or None),
                ("enabled", None if options["enabled"] else "no"),
                ("retries", f"{options['retries']}, from {output.duration(options['backoff'])} apart"
                 if options["retries"] else None),
                ("retry on", ", ".join(options["retry_on"])),
                ("timeout", None if options["timeout"] is None else output.duration(options["timeout"])),
                ("concurrency", options["concurrency"]),
                ("rate", None if rate is None else f"{rate['count']} in {output.duration(rate['per'])}"),
                ("tags", ", ".join(options["tags"])),
                ("parallel", found["parallel"]),
                ("reads", everything or ", ".join(found["reads"]) or "nothing"),
                ("writes", everything or ", ".join(found["writes"]) or "nothing"),
            ]
        ),
    )  # fmt: skip
    for at in found["unknown"]:
        out.print(output.styled(f"  line {at['line']}: {at['code']}", "yellow"))
        out.print(output.styled(f"    {at['reason']}", "dim"))


@step.command()
@click.argument("path", metavar="FILE")
@data_options
@click.option("--step", "name", help="Only the step of this name.")
@pass_common
def check(common: Common, path: str, data: str | None, file: str | None, name: str | None) -> None:
    """Say which steps would match some data, and why or why not, leaf by leaf.

    FILE is a step file or a folder. A Python file is imported, which runs what is in it outside of functions.
    """
    _check(common, (path,), name, read_data(data, file, limits_of(common.settings)))


@step.command()
@click.argument("name")
@data_options
@pass_common
def validate(common: Common, name: str, data: str | None, file: str | None) -> None:
    """Say whether a step of the workspace would match some data, and why or why not, leaf by leaf."""
    _check(common, (), name, read_data(data, file, limits_of(common.settings)))


def _check(common: Common, paths: tuple[str, ...], name: str | None, data: Any) -> None:
    found = _ask(common, paths, "check_step", data=data, step=name)
    if common.as_json:
        output.emit_json(found)
        return
    out = output.console()
    for one in found["steps"]:
        mark, style = ("✓", "green") if one["matches"] else ("✗", "red")
        title = f"{mark} {one['step']}" + ("" if one["enabled"] else " (disabled)")
        out.print(output.styled(title, f"bold {style}"))
        output.print_table(out, output.rows_table(one["rows"]))
        out.print()
    if found["order"]:
        out.print(output.styled(f"would be tried in this order: {', '.join(found['order'])}"))
    else:
        out.print(output.styled("no step matches" if name is None else f"{name!r} does not match"))


@step.command()
@click.option("--period", metavar="TIME", default="7d", show_default=True, help="How far to look back.")
@pass_common
def performance(common: Common, period: str) -> None:
    """Say how often each step ran, how often it failed, and how long it took."""
    found = client.ask(common.settings, "workspace_overview", period=period)["steps"]
    out = output.listing(common.as_json, found, f"no step ran in the last {period}")
    if out is not None:
        rows = (
            (one["step"], one["runs"], one["errors"], one["retries"],
             *(output.duration(one[key]) for key in ("median_ms", "mean_ms", "longest_ms")))
            for one in found
        )  # fmt: skip
        output.print_rows(out, ("step", "runs", "failed", "tried again", "median", "mean", "longest"), rows)


def _ask(common: Common, paths: tuple[str, ...], operation: str, **arguments: Any) -> Any:
    """The operation on the steps of ``paths``, without a store; or on those of the workspace."""
    if not paths:
        return client.ask(common.settings, operation, **arguments)
    return client.ask_in_memory(common.settings, operation, sources=paths, **arguments)


for name, command in stored.commands.items():
    step.add_command(command, name)
step.refuses("logs", "what a step said is in the history of the tasks it ran on: `aloma-py task log ID --step NAME`")
step.refuses("generate", "steps are not generated here: `aloma-py step add NAME` begins one in your editor")
