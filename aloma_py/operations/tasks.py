"""Operations on tasks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

import anyio

from aloma_py import interventions
from aloma_py.errors import NotFoundError
from aloma_py.history import WhyShown, why
from aloma_py.intake import new_task
from aloma_py.models import Entry, Json, Task, TaskFilter, TaskState
from aloma_py.operations.answers.tasks import AcceptedTask, DeletedTask, TaskDetails, TaskLog
from aloma_py.operations.paging import MOST, check_limit, cut, read_cursor, tell_next
from aloma_py.operations.registry import LOCAL, caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site
from aloma_py.outcome import (
    TaskShown,
    TaskSummary,
    audit_line,
    call_to_json,
    entry_to_json,
    picture_to_json,
    task_summary,
    task_to_json,
)
from aloma_py.store import listing

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
    ) -> AcceptedTask:
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
        cursor: str | None = None,
    ) -> list[TaskSummary]:
        """Tasks that fit, newest first, without their data: ``[{id, name, tags, state, reason, …}]``.

        ``name`` is a part of it, ``search`` words of the name or of audit references. ``cursor`` is the next page's;
        ``before`` is the id of a task, and gives those that arrived before it.
        """
        wanted = TaskFilter(
            states=frozenset(map(read_state, states)) if states else None,
            name=name,
            tag=tag,
            search=search,
            parent=parent,
            limit=check_limit(limit),
            before=before,
            below=read_cursor(cursor, "task"),
        )
        if search is not None:
            await self.site.store.fill_search()
        workspace = self.site.workspace
        found, more = await self.site.store.read(lambda reader: listing.find_page(reader, workspace, wanted))
        if more is not None:
            tell_next("task", more)
        return [self._summary(task) for task in found]

    @operation(Role.VIEWER, "GET /tasks/{id}", on_tasks=True)
    async def show_task(self, id: str) -> TaskDetails:
        """The task as it is now, with its audit trail, pictures, calls and subtasks; without its history."""
        task = await self._task(id)
        store = self.site.engine.store
        return {
            **self._full(task),
            "history_entries": task.last_entry,
            "audit": [audit_line(entry) for entry in await store.audit(task.id)],
            "visualizations": [picture_to_json(picture) for picture in await store.visualizations(task.id)],
            "calls": [call_to_json(call) for call in await store.calls(task.id)],
            "subtasks": [self._summary(child) for child in await store.children(task.id)],
        }

    @operation(Role.VIEWER, "GET /tasks/{id}/log", on_tasks=True)
    async def task_log(self, id: str, after: int = 0, limit: int = MOST, cursor: str | None = None) -> TaskLog:
        """The history after entry number ``after``: ``{task, entries}``; ``cursor`` is the next page's."""
        task = await self._task(id)
        begin, few = max(after, read_cursor(cursor, "entry") or 0), check_limit(limit)
        found = await self.site.engine.store.entries(task.id, begin, few + 1)
        entries = cut(found, few, "entry", lambda entry: entry.n)
        return {"task": self._summary(task), "entries": [entry_to_json(entry) for entry in entries]}

    async def follow(self, id: str, after: int = 0) -> AsyncGenerator[TaskLog, None]:
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
    async def why(self, id: str, step: str) -> WhyShown:
        """Why the step ran on the task or did not: explain's rows for its data as it is, and the story in words."""
        table = await self.site.table()
        task = await self._task(id)
        entries = await self.site.engine.store.entries(task.id)
        return await self.site.judge(lambda: why(task, entries, step, table, self.site.engine.clock.now()).to_json())

    @operation(Role.OPERATOR, "POST /tasks/{id}/data", on_tasks=True)
    async def update_task(self, id: str, data: dict[str, Json]) -> AcceptedTask:
        """Bring data from outside into a task (see :func:`aloma_py.interventions.update`)."""
        await self.site.table()  # the update makes steps eligible again
        return self._accepted(await interventions.update(self.site.engine, await self._id(id), data))

    @operation(Role.OPERATOR, "POST /tasks/{id}/stop", on_tasks=True)
    async def stop_task(self, id: str) -> AcceptedTask:
        return self._accepted(await interventions.stop(self.site.engine, await self._id(id)))

    @operation(Role.OPERATOR, "POST /tasks/{id}/resume", on_tasks=True)
    async def resume_task(self, id: str) -> AcceptedTask:
        return self._accepted(await interventions.resume(self.site.engine, await self._id(id)))

    @operation(Role.OPERATOR, "POST /tasks/{id}/clone", status=201, on_tasks=True)
    async def clone_task(self, id: str, name: str | None = None, current: bool = False) -> AcceptedTask:
        task = await interventions.clone(self.site.engine, await self._id(id), name=name, current=current)
        return self._accepted(task)

    @operation(Role.DEVELOPER, "DELETE /tasks/{id}", on_tasks=True)
    async def delete_task(self, id: str) -> DeletedTask:
        task_id = await self._id(id)
        await interventions.delete(self.site.engine, task_id)
        return {"id": task_id, "deleted": True}

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _task(self, given: str) -> Task:
        return await self.site.engine.store.get(given)

    async def _id(self, given: str) -> str:
        """The whole id, of which ``given`` may be the beginning."""
        return (await self._task(given)).id

    def _full(self, task: Task) -> TaskShown:
        return task_to_json(interventions.shown(self.site.engine, task))

    def _summary(self, task: Task) -> TaskSummary:
        return task_summary(interventions.shown(self.site.engine, task))

    def _accepted(self, task: Task) -> AcceptedTask:
        """What is told of a task that was just changed; ``served``: whether somebody advances it."""
        return {**self._summary(task), "served": self.site.advancing}
