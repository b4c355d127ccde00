"""JavaScript steps and libraries whose texts are kept in the store: the shelf of one workspace."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aloma_py.errors import NotFoundError, StaleVersion, StateError
from aloma_py.models import Millis
from aloma_py.steps.javascript.define import Kind, ScriptText, version_of_text
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

_COLUMNS: Final = (
    "kind, name, suffix, version, enabled, description, created_at, updated_at, updated_by, text"
)  # fmt: skip
_OURS: Final = "workspace = ? AND kind = ? AND name = ?"


@dataclass(frozen=True, slots=True)
class Script:
    """A step or a library as it is stored. ``version`` is the hash of its text; times are milliseconds since 1970."""

    kind: Kind
    name: str
    suffix: str  # of the file it would be
    version: str
    enabled: bool
    description: str | None
    created_at: Millis
    updated_at: Millis
    updated_by: str
    text: str

    @property
    def loadable(self) -> ScriptText:
        """What the loading of a workspace takes."""
        return ScriptText(self.kind, self.name, self.suffix, self.text, self.enabled)


@dataclass(frozen=True, slots=True)
class ScriptVersion:
    """A text that a script had; ``text`` is ``None`` where it was deleted (or renamed) then."""

    n: int  # counted from 1
    version: str
    at: Millis
    by: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Put:
    """A script to be written. What is ``None`` stays as it is; a new one needs a ``text``.

    ``was`` is its name until now, where it gets another one. ``expected`` is the version that the change was made
    on; ``new`` says that there must be none of this name yet.
    """

    kind: Kind
    name: str
    text: str | None = None
    suffix: str | None = None
    enabled: bool | None = None
    description: str | None = None
    was: str | None = None
    expected: str | None = None
    new: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """A script to be deleted; its versions stay. ``expected`` as for :class:`Put`."""

    kind: Kind
    name: str
    expected: str | None = None


class ScriptShelf:
    """The stored scripts of ``workspace``. Every statement names the workspace."""

    def __init__(self, store: SQLiteStore, workspace: str) -> None:
        self.workspace = workspace
        self._store = store

    # Reading

    async def all(self, kind: Kind | None = None) -> list[Script]:
        """The scripts with their texts, in the order of their creation."""
        sql = f"SELECT {_COLUMNS} FROM script WHERE workspace = ? AND (? IS NULL OR kind = ?) ORDER BY no"
        values = (self.workspace, kind, kind)
        rows = await self._store.read(lambda connection: connection.execute(sql, values).fetchall())
        return [_script(row) for row in rows]

    async def texts(self) -> list[ScriptText]:
        """What the loading of the workspace takes."""
        return [script.loadable for script in await self.all()]

    def names(self, kind: Kind) -> list[str]:
        """The names there are, in the order of creation."""
        sql = "SELECT name FROM script WHERE workspace = ? AND kind = ? ORDER BY no"
        with self._store.reading() as reader:
            return [name for (name,) in reader.execute(sql, (self.workspace, kind))]

    def has(self, kind: Kind) -> bool:
        sql = "SELECT EXISTS (SELECT 1 FROM script WHERE workspace = ? AND kind = ?)"
        with self._store.reading() as reader:
            return bool(reader.execute(sql, (self.workspace, kind)).fetchone()[0])

    def find(self, kind: Kind, name: str) -> Script | None:
        with self._store.reading() as reader:
            return _find(reader, self.workspace, kind, name)

    def get(self, kind: Kind, name: str) -> Script:
        """The script of this name, or :class:`~aloma_py.errors.NotFoundError` naming the nearest."""
        found = self.find(kind, name)
        if found is None:
            raise NotFoundError(f"stored {kind}", name, self.names(kind))
        return found

    async def versions(self, kind: Kind, name: str) -> list[ScriptVersion]:
        """Every text that a script of this name has had, the newest first; also of one that was deleted."""
        sql = f"SELECT n, version, at, by, text FROM script_version WHERE {_OURS} ORDER BY n DESC"
        values = (self.workspace, kind, name)
        rows = await self._store.read(lambda connection: connection.execute(sql, values).fetchall())
        return [ScriptVersion(*row) for row in rows]

    # Writing

    async def put(self, change: Put, *, by: str, at: Millis) -> Script:
        """Write one script; it gets a new version only where the text changed. Gives it as it is then.

        Raises :class:`~aloma_py.errors.StaleVersion` where it was changed in between, and
        :class:`~aloma_py.errors.StateError` where the name is taken.
        """
        await self.apply([change], by=by, at=at)
        return self.get(change.kind, change.name)

    async def enable(self, kind: Kind, name: str, *, by: str, at: Millis) -> Script:
        return await self.put(Put(kind, name, enabled=True), by=by, at=at)

    async def disable(self, kind: Kind, name: str, *, by: str, at: Millis) -> Script:
        return await self.put(Put(kind, name, enabled=False), by=by, at=at)

    async def delete(self, kind: Kind, name: str, *, by: str, at: Millis) -> None:
        await self.apply([Remove(kind, name)], by=by, at=at)

    async def apply(self, changes: Sequence[Put | Remove], *, by: str, at: Millis) -> None:
        """Write all the changes or none of them, in one transaction."""

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO workspace (name) VALUES (?)", (self.workspace,))
            for change in changes:
                act: Callable[..., None] = _put if isinstance(change, Put) else _remove
                act(connection, self.workspace, change, by, at)

        await self._store.writer.write(Write(job=job))


def changed(scripts: Iterable[Script], changes: Sequence[Put | Remove]) -> list[ScriptText]:
    """What the scripts would be after the changes; for trying them before they are written."""
    found = {(one.kind, one.name): one.loadable for one in scripts}
    for change in changes:
        key = (change.kind, change.name)
        if isinstance(change, Remove):
            found.pop(key, None)
            continue
        old = found.get((change.kind, change.was or change.name))
        made = ScriptText(
            change.kind,
            change.name,
            change.suffix or (old.suffix if old else ".js"),
            change.text if change.text is not None else old.text if old else "",
            change.enabled if change.enabled is not None else old.enabled if old else True,
        )
        if change.was is not None and change.was != change.name:  # it keeps its place
            found = {key if at == (change.kind, change.was) else at: one for at, one in found.items()}
        found[key] = made
    return list(found.values())


def check_version(kind: Kind, name: str, present: str, expected: str | None) -> None:
    """Refuse a change that was made on another version than the present one."""
    if expected is not None and expected != present:
        raise StaleVersion(
            f"the {kind} {name!r} is at version {present}, but the change was made on version {expected}: "
            "look at it again"
        )


def _put(connection: sqlite3.Connection, workspace: str, change: Put, by: str, at: Millis) -> None:
    was = change.was or change.name
    old = _find(connection, workspace, change.kind, was)
    if change.name != was or change.new:
        taken = _find(connection, workspace, change.kind, change.name) is not None
        if taken:
            raise StateError(f"there is a stored {change.kind} {change.name!r} already; each needs a name of its own")
    if old is None:
        if change.text is None or change.was is not None:
            raise NotFoundError(f"stored {change.kind}", was)
        _insert(connection, workspace, change, by, at)
        return
    check_version(change.kind, was, old.version, change.expected)
    text = old.text if change.text is None else change.text
    suffix = change.suffix or old.suffix
    version = version_of_text(text)
    connection.execute(
        f"UPDATE script SET name = ?, suffix = ?, version = ?, enabled = ?, description = ?, updated_at = ?, "
        f"updated_by = ?, text = ? WHERE {_OURS}",
        (
            change.name, suffix, version,
            old.enabled if change.enabled is None else change.enabled,
            old.description if change.description is None else change.description or None,
            at, by, text, workspace, change.kind, was,
        ),
    )  # fmt: skip
    if change.name != was:
        _note(connection, workspace, change.kind, was, old.version, None, by, at)
    if change.name != was or version != old.version:
        _note(connection, workspace, change.kind, change.name, version, text, by, at)


def _insert(connection: sqlite3.Connection, workspace: str, change: Put, by: str, at: Millis) -> None:
    text = change.text or ""
    version = version_of_text(text)
    connection.execute(
        "INSERT INTO script (workspace, kind, name, no, suffix, version, enabled, description, created_at, updated_at,"
        " updated_by, text) SELECT ?, ?, ?, 1 + coalesce(max(no), 0), ?, ?, ?, ?, ?, ?, ?, ? FROM script"
        " WHERE workspace = ?",
        (
            workspace, change.kind, change.name, change.suffix or ".js", version,
            change.enabled is not False, change.description or None, at, at, by, text, workspace,
        ),
    )  # fmt: skip
    _note(connection, workspace, change.kind, change.name, version, text, by, at)


def _remove(connection: sqlite3.Connection, workspace: str, change: Remove, by: str, at: Millis) -> None:
    old = _find(connection, workspace, change.kind, change.name)
    if old is None:
        raise NotFoundError(f"stored {change.kind}", change.name)
    check_version(change.kind, change.name, old.version, change.expected)
    connection.execute(f"DELETE FROM script WHERE {_OURS}", (workspace, change.kind, change.name))
    _note(connection, workspace, change.kind, change.name, old.version, None, by, at)


def _note(
    connection: sqlite3.Connection,
    workspace: str,
    kind: Kind,
    name: str,
    version: str,
    text: str | None,
    by: str,
    at: Millis,
) -> None:
    """Keep a version; the text is ``None`` for the end of the script."""
    connection.execute(
        "INSERT INTO script_version (workspace, kind, name, n, version, at, by, text)"
        " SELECT ?, ?, ?, 1 + coalesce(max(n), 0), ?, ?, ?, ? FROM script_version"
        f" WHERE {_OURS}",
        (workspace, kind, name, version, at, by, text, workspace, kind, name),
    )


def _find(connection: sqlite3.Connection, workspace: str, kind: Kind, name: str) -> Script | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM script WHERE {_OURS}", (workspace, kind, name)).fetchone()
    return None if row is None else _script(row)


def _script(row: tuple[Any, ...]) -> Script:
    kind, name, suffix, version, enabled, *rest = row
    return Script(kind, name, suffix, version, bool(enabled), *rest)
