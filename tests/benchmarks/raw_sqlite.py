"""The yardstick: the same rows as a task of three steps makes, written by hand with Python's sqlite3."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
from pathlib import Path

SCHEMA = """
CREATE TABLE task (no INTEGER PRIMARY KEY, id TEXT UNIQUE, state TEXT, data TEXT);
CREATE TABLE entry (task INTEGER, n INTEGER, step TEXT, changes TEXT, PRIMARY KEY (task, n)) WITHOUT ROWID;
"""


def raw_sqlite(tasks: int, document: object, *, group: int) -> float:
    """Tasks a second: one INSERT, then three times an UPDATE and an INSERT; ``group`` tasks share each commit."""
    text = json.dumps(document)
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "raw.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(SCHEMA)
        begun = time.perf_counter()
        for start in range(0, tasks, group):
            numbers = range(start, min(start + group, tasks))
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO task VALUES (?, ?, 'pending', ?)", [(n, f"task-{n}", text) for n in numbers]
            )
            connection.execute("COMMIT")
            for step in range(3):
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "UPDATE task SET state = 'running', data = ? WHERE no = ?", [(text, n) for n in numbers]
                )
                connection.executemany(
                    "INSERT INTO entry VALUES (?, ?, ?, ?)", [(n, step, f"step {step}", "[]") for n in numbers]
                )
                connection.execute("COMMIT")
        seconds = time.perf_counter() - begun
        connection.close()
    return tasks / seconds
