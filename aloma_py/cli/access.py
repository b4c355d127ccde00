"""``aloma-py user``, ``key`` and ``audit``: who may use the account over HTTP, and who changed what."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import rich_click as click

from aloma_py.cli import client, output
from aloma_py.cli.asking import make_sure, yes_option
from aloma_py.cli.options import CommandGroup, Common, pass_common, read_pairs
from aloma_py.durations import parse_duration
from aloma_py.errors import InputError
from aloma_py.operations.identity import read_email
from aloma_py.operations.roles import read_role
from aloma_py.run.handles import iso

F = TypeVar("F", bound=Callable[..., Any])

ROLES = "viewer, operator, developer or admin"


@click.group(cls=CommandGroup, no_args_is_help=True)
def user() -> None:
    """Invite, list, change and remove the people who may sign in.

    Whoever may open the store's files may do all of this. WHO is an email or an id.
    """


@click.group(cls=CommandGroup, no_args_is_help=True)
def key() -> None:
    """Make, list and revoke API keys, by which programs sign in."""


@user.command("list")
@pass_common
def list_people(common: Common) -> None:
    """List people, by email."""
    found = client.ask(common.settings, "list_people")
    out = output.listing(common.as_json, found, "no people yet; aloma-py user invite adds one")
    if out is not None:
        rows = ((one["email"], one["name"], one["state"], _roles(one), one["seen_at"] or "never") for one in found)
        output.print_rows(out, ("email", "name", "state", "roles", "seen"), rows)


def _role_option(more: str = "") -> Callable[[F], F]:
    return click.option("--role", "-r", metavar="ROLE", help=f"The role in every workspace: {ROLES}{more}.")


@user.command()
@click.argument("emails", metavar="EMAIL[,EMAIL…]")
@click.option("--name", help="What the person is called.  [default: the email's beginning]")
@_role_option()
@click.option("--in", "places", metavar="WORKSPACE=ROLE", multiple=True, help="A role in one workspace; any number.")
@click.option("--again", is_flag=True, help="A new invitation for somebody who is there: a password was forgotten.")
@pass_common
def invite(
    common: Common, emails: str, name: str | None, role: str | None, places: tuple[str, ...], again: bool
) -> None:
    """Invite a person, or several; the invitation that is printed sets the password, once."""
    invited = [email.strip() for email in emails.split(",") if email.strip()]
    if not invited:
        raise InputError(f"{emails!r}: an email was expected, or several with commas")
    if name is not None and len(invited) > 1:
        raise InputError("--name is of one person: several were given")
    if not again:
        for email in invited:  # all of them, before the first is invited
            read_email(email)
    answers = [_invite(common, email, name, role, places, again) for email in invited]
    if common.as_json:
        output.emit_json(answers if "," in emails else answers[0])
        return
    for answer in answers:
        click.echo(answer["invitation"])
        click.echo(
            f"invited {output.clean(answer['email'])} ({_roles(answer)}) until {answer['invitation_until']}; "
            "the invitation is not shown again",
            err=True,
        )


def _invite(
    common: Common, email: str, name: str | None, role: str | None, places: tuple[str, ...], again: bool
) -> dict[str, Any]:
    if again:
        if name or role or places:
            raise InputError("--again changes no name and no roles; aloma-py user update does")
        renewed: dict[str, Any] = client.ask(common.settings, "renew_invitation", id=email)
        return renewed
    given = {"name": name, "role": _highest(role), "workspaces": read_pairs(places, "--in") or None}
    roles: dict[str, Any] = {word: one for word, one in given.items() if one is not None}
    invited: dict[str, Any] = client.ask(common.settings, "invite_person", email=email, **roles)
    return invited


def _highest(roles: str | None) -> str | None:
    """Of several roles the highest, which may all that the others may."""
    if roles is None or "," not in roles:
        return roles
    return str(max(read_role(word) for word in roles.split(",")))


@user.command("update")
@click.argument("who")
@click.option("--name", help="What the person is called.")
@_role_option("; none takes it away")
@click.option("--in", "places", metavar="WORKSPACE=ROLE", multiple=True, help="A role in one workspace; any number.")
@click.option("--disable/--enable", "disabled", default=None, help="Keep the person out, or let them in again.")
@pass_common
def update_person(
    common: Common, who: str, name: str | None, role: str | None, places: tuple[str, ...], disabled: bool | None
) -> None:
    """Change a person's name or roles, or keep them out; what is not named stays."""
    given = {"name": name, "role": _highest(role), "workspaces": read_pairs(places, "--in") or None,
             "disabled": disabled}  # fmt: skip
    changes: dict[str, Any] = {word: one for word, one in given.items() if one is not None}
    if not changes:
        raise InputError("nothing to change was given: --name, --role, --in, --disable or --enable")
    answer = client.ask(common.settings, "update_person", id=who, **changes)
    said = f"updated {output.clean(answer['email'])}: {answer['state']}, {_roles(answer)}"
    output.tell(common.as_json, answer, said)


