"""What the analysis of JavaScript keeps: scopes of names, members of objects, the places that cannot be followed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from aloma_py.paths import Path, overlaps
from aloma_py.steps.definition import Footprint, Unknown
from aloma_py.steps.follow.memory import Memory, widen
from aloma_py.steps.follow.values import NOTHING, Func, Ref, Site, Value
from aloma_py.steps.javascript.footprint_syntax import Syntax


class Scope:
    """A function, a block, a class or the module: its names and what each may be. Compared by identity."""

    def __init__(self, node: Syntax, parent: Scope | None, names: Iterable[str], *, function: bool) -> None:
        self.node = node
        self.parent = parent
        self.names: dict[str, Value] = dict.fromkeys(names, NOTHING)
        self.function: Scope = self if function or parent is None else parent.function
        self.children: dict[Syntax, Scope] = {}
        self.returns: Value = NOTHING  # of functions
        self.of_class = False  # code of a class's body: what it gives back cannot be seen by who calls it

    def owner(self, name: str) -> Scope | None:
        """The scope that binds the name seen here, or ``None``: it is a global."""
        scope: Scope | None = self
        while scope is not None and name not in scope.names:
            scope = scope.parent
        return scope


def function_of(scope: Scope) -> Func:
    """The value that stands for a function. (The memory only looks at its ``returns``.)"""
    return Func(cast(Any, scope))


def scope_of(function: Func) -> Scope:
    return cast(Scope, function.scope)


class Notes(Memory):
    """The memory of :mod:`aloma_py.steps.follow`, with the members of objects told apart."""

    def __init__(self) -> None:
        super().__init__()
        # What objects hold as the member of that name; None: as any. ``contents`` has all of it together.
        self.fields: dict[tuple[Site, str | None], Value] = {}

    def cannot(self, node: Syntax, reason: str) -> None:
        """Note a place that makes the step count as reading and writing everything."""
        code = " ".join(node.text.split())
        short = code if len(code) <= 120 else code[:119] + "…"
        self.unknown.setdefault((node.line, short), Unknown(node.line, short, reason))

    def put(self, site: Site, value: Value) -> None:
        super().put(site, value)
        self._keep(site, None, value)
        if value and site in self.keys:
            self.name_keys(site, None)

    def link(self, path: Path, value: Value, *, below: bool = False) -> None:
        # ``data.x = data.x || []`` makes no alias of what is there.
        super().link(path, value if below else value - {Ref(path)}, below=below)

    def change(self, ref: Ref, value: Value = NOTHING) -> None:
        super().change(ref, value)
        for (path, _), linked in list(self.links.items()):
            if overlaps(ref.path, path):
                for atom in self.reach(linked):
                    if isinstance(atom, Site):  # it may be moved about in an object that the code still holds
                        self.mix(atom)

    def put_member(self, site: Site, name: str | None, value: Value) -> None:
        """Objects made at ``site`` may hold ``value`` as that member; without a name, as any."""
        super().put(site, value)
        self._keep(site, name, value)

    def _keep(self, site: Site, name: str | None, value: Value) -> None:
        known = self.fields.get((site, name), NOTHING)
        joined = widen(known | value)
        if joined != known:
            self.fields[site, name] = joined
            self.grew = True

    def member(self, site: Site, name: str | None) -> Value:
        """What the member of that name may be."""
        if name is None:
            return self.contents.get(site, NOTHING)
        return self.fields.get((site, name), NOTHING) | self.fields.get((site, None), NOTHING)

    def mix(self, site: Site) -> None:
        """What the object holds may from now on stand at any place in it."""
        self.put(site, self.contents.get(site, NOTHING))

    def test(self, value: Value) -> None:
        """Note that code asks whether the value is there. The data itself always is."""
        self.read(frozenset(atom for atom in value if isinstance(atom, Ref) and atom != Ref(())))

    def footprint(self) -> Footprint:
        """What was found. Of a way to a member that was not used otherwise, the end counts as read."""
        for path in sorted(self.touched, key=len, reverse=True):
            if not any(overlaps(path, other) for other in self.reads | self.writes):
                self.reads.add(path)
        return super().footprint()
