"""From what a workspace has and what a deploy.yaml asks for to the changes between, in the order in which to make them.

Pure: what there is comes in as the operations tell it, and a change goes out as the operation that makes it, with the
one that takes it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from aloma_py.deploy.wanted import ThingWanted, WorkspaceWanted
from aloma_py.errors import InputError
from aloma_py.intake.schedules import Schedule, read_schedule
from aloma_py.models import Json

Action = Literal["add", "change", "same", "delete", "left", "set"]

Call = tuple[str, dict[str, Json]]
"""An operation and its arguments."""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan. ``call`` makes it, and ``undo`` takes it back where that can be done."""

    action: Action
    kind: str
    name: str
    call: Call | None = field(default=None, repr=False)  # a secret's value may be in it
    undo: Call | None = field(default=None, repr=False)
    note: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Present:
    """What a workspace has: the answers of the operations that list it. ``exists``: whether there is the workspace."""

    exists: bool
    tags: tuple[str, ...] = ()
    scripts: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)  # by kind, with their texts
    variables: tuple[dict[str, Any], ...] = ()  # secrets too, without their values
    webhooks: tuple[dict[str, Any], ...] = ()
    schedules: tuple[dict[str, Any], ...] = ()
    connectors: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)  # compared with those asked for
    modules: tuple[str, ...] = ()
    tasks: frozenset[str] = frozenset()  # the names of tasks that came from a deployment


def plan(wanted: WorkspaceWanted, present: Present, *, prune: bool) -> list[Change]:
    """The changes. What cannot be taken back (secrets, tasks) comes last."""
    return [
        *_workspace(wanted, present),
        *_scripts("library", wanted, present, prune=prune),
        *_variables(wanted, present, prune=prune),
        *_scripts("step", wanted, present, prune=prune),
        *_webhooks(wanted, present, prune=prune),
        *_schedules(wanted, present, prune=prune),
        *_connectors(wanted, present, prune=prune),
        *_modules(wanted, present, prune=prune),
        *_secrets(wanted, present, prune=prune),
        *_tasks(wanted, present),
    ]


def _workspace(wanted: WorkspaceWanted, present: Present) -> Iterator[Change]:
    tags = list(wanted.tags or ())
    if not present.exists:
        yield Change("add", "workspace", wanted.name, ("add_workspace", {"name": wanted.name, "tags": tags}))
    elif wanted.tags is not None and tuple(tags) != present.tags:
        undo: Call = ("update_workspace", {"tags": list(present.tags)})
        yield Change("change", "workspace", wanted.name, ("update_workspace", {"tags": tags}), undo, "tags")
    else:
        yield Change("same", "workspace", wanted.name)


def _scripts(kind: str, wanted: WorkspaceWanted, present: Present, *, prune: bool) -> Iterator[Change]:
    """One call for all of a kind: steps are checked together, and stored together or not at all."""
    if _KEY[kind] not in wanted.spoken_of:
        return
    before = {one["name"]: one for one in present.scripts.get(kind, [])}
    given = {one.name: one for one in wanted.scripts if one.kind == kind}
    lines: list[tuple[Action, str]] = []
    for name, script in given.items():
        old = before.get(name)
        same = old is not None and (old["text"], old["suffix"]) == (script.text, script.suffix)
        lines.append(("same" if same else "add" if old is None else "change", name))
    lines += [("delete" if prune else "left", name) for name in before if name not in given]
    texts: list[Json] = [{"name": one.name, "text": one.text, "suffix": one.suffix} for one in given.values()]
    kept: list[Json] = [{"name": one["name"], "text": one["text"], "suffix": one["suffix"]} for one in before.values()]
    call: Call | None = ("sync_scripts", {"kind": kind, "scripts": texts, "prune": prune})
    undo: Call | None = ("sync_scripts", {"kind": kind, "scripts": kept, "prune": True})
    for action, name in lines:
        if action in ("same", "left"):
            yield Change(action, kind, name)
        else:  # the first of them makes all
            yield Change(action, kind, name, call, undo)
            call = undo = None


