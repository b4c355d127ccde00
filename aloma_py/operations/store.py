"""Operations on the store as a whole."""

from __future__ import annotations

from typing import Final

import anyio.to_thread

from aloma_py.errors import InputError
from aloma_py.models import Millis
from aloma_py.operations.answers.workspaces import BackupAnswer, StoreInfo, VerifyAnswer
from aloma_py.operations.progress import telling
from aloma_py.operations.registry import operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site
from aloma_py.store.retention import own_times
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.workspaces import WorkspaceRecords

DAY: Final = 86_400_000
LONGEST_DAYS: Final = 36_500


async def purge_old(store: SQLiteStore, now: Millis, tasks_days: float, logs_days: float) -> dict[str, int]:
    """Remove what is older than so many days; in workspaces with limits of their own, than these say."""
    times = (now - round(tasks_days * DAY), now - round(logs_days * DAY))
    return await store.purge(*times, own_times(WorkspaceRecords(store).all(), now, times))


class StoreOperations:
    """What can be asked of the store."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @operation(Role.VIEWER, "GET /store", account=True)
    async def info(self) -> StoreInfo:
        """What is in the store; sizes in bytes."""
        from aloma_py.store import admin

        found = await anyio.to_thread.run_sync(admin.info, self.site.place())
        return {
            "path": str(found.path),
            "file_bytes": found.file_bytes,
            "wal_bytes": found.wal_bytes,
            "free_bytes": found.free_bytes,
            "sqlite_version": found.sqlite_version,
            "schema": found.schema,
            "process": found.process,
            "rows": found.rows,
            "tasks": found.tasks,
            "oldest": found.oldest,
            "newest": found.newest,
            "workspace": self.site.workspace,
            "facts": await self.site.engine.store.facts(),
        }

    @operation(Role.ADMIN, "POST /store/purge", account=True)
    async def purge(self, keep_tasks_days: float | None = None, keep_logs_days: float | None = None) -> dict[str, int]:
        """Remove what ended longer ago than is to be kept; gives how many rows went, by table.

        The days stand in for the installation's; a workspace that has limits of its own keeps to them.
        """
        settings, now = self.site.settings, self.site.engine.clock.now()
        tasks = settings.keep_tasks_days if keep_tasks_days is None else keep_tasks_days
        for name, days in (("keep_tasks_days", keep_tasks_days), ("keep_logs_days", keep_logs_days)):
            if days is not None and not 0 <= days <= LONGEST_DAYS:
                raise InputError(f"{name} is {days}; 0 to {LONGEST_DAYS:,} days were expected")
        logs = settings.keep_logs_days if keep_logs_days is None else keep_logs_days
        return await purge_old(self.site.store, now, tasks, logs)

    @operation(Role.ADMIN, account=True, reading=True)
    async def backup(self, target: str) -> BackupAnswer:
        """Copy the store to the new file ``target``; ``{path, bytes, key_fingerprint}``."""
        from aloma_py.store import admin

        made = await anyio.to_thread.run_sync(admin.backup, self.site.place(), target, telling("copying"))
        return {"path": str(made.path), "bytes": made.bytes, "key_fingerprint": made.key_fingerprint}

    @operation(Role.ADMIN, "POST /store/verify", account=True, reading=True)
    async def verify(self) -> VerifyAnswer:
        """Read everything in the store: ``{sound, tasks, entries, problems}``."""
        from aloma_py.store import admin

        found = await anyio.to_thread.run_sync(admin.verify, self.site.place(), telling("looking at tasks"))
        return {"sound": found.sound, "tasks": found.tasks, "entries": found.entries, "problems": found.problems}
