"""The changes that lead from one JSON value to another."""

from __future__ import annotations

from typing import Final

from aloma_py.changes.values import same
from aloma_py.models import Change, Json
from aloma_py.paths import MISSING, Path

FEW_ELEMENTS: Final = 8
"""Up to so many replaced elements are always written one by one; beyond it, only if they are the smaller half."""


def diff(before: Json, after: Json) -> tuple[Change, ...]:
    """The changes that make ``after`` of ``before``: ``apply(before, diff(before, after))`` is the same JSON.

    Objects are compared member by member, so that the changes of two runs merge (SPEC §3.6); the order of members is
    no difference. An array that grew at its end gives one ``append``, and its other differences a change for each
    element. An array that got shorter, or whose elements moved, gives one ``set`` of the whole array: changes to
    single elements would be many, and mean nothing to another run that counted the elements as they were.

    Values are told apart by JSON type: ``1``, ``true``, ``1.0`` differ. Both must be of plain JSON types, at most a few
    hundred levels deep. The values in the changes are parts of ``after``, not copies.
    """
    changes: list[Change] = []
    _compare(before, after, (), changes)
    return tuple(changes)


def _compare(before: Json, after: Json, path: Path, changes: list[Change]) -> None:
    kind = type(before)
    if kind is not type(after):
        changes.append(Change("set", path, after))
    elif kind is dict:
        _compare_objects(before, after, path, changes)
    elif kind is list:
        _compare_arrays(before, after, path, changes)
    elif not same(before, after):
        changes.append(Change("set", path, after))


def _compare_objects(before: dict[str, Json], after: dict[str, Json], path: Path, changes: list[Change]) -> None:
    kept = 0
    for name, old in before.items():
        new = after.get(name, MISSING)
        if new is MISSING:
            changes.append(Change("delete", (*path, name)))
            continue
        kept += 1
        if new is not old:  # a run's copy shares texts and numbers with the original: most stop here
            _compare(old, new, (*path, name), changes)
    if kept != len(after):
        changes.extend(Change("set", (*path, name), new) for name, new in after.items() if name not in before)


def _compare_arrays(before: list[Json], after: list[Json], path: Path, changes: list[Change]) -> None:
    if len(after) < len(before):
        changes.append(Change("set", path, after))
        return
    pairs = enumerate(zip(before, after, strict=False))
    differing = [index for index, (old, new) in pairs if old is not new and not same(old, new)]
    if differing and (_mostly_replaced(before, after, differing) or _moved(before, after, differing)):
        changes.append(Change("set", path, after))
        return
    for index in differing:
        _compare(before[index], after[index], (*path, index), changes)
    if len(after) > len(before):
        changes.append(Change("append", path, after[len(before) :]))


def _mostly_replaced(before: list[Json], after: list[Json], differing: list[int]) -> bool:
    """Whether one ``set`` of the array is the smaller record: most elements are another number, text and so on."""
    replaced = sum(
        type(before[index]) is not type(after[index]) or not isinstance(after[index], (dict, list))
        for index in differing
    )
    return replaced > FEW_ELEMENTS and replaced * 2 > len(before)


def _moved(before: list[Json], after: list[Json], differing: list[int]) -> bool:
    """Whether elements moved (something was put in, taken out, sorted) rather than changed where they are.

    They did when more of them are found in their order at another place than at their own.
    """
    first = differing[0]
    stayed = len(before) - first - len(differing)
    return max(_found_later(before, after, first), _found_later(after, before, first)) > stayed


def _found_later(wanted: list[Json], array: list[Json], first: int) -> int:
    """How many of ``wanted[first:]`` stand in ``array`` after ``first``, from where the first of them is found."""
    for start in range(first + 1, len(array)):
        if same(array[start], wanted[first]):
            return sum(map(same, array[start:], wanted[first:]))
    return 0
