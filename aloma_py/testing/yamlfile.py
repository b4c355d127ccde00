"""Reading YAML as JSON values that know the lines they came from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from aloma_py import paths
from aloma_py.errors import LoadError, suggest
from aloma_py.models import Json

_TAG: Final = "tag:yaml.org,2002:"
_NUMBERS: Final = {"int": int, "float": float, "bool": bool}
_TEXTS: Final = frozenset({"str", "timestamp"})  # a date is text: JSON has no other
_MAX_VALUES: Final = 200_000  # what aliases of aliases may unfold to


@dataclass(frozen=True, slots=True)
class Item:
    """A value of a file, and where it stands: what errors about it need. ``path`` leads to it from the top."""

    value: Json
    file: str
    path: paths.Path
    lines: dict[paths.Path, int] = field(repr=False)

    @property
    def line(self) -> int | None:
        """The line it begins at, counted from 1; that of what it is inside of where it is not known itself."""
        path = self.path
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    @property
    def where(self) -> str:
        """Its place in words: ``scenarios.0.expect``; empty for the whole file."""
        return paths.format_path(self.path)

    def error(self, reason: str) -> LoadError:
        """An error about this value: file, line, place, reason."""
        return LoadError(f"{self.where}: {reason}" if self.path else reason, file=self.file, line=self.line)

    def __getitem__(self, part: str | int) -> Item:
        return Item(paths.get(self.value, (part,)), self.file, (*self.path, part), self.lines)

    def get(self, key: str) -> Item | None:
        """The member ``key``, if it is there."""
        return self[key] if isinstance(self.value, dict) and key in self.value else None

    # ── what shape it must have ─────────────────────────────────────────────────────────────────────────────────

    def mapping(self, known: Iterable[str] | None = None, required: Iterable[str] = ()) -> dict[str, Item]:
        """Its members; :class:`LoadError` where it is no mapping, has a key that is not known, or lacks one."""
        if not isinstance(self.value, dict):
            raise self.error(f"a mapping was expected, not {_kind(self.value)}")
        names = None if known is None else list(known)
        for key in self.value:
            if names is not None and key not in names:
                raise self[key].error_of_key(f"there is no key {key!r} here{suggest(key, names)}", self)
        for key in required:
            if key not in self.value:
                raise self.error(f"the key {key!r} is missing")
        return {key: self[key] for key in self.value}

    def error_of_key(self, reason: str, inside: Item) -> LoadError:
        """An error about this member's name: the place is that of the mapping, the line the member's."""
        return LoadError(f"{inside.where}: {reason}" if inside.path else reason, file=self.file, line=self.line)

    def items(self) -> Iterator[Item]:
        """Its elements; :class:`LoadError` where it is no list."""
        if not isinstance(self.value, list):
            raise self.error(f"a list was expected, not {_kind(self.value)}")
        return (self[n] for n in range(len(self.value)))

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value:
            raise self.error(f"a text was expected, not {_kind(self.value)}")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """Its texts: a list of them, or a single one."""
        return (self.text(),) if isinstance(self.value, str) else tuple(item.text() for item in self.items())

    def count(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 0:
            raise self.error(f"a whole number of at least 0 was expected, not {_kind(self.value)}")
        return self.value

    def choice(self, options: Iterable[str]) -> str:
        """One of ``options``."""
        names = list(options)
        if self.value not in names:
            shown = repr(self.value) if isinstance(self.value, str) else _kind(self.value)
            raise self.error(f"{shown} is none of {', '.join(names)}{_near(self.value, names)}")
        return str(self.value)


def _near(value: Json, names: list[str]) -> str:
    found = suggest(value, names) if isinstance(value, str) else ""
    return found if "did you mean" in found else ""


def _kind(value: Any) -> str:
    if value is paths.MISSING or value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {value!r}" if value else "an empty text"
    return "a mapping" if isinstance(value, dict) else "a list"


def item_of(value: Json, name: str) -> Item:
    """A value that was not read from a file (a Python test's rules); ``name`` stands for the file in errors."""
    return Item(value, name, (), {})


def read_yaml(file: Path, name: str | None = None) -> Item:
    """The YAML (or JSON) document in ``file``; ``name`` is how errors call it.

    Raises :class:`~aloma_py.errors.LoadError` where the file cannot be read, is no YAML, names a key twice, or holds
    what JSON has not (other than dates, which are read as text).
    """
    name = name or str(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LoadError(f"the file cannot be read: {error.strerror}", file=name) from None
    except UnicodeDecodeError:
        raise LoadError("the file is not UTF-8 text", file=name) from None
    try:
        reader = YAML(typ="safe", pure=True)
        node = reader.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise LoadError(
            f"this is no YAML: {(error.problem or error.context or 'it cannot be read').splitlines()[0]}",
            file=name,
            line=mark.line + 1 if mark else None,
        ) from None
    except (YAMLError, RecursionError) as error:
        raise LoadError(
            f"this is no YAML: {(str(error) or 'it is nested too deep').splitlines()[0]}", file=name
        ) from None
    if node is None:
        raise LoadError("the file is empty", file=name)
    build = _Builder(reader, name)
    value = build.value(node, (), ())
    return Item(value, name, (), build.lines)


class _Builder:
    """Makes JSON of YAML's nodes, and keeps the lines."""

    def __init__(self, reader: Any, name: str) -> None:
        self._scalar = reader.constructor.construct_object
        self._name = name
        self._count = 0
        self.lines: dict[paths.Path, int] = {}

    def value(self, node: Node, path: paths.Path, above: tuple[int, ...]) -> Json:
        self.lines.setdefault(path, node.start_mark.line + 1)
        self._count += 1
        if id(node) in above:
            raise self._error(node, path, "this alias contains itself")
        if self._count > _MAX_VALUES:
            raise self._error(node, path, f"its aliases unfold to more than {_MAX_VALUES:,} values")
        inside = (*above, id(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, path, inside)
        if isinstance(node, SequenceNode):
            return [self.value(child, (*path, n), inside) for n, child in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        return self._atom(node, path)

    def _mapping(self, node: MappingNode, path: paths.Path, inside: tuple[int, ...]) -> Json:
        made: dict[str, Json] = {}
        merged: dict[str, Json] = {}
        for key, child in node.value:
            if key.tag == f"{_TAG}merge":
                for part in child.value if isinstance(child, SequenceNode) else [child]:
                    found = self.value(part, path, inside)
                    merged = {**(found if isinstance(found, dict) else {}), **merged}
                continue
            name = self._key(key, path)
            if name in made:
                raise self._error(
                    key, path, f"the key {name!r} is there twice, first at line {self.lines[*path, name]}"
                )
            self.lines[*path, name] = key.start_mark.line + 1
            made[name] = self.value(child, (*path, name), inside)
        return {**merged, **made} if merged else made

    def _key(self, node: Node, path: paths.Path) -> str:
        if not isinstance(node, ScalarNode) or node.tag == f"{_TAG}null":
            raise self._error(node, path, "a key must be text")
        return str(node.value)

    def _atom(self, node: ScalarNode, path: paths.Path) -> Json:
        kind = str(node.tag).removeprefix(_TAG)
        if kind in _TEXTS:
            return str(node.value)
        if kind == "null":
            return None
        if kind not in _NUMBERS:
            raise self._error(node, path, f"YAML's {node.tag} is no JSON value")
        try:
            value = _NUMBERS[kind](self._scalar(node))
        except (ValueError, YAMLError):
            raise self._error(node, path, f"{node.value!r} cannot be read; put it in quotes if it is text") from None
        if isinstance(value, float) and not isfinite(value):
            raise self._error(node, path, f"JSON has no number {node.value}")
        return value

    def _error(self, node: Node, path: paths.Path, reason: str) -> LoadError:
        place = paths.format_path(path)
        return LoadError(f"{place}: {reason}" if place else reason, file=self._name, line=node.start_mark.line + 1)
