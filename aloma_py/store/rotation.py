"""The installation's key: noticing a wrong one, and going over to another.

Until everything is encrypted with the new key, both are kept (``….key.new`` beside ``….key``), and either can be read
with: whenever the process ends, nothing is lost, and the next server finishes what was begun. The key before stays in
``….key.old``, for tasks that were being advanced meanwhile, and for backups.
"""

from __future__ import annotations

import logging
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from aloma_py.errors import InputError, StoreError
from aloma_py.store.places import FINGERPRINTS, SEALED, Sealed
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.stash import (
    KEY_BYTES,
    KEY_VARIABLE,
    StashCipher,
    key_file,
    new_key_file,
    old_keys_file,
    parse_key,
    read_keys,
    sync_folder,
    write_keys,
)
from aloma_py.store.writer import Write

logger = logging.getLogger("aloma_py.store")

NEW_KEY_VARIABLE: Final = "ALOMA_STASH_KEY_NEW"
"""The environment variable that holds the next key, where the present one comes from the environment."""

BATCH: Final = 200
"""How many tasks' values are encrypted anew in one transaction: others write in between."""


_STASHES: Final = "SELECT count(*) FROM task WHERE stash IS NOT NULL AND substr(stash, 1, 8) <> ?"

Told = Callable[[int, int], None]
"""Is told of how many tasks of how many the values are encrypted anew."""


@dataclass(slots=True)
class Rotation:
    """What a rotation did. ``damaged`` says of values that no key could read; they are as they were."""

    before: str  # the fingerprint of the key until now
    fingerprint: str  # of the one from now on
    in_file: bool  # whether the new key is in the key file; else whoever gave it keeps it
    values: int = 0  # how many were encrypted anew
    damaged: list[str] = field(default_factory=list)


async def check_key(store: SQLiteStore) -> None:
    """Make sure that what is encrypted in ``store`` can be read with the key here; call it before anything is done.

    Finishes a rotation that was interrupted, and brings over what an older key encrypted. Raises
    :class:`~aloma_py.errors.StoreError` naming both fingerprints where a value was encrypted with another key.
    """
    found = await _fingerprints(store)
    pending = read_keys(new_key_file(store.path)) if store.path is not None and _from_file(store) else []
    if not found and not pending:
        return
    _refuse_missing(store, found)
    cipher = store.cipher
    _refuse_unknown(store, cipher, found)
    if pending:
        done = await rotate(store, pending[0])
        logger.info("the change to the key %s, which had been interrupted, is done", done.fingerprint)
    elif found - {bytes.fromhex(cipher.fingerprint)}:
        done = Rotation("", cipher.fingerprint, _from_file(store))
        await _bring_over(store, done)
        logger.info("%d values of an older key are encrypted with the key %s now", done.values, done.fingerprint)


async def rotate(store: SQLiteStore, new_key: bytes | None = None, told: Told = lambda done, of: None) -> Rotation:
    """Encrypt everything with ``new_key``; ``None`` takes the one of a rotation that was interrupted, or a random one.

    Where the key comes from the environment, the new one must be given, and whoever gave it must see to it that it is
    there at the next start. Raises :class:`~aloma_py.errors.InputError` for a key that cannot be taken,
    :class:`~aloma_py.errors.StoreError` where something was encrypted with a key that is not here; then nothing was
    changed.
    """
    found = await _fingerprints(store)
    _refuse_missing(store, found)
    cipher = store.cipher
    _refuse_unknown(store, cipher, found)
    in_file = _from_file(store)
    new = new_key or _next_key(store, in_file)
    after = StashCipher(new, cipher.keys)
    if after.fingerprint == cipher.fingerprint:
        raise InputError(f"the new key is the present one, {cipher.fingerprint}; another was expected")
    done = Rotation(cipher.fingerprint, after.fingerprint, in_file)
    if in_file and store.path is not None:
        write_keys(new_key_file(store.path), [new])
    store.use_cipher(after)  # from here on nothing is encrypted with the old key any more
    await _bring_over(store, done, told)
    if in_file and store.path is not None:
        _take_over(store.path, after)
    return done


def _take_over(store: Path, cipher: StashCipher) -> None:
    """Make the new key file the key file. In every moment in between, the files together hold all keys."""
    write_keys(old_keys_file(store), cipher.keys[1:])
    try:
        new_key_file(store).replace(key_file(store))
        sync_folder(key_file(store))
    except OSError as error:
        raise StoreError(
            f"the key file {key_file(store)} cannot be replaced: {error}; the next start does it"
        ) from error


def _next_key(store: SQLiteStore, in_file: bool) -> bytes:
    given = os.environ.get(NEW_KEY_VARIABLE)
    if given:
        return parse_key(given, f"the environment variable {NEW_KEY_VARIABLE}")
    if store.path is not None and not in_file:
        raise InputError(
            f"the key comes from the environment variable {KEY_VARIABLE}: give the new one (base64 of {KEY_BYTES} "
            f"random bytes) as new_key or in {NEW_KEY_VARIABLE}, and put it into {KEY_VARIABLE} afterwards"
        )
    pending = read_keys(new_key_file(store.path)) if store.path is not None else []
    return pending[0] if pending else secrets.token_bytes(KEY_BYTES)


