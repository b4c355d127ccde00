"""The ledger: who changed what in the account and its workspaces. Lines are added, never changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aloma_py.jsontext import dumps, loads
from aloma_py.models import Json, Millis
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

LONGEST: Final = 500
"""Characters of a text in a line's details; what is longer is cut, since a step's text is kept with its versions."""


@dataclass(frozen=True, slots=True)
class Line:
    """``workspace`` is empty where the account was changed; ``details`` are the arguments, without secrets."""

    no: int
    at: Millis
    who: str
    workspace: str
    action: str
    details: dict[str, Json]


class Ledger:
    """The ledger in ``store``."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    async def note(self, at: Millis, who: str, workspace: str, action: str, details: Mapping[str, Json]) -> None:
        """Write a line; it is on disk on return."""
        row = (at, who, workspace, action, dumps({name: _cut(value) for name, value in details.items()}))

        def add(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO ledger (at, who, workspace, action, details) VALUES (?, ?, ?, ?, ?)", row)

        await self._store.writer.write(Write(job=add))

    def list(self, workspace: str | None = None, *, limit: int = 100, before: int | None = None) -> list[Line]:
        """Lines, newest first: of one workspace, or of all and the account; ``before`` is the number of a line."""
        sql = "SELECT no, at, who, workspace, action, details FROM ledger"
        wanted: dict[str, Json] = {"no < ?": before, "workspace = ?": workspace}
        asked = {part: value for part, value in wanted.items() if value is not None}
        where = f" WHERE {' AND '.join(asked)}" if asked else ""
        with self._store.reading() as reader:
            rows = reader.execute(f"{sql}{where} ORDER BY no DESC LIMIT ?", (*asked.values(), limit)).fetchall()
        return [Line(no, at, who, place, action, loads(text)) for no, at, who, place, action, text in rows]


def _cut(value: Json) -> Json:
    match value:
        case str():
            return value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
        case dict():
            return {name: _cut(member) for name, member in value.items()}
        case list() | tuple():
            return [_cut(element) for element in value]
    return value
