"""Webhooks that are told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from aloma_py.errors import InputError
from aloma_py.notify import webhook
from aloma_py.notify.digest import make_test
from aloma_py.notify.outcome import GIVE_UP, WAITS, Outcome, next_attempt
from aloma_py.notify.webhook import check_secret, make_headers, new_secret, post_webhook, sign

from .servers import answer, receiver

pytestmark = pytest.mark.anyio

BODY = b'{"type":"test"}'


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The example of the specification of Standard Webhooks."""
    signed = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_receiver_can_check_what_it_gets() -> None:
    secret = new_secret()
    async with receiver() as found:
        assert await post_webhook(found.url, BODY, make_headers("msg_1", 1_772_366_400_500, BODY, secret)) == Outcome(
            True, "204 No Content"
        )
        [got] = found.got
        assert (got.path, got.body, json.loads(got.body)) == ("/told", BODY, {"type": "test"})
        assert (got.headers["webhook-id"], got.headers["webhook-timestamp"]) == ("msg_1", "1772366400")
        assert got.headers["content-type"] == "application/json"
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = hmac.new(key, b"msg_1.1772366400." + got.body, hashlib.sha256).digest()
        assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


def test_the_check_that_the_page_shows_takes_what_is_genuine_and_nothing_else() -> None:
    page = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    known: dict[str, Any] = {}
    exec(code, known)
    is_genuine, secret, now = known["is_genuine"], new_secret(), time.time_ns() // 1_000_000
    headers = make_headers("msg_1", now, BODY, secret)
    assert is_genuine(secret, headers, BODY)
    assert not is_genuine(secret, headers, BODY + b" ")
    assert not is_genuine(new_secret(), headers, BODY)
    assert not is_genuine(secret, {**headers, "webhook-id": "msg_2"}, BODY)
    assert not is_genuine(secret, make_headers("msg_1", now - 301_000, BODY, secret), BODY)


def test_without_a_secret_nothing_is_signed() -> None:
    assert "webhook-signature" not in make_headers("msg_1", 0, BODY, None)


async def test_410_is_final_and_others_are_not() -> None:
    async with receiver() as found:
        found.answers = [answer("410 Gone"), answer("500 Oops", "it broke\nhere"), answer("404 Not Found")]
        gone, broken, missing = [await post_webhook(found.url, BODY, {}) for _ in range(3)]
        assert (gone.delivered, gone.final) == (False, True)
        assert (broken.final, missing.final) == (False, False)
        assert broken.answer == f"127.0.0.1:{found.port} answered 500 Oops it broke"


async def test_a_redirect_is_not_followed() -> None:
    async with receiver() as found:
        found.answers = [answer("307 Temporary Redirect", location=f"{found.url}/elsewhere")]
        outcome = await post_webhook(found.url, BODY, {})
        assert (outcome.delivered, len(found.got)) == (False, 1)
        assert "leads elsewhere" in outcome.answer


async def test_a_receiver_may_ask_to_wait() -> None:
    async with receiver() as found:
        found.answers = [answer("429 Too Many Requests", retry_after="600"), answer("503 Busy", retry_after="soon")]
        assert [(await post_webhook(found.url, BODY, {})).wait for _ in range(2)] == [600_000, 0]


async def test_a_receiver_that_says_nothing_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", 0.05)
    async with receiver() as found:
        found.silent = True
        outcome = await post_webhook(found.url, BODY, {})
        assert not outcome.delivered
        assert outcome.answer


async def test_a_receiver_that_is_not_there_is_an_outcome_without_the_place() -> None:
    async with receiver() as found:
        pass
    outcome = await post_webhook(found.url + "/secret-token", BODY, {})
    assert not outcome.delivered
    assert "secret-token" not in outcome.answer


async def test_what_stands_behind_the_host_is_not_told_where_the_receiver_repeats_it() -> None:
    place = "/services/T0123/a-secret-token?key=an%2Fother-secret"
    async with receiver() as found:
        said = (
            "Cannot POST /told/services/T0123/a-secret-token",
            "no a-secret-token here",
            "key an/other-secret is wrong",
            f"<a href='{found.url}{place}'>",
        )
        found.answers = [answer("404 Not Found", text) for text in said]
        outcomes = [await post_webhook(found.url + place, BODY, {}) for _ in said]
        assert [one for one in outcomes if "secret" in one.answer] == []
        assert outcomes[0].answer == f"127.0.0.1:{found.port} answered 404 Not Found Cannot POST /(hidden: String)"


async def test_a_long_answer_is_not_read_to_its_end() -> None:
    async with receiver() as found:
        found.answers = [answer("200 OK", "x" * 5_000_000)]
        outcome = await post_webhook(found.url, BODY, {})
        assert outcome.delivered
        assert len(outcome.answer) < 400


def test_secrets() -> None:
    assert check_secret(new_secret())
    for text in ("", "hush", "whsec_", "whsec_hush-hush", "whsec_" + base64.b64encode(b"x" * 23).decode()):
        with pytest.raises(InputError, match="24 to 64 bytes") as raised:
            check_secret(text)
        assert "hush" not in str(raised.value)


def test_waits_grow_and_end_after_three_days() -> None:
    created = 1_000
    at, attempts, waits = created, 0, []
    while True:
        attempts += 1
        following = next_attempt(attempts, created, at)
        if following is None:
            break
        waits.append(following - at)
        at = following
    assert waits[: len(WAITS)] == list(WAITS)
    assert (at - created, attempts) == (GIVE_UP, 13)
    assert next_attempt(1, created, created, wait=600_000) == created + 600_000
    assert next_attempt(1, created, created, wait=10**12) == created + WAITS[-1]


def test_a_test_is_json() -> None:
    assert make_test("ops", 0)["timestamp"] == "1970-01-01T00:00:00.000Z"
