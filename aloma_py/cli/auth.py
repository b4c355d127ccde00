"""``aloma-py auth``, ``setup`` and ``logout``: servers elsewhere, saved with their keys."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

import rich_click as click

from aloma_py.cli.asking import ask_for, read_text_file
from aloma_py.cli.options import Common, pass_common
from aloma_py.cli.output import emit_json
from aloma_py.errors import InputError


@click.command()
@click.argument("address", metavar="[URL]", required=False)
@click.option("--name", metavar="NAME", help="What the profile is called.  [default: default]")
@pass_common
def auth(common: Common, address: str | None, name: str | None) -> None:
    """Save a server's address and an API key, for `--profile NAME`.

    The key is asked for, or read from stdin where that is no terminal, and tried before it is saved. With --workspace
    commands with this profile mean that workspace. The file is ~/.config/aloma-py/profiles.json, for its owner alone.
    """
    from aloma_py.cli.client import run
    from aloma_py.cli.remote import who_am_i

    url = _address(common, address)
    key = common.key or (click.prompt("API key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline())
    key = key.strip()
    if not key:
        raise InputError("an API key was expected; `aloma-py key add NAME` on the server makes one")
    known = run(lambda: who_am_i(url, key))
    _save(common, name, url, key, known)


def _address(common: Common, given: str | None) -> str:
    """The server that is meant: URL, else --url, else ALOMA_URL, else what a person answers."""
    known = given or common.url or os.environ.get("ALOMA_URL") or None
    if known is None and not sys.stdin.isatty():
        raise InputError("the server's address is missing: give it as URL, like https://HOST, or in ALOMA_URL")
    return ask_for(known, "the server's address, https://HOST", "URL").rstrip("/")


def _save(common: Common, name: str | None, url: str, key: str, known: dict[str, Any]) -> None:
    from aloma_py.cli.profiles import Profile, save_profile

    name = name or common.profile or "default"
    file = save_profile(name, Profile(url, key, common.workspace))
    if common.as_json:
        emit_json({"profile": name, "url": url, "who": known})
        return
    click.echo(f"saved as {name!r} in {file}: {url}, as {known['name']}\ntry: aloma-py --profile {name} task list")


@click.command()
@click.argument("address", metavar="[URL]", required=False)
@click.option("--token", metavar="TOKEN", help="The setup token that `serve` printed when it started.")
@click.option("--email", help="Your email, with which you sign in.")
@click.option("--name", help="What you are called.  [default: the email's beginning]")
@click.option("--password-file", metavar="FILE", help="Read the password from a file; - is standard input.")
@pass_common
def setup(
    common: Common,
    address: str | None,
    token: str | None,
    email: str | None,
    name: str | None,
    password_file: str | None,
) -> None:
    """Make the first administrator of a new server, and save the server as `auth` does.

    Without URL it is that of this machine. A server prints a setup token when it starts, as long as it has no person
    and no key. What is not given is asked for. An API key is made too, and saved as --profile NAME says.
    """
    from aloma_py.cli.client import run
    from aloma_py.cli.remote import set_up

    url = _address(common, address or _here(common))
    token = ask_for(token, "the setup token", "--token").strip()
    email = ask_for(email, "your email", "--email")
    name = ask_for(name if name or sys.stdin.isatty() else email.partition("@")[0], "your name", "--name",
                   default=email.partition("@")[0])  # fmt: skip
    password = _new_password(password_file)
    key_name = f"cli on {socket.gethostname()}"[:80]
    known, key = run(lambda: set_up(url, token, email, name, password, key_name))
    _save(common, None, url, key, known)


def _here(common: Common) -> str | None:
    """The server of this machine, where no other is named."""
    if common.url or os.environ.get("ALOMA_URL"):
        return None
    if common.profile is not None:
        return None
    from aloma_py.cli.client import ask_server, run

    said = run(lambda: ask_server(common.settings))
    if said is not None and "http" in said:
        return said["http"]
    return None if common.settings.http == "off" else f"http://{common.settings.http}"


def _new_password(file: str | None) -> str:
    if file is not None:
        return read_text_file(file)
    if not sys.stdin.isatty():
        raise InputError("the password is missing: give it with --password-file FILE; - is standard input")
    answer: str = click.prompt("Password (12 characters or more)", hide_input=True, confirmation_prompt=True, err=True)
    return answer


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@pass_common
def logout(common: Common, name: str | None) -> None:
    """Forget a saved server. The key stays valid: `aloma-py key revoke` ends it."""
    from aloma_py.cli.profiles import forget_profile

    name = name or common.profile or "default"
    forget_profile(name)
    if common.as_json:
        emit_json({"profile": name, "forgotten": True})
        return
    click.echo(f"forgot {name!r}")
