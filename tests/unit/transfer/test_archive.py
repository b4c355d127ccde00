"""The file itself: what is written is read again, and what is damaged or made to do harm is refused."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloma_py.errors import InputError
from aloma_py.transfer import ROWS, Archive, ArchiveWriter, Manifest, layout, new_sealer, open_sealer
from aloma_py.transfer.sealing import Encryption

AT = 1_767_225_600_000


def manifest(**more: Any) -> Manifest:
    return Manifest(version="1", workspace="orders", exported_at="2026-01-01T00:00:00.000Z", tasks=True, **more)


def written(lines: int = 3) -> bytes:
    """A small export."""
    file = io.BytesIO()
    writer = ArchiveWriter(file, AT)
    writer.add(layout.WORKSPACE, layout.document(layout.Workspace(title="Orders")))
    writer.add("steps/a/b.js", b"export const condition = {};")
    with writer.lines("audit.ndjson") as write:
        for n in range(lines):
            write(ROWS["audit"].encode((f"task-{n}", n, "log", "said", '{"a":[1,2.5]}')))
    writer.finish(manifest())
    return file.getvalue()


def opened(content: bytes) -> Archive:
    return Archive(io.BytesIO(content), "x.zip")


def read_all(content: bytes) -> list[Any]:
    archive = opened(content)
    archive.check()
    title = archive.document(layout.WORKSPACE, layout.Workspace).title
    return [archive.manifest.workspace, title, archive.text("steps/a/b.js"), [*archive.rows("audit")]]


def changed(change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The export with other members, in a sound zip."""
    with zipfile.ZipFile(io.BytesIO(written())) as before:
        members = {name: before.read(name) for name in before.namelist()}
    change(members)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as after:
        for name, content in members.items():
            after.writestr(name, content)
    return file.getvalue()


def test_what_is_written_is_read() -> None:
    found = read_all(written())
    assert found[:3] == ["orders", "Orders", "export const condition = {};"]
    assert found[3] == [(n + 1, (f"task-{n}", n, "log", "said", '{"a":[1,2.5]}')) for n in range(3)]


def test_a_flipped_byte_is_noticed_or_does_not_matter() -> None:
    whole = written()
    right, refused = read_all(whole), 0
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        try:
            assert read_all(bytes(damaged)) == right, at  # a time or a flag that nobody reads
        except InputError as error:
            assert str(error).startswith("x.zip cannot be imported: ")
            refused += 1
    assert refused > len(whole) * 0.7


def test_a_file_that_ends_early_is_refused() -> None:
    whole = written()
    for length in range(0, len(whole), 7):
        with pytest.raises(InputError, match=r"x\.zip cannot be imported: it is no zip file, or not a whole one"):
            read_all(whole[:length])


