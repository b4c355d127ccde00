"""Bytes on a real socket that are no request, or two at once: each is told what is wrong, and the server goes on."""

from __future__ import annotations

import json
import logging
import re
import socket
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import pytest

from aloma_py.operations import Operations, Role
from aloma_py.serve.house import idle_operations
from aloma_py.serve.web import server
from aloma_py.serve.web.app import PREFIX, make_app
from aloma_py.serve.web.guard import ACCOUNT, Identity
from aloma_py.serve.web.server import listen, serving
from aloma_py.settings import Settings
from aloma_py.store.sqlite import SQLiteStore

pytestmark = pytest.mark.anyio

TASKS: Final = f"{PREFIX}/workspaces/default/tasks".encode()
BODY: Final = b'{"data":{}}'


def get(path: bytes, *lines: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    return b"GET " + path + b" " + version + b"\r\n" + b"".join(one + b"\r\n" for one in (b"Host: x", *lines)) + b"\r\n"


def post(*lines: bytes, body: bytes = BODY, path: bytes = TASKS) -> bytes:
    head = (b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Type: application/json", *lines)
    return b"\r\n".join(head) + b"\r\n\r\n" + body


CHUNKED: Final = b"Transfer-Encoding: chunked"
WHOLE: Final = b"b\r\n" + BODY + b"\r\n0\r\n\r\n"

CASES: Final[dict[str, tuple[int, bytes]]] = {
    # what is no HTTP/1.1
    "nothing of HTTP": (400, b"hello\r\n\r\n"),
    "a TLS greeting": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "no path": (400, b"GET HTTP/1.1\r\nHost: x\r\n\r\n"),
    "HTTP/3.0": (400, get(b"/", version=b"HTTP/3.0")),
    "HTTP/1.": (400, get(b"/", version=b"HTTP/1.")),
    "http/1.1": (400, get(b"/", version=b"http/1.1")),
    "another protocol": (400, get(b"/", version=b"RTSP/1.0x")),
    "no version": (400, b"GET / \r\nHost: x\r\n\r\n"),
    "a method of nobody": (400, b"FROBNICATE / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a method in lower case": (400, b"get / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "a method with a NUL": (400, b"GE\x00T / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "bytes above ASCII first": (400, b"\xff\xfe\xfd / HTTP/1.1\r\n\r\n"),
    "the HTTP/2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a space before the method": (400, b" GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    # addresses
    "a NUL in the path": (400, get(b"/a\x00b")),
    "a path above ASCII": (400, get(b"/\xff\xfe")),
    "a tab in the path": (400, get(b"/a\tb")),
    "a percent without digits": (404, get(b"/api/v1/%zz")),
    "half a percent": (404, get(b"/api/v1/%")),
    "no UTF-8 in percents": (404, get(b"/api/v1/%ff%fe")),
    "half a character in percents": (404, get(b"/api/v1/%ed%a0%80")),
    "a NUL in percents": (404, get(TASKS + b"/%00")),
    "too long an UTF-8": (404, get(b"/api/v1/%c0%af")),
    "dots that lead out": (404, get(b"/api/v1/../../etc/passwd")),
    "dots in percents": (404, get(b"/api/v1/%2e%2e%2f%2e%2e%2fetc%2fpasswd")),
    "backslashes": (404, get(b"/api/v1\\..\\..")),
    "two slashes": (404, get(b"//api/v1/store")),
    "an address of another server": (404, get(b"http://elsewhere.example/secret")),
    "a star": (404, get(b"*")),
    "a fragment": (404, get(b"/api/v1/none#x")),
    "a very long path": (414, get(b"/" + b"a" * 20_000)),
    "a very long query": (414, get(TASKS + b"?search=" + b"a" * 20_000)),
    "a line end in percents": (404, get(b"/api/v1/x%0d%0aSet-Cookie:%20a=b")),
    "no UTF-8 in the query": (422, get(TASKS + b"?nothing=%ff")),
    "a query of nothing": (422, get(TASKS + b"?=&=&&&;")),
    "a NUL in the query": (422, get(TASKS + b"?states=%00&x=%00")),
    # headers
    "a header without a colon": (400, get(b"/", b"nonsense")),
    "a header without a name": (400, get(b"/", b": x")),
    "a space in a header's name": (400, get(b"/", b"a b: x")),
    "a space before the colon": (400, get(b"/", b"Content-Length : 5")),
    "a NUL in a header": (400, get(b"/", b"X-A: a\x00b")),
    "a NUL in a header's name": (400, get(b"/", b"X\x00A: b")),
    "a lone line end in a header": (400, get(b"/", b"X-A: a\rb")),
    "a header that goes on": (400, b"GET / HTTP/1.1\r\n folded: x\r\n\r\n"),
    "a large header": (431, get(b"/", b"X-A: " + b"a" * 200_000)),
    "many headers": (431, get(b"/", *(b"X-%d: a" % number for number in range(20_000)))),
    "a header without an end": (431, b"GET / HTTP/1.1\r\nX-A: " + b"a" * 2_000_000),
    "a large cookie": (431, get(b"/", b"Cookie: a=" + b"b" * 100_000)),
    # lengths
    "a length that is no number": (400, post(b"Content-Length: x")),
    "a negative length": (400, post(b"Content-Length: -1")),
    "a length with a sign": (400, post(b"Content-Length: +11")),
    "a length in hexadecimal": (400, post(b"Content-Length: 0xb")),
    "a length with a fraction": (400, post(b"Content-Length: 11.0")),
    "a length with a comma": (400, post(b"Content-Length: 11, 11")),
    "a length of nothing": (400, post(b"Content-Length:")),
    "two lengths": (400, post(b"Content-Length: 11", b"Content-Length: 12")),
    "two lengths that are the same": (400, post(b"Content-Length: 11", b"Content-Length: 11")),
    "a length beyond numbers": (400, post(b"Content-Length: " + b"9" * 40)),
    "a very large length": (413, post(b"Content-Length: 999999999999")),
    "a length with words": (400, post(b"Content-Length: 11 bytes")),
    # two requests in one
    "a length and chunks": (400, post(b"Content-Length: 11", CHUNKED, body=WHOLE)),
    "chunks and a length": (400, post(CHUNKED, b"Content-Length: 4", body=WHOLE)),
    "chunks twice": (400, post(b"Transfer-Encoding: chunked, identity", body=WHOLE)),
    "chunks that are not last": (400, post(b"Transfer-Encoding: chunked, gzip", body=WHOLE)),
    "another encoding": (400, post(b"Transfer-Encoding: xchunked", body=WHOLE)),
    "chunks with a tab": (400, post(b"Transfer-Encoding:\tchunke\x0bd", body=WHOLE)),
    # chunks
    "a chunk's size that is no number": (400, post(CHUNKED, body=b"x\r\n" + BODY)),
    "a negative chunk": (400, post(CHUNKED, body=b"-1\r\n" + BODY)),
    "a chunk's size beyond numbers": (400, post(CHUNKED, body=b"f" * 30 + b"\r\n" + BODY)),
    "a chunk without an end": (400, post(CHUNKED, body=b"b\r\n" + BODY + b"x0\r\n\r\n")),
    "a chunk that is too short": (400, post(CHUNKED, body=b"3\r\n" + BODY + b"\r\n0\r\n\r\n")),
    "chunks without a size": (400, post(CHUNKED, body=b"\r\n" + BODY + b"\r\n0\r\n\r\n")),
    "a chunk's size with a prefix": (400, post(CHUNKED, body=b"0xb\r\n" + BODY + b"\r\n0\r\n\r\n")),
    "a chunk's end without a return": (400, post(CHUNKED, body=b"b\n" + BODY + b"\n0\n\n")),
    # bodies
    "no body": (422, post(b"Content-Length: 0", body=b"")),
    "no length": (422, post(body=b"")),
    "bytes that are no text": (422, post(b"Content-Length: 4", body=b"\xff\xfe\x00\x01")),
    "a body of NULs": (400, post(b"Content-Length: 9", body=b"\x00" * 9)),
    "half an object": (422, post(b"Content-Length: 5", body=b'{"dat')),
    "a list": (422, post(b"Content-Length: 2", body=b"[]")),
    "a body for another method": (405, post(b"Content-Length: 11", path=PREFIX.encode() + b"/store")),
}


class Ops:
    async def identify(self, request: object) -> Identity:
        return Identity("key:ops", {ACCOUNT: Role.ADMIN})


def ask(address: tuple[str, int], content: bytes, *, until_closed: bool = False) -> bytes:
    """The answer, and whatever else has come with it."""
    with socket.create_connection(address, 10) as connection:
        found = b""
        try:
            connection.sendall(content)
            while (until_closed or not is_whole(found)) and (piece := connection.recv(65_536)):
                found += piece
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has read enough
        except TimeoutError:
            return b"no answer"
        return found


def is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def judge(name: str, expected: int, answer: bytes) -> str | None:
    """What is wrong with an answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    status = int(lines[0].split(b" ")[1]) if lines[0].startswith(b"HTTP/1.1 ") else 0
    headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
    if status != expected:
        return f"{name}: {status} instead of {expected}: {answer[:300]!r}"
    if headers.get(b"content-type") != b"application/problem+json":
        return f"{name}: {answer[:300]!r} is no problem"
    told = json.loads(body[: int(headers[b"content-length"])])
    if told["status"] != status or len(told["detail"]) < 10 or len(body) != int(headers[b"content-length"]):
        return f"{name}: {answer[:300]!r} says nothing, or too much"
    if headers.get(b"cache-control") != b"no-store" or headers.get(b"x-content-type-options") != b"nosniff":
        return f"{name}: {head!r} may be kept, or taken for something else"
    return None


async def test_what_is_no_request_is_told_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(CASES) > 80 and len({content for _, content in CASES.values()}) == len(CASES)
    found: dict[str, Operations] = {}
    async with SQLiteStore(tmp_path / "tasks.db") as store:

        def find(workspace: str) -> Operations:
            return found.setdefault(workspace, idle_operations(store, Settings(workspace=workspace)))

        listener = listen("127.0.0.1:0")
        address = listener.getsockname()
        wrong: list[str] = []
        async with serving(make_app(find, Ops()), listener):
            for name, (expected, content) in CASES.items():
                answer = await anyio.to_thread.run_sync(ask, address, content)
                judged = judge(name, expected, answer)
                if judged is not None:
                    wrong.append(judged)
            good = await anyio.to_thread.run_sync(ask, address, post(b"Content-Length: 11"))
            assert good.startswith(b"HTTP/1.1 201 "), good
            large = (
                b'{"data":{"a":"' + b"x" * 300_000 + b'"}}'
            )  # bodies do not count as headers, nor do requests together
            twice = get(TASKS) + post(b"Content-Length: %d" % len(large), body=large) + get(TASKS, b"Connection: close")
            both = await anyio.to_thread.run_sync(partial(ask, address, twice, until_closed=True))
            assert re.findall(rb"HTTP/1.1 (\d+)", both) == [b"200", b"201", b"200"]
            listed = await anyio.to_thread.run_sync(ask, address, get(TASKS))
        assert not wrong, "\n".join(wrong)
        assert len(json.loads(listed.partition(b"\r\n\r\n")[2])) == 2  # nothing of all that became a task
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def drip(address: tuple[str, int], first: bytes, piece: bytes) -> bytes:
    """What is answered to somebody who says ``first``, and then ``piece`` from time to time."""
    found = b""
    with socket.create_connection(address, 10) as connection:
        connection.sendall(first)
        connection.settimeout(0.1)
        for _ in range(50):
            try:
                if not (more := connection.recv(65_536)):
                    return found
                found += more
            except TimeoutError:
                connection.sendall(piece)
            except ConnectionResetError:
                return found
    return found + b"it is still open"


async def test_who_says_nothing_or_says_it_slowly_keeps_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.5)
    async with SQLiteStore(tmp_path / "tasks.db") as store:
        operations = idle_operations(store, Settings())
        listener = listen("127.0.0.1:0")
        async with serving(make_app(lambda workspace: operations, Ops()), listener):
            ask_slowly = partial(anyio.to_thread.run_sync, drip, listener.getsockname())
            assert await ask_slowly(b"", b"") == b""
            assert await ask_slowly(b"\r\n", b"\r\n") == b""
            for first, piece in ((b"G", b""), (b"GET / HTTP/1.1\r\n", b"X: y\r\n")):
                assert judge("slowly", 408, await ask_slowly(first, piece)) is None
            after = await ask_slowly(get(TASKS), b"\r\n")
            assert (after[:13], after[-16:] == b"it is still open") == (b"HTTP/1.1 200 ", False)
            second = await ask_slowly(get(TASKS) + b"GET /x", b"x")
            assert re.findall(rb"HTTP/1.1 (\d+)", second) == [b"200", b"408"]
            large = post(b"Content-Length: 999999999999")  # refused before it has come
            assert re.findall(rb"HTTP/1.1 (\d+)", await ask_slowly(large, b"x")) == [b"413"]
            slow_body = await ask_slowly(post(b"Content-Length: 11", body=BODY[:3]), b"")
            assert slow_body.endswith(b"it is still open")  # bodies have a time of their own
