"""The command line. Commands parse, call one operation, and print: for people, or with ``--json`` for programs.

Exit status: 0 fine; 1 what was run did not succeed (a task that ended badly, a scenario that failed); 2 the user's
mistake; 3 the store or the engine cannot; 130 interrupted.
"""

from __future__ import annotations


def main() -> None:
    """The command ``aloma-py``."""
    from aloma_py.cli.app import app

    try:
        app()
    except SystemExit as end:
        _leave(end.code if isinstance(end.code, int) else 0)
        raise


def _leave(status: int) -> None:
    """End the process, where a step's thread would keep it: it cannot be ended, and nothing it still does is kept."""
    import os
    import sys
    import threading

    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
