"""The kind ``http``: its requests, and where its credentials go. Servers listen on this machine."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc
import pytest

from aloma_py.builtin.service import Http, HttpConfig, HttpKind
from aloma_py.clock import VirtualClock
from aloma_py.connect.connector import CallContext
from aloma_py.connect.kinds import read_config
from aloma_py.errors import CallError, InputError

pytestmark = pytest.mark.anyio

CONTEXT = CallContext("task-1", "step", "the-key", VirtualClock(), {"traceparent": "00-a-b-01"})


@dataclass
class Server:
    """Answers with what ``answers`` has for the path, else with what it was asked."""

    port: int
    answers: dict[str, tuple[int, dict[str, str], str]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    open: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        self.open += 1
        try:
            async with stream:
                rest = b""
                while True:
                    while b"\r\n\r\n" not in rest:
                        rest += await stream.receive()
                    head, rest = rest.split(b"\r\n\r\n", 1)
                    line, *lines = head.decode().split("\r\n")
                    headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in lines)}
                    length = int(headers.get("content-length", "0"))
                    while len(rest) < length:
                        rest += await stream.receive()
                    body, rest = rest[:length].decode(), rest[length:]
                    verb, target, _ = line.split(" ")
                    asked = {"verb": verb, "target": target, "headers": headers, "body": body}
                    self.asked.append(asked)
                    status, more, text = self.answers.get(target.partition("?")[0], (200, {}, json.dumps(asked)))
                    told = "".join(f"{name}: {value}\r\n" for name, value in more.items())
                    content = text.encode()
                    await stream.send(
                        f"HTTP/1.1 {status} Said\r\ncontent-length: {len(content)}\r\n{told}\r\n".encode() + content
                    )
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass
        finally:
            self.open -= 1


@asynccontextmanager
async def serving(number: int = 1) -> AsyncIterator[list[Server]]:
    async with anyio.create_task_group() as group:
        servers = []
        for _ in range(number):
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
            server = Server(listener.extra(anyio.abc.SocketAttribute.local_port))
            group.start_soon(_listen, listener, server)
            servers.append(server)
        yield servers
        group.cancel_scope.cancel()


async def _listen(listener: Any, server: Server) -> None:
    async with listener:
        await listener.serve(server.serve)


@asynccontextmanager
async def connected(server: Server, path: str = "", **config: Any) -> AsyncIterator[Http]:
    connector = Http("shop", HttpConfig(base_url=server.url + path, **config))
    try:
        yield connector
    finally:
        await connector.aclose()


async def ask(connector: Http, method: str, arguments: Any) -> Any:
    return await connector.call(method, arguments, CONTEXT)


async def test_requests_in_both_shapes() -> None:
    async with serving() as [server], connected(server, "/v1", headers={"X-App": "aloma"}) as shop:
        answer = await ask(shop, "request", {"url": "/users?a=1", "options": {"method": "post", "body": {"n": 1}}})
        assert (answer["status"], answer["ok"], answer["statusText"]) == (200, True, "Said")
        asked = answer["body"]
        assert (asked["verb"], asked["target"], asked["body"]) == ("POST", "/v1/users?a=1", '{"n":1}')
        got = asked["headers"]
        assert (got["x-app"], got["idempotency-key"], got["traceparent"]) == ("aloma", "the-key", "00-a-b-01")
        assert got["content-type"] == "application/json"
        query = {"b": True, "c": [1, 2], "d": None, "e": "ü&"}
        answer = await ask(shop, "get", {"url": "users?a=1", "query": query, "headers": {"X-App": "step"}})
        assert answer["body"]["target"] == "/v1/users?a=1&b=true&c=1&c=2&e=%C3%BC%26"
        assert answer["body"]["headers"]["x-app"] == "step"
        body = await ask(shop, "patch", {"url": "users/7", "body": "plain", "bodyOnly": True})
        assert (body["verb"], body["target"], body["body"]) == ("PATCH", "/v1/users/7", "plain")
        text = await ask(shop, "delete", {"url": "users/7", "text": True, "bodyOnly": True})
        assert json.loads(text)["verb"] == "DELETE"


@pytest.mark.parametrize(("url", "target"), [
    ("", "/v1"), ("?a=1", "/v1?a=1"), ("/", "/v1/"), ("a/b", "/v1/a/b"), ("/a b#part", "/v1/a%20b"),
    ("/%2F", "/v1/%2F"),
])  # fmt: skip
async def test_where_a_url_leads(url: str, target: str) -> None:
    async with serving() as [server], connected(server, "/v1") as shop:
        assert (await ask(shop, "get", url))["body"]["target"] == target


async def test_it_answers_for_any_status_and_raises_where_there_is_no_answer() -> None:
    async with serving() as [server], connected(server) as shop:
        server.answers["/gone"] = (404, {}, "not here")
        answer = await ask(shop, "get", {"url": "/gone"})
        assert (answer["status"], answer["ok"], answer["body"]) == (404, False, "not here")
        lost = Http("shop", HttpConfig(base_url="http://127.0.0.1:1"))
        with pytest.raises(CallError, match=r"^shop\.get /x: ConnectError"):
            await ask(lost, "get", "/x")
        await lost.aclose()


@pytest.mark.parametrize(("config", "header", "value"), [
    ({"bearer_token": "tok-en"}, "authorization", "Bearer tok-en"),
    ({"username": "ada", "password": "pä:ss"}, "authorization",
     "Basic " + base64.b64encode("ada:pä:ss".encode()).decode()),
    ({"api_key": "the-api-key", "api_key_header": "X-Key"}, "x-key", "the-api-key"),
    ({"secret_headers": {"X-Two": "the-second"}}, "x-two", "the-second"),
    ({"secret_headers": {"Cookie": "a=b"}}, "cookie", "a=b"),
])  # fmt: skip
async def test_credentials_are_sent_and_a_step_cannot_replace_them(
    config: dict[str, Any], header: str, value: str
) -> None:
    async with serving() as [server], connected(server, **config) as shop:
        server.answers["/moved"] = (302, {"location": "/there"}, "")
        answer = await ask(shop, "get", {"url": "/moved", "headers": {header: "mine"}})
        assert [(one["target"], one["headers"][header]) for one in server.asked] == [
            ("/moved", value),
            ("/there", value),
        ]
        assert answer["body"]["target"] == "/there"


async def test_a_key_in_the_query_goes_along() -> None:
    async with serving() as [server], connected(server, api_key="the-api-key", api_key_query="key") as shop:
        server.answers["/moved"] = (302, {"location": "/there?a=1"}, "")
        await ask(shop, "get", {"url": "/moved?key=mine&b=2"})
        assert [one["target"] for one in server.asked] == ["/moved?key=the-api-key&b=2", "/there?a=1&key=the-api-key"]


SECRETS = {"secret_headers": {"X-Two": "the-second"}, "headers": {"X-App": "aloma"}}


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize("config", [
    {"bearer_token": "the-token"}, {"username": "ada", "password": "the-password"},
    {"api_key": "the-key-1", "api_key_header": "X-Key"}, {"api_key": "the-key-2", "api_key_query": "key"},
], ids=str)  # fmt: skip
async def test_no_credentials_go_to_another_host_by_a_redirect(status: int, config: dict[str, Any]) -> None:
    async with serving(2) as [server, other], connected(server, **config, **SECRETS) as shop:
        server.answers["/file"] = (status, {"location": f"{other.url}/file", "set-cookie": "c=1"}, "")
        other.answers["/file"] = (status, {"location": f"{server.url}/back"}, "")
        headers = {"Authorization": "a step's", "X-Mine": "a step's", "Accept": "image/png"}
        answer = await ask(shop, "post", {"url": "/file", "headers": headers, "body": "text"})
        assert answer["status"] == 200
        [there] = other.asked
        told = json.dumps(there)
        assert there["headers"]["accept"] == "image/png"
        assert there["headers"]["host"] == other.url.removeprefix("http://")
        for secret in ("the-", "a step's", 'aloma"', base64.b64encode(b"ada").decode()[:4], "c=1"):
            assert secret not in told
        back = json.dumps(server.asked[-1])
        assert "/back" in back and "the-" not in back, "whoever has left the host does not come back as its guest"


async def test_another_host_is_asked_only_where_that_is_allowed() -> None:
    async with serving(2) as [server, other]:
        async with connected(server, bearer_token="the-token") as shop:
            for url in (f"{other.url}/x", f"//127.0.0.1:{other.port}/x", "https://example.org/", "http:x", "ftp://a/b"):
                with pytest.raises(CallError, match=r"^shop\.get "):
                    await ask(shop, "get", url)
            with pytest.raises(CallError, match="must not stand in the url"):
                await ask(shop, "get", f"http://a:b@127.0.0.1:{server.port}/")
            assert (other.asked, server.asked) == ([], [])
            assert (await ask(shop, "get", f"{server.url}/own"))["body"]["headers"][
                "authorization"
            ] == "Bearer the-token"
        async with connected(server, bearer_token="the-token", allow_other_hosts=True, **SECRETS) as shop:
            answer = await ask(shop, "get", {"url": f"{other.url}/x", "headers": {"X-Mine": "1"}})
            assert answer["body"]["headers"]["x-mine"] == "1"
            assert "the-" not in json.dumps(other.asked).replace("the-key", "")
            assert "x-app" not in other.asked[0]["headers"]


async def test_no_cookies_are_kept_from_one_call_to_the_next() -> None:
    async with serving() as [server], connected(server) as shop:
        server.answers["/in"] = (200, {"set-cookie": "session=of-one-task; Path=/"}, "")
        await ask(shop, "get", "/in")
        assert "cookie" not in (await ask(shop, "get", "/next"))["body"]["headers"]


async def test_redirects_have_an_end() -> None:
    async with serving() as [server], connected(server) as shop:
        server.answers["/round"] = (302, {"location": "/round"}, "")
        with pytest.raises(CallError, match="redirected more than 10 times"):
            await ask(shop, "get", "/round")
        assert len(server.asked) == 11


async def test_connections_are_kept_until_it_is_closed() -> None:
    async with serving() as [server]:
        async with connected(server) as shop:
            for _ in range(3):
                await ask(shop, "get", "/")
            assert server.open == 1
        with anyio.fail_after(5):
            while server.open:
                await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(("arguments", "said"), [
    ({}, r"shop\.get takes \{url"), ({"url": "/", "body_only": 1}, "knows no option 'body_only'; did you mean 'body"),
    ({"url": "/", "query": "a=1"}, "query must be an object"), ({"url": "/", "headers": []}, "headers must be"),
    ({"url": "/", "timeout": "1s"}, "timeout must be a number"), (7, r"shop\.get takes"),
])  # fmt: skip
async def test_wrong_arguments_are_told(arguments: Any, said: str) -> None:
    with pytest.raises(CallError, match=said):
        await ask(Http("shop", HttpConfig(base_url="http://127.0.0.1:1")), "get", arguments)


@pytest.mark.parametrize(("status", "ok", "said"), [
    (200, True, "127.0.0.1 answers 200 Said"), (404, True, "404"), (401, False, "it refuses the credentials"),
    (503, False, "answers 503"),
])  # fmt: skip
async def test_a_check_asks_the_service(status: int, ok: bool, said: str) -> None:
    async with serving() as [server], connected(server, "/v1", check_path="/me") as shop:
        server.answers["/v1/me"] = (status, {}, "")
        try:
            found, works = await HttpKind().check(shop), True
        except CallError as error:
            found, works = str(error), False
        assert (works, said in found) == (ok, True)


BASE = {"base_url": "https://api.example/v1"}


@pytest.mark.parametrize(("config", "said"), [
    ({}, "the field 'base_url' is missing"),
    ({"base_url": "api.example"}, "https://HOST or https://HOST/PATH was expected"),
    ({"base_url": "https://ada:s3cret@api.example"}, "must not stand in the address"),
    ({"base_url": "https://api.example/?a=s3cret"}, "without ?… and #…"),
    ({**BASE, "bearer_token": "s3cret", "api_key": "s3cret", "api_key_header": "X"}, "not several"),
    ({**BASE, "username": "ada"}, "one of them is missing"),
    ({**BASE, "api_key": "s3cret"}, "one of api_key_header and api_key_query"),
    ({**BASE, "api_key_query": "key"}, "one of api_key_header and api_key_query"),
    ({**BASE, "api_key": "s3cret", "api_key_query": "a", "api_key_header": "b"}, "one of api_key_header"),
    ({**BASE, "headers": {"Authorization": "s3cret"}}, "put it into secret_headers"),
    ({**BASE, "headers": {"a b": "x"}}, "'a b' is no name of a header"),
    ({**BASE, "secret_headers": {"X": "s3cret\r\nHost: evil"}}, "is no printable ASCII text"),
    ({**BASE, "bearer_token": "s3crét"}, "is no printable ASCII text"),
    ({**BASE, "timeout": "soon"}, "must be a duration"),
    ({**BASE, "timeout": 0}, "more than nothing"),
])  # fmt: skip
async def test_a_configuration_that_cannot_be_is_told_without_its_secrets(config: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_config(HttpKind(), config)
    assert said in str(caught.value)
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize(("given", "found"), [(5000, 5000), ("5000", 5000), ("2s", 2000), ("1m", 60_000)])
async def test_the_timeout_is_a_duration(given: Any, found: int) -> None:
    assert HttpConfig(**BASE, timeout=given).timeout == found
