"""``aloma-py step``: list, show and check steps; change those whose texts are stored."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import rich_click as click
from rich.console import Console

from aloma_py.cli import client, folders, output
from aloma_py.cli.options import CommandGroup, Common, data_options, pass_common, read_data
from aloma_py.errors import AlomaError, InputError, StoreError
from aloma_py.operations import limits_of
from aloma_py.steps.javascript.define import SUFFIXES, read_text


@click.group(cls=CommandGroup, no_args_is_help=True)
def step() -> None:
    """List, show, check and change steps.

    Those that are changed here are JavaScript, and stored; a step of a file is changed in its file. Reading a Python
    file runs what is in it outside of functions: `list`, `show` and `check` import the files that they are given.
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
    if one["source"] == "stored":
        return "stored"
    file = (one["location"]["file"] or "").rpartition("/")[2]
    return f"{file}:{one['location']['line']}" if file else ""


@step.command()
@click.argument("name")
@click.argument("paths", metavar="[PATH]…", nargs=-1)
@click.option("--code", is_flag=True, help="Print the step's text only.")
@pass_common
def show(common: Common, name: str, paths: tuple[str, ...], code: bool) -> None:
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


# ── stored steps ────────────────────────────────────────────────────────────────────────────────────────────────────


@step.command()
@click.argument("name")
@click.option("-f", "--file", metavar="FILE", help="The step, a JavaScript or TypeScript file.")
@click.option("-c", "--condition", metavar="CONDITION", help="The condition: JavaScript, or JSON with types as texts.")
@click.option("-b", "--body", metavar="BODY", help="What it does: the inside of an async function.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option("--disabled", is_flag=True, help="Store it, but do not run it yet.")
@pass_common
def add(
    common: Common,
    name: str,
    file: str | None,
    condition: str | None,
    body: str | None,
    description: str | None,
    disabled: bool,
) -> None:
    """Store a new step: a file, or a condition and a body."""
    given: dict[str, Any] = {"name": name, "enabled": not disabled}
    if description is not None:
        given["description"] = description
    if file is not None:
        if condition is not None or body is not None:
            raise InputError("-f gives the whole step; use either it or -c and -b")
        suffix = Path(file).suffix
        if suffix not in SUFFIXES:
            raise InputError(f"-f {file}: a file that ends in .js, .mjs, .cjs, .ts or .mts was expected")
        given |= {"text": read_text(Path(file)), "suffix": suffix}
    elif condition is None or body is None:
        raise InputError("the step is missing: give it with -f FILE, or with -c CONDITION and -b BODY")
    else:
        given |= {"condition": _read_condition(condition), "content": body}
    _tell(common, client.ask(common.settings, "add_step", **given), "added")


def _read_condition(text: str) -> Any:
    """JSON as what it means, anything else as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


def _tell(common: Common, found: dict[str, Any], done: str) -> None:
    if common.as_json:
        output.emit_json(found)
        return
    version = f" (version {found['version']})" if "version" in found else ""
    output.console().print(output.styled(f"{done} the step {found['name']}{version}"))


@step.command()
@click.argument("name")
@pass_common
def edit(common: Common, name: str) -> None:
    """Change a stored step in your editor ($VISUAL or $EDITOR).

    Where somebody else changed it meanwhile, or it cannot be loaded, nothing is changed, and what you wrote is kept in
    a file.
    """
    found = client.ask(common.settings, "show_step", name=name)
    if found["source"] != "stored":
        place = f"{found['location']['file']}:{found['location']['line']}"
        raise InputError(f"the step {name!r} is from the file {place}: it can be changed there only")
    if not (sys.stdin.isatty() and sys.stdout.isatty()) and "EDITOR" not in os.environ and "VISUAL" not in os.environ:
        raise InputError("an editor needs a terminal; `aloma-py step pull` and `step sync` change steps by files")
    text = click.edit(found["text"], extension=found["suffix"], require_save=True)
    if text is None or text == found["text"]:
        if not common.as_json:
            output.console().print(output.styled("nothing was changed", "dim"))
        else:
            output.emit_json({"name": name, "version": found["version"], "changed": False})
        return
    try:
        answer = client.ask(common.settings, "update_step", name=name, text=text, version=found["version"])
    except AlomaError as error:
        kind = InputError if isinstance(error, InputError) else StoreError
        raise kind(f"{error}; what you wrote is kept in {_kept(text, found['suffix'])}") from error
    _tell(common, answer, "changed")


def _kept(text: str, suffix: str) -> str:
    """A new file with the text."""
    number, path = tempfile.mkstemp(prefix="aloma-step-", suffix=suffix)
    with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return path


@step.command()
@click.argument("name")
@click.argument("new_name", metavar="NEW", required=False)
@click.option("--name", "option", metavar="NEW", help="The same as NEW.")
@click.option("--disabled", is_flag=True, help="Store the copy, but do not run it yet.")
@pass_common
def clone(common: Common, name: str, new_name: str | None, option: str | None, disabled: bool) -> None:
    """Store a copy of a step under the name NEW."""
    target = new_name or option
    if target is None:
        raise InputError("the name of the copy is missing: aloma-py step clone NAME NEW")
    _tell(
        common,
        client.ask(common.settings, "clone_step", name=name, new_name=target, enabled=not disabled),
        "added",
    )


@step.command()
@click.argument("name")
@pass_common
def enable(common: Common, name: str) -> None:
    """Let a stored step run again."""
    _tell(common, client.ask(common.settings, "update_step", name=name, enabled=True), "enabled")


@step.command()
@click.argument("name")
@pass_common
def disable(common: Common, name: str) -> None:
    """Keep a stored step from running."""
    _tell(common, client.ask(common.settings, "update_step", name=name, enabled=False), "disabled")


@step.command()
@click.argument("name")
@pass_common
def delete(common: Common, name: str) -> None:
    """Delete a stored step. Its versions are kept."""
    _tell(common, client.ask(common.settings, "delete_step", name=name), "deleted")


@step.command()
@click.argument("name")
@click.argument("version", required=False)
@pass_common
def versions(common: Common, name: str, version: str | None) -> None:
    """List the texts that a step has had in the store; with VERSION print that one."""
    if version is not None:
        one = client.ask(common.settings, "show_step_version", name=name, version=version)
        if common.as_json:
            output.emit_json(one)
        else:
            click.echo(output.clean(one["text"]), nl=False)
        return
    found = client.ask(common.settings, "step_versions", name=name)
    if common.as_json:
        output.emit_json(found)
        return
    made = output.table("n", "version", "at", "by", "")
    for one in found:
        cells = (str(one["n"]), one["version"], one["at"], one["by"], "deleted" if one["deleted"] else "")
        made.add_row(*(output.styled(cell) for cell in cells))
    output.print_table(output.console(), made)


@step.command()
@click.option("-p", "--path", default=".", show_default="this folder", metavar="FOLDER", help="Where to.")
@click.option("-s", "--step", "name", metavar="NAME", help="Only this one.")
@pass_common
def pull(common: Common, path: str, name: str | None) -> None:
    """Write the stored steps into files, NAME.js; a slash in the name makes a folder."""
    folders.pull(common, folders.STEPS, path, name)


@step.command()
@click.option("-p", "--path", default=".", show_default="this folder", metavar="FOLDER", help="Where from.")
@click.option("-s", "--step", "name", metavar="NAME", help="Only this one.")
@click.option("--prune", is_flag=True, help="Delete what is stored and has no file.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@pass_common
def sync(common: Common, path: str, name: str | None, prune: bool, dry_run: bool) -> None:
    """Store the steps of a folder, all or none. Nothing is deleted without --prune."""
    folders.sync(common, folders.STEPS, path, name, prune=prune, dry_run=dry_run)
