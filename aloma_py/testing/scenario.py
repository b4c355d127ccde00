"""Scenario files: what is in a ``*.scenario.yaml``, and what is wrong with it.

::

    steps: [steps/]                 # files, folders or modules, relative to the file; in the order of the list,
    libraries: {text: text.py}      # the files of a folder sorted
    config: {LIMIT: 100}            # what task.config gives
    limits: {max_runs: 50}          # of the workspace
    clock: auto                     # or manual: the time moves only by `advance`; also for one scenario
    scenarios:
      - name: a paid order ships
        task: {order: {status: new}}          # or the name of a .json or .yaml file
        task_name: order 7
        tags: [eu]
        connectors:
          - {call: mail.send, when: {to: "ada@example.org"}, return: {ok: true}}
        after:                                # in order, each when the task is at rest
          - {update: {approved: true}}
          - {advance: "24h"}
        expect:
          state: done
          steps: [validate, ship]
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal

from aloma_py.errors import InputError, LoadError
from aloma_py.intake import read_task_file
from aloma_py.models import Json, Limits, Millis
from aloma_py.testing.expect import Expect, parse_expect
from aloma_py.testing.rules import Rule, parse_delay, parse_rules
from aloma_py.testing.yamlfile import Item, read_yaml

SUFFIX: Final = ".scenario.yaml"
"""How the name of a scenario file ends."""

FILE_KEYS: Final = ("steps", "libraries", "config", "limits", "clock", "scenarios")
SCENARIO_KEYS: Final = ("name", "task", "task_name", "tags", "clock", "connectors", "after", "expect")
AFTER_KEYS: Final = ("update", "advance", "stop", "resume")

ClockMode = Literal["auto", "manual"]


@dataclass(frozen=True, slots=True)
class After:
    """Something that happens when the task is at rest: exactly one of these."""

    update: dict[str, Json] | None = None
    advance: Millis | None = None
    stop: bool = False
    resume: bool = False

    def __str__(self) -> str:
        return next(name for name in AFTER_KEYS if getattr(self, name) not in (None, False))


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """What the scenarios of one file share. ``name`` is how the file is called in reports, ``path`` where it is."""

    name: str
    path: Path
    steps: tuple[str | Path, ...]
    libraries: Mapping[str, str | Path] = field(default_factory=dict)
    config: Mapping[str, Json] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. With a ``problem`` it cannot be run: the rest of it is not to be relied on."""

    name: str | None
    file: ScenarioFile
    task: dict[str, Json] = field(default_factory=dict)
    task_name: str | None = None
    tags: tuple[str, ...] = ()
    clock: ClockMode = "auto"
    rules: tuple[Rule, ...] = ()
    after: tuple[After, ...] = ()
    expect: Expect = field(default_factory=Expect)
    line: int | None = None
    problem: str | None = None


def load_scenarios(path: str | Path, *, name: str | None = None) -> list[Scenario]:
    """The scenarios in a file, in its order; ``name`` is how reports call the file.

    A scenario that is wrong in itself comes with its ``problem``, the others are as good as ever. Raises
    :class:`~aloma_py.errors.LoadError` with file and line where the file as a whole cannot be used.
    """
    place = Path(path)
    item = read_yaml(place, name or str(path))
    members = item.mapping(known=FILE_KEYS, required=("steps", "scenarios"))
    folder = place.absolute().parent
    libraries = members["libraries"].mapping() if "libraries" in members else {}
    file = ScenarioFile(
        name=item.file,
        path=place.absolute(),
        steps=tuple(_source(folder, text) for text in members["steps"].texts()),
        libraries={space: _source(folder, one.text()) for space, one in libraries.items()},
        config=_values(members.get("config")),
        limits=_limits(members.get("limits")),
    )
    if not file.steps:
        raise members["steps"].error("at least one file, folder or module with steps was expected")
    clock = _clock(members.get("clock"), "auto")
    scenarios = [_scenario(one, file, clock) for one in members["scenarios"].items()]
    if not scenarios:
        raise members["scenarios"].error("at least one scenario was expected")
    return _refuse_doubles(scenarios)


