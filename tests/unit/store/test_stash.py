"""$stash at rest."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from aloma_py.errors import StoreError
from aloma_py.store import SQLiteStore
from aloma_py.store.stash import KEY_VARIABLE, StashCipher, key_file, load_or_create_key, mask
from aloma_py.store.variables import Variables

SECRET = {"token": "sentinel-s3cret", "pin": 1234, "card": {"number": "4111"}, "list": [1], "flag": True, "no": None}


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_values_come_back_and_cannot_be_read_in_between() -> None:
    cipher = StashCipher(b"k" * 32)
    blob = cipher.encrypt("task-1", SECRET)
    assert cipher.decrypt("task-1", blob) == SECRET
    assert b"sentinel" not in blob
    assert cipher.encrypt("task-1", SECRET) != blob, "each time with a nonce of its own"


def test_another_key_is_told_by_both_fingerprints() -> None:
    one, other = StashCipher(b"k" * 32), StashCipher(b"o" * 32)
    with pytest.raises(StoreError) as caught:
        other.decrypt("task-1", one.encrypt("task-1", SECRET))
    assert str(caught.value) == (
        f"the $stash of task task-1 was encrypted with the key {one.fingerprint}, "
        f"but the key here is {other.fingerprint}"
    )


@pytest.mark.parametrize(
    "damage", [lambda blob: blob[:-1], lambda blob: blob[:25] + b"x" + blob[26:], lambda blob: blob[:9]]
)
def test_damage_and_another_tasks_values_are_refused(damage: object) -> None:
    cipher = StashCipher(b"k" * 32)
    blob = cipher.encrypt("task-1", SECRET)
    assert callable(damage)
    with pytest.raises(StoreError, match="the \\$stash of task task-1 is damaged, or belongs to another task"):
        cipher.decrypt("task-1", damage(blob))
    with pytest.raises(StoreError, match="is damaged, or belongs to another task"):
        cipher.decrypt("task-2", blob)


def test_the_mask_shows_types_only() -> None:
    assert mask(SECRET) == {
        "token": "String",
        "pin": "Number",
        "card": "Object",
        "list": "Array",
        "flag": "Boolean",
        "no": "Null",
    }


def test_the_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    key = load_or_create_key(store)
    assert load_or_create_key(store) == key
    assert stat.S_IMODE(key_file(store).stat().st_mode) == 0o600
    assert SQLiteStore(store).cipher.fingerprint == StashCipher(key).fingerprint
    key_file(store).write_text("c2hvcnQ=")
    with pytest.raises(StoreError, match=r"the key file .*store\.db\.key holds a key of 5 bytes; base64 of 32 bytes"):
        load_or_create_key(store)


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, base64.b64encode(b"e" * 32).decode())
    assert load_or_create_key(tmp_path / "store.db") == b"e" * 32
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv(KEY_VARIABLE, "what?")
    with pytest.raises(StoreError, match="the environment variable ALOMA_STASH_KEY holds no key: base64 of 32 bytes"):
        load_or_create_key(tmp_path / "store.db")
    with pytest.raises(StoreError, match="the key for \\$stash has 3 bytes; 32 were expected"):
        StashCipher(b"abc")


@pytest.mark.anyio
async def test_nothing_is_encrypted_beside_values_of_another_key(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with SQLiteStore(path) as store:
        await Variables(store, "default").set_secret("TOKEN", "a-long-token", at=0, by="local")
    right = key_file(path).read_text()
    key_file(path).write_text(base64.b64encode(b"o" * 32).decode())
    async with SQLiteStore(path) as store:
        with pytest.raises(StoreError, match="nothing is encrypted with another one beside"):
            store.cipher.seal("elsewhere", "another")
    key_file(path).write_text(right)
    async with SQLiteStore(path) as store:
        assert store.cipher.unseal("elsewhere", store.cipher.seal("elsewhere", "another"), "it") == "another"
