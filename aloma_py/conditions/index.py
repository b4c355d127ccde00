"""Which of many conditions match: an index whose cost follows what matches, not how many conditions there are.

A discrimination tree. Each node files every condition under the most selective of its key sets that is not used above
it (``keys``), so that data only comes across conditions with whose keys it agrees; what is filed is small enough, or
has no more keys, is judged whole. The tree is a filter only: every condition that the index gives was judged by its
compiled form.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from aloma_py.conditions.condition import Condition
from aloma_py.conditions.facts import FactMap, Facts
from aloma_py.conditions.keys import Fact, KeySet, necessary
from aloma_py.conditions.pattern import has_computed
from aloma_py.models import Json
from aloma_py.paths import Path

_FEW: Final = 10
"""Up to so many conditions are simply judged: that is faster than looking them up."""

_BUCKET: Final = 4
_DEEPEST: Final = 10
_MOST_COPIES: Final = 64
"""A condition under several keys is in several branches; so many of them at most, over all levels."""


class ConditionIndex:
    """An index over a sequence of conditions; the answers are positions in it. Immutable, and safe to share."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.conditions = tuple(conditions)
        self._tests = [one.test for one in self.conditions]
        self._readers = _Readers(self.conditions)
        self._facts: FactMap | None = None
        self._tree: _Node = _Node(rest=list(range(len(self.conditions))))
        if len(self.conditions) > _FEW:
            self._facts, self._tree = _build(self.conditions)

    def __len__(self) -> int:
        return len(self.conditions)

    def match(self, data: Json) -> set[int]:
        """The positions of all conditions that match."""
        tests = self._tests
        return {at for at in self._candidates(data) if tests[at](data)}

    def rematch(self, data: Json, before: Collection[int], changed: Iterable[Path]) -> set[int]:
        """The same as :meth:`match`, given what matched ``before`` and the paths that have ``changed`` since.

        Only conditions that look at a changed path are judged; the others are as they were.
        """
        groups = self._readers.groups(changed)
        kept = {at for at in before if not any(at in group for group in groups)}
        tests = self._tests
        if sum(map(len, groups)) <= _FEW:
            return kept.union(at for at in set().union(*groups) if tests[at](data))
        for at in self._candidates(data):
            if any(at in group for group in groups) and tests[at](data):
                kept.add(at)
        return kept

    def looking_at(self, changed: Iterable[Path]) -> set[int]:
        """The positions of the conditions that look at any of these paths, or at a part or the whole of one."""
        return set().union(*self._readers.groups(changed))

    def _candidates(self, data: Json) -> Collection[int]:
        """Positions among which are all that match."""
        if self._facts is None:
            return self._tree.rest
        found: list[int] = []
        _visit(self._tree, self._facts.shown(data), found)
        return set(found)


@dataclass(slots=True)
class _Node:
    """``tables``: by slot and key, what to look at next where the data shows that; ``rest``: candidates in any case."""

    tables: dict[int, dict[Hashable, _Node | list[int]]] = field(default_factory=dict)
    rest: list[int] = field(default_factory=list)


def _visit(node: _Node, facts: Facts, found: list[int]) -> None:
    """Gather the candidates of a node and of all below it with whose keys the data agrees."""
    found += node.rest
    tables = node.tables
    for slot in tables if len(tables) < len(facts) else facts:
        table, keys = tables.get(slot), facts.get(slot)
        if table is None or keys is None:
            continue
        for key in keys:
            below = table.get(key)
            if below is None:
                continue
            if isinstance(below, list):
                found += below
            else:
                _visit(below, facts, found)


@dataclass(slots=True)
class _Choice:
    """A key set as the tree uses it. ``share``: for a range, how much of its scale it covers."""

    keys: tuple[tuple[int, Hashable], ...]
    share: float | None = None


@dataclass(slots=True)
class _Entry:
    """A condition on its way down the tree: the key sets that are left, and in how many branches it is."""

    position: int
    choices: list[_Choice]
    copies: int = 1


