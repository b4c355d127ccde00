"""Who asks, from the store: API keys, people and their sessions; and the routes by which people come in.

``Authorization: Bearer alk_…`` shows a key, the cookie a session. A request that changes something and shows only the
cookie must also show that a page of this server sent it (:func:`_check_origin`): browsers add cookies by themselves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from aloma_py.clock import SystemClock
from aloma_py.errors import NotFoundError, StateError, StoreError
from aloma_py.models import Json, Millis
from aloma_py.operations import Caller, Role
from aloma_py.operations.answers.access import MeShown
from aloma_py.operations.identity import read_email, read_name
from aloma_py.operations.passwords import Hasher, check_password, hash_token, new_token
from aloma_py.operations.roles import read_role
from aloma_py.serve.web.attempts import Attempts
from aloma_py.serve.web.guard import ACCOUNT, Guard, Identity
from aloma_py.serve.web.openapi import documented
from aloma_py.serve.web.problems import AccessError
from aloma_py.store.ledger import Ledger
from aloma_py.store.people import People, Person, Token
from aloma_py.store.sqlite import SQLiteStore

logger = logging.getLogger("aloma_py.serve")

COOKIE: Final = "aloma_session"
IDLE: Final[Millis] = 12 * 3_600_000
"""How long a session holds after it was last used."""

LONGEST: Final[Millis] = 7 * 86_400_000
"""How long a session holds at most."""

NOTED: Final[Millis] = 60_000
"""How often the use of a key or session is written down."""

OPEN_OPERATIONS: Final = ("setup", "sign_in", "accept_invitation")
"""Operations by which people come in: nobody is known yet."""

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
UNKNOWN: Final = "sign in, or give an API key: Authorization: Bearer …"
WRONG: Final = "the email or the password is wrong"


@dataclass(frozen=True, slots=True)
class Known(Identity):
    """Somebody who showed a token: ``person`` is ``None`` for a key."""

    kind: str = "key"
    person: Person | None = None

    def caller(self, workspace: str, least: Role) -> Caller:
        """As of any identity; who has no role on the account is told so, since that there is one is no secret."""
        if workspace == ACCOUNT and self.role_in(ACCOUNT) is None:
            raise AccessError(403, f"this needs the role {least} on the account; {self.name} has none there")
        return Identity.caller(self, workspace, least)


async def setup_token(store: SQLiteStore, now: Millis | None = None) -> str | None:
    """A new token for the first run, which ends the one before; ``None`` where the account has a person or a key.

    To be called once when the server starts, and printed: it is kept nowhere.
    """
    token, hashed = new_token("als")
    return token if await People(store).add_setup(hashed, SystemClock().now() if now is None else now) else None


class Keepers:
    """A :class:`~aloma_py.serve.web.guard.Guard` over the people and keys in ``store``."""

    def __init__(
        self, store: SQLiteStore, *, now: Callable[[], Millis] | None = None, hasher: Hasher | None = None
    ) -> None:
        self.people = People(store)
        self.ledger = Ledger(store)
        self.now = now or SystemClock().now
        self.hasher = hasher or Hasher()
        self.attempts = Attempts(self.now)
        self._noted: dict[str, Millis] = {}  # tokens whose use is being written down, and since when

    async def identify(self, request: Request) -> Known:
        """Whoever made the request. Raises :class:`AccessError`: 401 where nobody is known, 403 for a forged write."""
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await self._of_key(shown.strip())
        cookie = request.cookies.get(COOKIE)
        if not cookie:
            raise AccessError(401, UNKNOWN)
        known = await self._of_session(cookie)
        if request.method not in SAFE:
            _check_origin(request)
        return known

    async def _of_key(self, shown: str) -> Known:
        token, now = self.people.token("key", hash_token(shown)), self.now()
        if token is None or token.role is None or token.workspace is None or not token.holds(now):
            raise AccessError(401, "the API key is unknown, has expired, or was revoked")
        await self._note_use(token, now, token.expires_at)
        return Known(f"key:{token.name}", {token.workspace: read_role(token.role)})

    async def _of_session(self, cookie: str) -> Known:
        token, now = self.people.token("session", hash_token(cookie)), self.now()
        ended = AccessError(401, "the session has ended: sign in again")
        if token is None or token.person is None or not token.holds(now):
            raise ended
        try:
            person = self.people.find(token.person)
        except NotFoundError:  # removed in between
            raise ended from None
        if person.disabled_at is not None:
            raise ended
        await self._note_use(token, now, min(now + IDLE, token.created_at + LONGEST))
        roles = {place: read_role(role) for place, role in person.roles.items()}
        return Known(person.email, roles, "person", person)

    async def _note_use(self, token: Token, now: Millis, until: Millis | None) -> None:
        """Write down that a token was used, at most once a minute; that it cannot be written keeps nobody out."""
        if now - max(token.used_at or 0, self._noted.get(token.id, 0)) < NOTED:
            return
        self._noted[token.id] = now
        try:
            await self.people.used(token, now, until)
        except StoreError as error:
            logger.warning("the use of a %s could not be written down: %s", token.kind, error)
        finally:
            self._noted.pop(token.id, None)

    # ── people who come in ──────────────────────────────────────────────────────────────────────────────────────

    async def sign_in(self, email: str, password: str, address: str) -> tuple[Person, str]:
        """The person and a new session's token; :class:`AccessError` 401 or 429.

        What is answered, and how long that takes, is the same for an email that nobody has.
        """
        plain = email.strip().lower()[:300]
        with self.attempts.at(f"email {plain}", f"address {address}") as attempt:
            found = self.people.password_of(plain)
            right = await self.hasher.verify(found[1] if found else None, password)
            session = await self._open(found[0], found[1]) if found and right else None
            if found is None or session is None:
                raise AccessError(401, WRONG)
            attempt.succeeded()
        return found[0], session

    async def set_up(self, token: str, email: str, name: str, password: str, address: str) -> tuple[Person, str]:
        """Make the first admin; 404 where the account is not new, 403 for another token than that of this start."""
        self._check_new()
        hashed = hash_token(token)
        with self.attempts.at(f"address {address}") as attempt:
            if self.people.token("setup", hashed) is None:
                raise AccessError(403, "this is not the setup token that the server printed when it started")
            attempt.succeeded()
        email, name = read_email(email), read_name(name)
        check_password(password, email, name)
        secret = await self.hasher.hash(password)
        try:
            person = await self.people.begin(email, name, secret, hashed, self.now())
        except StateError:
            self._check_new()
            raise
        await self._note(person.email, "setup", {"email": person.email, "name": person.name})
        return await self._let_in(person, secret)

    async def accept(self, token: str, password: str, address: str) -> tuple[Person, str]:
        """Set the password of who was invited; :class:`AccessError` 403 where the invitation does not hold."""
        refused = AccessError(403, "the invitation is unknown, has expired, or was used")
        hashed = hash_token(token)
        with self.attempts.at(f"address {address}") as attempt:
            found = self.people.token("invitation", hashed)
            if found is None or found.person is None or not found.holds(self.now()):
                raise refused
            attempt.succeeded()
        invited = self.people.find(found.person)
        check_password(password, invited.email, invited.name)
        secret = await self.hasher.hash(password)
        person = await self.people.accept(hashed, secret, self.now())
        if person is None:
            raise refused
        await self._note(person.email, "accept_invitation", {})
        return await self._let_in(person, secret)

    async def change_password(self, known: Known, old: str, new: str, address: str) -> tuple[Person, str]:
        """Set another password for whoever is signed in. All sessions end; the new one's token is given."""
        person = known.person
        if person is None:
            raise AccessError(403, "a key has no password; sign in as a person")
        with self.attempts.at(f"email {person.email}", f"address {address}") as attempt:
            found = self.people.password_of(person.email)
            if found is None or not await self.hasher.verify(found[1], old):
                raise AccessError(403, "the present password is wrong")
            attempt.succeeded()
        check_password(new, person.email, person.name)
        secret = await self.hasher.hash(new)
        await self.people.set_password(person.id, secret, found[1])
        await self._note(person.email, "change_password", {})
        return await self._let_in(person, secret)

    def _check_new(self) -> None:
        if not self.people.is_new():
            raise AccessError(404, "the account has been set up already: sign in")

    async def _let_in(self, person: Person, secret: str) -> tuple[Person, str]:
        session = await self._open(person, secret)
        if session is None:
            raise AccessError(401, "sign in")
        return self.people.find(person.id), session

    async def _open(self, person: Person, secret: str) -> str | None:
        token, hashed = new_token("alw")
        now = self.now()
        return token if await self.people.open_session(person.id, secret, hashed, now, now + IDLE) else None

    async def _note(self, who: str, action: str, details: dict[str, Json]) -> None:
        try:
            await self.ledger.note(self.now(), who, ACCOUNT, action, details)
        except StoreError as error:
            logger.error("%s did %s, which the ledger lacks: %s", who, action, error)


