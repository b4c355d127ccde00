"""What git hosts tell of pushes: to which branch, and whether it is the host that tells."""

from __future__ import annotations

import hashlib
import hmac
import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloma_py.sync.pushes import branches_of, is_from_host

SECRET = "a-heron-stands-by-the-weir"
BODY = b'{"ref": "refs/heads/main"}'


def test_the_branch_of_each_kind_of_host() -> None:
    assert branches_of(BODY, {}) == {"main"}  # GitHub, GitLab, Gitea
    form = urlencode({"payload": BODY.decode()}).encode()
    assert branches_of(form, {"content-type": "application/x-www-form-urlencoded"}) == {"main"}
    assert branches_of(BODY, {"content-type": "application/x-www-form-urlencoded"}) == {"main"}  # as curl sends it
    assert branches_of(b'{"ref": "refs/tags/v1"}', {}) == frozenset()
    changes = [{"new": {"type": "branch", "name": "main"}, "old": None}, {"new": {"type": "tag", "name": "v1"}},
               {"new": None, "old": {"type": "branch", "name": "gone"}}]  # fmt: skip
    assert branches_of(json.dumps({"push": {"changes": changes}}).encode(), {}) == {"main", "gone"}  # Bitbucket


@pytest.mark.parametrize("body", [b"", b"hello", b"[]", b"{}", b'{"ref": 7}', b'{"push": 1}', b"\xff", b"[" * 9_999,
                                  b'{"ref": "refs/heads/x"' + b" " * 1_000_000 + b"}"])  # fmt: skip
def test_a_body_that_does_not_say(body: bytes) -> None:
    assert branches_of(body, {}) is None


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(max_size=5), lambda inner: st.dictionaries(
    st.sampled_from(["ref", "push", "changes", "new", "type", "name"]), inner) | st.lists(inner), max_leaves=9
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_body_is_too_strange(body: bytes) -> None:
    found = branches_of(body, {})
    assert found is None or all(isinstance(one, str) for one in found)


def test_signatures_of_each_kind_of_host() -> None:
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    good = [{"x-hub-signature-256": f"sha256={digest}"}, {"x-gitea-signature": digest}, {"x-gitlab-token": SECRET},
            {"x-hub-signature": f"sha256={digest}"}]  # fmt: skip
    for headers in good:
        assert is_from_host(SECRET, headers, BODY, 0)
        assert not is_from_host("other", headers, BODY, 0)
        assert not is_from_host("", headers, BODY, 0)
    for headers in good[:2]:
        assert not is_from_host(SECRET, headers, BODY + b" ", 0)
    assert not is_from_host(SECRET, {}, BODY, 0)
    assert not is_from_host(SECRET, {"x-hub-signature-256": "sha256=", "x-gitlab-token": ""}, BODY, 0)
