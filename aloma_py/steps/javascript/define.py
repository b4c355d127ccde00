"""From step and library files in JavaScript to :class:`~aloma_py.steps.definition.StepDefinition`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

from aloma_py.errors import ConditionError, LoadError
from aloma_py.javascript.check import Checked, check
from aloma_py.javascript.consult import Asker
from aloma_py.javascript.program import Program
from aloma_py.steps.definition import Footprint, Location, Script, StepDefinition
from aloma_py.steps.javascript.files import JSStep, read_library, read_steps
from aloma_py.steps.javascript.footprint import javascript_footprint
from aloma_py.steps.options import StepOptions, check_name, check_options

SUFFIXES: Final = frozenset({".js", ".mjs", ".cjs", ".ts", ".mts"})
_TYPED: Final = (".ts", ".mts")

MOST_REMEMBERED: Final = 16_384
"""Of how many texts it is kept what was found out: a workspace is loaded anew for each text that changes."""

Kind = Literal["step", "library"]


@dataclass(frozen=True, slots=True)
class ScriptText:
    """A step or a library that is no file. In messages and stacks it is called ``name`` and ``suffix``."""

    kind: Kind
    name: str
    suffix: str  # one of SUFFIXES: it says whether the text is TypeScript
    text: str
    enabled: bool = True

    @property
    def file(self) -> str:
        return self.name + self.suffix


@dataclass(slots=True)
class ScriptFiles:
    """The JavaScript files of a workspace, gathered one by one and then defined together."""

    steps: list[JSStep] = field(default_factory=list)
    libraries: list[Program] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    texts: dict[int, ScriptText] = field(default_factory=dict)  # those of the steps that are no file, by their place
    shown: dict[str, str] = field(default_factory=dict)  # what a library's file is called in messages, where otherwise

    def add_file(self, file: Path, name: str) -> list[JSStep]:
        """Read a step file; ``name`` is what its first step is called where the file says nothing else."""
        found = read_steps(read_text(file), str(file), default_name=name)
        for step in found:
            try:
                check_name(step.name)
            except LoadError as error:
                raise error.at(file=step.file, line=step.line) from None
        self.steps += found
        self.files.append(str(file))
        return found

    def add_library(self, namespace: str, file: Path) -> None:
        library = read_library(read_text(file), str(file))
        self.libraries.append(Program(namespace, str(file), library.program, "library"))
        self.files.append(str(file))

    def add_text(self, script: ScriptText) -> JSStep | None:
        """Read a text: the step that it is, or ``None`` for a library.

        Raises :class:`~aloma_py.errors.LoadError`, also where the text has several steps, or one of another name.
        """
        if script.kind == "library":
            program = read_library(script.text, script.file).program
            # A worker knows a program by its file: another text under the same name has to be another file.
            file = f"{script.name}@{version_of_text(script.text)}{script.suffix}"
            self.libraries.append(Program(script.name, file, program, "library"))
            self.shown[file] = script.file
            return None
        found = _read_text_again(script.text, script.file, script.name)
        if len(found) != 1:
            what = f"there are {len(found)}" if found else "there is nothing but comments"
            raise LoadError(f"one condition and one content were expected, but {what}", file=script.file, line=1)
        step = found[0]
        if step.name != script.name:
            raise LoadError(
                f"the text exports the name {step.name!r}, but the step is stored as {script.name!r}: leave name out",
                file=script.file,
                line=step.line,
            )
        self.texts[len(self.steps)] = script
        self.steps.append(step)
        return step

    def define(self) -> list[StepDefinition]:
        """The steps, in the order in which they were added. Raises :class:`~aloma_py.errors.LoadError`."""
        libraries = tuple(self.libraries)
        spaces = sorted({program.key for program in libraries})
        programs = [Program(f"{step.name}@{version_of(step)}", step.file, step.program) for step in self.steps]
        try:
            checked = _check(libraries, programs, self.shown)
        except (RuntimeError, OSError) as error:
            raise LoadError(f"JavaScript cannot be checked: {error}") from error
        made = [
            _define(step, program, result, libraries, spaces)
            for step, program, result in zip(self.steps, programs, checked, strict=True)
        ]
        for at, text in self.texts.items():
            version = version_of_text(text.text)
            made[at] = replace(made[at], enabled=made[at].enabled and text.enabled, version=version)
        return made


def _check(libraries: tuple[Program, ...], programs: Sequence[Program], shown: Mapping[str, str]) -> list[Checked]:
    """What V8 says of the programs. It is asked of those only that it has not found good before."""
    new = [program for program in programs if (libraries, program) not in _GOOD]
    if new or (libraries and (libraries, None) not in _GOOD):
        checked = check([*libraries, *new])
        for program, result in zip(libraries, checked, strict=False):
            if result.error is not None:
                where = shown.get(program.file, program.file)
                raise LoadError(f"library {program.key!r}: {result.error}", file=where, line=result.line)
        found = dict(zip(new, checked[len(libraries) :], strict=True))
    else:
        found = {}
    answers = [found.get(program) or _GOOD[libraries, program] for program in programs]
    _remember(libraries, {None: Checked(), **{program: one for program, one in found.items() if one.error is None}})
    return answers


_GOOD: Final[dict[tuple[tuple[Program, ...], Program | None], Checked]] = {}
"""What V8 has said of programs beside libraries; ``None`` stands for these alone."""


def _remember(libraries: tuple[Program, ...], found: Mapping[Program | None, Checked]) -> None:
    for program, one in found.items():
        _GOOD[libraries, program] = one
    while len(_GOOD) > MOST_REMEMBERED:
        del _GOOD[next(iter(_GOOD))]


@lru_cache(maxsize=MOST_REMEMBERED)
def _read_text_again(text: str, file: str, name: str) -> tuple[JSStep, ...]:
    return tuple(read_steps(text, file, default_name=name))


@lru_cache(maxsize=MOST_REMEMBERED)
def _footprint(text: str, typescript: bool, spaces: tuple[str, ...]) -> Footprint:
    return javascript_footprint(text, typescript=typescript, libraries=spaces)


def read_text(file: Path) -> str:
    """The text of a file. Raises :class:`~aloma_py.errors.LoadError`."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LoadError(f"the file is no UTF-8 text: {error.reason} at byte {error.start}", file=str(file)) from None
    except OSError as error:
        raise LoadError(f"the file cannot be read: {error.strerror}", file=str(file)) from None


