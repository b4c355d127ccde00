"""``graph``: vertices and edges kept in a task's data, under ``$graph``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aloma_py.errors import InputError, NotFoundError
from aloma_py.run.data import Data, to_data

MEMBER: Final = "$graph"


class Graph:
    """The graph in ``data["$graph"]``: ``{"vertices": [{id, …}], "edges": [{id, out, in, type, …}]}``.

    It is made when the first vertex is added; until then the data stays without it. What the methods give are the
    vertices and edges themselves: changing one changes the graph. Every method has its JavaScript name too
    (``addVertex``). ``data`` is a run's own (:func:`~aloma_py.run.data.to_data`).
    """

    def __init__(self, data: Data) -> None:
        self._data = data

    def get(self) -> Data:
        """The whole graph; of a task that has none, an empty one that is not kept."""
        if isinstance(dict.get(self._data, MEMBER), dict):
            return self._whole()
        return Data(vertices=[], edges=[])

    def vertices(self) -> list[Any]:
        """All vertices, in the order added."""
        return self._list("vertices")

    def edges(self) -> list[Any]:
        """All edges, in the order connected."""
        return self._list("edges")

    def add_vertex(self, vertex: Mapping[str, Any] | None = None, /, **members: Any) -> Any:
        """Add a vertex with these members and give it; without an ``id`` it gets one (``v1``, ``v2`` …).

        Where there is a vertex of that id, it takes on the members: a step that runs again makes no second one.
        """
        made = _members("a vertex", vertex, members)
        identity = _id(made)
        if identity is None:
            made = Data({**made, "id": self._new_id("v", "vertices")})
        else:
            present = self.get_vertex(identity)
            if present is not None:
                dict.update(present, made)
                return present
        self._whole()["vertices"].append(made)
        return made

    def get_vertex(self, identity: Any) -> Any:
        """The vertex of that id, or ``None``."""
        return _find(self.vertices(), _id(identity))

    def connect(self, edge: Mapping[str, Any] | None = None, /, **members: Any) -> Any:
        """Connect two vertices and give the edge: ``connect({"out": a, "in": b, "type": "owns"})``.

        ``out`` and ``in`` are vertices or their ids; as keywords ``connect(out=a, in_=b, type="owns")``. Further
        members are kept; without an ``id`` it gets one (``e1``, ``e2`` …). Raises ``InputError`` where ``out``, ``in``
        or a new ``id`` is missing or taken, ``NotFoundError`` for a vertex that is not in the graph.
        """
        if "in_" in members:
            members["in"] = members.pop("in_")
        made = _members("an edge", edge, members)
        for end in ("out", "in"):
            if dict.get(made, end) is None:
                raise InputError(f"connect() needs {end!r}: a vertex or its id, as in {{'out': a, 'in': b}}")
            made[end] = self._known(made[end])
        if _id(made) is None:
            made["id"] = self._new_id("e", "edges")
        elif _find(self.edges(), made["id"]) is not None:
            raise InputError(f"there is an edge {made['id']!r} already")
        self._whole()["edges"].append(made)
        return made

    def remove_vertex(self, vertex: Any) -> None:
        """Remove a vertex, given it or its id, with its edges. ``NotFoundError`` where there is none."""
        identity = self._known(vertex)
        graph = self._whole()
        graph["vertices"] = [present for present in graph["vertices"] if _id(present) != identity]
        graph["edges"] = [edge for edge in graph["edges"] if identity not in (edge["out"], edge["in"])]

    def remove_edge(self, edge: Any) -> None:
        """Remove an edge, given it or its id. ``NotFoundError`` where there is none."""
        identity = _id(edge)
        edges = self.edges()
        if _find(edges, identity) is None:
            raise NotFoundError("edge", str(identity), _ids(edges))
        self._whole()["edges"] = [present for present in edges if _id(present) != identity]

    addVertex = add_vertex
    getVertex = get_vertex
    removeVertex = remove_vertex
    removeEdge = remove_edge

    def _whole(self) -> Data:
        """The graph in the data, made or completed where parts are missing."""
        if not isinstance(dict.get(self._data, MEMBER), dict):
            self._data[MEMBER] = Data()
        graph: Data = self._data[MEMBER]
        for name in ("vertices", "edges"):
            if not isinstance(dict.get(graph, name), list):
                graph[name] = []
        return graph

    def _list(self, name: str) -> list[Any]:
        found = self.get()[name]
        return [element for element in found if isinstance(element, dict)]

    def _known(self, vertex: Any) -> Any:
        identity = _id(vertex)
        if self.get_vertex(identity) is None:
            raise NotFoundError("vertex", str(identity), _ids(self.vertices()))
        return identity

    def _new_id(self, letter: str, name: str) -> str:
        """Counted, not random, so that a run that is started again gives the same ids."""
        taken = {_id(element) for element in self._list(name)}
        number = len(taken) + 1
        while f"{letter}{number}" in taken:
            number += 1
        return f"{letter}{number}"


def _members(what: str, given: Mapping[str, Any] | None, named: Mapping[str, Any]) -> Data:
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"{what} is an object such as {{'type': 'person'}}, not {given!r}")
    made: Data = to_data({**(given or {}), **named})
    return made


def _id(element: Any) -> Any:
    return dict.get(element, "id") if isinstance(element, dict) else element


def _find(elements: list[Any], identity: Any) -> Any:
    return next((element for element in elements if _id(element) == identity), None)


def _ids(elements: list[Any]) -> list[str]:
    return [str(_id(element)) for element in elements]
