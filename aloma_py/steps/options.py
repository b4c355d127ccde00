"""The options of a step: what each may be, and the message where it is something else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, NoReturn

from aloma_py.durations import UNITS, parse_duration
from aloma_py.errors import InputError, LoadError, suggest
from aloma_py.models import Millis
from aloma_py.steps.definition import Parallel, Rate

MAX_NAME: Final = 200  # SPEC §5
MAX_BACKOFF: Final = 3_600_000

_RATE: Final = re.compile(r"\s*(\d+)\s*/\s*(.+?)\s*")


@dataclass(frozen=True, slots=True)
class StepOptions:
    """The options of a step, checked, in the form that :class:`~aloma_py.steps.definition.StepDefinition` has."""

    priority: int = 0
    retries: int = 0
    backoff: Millis = 1000
    retry_on: tuple[type[BaseException] | str, ...] = ()
    timeout: Millis | None = None
    parallel: Parallel = "auto"
    enabled: bool = True
    tags: tuple[str, ...] = ()
    concurrency: int | None = None
    rate: Rate | None = None
    max_backoff: Millis = field(default=MAX_BACKOFF, init=False)


def check_options(given: Mapping[str, Any]) -> StepOptions:
    """The options in their final form.

    Raises :class:`~aloma_py.errors.LoadError` for an option that there is not (naming the nearest) and for a value
    that an option cannot have.
    """
    for name in given:
        if name not in _CHECKS:
            raise LoadError(f"there is no option {name!r}{suggest(name, OPTION_NAMES)}")
    try:
        return StepOptions(**{name: _CHECKS[name](value) for name, value in given.items()})
    except LoadError:
        raise
    except InputError as error:
        raise LoadError(str(error)) from None


def check_name(name: object) -> str:
    """The name of a step, or :class:`~aloma_py.errors.LoadError`: text of 1 to 200 characters."""
    if not isinstance(name, str):
        _refuse("name", "text", name)
    if not name.strip():
        raise LoadError("the option 'name' must not be empty")
    if len(name) > MAX_NAME:
        raise LoadError(f"the option 'name' may have {MAX_NAME} characters, but has {len(name)}: {name[:40]!r}…")
    return name


def _refuse(option: str, expected: str, value: object) -> NoReturn:
    raise LoadError(f"the option {option!r} must be {expected}, not {value!r}")


def _whole(option: str, least: int | None = None) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
            _refuse(option, "a whole number" + (f" of at least {least}" if least is not None else ""), value)
        return value

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        _refuse("enabled", "True or False", value)
    return value


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def _timeout(value: Any) -> Millis:
    millis = parse_duration(value, "the option 'timeout'")
    if millis == 0:
        _refuse("timeout", "longer than nothing", value)
    return millis


def _backoff(value: Any) -> Millis:
    return parse_duration(value, "the option 'backoff'")


def _retry_on(value: Any) -> tuple[type[BaseException] | str, ...]:
    kinds = value if isinstance(value, (tuple, list, set, frozenset)) else (value,)
    found: list[type[BaseException] | str] = []
    for kind in kinds:
        if (isinstance(kind, type) and issubclass(kind, BaseException)) or (isinstance(kind, str) and kind):
            found.append(kind)
        elif isinstance(kind, int) and not isinstance(kind, bool) and 100 <= kind <= 599:
            found.append(str(kind))
        else:
            _refuse("retry_on", "exception classes, names of errors, or HTTP statuses", kind)
    return tuple(found)


def _parallel(value: Any) -> Parallel:
    if value is True or value == "always":
        return "always"
    if value is False or value == "never":
        return "never"
    if value == "auto":
        return "auto"
    hint = suggest(value, ("auto", "always", "never")) if isinstance(value, str) else ""
    raise LoadError(f'the option \'parallel\' must be "auto", "always" or "never", not {value!r}{hint}')


def _tags(value: Any) -> tuple[str, ...]:
    tags = (value,) if isinstance(value, str) else value
    if not isinstance(tags, Iterable) or isinstance(tags, (Mapping, bytes)):
        _refuse("tags", "a list of texts", value)
    tags = tuple(tags)
    if not all(isinstance(tag, str) and tag for tag in tags):
        _refuse("tags", "a list of texts that are not empty", value)
    return tags


def _rate(value: Any) -> Rate:
    if isinstance(value, Rate):
        rate = value
    else:
        match = _RATE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            _refuse("rate", 'a count in a time such as "10/s", "60/m" or "5/30s"', value)
        per = match[2]
        rate = Rate(int(match[1]), parse_duration(f"1{per}" if per in UNITS else per, "the time in the option 'rate'"))
    if rate.count < 1 or rate.per < 1:
        _refuse("rate", "at least one run in a time that is longer than nothing", value)
    return rate


_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "priority": _whole("priority"),
    "retries": _whole("retries", 0),
    "backoff": _backoff,
    "retry_on": _retry_on,
    "timeout": _optional(_timeout),
    "parallel": _parallel,
    "enabled": _flag,
    "tags": _tags,
    "concurrency": _optional(_whole("concurrency", 1)),
    "rate": _optional(_rate),
}

OPTION_NAMES: Final = ("condition", "name", *(option.name for option in fields(StepOptions) if option.init))
"""What ``@step`` takes."""
