"""What `fetch` and `connectors.fetch` give to JavaScript steps."""

from __future__ import annotations

from typing import Any

import anyio
import httpx2
import pytest

from aloma_py.builtin.fetch import Fetch

from .world import OF_AN_ERROR, found_of

pytestmark = pytest.mark.anyio


class Web:
    """A server; ``/hang`` never answers: ``begun`` and ``given_up`` say what becomes of a request for it."""

    def __init__(self) -> None:
        self.begun, self.given_up = anyio.Event(), anyio.Event()
        self.requests: list[str] = []

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request.url.path)
        match request.url.path:
            case "/json":
                return httpx2.Response(200, json={"n": 1, "items": [1]}, headers={"X-Page": "2"})
            case "/quoted":
                return httpx2.Response(200, json="12")
            case "/broken":
                return httpx2.Response(200, text="{no", headers={"Content-Type": "application/json"})
            case "/missing":
                return httpx2.Response(404, json={"error": "gone"})
            case "/nothing":
                return httpx2.Response(204)
            case "/body":
                return httpx2.Response(200, json={"body": {"json": "mine"}, "status": "x"})
            case "/echo":
                names = ("x-key", "content-type")
                headers = {name: request.headers[name] for name in names if name in request.headers}
                return httpx2.Response(201, json=[request.method, request.content.decode(), headers])
            case "/hang":
                self.begun.set()
                try:
                    await anyio.sleep_forever()
                finally:
                    self.given_up.set()
        return httpx2.Response(200, text="plain words")


class Shop:
    """A connector that gives back what it is given. ``begun`` and ``given_up`` wait for those of the web."""

    namespace = "shop"
    methods: tuple[str, ...] | None = None
    default: str | None = None
    recorded = True

    def __init__(self, web: Web) -> None:
        self._web = web

    async def call(self, method: str, arguments: Any, context: Any) -> Any:
        if method in ("begun", "given_up"):
            await getattr(self._web, method).wait()
        return arguments


