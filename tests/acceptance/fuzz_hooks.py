"""What schemathesis is told beside the OpenAPI: nothing of another tenant may stand in any answer."""

from __future__ import annotations

import os

import schemathesis
from schemathesis.checks import CheckContext
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.transport import SerializationContext

SENTINEL = os.environ["FUZZ_SENTINEL"]


@schemathesis.check
def tells_nothing_of_another_tenant(ctx: CheckContext, response: Response, case: Case) -> None:
    told = response.content.decode("utf-8", "replace") + repr(dict(response.headers))
    assert SENTINEL not in told, "something of another tenant is in the answer"


@schemathesis.check
def says_what_is_wrong(ctx: CheckContext, response: Response, case: Case) -> None:
    if response.status_code >= 400 and case.method.upper() != "HEAD":
        assert response.headers["content-type"] == ["application/problem+json"], "the error is no problem+json"
        assert response.json()["detail"], "the problem does not say what is wrong"


@schemathesis.serializer("application/x-ndjson", "application/zip")
def as_lines(ctx: SerializationContext, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
