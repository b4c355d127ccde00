"""``aloma-py task``: give, list, look into and change tasks."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import rich_click as click

from aloma_py.cli import client, output
from aloma_py.cli.asking import make_sure, yes_option
from aloma_py.cli.options import CommandGroup, Common, data_options, pass_common, read_data, steps_option
from aloma_py.cli.tasklist import list_tasks, now
from aloma_py.cli.timeline import Timeline, check_chosen, chosen, rest_line
from aloma_py.errors import InputError
from aloma_py.settings import limits_of


@click.group(cls=CommandGroup, no_args_is_help=True)
def task() -> None:
    """Give, list, look into and change tasks.

    They are those of a running `aloma-py serve`, or of the store where none runs. An ID may be shortened to a
    beginning that only one task has.
    """


@task.command()
@click.argument("name")
@data_options
@click.option("--tag", "tags", multiple=True, help="A tag; any number of times.")
@pass_common
def new(common: Common, name: str, data: str | None, file: str | None, tags: tuple[str, ...]) -> None:
    """Give a task; it is on disk when this returns."""
    settings = common.settings
    content = read_data(data, file, limits_of(settings))
    answer = client.ask(settings, "new_task", data=content, name=name, tags=list(tags))
    _tell(common, answer, "accepted")


task.add_command(list_tasks)


@task.command()
@click.argument("id")
@click.option("--data", "data_only", is_flag=True, help="Print the data only, as JSON.")
@click.option("--output", "file", metavar="FILE", help="Write JSON to a file: the data with --data, else all of it.")
@pass_common
def show(common: Common, id: str, data_only: bool, file: str | None) -> None:
    """Show a task: its state and why, its data, what it made."""
    found = client.ask(common.settings, "show_task", id=id)
    if file is not None:
        _write(Path(file), found["data"] if data_only else found)
        output.tell(common.as_json, {"id": found["id"], "file": file}, output.clean(f"wrote {file}"))
        return
    if data_only or common.as_json:
        output.emit_json(found["data"] if data_only else found)
        return
    out = output.console()
    via = found["via"] or {}
    errors = found["data"].get("$errors")
    output.print_table(
        out,
        output.facts(
            [
                ("id", found["id"]),
                ("name", found["name"]),
                ("tags", ", ".join(found["tags"])),
                ("state", rest_line(found, now())),
                ("created", found["created_at"]),
                ("changed", found["updated_at"]),
                ("expires", found["expires_at"]),
                ("from", " ".join(str(via[part]) for part in ("type", "name", "id") if via.get(part))),
                (
                    "history",
                    f"{output.counted(found['history_entries'], 'entry', 'entries')} (aloma-py task log {found['id']})",
                ),
                ("calls", len(found["calls"]) or None),
                *(("error", output.one_line(f"{step}: {_message(error)}")) for step, error in _items(errors)),
                *(("subtask", f"{child['id']}  {child['name']}  {child['state']}") for child in found["subtasks"]),
                *(("audit", entry["text"]) for entry in found["audit"]),
                *(("picture", f"{picture['name']} ({picture['type']})") for picture in found["visualizations"]),
            ]
        ),
    )
    out.print(output.styled("data", "dim"))
    output.print_data(out, found["data"])
    if found["result"] is not None:
        out.print(output.styled("result", "dim"))
        output.print_data(out, found["result"])


def _write(file: Path, content: Any) -> None:
    """Write JSON, whole or not at all; what was there is replaced."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", "utf-8", "backslashreplace")
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{str(file)!r} cannot be written: {error.strerror or error}") from None


def _items(errors: Any) -> list[tuple[str, Any]]:
    return list(errors.items()) if isinstance(errors, dict) else []


def _message(error: Any) -> Any:
    return error.get("message", error) if isinstance(error, dict) else error


