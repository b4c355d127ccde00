"""What a person or a program can ask of a workspace: one method for each thing, JSON in, JSON out.

This is the one path: the command line calls it in its own process or through the control socket of a server, and an
HTTP API calls it as well. Every method may raise :class:`~aloma_py.errors.InputError` for what was given, and
:class:`~aloma_py.errors.StoreError` for what the store cannot do.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from aloma_py import interventions
from aloma_py.conditions import explain
from aloma_py.durations import parse_duration
from aloma_py.engine import Engine
from aloma_py.errors import InputError, NotFoundError, StoreError
from aloma_py.history import rows_to_json, why
from aloma_py.intake import check_data, new_task
from aloma_py.match.table import StepTable
from aloma_py.models import Entry, Json, Limits, Task, TaskFilter, TaskState
from aloma_py.outcome import audit_line, call_to_json, entry_to_json, task_to_json
from aloma_py.settings import Settings
from aloma_py.steps import StepDefinition, StepSet, describe
from aloma_py.store.sqlite import SQLiteStore

NAMES: Final = frozenset(
    {
        "new_task", "list_tasks", "show_task", "task_log", "why", "update_task", "stop_task", "resume_task",
        "clone_task", "delete_task", "list_steps", "show_step", "check_step", "info", "purge", "backup", "verify",
    }
)  # fmt: skip
"""The operations that answer once; :meth:`Operations.follow` streams."""

READING: Final = frozenset(
    {"list_tasks", "show_task", "task_log", "why", "list_steps", "show_step", "check_step", "info", "backup", "verify",
     "follow"}
)  # fmt: skip
"""Those that change nothing: they can be had while another process holds the store."""

_ON_TASKS: Final = frozenset(name for name in NAMES if "task" in name) | {"why"}

STATE_WORDS: Final = {
    "processing": TaskState.RUNNING,
    "completed": TaskState.DONE,
    "failed": TaskState.ERROR,
    "parked": TaskState.WAITING,
}
"""Other words for states that are accepted where tasks are filtered."""

DAY: Final = 86_400_000


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings give a workspace's tasks."""
    return Limits(
        max_runs=settings.max_runs,
        max_redo=settings.max_redo,
        max_data_bytes=settings.max_data_bytes,
        step_timeout=parse_duration(settings.step_timeout, "step_timeout"),
        parallel=settings.parallel,
    )


def read_state(word: str) -> TaskState:
    """The state that ``word`` means, or :class:`~aloma_py.errors.InputError` naming the nearest."""
    plain = word.strip().lower()
    if plain in STATE_WORDS:
        return STATE_WORDS[plain]
    try:
        return TaskState(plain)
    except ValueError:
        raise NotFoundError("state", word, [state.value for state in TaskState]) from None


