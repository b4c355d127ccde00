"""Finding plugins: the built-in ones, and those of installed distributions (entry-point group ``aloma_py``)."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pluggy

from aloma_py import hookspecs
from aloma_py.connect.connector import Connector, Registry
from aloma_py.connect.kinds import ConnectorKind, Kinds

BUILTIN = ("aloma_py.builtin.fetch", "aloma_py.builtin.utils", "aloma_py.builtin.service")
GROUP = "aloma_py"


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plugin that could not be loaded, or something of it that could not be used. The others were."""

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class Installed:
    """What the installed plugins offer. ``namespaces`` are those of the connectors that every workspace has."""

    kinds: Kinds
    namespaces: tuple[str, ...]
    broken: tuple[BrokenPlugin, ...]


def load_plugins(*, installed: bool = True) -> tuple[pluggy.PluginManager, list[BrokenPlugin]]:
    """A plugin manager with the built-in plugins and, if ``installed``, those of installed distributions.

    They are loaded one by one, so that one broken plugin does not stop the rest.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    for name in BUILTIN:
        manager.register(importlib.import_module(name), name)
    broken: list[BrokenPlugin] = []
    for entry in importlib.metadata.entry_points(group=GROUP) if installed else ():
        try:
            manager.register(entry.load(), entry.name)
        except Exception as error:  # whatever an import of foreign code may raise
            broken.append(BrokenPlugin(entry.name, _told(error)))
    return manager, broken


def connector_registry(manager: pluggy.PluginManager, broken: list[BrokenPlugin] | None = None) -> Registry:
    """The connectors that the plugins bring; those that could not are added to ``broken``."""
    registry = Registry()

    def add(connector: Connector) -> None:
        _ = connector.namespace, connector.methods, connector.default, connector.recorded, connector.call
        registry.add(connector)

    _ask(manager.hook.register_connectors, add, broken)
    return registry


def connector_kinds(manager: pluggy.PluginManager, broken: list[BrokenPlugin] | None = None) -> Kinds:
    """The kinds of connectors that the plugins offer; those that could not are added to ``broken``."""
    kinds = Kinds()
    _ask(manager.hook.register_connector_kinds, kinds.add, broken)
    return kinds


def _ask(hook: Any, register: Callable[[Any], None], broken: list[BrokenPlugin] | None) -> None:
    """Call a hook plugin by plugin; of one that raises, and of what cannot be registered, only that is lost."""
    for implementation in hook.get_hookimpls():
        name = implementation.plugin_name

        def note(error: Exception, name: str = name) -> None:
            if broken is not None:
                broken.append(BrokenPlugin(name, _told(error)))

        def add(what: ConnectorKind | Connector, note: Callable[[Exception], None] = note) -> None:
            try:
                register(what)
            except Exception as error:
                note(error)

        try:
            implementation.function(**dict.fromkeys(implementation.argnames, add))
        except Exception as error:
            note(error)


@functools.cache
def installed() -> Installed:
    """What the plugins offer; looked up once for the whole process, as plugins are not installed while it runs."""
    manager, broken = load_plugins()
    kinds = connector_kinds(manager, broken)
    namespaces = tuple(sorted(one.namespace for one in connector_registry(manager, broken)))
    return Installed(kinds, namespaces, tuple(broken))


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
