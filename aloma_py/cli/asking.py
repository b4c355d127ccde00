"""What commands ask people: whether they are sure, and what is not to stand on a command line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click

from aloma_py.cli.output import clean
from aloma_py.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])


def yes_option(command: F) -> F:
    """``--yes``, which :func:`make_sure` takes; ``--force`` is the same."""
    return click.option("--yes", "-y", "--force", "yes", is_flag=True, help="Do not ask.")(command)


def never_asks(command: F) -> F:
    """``--yes`` and ``--force`` for a command that does not ask anyhow."""
    return click.option("--yes", "-y", "--force", is_flag=True, expose_value=False, hidden=True)(command)


def make_sure(yes: bool, doing: str, question: str) -> None:
    """Go on with ``yes``, or when a person says so.

    ``doing`` is what the error says where nobody can be asked: "deleting X"; ``question`` is "Delete X for good?".
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError(f"{doing} cannot be undone: say --yes where nobody can be asked")
    click.confirm(clean(question), abort=True, err=True)


def ask_for(given: str | None, what: str, option: str, *, default: str | None = None) -> str:
    """What was given, or what a person answers; :class:`~aloma_py.errors.InputError` where nobody can be asked."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise InputError(f"{what} is missing: give it with {option}")
    answer: str = click.prompt(what[0].upper() + what[1:], default=default, err=True)
    return answer.strip()


def read_text_file(file: str) -> str:
    """The text of a file without the line end behind it; ``-`` is standard input."""
    if file == "-":
        return without_line_end(sys.stdin.read())
    try:
        return without_line_end(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InputError(f"the file {file} cannot be read: {reason}") from None


def without_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
