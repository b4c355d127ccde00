"""What a step's code may read and write in the task's data, found from its source (SPEC §3, 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from aloma_py.steps.definition import Footprint, Unknown
from aloma_py.steps.follow.scopes import Scope, arguments_of, outside_of
from aloma_py.steps.follow.values import OPAQUE, Ref, Role, Value
from aloma_py.steps.follow.walker import Walker
from aloma_py.steps.libraries import Libraries
from aloma_py.steps.parameters import MODEL
from aloma_py.steps.sources import Sources


def footprint(
    function: Callable[..., Any],
    parameters: Mapping[str, str],
    *,
    sources: Sources | None = None,
    libraries: Libraries | None = None,
) -> Footprint:
    """The paths that the function may read and write, and the places that make it count as everything.

    ``parameters`` says what fills each parameter, as :func:`~aloma_py.steps.parameters.fill_parameters` gives it.
    Helper functions of the same package and those of ``libraries`` are followed. Nothing is run.

    The answer errs on one side only: what is not among the paths, with no ``unknown`` place, is not touched. A path
    stands for all below it; positions in an array, and members whose name is computed, stand for the whole array or
    object. Beside members of the data there are ``$graph``; ``$task.name``, ``$task.tags`` and ``$task.expires``; and
    ``$files``. What reads a model's instance is not counted here.
    """
    sources = sources if sources is not None else Sources()
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        line = getattr(getattr(function, "__code__", None), "co_firstlineno", 0)
        name = getattr(function, "__name__", "")
        return Footprint(unknown=(Unknown(line, name, "the function is wrapped by another decorator"),))
    found = sources.find(function)
    if found is None:
        line, name = function.__code__.co_firstlineno, function.__name__
        return Footprint(unknown=(Unknown(line, name, "the function's source cannot be found"),))
    scope = Scope(found.node, file=found.file, lines=found.lines, outside=outside_of(function))
    entry = {argument.arg: _entry(parameters.get(argument.arg)) for argument in arguments_of(found.node)}
    return Walker(function, scope, entry, sources, libraries).run()


def _entry(source: str | None) -> Value:
    """What a parameter stands for. A model's instance is separate from the data, so it is nothing of interest."""
    if source == "data":
        return frozenset({Ref(())})
    if source is None or source == MODEL:
        return OPAQUE
    return frozenset({Role(source)})
