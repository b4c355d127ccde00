"""What makes a method an operation: who may ask for it, whether it changes anything, what is written down of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aloma_py.operations.roles import Role

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: ``name`` is a person's, a key's, or ``local`` for whoever may open the store's files."""

    name: str
    role: Role
    places: frozenset[str] | None = None  # the workspaces that it may know of; None: all


LOCAL: Final = Caller("local", Role.ADMIN)

caller: ContextVar[Caller] = ContextVar("aloma_py_caller", default=LOCAL)
"""Who asked for the operation that is being carried out."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation's own facts."""

    name: str
    least: Role
    reading: bool
    noted: bool  # it is written into the ledger
    hidden: frozenset[str]  # arguments that the ledger does not show
    on_tasks: bool  # it needs a workspace that somebody has made
    route: str  # "GET /tasks/{id}", below the workspace's address; empty: not over HTTP
    status: int  # of the answer when it went well
    about: str  # the first line of its docstring
    account: bool  # it is about the account, not about one workspace: the role is that on the account
    anybody: bool = False  # whoever is known may ask, and is told only what is of its own places


_MARK: Final = "__aloma_operation__"


def operation(
    least: Role,
    route: str = "",
    *,
    status: int = 200,
    noted: bool | None = None,
    hidden: tuple[str, ...] = (),
    on_tasks: bool = False,
    account: bool = False,
    reading: bool | None = None,
    anybody: bool = False,
) -> Callable[[F], F]:
    """Mark a method as an operation that callers with the role ``least`` may ask for.

    What viewers may ask for changes nothing, nor does what is ``reading``. Of the rest, what developers or admins may
    ask for is written into the ledger, unless ``noted`` says otherwise; of the arguments ``hidden`` only that they
    were given. ``route`` is its method and place in the HTTP API: what stands in braces and, for GET and DELETE, all
    other arguments are in the address; else they are members of the body. ``status`` is that of a good answer. What is
    ``account`` is about the account, and needs the role there; with ``anybody`` it needs none, and answers with what is
    of the caller's ``places`` only.
    """

    def mark(method: F) -> F:
        changes_nothing = least is Role.VIEWER if reading is None else reading
        written = least >= Role.DEVELOPER if noted is None else noted
        name = method.__name__
        about = (method.__doc__ or name).strip().splitlines()[0]
        facts = Operation(
            name,
            least,
            changes_nothing,
            written and not changes_nothing,
            frozenset(hidden),
            on_tasks,
            route,
            status,
            about,
            account,
            anybody,
        )
        setattr(method, _MARK, facts)
        return method

    return mark


def operations_of(kind: type) -> dict[str, Operation]:
    """The operations that a class has, by name."""
    found = (getattr(member, _MARK, None) for _, member in inspect.getmembers(kind, callable))
    return {one.name: one for one in found if one is not None}
