"""What ``task.config(name)`` gives: variables, in plain JSON, and secrets, encrypted and bound to their name."""

from __future__ import annotations

import builtins
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aloma_py.errors import InputError, NotFoundError, StateError
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json, Millis
from aloma_py.store.places import place_of, what_of
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

LONGEST_NAME: Final = 100
SHORTEST_SECRET: Final = 6
"""Characters. A shorter secret would be found, and hidden, in too many places where it is none."""

LARGEST_SECRET: Final = 16 * 1024
LARGEST_VALUE: Final = 256 * 1024
"""Characters, as JSON."""

_NAME: Final = re.compile(rf"[A-Za-z0-9_.-]{{1,{LONGEST_NAME}}}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable or a secret as it is listed. ``value`` is JSON, and ``None`` for a secret; times in milliseconds."""

    name: str
    secret: bool
    value: Json
    description: str | None
    updated_at: Millis
    updated_by: str


class Variables:
    """The variables and secrets of one workspace. No name is of both."""

    def __init__(self, store: SQLiteStore, workspace: str) -> None:
        self._store = store
        self._workspace = workspace

    # ── for the engine ──────────────────────────────────────────────────────────────────────────────────────────

    def values(self) -> dict[str, Json]:
        """Every name with its value; secrets decrypted.

        Raises :class:`~aloma_py.errors.StoreError` for a secret that the key here did not encrypt.
        """
        plain = self._all("SELECT name, value FROM variable WHERE workspace = ? AND sealed IS NULL ORDER BY name")
        return {**{name: loads(value) for name, value in plain}, **self._opened()}

    def secrets(self) -> tuple[str, ...]:
        """The texts of all secrets: what must not be shown anywhere."""
        return tuple(self._opened().values())

    def _opened(self) -> dict[str, str]:
        sealed = self._all("SELECT name, sealed FROM variable WHERE workspace = ? AND sealed IS NOT NULL ORDER BY name")
        if not sealed:
            return {}  # no key is needed, nor made
        cipher = self._store.cipher
        return {
            name: cipher.unseal(place_of(self._workspace, name), blob, what_of(self._workspace, name))
            for name, blob in sealed
        }

    # ── for people ──────────────────────────────────────────────────────────────────────────────────────────────

    def list(self) -> builtins.list[Variable]:
        """All of them, by name; of secrets not the value."""
        rows = self._all(
            "SELECT name, sealed IS NOT NULL, value, description, updated_at, updated_by FROM variable "
            "WHERE workspace = ? ORDER BY name"
        )
        return [
            Variable(name, bool(secret), None if secret else loads(value), *more) for name, secret, value, *more in rows
        ]

    async def set(
        self, name: str, value: Json, *, at: Millis, by: str, description: str | None = None, new: bool = False
    ) -> Variable:
        """Set a variable to a JSON value. ``description`` ``None`` leaves the one it has.

        Raises :class:`~aloma_py.errors.InputError` for a name or value that cannot be, and
        :class:`~aloma_py.errors.StateError` where there is a secret of that name, or, with ``new``, a variable.
        """
        check_name(name)
        try:
            text = dumps(value)
            text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"the variable {name!r}: its value is no JSON: {error}") from None
        if len(text) > LARGEST_VALUE:
            raise InputError(
                f"the variable {name!r}: its value has {len(text):,} characters; at most {LARGEST_VALUE:,} are allowed"
            )
        return await self._put(name, text, None, description, at, by, new)

    async def set_secret(
        self, name: str, text: str, *, at: Millis, by: str, description: str | None = None, new: bool = False
    ) -> Variable:
        """Set a secret. Arguments and errors as for :meth:`set`; no error's text has the secret in it."""
        check_name(name)
        check_secret(name, text)
        sealed = self._store.cipher.seal(place_of(self._workspace, name), text)
        return await self._put(name, None, sealed, description, at, by, new)

    async def delete(self, name: str, *, secret: bool) -> None:
        """Delete a variable, or a secret; :class:`~aloma_py.errors.NotFoundError` where there is none of that name."""

        def remove(connection: sqlite3.Connection) -> None:
            sql = f"DELETE FROM variable WHERE workspace = ? AND name = ? AND sealed IS {'NOT ' if secret else ''}NULL"
            if not connection.execute(sql, (self._workspace, name)).rowcount:
                raise NotFoundError(_kind(secret), name, self._names(connection, secret))

        await self._write(remove)

    async def _put(
        self,
        name: str,
        value: str | None,
        sealed: bytes | None,
        description: str | None,
        at: Millis,
        by: str,
        new: bool,
    ) -> Variable:
        secret = sealed is not None

        def put(connection: sqlite3.Connection) -> str | None:
            sql = "SELECT sealed IS NOT NULL, description FROM variable WHERE workspace = ? AND name = ?"
            found = connection.execute(sql, (self._workspace, name)).fetchone()
            if found is not None:
                _refuse_other(name, bool(found[0]), secret, new)
            about: str | None = description if description is not None or found is None else found[1]
            connection.execute(
                "INSERT OR REPLACE INTO variable (workspace, name, value, sealed, description, updated_at, updated_by) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self._workspace, name, value, sealed, about, at, by),
            )
            return about

        about = await self._write(put)
        return Variable(name, secret, None if value is None else loads(value), about, at, by)

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _names(self, connection: sqlite3.Connection, secret: bool) -> builtins.list[str]:
        sql = "SELECT name FROM variable WHERE workspace = ? AND (sealed IS NOT NULL) = ?"
        return [name for (name,) in connection.execute(sql, (self._workspace, secret))]

    def _all(self, sql: str) -> builtins.list[tuple[Any, ...]]:
        with self._store.reading() as reader:
            return reader.execute(sql, (self._workspace,)).fetchall()

    async def _write(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._store.writer.write(Write(job=job))


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a variable or a secret, with an ``InputError``."""
    if not isinstance(name, str):
        raise InputError(f"the name of a variable or a secret must be a text, not {type(name).__name__}")
    if _NAME.fullmatch(name) and name.strip("."):
        return
    if name and not name.strip("."):
        raise InputError(f"the name {name[:LONGEST_NAME]!r} cannot be used: nothing but dots, which mean a folder")
    wrong = next((sign for sign in name if not _NAME.fullmatch(sign)), None)
    why = (
        "it is empty" if not name else f"it has {len(name)} characters" if wrong is None else f"it has {wrong!r} in it"
    )
    raise InputError(
        f"the name {name[:LONGEST_NAME]!r} cannot be used: {why}; "
        f"1 to {LONGEST_NAME} letters, digits, '_', '.' and '-' were expected"
    )


def check_secret(name: str, text: str) -> None:
    """Refuse a text that cannot be a secret, with an ``InputError`` that does not have it in it."""
    if not isinstance(text, str):
        raise InputError(f"the secret {name!r} must be a text, not {type(text).__name__}")
    length = len(text.strip())
    if length < SHORTEST_SECRET:
        raise InputError(
            f"the secret {name!r} has {length} characters; at least {SHORTEST_SECRET} were expected: secrets are "
            "hidden wherever they occur, and so short a text occurs in too many places"
        )
    if len(text) > LARGEST_SECRET:
        raise InputError(f"the secret {name!r} has {len(text):,} characters; at most {LARGEST_SECRET:,} are allowed")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"the secret {name!r} is no text: it holds half a character") from None


def _refuse_other(name: str, is_secret: bool, secret: bool, new: bool) -> None:
    if is_secret != secret:
        raise StateError(f"{name!r} is a {_kind(is_secret)}, no {_kind(secret)}; delete it first, or take another name")
    if new:
        raise StateError(f"there is a {_kind(secret)} {name!r} already; nothing was changed")


def _kind(secret: bool) -> str:
    return "secret" if secret else "variable"


__all__ = ["Variable", "Variables", "check_name", "check_secret"]
