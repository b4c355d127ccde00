"""What a step's code may read and write, idiom by idiom."""

from __future__ import annotations

import textwrap
from types import FunctionType
from typing import Any

import pytest

from aloma_py.paths import format_path
from aloma_py.steps import Footprint, Libraries, Namespace, Sources, fill_parameters, footprint

HEAD = """\
import asyncio, copy, json, random, re
from collections import defaultdict
from datetime import UTC, datetime

FIELDS = ("first", "second")
RATES = {"EUR": 1.0}
KEPT = []
KEY = "status"
MAIL = re.compile("@")

def mark(order, value):
    order.marked = value
    return order.lines

def walk(node):
    node.seen = True
    for child in node.children:
        walk(child)

def keep(value):
    KEPT.append(value)

class Box:
    pass
"""


def analyse(
    code: str,
    *,
    parameters: str = "data, task, step, connectors, lib, audit, graph, mapper, file, log, user",
    libraries: Libraries | None = None,
) -> Footprint:
    """The footprint of a step with this body, behind HEAD."""
    text = f"{HEAD}\nasync def content({parameters}):\n{textwrap.indent(textwrap.dedent(code).strip(), '    ')}\n"
    names: dict[str, Any] = {"__name__": "generated"}
    exec(compile(text, "generated.py", "exec"), names)
    function = names["content"]
    assert isinstance(function, FunctionType)
    return footprint(
        function, fill_parameters(function, None), sources=Sources({"generated.py": text}), libraries=libraries
    )


def texts(paths: frozenset[Any]) -> set[str]:
    return {format_path(path) for path in paths}


