"""What the OpenAPI says beside what is made of the routes: problems, headers, tags, links, who is who."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.responses import Response

from aloma_py.operations.operations import GROUPS
from aloma_py.operations.registry import operations_of

PROBLEM: Final = "application/problem+json"

PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "description": "What is wrong (RFC 9457): one sentence in `detail`.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["about:blank"]},
        "title": {"type": "string", "examples": ["Not Found"]},
        "status": {"type": "integer", "examples": [404]},
        "detail": {"type": "string", "examples": ["there is no task 'task-06gv'"]},
        "error": {"type": "string", "description": "the kind of error", "examples": ["NotFoundError"]},
        "family": {"type": "string", "examples": ["InputError"]},
        "errors": {
            "type": "array",
            "description": "each thing that is wrong with the request, where it was read as a whole",
            "items": {
                "type": "object",
                "required": ["place", "reason"],
                "properties": {"place": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
    },
}

_RETRY: Final = {"Retry-After": {"description": "seconds after which to try again", "schema": {"type": "integer"}}}

_PROBLEMS: Final[Mapping[int | str, tuple[str, dict[str, Any]]]] = {
    401: ("nobody knows who asks", {"WWW-Authenticate": {"schema": {"type": "string"}}}),
    403: ("who asks may not", {}),
    404: ("there is nothing of that name, or who asks may not know of it", {}),
    409: ("the state does not allow it, or somebody else changed it in between", {}),
    412: ("it is not any more at the version that If-Match names", {}),
    413: ("the body is too long", {}),
    415: ("the body is of another type", {}),
    422: ("the request cannot be read, or asks for what cannot be", {}),
    429: ("too often", _RETRY),
    503: ("the store cannot do this now, or the server is stopping", _RETRY),
    "4XX": ("the request cannot be carried out", {}),
}

_NUMBERS: Final = [status for status in _PROBLEMS if isinstance(status, int)]

_ABOUT: Final[Mapping[str, str]] = {
    "access": "How people come in and go.",
    "audit": "The ledger of who changed what.",
    "check": "What conditions say of data.",
    "events": "What happens, as it happens.",
    "key": "The key that encrypts secrets.",
    "keys": "API keys: how programs are known.",
    "libraries": "Functions that steps share.",
    "metrics": "Numbers for Prometheus.",
    "people": "Who may use the account.",
    "schedules": "Tasks at given times.",
    "scripts": "Many steps or libraries at once.",
    "secrets": "Texts that only steps and connectors see.",
    "steps": "Conditions and what is done when they match.",
    "store": "What is kept, and looking after it.",
    "tasks": "Tasks: giving, finding, changing and following them.",
    "usage": "What was used, by month.",
    "variables": "Values that steps see.",
    "webhooks": "Addresses at which others give tasks.",
    "workspaces": "Workspaces themselves.",
}
"""What tags stand for. A tag that is not here says what the class of its operations says."""

EXAMPLES: Final[Mapping[str, dict[str, Any]]] = {
    "new_task": {"data": {"order": {"id": 17, "status": "new"}}, "name": "order 17", "tags": ["shop"]},
    "update_task": {"data": {"approved": True}},
    "check_step": {"data": {"order": {"status": "new"}}},
    "add_step": {"name": "greet", "condition": {"name": "String", "greeting": None},
                 "content": "data.greeting = `Hello, ${data.name}!`;"},
    "add_library": {"name": "money", "text": "export const cents = (n) => Math.round(n * 100);"},
    "add_webhook": {"name": "shop", "options": {"signature": "bearer"}},
    "add_schedule": {"name": "nightly", "cron": "0 2 * * *", "zone": "Europe/Berlin", "data": {"report": True}},
    "preview_schedule": {"cron": "0 2 * * *", "zone": "Europe/Berlin"},
    "set_variable": {"value": {"currency": "EUR"}},
    "set_secret": {"value": "a text that nobody is shown"},
    "add_workspace": {"name": "orders", "title": "Orders", "limits": {"max_runs": 500}},
    "add_key": {"name": "ci", "role": "developer", "workspace": "orders"},
    "invite_person": {"email": "ada@example.com", "name": "Ada", "workspaces": {"orders": "operator"}},
}  # fmt: skip

IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "the sender's own name of this request: sent again, it is not carried out again",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
IF_MATCH: Final[dict[str, Any]] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "the ETag of what the change was made on",
    "schema": {"type": "string"},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses, and any other 4XX, as problems: to be given to a route as ``responses``."""
    found: dict[int | str, dict[str, Any]] = {}
    every: list[int | str] = [*sorted(statuses), "4XX"]
    for status in every:
        about, headers = _PROBLEMS[status]
        content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        found[status] = {"description": about, "content": content, **({"headers": headers} if headers else {})}
    return found


def sentences(method: Callable[..., Any]) -> tuple[str, str]:
    """The first line of a docstring, and the rest, with the names in it as code."""
    text = re.sub(r":\w+:`~?([^`]*)`", r"``\1``", inspect.getdoc(method) or method.__name__)
    first, _, rest = text.replace("``", "`").partition("\n")
    return first, rest.strip()


