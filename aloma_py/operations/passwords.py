"""Passwords and tokens: which are good enough, and what is kept of them."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from aloma_py.errors import InputError

SHORTEST, LONGEST = 12, 1024
"""Characters of a password."""

_AT_ONCE: Final = 2
"""Passwords that are hashed at the same time: each takes 64 MB and a fifth of a second."""

_WORDS: Final = """
password passwort passphrase passw pass motdepasse contrasena admin administrator root user login welcome letmein
changeme secret default test testing guest master qwerty qwertz azerty iloveyou monkey dragon sunshine princess
football baseball superman batman trustno shadow michael jordan hunter summer winter spring autumn monday automation
aloma workflow correct horse battery staple correcthorsebatterystaple qwertyuiop qwertzuiop asdfghjkl asdf zxcvbnm
yxcvbnm company office internet computer
"""
_COMMON: Final = frozenset(_WORDS.split())
_LEET: Final = str.maketrans("013457@$!", "oieastasi")
_ROWS: Final = tuple(
    row + row[::-1]
    for row in ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm",
                "qwertzuiopasdfghjklyxcvbnm", "1q2w3e4r5t6y7u8i9o0p", "1qaz2wsx3edc4rfv5tgb6yhn7ujm")
)  # fmt: skip


def check_password(password: str, *about: str) -> None:
    """Refuse a password that would be guessed; ``about`` are texts on the person that it is not to be made of.

    Raises :class:`~aloma_py.errors.InputError` with the reason, in which the password is not shown.
    """
    if len(password) < SHORTEST:
        raise InputError(f"the password has {len(password)} characters; at least {SHORTEST} are needed")
    if len(password) > LONGEST:
        raise InputError(f"the password is longer than {LONGEST:,} characters")
    plain = password.casefold()
    if plain.isdecimal():
        raise InputError("the password is a number; take a phrase of your own")
    if len(set(plain)) < 5 or re.fullmatch(r"(.{1,12}?)\1+.{0,4}", plain, re.DOTALL):
        raise InputError("the password is the same few characters again and again; take a phrase of your own")
    if any(plain in row for row in _ROWS):
        raise InputError("the password follows the keyboard or the alphabet; take a phrase of your own")
    known = _COMMON | {part for text in about for part in re.split(r"[\W_]+", text.casefold()) if len(part) > 2}
    words = {part.strip("0123456789") for part in re.split(r"[\W_]+", plain)} - {""}
    joined = re.sub(r"[\W_]", "", plain.strip("0123456789!?.,*#").translate(_LEET))
    halves = {frozenset((joined[:at], joined[at:])) for at in range(len(joined))}  # the whole is one of them
    if (words and words <= known) or any(half <= known | {""} for half in halves):
        raise InputError("the password is made of words that are tried first; take a phrase of your own")


class Hasher:
    """Hashes passwords with argon2id, in threads, so that others are answered meanwhile."""

    def __init__(self, argon2: PasswordHasher | None = None) -> None:
        self._argon2 = argon2 or PasswordHasher()
        self._room = anyio.CapacityLimiter(_AT_ONCE)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        return await anyio.to_thread.run_sync(self._argon2.hash, _encoded(password), limiter=self._room)

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether that is the password. Without ``encoded`` it is not, and finding out takes as long."""
        return await anyio.to_thread.run_sync(self._verify, encoded, password[:LONGEST], limiter=self._room)

    def _verify(self, encoded: str | None, password: str) -> bool:
        if self._nobodys is None:
            self._nobodys = self._argon2.hash(secrets.token_urlsafe())
        try:
            self._argon2.verify(self._nobodys if encoded is None else encoded, _encoded(password))
        except (Argon2Error, InvalidHashError):
            return False
        return encoded is not None


def _encoded(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def new_token(prefix: str) -> tuple[str, bytes]:
    """A token that cannot be guessed, and its hash, which is what is kept."""
    token = f"{prefix}_{secrets.token_urlsafe(32)}"
    return token, hash_token(token)


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