def _variables(wanted: WorkspaceWanted, present: Present, *, prune: bool) -> Iterator[Change]:
    before = {one["name"]: one for one in present.variables if not one["secret"]}
    for one in _of(wanted, "variable"):
        old = before.get(one.name)
        call: Call = ("set_variable", {"name": one.name, **one.facts})
        if old is None:
            yield Change("add", "variable", one.name, call, ("delete_variable", {"name": one.name}))
        elif _differs(one.facts, old):
            kept = {key: old[key] for key in ("value", "description")}
            yield Change("change", "variable", one.name, call, ("set_variable", {"name": one.name, **kept}))
        else:
            yield Change("same", "variable", one.name)
    if "environment" in wanted.spoken_of:
        given = {one.name for one in wanted.things if one.kind == "variable"}
        for name, old in before.items():
            if name not in given:
                kept = {key: old[key] for key in ("value", "description")}
                undo: Call = ("set_variable", {"name": name, **kept})
                yield _gone("variable", name, ("delete_variable", {"name": name}), undo, prune=prune)


def _secrets(wanted: WorkspaceWanted, present: Present, *, prune: bool) -> Iterator[Change]:
    before = {one["name"] for one in present.variables if one["secret"]}
    given = [one for one in wanted.things if one.kind == "secret"]
    for one in given:
        call: Call = ("set_secret", {"name": one.name, **one.facts})
        if one.name in before:
            yield Change("set", "secret", one.name, call, note="its value is not known here, so it is set again")
        else:
            yield Change("add", "secret", one.name, call, ("delete_secret", {"name": one.name}))
    if "secrets" in wanted.spoken_of:
        for name in sorted(before - {one.name for one in given}):
            yield _gone("secret", name, ("delete_secret", {"name": name}), None, prune=prune)


def _webhooks(wanted: WorkspaceWanted, present: Present, *, prune: bool) -> Iterator[Change]:
    before = {one["name"]: one for one in present.webhooks}
    for one in _of(wanted, "webhook"):
        options = {key: value for key, value in one.facts.items() if key != "secret"}
        more = {"secret": one.facts["secret"]} if "secret" in one.facts else {}
        call: dict[str, Json] = {"name": one.name, "options": options, **more}
        old = before.get(one.name)
        if old is None:
            yield Change("add", "webhook", one.name, ("add_webhook", call), ("delete_webhook", {"name": one.name}))
        elif _differs(options, old["options"]) or more:
            blank: dict[str, Json] = dict.fromkeys(options)  # null takes an option away
            undo: Call = ("update_webhook", {"name": one.name, "options": {**blank, **old["options"]}})
            yield Change("change", "webhook", one.name, ("update_webhook", call), undo)
        else:
            yield Change("same", "webhook", one.name)
    if "webhooks" in wanted.spoken_of:
        given = {one.name for one in wanted.things if one.kind == "webhook"}
        for name in before:
            if name not in given:  # its address could not be given again: it is not taken back
                yield _gone("webhook", name, ("delete_webhook", {"name": name}), None, prune=prune)


def _schedules(wanted: WorkspaceWanted, present: Present, *, prune: bool) -> Iterator[Change]:
    before = {one["name"]: one for one in present.schedules}
    for one in _of(wanted, "schedule"):
        old = before.get(one.name)
        call: dict[str, Json] = {"name": one.name, **one.facts}
        if old is None:
            undo: Call = ("delete_schedule", {"name": one.name})
            yield Change("add", "schedule", one.name, ("add_schedule", call), undo)
        elif _schedule_differs(one.facts, old):
            kept = {key: old.get(key) for key in one.facts if old.get(key) is not None}
            undo = ("update_schedule", {"name": one.name, **kept})
            yield Change("change", "schedule", one.name, ("update_schedule", call), undo)
        else:
            yield Change("same", "schedule", one.name)
    if "schedules" in wanted.spoken_of:
        given = {one.name for one in wanted.things if one.kind == "schedule"}
        for name in before:
            if name not in given:
                yield _gone("schedule", name, ("delete_schedule", {"name": name}), None, prune=prune)


