"""The changes of one wave's runs brought together (SPEC §3.6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from aloma_py.changes.applying import Draft, apply
from aloma_py.changes.values import same
from aloma_py.models import Change, Conflict, Json
from aloma_py.paths import MISSING, Path, get


@dataclass(frozen=True, slots=True)
class Merged:
    """What a wave's runs made of the data.

    ``changes`` are each run's changes as they took effect, in the runs' order: applied one run after another to the
    wave's base they give ``data``, so they are what the history keeps. They differ from what went in only where two
    runs each made an object at one place.
    """

    data: Json
    changes: tuple[tuple[Change, ...], ...]
    conflicts: tuple[Conflict, ...] = ()


def merge(base: Json, runs: Sequence[tuple[str, Sequence[Change]]]) -> Merged:
    """Bring together the changes that runs made, each on its own copy of ``base``.

    ``runs`` are (step name, changes) in the wave's order. The changes are applied in that order, as
    :func:`~aloma_py.changes.apply` does; ``base`` is not altered. A change conflicts with an earlier run's when it
    undoes what that one wrote; the later one wins, and the conflict is recorded at the place it wrote:

    - two runs set a member differently; one sets, the other deletes; one writes below what the other set or deleted,
      or sets or deletes what the other wrote below. Not where both come to the same value.
    - an array that was set whole after another run appended to it loses those elements: a conflict. An ``append``
      after a ``set`` adds to the new array, and two appends are both kept, in order: no conflict.
    - changes to different members, or to different elements of an array, do not meet.
    - two runs that each made an object where ``base`` has none made its members: those merge one by one.
    """
    if sum(bool(changes) for _, changes in runs) <= 1:
        data = base
        for _, changes in runs:
            data = apply(data, changes)
        return Merged(data, tuple(tuple(changes) for _, changes in runs))

    draft = Draft(base)
    ledger = _Ledger()
    conflicts: dict[Conflict, None] = {}
    kept: list[tuple[Change, ...]] = []
    for number, (step, changes) in enumerate(runs):
        applied: list[Change] = []
        for original in changes:
            as_members = _both_made_an_object(base, draft.data, original, ledger.at(original.path), number)
            for change in list(_members(draft.data, original)) if as_members else [original]:
                for loser in ledger.undone_by(change, number, draft.data, may_add=as_members):
                    conflicts[Conflict(change.path, runs[loser][0], step)] = None
                draft.apply(change)
                ledger.add(number, change)
                applied.append(change)
        kept.append(tuple(applied))
    return Merged(draft.data, tuple(kept), tuple(conflicts))


@dataclass(slots=True)
class _Place:
    """What runs wrote at one path, and below it."""

    part: str | int = ""  # the last part of the path
    writes: list[tuple[int, Change]] = field(default_factory=list)  # (the run's number, its change)
    below: dict[str, _Place] = field(default_factory=dict)


class _Ledger:
    """Who wrote where, as a tree over the paths: a change meets only what is on its way and below it."""

    def __init__(self) -> None:
        self._root = _Place()

    def add(self, number: int, change: Change) -> None:
        place = self._root
        for part in change.path:
            name = str(part)  # on an object, the part 0 means the member "0"
            following = place.below.get(name)
            if following is None:
                following = place.below[name] = _Place(part)
            place = following
        place.writes.append((number, change))

    def at(self, path: Path) -> list[tuple[int, Change]]:
        """The writes at exactly this path."""
        place: _Place | None = self._root
        for part in path:
            place = place.below.get(str(part)) if place else None
        return place.writes if place else []

    def undone_by(self, change: Change, number: int, data: Json, may_add: bool) -> list[int]:
        """The earlier runs of whose writes ``change`` undoes one when run ``number`` applies it to ``data``.

        Writes that are gone for good are forgotten. With ``may_add``, a new member does not undo the object it joins.
        """
        above: list[tuple[int, Change]] = []
        place: _Place | None = self._root
        for part in change.path:
            if place is None:
                break
            above += place.writes
            place = place.below.get(str(part))
        if place is None and not above:
            return []

        here = get(data, change.path)
        if change.op == "append" and isinstance(here, list):
            return []
        becomes = MISSING if change.op == "delete" else change.value
        if same(here, becomes):
            return []
        losers: list[int] = []
        if not (may_add and here is MISSING):
            losers += [run for run, write in above if run != number and write.op != "append"]
        if place is not None:
            losers += _forget(place, number)
            for below, rest in _places_below(place, ()):
                if not same(get(here, rest), get(becomes, rest)):
                    losers += _forget(below, number)
        return losers


def _forget(place: _Place, number: int) -> list[int]:
    """Drop the writes of other runs than ``number`` at this place; gives those runs."""
    gone = [run for run, _ in place.writes if run != number]
    place.writes = [write for write in place.writes if write[0] == number]
    return gone


def _places_below(place: _Place, path: Path) -> Iterator[tuple[_Place, Path]]:
    for child in place.below.values():
        yield child, (*path, child.part)
        yield from _places_below(child, (*path, child.part))


def _both_made_an_object(base: Json, data: Json, change: Change, writes: list[tuple[int, Change]], number: int) -> bool:
    """Whether ``change`` sets an object where another run did so too, and there was none before both."""
    return (
        change.op == "set"
        and isinstance(change.value, dict)
        and any(run != number and isinstance(write.value, dict) for run, write in writes)
        and isinstance(get(data, change.path), dict)
        and not isinstance(get(base, change.path), dict)
    )


def _members(data: Json, change: Change) -> Iterator[Change]:
    """``change``, which sets an object where there is one, as changes to those of its members that differ."""

    def differing(present: dict[str, Json], wanted: dict[str, Json], path: Path) -> Iterator[Change]:
        for name, value in wanted.items():
            old = present.get(name, MISSING)
            if isinstance(old, dict) and isinstance(value, dict):
                yield from differing(old, value, (*path, name))
            elif not same(old, value):
                yield Change("set", (*path, name), value)

    return differing(get(data, change.path), change.value, change.path)