@task.command()
@click.argument("id")
@click.option("--changes", is_flag=True, help="Only what changed.")
@click.option("--logs", is_flag=True, help="Only what was logged.")
@click.option("--step", metavar="N", help="Only entry number N, or the runs of the step of this name.")
@click.option("--follow", is_flag=True, help="Go on as it happens, until the task has ended.")
@click.option("--verbose", is_flag=True, help="What changed and what was logged, as without --changes and --logs.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), help="json is the same as --json.")
@pass_common
def log(
    common: Common, id: str, changes: bool, logs: bool, step: str | None, follow: bool, verbose: bool, form: str | None
) -> None:
    """Print a task's history: each wave, its runs, what they changed and said.

    With --json it is one document; with --follow too, one line for each entry.
    """
    as_json = common.as_json if form is None else form == "json"
    changes, logs = changes or verbose, logs or verbose

    async def work() -> None:
        timeline: Timeline | None = None
        task: dict[str, Any] = {}
        seen: list[dict[str, Any]] = []
        async with client.connect(common.settings, "follow") as connection:
            async for task, entries in _pieces(connection, id, follow):
                seen += entries
                if not follow:  # a follower waits for what may still come
                    check_chosen(seen, step, id)
                wanted = chosen(entries, step)
                if as_json and follow:
                    for entry in wanted:
                        output.emit_json(entry, compact=True)
                elif as_json:
                    output.emit_json({"task": task, "entries": wanted})
                else:
                    timeline = timeline or Timeline(
                        out, output.read_iso(task["created_at"]), changes or not logs, logs or not changes
                    )
                    timeline.show(wanted)
                sys.stdout.flush()
        check_chosen(seen, step, id)
        if not as_json:
            out.print(rest_line(task, now()))

    out = output.console()
    client.run(work)


async def _pieces(connection: client.Client, id: str, follow: bool) -> Any:
    """The task and its new entries: once, or as they come."""
    if not follow:
        after, answer = 0, await connection.call("task_log", id=id)
        while answer["entries"]:
            yield answer["task"], answer["entries"]
            after = answer["entries"][-1]["n"]
            answer = await connection.call("task_log", id=id, after=after)
        if not after:
            yield answer["task"], []
        return
    async for item in connection.follow(id=id):
        yield item["task"], item["entries"]


@task.command()
@click.argument("id")
@click.argument("step")
@steps_option
@pass_common
def why(common: Common, id: str, step: str, sources: tuple[str, ...]) -> None:
    """Say why a step ran on a task, or did not.

    The table judges the step's condition on the task's data as it is now.
    """
    found = client.ask(common.settings, "why", sources=sources, id=id, step=step)
    if common.as_json:
        output.emit_json(found)
        return
    out = output.console()
    verdict = "matches" if found["matches"] else "does not match"
    out.print(output.styled(f"step {step!r} {verdict} task {found['task']} ({found['state']}) as it is now", "bold"))
    output.print_table(out, output.rows_table(found["rows"]))
    out.print()
    for sentence in found["explanation"]:
        out.print(output.styled(sentence))


@task.command()
@click.argument("id")
@data_options
@steps_option
@pass_common
def update(common: Common, id: str, data: str | None, file: str | None, sources: tuple[str, ...]) -> None:
    """Bring data into a task: objects are merged member by member, anything else is replaced."""
    settings = common.settings
    content = read_data(data, file, limits_of(settings))
    _tell(common, client.ask(settings, "update_task", sources=sources, id=id, data=content), "updated")


@task.command()
@click.argument("id")
@pass_common
def stop(common: Common, id: str) -> None:
    """Stop a task and its open subtasks; resume goes on."""
    _tell(common, client.ask(common.settings, "stop_task", id=id), "stopped", advanced=False)


@task.command()
@click.argument("id")
@pass_common
def resume(common: Common, id: str) -> None:
    """Let a task go on: its errors are cleared, and the steps that failed may run again."""
    _tell(common, client.ask(common.settings, "resume_task", id=id), "resumed")


@task.command()
@click.argument("id")
@click.option("--name", help="The new task's name.")
@click.option("--current", is_flag=True, help="With the data as it is now, instead of as it was at the beginning.")
@pass_common
def clone(common: Common, id: str, name: str | None, current: bool) -> None:
    """Give a new task with the data of another."""
    _tell(common, client.ask(common.settings, "clone_task", id=id, name=name, current=current), "cloned as")


@task.command()
@click.argument("id")
@yes_option
@pass_common
def delete(common: Common, id: str, yes: bool) -> None:
    """Remove a task and its subtasks for good."""
    settings = common.settings
    if not yes:
        found = client.ask(settings, "show_task", id=id)
        id = found["id"]
        make_sure(yes, f"deleting {id}", f"Delete {id} ({found['name']}) for good?")
    answer = client.ask(settings, "delete_task", id=id)
    output.tell(common.as_json, answer, f"deleted {answer['id']}")


def _tell(common: Common, answer: dict[str, Any], what: str, *, advanced: bool = True) -> None:
    """What became of a task that was given or changed."""
    if common.as_json:
        output.emit_json(answer)
        return
    click.echo(f"{what} {answer['id']}")
    if advanced and not answer["served"]:
        store, workspace = common.settings.store, common.settings.workspace
        more = "" if str(store) == "aloma.db" else f" --store {store}"
        more += "" if workspace == "default" else f" --workspace {workspace}"
        click.echo(f"it is {answer['state']}; `aloma-py serve{more}` runs it", err=True)
