"""The commands of ``aloma-py step`` that change steps whose texts are stored, and folders beside them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from aloma_py.cli import client, folders, output
from aloma_py.cli.asking import never_asks
from aloma_py.cli.options import CommandGroup, Common, pass_common, switches
from aloma_py.errors import AlomaError, InputError, StoreError
from aloma_py.steps.javascript.define import SUFFIXES, read_text

F = TypeVar("F", bound=Callable[..., Any])

_BEGINNING = """export const condition = {
};

export const content = async () => {
};
"""


@click.group(cls=CommandGroup)
def stored() -> None:
    """The commands; they are part of `aloma-py step`."""


def _text_options(command: F) -> F:
    options: list[Callable[[F], F]] = [
        click.option("--description", metavar="TEXT", help="What it is for."),
        click.option("-b", "--body", metavar="BODY", help="What it does: the inside of an async function."),
        click.option("-c", "--condition", metavar="CONDITION",
                     help="The condition: JavaScript, or JSON with types as texts."),
        click.option("-f", "--file", metavar="FILE", help="The step, a JavaScript or TypeScript file."),
    ]  # fmt: skip
    for option in options:
        command = option(command)
    return command


@stored.command()
@click.argument("name")
@_text_options
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
    """Store a new step: a file, a condition and a body, or else what you write in your editor ($VISUAL or $EDITOR)."""
    given = _read_step(file, condition, body)
    if not given and _can_edit():
        text = click.edit(_BEGINNING, extension=".js", require_save=True)
        given = {} if text is None or text == _BEGINNING else {"text": text}
        if not given:
            raise InputError("nothing was written; no step was added")
        with _keeping(given["text"], ".js"):
            _add(common, name, given, description, disabled)
        return
    if "text" not in given and len(given) < 2:
        raise InputError("the step is missing: give it with -f FILE, or with -c CONDITION and -b BODY")
    _add(common, name, given, description, disabled)


@stored.command()
@click.argument("file", metavar="FILE")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option("--disabled", is_flag=True, help="Store it, but do not run it yet.")
@pass_common
def create(common: Common, file: str, description: str | None, disabled: bool) -> None:
    """Store a new step under the name of its file."""
    _add(common, Path(file).stem, _read_step(file, None, None), description, disabled)


@stored.command()
@click.argument("name")
@_text_options
@click.option("--rename", metavar="NAME", help="Its new name.")
@pass_common
def update(
    common: Common,
    name: str,
    file: str | None,
    condition: str | None,
    body: str | None,
    description: str | None,
    rename: str | None,
) -> None:
    """Change what is given of a stored step; the rest stays."""
    given = _read_step(file, condition, body)
    given |= {} if description is None else {"description": description}
    given |= {} if rename is None else {"new_name": rename}
    if not given:
        raise InputError("nothing to change was given: -f FILE, -c, -b, --description or --rename")
    _tell(common, client.ask(common.settings, "update_step", name=name, **given), "changed")


def _add(common: Common, name: str, given: dict[str, Any], description: str | None, disabled: bool) -> None:
    if description is not None:
        given["description"] = description
    _tell(common, client.ask(common.settings, "add_step", name=name, enabled=not disabled, **given), "added")


def _read_step(file: str | None, condition: str | None, body: str | None) -> dict[str, Any]:
    """What ``-f``, ``-c`` and ``-b`` say of a step's text."""
    if file is None:
        found = {"condition": None if condition is None else _read_condition(condition), "content": body}
        return {word: value for word, value in found.items() if value is not None}
    if condition is not None or body is not None:
        raise InputError("-f gives the whole step; use either it or -c and -b")
    suffix = Path(file).suffix
    if suffix not in SUFFIXES:
        raise InputError(f"-f {file}: a file that ends in .js, .mjs, .cjs, .ts or .mts was expected")
    return {"text": read_text(Path(file)), "suffix": suffix}


def _read_condition(text: str) -> Any:
    """JSON as what it means, anything else as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text


def _tell(common: Common, found: dict[str, Any], done: str) -> None:
    version = f" (version {found['version']})" if "version" in found else ""
    output.tell(common.as_json, found, output.clean(f"{done} the step {found['name']}{version}"))
    if not common.as_json:
        for hint in found.get("hints", ()):
            click.echo(output.clean(f"hint: {hint}"), err=True)


@stored.command()
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
    if not _can_edit():
        raise InputError("an editor needs a terminal; `aloma-py step pull` and `step sync` change steps by files")
    text = click.edit(found["text"], extension=found["suffix"], require_save=True)
    if text is None or text == found["text"]:
        if not common.as_json:
            output.console().print(output.styled("nothing was changed", "dim"))
        else:
            output.emit_json({"name": name, "version": found["version"], "changed": False})
        return
    with _keeping(text, found["suffix"]):
        answer = client.ask(common.settings, "update_step", name=name, text=text, version=found["version"])
    _tell(common, answer, "changed")


def _can_edit() -> bool:
    return (sys.stdin.isatty() and sys.stdout.isatty()) or "EDITOR" in os.environ or "VISUAL" in os.environ


@contextmanager
def _keeping(text: str, suffix: str) -> Iterator[None]:
    """Where what was written cannot be stored, it is kept in a file, and the error says in which."""
    try:
        yield
    except AlomaError as error:
        kind = InputError if isinstance(error, InputError) else StoreError
        raise kind(f"{error}; what you wrote is kept in {_kept(text, suffix)}") from error


def _kept(text: str, suffix: str) -> str:
    """A new file with the text."""
    number, path = tempfile.mkstemp(prefix="aloma-step-", suffix=suffix)
    with os.fdopen(number, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return path


@stored.command()
@click.argument("name")
@click.argument("new_name", metavar="NEW", required=False)
@click.option("--name", "option", metavar="NEW", help="The same as NEW.")
@click.option("--disabled", is_flag=True, help="Store the copy, but do not run it yet.")
@pass_common
def clone(common: Common, name: str, new_name: str | None, option: str | None, disabled: bool) -> None:
    """Store a copy of a step under the name NEW, or else "NAME copy"."""
    target = new_name or option or f"{name} copy"
    _tell(
        common,
        client.ask(common.settings, "clone_step", name=name, new_name=target, enabled=not disabled),
        "added",
    )


switches(stored, "update_step", "Let a stored step run again.", "Keep a stored step from running.", _tell)


@stored.command()
@click.argument("name")
@never_asks
@pass_common
def delete(common: Common, name: str) -> None:
    """Delete a stored step. Its versions are kept."""
    _tell(common, client.ask(common.settings, "delete_step", name=name), "deleted")


@stored.command()
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
    out = output.listing(common.as_json, found)
    if out is not None:
        rows = ((one["n"], one["version"], one["at"], one["by"], "deleted" if one["deleted"] else "") for one in found)
        output.print_rows(out, ("n", "version", "at", "by", ""), rows)


folders.add_commands(stored, folders.STEPS)
