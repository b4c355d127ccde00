from __future__ import annotations

import functools
from typing import Any

import pytest
from pydantic import BaseModel

from aloma_py.errors import LoadError
from aloma_py.steps import PARAMETER_NAMES, fill_parameters


class Paid(BaseModel):
    total: int


class Other(BaseModel):
    total: int


def test_names_are_filled() -> None:
    def content(data, task, step, connectors, lib, audit, graph, mapper, file, blob, log, config, user): ...  # type: ignore[no-untyped-def]

    assert fill_parameters(content, None) == {name: name for name in PARAMETER_NAMES}


def test_the_conditions_model_is_filled_by_annotation() -> None:
    def content(order: Paid, data: Any) -> None: ...

    assert fill_parameters(content, Paid) == {"order": "model", "data": "data"}


def test_an_annotation_that_cannot_be_resolved_goes_by_its_name() -> None:
    class Local(BaseModel):
        total: int

    def content(order: Local, nothing: Missing = None, data: dict[str, int] | None = None) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert fill_parameters(content, Local) == {"order": "model", "data": "data"}


def test_a_task_is_filled_by_annotation() -> None:
    def content(handle: "Task") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037

    assert fill_parameters(content, None) == {"handle": "task"}


def test_a_parameter_with_a_default_keeps_it() -> None:
    def content(data: Any, limit: int = 3, *, log: Any) -> None: ...

    assert fill_parameters(content, None) == {"data": "data", "log": "log"}


def test_what_functools_wraps_made_is_looked_through() -> None:
    def content(data: Any) -> None: ...

    @functools.wraps(content)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    assert fill_parameters(wrapper, None) == {"data": "data"}


def unknown(daat: Any) -> None: ...
def far_off(zzz: Any) -> None: ...
def other_model(order: Other) -> None: ...
def many(*things: Any) -> None: ...
def named(**things: Any) -> None: ...
def placed(data: Any, /) -> None: ...


@pytest.mark.parametrize(
    ("function", "model", "message"),
    [
        (unknown, None, "nothing fills the parameter 'daat'; did you mean 'data'?"),
        (
            far_off,
            None,
            "nothing fills the parameter 'zzz'; there are: data, task, step, connectors, lib, audit, graph, mapper, "
            "file, blob, log, config, user",
        ),
        (
            unknown,
            Paid,
            "nothing fills the parameter 'daat'; did you mean 'data'? (annotate it with Paid to get the condition's "
            "instance)",
        ),
        (other_model, Paid, "the parameter 'order' is annotated with Other, but the condition's model is Paid"),
        (other_model, None, "the parameter 'order' is annotated with Other, but the condition is no model"),
        (
            many,
            None,
            "'*things' cannot be filled: name what the step needs (data, task, step, connectors, lib, audit, graph, "
            "mapper, file, blob, log, config, user)",
        ),
        (
            named,
            None,
            "'**things' cannot be filled: name what the step needs (data, task, step, connectors, lib, audit, graph, "
            "mapper, file, blob, log, config, user)",
        ),
        (placed, None, "the parameter 'data' is positional-only; parameters are filled by name: leave out '/'"),
    ],
)
def test_says_what_cannot_be_filled(function: Any, model: type[BaseModel] | None, message: str) -> None:
    with pytest.raises(LoadError) as caught:
        fill_parameters(function, model)

    assert caught.value.reason == message