def known_first(guard: Guard) -> type[APIRoute]:
    """A class of routes that look at who asks before they read anything else: nobody's body is not even parsed."""

    class KnownFirst(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_known(request: Request) -> Response:
                await guard.identify(request)
                return await handle(request)

            return handle_known

    return KnownFirst


# ── routes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

Text = Annotated[str, Field(max_length=2000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Setup(_Body):
    token: Text
    email: Text
    name: Text
    password: Text


class SignIn(_Body):
    email: Text
    password: Text


class Accept(_Body):
    token: Text
    password: Text


class ChangePassword(_Body):
    old: Text
    new: Text


def access_router(keepers: Keepers) -> APIRouter:
    """The routes by which people come in and go: ``/setup``, ``/session``, ``/invitation``, ``/me``."""
    router = APIRouter(tags=["access"])
    here = [Depends(_from_here)]

    @router.post("/setup", dependencies=here, **documented("setup", 201, MeShown, 403, 404, 422, 429))
    async def setup(request: Request, body: Setup) -> Response:
        """Make the first admin of a new account, with the token that the server printed; signs them in."""
        found = await keepers.set_up(body.token, body.email, body.name, body.password, address_of(request))
        return _signed_in(request, *found, status=201)

    @router.post("/session", dependencies=here, **documented("sign_in", 200, MeShown, 401, 403, 422, 429))
    async def sign_in(request: Request, body: SignIn) -> Response:
        """Sign in: the session is in a cookie that pages cannot read."""
        person, session = await keepers.sign_in(body.email, body.password, address_of(request))
        await _end(keepers, request)
        return _signed_in(request, person, session)

    @router.delete("/session", **documented("sign_out", 204, None, 401, 403))
    async def sign_out(request: Request) -> Response:
        """End the session."""
        await keepers.identify(request)
        await _end(keepers, request)
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=_is_secure(request))
        return answer

    @router.post("/invitation", dependencies=here, **documented("accept_invitation", 200, MeShown, 403, 422, 429))
    async def accept_invitation(request: Request, body: Accept) -> Response:
        """Set the password of whoever was invited; signs them in."""
        return _signed_in(request, *await keepers.accept(body.token, body.password, address_of(request)))

    @router.get("/me", **documented("me", 200, MeShown, 401))
    async def me(request: Request) -> Response:
        """Who asks: ``{kind, name, email, role, workspaces}``; ``role`` is that on the account."""
        return JSONResponse(known_to_json(await keepers.identify(request)))

    @router.post("/me/password", **documented("change_password", 200, MeShown, 401, 403, 422, 429))
    async def change_password(request: Request, body: ChangePassword) -> Response:
        """Set another password; every other session ends."""
        known = await keepers.identify(request)
        return _signed_in(request, *await keepers.change_password(known, body.old, body.new, address_of(request)))

    return router


def known_to_json(known: Known) -> MeShown:
    person = known.person
    return {
        "kind": known.kind,
        "name": person.name if person is not None else known.name.removeprefix("key:"),
        "email": person.email if person is not None else None,
        "role": str(known.roles[ACCOUNT]) if ACCOUNT in known.roles else None,
        "workspaces": {place: str(role) for place, role in known.roles.items() if place != ACCOUNT},
    }


def address_of(request: Request) -> str:
    """Where the request comes from, as far as attempts are counted: of an IPv6 address its network's half."""
    host = request.client.host if request.client is not None else ""
    return ":".join(host.split(":")[:4]) if host.count(":") > 1 else host


async def _end(keepers: Keepers, request: Request) -> None:
    cookie = request.cookies.get(COOKIE)
    if cookie:
        await keepers.people.end_session(hash_token(cookie))


def _signed_in(request: Request, person: Person, session: str, *, status: int = 200) -> Response:
    roles = {place: read_role(role) for place, role in person.roles.items()}
    answer = JSONResponse(known_to_json(Known(person.email, roles, "person", person)), status)
    secure = _is_secure(request)
    answer.set_cookie(COOKIE, session, LONGEST // 1000, httponly=True, samesite="strict", secure=secure)
    return answer


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _check_origin(request: Request) -> None:
    """Refuse a write whose page is not known to be ours: no other page can set that header, or this origin."""
    origin = request.headers.get("origin")
    if request.headers.get("x-requested-with") == "aloma-py" or (origin and _is_own(request, origin)):
        return
    raise AccessError(403, "a write with the session's cookie needs the header X-Requested-With: aloma-py")


async def _from_here(request: Request) -> None:
    """Refuse a page of somebody else that would sign its reader in as another."""
    origin = request.headers.get("origin")
    if origin and not _is_own(request, origin):
        raise AccessError(403, f"pages of {origin[:200]} may not sign in here")


def _is_own(request: Request, origin: str) -> bool:
    try:
        place = urlsplit(origin).netloc.lower()
    except ValueError:  # half an IPv6 address
        return False
    return place == request.headers.get("host", "").lower() != ""
