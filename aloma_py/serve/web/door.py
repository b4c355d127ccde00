"""The door for webhooks: ``POST /event/{id}`` becomes a task, and is answered when the task is on disk.

A plain ASGI application, since it is the path on which the load comes. What is asked of a request, in this order: a
webhook of that id, an address that is allowed, a body that is not too large, its signature, the rate, that it can be
read, and that it was not there before.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

import anyio
from starlette.types import ASGIApp, Receive, Scope, Send

from aloma_py.clock import Clock, SystemClock
from aloma_py.errors import AlomaError, StoreError
from aloma_py.intake import new_task
from aloma_py.intake.signatures import is_signed
from aloma_py.intake.webhooks import (
    BodyError,
    Delivery,
    WebhookOptions,
    check_encoding,
    read_delivery,
    read_network,
    read_options,
)
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json, Limits, Millis, Task
from aloma_py.operations import Operations
from aloma_py.operations.webhooks import via_of
from aloma_py.serve.web.inbox import Inbox
from aloma_py.serve.web.problems import RETRY_AFTER, status_of
from aloma_py.serve.web.routes import Finder
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.webhooks import Deliveries, open_secret
from aloma_py.store.workspaces import check_open

logger = logging.getLogger("aloma_py.serve")

PREFIX: Final = "/event"

BODY_SECONDS: Final = 30
"""How long a sender may take for its body."""

MAX_UNDER_WAY: Final = 2_000
"""How many requests are taken at once; more are told to come again."""

COUNTED: Millis = 1_000
"""How often the numbers of accepted deliveries are written."""

_FIXED: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)


class Refusal(AlomaError):
    """A request that is not taken: ``status`` and one sentence; ``retry_after`` in seconds."""

    def __init__(self, status: int, reason: str, *, retry_after: int | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(reason)


class _Gone(Exception):
    """The sender went away before it had sent everything."""


@dataclass(slots=True)
class _Known:
    """A webhook as it was last read, made ready; ``tokens`` are the deliveries that its rate still lets in."""

    row: tuple[Any, ...]
    name: str
    workspace: str
    closed: bool  # the workspace is archived, or about to be deleted
    options: WebhookOptions
    secret: str | None
    read_at: int  # the writer's number of jobs before it was read: while that stays, so does the row
    tokens: float = 0
    filled_at: Millis = 0


@dataclass(slots=True)
class _Request:
    """What is asked of a request."""

    headers: dict[str, str]
    query: str
    client: str | None
    receive: Receive = field(repr=False)


class Door:
    """Takes deliveries for the webhooks of ``store``; ``find`` gives the operations on a workspace, served or not.

    ``proxies`` are the addresses of proxies, whose ``X-Forwarded-For`` is believed. :meth:`keep_counts` is to run
    beside it.
    """

    def __init__(
        self, store: SQLiteStore, find: Finder, *, clock: Clock | None = None, proxies: Iterable[str] = ()
    ) -> None:
        self._store = store
        self._find = find
        self._clock = clock or SystemClock()
        self._proxies = [read_network(one, "the proxies") for one in proxies]
        self._deliveries = Deliveries(store)
        self._inbox = Inbox(self._deliveries, find)
        self._known: dict[str, _Known] = {}
        self._under_way = 0
        self._counts: dict[str, tuple[int, Millis]] = {}
        self._news = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: list[tuple[bytes, bytes]] = []
        self._under_way += 1
        try:
            status, answer = await self._answer(scope, receive)
            body = dumps(answer).encode("utf-8", "replace")
        except _Gone:
            return
        except Exception as error:
            status, body, headers = _problem(error, scope)
        finally:
            self._under_way -= 1
        kind = b"application/json" if status < 400 else b"application/problem+json"
        length = str(len(body)).encode()
        headers = [(b"content-type", kind), (b"content-length", length), *headers, *_FIXED]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, Json]:
        if scope["method"] != "POST":
            raise Refusal(405, f"a webhook takes POST, and this is {scope['method'][:20]}")
        if self._under_way > MAX_UNDER_WAY:
            raise Refusal(503, "too many requests are under way; try again", retry_after=1)
        id = _id_of(scope)
        known = self._webhook(id)
        operations = self._find(known.workspace)
        if operations.site.stopping:
            raise Refusal(503, "the server is stopping; try again when it is running", retry_after=int(RETRY_AFTER))
        client = scope.get("client")
        query = scope.get("query_string", b"").decode("latin-1")
        request = _Request(_headers_of(scope), query, client[0] if client else None, receive)
        limits = operations.engine.limits
        body = await self._check(known, request, limits)
        delivery = read_delivery(known.options, request.headers, request.query, body, limits)
        if _is_handshake(known.options, delivery.data):
            return 200, {"challenge": delivery.data["challenge"]}
        task = self._task(id, known, delivery, limits)
        return await self._take(id, known, task, delivery.key, operations)

    async def _check(self, known: _Known, request: _Request, limits: Limits) -> bytes:
        """The body of a request that may come in."""
        options = known.options
        if options.allow:
            self._check_address(options, request)
        check_encoding(request.headers)
        body = await _read_body(request, min(options.max_bytes or limits.max_data_bytes, limits.max_data_bytes))
        now = self._clock.now()
        if options.signature is not None and not is_signed(options.signature, known.secret, request.headers, body, now):
            raise Refusal(401, "the signature is missing or wrong")
        if known.closed:
            check_open(self._store, known.workspace)
        if options.rate is not None:
            _take_token(known, options.rate, now)
        return body

    def _task(self, id: str, known: _Known, delivery: Delivery, limits: Limits) -> Task:
        return new_task(
            known.workspace,
            known.options.task or known.name,
            delivery.data,
            via=via_of(id, known.name, delivery.via),
            now=self._clock.now(),
            limits=limits,
        )

    async def _take(
        self, id: str, known: _Known, task: Task, key: str | None, operations: Operations
    ) -> tuple[int, Json]:
        options = known.options
        ended = self._inbox.watch(task, operations) if options.respond == "result" else None
        try:
            first = await self._inbox.take(task, id, key)
            if first is not None:
                return 200, {"task": first, "duplicate": True}
            count, _ = self._counts.get(id, (0, 0))
            self._counts[id] = count + 1, task.created_at
            self._news.set()
            if ended is not None:
                answer = await self._inbox.answer(ended, options.timeout)
                if answer is not None:
                    return 200, {"task": task.id, **answer}
            return 202, {"task": task.id}
        finally:
            if ended is not None:
                self._inbox.forget(task, operations)

    # ── webhooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def _webhook(self, id: str) -> _Known:
        """The webhook as it is in the store now, made ready anew where it was changed."""
        jobs, known = self._store.writer.jobs, self._known.get(id)
        if known is not None and known.read_at == jobs:
            return known
        row = self._deliveries.find(id)
        if row is None:
            self._known.pop(id, None)
            raise Refusal(404, "there is nothing here")
        if known is None or known.row != row:
            workspace, name, options, sealed, closed = row
            read = read_options(loads(options))
            known = _Known(row, name, workspace, bool(closed), read, open_secret(self._store, id, sealed), jobs)
            known.tokens, known.filled_at = read.rate or 0, self._clock.now()
            self._known[id] = known
        known.read_at = jobs
        return known

    def _check_address(self, options: WebhookOptions, request: _Request) -> None:
        address = self._address(request)
        if address is None or not any(address in network for network in options.allow):
            raise Refusal(403, "this address may not send here")

    def _address(self, request: _Request) -> IPv4Address | IPv6Address | None:
        """Where the request comes from. What a proxy says is believed as far as there are proxies of ours."""
        hops = [one.strip() for one in request.headers.get("x-forwarded-for", "").split(",") if one.strip()]
        address = _read_address(request.client)
        while address is not None and hops and any(address in network for network in self._proxies):
            address = _read_address(hops.pop())
        return address

    # ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def keep_counts(self) -> None:
        """Write how many deliveries each webhook accepted, at most once a second, and when this is cancelled."""
        try:
            while True:
                await self._news.wait()
                await self.write_counts()
                await self._clock.sleep_until(self._clock.now() + COUNTED)
        finally:
            with anyio.CancelScope(shield=True):
                await self.write_counts()

    async def write_counts(self) -> None:
        """Write the numbers now. Where the store cannot, they are written with the next ones."""
        counts, self._counts = self._counts, {}
        self._news.clear()
        if not counts:
            return
        try:
            await self._deliveries.count([(count, at, id) for id, (count, at) in counts.items()])
        except StoreError as error:
            logger.warning("the numbers of accepted deliveries are not written yet: %s", error)
            for id, (count, at) in counts.items():
                more, last = self._counts.get(id, (0, 0))
                self._counts[id] = count + more, max(at, last)


class Front:
    """Sends what comes for webhooks to the door and all else to ``app``, past whatever is around ``app``."""

    def __init__(self, door: Door, app: ASGIApp) -> None:
        self._door = door
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        to_door = scope["type"] == "http" and scope["path"].startswith(f"{PREFIX}/")
        await (self._door if to_door else self._app)(scope, receive, send)


# ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _id_of(scope: Scope) -> str:
    path: str = scope["path"]
    id = path.removeprefix(scope.get("root_path", "")).removeprefix(PREFIX).removeprefix("/")
    if not id or "/" in id or len(id) > 100:
        raise Refusal(404, "there is nothing here")
    return id


def _headers_of(scope: Scope) -> dict[str, str]:
    """Names in lower case; values of a name that comes again are joined by commas."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


