"""What the operations on one workspace work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from aloma_py.engine import Engine
from aloma_py.errors import AlomaError, NotFoundError, StoreError
from aloma_py.match.table import StepTable
from aloma_py.settings import DEFAULT_WORKSPACE, Settings
from aloma_py.steps import StepSet
from aloma_py.store.sqlite import SQLiteStore

T = TypeVar("T")


class Site:
    """One workspace: its engine, which works on its tasks in ``store``; ``advancing`` says whether a scheduler does.

    ``load`` gives the steps where the engine was made without any: it is called by the first operation that needs
    them, and may raise :class:`~aloma_py.errors.InputError`. ``reload`` is called when what the workspace is made of
    was changed (steps, libraries, variables): it brings that into the engine, where one is at work.
    """

    def __init__(
        self,
        engine: Engine,
        store: SQLiteStore,
        settings: Settings,
        *,
        advancing: bool = False,
        load: Callable[[Mapping[str, Any]], Awaitable[StepSet]] | None = None,
        reload: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.engine = engine
        self.store = store
        self.settings = settings
        self.advancing = advancing
        self.stopping = False  # set when the engine is about to stop: nothing is begun any more
        self.reload = reload
        self._load = load
        self._known = False  # whether the store is known to have the workspace

    @property
    def workspace(self) -> str:
        return self.engine.store.workspace

    async def table(self) -> StepTable:
        """The steps; loaded now, where that was put off."""
        if self._load is not None:
            loaded = await self._load(await self.engine.store.facts())
            self.engine.table = StepTable(loaded.steps)
            self._load = None
        return self.engine.table

    async def bring_in(self) -> tuple[bool, str | None]:
        """Give the running engine what was changed, and is stored already.

        Whether tasks go on with it now; and why not, where the engine could not take it.
        """
        if self.reload is None:
            return False, None
        try:
            await self.reload()
        except AlomaError as error:
            return False, f"stored, but the workspace goes on as it was: {error}"
        return self.advancing, None

    async def judge(self, work: Callable[[], T]) -> T:
        """What ``work``, which judges conditions, gives; with V8 at hand for those that are JavaScript."""
        scripts = self.engine.scripts
        async with scripts.pool.running():
            return await scripts.settle(work)

    async def check_workspace(self) -> None:
        """Refuse a workspace that nobody has made: likely a slip (SPEC §5). The default one is always there."""
        if self._known:
            return
        name = self.workspace
        names = {DEFAULT_WORKSPACE, *await self.store.workspaces()}
        if name not in names:
            error = NotFoundError("workspace", name, names)
            error.args = (f"{error} (`aloma-py workspace add {name}` makes one)",)
            raise error
        self._known = True

    def place(self) -> Path:
        """The store's file; ``StoreError`` where it is in memory."""
        if self.store.path is None:
            raise StoreError("the store is in memory: there is no file to look at")
        return self.store.path
