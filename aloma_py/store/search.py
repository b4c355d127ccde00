"""Full-text search over the names of tasks and their audit references, brought up to date when somebody searches."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from aloma_py.errors import InputError

BATCH: Final = 2000
"""How many tasks are read into the search in one transaction."""

MOST_WORDS: Final = 64
"""How many words can be looked for at once."""

_CONTENT = (
    "SELECT no, name, (SELECT group_concat(text || ' ' || coalesce(reference, ''), ' ') "
    "FROM audit WHERE audit.task = task.id AND audit.kind = 'reference') FROM task "
)


def pending(connection: sqlite3.Connection) -> bool:
    """Whether there is something that the search does not know of."""
    row = connection.execute(
        "SELECT (SELECT coalesce(max(no), 0) FROM task) > (SELECT filled_to FROM search_state) "
        "OR EXISTS (SELECT 1 FROM search_dirty)"
    ).fetchone()
    return bool(row[0])


def fill(connection: sqlite3.Connection) -> bool:
    """Read up to :data:`BATCH` new or changed tasks into the search, in the transaction that is open.

    Gives whether there may be more.
    """
    changed = [no for (no,) in connection.execute("SELECT task_no FROM search_dirty LIMIT ?", (BATCH,))]
    places = ", ".join("?" * len(changed))
    if changed:
        connection.execute(f"DELETE FROM search WHERE rowid IN ({places})", changed)
        connection.execute(f"DELETE FROM search_dirty WHERE task_no IN ({places})", changed)
        connection.execute(
            f"INSERT INTO search (rowid, name, refs) {_CONTENT} "
            f"WHERE no IN ({places}) AND no <= (SELECT filled_to FROM search_state)",
            changed,
        )
    start = connection.execute("SELECT filled_to FROM search_state").fetchone()[0]
    newer = connection.execute("SELECT no FROM task WHERE no > ? ORDER BY no LIMIT ?", (start, BATCH))
    numbers = [no for (no,) in newer]
    if numbers:
        connection.execute(
            f"INSERT INTO search (rowid, name, refs) {_CONTENT} WHERE no > ? AND no <= ?", (start, numbers[-1])
        )
        connection.execute("UPDATE search_state SET filled_to = ?", (numbers[-1],))
    return len(changed) == BATCH or len(numbers) == BATCH


def match_expression(text: str) -> str | None:
    """What FTS5 is asked for: every word of ``text``, the end of each free; ``None`` where there is no word in it.

    Raises :class:`~aloma_py.errors.InputError` for more words than anybody looks for.

    >>> match_expression('order "A-7"')
    '"order"* "A"* "7"*'
    """
    words = re.findall(r"\w+", text)
    if len(words) > MOST_WORDS:
        raise InputError(f"the search has {len(words):,} words; at most {MOST_WORDS} were expected")
    return " ".join(f'"{word}"*' for word in words) or None
