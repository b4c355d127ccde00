"""Which globals and methods of JavaScript are known, and what they do with what they are given."""

from __future__ import annotations

from typing import Final

HANDLES: Final = frozenset(
    ["task", "step", "connectors", "lib", "audit", "graph", "mapper", "file", "blob", "user", "console", "fetch"]
)

ANYTHING: Final = frozenset({"globalThis", "global", "window", "self", "eval", "Function", "arguments", "require"})
"""Names that reach what cannot be seen in the code."""

FRESH: Final = frozenset(
    [
        "Array",
        "ArrayBuffer",
        "BigInt64Array",
        "BigUint64Array",
        "Blob",
        "DataView",
        "Date",
        "Float32Array",
        "Float64Array",
        "FormData",
        "Headers",
        "Int16Array",
        "Int32Array",
        "Int8Array",
        "Intl.Collator",
        "Intl.DateTimeFormat",
        "Intl.DisplayNames",
        "Intl.ListFormat",
        "Intl.NumberFormat",
        "Intl.PluralRules",
        "Intl.RelativeTimeFormat",
        "Intl.Segmenter",
        "JSON.parse",
        "RegExp",
        "TextDecoder",
        "TextEncoder",
        "URL",
        "URLSearchParams",
        "Uint16Array",
        "Uint32Array",
        "Uint8Array",
        "Uint8ClampedArray",
        "AbortController",
        "structuredClone",
    ]
) - {"Array"}
"""They read what they are given, and give something new that holds nothing of it."""

_PLAIN: Final = (
    "Array.isArray BigInt Boolean Date.UTC Date.now Date.parse JSON.stringify Number Object.hasOwn Object.is "
    "Object.keys Object.getOwnPropertyNames Object.isFrozen String String.fromCharCode String.fromCodePoint "
    "String.raw Symbol atob btoa clearInterval clearTimeout decodeURI decodeURIComponent encodeURI "
    "encodeURIComponent escape isFinite isNaN parseFloat parseInt unescape URL.canParse"
)
PLAIN: Final = frozenset(_PLAIN.split())
PLAIN_PREFIXES: Final = ("Math.", "Number.", "crypto.", "performance.", "Intl.", "Uint8Array.")
"""They read what they are given, and give plain values, alone or in something new."""

NUMBERS: Final = frozenset(
    [
        "Number",
        "Boolean",
        "parseInt",
        "parseFloat",
        "isNaN",
        "isFinite",
        "Array.isArray",
        "Date.now",
        "Date.UTC",
        "Date.parse",
        "Object.is",
        "Object.hasOwn",
        "BigInt",
    ]
)
NUMBER_PREFIXES: Final = ("Math.", "Number.is")

ERRORS: Final = frozenset(
    [
        "AggregateError",
        "Error",
        "EvalError",
        "RangeError",
        "ReferenceError",
        "SyntaxError",
        "TypeError",
        "URIError",
        "DOMException",
    ]
)
COLLECTIONS: Final = frozenset({"Map", "Set", "WeakMap", "WeakSet"})
TIMERS: Final = frozenset({"setTimeout", "setInterval", "setImmediate", "queueMicrotask"})

GLOBALS: Final = frozenset(
    {name.partition(".")[0] for name in FRESH | PLAIN | ERRORS | COLLECTIONS | TIMERS}
    | {"Array", "Object", "Promise", "Math", "Number", "Intl", "crypto", "performance", "Symbol", "Reflect", "Proxy"}
)

SPECIAL: Final = frozenset(
    [
        "__proto__",
        "constructor",
        "prototype",
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
    ]
)
CONVERTING: Final = frozenset({"toJSON", "toString", "toLocaleString", "valueOf", "then"})
"""Members that the language calls by itself."""

READERS: Final = frozenset(
    [
        "charAt",
        "charCodeAt",
        "codePointAt",
        "endsWith",
        "includes",
        "indexOf",
        "isWellFormed",
        "join",
        "keys",
        "lastIndexOf",
        "localeCompare",
        "match",
        "matchAll",
        "normalize",
        "padEnd",
        "padStart",
        "propertyIsEnumerable",
        "repeat",
        "replace",
        "replaceAll",
        "search",
        "split",
        "startsWith",
        "substr",
        "substring",
        "toExponential",
        "toFixed",
        "toISOString",
        "toLocaleLowerCase",
        "toLocaleString",
        "toLocaleUpperCase",
        "toLowerCase",
        "toPrecision",
        "toString",
        "toUpperCase",
        "toWellFormed",
        "trim",
        "trimEnd",
        "trimLeft",
        "trimRight",
        "trimStart",
    ]
)
"""Methods of JSON values that read them and give nothing of what is in them."""

NUMBER_READERS: Final = frozenset(
    ["includes", "indexOf", "lastIndexOf", "localeCompare", "search", "startsWith", "endsWith"]
)

VIEWS: Final = frozenset(["concat", "entries", "flat", "slice", "toReversed", "toSpliced", "values", "with"])
"""Methods that give a new container of what is in the value."""

CHANGERS: Final = frozenset(["copyWithin", "fill", "pop", "push", "reverse", "shift", "sort", "splice", "unshift"])
"""Methods that change an array in place."""

CALLERS: Final = frozenset(
    [
        "every",
        "filter",
        "find",
        "findIndex",
        "findLast",
        "findLastIndex",
        "flatMap",
        "forEach",
        "map",
        "reduce",
        "reduceRight",
        "some",
        "sort",
        "toSorted",
    ]
)
"""Methods of arrays that call a function with the elements."""

PLACING: Final = frozenset(["at", "copyWithin", "fill", "flat", "slice", "splice", "toSpliced", "with"])
"""Methods of arrays to which positions or numbers are passed."""

LATER: Final = frozenset({"then", "catch", "finally"})
KEEPING: Final = CHANGERS | frozenset(
    ["add", "set", "append", "get", "delete", "call", "apply", "bind", "next", "return", "throw"]
)
"""Methods that, taken from an object, may put into it what they are called with, or give what it holds."""

ARRAY: Final = READERS | VIEWS | CHANGERS | CALLERS | {"at"}
"""All methods of arrays, texts and numbers that are known."""


def is_plain(name: str) -> bool:
    return name in PLAIN or name.startswith(PLAIN_PREFIXES)


def is_number(name: str) -> bool:
    return name in NUMBERS or name.startswith(NUMBER_PREFIXES)
