"""``aloma-py notification``: who is told of tasks that failed, and what became of the messages."""

from __future__ import annotations

import time
from typing import Any

import rich_click as click

from aloma_py.cli import client, output
from aloma_py.cli.asking import make_sure, yes_option
from aloma_py.cli.options import CommandGroup, Common, pass_common
from aloma_py.errors import InputError


@click.group(cls=CommandGroup, no_args_is_help=True)
def notification() -> None:
    """Say who is told of tasks that failed.

    A group has addresses of mail and of webhooks, and is told at most once in 15 minutes. Workspaces name their groups:
    aloma-py workspace update NAME --notification-groups GROUP. A running `aloma-py serve` tells them.
    """


@notification.command("list")
@pass_common
def list_(common: Common) -> None:
    """List who is told, and of which workspaces."""
    found = client.ask(common.settings, "list_notification_groups")
    if common.as_json:
        output.emit_json(found)
        return
    out = output.console()
    if not found:
        out.print(output.styled("nobody is told of anything", "dim"))
        return
    made = output.table("name", "tells", "every", "workspaces", "next")
    for one in found:
        cells = (one["name"], _tells(one), _every(one), ", ".join(one["workspaces"]) or "none", one["next_at"] or "")
        style = "yellow" if one["kind"] == "unknown" else ""
        made.add_row(*(output.styled(output.one_line(cell), style) for cell in cells))
    output.print_table(out, made)


def _tells(one: dict[str, Any]) -> str:
    if one["kind"] == "unknown":
        return "nobody: there is no such group"
    if one["kind"] != "group":
        return "itself"
    return ", ".join([*one["addresses"], *one["webhooks"]])


def _every(one: dict[str, Any]) -> str:
    return "" if one["every"] is None else output.duration(one["every"])


@notification.command()
@click.argument("name")
@pass_common
def show(common: Common, name: str) -> None:
    """Show a group."""
    found = client.ask(common.settings, "show_notification_group", name=name)
    if common.as_json:
        output.emit_json(found)
        return
    rows = [
        ("name", found["name"]),
        ("mail", "\n".join(found["addresses"])),
        ("webhooks", "\n".join(found["webhooks"])),
        ("signed", "yes" if found["signed"] else None),
        ("every", _every(found)),
        ("workspaces", ", ".join(found["workspaces"]) or "none names it"),
        ("next digest", found["next_at"] or "nothing failed"),
        ("changed", f"{found['updated_at']} by {found['updated_by']}"),
    ]
    output.print_table(output.console(), output.facts(rows))


@notification.command()
@click.argument("name")
@click.option("--mail", "addresses", metavar="ADDRESS", multiple=True, help="An address of mail; any number of times.")
@click.option("--webhook", "webhooks", metavar="URL", multiple=True, help="A webhook; any number of times.")
@click.option("--every", metavar="TIME", default="15m", show_default=True, help="At most once in so long, up to 24h.")
@click.option("--secret-file", type=click.File(), help="What webhooks are signed with; - is stdin.  [default: made]")
@pass_common
def add(
    common: Common, name: str, addresses: tuple[str, ...], webhooks: tuple[str, ...], every: str, secret_file: Any
) -> None:
    """Make a group. What its webhooks are signed with is printed, this once."""
    given = {} if secret_file is None else {"secret": secret_file.read().strip()}
    made = client.ask(common.settings, "add_notification_group", name=name, addresses=list(addresses),
                      webhooks=list(webhooks), every=every, **given)  # fmt: skip
    _tell(common, made, "added")


@notification.command()
@click.argument("name")
@click.option(
    "--mail", "addresses", metavar="ADDRESS", multiple=True, help="In place of all its addresses; '' for none."
)
@click.option("--webhook", "webhooks", metavar="URL", multiple=True, help="In place of all its webhooks; '' for none.")
@click.option("--every", metavar="TIME", help="At most once in so long.")
@click.option("--secret-file", type=click.File(), help="What webhooks are signed with; - is stdin.")
@click.option("--new-secret", is_flag=True, help="Make another one.")
@pass_common
def update(
    common: Common,
    name: str,
    addresses: tuple[str, ...],
    webhooks: tuple[str, ...],
    every: str | None,
    secret_file: Any,
    new_secret: bool,
) -> None:
    """Change what is given of a group; the rest stays."""
    given: dict[str, Any] = {}
    if addresses:
        given["addresses"] = [one for one in addresses if one.strip()]
    if webhooks:
        given["webhooks"] = [one for one in webhooks if one.strip()]
    if every is not None:
        given["every"] = every
    if secret_file is not None and new_secret:
        raise InputError("--secret-file and --new-secret both say what the secret is; use one of them")
    if secret_file is not None or new_secret:
        given["secret"] = "new" if new_secret else secret_file.read().strip()
    if not given:
        raise InputError("nothing to change was given; see aloma-py notification update -h")
    _tell(common, client.ask(common.settings, "update_notification_group", name=name, **given), "changed")


