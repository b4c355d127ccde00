"""What a person or a program can ask of a workspace: one method for each thing, JSON in, JSON out.

This is the one path: the command line calls it in its own process or through the control socket of a server, and the
HTTP API calls it as well. Every method may raise :class:`~aloma_py.errors.InputError` for what was given, and
:class:`~aloma_py.errors.StoreError` for what the store cannot do.

Each file has the operations of one kind; a method becomes one by :func:`~aloma_py.operations.registry.operation`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aloma_py.operations.operations import ALL, NAMES, READING, Operations
    from aloma_py.operations.registry import LOCAL, Caller
    from aloma_py.operations.roles import Role, read_role
    from aloma_py.operations.sites import Site
    from aloma_py.operations.steps import check_steps, load_again, step_list
    from aloma_py.operations.store import DAY
    from aloma_py.operations.tasks import STATE_WORDS, read_state

__all__ = ["ALL", "DAY", "LOCAL", "NAMES", "READING", "STATE_WORDS", "Caller", "Operations", "Role", "Site",
           "check_steps", "load_again", "read_role", "read_state", "step_list"]  # fmt: skip

# A command that asks a server needs none of what carries operations out: each name is imported when it is first used.
_WHERE = {
    **dict.fromkeys(("ALL", "NAMES", "READING", "Operations"), "operations"),
    **dict.fromkeys(("LOCAL", "Caller"), "registry"),
    **dict.fromkeys(("Role", "read_role"), "roles"),
    "Site": "sites",
    **dict.fromkeys(("check_steps", "load_again", "step_list"), "steps"),
    "DAY": "store",
    **dict.fromkeys(("STATE_WORDS", "read_state"), "tasks"),
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
    return value
