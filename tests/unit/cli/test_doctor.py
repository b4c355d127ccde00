"""What is said of an installation."""

from __future__ import annotations

import base64

import pytest


def verdicts(shell, status: int = 0) -> dict[str, tuple[str, str]]:
    return {one["what"]: (one["verdict"], one["text"]) for one in shell.json("doctor", status=status)}


def test_a_sound_installation(shell) -> None:
    found = verdicts(shell)
    assert {what: verdict for what, (verdict, _) in found.items() if verdict != "ok"} == {}
    assert {"Python", "SQLite", "V8", "connectors", "disk", "store"} <= set(found)
    shell("secret", "set", "TOKEN", "a long enough one")
    found = verdicts(shell)
    assert "keep a copy" in found["key"][1] and "aloma-py db verify" in found["store"][1]
    assert "✓" in shell("doctor").stdout


def test_what_is_wrong_is_told_with_its_cure(shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("secret", "set", "TOKEN", "a long enough one")
    (shell.folder / "aloma.db.key").chmod(0o644)
    assert "chmod 600" in verdicts(shell, status=1)["key"][1]
    (shell.folder / "aloma.db").write_text("no store at all, but long enough to be looked at" * 10)
    assert verdicts(shell, status=1)["store"][0] == "wrong"
    monkeypatch.setenv("ALOMA_STORE", str(shell.folder / "nowhere" / "aloma.db"))
    assert "no folder that can be written to" in verdicts(shell, status=1)["folder"][1]


def test_a_key_that_is_missing_or_another_one_is_told(shell) -> None:
    shell("secret", "set", "TOKEN", "a long enough one")
    file = shell.folder / "aloma.db.key"
    right = file.read_text()
    file.unlink()
    assert "aloma.db.key is missing" in verdicts(shell, status=1)["key"][1]
    assert not file.exists()
    file.write_text(base64.b64encode(b"o" * 32).decode())
    file.chmod(0o600)
    assert "the store's secrets are encrypted with" in verdicts(shell, status=1)["key"][1]
    assert "nothing is encrypted with another one beside" in shell.refused(
        "secret", "set", "OTHER", "another long one", status=3
    )
    file.write_text("no key")
    assert "holds no key" in verdicts(shell, status=1)["key"][1]
    file.write_text(right)
    assert verdicts(shell)["key"][0] == "ok"
