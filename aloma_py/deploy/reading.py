"""Reading a deploy.yaml: ALOMA's files as they are, and ``schedules`` and ``modules`` beside.

Paths are relative to the file. ``${NAME}`` in any text is the value of the environment variable; one that is not set is
an error, and ``$${`` stands for ``${``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from aloma_py.connect.naming import namespace_of
from aloma_py.deploy.wanted import Deployment, ScriptWanted, ThingWanted, WorkspaceWanted
from aloma_py.errors import InputError, LoadError, suggest
from aloma_py.intake.files import read_task_file
from aloma_py.intake.schedules import read_schedule
from aloma_py.intake.webhooks import read_options
from aloma_py.models import Json
from aloma_py.testing.yamlfile import Item, read_yaml

SUFFIXES: Final = frozenset({".js", ".mjs", ".cjs", ".ts", ".mts"})

_FILES: Final = SUFFIXES | {".py"}

_CONNECTOR: Final = ("connectorName", "name", "namespace", "config", "tags")

_VARIABLE: Final = re.compile(r"\$(\$?)\{([^}]*)\}")
_WORKSPACE: Final = (
    "name", "tags", "steps", "libraries", "connectors", "secrets", "environment", "webhooks", "tasks", "schedules",
    "modules",
)  # fmt: skip

_SCHEDULE: Final = (
    "cron", "every", "zone", "dst", "missed", "overlap", "start", "end", "anchor", "data", "task", "tags", "enabled",
)  # fmt: skip


def read_deployment(file: Path, environment: Mapping[str, str]) -> Deployment:
    """What ``file`` asks for. Raises :class:`~aloma_py.errors.LoadError` with file, line and key."""
    top = _filled(read_yaml(file, str(file)), environment)
    members = top.mapping(("company", "workspaces"), required=("workspaces",))
    company = members.get("company")
    reader = _Reader(file.absolute().parent, environment)
    workspaces = [reader.workspace(item) for item in members["workspaces"].items()]
    if not workspaces:
        raise members["workspaces"].error("at least one workspace was expected")
    _refuse_doubles(
        "workspace", [(one.name, item) for one, item in zip(workspaces, members["workspaces"].items(), strict=True)]
    )
    return Deployment(str(file), tuple(workspaces), company.text() if company is not None and company.value else None)


def _filled(item: Item, environment: Mapping[str, str]) -> Item:
    """The document with the environment's values in its texts; all that are missing are told at once."""
    missing: list[LoadError] = []

    def fill(part: Item) -> Json:
        value = part.value
        if isinstance(value, dict):
            return {name: fill(part[name]) for name in value}
        if isinstance(value, list):
            return [fill(part[n]) for n in range(len(value))]
        if not isinstance(value, str) or "${" not in value:
            return value

        def one(found: re.Match[str]) -> str:
            escaped, name = found.groups()
            if escaped:
                return f"${{{name}}}"
            if name not in environment:
                missing.append(part.error(f"the environment has no variable {name!r}{suggest(name, environment)}"))
                return ""
            return environment[name]

        return _VARIABLE.sub(one, value)

    filled = fill(item)
    if missing:
        raise missing[0]
    return Item(filled, item.file, item.path, item.lines)


