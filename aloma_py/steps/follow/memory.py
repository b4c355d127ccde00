"""The analysis's picture of what the code holds and does: objects, references, reads and writes.

Two kinds of knowledge are kept. What objects may hold (``contents``, ``links``) only grows, round after round, until
nothing is added. What the code does (``reads``, ``writes``, ``unknown`` …) is collected anew in each round; the last
round's is the result.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Final

from aloma_py.paths import Path, overlaps
from aloma_py.steps.definition import Footprint, Unknown
from aloma_py.steps.follow.scopes import Scope
from aloma_py.steps.follow.values import (
    NOTHING,
    NUMBER,
    OPAQUE,
    SCALAR,
    Atom,
    Func,
    Head,
    Outer,
    Plain,
    Ref,
    Role,
    Site,
    Text,
    Value,
    join,
    value_of,
)
from aloma_py.steps.sources import text_of

MAX_REFS = 48
"""A name that may refer to more places than these is taken to refer to anything below their first members."""

MAX_CHAIN = 4
"""A name that may refer to more than so many places, each below the first, is taken to refer to all below that."""


MOST_NAMES: Final = 256
"""Members of one object that are told apart; an object with more of them may have any."""


class Memory:
    """What is known, and what was found. Findings are noted for a node in a scope, so that they have a line."""

    def __init__(self) -> None:
        self.contents: dict[Site, Value] = {}
        self.keys: dict[Site, frozenset[str] | None] = {}  # of objects: the members they can have; None: any
        # What was put into the data: the value at a path, or (True) one below it.
        self.links: dict[tuple[Path, bool], Value] = {}
        self.grew = False
        self.begin()

    def begin(self) -> None:
        """Forget the findings of the round before."""
        self.grew = False
        self.reads: set[Path] = set()
        self.writes: set[Path] = set()
        self.touched: set[Path] = set()  # looked through, on the way to a member
        self.mutated: set[Ref] = set()  # objects changed in place
        self.unknown: dict[tuple[int, str], Unknown] = {}

    # --- findings ---------------------------------------------------------------------------------------------

    def cannot_follow(self, node: ast.AST, scope: Scope, reason: str) -> None:
        """Note a place that makes the step count as reading and writing everything."""
        line = getattr(node, "lineno", 0)
        code = text_of(node, scope.lines)
        if scope.entry is not None:
            reason, line = f"{reason} (in {scope.file}:{line})", scope.entry
        short = code if len(code) <= 120 else code[:119] + "…"
        self.unknown.setdefault((line, short), Unknown(line, short, reason))

    def read(self, value: Value) -> None:
        """Note that the code uses a value: everything of the data that it is or holds."""
        for atom in self.reach(value):
            if isinstance(atom, Ref):
                self.reads.add(atom.path)

    def write(self, ref: Ref) -> None:
        """Note that what the reference stands for is replaced or removed."""
        self.writes.add(ref.path)

    def change(self, ref: Ref, value: Value = NOTHING) -> None:
        """Note that the object at the reference is changed in place, and what is put into it."""
        self.mutated.add(ref)
        if value:
            for (path, below), linked in list(self.links.items()):
                if _may_be_inside(ref, path, below):  # the object may be one that the code made and still holds
                    for atom in self.reach(linked):
                        if isinstance(atom, Site):
                            self.put(atom, value)

    def link(self, path: Path, value: Value, *, below: bool = False) -> None:
        """Remember that the data at (or below) ``path`` may from now on be the same object as ``value``."""
        known = self.links.get((path, below), NOTHING)
        shared = widen(known | frozenset(atom for atom in value if isinstance(atom, (Ref, Site))))
        if shared != known:
            self.links[path, below] = shared
            self.grew = True

    def name_keys(self, site: Site, names: frozenset[str] | None) -> None:
        """Objects made at ``site`` may have these members; ``None``: any."""
        known = self.keys.get(site, frozenset())
        joined = None if known is None or names is None else known | names
        if joined is not None and len(joined) > MOST_NAMES:
            joined = None
        if site not in self.keys or joined != known:
            self.keys[site] = joined
            self.grew = True

    # --- objects ----------------------------------------------------------------------------------------------

    def put(self, site: Site, value: Value) -> None:
        """Objects made at ``site`` may hold ``value``."""
        known = self.contents.get(site, NOTHING)
        joined = widen(known | value)
        if joined != known:
            self.contents[site] = joined
            self.grew = True

    def make(self, key: object, *held: Value, loop: bool = False) -> Value:
        """A new object that holds the given values, and with ``loop`` objects like itself too."""
        site = Site(key)
        self.put(site, join(held))
        if loop:
            self.put(site, frozenset({site}))
        return frozenset({site})

    def make_from(self, key: object, *sources: Value) -> Value:
        """A new container of what is in the sources, at most one level further down: ``list(x)``, ``dict(pairs)``."""
        first = self.elements(join(sources))
        return self.make(key, first, self.elements(first), loop=True)

    def elements(self, value: Value) -> Value:
        """What an element of the value may be: an array's, an object's member of an unknown name."""
        return join(self._elements(atom) for atom in value)

    def _elements(self, atom: Atom) -> Value:
        match atom:
            case Ref(path=path):
                return frozenset({Ref(path, exact=False)})
            case Site():
                return self.contents.get(atom, NOTHING)
            case Text() | Head() | Plain.SCALAR:
                return SCALAR
            case Plain.NUMBER:
                return NUMBER
            case Outer(value=tuple() | frozenset() as fixed) if len(fixed) <= 64:
                return join(value_of(element) for element in fixed)
            case Role(name=name):
                return frozenset({Role(f"{name}.*")})
        return OPAQUE

    def reach(self, value: Value) -> set[Atom]:
        """Everything that can be got at through a value."""
        seen: set[Atom] = set()
        pending = list(value)
        while pending:
            atom = pending.pop()
            if atom not in seen:
                seen.add(atom)
                if isinstance(atom, Site):
                    pending.extend(self.contents.get(atom, NOTHING))
                elif isinstance(atom, Func):
                    pending.extend(atom.scope.returns)
        return seen

    def tracked(self, value: Value) -> bool:
        """Whether something that matters can be got at through a value."""
        return any(isinstance(atom, Ref) or (isinstance(atom, Role) and atom.sensitive) for atom in self.reach(value))

    # --- the result -------------------------------------------------------------------------------------------

    def footprint(self) -> Footprint:
        """What was found, with what follows from aliases inside the data."""
        reads, writes = set(self.reads), set(self.writes)
        mutated = set(self.mutated)
        pending = list(mutated)
        while pending:
            changed = pending.pop()
            for (path, below), value in self.links.items():
                if _may_be_inside(changed, path, below):
                    itself = changed.exact and changed.path == path
                    for atom in value if itself else self.reach(value):
                        if isinstance(atom, Ref):
                            writes.add(atom.path)
                            other = Ref(atom.path, exact=False)
                            if other not in mutated:
                                mutated.add(other)
                                pending.append(other)
        for path in self.touched:
            # Looking through a member that is not there fails, so whether it is there was read; where something
            # else on the same line down was read or written, who removes the member is in its way already.
            if not any(overlaps(path, other) for other in reads | writes):
                reads.add(path)
        unknown = tuple(sorted(self.unknown.values(), key=lambda place: (place.line, place.code)))
        return Footprint(frozenset(_least(reads)), frozenset(_least(writes)), unknown)


def widen(value: Value) -> Value:
    """The value without references that another one stands for; coarser where they have grown out of hand."""
    refs = {atom for atom in value if isinstance(atom, Ref)}
    if len(refs) < 2:
        return value
    others = value - refs
    loose = {ref.path for ref in refs if not ref.exact}
    for ref in refs:
        # A name that goes down and down (node = node.next) stands for all that is below where it began.
        deeper = sum(other.path[: len(ref.path)] == ref.path for other in refs)
        if ref.path and deeper > MAX_CHAIN:
            loose.add(ref.path)
    if len(refs) > MAX_REFS:
        loose.update(ref.path[:1] for ref in refs)
    kept = {ref for ref in refs if not any(ref.path[:n] in loose for n in range(len(ref.path) + 1))}
    return others | kept | {Ref(path, exact=False) for path in _least(loose)}


def _may_be_inside(changed: Ref, path: Path, below: bool) -> bool:
    """Whether a changed object may be the one at ``path``, or one below it (with ``below``: only below it)."""
    if not changed.exact:
        return overlaps(changed.path, path)
    return changed.path[: len(path)] == path and len(changed.path) >= len(path) + below


def _least(paths: Iterable[Path]) -> set[Path]:
    """The paths without those that another one stands for."""
    found = set(paths)
    return {path for path in found if not any(path[:n] in found for n in range(len(path)))}
