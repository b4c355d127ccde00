"""Operations on steps and libraries whose texts are kept in the store; those of files are read-only here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

from aloma_py.errors import InputError, LoadError, NotFoundError, StateError, StoreError
from aloma_py.models import Json
from aloma_py.operations.answers.scripts import (
    DeletedLibrary,
    DeletedName,
    FileLibrary,
    ScriptVersionDetails,
    ScriptVersionShown,
    StoredLibrary,
    StoredScript,
    SyncAnswer,
)
from aloma_py.operations.mentions import named_in
from aloma_py.operations.paging import check_limit, cut, read_cursor
from aloma_py.operations.registry import caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.scripttexts import (
    check_script,
    compose,
    file_libraries,
    functions_of,
    is_disabled,
    load_texts,
    read_kind,
    script_facts,
    slips_in,
    version_facts,
)
from aloma_py.operations.sites import Site
from aloma_py.steps.javascript.define import Kind
from aloma_py.store.scripts import Put, Remove, Script, ScriptShelf, changed, check_version


class ScriptOperations:
    """What can be asked of stored scripts.

    Each change is tried on the whole workspace before it is written: what cannot be loaded is refused, and nothing is
    stored then. ``version``, where it is given, is the version that the change was made on.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._shelf = ScriptShelf(site.store, site.workspace)

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────────────

    @operation(Role.DEVELOPER, "POST /steps", status=201, hidden=("text", "condition", "content"), on_tasks=True)
    async def add_step(
        self,
        name: str,
        text: str | None = None,
        condition: str | dict[str, Json] | None = None,
        content: str | None = None,
        description: str | None = None,
        enabled: bool = True,
        suffix: str = ".js",
    ) -> StoredScript:
        """Store a new step: its whole text, or a condition and a body; see :func:`compose`."""
        made = compose(name, text, condition, content, needed=True)
        await self._refuse_file_step(name)
        change = Put("step", name, made, suffix, enabled, description, new=True)
        return _hinting(await self._changed(change), condition)

    @operation(Role.DEVELOPER, "PATCH /steps/{name:path}", hidden=("text", "condition", "content"), on_tasks=True)
    async def update_step(
        self,
        name: str,
        text: str | None = None,
        condition: str | dict[str, Json] | None = None,
        content: str | None = None,
        description: str | None = None,
        enabled: bool | None = None,
        new_name: str | None = None,
        suffix: str | None = None,
        version: str | None = None,
    ) -> StoredScript:
        """Change a stored step; what is not given stays."""
        old = await self._stored_step(name)
        made = compose(name, text, condition, content)
        if enabled and is_disabled(old, made):
            raise StateError(f"the text of the step {name!r} says that it is disabled: change the text")
        was = name if new_name is not None else None
        change = Put("step", new_name or name, made, suffix, enabled, description, was, version)
        return _hinting(await self._changed(change), condition)

    @operation(Role.DEVELOPER, "DELETE /steps/{name:path}", on_tasks=True)
    async def delete_step(self, name: str, version: str | None = None) -> DeletedName:
        """Delete a stored step; its versions are kept."""
        await self._stored_step(name)
        await self._change([Remove("step", name, version)])
        return {"name": name, "deleted": True}

    @operation(Role.DEVELOPER, "POST /steps/{name:path}/clone", status=201, on_tasks=True)
    async def clone_step(self, name: str, new_name: str, enabled: bool = True) -> StoredScript:
        """Store a copy of a stored step, or of a JavaScript file's, under another name."""
        old = self._shelf.find("step", name)
        if old is not None:
            text, suffix, description = old.text, old.suffix, old.description
        else:
            step = (await self.site.table()).named(name)
            if step.language != "javascript":
                raise StateError(f"the step {name!r} is Python, from {step.location}: only JavaScript can be stored")
            text, suffix, description = step.source, _suffix_of(step.location.file), None
        await self._refuse_file_step(new_name)
        return await self._changed(Put("step", new_name, text, suffix, enabled, description, new=True))

    @operation(Role.VIEWER, "GET /steps/{name:path}/versions", on_tasks=True)
    async def step_versions(self, name: str, limit: int = 1000, cursor: str | None = None) -> list[ScriptVersionShown]:
        """Every text that the step has had in the store, the newest first; also of one that was deleted."""
        return await self._versions("step", name, limit, cursor)

    @operation(Role.VIEWER, "GET /steps/{name:path}/versions/{version}")
    async def show_step_version(self, name: str, version: str) -> ScriptVersionDetails:
        """One of them with its text; runs name the version of their step."""
        return await self._show_version("step", name, version)

    # ── libraries ───────────────────────────────────────────────────────────────────────────────────────────────

    @operation(Role.VIEWER, "GET /libraries", on_tasks=True)
    async def list_libraries(self) -> list[FileLibrary | StoredLibrary]:
        """The libraries of files and the stored ones, with their functions and what is said of these."""
        stored = [self._library(one) for one in await self._shelf.all("library")]
        return [*file_libraries(await self.site.engine.store.facts()), *stored]

    @operation(Role.VIEWER, "GET /libraries/{name}")
    async def show_library(self, name: str) -> FileLibrary | StoredLibrary:
        """A library; a stored one with its text."""
        found = self._shelf.find("library", name)
        if found is not None:
            return {**self._library(found), "text": found.text}
        libraries = file_libraries(await self.site.engine.store.facts())
        for one in libraries:
            if one["name"] == name:
                return one
        raise NotFoundError("library", name, [*(one["name"] for one in libraries), *self._shelf.names("library")])

    @operation(Role.DEVELOPER, "POST /libraries", status=201, hidden=("text",), on_tasks=True)
    async def add_library(
        self, name: str, text: str, description: str | None = None, suffix: str = ".js"
    ) -> StoredScript:
        """Store a new library: step code calls its exported functions as lib.NAME.function()."""
        await self._refuse_file_library(name)
        return await self._changed(Put("library", name, text, suffix, description=description, new=True))

    @operation(Role.DEVELOPER, "PATCH /libraries/{name}", hidden=("text",), on_tasks=True)
    async def update_library(
        self,
        name: str,
        text: str | None = None,
        description: str | None = None,
        suffix: str | None = None,
        version: str | None = None,
    ) -> StoredScript:
        """Change a stored library; what is not given stays."""
        await self._stored_library(name)
        return await self._changed(Put("library", name, text, suffix, None, description, None, version))

    @operation(Role.DEVELOPER, "DELETE /libraries/{name}", on_tasks=True)
    async def delete_library(self, name: str, version: str | None = None) -> DeletedLibrary:
        """Delete a stored library; its versions are kept."""
        await self._stored_library(name)
        await self._change([Remove("library", name, version)])
        return {"name": name, "deleted": True, "named_in": await named_in(self.site, name)}

    @operation(Role.VIEWER, "GET /libraries/{name}/versions")
    async def library_versions(
        self, name: str, limit: int = 1000, cursor: str | None = None
    ) -> list[ScriptVersionShown]:
        """Every text that the library has had in the store, the newest first."""
        return await self._versions("library", name, limit, cursor)

    @operation(Role.VIEWER, "GET /libraries/{name}/versions/{version}")
    async def show_library_version(self, name: str, version: str) -> ScriptVersionDetails:
        """One of them with its text."""
        return await self._show_version("library", name, version)

    # ── many at once ────────────────────────────────────────────────────────────────────────────────────────────

    @operation(Role.VIEWER, "GET /scripts", on_tasks=True)
    async def list_scripts(
        self, kind: str = "step", name: str | None = None, texts: bool = False
    ) -> list[StoredScript]:
        """The stored steps (or libraries) in the order of creation; with their ``texts`` if asked."""
        word = read_kind(kind)
        found = await self._shelf.all(word) if name is None else [self._shelf.get(word, name)]
        return [script_facts(one, text=texts) for one in found]

    @operation(Role.DEVELOPER, "PUT /scripts", hidden=("scripts",), on_tasks=True)
    async def sync_scripts(
        self,
        scripts: list[dict[str, str]],
        kind: str = "step",
        only: str | None = None,
        prune: bool = False,
        dry_run: bool = False,
    ) -> SyncAnswer:
        """Make the stored scripts those that are given, all or none: ``[{name, text, suffix?}, …]``.

        Gives ``{added, changed, unchanged, deleted, left, applied}``, lists of names. What is stored and not given is
        ``left``, and with ``prune`` deleted; ``only`` says that this name alone is meant. With ``dry_run`` nothing is
        changed, but what cannot be loaded is told.
        """
        word = read_kind(kind)
        stored = {one.name: one for one in await self._shelf.all(word)}
        plan: dict[str, list[str]] = {"added": [], "changed": [], "unchanged": []}
        changes: list[Put | Remove] = []
        given = _read_scripts(scripts)
        for name, (text, suffix) in given.items():
            old = stored.get(name)
            same = old is not None and (old.text, old.suffix) == (text, suffix)
            plan["unchanged" if same else "changed" if old else "added"].append(name)
            if not same:
                changes.append(Put(word, name, text, suffix, expected=old.version if old else None, new=old is None))
        missing = [name for name in stored if name not in given and only in (None, name)]
        changes += [Remove(word, name, stored[name].version) for name in missing if prune]
        if changes:
            await self._change(changes, dry_run=dry_run)
        return {
            "added": plan["added"],
            "changed": plan["changed"],
            "unchanged": plan["unchanged"],
            "deleted": missing if prune else [],
            "left": [] if prune else missing,
            "applied": not dry_run,
        }

    # ── how ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _changed(self, change: Put) -> StoredScript:
        await self._change([change])
        return script_facts(self._shelf.get(change.kind, change.name))

    async def _change(self, changes: Sequence[Put | Remove], *, dry_run: bool = False) -> None:
        await change_scripts(self.site, changes, dry_run=dry_run)

    async def _stored_step(self, name: str) -> Script:
        """The stored step, or an error that says that it is a file's."""
        found = self._shelf.find("step", name)
        if found is None:
            await self._refuse_file_step(name)
            raise NotFoundError("step", name, await self._step_names())
        return found

    async def _refuse_file_step(self, name: str) -> None:
        if self._shelf.find("step", name) is None and name in await self._step_names():
            place = (await self.site.table()).named(name).location
            raise StateError(f"the step {name!r} is from the file {place}: it can be changed there only")

    async def _step_names(self) -> list[str]:
        """Of files and stored; where the workspace cannot be loaded as it is, those that are stored."""
        stored = self._shelf.names("step")
        try:
            return [*(step.name for step in (await self.site.table()).all), *stored]
        except InputError:
            return stored

    async def _stored_library(self, name: str) -> Script:
        await self._refuse_file_library(name)
        found = self._shelf.find("library", name)
        if found is None:
            raise NotFoundError("library", name, self._shelf.names("library"))
        return found

    async def _refuse_file_library(self, name: str) -> None:
        place = ((await self.site.engine.store.facts()).get("libraries") or {}).get(name)
        if place is not None:
            raise StateError(f"the library {name!r} is from {place}: it can be changed there only")

    def _library(self, script: Script) -> StoredLibrary:
        return {**script_facts(script), "functions": functions_of(script.text, script.name + script.suffix)}

    async def _versions(self, kind: Kind, name: str, limit: int, cursor: str | None) -> list[ScriptVersionShown]:
        below, few = read_cursor(cursor, "version"), check_limit(limit)
        found = await self._shelf.versions(kind, name)
        if not found:
            if kind == "step":
                await self._refuse_file_step(name)
            raise NotFoundError(f"stored {kind}", name, self._shelf.names(kind))
        behind = found if below is None else [one for one in found if one.n < below]
        return [version_facts(one) for one in cut(behind, few, "version", lambda one: one.n)]

    async def _show_version(self, kind: Kind, name: str, version: str) -> ScriptVersionDetails:
        found = [one for one in await self._shelf.versions(kind, name) if one.text is not None]
        for one in found:
            if one.version == version and one.text is not None:
                return {**version_facts(one), "name": name, "text": one.text}
        raise NotFoundError(f"version of the {kind} {name!r}", version, [one.version for one in found])