def lie_of_the_manifest(key: str, value: Any) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        facts = json.loads(members[layout.MANIFEST])
        facts[key] = value
        members[layout.MANIFEST] = json.dumps(facts).encode()

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda members: members.pop("manifest.json"), "it has no manifest.json"),
        (lambda members: members.update({"../x": b""}), "it has a member '../x', which an export has not"),
        (lambda members: members.update({"steps/../../x": b""}), "which an export has not"),
        (lambda members: members.update({"/etc/passwd": b""}), "which an export has not"),
        (lambda members: members.update({"steps/": b""}), "which an export has not"),
        (lambda members: members.update({"notes.txt": b""}), "which an export has not"),
        (lambda members: members.update({"steps/new.js": b""}), "steps/new.js is not listed in its manifest"),
        (lambda members: members.pop("audit.ndjson"), "audit.ndjson is missing"),
        (lambda members: members.update({"workspace.json": b"{}"}), "workspace.json is not as long as the manifest"),
        (lambda members: members.update({"steps/a/b.js": b"x" * 28}), "steps/a/b.js is not what it was when"),
        (lie_of_the_manifest("format", 2), "it has the format 2; this version of aloma_py reads up to 1: update it"),
        (lie_of_the_manifest("kind", "other"), "it says that it is 'other'"),
        (lie_of_the_manifest("members", 1), "manifest.json cannot be used"),
        (lambda members: members.update({"manifest.json": b"[" * 100_000}), "manifest.json cannot be used"),
    ],
)
def test_what_is_no_export_is_refused(change: Callable[[dict[str, bytes]], None], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_all(changed(change))
    assert said.removeprefix("it says") in str(caught.value)


def test_two_members_of_one_name_are_refused() -> None:
    file = io.BytesIO(written())
    with warnings.catch_warnings(), zipfile.ZipFile(file, "a") as more:
        warnings.simplefilter("ignore")
        more.writestr("workspace.json", "{}")
    with pytest.raises(InputError, match=r"it has two members 'workspace\.json'"):
        opened(file.getvalue())


def test_what_would_unpack_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(members: dict[str, bytes]) -> None:
        members["audit.ndjson"] = b" " * 3_000_000

    bomb = changed(change)
    monkeypatch.setattr(layout, "MAX_UNQUESTIONED", 1_000_000)
    with pytest.raises(InputError, match=r"it has [\d,]+ bytes and would unpack to 3,000,"):
        opened(bomb)
    monkeypatch.setattr(layout, "MAX_DOCUMENT", 10)
    with pytest.raises(InputError, match=r"at most 10 may be"):
        opened(written())


def test_a_line_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = written(30_000)
    monkeypatch.setattr(layout, "MAX_LINE", 50)
    with pytest.raises(InputError, match=r"audit\.ndjson has a line of more than 50 bytes"):
        read_all(content)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "line 7 of audit.ndjson cannot be used: Input data was truncated"),
        (b'{"task":"t","at":1,"kind":"log"}', "missing required field `text`"),
        (b'{"task":"t","at":"1","kind":"log","text":""}', "Expected `int`, got `str` - at `$.at`"),
        (b'{"task":"t","at":99999999999999999999,"kind":"log","text":""}', "at `$.at`"),
        (b'{"task":"t","at":253402300800000,"kind":"log","text":""}', "at `$.at`"),
        (b'{"task":"t","at":1,"kind":"log","text":"","more":1}', "unknown field `more`"),
        (b'{"task":"t","at":1,"kind":"log","text":"\xff"}', "cannot be used"),
        (b"[" * 100_000, "cannot be used"),
    ],
)
def test_a_line_that_is_none_is_told_by_its_number(line: bytes, said: str) -> None:
    with pytest.raises(InputError) as caught:
        ROWS["audit"].decode(7, line)
    assert said in str(caught.value)


MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda at: int(at.timestamp()) * 1000)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.binary(max_size=50), MOMENTS)
def test_every_row_survives(text: str, content: bytes, at: int) -> None:
    row = (text, None, text or None, None, None, at, content)
    line = ROWS["blobs"].encode(row)
    assert line.count(b"\n") == 1
    assert ROWS["blobs"].decode(1, line) == row


def test_secrets_can_be_read_with_the_passphrase_alone() -> None:
    facts, sealer = new_sealer("correct horse")
    sealed = sealer.seal_text("variable TOKEN", "äöü")
    assert open_sealer(facts, "correct horse").unseal_text("variable TOKEN", sealed) == "äöü"
    with pytest.raises(InputError, match="the passphrase is not the one"):
        open_sealer(facts, "wrong horse")
    for place, text in (("variable OTHER", sealed), ("variable TOKEN", sealed[:-8]), ("variable TOKEN", "?")):
        with pytest.raises(InputError, match=f"the encrypted value of '{place}' is damaged"):
            sealer.unseal_text(place, text)


@pytest.mark.parametrize(
    "wrong", [{"n": 3}, {"n": 2**40}, {"p": 2**30}, {"r": 0}, {"kdf": "md5"}, {"salt": "?"}], ids=str
)
def test_what_scrypt_is_not_asked_for(wrong: dict[str, Any]) -> None:
    facts = Encryption(**{"salt": "AAAA", **wrong})
    with pytest.raises(InputError):
        open_sealer(facts, "correct horse")


def test_a_short_passphrase_is_refused() -> None:
    with pytest.raises(InputError, match="the passphrase has 5 characters; at least 8 were expected"):
        new_sealer("horse")
