"""``aloma-py deploy``: make workspaces what a deploy.yaml says."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from aloma_py.cli import progress
from aloma_py.cli.options import Common, accepted_option, pass_common, refused_option
from aloma_py.cli.output import emit_json

if TYPE_CHECKING:
    from aloma_py.deploy.planning import Change
    from aloma_py.deploy.wanted import WorkspaceWanted
    from aloma_py.settings import Settings

MARKS = {"add": "+", "change": "~", "set": "~", "delete": "-", "left": "?", "same": " "}


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Print the plan, and change nothing.")
@click.option("--prune", is_flag=True, help="Delete what is there and the file does not list.")
@accepted_option("--force")
@refused_option(
    "--git-ref",
    value=True,
    why="a deployment is made from the files that are there: check the commit out "
    "first, or have a workspace follow a repository with `aloma-py workspace source`",
)
@pass_common
def deploy(common: Common, file: Path, dry_run: bool, prune: bool) -> None:
    """Make workspaces what a deploy.yaml says.

    Prints the plan, then makes it true; to do it again changes nothing. What the file does not list stays, unless
    --prune is given, and then only of the kinds that the file lists. Where a change cannot be made, what was done in
    its workspace is taken back. ${NAME} in the file is the environment's variable of that name; --workspace NAME
    takes one workspace of the file alone.
    """
    from aloma_py.cli.client import run
    from aloma_py.deploy.reading import read_deployment
    from aloma_py.errors import NotFoundError

    found = read_deployment(file, os.environ)
    wanted = found.workspaces
    if common.workspace is not None:
        one = found.find(common.workspace)
        if one is None:
            raise NotFoundError("workspace in the file", common.workspace, [each.name for each in wanted])
        wanted = (one,)
    told: list[dict[str, Any]] = []
    for workspace in wanted:
        with progress.shown(common, f"deploying {workspace.name}"):
            changes, made = run(partial(_deploy, common.settings, workspace, prune=prune, dry_run=dry_run))
        told.append({"workspace": workspace.name, "changes": [_line(change) for change in changes], "made": made})
        if not common.as_json:
            _print(workspace.name, changes, made, dry_run=dry_run)
    if common.as_json:
        emit_json(told)


async def _deploy(
    settings: Settings, wanted: WorkspaceWanted, *, prune: bool, dry_run: bool
) -> tuple[list[Change], int]:
    """The plan for one workspace, and how many changes of it were made."""
    from aloma_py.cli.client import LocalClient, connect
    from aloma_py.deploy import applying
    from aloma_py.deploy.planning import plan
    from aloma_py.serve.house import idle_operations
    from aloma_py.store.sqlite import SQLiteStore

    here = settings.model_copy(update={"workspace": wanted.name})
    if dry_run and not settings.url and not settings.store.exists():
        async with SQLiteStore(":memory:") as store:
            nothing = LocalClient(idle_operations(store, here))
            return plan(wanted, await applying.look(nothing, wanted), prune=prune), 0
    async with connect(here, "list_tasks" if dry_run else "new_task") as client:
        present = await applying.look(client, wanted)
        changes = plan(wanted, present, prune=prune)
        if present.exists:
            await applying.check(client, changes)
        return changes, 0 if dry_run else await applying.apply(client, wanted.name, changes)


def _short(change: Change) -> str:
    """What is changed; a file below the folder that one works in as it is called there."""
    if change.kind == "module" and Path(change.name).is_relative_to(Path.cwd()):
        return str(Path(change.name).relative_to(Path.cwd()))
    return change.name


def _line(change: Change) -> dict[str, str]:
    return {"action": change.action, "kind": change.kind, "name": change.name, "note": change.note,
            "warning": change.warning}  # fmt: skip


def _print(workspace: str, changes: list[Change], made: int, *, dry_run: bool) -> None:
    click.echo(f"workspace {workspace}")
    for change in changes:
        if change.action != "same":
            note = f"  ({change.note})" if change.note else ""
            click.echo(f"  {MARKS[change.action]} {change.action:<6} {change.kind} {_short(change)}{note}")
        if change.warning:
            click.echo(f"  ! {change.warning}")
    same = sum(change.action == "same" for change in changes)
    left = sum(change.action == "left" for change in changes)
    told = [f"{same} as they are"] if same else []
    told += [f"{left} not in the file: --prune deletes them"] if left else []
    wanted = sum(change.action in ("add", "change", "set", "delete") for change in changes)
    first = f"{wanted} to change" if dry_run else f"{wanted} changed" if made else "nothing to change"
    click.echo(f"  {'; '.join([first, *told])}")