_CHANGING: Final[WeakKeyDictionary[Site, anyio.Lock]] = WeakKeyDictionary()


async def change_scripts(site: Site, changes: Sequence[Put | Remove], *, dry_run: bool = False) -> None:
    """Try the changes on the whole workspace, write them, and bring them into the engine: all of them, or none.

    Raises :class:`~aloma_py.errors.LoadError` for what cannot be loaded.
    """
    for change in changes:
        if isinstance(change, Put):
            check_script(change)
    shelf = ScriptShelf(site.store, site.workspace)
    async with _CHANGING.setdefault(site, anyio.Lock()):
        scripts = await shelf.all()
        known = {(one.kind, one.name): one for one in scripts}
        for change in changes:
            old = known.get((change.kind, (change.was if isinstance(change, Put) else None) or change.name))
            if old is not None:
                check_version(old.kind, old.name, old.version, change.expected)
            if isinstance(change, Put) and (change.new or change.was not in (None, change.name)):
                _refuse_taken(known, change)
        facts = await site.engine.store.facts()
        await anyio.to_thread.run_sync(partial(load_texts, facts, site.workspace, changed(scripts, changes)))
        if dry_run:
            return
        await shelf.apply(changes, by=caller.get().name, at=site.engine.clock.now())
        _, problem = await site.bring_in()
        if problem is not None:
            raise StoreError(problem)


