"""Operations on the modules and files that a workspace's Python and JavaScript steps come from."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio.to_thread

from aloma_py.errors import InputError, LoadError, StateError
from aloma_py.operations.answers.connectors import ModulesAnswer
from aloma_py.operations.registry import LOCAL, caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.scripttexts import load_texts
from aloma_py.operations.sites import Site
from aloma_py.steps import load_steps
from aloma_py.steps.javascript.define import ScriptText
from aloma_py.store.scripts import ScriptShelf
from aloma_py.store.workspaces import Facts, WorkspaceRecords

MOST: Final = 1_000
"""How many modules a workspace may name."""

_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)

_NOBODYS: Final = sys.stdlib_module_names | {"test", "aloma_py"}
"""Packages without steps. To import some of their modules starts programs, in the server's own process."""


class ModuleOperations:
    """What can be asked of the places that a workspace's steps are loaded from, beside the store."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._records = WorkspaceRecords(site.store)

    @operation(Role.ADMIN, "PUT /modules", on_tasks=True)
    async def set_modules(self, modules: Sequence[str], dry_run: bool = False) -> ModulesAnswer:
        """Have the workspace's steps come from these modules, beside the stored ones; tried before it counts.

        Each is the name of a module that the server can import (``orders.steps``), or the path of a file or folder on
        the server's disk; new paths only whoever is on its machine may give, new names only who has a role on the
        account besides. ``dry_run`` only tries.
        Python's own modules, and those of aloma_py, have no steps.
        """
        facts = self._records.get(self.site.workspace)
        before: list[str] = [*(facts.get("sources") or ())]
        wanted = [self._checked(module, before) for module in modules]
        if len(wanted) > MOST:
            raise InputError(f"there are {len(wanted):,} modules; at most {MOST:,} were expected")
        twice = next((one for n, one in enumerate(wanted) if one in wanted[:n]), None)
        if twice is not None:
            raise InputError(f"the module {twice!r} is there twice")
        if caller.get() is not LOCAL:
            await anyio.to_thread.run_sync(_refuse_missing, [one for one in wanted if one not in before])
        steps = await self._try(wanted)
        answer: ModulesAnswer = {"modules": wanted, "steps": steps, "active": False}
        if dry_run:
            return answer

        def change(now: Facts) -> Mapping[str, Any]:
            if [*(now.get("sources") or ())] != before:
                raise StateError("the workspace's modules were changed by somebody else in between; try again")
            return {"sources": wanted or None}

        await self._records.change(self.site.workspace, change)
        active, warning = await self.site.bring_in()
        answer["active"] = active
        return answer if warning is None else {**answer, "warning": warning}

    async def _try(self, wanted: list[str]) -> int:
        """Load the whole workspace with these modules; gives how many steps there are then."""
        name = self.site.workspace
        facts = {**self._records.get(name), "sources": wanted}
        texts = await ScriptShelf(self.site.store, name).texts()
        try:
            return await anyio.to_thread.run_sync(partial(_count, facts, name, texts))
        except OSError as error:
            raise LoadError(f"the steps of the workspace {name!r} cannot be read: {error}") from error

    def _checked(self, module: str, before: Sequence[str]) -> str:
        """A module as it is kept. Raises :class:`~aloma_py.errors.InputError`."""
        if module in before:
            return module  # somebody was allowed to give it
        there = caller.get() is not LOCAL
        if caller.get().places is not None:  # modules are the machine's, and may be those of other workspaces
            raise InputError(f"the module {module!r} is new here: whoever names it needs a role on the account")
        if _DOTTED.fullmatch(module) and not (there and Path(module).exists()):
            if there and (module.partition(".")[0] in _NOBODYS or "__" in module):
                raise InputError(f"the module {module!r} is none of steps: it comes with Python or with aloma_py")
            return module
        if not module.strip():
            raise InputError("a module's name is empty")
        if there:
            raise InputError(
                f"the module {module!r} is no dotted name (orders.steps); files on the server's disk can be named on "
                "its own machine only"
            )
        place = Path(module)
        if not place.is_absolute():
            raise InputError(f"the path {module!r} is relative; one from the root (/…) was expected")
        if not place.exists():
            raise InputError(f"there is no file or folder {module!r}")
        return str(place.resolve())


def _refuse_missing(modules: Iterable[str]) -> None:
    """Refuse modules that cannot be found, without a word of what is on the server's disk instead."""
    for module in modules:
        try:
            missing = importlib.util.find_spec(module) is None
        except ModuleNotFoundError:
            missing = True
        except Exception:  # of the package that it is in, which importing it tells better
            missing = False
        if missing:
            raise InputError(f"the server can import no module {module!r}")


def _count(facts: Mapping[str, Any], workspace: str, texts: Sequence[ScriptText]) -> int:
    """How many steps the workspace of ``facts`` has with these texts; raises where it cannot be loaded."""
    if not facts["sources"] and not any(text.kind == "step" for text in texts):
        load_texts(facts, workspace, texts)
        return 0
    found = load_steps(facts["sources"], name=workspace, libraries=facts.get("libraries") or None, texts=texts)
    found.unload()
    return len(found.steps)
