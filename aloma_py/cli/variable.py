"""``aloma-py secret`` and ``aloma-py env``: what ``task.config(name)`` gives to steps."""

from __future__ import annotations

import sys
from typing import Any

import rich_click as click

from aloma_py import jsontext
from aloma_py.cli import client, output, progress
from aloma_py.cli.asking import never_asks, read_text_file, without_line_end
from aloma_py.cli.options import CommandGroup, Common, accepted_option, pass_common, refused_option
from aloma_py.errors import InputError


@click.group(cls=CommandGroup, no_args_is_help=True)
def secret() -> None:
    """Secrets: texts that task.config gives to steps, stored encrypted and shown to nobody.

    Wherever one would be written down, in a log, an error, a recorded call, (hidden: String) stands in its place.
    """


@secret.command("list")
@refused_option(
    "--show-values", why="a secret's value is never shown; where it is lost, `aloma-py secret set NAME` gives another"
)
@pass_common
def list_secrets(common: Common) -> None:
    """List the secrets, without their values."""
    _show_all(common, client.ask(common.settings, "list_secrets"))


def _value_options(command: Any) -> Any:
    command = accepted_option("--encrypted")(command)
    command = click.option("--description", metavar="TEXT", help="What it is for.")(command)
    return click.option("-f", "--file", metavar="FILE", help="Read the value from a file.")(command)


@secret.command("add")
@click.argument("name")
@click.argument("value", required=False)
@_value_options
@pass_common
def add_secret(common: Common, name: str, value: str | None, file: str | None, description: str | None) -> None:
    """Add a secret; an error where there is one of that name.

    The value is asked for, or read from standard input or a file; a line end behind it is not part of it. As VALUE on
    the command line others on this machine could see it.
    """
    _set_secret(common, name, value, file, description, new=True)


@secret.command("set")
@click.argument("name")
@click.argument("value", required=False)
@_value_options
@pass_common
def set_secret(common: Common, name: str, value: str | None, file: str | None, description: str | None) -> None:
    """Set a secret, new or not; the value comes as for add."""
    _set_secret(common, name, value, file, description, new=False)


@secret.command("delete")
@click.argument("name")
@never_asks
@pass_common
def delete_secret(common: Common, name: str) -> None:
    """Delete a secret: task.config gives nothing for it then."""
    _done(common, client.ask(common.settings, "delete_secret", name=name), f"deleted the secret {name}")


@secret.command("rotate-key")
@click.option("-f", "--file", metavar="FILE", help="The new key, base64 of 32 bytes. Without it, a random one.")
@pass_common
def rotate_key(common: Common, file: str | None) -> int:
    """Encrypt all secrets and confidential values of all workspaces with another key.

    Works with a server and without one. Whatever interrupts it, nothing is lost: it is finished when the store is
    served next, or by calling it again.
    """
    given = None if file is None else read_text_file(file)
    with progress.shown(common, "encrypting"):
        done = client.ask(common.settings, "rotate_key", new_key=given)
    if common.as_json:
        output.emit_json(done)
        return 1 if done["damaged"] else 0
    for problem in done["damaged"]:
        click.echo(output.clean(problem), err=True)
    values = f"{done['values']} value{'' if done['values'] == 1 else 's'}"
    click.echo(f"encrypted {values} with the key {done['fingerprint']}, before {done['before']}")
    click.echo(output.clean(done["next"]))
    return 1 if done["damaged"] else 0


@click.group(cls=CommandGroup, no_args_is_help=True)
def env() -> None:
    """Variables of the workspace: values that task.config gives to steps, and that everybody may see."""


@env.command("list")
@pass_common
def list_variables(common: Common) -> None:
    """List the variables with their values, and the secrets without."""
    _show_all(common, client.ask(common.settings, "list_variables"))


@env.command("set")
@click.argument("name")
@click.argument("value")
@click.option("--parse", is_flag=True, help="VALUE is JSON: a number, an object, … Without it, a text.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@pass_common
def set_variable(common: Common, name: str, value: str, parse: bool, description: str | None) -> None:
    """Set a variable, new or not."""
    content: Any = value
    if parse:
        try:
            content = jsontext.loads(value)
        except ValueError as error:
            raise InputError(f"the value {value!r} is no JSON: {error}") from None
    done = client.ask(common.settings, "set_variable", name=name, value=content, description=description)
    _done(common, done, f"set {name}")


@env.command("delete")
@click.argument("name")
@never_asks
@pass_common
def delete_variable(common: Common, name: str) -> None:
    """Delete a variable."""
    _done(common, client.ask(common.settings, "delete_variable", name=name), f"deleted {name}")


def _set_secret(
    common: Common, name: str, value: str | None, file: str | None, description: str | None, *, new: bool
) -> None:
    if value is not None and file is not None:
        raise InputError("either VALUE or --file was expected, not both")
    if value is not None:
        pass  # as the scripts of old have it
    elif file is not None:
        value = read_text_file(file)
    elif sys.stdin.isatty():
        value = click.prompt(f"value of {name}", hide_input=True, default="", show_default=False)
    else:
        value = without_line_end(sys.stdin.read())
    done = client.ask(common.settings, "set_secret", name=name, value=value, description=description, new=new)
    _done(common, done, f"set the secret {name}")


def _done(common: Common, answer: dict[str, Any], said: str) -> None:
    """Tell what was done, and what came of it in a running server."""
    if common.as_json:
        output.emit_json(answer)
        return
    click.echo(output.clean(said))
    output.warn_named(answer)
    if "problem" in answer:
        click.echo(output.clean(answer["problem"]), err=True)


def _show_all(common: Common, found: list[dict[str, Any]]) -> None:
    out = output.listing(common.as_json, found)
    if out is not None:
        rows = (
            (
                output.styled(one["name"], "cyan"),
                output.styled("(secret)", "dim") if one["secret"] else jsontext.dumps(one["value"]),
                *(one[fact] for fact in ("updated_at", "updated_by")),
                one["description"] or "",
            )
            for one in found
        )
        output.print_rows(out, ("name", "value", "changed", "by", "description"), rows)
