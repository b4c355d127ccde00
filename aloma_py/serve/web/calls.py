"""Operations by name, as the command line asks for them: the same as over the control socket, for whoever has a key."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request
from starlette.responses import Response, StreamingResponse

from aloma_py import jsontext
from aloma_py.errors import NotFoundError
from aloma_py.operations import ALL, Operations, Role
from aloma_py.serve import wire
from aloma_py.serve.web.guard import Guard
from aloma_py.serve.web.intake import NDJSON
from aloma_py.serve.web.openapi import documented
from aloma_py.serve.web.problems import AccessError
from aloma_py.serve.web.routes import Finder

MOST_FOLLOWERS: Final = 500
"""How many clients may follow tasks of one workspace at once."""


def calls_router(find: Finder, guard: Guard) -> APIRouter:
    """``POST /workspaces/{workspace}/call/{operation}`` with the arguments as a JSON object, and ``follow``.

    Calls are not in the OpenAPI: each operation has a route of its own there.
    """
    router = APIRouter()
    following: Counter[str] = Counter()

    @router.post("/workspaces/{workspace}/call/{name}", include_in_schema=False)
    async def call(
        request: Request, workspace: str, name: str, arguments: Annotated[dict[str, Any], Body()]
    ) -> Response:
        identity = await guard.identify(request)
        found = ALL.get(name)
        if found is None:
            identity.caller(workspace, Role.VIEWER)
            raise NotFoundError("operation", name, ALL)
        who = identity.asking(found, workspace)
        if not found.route:  # it writes files where the server is
            raise AccessError(403, f"{name} can be asked for on the server's own machine only")
        answer = await find(workspace).call(name, arguments, who)
        return Response(_text(answer), media_type="application/json")

    @router.get(
        "/workspaces/{workspace}/tasks/{id}/follow",
        summary="The task's history as it is written, until the task has ended.",
        tags=["tasks"],
        **documented("follow_task", 200, "lines {item: {task, entries}}, or {error}", 401, 404, 422, 429, media=NDJSON),
    )
    async def follow(request: Request, workspace: str, id: str, after: int = 0) -> Response:
        (await guard.identify(request)).caller(workspace, Role.VIEWER)
        operations = find(workspace)
        await operations.call("show_task", {"id": id})  # an unknown one is told before the stream begins
        if following[workspace] >= MOST_FOLLOWERS:
            raise AccessError(429, f"{MOST_FOLLOWERS} clients follow tasks of this workspace already", retry_after=30)

        async def lines() -> AsyncIterator[bytes]:
            following[workspace] += 1
            try:
                async for line in _lines(operations, id, after):
                    (await guard.identify(request)).caller(workspace, Role.VIEWER)  # a key may be revoked meanwhile
                    yield line
            except AccessError as error:
                yield _text({"error": wire.error_to_json(error)}) + b"\n"
            finally:
                following[workspace] -= 1

        return StreamingResponse(lines(), media_type=NDJSON)

    return router


async def _lines(operations: Operations, id: str, after: int) -> AsyncIterator[bytes]:
    """One JSON line for each item; a last one with ``error`` where following failed."""
    try:
        async with aclosing(operations.follow(id, after)) as items:
            async for item in items:
                yield _text({"item": item}) + b"\n"
    except Exception as error:
        yield _text({"error": wire.error_to_json(error)}) + b"\n"


def _text(value: Any) -> bytes:
    return jsontext.dumps(value).encode("utf-8", "replace")
