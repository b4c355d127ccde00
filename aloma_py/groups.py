"""Errors out of task groups: the one that was raised inside, without the wrapping."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def innermost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a task group's wrapping, however deep."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise what is raised inside of task groups as it is. Goes around them: ``with unwrapped(): async with …``."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise innermost(group) from None
