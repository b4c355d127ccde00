"""Connections outwards: kept open, and not to everywhere."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpcore2
import httpx2
import pytest

from aloma_py import Workspace, step
from aloma_py.connect import outbound
from aloma_py.connect.outbound import Refusing, client, read_networks
from aloma_py.errors import InputError

pytestmark = pytest.mark.anyio

DEFAULT = read_networks("169.254.0.0/16,fe80::/10,fd00:ec2::254/128")


@asynccontextmanager
async def answering(connections: list[Any]) -> AsyncIterator[int]:
    """A server on loopback that answers ``ok`` to whatever comes; gives its port.

    ``connections`` gets an event for each connection, which says that the other side has closed it.
    """

    async def handle(stream: anyio.abc.SocketStream) -> None:
        closed = anyio.Event()
        connections.append(closed)
        async with stream:
            try:
                while await stream.receive():
                    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            except anyio.EndOfStream:
                closed.set()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        group.cancel_scope.cancel()


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Have every name mean these addresses."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)


async def test_one_connection_serves_many_requests() -> None:
    connections: list[Any] = []
    async with answering(connections) as port, client() as found:
        for _ in range(5):
            assert (await found.get(f"http://127.0.0.1:{port}/")).text == "ok"
    assert len(connections) == 1


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "::ffff:169.254.169.254",
     "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"],
)  # fmt: skip
async def test_what_is_refused_is_refused_in_every_way_to_write_it(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names(monkeypatch, address)
    with pytest.raises(httpcore2.ConnectError, match=r"metadata\.example is at .*, where connectors may not go"):
        await Refusing(DEFAULT).connect_tcp("metadata.example", 80)


async def test_a_name_that_means_an_allowed_and_a_refused_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, "127.0.0.1", "169.254.169.254")
    with pytest.raises(httpcore2.ConnectError, match="may not go"):
        await Refusing(DEFAULT).connect_tcp("two.example", 80)


async def test_the_next_address_is_tried_where_the_first_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[Any] = []
    async with answering(connections) as port:
        names(monkeypatch, "127.0.0.2", "127.0.0.1")
        stream = await Refusing(DEFAULT).connect_tcp("two.example", port)
        await stream.aclose()


async def test_the_setting_says_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connections: list[Any] = []
    async with answering(connections) as port:
        monkeypatch.setenv("ALOMA_REFUSED_ADDRESSES", "10.0.0.0/8, 127.0.0.0/8")
        async with client() as found:
            with pytest.raises(httpx2.ConnectError, match=r"127\.0\.0\.1, where connectors may not go"):
                await found.get(f"http://127.0.0.1:{port}/")
            with pytest.raises(httpx2.ConnectError, match="may not go"):
                await found.get(f"http://localhost:{port}/")
        monkeypatch.setenv("ALOMA_REFUSED_ADDRESSES", "")
        async with client() as found:
            assert (await found.get(f"http://127.0.0.1:{port}/")).text == "ok"
    assert len(connections) == 1


@pytest.mark.parametrize(
    ("address", "networks"),
    [
        ("0.0.0.0", "127.0.0.0/8"), ("::", "127.0.0.0/8"), ("0.0.0.0", "::1"), ("::ffff:0.0.0.0", "127.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"), ("64:ff9b::a01:203", "10.0.0.0/8"), ("2002:a01:203::1", "10.0.0.0/8"),
        ("fe80::1%eth0", "fe80::/10"),
    ],
)  # fmt: skip
def test_an_address_in_another_form_is_the_same(address: str, networks: str) -> None:
    assert outbound.is_refused(address, read_networks(networks))
    assert not outbound.is_refused("192.0.2.1", read_networks(networks))


async def test_a_redirect_to_a_refused_address_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handle(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(
                b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n"
            )

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with client(follow_redirects=True) as found:
            with pytest.raises(httpx2.ConnectError, match=r"169\.254\.169\.254, where connectors may not go"):
                await found.get(f"http://127.0.0.1:{port}/")
        group.cancel_scope.cancel()


async def test_a_name_that_there_is_not_is_told() -> None:
    with pytest.raises(httpcore2.ConnectError):
        await Refusing(DEFAULT).connect_tcp("no-such-host.invalid", 80)


def test_networks_that_are_none_are_told() -> None:
    with pytest.raises(InputError, match=r"refused_addresses: .*like 10"):
        read_networks("10.0.0.0/8, nowhere")


def test_certificates_are_read_once() -> None:
    assert outbound.ssl_context() is outbound.ssl_context()


@step(condition={"ask": int})
async def ask(data: Any, connectors: Any) -> None:
    for _ in range(data.ask):
        answer = await connectors.fetch({"url": f"http://127.0.0.1:{data.port}/"})
        data.said = answer.text()


async def test_fetch_keeps_its_connection_while_tasks_are_advanced_and_no_longer() -> None:
    connections: list[Any] = []
    async with answering(connections) as port:
        workspace = Workspace("asking", [ask])
        for run in (1, 2):
            outcome = await workspace.run({"ask": 3, "port": port})
            assert (outcome.state, outcome.data["said"]) == ("done", "ok")
            assert len(connections) == run
            await connections[-1].wait()