@user.command()
@click.argument("who")
@yes_option
@pass_common
def remove(common: Common, who: str, yes: bool) -> None:
    """Remove a person. The keys they made stay, and are named."""
    make_sure(yes, f"removing {who}", f"Remove {who} for good?")
    answer = client.ask(common.settings, "remove_person", id=who)
    if common.as_json:
        output.emit_json(answer)
        return
    click.echo(f"removed {output.clean(answer['email'])}")
    if answer["keys"]:
        click.echo(f"keys they made that still hold: {output.clean(', '.join(answer['keys']))}", err=True)


@key.command("list")
@pass_common
def list_keys(common: Common) -> None:
    """List keys, newest first; what they open with is not kept."""
    found = client.ask(common.settings, "list_keys")
    out = output.listing(common.as_json, found, "no keys yet; aloma-py key add makes one")
    if out is not None:
        rows = (
            (one["id"], one["name"], one["state"], one["role"], one["workspace"] or "all",
             one["expires_at"] or "never", one["used_at"] or "never")
            for one in found
        )  # fmt: skip
        output.print_rows(out, ("id", "name", "state", "role", "workspace", "expires", "used"), rows)


@key.command()
@click.argument("name")
@click.option("--role", metavar="ROLE", required=True, help=f"What it may: {ROLES}.")
@click.option("--in", "place", metavar="WORKSPACE", help="Only in this workspace.  [default: in all, and the account]")
@click.option("--expires", metavar="TIME", help="When it ends: 90d, or 2027-01-31T12:00:00Z.  [default: never]")
@pass_common
def add(common: Common, name: str, role: str, place: str | None, expires: str | None) -> None:
    """Make a key; it is printed now and never again."""
    given = {"workspace": place, "expires_at": _end(expires) if expires is not None else None}
    more: dict[str, Any] = {word: one for word, one in given.items() if one is not None}
    answer = client.ask(common.settings, "add_key", name=name, role=role, **more)
    if common.as_json:
        output.emit_json(answer)
        return
    click.echo(answer["key"])
    where = f"workspace {answer['workspace']!r}" if answer["workspace"] else "all workspaces"
    click.echo(f"key {answer['id']}: {answer['role']} in {where}; it is not shown again", err=True)


@key.command()
@click.argument("id", metavar="KEY")
@pass_common
def revoke(common: Common, id: str) -> None:
    """End a key at once; KEY is its id or name."""
    answer = client.ask(common.settings, "revoke_key", id=id)
    output.tell(common.as_json, answer, f"revoked {answer['id']} ({output.clean(answer['name'])})")


@click.command()
@click.option("--account", is_flag=True, help="What was changed in the account and in every workspace.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
@click.option("--before", type=int, metavar="NO", help="Only what was written before that line.")
@pass_common
def audit(common: Common, account: bool, limit: int, before: int | None) -> None:
    """Say who changed what in the workspace, newest first."""
    operation = "account_audit" if account else "audit"
    found = client.ask(common.settings, operation, limit=limit, before=before)
    if common.as_json:
        output.emit_json(found)
        return
    out = output.console()
    if not found:
        out.print(output.styled("nothing was changed", "dim"))
        return
    made = output.table("no", "at", "who", *(["workspace"] if account else []), "action", "details")
    for one in found:
        place = [one["workspace"] or "account"] if account else []
        details = json.dumps(one["details"], ensure_ascii=False)
        cells = (one["no"], output.to_seconds(one["at"]), one["who"], *place, one["action"], output.one_line(details))
        made.add_row(*map(output.styled, cells))
    output.print_table(out, made)
    if len(found) == limit:
        out.print(output.styled(f"the newest {limit}; more with --before {found[-1]['no']}", "dim"))


def _roles(one: dict[str, Any]) -> str:
    parts = [one["role"] or "", *(f"{place}={role}" for place, role in sorted(one["workspaces"].items()))]
    return output.one_line(", ".join(part for part in parts if part)) or "no role"


def _end(text: str) -> str:
    """The time that ``--expires`` means: a duration from now, or a time as it is."""
    try:
        return iso(time.time_ns() // 1_000_000 + parse_duration(text, "--expires"))
    except InputError:
        return text
