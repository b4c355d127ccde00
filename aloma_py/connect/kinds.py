"""Kinds of connectors: what a plugin offers, and what a workspace makes connectors of by configuration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, get_args

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from aloma_py.connect.connector import Connector
from aloma_py.connect.naming import kind_names
from aloma_py.errors import InputError, suggest
from aloma_py.models import Json

Config = Mapping[str, Json]
"""A configuration as it is given and kept: JSON, by the names of the kind's fields."""


class ConnectorKind(Protocol):
    """A kind of connectors, offered with the hook ``register_connector_kinds``.

    ``name`` is what people write (``slack.com``, ``E-Mail (SMTP)``), ``description`` one sentence about it. ``config``
    is the pydantic model of its configuration: fields of the type ``SecretStr`` are secrets, and what a field is for
    stands in its ``description``. ``make`` does no input or output; it may raise where the configuration cannot be
    used. A connector that holds something open has ``async aclose()``. A kind that can say whether a connector works
    has ``async check(connector)``: it gives a sentence about what it found, or ``None``, and raises where it does not.
    """

    name: str
    description: str
    config: type[BaseModel]

    def make(self, namespace: str, config: Any) -> Connector:
        """The connector ``connectors.<namespace>``; ``config`` is an instance of the model."""


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a configuration. ``type`` is a word for people."""

    name: str
    type: str
    required: bool
    secret: bool
    description: str
    default: Json = None


class Kinds:
    """The kinds that there are, by name."""

    def __init__(self, kinds: Iterable[ConnectorKind] = ()) -> None:
        self._by_name: dict[str, ConnectorKind] = {}
        for kind in kinds:
            self.add(kind)

    def add(self, kind: ConnectorKind) -> None:
        """Add a kind. Raises :class:`~aloma_py.errors.InputError` for what is none, or has the name of another."""
        name, model = getattr(kind, "name", None), getattr(kind, "config", None)
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{kind!r} is no kind of connectors: it has no name")
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise InputError(f"the kind {name!r}: config must be a class made from pydantic.BaseModel, not {model!r}")
        if not callable(getattr(kind, "make", None)):
            raise InputError(f"the kind {name!r} has no method make(namespace, config)")
        if name in self._by_name:
            raise InputError(f"there is a kind {name!r} already")
        fields_of(kind)
        self._by_name[name] = kind

    def __iter__(self) -> Iterator[ConnectorKind]:
        return iter(sorted(self._by_name.values(), key=lambda kind: kind.name.lower()))

    def find(self, name: str) -> ConnectorKind | None:
        """The kind of that name; ``(private)``, or a namespace in parentheses, may stand behind it."""
        return next((self._by_name[one] for one in kind_names(name) if one in self._by_name), None)

    def get(self, name: str) -> ConnectorKind:
        """The same, or an :class:`~aloma_py.errors.InputError` that says which there are."""
        found = self.find(name)
        if found is None:
            there = ", ".join(kind.name for kind in self) or "none"
            near = suggest(name, self._by_name)
            near = near if near.startswith("; did you mean") else ""
            raise InputError(f"no installed plugin offers a connector {name!r}{near}; there are: {there}")
        return found


def not_offered(namespace: str, kind: str) -> str:
    """What is said of a connector whose kind is not there."""
    return f"the connector {namespace!r} is of the kind {kind!r}, which no installed plugin offers"


# ── configurations ──────────────────────────────────────────────────────────────────────────────────────────────────


def fields_of(kind: ConnectorKind) -> list[Field]:
    """The members that a configuration of this kind has, in order."""
    return [_field(name, info) for name, info in kind.config.model_fields.items()]


def secret_names(kind: ConnectorKind) -> frozenset[str]:
    """The members of a configuration that are secrets."""
    return frozenset(field.name for field in fields_of(kind) if field.secret)


def in_order(kind: ConnectorKind, config: Config) -> dict[str, Json]:
    """The configuration with each member under the name that the kind shows.

    Raises :class:`~aloma_py.errors.InputError` for a member that the kind does not have, or that is there twice.
    """
    shown = {name: _shown_name(name, info) for name, info in kind.config.model_fields.items()}
    takes_more = kind.config.model_config.get("extra") == "allow"
    found: dict[str, Json] = {}
    for given, value in config.items():
        name = shown.get(given, given)
        if name not in shown.values() and not takes_more:
            raise InputError(f"{kind.name}: there is no field {given!r}{suggest(given, shown.values())}")
        if name in found:
            raise InputError(f"{kind.name}: the field {name!r} is given twice")
        found[name] = value
    return found


def read_config(kind: ConnectorKind, config: Config, but: Iterable[str] = ()) -> BaseModel | None:
    """The configuration as the kind's model. Raises :class:`~aloma_py.errors.InputError` that names the field.

    ``but`` are members whose values are not known yet: what is wrong with them is not looked at, and where there are
    some the answer is ``None``. What is said has no value of the configuration in it.
    """
    unknown = frozenset(but)
    try:
        read = kind.config.model_validate(dict(config))
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False, include_context=False):
            place = ".".join(map(str, one["loc"]))
            first = str(one["loc"][0]) if one["loc"] else ""
            if unknown and (not first or first in unknown):
                continue
            if one["type"] == "missing":
                raise InputError(f"{kind.name}: the field {place!r} is missing") from None
            where = f"the field {place!r}: " if place else ""
            raise InputError(f"{kind.name}: {where}{one['msg'].removeprefix('Value error, ')}") from None
        return None
    return None if unknown else read


def shown_config(kind: ConnectorKind | None, config: Config) -> tuple[dict[str, Json], list[str]]:
    """``(members that may be shown, names of the secret ones)``; of an unknown kind all are taken for secrets.

    A secret that only names one of the workspace's (``${TOKEN}``) is shown: it gives nothing away.
    """
    hidden = secret_names(kind) if kind is not None else frozenset(config)
    shown = {name: value for name, value in config.items() if name not in hidden or is_reference(value)}
    return shown, sorted(name for name in config if name not in shown)


def is_reference(value: Json) -> bool:
    """Whether a text is nothing but a reference: ``${NAME}``."""
    return isinstance(value, str) and value.startswith("${") and value.endswith("}") and "}" not in value[:-1]


def texts_in(value: Json) -> Iterator[str]:
    """Every text and number in a JSON value, but not the names of members."""
    if isinstance(value, dict):
        for member in value.values():
            yield from texts_in(member)
    elif isinstance(value, (list, tuple)):
        for member in value:
            yield from texts_in(member)
    elif isinstance(value, str) or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        yield str(value)


# ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

_WORDS: Final = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "dict": "object",
                 "Mapping": "object", "list": "list", "tuple": "list", "Sequence": "list", "SecretStr": "text",
                 "SecretBytes": "text"}  # fmt: skip


def _field(name: str, info: FieldInfo) -> Field:
    default = None if info.is_required() or info.default_factory is not None else info.default
    shown: Json = default if isinstance(default, (str, int, float, bool)) else None
    about = info.description or ""
    return Field(_shown_name(name, info), _word(info.annotation), info.is_required(), _is_secret(info.annotation),
                 about, shown)  # fmt: skip


def _shown_name(name: str, info: FieldInfo) -> str:
    return info.validation_alias if isinstance(info.validation_alias, str) else info.alias or name


def _is_secret(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, (SecretStr, SecretBytes)):
        return True
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return any(_is_secret(info.annotation) for info in hint.model_fields.values())
    return any(_is_secret(part) for part in get_args(hint))


def _word(hint: Any) -> str:
    """A type in a word or two."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    origin = getattr(hint, "__origin__", None)
    name = getattr(origin, "__name__", None) or getattr(hint, "__name__", "")
    if name == "Literal":
        return "one of " + ", ".join(map(str, parts))
    if name == "Annotated":
        return _word(parts[0])
    if name in _WORDS:
        return _WORDS[name]
    if parts:  # X | None, X | Y
        return " or ".join(dict.fromkeys(_word(part) for part in parts))
    return "object" if isinstance(hint, type) and issubclass(hint, BaseModel) else "text"


__all__ = ["Config", "ConnectorKind", "Field", "Kinds", "fields_of", "in_order", "is_reference", "not_offered",
           "read_config", "secret_names", "shown_config", "texts_in"]  # fmt: skip
