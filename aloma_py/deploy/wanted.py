"""What a deploy.yaml asks for, as plain records. A ``line`` is that of the file, for errors."""

from __future__ import annotations

from dataclasses import dataclass, field

from aloma_py.models import Json


@dataclass(frozen=True, slots=True)
class ScriptWanted:
    """A step or a library whose text is in a file."""

    kind: str  # step, library
    name: str
    suffix: str  # .js .mjs .cjs .ts .mts
    text: str
    file: str


@dataclass(frozen=True, slots=True)
class ThingWanted:
    """Anything else that has a name: ``kind`` is variable, secret, webhook, schedule, connector or task.

    A connector's name is its namespace. ``facts`` are its other members as the operation that makes it takes them.
    """

    kind: str
    name: str
    facts: dict[str, Json] = field(default_factory=dict, repr=False)  # may hold a secret's value
    line: int | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceWanted:
    """One workspace. What is ``None`` is not spoken of in the file, and stays as it is."""

    name: str
    tags: tuple[str, ...] | None = None
    scripts: tuple[ScriptWanted, ...] = ()
    things: tuple[ThingWanted, ...] = ()
    modules: tuple[str, ...] | None = None  # names of modules, and whole paths, that steps come from
    spoken_of: frozenset[str] = frozenset()  # the kinds that the file lists: only these can be pruned
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A whole file."""

    file: str
    workspaces: tuple[WorkspaceWanted, ...]
    company: str | None = None

    def find(self, name: str) -> WorkspaceWanted | None:
        return next((one for one in self.workspaces if one.name == name), None)
