"""Libraries: named functions that steps share, as ``lib.<namespace>.<function>``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NoReturn

from aloma_py.errors import LoadError, suggest


class Namespace:
    """The functions of one library, as attributes. Names that begin with an underscore stay inside."""

    def __init__(self, name: str, members: Mapping[str, Any]) -> None:
        self.__dict__.update(members)
        self._name = name

    def __getattr__(self, name: str) -> NoReturn:
        known = list(self)
        raise AttributeError(
            f"the library {self.__dict__.get('_name', '?')!r} has no function {name!r}{suggest(name, known)}"
        )

    def __iter__(self) -> Iterator[str]:
        """The names there are, sorted."""
        return iter(sorted(name for name in self.__dict__ if not name.startswith("_")))

    def __repr__(self) -> str:
        return f"<library {self._name}: {', '.join(self)}>"


class Libraries:
    """All libraries of a workspace: what step code gets as ``lib``."""

    def __init__(self, namespaces: Mapping[str, Namespace]) -> None:
        self.__dict__.update(namespaces)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"there is no library {name!r}{suggest(name, list(self))}")

    def __iter__(self) -> Iterator[str]:
        """The namespaces there are, sorted."""
        return iter(sorted(self.__dict__))

    def __repr__(self) -> str:
        return f"<libraries: {', '.join(self)}>"


def make_namespace(name: str, modules: list[ModuleType]) -> Namespace:
    """The library ``name`` from the public functions and values of ``modules``.

    A module's ``__all__`` decides what is public; without one, it is every name that does not begin with an
    underscore, except modules and what was imported from another package.
    Raises :class:`~aloma_py.errors.LoadError` where two modules define one name.
    """
    if not name.isidentifier() or name.startswith("_"):
        raise LoadError(f"a library's name must be a Python name that does not begin with '_', not {name!r}")
    members: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for module in modules:
        file = getattr(module, "__file__", None) or module.__name__
        for member in _public(module, file):
            value = getattr(module, member)
            if member in members and members[member] is not value:
                raise LoadError(f"the library {name!r} has {member!r} twice: in {origins[member]} and in {file}")
            members[member] = value
            origins[member] = file
    return Namespace(name, members)


def _public(module: ModuleType, file: str) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is None:
        values = vars(module).items()
        return [name for name, value in values if not name.startswith("_") and _is_own(value, module)]
    for name in listed:
        if not hasattr(module, name):
            raise LoadError(f"__all__ names {name!r}, which the file does not define", file=file)
    return list(listed)


def _is_own(value: object, module: ModuleType) -> bool:
    """Whether a module's value was made in its package; of plain values that cannot be told, and they count."""
    if isinstance(value, ModuleType):
        return False
    if not isinstance(value, type) and not inspect.isroutine(value):
        return True
    return (value.__module__ or "").partition(".")[0] == module.__name__.partition(".")[0]
