"""``@step``: turns a function into a thin object that knows its condition and options and can still be called.

::

    @step(condition={"order": {"status": "new"}}, retries=3)
    async def validate(data, connectors): ...

Decorating checks the options and nothing else. The condition is kept as it was written: :func:`~aloma_py.steps.define`
compiles it when the step is loaded, where an error can name the file, the line and the step.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final, Generic, Never, ParamSpec, TypeVar

from aloma_py.errors import LoadError
from aloma_py.steps.definition import Location, Rate
from aloma_py.steps.options import StepOptions, check_name, check_options

P = ParamSpec("P")
R = TypeVar("R")

Duration = int | float | str | timedelta
RetryOn = type[BaseException] | str | int

_UNSET: Final[Any] = object()
_EXAMPLE: Final = '@step(condition={"order": {"status": "new"}})'


class Step(Generic[P, R]):
    """A function with a condition. Calling it calls the function; nothing of it can be changed.

    ``condition`` is as it was written, ``options`` are checked, ``name`` is the option or the function's name,
    ``location`` is where the function begins (its first decorator). It carries the function's ``__name__``,
    ``__doc__``, ``__module__`` and ``__wrapped__``, as ``functools.wraps`` would give it.
    """

    function: Callable[P, R]
    condition: Any
    options: StepOptions
    name: str
    location: Location

    def __init__(self, function: Callable[P, R], condition: Any, options: StepOptions, name: str) -> None:
        copied: dict[str, Any] = {
            name: getattr(function, name) for name in functools.WRAPPER_ASSIGNMENTS if hasattr(function, name)
        }
        # Written past __setattr__, which refuses every change from now on.
        self.__dict__.update(
            copied,
            __wrapped__=function,
            function=function,
            condition=condition,
            options=options,
            name=name,
            location=_location(function),
        )

    @property
    def is_async(self) -> bool:
        """Whether the function is an ``async def``."""
        return inspect.iscoroutinefunction(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"step {self.name!r} cannot be changed; make another one with @step(...)")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __repr__(self) -> str:
        return f"<step {self.name!r} at {self.location}>"


def step(
    condition: Any = _UNSET,
    *,
    name: str | None = None,
    priority: int = _UNSET,
    retries: int = _UNSET,
    backoff: Duration = _UNSET,
    retry_on: RetryOn | Iterable[RetryOn] = _UNSET,
    timeout: Duration | None = _UNSET,
    parallel: str | bool = _UNSET,
    enabled: bool = _UNSET,
    tags: str | Iterable[str] = _UNSET,
    concurrency: int | None = _UNSET,
    rate: str | Rate | None = _UNSET,
    **unknown: Never,
) -> Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step that runs when a task's data matches ``condition`` (SPEC §2).

    - ``condition``: a pattern (a dict, a pydantic model, or what the condition helpers give);
    - ``name``: of the step; the function's where it is left out;
    - ``priority``: higher runs first, before specificity (default 0);
    - ``retries``: how often a run that raises is tried again (default 0); ``backoff``: the time before the first
      retry, doubled from one to the next up to an hour (default 1 s); ``retry_on``: exception classes, names of error
      types or HTTP statuses that are worth it (default: any error);
    - ``timeout``: of one attempt (default: the workspace's);
    - ``parallel``: ``"auto"``, ``"always"`` (or ``True``), ``"never"`` (or ``False``) (SPEC §3, 5);
    - ``enabled``: whether it takes part at all; ``tags``: words to find it by;
    - ``concurrency``: runs of this step at once, over all tasks; ``rate``: runs in a time, ``"10/s"``, ``"5/30s"``.

    Durations are milliseconds, text such as ``"30s"``, or a ``timedelta``. Raises
    :class:`~aloma_py.errors.LoadError` for an unknown option, a value that an option cannot have, a missing
    condition, or something that is no function.
    """
    given = {
        "priority": priority,
        "retries": retries,
        "backoff": backoff,
        "retry_on": retry_on,
        "timeout": timeout,
        "parallel": parallel,
        "enabled": enabled,
        "tags": tags,
        "concurrency": concurrency,
        "rate": rate,
        **unknown,
    }
    if inspect.isroutine(condition):
        raise _error(condition, f"@step needs a condition, and parentheses: {_EXAMPLE}")

    def decorate(function: Callable[P, R]) -> Step[P, R]:
        if isinstance(function, Step):
            raise _error(function, f"it is a step already ({function.name!r}); one function makes one step")
        if not inspect.isfunction(function):
            raise LoadError(f"@step is for a function (def or async def), not for {function!r}")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise _error(function, "a step's function cannot be a generator (it has a 'yield')")
        try:
            options = check_options({option: value for option, value in given.items() if value is not _UNSET})
            chosen = check_name(function.__name__ if name is None else name)
        except LoadError as error:
            raise _error(function, error.reason) from None
        if chosen == "<lambda>":
            raise _error(function, 'a step made of a lambda needs a name: step(condition=…, name="…")(lambda data: …)')
        if condition is _UNSET:
            raise _error(function, f"@step needs a condition: {_EXAMPLE}")
        return Step(function, condition, options, chosen)

    return decorate


def _location(function: Callable[..., Any]) -> Location:
    code = inspect.unwrap(function).__code__
    return Location(code.co_filename, code.co_firstlineno)


def _error(function: Callable[..., Any], reason: str) -> LoadError:
    name = getattr(function, "__name__", None)
    if not inspect.isfunction(inspect.unwrap(function)):
        return LoadError(reason, step=name)
    place = _location(function)
    return LoadError(reason, file=place.file, line=place.line, step=name)
