"""``aloma-py db``: look after the store."""

from __future__ import annotations

import datetime
import time

import rich_click as click

from aloma_py.cli import client, output, progress
from aloma_py.cli.options import CommandGroup, Common, pass_common
from aloma_py.cli.restoring import restore


@click.group(cls=CommandGroup, no_args_is_help=True)
def db() -> None:
    """Look after the store: what is in it, copies, making it smaller."""


@db.command()
@pass_common
def info(common: Common) -> None:
    """Say what is in the store."""
    found = client.ask(common.settings, "info")
    if common.as_json:
        output.emit_json(found)
        return
    tasks = [
        (f"tasks in {workspace}", ", ".join(f"{number} {state}" for state, number in sorted(states.items())))
        for workspace, states in found["tasks"].items()
    ]
    output.print_table(
        output.console(),
        output.facts(
            [
                ("store", found["path"]),
                ("size", f"{output.size(found['file_bytes'])}, of it free {output.size(found['free_bytes'])}"),
                ("log", output.size(found["wal_bytes"])),
                ("in use by", f"process {found['process']}" if found["process"] else "nobody"),
                *(tasks or [("tasks", "none")]),
                ("oldest", _time(found["oldest"])),
                ("newest", _time(found["newest"])),
                (
                    "rows",
                    ", ".join(f"{rows} {name}" for name, rows in found["rows"].items() if rows and name[0] != "_"),
                ),
                ("steps from", ", ".join(found["facts"].get("sources") or [])),
                ("schema", found["schema"]),
                ("SQLite", found["sqlite_version"]),
            ]
        ),
    )


def _time(at: int | None) -> str | None:
    if at is None:
        return None
    return datetime.datetime.fromtimestamp(at / 1000, datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@db.command()
@click.option("--tasks-days", type=click.FloatRange(min=0), help="Keep tasks that ended so many days ago, or less.")
@click.option("--logs-days", type=click.FloatRange(min=0), help="Keep log lines of so many days.")
@pass_common
def purge(common: Common, tasks_days: float | None, logs_days: float | None) -> None:
    """Remove what is older than it is to be kept, and make the file smaller.

    By default ended tasks are kept for 30 days, log lines for 14. A workspace with limits of its own keeps to them.
    Works with a server and without one.
    """
    began = time.monotonic()
    with progress.shown(common, "removing"):
        gone = client.ask(common.settings, "purge", keep_tasks_days=tasks_days, keep_logs_days=logs_days)
    if common.as_json:
        output.emit_json(gone)
        return
    took = output.duration((time.monotonic() - began) * 1000)
    what = ", ".join(f"{rows} of {name}" for name, rows in gone.items() if rows)
    click.echo(f"removed {what} in {took}" if what else "there was nothing to remove")


@db.command()
@click.argument("target", metavar="FILE")
@pass_common
def backup(common: Common, target: str) -> None:
    """Copy the store to a new file, also while it is served.

    The key of confidential values is not part of it: keep it apart.
    """
    from pathlib import Path

    with progress.shown(common, "copying"):
        made = client.ask(common.settings, "backup", target=str(Path(target).absolute()))
    if common.as_json:
        output.emit_json(made)
        return
    click.echo(f"wrote {made['path']} ({output.size(made['bytes'])})")
    if made["key_fingerprint"]:
        click.echo(f"confidential values need the key {made['key_fingerprint']}: keep it, apart from this file")


@db.command()
@pass_common
def verify(common: Common) -> int:
    """Read everything in the store and say what is not sound; the exit status is 1 if something is not."""
    with progress.shown(common, "reading the file"):
        found = client.ask(common.settings, "verify")
    if common.as_json:
        output.emit_json(found)
    else:
        for problem in found["problems"]:
            click.echo(output.clean(problem))
        verdict = "sound" if found["sound"] else f"not sound: {len(found['problems'])} problems"
        click.echo(f"{verdict}: {found['tasks']} tasks, {found['entries']} history entries")
    return 0 if found["sound"] else 1


db.add_command(restore)