def _hinting(stored: StoredScript, condition: object) -> StoredScript:
    """The answer, with what is likely a slip in a condition that was given as JSON."""
    slips = slips_in(condition) if isinstance(condition, dict) else []
    return {**stored, "hints": slips} if slips else stored


def _refuse_taken(known: dict[tuple[Kind, str], Script], change: Put) -> None:
    if (change.kind, change.name) in known:
        raise StateError(f"there is a stored {change.kind} {change.name!r} already; each needs a name of its own")


def _suffix_of(file: str | None) -> str:
    return f".{(file or 'x.js').rpartition('.')[2]}"


def _read_scripts(scripts: Sequence[dict[str, str]]) -> dict[str, tuple[str, str]]:
    """``{name: (text, suffix)}`` of what was given."""
    found: dict[str, tuple[str, str]] = {}
    for at, one in enumerate(scripts):
        if not isinstance(one, dict) or not {"name", "text"} <= one.keys() <= {"name", "text", "suffix"}:
            raise InputError(f"scripts.{at}: an object with name, text and, if wanted, suffix was expected")
        if not all(isinstance(value, str) for value in one.values()):
            raise InputError(f"scripts.{at}: name, text and suffix must be texts")
        if one["name"] in found:
            raise LoadError(f"two texts are called {one['name']!r}; each needs a name of its own")
        found[one["name"]] = (one["text"], one.get("suffix", ".js"))
    return found
