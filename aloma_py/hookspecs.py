"""Every hook that a plugin can implement. The built-in connectors come through the same door."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable

    from aloma_py.connect.connector import Connector
    from aloma_py.connect.kinds import ConnectorKind

hookspec = pluggy.HookspecMarker("aloma_py")
hookimpl = pluggy.HookimplMarker("aloma_py")


@hookspec
def register_connectors(register: Callable[[Connector], None]) -> None:
    """Call ``register`` with each connector that steps may use as ``connectors.<namespace>``."""


@hookspec
def register_connector_kinds(register: Callable[[ConnectorKind], None]) -> None:
    """Call ``register`` with each kind of which a workspace may have connectors, by configuration."""
