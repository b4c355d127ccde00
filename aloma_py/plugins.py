"""Finding plugins: the built-in ones, and those of installed distributions (entry-point group ``aloma_py``)."""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass

import pluggy

from aloma_py import hookspecs
from aloma_py.connect.connector import Registry

BUILTIN = ("aloma_py.builtin.fetch", "aloma_py.builtin.utils")
GROUP = "aloma_py"


@dataclass(frozen=True, slots=True)
class BrokenPlugin:
    """A plugin that could not be loaded. The others were."""

    name: str
    error: str


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
            broken.append(BrokenPlugin(entry.name, f"{type(error).__name__}: {error}"))
    return manager, broken


def connector_registry(manager: pluggy.PluginManager) -> Registry:
    """The connectors that the plugins bring."""
    registry = Registry()
    manager.hook.register_connectors(register=registry.add)
    return registry
