"""Git over https: as dulwich speaks it, but never to another host, and no further than the limits."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urljoin

import urllib3
from dulwich.client import Urllib3HttpGitClient, default_urllib3_manager

from aloma_py.sync.address import Address
from aloma_py.sync.errors import SourceError
from aloma_py.sync.packs import MAX_BYTES, too_large
from aloma_py.sync.reach import watch
from aloma_py.sync.stopping import Stop

WAIT: Final = 30.0
"""Seconds that the other side may be silent."""

REDIRECTS: Final = 3

_ADVERTISED: Final = "application/x-git-"


def web_client(address: Address, credentials: Any, stop: Stop) -> Urllib3HttpGitClient:
    """A client of the repository at ``address``."""
    headers = {}
    user = credentials.user or address.user
    if credentials.password or user:
        # A token alone is enough for GitHub, GitLab and Gitea: they take any name with it.
        pair = f"{user or 'git'}:{credentials.password or ''}".encode()
        headers["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return _Client(address, headers, stop)


class _Client(Urllib3HttpGitClient):
    def __init__(self, address: Address, headers: dict[str, str], stop: Stop) -> None:
        # Without git's configuration: neither this machine's nor its user's is to change what is asked for.
        pool = default_urllib3_manager(None, base_url=address.url)
        watch(pool)
        super().__init__(address.url, pool_manager=pool, config=None, quiet=True)
        self._address = address
        self._headers = headers
        self._stop = stop
        self._read = 0

    def _get_url(self, path: str | bytes) -> str:
        return self._base_url

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        raise_for_status: bool = True,
    ) -> Any:
        """One request, and where it is answered by "go there" on the same host, the next one."""
        asked, place = url, self._address.place
        for _ in range(REDIRECTS + 1):
            if self._origin(url) != self._origin(self._address.url):
                raise SourceError(f"{place} sends on to another host; give the repository's own address as url")
            answer: Any = self._ask(url, headers, data)
            where = answer.headers.get("Location")
            if answer.status not in (301, 302, 303, 307, 308) or not where:
                break
            answer.close()
            if data is not None:
                raise SourceError(f"{place} sends on what was to be sent to it; give the repository's own address")
            url = urljoin(url, where)
        else:
            raise SourceError(f"{place} sends on without end")
        self._check(answer, place)
        answer.content_type = answer.headers.get("Content-Type")
        answer.redirect_location = url if url != asked else ""
        return answer, self._reading(answer)

    def _ask(self, url: str, headers: dict[str, str] | None, data: Any) -> Any:
        told = {**dict(self.pool_manager.headers), **(headers or {}), **self._headers, "Pragma": "no-cache"}
        wait = self._stop.left(WAIT)
        try:
            answer = self.pool_manager.request(
                "GET" if data is None else "POST", url, body=data, headers=told, preload_content=False, redirect=False,
                retries=False, timeout=urllib3.Timeout(connect=min(wait, 15), read=wait),
            )  # fmt: skip
        except urllib3.exceptions.HTTPError as error:
            self._stop.check()
            raise _told(error, self._address.place) from error
        self._stop.closing(answer.close)
        return answer

    def _check(self, answer: Any, place: str) -> None:
        status = answer.status
        if status == 200:
            kind = answer.headers.get("Content-Type") or "nothing said"
            if kind.startswith(_ADVERTISED):
                return
            why = f"{self._address.url} is no git repository: it answered with {kind[:80]}"
        elif status in (401, 403):
            why = (
                f"{place} refused the user and password (or token): {status}"
                if "authorization" in self._headers
                else f"{place} wants a user and a password or token: {status}"
            )
        elif status == 404:
            hint = "" if "authorization" in self._headers else "; a private one needs a password or token"
            why = f"there is no git repository at {self._address.url}, or it must not be seen{hint}"
        else:
            why = f"{place} answered {status}"
        answer.close()
        raise SourceError(why)

    def _reading(self, answer: Any) -> Callable[[int], bytes]:
        def read(size: int) -> bytes:
            self._stop.check()
            try:
                data: bytes = answer.read(size)
            except urllib3.exceptions.HTTPError as error:
                self._stop.check()
                raise _told(error, self._address.place) from error
            self._read += len(data)
            if self._read > MAX_BYTES + MAX_BYTES // 10:  # with the list of branches, and the protocol's own
                raise too_large()
            return data

        return read


def _told(error: Exception, place: str) -> SourceError:
    inner = getattr(error, "reason", None) or error.__cause__ or error
    match error:
        case urllib3.exceptions.SSLError():
            verified = error.args[0] if error.args and isinstance(error.args[0], ssl.SSLError) else None
            why = getattr(verified, "verify_message", None) or "TLS failed"
            return SourceError(f"{place} has no certificate that can be trusted: {why}")
        case urllib3.exceptions.ProxyError():
            return SourceError(f"{place} cannot be reached through the proxy")
        case urllib3.exceptions.NameResolutionError():
            return SourceError(f"{place} cannot be reached: there is no host of that name")
        case urllib3.exceptions.NewConnectionError():
            inner = error.__cause__ or error
        case urllib3.exceptions.TimeoutError():
            return SourceError(f"{place} did not answer in time")
    reason = inner.strerror if isinstance(inner, OSError) and inner.strerror else type(inner).__name__
    return SourceError(f"{place} cannot be reached: {reason}")