FETCHED: dict[str, tuple[str, Any]] = {
    "json_at_once": ("data.v = await (await fetch('http://a/json')).json()", {"n": 1, "items": [1]}),
    "then": ("data.v = await fetch('http://a/json').then(answer => answer.json()).then(body => body.n)", 1),
    "members": (
        "const a = await fetch(new URL('http://a/json')); data.v = [a.status, a.ok, a.statusText, a.body.n]",
        [200, True, "OK", 1],
    ),
    "headers": (
        "const {headers} = await fetch('http://a/json');"
        "data.v = [headers.get('X-Page'), headers['x-page'], headers.has('x-none'), headers.get('x-none')]",
        ["2", "2", False, None],
    ),
    "text_of_json": ("data.v = JSON.parse(await (await fetch('http://a/json')).text()).n", 1),
    "text": ("data.v = await (await fetch('http://a/text')).text()", "plain words"),
    "no_json": (
        OF_AN_ERROR.format("await (await fetch('http://a/text')).json()"),
        ["SyntaxError", "Unexpected token 'p', \"plain words\" is not valid JSON"],
    ),
    "broken_json": (
        "const a = await fetch('http://a/broken'); data.v = [a.body, await a.json().catch(error => error.name)]",
        ["{no", "SyntaxError"],
    ),
    "json_that_is_a_text": ("const a = await fetch('http://a/quoted'); data.v = [await a.json(), await a.text()]",
                            ["12", '"12"']),
    "asked_for_as_text": (
        "const a = await fetch('http://a/json', {text: true}); data.v = [typeof a.body, (await a.json()).n]",
        ["string", 1],
    ),
    "an_error_status": (
        "const a = await fetch('http://a/missing'); data.v = [a.ok, a.status, (await a.json()).error]",
        [False, 404, "gone"],
    ),
    "nothing": ("const a = await fetch('http://a/nothing'); data.v = [a.status, await a.text()]", [204, ""]),
    "as_data": (
        "data.v = await fetch('http://a/json'); data.v = [Object.keys(data.v), JSON.stringify(data.v).includes('get')]",
        [["status", "ok", "statusText", "headers", "body"], False],
    ),
    "request": (
        "const r = {url: 'http://a/echo', method: 'PUT', headers: {'X-Key': 'k'}, body: 'b', credentials: 'include'};"
        "data.v = [(await fetch(r)).body, (await fetch(r, {method: 'PATCH'})).body[0]]",
        [["PUT", "b", {"x-key": "k"}], "PATCH"],
    ),
    "forms_of_headers": (
        "const sent = async headers => (await fetch('http://a/echo', {headers})).body[2]['x-key'];"
        "data.v = [await sent(new Headers({'X-Key': 'a'})), await sent([['X-Key', 'b']]), await sent({'X-Key': 'c'})]",
        ["a", "b", "c"],
    ),
    "form": (
        "const body = new URLSearchParams({a: 'b c'});"
        "data.v = (await fetch('http://a/echo', {method: 'POST', body})).body",
        ["POST", "a=b+c", {"content-type": "application/x-www-form-urlencoded"}],
    ),
    "bytes_that_are_text": (
        "data.v = (await fetch('http://a/echo', {method: 'POST', body: Buffer.from('\\ufeffä')})).body[1]", "\ufeffä",
    ),
    "bytes": (
        OF_AN_ERROR.format("await fetch('http://a/echo', {method: 'POST', body: Uint8Array.of(255)})"),
        ["TypeError", "fetch sends text and JSON; a body of bytes that are no UTF-8 text cannot be sent"],
    ),
    "redirect": (
        "await fetch('http://a/json', {redirect: 'follow', cache: 'no-store'});"
        "data.v = await fetch('http://a/json', {redirect: 'manual'}).catch(error => error.message)",
        "fetch knows no option 'redirect'; there are: body, headers, method, text, timeout",
    ),
    "connector": (
        "const a = await connectors.fetch({url: 'http://a/json'});"
        "data.v = [(await a.json()).n, a.headers.get('X-PAGE')]",
        [1, "2"],
    ),
    "connector_by_any_name": (
        "const web = connectors[['fe', 'tch'].join('')]; const a = await web('http://a/json', {text: true});"
        "const b = await web[['fe', 'tch'].join('')]({url: 'http://a/json'});"
        "data.v = [await a.json(), await b.json()]",
        [{"n": 1, "items": [1]}] * 2,
    ),
    "connector_into": (
        "const a = await connectors.fetch({url: 'http://a/json', into: 'at'});"
        "data.v = [a.ok, await a.json(), data.at]",
        [True, {"n": 1, "items": [1]}, None],
    ),
    "known_connectors": (
        "data.v = ['fetch' in connectors, Object.keys(connectors).sort(), Boolean(connectors.none)]",
        [True, ["fetch", "shop", "utils"], False],
    ),
    "connector_form": (
        "data.v = (await fetch({url: 'http://a/echo', options: {method: 'POST', body: {x: 1}}})).body.slice(0, 2)",
        ["POST", '{"x":1}'],
    ),
    "body_only": (
        "const a = await fetch({url: 'http://a/body', bodyOnly: true}); data.v = [a, typeof a.text]",
        [{"body": {"json": "mine"}, "status": "x"}, "undefined"],
    ),
    "into": ("await fetch({url: 'http://a/json', bodyOnly: true, into: 'v'})", {"n": 1, "items": [1]}),
    "other_connectors": (
        "const given = {body: 'b', headers: {get: 'g'}, json: 5};"
        "const a = await connectors.shop.echo(given); data.v = [a.json, typeof a.text, a.headers.get, a.ok ?? null]",
        [5, "undefined", "g", None],
    ),
    "unseen_failure": (
        "fetch('http://a/json', {nonsense: 1})",
        "fetch knows no option 'nonsense'; there are: body, headers, method, text, timeout",
    ),
    "seen_failure": (
        "try { await fetch('http://a/json', {nonsense: 1}) } catch (error) { data.v = error instanceof Error }", True,
    ),
    "aborted_before": (
        "const caught = await fetch('http://a/never', {signal: AbortSignal.abort()}).catch(error => error);"
        "data.v = [caught.name, caught instanceof DOMException]",
        ["AbortError", True],
    ),
    "aborted_under_way": (
        "const control = new AbortController();"
        "const asked = fetch('http://a/hang', {signal: control.signal});"
        "await connectors.shop.begun({}); control.abort('enough'); control.abort('again');"
        "data.v = await asked.catch(reason => reason); await connectors.shop.given_up({})",
        "enough",
    ),
    "timed_out": (
        "data.v = await fetch('http://a/hang', {signal: AbortSignal.timeout(50)}).catch(error => error.name)",
        "TimeoutError",
    ),
    "aborted_too_late": (
        "const control = new AbortController();"
        "const {status} = await fetch('http://a/json', {signal: control.signal}); control.abort(); data.v = status",
        200,
    ),
}  # fmt: skip


async def test_what_fetch_gives(tmp_path):
    web = Web()
    connectors = [Fetch(httpx2.MockTransport(web.answer)), Shop(web)]
    with anyio.fail_after(10):
        found = await found_of(tmp_path / "steps", FETCHED, connectors)
    assert found == {name: then for name, (_, then) in FETCHED.items()}
    assert "/never" not in web.requests and web.requests.count("/hang") == 2


MOCKED: dict[str, tuple[str, Any]] = {
    "bare": (
        "const a = await fetch('http://a'); data.v = [a.ok, a.status, a.headers.get('x'), (await a.json()).n, a.body]",
        [True, 200, None, 1, '{"n":1}'],
    ),
    "own": (
        "const a = await fetch('http://own'); data.v = [a.json, a.ok, await a.text(), a.headers]",
        ["its own", False, "b", None],
    ),
}


async def test_an_answer_that_somebody_else_made_up_for_fetch_keeps_what_it_has(tmp_path):
    def answers(given: Any) -> Any:
        own = {"body": "b", "json": "its own", "status": 500, "headers": None}
        return own if given["url"] == "http://own" else {"body": '{"n":1}'}

    class MadeUp(Fetch):
        async def call(self, method: str, arguments: Any, context: Any) -> Any:
            return answers(arguments)

    found = await found_of(tmp_path / "steps", MOCKED, [MadeUp()])
    assert found == {name: then for name, (_, then) in MOCKED.items()}


# ── files, blobs, the task ──────────────────────────────────────────────────────────────────────────────────────────
