"""What operations on steps and libraries answer."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from aloma_py.history import RowShown
from aloma_py.steps.show import StepShown


class ListedStep(StepShown):
    """A step in the list; ``source`` is ``stored`` or ``file``."""

    source: str


class FileStep(ListedStep):
    """A step of a file with its text."""

    text: str


class StoredStep(FileStep):
    """A step that is kept in the store with its text, and who changed it last."""

    suffix: str
    enabled: bool
    created_at: str
    updated_at: str
    updated_by: str


class JudgedStep(TypedDict):
    """What a step's condition says of data, leaf by leaf."""

    step: str
    condition: str
    matches: bool
    enabled: bool
    rows: list[RowShown]


class CheckAnswer(TypedDict):
    """What conditions say of data; ``order`` are the steps that match, in the order in which they are tried."""

    steps: list[JudgedStep]
    order: list[str]


class StoredScript(TypedDict):
    """A step or library that is kept in the store; with its text where that was asked for.

    ``hints`` tell of what is likely a slip in what was given.
    """

    name: str
    source: str
    suffix: str
    version: str
    enabled: bool
    description: str
    created_at: str
    updated_at: str
    updated_by: str
    text: NotRequired[str]
    hints: NotRequired[list[str]]


class StoredLibrary(StoredScript):
    """A stored library; ``functions`` are what it exports, with their comments."""

    functions: dict[str, str]


class FileLibrary(TypedDict):
    """A library of a file or folder on the server."""

    name: str
    source: str
    place: str
    functions: dict[str, str]


class ScriptVersionShown(TypedDict):
    """A text that a script has had; ``deleted`` says that it ended here."""

    n: int
    version: str
    at: str
    by: str
    deleted: bool


class ScriptVersionDetails(ScriptVersionShown):
    """One of them with its text."""

    name: str
    text: str


class DeletedName(TypedDict):
    """What was deleted."""

    name: str
    deleted: bool


class DeletedLibrary(DeletedName):
    """What was deleted; ``named_in``: the steps that name it still."""

    named_in: list[str]


class SyncAnswer(TypedDict):
    """What became of stored scripts, by name; ``applied`` is false where nothing was to be changed."""

    added: list[str]
    changed: list[str]
    unchanged: list[str]
    deleted: list[str]
    left: list[str]
    applied: bool
