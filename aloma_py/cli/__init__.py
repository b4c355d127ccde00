"""The command line. Commands parse, call one operation, and print: for people, or with ``--json`` for programs.

Exit status: 0 fine; 1 what was run did not succeed (a task that ended badly, a scenario that failed); 2 the user's
mistake; 3 the store or the engine cannot; 130 interrupted.
"""

from __future__ import annotations


def main() -> None:
    """The command ``aloma-py``."""
    from aloma_py.cli.app import app

    app()
