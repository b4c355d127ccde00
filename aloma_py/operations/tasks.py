"""Operations on tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import anyio

from aloma_py import interventions
from aloma_py.errors import InputError, NotFoundError
from aloma_py.history import why
from aloma_py.intake import new_task
from aloma_py.models import Entry, Json, Task, TaskFilter, TaskState
from aloma_py.operations.registry import LOCAL, caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site
from aloma_py.outcome import audit_line, call_to_json, entry_to_json, task_to_json

MOST_LISTED: Final = 10_000
"""How many tasks are given at once; ``before`` gives those behind."""

STATE_WORDS: Final = {
    "processing": TaskState.RUNNING,
    "completed": TaskState.DONE,
    "failed": TaskState.ERROR,
    "parked": TaskState.WAITING,
}
"""Other words for states that are accepted where tasks are filtered."""


def read_state(word: str) -> TaskState:
    """The state that ``word`` means, or :class:`~aloma_py.errors.InputError` naming the nearest."""
    plain = word.strip().lower()
    if plain in STATE_WORDS:
        return STATE_WORDS[plain]
    try:
        return TaskState(plain)
    except ValueError:
        raise NotFoundError("state", word, [state.value for state in TaskState]) from None


class TaskOperations:
    """What can be asked of a workspace's tasks."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @operation(Role.OPERATOR, "POST /tasks", status=201, on_tasks=True)
    async def new_task(
        self, data: dict[str, Json], name: str | None = None, tags: Sequence[str] = (), via: str | None = None
    ) -> Json:
        """Accept a task; on return it is on disk.

        ``via`` is the type in its ``$via``: ``cli`` on the server's machine, else ``api``, with who gave it as name.
        """
        who = caller.get()
        source: dict[str, Json] = {"type": via or ("cli" if who is LOCAL else "api")}
        if who is not LOCAL:
            source["name"] = who.name
        limits, now = self.site.engine.limits, self.site.engine.clock.now()
        task = new_task(self.site.workspace, name, data, tags=tags, via=source, now=now, limits=limits)
        await self.site.engine.submit([task])
        return self._accepted(task)

    @operation(Role.VIEWER, "GET /tasks", on_tasks=True)
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
        if not 1 <= limit <= MOST_LISTED:
            raise InputError(f"limit is {limit}; 1 to {MOST_LISTED:,} was expected")
        wanted = TaskFilter(
            states=frozenset(map(read_state, states)) if states else None,
            name=name,
            tag=tag,
            search=search,
            parent=parent,
            limit=limit,
            before=before,
        )
        return [self._summary(task) for task in await interventions.find(self.site.engine, wanted)]

    @operation(Role.VIEWER, "GET /tasks/{id}", on_tasks=True)
    async def show_task(self, id: str) -> Json:
        """The task as it is now, with its audit trail, pictures, calls and subtasks; without its history."""
        task = await self._task(id)
        store = self.site.engine.store
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

    @operation(Role.VIEWER, "GET /tasks/{id}/log", on_tasks=True)
    async def task_log(self, id: str, after: int = 0) -> Json:
        """The history after entry number ``after``: ``{task, entries}``."""
        task = await self._task(id)
        entries = await self.site.engine.store.entries(task.id, after)
        return {"task": self._summary(task), "entries": [entry_to_json(entry) for entry in entries]}

    async def follow(self, id: str, after: int = 0) -> AsyncGenerator[Json, None]:
        """The same piece by piece, as it happens, until the task has ended; at once where nothing advances tasks."""
        await self.site.check_workspace()
        task = await self._task(id)
        news = anyio.Event()

        def watch(changed: Task, entries: Sequence[Entry]) -> None:
            if changed.id == task.id:
                news.set()

        self.site.engine.custody.watchers.append(watch)
        try:
            while True:
                task = await self._task(id)
                entries = await self.site.engine.store.entries(task.id, after)
                after = entries[-1].n if entries else after
                yield {"task": self._summary(task), "entries": [entry_to_json(entry) for entry in entries]}
                if task.state.ended or not self.site.advancing:
                    return
                if not news.is_set():
                    await news.wait()
                news = anyio.Event()
        finally:
            self.site.engine.custody.watchers.remove(watch)

    @operation(Role.VIEWER, "GET /tasks/{id}/why/{step}", on_tasks=True)
    async def why(self, id: str, step: str) -> Json:
        """Why the step ran on the task or did not: explain's rows for its data as it is, and the story in words."""
        table = await self.site.table()
        task = await self._task(id)
        entries = await self.site.engine.store.entries(task.id)
        return await self.site.judge(lambda: why(task, entries, step, table, self.site.engine.clock.now()).to_json())

    @operation(Role.OPERATOR, "POST /tasks/{id}/data", on_tasks=True)
    async def update_task(self, id: str, data: dict[str, Json]) -> Json:
        """Bring data from outside into a task (see :func:`aloma_py.interventions.update`)."""
        await self.site.table()  # the update makes steps eligible again
        return self._accepted(await interventions.update(self.site.engine, await self._id(id), data))

    @operation(Role.OPERATOR, "POST /tasks/{id}/stop", on_tasks=True)
    async def stop_task(self, id: str) -> Json:
        return self._accepted(await interventions.stop(self.site.engine, await self._id(id)))

    @operation(Role.OPERATOR, "POST /tasks/{id}/resume", on_tasks=True)
    async def resume_task(self, id: str) -> Json:
        return self._accepted(await interventions.resume(self.site.engine, await self._id(id)))

    @operation(Role.OPERATOR, "POST /tasks/{id}/clone", status=201, on_tasks=True)
    async def clone_task(self, id: str, name: str | None = None, current: bool = False) -> Json:
        task = await interventions.clone(self.site.engine, await self._id(id), name=name, current=current)
        return self._accepted(task)

    @operation(Role.DEVELOPER, "DELETE /tasks/{id}", on_tasks=True)
    async def delete_task(self, id: str) -> Json:
        task_id = await self._id(id)
        await interventions.delete(self.site.engine, task_id)
        return {"id": task_id, "deleted": True}

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _task(self, given: str) -> Task:
        return await self.site.engine.store.get(given)

    async def _id(self, given: str) -> str:
        """The whole id, of which ``given`` may be the beginning."""
        return (await self._task(given)).id

    def _full(self, task: Task) -> dict[str, Json]:
        return task_to_json(interventions.shown(self.site.engine, task))

    def _summary(self, task: Task) -> dict[str, Json]:
        return {name: value for name, value in self._full(task).items() if name != "data"}

    def _accepted(self, task: Task) -> dict[str, Json]:
        """What is told of a task that was just changed; ``served``: whether somebody advances it."""
        return {**self._summary(task), "served": self.site.advancing}