async def _read_body(request: _Request, most: int) -> bytes:
    """The whole body, or :class:`Refusal`; no more than ``most`` bytes of it are kept."""
    told = request.headers.get("content-length")
    if told is not None:
        if not (told.isascii() and told.isdigit()):
            raise Refusal(400, "Content-Length is no number of bytes")
        if len(told) > 15 or int(told) > most:
            raise Refusal(413, f"the body is larger than the limit of {most:,} bytes")
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise _Gone
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        try:
            with anyio.fail_after(BODY_SECONDS):
                body = await _read_rest(request.receive, body, most)
        except TimeoutError:
            raise Refusal(408, f"the body did not come within {BODY_SECONDS} s") from None
    if len(body) > most:
        raise Refusal(413, f"the body is larger than the limit of {most:,} bytes")
    if told is not None and len(body) != int(told):
        raise Refusal(400, f"the body has {len(body):,} bytes; Content-Length says {int(told):,}")
    return body


async def _read_rest(receive: Receive, begun: bytes, most: int) -> bytes:
    pieces, size, more = [begun], len(begun), True
    while more and size <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        more = message.get("more_body", False)
    return b"".join(pieces)


def _take_token(known: _Known, rate: int, now: Millis) -> None:
    """One of the deliveries that the rate lets in: so many at once, and as many a minute."""
    passed = max(0, now - known.filled_at)
    known.tokens = min(rate, known.tokens + passed * rate / 60_000)
    known.filled_at = now
    if known.tokens < 1:
        wait = math.ceil((1 - known.tokens) * 60 / rate)
        raise Refusal(429, f"this webhook takes {rate:,} deliveries a minute; try again later", retry_after=wait)
    known.tokens -= 1


