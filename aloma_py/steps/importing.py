"""Importing step files under names of their own, so that two workspaces, or a reload, do not meet in ``sys.modules``.

A folder becomes a package with a private name: its files import each other with ``from . import helpers`` or
``from .helpers import x``. A plain ``import helpers`` does not find them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from aloma_py.errors import InputError, LoadError

PREFIX = "aloma_workspace_"


class Importer:
    """Imports the files of any number of folders, each folder as a package; use it as a context manager.

    ``texts`` holds what was read, by file. While it is open it finds modules of its own packages; where the block
    raises, all that it imported is forgotten.
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._roots: dict[Path, str] = {}
        self._finder = _Finder(self._roots, self.texts)

    def __enter__(self) -> Importer:
        sys.meta_path.insert(0, self._finder)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        sys.meta_path.remove(self._finder)
        if kind is not None:
            forget(self.packages)

    @property
    def packages(self) -> tuple[str, ...]:
        """The private names of the packages."""
        return tuple(self._roots.values())

    def load_file(self, folder: Path, file: Path) -> ModuleType:
        """The module of ``file``, which is in ``folder`` or below it.

        Raises :class:`~aloma_py.errors.LoadError` with the file and line where the file cannot be imported.
        """
        parts = file.relative_to(folder).with_suffix("").parts
        for part in parts:
            if "." in part:
                raise LoadError(f"a step file's name cannot have a dot in it: {part!r}", file=str(file))
        if parts[-1] == "__init__":
            parts = parts[:-1]
        with _told(str(file), self.texts):
            return importlib.import_module(".".join((self._root(folder), *parts)))

    def _root(self, folder: Path) -> str:
        if folder not in self._roots:
            self._roots[folder] = f"{PREFIX}{uuid.uuid4().hex}"
        return self._roots[folder]


def import_named(name: str) -> ModuleType:
    """The module of a dotted name, as ``import`` finds it, with its errors told as :class:`LoadError`."""
    with _told(name, {}):
        return importlib.import_module(name)


def forget(packages: Sequence[str]) -> None:
    """Drop private packages and what is in them from ``sys.modules``."""
    for name in list(sys.modules):
        if name.partition(".")[0] in packages:
            del sys.modules[name]


class _Finder(MetaPathFinder):
    """Finds the modules of private packages; knows no others."""

    def __init__(self, roots: Mapping[Path, str], texts: dict[str, str]) -> None:
        self._roots = roots
        self._texts = texts

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root, *parts = fullname.split(".")
        folder = next((folder for folder, name in self._roots.items() if name == root), None)
        if folder is None:
            return None
        place = folder.joinpath(*parts)
        init = place / "__init__.py"
        if init.is_file():
            loader = _Loader(fullname, str(init), self._texts)
            return importlib.util.spec_from_file_location(
                fullname, init, loader=loader, submodule_search_locations=[str(place)]
            )
        file = place.parent / f"{place.name}.py"
        if parts and file.is_file():
            return importlib.util.spec_from_file_location(
                fullname, file, loader=_Loader(fullname, str(file), self._texts)
            )
        if place.is_dir():
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(place)]
            return spec
        return None


class _Loader(SourceFileLoader):
    """Compiles the text as it is now. The cache of compiled files goes by seconds, too coarse for a quick reload."""

    def __init__(self, fullname: str, path: str, texts: dict[str, str]) -> None:
        super().__init__(fullname, path)
        self._texts = texts

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        content = self.get_data(path)
        code: Any = self.source_to_code(content, path)
        self._texts[path] = importlib.util.decode_source(content)
        assert isinstance(code, CodeType)
        return code


@contextmanager
def _told(place: str, ours: Mapping[str, str]) -> Iterator[None]:
    """Tell whatever an import raises as a :class:`LoadError` with the file and line it came from."""
    try:
        yield
    except LoadError as error:
        frame = _frame(error, ours)
        raise error.at(file=frame[0] if frame else place, line=frame[1] if frame else None) from None
    except SyntaxError as error:
        raise LoadError(
            f"{type(error).__name__}: {error.msg}", file=error.filename or place, line=error.lineno
        ) from error
    except (Exception, SystemExit) as error:
        frame = _frame(error, ours)
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        text += _sibling_hint(error, place)
        raise LoadError(text, file=frame[0] if frame else place, line=frame[1] if frame else None) from error


def _frame(error: BaseException, ours: Mapping[str, str]) -> tuple[str, int | None] | None:
    """Where it came from: the innermost frame in one of our files, else the innermost outside the import system."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    here = [frame for frame in frames if frame[0] in ours]
    if here:
        return here[-1]
    here = [
        frame
        for frame in frames
        if not frame[0].startswith("<frozen importlib") and frame[0] not in (__file__, importlib.__file__)
    ]
    return here[-1] if here else None


def _sibling_hint(error: BaseException, place: str) -> str:
    """What to write where a file imports its neighbour by its bare name."""
    if isinstance(error, InputError) or not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    neighbour = Path(place).parent / f"{error.name}.py"
    return f"; write 'from . import {error.name}'" if neighbour.is_file() else ""
