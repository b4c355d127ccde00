"""What a repository's tree says: the steps and libraries of a project, in any of the layouts there are.

====================  ==========================================================  ===============================
steps                 which files                                                 libraries
====================  ==========================================================  ===============================
``steps/``            JavaScript; the path below it is the step's name            ``libraries/``
``src/steps/``        the same: the workspace SDK's sources                       ``src/libraries``, ``libraries``
``export/steps/``     ``NAME.step.json``: the workspace SDK's build               ``libraries/``
====================  ==========================================================  ===============================

The first folder that is there counts. Nothing is run: a Python file is told as skipped.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from dulwich.objects import S_ISGITLINK, Tree

from aloma_py.errors import LoadError
from aloma_py.steps.javascript.define import SUFFIXES, Kind
from aloma_py.sync.errors import CONTROLS, SourceError
from aloma_py.sync.stopping import Stop

MAX_FILES: Final = 10_000
MAX_DEPTH: Final = 100
MAX_FILE: Final = 2_000_000
"""Bytes of a file that is read; one with a step may have fewer."""

BUILT: Final = ".step.json"

_LAYOUTS: Final = (
    ("steps", ("libraries",)),
    ("src/steps", ("src/libraries", "libraries")),
    ("export/steps", ("libraries",)),
)
_POINTER: Final = b"version https://git-lfs.github.com/spec/"

Read = Callable[[bytes], bytes]
"""Gives the bytes of the object with that id."""


@dataclass(frozen=True, slots=True)
class ProjectScript:
    """A step or library of the repository: its whole ``text``, or (of a build) ``condition`` and ``content``."""

    kind: Kind
    name: str
    suffix: str
    path: str  # in the repository
    text: str | None
    condition: str = ""
    content: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """``libraries`` says whether there is a folder for them; ``skipped`` is ``{path, why}`` of what does nothing."""

    folder: str  # where the steps are
    scripts: tuple[ProjectScript, ...]
    libraries: bool
    skipped: tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class _File:
    mode: int
    id: bytes


def read_project(
    read_tree: Callable[[bytes], Tree], read: Read, tree: bytes, folder: str | None, stop: Stop
) -> Project:
    """The project in the tree of that id, in ``folder`` of it, else in its root.

    Raises :class:`~aloma_py.sync.errors.SourceError` where there is none, and :class:`~aloma_py.errors.LoadError` with
    the file for one that cannot be read.
    """
    files = _list(read_tree, tree, stop)
    root = f"{folder.strip('/')}/" if folder and folder.strip("/") else ""
    if root and not any(path.startswith(root) for path in files):
        raise SourceError(f"the repository has no folder {folder!r}")
    for steps, libraries in _LAYOUTS:
        place = f"{root}{steps}/"
        if any(path.startswith(place) for path in files):
            return _Reader(files, read, stop).project(place, [f"{root}{one}/" for one in libraries])
    if root and any(_is_script(path) for path in files if path.startswith(root)):
        return _Reader(files, read, stop).project(root, [])  # the folder of the steps itself
    where = f"in {folder!r}" if root else "at the repository's root"
    raise SourceError(
        f"there are no steps {where}: a folder steps/, src/steps/ or export/steps/ was expected; "
        "folder says in which folder of the repository the project is"
    )


def _list(read_tree: Callable[[bytes], Tree], top: bytes, stop: Stop) -> dict[str, _File]:
    """All files by their path; what has no path in UTF-8 is left out."""
    found: dict[str, _File] = {}
    waiting = [("", top, 0)]
    folders = 0  # one that is in itself many times over has few objects, and no end
    while waiting:
        stop.check()
        folders += 1
        above, id, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise SourceError(f"the repository has folders deeper than {MAX_DEPTH}")
        for name, mode, child in read_tree(id).iteritems():
            try:
                path = above + name.decode()
            except UnicodeDecodeError:
                continue
            if stat.S_ISDIR(mode):
                waiting.append((f"{path}/", child, depth + 1))
            else:
                found[path] = _File(mode, child)
        if len(found) > MAX_FILES:
            raise SourceError(f"the repository has more than {MAX_FILES:,} files: keep steps in one of their own")
        if folders > MAX_FILES:
            raise SourceError(f"the repository has more than {MAX_FILES:,} folders: keep steps in one of their own")
    return dict(sorted(found.items()))


def _is_script(path: str) -> bool:
    name = PurePosixPath(path)
    return name.suffix in SUFFIXES and not path.endswith((".d.ts", ".d.mts"))


class _Reader:
    def __init__(self, files: Mapping[str, _File], read: Read, stop: Stop) -> None:
        self._files = files
        self._read = read
        self._stop = stop
        self._scripts: dict[tuple[str, str], ProjectScript] = {}
        self._skipped: list[dict[str, str]] = []

    def project(self, steps: str, libraries: list[str]) -> Project:
        shared = next((one for one in libraries if any(path.startswith(one) for path in self._files)), None)
        self._folder("step", steps)
        if not self._scripts:
            raise SourceError(f"there is no step in {steps}: nothing was changed, as that is likely a slip")
        if shared is not None:
            self._folder("library", shared)
        return Project(steps, tuple(self._scripts.values()), shared is not None, tuple(self._skipped))

    def _folder(self, kind: Kind, folder: str) -> None:
        for path, file in self._files.items():
            if not path.startswith(folder):
                continue
            parts = path.removeprefix(folder).split("/")
            if any(part.startswith((".", "_")) for part in parts):
                continue
            if CONTROLS.search(path):
                raise LoadError("the file's name has control characters in it", file=repr(path))
            built = kind == "step" and path.endswith(BUILT)
            if path.endswith(".py"):
                self._skip(path, "Python on the server comes from whoever serves it")
            elif not built and not _is_script(path):
                continue
            elif S_ISGITLINK(file.mode) or not stat.S_ISREG(file.mode):
                self._skip(path, "it is no file, but a link or submodule, and these are not followed")
            else:
                self._stop.check()
                content = self._content(path, file)
                self._add(_built(path, content) if built else _script(kind, path, folder, content))

    def _skip(self, path: str, why: str) -> None:
        self._skipped.append({"path": path, "why": why})

    def _add(self, script: ProjectScript) -> None:
        first = self._scripts.setdefault((script.kind, script.name), script)
        if first is not script:
            raise LoadError(f"the {script.kind} {script.name!r} is in {first.path} too", file=script.path)

    def _content(self, path: str, file: _File) -> str:
        content = self._read(file.id)
        if len(content) > MAX_FILE:
            raise LoadError(f"the file has {len(content):,} bytes, which is more than a step may have", file=path)
        if content.startswith(_POINTER):
            raise LoadError("the file is kept in Git LFS, which is not read: keep steps in git itself", file=path)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise LoadError(f"the file is no UTF-8 text: {error.reason} at byte {error.start}", file=path) from None


def _script(kind: Kind, path: str, folder: str, text: str) -> ProjectScript:
    name = PurePosixPath(path.removeprefix(folder))
    return ProjectScript(kind, name.with_suffix("").as_posix(), name.suffix, path, text)


def _built(path: str, text: str) -> ProjectScript:
    """The step of a build: ``{name, content: {if, do, enabled, valid}, errors?}``; ``if`` and ``do`` are texts."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise LoadError("the file is no JSON", file=path) from None
    content: Any = told.get("content") if isinstance(told, dict) else None
    name = told.get("name") if isinstance(told, dict) else None
    condition, body = (content.get("if"), content.get("do")) if isinstance(content, dict) else (None, None)
    if not (
        isinstance(content, dict) and isinstance(name, str) and isinstance(condition, str) and isinstance(body, str)
    ):
        raise LoadError('this is no built step: {"name": …, "content": {"if": …, "do": …}} was expected', file=path)
    if told.get("errors") or content.get("valid") is False:
        raise LoadError("the build says that the step is not valid", file=path)
    disabled = content.get("enabled") is False
    return ProjectScript("step", name, ".js", path, None, condition, body, disabled)


__all__ = ["Project", "ProjectScript", "read_project"]
