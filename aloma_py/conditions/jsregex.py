"""JavaScript's regular expressions judged by Python's (SPEC §2): the same answer without entering V8.

A pattern is parsed as JavaScript reads it and written anew with nothing but what ``re`` and ``regex`` read alike: every
character as an escape, every class as plain ranges (letter case included), anchors as ``\\A``, ``\\Z`` and look-around.
Where that cannot give exactly JavaScript's answer there is no translation, and V8 is asked.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

from aloma_py.conditions.regexes import compile_text, guard

Search = Callable[[str], bool | None]

_FLAGS: Final = frozenset("dgimsuy")
_MOST_REPEATS: Final = 1000
_SYNTAX: Final = frozenset("^$\\.*+?()[]{}|/")
_CONTROLS: Final = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}
_HEX: Final = "0123456789abcdefABCDEF"
_BRACES: Final = re.compile(r"\{([0-9]+)(?:(,)([0-9]*))?\}")
_CODE: Final = re.compile(r"\{0*([0-9a-fA-F]{1,6})\}")
_GROUP: Final = re.compile(r"\((?:\?(?::|<([A-Za-z_$][A-Za-z0-9_$]*)>))?")
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")
_PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")

Ranges = tuple[tuple[int, int], ...]
"""A set of characters: first and last code of runs that are in order and do not touch."""

_LAST: Final = 0x10FFFF
_EVERYTHING: Final[Ranges] = ((0, _LAST),)


class _Unsure(Exception):
    """The pattern is invalid, or Python cannot be trusted to mean the same."""


def _united(ranges: Iterable[tuple[int, int]]) -> Ranges:
    united: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if united and low <= united[-1][1] + 1:
            united[-1] = united[-1][0], max(high, united[-1][1])
        else:
            united.append((low, high))
    return tuple(united)


def _complement(ranges: Ranges) -> Ranges:
    edges = [-1, *(edge for run in ranges for edge in run), _LAST + 1]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return tuple((before + 1, after - 1) for before, after in gaps if after - before > 1)


def _one(code: int) -> tuple[int, int]:
    return code, code


_DIGITS: Final[Ranges] = ((0x30, 0x39),)
_WORD: Final[Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Final[Ranges] = _united(
    [(0x09, 0x0D), (0x2000, 0x200A), (0x2028, 0x2029)]
    + [_one(code) for code in (0x20, 0xA0, 0x1680, 0x202F, 0x205F, 0x3000, 0xFEFF)]
)
_ESCAPES: Final = {"d": _DIGITS, "w": _WORD, "s": _SPACE} | {
    letter: _complement(ranges) for letter, ranges in (("D", _DIGITS), ("W", _WORD), ("S", _SPACE))
}
_NOT_LINE_ENDS: Final = _complement(((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)))


def _close_over_case(ranges: Ranges) -> Ranges:
    """The set and whatever differs from its members in case only; raises ``_Unsure`` where that is not settled."""
    units = [code for low, high in ranges for code in range(low, min(high, 0xFFFF) + 1)]
    if not ranges or ranges[-1][1] < 0x80:
        return _united(_one(code) for unit in units for code in (unit, unit ^ 0x20 * chr(unit).isalpha()))
    partners, unsettled = _letter_case()
    if 0 < len(unsettled.intersection(units)) < len(unsettled):
        raise _Unsure
    return _united([*ranges, *(_one(other) for unit in units for other in partners.get(unit, ()))])


@functools.cache
def _letter_case() -> tuple[dict[int, list[int]], frozenset[int]]:
    """Code units that JavaScript takes for equal when it ignores case, and those of which Python cannot know.

    JavaScript compares the upper case of two units, where that is one unit and does not turn another character into an
    ASCII one. Cased characters without a partner and characters that Python has not heard of may be partners in the
    newer Unicode of V8; two that have partners already never change (Unicode's stability policy).
    """
    equal: dict[int, list[int]] = {}
    unsettled = []
    for code in range(0x10000):
        char = chr(code)
        upper = char.upper()
        folds = len(upper) == 1 and ord(upper) < 0x10000 and (code < 0x80 or ord(upper) >= 0x80)
        equal.setdefault(ord(upper) if folds else code, []).append(code)
        uncased = char == upper == char.lower()
        if uncased and unicodedata.category(char) in ("Ll", "Lu", "Lt", "Cn"):
            unsettled.append(code)
    return {code: codes for codes in equal.values() if len(codes) > 1 for code in codes}, frozenset(unsettled)


def translate(source: str, flags: str) -> Search | None:
    """A search with exactly the meaning of ``new RegExp(source, flags)`` finding something in a text.

    It searches from the beginning (``lastIndex`` 0; ``g`` and ``d`` change nothing). ``None`` where Python cannot mean
    the same: then V8 has to be asked. The search gives ``None`` where it gave up after the time limit.
    """
    text = python_text(source, flags)
    if text is None:
        return None
    try:
        found = guard(compile_text(text, "a"))
    except (ValueError, RecursionError, OverflowError):
        return None
    prepare = _points if "u" in flags else _units

    def search(subject: str) -> bool | None:
        return found(subject if subject.isascii() else prepare(subject))

    return search


def python_text(source: str, flags: str) -> str | None:
    """The pattern in the syntax that ``re`` and ``regex`` share (to be compiled with ``a``), or ``None``."""
    if not _FLAGS.issuperset(flags) or len(set(flags)) < len(flags) or {"i", "u"}.issubset(flags):
        return None
    try:
        text = _Parser(source, flags).pattern()
    except (_Unsure, RecursionError):
        return None
    # A sticky pattern is tried at lastIndex only.
    return rf"\A({text})" if "y" in flags else text


def _units(text: str) -> str:
    """Text as JavaScript counts it without the ``u`` flag: astral characters become two surrogates."""
    return _ASTRAL.sub(lambda match: chr(0xD7C0 + (ord(match[0]) >> 10)) + chr(0xDC00 + (ord(match[0]) & 0x3FF)), text)


def _points(text: str) -> str:
    """Text as the ``u`` flag sees it: surrogates that stand together are one character."""
    return _PAIR.sub(lambda match: match[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)


class _Parser:
    """One pass over a pattern. Its methods give Python text, raise ``_Unsure``, and move ``at``.

    With the text comes whether it can match the empty text, as Python and JavaScript repeat such bodies differently.
    """

    def __init__(self, source: str, flags: str) -> None:
        self.unicode = "u" in flags
        self.source = _points(source) if self.unicode else _units(source)
        self.at = 0
        self.names: set[str] = set()
        self.ignore_case = "i" in flags
        self.multiline = "m" in flags
        self.dot = _EVERYTHING if "s" in flags else _NOT_LINE_ENDS

    def pattern(self) -> str:
        text, _ = self.alternatives()
        if self.at < len(self.source):
            raise _Unsure
        return text

    def peek(self, length: int = 1) -> str:
        return self.source[self.at : self.at + length]

    def take(self) -> str:
        """The next character; raises ``_Unsure`` at the end."""
        if self.at >= len(self.source):
            raise _Unsure
        self.at += 1
        return self.source[self.at - 1]

    def takes(self, text: str) -> bool:
        """Whether ``text`` comes next; it is then passed over."""
        found = self.source.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def alternatives(self) -> tuple[str, bool]:
        texts, empties = [], []
        while True:
            text, empty = self.sequence()
            texts.append(text)
            empties.append(empty)
            if not self.takes("|"):
                return "|".join(texts), any(empties)

    def sequence(self) -> tuple[str, bool]:
        texts, can_be_empty = [], True
        while self.peek() not in ("", "|", ")"):
            text, empty = self.term()
            texts.append(text)
            can_be_empty = can_be_empty and empty
        return "".join(texts), can_be_empty

    def term(self) -> tuple[str, bool]:
        """An assertion, or an atom with its quantifier."""
        assertion = self.assertion()
        if assertion is not None:
            if self.quantifier() is not None:
                raise _Unsure
            return assertion, True
        is_group = self.peek() == "("
        text, empty = self.group() if is_group else (self.characters(), False)
        quantifier = self.quantifier()
        if quantifier is None:
            return (f"({text})" if is_group else text), empty
        least, most, sign = quantifier
        if empty and (most is None or most > 1):
            raise _Unsure
        # Unrepeated groups capture, for the cost of a search is estimated from the question marks of a pattern;
        # repeated ones do not, so that their captures need not be kept.
        return (f"(?:{text})" if is_group else text) + sign, empty or least == 0

    def assertion(self) -> str | None:
        if self.takes("^"):
            return rf"(?<!{_plain(_NOT_LINE_ENDS)})" if self.multiline else r"\A"
        if self.takes("$"):
            return rf"(?!{_plain(_NOT_LINE_ENDS)})" if self.multiline else r"\Z"
        if self.takes(r"\b"):
            return r"\b"
        if self.takes(r"\B"):
            # Python's own \B is not found in the empty text.
            return r"(?!\b)"
        for sign in ("(?=", "(?!"):
            if self.takes(sign):
                return f"{sign}{self.inside()[0]})"
        return None

    def group(self) -> tuple[str, bool]:
        """The inside of a group. Groups have neither names nor numbers in Python, as nothing can refer to them."""
        opening = _GROUP.match(self.source, self.at)
        if opening is None:
            raise _Unsure
        self.at = opening.end()
        if self.peek() == "?" or opening[1] in self.names:
            raise _Unsure
        self.names |= {opening[1]} - {None}
        return self.inside()

    def inside(self) -> tuple[str, bool]:
        """The rest of a group or look-ahead, after its opening."""
        inside = self.alternatives()
        if not self.takes(")"):
            raise _Unsure
        return inside

    def quantifier(self) -> tuple[int, int | None, str] | None:
        """Least and most repetitions (``None``: endless) and the Python text of the quantifier that comes next."""
        sign = self.peek()
        if sign in ("*", "+", "?"):
            self.at += 1
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        elif braces := _BRACES.match(self.source, self.at):
            self.at = braces.end()
            if len(braces[0]) > 12:
                raise _Unsure
            least = int(braces[1])
            most = least if not braces[2] else int(braces[3]) if braces[3] else None
            if least > _MOST_REPEATS or (most is not None and not least <= most <= _MOST_REPEATS):
                raise _Unsure
            sign = f"{{{least},{'' if most is None else most}}}"
        else:
            return None
        return least, most, sign + "?" * self.takes("?")

    def characters(self) -> str:
        """Whatever matches exactly one character."""
        char = self.take()
        if char == ".":
            return _plain(self.dot)
        if char == "[":
            return self.bracketed()
        if char == "\\":
            ranges = self.class_escape()
            return _plain(ranges) if ranges is not None else self.set_text([_one(self.literal(self.escape()))])
        if char in "*+?" or (char in "{}]" and (self.unicode or _BRACES.match(self.source, self.at - 1))):
            raise _Unsure
        return self.set_text([_one(self.literal(ord(char)))])

    def literal(self, code: int) -> int:
        """The same code; with ``u``, what half of a pair means (two escapes may make a pair) is for V8 to say."""
        if self.unicode and 0xD800 <= code < 0xE000:
            raise _Unsure
        return code

    def set_text(self, ranges: Iterable[tuple[int, int]], negated: bool = False) -> str:
        """The Python text of a set of characters, after adding what differs in case only where that is ignored."""
        members = _united(ranges)
        if self.ignore_case:
            members = _close_over_case(members)
        return _plain(_complement(members) if negated else members)

    def bracketed(self) -> str:
        """The rest of a class, after its opening bracket."""
        negated = self.takes("^")
        ranges: list[tuple[int, int]] = []
        while not self.takes("]"):
            first = self.class_member()
            if self.peek() != "-" or self.peek(2) == "-]":
                ranges += first if isinstance(first, tuple) else [_one(first)]
                continue
            self.at += 1
            last = self.class_member()
            if isinstance(first, tuple) or isinstance(last, tuple) or last < first:
                # [\w-x] is three members without u and an error with it.
                raise _Unsure
            ranges.append((first, last))
        return self.set_text(ranges, negated)

    def class_member(self) -> int | Ranges:
        """One character, or the set that an escape such as ``\\d`` stands for."""
        char = self.take()
        if char != "\\":
            return self.literal(ord(char))
        if self.takes("b"):
            return 0x08
        if self.unicode and self.takes("-"):
            return ord("-")
        ranges = self.class_escape()
        return self.literal(self.escape()) if ranges is None else ranges

    def class_escape(self) -> Ranges | None:
        """The set of ``\\d \\D \\w \\W \\s \\S``, after the backslash."""
        ranges = _ESCAPES.get(self.peek())
        if ranges is not None:
            self.at += 1
        return ranges

    def escape(self) -> int:
        """The one character that an escape stands for, after the backslash."""
        char = self.take()
        if char in _CONTROLS:
            return ord(_CONTROLS[char])
        if char in "123456789k" or (char == "0" and self.peek() in tuple("0123456789")):
            raise _Unsure
        if char == "0":
            return 0
        if char == "c":
            letter = self.take()
            if not (letter.isascii() and letter.isalpha()):
                raise _Unsure
            return ord(letter) % 32
        code = self.hexadecimal({"x": 2, "u": 4}[char]) if char in ("x", "u") else None
        if code is not None:
            return code
        if self.unicode:
            braces = _CODE.match(self.source, self.at) if char == "u" else None
            if braces and int(braces[1], 16) <= _LAST:
                self.at = braces.end()
                return int(braces[1], 16)
            if char not in _SYNTAX:
                raise _Unsure
        return ord(char)

    def hexadecimal(self, length: int) -> int | None:
        """The number in so many hexadecimal digits; ``None``, without moving on, where there are none."""
        digits = self.peek(length)
        if len(digits) < length or digits.strip(_HEX):
            return None
        self.at += length
        return int(digits, 16)


def _plain(ranges: Ranges) -> str:
    """A set of characters as Python text that matches one of them."""
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _char(ranges[0][0])
    if not ranges:
        return f"[^{_span(_EVERYTHING)}]"
    if ranges != _EVERYTHING and ranges[-1][1] == _LAST:
        return f"[^{_span(_complement(ranges))}]"
    return f"[{_span(ranges)}]"


def _span(ranges: Ranges) -> str:
    return "".join(_char(low) if low == high else f"{_char(low)}-{_char(high)}" for low, high in ranges)


def _char(code: int) -> str:
    """A character as it means itself everywhere in a Python pattern, and is no sign that counts as a quantifier."""
    char = chr(code)
    if char.isascii() and char.isalnum():
        return char
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
