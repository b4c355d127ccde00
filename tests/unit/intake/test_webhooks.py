"""What a request to a webhook becomes, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloma_py.errors import InputError, PayloadError
from aloma_py.intake.webhooks import BodyError, Delivery, read_delivery, read_options
from aloma_py.models import Limits

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def deliver(body: bytes | str, headers: dict[str, str] = JSON, /, query: str = "", **options: Any) -> Delivery:
    content = body.encode("utf-8") if isinstance(body, str) else body
    return read_delivery(read_options(options), headers, query, content, Limits())


def multipart(*parts: str, boundary: str = "XX", end: bool = True) -> tuple[bytes, dict[str, str]]:
    text = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts) + (f"--{boundary}--\r\n" if end else "")
    return text.encode(), {"content-type": f'multipart/form-data; boundary="{boundary}"'}


def part(name: str, value: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'


# ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "body", "data"),
    [
        ("application/json", '{"a": 1}', {"a": 1}),
        ("application/json; charset=UTF-8", '{"ä": "ö"}', {"ä": "ö"}),
        ("application/vnd.api+json", '\ufeff{"a": 1}', {"a": 1}),
        ("application/json", "[1, 2]", {"body": [1, 2]}),
        ("application/json", "null", {"body": None}),
        ("text/plain", '{"a": 1}', {"a": 1}),
        ("text/plain", "it rains", {"body": "it rains"}),
        ("text/plain", '{"a": 1, "a": 2}', {"body": '{"a": 1, "a": 2}'}),
        ("text/plain; charset=iso-8859-1", b"sch\xf6n", {"body": "schön"}),
        ("application/xml", "<a>1</a>", {"body": "<a>1</a>"}),
        ("text/csv", "a;b\r\n1;2", {"body": "a;b\r\n1;2"}),
        ("application/x-www-form-urlencoded", "a=1&b=x+y%21", {"a": "1", "b": "x y!"}),
        ("application/x-www-form-urlencoded", "a=%7B1%7D&b=", {"a": "{1}", "b": ""}),
    ],
)
def test_bodies_are_read_by_their_type(kind: str, body: Any, data: dict[str, Any]) -> None:
    assert deliver(body, {"content-type": kind}).data == data


def test_a_body_without_a_type_is_json_or_text() -> None:
    assert deliver('{"a": 1}', {}).data == {"a": 1}
    assert deliver("hello", {}).data == {"body": "hello"}


def test_an_empty_body_leaves_the_query() -> None:
    found = deliver("", query="a=1&b[c]=2")
    assert found.data == {"a": "1", "b": {"c": "2"}}
    assert found.via["query"] == found.data
    assert deliver(" \n").data == {}


def test_the_query_is_beside_the_body() -> None:
    found = deliver('{"a": 1}', query="source=crm")
    assert found.data == {"a": 1}
    assert found.via == {"query": {"source": "crm"}, "headers": JSON}


def test_what_a_sender_says_of_its_origin_is_dropped() -> None:
    assert deliver('{"$via": {"type": "cli"}, "a": 1}').data == {"a": 1}


def test_the_type_of_text_is_kept_whatever_headers_are_asked_for() -> None:
    assert deliver("<a/>", {"content-type": "text/xml"}, headers=[]).via == {"headers": {"content-type": "text/xml"}}
    assert deliver("{}", {**JSON, "x-b": "2", "x-c": "3"}, headers=["X-B"]).via == {"headers": {"x-b": "2"}}
    assert deliver("{}", JSON, headers=[]).via == {}


# ── forms ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("subscriber[email]=a%40b.c&subscriber[name]=A", {"subscriber": {"email": "a@b.c", "name": "A"}}),
        ("items[]=1&items[]=2", {"items": ["1", "2"]}),
        ("items[]=1", {"items": ["1"]}),
        ("items[0][sku]=A&items[1][sku]=B&items[0][n]=2", {"items": [{"sku": "A", "n": "2"}, {"sku": "B"}]}),
        ("items[1]=b&items[0]=a", {"items": ["a", "b"]}),
        ("items[7]=a&items[9]=b", {"items": {"7": "a", "9": "b"}}),
        ("items[999999999999]=a", {"items": {"999999999999": "a"}}),
        ("items[][sku]=A&items[][n]=1&items[][sku]=B", {"items": [{"sku": "A", "n": "1"}, {"sku": "B"}]}),
        ("a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        ("a[b]=1&a[b]=2", {"a": {"b": ["1", "2"]}}),
        ("a[b=1&[c]=2&a]=3", {"a[b": "1", "[c]": "2", "a]": "3"}),
        ("0=a&1=b", {"0": "a", "1": "b"}),
        ("a[][]=1", {"a": [["1"]]}),
        ("=x&y", {"": "x", "y": ""}),
    ],
)
def test_names_in_brackets_are_nested(form: str, data: dict[str, Any]) -> None:
    assert deliver(form, FORM).data == data
    fields = [pair.partition("=") for pair in form.split("&")]
    if "%" not in form and all(name for name, _, _ in fields):
        assert deliver(*multipart(*(part(name, value) for name, _, value in fields))).data == data


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("a=1&a[b]=2", "has the field 'a\\[b\\]' beside one that it cannot stand in"),
        ("a[b]=2&a=1", "has the field 'a' beside one"),
        ("a[]=1&a[b]=2", "beside one that it cannot stand in"),
        ("a" + "[b]" * 40 + "=1", "nested in more than 32 brackets"),
        ("&".join("a=1" for _ in range(1001)), "more than 1000 fields"),
        ("a=%ff", "not UTF-8"),
        ("a[__proto__][x]=1", "__proto__"),
        ("__proto__=1", "__proto__"),
    ],
)
def test_forms_that_make_no_sense_are_refused(form: str, said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        deliver(form, FORM)


def test_json_that_is_declared_a_form_is_told() -> None:
    with pytest.raises(BodyError, match="send Content-Type: application/json") as caught:
        deliver('{"a": "b&c=d"}', FORM)
    assert caught.value.status == 415


def test_a_field_of_several_lines() -> None:
    assert deliver(*multipart(part("a", "1\r\n--X\r\n2"), part("b", ""))).data == {"a": "1\r\n--X\r\n2", "b": ""}
    assert deliver(*multipart(part("%22a%22", "1"))).data == {'"a"': "1"}


@pytest.mark.parametrize(
    ("parts", "options", "said"),
    [
        (['Content-Disposition: form-data; name="f"; filename="/etc/passwd"\r\n\r\nx'], {}, "a file in the field 'f'"),
        ([part("a", "1")], {"end": False}, "cut off"),
        ([part("a", "1")], {"boundary": "Y" * 71}, "no boundary"),
        (["Content-Type: text/plain\r\n\r\nx"], {}, "a part without a name"),
        (["nothing"], {}, "a part without headers"),
    ],
)
def test_multipart_that_cannot_be_taken(parts: list[str], options: dict[str, Any], said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        deliver(*multipart(*parts, **options))


@given(st.binary(max_size=300), st.sampled_from(["", "text/plain", "application/json", "application/xml"]))
def test_any_bytes_are_data_or_an_error_that_is_told(body: bytes, kind: str) -> None:
    try:
        found = deliver(body, {"content-type": kind} if kind else {})
    except PayloadError as error:
        assert str(error)
    else:
        assert json.loads(json.dumps(found.data)) == found.data


@given(st.text(alphabet="ab[]=&%+.0_", max_size=60))
def test_any_form_is_data_or_an_error_that_is_told(form: str) -> None:
    try:
        found = deliver(f"x=1&{form}", FORM)
    except PayloadError as error:
        assert str(error)
    else:
        assert found.data["x"]


# ── attacks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"a": 1, "a": 2}', "has the member 'a' twice"),
        ('{"a": NaN}', "body.a is NaN"),
        ('{"a": -Infinity}', "Infinity"),
        ('{"a": 1e999}', "too large a number"),
        ('{"a": ' + "9" * 5000 + "}", "a number of 5,000 digits"),
        ('{"__proto__": {"admin": true}}', "__proto__"),
        ('{"a": [{"\\u005f_proto__": 1}]}', "__proto__"),
        ('{"a": "\\ud800"}', r"half a character \(U\+D800\)"),
        ('{"\\udfff": 1}', r"half a character \(U\+DFFF\)"),
        ("[" * 100_000, "nested far too deep"),
        ('{"a": 1', "the text ends too early"),
        ("{'a': 1}", "in double quotes was expected"),
        (b'{"a": "\xff"}', "not UTF-8"),
    ],
)
def test_json_that_two_readers_take_for_two_things_is_refused(body: Any, said: str) -> None:
    with pytest.raises(PayloadError, match=said):
        deliver(body)


def test_a_whole_character_in_escapes_is_none_of_that() -> None:
    assert deliver('{"a": "\\ud83d\\ude00"}').data == {"a": "😀"}


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({**JSON, "content-encoding": "gzip"}, "compressed"),
        ({"content-type": "application/json; charset=utf-16"}, "UTF-8 was expected"),
        ({"content-type": "text/plain; charset=klingon"}, "not known here"),
        ({"content-type": "image/png"}, "image/png.* is no utf-8 text"),
    ],
)
def test_bodies_of_kinds_that_are_not_taken(headers: dict[str, str], said: str) -> None:
    with pytest.raises(BodyError, match=said) as caught:
        deliver(b"\x89PNG\xff", headers)
    assert caught.value.status == 415


def test_a_long_query_is_refused() -> None:
    with pytest.raises(BodyError, match="more than 8,192 characters") as caught:
        deliver("{}", query="a" * 8193)
    assert caught.value.status == 414


# ── deduplication keys and options ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("dedupe", "headers", "body", "key"),
    [
        ("github", {"x-github-delivery": "d-1"}, "{}", "d-1"),
        ("stripe", {}, '{"id": "evt_1"}', "evt_1"),
        ("shopify", {"x-shopify-webhook-id": "s-1"}, "{}", "s-1"),
        ("slack", {}, '{"event_id": "Ev1"}', "Ev1"),
        ("header:X-Request-Id", {"x-request-id": "r"}, "{}", "r"),
        ("body:event.items.0.id", {}, '{"event": {"items": [{"id": 7}]}}', "7"),
        ("body:event.id", {}, '{"event": {"id": null}}', None),
        ("body:event.id", {}, '{"event": {"id": true}}', None),
        ("body:event.id", {}, '{"event": 1}', None),
        ("github", {"x-github-delivery": ""}, "{}", None),
        ("github", {}, "{}", None),
        ("none", {"x-github-delivery": "d-1"}, "{}", None),
    ],
)
def test_keys_of_deliveries(dedupe: str, headers: dict[str, str], body: str, key: str | None) -> None:
    assert deliver(body, {**JSON, **headers}, dedupe=dedupe).key == key


def test_a_long_key_is_kept_as_its_hash() -> None:
    one, other = (deliver("{}", {"x-k": "k" * 300 + end}, dedupe="header:x-k").key for end in ("a", "b"))
    assert one is not None and other is not None
    assert one.startswith("sha256:") and len(one) == 71 and one != other


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"signatur": "github"}, "did you mean 'signature'"),
        ({"dedupe": "gihub"}, "did you mean 'github'"),
        ({"dedupe": "header:"}, "no way to deduplicate"),
        ({"dedupe": 3}, "dedupe is 3"),
        ({"rate": 0}, "rate is 0; a whole number from 1"),
        ({"rate": True}, "rate is True"),
        ({"max_bytes": "1k"}, "max_bytes is '1k'"),
        ({"allow": ["10.0.0.0/33"]}, "allow has '10.0.0.0/33'"),
        ({"allow": ["10.0.0.1/8"]}, "allow has '10.0.0.1/8'"),
        ({"allow": "10.0.0.0/8"}, "allow is no list"),
        ({"headers": ["Authorization"]}, "never put into a task"),
        ({"headers": ["X-Key"], "signature": {"token": "X-Key"}}, "never put into a task"),
        ({"headers": "X-Key"}, "headers is no list"),
        ({"respond": "later"}, "accepted or result was expected"),
        ({"timeout": "61s"}, "at most 60 s"),
        ({"timeout": "soon"}, "must be a duration"),
        ({"task": ""}, "name is empty"),
        ({"description": 1}, "description is no text"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_options(options)
