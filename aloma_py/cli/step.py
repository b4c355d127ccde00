"""``aloma-py step``: list, show and check steps."""

from __future__ import annotations

from typing import Any

import rich_click as click
from rich.console import Console

from aloma_py.cli import client, output
from aloma_py.cli.options import CommandGroup, Common, data_options, pass_common, read_data
from aloma_py.operations import limits_of


@click.group(cls=CommandGroup, no_args_is_help=True)
def step() -> None:
    """List, show and check steps.

    Reading a Python file runs what is in it outside of functions: these commands import the files that they are given.
    """


@step.command("list")
@click.argument("paths", metavar="[PATH]…", nargs=-1)
@pass_common
def list_(common: Common, paths: tuple[str, ...]) -> None:
    """List the steps in the order in which they are tried.

    Of PATH (files, folders, modules), or else of the workspace as it was last served.
    """
    found = _ask(common, paths, "list_steps")
    if common.as_json:
        output.emit_json(found)
        return
    out = output.console()
    made = output.table("step", "priority", "leaves", "condition", "where")
    made.columns[1].justify = made.columns[2].justify = "right"
    made.columns[1].no_wrap = made.columns[2].no_wrap = True
    for one in found:
        name = output.styled(one["name"], "cyan")
        if not one["options"]["enabled"]:
            name.append(" (disabled)", "dim")
        made.add_row(
            name,
            str(one["priority"]),
            str(one["specificity"]),
            output.styled(one["condition"]),
            output.styled(_place(one), "dim"),
        )
    output.print_table(out, made)


def _place(one: dict[str, Any]) -> str:
    file = (one["location"]["file"] or "").rpartition("/")[2]
    return f"{file}:{one['location']['line']}" if file else ""


@step.command()
@click.argument("name")
@click.argument("paths", metavar="[PATH]…", nargs=-1)
@pass_common
def show(common: Common, name: str, paths: tuple[str, ...]) -> None:
    """Show a step: what it matches, its options, what its code may read and write.

    What it may read and write says which steps run side by side; a place that could not be followed counts as
    everything, and is named.
    """
    found = _ask(common, paths, "show_step", name=name)
    if common.as_json:
        output.emit_json(found)
        return
    _show(output.console(), found)


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
                ("where", f"{location['file']}:{location['line']}" if location["file"] else None),
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
    content = read_data(data, file, limits_of(common.settings))
    found = _ask(common, (path,), "check_step", data=content, step=name)
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


def _ask(common: Common, paths: tuple[str, ...], operation: str, **arguments: Any) -> Any:
    """The operation on the steps of ``paths``, without a store; or on those of the workspace."""
    if not paths:
        return client.ask(common.settings, operation, **arguments)
    return client.ask_in_memory(common.settings, operation, sources=paths, **arguments)
