"""What code really does stays within its footprint: generated steps are run and compared.

Two properties (SPEC §3, 5): what a run changed is among the writes, and what is neither among the reads nor the writes
has no influence on what it does.
"""

from __future__ import annotations

import copy
import textwrap
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py.paths import Path, overlaps, put
from aloma_py.steps import Footprint, Sources, footprint


class Members(dict[str, Any]):
    """A dict whose members are attributes."""

    def __getattribute__(self, name: str) -> Any:
        return self[name] if name in self else super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        del self[name]


def members(value: Any) -> Any:
    if isinstance(value, dict):
        return Members({name: members(member) for name, member in value.items()})
    return [members(element) for element in value] if isinstance(value, list) else value


def thing(n: int) -> dict[str, Any]:
    return {"x": n, "y": {"z": n + 1}, "k": [n, n + 2]}


def start() -> dict[str, Any]:
    return {
        "a": thing(1), "b": thing(10), "c": thing(20), "d": {"x": "word", "tree": {"next": {"next": {"x": 1}}}},
        "l": [thing(n) for n in (5, 3, 4)], "m": [thing(n) for n in (7, 8)], "n": 2, "key": "x",
        "rank": {"u": 2, "v": 1},
    }  # fmt: skip


HELPERS = """\
def mark(thing, value):
    thing.x = value
    return thing.y

def first(things):
    for thing in things:
        return thing

def deep(node):
    node.seen = 1
    if "next" in node:
        deep(node.next)

def stamp(thing):
    thing.x = 0
    return True

def bag(*things, **named):
    for thing in things:
        thing.bagged = True
    for thing in named.values():
        thing.named = True
    return named
"""

OBJECT = ["data.a", "data.b", "data.c", "data.get('a')", "data['b']", "data.a.y", "data.l[0]", "data.m[-1]", "o", "p"]
ARRAY = ["data.l", "data.m", "data.a.k", "q", "data.l[1:]", "list(data.m)", "sorted(data.l, key=lambda e: e.x)", "r"]
VALUE = [
    "data.n",
    "1",
    "data.b.x",
    "data.c.y",
    "o.x",
    "len(data.l)",
    "f'{data.a.x}'",
    "sum(e.x for e in data.m)",
    "p",
    "q",
]

