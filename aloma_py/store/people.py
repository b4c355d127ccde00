"""The people and tokens of the account: who may use it, and how they show who they are.

Tokens (keys, sessions, invitations, the one of the first run) are kept as SHA-256 hashes only: each holds 32 random
bytes, so that a slower hash would add nothing. Passwords come here hashed.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from aloma_py.errors import NotFoundError, StateError
from aloma_py.models import Millis
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

T = TypeVar("T")
Kind = Literal["key", "session", "invitation", "setup"]

ACCOUNT: Final = ""
"""The place of a role that is for the whole account."""

_PERSON: Final = "SELECT id, email, name, password IS NOT NULL, created_at, seen_at, disabled_at FROM person"
_TOKEN: Final = (
    "SELECT id, kind, name, person, workspace, role, created_at, created_by, expires_at, used_at, revoked_at FROM token"
)
_USABLE_ADMINS: Final = (
    "SELECT count(*) FROM person JOIN membership ON membership.person = person.id "
    "WHERE membership.workspace = '' AND membership.role = 'admin' AND disabled_at IS NULL AND password IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in. ``roles`` are by workspace; that of :data:`ACCOUNT` is for all of them."""

    id: str
    email: str
    name: str
    ready: bool  # a password is set
    created_at: Millis
    seen_at: Millis | None = None
    disabled_at: Millis | None = None
    roles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; the token itself is not. ``workspace`` and ``role`` are those of a key."""

    id: str
    kind: Kind
    name: str
    person: str | None
    workspace: str | None
    role: str | None
    created_at: Millis
    created_by: str
    expires_at: Millis | None = None
    used_at: Millis | None = None
    revoked_at: Millis | None = None

    def holds(self, now: Millis) -> bool:
        """Whether it still opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def new_id() -> str:
    return secrets.token_hex(8)


