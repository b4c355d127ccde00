"""The connectors that a workspace has by configuration: made, kept while they are used, and closed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aloma_py.connect.connector import CallContext, Connector, Registry, close
from aloma_py.connect.kinds import ConnectorKind, Kinds, in_order, not_offered, read_config, secret_names, texts_in
from aloma_py.connect.references import resolve
from aloma_py.errors import InputError, NoSuchCall
from aloma_py.models import Json

logger = logging.getLogger("aloma_py.connectors")

SHORTEST_SECRET: Final = 6
"""Characters. A shorter text would be found, and hidden, in too many places where it is no secret."""


Hide = Callable[[Iterable[str]], Callable[[str], str]]
"""From secrets to what takes them out of a text."""


@dataclass(frozen=True, slots=True)
class Configured:
    """A connector as it is kept: ``config`` is as it was given, with its references."""

    namespace: str
    name: str
    kind: str
    config: Mapping[str, Json] = field(repr=False)
    enabled: bool = True
    problem: str | None = None  # why its configuration cannot be read


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration that was read. ``problem`` says why no connector can be made of it; ``secrets`` are its texts
    that must not be shown."""

    kind: ConnectorKind | None
    values: Mapping[str, Any] = field(repr=False)  # with the values of the workspace's variables in it
    secrets: tuple[str, ...] = field(default=(), repr=False)
    problem: str | None = None


class Unavailable:
    """Stands for a connector that could not be made: a call says why, and is not tried again."""

    methods: tuple[str, ...] | None = None
    recorded = False

    def __init__(self, namespace: str, problem: str) -> None:
        self.namespace = namespace
        self.default: str | None = namespace  # calling it itself is told the same
        self.problem = problem

    async def call(self, method: str, arguments: Json, context: CallContext) -> Json:
        raise NoSuchCall(self.problem)


class Lease:
    """A connector that may be replaced while it is called.

    It is closed after its last call once it was given up. A run that began before may call it later still: then it is
    made again for that call.
    """

    def __init__(self, made: Connector, again: Callable[[], Connector]) -> None:
        self.namespace = made.namespace
        self.methods = made.methods
        self.default = made.default
        self.recorded = made.recorded
        self._again = again
        self._made: Connector | None = made
        self._calls = 0
        self._given_up = False

    async def call(self, method: str, arguments: Json, context: CallContext) -> Json:
        if self._made is None:
            self._made = self._again()
        made = self._made
        self._calls += 1
        try:
            return await made.call(method, arguments, context)
        finally:
            self._calls -= 1
            await self._close_if_idle()

    async def give_up(self) -> None:
        """Close it, as soon as no call is under way."""
        self._given_up = True
        await self._close_if_idle()

    async def _close_if_idle(self) -> None:
        if self._given_up and not self._calls and self._made is not None:
            made, self._made = self._made, None
            await close(made)


def prepare(one: Configured, kinds: Kinds, known: Mapping[str, Any], hide: Hide) -> Prepared:
    """Read a configuration; ``known`` are the workspace's variables and secrets. Never raises: see ``problem``."""
    kind = kinds.find(one.kind)
    if one.problem is not None:
        return Prepared(kind, {}, problem=one.problem)
    if kind is None:
        return Prepared(None, one.config, problem=not_offered(one.namespace, one.kind))
    values, wrong = resolve(one.config, known)
    secrets = secret_texts(kind, {name: value for name, value in values.items() if name not in wrong})
    if wrong:
        name, what = next(iter(wrong.items()))
        return Prepared(kind, values, secrets, f"the connector {one.namespace!r}: the field {name!r}: {what}")
    try:
        read_config(kind, in_order(kind, values))
    except InputError as error:
        return Prepared(kind, values, secrets, hide(secrets)(f"the connector {one.namespace!r}: {error}"))
    return Prepared(kind, values, secrets)


def secret_texts(kind: ConnectorKind, values: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts of a configuration that must not be shown."""
    hidden = secret_names(kind)
    texts = texts_in([value for name, value in values.items() if name in hidden])
    return tuple(dict.fromkeys(text for text in texts if len(text.strip()) >= SHORTEST_SECRET))


def make(one: Configured, prepared: Prepared, hide: Hide) -> Connector:
    """The connector. Raises :class:`~aloma_py.errors.InputError` for whatever its kind raises, without its secrets."""
    if prepared.kind is None or prepared.problem is not None:
        raise InputError(prepared.problem or not_offered(one.namespace, one.kind))
    try:
        config = read_config(prepared.kind, in_order(prepared.kind, prepared.values))
        made = prepared.kind.make(one.namespace, config)
        if made.namespace != one.namespace:
            raise InputError(f"its kind made a connector of another namespace, {made.namespace!r}")
        _ = made.methods, made.default, made.recorded, made.call  # what every connector has
        return made
    except Exception as error:  # whatever foreign code may raise
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        raise InputError(hide(prepared.secrets)(f"the connector {one.namespace!r} cannot be made: {text}")) from None


class ConfiguredConnectors:
    """The configured connectors of a workspace that is served, beside those that it has anyway (``base``)."""

    def __init__(self, base: Registry, hide: Hide) -> None:
        self._base = base
        self._hide = hide
        self._leases: dict[str, tuple[Any, Lease]] = {}
        self._old: list[Lease] = []
        self.registry = base.copy()
        self.secrets: tuple[str, ...] = ()

    def bring_in(self, configured: Iterable[Configured], kinds: Kinds, known: Mapping[str, Any]) -> None:
        """Have these connectors from now on. Those that are as they were are kept; one that cannot be made is told.

        Those that are no more go on until :meth:`close_old`.
        """
        registry, leases, secrets = self._base.copy(), dict[str, tuple[Any, Lease]](), list[str]()
        for one in configured:
            prepared = prepare(one, kinds, known, self._hide)
            secrets += prepared.secrets
            if not one.enabled:
                registry.note_absent(one.namespace, f"the connector {one.namespace!r} is disabled")
                continue
            sameness = (prepared.kind, one.kind, prepared.values)
            before = self._leases.get(one.namespace)
            try:
                lease = before[1] if before is not None and before[0] == sameness else self._lease(one, prepared)
            except InputError as error:
                old = self.registry.get(one.namespace)
                if not isinstance(old, Unavailable) or old.problem != str(error):
                    logger.warning("%s; a call of it fails", error)
                registry.add(Unavailable(one.namespace, str(error)))
                continue
            leases[one.namespace] = sameness, lease
            registry.add(lease)
        kept = {id(lease) for _, lease in leases.values()}
        self._old += [lease for _, lease in self._leases.values() if id(lease) not in kept]
        self._leases, self.registry, self.secrets = leases, registry, tuple(dict.fromkeys(secrets))

    def _lease(self, one: Configured, prepared: Prepared) -> Lease:
        return Lease(make(one, prepared, self._hide), lambda: make(one, prepared, self._hide))

    async def close_old(self) -> None:
        """Close the connectors that are no more, those that are at work after their last call."""
        old, self._old = self._old, []
        for lease in old:
            await lease.give_up()

    async def aclose(self) -> None:
        """Close all: the workspace is served no more."""
        self._old += [lease for _, lease in self._leases.values()]
        self._leases = {}
        await self.close_old()


__all__ = [
    "Configured",
    "ConfiguredConnectors",
    "Lease",
    "Prepared",
    "Unavailable",
    "make",
    "prepare",
    "secret_texts",
]
