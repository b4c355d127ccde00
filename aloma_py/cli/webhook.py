"""``aloma-py webhook``: the addresses at which others give tasks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import rich_click as click

from aloma_py.cli import client, output
from aloma_py.cli.asking import make_sure, yes_option
from aloma_py.cli.options import CommandGroup, Common, pass_common, read_pairs
from aloma_py.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=CommandGroup, no_args_is_help=True)
def webhook() -> None:
    """Addresses at which others give tasks: POST …/event/ID.

    A webhook is named by its name or its id.
    """


def _webhook_options(command: F) -> F:
    """What a webhook asks for, as :func:`_options` reads it."""
    options: list[Callable[[F], F]] = [
        click.option("--description", help="What it is for."),
        click.option("--task", metavar="NAME", help="The name of its tasks.  [default: the webhook's]"),
        click.option("--timeout", metavar="DURATION", help="How long --respond result waits, at most 60s."),
        click.option(
            "--respond",
            type=click.Choice(["accepted", "result"]),
            help="Answer when the task is stored, or when it has ended.",
        ),
        click.option("--allow", multiple=True, metavar="CIDR", help="Only from these addresses; any number of times."),
        click.option("--max-bytes", type=int, metavar="N", help="The largest body."),
        click.option("--rate", type=int, metavar="N", help="At most so many deliveries a minute."),
        click.option("--header", "headers", multiple=True, metavar="NAME", help="A header to keep in $via.headers."),
        click.option("--dedupe", metavar="HOW", help="github, stripe, shopify, slack, header:NAME, body:PATH or none."),
        click.option("--secret", metavar="TEXT", help="The secret of its signatures; - reads it from standard input."),
        click.option(
            "--signature",
            metavar="HOW",
            help="github, stripe, slack, shopify, bearer, token:HEADER, header:HEADER, a JSON object, or none.",
        ),
    ]
    for option in options:
        command = option(command)
    return command


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as the operations want them."""
    found: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None and value != ()
    }
    how = found.get("signature")
    if how is not None:
        kind, colon, rest = how.partition(":")
        if how.lstrip().startswith("{"):
            try:
                found["signature"] = json.loads(how)
            except ValueError as error:
                raise InputError(f"--signature {how!r} is no JSON: {error}") from None
        elif colon and kind in ("token", "header"):
            found["signature"] = {kind: rest}
    return found


def _secret(given: str | None) -> str | None:
    return sys.stdin.readline().rstrip("\r\n") if given == "-" else given


@webhook.command("list")
@click.option("--show-urls", is_flag=True, help="With their addresses; whoever knows one may use it.")
@pass_common
def list_(common: Common, show_urls: bool) -> None:
    """List the webhooks, by name."""
    found = client.ask(common.settings, "list_webhooks")
    at = client.reached(common.settings) if show_urls else ""
    if common.as_json:
        shown = ({**one, "url": at + one["path"]} if show_urls else _without_address(one) for one in found)
        output.emit_json(list(shown))
        return
    out = output.listing(False, found, "no webhooks")
    if out is None:
        return
    made = output.table("name", "signature", "accepted", "last", *(["url"] if show_urls else []))
    made.columns[2].justify = "right"
    for one in found:
        row = [one["name"], _signature(one), str(one["accepted"]), one["last_at"] or "never"]
        made.add_row(*map(output.styled, [*row, *([at + one["path"]] if show_urls else [])]))
    output.print_table(out, made)


def _without_address(one: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name not in ("id", "path")}


def _signature(one: dict[str, Any]) -> str:
    how = one["options"].get("signature", "none")
    if isinstance(how, dict):
        how = " ".join(f"{name}={value}" for name, value in how.items())
    return how if how == "none" or one["has_secret"] else f"{how} (no secret: everything is refused)"


@webhook.command()
@click.argument("name")
@pass_common
def show(common: Common, name: str) -> None:
    """Show a webhook: address, options, how much it accepted."""
    _show(common, client.ask(common.settings, "show_webhook", name=name))


def _show(common: Common, found: dict[str, Any]) -> None:
    url = client.reached(common.settings) + found["path"]
    if common.as_json:
        output.emit_json({**found, "url": url})
        return
    options = {name: value for name, value in found["options"].items() if name != "signature"}
    rows: Sequence[tuple[str, object]] = [
        ("name", found["name"]),
        ("url", url),
        ("signature", _signature(found)),
        ("secret", found.get("secret") and f"{found['secret']} (it is not shown again)"),
        *((name, _plain(value)) for name, value in options.items()),
        ("accepted", found["accepted"] or "nothing yet"),
        ("last", found["last_at"]),
        ("created", f"{found['created_at']} by {found['created_by']}"),
    ]
    output.print_table(output.console(), output.facts(rows))


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@webhook.command()
@click.argument("name")
@_webhook_options
@pass_common
def add(common: Common, name: str, secret: str | None, **given: Any) -> None:
    """Make a webhook and print its address.

    Without --signature whoever knows the address may send. Where the secret may be made up, it is, and printed once.
    """
    options = _options(given)
    _show(common, client.ask(common.settings, "add_webhook", name=name, options=options, secret=_secret(secret)))


@webhook.command()
@click.argument("name")
@click.option("--name", "new_name", metavar="NAME", help="Another name.")
@click.option("--clear", multiple=True, metavar="OPTION", help="Take an option away; any number of times.")
@_webhook_options
@pass_common
def update(
    common: Common, name: str, new_name: str | None, clear: tuple[str, ...], secret: str | None, **given: Any
) -> None:
    """Change a webhook; what is not named stays."""
    options = {**{option.replace("-", "_"): None for option in clear}, **_options(given)}
    found = client.ask(
        common.settings, "update_webhook", name=name, options=options, secret=_secret(secret), new_name=new_name
    )
    _show(common, found)


@webhook.command()
@click.argument("name")
@yes_option
@pass_common
def delete(common: Common, name: str, yes: bool) -> None:
    """Remove a webhook; its tasks stay."""
    if not yes:
        name = client.ask(common.settings, "show_webhook", name=name)["name"]
        make_sure(yes, f"deleting {name}", f"Delete the webhook {name} for good?")
    answer = client.ask(common.settings, "delete_webhook", name=name)
    output.tell(common.as_json, answer, f"deleted {output.clean(answer['name'])}")


@webhook.command()
@click.argument("name")
@pass_common
def rotate(common: Common, name: str) -> None:
    """Give a webhook another address; the old one is unknown at once."""
    _show(common, client.ask(common.settings, "rotate_webhook", name=name))


@webhook.command()
@click.argument("name")
@click.option("-d", "--data", metavar="TEXT", default="", help="The body; - reads it from standard input.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; any number of times.")
@click.option("--query", default="", help="What stands behind the ? of the address.")
@pass_common
def test(common: Common, name: str, data: str, headers: tuple[str, ...], query: str) -> None:
    """Say what a request would become; no task is made.

    Without a Content-Type among the headers it is application/json.
    """
    body = sys.stdin.read() if data == "-" else data
    given = {"content-type": "application/json"}
    given |= {header.lower(): value for header, value in read_pairs(headers, "--header").items()}
    found = client.ask(common.settings, "test_webhook", name=name, body=body, headers=given, query=query)
    if common.as_json:
        output.emit_json(found)
        return
    out = output.console()
    rows = [("signature", found["signature"]), ("key", found["dedupe_key"]), ("problem", found["problem"])]
    output.print_table(out, output.facts(rows))
    if found["problem"] is None:
        for part in ("data", "via"):
            out.print(output.styled(part, "dim"))
            output.print_data(out, found[part])
