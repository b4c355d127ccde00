"""Operations on who may use the account: people, keys, and the ledger of what they changed."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Final

from aloma_py.errors import InputError, NotFoundError
from aloma_py.models import Millis
from aloma_py.operations.answers.access import (
    InvitedPerson,
    KeyShown,
    LedgerLine,
    NewKey,
    PersonShown,
    RemovedPerson,
)
from aloma_py.operations.identity import read_email, read_name
from aloma_py.operations.paging import check_limit, cut, read_cursor
from aloma_py.operations.passwords import new_token
from aloma_py.operations.registry import caller, operation
from aloma_py.operations.roles import Role, read_role
from aloma_py.operations.sites import Site
from aloma_py.run.handles import iso, iso_or_none
from aloma_py.settings import DEFAULT_WORKSPACE
from aloma_py.store.ledger import Ledger, Line
from aloma_py.store.people import ACCOUNT, People, Person, Token

INVITATION: Final[Millis] = 7 * 86_400_000
"""How long an invitation holds."""

NO_ROLE: Final = "none"
"""Given instead of a role, it takes the role away."""

KEY_PREFIX: Final = "alk"


class AccessOperations:
    """What can be asked of the account's people and keys."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.people = People(site.store)
        self.ledger = Ledger(site.store)

    # People

    @operation(Role.ADMIN, "GET /people", account=True, noted=False)
    async def list_people(self) -> list[PersonShown]:
        """The people, by email: ``[{id, email, name, state, role, workspaces, created_at, seen_at}]``."""
        return [person_to_json(person) for person in self.people.all()]

    @operation(Role.ADMIN, "POST /people", status=201, account=True)
    async def invite_person(
        self, email: str, name: str = "", role: str | None = None, workspaces: dict[str, str] | None = None
    ) -> InvitedPerson:
        """Add a person: the person, and ``invitation``, which sets the password; it is not shown again."""
        address, called = read_email(email), read_name(name or email.partition("@")[0])
        given = await self._roles(role, workspaces or {})
        roles = {place: word for place, word in given.items() if word is not None}
        if not roles:
            raise InputError(f"{address} is invited to nothing: give a role on the account or in a workspace")
        token, hashed = new_token("ali")
        until = self._now() + INVITATION
        person = await self.people.invite(address, called, roles, hashed, caller.get().name, self._now(), until)
        return {**person_to_json(person), "invitation": token, "invitation_until": iso(until)}

    @operation(Role.ADMIN, "POST /people/{id}/invitation", status=201, account=True)
    async def renew_invitation(self, id: str) -> InvitedPerson:
        """Give a new invitation to a person, with which a forgotten password is set; the one before ends."""
        token, hashed = new_token("ali")
        until = self._now() + INVITATION
        person = await self.people.invite_again(id, hashed, caller.get().name, self._now(), until)
        return {**person_to_json(person), "invitation": token, "invitation_until": iso(until)}

    @operation(Role.ADMIN, "PATCH /people/{id}", account=True)
    async def update_person(
        self,
        id: str,
        name: str | None = None,
        role: str | None = None,
        workspaces: dict[str, str] | None = None,
        disabled: bool | None = None,
    ) -> PersonShown:
        """Change a person's name or roles, or disable them; roles that are not named stay, ``none`` takes one away."""
        roles = await self._roles(role, workspaces or {})
        called = read_name(name) if name is not None else None
        return person_to_json(await self.people.update(id, self._now(), name=called, roles=roles, disabled=disabled))

    @operation(Role.ADMIN, "DELETE /people/{id}", account=True)
    async def remove_person(self, id: str) -> RemovedPerson:
        """Remove a person; ``keys`` are those they made that still hold."""
        person, now = await self.people.remove(id), self._now()
        left = [key for key in self.people.all_keys() if key.created_by == person.email and key.holds(now)]
        return {"id": person.id, "email": person.email, "removed": True, "keys": [key.name for key in left]}

    # Keys

    @operation(Role.ADMIN, "GET /keys", account=True, noted=False)
    async def list_keys(self) -> list[KeyShown]:
        """The keys, newest first, without what they open with: ``[{id, name, state, role, workspace, …}]``."""
        return [key_to_json(key, self._now()) for key in self.people.all_keys()]

    @operation(Role.ADMIN, "POST /keys", status=201, account=True)
    async def add_key(
        self, name: str, role: str, workspace: str | None = None, expires_at: str | None = None
    ) -> NewKey:
        """Make an API key, for one workspace or for all: what it is, and ``key``, which is not shown again."""
        called, now = read_name(name), self._now()
        until = readiso_or_none(expires_at, "expires_at") if expires_at is not None else None
        if until is not None and until <= now:
            raise InputError(f"expires_at is {expires_at!r}, which has passed")
        if workspace is not None:
            await self._check_workspace(workspace)
        given = self._grant(role)
        key, hashed = new_token(KEY_PREFIX)
        place = ACCOUNT if workspace is None else workspace
        made = await self.people.add_key(hashed, called, place, given, caller.get().name, now, until)
        return {**key_to_json(made, now), "key": key}

    @operation(Role.ADMIN, "DELETE /keys/{id}", account=True)
    async def revoke_key(self, id: str) -> KeyShown:
        """End a key at once; it stays in the list."""
        return key_to_json(await self.people.revoke_key(id, self._now()), self._now())

    # The ledger

    @operation(Role.ADMIN, "GET /audit", noted=False, on_tasks=True)
    async def audit(self, limit: int = 100, before: int | None = None, cursor: str | None = None) -> list[LedgerLine]:
        """Who changed what in the workspace, newest first; ``before``: only lines before that ``no``."""
        return self._lines(self.site.workspace, limit, before, cursor)

    @operation(Role.ADMIN, "GET /audit", account=True, noted=False)
    async def account_audit(
        self, limit: int = 100, before: int | None = None, cursor: str | None = None
    ) -> list[LedgerLine]:
        """Who changed what in the account and in every workspace, newest first."""
        return self._lines(None, limit, before, cursor)

    # Helpers

    def _lines(self, workspace: str | None, limit: int, before: int | None, cursor: str | None) -> list[LedgerLine]:
        places = [place for place in (before, read_cursor(cursor, "line")) if place is not None]
        few = check_limit(limit, 1000)
        found = self.ledger.list(workspace, limit=few + 1, before=min(places, default=None))
        return [line_to_json(line) for line in cut(found, few, "line", lambda line: line.no)]

    def _now(self) -> Millis:
        return self.site.engine.clock.now()

    async def _roles(self, role: str | None, workspaces: Mapping[str, str]) -> dict[str, str | None]:
        """The roles by place, checked; ``None`` where one is to be taken away."""
        given = {**({ACCOUNT: role} if role is not None else {}), **workspaces}
        if ACCOUNT in workspaces:
            raise InputError("a workspace in workspaces has no name; the role on the account is given as role")
        found: dict[str, str | None] = {}
        for place, word in given.items():
            if word.strip().lower() == NO_ROLE:
                found[place] = None
                continue
            if place != ACCOUNT:
                await self._check_workspace(place)
            found[place] = self._grant(word)
        return found

    def _grant(self, word: str) -> str:
        """The role that ``word`` means, where whoever asks may give it: nobody gives more than they have."""
        role, own = read_role(word), caller.get().role
        if role > own:
            raise InputError(f"the role {role} is more than {caller.get().name} has ({own}), so it cannot be given")
        return str(role)

    async def _check_workspace(self, name: str) -> None:
        known = {DEFAULT_WORKSPACE, *await self.site.store.workspaces()}
        if name not in known:
            raise NotFoundError("workspace", name, known)


