"""Where a repository is: ``https://…``, ``ssh://…``, ``user@host:path``, or a folder of this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from aloma_py.errors import InputError
from aloma_py.hosts import is_loopback

LONGEST: Final = 2_000

EXPECTED: Final = "https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH was expected"

_BAD: Final = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHORT: Final = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\]):(?P<path>.+)")


@dataclass(frozen=True, slots=True)
class Address:
    """``kind`` is ``http``, ``https``, ``ssh`` or ``file``; ``url`` has neither user nor password in it."""

    kind: str
    url: str
    path: str
    host: str = ""
    port: int | None = None
    user: str | None = None

    @property
    def origin(self) -> tuple[str, str, int | None]:
        """Whom credentials are given to."""
        return self.kind, self.host, self.port

    @property
    def place(self) -> str:
        """What the other side is called in messages."""
        return self.host or self.path


def read_address(text: str, *, local: bool = False) -> Address:
    """What ``text`` means; ``local`` says that folders of this machine may be read.

    Raises :class:`~aloma_py.errors.InputError`, whose text never repeats what could be a password.
    """
    if not text or len(text) > LONGEST or _BAD.search(text):
        raise InputError(f"the url is empty, too long, or has blanks in it: {EXPECTED}")
    if text.startswith(("/", "file://")):
        return _folder(text, local)
    if "://" not in text:
        return _short(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InputError(f"the url cannot be read: {EXPECTED}") from None
    if parts.scheme == "git":
        raise InputError(
            "git:// is refused: it is not encrypted, and nothing shows that the answer comes from that host; "
            "use https:// or ssh://"
        )
    if parts.scheme not in ("https", "http", "ssh"):
        raise InputError(f"the url begins with {parts.scheme[:20]}://: {EXPECTED}")
    if parts.password is not None:
        raise _password_inside()
    if parts.query or parts.fragment:
        raise InputError("the url has a ? or # in it: the repository's plain address was expected")
    host, path = (parts.hostname or "").lower(), unquote(parts.path)
    if not host or not path.strip("/"):
        raise InputError(f"the url names no host, or no repository there: {EXPECTED}")
    if parts.scheme == "http" and not is_loopback(host):
        raise InputError(
            f"http:// to {host} is refused: password and steps could be read and changed on the way; use https://"
        )
    named = f"[{host}]" if ":" in host else host
    if port is not None:
        named += f":{port}"
    user = unquote(parts.username) if parts.username else None
    return Address(parts.scheme, f"{parts.scheme}://{named}{parts.path}", path, host, port, user)


def _folder(text: str, local: bool) -> Address:
    if not local:
        raise InputError(
            "a folder of the server is read only for whoever asks on its machine, beside the store: "
            f"{EXPECTED}, or `aloma-py workspace source --repo {text[:100]}` there"
        )
    path = text.removeprefix("file://") if text.startswith("file://") else text
    if not path.startswith("/"):
        raise InputError("a folder is given by its whole path: /PATH or file:///PATH was expected")
    return Address("file", path, path)


def _short(text: str) -> Address:
    found = _SHORT.fullmatch(text)
    if found is None:
        raise InputError(f"this is no address of a git repository: {EXPECTED}")
    host, path, user = found["host"].strip("[]").lower(), found["path"], found["user"]
    if user is None and "@" in path:
        raise _password_inside()
    if path.startswith("-"):
        raise InputError(f"the path begins with '-': {EXPECTED}")
    return Address("ssh", f"{found['host'].lower()}:{path}", path, host, None, user)


def _password_inside() -> InputError:
    return InputError(
        "the url has a password in it, which would be shown with it: leave it out of the url and give it as password"
    )