def _from_file(store: SQLiteStore) -> bool:
    """Whether the key is in the file beside the store, and so is the next one."""
    return store.path is not None and not store.key_given and not os.environ.get(KEY_VARIABLE)


def _refuse_missing(store: SQLiteStore, found: Iterable[bytes]) -> None:
    """Not to make a new key file where the one that is needed has got lost."""
    if store.path is not None and _from_file(store) and found and not key_file(store.path).exists():
        names = ", ".join(sorted(one.hex() for one in found))
        raise StoreError(
            f"the store {store.place} holds values that were encrypted with the key {names}, but there is no key file "
            f"{key_file(store.path)}: put it there, or the key into {KEY_VARIABLE}"
        )


def _refuse_unknown(store: SQLiteStore, cipher: StashCipher, found: Iterable[bytes]) -> None:
    unknown = sorted(one.hex() for one in set(found) - cipher.fingerprints)
    if unknown:
        where = f"in {key_file(store.path)}" if store.path is not None and _from_file(store) else "given"
        raise StoreError(
            f"the store {store.place} holds values that were encrypted with the key {', '.join(unknown)}, but the key "
            f"{where} is {cipher.fingerprint}: give the right one in that file or in {KEY_VARIABLE}"
        )


async def _fingerprints(store: SQLiteStore) -> set[bytes]:
    """Of the keys that something in the store is encrypted with."""
    return await store.read(fingerprints_in)


def fingerprints_in(connection: sqlite3.Connection) -> set[bytes]:
    """Of the keys that something in a store is encrypted with: the beginnings of what is encrypted."""
    return {one for (one,) in connection.execute(FINGERPRINTS)}


# ── encrypting anew ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _bring_over(store: SQLiteStore, done: Rotation, told: Told = lambda done, of: None) -> None:
    """Encrypt with the present key what others have encrypted, in small transactions; whatever is done stays done."""
    cipher = store.cipher
    present = bytes.fromhex(cipher.fingerprint)
    for one in SEALED:
        done.values += await _in_writer(store, partial(_table_again, one, cipher, present, done))
    (tasks,) = await store.read(lambda connection: connection.execute(_STASHES, (present,)).fetchone())
    others = done.values
    for old in await _fingerprints(store) - {present}:
        last: int | None = 0
        while last is not None:
            number, last = await _in_writer(store, partial(_tasks_again, cipher, old, last, done))
            done.values += number
            told(done.values - others, tasks)


def _table_again(
    one: Sealed, cipher: StashCipher, present: bytes, done: Rotation, connection: sqlite3.Connection
) -> int:
    number = 0
    columns, where = ", ".join((*one.key, *one.named)), " AND ".join(f"{column} = ?" for column in one.key)
    sql = f"SELECT sealed, {columns} FROM {one.table} WHERE sealed IS NOT NULL AND substr(sealed, 1, 8) <> ?"
    for blob, *row in connection.execute(sql, (present,)).fetchall():
        key, named = row[: len(one.key)], row[len(one.key) :]
        again = _again(cipher, one.place(*key), blob, one.what(*named), done)
        if again is not None:
            number += connection.execute(f"UPDATE {one.table} SET sealed = ? WHERE {where}", (again, *key)).rowcount
    return number


def _tasks_again(
    cipher: StashCipher, old: bytes, last: int, done: Rotation, connection: sqlite3.Connection
) -> tuple[int, int | None]:
    """The next tasks behind number ``last``: how many were done, and the number of the last, ``None`` for no more."""
    number = 0
    rows = connection.execute(
        "SELECT no, id, stash FROM task WHERE stash IS NOT NULL AND substr(stash, 1, 8) = ? AND no > ? "
        "ORDER BY no LIMIT ?",
        (old, last, BATCH),
    ).fetchall()
    for no, id, blob in rows:
        again = _again(cipher, id, blob, f"the $stash of task {id}", done)
        if again is not None:
            number += connection.execute("UPDATE task SET stash = ? WHERE no = ?", (again, no)).rowcount
    return number, rows[-1][0] if rows else None


def _again(cipher: StashCipher, place: str, blob: bytes, what: str, done: Rotation) -> bytes | None:
    """The value encrypted with the present key; ``None`` for one that cannot be read."""
    try:
        return cipher.again(place, blob, what)
    except StoreError as error:
        if str(error) not in done.damaged:
            done.damaged.append(str(error))
            logger.warning("%s; it is left as it is", error)
        return None


async def _in_writer(store: SQLiteStore, job: Callable[[sqlite3.Connection], Any]) -> Any:
    return await store.writer.write(Write(job=job))


__all__ = ["Rotation", "check_key", "rotate"]
