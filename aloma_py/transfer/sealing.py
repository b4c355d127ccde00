"""Secrets in an export: AES-256-GCM under a key that scrypt makes of a passphrase.

Each value is bound to its place, so that one cannot be put where another belongs. What scrypt was asked for stands in
the file, with a value by which a wrong passphrase is known before anything else is tried.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import Final

import msgspec

from aloma_py.errors import InputError

SHORTEST: Final = 8
"""Characters of a passphrase."""

_N, _R, _P = 2**16, 8, 2  # 64 MB and about a quarter of a second
_MOST_MEMORY: Final = 512 * 1024 * 1024
_MOST_WORK: Final = 2**25
_NONCE: Final = 12
_CHECK: Final = "passphrase"


class Encryption(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the manifest says of the encryption: scrypt's parameters, its salt, and the value that is tried first."""

    kdf: str = "scrypt"
    cipher: str = "AES-256-GCM"
    n: int = _N
    r: int = _R
    p: int = _P
    salt: str
    check: str = ""


class Sealer:
    """Encrypts texts for their places, and decrypts them."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # here, since most exports have no secrets

        self._aead = AESGCM(key)

    def seal(self, place: str, content: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, content, place.encode())

    def seal_text(self, place: str, text: str) -> str:
        return base64.b64encode(self.seal(place, text.encode())).decode()

    def unseal(self, place: str, sealed: bytes) -> bytes:
        """What :meth:`seal` was given. Raises :class:`~aloma_py.errors.InputError` for what it did not make."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
        except (InvalidTag, ValueError):
            raise InputError(f"the encrypted value of {place!r} is damaged, or belongs elsewhere") from None

    def unseal_text(self, place: str, text: str) -> str:
        try:
            return self.unseal(place, base64.b64decode(text, validate=True)).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise InputError(f"the encrypted value of {place!r} is damaged") from None


def check_passphrase(passphrase: str) -> None:
    """Refuse one that is too short to keep anything secret."""
    if len(passphrase) < SHORTEST:
        raise InputError(f"the passphrase has {len(passphrase)} characters; at least {SHORTEST} were expected")


def new_sealer(passphrase: str) -> tuple[Encryption, Sealer]:
    """A sealer with a new salt, and what the manifest is to say of it."""
    check_passphrase(passphrase)
    facts = Encryption(salt=base64.b64encode(os.urandom(16)).decode())
    sealer = Sealer(_key(facts, passphrase))
    facts.check = sealer.seal_text(_CHECK, _CHECK)
    return facts, sealer


def open_sealer(facts: Encryption, passphrase: str) -> Sealer:
    """The sealer of a file. Raises :class:`~aloma_py.errors.InputError` where the passphrase is another."""
    if (facts.kdf, facts.cipher) != ("scrypt", "AES-256-GCM"):
        raise InputError(f"the secrets are encrypted with {facts.kdf} and {facts.cipher}, which are not known here")
    n, r, p = facts.n, facts.r, facts.p
    right = n > 1 and n & (n - 1) == 0 and r > 0 and p > 0
    if not right or 128 * n * r > _MOST_MEMORY or n * r * p > _MOST_WORK:
        raise InputError(f"scrypt is asked for with n={n}, r={r}, p={p}, which is not done here")
    sealer = Sealer(_key(facts, passphrase))
    try:
        sealer.unseal_text(_CHECK, facts.check)
    except InputError:
        raise InputError("the passphrase is not the one that the file's secrets were encrypted with") from None
    return sealer


def _key(facts: Encryption, passphrase: str) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    try:
        salt = base64.b64decode(facts.salt, validate=True)
        return Scrypt(salt=salt, length=32, n=facts.n, r=facts.r, p=facts.p).derive(passphrase.encode())
    except (binascii.Error, ValueError, UnicodeError) as error:
        raise InputError(f"no key can be made of the passphrase: {error}") from None
