"""What an export says of itself."""

from __future__ import annotations

from typing import Final

import msgspec

from aloma_py.errors import InputError
from aloma_py.transfer.layout import FORMAT, MANIFEST, document, read_document
from aloma_py.transfer.sealing import Encryption

KIND: Final = "aloma_py workspace"


class Member(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A member's SHA-256 in hexadecimal digits, and its length in bytes."""

    sha256: str
    bytes: int


class LeftOut(msgspec.Struct, kw_only=True):
    """What belongs to the workspace and is not in the file, so that whoever imports it knows what is missing."""

    secrets: list[str] = []  # names; set them again
    webhook_secrets: list[str] = []  # names of webhooks
    connectors: list[str] = []  # namespaces whose configuration is missing
    source: bool = False  # the credentials of the repository
    stashes: int = 0  # tasks whose $stash is missing
    sources: list[str] = []  # files and folders with steps: take them along yourself
    libraries: dict[str, str] = {}  # the same of libraries


class Manifest(msgspec.Struct, kw_only=True):
    """``counts`` are by what is counted (``steps``, ``tasks``, ``open_tasks`` …); times are ISO texts."""

    kind: str = KIND
    format: int = FORMAT
    version: str  # of aloma_py
    workspace: str
    exported_at: str
    tasks: bool  # whether tasks are in it at all
    since: str | None = None
    ended_only: bool = False
    counts: dict[str, int] = {}
    left_out: LeftOut = msgspec.field(default_factory=LeftOut)
    encryption: Encryption | None = None
    members: dict[str, Member] = {}

    def to_bytes(self) -> bytes:
        return document(self)


class _Head(msgspec.Struct):
    """What is looked at before anything else is believed."""

    kind: str = ""
    format: int = 0


def read_manifest(content: bytes) -> Manifest:
    """Raises :class:`~aloma_py.errors.InputError` for one that is none, or of a newer version."""
    head: _Head = read_document(MANIFEST, content, _Head)
    if head.kind != KIND:
        raise InputError(f"its manifest says that it is {head.kind[:80]!r}; {KIND!r} was expected")
    if not 1 <= head.format <= FORMAT:
        raise InputError(f"it has the format {head.format}; this version of aloma_py reads up to {FORMAT}: update it")
    found: Manifest = read_document(MANIFEST, content, Manifest)
    return found