def _connectors(wanted: WorkspaceWanted, present: Present, *, prune: bool) -> Iterator[Change]:
    """The server has compared them: it alone knows the configurations that there are."""
    compared = {one["namespace"]: one for one in present.connectors.get("asked", [])}
    states = {one["namespace"]: one["state"] for one in present.connectors.get("there", [])}
    for one in _of(wanted, "connector"):
        found = compared.get(one.name, {"action": "add", "differs": [], "warning": None})
        call: Call = ("put_connector", {"namespace": one.name, **one.facts})
        warning = found["warning"] or ""
        if found["action"] == "same":
            yield Change("same", "connector", one.name, warning=warning)
        elif found["action"] == "add":
            undo: Call = ("delete_connector", {"name": one.name})
            yield Change("add", "connector", one.name, call, undo, warning=warning)
        else:
            undo = ("restore_connector", {"state": states[one.name]})
            yield Change("change", "connector", one.name, call, undo, ", ".join(found["differs"]), warning)
    if "connectors" in wanted.spoken_of:
        given = {one.name for one in _of(wanted, "connector")}
        for name, state in states.items():
            if name not in given:
                undo = ("restore_connector", {"state": state})
                yield _gone("connector", name, ("delete_connector", {"name": name}), undo, prune=prune)


def _modules(wanted: WorkspaceWanted, present: Present, *, prune: bool) -> Iterator[Change]:
    """One call for all: they are tried together. What is there comes first, in its order, unless it is pruned."""
    if wanted.modules is None:
        return
    before, given = present.modules, wanted.modules
    more = [one for one in given if one not in before]
    after = list(given) if prune else [*before, *more]
    lines: list[tuple[Action, str, str]] = [
        ("add" if one in more else "same", one, "") for one in given
    ] + [("delete" if prune else "left", one, "") for one in before if one not in given]  # fmt: skip
    if after != list(before) and all(action in ("same", "left") for action, _, _ in lines):
        lines[0] = ("change", lines[0][1], "their order")
    call: Call | None = ("set_modules", {"modules": list(after)})
    undo: Call | None = ("set_modules", {"modules": list(before)})
    for action, name, note in lines:
        if action in ("same", "left"):
            yield Change(action, "module", name)
        else:  # the first of them makes all
            yield Change(action, "module", name, call, undo, note)
            call = undo = None


def _tasks(wanted: WorkspaceWanted, present: Present) -> Iterator[Change]:
    for one in _of(wanted, "task"):
        if one.name in present.tasks:
            yield Change("same", "task", one.name, note="a deployment has made it before")
        else:
            yield Change("add", "task", one.name, ("new_task", {"name": one.name, "via": "deploy", **one.facts}))


def _gone(kind: str, name: str, call: Call, undo: Call | None, *, prune: bool) -> Change:
    """What is there and not asked for: deleted only where that is said."""
    return Change("delete", kind, name, call, undo) if prune else Change("left", kind, name)


def _of(wanted: WorkspaceWanted, kind: str) -> Iterator[ThingWanted]:
    return (one for one in wanted.things if one.kind == kind)


def _differs(facts: Mapping[str, Json], old: Mapping[str, Json]) -> bool:
    """Whether anything that is asked for is not so. What is not spoken of does not count."""
    return any(old.get(name) != value for name, value in facts.items())


def _schedule_differs(facts: Mapping[str, Json], old: Mapping[str, Json]) -> bool:
    """As :func:`_differs`, by what the members mean: ``every: 1m`` is 60000, ``@daily`` is ``0 0 * * *``."""
    timing = ("cron", "dst") if "cron" in facts else ("every", "anchor") if "every" in facts else _TIMES
    names = (*timing, "zone", "start", "end", "missed", "overlap", "data", "task", "tags")
    known = {name: old[name] for name in names if old.get(name) is not None}
    try:
        same = _read_schedule({**known, **facts}, old) == _read_schedule(known, old)
    except InputError:  # of another kind than it was, or none at all: whoever changes it says so
        return True
    return not same or facts.get("enabled", old.get("enabled")) != old.get("enabled")


def _read_schedule(given: Mapping[str, Json], old: Mapping[str, Json]) -> Schedule:
    """What ``given`` means, also where all its times are past; a task that is called as the schedule is as none."""
    read = read_schedule({name: value for name, value in given.items() if name != "enabled"}, 0)
    return replace(read, task=None) if read.task == old["name"] else read


_TIMES: Final = ("cron", "dst", "every", "anchor")

_KEY: Final = {"step": "steps", "library": "libraries"}
