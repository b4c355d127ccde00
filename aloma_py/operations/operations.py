"""All operations on one workspace, by name."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

import anyio

from aloma_py.engine import Engine
from aloma_py.errors import InputError, NotFoundError, StoreError
from aloma_py.models import Json
from aloma_py.operations.access import AccessOperations
from aloma_py.operations.arguments import check_arguments
from aloma_py.operations.connectors import ConnectorOperations
from aloma_py.operations.modules import ModuleOperations
from aloma_py.operations.notifications import NotificationOperations
from aloma_py.operations.registry import LOCAL, Caller, Operation, caller, operations_of
from aloma_py.operations.schedules import ScheduleOperations
from aloma_py.operations.scripts import ScriptOperations
from aloma_py.operations.sites import Site
from aloma_py.operations.sources import SourceOperations
from aloma_py.operations.steps import StepOperations
from aloma_py.operations.store import StoreOperations
from aloma_py.operations.tasks import TaskOperations
from aloma_py.operations.transfer import TransferOperations
from aloma_py.operations.variables import VariableOperations
from aloma_py.operations.webhooks import WebhookOperations
from aloma_py.operations.workspaces import WorkspaceOperations
from aloma_py.settings import Settings
from aloma_py.store.ledger import Ledger
from aloma_py.store.people import ACCOUNT
from aloma_py.store.workspaces import check_open

logger = logging.getLogger("aloma_py.operations")

GROUPS: Final = (
    TaskOperations,
    ScriptOperations,
    StepOperations,
    StoreOperations,
    AccessOperations,
    WorkspaceOperations,
    VariableOperations,
    WebhookOperations,
    ScheduleOperations,
    SourceOperations,
    NotificationOperations,
    ConnectorOperations,
    ModuleOperations,
    TransferOperations,
)

ALL: Final[Mapping[str, Operation]] = {name: found for group in GROUPS for name, found in operations_of(group).items()}
"""Every operation that answers once; ``follow`` streams."""

NAMES: Final = frozenset(ALL)

READING: Final = frozenset({name for name, found in ALL.items() if found.reading} | {"follow"})
"""Those that change nothing: they can be had while another process holds the store."""


WHILE_CLOSED: Final = frozenset({"archive_workspace", "delete_workspace", "update_workspace"})
"""Changes that an archived workspace, or one that is about to be deleted, takes too."""


class Operations:
    """The operations on the workspace of ``site``."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._methods: dict[str, Any] = {}
        for kind in GROUPS:
            group = kind(site)
            self._methods.update({name: getattr(group, name) for name in operations_of(kind)})
            if isinstance(group, TaskOperations):
                self._tasks = group
        self._ledger = Ledger(site.store)

    @property
    def engine(self) -> Engine:
        return self.site.engine

    @property
    def settings(self) -> Settings:
        return self.site.settings

    async def call(self, name: str, arguments: Mapping[str, Json], who: Caller = LOCAL) -> Json:
        """The answer of the operation ``name`` for the caller ``who``.

        Arguments that it does not know are an ``InputError``; whether ``who`` may ask is for those to check who
        know where the question comes from.
        """
        found = ALL.get(name)
        if found is None:
            raise NotFoundError("operation", name, NAMES)
        if self.site.stopping and not found.reading:
            raise StoreError("the engine is stopping and takes nothing new; try again when it is running")
        if found.on_tasks:
            await self.site.check_workspace()
        if not found.reading and not found.account and name not in WHILE_CLOSED and (found.on_tasks or self._is_kept()):
            check_open(self.site.store, self.site.workspace)
        method = self._methods[name]
        try:
            inspect.signature(method).bind(**arguments)
        except TypeError as error:
            raise InputError(f"the operation {name}: {error}") from None
        check_arguments(name, method, arguments)
        token = caller.set(who)
        try:
            answer: Json = await method(**arguments)
            if found.noted and not arguments.get("dry_run"):
                await self._note(found, arguments, who)
            return answer
        finally:
            caller.reset(token)

    def _is_kept(self) -> bool:
        """Whether the store knows the workspace; one that it does not know is made by the first change."""
        with self.site.store.reading() as reader:
            sql = "SELECT 1 FROM workspace WHERE name = ?"
            return reader.execute(sql, (self.site.workspace,)).fetchone() is not None

    async def _note(self, found: Operation, arguments: Mapping[str, Json], who: Caller) -> None:
        """Write into the ledger what was done. It is done: a ledger that cannot be written is told, not raised."""
        details = {name: "…" if name in found.hidden else value for name, value in arguments.items()}
        workspace = ACCOUNT if found.account else self.site.workspace
        with anyio.CancelScope(shield=True):
            try:
                await self._ledger.note(self.engine.clock.now(), who.name, workspace, found.name, details)
            except StoreError as error:
                logger.error("%s: %s did %s, which the ledger lacks: %s", workspace, who.name, found.name, error)

    def follow(self, id: str, after: int = 0) -> AsyncGenerator[Json, None]:
        """See :meth:`~aloma_py.operations.tasks.TaskOperations.follow`."""
        return self._tasks.follow(id, after)