@notification.command()
@click.argument("name")
@yes_option
@pass_common
def delete(common: Common, name: str, yes: bool) -> None:
    """Remove a group; messages of its that wait are given up."""
    make_sure(yes, f"deleting the group {name!r}", f"Delete the group {name} for good?")
    answer = client.ask(common.settings, "delete_notification_group", name=name)
    if common.as_json:
        output.emit_json(answer)
        return
    click.echo(f"deleted {output.one_line(answer['name'])}")
    if answer["workspaces"]:
        click.echo(f"these workspaces name it, and tell nobody by it now: {', '.join(answer['workspaces'])}", err=True)


@notification.command()
@click.argument("to", required=False, metavar="[GROUP|ADDRESS]")
@pass_common
def test(common: Common, to: str | None) -> int:
    """Send a test at once, and say what was answered.

    To a group, an address of mail or a webhook; without one, to all that the workspace names. The exit status is 1
    where something did not arrive.
    """
    names = [to] if to is not None else client.ask(common.settings, "show_workspace")["notification_groups"]
    if not names:
        raise InputError(
            f"the workspace {common.settings.workspace!r} names nobody to be told: "
            "aloma-py workspace update --notification-groups GROUP, or name a group or an address here"
        )
    found = [one for name in names for one in _try(common, name, alone=to is not None)]
    if common.as_json:
        output.emit_json(found)
    else:
        made = output.table("", "target", "answer")
        made.show_header = False
        for one in found:
            mark, style = ("✓", "green") if one["delivered"] else ("✗", "bold red")
            texts = (output.one_line(one[key]) for key in ("target", "answer"))
            made.add_row(output.styled(mark, style), *map(output.styled, texts))
        output.print_table(output.console(), made)
    return 0 if all(one["delivered"] for one in found) else 1


def _try(common: Common, name: str, *, alone: bool) -> list[dict[str, Any]]:
    """What was answered; where others are tried too, a name that is none is one more that did not arrive."""
    try:
        found: list[dict[str, Any]] = client.ask(common.settings, "test_notification", to=name)
        return found
    except InputError as error:
        if alone:
            raise
        return [{"target": name, "delivered": False, "answer": str(error)}]


@notification.command()
@click.option("--state", metavar="STATE", help="Only those that are waiting, delivered or failed.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="So many.")
@click.option("--before", type=int, metavar="NO", help="Only those before that number.")
@pass_common
def log(common: Common, state: str | None, limit: int, before: int | None) -> None:
    """List messages, the newest first: what became of them."""
    given: dict[str, Any] = {"state": state, "before": before}
    kept = {name: value for name, value in given.items() if value is not None}
    found = client.ask(common.settings, "list_notifications", limit=limit, **kept)
    if common.as_json:
        output.emit_json(found)
        return
    out = output.console()
    if not found:
        out.print(output.styled("no messages", "dim"))
        return
    styles = {"waiting": "yellow", "delivered": "green", "failed": "bold red"}
    made = output.table("no", "when", "group", "target", "state", "attempts", "")
    for one in found:
        ago = output.duration(max(time.time_ns() // 1_000_000 - output.read_iso(one["created_at"]), 0))
        about = one["text"] if one["error"] is None else f"{one['text']}: {one['error']}"
        made.add_row(str(one["no"]), f"{ago} ago", output.styled(one["group"]), output.styled(one["target"]),
                     output.styled(one["state"], styles[one["state"]]), str(one["attempts"]),
                     output.styled(output.one_line(about)))  # fmt: skip
    output.print_table(out, made)


@notification.command()
@click.argument("no", type=int)
@pass_common
def retry(common: Common, no: int) -> None:
    """Have a message that waits, or was given up, tried at once."""
    answer = client.ask(common.settings, "retry_notification", no=no)
    if common.as_json:
        output.emit_json(answer)
    else:
        click.echo(f"{answer['no']} to {output.one_line(answer['target'])} is tried again")


def _tell(common: Common, answer: dict[str, Any], what: str) -> None:
    if common.as_json:
        output.emit_json(answer)
        return
    tells = output.one_line(_tells(answer))
    click.echo(f"{what} {output.one_line(answer['name'])}: tells {tells}, at most once in {_every(answer)}")
    if answer["secret"] is not None:
        click.echo(f"webhooks are signed with {answer['secret']}")
        click.echo("it is not shown again", err=True)
    if not answer["workspaces"]:
        click.echo(f"no workspace names it: aloma-py workspace update --notification-groups {answer['name']}", err=True)
