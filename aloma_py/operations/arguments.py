"""Whether the arguments of an operation are of the types that its signature says: JSON from outside may be anything."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from aloma_py.errors import InputError
from aloma_py.models import Json


def check_arguments(name: str, method: Callable[..., Any], arguments: Mapping[str, Json]) -> None:
    """Raise :class:`~aloma_py.errors.InputError` for the first argument that is of another type. Nothing is changed."""
    adapters = _adapters(getattr(method, "__func__", method))
    for key, value in arguments.items():
        try:
            adapters[key].validate_python(value, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, (key, *(part for part in first["loc"] if isinstance(part, (int, str))))))
            raise InputError(f"the operation {name}: {place}: {first['msg']}") from None


@functools.cache
def _adapters(function: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(function)
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    return {name: TypeAdapter(hints[name], config=None if _has_own(hints[name]) else _CONFIG) for name in names}


_CONFIG = ConfigDict(arbitrary_types_allowed=True)


def _has_own(hint: Any) -> bool:
    """Whether the type brings its own configuration, beside which no other may be given."""
    return hasattr(hint, "__pydantic_config__") or hasattr(hint, "model_config")
