"""Errors as ``application/problem+json`` (RFC 9457): status, title, and one sentence that says what was wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from aloma_py.errors import (
    AlomaError,
    InputError,
    NotFoundError,
    PayloadError,
    StaleTask,
    StaleVersion,
    StateError,
    StoreBusy,
    StoreError,
    StoreFull,
)
from aloma_py.serve import wire

logger = logging.getLogger("aloma_py.serve")

MEDIA: Final = "application/problem+json"

RETRY_AFTER: Final = "5"
"""Seconds after which a client may try again what the store could not do."""


class AccessError(AlomaError):
    """Nobody is told who may: ``status`` is 401 where the caller is not known, 403 where it may not, 429 too often."""

    def __init__(self, status: int, reason: str, *, retry_after: int | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(reason)


class ConflictError(InputError):
    """Somebody else changed it in between (an ETag that is not the present one): 412, or 409."""

    def __init__(self, reason: str, status: int = 412) -> None:
        self.status = status
        super().__init__(reason)


_STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (NotFoundError, 404),
    (StaleVersion, 409),
    (StateError, 409),
    (StaleTask, 409),
    (PayloadError, 422),
    (InputError, 422),
    (StoreFull, 503),
    (StoreBusy, 503),
    (StoreError, 503),
)


def status_of(error: Exception) -> int:
    """The HTTP status that tells the error: 500 for what is none of ours."""
    if isinstance(error, (AccessError, ConflictError)):
        return error.status
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: object) -> Response:
    """A response that tells a problem; ``more`` are members of its own (``errors``)."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return Response(json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"), status, dict(headers or {}), MEDIA)


def problem_of(error: Exception) -> Response:
    """The response that tells an error. What is none of ours is not shown: it is in the server's log."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, AccessError):
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
    elif status == 503:
        headers["Retry-After"] = RETRY_AFTER
    if status == 500:
        return problem(status, "the server failed; its log says why", headers)
    if isinstance(error, StoreError) and status == 503:
        logger.warning("a request could not be carried out: %s", error)
        why = "there is no room left" if isinstance(error, StoreFull) else "the server's log says why"
        return problem(status, f"the store cannot do this now: {why}; try again later", headers, error="StoreError",
                       family="StoreError")  # fmt: skip
    told = wire.error_to_json(error)
    family = "InputError" if isinstance(error, AccessError) else told["family"]
    return problem(status, str(error), headers, error=told["type"], family=family)
