"""New tasks and their ids."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aloma_py.errors import PayloadError
from aloma_py.intake.checks import check_name, check_tags, checked_text, describe
from aloma_py.jsontext import loads
from aloma_py.models import Json, Limits, Millis, Task

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"  # base 32 in the order of ASCII, so that ids sort as numbers do
_LENGTH: Final = 20
_RANDOM_BITS: Final = 52  # the other 48 are the time


class _IdMaker:
    """Makes ids that sort by time, and within one millisecond by the order in which they were made."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._pool = b""

    def _random(self, bits: int) -> int:
        """Random bits, at most 56. Asked of the system by the page: a question for each id takes longer than the id."""
        if len(self._pool) < 7:
            self._pool = secrets.token_bytes(4096)
        drawn, self._pool = self._pool[:7], self._pool[7:]
        return int.from_bytes(drawn, "big") >> (56 - bits)

    def make(self, now: Millis) -> str:
        with self._lock:
            number = (now & 0xFFFF_FFFF_FFFF) << _RANDOM_BITS
            if self._last >> _RANDOM_BITS == number >> _RANDOM_BITS:
                number = self._last + 1 + self._random(20)
            else:
                number |= self._random(_RANDOM_BITS - 1)  # the upper half is left for those that follow
            self._last = number
        digits = [_DIGITS[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5)]
        return f"task-{''.join(digits)}"


_ids = _IdMaker()


def new_task_id(now: Millis) -> str:
    """A new id: ``task-`` and 20 characters, that sorts behind those made before (by ``now``, then by order)."""
    return _ids.make(now)


def new_task(
    workspace: str,
    name: str | None,
    data: Mapping[str, Json],
    *,
    tags: Sequence[str] = (),
    via: Mapping[str, Json] | None = None,
    now: Millis,
    id: str | None = None,
    due_at: Millis | None = None,
    parent: str | None = None,
    into: str | None = None,
    wait_for: bool = False,
    limits: Limits | None = None,
) -> Task:
    """A pending task, its data copied, ready to be accepted by a store.

    ``via`` says where it came from (``id``, ``name``, ``type``, null where there is none); with ``received`` (``now``)
    it becomes ``data.$via``.
    Members of a ``$via`` that ``data`` has already stay as they are. Without a name it is called "task". Raises
    :class:`~aloma_py.errors.PayloadError` where data, name or tags cannot be those of a task (SPEC §5).
    """
    limits = limits or Limits()
    given: Any = data
    if isinstance(given, dict) and via is not None:
        own = given.get("$via")
        if own is not None and not isinstance(own, dict):
            raise PayloadError(f"data.$via is {describe(own)}; an object was expected")
        given = {**given, "$via": {"id": None, "name": None, "type": None, "received": now, **via, **(own or {})}}
    text = checked_text(given, limits, "data")
    return Task(
        id=id or new_task_id(now),
        workspace=workspace,
        name="task" if name is None else check_name(name, limits),
        data=loads(text),
        initial=loads(text),
        created_at=now,
        tags=check_tags(tags, limits),
        updated_at=now,
        due_at=due_at,
        parent=parent,
        into=into,
        wait_for=wait_for,
    )
