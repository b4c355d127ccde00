"""What the engine asks of a store. One contract suite (``tests/contract``) runs against every implementation.

A store belongs to one engine process at a time. ``open`` takes the lock; every method that writes returns only when
what it wrote is on disk ("accepted means on disk"). Several writes that are under way at once share a transaction
(group commit); each of them succeeds or fails for itself.

A handle is bound to one workspace: it cannot read or write another's tasks.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from aloma_py.models import (
    AuditEntry,
    Blob,
    Call,
    Entry,
    Millis,
    Task,
    TaskCommit,
    TaskFilter,
    TaskState,
    Visualization,
)


class WorkspaceStore(Protocol):
    """The tasks of one workspace. ``get``-like methods give copies: changing them changes nothing in the store."""

    workspace: str

    async def accept(self, tasks: Sequence[Task]) -> None:
        """Store new tasks, all of them or none. On return they are on disk."""

    async def commit(self, commits: Sequence[TaskCommit]) -> None:
        """Make all of ``commits`` true in one transaction, or none.

        Raises :class:`~aloma_py.errors.StaleTask` where a task's stored revision is not the one named,
        :class:`~aloma_py.errors.StoreFull`, or another :class:`~aloma_py.errors.StoreError`. In each case the store
        holds what it held before.
        """

    async def record_call(self, task_id: str, call: Call) -> None:
        """Keep the answer of a connector call; on return it is on disk.

        Raises :class:`~aloma_py.errors.StaleTask` where the task is gone.
        """

    async def get(self, task_id: str) -> Task:
        """The task, or :class:`~aloma_py.errors.NotFoundError`. A unique beginning of an id will do."""

    async def list(self, wanted: TaskFilter) -> list[Task]:
        """Tasks that fit, newest first."""

    async def counts(self) -> dict[TaskState, int]:
        """How many tasks are in each state; states without tasks are left out."""

    async def entries(self, task_id: str, after: int = 0, limit: int | None = None) -> builtins.list[Entry]:
        """The history in order, from the entry after number ``after``, with its log lines; ``limit`` at most."""

    async def audit(self, task_id: str) -> builtins.list[AuditEntry]: ...

    async def visualizations(self, task_id: str) -> builtins.list[Visualization]: ...

    async def calls(self, task_id: str, step: str | None = None, ordinal: int | None = None) -> builtins.list[Call]:
        """The recorded calls of the task, in the order made; with ``step`` and ``ordinal`` only those of that run."""

    async def children(self, task_id: str) -> builtins.list[Task]:
        """The task's subtasks, in the order made."""

    async def delete(self, task_id: str) -> None:
        """Remove the task, its subtasks and everything around them."""

    async def ready(self, now: Millis, limit: int, skip: frozenset[str]) -> builtins.list[Task]:
        """Tasks to advance: pending or running ones whose time (``due_at``) has come, and waiting ones that are due
        or expired; the longest waiting first; without those whose id is in ``skip``."""

    async def next_due(self) -> Millis | None:
        """The earliest time at which :meth:`ready` will give a task that it does not give yet."""

    async def put_blob(self, blob: Blob) -> None: ...

    async def get_blob(self, blob_id: str) -> Blob: ...

    async def write_file(self, name: str, content: bytes, at: Millis) -> None:
        """Write (replace) the workspace's file of that name."""

    async def read_file(self, name: str) -> bytes:
        """The content of the workspace's file, or :class:`~aloma_py.errors.NotFoundError`."""

    async def facts(self) -> dict[str, Any]:
        """What is kept about the workspace itself (``sources``, ``created_at`` …)."""

    async def set_facts(self, **facts: Any) -> None: ...


class Store(Protocol):
    """A store of any number of workspaces; an async context manager that opens and closes it."""

    def workspace(self, name: str) -> WorkspaceStore: ...

    async def workspaces(self) -> list[str]: ...

    async def purge(
        self, tasks_before: Millis, logs_before: Millis, own: Mapping[str, tuple[Millis, Millis]] | None = None
    ) -> dict[str, int]:
        """Remove what ended before ``tasks_before`` and log lines from before ``logs_before``, in small batches.

        ``own`` has both times of the workspaces that keep things for a time of their own, by name.

        Gives how many rows went, by table.
        """

    async def __aenter__(self) -> Store: ...

    async def __aexit__(self, *exc_info: object) -> None: ...
