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
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL
) WITHOUT ROWID;

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

-- Who is told of tasks that failed, for all workspaces that name the group.
CREATE TABLE notification_group (
    name TEXT PRIMARY KEY,
    options TEXT NOT NULL,                -- JSON object: addresses, webhooks, every …
    sealed BLOB,                          -- the secret that webhooks are signed with, encrypted
    told_until INTEGER NOT NULL,          -- what happened before was told
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
"""
