"""The tasks that an engine has in hand, and how what happens to them becomes true on disk.

A task is in hand as one :class:`~aloma_py.cell.Cell` at a time, as long as somebody holds it. Every write goes through
here and names the revision that it was made on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import anyio

from aloma_py.cell import Cell
from aloma_py.clock import Clock
from aloma_py.delivery import DELETED, add_answer, is_awaited, owes_answer
from aloma_py.errors import NotFoundError, StaleTask, StoreBusy, StoreError, StoreFull
from aloma_py.models import Call, Entry, Json, Limits, Millis, Task, TaskCommit, TaskState
from aloma_py.run.stash import without_stash
from aloma_py.store.protocol import WorkspaceStore
from aloma_py.store.stash import StashCipher

logger = logging.getLogger("aloma_py.engine")

RECENT: Final = 10_000
"""How many revisions are remembered, to notice a task that was read before it was committed."""

TRIES: Final = 12
"""How often a write is tried that fails for another reason than a full or busy disk: about half a minute."""

T = TypeVar("T")

Watcher = Callable[[Task, Sequence[Entry]], None]
"""Is told of every commit: the task as it is now, and what was added to its history."""

CallWatcher = Callable[[Task, Call], None]
"""Is told of every call that was recorded, and of its task, which is as it was when the wave began or was updated."""


class Custody:
    """``cipher`` gives the key of ``$stash`` when it is first needed; without one, tasks that use it are refused."""

    def __init__(
        self, store: WorkspaceStore, clock: Clock, limits: Limits, cipher: Callable[[], StashCipher] | None
    ) -> None:
        self.cells: dict[str, Cell] = {}
        self.watchers: list[Watcher] = []
        self.call_watchers: list[CallWatcher] = []
        self.wake: Callable[[Cell], None] = lambda cell: None  # the scheduler's: advance this task (again)
        self.rests: Callable[[Millis], None] = lambda due: None  # the scheduler's: a task waits until then
        self._store = store
        self._clock = clock
        self._limits = limits
        self._cipher = cipher
        self._recent: dict[str, int] = {}  # the last revisions that were committed, by task

    # ── in hand ─────────────────────────────────────────────────────────────────────────────────────────────────

    def adopt(self, task: Task) -> Cell | None:
        """The cell of a task that was just read from the store; the one in hand where there is one.

        ``None`` where the task was committed since it was read: then it must be read again.
        """
        cell = self.cells.get(task.id)
        if cell is None:
            if self._recent.get(task.id, -1) > task.revision:
                return None
            cell = self.cells[task.id] = Cell(task, self._open_stash(task), recovered=not task.state.ended)
        return cell

    @asynccontextmanager
    async def holding(self, task_id: str) -> AsyncIterator[Cell]:
        """The task's cell, kept in hand as long as this is open."""
        cell = self.cells.get(task_id)
        while cell is None:
            cell = self.adopt(await self._store.get(task_id))
        cell.holders += 1
        try:
            yield cell
        finally:
            cell.holders -= 1
            self.release(cell)

    def release(self, cell: Cell) -> None:
        """Forget a cell that nobody holds any more."""
        if cell.holders == 0:
            self.forget(cell)

    def forget(self, cell: Cell) -> None:
        """Let go of a cell, whoever holds it."""
        if self.cells.get(cell.task.id) is cell:
            del self.cells[cell.task.id]

    async def read_again(self, cell: Cell) -> None:
        """Begin anew with the task, and its parent, as the store has them: what was in hand is not what is there."""
        logger.warning("task %s was changed beside the engine; it is read again", cell.task.id, extra=_about(cell.task))
        for stale in (cell, self.cells.get(cell.task.parent or "")):
            if stale is not None:
                async with stale.lock:
                    stale.task = await self._store.get(stale.task.id)
                    stale.stash = self._open_stash(stale.task)
                    stale.matched, stale.recovered = None, True
                    stale.touched = stale.touched and not stale.task.state.ended
        self.wake(cell)

    # ── accepting ───────────────────────────────────────────────────────────────────────────────────────────────

    async def accept(self, tasks: Sequence[Task]) -> None:
        """Store new tasks, all or none, and take them in hand."""
        for task in tasks:
            self.hide_stash(task)
        with anyio.CancelScope(shield=True):  # what is stored is taken in hand, whatever becomes of the caller
            await self._store.accept(tasks)
        for task in tasks:
            self._notify(task, ())
            self.take_in(task)

    def take_in(self, task: Task) -> None:
        """Have a task that was just stored advanced, now or when it is due."""
        if task.due_at is not None and task.due_at > self._clock.now():
            self.rests(task.due_at)
            return
        cell = self.adopt(task)
        if cell is not None:
            cell.recovered = False
            self.wake(cell)
            self.release(cell)  # unless a scheduler has taken it

    # ── committing ──────────────────────────────────────────────────────────────────────────────────────────────

    async def commit(self, cell: Cell, commit: TaskCommit) -> None:
        """Make it true, however long that takes. A task that ended tells its parent in the same transaction.

        The caller holds the cell's lock. Raises :class:`StaleTask` where the stored task is another than the one in
        hand, :class:`StoreError` where the store goes on failing.
        """
        task = commit.task
        if owes_answer(task):
            await self._commit_with_answer(cell, commit)
        else:
            await self._persist([commit])
            self._committed(cell, commit)
        if task.state is TaskState.RUNNING:
            return
        cell.touched = False
        due = [at for at in (task.due_at, task.expires_at) if at is not None]
        if due and task.state is TaskState.WAITING:
            self.rests(min(due))

    async def commit_from_outside(self, cell: Cell, commit: TaskCommit) -> None:
        """Commit what somebody asked for, who is told where the store cannot. The caller holds the cell's lock."""
        with anyio.CancelScope(shield=True):  # what is stored is what is in hand, whatever becomes of the caller
            try:
                await self._store.commit([commit])
            except StoreError:
                if not await self._is_stored([commit]):
                    raise
        self._committed(cell, commit)

    async def answer_for_deleted(self, cell: Cell) -> None:
        """Tell the parent of a subtask that is about to be deleted, so that it does not wait for ever.

        The subtask remembers that in the same transaction: should it not come to be deleted, it tells nothing more.
        """
        child = replace(cell.task, cycle=cell.task.cycle.copy())
        if child.parent is None or child.cycle.delivered or not is_awaited(child):
            return
        child.cycle.delivered = True
        try:
            async with self.holding(child.parent) as parent, parent.lock:
                if not parent.gone:
                    answer = add_answer(parent.task, child, self._clock.now(), self._limits, DELETED)
                    commit = TaskCommit(child)
                    await self._persist([commit, answer])
                    self._committed(cell, commit)
                    self._answered(parent, answer)
        except NotFoundError:
            return  # nobody is left to be told

    async def record_call(self, task_id: str, call: Call) -> None:
        """Keep a connector's answer, however long that takes."""
        tried = False

        async def record() -> None:
            nonlocal tried
            if tried and call in await self._store.calls(task_id):
                return  # it is there though a failure was told
            tried = True
            await self._store.record_call(task_id, call)

        await self._until_stored(record, task_id)
        cell = self.cells.get(task_id)
        if cell is not None:
            self._tell(self.call_watchers, cell.task, call)

    async def _commit_with_answer(self, cell: Cell, commit: TaskCommit) -> None:
        child = commit.task
        assert child.parent is not None
        child.cycle.delivered = True
        try:
            async with self.holding(child.parent) as parent, parent.lock:
                answer = add_answer(parent.task, child, self._clock.now(), self._limits)
                await self._persist([commit, answer])
                self._committed(cell, commit)
                self._answered(parent, answer)
        except NotFoundError:  # the parent was deleted: nobody is left to be told
            await self._persist([commit])
            self._committed(cell, commit)

    def _answered(self, parent: Cell, answer: TaskCommit) -> None:
        self._committed(parent, answer)
        parent.matched = None
        if answer.entries and parent.news is None:
            parent.news = set()
        if parent.task.state in (TaskState.PENDING, TaskState.RUNNING):
            parent.touched = True
            self.wake(parent)

    def _committed(self, cell: Cell, commit: TaskCommit) -> None:
        commit.task.revision += 1
        cell.task = commit.task
        self._recent[cell.task.id] = cell.task.revision
        if len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]
        self._notify(commit.task, commit.entries)

    def _notify(self, task: Task, entries: Sequence[Entry]) -> None:
        self._tell(self.watchers, task, entries)

    def _tell(self, watchers: Sequence[Callable[[Task, T], None]], task: Task, what: T) -> None:
        for watcher in watchers:
            try:
                watcher(task, what)
            except Exception:  # whoever looks on must not get in the way
                logger.exception("task %s: a watcher failed", task.id, extra=_about(task))

    async def _persist(self, commits: Sequence[TaskCommit]) -> None:
        try:
            await self._until_stored(partial(self._store.commit, commits), commits[0].task.id)
        except StaleTask:
            if not await self._is_stored(commits):
                raise

    async def _until_stored(self, write: Callable[[], Awaitable[None]], task_id: str) -> None:
        """Where the store cannot (a full disk), keep what was done and try until it can."""
        pause, failed = 0.05, 0
        while True:
            try:
                return await write()
            except StaleTask:
                raise
            except StoreError as error:
                failed += not isinstance(error, (StoreFull, StoreBusy))
                if failed == TRIES:
                    raise
                about = {"task": task_id, "workspace": self._store.workspace}
                text = "task %s: not stored yet: %s; trying again in %.2f s"
                logger.warning(text, task_id, error, pause, extra=about)
                await anyio.sleep(pause)
                pause = min(pause * 2, 5)

    async def _is_stored(self, commits: Sequence[TaskCommit]) -> bool:
        """Whether these commits are in the store, though it reported a failure. Nobody else writes these tasks."""
        for commit in commits:
            stored, wanted = await self._store.get(commit.task.id), commit.task
            if (stored.revision, stored.state, stored.last_entry, stored.data) != (
                wanted.revision + 1,
                wanted.state,
                wanted.last_entry,
                wanted.data,
            ):
                return False
        return True

    # ── $stash ──────────────────────────────────────────────────────────────────────────────────────────────────

    def encrypt(self, task_id: str, stash: dict[str, Json]) -> bytes | None:
        """How the values of ``$stash`` are stored."""
        return self._key().encrypt(task_id, stash) if stash else None

    def hide_stash(self, task: Task) -> None:
        """Put the confidential values of a new task apart."""
        task.data, stash = without_stash(task.data)
        task.initial, _ = without_stash(task.initial)
        task.stash = self.encrypt(task.id, stash)

    def _open_stash(self, task: Task) -> dict[str, Any]:
        return {} if task.stash is None else self._key().decrypt(task.id, task.stash)

    def _key(self) -> StashCipher:
        if self._cipher is None:
            raise StoreError("this engine has no key for the values of $stash")
        return self._cipher()


def _about(task: Task) -> dict[str, str]:
    """What a line of the log says beside its text."""
    return {"task": task.id, "workspace": task.workspace}
