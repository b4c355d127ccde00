"""The data as step code sees it: a dict whose members are attributes too.

:func:`to_data` makes a run's own copy of a task's data; :func:`aloma_py.run.plain.plain` turns it back.

::

    data.order.status                  # data["order"]["status"]
    data.order.status = "paid"
    del data.order.tmp
    data["$via"].name                  # members whose names are no Python names
    for item in data.order.items: …    # a member comes before the dict's method of that name

Members named like a method of dict (``items``, ``keys``, ``values``, ``get`` …): the attribute is the member where
there is one, else the method. Since ``data.order.items()`` and ``json.dumps(data.order)`` call what they find under
that name, such a member is handed out as a list, object, text or number that can also be called as the method it
hides. Booleans and ``None`` cannot: calling them fails, and so does ``json.dumps`` of an object with ``items: null``.
``dict(data)``, ``data[…]``, ``in``, ``len``, ``for`` and this package's own code work in every case.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final, SupportsIndex

from aloma_py.errors import suggest
from aloma_py.models import Json

HIDING_NAMES: Final = frozenset(
    {"clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"}
)
"""The names of dict's methods: a member of such a name hides the method."""


class MissingMember(AttributeError):
    """``data.name`` where there is no such member; the text names the nearest there is."""

    def __init__(self, name: str, owner: dict[str, Any]) -> None:
        super().__init__(name)
        self._known = [known for known in owner if isinstance(known, str)]

    def __str__(self) -> str:  # made on demand: hasattr() and getattr(…, default) never ask for it
        name = self.args[0]
        return (
            f"the data has no member {name!r} here{suggest(name, self._known)}; "
            f"where it may be missing, .get({name!r}) gives None"
        )


