"""Who asks, and whether it may: what the API needs to know of whoever keeps the people and keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from starlette.requests import Request

from aloma_py.operations import Caller, Role
from aloma_py.operations.registry import Operation
from aloma_py.serve.web.problems import AccessError

ACCOUNT = ""
"""Stands for all workspaces where roles are given."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a person or a key, with a role on the account (:data:`ACCOUNT`) and in workspaces."""

    name: str
    roles: Mapping[str, Role] = field(default_factory=dict)

    def role_in(self, workspace: str) -> Role | None:
        """The role there: that of the workspace or of the account, whichever is higher."""
        found = [role for place, role in self.roles.items() if place in (ACCOUNT, workspace)]
        return max(found, default=None)

    def caller(self, workspace: str, least: Role) -> Caller:
        """The caller in that workspace, or :class:`AccessError`.

        Who has no role there at all is told what is told of a workspace that there is not: nothing is given away.
        """
        role = self.role_in(workspace)
        if role is None:
            raise AccessError(404, f"there is no workspace {workspace!r} that you may see")
        if role < least:
            raise AccessError(403, f"this needs the role {least}; {self.name} is {role} here")
        return Caller(self.name, role, self._places())

    def _places(self) -> frozenset[str] | None:
        return None if ACCOUNT in self.roles else frozenset(self.roles)

    def asking(self, facts: Operation, workspace: str) -> Caller:
        """The caller of an operation on that workspace, or :class:`AccessError`."""
        if not facts.anybody:
            return self.caller(ACCOUNT if facts.account else workspace, facts.least)
        role = self.roles.get(ACCOUNT) or max(self.roles.values(), default=facts.least)
        return Caller(self.name, role, self._places())


class Guard(Protocol):
    """Knows who asks."""

    async def identify(self, request: Request) -> Identity:
        """Whoever made the request; :class:`AccessError` 401 where it is not known."""
