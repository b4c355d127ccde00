"""What a connector is to the engine, and the connectors that a workspace has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from aloma_py.clock import Clock
from aloma_py.errors import NoSuchCall, suggest
from aloma_py.models import Json


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a connector is told beside the arguments."""

    task_id: str
    step: str
    key: str  # the idempotency key: the same when the call is made again for the same run of the same step
    clock: Clock


class Connector(Protocol):
    """Gives steps the methods of an outside service.

    ``namespace`` is its name in ``connectors.<namespace>``. ``methods`` are the names it knows, or ``None`` if any
    name may be called. ``default`` is the method of ``connectors.<namespace>(…)`` itself, or ``None``.
    ``recorded`` says whether its answers are kept for a run that is started again after a crash.
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
        for connector in connectors:
            self.add(connector)

    def add(self, connector: Connector) -> None:
        """Add a connector; one of the same namespace is replaced."""
        self._by_namespace[connector.namespace] = connector

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
            raise NoSuchCall(f"there is no connector {namespace!r} in this workspace{near}; there are: {names}")
        if connector.methods is not None and method not in connector.methods:
            raise NoSuchCall(f"connector {namespace!r} has no method {method!r}{suggest(method, connector.methods)}")
        return connector
