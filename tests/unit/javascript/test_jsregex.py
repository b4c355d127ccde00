"""What Python says of a JavaScript pattern is what V8 says, or Python says nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import regex  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from py_mini_racer import MiniRacer

from aloma_py.conditions.jsregex import _letter_case, _points, _units, python_text, translate
from aloma_py.conditions.regexes import LIMIT

HARNESS = """
function answers(source, flags, texts) {
  let pattern;
  try { pattern = new RegExp(source, flags); } catch (error) { return error.name; }
  return texts.map((text) => { pattern.lastIndex = 0; return pattern.test(text); });
}
"""

CHANGING = """
[...Array(65536).keys()].filter((code) => {
  const upper = String.fromCharCode(code).toUpperCase();
  return upper.length === 1 && upper.charCodeAt(0) !== code && (code < 128 || upper.charCodeAt(0) >= 128);
})
"""

ALPHABET = (
    "aAbBkKsSiIzZ_09 -.{}[]()\\/^$|,u\n\r\u2028\t\xa0\ufeff\u0130\u0131\u017f\u212a\xe9\xc9\xdf\u1e9eµμΣσς😀\U0001f601"
)
HALVES = "\ud83d\ude00\udf06"


@pytest.fixture(scope="module")
def v8() -> Iterator[MiniRacer]:
    racer = MiniRacer()
    racer.eval(HARNESS + "; 0")
    yield racer
    racer.close()


def ask_json(v8: MiniRacer, expression: str) -> Any:
    return json.loads(str(v8.eval(f"JSON.stringify({expression})")))


def ask(v8: MiniRacer, source: str, flags: str, texts: list[str]) -> list[bool] | str:
    """V8's answers, or the name of the error that it has for the pattern."""
    answers: list[bool] | str = ask_json(
        v8, f"answers(...JSON.parse({json.dumps(json.dumps([source, flags, texts]))}))"
    )
    return answers


def check(v8: MiniRacer, source: str, flags: str, texts: list[str]) -> None:
    """Everything that is translated means the same, in both of the modules that may be asked."""
    search = translate(source, flags)
    if search is None:
        return
    expected = ask(v8, source, flags, texts)
    shown = f"/{source}/{flags} is {python_text(source, flags)!r}"
    assert isinstance(expected, list), f"{shown}, for V8 {expected}"
    for text, answer in zip(texts, expected, strict=True):
        assert search(text) in (answer, None), f"{shown} on {text!r}"
        # Such short texts are mostly left to re, so the other is asked as well.
        assert guarded(source, flags, text) is answer, f"{shown} on {text!r} with regex"


def guarded(source: str, flags: str, text: str) -> bool:
    """The answer of the module that long texts are given to."""
    pattern = regex.compile(python_text(source, flags) or "", regex.A | regex.V0)
    return pattern.search((_points if "u" in flags else _units)(text)) is not None


LITERALS = st.sampled_from([*ALPHABET, *HALVES, "abc", "ab", "😀😀", "#", "&&", "--", "~~", "[[:alpha:]]"])
ESCAPES = st.sampled_from(
    [rf"\{sign}" for sign in "^$.*+?()[]{}|/-dDwWsSbBtnvfr0&#_eaAZzGQmMXRN<>"]
    + [r"\cJ", r"\cj", r"\x41", r"\x4", r"\u0041", r"\u004", r"\u{61}", r"\u{1F600}", r"\ud83d", r"\ude00"]
    + [r"\ud83d\ude00", r"\u017f", r"\u212a", r"\1", r"\8", r"\01", r"\k", r"\k<n>", r"\p{L}", r"\c", r"\c1", r"\cé"]
)
RANGES = st.one_of(
    st.sampled_from(["a-z", "A-Z", "0-9", "k-s", "!-~", "à-ÿ", "À-ž", "Ā-\uffff", "α-ω", "一-龯", "😀-😂", "^"]),
    st.sampled_from(["z-a", "+--", "*-", "a-b-c", "{-}", "]-a", r"\w-z", r"\n-\r", r"\x00-\x7f", r"\u0000-\uffff"]),
    st.sampled_from([r"\ud800-\udfff", r"\ud83d\ude00-\ud83d\ude02"]),
)
CLASSES = st.builds(
    lambda sign, members: f"[{sign}{''.join(members)}]",
    st.sampled_from(["", "^"]),
    st.lists(st.one_of(LITERALS.filter(lambda text: text not in ("]", "\\")), ESCAPES, RANGES), max_size=4),
)
QUANTIFIERS = st.sampled_from(
    ["", "", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "{0}", "{,2}", "{2", "{ 1}", "{1,2}"]
)
GREED = st.sampled_from(["", "", "", "?", "+"])
ASSERTIONS = st.sampled_from(["^", "$", r"\b", r"\B"])
PLAIN = LITERALS.map(lambda text: "".join("\\" + char if char in "^$\\.*+?()[]{}|/" else char for char in text))
SAFE_ATOMS = st.one_of(
    PLAIN, st.sampled_from([".", r"\w", r"\W", r"\s", r"\S", r"\d", r"\D", "[^]", "[]", "[a-c]", "[^a]"])
)
ATOMS = st.one_of(SAFE_ATOMS, SAFE_ATOMS, SAFE_ATOMS, CLASSES, ESCAPES, ASSERTIONS, LITERALS)


