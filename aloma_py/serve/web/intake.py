"""Many tasks in one request, and writes that may be sent again: newline-delimited JSON, and idempotency keys."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import anyio.lowlevel
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from aloma_py import jsontext
from aloma_py.errors import AlomaError, InputError, PayloadError, StateError, StoreError, suggest
from aloma_py.intake import new_task, read_task_json
from aloma_py.intake.checks import describe
from aloma_py.models import Json, Limits, Millis, Task
from aloma_py.operations import Operations, Role
from aloma_py.serve.control import Finder
from aloma_py.serve.web.guard import Guard
from aloma_py.serve.web.openapi import documented
from aloma_py.serve.web.problems import ConflictError, problem
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.workspaces import check_open
from aloma_py.store.writer import Write

NDJSON: Final = "application/x-ndjson"

CHUNK_TASKS: Final = 256
"""How many tasks are stored in one transaction."""

CHUNK_BYTES: Final = 4 * 1024 * 1024
"""How many bytes of lines are gathered for it at most."""

MAX_LINES: Final = 100_000
"""How many tasks one request may bring."""

AROUND: Final = 64 * 1024
"""How many bytes a line may have beside the data itself."""

_MEMBERS: Final = ("data", "name", "tags")

_LINES: Final = {"schema": {"type": "string"}, "example": '{"data": {"n": 1}, "name": "one"}\n{"data": {"n": 2}}\n'}

# ── many tasks ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Bulk:
    """The intake of one request. ``answers`` are lines ``{line, id}`` or ``{line, error}``, in the order of the lines.

    Lines are numbered from 1. Empty ones count, and are passed over.
    """

    operations: Operations
    limits: Limits
    answers: list[bytes] = field(default_factory=list)
    accepted: int = 0
    _lines: list[tuple[int, bytes]] = field(default_factory=list)
    _bytes: int = 0

    async def take(self, number: int, line: bytes) -> None:
        """Take in a line; now and then those that were gathered are stored."""
        if line.strip():
            self._lines.append((number, line))
            self._bytes += len(line)
            if len(self._lines) >= CHUNK_TASKS or self._bytes >= CHUNK_BYTES:
                await self.store()

    async def store(self) -> None:
        """Store what was gathered, in one transaction; where that does not work, each task in one of its own."""
        lines, self._lines, self._bytes = self._lines, [], 0
        tasks: list[tuple[int, Task | InputError]] = []
        for number, line in lines:
            tasks.append((number, self._read(line)))
            await anyio.lowlevel.checkpoint()  # the engine has its turn
        good = [task for _, task in tasks if isinstance(task, Task)]
        if good:
            try:
                self._check()
                await self.operations.engine.submit(good)
            except (StoreError, StateError) as error:
                for number, _ in lines:
                    self.refuse(number, error)
                raise
            except InputError:
                tasks = [(number, await self._submit(line)) for number, line in lines]
        for number, task in tasks:
            if isinstance(task, Task):
                self.accepted += 1
                self.answers.append(_line({"line": number, "id": task.id}))
            else:
                self.refuse(number, task)

    def refuse(self, number: int, error: Exception) -> None:
        self.answers.append(_line({"line": number, "error": str(error)[:500]}))

    async def _submit(self, line: bytes) -> Task | InputError:
        task = self._read(line)
        if isinstance(task, Task):
            try:
                await self.operations.engine.submit([task])
            except InputError as error:
                return error
        return task

    def _check(self) -> None:
        site = self.operations.site
        if site.stopping:
            raise StoreError("the engine is stopping and takes nothing new; try again when it is running")
        check_open(site.store, site.workspace)

    def _read(self, line: bytes) -> Task | InputError:
        now = self.operations.engine.clock.now()
        try:
            given = read_task_json(line, where="the line", limits=_wider(self.limits))
            for name in given:
                if name not in _MEMBERS:
                    raise PayloadError(f"the line has a member {name!r}{suggest(name, _MEMBERS)}")
            data: Any = given.get("data")
            if not isinstance(data, dict):
                raise PayloadError(f"data is {describe(data)}; an object was expected" if data is not None
                                   else 'data is missing; {"data": {…}} was expected')  # fmt: skip
            workspace = self.operations.site.workspace
            return new_task(workspace, given.get("name"), data, tags=given.get("tags") or (), via={"type": "api"},
                            now=now, limits=self.limits)  # fmt: skip
        except InputError as error:
            return error


def bulk_router(find: Finder, guard: Guard) -> APIRouter:
    """``POST /workspaces/{workspace}/tasks/bulk``."""
    router = APIRouter()

    @router.post(
        "/workspaces/{workspace}/tasks/bulk",
        summary="Accept many tasks: a JSON object on each line, {data, name, tags}.",
        tags=["tasks"],
        openapi_extra={"requestBody": {"required": True, "content": {NDJSON: _LINES}}},
        **documented(
            "new_tasks",
            200,
            "a line {line, id} or {line, error} for each",
            401,
            403,
            404,
            409,
            415,
            422,
            503,
            media=NDJSON,
        ),
    )
    async def new_tasks(request: Request, workspace: str) -> Response:
        (await guard.identify(request)).caller(workspace, Role.OPERATOR)
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != NDJSON or request.headers.get("content-encoding", "identity") != "identity":
            return problem(415, f"the body is {media or 'of no type'}; {NDJSON} was expected, not compressed")
        if "idempotency-key" in request.headers:
            raise InputError("Idempotency-Key is not taken here: give each task by itself, or without a key")
        operations = find(workspace)
        await operations.site.check_workspace()
        check_open(operations.site.store, workspace)
        return await _take_all(Bulk(operations, operations.engine.limits), request)

    return router


async def _take_all(bulk: Bulk, request: Request) -> Response:
    """Read the request line by line. What was stored is told, also where a later line ends it all."""
    number, ended = 0, None
    try:
        try:
            async for line in _lines(request.stream(), bulk.limits.max_data_bytes + AROUND):
                if number == MAX_LINES:
                    raise PayloadError(f"a request may have {MAX_LINES:,} lines")
                number += 1
                await bulk.take(number, line)
        except PayloadError as error:
            ended = error
        await bulk.store()
        if ended is not None:
            raise ended
    except ClientDisconnect:
        return Response(status_code=400)  # nobody reads it
    except AlomaError as error:
        if not bulk.accepted:
            raise
        bulk.answers.append(_line({"after": number, "error": f"nothing after this line was read: {error}"}))
    return Response(b"".join(bulk.answers), 200, media_type=NDJSON)


async def _lines(stream: AsyncIterator[bytes], longest: int) -> AsyncIterator[bytes]:
    """The lines of a body, without their ends, read as they come. :class:`PayloadError` for one that is too long."""
    rest = bytearray()
    async for piece in stream:
        *whole, last = piece.split(b"\n")
        for part in whole:
            _add(rest, part, longest)
            yield bytes(rest)
            rest.clear()
        _add(rest, last, longest)
    if rest:
        yield bytes(rest)


def _add(line: bytearray, part: bytes, longest: int) -> None:
    if len(line) + len(part) > longest:
        raise PayloadError(f"the next line is longer than {longest:,} bytes")
    line += part


def _wider(limits: Limits) -> Limits:
    return Limits(max_data_bytes=limits.max_data_bytes + AROUND, max_depth=limits.max_depth + 1)


def _line(answer: dict[str, Json]) -> bytes:
    return jsontext.dumps(answer).encode("utf-8", "replace") + b"\n"


# ── idempotency keys ────────────────────────────────────────────────────────────────────────────────────────────────

KEPT: Final[Millis] = 86_400_000
"""How long an answer is kept."""

LONGEST_KEY: Final = 255

NOT_KEPT: Final = ""
"""Stands for an answer that is not kept."""

UNDER_WAY: Final = 0
"""The status of a request that was begun and has not ended."""


class Idempotency:
    """Answers to requests that came with ``Idempotency-Key``: who sends one again gets the same, and nothing is done.

    A key is noted before its request is carried out, so that a request whose server died in between is not carried out
    twice: nobody knows whether it was done, and that is what its sender is told.
    """

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self._under_way: set[tuple[str, str]] = set()

    async def answer(
        self,
        request: Request,
        workspace: str,
        who: str,
        now: Millis,
        make: Callable[[], Awaitable[Response]],
        *,
        keep: bool = False,
    ) -> Response:
        """What ``make`` gives, or what it gave before. ``who`` asks: the same key of somebody else is another one.

        Answers of 200 to 299 count as given. Their text is kept with ``keep`` only: others may hold what nobody is to
        find in the store (a new key), and who asks for one again is told that it was done. What raises an
        :class:`AlomaError` changed nothing, and may be tried again. Raises :class:`ConflictError` 409 for a key that
        was used for something else, or is being used now, and :class:`~aloma_py.errors.InputError` for one that is
        too long.
        """
        given = request.headers.get("idempotency-key")
        if given is None:
            return await make()
        if not 0 < len(given) <= LONGEST_KEY or not given.isprintable():
            raise InputError(f"Idempotency-Key: 1 to {LONGEST_KEY} printable characters were expected")
        place = (workspace, f"{who}\n{given}")
        if place in self._under_way:
            raise ConflictError("a request with this Idempotency-Key is under way; try again in a moment", 409)
        self._under_way.add(place)
        try:
            return await self._once(place, await _digest(request), now, make, keep)
        finally:
            self._under_way.discard(place)

    async def _once(
        self, place: tuple[str, str], digest: str, now: Millis, make: Callable[[], Awaitable[Response]], keep: bool
    ) -> Response:
        before = await self._write(lambda connection: _reserve(connection, place, digest, now))
        if before is not None:
            return _again(before, digest)
        try:
            response = await make()
        except AlomaError:
            await self._write(lambda connection: connection.execute(_FORGET, place))
            raise
        if 200 <= response.status_code < 300:
            values = (response.status_code, bytes(response.body).decode() if keep else NOT_KEPT, *place)
            await self._write(lambda connection: connection.execute(_KEEP, values))
        else:
            await self._write(lambda connection: connection.execute(_FORGET, place))
        return response

    async def _write(self, job: Callable[[sqlite3.Connection], Any]) -> Any:
        with anyio.CancelScope(shield=True):
            return await self._store.writer.write(Write(job=job))


_FORGET: Final = "DELETE FROM idempotency WHERE workspace = ? AND key = ?"
_KEEP: Final = "UPDATE idempotency SET status = ?, answer = ? WHERE workspace = ? AND key = ?"


def _reserve(
    connection: sqlite3.Connection, place: tuple[str, str], digest: str, now: Millis
) -> tuple[str, int, str] | None:
    """Note the key; gives digest, status and answer where it was noted before."""
    connection.execute(_FORGET + " AND at < ?", (*place, now - KEPT))
    sql = "SELECT digest, status, answer FROM idempotency WHERE workspace = ? AND key = ?"
    found: tuple[str, int, str] | None = connection.execute(sql, place).fetchone()
    if found is None:
        values = (*place, digest, now, UNDER_WAY, "")
        connection.execute(
            "INSERT INTO idempotency (workspace, key, digest, at, status, answer) VALUES (?, ?, ?, ?, ?, ?)", values
        )
    return found


def _again(before: tuple[str, int, str], digest: str) -> Response:
    kept, status, text = before
    if kept != digest:
        raise ConflictError("this Idempotency-Key was used for another request; a new one was expected", 409)
    if status == UNDER_WAY:
        raise ConflictError(
            "the server ended while a request with this Idempotency-Key was carried out: see whether it was done, and "
            "use a new key if it was not",
            409,
        )
    if text == NOT_KEPT:
        raise ConflictError("this was done when its Idempotency-Key was first used; that answer is not kept", 409)
    return Response(text, status, {"Idempotent-Replay": "true"}, "application/json")


async def _digest(request: Request) -> str:
    """What the request asks for: method, address and body."""
    found = hashlib.sha256()
    for part in (request.method.encode(), request.url.path.encode(), request.url.query.encode(), await request.body()):
        found.update(b"%d:" % len(part) + part)
    return found.hexdigest()


async def purge_idempotency(store: SQLiteStore, now: Millis) -> int:
    """Remove the answers that were kept long enough, in small transactions; gives how many."""
    gone = 0
    sql = (
        "DELETE FROM idempotency WHERE (workspace, key) IN "
        "(SELECT workspace, key FROM idempotency WHERE at < ? ORDER BY at LIMIT 500)"
    )
    while rows := await store.writer.write(
        Write(job=lambda connection: connection.execute(sql, (now - KEPT,)).rowcount)
    ):
        gone += rows
    return gone
