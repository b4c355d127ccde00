"""``breakpoint()`` in a step: pdb talks to the terminal, and the time limit stands still."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.acceptance]

SESSION = ["p data.n + 41", "import time", "time.monotonic() > 0 and [None for _ in range(10**7)] and None", "c"]


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_a_debugger_talks_to_the_terminal_and_has_no_time_limit(tmp_path: Path, kind: str) -> None:
    (tmp_path / "steps.py").write_text(
        "from aloma_py import step\n\n"
        '@step(condition={"n": int, "seen": None, "$errors": None}, timeout="100ms")\n'
        f"{kind} look(data):\n    breakpoint()\n    data.seen = True\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "aloma_py.cli", "run", "steps.py", "-d", '{"n": 1}'],
        input="\n".join(SESSION) + "\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    asked = next(n for n, line in enumerate(done.stdout.splitlines()) if line == "(Pdb) 42")
    ran = next(n for n, line in enumerate(done.stdout.splitlines()) if "✓ look" in line)
    assert asked < ran
    assert "│" not in done.stdout  # nothing of it went to the run's log
    assert '"seen": true' in done.stdout
