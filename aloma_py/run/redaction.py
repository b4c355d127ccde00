"""Finding secrets in what is written beside a task's data, in the forms in which they leak.

A secret is found as it is, line by line where it has several, in base64 (also inside the base64 of a longer text), in a
URL, in JSON and as Python shows it. What was made of it by any other means (its reverse, its hash, its upper case) is
not found.
"""

from __future__ import annotations

import base64
import logging
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from html import escape
from typing import Final
from urllib.parse import quote, quote_plus

from aloma_py.clock import current_run
from aloma_py.models import Json

HIDDEN: Final = "(hidden: String)"
"""What stands for a hidden text that step code put into a log line, an error, or a call's arguments."""

SHORTEST_FORM: Final = 6
"""Forms of fewer characters, other than the secret itself, would be found in too many words."""

SHORTEST_LINE: Final = 8
"""Lines of fewer characters, of a secret that has several, are not looked for by themselves."""

LONGEST_IN_PATTERN: Final = 200
"""Longer forms are looked for one by one: the common pattern is to stay small."""

FEWEST_IN_PATTERN: Final = 24
"""Fewer forms are looked for one by one: that is quicker than compiling a pattern for them."""

_ESCAPED: Final = re.compile(r"[\"'\\\\]|[^ -~]")
"""What JSON and Python write otherwise than it is."""

_NAMED_ESCAPES: Final = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_ONE: Final = r"\\"
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]")
_UNESCAPED: Final = "", "/", "!'()*", "!'()*;/?:@&=+$,#"
"""What is left as it is in a URL: by ``quote``, with or without slashes, by ``encodeURIComponent``, ``encodeURI``."""


class Redactor:
    """Takes ``secrets`` out of values; and those of ``also``, another one, with them.

    Built once and used often: many secrets become one pattern.
    """

    def __init__(self, secrets: Iterable[str], also: Redactor | None = None) -> None:
        self.secrets = tuple(sorted({secret for secret in secrets if secret}, key=len, reverse=True))
        self._also = also
        self._base64: set[str] = set()
        forms: set[str] = set()
        escaped: list[re.Pattern[str]] = []
        for secret in self.secrets:
            encoded = base64_forms(secret)
            escaped += [re.compile(escaped_form(one)) for one in _wholes(secret) if _ESCAPED.search(one)]
            self._base64 |= encoded
            forms |= encoded | plain_forms(secret)
        short = [form for form in forms if len(form) <= LONGEST_IN_PATTERN]
        if len(short) < FEWEST_IN_PATTERN:
            short = []
        self._patterns = (*escaped, *([re.compile(_alternatives(sorted(short)))] if short else []))
        self._literals = tuple(forms.difference(short))
        digits = (secret.strip().lstrip("-0") for secret in self.secrets)
        self._numbers = tuple(one for one in digits if len(one) >= SHORTEST_FORM - 2 and one.isdecimal())
        if also is not None:
            self._numbers += also._numbers

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.secrets) or bool(self._also)

    def __call__(self, value: Json) -> Json:
        """``value`` without the secrets: where a text holds one, :data:`HIDDEN` stands in its place.

        Parts that hold none may be shared with ``value``.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self(name): self(member) for name, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [self(element) for element in value]
        return HIDDEN if self._is_number(value) else value

    def text(self, text: str) -> str:
        """The text without the secrets, also where they overlap."""
        spans = sorted(self._spans(text))
        if not spans:
            return text
        parts, at = [], 0
        begin, end = spans[0]
        for start, stop in spans[1:]:
            if start < end:
                end = max(end, stop)
                continue
            parts += [text[at:begin], HIDDEN]
            at, begin, end = end, start, stop
        return "".join([*parts, text[at:begin], HIDDEN, text[end:]])

    def holds(self, value: Json) -> bool:
        """Whether there is a secret anywhere in ``value``."""
        if isinstance(value, str):
            return next(self._spans(value), None) is not None
        if isinstance(value, dict):
            return any(self.holds(name) or self.holds(member) for name, member in value.items())
        if isinstance(value, (list, tuple)):
            return any(map(self.holds, value))
        return self._is_number(value)

    def _is_number(self, value: Json) -> bool:
        """Whether a number is a secret that consists of digits."""
        if not self._numbers or isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        shown = str(value) if abs(value) < 1e300 else ""
        return any(digits in shown for digits in self._numbers)

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where a secret is, from and to; they may overlap."""
        if self._also is not None:
            yield from self._also._spans(text)
        for pattern in self._patterns:
            found = pattern.search(text)
            while found is not None:
                yield self._whole(text, found.start(), found.end())
                found = pattern.search(text, found.start() + 1)
        for form in self._literals:
            at = text.find(form)
            while at >= 0:
                yield self._whole(text, at, at + len(form))
                at = text.find(form, at + 1)

    def _whole(self, text: str, begin: int, end: int) -> tuple[int, int]:
        """In base64, the characters at either side tell some bits more; the signs that fill it up tell its length.

        Backslashes before a quotation mark belong to it.
        """
        if text[begin:end] not in self._base64:
            while begin and text[begin - 1] == "\\" and not text[begin].isalnum():
                begin -= 1
            return begin, end
        if begin and _BASE64.match(text, begin - 1):
            begin -= 1
        if _BASE64.match(text, end):
            end += 1
        while end < len(text) and text[end] == "=":
            end += 1
        return begin, end


