"""Loading the steps of a workspace: from modules, packages, files, folders or steps, all of them or none."""

from __future__ import annotations

import ast
import importlib.util
import os
import pkgutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from aloma_py.errors import LoadError, suggest
from aloma_py.steps.decorator import Step
from aloma_py.steps.define import define
from aloma_py.steps.definition import Location, StepDefinition
from aloma_py.steps.importing import Importer, forget, import_named
from aloma_py.steps.javascript.define import SUFFIXES, ScriptFiles, ScriptText
from aloma_py.steps.javascript.files import JSStep
from aloma_py.steps.libraries import Libraries, make_namespace
from aloma_py.steps.sources import Sources

AnyStep = Step[..., Any]

_LOADING: Final = threading.RLock()
"""Importing changes what the whole process has: one thread after the other. A module that loads steps may do so."""


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """A JavaScript file, and what its first step is called where the file says nothing else."""

    path: Path
    name: str


Item = ModuleType | AnyStep | ScriptFile


@dataclass(frozen=True, slots=True)
class StepSet:
    """What was loaded: the steps in the order of their creation, the libraries, and the files they came from."""

    steps: tuple[StepDefinition, ...]
    libraries: Libraries
    sources: tuple[str, ...]  # files, absolute, sorted; to watch for changes
    packages: tuple[str, ...] = ()  # private names in sys.modules

    def unload(self) -> None:
        """Forget the modules of files and folders; for after a reload. The steps themselves go on working."""
        forget(self.packages)


def load_steps(
    source: object,
    *,
    name: str | None = None,
    libraries: Mapping[str, object] | None = None,
    texts: Sequence[ScriptText] = (),
) -> StepSet:
    """Load the steps of ``source``, all of them or none.

    ``source`` is a module, a dotted module name, a package (its modules too, sorted), a file (``.py``, or
    JavaScript: ``.js .mjs .cjs .ts .mts``), a folder (its files, sorted, at any depth), a step, or a list of these.
    Names that begin with ``_`` or ``.`` are skipped, except a package's ``__init__``. Steps are created in the
    order of the sources, then of the files, then of the lines. A step that one file imports from another counts
    once, where it was written. Files of a folder import each other with ``from .other import …``; a module that is
    imported already is not read again.

    ``libraries`` maps a namespace to a file, a folder, a module or its name; Python steps see what is Python in it,
    JavaScript steps what is JavaScript. ``texts`` are steps and libraries in JavaScript that are no files: they come
    after those of the files, and may not have the name of one. ``name`` is the workspace's, for messages. Raises
    :class:`~aloma_py.errors.LoadError` with file, line and step for whatever cannot be loaded,
    for two steps of one name, and where there is no step at all.
    """
    with _LOADING, Importer() as importer:
        gathered = _gather(source, importer)
        scripts = ScriptFiles()
        spaces = {}
        for space, place in (libraries or {}).items():
            modules = _library_modules(space, place, importer, scripts)
            if modules:
                spaces[space] = make_namespace(space, modules)
        found = list(_pick(gathered, scripts))
        found += _add_texts(texts, libraries or {}, scripts)
        if not found:
            who = f"the workspace {name!r}" if name else "what was given"
            raise LoadError(f"{who} has no steps: no @step and no JavaScript step was found in {_shown(source)}")
        sources = Sources(dict(importer.texts))
        for module in gathered:
            if isinstance(module, ModuleType):
                _refuse_shadowed(module, sources)
        _refuse_doubles(found)
        shared = Libraries(spaces)
        from_scripts = iter(scripts.define())
        steps = tuple(
            define(step, sources=sources, libraries=shared) if isinstance(step, Step) else next(from_scripts)
            for step in found
        )
        file_steps = steps[: len(steps) - len(scripts.texts)]
        files = set(scripts.files) | {
            step.location.file for step in file_steps if step.location.file and Path(step.location.file).is_file()
        }
        return StepSet(steps, shared, tuple(sorted(files | set(importer.texts))), importer.packages)


def _add_texts(texts: Sequence[ScriptText], spaces: Mapping[str, object], scripts: ScriptFiles) -> list[JSStep]:
    """The steps of the texts; their libraries are added too."""
    found = []
    for text in texts:
        if text.kind == "library" and text.name in spaces:
            raise LoadError(f"there is a library {text.name!r} of files already, {spaces[text.name]}", file=text.file)
        try:
            step = scripts.add_text(text)
        except LoadError as error:
            who = text.name if text.kind == "step" else None
            raise error.at(file=text.file, step=who) from error.__cause__
        if step is not None:
            found.append(step)
    return found


def _gather(source: object, importer: Importer) -> list[Item]:
    """The modules, steps and JavaScript files that ``source`` means, in order, each once."""
    found: dict[object, Item] = {}
    for item in _expand(source, importer):
        found.setdefault(item.path if isinstance(item, ScriptFile) else id(item), item)
    return list(found.values())


def _expand(source: object, importer: Importer) -> Iterator[Item]:
    match source:
        case Step():
            yield source
        case ModuleType():
            yield from _modules(source)
        case Path():
            yield from _load_path(source, importer)
        case str():
            yield from _load_text(source, importer)
        case Mapping() | bytes():
            raise LoadError(f"steps cannot be loaded from {source!r}: {_EXPECTED}")
        case Iterable():
            for item in source:
                yield from _expand(item, importer)
        case _:
            raise LoadError(f"steps cannot be loaded from {source!r}: {_EXPECTED}")


_EXPECTED: Final = "a module, its name, a .py file, a folder, a step, or a list of these was expected"


