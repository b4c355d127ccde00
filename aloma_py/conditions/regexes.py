"""Regular expressions that cannot stall the engine (SPEC §2).

Python's ``re`` backtracks, and a pattern such as ``(a+)+$`` can keep it busy for years. Patterns whose cost on a text
is bounded by its length are given to ``re`` while that bound is small; all other searches go to the ``regex`` module,
which understands the same syntax and takes a time limit.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Final

import regex  # type: ignore[import-untyped]

LIMIT: Final = 0.05
"""Seconds after which a search is given up; it then counts as not found."""

_BUDGET: Final = 1_000_000
_FLAGS: Final = {"i": re.I, "m": re.M, "s": re.S, "x": re.X, "a": re.A}
_GUARDED_FLAGS: Final = {"i": regex.I, "m": regex.M, "s": regex.S, "x": regex.X, "a": regex.A}
_UNBOUNDED: Final = re.compile(r"\)[*+?{]|\\[1-9]|\(\?[^:]")
_STRUCTURE: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[|()]", re.DOTALL)
"""Escapes and classes, in which signs mean themselves, and the signs of alternatives and groups."""


def flag_letters(pattern: re.Pattern[str]) -> str:
    """The flags of a compiled pattern as letters (``"im"``)."""
    return "".join(letter for letter, flag in _FLAGS.items() if pattern.flags & flag)


def compile_text(text: str, letters: str | int = "") -> re.Pattern[str]:
    """Compile text with flags given as letters of ``imsxau`` or as ``re`` flags.

    Raises ``ValueError`` whose text says what was wrong.
    """
    if isinstance(letters, str):
        unknown = sorted(set(letters) - set(_FLAGS) - {"u"})
        if unknown:
            raise ValueError(f"unknown regex flag {unknown[0]!r}; there are: a, i, m, s, u, x")
        letters = sum(_FLAGS[letter] for letter in set(letters) - {"u"})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return re.compile(text, letters)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None


def guard(pattern: re.Pattern[str], limit: float = LIMIT) -> Callable[[str], bool | None]:
    """A function that says whether the pattern is found in a text; ``None`` where it gave up after ``limit`` seconds.

    Raises ``ValueError`` for a pattern that ``re`` takes and ``regex`` does not, so that no limit could be held.
    """
    quick = pattern.search
    longest = quick_length(pattern.pattern, verbose=bool(pattern.flags & re.X))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            flags = sum(_GUARDED_FLAGS[letter] for letter in flag_letters(pattern))
            guarded = regex.compile(pattern.pattern, flags | regex.V0).search
    except regex.error as error:
        raise ValueError(f"{pattern.pattern!r} cannot be held to a time limit: {error}") from None

    def search(text: str) -> bool | None:
        if len(text) <= longest:
            return quick(text) is not None
        try:
            return guarded(text, timeout=limit) is not None
        except TimeoutError:
            return None

    return search


def quick_length(text: str, *, verbose: bool = False) -> int:
    """Up to which length of text a backtracking search stays within a small budget of steps; -1 for never.

    Without repeated groups, back references and look-around, a search with ``k`` quantifiers and ``w`` ways through
    its alternatives takes at most about ``w * length ** (k + 1)`` steps. Quantifier signs are counted wherever they
    stand, which errs on the safe side. In a ``verbose`` pattern spaces mean nothing, and a comment may hold anything.
    """
    if _UNBOUNDED.search(re.sub(r"\s", "", text) if verbose else text) or (verbose and "#" in text):
        return -1
    quantifiers = sum(text.count(sign) for sign in "*+?{")
    return int((_BUDGET / _ways(text)) ** (1 / (quantifiers + 1))) - 1


def _ways(text: str) -> int:
    """How many ways there are through the alternatives of a pattern: the sum of them, and the product of groups.

    ``(a|b)(c|d|e)|f`` has 2 * 3 + 1. It stops counting where the budget is passed.
    """
    outer: list[tuple[int, int]] = []  # of each open group's surroundings: the alternatives before, and this one so far
    before, here = 0, 1
    for sign in _STRUCTURE.findall(text):
        if sign == "|":
            before, here = before + here, 1
        elif sign == "(":
            outer.append((before, here))
            before, here = 0, 1
        elif sign == ")" and outer:
            inside = before + here
            before, here = outer.pop()
            here = min(here * inside, 2 * _BUDGET)
    return before + here
