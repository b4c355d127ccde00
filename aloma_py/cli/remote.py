"""The client of a server elsewhere: the same operations, over HTTP with a key."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import httpx2

from aloma_py import jsontext
from aloma_py.errors import AlomaError, InputError, StoreError
from aloma_py.models import Json
from aloma_py.serve import wire

CONNECT: Final = 10.0
"""Seconds to reach the server."""

ANSWER: Final = 120.0
"""Seconds that an answer may take."""


class HttpClient:
    """Asks the server at ``url`` about ``workspace``, below ``base``."""

    def __init__(self, http: httpx2.AsyncClient, url: str, workspace: str) -> None:
        self.http = http
        self._url = url
        self.base = f"/api/v1/workspaces/{quote(workspace, safe='')}"

    async def call(self, name: str, /, **arguments: Json) -> Any:
        """The answer of the operation ``name``; raises what it raises there."""
        with explaining(self._url):
            response = await self.http.post(f"{self.base}/call/{name}", content=jsontext.dumps(arguments).encode(),
                                             headers={"content-type": "application/json"})  # fmt: skip
        if response.status_code >= 400:
            raise error_of(response.status_code, response.content, self._url)
        return jsontext.loads(response.content)

    async def get(self, place: str) -> Any:
        """The answer at another place of the API."""
        with explaining(self._url):
            response = await self.http.get(place)
        if response.status_code >= 400:
            raise error_of(response.status_code, response.content, self._url)
        return jsontext.loads(response.content)

    async def post(self, place: str, body: dict[str, Json], *, absent: str | None = None) -> Any:
        """The answer to what is sent to a place of the API; a session that it opens goes on with the next.

        ``absent`` is what the error says where nothing is there.
        """
        headers = {"content-type": "application/json", "x-requested-with": "aloma-py"}
        with explaining(self._url):
            response = await self.http.post(place, content=jsontext.dumps(body).encode(), headers=headers)
        if response.status_code == 404 and absent is not None:
            raise InputError(absent)
        if response.status_code >= 400:
            raise error_of(response.status_code, response.content, self._url)
        return jsontext.loads(response.content)

    async def follow(self, **arguments: Any) -> AsyncGenerator[Any, None]:
        """The operation ``follow``."""
        place = f"{self.base}/tasks/{quote(arguments['id'], safe='')}/follow"
        query = {"after": arguments.get("after", 0)}
        with explaining(self._url):
            async with self.http.stream("GET", place, params=query, timeout=httpx2.Timeout(CONNECT, read=None)) as got:
                if got.status_code >= 400:
                    raise error_of(got.status_code, await got.aread(), self._url)
                async for line in got.aiter_lines():
                    told = jsontext.loads(line)
                    if "error" in told:
                        raise wire.error_from_json(told["error"])
                    yield told["item"]


@asynccontextmanager
async def connect_http(url: str, key: str | None, workspace: str) -> AsyncIterator[HttpClient]:
    """A client of the server at ``url`` (``https://host``), with an API key."""
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url!r} is no address of a server: https://HOST was expected")
    headers = {"user-agent": "aloma-py"} | ({"authorization": f"Bearer {key}"} if key else {})
    timeout = httpx2.Timeout(ANSWER, connect=CONNECT)
    async with httpx2.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=timeout) as http:
        yield HttpClient(http, url, workspace)


class explaining:
    """Turns what goes wrong on the way into errors for people."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, httpx2.TimeoutException):
            raise StoreError(f"the server {self._url} did not answer in time; what was asked may be done") from error
        if isinstance(error, httpx2.TransportError):
            raise StoreError(f"the server {self._url} cannot be reached: {error}") from error


def error_of(status: int, body: bytes, url: str) -> AlomaError:
    """The error that a problem of the server's tells."""
    try:
        told = jsontext.loads(body)
        return wire.error_from_json({"family": told.get("family", ""), "message": told["detail"]})
    except (ValueError, KeyError, TypeError, AttributeError):
        return StoreError(f"the server {url} answered {status}, which is no answer of aloma_py's")


async def who_am_i(url: str, key: str) -> dict[str, Any]:
    """Whom the server at ``url`` takes the holder of ``key`` for. Raises what the server says of a key it knows not."""
    async with connect_http(url, key, "default") as client:
        found: dict[str, Any] = await client.get("/api/v1/me")
        return found


async def set_up(
    url: str, token: str, email: str, name: str, password: str, key_name: str
) -> tuple[dict[str, Any], str]:
    """Make the first administrator of the server at ``url``, and an API key: who they are, and the key.

    Raises :class:`~aloma_py.errors.InputError` where the server has people or keys already. Where the key cannot be
    made, the administrator is there, and the error says so.
    """
    async with connect_http(url, None, "default") as client:
        person = {"token": token, "email": email, "name": name, "password": password}
        known: dict[str, Any] = await client.post(
            "/api/v1/setup",
            person,
            absent=f"the server {url} has people or keys already: `aloma-py auth {url}` saves a key of it, "
            "`aloma-py user invite EMAIL` on its machine lets somebody in",
        )
        try:
            made = await client.post("/api/v1/keys", {"name": key_name, "role": "admin"})
        except AlomaError as error:
            raise StoreError(
                f"{known['email']} is the administrator of {url}, but no key could be made: {error}; "
                f"`aloma-py key add NAME --role admin` on its machine makes one, `aloma-py auth {url}` saves it"
            ) from error
        key: str = made["key"]
        return known, key
