"""What fills the parameters of a step's function: by name, or by annotation."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from aloma_py.errors import LoadError, suggest

PARAMETER_NAMES: Final = (
    "data",
    "task",
    "step",
    "connectors",
    "lib",
    "audit",
    "graph",
    "mapper",
    "file",
    "blob",
    "log",
    "config",
    "user",
)
"""What a parameter may be called (SPEC §4); ``config`` is ``task.config``."""

MODEL: Final = "model"
"""Fills a parameter that is annotated with the condition's pydantic model: the validated instance."""


def fill_parameters(function: Callable[..., Any], model: type[BaseModel] | None) -> dict[str, str]:
    """What fills each parameter of ``function``: one of :data:`PARAMETER_NAMES`, or :data:`MODEL`.

    ``model`` is the condition's pydantic model, if it has one. A parameter annotated with it gets the instance, one
    annotated with ``Task`` gets the task; the others are filled by name. An unknown one that has a default is left
    out, so that it keeps it. Raises :class:`~aloma_py.errors.LoadError` for an unknown parameter without a default,
    and for ``*args``, ``**kwargs`` and positional-only parameters.
    """
    annotations = _annotations(function)
    filled: dict[str, str] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise LoadError(
                f"'{stars}{name}' cannot be filled: name what the step needs ({', '.join(PARAMETER_NAMES)})"
            )
        source = _source(name, annotations.get(name), model)
        if source is not None:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise LoadError(
                    f"the parameter {name!r} is positional-only; parameters are filled by name: leave out '/'"
                )
            filled[name] = source
        elif parameter.default is parameter.empty:
            raise LoadError(_unknown(name, annotations.get(name), model))
    return filled


def _source(name: str, annotation: Any, model: type[BaseModel] | None) -> str | None:
    if model is not None and (annotation is model or annotation in (model.__name__, model.__qualname__)):
        return MODEL
    if annotation == "Task" or (
        isinstance(annotation, type)
        and annotation.__name__ in ("Task", "TaskHandle")
        and annotation.__module__.partition(".")[0] == "aloma_py"
    ):
        return "task"
    return name if name in PARAMETER_NAMES else None


def _unknown(name: str, annotation: Any, model: type[BaseModel] | None) -> str:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        condition = f"the condition's model is {model.__name__}" if model else "the condition is no model"
        return f"the parameter {name!r} is annotated with {annotation.__name__}, but {condition}"
    known = PARAMETER_NAMES if model is None else (*PARAMETER_NAMES, model.__name__)
    hint = suggest(name, known)
    if not hint:
        hint = f"; there are: {', '.join(PARAMETER_NAMES)}"
    if model is not None:
        hint += f" (annotate it with {model.__name__} to get the condition's instance)"
    return f"nothing fills the parameter {name!r}{hint}"


def _annotations(function: Callable[..., Any]) -> Mapping[str, Any]:
    """The annotations, resolved where that is possible; one that is not stays text."""
    try:
        return typing.get_type_hints(function)
    except Exception:  # an annotation is any expression, so evaluating it can raise anything
        pass
    inner = inspect.unwrap(function)
    resolved: dict[str, Any] = {}
    for name, annotation in inner.__annotations__.items():
        resolved[name] = annotation
        if isinstance(annotation, str):
            resolved[name] = annotation.strip("'\" ")
            try:
                resolved[name] = typing.get_type_hints(_Holder(name, annotation), globalns=inner.__globals__)[name]
            except Exception:  # as above
                continue
    return resolved


class _Holder:
    """Something with one annotation, for ``typing.get_type_hints``."""

    def __init__(self, name: str, annotation: str) -> None:
        self.__annotations__ = {name: annotation}
