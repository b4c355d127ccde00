"""``aloma-py pull``: write the stored steps and libraries of workspaces into a project's files."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import rich_click as click

from aloma_py.cli import client, output
from aloma_py.cli.folders import file_of
from aloma_py.cli.options import Common, pass_common
from aloma_py.errors import InputError
from aloma_py.steps.javascript.define import SUFFIXES

CONFIG: Final = ".aloma.yaml"

KINDS: Final = ("step", "library")


@dataclass(slots=True)
class _Done:
    """Paths, relative to the project's folder.

    ``gone`` are files whose steps are not stored any more, ``disabled`` those of steps that do not run in their
    workspace although their text does not say so.
    """

    written: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)


@click.command()
@click.argument("workspaces", metavar="[WORKSPACE]…", nargs=-1)
@click.option("-p", "--path", default=".", show_default="this folder", metavar="FOLDER", help="The project.",
              type=click.Path(path_type=Path))  # fmt: skip
@click.option("--prune", is_flag=True, help="Delete the files of steps and libraries that are not stored any more.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@pass_common
def pull(common: Common, workspaces: tuple[str, ...], path: Path, prune: bool, dry_run: bool) -> None:
    """Write the stored steps and libraries of workspaces into a project's files.

    Without a WORKSPACE, those that .aloma.yaml names below pull: workspaces:, else that of --workspace. One workspace's
    files are in the project's folder, of several each has a folder of its name. Files that differ are overwritten.
    """
    if not path.is_dir():
        raise InputError(f"there is no folder {str(path)!r}")
    names = list(dict.fromkeys(workspaces)) or _configured(path / CONFIG) or [common.settings.workspace]
    done = _Done()
    plans = [_Plan(common, path, name, path / _folder(name) if len(names) > 1 else path) for name in names]
    for plan in plans:  # nothing is written where one of them cannot be
        plan.look(done)
    if not dry_run:
        for plan in plans:
            plan.carry_out(prune)
    deleted, left = (done.gone, []) if prune else ([], done.gone)
    answer = {"workspaces": names, "written": done.written, "deleted": [*done.deleted, *deleted], "left": left,
              "unchanged": len(done.unchanged), "disabled": done.disabled, "applied": not dry_run}  # fmt: skip
    if common.as_json:
        output.emit_json(answer)
        return
    _print(answer)


def _configured(file: Path) -> list[str]:
    """The workspaces that the project's file names."""
    if not file.is_file():
        return []
    from aloma_py.testing.yamlfile import read_yaml

    told = read_yaml(file, str(file)).mapping(("pull",)).get("pull")
    if told is None:
        return []
    found = told.mapping(("workspaces",), required=("workspaces",))["workspaces"]
    names = [one.text() if isinstance(one.value, str) else _number(one) for one in found.items()]
    if not names:
        raise found.error("the name of at least one workspace was expected")
    return list(dict.fromkeys(names))


def _number(item: Any) -> str:
    """A name that YAML takes for a number."""
    if type(item.value) is not int:
        raise item.error("the name of a workspace was expected")
    return str(item.value)


def _folder(name: str) -> str:
    if name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise InputError(f"{name!r} is no name of a workspace")
    return name


