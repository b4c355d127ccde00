"""``aloma-py run``: one task in memory, with its timeline as it happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import anyio
import rich_click as click
from rich.console import Console

from aloma_py.cli import client, output
from aloma_py.cli.options import Common, data_options, pass_common, read_data, read_pairs
from aloma_py.cli.timeline import Timeline, rest_line
from aloma_py.clock import SystemClock, VirtualClock
from aloma_py.connect.connector import Registry
from aloma_py.models import Entry, Task, TaskState
from aloma_py.outcome import Outcome, entry_to_json, outcome_to_json, task_to_json
from aloma_py.settings import limits_of
from aloma_py.workspace import Workspace

FAILED_STATES = frozenset({TaskState.ERROR, TaskState.ATTENTION})


@click.command()
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@data_options
@click.option("--name", default="task", help="The task's name.", show_default=True)
@click.option("--tag", "tags", multiple=True, help="A tag of the task; any number of times.")
@click.option("--connectors", metavar="FILE", help="Fake connectors: a YAML file of rules, as in scenarios.")
@click.option("--library", "libraries", metavar="NS=PATH", multiple=True, help="Functions as lib.NS; any number.")
@click.option("--config", metavar="K=V", multiple=True, help="What task.config(K) gives; any number of times.")
@click.option("--jump/--real-time", default=False, help="Jump over waiting times, instead of waiting.")
@click.option("--quiet", "-q", is_flag=True, help="Print the final data only.")
@pass_common
def run(
    common: Common,
    paths: tuple[str, ...],
    data: str | None,
    file: str | None,
    name: str,
    tags: tuple[str, ...],
    connectors: str | None,
    libraries: tuple[str, ...],
    config: tuple[str, ...],
    jump: bool,
    quiet: bool,
) -> int:
    """Run one task in memory and watch it.

    PATH is a Python file, a folder of them, or a module with steps. Nothing is stored. The exit status is 1 where the
    task ends in error, or where no step matches it.
    """
    settings = common.settings
    limits = limits_of(settings)
    content = read_data(data, file, limits)
    workspace = Workspace(
        settings.workspace,
        list(paths),
        libraries=read_pairs(libraries, "--library"),
        config=read_pairs(config, "--config"),
        limits=limits,
    )
    clock = VirtualClock(SystemClock().now()) if jump else SystemClock()
    out = output.console()
    watcher = Watch(out, clock)

    async def work() -> Outcome:
        with anyio.CancelScope() as scope:
            watcher.stop = scope.cancel
            return await workspace.run(
                content,
                name=name,
                tags=tags,
                connectors=_fakes(connectors) if connectors else None,
                clock=clock,
                watch=None if quiet or common.as_json else watcher,
            )
        raise BrokenPipeError

    outcome = client.run(work)
    if common.as_json:
        output.emit_json(outcome_to_json(outcome))
    elif quiet:
        output.print_data(out, outcome.data)
    else:
        _summary(out, outcome)
    return 1 if outcome.state in FAILED_STATES else 0


def _fakes(path: str) -> Registry:
    from aloma_py.testing import FakeConnectors, read_rules

    return FakeConnectors(read_rules(path), strict_builtins=False).registry()


class Watch:
    """Is told of every commit, and prints it. Where nobody reads any more, it calls ``stop``."""

    def __init__(self, out: Console, clock: Any) -> None:
        self._out = out
        self._clock = clock
        self._timeline: Timeline | None = None
        self._main: str | None = None
        self.stop: Callable[..., None] = lambda: None

    def __call__(self, task: Task, entries: Sequence[Entry]) -> None:
        try:
            self._print(task, entries)
        except BrokenPipeError:  # the engine is not to see it: it is no trouble of the task's
            self.stop()

    def _print(self, task: Task, entries: Sequence[Entry]) -> None:
        if self._timeline is None:
            self._timeline, self._main = Timeline(self._out, task.created_at), task.id
        subtask = "" if task.id == self._main else task.name
        self._timeline.show(map(entry_to_json, entries), subtask)
        if task.state is TaskState.WAITING:
            whose = f"subtask {subtask!r} is " if subtask else ""
            line = rest_line(task_to_json(task), self._clock.now())
            self._out.print(output.styled(f"  … {whose}") + line)


def _summary(out: Console, outcome: Outcome) -> None:
    task = task_to_json(outcome.task)
    runs = len(outcome.runs)
    took = output.duration((outcome.task.ended_at or outcome.task.updated_at) - outcome.task.created_at)
    out.print()
    out.print(rest_line(task) + output.styled(f"  ({runs} run{'' if runs == 1 else 's'}, {took})", "dim"))
    if outcome.state is TaskState.ATTENTION:
        out.print(output.styled("  see why with: aloma-py step check PATH -d JSON", "dim"))
    output.print_data(out, outcome.data)
    if outcome.result is not None:
        out.print(output.styled("result", "bold"))
        output.print_data(out, outcome.result)
