"""The tables, as numbered migrations. Each migration is SQL text; a file remembers which ones it has had.

What belongs to a task refers to it by its id and goes with it (``ON DELETE CASCADE``). Times are milliseconds since
1970 (UTC), JSON is compact text, and what is empty is NULL.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from aloma_py.errors import StoreError
from aloma_py.store.schema_outside import OUTSIDE
from aloma_py.store.schema_serving import SERVING

APPLICATION_ID: Final = 0x616C6F6D
"""Marks an SQLite file as a store of this project (``PRAGMA application_id``)."""

MIGRATION_SET: Final = "aloma_py"

_M001 = """
CREATE TABLE workspace (
    name TEXT PRIMARY KEY,
    facts TEXT NOT NULL DEFAULT '{}'      -- JSON object: sources, created_at …
) WITHOUT ROWID;

CREATE TABLE task (
    no INTEGER PRIMARY KEY,               -- the order of arrival
    id TEXT NOT NULL UNIQUE,
    workspace TEXT NOT NULL,
    state TEXT NOT NULL,
    wake_at INTEGER,                      -- when it is to be looked at again: 0 at once, NULL not by itself
    revision INTEGER NOT NULL,            -- the fence: a write names the one it was made on
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    due_at INTEGER,
    expires_at INTEGER,
    parent TEXT,                          -- may outlive its parent, so no foreign key
    into_path TEXT,
    wait_for INTEGER NOT NULL,
    last_entry INTEGER NOT NULL,
    name TEXT NOT NULL,
    tags TEXT,                            -- JSON array
    reason TEXT,
    result TEXT,                          -- JSON
    on_expire TEXT,                       -- JSON
    cycle TEXT,                           -- JSON object
    stash BLOB,                           -- encrypted
    data TEXT NOT NULL                    -- JSON object
);
-- What is ready, what is due next, how many are in a state, the newest of a state: one index for all four.
CREATE INDEX task_state ON task (workspace, state, wake_at);
CREATE INDEX task_child ON task (parent) WHERE parent IS NOT NULL;
CREATE INDEX task_ended ON task (ended_at) WHERE ended_at IS NOT NULL;

-- The data as it was accepted: apart, so that an update of the task does not write it again.
CREATE TABLE origin (
    task TEXT PRIMARY KEY REFERENCES task (id) ON DELETE CASCADE,
    data TEXT NOT NULL
);

CREATE TABLE entry (
    task TEXT NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    n INTEGER NOT NULL,
    kind TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    step TEXT,
    version TEXT,
    wave INTEGER,
    attempt INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    changes TEXT,                         -- JSON: [[op, [path parts], value], …]
    conflicts TEXT,                       -- JSON: [[[path parts], lost, won], …]
    effects TEXT,                         -- JSON: [text, …]
    error TEXT,                           -- JSON: [type, message, stack, status]
    logs TEXT,                            -- JSON: [[at, level, text], …]; NULL once they are too old
    PRIMARY KEY (task, n)
) WITHOUT ROWID;
CREATE INDEX entry_logs ON entry (ended_at) WHERE logs IS NOT NULL;

CREATE TABLE call (
    no INTEGER PRIMARY KEY,
    task TEXT NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    step TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    connector TEXT NOT NULL,
    method TEXT NOT NULL,
    digest TEXT NOT NULL,
    position INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    key TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    arguments TEXT NOT NULL,              -- JSON
    answer TEXT NOT NULL                  -- JSON
);
CREATE INDEX call_run ON call (task, step, ordinal);

CREATE TABLE audit (
    no INTEGER PRIMARY KEY,
    task TEXT NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    reference TEXT,                       -- the id of a reference, as text: tasks are found by it
    text TEXT NOT NULL,
    details TEXT                          -- JSON
);
CREATE INDEX audit_task ON audit (task);
CREATE INDEX audit_reference ON audit (reference) WHERE reference IS NOT NULL;

CREATE TABLE visualization (
    no INTEGER PRIMARY KEY,
    task TEXT NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL,                   -- JSON
    options TEXT                          -- JSON
);
CREATE INDEX visualization_task ON visualization (task);

CREATE TABLE blob (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    task TEXT REFERENCES task (id) ON DELETE CASCADE,
    name TEXT,
    mimetype TEXT,
    meta TEXT,                            -- JSON
    created_at INTEGER NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX blob_task ON blob (task) WHERE task IS NOT NULL;

CREATE TABLE file (
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (workspace, name)
);

-- Full-text search over names and references, filled when somebody searches and by maintenance, so that accepting a
-- task costs nothing more. A row's number is its task's; search_state says up to which task it is filled,
-- search_dirty which of those are to be read again.
CREATE VIRTUAL TABLE search USING fts5 (name, refs, tokenize = 'unicode61');
CREATE TABLE search_state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    filled_to INTEGER NOT NULL
);
INSERT INTO search_state VALUES (1, 0);
CREATE TABLE search_dirty (
    task_no INTEGER PRIMARY KEY
);
CREATE TRIGGER task_renamed AFTER UPDATE OF name ON task WHEN old.name <> new.name
BEGIN
    INSERT OR IGNORE INTO search_dirty VALUES (new.no);
END;
"""

MIGRATIONS: Final[dict[str, str]] = {"m001_initial": _M001, "m002_serving": SERVING, "m003_outside": OUTSIDE}
"""Every migration by name, in order. Never change one that was released: add the next."""


def create(connection: sqlite3.Connection) -> None:
    """Make all the tables in a new, empty database in one go (what running every migration would give)."""
    connection.executescript("".join(MIGRATIONS.values()) + f"PRAGMA application_id = {APPLICATION_ID};")


def applied(connection: sqlite3.Connection) -> list[str]:
    """The names of the migrations that the file has had, in order.

    Raises :class:`~aloma_py.errors.StoreError` where the file is no store of this project, or of a newer version.
    """
    marked = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if marked != APPLICATION_ID:
        if tables - {"_sqlite_migrations"}:
            raise StoreError("it is an SQLite file of something else, not a store")
        return []
    if "_sqlite_migrations" not in tables:
        return []
    sql = "SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id"
    rows = connection.execute(sql, [MIGRATION_SET])
    names = [name for (name,) in rows]
    unknown = [name for name in names if name not in MIGRATIONS]
    if unknown:
        raise StoreError(
            f"it was written by a newer version of aloma_py (its schema has {unknown[-1]!r}, "
            f"this version knows up to {list(MIGRATIONS)[-1]!r})"
        )
    return names


def migrate(connection: sqlite3.Connection) -> list[str]:
    """Bring the file's tables up to date; each migration is one transaction. Gives the names of those it ran."""
    had = applied(connection)
    missing = [name for name in MIGRATIONS if name not in had]
    if not missing:
        return []
    import sqlite_utils  # here, since most openings need no migration and its import takes a while
    from sqlite_utils.migrations import Migrations

    migrations = Migrations(MIGRATION_SET)
    for name, text in MIGRATIONS.items():
        migrations(name=name)(_runner(name, text))
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    migrations.apply(sqlite_utils.Database(connection))
    return missing


class _runner:
    """A migration function for sqlite-utils that runs SQL text, one statement at a time, inside its transaction."""

    def __init__(self, name: str, text: str) -> None:
        self.__name__ = name
        self._text = text

    def __call__(self, db: object, /) -> None:
        connection: sqlite3.Connection = db.conn  # type: ignore[attr-defined]
        for statement in split(self._text):
            connection.execute(statement)


def split(text: str) -> list[str]:
    """The statements of SQL text, in order."""
    statements: list[str] = []
    pending = ""
    for line in text.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