@pytest.mark.parametrize(
    ("code", "reads", "writes"),
    [
        # members
        ("data.a.b = 1", "", "a.b"),
        ("data['a']['b'] = data.get('c')", "c", "a.b"),
        ("data.a.b += 1", "a.b", "a.b"),
        ("data[KEY] = 1", "", "status"),
        ("for field in FIELDS: data.form[field] = None", "", "form.first form.second"),
        ("data.form[data.field] = 1", "field", "form"),
        ("del data.a.b", "", "a.b"),
        ("data.a, data.b = 1, data.c", "c", "a b"),
        ("if data.a.get('x') is None: data.b = 1", "a.x", "b"),
        ("if 'x' in data.a: pass", "a.x", ""),
        ("data.a.items = len(data.items)", "items", "a.items"),
        ("getattr(data.a, 'b'); setattr(data.a, 'c', 1)", "a.b", "a.c"),
        ("hasattr(data, 'a')", "a", ""),
        # aliases
        ("order = data.order\norder.x = order.y", "order.y", "order.x"),
        ("order = data.a if data.flag else data.b\norder.x = 1", "flag", "a.x b.x"),
        ("if data.flag:\n    t = data.a\nelse:\n    t = data.b\nt.n += 1", "flag a.n b.n", "a.n b.n"),
        ("if (order := data.order): order.x = 1", "order", "order.x"),
        ("first, *rest = data.lines\nrest[0].ok = True", "lines", "lines"),
        ("data.a = data.b\ndata.a.x = 1", "b", "a b"),
        ("boxes = [data.a]\nboxes[0].x = 1", "", "a.x"),
        ("box = {}\nbox['k'] = data.a\nother = box\nother['k'].x = 1", "", "a.x"),
        ("rows = []\ndata.rows = rows\ndata.rows.append(data.a)\nrows[0].x = 1", "a rows", "a rows"),
        ("order = data.get('order', {})\norder['x'] = 1", "", "order.x"),
        # loops
        ("for line in data.order.lines: line.ok = True", "order.lines", "order.lines"),
        ("for n, line in enumerate(data.lines): line.n = n", "lines", "lines"),
        ("for key, value in data.prices.items(): value.seen = key", "prices", "prices"),
        ("data.total = sum(line.price * line.n for line in data.lines)", "lines", "total"),
        ("data.names = [p.name for p in data.people if p.ok]", "people", "names"),
        ("names = []\nfor p in data.people: names.append(p.name)\ndata.names = names", "people", "names"),
        ("best = max(data.lines, key=lambda line: line.score)\nbest.chosen = True", "lines", "lines"),
        (
            "groups = defaultdict(list)\nfor p in data.people: groups[p.team].append(p)\n"
            "for team in groups.values(): team[0].lead = True",
            "people",
            "people",
        ),
        ("for line in sorted(data.lines, key=lambda line: line.n)[:2]: log.info(line.n)", "lines", ""),
        ("batch = data.companies[data.at : data.at + 5]\ndata.now = len(batch)", "at companies", "now"),
        ("node = data.tree\nwhile node.next: node = node.next\nnode.end = True", "tree", "tree"),
        # methods
        ("data.a.tags.append('x')", "a.tags", "a.tags"),
        ("data.a.update(x=1, y=data.b)", "b", "a.x a.y"),
        ("data.update({'x': 1})", "", "x"),
        ("data.a.update(data.b)", "b", "a"),
        ("data.a.pop('x', None)", "a.x", "a.x"),
        ("data.setdefault('log', []).append(data.b)", "b log", "log"),
        ("data.lines.sort(key=lambda line: line.n)", "lines", "lines"),
        ("data.a |= {'x': 1}", "a", "a"),
        ("tags = data.tags\ntags += ['x']", "tags", "tags"),
        ("score = data.score\nscore += 5\ndata.level = score", "score", "level"),
        ("data.domain = data.mail.split('@')[1].lower()", "mail", "domain"),
        # what does not change its arguments
        ("data.at = datetime.now(UTC).isoformat()", "", "at"),
        ("data.text = f'{data.a} of {data.b:>4}'", "a b", "text"),
        ("data.text = json.dumps(data.a)", "a", "text"),
        ("other = copy.deepcopy(data.a)\nother.x = 1", "a", ""),
        ("data.ok = bool(MAIL.search(data.mail)) and RATES.get(data.currency, 0) > 1", "currency mail", "ok"),
        ("raise ValueError(f'no {data.a}')", "a", ""),
        ("try:\n    pass\nexcept Exception as error:\n    data.error = str(error)", "", "error"),
        # functions
        ("mark(data.order, data.v).append(1)", "order.lines v", "order.lines order.marked"),
        ("walk(data.tree)", "tree.children", "tree.children tree.seen"),
        ("def inner(x):\n    x.n = data.b\ninner(data.a)", "b", "a.n"),
        (
            "async def enrich(c): c.ok = await connectors.crm.find({'id': c.id})\n"
            "await asyncio.gather(*(enrich(c) for c in data.companies))",
            "companies",
            "companies",
        ),
        # handles
        ("log.info('x', data.a); print(data.b); audit.log('y', data.c)", "a b c", ""),
        ("data.r = await connectors.crm.find({'id': data.id})", "id", "r"),
        ("connectors.crm.find({'id': 1}, into='a.b')", "", "a.b"),
        ("connectors.crm.find({'id': 1, 'into': 'a.b.0.c'})", "", "a.b"),
        ("connectors.crm.find(id=1, into=f'people.{data.n}.crm')", "n", "people"),
        ("payload = {'id': data.id}\nawait connectors.crm.find(payload)", "id", ""),
        ("await connectors.fetch(f'http://x/{data.id}')", "id", ""),
        ("if connectors.zendesk: data.z = True", "", "z"),
        ("task.subtask('child', {'c': data.c}, into='answer')", "c", "answer"),
        ("task.subtask('child', data.c, {'into': 'answer', 'waitFor': False})", "c", "answer"),
        ("step.redo()", "", ""),
        ("data.name = task.name() + task.id", "$task.name", "name"),
        ("task.tags(['x'])", "$task.tags", "$task.tags"),
        ("task.complete_on_expire(5)", "", "$task.expires"),
        ("graph.addVertex(data.a)", "$graph a", "$graph"),
        ("data.m = mapper().map('a').to('b').execute(data.x)", "x", "m"),
        ("file.write('n', data.a)", "a", "$files"),
        ("task.visualize({'type': 'data', 'data': data.a})", "a", ""),
        # looking through a member is reading whether it is there
        ("order = data.order", "order", ""),
    ],
)
def test_finds_what_is_read_and_written(code: str, reads: str, writes: str) -> None:
    found = analyse(code)

    assert found.unknown == ()
    assert (texts(found.reads), texts(found.writes)) == (set(reads.split()), set(writes.split()))


