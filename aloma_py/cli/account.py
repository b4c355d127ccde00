"""``aloma-py account``: who one is, and what the account has and uses."""

from __future__ import annotations

import getpass
from typing import Any

import rich_click as click
from rich.table import Table

from aloma_py.cli import client, output
from aloma_py.cli.options import Common, pass_common
from aloma_py.settings import Settings

MONTHS = 3
"""How many months of use are shown to people; ``--json`` has all."""


@click.command()
@pass_common
def account(common: Common) -> None:
    """Say who you are, where you may do what, and what was used in each month.

    On the machine of the store whoever may open its files may do everything, as `local`.
    """
    settings = common.settings
    found = client.run(lambda: _look(settings))
    if common.as_json:
        output.emit_json(found)
        return
    _show(found)


async def _look(settings: Settings) -> dict[str, Any]:
    """``{who, workspaces, people, usage}``; ``people`` is ``None`` where one may not see them."""
    who = await _who(settings)
    async with client.connect(settings, "list_workspaces") as connection:
        if who["role"] is not None:
            listed = await connection.call("list_workspaces")
            usage = await connection.call("account_usage")
        else:
            listed = [{"name": name} for name in who["workspaces"]]
            usage = []
        people = len(await connection.call("list_people")) if who["role"] == "admin" else None
    if who["role"] is None:  # of an account that is not one's own, each workspace is asked for itself
        for one in listed:
            there = settings.model_copy(update={"workspace": one["name"]})
            async with client.connect(there, "workspace_usage") as connection:
                usage += await connection.call("workspace_usage")
    workspaces = [
        {"name": one["name"], "state": one.get("state"), "role": who["workspaces"].get(one["name"], who["role"]),
         "tasks": one.get("tasks")}
        for one in listed
    ]  # fmt: skip
    return {"who": who, "workspaces": workspaces, "people": people, "usage": usage}


async def _who(settings: Settings) -> dict[str, Any]:
    if settings.url:
        from aloma_py.cli.remote import who_am_i

        return await who_am_i(settings.url, settings.key)
    return {"kind": "local", "name": getpass.getuser(), "email": None, "role": "admin", "workspaces": {}}


def _show(found: dict[str, Any]) -> None:
    out, who = output.console(), found["who"]
    name = f"{who['name']} ({who['email']})" if who["email"] else f"{who['name']} ({who['kind']})"
    rows: list[tuple[str, object]] = [
        ("you", name),
        ("role", who["role"] or "none on the account"),
        ("people", found["people"]),
    ]
    output.print_table(out, output.facts(rows))
    if found["workspaces"]:
        out.print()
        made = output.table("workspace", "role", "state", "tasks")
        for one in found["workspaces"]:
            cells = (one["name"], one["role"], one["state"] or "", sum((one["tasks"] or {}).values()) or "")
            made.add_row(*map(output.styled, cells))
        output.print_table(out, made)
    months = sorted({one["month"] for one in found["usage"]})[-MONTHS:]
    shown = [one for one in found["usage"] if one["month"] in months]
    if shown:
        out.print()
        output.print_table(out, usage_table(shown))


def usage_table(found: list[dict[str, Any]]) -> Table:
    """What was used, a workspace and a month a line."""
    made = output.table("month", "workspace", "tasks", "runs", "calls", "compute")
    for one in found:
        counted = [one[name] for name in ("month", "workspace", "tasks", "runs", "calls")]
        made.add_row(*(output.styled(word) for word in (*counted, output.duration(one["millis"]))))
    return made
