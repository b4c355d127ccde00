"""What a git host tells of pushes: GitHub, GitLab, Gitea (and Forgejo), Bitbucket. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from aloma_py.errors import AlomaError
from aloma_py.intake.signatures import Signature, is_signed
from aloma_py.jsontext import loads
from aloma_py.models import Millis

SIGNATURES: Final = (
    Signature("github", "x-hub-signature-256", prefix="sha256="),  # GitHub, Gitea
    Signature("token", "x-gitlab-token"),
    Signature("hmac", "x-gitea-signature"),
    Signature("hmac", "x-hub-signature", prefix="sha256="),  # Bitbucket
)
"""The ways in which hosts show that they know the secret."""

READ: Final = 1_000_000
"""Bytes of a body that is read; what is longer is a push to who knows which branch."""

_HEADS: Final = "refs/heads/"
_FORM: Final = "application/x-www-form-urlencoded"


def is_from_host(secret: str, headers: Mapping[str, str], body: bytes, now: Millis) -> bool:
    """Whether whoever sent it knows ``secret``, in any of the hosts' ways; never where there is none."""
    return any([is_signed(one, secret, headers, body, now) for one in SIGNATURES])  # noqa: C419 - all take their time


def branches_of(body: bytes, headers: Mapping[str, str]) -> frozenset[str] | None:
    """The branches that were pushed to; ``None`` where the body does not say: then it may be any."""
    told = _read(body, headers)
    ref = told.get("ref")
    if isinstance(ref, str):
        return frozenset({ref.removeprefix(_HEADS)} if ref.startswith(_HEADS) else ())
    push = told.get("push")
    changes = push.get("changes") if isinstance(push, dict) else None
    if not isinstance(changes, list):
        return None
    found = set()
    for change in changes:
        sides = (change.get("new"), change.get("old")) if isinstance(change, dict) else ()
        for side in sides:
            if isinstance(side, dict) and side.get("type") == "branch" and isinstance(side.get("name"), str):
                found.add(side["name"])
    return frozenset(found)


def _read(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    if len(body) > READ:
        return {}
    try:
        text = body.decode().strip()
        if not text.startswith("{") and headers.get("content-type", "").startswith(_FORM):
            text = parse_qs(text, max_num_fields=20).get("payload", [""])[0]
        found = loads(text)
    except (ValueError, RecursionError, AlomaError):
        return {}
    return found if isinstance(found, dict) else {}
