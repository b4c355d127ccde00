"""``aloma-py auth`` and ``logout``: servers elsewhere, saved with their keys."""

from __future__ import annotations

import sys

import rich_click as click

from aloma_py.cli.options import Common, pass_common
from aloma_py.cli.output import emit_json


@click.command()
@click.argument("address", metavar="URL")
@click.option("--name", default="default", show_default=True, metavar="NAME", help="What the profile is called.")
@pass_common
def auth(common: Common, address: str, name: str) -> None:
    """Save a server's address and an API key, for `--profile NAME`.

    The key is asked for, or read from stdin where that is no terminal, and tried before it is saved. With --workspace
    commands with this profile mean that workspace. The file is ~/.config/aloma-py/profiles.json, for its owner alone.
    """
    from aloma_py.cli.client import run
    from aloma_py.cli.profiles import Profile, save_profile
    from aloma_py.cli.remote import who_am_i
    from aloma_py.errors import InputError

    key = common.key or (click.prompt("API key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline())
    key = key.strip()
    if not key:
        raise InputError("an API key was expected; `aloma-py key add NAME` on the server makes one")
    known = run(lambda: who_am_i(address, key))
    file = save_profile(name, Profile(address, key, common.workspace))
    if common.as_json:
        emit_json({"profile": name, "url": address, "who": known})
        return
    click.echo(f"saved as {name!r} in {file}: {address}, as {known['name']}\ntry: aloma-py --profile {name} task list")


@click.command()
@click.argument("name", metavar="[NAME]", default="default")
@pass_common
def logout(common: Common, name: str) -> None:
    """Forget a saved server. The key stays valid: `aloma-py key revoke` ends it."""
    from aloma_py.cli.profiles import forget_profile

    forget_profile(name)
    if common.as_json:
        emit_json({"profile": name, "forgotten": True})
        return
    click.echo(f"forgot {name!r}")
