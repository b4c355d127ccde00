"""Operations on the store as a whole."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Final

import anyio.to_thread

from aloma_py.errors import InputError
from aloma_py.models import Json
from aloma_py.operations.registry import operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site

DAY: Final = 86_400_000
LONGEST_DAYS: Final = 36_500


class StoreOperations:
    """What can be asked of the store."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @operation(Role.VIEWER, "GET /store", account=True)
    async def info(self) -> Json:
        """What is in the store; sizes in bytes."""
        from aloma_py.store import admin

        found = asdict(await anyio.to_thread.run_sync(admin.info, self.site.place()))
        facts = await self.site.engine.store.facts()
        return {**found, "path": str(found["path"]), "workspace": self.site.workspace, "facts": facts}

    @operation(Role.ADMIN, "POST /store/purge", account=True)
    async def purge(self, keep_tasks_days: float | None = None, keep_logs_days: float | None = None) -> Json:
        """Remove what ended longer ago than is to be kept; gives how many rows went, by table."""
        settings, now = self.site.settings, self.site.engine.clock.now()
        tasks = settings.keep_tasks_days if keep_tasks_days is None else keep_tasks_days
        for name, days in (("keep_tasks_days", keep_tasks_days), ("keep_logs_days", keep_logs_days)):
            if days is not None and not 0 <= days <= LONGEST_DAYS:
                raise InputError(f"{name} is {days}; 0 to {LONGEST_DAYS:,} days were expected")
        logs = settings.keep_logs_days if keep_logs_days is None else keep_logs_days
        return await self.site.store.purge(now - round(tasks * DAY), now - round(logs * DAY))

    @operation(Role.ADMIN, account=True, reading=True)
    async def backup(self, target: str) -> Json:
        """Copy the store to the new file ``target``; ``{path, bytes, key_fingerprint}``."""
        from aloma_py.store import admin

        made = asdict(await anyio.to_thread.run_sync(admin.backup, self.site.place(), target))
        return {**made, "path": str(made["path"])}

    @operation(Role.ADMIN, "POST /store/verify", account=True, reading=True)
    async def verify(self) -> Json:
        """Read everything in the store: ``{sound, tasks, entries, problems}``."""
        from aloma_py.store import admin

        found = await anyio.to_thread.run_sync(partial(admin.verify, self.site.place()))
        return {"sound": found.sound, "tasks": found.tasks, "entries": found.entries, "problems": found.problems}
