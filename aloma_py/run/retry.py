"""Whether and when a failed run is tried again. Pure: the random number is an argument."""

from __future__ import annotations

from aloma_py.errors import CallError, InputError, NoSuchCall, ResultError
from aloma_py.models import Millis
from aloma_py.steps.definition import StepDefinition

HOPELESS = (InputError, NoSuchCall, ResultError)
"""Errors that would be the same the next time; tried again only where ``retry_on`` asks for it."""


_HOPELESS_NAMES = {kind.__name__ for kind in HOPELESS}
"""An error that went through a connector's record, or through JavaScript, has only its kinds' names."""


def retry_delay(step: StepDefinition, error: BaseException, attempt: int, chance: float) -> Millis | None:
    """Milliseconds until the next attempt after attempt number ``attempt`` raised, or ``None`` to give up.

    The delay doubles from one attempt to the next, up to ``step.max_backoff``; ``chance`` (0 to 1) picks a point in
    its upper half, so that tasks that failed together do not come back together.
    """
    if attempt > step.retries or not _wanted(step, error):
        return None
    delay: int = min(step.backoff * 2 ** min(attempt - 1, 30), step.max_backoff)
    return round(delay * (0.5 + 0.5 * chance))


def _wanted(step: StepDefinition, error: BaseException) -> bool:
    if not step.retry_on:
        return not isinstance(error, HOPELESS) and _HOPELESS_NAMES.isdisjoint(getattr(error, "kinds", ()))
    status = getattr(error, "status", None) if isinstance(error, CallError) else None
    names = {kind.__name__ for kind in type(error).__mro__} | set(getattr(error, "kinds", ()))
    cause = error.__cause__
    if cause is not None:  # a connector's own error arrives wrapped in a CallError
        names |= {kind.__name__ for kind in type(cause).__mro__}
    return any(
        (wanted in names or wanted == str(status))
        if isinstance(wanted, str)
        else isinstance(error, wanted) or isinstance(cause, wanted)
        for wanted in step.retry_on
    )