TEMPLATES = [
    "o = {O}",
    "p = {O}",
    "q = {A}",
    "r = [{O}, {O}]",
    "r.append({O})",
    "o.x = {V}",
    "p.y = {V}",
    "{O}.x = {V}",
    "{O}.x += 1",
    "{O}['w'] = {O}",
    "{O}[data.key] = {V}",
    "data.e = {O}",
    "data.e.x = {V}",
    "data.e = {A}",
    "data.e[0].x = 9",
    "data.f = {'in': {O}}\ndata.f['in'].x = {V}",
    "{A}.append({O})",
    "{A}.append({V})",
    "q += [{O}]",
    "data.l += [{O}]",
    "for e in {A}:\n    e.x = {V}",
    "for e in {A}:\n    o = e",
    "for i, e in enumerate({A}):\n    e.i = i",
    "for e, g in zip({A}, {A}):\n    e.other = g\n    g.x = 4",
    "for k, v in {O}.items():\n    data.n = k",
    "for v in {O}.values():\n    v.append(3)",
    "r = [e for e in {A} if e.x > 3]",
    "r = {'s': {O}, 't': {O}}\nr['s'].x = 2",
    "s = {}\nfor e in {A}:\n    s.setdefault(e.x, []).append(e)\nfor t in s.values():\n    t[0].x = 1",
    "s = dict(pair=[{O}])\ns['pair'][0].x = 6",
    "min({A}, key=lambda e: e.x).best = True",
    "first, *rest = {A}\nfirst.x = 0\nrest[0].x = 0",
    "(o, p) = ({O}, {O})",
    "o = {O} if {V} else {O}",
    "o = {O} or {O}",
    "if (p := {O}).x:\n    p.found = True",
    "mark({O}, {V}).z = 5",
    "first({A}).x = 1",
    "deep(data.d.tree)",
    "bag({O}, named={O})['named'].x = 3",
    "bag(*{A}, **{'k': {O}})",
    "def inner(t):\n    t.x = {V}\n    return o\ninner({O}).x = 8",
    "pick = lambda t: t.y\npick({O}).z = 5",
    "def gen():\n    yield {O}\nfor e in gen():\n    e.x = 3",
    "{O}.update(x={V}, v={O})",
    "{O}.update({O})",
    "{O}.update([('x', {O})])",
    "{O}.setdefault('new', {O}).x = 1",
    "{O}.pop('x', None)",
    "data.d.pop(data.key)",
    "{A}.pop().x = 1",
    "{A}.sort(key=lambda e: e.x)",
    "{A}.reverse()",
    "del {O}.x",
    "del {A}[0]",
    "t = {O}\nt |= {O}",
    "data.b |= {O}",
    "{A}[0] = {O}",
    "{A}[0:1] = [{O}]",
    "node = data.d.tree\nwhile 'next' in node:\n    node = node.next\nnode.end = 1",
    "try:\n    raise ValueError({O})\nexcept ValueError as error:\n    error.args[0].x = 1",
    "match {O}:\n    case {'y': y, **rest}:\n        y.z = 0\n    case other:\n        other.x = 0",
    "setattr({O}, 'x', {V})",
    "getattr({O}, 'y').z = {V}",
    "t = copy.copy({O})\nt['y'].z = 3",
    "t = copy.deepcopy({O})\nt['y'].z = 3",
    "h = [data]\nh[0].n = {V}",
    "if 'x' in {O}:\n    data.n = 5",
    "if {A}:\n    data.n = 6",
    "data.n = {V}",
    "data.n = len({A})",
    "map_ = list(map(lambda e: e.y, {A}))\nmap_[0].z = 2",
    "t = {**{O}}\nt['y'].z = 4",
    "t = [*{A}, {O}]\nt[-1].x = 4",
    "t = {A} + {A}\nt[0].x = 4",
    "type({O})({O})['y'].z = 1",
    "s = list({A})\ns.append({O})\ns[-1].x = 1",
    "(lambda t: setattr(t, 'x', 3))({O})",
    "s = (e for e in {A})\nnext(s).x = 1",
    "s = [[{O}]]\ns[0][0].x = 1",
    "for [e, *_] in [[{O}, 1]]:\n    e.x = 5",
    "data.e = data.f = {O}\ndata.f.x = 7",
    "s = [{O}]\ndata.e = s\ns.append({O})\ndata.e[-1].x = 2",
    "s = dict(data)\ns['b'].x = {V}",
    "def make():\n    box = {'in': {O}}\n    def get():\n        return box['in']\n    return get\nmake()().x = 1",
    "s = {e.x: e for e in {A}}\ns[5].x = 1",
    "s = {'go': mark}\ns['go']({O}, {V})",
    "o.y.z += {V}",
    "data.c.k += {A}",
    "data.a.y = data.b.y\ndata.b.y.z = {V}",
]


def fill(template: str, draw: Any) -> str:
    for mark, choices in (("{O}", OBJECT), ("{A}", ARRAY), ("{V}", VALUE)):
        while mark in template:
            template = template.replace(mark, draw(st.sampled_from(choices)), 1)
    return template


@st.composite
def programs(draw: Any) -> str:
    templates = draw(st.lists(st.sampled_from(TEMPLATES), min_size=1, max_size=7))
    blocks = []
    for template in templates:
        body = textwrap.indent(fill(template, draw), "        ")
        blocks.append(f"    try:\n{body}\n    except Exception:\n        pass\n")
    begin = "    o = p = {}\n    q = r = []\n" if draw(st.booleans()) else ""
    return f"import copy\n{HELPERS}\ndef content(data):\n{begin}{''.join(blocks)}"


def load(text: str) -> Any:
    names: dict[str, Any] = {"__name__": "generated"}
    exec(compile(text, "generated.py", "exec"), names)
    return names["content"]


