"""Who can be told: addresses of mail, webhooks, and groups of both. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal
from urllib.parse import urlsplit

from aloma_py.durations import parse_duration
from aloma_py.errors import InputError
from aloma_py.hosts import is_loopback
from aloma_py.models import Millis

Kind = Literal["group", "address", "webhook"]

SHORTEST: Final[Millis] = 15 * 60_000
"""The shortest time between two digests, and what it is where nobody says otherwise."""

LONGEST: Final[Millis] = 24 * 3_600_000

MAX_TARGETS: Final = 50
"""How many addresses, and how many webhooks, a group may have."""

_ADDRESS: Final = re.compile(r"[^\s@:<>\"'(),;\\\[\]]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_NAME: Final = re.compile(r"[^\s/@:,](?:[^/@:,]*[^\s/@:,])?")


def kind_of(entry: str) -> Kind:
    """What an entry of a workspace's ``notification_groups`` names."""
    if "://" in entry:
        return "webhook"
    return "address" if "@" in entry else "group"


def check_address(text: str) -> str:
    """The address of mail, or :class:`~aloma_py.errors.InputError`. One that could be two, or a header, is none."""
    plain = text.strip()
    if len(plain) > 254 or not plain.isascii() or not plain.isprintable() or not _ADDRESS.fullmatch(plain):
        raise InputError(f"{text[:100]!r} is no mail address: NAME@HOST in ASCII was expected")
    return plain


def check_webhook(text: str) -> str:
    """The address of a webhook: https, or http to this machine. :class:`~aloma_py.errors.InputError` shows no more
    of it than the host: what stands behind is often a secret."""
    plain = text.strip()
    try:
        parts = urlsplit(plain)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if len(plain) > 2000 or not plain.isascii() or not plain.isprintable() or " " in plain or not host:
        raise InputError("a webhook's address has the form https://HOST/PLACE, in ASCII; something else was given")
    if parts.username is not None or parts.fragment:
        raise InputError(f"the address of the webhook at {host} has a user or a #; neither was expected")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise InputError(
            f"the webhook at {host} begins with {parts.scheme}://; https:// was expected (http:// for 127.0.0.1 only)"
        )
    return plain


def check_group_name(text: str) -> str:
    """A group's name: it stands in addresses, and in lists with commas."""
    plain = text.strip()
    if not 1 <= len(plain) <= 100 or not plain.isprintable() or not _NAME.fullmatch(plain) or plain in (".", ".."):
        raise InputError(
            f"the group's name {text[:100]!r} cannot be used: 1 to 100 printable characters were expected, without "
            "'/', '@', ':' and ','"
        )
    return plain


def check_every(given: str | int) -> Millis:
    """The time between two digests, in milliseconds."""
    every = parse_duration(given, "every")
    if not SHORTEST <= every <= LONGEST:
        raise InputError(f"every is {given!r}; from 15m to 24h was expected")
    return every


def check_targets(addresses: Iterable[str], webhooks: Iterable[str]) -> tuple[list[str], list[str]]:
    """Both, each once; at least one of either."""
    mails = list(dict.fromkeys(check_address(one) for one in addresses))
    hooks = list(dict.fromkeys(check_webhook(one) for one in webhooks))
    if not mails and not hooks:
        raise InputError("a group needs somebody to tell: give addresses of mail, or webhooks")
    for what, found in (("addresses", mails), ("webhooks", hooks)):
        if len(found) > MAX_TARGETS:
            raise InputError(f"{what} are {len(found)}; at most {MAX_TARGETS} were expected")
    return mails, hooks


def is_valid(entry: str) -> bool:
    """Whether an entry that names no group can be told."""
    check = {"address": check_address, "webhook": check_webhook}.get(kind_of(entry))
    if check is None:
        return False
    try:
        check(entry)
    except InputError:
        return False
    return True


def place_shown(target: str) -> str:
    """A target for those who may not know all of it: of a webhook's address only the host.

    >>> place_shown("https://hooks.example.com/services/T0/secret")
    'https://hooks.example.com/…'
    """
    if kind_of(target) != "webhook":
        return target
    parts = urlsplit(target)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}/…"


def untold(entries: Sequence[str], groups: Iterable[str]) -> list[str]:
    """Those entries by which nobody is told: no group has that name, or the address is none."""
    known = set(groups)
    return [entry for entry in entries if entry not in known and not is_valid(entry)]
