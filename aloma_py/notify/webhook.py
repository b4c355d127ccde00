"""Webhooks that are told: a signed POST, as Standard Webhooks describes it."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import replace
from typing import Final
from urllib.parse import unquote, urlsplit

import anyio
import httpx2

from aloma_py.connect.outbound import client
from aloma_py.errors import InputError
from aloma_py.models import Millis
from aloma_py.notify.digest import one_line
from aloma_py.notify.outcome import TIMEOUT, Outcome
from aloma_py.run.redaction import SHORTEST_FORM, Redactor

SECRET_PREFIX: Final = "whsec_"
GONE: Final = 410
"""The status by which a receiver says that it wants nothing more."""

_READ: Final = 300
"""How many bytes of an answer are looked at."""

_LONG: Final = 10
"""Characters of a part of an address that is taken for a secret by itself: `services` is none."""


def new_secret() -> str:
    """A secret to sign with: ``whsec_`` and 32 random bytes as base64."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(text: str) -> str:
    """The secret, or :class:`~aloma_py.errors.InputError`, which does not show it."""
    try:
        length = len(_key(text.strip()))
    except (ValueError, binascii.Error):
        length = 0
    if not 24 <= length <= 64:
        raise InputError("the secret must be whsec_ and the base64 of 24 to 64 bytes; without one, one is made")
    return text.strip()


def _key(secret: str) -> bytes:
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError
    return base64.b64decode(secret[len(SECRET_PREFIX) :], validate=True)


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and the base64 of the HMAC-SHA256 over ``ID.TIMESTAMP.BODY``; ``timestamp`` in seconds."""
    made = hmac.digest(_key(secret), f"{id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(made).decode()}"


def make_headers(id: str, now: Millis, body: bytes, secret: str | None) -> dict[str, str]:
    """The headers of a delivery; without ``secret`` it is not signed. ``id`` stays the same when it is tried again."""
    timestamp = now // 1000
    headers = {
        "content-type": "application/json",
        "user-agent": "aloma_py",
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
    }
    if secret is not None:
        headers["webhook-signature"] = sign(secret, id, timestamp, body)
    return headers


async def post_webhook(
    url: str,
    body: bytes,
    headers: dict[str, str],
    transport: httpx2.AsyncBaseTransport | None = None,
) -> Outcome:
    """Deliver to a webhook: 2xx is delivered, 410 is final. No redirect is followed; it takes 30 seconds at most.

    What stands behind the host in ``url`` is often a secret, and servers repeat it: it is hidden in the answer.
    """
    outcome = await _post(url, body, headers, transport)
    return replace(outcome, answer=Redactor(_places(url)).text(outcome.answer))


def _places(url: str) -> list[str]:
    """The parts of an address that are not to be shown."""
    parts = urlsplit(url)
    path = parts.path.strip("/")
    whole = [unquote(one) for one in (path, parts.query)]
    each = [one for one in re.split("[/&=]", "/".join(whole)) if len(one) >= _LONG]
    return [one for one in (path, parts.query, *whole, *each) if len(one) >= SHORTEST_FORM]


async def _post(url: str, body: bytes, headers: dict[str, str], transport: httpx2.AsyncBaseTransport | None) -> Outcome:
    host = urlsplit(url).netloc
    try:
        with anyio.fail_after(TIMEOUT):
            async with (
                client(transport, follow_redirects=False, timeout=TIMEOUT) as http,
                http.stream("POST", url, content=body, headers=headers) as response,
            ):
                said = await _beginning(response)
    except TimeoutError:
        return Outcome(False, f"{host} did not answer within {TIMEOUT} s")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
        text = one_line(str(error)) or type(error).__name__
        return Outcome(False, f"{host}: {text}")
    answer = " ".join(part for part in (f"{response.status_code} {response.reason_phrase}".strip(), said) if part)
    if response.is_success:
        return Outcome(True, answer)
    if response.is_redirect:
        answer = f"{response.status_code}: it leads elsewhere, which is not followed; give that address instead"
    return Outcome(False, f"{host} answered {answer}", response.status_code == GONE, _asked_to_wait(response))


async def _beginning(response: httpx2.Response) -> str:
    """The first line of what the receiver says, as far as it is text."""
    read = b""
    async for chunk in response.aiter_raw():
        read += chunk
        if len(read) >= _READ:
            break
    if response.headers.get("content-encoding"):
        return ""
    return one_line(read[:_READ].decode("utf-8", "replace"))


def _asked_to_wait(response: httpx2.Response) -> Millis:
    after = response.headers.get("retry-after", "")
    return int(after) * 1000 if after.isascii() and after.isdigit() and len(after) <= 6 else 0
