"""``connectors.fetch`` (SPEC §4), without a network."""

from __future__ import annotations

import json

import httpx2
import pytest

from aloma_py import step
from aloma_py.builtin.fetch import Fetch

pytestmark = pytest.mark.anyio


def answering(request: httpx2.Request) -> httpx2.Response:
    match request.url.path:
        case "/json":
            return httpx2.Response(200, json={"n": 1, "items": [1]})
        case "/text":
            return httpx2.Response(200, text="plain words")
        case "/missing":
            return httpx2.Response(404, json={"error": "no such thing"})
        case "/echo":
            body = json.loads(request.content) if request.content[:1] == b"{" else request.content.decode()
            return httpx2.Response(201, json={"method": request.method, "body": body, "key": request.headers["x-key"]})
    raise httpx2.ConnectError("connection refused")


async def fetched(open_world, content):
    async with open_world(content, connectors=[Fetch(httpx2.MockTransport(answering))]) as world:
        return await world.run({"a": 1})


async def test_an_answer_has_its_status_headers_and_parsed_body(open_world):
    @step(condition={"a": 1})
    async def asks(data, connectors):
        answer = await connectors.fetch({"url": "https://api.test/json"})
        data.answer = [answer.status, answer.ok, answer.statusText, answer.body.n, answer.json()["n"], answer.text()]
        data.kind = answer.headers["content-type"]

    outcome = await fetched(open_world, asks)
    assert outcome.data["answer"] == [200, True, "OK", 1, 1, '{"n":1,"items":[1]}']
    assert outcome.data["kind"] == "application/json"


async def test_a_body_that_is_no_json_is_text(open_world):
    @step(condition={"a": 1})
    async def asks(data, connectors):
        data.body = (await connectors.fetch({"url": "https://api.test/text"})).body

    assert (await fetched(open_world, asks)).data["body"] == "plain words"


async def test_it_answers_for_any_status(open_world):
    @step(condition={"a": 1})
    async def asks(data, connectors):
        answer = await connectors.fetch("https://api.test/missing", {})
        data.answer = [answer.status, answer.ok, answer.body]

    assert (await fetched(open_world, asks)).data["answer"] == [404, False, {"error": "no such thing"}]


async def test_body_only_and_into(open_world):
    @step(condition={"a": 1})
    async def asks(connectors):
        connectors.fetch({"url": "https://api.test/json", "bodyOnly": True, "into": "found.body"})
        connectors.fetch({"url": "https://api.test/text", "into": "found.whole"})

    found = (await fetched(open_world, asks)).data["found"]
    assert found["body"] == {"n": 1, "items": [1]}
    assert (found["whole"]["status"], found["whole"]["body"]) == (200, "plain words")


async def test_method_headers_and_body_are_sent(open_world):
    @step(condition={"a": 1})
    async def asks(data, connectors):
        options = {"method": "post", "headers": {"X-Key": "k"}, "body": {"x": data.a}}
        data.answer = (await connectors.fetch("https://api.test/echo", options)).body

    assert (await fetched(open_world, asks)).data["answer"] == {"method": "POST", "body": {"x": 1}, "key": "k"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "https://api.test/gone"}, "fetch https://api.test/gone: ConnectError: connection refused"),
        ({"uri": "x"}, "fetch takes {url: text, options?: {…}, bodyOnly?: boolean}"),
        ({"url": "https://x", "options": {"haeders": {}}}, "fetch knows no option 'haeders'; did you mean 'headers'?"),
        ({"url": "https://x", "options": {"headers": []}}, "fetch: headers must be an object"),
        ({"url": "https://x", "options": {"timeout": "soon"}}, "fetch: timeout must be a number of milliseconds"),
    ],
)
async def test_what_cannot_be_fetched_fails_the_run(open_world, arguments, message):
    @step(condition={"a": 1})
    async def asks(connectors):
        await connectors.fetch(arguments)

    outcome = await fetched(open_world, asks)
    assert (outcome.errors["asks"]["message"], outcome.errors["asks"]["type"]) == (message, "CallError")
