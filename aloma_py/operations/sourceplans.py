"""From a repository's project to changes of stored scripts, and what cannot be loaded told by the repository's file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aloma_py.errors import InputError, LoadError
from aloma_py.operations.answers.sources import SourcePlan, SyncedNames
from aloma_py.operations.scripts import change_scripts
from aloma_py.operations.scripttexts import check_script, compose
from aloma_py.operations.sites import Site
from aloma_py.steps.javascript.define import Kind, version_of_text
from aloma_py.store.scripts import Put, Remove, Script, ScriptShelf, changed
from aloma_py.store.sources import digest_of
from aloma_py.sync import Found, Project, ProjectScript


async def carry_out(site: Site, found: Found, *, dry_run: bool) -> tuple[SourcePlan, str]:
    """Make the stored scripts what the project says, all or none; with ``dry_run`` only see whether that can be done.

    Gives the plan, and the digest of the scripts that it leads to (see :func:`~aloma_py.store.sources.digest_of`).

    Steps that the project does not have are deleted, and so are libraries where it has a folder for them. Raises
    :class:`~aloma_py.errors.LoadError` with the repository's file and line for what cannot be loaded.
    """
    project = found.project
    assert project is not None
    await _refuse_files(site, project)
    stored = await ScriptShelf(site.store, site.workspace).all()
    texts = {(one.kind, one.name): _text(one) for one in project.scripts}
    steps, changes = _changes("step", project.scripts, texts, stored, prune=True)
    libraries, more = _changes("library", project.scripts, texts, stored, prune=project.libraries)
    try:
        if changes or more:
            await change_scripts(site, [*changes, *more], dry_run=dry_run)
    except LoadError as error:
        raise _in_repository(error, project) from error
    plan: SourcePlan = {
        "commit": found.commit,
        "branch": found.branch,
        "author": found.author,
        "title": found.title,
        "folder": project.folder,
        "steps": steps,
        "libraries": libraries,
        "skipped": [{"path": one["path"], "why": one["why"]} for one in project.skipped],
        "applied": not dry_run,
    }
    after = changed(stored, [*changes, *more])
    return plan, digest_of((one.kind, one.name, one.suffix, version_of_text(one.text)) for one in after)


def _changes(
    kind: Kind,
    scripts: Iterable[ProjectScript],
    texts: Mapping[tuple[Kind, str], str],
    stored: Sequence[Script],
    *,
    prune: bool,
) -> tuple[SyncedNames, list[Put | Remove]]:
    names: SyncedNames = {"added": [], "changed": [], "unchanged": [], "deleted": [], "left": []}
    changes: list[Put | Remove] = []
    missing = {one.name: one for one in stored if one.kind == kind}
    for one in scripts:
        if one.kind != kind:
            continue
        old, text = missing.pop(one.name, None), texts[kind, one.name]
        if old is not None and (old.text, old.suffix) == (text, one.suffix):
            names["unchanged"].append(one.name)
            continue
        names["added" if old is None else "changed"].append(one.name)
        put = Put(kind, one.name, text, one.suffix, expected=old.version if old else None, new=old is None)
        try:
            check_script(put)
        except InputError as error:
            raise LoadError(str(error), file=one.path) from error
        changes.append(put)
    names["deleted" if prune else "left"] = list(missing)
    changes += [Remove(kind, old.name, old.version) for old in missing.values() if prune]
    return names, changes


def _text(script: ProjectScript) -> str:
    """The whole text; that of a built step is put together here."""
    if script.text is not None:
        return script.text
    try:
        text = compose(script.name, None, script.condition, script.content, needed=True) or ""
    except LoadError as error:
        raise _built(error, script) from error
    return f"export const disabled = true;\n{text}" if script.disabled else text


async def _refuse_files(site: Site, project: Project) -> None:
    """Refuse names that steps or libraries of the server's own files have."""
    stored = set(ScriptShelf(site.store, site.workspace).names("step"))
    try:
        table = await site.table()
    except InputError:  # the workspace cannot be loaded as it is; what the project makes of it is tried later
        table = None
    served = {step.name: step.location for step in table.all if step.name not in stored} if table is not None else {}
    spaces = (await site.engine.store.facts()).get("libraries") or {}
    for one in project.scripts:
        place = served.get(one.name) if one.kind == "step" else spaces.get(one.name)
        if place is not None:
            raise LoadError(
                f"the {one.kind} {one.name!r} is served from {place} already: it can come from one of the two only",
                file=one.path,
            )


def _in_repository(error: LoadError, project: Project) -> LoadError:
    """The error with the repository's file in the place of the stored script."""
    found = [one for one in project.scripts if error.file == one.name + one.suffix]
    found.sort(key=lambda one: (one.kind == "step") != (error.step is not None))  # errors of steps name their step
    if not found:
        return error
    if found[0].text is None:
        return _built(error, found[0])
    return LoadError(error.reason, file=found[0].path, line=error.line, step=error.step)


def _built(error: LoadError, script: ProjectScript) -> LoadError:
    where = f"line {error.line} of its code: " if error.line else ""
    return LoadError(f"{where}{error.reason}", file=script.path, step=script.name)
