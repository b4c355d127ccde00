"""What a connector is to the engine, and the connectors that a workspace has."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import anyio

from aloma_py.clock import Clock
from aloma_py.errors import NoSuchCall, suggest
from aloma_py.models import Json

logger = logging.getLogger("aloma_py.connect")

CLOSING: Final = 10.0
"""Seconds that a connector may take to close."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a connector is told beside the arguments."""

    task_id: str
    step: str
    key: str  # the idempotency key: the same when the call is made again for the same run of the same step
    clock: Clock
    headers: Mapping[str, str] = field(default_factory=dict)
    """What to send along over HTTP, so that the service goes on with the task's trace; empty without telemetry."""


class Connector(Protocol):
    """Gives steps the methods of an outside service.

    ``namespace`` is its name in ``connectors.<namespace>``. ``methods`` are the names it knows, or ``None`` if any
    name may be called. ``default`` is the method of ``connectors.<namespace>(…)`` itself, or ``None``.
    ``recorded`` says whether its answers are kept for a run that is started again after a crash. One that holds
    something open may have ``async aclose()``: it is called when tasks are advanced no more, and a later call opens
    it again.
    """

    namespace: str
    methods: tuple[str, ...] | None
    default: str | None
    recorded: bool

    async def call(self, method: str, arguments: Json, context: CallContext) -> Json:
        """The answer, a JSON value; or raises, best :class:`~aloma_py.errors.CallError`."""


class Registry:
    """The connectors of one workspace, by namespace."""

    def __init__(self, connectors: Iterable[Connector] = ()) -> None:
        self._by_namespace: dict[str, Connector] = {}
        self._absent: dict[str, str] = {}  # why a connector that one might expect is not there
        for connector in connectors:
            self.add(connector)

    def add(self, connector: Connector) -> None:
        """Add a connector; one of the same namespace is replaced."""
        self._by_namespace[connector.namespace] = connector

    def note_absent(self, namespace: str, why: str) -> None:
        """Have a call through a connector that is not there say ``why``."""
        self._absent[namespace] = why

    def copy(self) -> Registry:
        return Registry(self._by_namespace.values())

    def __contains__(self, namespace: object) -> bool:
        return namespace in self._by_namespace

    def __iter__(self) -> Iterator[Connector]:
        return iter(self._by_namespace.values())

    def get(self, namespace: str) -> Connector | None:
        return self._by_namespace.get(namespace)

    def find(self, namespace: str, method: str) -> Connector:
        """The connector that has this method, or :class:`NoSuchCall` with the names there are."""
        connector = self._by_namespace.get(namespace)
        if connector is None:
            names = ", ".join(sorted(self._by_namespace)) or "none"
            near = suggest(namespace, self._by_namespace) if len(self._by_namespace) > 12 else ""
            why = self._absent.get(namespace, f"there is no connector {namespace!r} in this workspace{near}")
            raise NoSuchCall(f"{why}; there are: {names}")
        if connector.methods is not None and method not in connector.methods:
            raise NoSuchCall(f"connector {namespace!r} has no method {method!r}{suggest(method, connector.methods)}")
        return connector


async def close(connector: Connector) -> None:
    """Let a connector close what it holds open. What goes wrong then is told, and troubles nobody."""
    aclose = getattr(connector, "aclose", None)
    if aclose is None:
        return
    try:
        with anyio.move_on_after(CLOSING, shield=True):
            await aclose()
    except Exception as error:
        logger.warning("the connector %r could not be closed: %s: %s", connector.namespace, type(error).__name__, error)
