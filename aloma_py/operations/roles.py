"""Who may do what: four roles, each with all that the one before it may."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from aloma_py.errors import NotFoundError


class Role(IntEnum):
    """A role on the account or in one workspace; a higher one may whatever a lower one may."""

    VIEWER = 1  # looks at tasks, steps and settings
    OPERATOR = 2  # gives, changes, stops and resumes tasks
    DEVELOPER = 3  # changes steps, libraries, webhooks, schedules, variables and secrets
    ADMIN = 4  # changes people, keys, limits and the workspace itself

    def __str__(self) -> str:
        return self.name.lower()


ROLE_WORDS: Final = {"business": Role.OPERATOR, "bussines": Role.OPERATOR, "owner": Role.ADMIN}
"""Other words for roles that are accepted, one of them with a slip that is printed in a help text."""


def read_role(word: str) -> Role:
    """The role that ``word`` means, or :class:`~aloma_py.errors.NotFoundError` naming the nearest."""
    plain = word.strip().lower()
    if plain in ROLE_WORDS:
        return ROLE_WORDS[plain]
    try:
        return Role[plain.upper()]
    except KeyError:
        raise NotFoundError("role", word, [str(role) for role in Role]) from None