def _build(conditions: Sequence[Condition]) -> tuple[FactMap, _Node]:
    key_sets: list[list[KeySet]] = [
        [] if has_computed(one.pattern) else list(dict.fromkeys(necessary(one.pattern))) for one in conditions
    ]
    facts = FactMap(fact for sets in key_sets for one in sets for fact in one)
    entries = [_Entry(at, [_choice(one, facts) for one in sets]) for at, sets in enumerate(key_sets)]
    return facts, _node(entries, 0)


def _choice(key_set: KeySet, facts: FactMap) -> _Choice:
    keys = tuple(pair for fact in key_set for pair in facts.keys(fact))
    is_range = len(key_set) == 1 and _is_range(key_set[0])
    return _Choice(keys, facts.share(key_set[0]) if is_range else None)


def _is_range(fact: Fact) -> bool:
    return fact.aspect in ("number", "string")


def _node(entries: list[_Entry], depth: int) -> _Node:
    node = _Node()
    cost = _costs(entries)
    filed: dict[int, dict[Hashable, list[_Entry]]] = {}
    for entry in entries:
        usable = [one for one in entry.choices if entry.copies * len(one.keys) <= _MOST_COPIES]
        if not usable:
            node.rest.append(entry.position)
            continue
        chosen = min(usable, key=cost)
        left = [one for one in entry.choices if one is not chosen]
        below = _Entry(entry.position, left, entry.copies * max(1, len(chosen.keys)))
        for slot, key in chosen.keys:
            filed.setdefault(slot, {}).setdefault(key, []).append(below)
    for slot, table in filed.items():
        node.tables[slot] = {key: _branch(found, depth + 1) for key, found in table.items()}
    return node


def _branch(entries: list[_Entry], depth: int) -> _Node | list[int]:
    if len(entries) <= _BUCKET or depth >= _DEEPEST or not any(entry.choices for entry in entries):
        return [entry.position for entry in entries]
    return _node(entries, depth)


def _costs(entries: list[_Entry]) -> Callable[[_Choice], float]:
    """How many conditions data comes across, about, that shows a key of a choice: fewer is better."""
    by_key: Counter[tuple[int, Hashable]] = Counter()
    by_scale: Counter[int] = Counter()
    for entry in entries:
        for choice in entry.choices:
            if choice.share is None:
                by_key.update(choice.keys)
            elif choice.keys:
                by_scale[choice.keys[0][0]] += 1

    def cost(choice: _Choice) -> float:
        if not choice.keys:
            return 0
        if choice.share is not None:
            return choice.share * by_scale[choice.keys[0][0]]
        return max(by_key[key] for key in choice.keys)

    return cost


class _Readers:
    """Which conditions look at a path, found along a trie of all paths that conditions look at."""

    __slots__ = ("_root",)

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._root = _Reader()
        for at, condition in enumerate(conditions):
            for path in condition.paths:
                reader = self._root
                reader.below.add(at)
                for part in path:
                    reader = reader.parts.setdefault(str(part), _Reader())
                    reader.below.add(at)
                reader.here.add(at)

    def groups(self, changed: Iterable[Path]) -> list[set[int]]:
        """Sets of positions, which may overlap, of all conditions that look at one of the paths."""
        found: dict[int, set[int]] = {}
        for path in changed:
            reader: _Reader | None = self._root
            for part in path:
                assert reader is not None
                if reader.here:
                    found[id(reader.here)] = reader.here
                reader = reader.parts.get(str(part))
                if reader is None:
                    break
            else:
                assert reader is not None
                found[id(reader.below)] = reader.below
        return list(found.values())


class _Reader:
    """``here``: positions of conditions that look at this very path; ``below``: at it or at something inside it."""

    __slots__ = ("below", "here", "parts")

    def __init__(self) -> None:
        self.here: set[int] = set()
        self.below: set[int] = set()
        self.parts: dict[str, _Reader] = {}
