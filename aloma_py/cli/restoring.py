"""``aloma-py db restore``: a backup in the place of the store."""

from __future__ import annotations

import time
from pathlib import Path

import rich_click as click

from aloma_py.cli import output, progress
from aloma_py.cli.options import Common, pass_common
from aloma_py.errors import InputError


@click.command()
@click.argument("backup", metavar="BACKUP")
@pass_common
def restore(common: Common, backup: str) -> int:
    """Put a backup in the place of the store.

    It is read through first. The store that was there is kept beside it, as FILE.before-TIME. A key file beside the
    backup (BACKUP.key) comes with it. Tasks that went on after the backup are where they were: when the store is
    served, their steps run again, and so do their calls. Stop the server first.

    The exit status is 1 where a key is missing that values in it were encrypted with.
    """
    from aloma_py.store.restore import restore as put_back

    settings = common.settings
    if settings.url:
        raise InputError("a backup is restored on the machine of the store: leave --url, --profile and ALOMA_URL out")
    with progress.shown(common, "reading the backup"):
        done = put_back(settings.store, Path(backup), time.time_ns() // 1_000_000)
    if common.as_json:
        output.emit_json(
            {
                "path": str(done.path),
                "backup": str(done.backup),
                "tasks": done.tasks,
                "entries": done.entries,
                "kept": None if done.kept is None else str(done.kept),
                "keys": [str(key) for key in done.keys],
                "missing_keys": list(done.missing_keys),
            }
        )
        return 1 if done.missing_keys else 0
    click.echo(f"restored {done.path}: {done.tasks} tasks, {done.entries} history entries")
    for key in done.keys:
        click.echo(f"with the key file {key}")
    if done.kept is not None:
        click.echo(f"what was there is kept as {done.kept}")
    for missing in done.missing_keys:
        click.echo(f"confidential values in it need the key {missing}, which is not here: put it beside the store "
                   f"({done.path.name}.key) or into ALOMA_STASH_KEY", err=True)  # fmt: skip
    return 1 if done.missing_keys else 0
