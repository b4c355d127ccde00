"""From a decorated function to a :class:`~aloma_py.steps.definition.StepDefinition`: compiled, filled, measured."""

from __future__ import annotations

import hashlib
import inspect
import typing
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from pydantic import BaseModel

from aloma_py.conditions import Condition, compile_condition
from aloma_py.errors import LoadError
from aloma_py.paths import Path
from aloma_py.steps.decorator import Step
from aloma_py.steps.definition import StepDefinition
from aloma_py.steps.footprint import footprint
from aloma_py.steps.libraries import Libraries
from aloma_py.steps.options import StepOptions
from aloma_py.steps.parameters import MODEL, fill_parameters
from aloma_py.steps.sources import Sources


def define(
    step: Step[..., Any], *, sources: Sources | None = None, libraries: Libraries | None = None
) -> StepDefinition:
    """Compile the step's condition, find what fills its parameters and what its code may read and write.

    ``libraries`` are followed where the code calls them; without them such a call counts as unknown.
    Raises :class:`~aloma_py.errors.ConditionError` or :class:`~aloma_py.errors.LoadError`, with file, line and step.
    """
    sources = sources if sources is not None else Sources()
    try:
        condition = compile_condition(step.condition, step=step.name)
        parameters = fill_parameters(step.function, condition.model)
    except LoadError as error:
        raise error.at(file=step.location.file, line=step.location.line, step=step.name) from error.__cause__
    found = footprint(step.function, parameters, sources=sources, libraries=libraries)
    if MODEL in parameters.values():
        found = replace(found, reads=found.reads | _reads_of_model(condition))
    source = _source(step, sources)
    options = {field.name: getattr(step.options, field.name) for field in fields(StepOptions)}
    return StepDefinition(
        name=step.name,
        condition=condition,
        function=step.function,
        parameters=parameters,
        is_async=step.is_async,
        footprint=found,
        location=step.location,
        version=_version(source, condition, options),
        source=source,
        description=inspect.getdoc(step.function) or "",
        **options,
    )


def _reads_of_model(condition: Condition) -> frozenset[Path]:
    """What an instance of the condition's model shows of the data."""
    if condition.model is None:
        return frozenset()
    if any(model.model_config.get("extra") == "allow" for model in _models(condition.model, set())):
        return frozenset({()})  # members that no condition names can be read through it
    return frozenset(condition.paths)


def _models(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """The model and the models in its fields, at any depth."""
    if model in seen:
        return
    seen.add(model)
    yield model
    for info in model.model_fields.values():
        pending = [info.annotation]
        while pending:
            annotation = pending.pop()
            pending.extend(typing.get_args(annotation))
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield from _models(annotation, seen)


def _source(step: Step[..., Any], sources: Sources) -> str:
    function = inspect.unwrap(step.function)
    found = sources.find(function) if inspect.isfunction(function) else None
    return found.own_text() if found else ""


def _version(source: str, condition: Condition, options: dict[str, Any]) -> str:
    """Twelve hex digits that change with the code, the condition or an option."""
    shown = {
        name: [kind if isinstance(kind, str) else kind.__qualname__ for kind in value] if name == "retry_on" else value
        for name, value in sorted(options.items())
    }
    return hashlib.sha256("\0".join((source, condition.source, repr(shown))).encode()).hexdigest()[:12]
