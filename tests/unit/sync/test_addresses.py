"""Which addresses of repositories are taken, and what is said of the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloma_py.errors import InputError
from aloma_py.sync import read_address


@pytest.mark.parametrize(("text", "kind", "host", "port", "path", "user"), [
    ("https://git.example.org/a/b.git", "https", "git.example.org", None, "/a/b.git", None),
    ("https://ada@Git.Example.org:8443/a%20b", "https", "git.example.org", 8443, "/a b", "ada"),
    ("http://127.0.0.1:3000/x", "http", "127.0.0.1", 3000, "/x", None),
    ("http://[::1]/x", "http", "::1", None, "/x", None),
    ("http://localhost/x", "http", "localhost", None, "/x", None),
    ("ssh://git@example.org:2222/srv/x.git", "ssh", "example.org", 2222, "/srv/x.git", "git"),
    ("git@github.com:acme/flows.git", "ssh", "github.com", None, "acme/flows.git", "git"),
    ("example.org:flows.git", "ssh", "example.org", None, "flows.git", None),
])  # fmt: skip
def test_addresses_that_are_taken(text, kind, host, port, path, user) -> None:  # type: ignore[no-untyped-def]
    found = read_address(text)
    assert (found.kind, found.host, found.port, found.path, found.user) == (kind, host, port, path, user)
    assert "ada" not in found.url


@pytest.mark.parametrize(("text", "said"), [
    ("git://example.org/x", "git:// is refused: it is not encrypted"),
    ("http://example.org/x", "http:// to example.org is refused"),
    ("http://127.0.0.1.example.org/x", "is refused"),
    ("http://2130706433/x", "is refused"),
    ("ftp://example.org/x", "begins with ftp://"),
    ("https://example.org", "names no host, or no repository"),
    ("https:///x", "names no host"),
    ("https://example.org/x?token=hunter2", "has a ? or # in it"),
    ("https://example.org:99999/x", "cannot be read"),
    ("https://[::1/x", "cannot be read"),
    ("a b", "has blanks in it"),
    ("https://example.org/\nx", "has blanks in it"),
    ("", "empty"),
    ("x" * 3000, "too long"),
    ("project", "no address of a git repository"),
    ("git@host:-x", "begins with '-'"),
    ("/srv/project.git", "only for whoever asks on its machine"),
    ("file:///srv/project.git", "only for whoever asks on its machine"),
])  # fmt: skip
def test_addresses_that_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read_address(text)
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("text", [
    "https://ada:hunter2@example.org/x", "https://:hunter2@example.org/x", "ssh://git:hunter2@example.org/x",
    "ada:hunter2@example.org/x", "http://ada:hunter2@127.0.0.1/x",
])  # fmt: skip
def test_passwords_inside_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError, match="give it as password") as raised:
        read_address(text)
    assert "hunter2" not in str(raised.value)


def test_folders_are_for_the_machine_itself() -> None:
    assert read_address("/srv/a", local=True).path == read_address("file:///srv/a", local=True).path == "/srv/a"
    with pytest.raises(InputError, match="whole path"):
        read_address("file://host/a", local=True)


@given(st.text(max_size=40) | st.from_regex(r"(https?|ssh|git|file)://[ -~]{0,30}", fullmatch=True))
def test_anything_else_is_an_input_error(text: str) -> None:
    try:
        found = read_address(text)
    except InputError:
        return
    assert found.kind in ("https", "http", "ssh")
    assert found.host and found.path
