"""``aloma-py notification``."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Shell


def test_a_group_from_its_beginning_to_its_end(shell: Shell) -> None:
    added = shell("notification", "add", "ops", "--mail", "a@example.org", "--webhook", "https://x.example.org/y")
    first, second = added.stdout.splitlines()
    assert first == "added ops: tells a@example.org, https://x.example.org/y, at most once in 15 min"
    assert second.startswith("webhooks are signed with whsec_")
    assert "it is not shown again\nno workspace names it:" in added.stderr
    shell("workspace", "update", "--notification-groups", "ops,opps,b@example.org")
    listed = shell("notification", "list").stdout
    assert "nobody: there is no such group" in listed
    assert [line.split()[0] for line in listed.splitlines()] == ["name", "ops", "b@example.org", "opps"]
    assert shell.json("notification", "show", "ops")["workspaces"] == ["default"]
    assert "none names it" not in shell("notification", "show", "ops").stdout
    changed = shell("notification", "update", "ops", "--every", "1h", "--webhook", "")
    assert changed.stdout == "changed ops: tells a@example.org, at most once in 1 h\n"
    secret = shell.json("notification", "update", "ops", "--new-secret")["secret"]
    given = shell("notification", "update", "ops", "--secret-file", "-", stdin=f"{secret}\n")
    assert secret in given.stdout
    deleted = shell("notification", "delete", "ops", "--yes")
    assert (deleted.stdout, "tell nobody by it now: default" in deleted.stderr) == ("deleted ops\n", True)
    assert shell("notification", "log").stdout == "no messages\n"
    assert shell.json("notification", "log", "--state", "waiting") == []


def test_nobody_is_told_of_anything_at_first(shell: Shell) -> None:
    shell("workspace", "add", "orders")
    assert shell("notification", "list").stdout == "nobody is told of anything\n"


def test_a_test_without_a_mail_server_says_what_is_missing(shell: Shell) -> None:
    tried = shell.json("notification", "test", "a@example.org", status=1)
    assert [(one["target"], one["delivered"]) for one in tried] == [("a@example.org", False)]
    assert "set ALOMA_SMTP" in tried[0]["answer"]
    shell("workspace", "update", "--notification-groups", "a@example.org,opps")
    printed = shell("notification", "test", status=1).stdout
    assert "✗  a@example.org  there is no mail server" in printed
    assert "✗  opps" in printed


@pytest.mark.parametrize(("words", "said"), [
    (("add", "ops"), "a group needs somebody to tell"),
    (("add", "ops", "--mail", "me"), "'me' is no mail address"),
    (("add", "ops", "--mail", "a@b", "--every", "1m"), "from 15m to 24h was expected"),
    (("add", "ops", "--webhook", "http://example.org/x"), "https:// was expected"),
    (("update", "ops"), "nothing to change was given"),
    (("update", "ops", "--new-secret", "--secret-file", "-"), "use one of them"),
    (("update", "ops", "--every", "1h"), "there is no notification group 'ops'"),
    (("delete", "ops"), "say --yes where nobody can be asked"),
    (("test", "ops"), "there is no notification group 'ops'"),
    (("log", "--state", "done"), "there is no state of notifications 'done'"),
    (("retry", "7"), "there is no notification '7'"),
])  # fmt: skip
def test_mistakes_are_told(shell: Shell, words: tuple[str, ...], said: str) -> None:
    shell("workspace", "add", "orders")
    assert said in shell.refused("notification", *words)


def test_a_test_needs_somebody(shell: Shell) -> None:
    shell("workspace", "add", "orders")
    assert "names nobody to be told" in shell.refused("notification", "test", "--workspace", "orders")


def mail_findings(shell: Shell, status: int) -> list[tuple[str, str]]:
    found: list[dict[str, Any]] = shell.json("doctor", status=status)
    return [(one["verdict"], one["text"]) for one in found if one["what"] == "mail"]


def test_doctor_says_what_is_missing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("workspace", "add", "orders")
    assert mail_findings(shell, 0) == []
    shell("workspace", "update", "--notification-groups", "ops,a@example.org")
    (wrong, missing), (warning, unknown) = mail_findings(shell, 1)
    assert (wrong, warning) == ("wrong", "warning")
    assert "set ALOMA_SMTP" in missing
    assert "nobody is told by 'ops'" in unknown
    monkeypatch.setenv("ALOMA_SMTP", "smtps://me%40example.org:hush-hush@mail.example.org")
    shell("notification", "add", "ops", "--mail", "a@example.org")
    [(verdict, text)] = mail_findings(shell, 0)
    assert (verdict, text.partition(";")[0]) == ("ok", "mail.example.org:465 takes mails from me@example.org")
    monkeypatch.setenv("ALOMA_SMTP", "smtp://me:hush-hush@mail.example.org?starttls=no")
    [(verdict, text)] = mail_findings(shell, 1)
    assert verdict == "wrong"
    assert "hush" not in text
