"""The namespaces that connectors get by their names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aloma_py.connect.naming import camel_case, check_namespace, kind_names, namespace_of
from aloma_py.errors import InputError


@pytest.mark.parametrize(("name", "namespace"), [
    ("hubspot.com", "hubspotCom"),
    ("hubspot.com (private)", "hubspotCom"),
    ("Google Sheets", "googleSheets"),
    ("E-Mail (SMTP - OAuth)", "eMailSmtpOAuth"),
    ("E-Mail (SMTP)", "eMailSmtp"),
    ("slack.com", "slackCom"),
    ("Perplexity", "perplexity"),
    ("Claude-ai", "claudeAi"),
    ("openai.com", "openaiCom"),
    ("Document Generation", "documentGeneration"),
    ("github.com", "githubCom"),
    ("DuxSoup", "duxSoup"),
    ("DuxSoup (duxSoup2)", "duxSoup2"),
    ("DuxSoup (duxSoup2) (private)", "duxSoup2"),
    ("Cron", "cron"),
    ("kubernetes", "kubernetes"),
    ("Sales CRM", "salesCrm"),
    ("HTTP", "http"),
])  # fmt: skip
def test_names_in_use_have_the_namespaces_in_use(name: str, namespace: str) -> None:
    assert namespace_of(name) == namespace


@pytest.mark.parametrize(("text", "found"), [
    # What lodash makes of them.
    ("fooBar", "fooBar"), ("__FOO_BAR__", "fooBar"), ("--foo-bar--", "fooBar"), ("XMLHttpRequest", "xmlHttpRequest"),
    ("aBCd", "aBCd"), ("12 feet", "12Feet"), ("enable 6h format", "enable6HFormat"),
    ("too legit 2 quit", "tooLegit2Quit"),
    ("walk 500 miles", "walk500Miles"), ("xhr2 request", "xhr2Request"), ("Café", "cafe"), ("don't", "dont"),
    ("enable 24H format", "enable24HFormat"), ("LETTERSAeiou", "lettersAeiou"), ("1st place", "1stPlace"), ("", ""),
])  # fmt: skip
def test_camel_case_is_lodashs(text: str, found: str) -> None:
    assert camel_case(text) == found


@pytest.mark.parametrize("name", ["", "(private)", "3CX", "日本", "!!"])
def test_a_name_without_a_namespace_asks_for_one(name: str) -> None:
    with pytest.raises(InputError, match="give one as namespace"):
        namespace_of(name)


@pytest.mark.parametrize("namespace", ["", "a.b", "1a", "_a", "a-b", "ä", "a b", "a" * 101, "__proto__"])
def test_a_namespace_that_code_cannot_write_is_refused(namespace: str) -> None:
    with pytest.raises(InputError, match="a letter first"):
        check_namespace(namespace)


def test_a_kind_is_found_by_what_stands_before_its_parentheses() -> None:
    assert kind_names("hubspot.com (private)") == ("hubspot.com (private)", "hubspot.com")
    assert kind_names("E-Mail (SMTP)") == ("E-Mail (SMTP)",)


@given(st.text(max_size=30))
def test_whatever_the_name_the_namespace_can_be_written_or_it_is_said(name: str) -> None:
    try:
        found = namespace_of(name)
    except InputError:
        return
    check_namespace(found)