@pytest.mark.parametrize(
    ("code", "place", "reason"),
    [
        ("task.complete()", "task.complete()", "ends the task"),
        ("done = task.ignore\ndone()", "done()", "ends the task"),
        ("task.park(100)", "task.park(100)", "parks the task"),
        ("task.timeout(5)", "task.timeout(5)", "lets the task expire"),
        ("task.subtask('c', {}, into='a', waitFor=True)", "task.subtask", "holds the task"),
        ("data[data.key] = 1", "data[data.key]", "which member of the data"),
        ("getattr(data, data.key)", "getattr(data, data.key)", "cannot be told"),
        ("data.clear()", "data.clear()", "without data"),
        ("del data.a", "data.a", "without data"),
        ("Box(data.a)", "Box(data.a)", "data is handed to Box, whose code is not followed"),
        ("KEPT.append(data.a)", "KEPT.append(data.a)", "handed to KEPT.append"),
        ("keep(data.a)", "KEPT.append(value)", "handed to KEPT.append"),
        ("box = Box()\nbox.a = data.a", "box.a", "data is kept in something"),
        ("global SEEN\nSEEN = data.a", "content", "global 'SEEN'"),
        ("eval('data.a')", "eval('data.a')", "can do anything"),
        ("random.shuffle(data.lines)", "random.shuffle(data.lines)", "can do anything"),
        ("lib.pricing.total(data.a)", "lib.pricing.total(data.a)", "not known here"),
        ("Box(task)", "Box(task)", "handed to Box"),
        ("data.a.strange()", "data.a.strange()", "no method of JSON values"),
        ("connectors.crm.find(data.query)", "connectors.crm.find(data.query)", "may have 'into'"),
        ("connectors.crm.find({'id': 1}, into=data.place)", "connectors.crm.find", "which place 'into' names"),
        ("audit.get()", "audit.get()", "audit trail"),
        ("user.conversation({'kind': 'form'})", "user.conversation", "hold the task for a person"),
        ("data.__dict__['a'] = 1", "data.__dict__", "goes around"),
        ("class Inner:\n    pass", "class Inner", "not followed"),
        ("push = data.lines.append\npush(1)", "push(1)", "something in the data is called"),
        ("f = Box()\nf(lambda: data.a).x = 1", "f(lambda: data.a)", "handed to f"),
    ],
)
def test_says_which_place_cannot_be_followed(code: str, place: str, reason: str) -> None:
    found = analyse(code)

    assert found.everything
    assert any(place in at.code and reason in at.reason for at in found.unknown), found.unknown


def test_an_unknown_place_has_the_line_of_the_file() -> None:
    found = analyse("data.a = 1\ntask.complete()")

    assert [at.line for at in found.unknown] == [HEAD.count("\n") + 4]


def test_a_library_that_is_known_is_followed(tmp_path: Any) -> None:
    # Given a library of one function
    text = "def total(order):\n    order.total = sum(line.price for line in order.lines)\n"
    names: dict[str, Any] = {"__name__": "pricing"}
    file = tmp_path / "pricing.py"
    file.write_text(text)
    exec(compile(text, str(file), "exec"), names)
    libraries = Libraries({"pricing": Namespace("pricing", {"total": names["total"]})})

    found = analyse("lib.pricing.total(data.order)", libraries=libraries)

    assert (texts(found.reads), texts(found.writes), found.unknown) == ({"order.lines"}, {"order.total"}, ())


def test_a_function_without_source_is_unknown() -> None:
    names: dict[str, Any] = {}
    exec("def content(data):\n    data.a = 1\n", names)

    found = footprint(names["content"], {"data": "data"})

    assert [at.reason for at in found.unknown] == ["the function's source cannot be found"]


def test_a_models_instance_is_apart_from_the_data() -> None:
    names: dict[str, Any] = {}
    text = "def content(paid, data):\n    paid.order.note = 'x'\n    data.note = paid.order.note\n"
    exec(compile(text, "model.py", "exec"), names)

    found = footprint(names["content"], {"paid": "model", "data": "data"}, sources=Sources({"model.py": text}))

    assert (texts(found.reads), texts(found.writes), found.unknown) == (set(), {"note"}, ())
