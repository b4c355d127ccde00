"""Confidential values (``$stash``, secrets): AES-GCM under the installation's key, bound to their place (SPEC §4).

The key is kept outside the database: in the environment, or in a file beside the store that only its owner may read.
An encrypted value begins with the fingerprint of its key, so that a wrong key can be told from damaged data. While the
key is being changed (:mod:`~aloma_py.store.rotation`), and after, what an older one encrypted can still be read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from aloma_py.errors import StoreError
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json

KEY_VARIABLE: Final = "ALOMA_STASH_KEY"
"""The environment variable that holds the key, 32 bytes as base64."""

OLD_KEY_VARIABLE: Final = "ALOMA_STASH_KEY_OLD"
"""The environment variable that holds the key before it, while values are left that it encrypted."""

KEY_BYTES: Final = 32
FINGERPRINT: Final = 8
"""How many bytes at the beginning of an encrypted value name its key."""
_NONCE = 12


class StashCipher:
    """Encrypts and decrypts confidential values with ``key`` (32 bytes; otherwise ``StoreError``).

    What one of the keys ``before`` encrypted is decrypted too; nothing is encrypted with them any more. Where there is
    a ``refusal``, nothing is encrypted at all: it is the ``StoreError`` that is raised instead.
    """

    def __init__(self, key: bytes, before: Iterable[bytes] = (), refusal: str = "") -> None:
        self.refusal = refusal
        self.keys = (key, *(one for one in before if one != key))
        for one in self.keys:
            if len(one) != KEY_BYTES:
                raise StoreError(f"the key for $stash has {len(one)} bytes; {KEY_BYTES} were expected")
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # here, since most runs stash nothing

        self._id = _key_id(key)
        self._by_id = {_key_id(one): AESGCM(one) for one in self.keys}
        self._aead = self._by_id[self._id]

    @property
    def fingerprint(self) -> str:
        """Names the key without giving it away: 16 hexadecimal digits."""
        return self._id.hex()

    @property
    def fingerprints(self) -> frozenset[bytes]:
        """Those of all keys that can be decrypted with, as they stand at the beginning of a value."""
        return frozenset(self._by_id)

    def encrypt(self, task_id: str, values: Mapping[str, Json]) -> bytes:
        """The values as bytes that only this key and this task's id can read."""
        return self._seal(task_id, dumps(dict(values)).encode())

    def decrypt(self, task_id: str, blob: bytes) -> dict[str, Json]:
        """The values that :meth:`encrypt` was given.

        Raises :class:`~aloma_py.errors.StoreError` for another key, another task's bytes, or damaged ones.
        """
        text = self._open(task_id, blob, f"the $stash of task {task_id}", "belongs to another task")
        try:
            values: dict[str, Any] = loads(text)
        except ValueError as error:
            raise StoreError(f"the $stash of task {task_id} is damaged, or belongs to another task") from error
        return values

    def seal(self, place: str, text: str) -> bytes:
        """The text as bytes that only this key and this place (``"secret" + workspace + name``, say) can read."""
        return self._seal(place, text.encode())

    def unseal(self, place: str, blob: bytes, what: str) -> str:
        """The text that :meth:`seal` was given. ``what`` it is, is said in the ``StoreError`` where it cannot be."""
        return self._open(place, blob, what, "belongs elsewhere").decode()

    def again(self, place: str, blob: bytes, what: str) -> bytes:
        """What was encrypted for ``place`` (a task's id, for its ``$stash``), encrypted with the present key."""
        return self._seal(place, self._open(place, blob, what, "belongs elsewhere"))

    def _seal(self, place: str, text: bytes) -> bytes:
        if self.refusal:
            raise StoreError(self.refusal)
        nonce = os.urandom(_NONCE)
        return self._id + nonce + self._aead.encrypt(nonce, text, place.encode())

    def _open(self, place: str, blob: bytes, what: str, elsewhere: str) -> bytes:
        from cryptography.exceptions import InvalidTag

        aead = self._by_id.get(blob[:FINGERPRINT])
        if aead is None:
            raise StoreError(
                f"{what} was encrypted with the key {blob[:FINGERPRINT].hex()}, but the key here is {self.fingerprint}"
            )
        nonce, text = blob[FINGERPRINT : FINGERPRINT + _NONCE], blob[FINGERPRINT + _NONCE :]
        try:
            return aead.decrypt(nonce, text, place.encode())
        except (InvalidTag, ValueError) as error:
            raise StoreError(f"{what} is damaged, or {elsewhere}") from error


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"aloma_py stash key" + key).digest()[:FINGERPRINT]


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
        return parse_key(given, f"the environment variable {KEY_VARIABLE}")
    if store is None:
        return secrets.token_bytes(KEY_BYTES)
    path = key_file(store)
    try:
        return parse_key(path.read_text(encoding="ascii"), f"the key file {path}")
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"the key file {path} cannot be read: {error}") from error
    return _create(path)


def new_key_file(store: Path) -> Path:
    """Where the next key is kept while values are brought from the present one to it."""
    return store.with_name(store.name + ".key.new")


def old_keys_file(store: Path) -> Path:
    """Where the keys before the present one are kept, one a line, the newest first."""
    return store.with_name(store.name + ".key.old")


def load_keys(store: Path | None) -> tuple[bytes, ...]:
    """The key (see :func:`load_or_create_key`), and behind it the others that values may be encrypted with."""
    key = load_or_create_key(store)
    others: list[bytes] = []
    given = os.environ.get(OLD_KEY_VARIABLE)
    if given:
        others.append(parse_key(given, f"the environment variable {OLD_KEY_VARIABLE}"))
    if store is not None:
        for path in (new_key_file(store), old_keys_file(store)):
            others += read_keys(path)
    return key, *others


def read_keys(path: Path) -> list[bytes]:
    """The keys in a file, one a line; none where there is no file."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"the key file {path} cannot be read: {error}") from error
    return [parse_key(line, f"the key file {path}") for line in lines if line.strip()]


def write_keys(path: Path, keys: Iterable[bytes]) -> None:
    """Write a file of keys, whole or not at all, on disk on return and readable by its owner only."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    _write(part, keys)
    try:
        part.replace(path)
        sync_folder(path)
    except OSError as error:
        raise StoreError(f"the key file {path} cannot be written: {error}") from error


def _create(path: Path) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    _write(path, [key])
    return key


def _write(path: Path, keys: Iterable[bytes]) -> None:
    try:
        # Exclusive, and for its owner alone from the first moment.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.writelines(base64.b64encode(key).decode() + "\n" for key in keys)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path)
    except OSError as error:
        raise StoreError(f"the key file {path} cannot be made: {error}") from error


def sync_folder(path: Path) -> None:
    """Have the name ``path`` survive a power loss too."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def parse_key(text: str, where: str) -> bytes:
    """The key that base64 text holds; ``StoreError``, naming ``where`` it stands, for one that is none."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise StoreError(f"{where} holds no key: base64 of {KEY_BYTES} bytes was expected") from error
    if len(key) != KEY_BYTES:
        raise StoreError(f"{where} holds a key of {len(key)} bytes; base64 of {KEY_BYTES} bytes was expected")
    return key
