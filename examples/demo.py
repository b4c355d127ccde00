"""Runs three tasks of the order example, one after another, with the commands that a person would type."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ORDERS = "examples/2_orders"

TOUR = (
    ("order.json", "an order: three services are asked at once; the courier is down at first", ()),
    ("invoice.json", "an invoice that the best reader cannot read", ("--jump",)),
    ("prices.json", "prices for a shop that asks for a pause; the clock jumps over it", ("--jump",)),
)


def run_arguments(task: str, *options: str) -> list[str]:
    """The arguments of ``aloma-py`` that run a task of the order example."""
    files = [f"{ORDERS}/steps", "-f", f"{ORDERS}/tasks/{task}", "--connectors", f"{ORDERS}/connectors.yaml"]
    return ["run", *files, *options]


def to_type(command: str, arguments: list[str]) -> str:
    """The command as it can be typed, on two lines of a terminal that need not be wide."""
    break_at = arguments.index("--connectors")
    return f"{command} {' '.join(arguments[:break_at])} \\\n    {' '.join(arguments[break_at:])}"


def command_of_this_environment() -> str:
    """``aloma-py`` as it is to be typed here: with its folder, unless that is on the path."""
    folder = Path(sys.executable).parent
    if str(folder) in os.environ.get("PATH", "").split(os.pathsep):
        return "aloma-py"
    return str(folder.relative_to(ROOT) / "aloma-py") if folder.is_relative_to(ROOT) else str(folder / "aloma-py")


def main() -> int:
    started = time.monotonic()
    for number, (task, what, options) in enumerate(TOUR, 1):
        arguments = run_arguments(task, *options)
        print(f"\n── {number} of {len(TOUR)}: {what}\n$ {to_type('aloma-py', arguments)}\n", flush=True)
        done = subprocess.run([sys.executable, "-m", "aloma_py.cli", *arguments], cwd=ROOT, check=False)
        if done.returncode != 0:
            print(f"\nthe task did not end well (exit status {done.returncode})", file=sys.stderr)
            return done.returncode
    aloma = command_of_this_environment()
    approval, bulk = (to_type(aloma, run_arguments(f"{task}.json", "--jump")) for task in ("large_order", "companies"))
    print(f"\n── three tasks in {time.monotonic() - started:.1f} s. Type next:\n")
    print(f"# an order that a person must approve; nobody does\n{approval}\n")
    print(f"# five companies, each a subtask; one of them fails\n{bulk}\n")
    print(f"# the scenarios of all examples\n{aloma} test examples\n")
    print(f"# what a step looks at, reads and writes\n{aloma} step show reserve_stock {ORDERS}/steps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
