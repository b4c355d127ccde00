"""What people and keys are called."""

from __future__ import annotations

import re
from typing import Final

from aloma_py.errors import InputError

_EMAIL: Final = re.compile(r"[^\s@:<>\"'(),;\\]+@[^\s@:<>\"'(),;\\]+")


def read_email(text: str) -> str:
    """The address in lower case, or :class:`~aloma_py.errors.InputError`."""
    plain = text.strip().lower()
    if len(plain) > 254 or not plain.isprintable() or not _EMAIL.fullmatch(plain):
        raise InputError(f"{text[:300]!r} is no email address: NAME@HOST was expected")
    return plain


def read_name(text: str) -> str:
    """A person's or key's name: one line of up to 100 characters."""
    plain = text.strip()
    if not plain or len(plain) > 100 or not plain.isprintable():
        raise InputError(f"{text[:300]!r} is no name: one line of 1 to 100 characters was expected")
    return plain
