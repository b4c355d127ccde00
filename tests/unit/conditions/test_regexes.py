"""No regex stalls the engine, and the guard finds what Python's ``re`` finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py.conditions import compile_condition, explain, matches, regexes
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


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("^(new|open|closed)$", 100_000),
        ("a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w|x|y|z", 30_000),
        (r"[|(|)|[|]\|\(|x", 100_000),
        (r"(red|green|blue)-(\d|x)", 100_000),
        (r"\w+@\w+\.(com|org|net)", 60),
    ],
)
def test_ordinary_alternatives_are_given_to_re(text: str, least: int) -> None:
    assert quick_length(text) >= least


@pytest.mark.parametrize("many", ["(a|a)", "(|)", "(ab|a)", "((a|a)|b)", "(?:a|aa)"])
def test_many_alternatives_one_after_another_are_never_given_to_re(many: str) -> None:
    # Given a pattern with 2 ** 40 ways through it
    given_to_re: list[str] = []

    class Watched:
        pattern, flags = f"{many * 40}$", re.UNICODE.value

        def search(self, text: str) -> None:
            given_to_re.append(text)

    search = guard(cast("re.Pattern[str]", Watched()), limit=0.01)
    for text in ("", "a", "b", "a" * 60 + "b"):
        assert search(text) in (True, False, None)
    assert given_to_re == []


@pytest.mark.parametrize("text", ["(a+) +$", "(a+) # many\n+$", "(a|aa)\t*c", "(\\w+) \\1 # twice"])
def test_spaces_and_comments_do_not_hide_what_is_repeated(text: str) -> None:
    re.compile(text, re.X)
    assert quick_length(text, verbose=True) == -1


Node = tuple[str, Any]


def shapes(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(inner, min_size=2, max_size=4)
    return several.map(lambda nodes: ("|", nodes)) | several.map(lambda nodes: ("then", nodes))


PARTS = st.sampled_from([("char", "a"), ("char", "a"), ("char", "b"), ("many", "a"), ("may", "a")])
ROWS = st.lists(st.just(("|", [("char", "a"), ("char", "a")])), min_size=3, max_size=9)
NODES = st.recursive(PARTS, shapes, max_leaves=20) | st.builds(
    lambda row, end: ("then", [*row, end]), ROWS, st.recursive(PARTS, shapes, max_leaves=3)
)


def written(node: Node) -> str:
    kind, inside = node
    if kind == "|":
        return f"({'|'.join(map(written, inside))})"
    if kind == "then":
        return "".join(map(written, inside))
    return str(inside) + {"char": "", "many": "*", "may": "?"}[kind]


def steps(node: Node, text: str) -> int:
    """How often a search that backtracks looks at a character when it tries all there is and never finds an end."""
    count = 0

    def ends(node: Node, at: int) -> Iterator[int]:
        nonlocal count
        kind, inside = node
        if kind == "|":
            for one in inside:
                yield from ends(one, at)
        elif kind == "then":
            yield from sequence(inside, at)
        else:
            most = {"char": 1, "may": 1, "many": len(text)}[kind]
            last = at
            while last < len(text) and last - at < most and text[last] == inside:
                count, last = count + 1, last + 1
            count += 1
            yield from range(last, at - (kind != "char"), -1) if kind != "char" or last > at else ()

    def sequence(nodes: list[Node], at: int) -> Iterator[int]:
        if not nodes:
            yield at
            return
        for end in ends(nodes[0], at):
            yield from sequence(nodes[1:], end)

    for start in range(len(text) + 1):
        for _ in ends(node, start):
            count += 1
    return count


@settings(deadline=None, max_examples=150)
@given(NODES)
def test_what_is_given_to_re_takes_no_more_steps_than_the_budget(node: Node) -> None:
    text = written(node)
    assert re.compile(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regexes, "_BUDGET", 400)
        longest = quick_length(text)
    # The budget counts ways through the pattern; on each, a part of the pattern is looked at a few times at most.
    assert longest < 0 or steps(node, "a" * longest) <= 400 * 3 * sum(text.count(sign) for sign in "ab")


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
