"""The tables of what a workspace has to do with outside: a repository it follows, its connectors, and notifications.

As SQL text; :mod:`~aloma_py.store.schema` runs it as a migration. Times are milliseconds since 1970 (UTC).
"""

from __future__ import annotations

from typing import Final

OUTSIDE: Final = """
-- The git repository that a workspace follows.
CREATE TABLE source (
    workspace TEXT PRIMARY KEY,
    options TEXT NOT NULL,                -- JSON object: url, branch, folder, user, automatic, every …
    sealed BLOB,                          -- the password, token or ssh key, encrypted
    hook TEXT UNIQUE,                     -- in the address that its host tells of pushes; not to be guessed
    next_at INTEGER,                      -- when it is looked at next; NULL: when somebody asks
    last_at INTEGER,                      -- when it was last looked at
    taken TEXT,                           -- the commit that the workspace is at
    error TEXT,                           -- why the last look failed; NULL: it did not
    seen TEXT NOT NULL DEFAULT '{}',      -- JSON object: branch, author and title of the commit, scripts (their hash) …
    failures INTEGER NOT NULL DEFAULT 0,  -- how many looks failed since the last that did not
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX source_next ON source (next_at) WHERE next_at IS NOT NULL;

-- A connector that a workspace has, with its configuration.
CREATE TABLE connector (
    workspace TEXT NOT NULL,
    namespace TEXT NOT NULL,              -- connectors.<namespace>
    name TEXT NOT NULL,                   -- for people
    kind TEXT NOT NULL,                   -- what a plugin offers: http, slack.com …
    options TEXT NOT NULL,                -- JSON object: tags, description …
    sealed BLOB,                          -- its configuration, encrypted
    enabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (workspace, namespace)
) WITHOUT ROWID;

-- A task that came into error or attention, in the order in which that was committed: what is still to be told is what
-- stands behind a number, whatever any clock said. The trigger writes it in the transaction of the task itself.
CREATE TABLE failure (
    no INTEGER PRIMARY KEY AUTOINCREMENT, -- never given again, also when all were purged
    task TEXT NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    workspace TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX failure_task ON failure (task);
CREATE TRIGGER task_failed AFTER UPDATE OF state ON task
WHEN new.state IN ('error', 'attention') AND (old.state <> new.state OR old.ended_at IS NOT new.ended_at)
BEGIN
    INSERT INTO failure (task, workspace, at) VALUES (new.id, new.workspace, coalesce(new.ended_at, new.updated_at));
END;

-- Who is told of tasks that failed, for all workspaces that name the group. An address that workspaces name directly
-- is one too: its name is the address.
CREATE TABLE notification_group (
    name TEXT PRIMARY KEY,
    options TEXT NOT NULL,                -- JSON object: addresses, webhooks, every …
    sealed BLOB,                          -- the secret that webhooks are signed with, encrypted
    told_until INTEGER NOT NULL,          -- the last failure (its no) that was told, or did not concern it
    next_at INTEGER,                      -- when the next digest is due; NULL: nothing happened yet
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL
) WITHOUT ROWID;

-- A message on its way, or one that was delivered or given up: one for each place it goes to.
CREATE TABLE notification (
    no INTEGER PRIMARY KEY,
    audience TEXT NOT NULL,               -- the group's name
    target TEXT NOT NULL,                 -- an address of mail, or of a webhook
    body TEXT NOT NULL,                   -- JSON object: what is told
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL,                  -- waiting, delivered, failed
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER,                      -- when it is tried next; NULL: no more
    error TEXT                            -- why the last attempt failed
);
CREATE INDEX notification_next ON notification (next_at) WHERE next_at IS NOT NULL;

-- Blobs that belong to no task: what an import or an export asks for by the workspace.
CREATE INDEX blob_loose ON blob (workspace) WHERE task IS NULL;
"""
