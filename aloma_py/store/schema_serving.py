"""The tables of what is served: what workspaces are made of, who may use them, and what was changed by whom.

As SQL text; :mod:`~aloma_py.store.schema` runs it as a migration. Times are milliseconds since 1970 (UTC).
"""

from __future__ import annotations

from typing import Final

SERVING: Final = """
-- A step or a library whose text is kept here, not in a file.
CREATE TABLE script (
    workspace TEXT NOT NULL,
    kind TEXT NOT NULL,                   -- step, library
    name TEXT NOT NULL,
    no INTEGER NOT NULL,                  -- the order of creation in the workspace
    suffix TEXT NOT NULL,                 -- of the file it would be: .js .mjs .cjs .ts .mts
    version TEXT NOT NULL,                -- twelve hexadecimal digits of the text's hash
    enabled INTEGER NOT NULL,
    description TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (workspace, kind, name)
) WITHOUT ROWID;

-- Every text that a script has had, the present one too; kept when the script is deleted.
CREATE TABLE script_version (
    workspace TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    n INTEGER NOT NULL,
    version TEXT NOT NULL,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    text TEXT,                            -- NULL: it was deleted
    PRIMARY KEY (workspace, kind, name, n)
) WITHOUT ROWID;

-- What task.config(name) gives: a value in plain JSON, or a secret, encrypted.
CREATE TABLE variable (
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT,                           -- JSON; NULL for a secret
    sealed BLOB,                          -- encrypted; NULL for what is no secret
    description TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (workspace, name)
) WITHOUT ROWID;

CREATE TABLE webhook (
    id TEXT PRIMARY KEY,                  -- in its address; not to be guessed
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    options TEXT NOT NULL,                -- JSON object: signature, deduplication, limits …
    sealed BLOB,                          -- the secret of its signatures, encrypted
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    last_at INTEGER,                      -- when it last accepted something, about
    accepted INTEGER NOT NULL DEFAULT 0,
    UNIQUE (workspace, name)
) WITHOUT ROWID;

-- What was accepted under a deduplication key: whoever sends it again gets the same task.
CREATE TABLE webhook_key (
    webhook TEXT NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    task TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (webhook, key)
) WITHOUT ROWID;
CREATE INDEX webhook_key_at ON webhook_key (at);

CREATE TABLE schedule (
    id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    options TEXT NOT NULL,                -- JSON object: cron or every, zone, missed, overlap, data …
    next_at INTEGER,                      -- the next firing; NULL: none any more
    last_at INTEGER,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    UNIQUE (workspace, name)
) WITHOUT ROWID;

-- Each firing is written with its task in one transaction, so that none happens twice.
CREATE TABLE firing (
    schedule TEXT NOT NULL REFERENCES schedule (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,                  -- the time that was due
    task TEXT,                            -- NULL: it was skipped
    why TEXT,                             -- what was said of a skipped one
    PRIMARY KEY (schedule, at)
) WITHOUT ROWID;

CREATE TABLE person (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,           -- in lower case
    name TEXT NOT NULL,
    password TEXT,                        -- argon2; NULL: not set yet
    created_at INTEGER NOT NULL,
    seen_at INTEGER,
    disabled_at INTEGER
) WITHOUT ROWID;

CREATE TABLE membership (
    person TEXT NOT NULL REFERENCES person (id) ON DELETE CASCADE,
    workspace TEXT NOT NULL,              -- '' is the account: all workspaces
    role TEXT NOT NULL,
    PRIMARY KEY (person, workspace)
) WITHOUT ROWID;

-- Keys, sessions, invitations and the first-run token: whoever shows one is somebody. Only the hash is kept.
CREATE TABLE token (
    hash BLOB PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,                   -- key, session, invitation, setup
    name TEXT NOT NULL,
    person TEXT REFERENCES person (id) ON DELETE CASCADE,
    workspace TEXT,                       -- of a key: '' is the account
    role TEXT,                            -- of a key
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    used_at INTEGER,                      -- last, about
    revoked_at INTEGER
) WITHOUT ROWID;

-- Who changed what.
CREATE TABLE ledger (
    no INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    workspace TEXT NOT NULL,              -- '' is the account
    action TEXT NOT NULL,
    details TEXT NOT NULL                 -- JSON object: the arguments, without secrets
);
CREATE INDEX ledger_workspace ON ledger (workspace, no);

CREATE TABLE usage (
    workspace TEXT NOT NULL,
    month TEXT NOT NULL,                  -- 2026-01, UTC
    tasks INTEGER NOT NULL DEFAULT 0,
    runs INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    millis INTEGER NOT NULL DEFAULT 0,    -- of runs
    PRIMARY KEY (workspace, month)
) WITHOUT ROWID;

-- Answers to writes that named an idempotency key.
CREATE TABLE idempotency (
    workspace TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,                 -- of the request
    at INTEGER NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL,
    PRIMARY KEY (workspace, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_at ON idempotency (at);

-- Which keys the values of $stash are encrypted with; tasks without such values are not in it.
CREATE INDEX task_stash_key ON task (substr(stash, 1, 8)) WHERE stash IS NOT NULL;
"""
