"""The same expressions in V8 with the prelude and in Node, to be compared."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from typing import Any, Final, cast

import pytest
from py_mini_racer import MiniRacer, init_mini_racer

from aloma_py.javascript.prelude import prelude_source

FLAGS: Final = ("--single-threaded", "--allow-natives-syntax", "--disallow-code-generation-from-strings")

NODE: Final = shutil.which("node")

needs_node = pytest.mark.skipif(NODE is None, reason="there is no node on this machine")

_HEAD: Final = """\
(async () => {
'use strict';
const results = [];
for (const run of [
"""

_TAIL: Final = """\
]) {
  try {
    const value = await run();
    results.push(JSON.stringify(value) ?? String(value));
  } catch (error) {
    results.push('ERR ' + (error?.name ?? error));
  }
}
return JSON.stringify(results);
})()"""


def _script(expressions: Iterable[str]) -> str:
    """One expression: a promise of the JSON text of all results. A syntax error in one of them breaks all."""
    return _HEAD + "".join(f"() => (\n{expression}\n),\n" for expression in expressions) + _TAIL


def run_in_node(expressions: list[str]) -> list[str]:
    """What Node gives for each expression: JSON text, ``undefined``, or ``ERR <name of the error>``.

    An expression may be a promise. ``require`` is there, as are all of Node's globals.
    """
    assert NODE is not None, "use needs_node"
    script = f"{_script(expressions)}.then((text) => process.stdout.write(text));"
    done = subprocess.run(
        [NODE, "--no-warnings", "-"], input=script.encode(), capture_output=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    return cast("list[str]", json.loads(done.stdout))


def run_in_v8(expressions: list[str], modules: tuple[str, ...]) -> list[str]:
    """What V8 gives for each expression after the prelude's ``modules``; results as those of :func:`run_in_node`.

    ``internal`` is what the modules share. An expression may be a promise, as long as no host is needed to settle it.
    """
    init_mini_racer(flags=FLAGS, ignore_duplicate_init=True)
    with MiniRacer() as engine:
        engine.eval(f"globalThis.internal = {prelude_source(modules)}; 0")
        promise: Any = engine.eval(_script(expressions))
        return cast("list[str]", json.loads(cast(str, promise.get(timeout=30))))


def differences(expressions: list[str], modules: tuple[str, ...]) -> list[str]:
    """Where the two disagree, a line each; to be compared with ``[]``."""
    ours, theirs = run_in_v8(expressions, modules), run_in_node(expressions)
    return [
        f"{expression}\n  here {our}\n  node {their}"
        for expression, our, their in zip(expressions, ours, theirs, strict=True)
        if our != their
    ]
