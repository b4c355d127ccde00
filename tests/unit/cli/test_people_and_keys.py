"""``aloma-py user``, ``key`` and ``audit``."""

from __future__ import annotations

from .conftest import Shell


def test_people_from_the_invitation_to_the_removal(shell: Shell) -> None:
    assert shell("user", "list").stdout == "no people yet; aloma-py user invite adds one\n"
    invited = shell("user", "invite", "Ada@example.org", "--role", "admin", "--in", "default=viewer")
    assert invited.stdout.startswith("ali_")
    assert "invited ada@example.org (admin, default=viewer) until 20" in invited.stderr
    again = shell("user", "invite", "ada@example.org", "--again")
    assert again.stdout.startswith("ali_") and again.stdout != invited.stdout
    updated = shell("user", "update", "ada@example.org", "--role", "none", "--disable")
    assert updated.stdout == "updated ada@example.org: disabled, default=viewer\n"
    (ada,) = shell.json("user", "list")
    assert (ada["name"], ada["state"], ada["workspaces"]) == ("Ada", "disabled", {"default": "viewer"})
    assert "--yes" in shell.refused("user", "remove", "ada@example.org")
    assert shell("user", "remove", "ada@example.org", "--yes").stdout == "removed ada@example.org\n"
    assert shell.json("user", "list") == []


def test_keys_are_printed_once(shell: Shell) -> None:
    made = shell("key", "add", "ci", "--role", "operator", "--in", "default", "--expires", "90d")
    assert made.stdout.startswith("alk_")
    assert "operator in workspace 'default'; it is not shown again" in made.stderr
    listed = shell("key", "list").stdout
    assert "ci" in listed and made.stdout.strip() not in listed
    id = shell.json("key", "list")[0]["id"]
    assert shell("key", "revoke", "ci").stdout == f"revoked {id} (ci)\n"
    assert shell.json("key", "list")[0]["state"] == "revoked"


def test_who_changed_what(shell: Shell) -> None:
    shell("key", "add", "ci", "--role", "viewer")
    shell("env", "set", "A", "1")
    assert [line["action"] for line in shell.json("audit", "--account")] == ["set_variable", "add_key"]
    (line,) = shell.json("audit")
    assert (line["who"], line["workspace"]) == ("local", "default")
    shown = shell("audit", "--account", "--limit", "1").stdout
    assert "set_variable" in shown and f"more with --before {line['no']}" in shown
    assert shell("audit", "--before", str(line["no"])).stdout == "nothing was changed\n"


def test_mistakes_are_named(shell: Shell) -> None:
    assert "did you mean 'viewer'" in shell.refused("key", "add", "ci", "--role", "viewr")
    assert "NAME=VALUE was expected" in shell.refused("user", "invite", "a@b", "--in", "orders")
    assert "a time such as 2027" in shell.refused("key", "add", "ci", "--role", "viewer", "--expires", "soon")
    assert "nothing to change was given" in shell.refused("user", "update", "a@b")
    assert "user update does" in shell.refused("user", "invite", "a@b", "--again", "--role", "admin")