class _Reader:
    """Reads the parts of a workspace; ``folder`` is what paths are relative to."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    def workspace(self, item: Item) -> WorkspaceWanted:
        members = item.mapping(_WORKSPACE, required=("name",))
        given = {key: part for key, part in members.items() if part.value is not None}
        tags, modules = given.get("tags"), given.get("modules")
        readers: dict[str, Callable[[Item], ThingWanted]] = {
            "environment": self._variable, "secrets": self._secret, "webhooks": self._webhook,
            "schedules": self._schedule, "connectors": self._connector, "tasks": self._task,
        }  # fmt: skip
        things: list[ThingWanted] = []
        for key, read in readers.items():
            if key in given:
                found = [(read(part), part) for part in given[key].items()]
                if key != "tasks":
                    _refuse_doubles(found[0][0].kind if found else key, [(one.name, part) for one, part in found])
                things += [one for one, _ in found]
        scripts = [
            *self._scripts("step", given.get("steps")),
            *self._scripts("library", given.get("libraries")),
        ]
        return WorkspaceWanted(
            name=members["name"].text(),
            tags=tags.texts() if tags is not None else None,
            scripts=tuple(scripts),
            things=tuple(things),
            modules=self._modules(modules) if modules is not None else None,
            spoken_of=frozenset(given) - {"name", "tags", "modules", "tasks"},
            line=item.line,
        )

    # ── steps and libraries ─────────────────────────────────────────────────────────────────────────────────────

    def _scripts(self, kind: str, item: Item | None) -> Iterator[ScriptWanted]:
        seen: dict[str, str] = {}
        for part in item.items() if item is not None else ():
            for script in self._of_entry(kind, part):
                if script.name in seen:
                    raise part.error(
                        f"there are two of the name {script.name!r}: {seen[script.name]} and {script.file}"
                    )
                seen[script.name] = script.file
                yield script

    def _of_entry(self, kind: str, item: Item) -> Iterator[ScriptWanted]:
        members = item.mapping(("syncPath", "name", "file"))
        if "syncPath" in members:
            if len(members) > 1:
                raise item.error("either syncPath, or name and file")
            folder = self._place(members["syncPath"])
            if not folder.is_dir():
                raise members["syncPath"].error(f"there is no folder {str(folder)!r}")
            for file in sorted(folder.rglob("*")):
                hidden = any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
                if file.suffix in SUFFIXES and file.is_file() and not hidden:
                    name = file.relative_to(folder).with_suffix("").as_posix()
                    yield self._script(kind, name, file, members["syncPath"])
            return
        for key in ("name", "file"):
            if key not in members:
                raise item.error(f"the key {key!r} is missing; or syncPath: a folder")
        yield self._script(kind, members["name"].text(), self._place(members["file"]), members["file"])

    def _script(self, kind: str, name: str, file: Path, item: Item) -> ScriptWanted:
        if file.suffix not in SUFFIXES:
            raise item.error(f"{file.name!r} is no JavaScript: its name must end in {', '.join(sorted(SUFFIXES))}")
        return ScriptWanted(kind, name, file.suffix, self._text(file, item), str(file))

    # ── the rest ────────────────────────────────────────────────────────────────────────────────────────────────

    def _variable(self, item: Item) -> ThingWanted:
        members = item.mapping(("name", "value", "description"), required=("name", "value"))
        return _thing("variable", members, item)

    def _secret(self, item: Item) -> ThingWanted:
        members = item.mapping(("name", "value", "description", "encrypted"), required=("name", "value"))
        encrypted = members.pop("encrypted", None)
        if encrypted is not None and not isinstance(encrypted.value, bool):
            raise encrypted.error("true or false was expected")
        if encrypted is not None and encrypted.value is False:  # ALOMA's word for a plain value
            return _thing("variable", members, item)
        return _thing("secret", {**members, "value": _as_text(members["value"])}, item)

    def _webhook(self, item: Item) -> ThingWanted:
        found = _thing("webhook", item.mapping(required=("name",)), item)
        with _told_of(item):
            read_options({key: value for key, value in found.facts.items() if key != "secret" and value is not None})
        return found

    def _schedule(self, item: Item) -> ThingWanted:
        """Its times are read here as well, but for whether they ever come: that is for the server's clock to say."""
        found = _thing("schedule", item.mapping(("name", *_SCHEDULE), required=("name",)), item)
        if "cron" in found.facts or "every" in found.facts:
            with _told_of(item):
                read_schedule({key: value for key, value in found.facts.items() if key not in ("data", "enabled")}, 0)
        return found

    def _connector(self, item: Item) -> ThingWanted:
        """Its name is its namespace here: that is what tells connectors apart, and what steps call."""
        line = item.line
        if isinstance(item.value, dict) and "file" in item.value:
            members = item.mapping(("file",))
            item = _filled(read_yaml(self._existing(members["file"])), self._environment)
        members = item.mapping(_CONNECTOR, required=("connectorName",))
        given = {key: part for key, part in members.items() if part.value is not None}
        kind = members["connectorName"].text()
        facts: dict[str, Json] = {"kind": kind, "name": given["name"].text() if "name" in given else kind}
        if "config" in given:
            if not isinstance(given["config"].value, dict):
                raise given["config"].error("a mapping was expected: the connector's configuration")
            facts["config"] = given["config"].value
        if "tags" in given:
            facts["tags"] = list(given["tags"].texts())
        try:
            namespace = given["namespace"].text() if "namespace" in given else namespace_of(kind)
        except LoadError:
            raise
        except InputError as error:
            raise members["connectorName"].error(str(error)) from None
        return ThingWanted("connector", namespace, facts, line)

    def _modules(self, item: Item) -> tuple[str, ...]:
        """Names of modules as they are; files and folders with their whole path."""
        found = [self._module(part) for part in item.items()]
        _refuse_doubles("module", list(zip(found, item.items(), strict=True)))
        return tuple(found)

    def _module(self, item: Item) -> str:
        text = item.text()
        place = self._place(item)
        if place.exists():
            return str(place.resolve())
        if "/" in text or text.startswith(".") or Path(text).suffix in _FILES:
            raise item.error(f"there is no file or folder {str(place)!r}")
        return text

    def _task(self, item: Item) -> ThingWanted:
        members = item.mapping(("name", "data", "file", "tags"), required=("name",))
        if ("data" in members) == ("file" in members):
            raise item.error("either data, or file")
        try:
            data = members["data"].value if "data" in members else read_task_file(self._existing(members["file"]))
        except InputError as error:
            raise members["file"].error(str(error)) from None
        if not isinstance(data, dict):
            raise members["data"].error("a mapping was expected: the task's data")
        facts: dict[str, Json] = {"data": data}
        if "tags" in members:
            facts["tags"] = list(members["tags"].texts())
        return ThingWanted("task", members["name"].text(), facts, item.line)

    def _place(self, item: Item) -> Path:
        return self._folder / item.text()

    def _existing(self, item: Item) -> Path:
        place = self._place(item)
        if not place.is_file():
            raise item.error(f"there is no file {str(place)!r}")
        return place

    def _text(self, file: Path, item: Item) -> str:
        try:
            return file.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise item.error(f"{str(file)!r} is no UTF-8 text") from None
        except OSError as error:
            raise item.error(f"{str(file)!r} cannot be read: {error.strerror}") from None


def _thing(kind: str, members: Mapping[str, Item], item: Item) -> ThingWanted:
    facts = {key: part.value for key, part in members.items() if key != "name"}
    return ThingWanted(kind, members["name"].text(), facts, item.line)


@contextmanager
def _told_of(item: Item) -> Iterator[None]:
    """What is wrong with it is told with its place in the file."""
    try:
        yield
    except InputError as error:
        raise item.error(str(error)) from None


def _as_text(item: Item) -> Item:
    """A secret's value: text; a number is what it looks like."""
    if isinstance(item.value, (int, float)) and not isinstance(item.value, bool):
        return Item(str(item.value), item.file, item.path, item.lines)
    item.text()
    return item


def _refuse_doubles(kind: str, named: list[tuple[str, Item]]) -> None:
    seen: dict[str, int | None] = {}
    for name, item in named:
        if name in seen:
            raise item.error(f"there is a {kind} {name!r} already, at line {seen[name]}")
        seen[name] = item.line