def patterns(atoms: st.SearchStrategy[str], openings: list[str]) -> st.SearchStrategy[str]:
    """Patterns made of atoms, quantifiers, alternatives and groups."""
    return st.recursive(
        st.builds(lambda atom, many, lazy: atom + many + (lazy if many else ""), atoms, QUANTIFIERS, GREED),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=4).map("".join),
            st.lists(inner, min_size=2, max_size=3).map("|".join),
            st.builds(
                lambda opening, body, many, lazy: f"{opening}{body}){many}{lazy if many else ''}",
                st.sampled_from(openings),
                inner,
                QUANTIFIERS,
                GREED,
            ),
        ),
        max_leaves=6,
    )


PATTERNS = patterns(ATOMS, ["(", "(", "(?:", "(?<n>", "(?=", "(?!", "(?<=", "(?<!", "(?i:", "(?P<n>", "(?#", "(?>"])
TEXTS = st.lists(
    st.lists(st.sampled_from([*ALPHABET, *HALVES, "a", "b", "a", "b"]), max_size=10).map("".join),
    min_size=4,
    max_size=8,
)
# Fewer characters, so that more is found and the ways to find it differ more.
NARROW_ATOMS = [
    "a",
    "b",
    "a",
    "b",
    "ab",
    "[ab]",
    "[^a]",
    ".",
    r"\w",
    r"\W",
    r"\s",
    r"\b",
    r"\B",
    "^",
    "$",
    "😀",
    "ſ",
    "[😀a]",
]
NARROW_PATTERNS = patterns(st.sampled_from(NARROW_ATOMS), ["(", "(?:", "(?:", "(?=", "(?!"])
NARROW_TEXTS = st.lists(st.text("aaabbbAB\n\u2028ſ😀\ud83d\ude00", max_size=9), min_size=8, max_size=12)
FLAGS = st.sampled_from(
    ["", "", "i", "i", "m", "s", "u", "u", "im", "is", "mu", "su", "ms", "y", "iy", "uy", "g", "dg", "iu", "v"]
)


@settings(max_examples=300)
@given(source=PATTERNS, flags=FLAGS, texts=TEXTS)
def test_a_translated_pattern_finds_what_v8_finds(v8: MiniRacer, source: str, flags: str, texts: list[str]) -> None:
    check(v8, source, flags, [*texts, ""])


@settings(max_examples=300)
@given(source=NARROW_PATTERNS, flags=FLAGS, texts=NARROW_TEXTS)
def test_a_translated_pattern_backtracks_to_what_v8_finds(
    v8: MiniRacer, source: str, flags: str, texts: list[str]
) -> None:
    check(v8, source, flags, texts)


