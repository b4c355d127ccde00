"""Whether a condition could come to match while some of the data is not known yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from aloma_py.conditions.naive import judge
from aloma_py.conditions.pattern import AllOf, AnyOf, Members, Pattern, reads
from aloma_py.models import Json
from aloma_py.paths import Path, get, overlaps

if TYPE_CHECKING:
    from aloma_py.conditions.condition import Condition


def could_match(condition: Condition, data: Json, unknown: Collection[Path]) -> bool:
    """False only where the condition cannot match, whatever comes to stand at the paths ``unknown``, and below them.

    The rest of ``data`` is taken to stay as it is. It may say true too often, never false: parts that are neither
    conjunctions nor alternatives count as possible as soon as they look at something unknown.
    """
    return _possible(condition.pattern, data, (), unknown)


def _possible(pattern: Pattern, value: Any, path: Path, unknown: Collection[Path]) -> bool:
    if not any(overlaps(read, place) for read in reads(pattern, path) for place in unknown):
        return judge(pattern, value, root=not path).helped
    if isinstance(pattern, Members):
        return all(_possible(part, get(value, (key,)), (*path, key), unknown) for key, part in pattern.items)
    if isinstance(pattern, AllOf):
        return all(_possible(part, value, path, unknown) for part in pattern.patterns)
    if isinstance(pattern, AnyOf):
        return any(_possible(part, value, path, unknown) for part in pattern.patterns)
    return True