def plain(value: Any) -> Any:
    """A copy without aliases, as a run's data is when it is taken."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in dict.items(value)}
    return [plain(element) for element in value] if isinstance(value, list) else value


def run(content: Any, before: dict[str, Any]) -> dict[str, Any] | None:
    """The data after the run; ``None`` where it is no JSON (it holds itself)."""
    data = members(copy.deepcopy(before))
    content(data)
    try:
        after = plain(data)
    except RecursionError:
        return None
    assert isinstance(after, dict)
    return after


def differences(before: Any, after: Any, path: Path = ()) -> set[Path]:
    if isinstance(before, dict) and isinstance(after, dict):
        names = before.keys() | after.keys()
        missing = object()
        found = (differences(before.get(name, missing), after.get(name, missing), (*path, name)) for name in names)
        return set().union(*found)
    same = type(before) is type(after) and before == after
    return set() if same else {path}


def covers(paths: frozenset[Path], path: Path) -> bool:
    return any(path[: len(known)] == known for known in paths)


def judge(text: str) -> Footprint:
    return footprint(load(text), {"data": "data"}, sources=Sources({"generated.py": text}))


@settings(max_examples=250, deadline=None)
@given(programs())
def test_what_a_run_changes_is_among_the_writes(text: str) -> None:
    found = judge(text)
    after = run(load(text), start())
    if found.everything or after is None:
        return

    assert all(covers(found.writes, path) for path in differences(start(), after)), (found, after)


@settings(max_examples=250, deadline=None)
@given(
    programs(),
    st.sampled_from(["a", "b", "c", "d", "l", "m", "n", "key"]),
    st.sampled_from(["gone", "changed", "inner"]),
)
def test_what_is_not_read_has_no_influence(text: str, name: str, how: str) -> None:
    # Given a step that neither reads nor writes a member …
    found = judge(text)
    path: Path = (name, "x") if how == "inner" and name in "abcd" else (name,)
    if found.everything or any(overlaps(path, known) for known in found.reads | found.writes):
        return
    before, changed = start(), start()
    if how == "gone":
        del changed[name]
    elif len(path) == 2:
        changed[name]["x"] = "other"
    else:
        changed[name] = "other"

    # … when that member is another one, then everything else comes out the same
    one, other = run(load(text), before), run(load(text), changed)
    if one is None or other is None:
        return
    expected = differences(before, changed)
    assert differences(one, other) <= expected


IDIOMS = {
    "map get": "data.n = sum(map(data.rank.get, ['u', 'v']))",
    "sorted by get": "data.n = sorted(['u', 'v'], key=data.rank.get)",
    "sort by get": "words = ['u', 'v']\nwords.sort(key=data.rank.get)\ndata.n = words",
    "filter by get": "data.n = list(filter(data.rank.get, ['u', 'v']))",
    "map append": "list(map(data.a.k.append, [1, 2]))",
    "map pop": "list(map(data.a.pop, ['x']))",
    "map setdefault": "list(map(data.a.setdefault, ['new']))",
    "map get of the data": "for thing in map(data.get, ['a']):\n    thing.x = 9",
    "iter pop": "for _ in iter(data.a.k.pop, 1):\n    pass",
    "deque of map": "collections.deque(map(data.a.k.append, [1]), maxlen=0)",
    "map partial": "list(map(functools.partial(mark, value=9), data.l))",
    "map partial over a list": "for _ in map(functools.partial(mark, value=9), [data.a]):\n    pass",
    "map methodcaller": "list(map(operator.methodcaller('update', x=9), data.l))",
    "starmap": "list(itertools.starmap(mark, [(data.a, 9)]))",
    "groupby": "for _ in itertools.groupby(data.l, key=stamp):\n    pass",
    "takewhile": "list(itertools.takewhile(stamp, data.l))",
    "bound append": "kept = [0]\nkeep = kept.append\nkeep(data.a)\nkept[1].x = 9",
    "map bound append": "kept = []\nlist(map(kept.append, data.l))\nkept[0].x = 9",
    "send": "def wait():\n    while True:\n        thing = yield\n        thing.x = 9\n"
    "waits = wait()\nnext(waits)\nwaits.send(data.a)",
    "setitem": "more = {'e': 1}\noperator.setitem(more, 'f', 2)\ndata.update(more)",
    "defaultdict": "things = collections.defaultdict(data.a.copy)\nthings['new']['y'].z = 9",
    "object_hook": "json.loads('{\"x\": 9}', object_hook=data.a.update)",
}
"""Code that does something to the data through a function that is handed on, or that is taken from an object."""


def leaves(value: Any, path: Path = ()) -> list[Path]:
    if not isinstance(value, dict):
        return [path]
    return [leaf for name, member in value.items() for leaf in leaves(member, (*path, name))]


@pytest.mark.parametrize("body", IDIOMS.values(), ids=IDIOMS)
def test_what_is_done_through_a_function_that_is_handed_on_is_followed_or_counts_as_everything(body: str) -> None:
    # Given a step whose code reads or writes without naming it
    modules = "collections, functools, itertools, json, operator"
    text = f"import {modules}\n{HELPERS}\ndef content(data):\n{textwrap.indent(body, '    ')}\n"
    found = judge(text)
    after = run(load(text), start())
    changed = differences(start(), after)
    assert changed, "the code does nothing"

    # Then what it wrote is among the writes, and what is among neither has no influence
    if found.everything:
        return
    assert all(covers(found.writes, path) for path in changed), (found, changed)
    for path in leaves(start()):
        if any(overlaps(path, known) for known in found.reads | found.writes):
            continue
        for value in (0, 77):
            before = start()
            put(before, path, value)
            assert differences(run(load(text), before), after) <= differences(before, start()), (found, path)
