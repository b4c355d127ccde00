"""Patterns in words and in the notation of a Python literal."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, Final

from aloma_py.conditions.pattern import (
    AllOf,
    AnyOf,
    Array,
    Compare,
    Computed,
    Equal,
    Exists,
    HiddenKind,
    Kind,
    Members,
    Model,
    ModelField,
    Not,
    Null,
    OneOf,
    Pattern,
    Predicate,
    Regex,
    Size,
    Value,
)
from aloma_py.models import Json
from aloma_py.paths import MISSING

_PYTHON_KINDS: Final = {
    "string": "str", "number": "float", "integer": "int", "boolean": "bool", "array": "list", "object": "dict",
    "null": '{"$type": "null"}', "container": "Object",
}  # fmt: skip
_KINDS_IN_WORDS: Final = {
    "string": "a string", "number": "a number", "integer": "a whole number", "boolean": "a boolean",
    "array": "an array", "object": "an object", "null": "null", "container": "an object or an array",
}  # fmt: skip
_ORDERINGS: Final = {"$gt": "greater than", "$gte": "at least", "$lt": "less than", "$lte": "at most"}
_LONGEST: Final = 80


def show(pattern: Pattern) -> str:
    """The pattern as text, in the notation of a Python literal whatever it was written in."""
    match pattern:
        case Value(value) | Equal(value):
            return _literal(value) if isinstance(pattern, Value) else f'{{"$eq": {_literal(value)}}}'
        case Null():
            return "None"
        case Kind(name):
            return _PYTHON_KINDS[name]
        case Regex(source, flags):
            return f"/{source}/{flags}"
        case Predicate(_, text) | Computed(text):
            return text
        case Compare(operator, bound):
            return f'{{"{operator}": {_literal(bound)}}}'
        case OneOf(options):
            return f'{{"$in": [{", ".join(_option(one) for one in options)}]}}'
        case Exists(wanted):
            return f'{{"$exists": {wanted}}}'
        case HiddenKind():
            return _hidden(pattern)
        case Not(inner):
            return _negation(inner)
        case AllOf(parts):
            return _together(parts)
        case AnyOf(parts):
            return f'{{"$or": [{", ".join(map(show, parts))}]}}'
        case Array(parts):
            return f"[{', '.join(map(show, parts))}]"
        case Size(inner):
            return f'{{"$size": {show(inner)}}}'
        case Members(items):
            return "{" + ", ".join(f"{_literal(str(key))}: {show(part)}" for key, part in items) + "}"
        case Model(model):
            return model.__name__


def expected(pattern: Pattern | ModelField) -> str:
    """What a leaf asks for, in words: ``equal to "new"``, ``a string``, ``greater than 5``."""
    match pattern:
        case ModelField():
            return pattern.expected
        case Value(value) | Equal(value):
            return f"equal to {brief(value)}"
        case Null():
            return "null or missing"
        case Kind(name):
            return _KINDS_IN_WORDS[name]
        case Regex():
            return f"a string in which {show(pattern)} finds something"
        case Predicate(_, text):
            return f"a value for which {text} holds"
        case Compare(operator, bound):
            return f"{_ORDERINGS[operator]} {brief(bound)}"
        case OneOf(options):
            return f"one of {', '.join(_option(one) for one in options)}"
        case Exists(wanted):
            return "present and not null" if wanted else "null or missing"
        case HiddenKind(names, or_missing):
            return f"a hidden {' or '.join(names)}{' or missing' if or_missing else ''}"
        case Not(Null()):
            return "present and not null"
        case Not(inner):
            return f"not {expected(inner)}"
        case Array():
            return "an array"
        case Members():
            return "an object"
        case _:
            return show(pattern)


def brief(value: Any) -> str:
    """A value found in the data, short enough for a line; :data:`~aloma_py.paths.MISSING` is ``missing``."""
    if value is MISSING:
        return "missing"
    if isinstance(value, list) and len(value) > 3:
        return f"an array of {len(value)} elements"
    if isinstance(value, dict) and len(value) > 3:
        return f"an object with {', '.join(sorted(map(str, value))[:5])}{', …' if len(value) > 5 else ''}"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def function_text(function: Callable[..., Any]) -> str:
    """The source of a function: the text of a lambda, the name of any other; best effort.

    A lambda is found in its file by the byte code it compiles to, because Python keeps only its first line.
    """
    name = getattr(function, "__name__", None) or repr(function)
    code = getattr(function, "__code__", None)
    if name != "<lambda>" or not isinstance(code, CodeType):
        return str(name)
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return "a lambda"
    candidates = list(_lambdas(source))
    for text in candidates:
        compiled = compile(text, "<condition>", "eval").co_consts
        if any(isinstance(one, CodeType) and one.co_code == code.co_code and _names(one) == _names(code)
               for one in compiled):  # fmt: skip
            return text
    return candidates[0] if len(candidates) == 1 else "a lambda"


def _names(code: CodeType) -> tuple[Any, ...]:
    return code.co_names, code.co_varnames, code.co_consts[1:]


def _lambdas(source: str) -> Iterator[str]:
    """Every lambda of the text: the longest piece from the word ``lambda`` on that is one expression."""
    at = source.find("lambda")
    while at >= 0:
        for end in range(len(source), at, -1):
            piece = source[at:end]
            if piece[-1] not in ",)]} \n":
                try:
                    tree = ast.parse(piece, mode="eval")
                except SyntaxError:
                    continue
                if isinstance(tree.body, ast.Lambda):
                    yield piece
                    break
        at = source.find("lambda", at + 1)


def _literal(value: Json) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return str(value)


def _option(option: Value | Equal | Null | Regex) -> str:
    return _literal(option.value) if isinstance(option, Equal) else show(option)


def _hidden(pattern: HiddenKind) -> str:
    names = [name for name in pattern.names if name != "Null"]
    if not names:
        return "None"
    if len(names) > 2:
        return '{"$exists": True}'
    kinds = ", ".join({"String": "str", "Number": "float", "Boolean": "bool", "Array": "list", "Object": "dict"}[name]
                      for name in names)  # fmt: skip
    return kinds if len(names) == 1 else f'{{"$or": [{kinds}]}}'


def _negation(inner: Pattern) -> str:
    if isinstance(inner, (Value, Equal, Null)):
        return f'{{"$ne": {_literal(inner.value) if not isinstance(inner, Null) else None}}}'
    if isinstance(inner, OneOf):
        return f'{{"$nin": [{", ".join(_option(one) for one in inner.options)}]}}'
    if isinstance(inner, AnyOf):
        return f'{{"$nor": [{", ".join(map(show, inner.patterns))}]}}'
    return f'{{"$not": {show(inner)}}}'


def _together(parts: tuple[Pattern, ...]) -> str:
    """Several patterns on one value: operators in one object where that can be written, else ``$and``."""
    texts = [show(part) for part in parts]
    objects = [text for part, text in zip(parts, texts, strict=True) if _joins(part, text)]
    keys = [text[2 : text.index('"', 2)] for text in objects]
    members = [part for part in parts if isinstance(part, Members)]
    operators = [key for part, key in zip(parts, keys, strict=False) if not isinstance(part, (Members, AnyOf))]
    if len(objects) < len(parts) or len(set(keys)) < len(keys) or len(members) > 1 or (members and operators):
        return f'{{"$and": [{", ".join(texts)}]}}'
    return "{" + ", ".join(text[1:-1] for text in objects) + "}"


def _joins(part: Pattern, text: str) -> bool:
    return isinstance(part, (Compare, Not, AnyOf, OneOf, Exists, Size, Members)) and text.startswith('{"')