def _load_text(source: str, importer: Importer) -> Iterator[Item]:
    """Text is a path where there is such a file or folder, or where it looks like one; else a module's name."""
    path = Path(source)
    looks_like_path = os.sep in source or "/" in source or path.suffix in SUFFIXES | {".py"}
    if path.exists() or looks_like_path or not all(part.isidentifier() for part in source.split(".")):
        yield from _load_path(path, importer)
        return
    try:
        missing = importlib.util.find_spec(source) is None
    except ModuleNotFoundError:
        missing = True
    except Exception:  # find_spec imports the parent package: importing tells it better
        missing = False
    if missing:
        raise LoadError(f"there is no module, file or folder {source!r}{_near(path)}")
    yield from _modules(import_named(source))


def _modules(module: ModuleType) -> Iterator[ModuleType]:
    """The module, and below a package its modules, sorted."""
    yield module
    if not hasattr(module, "__path__"):
        return
    for info in sorted(pkgutil.iter_modules(module.__path__), key=lambda info: info.name):
        if not info.name.startswith("_"):
            yield from _modules(import_named(f"{module.__name__}.{info.name}"))


def _load_path(path: Path, importer: Importer) -> Iterator[Item]:
    path = path.absolute()
    if path.is_dir():
        if (path / "__init__.py").is_file():
            yield importer.load_file(path, path / "__init__.py")
        for file in _files(path):
            yield _load_file(path, file, importer)
    elif path.is_file():
        yield _load_file(path.parent, path, importer)
    else:
        raise LoadError(f"there is no file or folder {str(path)!r}{_near(path)}")


def _files(folder: Path) -> Iterator[Path]:
    """The step files of a folder, sorted by name at every level."""
    for place in sorted(folder.iterdir(), key=lambda place: place.name):
        if place.name.startswith(("_", ".")):
            continue
        if place.is_dir():
            if (place / "__init__.py").is_file():
                yield place / "__init__.py"
            yield from _files(place)
        elif place.suffix == ".py" or (place.suffix in SUFFIXES and not place.name.endswith((".d.ts", ".d.mts"))):
            yield place


def _load_file(folder: Path, file: Path, importer: Importer) -> Item:
    if file.suffix in SUFFIXES:
        return ScriptFile(file, file.relative_to(folder).with_suffix("").as_posix())
    if file.suffix != ".py":
        raise LoadError("this is no step file: its name must end in .py, .js, .mjs, .cjs, .ts or .mts", file=str(file))
    return importer.load_file(folder, file)


def _near(path: Path) -> str:
    parent = path.absolute().parent
    try:
        siblings = sorted(place.name for place in parent.iterdir() if not place.name.startswith((".", "_")))
    except OSError:
        return f"; there is no folder {str(parent)!r} either"
    return suggest(path.name, siblings)


def _pick(gathered: Sequence[Item], scripts: ScriptFiles) -> Iterator[AnyStep | JSStep]:
    """The steps, each once: one that a module imports from another counts where it was written, if that is loaded."""
    loaded = {item.__name__ for item in gathered if isinstance(item, ModuleType)}
    seen: set[int] = set()
    for item in gathered:
        if isinstance(item, ScriptFile):
            yield from scripts.add_file(item.path, item.name)
            continue
        steps = [item] if isinstance(item, Step) else _steps_of(item)
        for step in steps:
            elsewhere = isinstance(item, ModuleType) and step.function.__module__ != item.__name__
            if id(step) in seen or (elsewhere and step.function.__module__ in loaded):
                continue
            seen.add(id(step))
            yield step


def _steps_of(module: ModuleType) -> list[AnyStep]:
    """A module's steps by line; those that it imports come after its own."""
    steps = [value for value in vars(module).values() if isinstance(value, Step)]
    return sorted(steps, key=lambda step: (step.function.__module__ != module.__name__, step.location.line or 0))


def _refuse_doubles(steps: Sequence[AnyStep | JSStep]) -> None:
    places: dict[str, AnyStep | JSStep] = {}
    for step in steps:
        first = places.setdefault(step.name, step)
        if first is not step:
            place = _place(step)
            raise LoadError(
                f"there is a step of this name already, at {_place(first)}; each needs a name of its own",
                file=place.file,
                line=place.line,
                step=step.name,
            )


def _place(step: AnyStep | JSStep) -> Location:
    return step.location if isinstance(step, Step) else Location(step.file, step.line)


def _refuse_shadowed(module: ModuleType, sources: Sources) -> None:
    """Refuse a file in which a later definition takes a step's name: the earlier step would be lost without a word."""
    file = getattr(module, "__file__", None)
    tree = sources.tree(file) if file else None
    if tree is None:
        return
    lines: dict[str, int] = {}
    for node in tree.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if node.name in lines and isinstance(vars(module).get(node.name), Step):
            raise LoadError(
                f"a function of this name was defined before, at {file}:{lines[node.name]}, and is lost; rename one",
                file=file,
                line=node.lineno,
                step=node.name,
            )
        lines[node.name] = node.lineno


def _library_modules(space: str, place: object, importer: Importer, scripts: ScriptFiles) -> list[ModuleType]:
    try:
        items = _gather(place, importer)
        for item in items:
            if isinstance(item, ScriptFile):
                scripts.add_library(space, item.path)
        found = [item for item in items if isinstance(item, ModuleType)]
    except LoadError as error:
        raise LoadError(f"library {space!r}: {error.reason}", file=error.file, line=error.line) from error.__cause__
    if not any(isinstance(item, (ModuleType, ScriptFile)) for item in items):
        raise LoadError(f"the library {space!r} has no file in {_shown(place)}")
    return found


def _shown(source: object) -> str:
    if isinstance(source, ModuleType):
        return f"the module {source.__name__}"
    if isinstance(source, (list, tuple)):
        return ", ".join(_shown(item) for item in source) or "an empty list"
    return str(source)