class People:
    """The people and tokens of the account in ``store``. Roles are given as words that have been checked."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    # Reading

    def all(self) -> list[Person]:
        """Everybody, by email."""
        with self._store.reading() as reader:
            return _people(reader, f"{_PERSON} ORDER BY email", ())

    def find(self, given: str) -> Person:
        """The person with that id or email, or :class:`~aloma_py.errors.NotFoundError`."""
        with self._store.reading() as reader:
            return _find(reader, given)

    def password_of(self, email: str) -> tuple[Person, str] | None:
        """The person who may sign in with that email, and the password's hash; ``None`` where there is none."""
        with self._store.reading() as reader:
            row = reader.execute(
                "SELECT id, password FROM person WHERE email = ? AND password IS NOT NULL AND disabled_at IS NULL",
                (email,),
            ).fetchone()
            return (_find(reader, row[0]), row[1]) if row else None

    def all_keys(self) -> list[Token]:
        """Every key that was made, revoked ones too, the newest first."""
        with self._store.reading() as reader:
            rows = reader.execute(f"{_TOKEN} WHERE kind = 'key' ORDER BY created_at DESC, id").fetchall()
            return [Token(*row) for row in rows]

    def key(self, id: str) -> Token:
        """The key with that id, or the name of one that is not revoked."""
        with self._store.reading() as reader:
            return _key(reader, id)

    def token(self, kind: Kind, hashed: bytes) -> Token | None:
        """The token of that kind and hash, whether it holds or not."""
        with self._store.reading() as reader:
            row = reader.execute(f"{_TOKEN} WHERE hash = ? AND kind = ?", (hashed, kind)).fetchone()
            return Token(*row) if row else None

    def is_new(self) -> bool:
        """Whether the account has had no person and no key yet."""
        with self._store.reading() as reader:
            return _is_new(reader)

    # People

    async def begin(self, email: str, name: str, password: str, setup: bytes, now: Millis) -> Person:
        """Make the first admin of an account that is new; ``setup`` is the hash of the first run's token.

        Raises :class:`~aloma_py.errors.StateError` where the account is not new, or has another token.
        """

        def make(connection: sqlite3.Connection) -> Person:
            if not _is_new(connection):
                raise StateError("the account has been set up already")
            gone = connection.execute("DELETE FROM token WHERE hash = ? AND kind = 'setup'", (setup,))
            if not gone.rowcount:
                raise StateError("this is not the setup token of this start")
            id = _add(connection, email, name, {ACCOUNT: "admin"}, now)
            connection.execute("UPDATE person SET password = ? WHERE id = ?", (password, id))
            return _find(connection, id)

        return await self._write(make)

    async def invite(
        self, email: str, name: str, roles: Mapping[str, str], hashed: bytes, by: str, now: Millis, until: Millis
    ) -> Person:
        """Add a person, who has no password yet, with an invitation. ``StateError`` where the email is known."""

        def add(connection: sqlite3.Connection) -> Person:
            if connection.execute("SELECT 1 FROM person WHERE email = ?", (email,)).fetchone():
                raise StateError(f"there is somebody with the email {email!r} already")
            id = _add(connection, email, name, roles, now)
            _invite(connection, id, hashed, by, now, until)
            return _find(connection, id)

        return await self._write(add)

    async def invite_again(self, id: str, hashed: bytes, by: str, now: Millis, until: Millis) -> Person:
        """Give a person an invitation instead of those before; the password, if any, holds until it is used."""

        def renew(connection: sqlite3.Connection) -> Person:
            person = _find(connection, id)
            if person.disabled_at is not None:
                raise StateError(f"{person.email} is disabled")
            _invite(connection, person.id, hashed, by, now, until)
            return person

        return await self._write(renew)

    async def accept(self, hashed: bytes, password: str, now: Millis) -> Person | None:
        """Set the password of whoever was invited with that token; ``None`` where it does not hold.

        The invitation and all sessions of the person end.
        """

        def use(connection: sqlite3.Connection) -> Person | None:
            row = connection.execute(
                "SELECT person FROM token JOIN person ON person.id = token.person "
                "WHERE hash = ? AND kind = 'invitation' AND expires_at > ? AND disabled_at IS NULL",
                (hashed, now),
            ).fetchone()
            if row is None:
                return None
            _set_password(connection, row[0], password)
            return _find(connection, row[0])

        return await self._write(use)

    async def set_password(self, id: str, password: str, old: str) -> None:
        """Replace a person's password, where it is still ``old`` (both hashed); sessions and invitations end."""

        def change(connection: sqlite3.Connection) -> None:
            if not connection.execute("SELECT 1 FROM person WHERE id = ? AND password = ?", (id, old)).fetchone():
                raise StateError("the password was changed by somebody else in between")
            _set_password(connection, id, password)

        await self._write(change)

    async def update(
        self, given: str, now: Millis, *, name: str | None, roles: Mapping[str, str | None], disabled: bool | None
    ) -> Person:
        """Change what is given; a role of ``None`` is taken away. Disabling ends the person's sessions.

        Raises :class:`~aloma_py.errors.StateError` where the account would be left without an admin.
        """

        def change(connection: sqlite3.Connection) -> Person:
            id = _find(connection, given).id
            admins = _admins(connection)
            if name is not None:
                connection.execute("UPDATE person SET name = ? WHERE id = ?", (name, id))
            for place, role in roles.items():
                connection.execute("DELETE FROM membership WHERE person = ? AND workspace = ?", (id, place))
                if role is not None:
                    connection.execute("INSERT INTO membership VALUES (?, ?, ?)", (id, place, role))
            if disabled is not None:
                sql = "UPDATE person SET disabled_at = iif(?, ifnull(disabled_at, ?), NULL) WHERE id = ?"
                connection.execute(sql, (disabled, now, id))
            if disabled:
                connection.execute("DELETE FROM token WHERE person = ?", (id,))
            _keep_an_admin(connection, admins)
            return _find(connection, id)

        return await self._write(change)

    async def remove(self, given: str) -> Person:
        """Remove a person and their sessions; ``StateError`` where the account would be left without an admin."""

        def drop(connection: sqlite3.Connection) -> Person:
            person, admins = _find(connection, given), _admins(connection)
            connection.execute("DELETE FROM person WHERE id = ?", (person.id,))
            _keep_an_admin(connection, admins)
            return person

        return await self._write(drop)

    # Tokens

    async def add_setup(self, hashed: bytes, now: Millis) -> bool:
        """Make that the one token of the first run; false where the account is not new."""

        def add(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM token WHERE kind = 'setup'")
            if not _is_new(connection):
                return False
            _add_token(connection, hashed, "setup", "setup", now, "server")
            return True

        return await self._write(add)

    async def add_key(
        self, hashed: bytes, name: str, workspace: str, role: str, by: str, now: Millis, until: Millis | None
    ) -> Token:
        """Make a key; ``StateError`` where one of that name holds already."""

        def add(connection: sqlite3.Connection) -> Token:
            sql = f"{_TOKEN} WHERE kind = 'key' AND name = ?"
            if any(Token(*row).holds(now) for row in connection.execute(sql, (name,)).fetchall()):
                raise StateError(f"there is a key {name!r} already; revoke it, or give another name")
            id = _add_token(connection, hashed, "key", name, now, by, until=until, workspace=workspace, role=role)
            return _key(connection, id)

        return await self._write(add)

    async def revoke_key(self, given: str, now: Millis) -> Token:
        """End a key; it stays in the list."""

        def revoke(connection: sqlite3.Connection) -> Token:
            id = _key(connection, given).id
            connection.execute("UPDATE token SET revoked_at = ifnull(revoked_at, ?) WHERE id = ?", (now, id))
            return _key(connection, id)

        return await self._write(revoke)

    async def open_session(self, person: str, password: str, hashed: bytes, now: Millis, until: Millis) -> bool:
        """Begin a session, unless in between the person was disabled or the password is another (``password`` is its
        hash). Sessions and invitations of anybody that have expired are removed on the way.
        """

        def add(connection: sqlite3.Connection) -> bool:
            sql = "UPDATE person SET seen_at = ? WHERE id = ? AND password = ? AND disabled_at IS NULL"
            if not connection.execute(sql, (now, person, password)).rowcount:
                return False
            connection.execute("DELETE FROM token WHERE kind IN ('session', 'invitation') AND expires_at <= ?", (now,))
            _add_token(connection, hashed, "session", "session", now, person, until=until, person=person)
            return True

        return await self._write(add)

    async def end_session(self, hashed: bytes) -> None:
        await self._write(
            lambda connection: connection.execute("DELETE FROM token WHERE hash = ? AND kind = 'session'", (hashed,))
        )

    async def used(self, token: Token, now: Millis, until: Millis | None) -> None:
        """Note that a key or session was used now, and until when it holds."""

        def note(connection: sqlite3.Connection) -> None:
            sql = "UPDATE token SET used_at = ?, expires_at = ? WHERE id = ?"
            connection.execute(sql, (now, until, token.id))
            if token.person is not None:
                connection.execute("UPDATE person SET seen_at = ? WHERE id = ?", (now, token.person))

        await self._write(note)

    async def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        result: T = await self._store.writer.write(Write(job=job))
        return result


def _people(connection: sqlite3.Connection, sql: str, values: tuple[Any, ...]) -> list[Person]:
    found = []
    for id, email, name, ready, made, seen, disabled in connection.execute(sql, values).fetchall():
        roles = connection.execute("SELECT workspace, role FROM membership WHERE person = ?", (id,)).fetchall()
        found.append(Person(id, email, name, bool(ready), made, seen, disabled, dict(roles)))
    return found


def _find(connection: sqlite3.Connection, given: str) -> Person:
    found = _people(connection, f"{_PERSON} WHERE id = ? OR email = ?", (given, given.strip().lower()))
    if not found:
        emails = connection.execute("SELECT email FROM person LIMIT 1000").fetchall()
        raise NotFoundError("person", given, [email for (email,) in emails])
    return found[0]


def _key(connection: sqlite3.Connection, given: str) -> Token:
    sql = f"{_TOKEN} WHERE kind = 'key' AND (id = ? OR name = ?) ORDER BY id = ? DESC, created_at DESC"
    rows = connection.execute(sql, (given, given, given)).fetchall()
    found = [Token(*row) for row in rows]
    chosen = next((one for one in found if one.id == given or one.revoked_at is None), None)
    if chosen is None:
        names = connection.execute("SELECT name FROM token WHERE kind = 'key' AND revoked_at IS NULL").fetchall()
        raise NotFoundError("key", given, [name for (name,) in names])
    return chosen


def _is_new(connection: sqlite3.Connection) -> bool:
    sql = "SELECT NOT EXISTS (SELECT 1 FROM person) AND NOT EXISTS (SELECT 1 FROM token WHERE kind = 'key')"
    return bool(connection.execute(sql).fetchone()[0])


def _add(connection: sqlite3.Connection, email: str, name: str, roles: Mapping[str, str], now: Millis) -> str:
    id = new_id()
    connection.execute("INSERT INTO person (id, email, name, created_at) VALUES (?, ?, ?, ?)", (id, email, name, now))
    connection.executemany("INSERT INTO membership VALUES (?, ?, ?)", [(id, *role) for role in roles.items()])
    return id


def _add_token(
    connection: sqlite3.Connection,
    hashed: bytes,
    kind: Kind,
    name: str,
    now: Millis,
    by: str,
    *,
    until: Millis | None = None,
    person: str | None = None,
    workspace: str | None = None,
    role: str | None = None,
) -> str:
    id = new_id()
    connection.execute(
        "INSERT INTO token (hash, id, kind, name, person, workspace, role, created_at, created_by, expires_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (hashed, id, kind, name, person, workspace, role, now, by, until),
    )
    return id


def _invite(connection: sqlite3.Connection, id: str, hashed: bytes, by: str, now: Millis, until: Millis) -> None:
    connection.execute("DELETE FROM token WHERE person = ? AND kind = 'invitation'", (id,))
    _add_token(connection, hashed, "invitation", "invitation", now, by, until=until, person=id)


def _set_password(connection: sqlite3.Connection, id: str, password: str) -> None:
    connection.execute("UPDATE person SET password = ? WHERE id = ?", (password, id))
    connection.execute("DELETE FROM token WHERE person = ? AND kind IN ('session', 'invitation')", (id,))


def _admins(connection: sqlite3.Connection) -> int:
    """How many people can sign in and are admins of the account."""
    count: int = connection.execute(_USABLE_ADMINS).fetchone()[0]
    return count


def _keep_an_admin(connection: sqlite3.Connection, before: int) -> None:
    if before and not _admins(connection):
        raise StateError("the account would be left without an admin: make somebody else one first")
