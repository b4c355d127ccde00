"""What V8 says of programs before they are run: a process that lives as long as one question.

JavaScript is never evaluated in the process of whoever loads it: :func:`check` starts ``python -m
aloma_py.javascript.check``, which has the limits of a worker and ends with its answer.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aloma_py.javascript.program import Program

SECONDS: Final = 2
"""How long one file may run while it is loaded."""

_PLACE: Final = re.compile(r"^([^\n]*?):(\d+): (.*?)(?:\n|$)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of one program: its condition as a tree (see ``describePattern`` in the prelude), or what is wrong."""

    condition: Any = None
    error: str | None = None
    line: int | None = None


def check(programs: Sequence[Program]) -> list[Checked]:
    """Have V8 compile the programs and evaluate the conditions of those that are steps, in this order.

    Raises ``RuntimeError`` where V8 cannot be started at all.
    """
    orders = json.dumps([program.order() for program in programs])
    done = subprocess.run(
        [sys.executable, "-m", "aloma_py.javascript.check"],
        input=orders.encode("utf-8", "surrogatepass"),
        capture_output=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.defpath, "LANG": "C.UTF-8"},
        timeout=30 + SECONDS * 2 * len(programs),
    )
    lines = done.stdout.splitlines()
    answers = [Checked(**json.loads(line)) for line in lines]
    if len(answers) == len(programs):
        return answers
    if not lines and done.returncode > 0:
        raise RuntimeError(f"V8 could not be started: {done.stderr.decode(errors='replace').strip()[-500:]}")
    answers.append(Checked(error="V8 ended while it loaded this: it asks for more memory than there is"))
    return answers + [Checked()] * (len(programs) - len(answers))


def main() -> None:
    """Read the orders from the standard input, and write a line of JSON for each."""
    from py_mini_racer import JSTimeoutException, MiniRacer, init_mini_racer

    from aloma_py.javascript.isolate import V8_FLAGS
    from aloma_py.javascript.link import DATA_LIMIT
    from aloma_py.javascript.prelude import prelude_source
    from aloma_py.javascript.worker import limit

    limit(DATA_LIMIT)
    init_mini_racer(flags=V8_FLAGS, ignore_duplicate_init=True)
    orders = json.loads(sys.stdin.buffer.read())
    v8 = MiniRacer()
    v8.set_hard_memory_limit(256 << 20)
    v8.eval(f"const $ = {prelude_source()}; $.random.seed('{os.urandom(32).hex()}')")
    for order in orders:
        answer: dict[str, Any] = {}
        try:
            door = "library" if order["kind"] == "library" else "load"
            head = f"$.{door}({json.dumps(order['key'])},{json.dumps(order['file'])},"
            v8.eval(head + order["code"], timeout_sec=SECONDS)
            if order["kind"] == "step":
                text = v8.eval(f"$.describeCondition({json.dumps(order['key'])})", timeout_sec=SECONDS)
                answer["condition"] = json.loads(str(text))
        except JSTimeoutException:
            answer["error"] = f"it ran for more than {SECONDS} s while it was loaded, and was stopped"
        except Exception as error:
            answer.update(told(str(error), order["code"].rpartition("//# sourceURL=")[2]))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    os._exit(0)


def told(text: str, file: str) -> dict[str, Any]:
    """The error and its line in ``file`` from V8's text: ``file:3: SyntaxError: …``, the line, a caret, the stack.

    The first line of the stack that is in the file is nearer than the place where V8 gave up, which may be another
    file or none of the user's. What cannot be compiled has no stack, and no name of a file yet.
    """
    found = _PLACE.match(text)
    if found is None:
        return {"error": text.strip().splitlines()[0] if text.strip() else "it cannot be read"}
    at = re.search(rf"\n    at (?:[^\n]*\()?{re.escape(file)}:(\d+):\d+\)?", text)
    here = found[1] == file or found[3].startswith("SyntaxError")
    return {"error": found[3], "line": int(at[1]) if at else int(found[2]) if here else None}


if __name__ == "__main__":
    main()
