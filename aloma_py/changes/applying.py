"""Changes applied to data, which itself stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from aloma_py.models import Change, Json
from aloma_py.paths import MAX_INDEX, MISSING, get


def apply(data: Json, changes: Iterable[Change]) -> Json:
    """The data that ``data`` becomes by ``changes``, one after another.

    ``data`` and the changes are not altered; the answer shares with them what did not change, so treat all as frozen.
    Any change can be applied to any data, as a change may come after another that removed what it was made for:

    - parents that are missing, or are neither object nor array, are made as :func:`aloma_py.paths.put` makes them:
      an array where the next part is a number, else an object. A number names a member of an object that is there;
      an array that is there gives way to an object where a name is needed.
    - an element after the end of its array is put there with nulls between; above ``MAX_INDEX`` at the end.
    - ``delete`` of what is missing is no change; of an element, the later ones move up; of the whole, ``{}`` is left.
    - ``append`` to what is no array sets the list of its elements.
    """
    draft = Draft(data)
    for change in changes:
        draft.apply(change)
    return draft.data


class Draft:
    """Data under change: each object and array is copied before its first change, and only then."""

    def __init__(self, data: Json) -> None:
        self.data = data
        # What was made here and may be changed in place, by identity. Kept alive by it, so no identity comes again.
        self._mine: dict[int, Any] = {}

    def apply(self, change: Change) -> None:
        """Make one change, as :func:`apply` says."""
        path = change.path
        if change.op == "delete" and get(self.data, path) is MISSING:
            return
        if not path:
            self.data = self._whole(change)
            return
        holder = self.data = self._holder(self.data, path[0])
        for part, following in pairwise(path):
            child = _child(holder, part)
            own = self._holder(child, following)
            if own is not child:
                _write(holder, part, own)
            holder = own
        last = path[-1]
        if change.op == "set":
            _write(holder, last, change.value)
        elif change.op == "append":
            _write(holder, last, self._longer(_child(holder, last), change.value))
        elif isinstance(holder, dict):
            del holder[str(last)]
        else:
            del holder[last]

    def _whole(self, change: Change) -> Json:
        if change.op == "set":
            return change.value
        return {} if change.op == "delete" else self._longer(self.data, change.value)

    def _holder(self, value: Json, part: str | int) -> Any:
        """``value`` where it may be changed and can hold ``part``, else its copy, or a new object or array."""
        if id(value) in self._mine and (isinstance(value, dict) or isinstance(part, int)):
            return value
        made: Any
        if isinstance(value, dict):
            made = value.copy()
        elif isinstance(part, int):
            made = value.copy() if isinstance(value, list) else []
        else:
            made = {}
        self._mine[id(made)] = made
        return made

    def _longer(self, value: Json, elements: list[Json]) -> list[Json]:
        array: list[Json] = self._holder(value, 0) if isinstance(value, list) else []
        self._mine[id(array)] = array
        array.extend(elements)
        return array


def _child(holder: Any, part: str | int) -> Json:
    return get(holder, (part,))


def _write(holder: Any, part: Any, value: Json) -> None:
    if isinstance(holder, dict):
        holder[str(part)] = value
    elif part < len(holder):
        holder[part] = value
    else:
        if part <= MAX_INDEX:
            holder.extend([None] * (part - len(holder)))
        holder.append(value)