def _is_handshake(options: WebhookOptions, data: dict[str, Json]) -> bool:
    """Whether Slack asks if the address is ours; it wants its challenge back, and no task."""
    return (
        options.signature is not None
        and options.signature.kind == "slack"
        and data.get("type") == "url_verification"
        and isinstance(data.get("challenge"), str)
    )


def _read_address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address((text or "").strip("[]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


# ── problems ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _problem(error: Exception, scope: Scope) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """Status, body and headers that tell an error; the path is not logged, since the id in it opens the door."""
    headers: list[tuple[bytes, bytes]] = []
    status = error.status if isinstance(error, (Refusal, BodyError)) else status_of(error)
    detail = str(error)
    if status == 500:
        logger.error("a delivery could not be taken", exc_info=error)
        detail = "the server failed; its log says why"
    elif isinstance(error, StoreError):
        logger.warning("a delivery was refused: %s", error)
        detail = "the task could not be stored now; nothing was taken, try again"
    retry_after = error.retry_after if isinstance(error, Refusal) else None
    if status == 503 or retry_after is not None:
        headers.append((b"retry-after", str(retry_after or RETRY_AFTER).encode()))
    if status == 405:
        headers.append((b"allow", b"POST"))
    if status in (403, 404, 408, 413, 415):
        headers.append((b"connection", b"close"))  # what is left of the body is not read
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return status, dumps(body).encode("utf-8", "replace"), headers
