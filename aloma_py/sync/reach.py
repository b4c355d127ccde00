"""Where git may not go: connections that the setting ``refused_addresses`` forbids are closed before a word is said.

They are looked at when they are there: what a name meant a moment before does not count.
"""

from __future__ import annotations

import socket
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from aloma_py.connect.outbound import is_refused, refused_networks
from aloma_py.sync.errors import SourceError


def allowed(link: socket.socket, place: str) -> socket.socket:
    """The connection to ``place``, or :class:`~aloma_py.sync.errors.SourceError`."""
    address = str(link.getpeername()[0])
    if is_refused(address, refused_networks()):
        link.close()
        raise SourceError(f"{place} is at {address}, where git may not go (see the setting refused_addresses)")
    return link


def watch(manager: Any) -> None:
    """Have the connections of urllib3's ``manager`` looked at; not those to a proxy, which decides where it goes."""
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}


class _Http(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        link = super()._new_conn()
        return link if self.proxy is not None else allowed(link, self.host)


class _Https(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        link = super()._new_conn()
        return link if self.proxy is not None else allowed(link, self.host)


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls: Any = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls: Any = _Https
