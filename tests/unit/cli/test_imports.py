"""Commands that ask a server are quick to start: they import nothing of what carries operations out."""

from __future__ import annotations

import subprocess
import sys

from aloma_py.cli.app import COMMANDS

HERE = ("run", "test", "dev", "serve", "step", "library", "pull")
"""Commands that read or run steps themselves."""

HEAVY = (
    "aloma_py.engine", "aloma_py.steps", "aiosmtplib", "cryptography", "dulwich", "fastapi", "httpx2", "opentelemetry",
    "sqlite_utils", "tree_sitter",
)  # fmt: skip


def test_commands_that_ask_a_server_import_little() -> None:
    places = sorted({place.partition(":")[0] for name, (place, _) in COMMANDS.items() if name not in HERE})
    assert len(places) > 10
    lines = ["import sys", "import aloma_py.cli.client", *(f"import {place}" for place in places)]
    lines.append(f"print([name for name in {HEAVY} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