def _source(folder: Path, text: str) -> str | Path:
    """A file or folder relative to ``folder``, a module that lies there, or else the name of one to import."""
    place = Path(os.path.normpath(folder / text))
    module = folder.joinpath(*text.split(".")).with_suffix(".py")
    if place.exists() or not all(part.isidentifier() for part in text.split(".")) or place.suffix == ".py":
        return place
    for near in (module, module.with_suffix("")):
        if near.exists():
            return near
    return text


def _values(item: Item | None) -> dict[str, Json]:
    return {} if item is None else {name: one.value for name, one in item.mapping().items()}


def _limits(item: Item | None) -> Limits:
    if item is None:
        return Limits()
    known = {one.name: one.type for one in fields(Limits)}
    given: dict[str, Any] = {}
    for name, one in item.mapping(known=known).items():
        if name == "step_timeout":
            given[name] = parse_delay(one)
        elif known[name] == "bool":
            given[name] = _flag(one)
        else:
            given[name] = one.count()
    return Limits(**given)


def _flag(item: Item) -> bool:
    if not isinstance(item.value, bool):
        raise item.error("true or false was expected")
    return item.value


def _clock(item: Item | None, otherwise: ClockMode) -> ClockMode:
    if item is None:
        return otherwise
    return "manual" if item.choice(("auto", "manual")) == "manual" else "auto"


def _scenario(item: Item, file: ScenarioFile, clock: ClockMode) -> Scenario:
    """The scenario, or one with what is wrong with it."""
    name = item.value.get("name") if isinstance(item.value, dict) else None
    bare = Scenario(name if isinstance(name, str) else None, file, line=item.line)
    try:
        return _read(item, bare, clock)
    except InputError as error:
        return replace(bare, problem=str(error))


def _read(item: Item, bare: Scenario, clock: ClockMode) -> Scenario:
    members = item.mapping(known=SCENARIO_KEYS, required=("name", "task"))
    members["name"].text()
    task_name = members.get("task_name")
    tags, rules = members.get("tags"), members.get("connectors")
    after, expect = members.get("after"), members.get("expect")
    return replace(
        bare,
        task=_task(members["task"], bare.file),
        task_name=None if task_name is None else task_name.text(),
        tags=() if tags is None else tags.texts(),
        clock=_clock(members.get("clock"), clock),
        rules=() if rules is None else tuple(parse_rules(rules)),
        after=() if after is None else tuple(_after(one) for one in after.items()),
        expect=Expect() if expect is None else parse_expect(expect),
    )


def _task(item: Item, file: ScenarioFile) -> dict[str, Json]:
    if not isinstance(item.value, str):
        return _object(item)
    try:
        return read_task_file(file.path.parent / item.text(), file.limits)
    except InputError as error:
        raise item.error(str(error)) from None


def _object(item: Item) -> dict[str, Json]:
    item.mapping()
    value: dict[str, Json] = item.value
    return value


def _after(item: Item) -> After:
    members = item.mapping(known=AFTER_KEYS)
    if len(members) != 1:
        raise item.error(f"exactly one of {', '.join(AFTER_KEYS)} was expected, not {', '.join(members) or 'none'}")
    ((kind, one),) = members.items()
    if kind == "update":
        return After(update=_object(one))
    if kind == "advance":
        return After(advance=parse_delay(one))
    if not _flag(one):
        raise one.error("true was expected")
    return After(stop=kind == "stop", resume=kind == "resume")


def _refuse_doubles(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Of two scenarios with one name, the second gets a problem: a report could not tell them apart."""
    lines: dict[str, int | None] = {}
    checked = []
    for one in scenarios:
        if one.name is not None and one.name in lines and one.problem is None:
            error = LoadError(
                f"there is a scenario {one.name!r} already, at line {lines[one.name]}",
                file=one.file.name,
                line=one.line,
            )
            one = replace(one, problem=str(error))
        if one.name is not None:
            lines.setdefault(one.name, one.line)
        checked.append(one)
    return checked