_SHAPES: Final[dict[str, tuple[str, Any]]] = {}
"""The shapes of good answers with their statuses, by operation. Their schemas are made when somebody wants to see them:
FastAPI would make them, and validators that nothing is ever given to, whenever a server starts."""


def answered_with(name: str, status: int, shape: Any) -> None:
    """Note what the operation of that name answers when all went well."""
    _SHAPES[name] = str(status), shape


def documented(name: str, status: int, model: Any, *refused: int, media: str | None = None) -> dict[str, Any]:
    """What a route that is no operation's is told with: ``**`` of it is given to FastAPI.

    ``model`` is the shape of its good answer (``None``: there is none to read), or with ``media`` what is said of it.
    """
    good: dict[str, Any] = {"description": model if media else "it is done"}
    if media is not None:
        good["content"] = {media: {"schema": {"type": "string"}}}
    elif model is not None:
        answered_with(name, status, model)
    plain = {} if media is None and model is not None else {"response_class": Response}
    return {
        "operation_id": name,
        "status_code": status,
        "response_model": None,
        "responses": {status: good, **problems(*refused)},
        **plain,
    }


def complete(app: FastAPI, opened: Iterable[str], cookie: str) -> None:
    """Have the application's OpenAPI say all of it.

    ``opened`` are the operations that nobody has to be known for, ``cookie`` is the name of the session's.
    """
    make, free, making = app.openapi, frozenset(opened), threading.Lock()

    def openapi() -> dict[str, Any]:
        with making:
            return app.openapi_schema if app.openapi_schema is not None else whole()

    def whole() -> dict[str, Any]:
        schema = make()
        parts = schema.setdefault("components", {})
        operations = [facts for verbs in schema["paths"].values() for facts in verbs.values()]
        _describe_answers(operations, parts.setdefault("schemas", {}))
        parts["schemas"]["Problem"] = PROBLEM_SCHEMA
        parts["schemas"] = dict(sorted(parts["schemas"].items()))
        parts["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer", "description": "an API key"},
            "session": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "a person who signed in"},
        }
        schema["security"] = [{"key": []}, {"session": []}]
        schema["servers"] = [{"url": "/"}]
        shared = parts["responses"] = {f"Problem{status}": told for status, told in problems(*_NUMBERS).items()}
        for facts in operations:
            if facts["operationId"] in free:
                facts["security"] = []
            for status in facts["responses"]:
                if facts["responses"][status] == shared.get(f"Problem{status}"):
                    facts["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}
        used = sorted({tag for facts in operations for tag in facts.get("tags", ())})
        schema["tags"] = [{"name": tag, "description": _about(tag)} for tag in used]
        _link(schema)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _describe_answers(operations: Iterable[dict[str, Any]], schemas: dict[str, Any]) -> None:
    """Put the schemas of good answers where they belong; those of the shapes with names go into ``schemas``."""
    places = {}
    for facts in operations:
        if facts["operationId"] in _SHAPES:
            status, shape = _SHAPES[facts["operationId"]]
            places[facts["operationId"]] = facts["responses"][status]["content"]["application/json"], TypeAdapter(shape)
    asked: list[tuple[str, Literal["serialization"], TypeAdapter[Any]]] = [
        (name, "serialization", adapter) for name, (_, adapter) in places.items()
    ]
    found, shared = TypeAdapter.json_schemas(asked, ref_template="#/components/schemas/{model}")
    for name, (content, _) in places.items():
        content["schema"] = found[name, "serialization"]
    schemas.update(shared.get("$defs", {}))


def _about(tag: str) -> str:
    if tag in _ABOUT:
        return _ABOUT[tag]
    for group in GROUPS:
        if any(tag_of(facts.route) == tag for facts in operations_of(group).values() if facts.route):
            return sentences(group)[0]
    return tag


def tag_of(route: str) -> str:
    """Under what a route is shown: the first part of its path."""
    first = route.split(" ", 1)[1].split("/")[1]
    return "workspaces" if first in ("", "archive", "health", "overview") else first


def _link(schema: dict[str, Any]) -> None:
    """From what makes something (``POST /things``) to what can be done with it (``/things/{name}…``)."""
    for path, verbs in schema["paths"].items():
        maker = verbs.get("post")
        if maker is None or "201" not in maker["responses"] or path.endswith("}"):
            continue
        links: dict[str, Any] = {}
        for other, actions in schema["paths"].items():
            found = re.fullmatch(re.escape(path) + r"/{(\w+)}(/\w+)?", other)
            member = found[1] if found else None
            if member == "id" or member == "name":
                given = {member: f"$response.body#/{member}"}
                if "{workspace}" in path:
                    given["workspace"] = "$request.path.workspace"
                for facts in actions.values():
                    links[facts["operationId"]] = {"operationId": facts["operationId"], "parameters": given}
        if links:
            maker["responses"]["201"]["links"] = links
