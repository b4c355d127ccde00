"""Which workspaces are being imported: nobody else may have them, and what an import has left that died goes.

While a workspace is imported it has the fact ``importing``, ``{id, before}``: its mark, and the facts that
there were before. It is closed then as an archived one is.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from aloma_py.errors import StateError
from aloma_py.jsontext import dumps, loads
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.workspaces import OF_WORKSPACE, is_closed, remove_some_rows, remove_some_tasks
from aloma_py.store.writer import Write

logger = logging.getLogger("aloma_py.store")

TABLES: Final = ("webhook_key", "firing", "blob", "file", "script", "script_version", "variable", "webhook", "schedule",
                 "source", "connector")  # fmt: skip
"""What an import fills beside tasks, what hangs on others first; not who may use it, nor what was done and used."""

_NAMED: Final = {"blob": "blobs", "file": "files", "script": "steps and libraries", "variable": "variables and secrets",
                 "script_version": "versions of steps", "webhook": "webhooks", "schedule": "schedules",
                 "source": "a repository that it follows", "connector": "connectors"}  # fmt: skip

_under_way: WeakKeyDictionary[SQLiteStore, set[str]] = WeakKeyDictionary()


@asynccontextmanager
async def claimed(store: SQLiteStore, name: str) -> AsyncIterator[None]:
    """Let no other import have the workspace while this is open; what imports have left that died is taken out first.

    Raises :class:`~aloma_py.errors.StateError` where another has it, or it is not empty, or closed.
    """
    alive = _under_way.setdefault(store, set())
    if name in alive:
        raise StateError(f"the workspace {name!r} is being imported already")
    alive.add(name)
    try:
        await clear_interrupted(store, mine=name)
        await store.read(partial(refuse_filled, name=name))
        yield
    finally:
        alive.discard(name)


def _count(connection: sqlite3.Connection, table: str, workspace: str) -> bool:
    sql = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {OF_WORKSPACE.get(table, 'workspace = :workspace')})"
    return bool(connection.execute(sql, {"workspace": workspace}).fetchone()[0])


def refuse_filled(connection: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    """The facts of the workspace that is to be filled, ``None`` where there is none; ``StateError`` where it is not
    empty."""
    row = connection.execute("SELECT facts FROM workspace WHERE name = ?", (name,)).fetchone()
    before: dict[str, Any] | None = loads(row[0]) if row else None
    if before is not None and is_closed(before):
        raise StateError(f"the workspace {name!r} is archived, or about to be deleted: --as NAME gives another name")
    there = [what for table, what in {"task": "tasks", **_NAMED}.items() if _count(connection, table, name)]
    if there:
        raise StateError(
            f"the workspace {name!r} is not empty, it has {', '.join(there)}: an import makes a workspace of its own, "
            "--as NAME gives it another name"
        )
    return before


async def clear_interrupted(store: SQLiteStore, mine: str | None = None) -> list[str]:
    """Take out what imports have left that died; gives the names of those workspaces. In small transactions.

    ``mine`` is a workspace that the caller has claimed: what is there of it was left too.
    """
    sql = "SELECT name, facts ->> '$.importing.id' FROM workspace WHERE facts ->> '$.importing' IS NOT NULL"
    found = await store.read(lambda connection: connection.execute(sql).fetchall())
    alive = _under_way.get(store, set()) - {mine}
    left = [(name, mark) for name, mark in found if name not in alive]
    for name, mark in left:
        await _clear(store, name, mark)
        logger.info("took out what an interrupted import had left of the workspace %r", name)
    return [name for name, _ in left]


async def _clear(store: SQLiteStore, name: str, mark: str) -> None:
    """Take out what the import of that mark has written; another one may have begun meanwhile, and is let alone."""

    async def until_none(job: Callable[[sqlite3.Connection], Any]) -> None:
        def checked(connection: sqlite3.Connection) -> Any:
            return job(connection) if mark_of(connection, name) == mark else None

        while await store.writer.write(Write(job=checked)):
            pass

    await until_none(partial(remove_some_tasks, name=name))
    for table in TABLES:
        await until_none(partial(remove_some_rows, table=table, which=OF_WORKSPACE[table], name=name))

    def end(connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT facts FROM workspace WHERE name = ?", (name,)).fetchone()
        before = loads(row[0])["importing"]["before"]
        if before is None:
            connection.execute("DELETE FROM workspace WHERE name = ?", (name,))
        else:
            connection.execute("UPDATE workspace SET facts = ? WHERE name = ?", (dumps(before), name))

    await until_none(end)


def mark_of(connection: sqlite3.Connection, name: str) -> str | None:
    """The mark of the import that fills the workspace."""
    row = connection.execute("SELECT facts ->> '$.importing.id' FROM workspace WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


async def clear_or_tell(store: SQLiteStore, name: str, mark: str) -> None:
    try:
        await _clear(store, name, mark)
    except Exception as error:
        logger.warning("what the import of %r had written is still there, and closed: %s", name, error)
