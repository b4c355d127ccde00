"""``connectors`` as step code sees it: ``await connectors.crm.find({"id": 7}, into="customer")``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aloma_py.connect.connector import Registry
from aloma_py.errors import CallError
from aloma_py.models import Json
from aloma_py.paths import parse_path, put
from aloma_py.run.data import Data, to_data
from aloma_py.run.plain import plain
from aloma_py.run.runlog import as_text

Invoke = Callable[[str, str, Json, str | None], Any]
"""``(namespace, method, arguments, into)`` -> what the call gives to the code."""


class FetchAnswer(Data):
    """What ``fetch`` gives: ``status ok statusText headers body``, and ``json()`` and ``text()`` of the body."""

    def json(self) -> Json:
        return self["body"]

    def text(self) -> str:
        return as_text(self["body"])


class Connectors:
    """The workspace's connectors, by namespace. One that is not there is falsy; calling through it fails."""

    def __init__(self, registry: Registry, invoke: Invoke) -> None:
        self._registry = registry
        self._invoke = invoke

    def __getattr__(self, namespace: str) -> Method | Missing:
        if namespace.startswith("__"):
            raise AttributeError(namespace)
        connector = self._registry.get(namespace)
        if connector is None:
            return Missing(self._registry, namespace)
        return Method(self._invoke, namespace, "", connector.default)

    def __getitem__(self, namespace: str) -> Method | Missing:
        return self.__getattr__(namespace)

    def __contains__(self, namespace: str) -> bool:
        return namespace in self._registry

    def __dir__(self) -> list[str]:
        return sorted(connector.namespace for connector in self._registry)


class Missing:
    """A connector that the workspace does not have."""

    def __init__(self, registry: Registry, namespace: str) -> None:
        self._registry = registry
        self._namespace = namespace

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, method: str) -> Missing:
        if method.startswith("__"):
            raise AttributeError(method)
        return self

    __getitem__ = __getattr__

    def __call__(self, *_: Any, **__: Any) -> Any:
        self._registry.find(self._namespace, "")  # raises: there is no such connector, there are these
        raise CallError(f"connector {self._namespace!r} was added while the run was under way; run the step again")


class Method:
    """A connector's method, or a name on the way to one (``connectors.github.repos.list``)."""

    def __init__(self, invoke: Invoke, namespace: str, path: str, default: str | None) -> None:
        self._invoke = invoke
        self._namespace = namespace
        self._path = path
        self._default = default

    def __getattr__(self, name: str) -> Method:
        if name.startswith("__"):
            raise AttributeError(name)
        return Method(self._invoke, self._namespace, f"{self._path}.{name}" if self._path else name, None)

    __getitem__ = __getattr__

    def __call__(self, *positional: Any, into: str | None = None, **named: Any) -> Any:
        method = self._path or self._default
        if not method:
            raise CallError(f"connector {self._namespace!r} is not called itself: call one of its methods")
        arguments, into = _arguments(f"{self._namespace}.{method}", positional, named, into)
        return self._invoke(self._namespace, method, arguments, into)


def _arguments(
    what: str, positional: tuple[Any, ...], named: dict[str, Any], into: str | None
) -> tuple[Json, str | None]:
    """The one object of arguments, and ``into``, from whatever way they were written."""
    if len(positional) == 2 and isinstance(positional[0], str) and isinstance(positional[1], dict):
        positional = ({"url": positional[0], "options": positional[1]},)  # fetch(url, options)
    if len(positional) > 1:
        raise CallError(f"{what} takes one object, or named arguments; {len(positional)} were given")
    if positional and not isinstance(positional[0], dict):
        if named:
            raise CallError(f"{what} takes one object, or named arguments, not both")
        return plain(positional[0]), into
    arguments = plain({**(positional[0] if positional else {}), **named})
    if into is None and isinstance(arguments.get("into"), str):
        into = arguments.pop("into")
    return arguments, into


def write_into(data: dict[str, Json], into: str, method: str, answer: Json) -> None:
    """Write a call's answer at ``into``: an object as it is, anything else as ``{<method>: answer}`` (SPEC §4)."""
    value = answer if isinstance(answer, dict) else {method.rsplit(".", 1)[-1]: answer}
    put(data, parse_path(into), value)


def for_code(namespace: str, answer: Json) -> Any:
    """A call's answer as step code gets it: objects with attribute access."""
    if namespace == "fetch" and isinstance(answer, dict) and "body" in answer:
        return FetchAnswer({name: to_data(value) for name, value in answer.items()})
    return to_data(answer)


__all__ = ["Connectors", "FetchAnswer", "Method", "Missing", "for_code", "write_into"]
