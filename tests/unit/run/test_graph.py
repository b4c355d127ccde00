"""The graph in a task's data."""

import pytest

from aloma_py.errors import InputError, NotFoundError
from aloma_py.run.data import to_data
from aloma_py.run.graph import Graph
from aloma_py.run.plain import plain


@pytest.fixture
def data():
    return to_data({})


def test_vertices_and_edges_are_kept_in_the_data(data):
    graph = Graph(data)
    ada = graph.add_vertex({"type": "person", "name": "Ada"})
    firm = graph.addVertex(type="firm", id="acme")
    edge = graph.connect({"out": ada, "in": "acme", "type": "works at"})
    assert edge.type == "works at"
    assert plain(data) == {
        "$graph": {
            "vertices": [{"id": "v1", "type": "person", "name": "Ada"}, {"type": "firm", "id": "acme"}],
            "edges": [{"out": "v1", "in": "acme", "type": "works at", "id": "e1"}],
        }
    }
    firm.name = "Acme"
    assert graph.get_vertex("acme").name == "Acme"
    assert graph.getVertex(firm) is firm
    assert graph.get_vertex("gone") is None
    assert [vertex.id for vertex in graph.vertices()] == ["v1", "acme"]
    assert [found.id for found in graph.edges()] == ["e1"]
    assert graph.get() is data["$graph"]


def test_a_task_without_graph_is_not_changed_by_looking(data):
    graph = Graph(data)
    assert graph.get() == {"vertices": [], "edges": []}
    assert graph.vertices() == graph.edges() == []
    assert data == {}


def test_a_graph_that_is_there_or_in_part_is_gone_on_with():
    graph = Graph(to_data({"$graph": {"vertices": [{"id": "v1"}, {"id": "v2"}]}}))
    graph.remove_vertex("v1")
    assert graph.add_vertex().id == "v3"
    edge = graph.connect(out="v2", in_="v2", type="self", weight=2)
    assert edge == {"id": "e1", "out": "v2", "in": "v2", "type": "self", "weight": 2}


def test_a_vertex_added_again_takes_on_the_members(data):
    graph = Graph(data)
    graph.add_vertex(id="a", n=1)
    again = graph.add_vertex({"id": "a", "m": 2})
    assert graph.vertices() == [{"id": "a", "n": 1, "m": 2}] == [again]


def test_removing_a_vertex_removes_its_edges(data):
    graph = Graph(data)
    a, b, c = (graph.add_vertex(id=name) for name in "abc")
    graph.connect(out=a, in_=b, type="t")
    kept = graph.connect(out=b, in_=c, type="t")
    graph.connect(out=c, in_=a, type="t")
    graph.removeVertex(a)
    assert graph.edges() == [kept]
    graph.removeEdge(kept)
    assert graph.edges() == []
    assert graph.vertices() == [{"id": "b"}, {"id": "c"}]


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda g: g.connect(out="alice", in_="bob"), NotFoundError, "there is no vertex 'bob'; there are: alice"),
        (
            lambda g: g.connect(out="alcie", in_="alice"),
            NotFoundError,
            "there is no vertex 'alcie'; did you mean 'alice'?",
        ),
        (
            lambda g: g.connect(out="alice"),
            InputError,
            "connect() needs 'in': a vertex or its id, as in {'out': a, 'in': b}",
        ),
        (lambda g: g.connect(out="alice", in_="alice", id="self"), InputError, "there is an edge 'self' already"),
        (lambda g: g.remove_vertex("bob"), NotFoundError, "there is no vertex 'bob'; there are: alice"),
        (lambda g: g.remove_edge("x"), NotFoundError, "there is no edge 'x'; there are: self"),
        (lambda g: g.add_vertex("bob"), InputError, "a vertex is an object such as {'type': 'person'}, not 'bob'"),
    ],
)
def test_misuse_is_told_and_changes_nothing(data, use, error, message):
    graph = Graph(data)
    graph.add_vertex(id="alice")
    graph.connect(out="alice", in_="alice", id="self")
    before = plain(data)
    with pytest.raises(error) as raised:
        use(graph)
    assert str(raised.value) == message
    assert plain(data) == before