class Operations:
    """The operations on one workspace.

    ``engine`` works on the workspace's tasks in ``store``; ``advancing`` says whether a scheduler moves them on.
    ``load`` gives the steps where the engine was made without any: it is called by the first operation that needs
    them, and may raise :class:`~aloma_py.errors.InputError`.
    """

    def __init__(
        self,
        engine: Engine,
        store: SQLiteStore,
        settings: Settings,
        *,
        advancing: bool = False,
        load: Callable[[Mapping[str, Any]], StepSet] | None = None,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.advancing = advancing
        self.stopping = False  # set when the engine is about to stop: nothing is begun any more
        self._store = store
        self._load = load
        self._known = False  # whether the store is known to have the workspace

    async def call(self, name: str, arguments: Mapping[str, Json]) -> Json:
        """The answer of the operation ``name``. Arguments that it does not know are an ``InputError``."""
        if name not in NAMES:
            raise NotFoundError("operation", name, NAMES)
        if self.stopping and name not in READING:
            raise StoreError("the engine is stopping and takes nothing new; try again when it is running")
        if name in _ON_TASKS:
            await self._check_workspace()
        method = getattr(self, name)
        try:
            inspect.signature(method).bind(**arguments)
        except TypeError as error:
            raise InputError(f"the operation {name}: {error}") from None
        return await method(**arguments)

    # ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def new_task(
        self, data: dict[str, Json], name: str | None = None, tags: Sequence[str] = (), via: str = "cli"
    ) -> Json:
        """Accept a task; on return it is on disk. ``via`` is the type in its ``$via``."""
        limits, now = self.engine.limits, self.engine.clock.now()
        task = new_task(self.engine.store.workspace, name, data, tags=tags, via={"type": via}, now=now, limits=limits)
        await self.engine.submit([task])
        return self._accepted(task)

    async def list_tasks(
        self,
        states: Sequence[str] | None = None,
        name: str | None = None,
        tag: str | None = None,
        search: str | None = None,
        parent: str | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> Json:
        """Tasks that fit, newest first, without their data: ``[{id, name, tags, state, reason, …}]``."""
        wanted = TaskFilter(
            states=frozenset(map(read_state, states)) if states else None,
            name=name,
            tag=tag,
            search=search,
            parent=parent,
            limit=limit,
            before=before,
        )
        return [self._summary(task) for task in await interventions.find(self.engine, wanted)]

    async def show_task(self, id: str) -> Json:
        """The task as it is now, with its audit trail, pictures, calls and subtasks; without its history."""
        task = await self._task(id)
        store = self.engine.store
        return {
            **self._full(task),
            "history_entries": task.last_entry,
            "audit": [audit_line(entry) for entry in await store.audit(task.id)],
            "visualizations": [
                {"type": picture.type, "name": picture.name, "data": picture.data, "options": picture.options}
                for picture in await store.visualizations(task.id)
            ],
            "calls": [call_to_json(call) for call in await store.calls(task.id)],
            "subtasks": [self._summary(child) for child in await store.children(task.id)],
        }

    async def task_log(self, id: str, after: int = 0) -> Json:
        """The history after entry number ``after``: ``{task, entries}``."""
        task = await self._task(id)
        entries = await self.engine.store.entries(task.id, after)
        return {"task": self._summary(task), "entries": [entry_to_json(entry) for entry in entries]}

    async def follow(self, id: str, after: int = 0) -> AsyncGenerator[Json, None]:
        """The same piece by piece, as it happens, until the task has ended; at once where nothing advances tasks."""
        await self._check_workspace()
        task = await self._task(id)
        news = anyio.Event()

        def watch(changed: Task, entries: Sequence[Entry]) -> None:
            if changed.id == task.id:
                news.set()

        self.engine.custody.watchers.append(watch)
        try:
            while True:
                task = await self._task(id)
                entries = await self.engine.store.entries(task.id, after)
                after = entries[-1].n if entries else after
                yield {"task": self._summary(task), "entries": [entry_to_json(entry) for entry in entries]}
                if task.state.ended or not self.advancing:
                    return
                if not news.is_set():
                    await news.wait()
                news = anyio.Event()
        finally:
            self.engine.custody.watchers.remove(watch)

    async def why(self, id: str, step: str) -> Json:
        """Why the step ran on the task or did not: explain's rows for its data as it is, and the story in words."""
        table = await self._table()
        task = await self._task(id)
        entries = await self.engine.store.entries(task.id)
        return await self._judge(lambda: why(task, entries, step, table, self.engine.clock.now()).to_json())

    async def update_task(self, id: str, data: dict[str, Json]) -> Json:
        """Bring data from outside into a task (see :func:`aloma_py.interventions.update`)."""
        await self._table()  # the update makes steps eligible again
        return self._accepted(await interventions.update(self.engine, await self._id(id), data))

    async def stop_task(self, id: str) -> Json:
        return self._accepted(await interventions.stop(self.engine, await self._id(id)))

    async def resume_task(self, id: str) -> Json:
        return self._accepted(await interventions.resume(self.engine, await self._id(id)))

    async def clone_task(self, id: str, name: str | None = None, current: bool = False) -> Json:
        task = await interventions.clone(self.engine, await self._id(id), name=name, current=current)
        return self._accepted(task)

    async def delete_task(self, id: str) -> Json:
        task_id = await self._id(id)
        await interventions.delete(self.engine, task_id)
        return {"id": task_id, "deleted": True}

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def list_steps(self) -> Json:
        """The steps in the order in which they are tried."""
        return step_list((await self._table()).all)

    async def show_step(self, name: str) -> Json:
        return describe((await self._table()).named(name))

    async def check_step(self, data: dict[str, Json], step: str | None = None) -> Json:
        """What every step's condition (or that of ``step``) says of ``data``, leaf by leaf."""
        table = await self._table()
        return await self._judge(lambda: check_steps(table, data, step, self.engine.limits))

    async def _judge(self, work: Callable[[], Json]) -> Json:
        """What ``work``, which judges conditions, gives; with V8 at hand for those that are JavaScript."""
        scripts = self.engine.scripts
        async with scripts.pool.running():
            return await scripts.settle(work)

    # ── the store ───────────────────────────────────────────────────────────────────────────────────────────────

    async def info(self) -> Json:
        """What is in the store; sizes in bytes."""
        from aloma_py.store import admin

        found = asdict(await anyio.to_thread.run_sync(admin.info, self._place()))
        facts = await self.engine.store.facts()
        return {**found, "path": str(found["path"]), "workspace": self.engine.store.workspace, "facts": facts}

    async def purge(self, keep_tasks_days: float | None = None, keep_logs_days: float | None = None) -> Json:
        """Remove what ended longer ago than is to be kept; gives how many rows went, by table."""
        settings, now = self.settings, self.engine.clock.now()
        tasks = settings.keep_tasks_days if keep_tasks_days is None else keep_tasks_days
        logs = settings.keep_logs_days if keep_logs_days is None else keep_logs_days
        return await self._store.purge(now - round(tasks * DAY), now - round(logs * DAY))

    async def backup(self, target: str) -> Json:
        """Copy the store to the new file ``target``; ``{path, bytes, key_fingerprint}``."""
        from aloma_py.store import admin

        made = asdict(await anyio.to_thread.run_sync(admin.backup, self._place(), target))
        return {**made, "path": str(made["path"])}

    async def verify(self) -> Json:
        """Read everything in the store: ``{sound, tasks, entries, problems}``."""
        from aloma_py.store import admin

        found = await anyio.to_thread.run_sync(partial(admin.verify, self._place()))
        return {"sound": found.sound, "tasks": found.tasks, "entries": found.entries, "problems": found.problems}

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _table(self) -> StepTable:
        """The steps; loaded now, where that was put off."""
        if self._load is not None:
            self.engine.table = StepTable(self._load(await self.engine.store.facts()).steps)
            self._load = None
        return self.engine.table

    async def _check_workspace(self) -> None:
        """Refuse a workspace that nobody has made: likely a slip (SPEC §5). The default one is always there."""
        if self._known:
            return
        name, default = self.engine.store.workspace, Settings.model_fields["workspace"].default
        names = {default, *await self._store.workspaces()}
        if name not in names:
            error = NotFoundError("workspace", name, names)
            raise InputError(f"{error} (`aloma-py serve PATH --workspace {name}` makes one)")
        self._known = True

    async def _task(self, given: str) -> Task:
        return await self.engine.store.get(given)

    async def _id(self, given: str) -> str:
        """The whole id, of which ``given`` may be the beginning."""
        return (await self._task(given)).id

    def _place(self) -> Path:
        if self._store.path is None:
            raise StoreError("the store is in memory: there is no file to look at")
        return self._store.path

    def _full(self, task: Task) -> dict[str, Json]:
        return task_to_json(interventions.shown(self.engine, task))

    def _summary(self, task: Task) -> dict[str, Json]:
        return {name: value for name, value in self._full(task).items() if name != "data"}

    def _accepted(self, task: Task) -> dict[str, Json]:
        """What is told of a task that was just changed; ``served``: whether somebody advances it."""
        return {**self._summary(task), "served": self.advancing}


def step_list(steps: Sequence[StepDefinition]) -> list[Json]:
    """Every step as JSON, in the order in which they are tried; disabled ones at the end."""
    table = StepTable(steps)
    disabled = [step for step in table.all if not step.enabled]
    return [describe(step) for step in (*table.ranked, *disabled)]


def check_steps(table: StepTable, data: dict[str, Json], step: str | None, limits: Limits) -> Json:
    """``{steps: [{step, matches, enabled, rows}], order}``: ``order`` are those that match, in the order tried.

    With ``step`` only that one is judged. Raises :class:`~aloma_py.errors.InputError` for an unknown step, or data that
    cannot be a task's.
    """
    check_data(data, limits)
    chosen = (
        [table.named(step)] if step is not None else [*table.ranked, *(one for one in table.all if not one.enabled)]
    )
    judged = []
    for one in chosen:
        explanation = explain(one.condition, data)
        judged.append(
            {
                "step": one.name,
                "condition": one.condition.source,
                "matches": explanation.matched,
                "enabled": one.enabled,
                "rows": rows_to_json(explanation.rows),
            }
        )
    order = [one["step"] for one in judged if one["matches"] and one["enabled"]]
    return {"steps": judged, "order": order}


def load_again(facts: Mapping[str, Any], workspace: str) -> StepSet:
    """The steps of the sources that the workspace was last served from, or ``InputError`` where there are none."""
    from aloma_py.steps import load_steps

    sources = facts.get("sources") or []
    if not sources:
        raise InputError(
            f"the workspace {workspace!r} has no steps yet: give them with --steps PATH, "
            "or serve them once with `aloma-py serve PATH`"
        )
    return load_steps(list(sources), name=workspace, libraries=facts.get("libraries") or None)


__all__ = ["NAMES", "READING", "STATE_WORDS", "Operations", "check_steps", "limits_of", "load_again", "read_state",
           "step_list"]  # fmt: skip