class Data(dict[str, Any]):
    """A JSON object with its members as attributes.

    A plain dict (or a list that holds some) that was put in becomes a ``Data`` when it is first read, as an attribute
    or by ``[…]``, ``get`` and the like. The ``Data`` is a copy that takes its place; a list stays the same list. So::

        extra = {"n": 1}
        data.extra = extra
        data.extra.n = 2               # from here on data.extra is another object than extra

    Attributes that begin with two underscores are never members: use ``data["__name"]``. Raises
    :class:`MissingMember`, an ``AttributeError``, for a member that is not there.
    """

    __slots__ = ("__weakref__",)

    def __getattr__(self, name: str) -> Any:
        if name[:2] == "__":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        try:
            value = dict.__getitem__(self, name)
        except KeyError:
            raise MissingMember(name, self) from None
        return value if type(value) in _SHARED else self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name[:2] == "__":
            raise AttributeError(f"an attribute cannot be called {name!r}: write data[{name!r}] for such a member")
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise MissingMember(name, self) from None

    def __getitem__(self, name: str) -> Any:
        value = dict.__getitem__(self, name)
        kind = type(value)
        if kind in _ALTERABLE:
            if kind is dict:
                value = Data(value)
                dict.__setitem__(self, name, value)
            else:
                _adopt(value)
        if name in HIDING_NAMES:
            return _callable_member(self, name, value)
        return value

    def __or__(self, other: Any) -> Any:
        return _union(self, other)

    def __ror__(self, other: Any) -> Any:
        return _union(other, self)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in self if isinstance(name, str))})

    def __copy__(self) -> Data:
        return Data(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Data:
        made = memo[id(self)] = Data()
        for name, value in dict.items(self):
            dict.__setitem__(made, name, copy.deepcopy(value, memo))
        return made

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return Data, (dict(self),)


def to_data(value: Json) -> Any:
    """A deep copy of a JSON value in which every object is a :class:`Data`: a run's own copy of the task's data.

    Texts and numbers are shared, objects and arrays never. ``value`` may hold ``Data`` itself.
    """
    if isinstance(value, dict):
        made = Data(
            {name: member if type(member) in _SHARED else to_data(member) for name, member in dict.items(value)}
        )
        if not HIDING_NAMES.isdisjoint(made):
            for name in HIDING_NAMES.intersection(made):
                _callable_member(made, name, dict.__getitem__(made, name))
        return made
    if isinstance(value, list):
        return [element if type(element) in _SHARED else to_data(element) for element in value]
    return value


_SHARED: Final = frozenset({str, int, float, bool, type(None)})


def _adopt(array: list[Any]) -> None:
    """Make the plain dicts in a list ``Data``, in place."""
    kinds = set(map(type, array))
    if not kinds.isdisjoint(_ALTERABLE):
        for index, element in enumerate(array):
            if type(element) is dict:
                array[index] = Data(element)
            elif type(element) is list:
                _adopt(element)


def _union(left: Any, right: Any) -> Any:
    if not isinstance(left, dict) or not isinstance(right, dict):
        return NotImplemented
    made = Data(left)
    dict.update(made, right)
    return made


# --- the methods, and members that hide them ---------------------------------------------------------------------


def _get(self: Data, name: str, default: Any = None) -> Any:
    if name not in self:
        return default
    return self[name]


def _setdefault(self: Data, name: str, default: Any = None) -> Any:
    if name not in self:
        self[name] = default
    return self[name]


def _pop(self: Data, name: str, *default: Any) -> Any:
    if name in self:
        self[name]
    return dict.pop(self, name, *default)


def _read_all(self: Data) -> None:
    for name in self:
        if type(dict.__getitem__(self, name)) in _ALTERABLE:
            self[name]


def _items(self: Data) -> Any:
    _read_all(self)
    return dict.items(self)


def _values(self: Data) -> Any:
    _read_all(self)
    return dict.values(self)


def _fromkeys(_self: Data, names: Iterable[str], value: Any = None) -> Data:
    return Data(dict.fromkeys(names, value))


# What differs from dict's: plain dicts that were put in come out as Data, so that all readers share one object.
_METHODS: Final[dict[str, Any]] = {
    **{name: getattr(dict, name) for name in HIDING_NAMES},
    "copy": Data.__copy__,
    "fromkeys": _fromkeys,
    "get": _get,
    "items": _items,
    "pop": _pop,
    "setdefault": _setdefault,
    "values": _values,
}


def _attribute(name: str) -> property:
    """The attribute of one such name: the member where there is one, else the method bound to the object."""
    method = _METHODS[name]

    def read(self: Data) -> Any:
        return self[name] if name in self else method.__get__(self)

    return property(read, doc=f"The member {name!r}; where there is none, the method as dict has it.")


for _name in HIDING_NAMES:
    setattr(Data, _name, _attribute(_name))


class _Hiding:
    """A member that can be called as the method of dict that it hides.

    The object it is a member of is held weakly: a circle would keep each run's copy of the data in memory until the
    garbage collector comes by.
    """

    __slots__ = ()
    __hidden__: tuple[weakref.ref[Data], str]
    _plain: ClassVar[Callable[[Any], Any]]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        reference, name = self.__hidden__
        owner = reference()
        if owner is None:
            raise TypeError(f"the object that this {name!r} was a member of is gone, so it cannot be called any more")
        return _METHODS[name](owner, *arguments, **named)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        kind = type(self)._plain
        return kind, (kind(self),)


class MemberList(_Hiding, list[Any]):
    """A list that is a member called ``items``, ``keys``, … and can be called as that method."""

    __slots__ = ("__hidden__",)
    _plain = list


class MemberData(_Hiding, Data):
    """An object that is a member called ``items``, ``keys``, … and can be called as that method."""

    __slots__ = ("__hidden__",)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return Data.__reduce_ex__(self, protocol)


class _MemberText(_Hiding, str):
    _plain = str


class _MemberInt(_Hiding, int):
    _plain = int


class _MemberFloat(_Hiding, float):
    _plain = float


_ALTERABLE: Final = frozenset({dict, list, MemberList})
_CALLABLE: Final[dict[type, type]] = {
    list: MemberList,
    MemberList: MemberList,
    Data: MemberData,
    MemberData: MemberData,
    str: _MemberText,
    int: _MemberInt,
    float: _MemberFloat,
}


def _callable_member(owner: Data, name: str, value: Any) -> Any:
    """``value``, a member of ``owner``, such that calling it calls the method it hides; as it is where none can.

    Lists and objects are put in their place, so that every reader has the same one; texts and numbers are made anew.
    A list that is a member of another object under such a name is copied: it can hide one object's method only.
    """
    kind = _CALLABLE.get(type(value))
    if kind is None:
        return value
    if isinstance(value, _Hiding):
        reference, hidden = value.__hidden__
        if hidden == name and reference() is owner:
            return value
    made = kind(value)
    object.__setattr__(made, "__hidden__", (weakref.ref(owner), name))
    if isinstance(made, (list, dict)):
        dict.__setitem__(owner, name, made)
    return made
