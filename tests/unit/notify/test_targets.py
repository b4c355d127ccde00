"""Who can be told."""

from __future__ import annotations

import pytest

from aloma_py.errors import InputError
from aloma_py.notify.targets import (
    check_address,
    check_every,
    check_group_name,
    check_targets,
    check_webhook,
    is_valid,
    kind_of,
    place_shown,
    untold,
)


@pytest.mark.parametrize(("entry", "kind"), [
    ("ops", "group"), ("ops@example.org", "address"), ("https://example.org/x", "webhook"),
    ("https://user@example.org/x", "webhook"),
])  # fmt: skip
def test_an_entry_is_a_group_an_address_or_a_webhook(entry: str, kind: str) -> None:
    assert kind_of(entry) == kind


@pytest.mark.parametrize("text", ["a@b", "first.last+tag@mail.example.org", "x@localhost"])
def test_addresses_of_mail(text: str) -> None:
    assert check_address(f" {text} ") == text


@pytest.mark.parametrize("text", [
    "", "a", "@", "a@", "@b", "a@b@c", "a@b, c@d", "a@b\nBcc: c@d", "Ann <a@b>", '"a b"@c', "a@b;c@d",
    "ä@b", "a@-b", "a@b.", "a@[127.0.0.1]", "a\x00@b", "x" * 65 + "@b", "a@" + "b" * 300,
])  # fmt: skip
def test_what_is_no_address_of_mail(text: str) -> None:
    with pytest.raises(InputError, match="is no mail address"):
        check_address(text)
    assert not is_valid(text)


@pytest.mark.parametrize("text", [
    "https://hooks.example.org/a/b?c=d", "http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]:80/x",
])  # fmt: skip
def test_webhooks(text: str) -> None:
    assert check_webhook(text) == text


@pytest.mark.parametrize("text", [
    "http://example.org/secret-token", "ftp://example.org/secret-token", "https://", "https:///secret-token",
    "https://user:secret-token@example.org/", "https://example.org/#secret-token", "https://example.org/secret-token b",
    "https://example.org:99999/secret-token", "https://example.org/secret-token\r\nX: y", "http://127.0.0.1.example.org/",
    "https://[::1/secret-token", "http://10.0.0.1/secret-token",
])  # fmt: skip
def test_what_is_no_webhook_is_told_without_what_may_be_a_secret(text: str) -> None:
    with pytest.raises(InputError) as raised:
        check_webhook(text)
    assert "secret-token" not in str(raised.value)


@pytest.mark.parametrize("name", ["ops", "Ops team 2", "süd", "a.b-c_d"])
def test_names_of_groups(name: str) -> None:
    assert check_group_name(f" {name} ") == name


@pytest.mark.parametrize("name", ["", " ", "a/b", "a@b", "a:b", "a,b", "a\nb", ".", "..", "x" * 101, "a\u202eb"])
def test_what_is_no_name_of_a_group(name: str) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        check_group_name(name)


def test_the_time_between_two_digests() -> None:
    assert [check_every(given) for given in ("15m", "24h", 1_800_000)] == [900_000, 86_400_000, 1_800_000]
    for given in ("14m", "25h", "0s", "5 m 3"):
        with pytest.raises(InputError, match="every"):
            check_every(given)


def test_a_group_has_somebody_to_tell_and_each_once() -> None:
    assert check_targets(["a@b", "a@b"], []) == (["a@b"], [])
    with pytest.raises(InputError, match="somebody to tell"):
        check_targets([], [])
    with pytest.raises(InputError, match="at most 50"):
        check_targets([f"a{number}@b" for number in range(51)], [])


def test_of_a_webhooks_address_others_see_the_host() -> None:
    assert place_shown("https://hooks.example.org:8443/T/secret?x=y") == "https://hooks.example.org:8443/…"
    assert place_shown("a@b") == "a@b"


def test_entries_by_which_nobody_is_told() -> None:
    assert untold(["ops", "opps", "a@b", "a@", "https://x/", "http://x/"], ["ops"]) == ["opps", "a@", "http://x/"]
