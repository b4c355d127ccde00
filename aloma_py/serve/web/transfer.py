"""Workspaces as files over HTTP: an export is the answer, an import the body. Neither is ever in memory as a whole."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Annotated, Final, cast
from urllib.parse import unquote

import anyio
import anyio.to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Send

from aloma_py import jsontext
from aloma_py.errors import InputError, StoreError
from aloma_py.operations import Caller, Operations, Role
from aloma_py.operations.answers.transfer import ImportAnswer
from aloma_py.operations.registry import caller
from aloma_py.operations.transfer import TransferOperations
from aloma_py.serve.web.guard import ACCOUNT, Guard
from aloma_py.serve.web.openapi import documented
from aloma_py.serve.web.problems import AccessError, problem
from aloma_py.serve.web.routes import Finder

logger = logging.getLogger("aloma_py.serve")

ZIP: Final = "application/zip"

PASSPHRASE: Final = "X-Passphrase"
"""The header of an import's passphrase, percent-encoded: it stands in no address, and in no log of addresses."""

WARNING: Final = "X-Warning"
"""The header that says why the workspace should not go on in both places."""

MOST: Final = 4 * 1024**3
"""The longest file that is taken in, in bytes."""

PIECE_SECONDS: Final = 30
"""Seconds in which the next piece of a body must come, or of an answer must be taken."""

AT_ONCE: Final = 2
"""How many files are made or taken in at once."""

_PIECE: Final = 256 * 1024


class ExportWanted(BaseModel):
    """What is to be in the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tasks: bool = False
    since: str | None = None
    ended_only: bool = False
    passphrase: str | None = None


def transfer_router(find: Finder, guard: Guard) -> APIRouter:
    """``POST /workspaces/{workspace}/export`` and ``…/import``."""
    router = APIRouter()
    slots = _Slots()
    _add_export(router, find, guard, slots)
    _add_import(router, find, guard, slots)
    return router


def _add_export(router: APIRouter, find: Finder, guard: Guard, slots: _Slots) -> None:
    @router.post(
        "/workspaces/{workspace}/export",
        summary="The workspace as a file, from which it can be made elsewhere.",
        tags=["workspaces"],
        **documented("export_workspace", 200, "the file", 401, 403, 404, 422, 429, 503, media=ZIP),
    )
    async def export_workspace(request: Request, workspace: str, wanted: ExportWanted | None = None) -> Response:
        who = (await guard.identify(request)).caller(workspace, Role.ADMIN)
        operations = find(workspace)
        await operations.site.check_workspace()
        given = (wanted or ExportWanted()).model_dump()
        with slots.one(), _making_room():
            file = await anyio.to_thread.run_sync(_temporary, operations)
            try:
                with _asked_by(who):
                    made = await TransferOperations(operations.site).export_to(file, **given)
                size = await anyio.to_thread.run_sync(file.tell)
                await anyio.to_thread.run_sync(file.seek, 0)
            except BaseException:
                file.close()
                raise
        headers = {
            "Content-Length": str(size),
            "Content-Disposition": f'attachment; filename="{workspace}.zip"',
            **({WARNING: made["warning"]} if "warning" in made else {}),
        }
        return _Download(file, headers)


def _add_import(router: APIRouter, find: Finder, guard: Guard, slots: _Slots) -> None:
    @router.post(
        "/workspaces/{workspace}/import",
        summary="Make a workspace of a file that an export gave; the body is the file.",
        tags=["workspaces"],
        openapi_extra={
            "requestBody": {"required": True, "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}},
            "parameters": [
                {"name": PASSPHRASE, "in": "header", "schema": {"type": "string"},
                 "description": "what the file's secrets were encrypted with, percent-encoded"},
            ],
        },
        **documented("import_workspace", 201, ImportAnswer, 401, 403, 404, 409, 413, 415, 422, 429, 503),
    )  # fmt: skip
    async def import_workspace(
        request: Request,
        workspace: str,
        new_ids: Annotated[bool, Query(description="other ids for its tasks")] = False,
        new_addresses: Annotated[bool, Query(description="other addresses for its webhooks")] = False,
    ) -> Response:
        who = (await guard.identify(request)).caller(ACCOUNT, Role.ADMIN)
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != ZIP:
            return problem(415, f"the body is {media or 'of no type'}; {ZIP} was expected")
        if "idempotency-key" in request.headers:
            raise InputError("Idempotency-Key is not taken here: what is there already is not imported again")
        operations = find(workspace)
        if operations.site.stopping:
            raise StoreError("the engine is stopping and takes nothing new")
        passphrase = request.headers.get(PASSPHRASE)
        with slots.one(), _making_room():
            file = await anyio.to_thread.run_sync(_temporary, operations)
            with file:
                try:
                    await _receive(request, file)
                except ClientDisconnect:
                    return Response(status_code=400)  # nobody reads it
                with _asked_by(who):
                    answer = await TransferOperations(operations.site).import_from(
                        file,
                        "the file",
                        passphrase=None if passphrase is None else unquote(passphrase, errors="replace"),
                        new_ids=new_ids,
                        new_addresses=new_addresses,
                    )
        return Response(jsontext.dumps(answer).encode("utf-8", "replace"), 201, media_type="application/json")


class _Slots:
    """No more than :data:`AT_ONCE` at once: each may need as much room on the disk as a workspace has."""

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        if self._taken >= AT_ONCE:
            raise AccessError(429, f"{AT_ONCE} workspaces are being exported or imported already", retry_after=30)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


@contextmanager
def _asked_by(who: Caller) -> Iterator[None]:
    token = caller.set(who)
    try:
        yield
    finally:
        caller.reset(token)


@contextmanager
def _making_room() -> Iterator[None]:
    """A disk that is full is no mistake of whoever asks, and none of ours."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"the file cannot be kept beside the store: {error.strerror or error}") from error


def _temporary(operations: Operations) -> IO[bytes]:
    """A file without a name, where the store is: there is room for what it holds, and only its user reads there."""
    return cast(IO[bytes], tempfile.TemporaryFile(dir=operations.site.place().parent))


async def _receive(request: Request, file: IO[bytes]) -> None:
    """Write the body to the file as it comes; :class:`AccessError` 413 or 408 where it is too long or too slow."""
    size = 0
    pieces = request.stream()
    while True:
        piece = b""
        with anyio.move_on_after(PIECE_SECONDS) as scope:
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                break
        if scope.cancelled_caught:
            raise AccessError(408, f"nothing came for {PIECE_SECONDS} seconds")
        size += len(piece)
        if size > MOST:
            raise AccessError(413, f"the file is longer than {MOST:,} bytes")
        await anyio.to_thread.run_sync(file.write, piece)


class _Download(StreamingResponse):
    """A file as an answer, closed at its end: also where whoever asked for it takes no more of it."""

    def __init__(self, file: IO[bytes], headers: Mapping[str, str]) -> None:
        super().__init__(_pieces(file), 200, headers, ZIP)
        self._file = file

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            with anyio.fail_after(PIECE_SECONDS):
                await send(message)

        with self._file:
            try:
                await super().stream_response(send_in_time)
            except TimeoutError:
                logger.info("a file was not taken for %d seconds, and is not sent any more", PIECE_SECONDS)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await anyio.to_thread.run_sync(file.read, _PIECE):
        yield piece
