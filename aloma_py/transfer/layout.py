"""The members of an export: their names, their columns, and how large they may be.

Times are milliseconds since 1970 (UTC). What is empty is left out of a line.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec

from aloma_py.errors import InputError
from aloma_py.jsontext import dumps, loads

FORMAT: Final = 1
"""The version of the format that is written, and the newest that is read."""

MAX_MEMBERS: Final = 100_000
MAX_DOCUMENT: Final = 64 * 1024 * 1024
"""The longest member that is no lines, in bytes."""

MAX_LINE: Final = 256 * 1024 * 1024
MAX_RATIO: Final = 300
"""How many times its own size a file larger than :data:`MAX_UNQUESTIONED` may unpack to."""

MAX_UNQUESTIONED: Final = 1024 * 1024 * 1024

MANIFEST: Final = "manifest.json"
WORKSPACE: Final = "workspace.json"
SCRIPTS: Final = "scripts.json"
VARIABLES: Final = "variables.json"
WEBHOOKS: Final = "webhooks.json"
SCHEDULES: Final = "schedules.json"
SOURCE: Final = "source.json"
CONNECTORS: Final = "connectors.json"
SECRETS: Final = "secrets.json"
DOCUMENTS: Final = (WORKSPACE, SCRIPTS, VARIABLES, WEBHOOKS, SCHEDULES, SOURCE, CONNECTORS, SECRETS)
FOLDERS: Final = {"step": "steps/", "library": "libraries/"}

_WHOLE = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
LARGEST: Final = 2**53
"""The largest number of what is counted up."""

TIME = Annotated[int, msgspec.Meta(ge=-62_135_596_800_000, le=253_402_300_799_999)]  # the years 1 to 9999
_TYPES: Final[Mapping[str, Any]] = {"text": str, "whole": _WHOLE, "time": TIME, "json": msgspec.Raw, "bytes": str}


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a member. Which fields it has is said by its columns."""


class Rows:
    """The lines of a member: a row of values for each, in the order of ``columns``.

    A column is ``text``, ``whole`` (a number), ``time`` (a number that can be shown as a date), ``json`` (JSON text,
    which stands in the line as it is) or ``bytes`` (base64), with ``?`` where it may be empty: then the row has
    ``None``.
    """

    def __init__(self, name: str, columns: Mapping[str, str]) -> None:
        self.name = name
        self.columns = tuple(columns)
        self._kinds = tuple(kind.removesuffix("?") for kind in columns.values())
        needed = [(column, _TYPES[kind]) for column, kind in columns.items() if not kind.endswith("?")]
        others = [
            (column, msgspec.Raw, msgspec.Raw()) if kind == "json?" else (column, _TYPES[kind[:-1]] | None, None)
            for column, kind in columns.items()
            if kind.endswith("?")
        ]
        line = msgspec.defstruct("Line", [*needed, *others], bases=(_Line,), forbid_unknown_fields=True)
        self._decode = msgspec.json.Decoder(line).decode
        self._plain = set(self._kinds) <= {"text", "whole", "time"}

    def encode(self, row: Sequence[Any]) -> bytes:
        """The line of a row, with its end."""
        found: dict[str, Any] = {}
        for column, kind, value in zip(self.columns, self._kinds, row, strict=True):
            if value is None:
                continue
            if kind == "json":
                value = msgspec.Raw(value.encode())
            elif kind == "bytes":
                value = base64.b64encode(value).decode()
            found[column] = value
        return msgspec.json.encode(found) + b"\n"

    def decode(self, number: int, line: bytes) -> tuple[Any, ...]:
        """The row of a line. Raises :class:`~aloma_py.errors.InputError`, naming the line by its number."""
        try:
            row = self._row(line)
            if self._plain:
                return tuple(row)
            for at, kind in enumerate(self._kinds):
                value = row[at]
                if kind == "json":
                    row[at] = bytes(value).decode() if value else None
                elif kind == "bytes" and value is not None:
                    row[at] = base64.b64decode(value, validate=True)
            return tuple(row)
        except (msgspec.MsgspecError, UnicodeError, binascii.Error, ValueError, RecursionError) as error:
            raise self.wrong(number, str(error)) from None

    def _row(self, line: bytes) -> list[Any]:
        try:
            found = self._decode(line)
            return [getattr(found, column) for column in self.columns]
        except (msgspec.DecodeError, UnicodeError):
            if b"\\u" not in line:
                raise
        # There may be half a character in it, which JSON allows: its JSON is read by itself, the rest as always.
        plain = json.loads(line, parse_constant=_no_json)
        if not isinstance(plain, dict):
            raise ValueError("it is no object")
        texts = {
            column: msgspec.Raw(dumps(plain[column]).encode())
            for column, kind in zip(self.columns, self._kinds, strict=True)
            if kind == "json" and column in plain
        }
        found = self._decode(msgspec.json.encode({**plain, **dict.fromkeys(texts, 0)}))
        return [texts.get(column, getattr(found, column)) for column in self.columns]

    def wrong(self, number: int, why: str) -> InputError:
        """The error of a line."""
        return InputError(f"line {number:,} of {self.name} cannot be used: {why}")