def version_of_text(text: str) -> str:
    """Twelve hex digits that change with the text of a script that is no file."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


def version_of(step: JSStep) -> str:
    """Twelve hex digits that change with the step's text or an option."""
    return hashlib.sha256(f"{step.text}\0{sorted(step.options.items())!r}".encode(errors="replace")).hexdigest()[:12]


def _define(
    step: JSStep, program: Program, checked: Checked, libraries: tuple[Program, ...], spaces: Sequence[str]
) -> StepDefinition:
    if checked.error is not None:
        raise LoadError(checked.error, file=step.file, line=checked.line or step.line, step=step.name)
    asker = Asker(program, libraries)
    try:
        condition = _condition_of(step, checked, asker)
        options = _options(step.options)
    except LoadError as error:
        raise error.at(file=step.file, line=step.line, step=step.name) from error.__cause__
    found = _footprint(step.text, step.file.endswith(_TYPED), tuple(spaces))
    return StepDefinition(
        name=step.name,
        condition=condition,
        function=_not_python,
        language="javascript",
        is_async=True,
        footprint=found,
        location=Location(step.file, step.line),
        version=version_of(step),
        source=step.text,
        description=str(step.options.get("description") or step.description),
        script=Script(program, libraries, asker, _config_names(step, libraries)),
        **options,
    )


def _condition_of(step: JSStep, checked: Checked, asker: Asker) -> Any:
    from aloma_py.conditions.condition import may_match_object
    from aloma_py.steps.javascript.condition import javascript_condition

    condition = javascript_condition(checked.condition, step.condition, asker, dict(step.dynamic))
    if not may_match_object(condition.pattern):
        raise ConditionError(f"a task's data is an object, which {step.condition} can never match")
    return condition


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    checked = check_options({name: value for name, value in given.items() if name not in ("name", "description")})
    return {one.name: getattr(checked, one.name) for one in fields(StepOptions)}


def _config_names(step: JSStep, libraries: Sequence[Program]) -> str | None:
    """The text in which the names of configuration values are looked for; ``None``: the code works with any name."""
    text = "\n".join([step.text, *(program.text for program in libraries)])
    if "config" not in text:
        return ""
    return text if len(_ANY_CONFIG.findall(text)) == len(_NAMED_CONFIG.findall(text)) else None


_ANY_CONFIG: Final = re.compile(r"config")
_NAMED_CONFIG: Final = re.compile(r"""config\s*\(\s*(['"`])[^'"`$\\]*\1\s*\)""")


async def _not_python(**_: Any) -> None:
    raise RuntimeError("a JavaScript step runs in V8; run its workspace")
