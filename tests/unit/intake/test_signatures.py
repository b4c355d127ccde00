"""Signatures: known answers, and everything that must not pass."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest

from aloma_py.errors import InputError
from aloma_py.intake.signatures import PRESETS, is_signed, read_signature

NOW = 1_700_000_000_000
BODY = b'{"order": 7}'
SECRET = "shh, it is secret"


def signed_by(how: Any, headers: dict[str, str], *, body: bytes = BODY, secret: str | None = SECRET, now: int = NOW):
    signature = read_signature(how)
    assert signature is not None
    return is_signed(signature, secret, headers, body, now)


def mac(content: bytes, algorithm: str = "sha256", secret: str = SECRET) -> bytes:
    return hmac.new(secret.encode(), content, getattr(hashlib, algorithm)).digest()


def stripe(time: int, body: bytes = BODY) -> str:
    return f"t={time},v1={mac(f'{time}.'.encode() + body).hex()}"


def slack(time: int) -> dict[str, str]:
    return {
        "x-slack-request-timestamp": str(time),
        "x-slack-signature": "v0=" + mac(f"v0:{time}:".encode() + BODY).hex(),
    }


def test_the_example_that_github_publishes() -> None:
    given = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": given}
    assert signed_by("github", headers, body=b"Hello, World!", secret="It's a Secret to Everybody")
    assert not signed_by("github", headers, body=b"Hello, World?", secret="It's a Secret to Everybody")


def test_the_example_that_slack_publishes() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    assert signed_by("slack", headers, body=body, secret=secret, now=1_531_420_618_000)
    assert not signed_by("slack", headers, body=body, secret=secret, now=1_531_420_919_000)


@pytest.mark.parametrize(
    ("how", "headers"),
    [
        ("github", {"x-hub-signature-256": "sha256=" + mac(BODY).hex()}),
        ("github", {"x-hub-signature-256": "sha256=" + mac(BODY).hex().upper()}),
        ("stripe", {"stripe-signature": stripe(1_700_000_000)}),
        ("stripe", {"stripe-signature": stripe(1_700_000_000 - 300)}),
        ("stripe", {"stripe-signature": "v0=old," + stripe(1_700_000_300)}),
        ("stripe", {"stripe-signature": f"t=1700000000,v1={'0' * 64},{stripe(1_700_000_000).split(',')[1]}"}),
        ("slack", slack(1_700_000_000)),
        ("shopify", {"x-shopify-hmac-sha256": base64.b64encode(mac(BODY)).decode()}),
        ("bearer", {"authorization": f"Bearer {SECRET}"}),
        ("bearer", {"authorization": f"bearer {SECRET}"}),
        ({"token": "X-Api-Key"}, {"x-api-key": SECRET}),
        ({"header": "X-Sig"}, {"x-sig": mac(BODY).hex()}),
        ({"header": "X-Sig", "algorithm": "sha1", "prefix": "sha1="}, {"x-sig": "sha1=" + mac(BODY, "sha1").hex()}),
        (
            {"header": "X-Sig", "algorithm": "sha512", "encoding": "base64"},
            {"x-sig": base64.b64encode(mac(BODY, "sha512")).decode()},
        ),
        (
            {"header": "X-Sig", "timestamp": "X-Time", "tolerance": 10},
            {"x-time": "1700000009", "x-sig": mac(b"1700000009." + BODY).hex()},
        ),
    ],
)
def test_who_knows_the_secret_passes_and_nobody_else(how: Any, headers: dict[str, str]) -> None:
    assert signed_by(how, headers)
    assert not signed_by(how, headers, secret="another")
    assert not signed_by(how, headers, secret=None)
    assert not signed_by(how, headers, secret="")
    signature = read_signature(how)
    assert signature is not None
    if signature.kind != "token":
        assert not signed_by(how, headers, body=BODY + b" ")
    for name in headers:
        assert not signed_by(how, {other: value for other, value in headers.items() if other != name})
        for wrong in ("", " ", headers[name] + "0", headers[name][:-1], "é\xff", "0" * 64):
            assert not signed_by(how, {**headers, name: wrong})


@pytest.mark.parametrize(
    "time", ["1699999699", "1700000301", "", "now", "-5", "1.7e9", "1" * 13, "１７０００００００００"]
)
def test_what_was_signed_at_another_time_does_not_pass(time: str) -> None:
    content = mac(f"{time}.".encode() + BODY).hex()
    assert not signed_by("stripe", {"stripe-signature": f"t={time},v1={content}"})
    head = mac(f"v0:{time}:".encode() + BODY).hex()
    assert not signed_by("slack", {"x-slack-request-timestamp": time, "x-slack-signature": f"v0={head}"})
    timed = {"header": "x-sig", "timestamp": "x-time"}
    assert not signed_by(timed, {"x-time": time, "x-sig": content})


def test_stripe_is_not_fooled_by_two_times_or_an_old_scheme() -> None:
    good = stripe(1_700_000_000)
    assert not signed_by("stripe", {"stripe-signature": f"t=1,{good}"})
    assert not signed_by("stripe", {"stripe-signature": good.replace("v1=", "v0=")})
    assert not signed_by("stripe", {"stripe-signature": "t=1700000000"})


@pytest.mark.parametrize("how", [None, "none"])
def test_no_signature_must_be_said(how: Any) -> None:
    assert read_signature(how) is None


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("githb", "did you mean 'github'"),
        (7, "an object was expected"),
        ({}, 'needs "header"'),
        ({"header": "X Sig"}, "the name of an HTTP header was expected"),
        ({"header": "X-Sig", "algorithm": "md5"}, "one of sha1, sha256, sha512 was expected"),
        ({"header": "X-Sig", "encoding": "hexa"}, "one of hex, base64 was expected"),
        ({"header": "X-Sig", "tolerance": 0}, "seconds from 1 to 86400"),
        ({"header": "X-Sig", "prefix": 1}, "signature.prefix"),
        ({"header": "X-Sig", "algoritm": "sha1"}, "did you mean 'algorithm'"),
        ({"token": "X-Key", "prefix": "a"}, "there is no member of signature 'prefix'"),
        ({"token": None}, "signature.token is None"),
    ],
)
def test_what_cannot_be_a_signature_is_told(how: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_signature(how)


def test_presets_name_headers_in_lower_case() -> None:
    assert all(one.header == one.header.lower() for one in PRESETS.values())
