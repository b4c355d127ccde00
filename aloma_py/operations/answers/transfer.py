"""What the export and import of workspaces answer."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict


class LeftOutShown(TypedDict):
    """What belongs to the workspace and is not in the file."""

    secrets: list[str]  # names
    webhook_secrets: list[str]  # names of webhooks
    connectors: list[str]  # namespaces whose configuration is missing
    source: bool  # the credentials of the repository that it follows
    stashes: int  # tasks whose $stash is missing
    sources: list[str]  # files and folders with steps
    libraries: dict[str, str]  # the same of libraries, by namespace


class ExportAnswer(TypedDict):
    """What was written. ``warning`` says why the workspace should not go on in both places."""

    workspace: str
    path: str
    bytes: int
    counts: dict[str, int]
    left_out: LeftOutShown
    warning: NotRequired[str]


class NewAddress(TypedDict):
    """A webhook that has another address here."""

    name: str
    path: str


class ImportAnswer(TypedDict):
    """What is there now. ``problem`` says why the workspace is not served, though it is there; ``warning``, what of the
    file is not here."""

    workspace: str
    counts: dict[str, int]
    left_out: LeftOutShown
    new_addresses: list[NewAddress]
    warning: NotRequired[str]
    problem: NotRequired[str]