class _Plan:
    """What becomes of the files of one workspace, in ``folder`` of the project."""

    def __init__(self, common: Common, project: Path, name: str, folder: Path) -> None:
        self._project = project
        self._name = name
        self._folder = folder
        self._settings = common.settings.model_copy(update={"workspace": name})
        self._write: list[tuple[Path, bytes]] = []
        self._replaced: list[Path] = []
        self._gone: list[Path] = []

    def look(self, done: _Done) -> None:
        scripts = {kind: client.ask(self._settings, "list_scripts", kind=kind, texts=True) for kind in KINDS}
        if not scripts["step"]:
            client.ask(self._settings, "show_workspace")  # one that there is not is told so
            raise InputError(f"the workspace {self._name!r} has no stored steps; nothing was written")
        for kind, folder in zip(KINDS, _layout(self._folder), strict=True):
            self._check(folder)
            self._look(folder, scripts[kind], done)

    def _check(self, folder: Path) -> None:
        if not folder.resolve().is_relative_to(self._project.resolve()):
            raise InputError(f"{str(folder)!r} leads out of {str(self._project)!r}; nothing was written")

    def _look(self, folder: Path, scripts: Sequence[dict[str, Any]], done: _Done) -> None:
        there = {self._told(file): file for file in _files(folder)}
        names = {one["name"] for one in scripts}
        for one in scripts:
            target, text = file_of(folder, one["name"], one["suffix"]), one["text"].encode()
            there.pop(self._told(target), None)
            if not one["enabled"]:
                done.disabled.append(self._told(target))
            if target.is_dir():
                raise InputError(f"{str(target)!r} is a folder; nothing was written")
            if target.is_file() and target.read_bytes() == text:
                done.unchanged.append(self._told(target))
            else:
                self._write.append((target, text))
                done.written.append(self._told(target))
        for told, file in there.items():
            if file.relative_to(folder).with_suffix("").as_posix() in names:  # the same, with another ending
                self._replaced.append(file)
                done.deleted.append(told)
            else:
                self._gone.append(file)
                done.gone.append(told)

    def _told(self, file: Path) -> str:
        return file.relative_to(self._project).as_posix()

    def carry_out(self, prune: bool) -> None:
        for target, text in self._write:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                _put(target, text)
            except OSError as error:
                raise InputError(f"{str(target)!r} cannot be written: {error.strerror or error}") from None
        for file in (*self._replaced, *(self._gone if prune else ())):
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise InputError(f"{str(file)!r} cannot be deleted: {error.strerror or error}") from None


def _layout(folder: Path) -> tuple[Path, Path]:
    """Where steps and libraries are, as the folder has it."""
    if (folder / "steps").is_dir():
        return folder / "steps", folder / "libraries"
    if (folder / "src" / "steps").is_dir():
        libraries = folder / "libraries"
        return folder / "src" / "steps", libraries if libraries.is_dir() else folder / "src" / "libraries"
    if (folder / "export" / "steps").is_dir():
        raise InputError(
            f"{str(folder)!r} has only export/steps, which is built of sources: make steps/ or src/steps/ for these"
        )
    return folder / "steps", folder / "libraries"


def _files(folder: Path) -> Iterator[Path]:
    """The JavaScript files below; links are not followed, and what begins with a dot or ``_`` is not ours."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith((".", "_")))
        for name in sorted(names):
            file = Path(place, name)
            ours = file.suffix in SUFFIXES and not name.endswith((".d.ts", ".d.mts")) and name[0] not in "._"
            if ours and not file.is_symlink():
                yield file


def _put(target: Path, text: bytes) -> None:
    """Write the file whole, or leave it as it was."""
    number, name = tempfile.mkstemp(prefix=".aloma-", dir=target.parent)
    made = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(text)
        made.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        made.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            made.unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _print(answer: dict[str, Any]) -> None:
    out = output.console()
    would = "" if answer["applied"] else "would be "
    for word in ("written", "deleted"):
        for path in answer[word]:
            out.print(output.styled(f"{would}{word}: {path}", "red" if word == "deleted" else "green"))
    counts = [f"{len(answer[word])} {word}" for word in ("written", "deleted") if answer[word]]
    if answer["unchanged"]:
        counts.append(f"{answer['unchanged']} unchanged")
    head = "" if answer["applied"] else "nothing was changed; it would be: "
    out.print(output.styled(f"{', '.join(answer['workspaces'])}: {head}{', '.join(counts)}"))
    if answer["left"]:
        files = output.counted(len(answer["left"]), "file", "files")
        out.print(output.styled(f"{files} of what is not stored: {', '.join(answer['left'])} (--prune deletes)", "dim"))
    if answer["disabled"]:
        text = f"disabled in the workspace, but not in their files: {', '.join(answer['disabled'])}"
        out.print(output.styled(f"{text} (export const disabled = true)", "yellow"))