NOTHING: Final = Redactor(())
"""Finds nothing."""


class HideSecrets(logging.Filter):
    """For a handler of Python's ``logging``: takes the secrets out of what a run's code logs there.

    What is logged outside of a run is let through as it is.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        redact: Callable[[str], str] | None = getattr(current_run.get(), "redact", None)
        if redact is not None:
            text = record.getMessage()
            if record.exc_info:
                text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
            record.msg, record.args, record.exc_info, record.exc_text = redact(text), (), None, None
        return True


def plain_forms(secret: str) -> set[str]:
    """How the secret looks as it is, in URLs and in HTML, and as Python shows its bytes.

    >>> sorted(plain_forms("a&b/cde"))[:2]
    ['a%26b%2Fcde', 'a%26b%2fcde']
    """
    wholes = _wholes(secret)
    forms: set[str] = set()
    for one in wholes:
        content = one.encode(errors="surrogatepass")
        in_url = {quote_plus(content), *(quote(content, safe=safe) for safe in _UNESCAPED)}
        forms |= in_url | {re.sub("%..", lambda found: found[0].lower(), text) for text in in_url}
        forms |= {one.replace("/", "\\/"), repr(content)[2:-1], escape(one), escape(one, quote=False)}
    return {form for form in forms if len(form) >= SHORTEST_FORM} | wholes


def _wholes(secret: str) -> set[str]:
    """The secret, without the space around it, and its lines, which a log has one by one."""
    wholes = {secret, secret.strip(), secret.replace("\r\n", "\n").strip()} - {""}
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        wholes |= {line for line in lines if len(line) >= SHORTEST_LINE and not line.startswith("-----")}
    return wholes


def escaped_form(secret: str) -> str:
    """A pattern for the secret as JSON and Python write it, also JSON in JSON in JSON: with any number of backslashes.

    No two parts of it that take any number of backslashes stand side by side, so that it is quick on whatever text.
    """
    parts: list[str] = []
    slashes = 0
    for sign in secret:
        if sign == "\\":
            slashes += 1
            continue
        parts.append(_escaped_sign(sign, slashes, first=not parts))
        slashes = 0
    if slashes:
        parts.append(_backslashes(slashes, first=not parts))
    return "".join(parts)


def _escaped_sign(sign: str, slashes: int, *, first: bool) -> str:
    """A pattern for a sign behind so many backslashes of the secret itself."""
    before = _backslashes(slashes, first=first) if slashes else ""
    if sign.isascii() and sign.isprintable():
        may_be = sign in "\"'/" and not slashes and not first
        return before + (r"\\*" if may_be else "") + re.escape(sign)
    code = ord(sign)
    units = sign.encode("utf-16-be", errors="surrogatepass").hex()
    named = {_NAMED_ESCAPES.get(sign, ""), f"x{code:02x}" if code < 256 else f"U{code:08x}"} - {""}
    words = [*named, r"\\+".join(f"u{units[n : n + 4]}" for n in range(0, len(units), 4))]
    either = "|".join(words)
    if before:
        return f"{before}(?:{re.escape(sign)}|(?i:{either}))"
    return f"(?:{re.escape(sign)}|{'' if not first else '(?<!' + _ONE + ')'}{_ONE}+(?i:{either}))"


def _backslashes(least: int, *, first: bool) -> str:
    """A pattern for so many backslashes or more; at the beginning only where they begin: it is tried once for all."""
    return f"{'(?<!' + _ONE + ')' if first else ''}{_ONE}{{{least},}}"


def base64_forms(secret: str) -> set[str]:
    """What the secret looks like in the base64 of a text that it is part of, in either alphabet.

    Three bytes become four characters, so it depends on where it begins. Only the characters that hold nothing but
    bits of the secret are taken; those beside them are for whoever finds them.
    """
    forms: set[str] = set()
    for one in {secret, secret.strip()}:
        content = one.encode(errors="surrogatepass")
        for offset in range(3):
            encoded = base64.b64encode(b"\0" * offset + content).decode()
            first = -(-offset * 8 // 6)
            core = encoded[first : (offset + len(content)) * 8 // 6]
            safe = core.replace("+", "-").replace("/", "_")
            forms |= {core, safe, quote(core, safe="")}
    return {form for form in forms if len(form) >= SHORTEST_FORM}


def _alternatives(words: list[str]) -> str:
    """A pattern for any of the words, the longest first. Common beginnings are tried once, so that many are quick."""
    groups: dict[str, list[str]] = {}
    for word in words:
        groups.setdefault(word[0], []).append(word)
    parts = []
    for group in groups.values():
        common = _common_beginning(min(group), max(group))
        rest = [word[len(common) :] for word in group if word != common]
        tail = f"(?:{_alternatives(rest)})" + ("?" if len(rest) < len(group) else "") if rest else ""
        parts.append(re.escape(common) + tail)
    return "|".join(parts)


def _common_beginning(one: str, other: str) -> str:
    return one[: next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))]


__all__ = ["HIDDEN", "NOTHING", "HideSecrets", "Redactor", "base64_forms", "plain_forms"]
