"""``aloma-py webhook``."""

from __future__ import annotations

from typing import Any

import pytest


def test_a_webhook_from_its_making_to_its_end(shell: Any) -> None:
    made = shell.json(
        "webhook", "add", "orders", "--signature", "github", "--dedupe", "github", "--allow", "10.0.0.0/8"
    )
    assert made["options"] == {"signature": "github", "dedupe": "github", "allow": ["10.0.0.0/8"]}
    assert made["url"].endswith(f"/event/{made['id']}")
    assert len(made["secret"]) > 30
    assert made["secret"] not in shell("webhook", "show", "orders").output
    assert made["id"] not in shell("webhook", "list").output
    assert made["url"] in shell("webhook", "list", "--show-urls").output
    assert shell.json("webhook", "list") == [
        {name: made[name] for name in made if name not in ("id", "path", "url", "secret")}
    ]
    changed = shell.json("webhook", "update", "orders", "--clear", "allow", "--rate", "5", "--name", "sales")
    assert changed["options"] == {"signature": "github", "dedupe": "github", "rate": 5}
    assert shell.json("webhook", "rotate", "sales")["id"] != made["id"]
    shell("webhook", "delete", "sales", "--yes")
    assert shell("webhook", "list").output == "no webhooks\n"


def test_what_a_request_would_become(shell: Any) -> None:
    shell("webhook", "add", "orders", "--dedupe", "body:order.id")
    found = shell.json("webhook", "test", "orders", "-d", '{"order": {"id": 7}}', "--query", "a=1")
    assert (found["data"], found["dedupe_key"], found["signature"]) == ({"order": {"id": 7}}, "7", "not asked for")
    form = shell("webhook", "test", "orders", "-H", "Content-Type=application/x-www-form-urlencoded", "-d", "a[b]=1")
    assert '"b": "1"' in form.stdout
    assert "has the member 'a' twice" in shell("webhook", "test", "orders", "-d", '{"a": 1, "a": 2}').stdout


def test_a_secret_is_read_from_standard_input(shell: Any) -> None:
    words = ("webhook", "add", "pay", "--signature", "stripe", "--secret", "-", "--json")
    assert '"has_secret": true' in shell(*words, stdin="whsec_1\n").stdout
    shell("webhook", "add", "later", "--signature", "stripe")
    assert "stripe (no secret: everything is refused)" in shell("webhook", "show", "later").stdout


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        ("token:X-Api-Key", {"token": "X-Api-Key"}),
        ("header:X-Sig", {"header": "X-Sig"}),
        ('{"header": "X-Sig", "algorithm": "sha1"}', {"header": "X-Sig", "algorithm": "sha1"}),
        ("none", "none"),
    ],
)
def test_ways_to_sign(shell: Any, how: str, kept: Any) -> None:
    assert shell.json("webhook", "add", "orders", "--signature", how)["options"] == {"signature": kept}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "orders"), "there is no webhook 'orders'"),
        (("add", "a", "--signature", "githb"), "did you mean 'github'"),
        (("add", "a", "--signature", "{"), "is no JSON"),
        (("add", "a", "--secret", "s"), "no signature that it is for"),
        (("add", "a", "--allow", "here"), "allow has 'here'"),
    ],
)
def test_mistakes_are_told(shell: Any, words: tuple[str, ...], said: str) -> None:
    shell("webhook", "add", "other")
    assert said in shell.refused("webhook", *words)


def test_deleting_asks_first(shell: Any) -> None:
    shell("webhook", "add", "orders")
    assert "say --yes" in shell.refused("webhook", "delete", "orders")