def _no_json(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


_AROUND: Final = {"task": "text"}

ROWS: Final[Mapping[str, Rows]] = {
    name: Rows(f"{name}.ndjson", columns)
    for name, columns in {
        "versions": {
            "kind": "text", "name": "text", "n": "whole", "version": "text", "at": "time", "by": "text",
            "text": "text?",
        },
        "tasks": {
            "id": "text", "created_at": "time", "parent": "text?", "into_path": "text?", "wait_for": "whole",
            "revision": "whole", "state": "text", "updated_at": "time", "ended_at": "time?", "due_at": "time?",
            "expires_at": "time?", "last_entry": "whole", "name": "text", "tags": "json?", "reason": "text?",
            "result": "json?", "on_expire": "json?", "cycle": "json?", "stash": "bytes?", "data": "json",
            "initial": "json",
        },
        "history": {
            **_AROUND, "n": "whole", "kind": "text", "started_at": "time", "ended_at": "time", "step": "text?",
            "version": "text?", "wave": "whole?", "attempt": "whole", "outcome": "text", "changes": "json?",
            "conflicts": "json?", "effects": "json?", "error": "json?", "logs": "json?",
        },
        "calls": {
            **_AROUND, "step": "text", "ordinal": "whole", "attempt": "whole", "connector": "text", "method": "text",
            "digest": "text", "position": "whole", "outcome": "text", "key": "text", "started_at": "time",
            "ended_at": "time", "arguments": "json", "answer": "json",
        },
        "audit": {**_AROUND, "at": "time", "kind": "text", "text": "text", "details": "json?"},
        "visualizations": {
            **_AROUND, "at": "time", "type": "text", "name": "text", "data": "json", "options": "json?",
        },
        "blobs": {
            "id": "text", "task": "text?", "name": "text?", "mimetype": "text?", "meta": "json?",
            "created_at": "time", "content": "bytes",
        },
        "files": {"name": "text", "at": "time", "content": "bytes"},
        "webhook_keys": {"webhook": "text", "key": "text", "task": "text", "at": "time"},
        "firings": {"schedule": "text", "at": "time", "task": "text?", "why": "text?"},
    }.items()
}  # fmt: skip
"""The members with lines, by name without ``.ndjson``, in the order in which they are written."""

AROUND_TASKS: Final = ("history", "calls", "audit", "visualizations", "blobs")
"""Those whose lines belong to tasks, and come in the order of the tasks."""


class Script(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A stored step or library; its text is the member ``file``."""

    kind: Literal["step", "library"]
    name: str
    suffix: str
    file: str
    enabled: bool
    description: str | None
    created_at: TIME
    updated_at: TIME
    updated_by: str


class Variable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``value`` is JSON; of a secret it is ``null``."""

    name: str
    secret: bool
    value: Any
    description: str | None
    updated_at: TIME
    updated_by: str


class Webhook(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    id: str
    name: str
    options: dict[str, Any]
    has_secret: bool
    created_at: TIME
    created_by: str
    last_at: TIME | None
    accepted: _WHOLE


class Schedule(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    id: str
    name: str
    enabled: bool
    options: dict[str, Any]
    next_at: TIME | None
    last_at: TIME | None
    created_at: TIME
    created_by: str


class Source(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    options: dict[str, Any]
    has_secret: bool
    hook: str | None
    next_at: TIME | None
    last_at: TIME | None
    taken: str | None
    error: str | None
    seen: dict[str, Any]
    failures: _WHOLE
    updated_at: TIME
    updated_by: str


class Connector(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    namespace: str
    name: str
    kind: str
    options: dict[str, Any]
    has_secret: bool
    enabled: bool
    created_at: TIME
    updated_at: TIME
    updated_by: str


class Workspace(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The workspace's own facts."""

    title: str | None = None
    tags: list[str] = []
    health_enabled: bool = False
    notification_groups: list[str] = []
    limits: dict[str, Any] = {}
    created_at: TIME | None = None


class Sealed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is encrypted with the passphrase, by name; webhooks by their ids."""

    variables: dict[str, str] = {}
    webhooks: dict[str, str] = {}
    connectors: dict[str, str] = {}
    source: str | None = None


def document(value: Any) -> bytes:
    """The JSON of a document, indented for people."""
    plain = msgspec.to_builtins(value)
    try:
        text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # half a character, which JSON allows and UTF-8 does not
        text = json.dumps(plain, indent=2, allow_nan=False).encode()
    return text + b"\n"


def read_document(name: str, content: bytes, kind: Any) -> Any:
    """The value of a document, of the type ``kind``. Raises :class:`~aloma_py.errors.InputError`."""
    try:
        return msgspec.convert(loads(content), kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(f"{name} cannot be used: {error}") from None


_BAD: Final = re.compile(r"[\x00-\x1f\x7f\\]")


def is_known(name: str) -> bool:
    """Whether a member of that name may be in an export: nothing that leads out of a folder it is unpacked in."""
    if name in (MANIFEST, *DOCUMENTS) or (name.endswith(".ndjson") and name.removesuffix(".ndjson") in ROWS):
        return True
    folder, _, rest = name.partition("/")
    if f"{folder}/" not in FOLDERS.values() or not rest or _BAD.search(rest):
        return False
    return not any(part in ("", ".", "..") for part in rest.split("/"))
