"""The HTTP application: the API under ``/api/v1``, health, and what every answer carries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import aloma_py
from aloma_py.errors import AlomaError, suggest
from aloma_py.serve.web.access import COOKIE, OPEN_OPERATIONS
from aloma_py.serve.web.bodies import Bodies
from aloma_py.serve.web.guard import Guard
from aloma_py.serve.web.intake import Idempotency
from aloma_py.serve.web.openapi import complete
from aloma_py.serve.web.problems import problem, problem_of
from aloma_py.serve.web.routes import Finder, operations_router

logger = logging.getLogger("aloma_py.serve")

PREFIX: Final = "/api/v1"

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


def make_app(
    find: Finder,
    guard: Guard,
    *,
    home: str = "default",
    is_ready: Callable[[], str | None] = lambda: None,
    idempotency: Idempotency | None = None,
    most_bytes: int = 2 * 1024 * 1024,
    more: Iterable[APIRouter] = (),
) -> FastAPI:
    """The application. ``more`` are routers beside those of the operations, below the API's prefix.

    ``home`` is the workspace whose operations answer for the account. ``is_ready`` gives why the application cannot
    take requests now, or ``None``. ``most_bytes`` is the longest ordinary body.
    ``idempotency`` keeps the answers to requests that can be sent again.
    """
    app = FastAPI(
        title="aloma_py",
        version=aloma_py.__version__,
        openapi_url=None,  # see below
        docs_url=None,
        redoc_url=None,
    )
    api = APIRouter(prefix=PREFIX)
    api.include_router(operations_router(find, guard, home, idempotency))
    for router in more:
        api.include_router(router)
    app.include_router(api)
    _tell_health(app, is_ready)
    _tell_problems(app)
    app.add_middleware(Bodies, prefix=PREFIX, most=most_bytes)
    app.add_middleware(SecurityHeaders)
    complete(app, OPEN_OPERATIONS, COOKIE)

    @app.get(f"{PREFIX}/openapi.json", include_in_schema=False)
    def openapi() -> Response:  # in a thread: it takes a third of a second when it is first asked for
        return JSONResponse(app.openapi())

    return app


def _tell_health(app: FastAPI, is_ready: Callable[[], str | None]) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        reason = is_ready()
        return JSONResponse({"status": "ok"}) if reason is None else problem(503, reason, {"Retry-After": "5"})


def _tell_problems(app: FastAPI) -> None:
    @app.exception_handler(AlomaError)
    async def of_ours(request: Request, error: Exception) -> Response:
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def of_the_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [{"place": ".".join(map(str, one["loc"])), "reason": _reason(one)} for one in error.errors()]
        lacking = [str(one["loc"][-1]) for one in error.errors() if one["type"] == "missing"]
        for place, one in zip(found, error.errors(), strict=True):
            if one["type"] == "extra_forbidden":
                place["reason"] = f"there is no such member{suggest(str(one['loc'][-1]), lacking)}"
        # What is there and should not be says more than what is missing: it is often the same thing, misspelt.
        first = next((one for one in found if one["reason"].startswith("there is no")), found[0] if found else None)
        detail = f"{first['place']}: {first['reason']}" if first else "the request cannot be read"
        return problem(422, detail, errors=found)

    @app.exception_handler(HTTPException)
    async def of_the_router(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = str(error.detail)
        if error.status_code == 404:
            detail = f"there is nothing at {request.url.path}"
        elif error.status_code == 400:  # the only thing that the framework refuses so
            detail = "the body cannot be read: JSON in UTF-8 was expected"
        return problem(error.status_code, detail, error.headers)

    @app.exception_handler(Exception)
    async def of_the_server(request: Request, error: Exception) -> Response:
        logger.error("%s %s could not be answered", request.method, request.url.path, exc_info=error)
        return problem_of(error)


def _reason(error: dict[str, Any]) -> str:
    """What is wrong, in our words where the library's are of its own workings."""
    match error["type"]:
        case "json_invalid":
            return f"the body is no JSON: {error.get('ctx', {}).get('error', 'it cannot be read')}"
        case "model_attributes_type" | "dict_type" | "model_type" if tuple(error["loc"]) == ("body",):
            return "a JSON object was expected, with Content-Type: application/json"
        case "missing":
            return "this is missing"
    return str(error["msg"])


class SecurityHeaders:
    """Puts :data:`SECURITY_HEADERS` on every answer that does not have its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with if scope["type"] == "http" else send)


__all__ = ["PREFIX", "make_app"]
