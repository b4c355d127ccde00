"""``aloma-py workspace export`` and ``workspace import``: a workspace into one file, and out of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import rich_click as click

from aloma_py.cli import client, output, progress
from aloma_py.cli.options import Common, pass_common
from aloma_py.errors import InputError

_PASSPHRASE = click.option(
    "--passphrase-file", metavar="FILE", help="Read the passphrase from a file; without it, it is asked for."
)


@click.command("export")
@click.argument("file", metavar="FILE")
@click.option("--tasks", is_flag=True, help="With the tasks, and all that is around them.")
@click.option("--since", metavar="TIME", help="Of the tasks those that are open, or changed so long ago or less: 30d.")
@click.option("--ended-only", is_flag=True, help="Of the tasks those that have ended.")
@click.option("--with-secrets", is_flag=True, help="With the secrets, encrypted with a passphrase.")
@_PASSPHRASE
@pass_common
def export_(
    common: Common,
    file: str,
    tasks: bool,
    since: str | None,
    ended_only: bool,
    with_secrets: bool,
    passphrase_file: str | None,
) -> None:
    """Write the workspace to a file, from which it can be made elsewhere.

    Members, API keys, the list of changes and the usage are not part of it. Steps of files are not either: take the
    files along. Without --with-secrets, secrets are left out and told by name.
    """
    if passphrase_file is not None and not with_secrets:
        raise InputError("--passphrase-file is for --with-secrets")
    passphrase = _passphrase(passphrase_file, again=True) if with_secrets else None
    arguments: dict[str, Any] = {"tasks": tasks, "since": since, "ended_only": ended_only, "passphrase": passphrase}
    settings = common.settings
    with progress.shown(common, "exporting") as told:
        if settings.url:
            from aloma_py.cli.transfer_http import download

            made = client.run(lambda: download(settings, Path(file).absolute(), arguments, told))
        else:
            made = client.ask(settings, "export_workspace", target=str(Path(file).absolute()), **arguments)
    if common.as_json:
        output.emit_json(made)
        return
    click.echo(f"wrote {output.clean(file)} ({output.size(made['bytes'])}): {_counted(made['counts'])}")
    for line in _missing(made["left_out"]):
        click.echo(output.clean(f"not in it: {line}"))
    if "warning" in made:
        click.echo(output.clean(f"warning: {made['warning']}"), err=True)


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option("--as", "name", metavar="NAME", help="The name of the workspace; without it, the one it had.")
@click.option("--new-addresses", is_flag=True, help="Give its webhooks other addresses than those it had.")
@click.option("--new-ids", is_flag=True, help="Give its tasks other ids, for a copy beside the original.")
@_PASSPHRASE
@pass_common
def import_(
    common: Common, file: str, name: str | None, new_addresses: bool, new_ids: bool, passphrase_file: str | None
) -> None:
    """Make a workspace of a file that export wrote.

    The whole file is looked at before anything is written. There must be no workspace of that name, or an empty one.
    Its open tasks go on here.
    """
    from aloma_py.transfer import Archive

    try:
        opened = Path(file).open("rb")  # noqa: SIM115
    except OSError as error:
        raise InputError(f"the file {file} cannot be read: {error.strerror}") from None
    with opened:
        manifest = Archive(opened, file).manifest
    needed = manifest.encryption is not None
    arguments: dict[str, Any] = {
        "passphrase": _passphrase(passphrase_file, again=False) if needed else None,
        "new_ids": new_ids,
        "new_addresses": new_addresses,
    }
    settings = common.settings.model_copy(update={"workspace": name or common.workspace or manifest.workspace})
    with progress.shown(common, "importing") as told:
        if settings.url:
            from aloma_py.cli.transfer_http import upload

            made = client.run(lambda: upload(settings, Path(file), arguments, told))
        else:
            made = client.ask(settings, "import_workspace", file=str(Path(file).absolute()), **arguments)
    if common.as_json:
        output.emit_json(made)
        return
    click.echo(output.clean(f"imported the workspace {made['workspace']}: {_counted(made['counts'])}"))
    for line in _missing(made["left_out"]):
        click.echo(output.clean(f"to be set here: {line}"))
    for address in made["new_addresses"]:
        click.echo(output.clean(f"webhook {address['name']}: {address['path']}"))
    for word in ("warning", "problem"):
        if word in made:
            click.echo(output.clean(made[word]), err=True)


_WORDS = {
    "steps": "step", "libraries": "library", "variables": "variable", "secrets": "secret", "webhooks": "webhook",
    "schedules": "schedule", "connectors": "connector", "tasks": "task", "open_tasks": "open task", "blobs": "blob",
    "files": "file",
}  # fmt: skip


def _counted(counts: dict[str, int]) -> str:
    """What there is of what people know by name."""
    found = [
        output.counted(counts[several], one, several.replace("_", " "))
        for several, one in _WORDS.items()
        if counts.get(several)
    ]
    return ", ".join(found) or "nothing but its name"


def _missing(left: dict[str, Any]) -> list[str]:
    """What is not in a file, in words."""
    found = [
        (left["secrets"], "the secrets"),
        (left["webhook_secrets"], "the secrets of the webhooks"),
        (left["connectors"], "the configuration of the connectors"),
        (left["sources"], "the steps of"),
        ([f"{space}={place}" for space, place in left["libraries"].items()], "the libraries of"),
    ]
    lines = [f"{what} {', '.join(names)}" for names, what in found if names]
    if left["source"]:
        lines.append("the credentials for the repository")
    if left["stashes"]:
        lines.append(f"the confidential values of {output.counted(left['stashes'], 'task', 'tasks')}")
    return lines


def _passphrase(file: str | None, *, again: bool) -> str:
    """The passphrase of a file, or of whoever sits at the terminal; it is never an argument, which others can see."""
    if file is not None:
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise InputError(f"the file {file} cannot be read: {reason}") from None
        return text.removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise InputError("the passphrase is missing: --passphrase-file FILE, or a terminal to type it at")
    found: str = click.prompt("passphrase", hide_input=True, confirmation_prompt=again)
    return found
