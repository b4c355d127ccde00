"""``aloma-py workspace``: make, look into, change and delete workspaces."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click
from click import get_current_context
from rich.console import Console

from aloma_py.cli import client, output
from aloma_py.cli.account import usage_table
from aloma_py.cli.asking import never_asks
from aloma_py.cli.deploy import deploy
from aloma_py.cli.options import CommandGroup, Common, pass_common, read_pairs
from aloma_py.cli.source import print_source, shown_source, source, sync
from aloma_py.cli.transfer import export_, import_
from aloma_py.errors import InputError, NotFoundError
from aloma_py.models import Json
from aloma_py.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_WHICH = click.argument("name", required=False)


@click.group(cls=CommandGroup, no_args_is_help=True)
def workspace() -> None:
    """Make, look into, change and delete workspaces.

    Without a NAME it is the workspace of --workspace or ALOMA_WORKSPACE.
    """


def _facts_options(command: F) -> F:
    options: list[Callable[[F], F]] = [
        click.option("--limit", "limits", metavar="K=V", multiple=True,
                     help="A limit of its own, as max_runs=50; an empty V: the installation's again."),
        click.option("--notification-groups", metavar="A,B", help="Who is told of failed tasks: groups, addresses."),
        click.option("--health-enabled", type=bool, metavar="true|false", help="Whether its health is looked after."),
        click.option("--tags", metavar="A,B", help="Its tags."),
        click.option("--title", "--name", "title", help="What it is called; its name stays."),
    ]  # fmt: skip
    for option in options:
        command = option(command)
    return command


def _given(
    title: str | None,
    tags: str | None,
    health_enabled: bool | None,
    notification_groups: str | None,
    limits: tuple[str, ...],
) -> dict[str, Json]:
    """The arguments that were given; an empty text clears."""
    found: dict[str, Json] = {
        "title": title,
        "tags": _words(tags),
        "health_enabled": health_enabled,
        "notification_groups": _words(notification_groups),
        "limits": read_pairs(limits, "--limit") or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def _settings(common: Common, name: str | None) -> Settings:
    settings = common.settings
    return settings if name is None else settings.model_copy(update={"workspace": name})


@workspace.command("list")
@click.option("--name-only", is_flag=True, help="Only the names, one a line.")
@pass_common
def list_(common: Common, name_only: bool) -> None:
    """List the workspaces."""
    found = client.ask(common.settings, "list_workspaces")
    if common.as_json:
        output.emit_json([one["name"] for one in found] if name_only else found)
        return
    if name_only:
        for one in found:
            click.echo(one["name"])
        return
    made = output.table("name", "title", "state", "tasks", "tags")
    made.columns[0].no_wrap = True
    for one in found:
        cells = (one["name"], one["title"] or "", one["state"], _tasks(one["tasks"]), ", ".join(one["tags"]))
        made.add_row(*map(output.styled, cells))
    output.print_table(output.console(), made)


@workspace.command()
@_WHICH
@click.option("-sc", "--source-config", "with_source", is_flag=True, help="And which repository it follows.")
@pass_common
def show(common: Common, name: str | None, with_source: bool) -> None:
    """Show a workspace."""
    found = client.ask(_settings(common, name), "show_workspace")
    if with_source and common.as_json:
        found = {**found, "source": shown_source(common, name)}
    _tell(common, found)
    if with_source and not common.as_json:
        print_source(common, name)


@workspace.command()
@click.argument("name")
@_facts_options
@pass_common
def add(common: Common, name: str, **facts: Any) -> None:
    """Make a workspace. Serve it with steps: aloma-py serve PATH --workspace NAME."""
    _tell(common, client.ask(common.settings, "add_workspace", name=name, **_given(**facts)))


@workspace.command()
@click.argument("name")
@pass_common
def switch(common: Common, name: str) -> None:
    """Print what makes NAME the workspace of a shell: eval "$(aloma-py workspace switch NAME)"."""
    found = client.ask(common.settings, "list_workspaces")
    if name not in {one["name"] for one in found}:
        raise NotFoundError("workspace", name, [one["name"] for one in found])
    if common.as_json:
        output.emit_json({"ALOMA_WORKSPACE": name})
        return
    click.echo(f"export ALOMA_WORKSPACE={shlex.quote(name)}")


@workspace.command()
@_WHICH
@_facts_options
@click.option("--env-var", "variables", metavar="K=V", multiple=True, help="Set a variable, as `env set`; any number.")
@pass_common
def update(common: Common, name: str | None, variables: tuple[str, ...], **facts: Any) -> None:
    """Change a workspace; an empty text clears."""
    settings = _settings(common, name)
    values, given = read_pairs(variables, "--env-var"), _given(**facts)
    if not values and not given:
        raise InputError("nothing to change was given; see aloma-py workspace update -h")
    found = client.ask(settings, "update_workspace", **given) if given else client.ask(settings, "show_workspace")
    for variable, value in values.items():
        done = client.ask(settings, "set_variable", name=variable, value=value)
        if "problem" in done:
            click.echo(output.clean(done["problem"]), err=True)
    _tell(common, found)


@workspace.command()
@_WHICH
@click.option("--unarchive", is_flag=True, help="Take it back.")
@pass_common
def archive(common: Common, name: str | None, unarchive: bool) -> None:
    """Set a workspace aside: its tasks rest where they are, and it takes none."""
    _tell(common, client.ask(_settings(common, name), "archive_workspace", unarchive=unarchive))


@workspace.command()
@_WHICH
@click.option("--cancel", is_flag=True, help="Take it back.")
@never_asks
@pass_common
def delete(common: Common, name: str | None, cancel: bool) -> None:
    """Close a workspace; 30 days later it is removed with all it has."""
    _tell(common, client.ask(_settings(common, name), "delete_workspace", cancel=cancel))


def _period(default: str) -> Callable[[F], F]:
    return click.option("--period", metavar="TIME", default=default, show_default=True, help="How far to look back.")


@workspace.command()
@click.option("--all", "everywhere", is_flag=True, help="Of all workspaces.")
@pass_common
def usage(common: Common, everywhere: bool) -> None:
    """Say what the workspace used in each month."""
    found = client.ask(common.settings, "account_usage" if everywhere else "workspace_usage")
    if common.as_json:
        output.emit_json(found)
        return
    output.print_table(output.console(), usage_table(found))


@workspace.command()
@_WHICH
@_period("24h")
@pass_common
def overview(common: Common, name: str | None, period: str) -> None:
    """Say in numbers what happened: tasks, runs, steps."""
    found = client.ask(_settings(common, name), "workspace_overview", period=period)
    if common.as_json:
        output.emit_json(found)
        return
    out = output.console()
    rate, took = found["automation_rate"], found["duration_ms"]
    rows: list[tuple[str, object]] = [
        ("workspace", found["workspace"]),
        ("tasks now", _tasks(found["tasks"]) or "none"),
        (f"last {period}", f"{found['created']} created; ended: {_tasks(found['ended']) or 'none'}"),
        ("automation rate", "–" if rate is None else f"{rate * 100:.1f} %"),
        ("duration", _took(took)),
        ("runs", f"{found['runs']}, {found['errors']} failed, {found['retries']} to be tried again"),
    ]
    output.print_table(out, output.facts(rows))
    if found["steps"]:
        steps = (
            (one["step"], one["runs"], one["errors"], one["retries"], output.duration(one["mean_ms"]))
            for one in found["steps"]
        )
        output.print_rows(out, ("step", "runs", "failed", "tried again", "mean"), steps)


@workspace.command()
@_WHICH
@_period("30d")
@pass_common
def health(common: Common, name: str | None, period: str) -> None:
    """Name what does nothing, and tasks that nobody will take up."""
    found = client.ask(_settings(common, name), "workspace_health", period=period)
    if common.as_json:
        output.emit_json(found)
        return
    out = output.console()
    unavailable = found.pop("connectors_unavailable")
    rows: list[tuple[str, object]] = [
        (key.replace("_", " "), ", ".join(value)) for key, value in found.items() if isinstance(value, list) and value
    ]
    stuck, attention = found["stuck"], found["attention"]
    rows += [("connector", one["problem"]) for one in unavailable]
    if stuck["count"]:
        looked = f"of {stuck['looked_at']} waiting"
        rows.append(("stuck", f"{output.counted(stuck['count'], 'task', 'tasks')} that no step matches ({looked})"))
    if attention["count"]:
        rows.append(("attention", output.counted(attention["count"], "task", "tasks")))
    if not rows:
        out.print(output.styled(f"nothing to say of the last {period}", "dim"))
        return
    output.print_table(out, output.facts(rows))
    _print_tasks(out, stuck["tasks"] + attention["tasks"])


def _print_tasks(out: Console, tasks: list[dict[str, Any]]) -> None:
    columns = ("id", "name", "reason")
    if tasks:
        output.print_rows(out, columns, ([output.one_line(one[key] or "") for key in columns] for one in tasks))


def _tell(common: Common, found: dict[str, Any]) -> None:
    if common.as_json:
        output.emit_json(found)
        return
    limits = ", ".join(f"{name}={value}" for name, value in found["limits"].items())
    rows: list[tuple[str, object]] = [
        ("name", found["name"]),
        ("title", found["title"]),
        ("state", found["state"]),
        ("tags", ", ".join(found["tags"])),
        ("limits", limits),
        ("health", "looked after" if found["health_enabled"] else None),
        ("told", ", ".join(found["notification_groups"])),
        ("tasks", _tasks(found.get("tasks", {}))),
        ("steps from", ", ".join(found.get("sources", []))),
        ("created", found["created_at"]),
        ("archived", found["archived_at"]),
        ("removed at", found["delete_at"]),
    ]
    output.print_table(output.console(), output.facts(rows))


def _tasks(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in sorted(counts.items()) if number)


def _took(took: dict[str, int | None]) -> str | None:
    if took["median"] is None or took["p95"] is None:
        return None
    return f"half within {output.duration(took['median'])}, 95 % within {output.duration(took['p95'])}"


workspace.add_command(export_)
workspace.add_command(import_)
workspace.also(add, "create")
workspace.also(switch, "use")


@workspace.command("deploy", hidden=True)
@click.option("-f", "--file", required=True, metavar="FILE", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the plan, and change nothing.")
@click.option("--prune", is_flag=True, help="Delete what is there and the file does not list.")
@pass_common
def deploy_(common: Common, **given: Any) -> None:
    """The same as `aloma-py deploy FILE`."""
    get_current_context().invoke(deploy, **given)


workspace.add_command(source)
workspace.add_command(sync)
