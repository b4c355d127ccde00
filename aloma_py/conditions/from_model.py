"""pydantic models as conditions: what they look at, what can be known without asking pydantic, and the verdict.

The verdict is always pydantic's, in strict mode. What is derived from the model (types, literals, nested models) is
necessary but not sufficient: it serves the index, and says no to most data before pydantic is called. It is read from
the model's core schema, where validators that change values before they are checked can be seen; whatever is not
understood there derives nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

from pydantic import BaseModel

from aloma_py import jsontext
from aloma_py.conditions.pattern import (
    AllOf,
    Kind,
    KindName,
    Members,
    Model,
    ModelField,
    OneOf,
    Pattern,
    Value,
)
from aloma_py.errors import ConditionError
from aloma_py.models import Json
from aloma_py.paths import Path, format_path

Schema = dict[str, Any]

_KINDS: Final[dict[str, KindName]] = {
    "str": "string", "float": "number", "int": "integer", "bool": "boolean", "list": "array", "dict": "object",
}  # fmt: skip
_SAME_IN_PYTHON: Final = frozenset({
    "model", "model-fields", "model-field", "definitions", "definition-ref", "default", "nullable", "union", "any",
    "none", "str", "float", "int", "bool", "list", "dict", "literal",
})  # fmt: skip
"""Schemas that take the same values in strict mode whether they come as JSON text or as Python objects."""


def model_pattern(model: type[BaseModel], path: Path = ()) -> Model:
    """The pattern of a model class; :class:`~aloma_py.errors.ConditionError` where its types are not complete."""
    if not model.__pydantic_complete__:
        try:
            model.model_rebuild()
        except Exception as error:
            raise ConditionError(
                f"the model {model.__name__} cannot be used: {error}", path=format_path(path)
            ) from None
    root = _Schemas(model.__pydantic_core_schema__)  # type: ignore[arg-type]
    fields = tuple(_required(model, ())) or (ModelField((), f"a valid {model.__name__}"),)
    return Model(model, _checker(model, root), root.necessary(root.top), fields, frozenset(root.reads(root.top)))


class _Schemas:
    """A model's core schema with its definitions at hand."""

    def __init__(self, schema: Schema) -> None:
        self.top = schema
        self.named: dict[str, Schema] = {}
        if schema["type"] == "definitions":
            self.top = schema["schema"]
            self.named = {one["ref"]: one for one in schema["definitions"]}

    def followed(self, schema: Schema) -> Schema:
        """The schema itself, where this one only refers to it."""
        while schema["type"] == "definition-ref":
            schema = self.named.get(schema["schema_ref"], {"type": "unknown"})
        return schema

    def fields(self, schema: Schema) -> dict[str, Schema] | None:
        """The fields of a plain model; ``None`` for anything else."""
        schema = self.followed(schema)
        if schema["type"] != "model" or schema.get("root_model") or schema.get("custom_init"):
            return None
        inner = schema["schema"]
        return inner["fields"] if inner["type"] == "model-fields" else None

    def necessary(self, schema: Schema, seen: tuple[str, ...] = ()) -> Pattern:
        """A pattern that every valid value matches; an ``AllOf`` of nothing where nothing is known."""
        schema = self.followed(schema)
        fields = self.fields(schema)
        if fields is not None:
            ref = str(schema.get("ref", ""))
            if ref in seen:
                return Kind("object")
            by_name = _by_name(schema)
            items = tuple(
                (key, self.necessary(field["schema"], (*seen, ref)))
                for name, field in fields.items()
                if field["schema"]["type"] != "default" and (key := _one_key(name, field, by_name)) is not None
            )
            return Members(items)
        if schema["type"] == "literal" and all(isinstance(one, str) for one in schema["expected"]):
            return OneOf(tuple(Value(str(one)) for one in schema["expected"]))
        if schema["type"] in _KINDS and "strict" not in schema and not schema.get("coerce_numbers_to_str"):
            return Kind(_KINDS[schema["type"]])
        return AllOf(())

    def reads(self, schema: Schema, prefix: Path = (), seen: tuple[str, ...] = ()) -> Iterator[Path]:
        """What a schema looks at, as paths below ``prefix``."""
        schema = self.followed(schema)
        fields = self.fields(schema)
        ref = str(schema.get("ref", ""))
        extra = schema.get("config", {}).get("extra_fields_behavior", schema.get("schema", {}).get("extra_behavior"))
        if schema["type"] in ("default", "nullable"):
            yield from self.reads(schema["schema"], prefix, seen)
        elif not fields or ref in seen or extra in ("forbid", "allow"):
            yield prefix
        else:
            for name, field in fields.items():
                for key in _keys(name, field):
                    yield from self.reads(field["schema"], (*prefix, *key), (*seen, ref))

    def same_in_python(self, schema: Any) -> bool:
        """Whether strict validation of the Python objects is the same as of the JSON text."""
        if isinstance(schema, dict):
            kind = schema.get("type")
            if isinstance(kind, str) and kind not in _SAME_IN_PYTHON:
                return False
            if kind == "literal":
                return all(one is None or type(one) in (str, int, bool) for one in schema["expected"])
            return all(self.same_in_python(one) for key, one in schema.items() if key not in ("metadata", "default"))
        return not isinstance(schema, (list, tuple)) or all(map(self.same_in_python, schema))


