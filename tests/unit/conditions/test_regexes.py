"""No regex stalls the engine, and the guard finds what Python's ``re`` finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py.conditions import compile_condition, explain, matches
from aloma_py.conditions.regexes import compile_text, guard, quick_length


def test_a_search_that_takes_too_long_is_given_up_and_said_so() -> None:
    # Given a pattern that backtracks exponentially on such a text
    condition = compile_condition({"text": matches("(a+)+$")})
    data = {"text": "a" * 5000 + "b"}
    # Then it does not hold, and the explanation says why
    assert not condition.matches(data)
    [row] = explain(condition, data).rows
    assert row.found.endswith("(the search took longer than 50 ms and was given up)")
    assert not row.held
    # And the same pattern still finds what it can find in time
    assert condition.matches({"text": "aaa"})


@pytest.mark.parametrize("text", ["(a+)+$", "(a|aa)+$", r"(\w+)\1", "(?=a*)b", "(?:ab)*c", r"\1"])
def test_patterns_without_a_bound_are_never_given_to_re(text: str) -> None:
    assert quick_length(text) == -1


@pytest.mark.parametrize(("text", "least"), [("abc", 100_000), ("a+", 900), ("a+b+", 90), (r"\w+@\w+", 90)])
def test_patterns_with_a_bound_are_given_to_re_for_short_texts(text: str, least: int) -> None:
    assert quick_length(text) >= least


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(["a+b", "(ab)+", "^a|b$", "[^a]", "(?i)AB", r"\d+\.\d", "a{2,}", ".", r"\bab\b", "(a)(b)?"]),
    st.text("ab1. \n", max_size=12) | st.text("ab", min_size=1100, max_size=1200),
)
def test_the_guarded_search_finds_what_re_finds(text: str, searched: str) -> None:
    pattern = re.compile(text)
    assert guard(pattern)(searched) == (pattern.search(searched) is not None)


def test_flags_are_kept_on_both_ways() -> None:
    search = guard(compile_text("^b.c$", "ims"))
    assert search("a\nB\nC\nd")
    assert search("x" * 5000 + "\nB\nC\n")
    assert not guard(compile_text("^b.c$"))("B\nC")
