"""The errors that users meet.

::

    AlomaError
    ├── InputError              what was given cannot be used; exit status 2, HTTP 4xx
    │   ├── LoadError           a workspace, step or library cannot be loaded (file, line, step)
    │   │   └── ConditionError  a condition cannot be read (path inside the condition, reason)
    │   ├── PayloadError        JSON that is no task: malformed, too large, too deep, not an object
    │   ├── NotFoundError       an unknown task, step, workspace, connector, method or key
    │   └── StateError          the state of what is to be changed does not allow this (resume a running task, …)
    │       └── StaleVersion    somebody else changed it in between
    ├── RunError                the run of a step failed; kept as data in ``$errors``
    │   ├── StepTimeout         the step ran longer than its time limit
    │   ├── CallError           a connector call failed; ``status`` where the service gave one
    │   │   └── NoSuchCall      there is no such connector or method
    │   └── ResultError         what the step left in ``data`` is no JSON, or too large
    └── StoreError              the store could not do it; nothing was changed
        ├── StoreBusy           another process holds the file
        ├── StoreFull           no room left on the disk
        └── StaleTask           somebody else wrote the task in between (a fencing check)

The text of each says what was wrong, where, and what was expected; where there is a nearest valid name, it is named.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AlomaError(Exception):
    """Whatever aloma_py raises on purpose."""


class InputError(AlomaError):
    """What was given cannot be used. Nothing was changed."""


class LoadError(InputError):
    """A workspace, step or library cannot be loaded; nothing of it was loaded.

    ``file``, ``line`` and ``step`` say where, each ``None`` where it is not known. ``reason`` is the bare sentence.
    """

    def __init__(
        self, reason: str, *, file: str | None = None, line: int | None = None, step: str | None = None
    ) -> None:
        self.reason = reason
        self.file = file
        self.line = line
        self.step = step
        place = f"{file}:{line}" if file and line else file
        who = f"step {step!r}" if step else None
        super().__init__(": ".join(part for part in (place, who, reason) if part))

    def at(self, *, file: str | None = None, line: int | None = None, step: str | None = None) -> LoadError:
        """The same error with what was not known before filled in."""
        return type(self)(self.reason, file=self.file or file, line=self.line or line, step=self.step or step)


class ConditionError(LoadError):
    """A condition cannot be read. ``path`` is the place inside the condition (``order.total.$gt``)."""

    def __init__(
        self,
        reason: str,
        *,
        path: str = "",
        file: str | None = None,
        line: int | None = None,
        step: str | None = None,
    ) -> None:
        self.path = path
        self.bare = reason
        super().__init__(
            f"condition at {path}: {reason}" if path else f"condition: {reason}", file=file, line=line, step=step
        )

    def at(self, *, file: str | None = None, line: int | None = None, step: str | None = None) -> ConditionError:
        return type(self)(
            self.bare, path=self.path, file=self.file or file, line=self.line or line, step=self.step or step
        )


class PayloadError(InputError):
    """What was given as a task's data, name or tags cannot be used."""


class NotFoundError(InputError):
    """There is nothing of that name; ``known`` are the names there are."""

    def __init__(self, kind: str, name: str, known: Iterable[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        super().__init__(f"there is no {kind} {name!r}{suggest(name, self.known)}")


class StateError(InputError):
    """The state of what is to be changed does not allow this."""


class StaleVersion(StateError):
    """The change was made on a version that is not the present one any more; both are named."""


class RunError(AlomaError):
    """The run of a step failed; its changes were discarded."""


class StepTimeout(RunError):
    """The step ran longer than its time limit."""


class CallError(RunError):
    """A connector call failed. ``status`` is the HTTP status where the service gave one, else ``None``.

    ``kinds`` are the names of the classes of the connector's own error, where that is not at hand any more.
    """

    def __init__(self, message: str, status: int | None = None, kinds: Iterable[str] = ()) -> None:
        self.status = status
        self.kinds = tuple(kinds)
        super().__init__(message)


class NoSuchCall(CallError):
    """The workspace has no such connector, or the connector no such method: to try again would not help."""


class ResultError(RunError):
    """What the step left in ``data``, or gave as a result, is no JSON value, or too large."""


class StoreError(AlomaError):
    """The store could not do it; what was there before is still there."""


class StoreBusy(StoreError):
    """Another process holds the store's file."""


class StoreFull(StoreError):
    """There is no room left for the store's file."""


class StaleTask(StoreError):
    """The task was written by somebody else in between; this write was refused whole."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name``, or ``None`` if none is near.

    The other number of the same word comes first (``retry`` for ``retries``), then the one name that begins with it.
    """
    names = sorted(set(known))
    same = [other for other in names if other in _numbers(name) or name in _numbers(other)]
    longer = [other for other in names if other.startswith(name)] if len(name) >= 3 else []
    for certain in (same, longer):
        if len(certain) == 1:
            return certain[0]
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return found[0] if found else None


def _numbers(word: str) -> tuple[str, ...]:
    """The plurals that a word may have."""
    return (f"{word}s", f"{word}es", f"{word[:-1]}ies") if word.endswith("y") else (f"{word}s", f"{word}es")


def suggest(name: str, known: Iterable[str]) -> str:
    """The tail of a message about an unknown name: the nearest one, or the few there are; may be empty.

    >>> suggest("stauts", ["status", "total"])
    '; did you mean \\'status\\'?'
    """
    names = sorted(set(known))
    near = nearest(name, names)
    if near is not None:
        return f"; did you mean {near!r}?"
    if 0 < len(names) <= 12:
        return f"; there are: {', '.join(names)}"
    return ""