def _checker(model: type[BaseModel], root: _Schemas) -> Callable[[Json], BaseModel]:
    """Validation in strict mode with the meaning it has for JSON: a date or an enum may come as text.

    Other members are free (SPEC §2), also where the model is used elsewhere to forbid them.
    """
    extra: Literal["ignore"] | None = "ignore" if _forbids_members({"one": root.top, **root.named}) else None
    if root.same_in_python({"one": root.top, "named": list(root.named.values())}):
        return lambda value: model.model_validate(value, strict=True, extra=extra)
    return lambda value: model.model_validate_json(jsontext.dumps(value), strict=True, extra=extra)


def _forbids_members(schema: Any) -> bool:
    if isinstance(schema, dict):
        if schema.get("extra_fields_behavior") == "forbid":
            return True
        return any(_forbids_members(one) for key, one in schema.items() if key not in ("metadata", "default"))
    return isinstance(schema, (list, tuple)) and any(map(_forbids_members, schema))


def _by_name(schema: Schema) -> bool:
    config = schema.get("config", {})
    return bool(config.get("populate_by_name") or config.get("validate_by_name"))


def _one_key(name: str, field: Schema, by_name: bool) -> str | None:
    """The only member that the field can come from, or ``None`` where there may be several."""
    alias = field.get("validation_alias")
    if alias is None:
        return name
    return alias if isinstance(alias, str) and not by_name else None


def _keys(name: str, field: Schema) -> list[Path]:
    """All the places that the field may come from."""
    alias = field.get("validation_alias")
    if alias is None:
        return [(name,)]
    if isinstance(alias, str):
        return [(name,), (alias,)]
    choices = alias if alias and isinstance(alias[0], list) else [alias]
    # a path with an index may mean an array; cut there, which only widens what is looked at
    return [(name,), *(tuple(part for part in choice[:1] if isinstance(part, str)) for choice in choices)]


def _required(model: type[BaseModel], path: Path, seen: tuple[type, ...] = ()) -> Iterator[ModelField]:
    """The required leaf fields; a required field that is a model gives its own."""
    for name, info in model.model_fields.items():
        if not info.is_required():
            continue
        alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
        here = (*path, alias or name)
        kind = info.annotation
        inner: tuple[ModelField, ...] = ()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in (*seen, model):
            inner = tuple(_required(kind, here, (*seen, model)))
        yield from inner or (ModelField(here, _in_words(kind)),)


def _in_words(kind: Any) -> str:
    if isinstance(kind, type) and not getattr(kind, "__args__", None):
        return f"a valid {kind.__name__}"
    return f"a valid {str(kind).replace('typing.', '')}"
