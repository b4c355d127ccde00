"""What a step finds in V8 beside the language: small modules of the project's own, evaluated in this order.

Each file is the body of a function of ``(internal, define)``: ``internal`` is an object that the modules share with
each other and that steps never see, ``define(name, value)`` makes a global.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

ORDER: Final = (
    "encoding", "base64", "events", "urlparams", "url", "clone", "buffer", "hashes", "random", "crypto", "paths",
    "graph", "mapper", "console", "fetch", "patch", "errors", "given", "judge", "onerun", "run", "harden",
)  # fmt: skip
"""The modules, each after those that it uses."""

_HERE: Final = Path(__file__).parent

_HEAD: Final = (
    "((internal) => {"
    "const define = (name, value) => Object.defineProperty(globalThis, name,"
    " {value, writable: true, configurable: true, enumerable: false});"
)


@functools.cache
def prelude_source(names: tuple[str, ...] = ORDER) -> str:
    """One expression that evaluates the modules ``names`` and gives ``internal``."""
    parts = [_HEAD]
    for name in names:
        text = (_HERE / f"{name}.js").read_text(encoding="utf-8")
        parts.append(f"((internal, define) => {{'use strict';\n{text}\n}})(internal, define);")
    parts.append("return internal;})({})")
    return "\n".join(parts)