def person_to_json(person: Person) -> PersonShown:
    state = "disabled" if person.disabled_at is not None else "active" if person.ready else "invited"
    return {
        "id": person.id,
        "email": person.email,
        "name": person.name,
        "state": state,
        "role": person.roles.get(ACCOUNT),
        "workspaces": {place: role for place, role in person.roles.items() if place != ACCOUNT},
        "created_at": iso(person.created_at),
        "seen_at": iso_or_none(person.seen_at),
    }


def key_to_json(key: Token, now: Millis) -> KeyShown:
    """``workspace`` is ``None`` where the key is for the account."""
    state = "active" if key.holds(now) else "revoked" if key.revoked_at is not None else "expired"
    return {
        "id": key.id,
        "name": key.name,
        "state": state,
        "role": key.role,
        "workspace": key.workspace or None,
        "created_at": iso(key.created_at),
        "created_by": key.created_by,
        "expires_at": iso_or_none(key.expires_at),
        "used_at": iso_or_none(key.used_at),
    }


def line_to_json(line: Line) -> LedgerLine:
    """``workspace`` is ``None`` where the account was changed."""
    return {
        "no": line.no,
        "at": iso(line.at),
        "who": line.who,
        "workspace": line.workspace or None,
        "action": line.action,
        "details": line.details,
    }


def readiso_or_none(text: str, what: str) -> Millis:
    """The time of ISO 8601 text, UTC where it names no zone; ``what`` names the place in the message."""
    try:
        moment = datetime.datetime.fromisoformat(text.strip())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InputError(f"{what} is {text[:100]!r}; a time such as 2027-01-31T12:00:00Z was expected") from None
