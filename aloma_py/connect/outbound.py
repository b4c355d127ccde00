"""Connections that connectors make outwards: made of what takes long to make once, and kept from where they may not go.

A step's text decides which address is asked, so that an address that only the machine itself is to reach (the cloud's
metadata service, above all, which gives away credentials) must be refused here: by the address that is connected to,
after the name was looked up, since a name may mean one address now and another in the next moment.
"""

from __future__ import annotations

import socket
import ssl
import urllib.request
from collections.abc import Iterable
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

import anyio
import httpcore2
import httpx2

from aloma_py.errors import InputError
from aloma_py.settings import Settings

Network = IPv4Network | IPv6Network

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as a network without IPv4 writes them."""


@cache
def ssl_context() -> ssl.SSLContext:
    """The certificates that are believed, read once: that takes about 15 ms, in which the engine would stand still."""
    return httpx2.create_ssl_context()


def read_networks(text: str) -> tuple[Network, ...]:
    """Networks or addresses with commas between them; :class:`~aloma_py.errors.InputError` for anything else."""
    try:
        return tuple(ip_network(one.strip(), strict=False) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise InputError(f"the setting refused_addresses: {error}; networks like 10.0.0.0/8 were expected") from None


class Refusing(httpcore2.AsyncNetworkBackend):
    """Connects to what a name means, unless that is in one of the ``networks``."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:  # fmt: skip
        failed: Exception | None = None
        for address in await self._addresses(host, port, timeout):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore2.ConnectError(f"there is no address for {host}")

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.ConnectError("a socket of this machine is not reached from here")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)

    async def _addresses(self, host: str, port: int, timeout: float | None) -> list[str]:
        """What the name means, all of it allowed: a name that means a refused address too is a trap."""
        try:
            with anyio.fail_after(timeout):
                found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host} was not found in time") from error
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        for address in addresses:
            if is_refused(address, self._networks):
                raise httpcore2.ConnectError(
                    f"{host} is at {address}, where connectors may not go (see the setting refused_addresses)"
                )
        return addresses


def is_refused(text: str, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of the networks, also where it is written as another that leads to the same."""
    address = ip_address(text.partition("%")[0])
    meant = {address, _as_ipv4(address)}
    if any(one is not None and one.is_unspecified for one in meant):  # to connect to it leads to this machine
        meant |= {IPv4Address("127.0.0.1"), IPv6Address("::1")}
    return any(one in network for one in meant if one is not None for network in networks)


def refused_networks() -> tuple[Network, ...]:
    """The networks that nothing goes to that is not asked for on this machine."""
    return read_networks(Settings.model_validate({}).refused_addresses)


def _as_ipv4(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


class _Transport(httpx2.AsyncHTTPTransport):
    """httpx2's own, with connections made by ``backend``, for which it has no argument."""

    def __init__(self, backend: httpcore2.AsyncNetworkBackend, limits: httpx2.Limits) -> None:
        super().__init__(verify=ssl_context(), limits=limits)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context(),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=backend,
        )


LIMITS: Final = httpx2.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=15)


def client(transport: httpx2.AsyncBaseTransport | None = None, **options: Any) -> httpx2.AsyncClient:
    """A client for a connector to keep, and to close. ``transport`` is in place of the network, for tests.

    It keeps no cookies: what one task's answer sets would be sent with another's request.
    Where the environment names a proxy (``HTTPS_PROXY`` …), that one connects, and decides where to.
    """
    if transport is None and not urllib.request.getproxies():
        transport = _Transport(Refusing(refused_networks()), LIMITS)
    jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx2.AsyncClient(transport=transport, verify=ssl_context(), limits=LIMITS, cookies=jar, **options)
