"""``POST /hook/{id}``: the host of a repository tells of a push, and the repository is looked at soon."""

from __future__ import annotations

import logging
from collections import Counter
from types import SimpleNamespace
from typing import Final

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from aloma_py.clock import Clock, SystemClock
from aloma_py.errors import AlomaError
from aloma_py.serve.web.problems import problem, problem_of
from aloma_py.store.sources import Source, SourceRow, find_hook
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.workspaces import check_open
from aloma_py.sync.pushes import branches_of, is_from_host

logger = logging.getLogger("aloma_py.serve")

PREFIX: Final = "/hook/"

MAX_BYTES: Final = 10 * 1024 * 1024
BODY_SECONDS: Final = 30

AT_ONCE: Final = 4
"""How many bodies are taken in at once for one address: each is in memory until it is whole."""

_ROUTE: Final = SimpleNamespace(path="/hook/{id}")
"""What the request's log says in the place of the path, which nobody else is to know."""

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Hooks:
    """Takes what hosts post for the sources of ``store``, and gives all else to ``app``."""

    def __init__(self, store: SQLiteStore, app: ASGIApp, *, clock: Clock | None = None) -> None:
        self._store = store
        self._app = app
        self._clock = clock or SystemClock()
        self._under_way: Counter[str] = Counter()  # bodies that come in, by the address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        scope["route"] = _ROUTE
        try:
            answer = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return
        except Exception as error:
            if not isinstance(error, AlomaError):
                logger.error("what a git host told could not be taken", exc_info=error)
            answer = problem_of(error)
        answer.headers.update(_HEADERS)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method != "POST":
            return problem(405, f"a git host posts here, and this is {request.method[:20]}", {"Allow": "POST"})
        id = request.url.path.removeprefix(request.scope.get("root_path", "")).removeprefix(PREFIX)
        source = find_hook(self._store, id) if len(id) <= 100 else None
        if source is None:
            return problem(404, "there is nothing here", {"Connection": "close"})
        check_open(self._store, source.workspace)
        if self._under_way[id] >= AT_ONCE:
            return problem(503, "others are told here just now; try again", {"Connection": "close", "Retry-After": "5"})
        self._under_way[id] += 1
        try:
            with anyio.fail_after(BODY_SECONDS):
                body = await _read(request)
        except TimeoutError:
            return problem(408, f"the body did not come within {BODY_SECONDS} s", {"Connection": "close"})
        finally:
            self._under_way[id] -= 1
            if not self._under_way[id]:
                del self._under_way[id]
        if body is None:
            return problem(413, f"the body is larger than {MAX_BYTES:,} bytes", {"Connection": "close"})
        return await self._take(source, request, body)

    async def _take(self, source: Source, request: Request, body: bytes) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        row, now = SourceRow(self._store, source.workspace), self._clock.now()
        if "hook_secret" in source.options["secrets"]:
            secret = row.secrets().get("hook_secret", "")
            if not is_from_host(secret, headers, body, now):
                return problem(401, "the signature is missing or wrong")
        if not source.options["automatic"]:
            return _told("the workspace is not synced by itself: automatic is off")
        branch = source.options["branch"] or source.seen.get("branch")
        pushed = branches_of(body, headers)
        if branch is not None and pushed is not None and branch not in pushed:
            return _told("another branch is followed")
        await row.look_soon(now)
        return _told(None)


def _told(why: str | None) -> Response:
    """202: it was taken notice of. ``looks`` says whether the repository is looked at for it."""
    return JSONResponse({"looks": True} if why is None else {"looks": False, "why": why}, 202)


async def _read(request: Request) -> bytes | None:
    """The body; ``None`` for one that is too long."""
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BYTES:
            return None
        pieces.append(piece)
    return b"".join(pieces)
