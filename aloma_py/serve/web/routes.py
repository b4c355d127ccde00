"""Operations as HTTP routes: each that has a ``route`` becomes one, with its arguments checked and documented.

What stands in braces in the route is in the path; for GET and DELETE the other arguments are in the query, else they
are members of a JSON body.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, get_args, get_type_hints
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, ConfigDict, create_model
from starlette.responses import Response

from aloma_py import jsontext
from aloma_py.errors import InputError, NotFoundError, StaleVersion
from aloma_py.operations import Operations, Role
from aloma_py.operations.operations import GROUPS
from aloma_py.operations.paging import Page, page
from aloma_py.operations.registry import Operation, operations_of
from aloma_py.serve.web.access import known_first
from aloma_py.serve.web.guard import Guard
from aloma_py.serve.web.intake import Idempotency
from aloma_py.serve.web.openapi import EXAMPLES, IDEMPOTENCY_KEY, IF_MATCH, answered_with, problems, sentences, tag_of
from aloma_py.serve.web.problems import ConflictError

Finder = Callable[[str], Operations]

IN_QUERY: Final = frozenset({"GET", "DELETE"})


class _Closed(BaseModel):
    """A body that has no other members than those that are known."""

    model_config = ConfigDict(extra="forbid", strict=True)  # true is no 1, and "5" no number


def operations_router(find: Finder, guard: Guard, home: str, idempotency: Idempotency | None = None) -> APIRouter:
    """The routes of all operations: of the account, and of each workspace below its address.

    ``home`` is the workspace whose operations are asked for what is of the account.
    """
    router = APIRouter(route_class=known_first(guard))
    for group in GROUPS:
        for facts in operations_of(group).values():
            if facts.route:
                method = getattr(group, facts.name)
                versioned = _is_versioned(facts, method)
                known = _query_members(facts, method)
                endpoint = _endpoint(find, guard, facts, home, idempotency, known=known, versioned=versioned)
                _add(router, endpoint, facts, method)
    return router


def _add(router: APIRouter, endpoint: Callable[..., Any], facts: Operation, method: Callable[..., Any]) -> None:
    verb, path = facts.route.split(" ", 1)
    about, more = sentences(method)
    endpoint.__signature__ = _signature(facts, verb, path, method)  # type: ignore[attr-defined]
    endpoint.__name__ = facts.name
    router.add_api_route(
        path if facts.account else f"/workspaces/{{workspace}}{path}".rstrip("/"),
        endpoint,
        methods=[verb],
        status_code=facts.status,
        operation_id=facts.name,
        summary=about,
        description=more,
        tags=[tag_of(facts.route)],
        response_model=None,  # what is answered is neither checked nor copied: mypy and tests have seen to it
        responses=_responses(facts, method),
        openapi_extra=_extra(facts, method),
    )


def _responses(facts: Operation, method: Callable[..., Any]) -> dict[int | str, dict[str, Any]]:
    """What the operation answers, by its return annotation, and the problems that there may be."""
    hint = get_type_hints(method)["return"]
    headers: dict[str, Any] = {}
    if all("version" in getattr(one, "__annotations__", ()) for one in (get_args(hint) or (hint,))):
        headers["ETag"] = {"description": "the version, in quotes", "schema": {"type": "string"}}
    if _is_paged(method):
        headers["Link"] = {
            "description": 'the next page, where there is one: <address>; rel="next" (RFC 8288)',
            "schema": {"type": "string"},
        }
    if not facts.reading:
        headers["Idempotent-Replay"] = {
            "description": "`true` where this was answered before, to the same Idempotency-Key",
            "schema": {"type": "string"},
        }
    statuses = {401, 403, 404, 422}
    if not facts.reading:
        statuses |= {409, 413, 503}
    if _is_versioned(facts, method):
        statuses |= {412}
    answered_with(facts.name, facts.status, hint)
    good: dict[str, Any] = {"description": "it is done" if not facts.reading else "what was asked for"}
    return {facts.status: {**good, **({"headers": headers} if headers else {})}, **problems(*statuses)}


def _extra(facts: Operation, method: Callable[..., Any]) -> dict[str, Any]:
    """Headers that are read beside the arguments, and an example."""
    headers = [*([] if facts.reading else [IDEMPOTENCY_KEY]), *([IF_MATCH] if _is_versioned(facts, method) else [])]
    extra: dict[str, Any] = {"parameters": headers} if headers else {}
    if facts.name in EXAMPLES:
        extra["requestBody"] = {"content": {"application/json": {"example": EXAMPLES[facts.name]}}}
    return extra


def _is_versioned(facts: Operation, method: Callable[..., Any]) -> bool:
    """Whether it takes the version that a change was made on."""
    return "version" in inspect.signature(method).parameters and not facts.reading


def _is_paged(method: Callable[..., Any]) -> bool:
    """Whether it gives a page, and says where the next one begins."""
    return "cursor" in inspect.signature(method).parameters


def _endpoint(
    find: Finder,
    guard: Guard,
    facts: Operation,
    home: str,
    idempotency: Idempotency | None,
    *,
    known: frozenset[str],
    versioned: bool,
) -> Callable[..., Awaitable[Response]]:
    """The endpoint of an operation.

    ``known`` are the members that its query may have. ``versioned``: it takes the version that it was made on, as
    If-Match too.
    """

    async def endpoint(
        request: Request, workspace: str = home, body: _Closed | None = None, **arguments: Any
    ) -> Response:
        who = (await guard.identify(request)).asking(facts, workspace)
        strange = next((name for name in request.query_params if name not in known), None)
        if strange is not None:  # a filter that is not known would give everything
            raise InputError(str(NotFoundError("query member", strange, known)))
        if body is not None:
            arguments.update(body.model_dump(exclude_unset=True))
        given = {name: value for name, value in arguments.items() if value is not None}
        operations = find(workspace)
        match = request.headers.get("if-match") if versioned else None
        if match is not None and match.strip() != "*":
            given["version"] = match.strip().removeprefix("W/").strip('"')

        async def make() -> Response:
            told = Page()
            token = page.set(told)
            try:
                answer = await operations.call(facts.name, given, who)
            except StaleVersion as error:
                raise ConflictError(str(error), 412 if match is not None else 409) from error
            finally:
                page.reset(token)
            version = answer.get("version") if isinstance(answer, dict) else None
            headers = {"ETag": f'"{version}"'} if isinstance(version, str) else {}
            if told.next is not None:
                headers["Link"] = f'<{_next_page(request, told.next)}>; rel="next"'
            text = jsontext.dumps(answer).encode("utf-8", "replace")
            return Response(text, facts.status, headers, media_type="application/json")

        if facts.reading or idempotency is None:
            return await make()
        now, keep = operations.engine.clock.now(), facts.least < Role.DEVELOPER  # others may give a new secret
        return await idempotency.answer(request, workspace, who.name, now, make, keep=keep)

    return endpoint


def _next_page(request: Request, cursor: str) -> str:
    """The address of the next page: the same request with its cursor, below the server that it was sent to."""
    asked = [(name, value) for name, value in request.query_params.multi_items() if name not in ("cursor", "before")]
    raw: bytes | None = request.scope.get("raw_path")  # as it was sent: a name in it may have a slash
    path = raw.decode("ascii", "replace") if raw else quote(request.scope["path"])
    return f"{path}?{urlencode([*asked, ('cursor', cursor)])}"


def _query_members(facts: Operation, method: Callable[..., Any]) -> frozenset[str]:
    verb, path = facts.route.split(" ", 1)
    if verb not in IN_QUERY:
        return frozenset()
    return frozenset(list(inspect.signature(method).parameters)[1:]) - set(re.findall(r"{(\w+)", path))


def _signature(facts: Operation, verb: str, path: str, method: Callable[..., Any]) -> inspect.Signature:
    """The parameters as FastAPI reads them: the path's, then those of the query or the body."""
    in_path = set(re.findall(r"{(\w+)", path))
    hints = get_type_hints(method)
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("request", keyword, annotation=Request)]
    if not facts.account:
        parameters.append(inspect.Parameter("workspace", keyword, annotation=Annotated[str, Path()]))
    members: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(method).parameters.items())[1:]:
        hint, default = hints[name], parameter.default
        if name in in_path:
            parameters.append(inspect.Parameter(name, keyword, annotation=Annotated[hint, Path()]))
        elif verb in IN_QUERY:
            parameters.append(inspect.Parameter(name, keyword, annotation=Annotated[hint, Query()], default=default))
        else:
            members[name] = (hint, ... if default is inspect.Parameter.empty else default)
    if members:
        model = create_model(f"{facts.name}_body", __base__=_Closed, **members)
        needed = any(default is ... for _, default in members.values())
        annotation: Any = model if needed else model | None
        default = Body() if needed else Body(None)
        parameters.append(inspect.Parameter("body", keyword, annotation=annotation, default=default))
    return inspect.Signature(parameters)
