"""Confidential values of a task (``$stash``): AES-GCM under the installation's key, bound to the task's id (SPEC §4).

The key is kept outside the database: in the environment, or in a file beside the store that only its owner may read.
An encrypted value begins with the fingerprint of its key, so that a wrong key can be told from damaged data.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aloma_py.errors import StoreError
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json

KEY_VARIABLE: Final = "ALOMA_STASH_KEY"
"""The environment variable that holds the key, 32 bytes as base64."""

KEY_BYTES: Final = 32
_FINGERPRINT = 8
_NONCE = 12


class StashCipher:
    """Encrypts and decrypts ``$stash`` values with ``key`` (32 bytes; otherwise ``StoreError``)."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise StoreError(f"the key for $stash has {len(key)} bytes; {KEY_BYTES} were expected")
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # here, since most runs stash nothing

        self._aead = AESGCM(key)
        self._id = hashlib.sha256(b"aloma_py stash key" + key).digest()[:_FINGERPRINT]

    @property
    def fingerprint(self) -> str:
        """Names the key without giving it away: 16 hexadecimal digits."""
        return self._id.hex()

    def encrypt(self, task_id: str, values: Mapping[str, Json]) -> bytes:
        """The values as bytes that only this key and this task's id can read."""
        nonce = os.urandom(_NONCE)
        return self._id + nonce + self._aead.encrypt(nonce, dumps(dict(values)).encode(), task_id.encode())

    def decrypt(self, task_id: str, blob: bytes) -> dict[str, Json]:
        """The values that :meth:`encrypt` was given.

        Raises :class:`~aloma_py.errors.StoreError` for another key, another task's bytes, or damaged ones.
        """
        from cryptography.exceptions import InvalidTag

        if blob[:_FINGERPRINT] != self._id:
            raise StoreError(
                f"the $stash of task {task_id} was encrypted with the key {blob[:_FINGERPRINT].hex()}, "
                f"but the key here is {self.fingerprint}"
            )
        nonce, text = blob[_FINGERPRINT : _FINGERPRINT + _NONCE], blob[_FINGERPRINT + _NONCE :]
        try:
            values: dict[str, Any] = loads(self._aead.decrypt(nonce, text, task_id.encode()))
        except (InvalidTag, ValueError) as error:
            raise StoreError(f"the $stash of task {task_id} is damaged, or belongs to another task") from error
        return values


def mask(values: Mapping[str, Json]) -> dict[str, str]:
    """What everybody but step code sees: each member's type.

    >>> mask({"token": "s3cret", "pin": 7, "card": {"number": "…"}})
    {'token': 'String', 'pin': 'Number', 'card': 'Object'}
    """
    return {name: type_name(value) for name, value in values.items()}


def type_name(value: Json) -> str:
    """How a hidden value is shown: ``String Number Boolean Array Object Null``."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, (int, float)):
        return "Number"
    if isinstance(value, str):
        return "String"
    return "Array" if isinstance(value, (list, tuple)) else "Object"


def key_file(store: Path) -> Path:
    """Where the key of the store at ``store`` is kept."""
    return store.with_name(store.name + ".key")


def load_or_create_key(store: Path | None) -> bytes:
    """The key: of the environment (:data:`KEY_VARIABLE`), else of the file beside the store, made where it is missing.

    ``None`` (a store in memory) gives a random key where the environment has none. Raises
    :class:`~aloma_py.errors.StoreError` where what is there is no key.
    """
    given = os.environ.get(KEY_VARIABLE)
    if given:
        return _parse(given, f"the environment variable {KEY_VARIABLE}")
    if store is None:
        return secrets.token_bytes(KEY_BYTES)
    path = key_file(store)
    try:
        return _parse(path.read_text(encoding="ascii"), f"the key file {path}")
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"the key file {path} cannot be read: {error}") from error
    return _create(path)


def _create(path: Path) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    try:
        # Exclusive, and for its owner alone from the first moment.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(base64.b64encode(key).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(path.parent, os.O_RDONLY)  # the name is to survive a power loss too
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreError(f"the key file {path} cannot be made: {error}") from error
    return key


def _parse(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise StoreError(f"{where} holds no key: base64 of {KEY_BYTES} bytes was expected") from error
    if len(key) != KEY_BYTES:
        raise StoreError(f"{where} holds a key of {len(key)} bytes; base64 of {KEY_BYTES} bytes was expected")
    return key