@pytest.mark.parametrize(
    ("source", "flags", "found", "missed"),
    [
        ("", "", ["", "a"], []),
        ("^foo.*bar$", "i", ["FOO to baR"], ["foo\nbar", "foobar\n", "a foobar"]),
        (r"\d{3}-\d+", "", ["x123-4"], ["12-4", "١٢٣-4"]),
        (r"^[\w.+-]+@[\w-]+\.[\w.]+$", "", ["a.b+c@d-e.co.uk"], ["a@b", "ä@b.de"]),
        (".*chuck +norris.*", "i", ["It is CHUCK  Norris!"], ["chucknorris"]),
        (r"^\s*(?:re|fwd?)\s*:", "i", [" Re :", "\ufeffFW:"], ["ref:"]),
        (r"(?<year>\d{4})-(?<month>\d\d)", "g", ["on 2024-05-01"], ["24-05"]),
        (r"^https?:\/\/", "", ["http://", "https://x"], [" http://"]),
        (r"^(?!.*test).+@", "", ["me@"], ["test@"]),
        ("müller|straße", "i", ["MÜLLER", "Straße"], ["muller", "STRASSE", "STRAẞE"]),
        ("ab$", "", ["ab"], ["ab\n"]),
        ("^b$", "m", ["a\u2028b\rc"], ["ab"]),
        (r"^\s+$", "", ["\xa0\ufeff\u2028\t"], ["\x1c", "\x85", ""]),
        ("^.$", "", ["a", "\ud83d"], ["😀", "\r"]),
        ("^.$", "u", ["😀", "\ud83d\ude00", "\ud83d"], ["😀😀", "\u2029"]),
        ("^.$", "s", ["\n"], [""]),
        ("^[😀]{2}$", "", ["😀"], ["😀😀"]),
        (r"^\u{1F600}$", "u", ["😀"], ["u"]),
        ("^\\u{3}$", "", ["uuu"], ["\x03"]),
        ("[^]", "", ["\n"], [""]),
        ("[]", "", [], ["", "a", "\n"]),
        ("a{,2}", "", ["a{,2}"], ["aa", "a"]),
        ("x{y", "", ["x{y"], ["x"]),
        ("[[a&&b]", "", ["&", "["], ["c"]),
        ("# a", "", ["# a"], ["#a", ""]),
        (r"\A\Z\a", "", ["AZa"], ["", "\a"]),
        (r"\cJ\0\v\x41\u0042", "", ["\n\0\vAB"], [""]),
        (r"\B", "", ["", "ab"], ["a"]),
        ("k", "i", ["K"], ["\u212a"]),
        ("[^s]", "i", ["\u017f"], ["sS"]),
        (r"\bk\b", "", ["ék"], ["_k"]),
        ("b", "y", ["ba"], ["ab"]),
        ("a|b", "y", ["ba"], ["cb"]),
    ],
)
def test_common_and_odd_patterns_are_translated(
    v8: MiniRacer, source: str, flags: str, found: list[str], missed: list[str]
) -> None:
    search = translate(source, flags)
    assert search is not None
    assert [search(text) for text in found + missed] == [True] * len(found) + [False] * len(missed)
    check(v8, source, flags, found + missed)


@pytest.mark.parametrize(
    ("source", "flags"),
    [
        *[(source, "") for source in (r"(a)\1", r"(?<n>a)\k<n>", r"\k", "(?<=a)b", "(?<!a)b", r"\01", r"[\07]", r"\8")],
        *[(source, "") for source in ("(a*)*", "(a|b?)+", "(^)*", "(?:(?=a)){2}", "(?=a)*", r"[\w-z]", r"[a-\d]")],
        *[
            (source, "")
            for source in ("(?i:a)", "(?P<n>a)", "(?i)a", "(?#a)", "(?>a)", "a++", "a**", "a{2}{3}", "a{2}+")
        ],
        *[
            (source, "")
            for source in ("(", ")", "[", "[a", "\\", "*", "{2}", "[b-a]", "a{3,2}", r"\c", "(?<n>a)(?<n>b)")
        ],
        *[(source, "") for source in ("a{99999999999999999999}", "(" * 5000, "(" * 5000 + ")" * 5000, "(?<é>a)")],
        *[(source, "u") for source in (r"\p{L}", "{", "}", "]", "a{", r"\a", r"\-", r"\u{110000}", r"\u{}", r"\ud83d")],
        *[("a", flags) for flags in ("iu", "v", "gg", "x")],
        ("[Ā-ʯ]", "i"),
        ("\u0264", "i"),
    ],
)
def test_what_python_may_take_otherwise_is_left_to_v8(source: str, flags: str) -> None:
    assert translate(source, flags) is None


def test_characters_that_differ_in_case_only_are_those_of_v8(v8: MiniRacer) -> None:
    # Given all letters of which Python knows another case
    partners, _ = _letter_case()
    letters = "".join(map(chr, sorted(partners)))
    # Then each as a pattern finds the letters that V8 finds, and no others
    for letter in letters[::25]:
        search = translate(letter, "i")
        assert search is not None
        assert [search(other) for other in letters] == ask(v8, letter, "i", list(letters))
    # And where V8 knows more, Python leaves it to V8
    changing = ask_json(v8, CHANGING)
    assert len(changing) > 1000
    assert all(chr(code) in letters or translate(chr(code), "i") is None for code in changing)


@pytest.mark.parametrize("source", ["(a+)+$", "(a|aa)+$", "(a|a)" * 30 + "$", "a*a*a*a*a*a*a*a*c", r"^(\w+\s?)*$"])
def test_no_pattern_stalls(source: str) -> None:
    search = translate(source, "")
    assert search is not None
    before = time.monotonic()
    assert search("a" * 40 + "!") in (False, None)
    assert search("a" * 5000 + "!") in (False, None)
    assert time.monotonic() - before < 40 * LIMIT
