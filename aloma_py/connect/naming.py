"""From a connector's name to its namespace: ``hubspot.com`` is ``connectors.hubspotCom`` in a step."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from aloma_py.errors import InputError

LONGEST: Final = 100
"""Characters of a namespace, and of a name."""

_PRIVATE: Final = re.compile(r"\s*\(private\)\s*$", re.IGNORECASE)
_GIVEN: Final = re.compile(r"\s*\(([a-z][A-Za-z0-9]*)\)\s*$")
_NAMESPACE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)

_WORD: Final = re.compile(
    r"[A-Z]?[a-z]+(?=[^A-Za-z0-9]|[A-Z]|$)"  # a word, capitalised or not
    r"|[A-Z]+(?=[^A-Za-z0-9]|[A-Z][a-z]|$)"  # an acronym, up to the capital of the next word
    r"|[A-Z]?[a-z]+|[A-Z]+"  # the same before a digit
    r"|\d*(?:1ST|2ND|3RD|(?![123])\dTH)(?=[^A-Za-z0-9]|[a-z_]|$)"
    r"|\d*(?:1st|2nd|3rd|(?![123])\dth)(?=[^A-Za-z0-9]|[A-Z_]|$)"
    r"|\d+",
    re.ASCII,
)


def namespace_of(name: str) -> str:
    """The namespace that a connector of this name has, where none is given.

    The name in camel case; a trailing ``(private)`` is dropped, and a trailing word in parentheses that is in lower
    camel case is the namespace itself. Raises :class:`~aloma_py.errors.InputError` where nothing usable is left.

    >>> [namespace_of(name) for name in ("hubspot.com (private)", "Sales CRM", "DuxSoup (duxSoup2)", "E-Mail (SMTP)")]
    ['hubspotCom', 'salesCrm', 'duxSoup2', 'eMailSmtp']
    """
    bare = _PRIVATE.sub("", name)
    given = _GIVEN.search(bare)
    found = given[1] if given is not None else camel_case(bare)
    if not _NAMESPACE.fullmatch(found) or len(found) > LONGEST:
        raise InputError(f"no namespace can be made of the name {name[:LONGEST]!r}; give one as namespace")
    return found


def kind_names(name: str) -> tuple[str, ...]:
    """The names of kinds that may be meant: as it is written, then without what stands in parentheses behind it.

    >>> kind_names("DuxSoup (duxSoup2)")
    ('DuxSoup (duxSoup2)', 'DuxSoup')
    """
    bare = _PRIVATE.sub("", name)
    return tuple(dict.fromkeys([name, bare, _GIVEN.sub("", bare)]))


def check_namespace(namespace: str) -> None:
    """Refuse what cannot stand behind ``connectors.`` in a step, with an ``InputError``."""
    if not _NAMESPACE.fullmatch(namespace) or len(namespace) > LONGEST:
        raise InputError(
            f"the namespace {namespace[:LONGEST]!r} cannot be used: 1 to {LONGEST} of a–z, A–Z, 0–9 and '_' were "
            "expected, a letter first"
        )


def camel_case(text: str) -> str:
    """The words of a text as one: the first in lower case, the others with a capital. Accents are dropped.

    >>> camel_case("Google Sheets v2"), camel_case("XMLHttpRequest"), camel_case("Café 24h")
    ('googleSheetsV2', 'xmlHttpRequest', 'cafe24H')
    """
    plain = "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))
    words = [word.lower() for word in _WORD.findall(re.sub("['\u2019]", "", plain))]
    return "".join(word if n == 0 else word[:1].upper() + word[1:] for n, word in enumerate(words))


__all__ = ["camel_case", "check_namespace", "kind_names", "namespace_of"]
