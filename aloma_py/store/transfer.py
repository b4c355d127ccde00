"""A workspace's rows out of the store and into an export, all of one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aloma_py.jsontext import dumps, loads
from aloma_py.models import ENDED_STATES, Millis
from aloma_py.store import places
from aloma_py.store.stash import StashCipher
from aloma_py.transfer import ROWS, ArchiveWriter, Rows, Sealer, layout
from aloma_py.transfer.manifest import LeftOut

Told = Callable[[int, int], None]
"""Is told how much of how much is done."""

_ENDED: Final = ", ".join(f"'{state.value}'" for state in sorted(ENDED_STATES))

# The tasks that are wanted, once for all: the members that follow are in their order. A temporary table takes no room
# in memory to speak of, and is gone with the connection.
_CHOSEN: Final = "CREATE TEMP TABLE chosen (no INTEGER PRIMARY KEY, id TEXT NOT NULL)"
_CHOOSE: Final = f"""
INSERT INTO temp.chosen SELECT no, id FROM task WHERE workspace = :workspace
    AND (updated_at >= :since OR (NOT :ended_only AND state NOT IN ({_ENDED})))
    AND (NOT :ended_only OR state IN ({_ENDED}))
ORDER BY no
"""

_OF_TASKS: Final[Mapping[str, str]] = {
    "tasks": "SELECT {columns} FROM temp.chosen CROSS JOIN task ON task.no = chosen.no"
    " CROSS JOIN origin ON origin.task = task.id ORDER BY chosen.no",
    "history": "SELECT {columns} FROM temp.chosen CROSS JOIN entry ON entry.task = chosen.id ORDER BY chosen.no, n",
    "calls": "SELECT {columns} FROM temp.chosen CROSS JOIN call ON call.task = chosen.id ORDER BY chosen.no, call.no",
    "audit": "SELECT {columns} FROM temp.chosen CROSS JOIN audit ON audit.task = chosen.id"
    " ORDER BY chosen.no, audit.no",
    "visualizations": "SELECT {columns} FROM temp.chosen CROSS JOIN visualization ON visualization.task = chosen.id"
    " ORDER BY chosen.no, visualization.no",
}
_BLOBS: Final = (
    "SELECT {columns} FROM blob WHERE workspace = ? AND task IS NULL ORDER BY id",
    "SELECT {columns} FROM temp.chosen CROSS JOIN blob ON blob.task = chosen.id ORDER BY chosen.no, blob.id",
)
_BY_WORKSPACE: Final[Mapping[str, str]] = {
    "versions": "SELECT {columns} FROM script_version WHERE workspace = ? ORDER BY kind, name, n",
    "files": "SELECT {columns} FROM file WHERE workspace = ? ORDER BY name",
    "webhook_keys": "SELECT {columns} FROM webhook_key WHERE webhook IN (SELECT id FROM webhook WHERE workspace = ?)"
    " ORDER BY webhook, key",
    "firings": "SELECT {columns} FROM firing WHERE schedule IN (SELECT id FROM schedule WHERE workspace = ?)"
    " ORDER BY schedule, at",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of the tasks: none, all, those that are open or changed since then, only those that ended."""

    tasks: bool = False
    since: Millis | None = None
    ended_only: bool = False


class Exporter:
    """Writes ``workspace`` to ``writer``. Everything is read on ``connection``, in one transaction.

    Secrets are encrypted by ``sealer``; without one they are left out. ``cipher`` gives the store's key, if it is
    needed. Used by one thread.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        workspace: str,
        writer: ArchiveWriter,
        *,
        sealer: Sealer | None = None,
        cipher: Callable[[], StashCipher],
        told: Told = lambda done, total: None,
    ) -> None:
        self._connection = connection
        self._workspace = workspace
        self._writer = writer
        self._sealer = sealer
        self._cipher = cipher
        self._told = told
        self._sealed = layout.Sealed()
        self.left_out = LeftOut()
        self.counts: dict[str, int] = {}

    def write(self, wanted: Wanted) -> None:
        """Write every member; the manifest is the caller's. ``counts`` and ``left_out`` say then what was there.

        Raises :class:`~aloma_py.errors.StoreError` for a secret that cannot be decrypted, and what the file raises.
        """
        self._connection.execute("BEGIN")
        try:
            self._made_of()
            if wanted.tasks:
                self._tasks(wanted)
            if self._sealer is not None:
                self._writer.add(layout.SECRETS, layout.document(self._sealed))
        finally:
            self._connection.execute("ROLLBACK")

    # ── what it is made of ──────────────────────────────────────────────────────────────────────────────────────

    def _made_of(self) -> None:
        row = self._all("SELECT facts FROM workspace WHERE name = ?")
        facts = loads(row[0][0]) if row else {}
        known = {name: facts[name] for name in layout.Workspace.__struct_fields__ if facts.get(name)}
        self._writer.add(layout.WORKSPACE, layout.document(layout.Workspace(**known)))
        self.left_out.sources = list(facts.get("sources") or [])
        self.left_out.libraries = dict(facts.get("libraries") or {})
        self._scripts()
        self._copy("versions", (self._workspace,))
        self._variables()
        self._webhooks()
        self._schedules()
        self._source()
        self._connectors()

    def _scripts(self) -> None:
        found = []
        for kind, name, suffix, enabled, text, *rest in self._all(
            "SELECT kind, name, suffix, enabled, text, description, created_at, updated_at, updated_by FROM script "
            "WHERE workspace = ? ORDER BY no"
        ):
            file = f"{layout.FOLDERS[kind]}{name}{suffix}"
            facts = dict(zip(("description", "created_at", "updated_at", "updated_by"), rest, strict=True))
            found.append(layout.Script(kind=kind, name=name, suffix=suffix, file=file, enabled=bool(enabled), **facts))
            self._writer.add(file, text.encode())
        self._document(layout.SCRIPTS, found)
        self.counts["steps"] = sum(one.kind == "step" for one in found)
        self.counts["libraries"] = len(found) - self.counts["steps"]

    def _variables(self) -> None:
        found = []
        for name, value, sealed, *rest in self._all(
            "SELECT name, value, sealed, description, updated_at, updated_by FROM variable WHERE workspace = ? "
            "ORDER BY name"
        ):
            facts = dict(zip(("description", "updated_at", "updated_by"), rest, strict=True))
            content = None if value is None else loads(value)
            found.append(layout.Variable(name=name, secret=sealed is not None, value=content, **facts))
            if sealed is not None:
                place, what = places.place_of(self._workspace, name), places.what_of(self._workspace, name)
                again = self._again(place, sealed, what, f"variable {name}")
                if again is None:
                    self.left_out.secrets.append(name)
                else:
                    self._sealed.variables[name] = again
        self._document(layout.VARIABLES, found)
        self.counts["variables"] = sum(not one.secret for one in found)
        self.counts["secrets"] = len(self._sealed.variables)

    def _webhooks(self) -> None:
        columns = ("id", "name", "created_at", "created_by", "last_at", "accepted")
        found = []
        for options, sealed, *rest in self._all(
            f"SELECT options, sealed, {', '.join(columns)} FROM webhook WHERE workspace = ? ORDER BY name"
        ):
            facts = dict(zip(columns, rest, strict=True))
            found.append(layout.Webhook(options=loads(options), has_secret=sealed is not None, **facts))
            if sealed is not None:
                id, name = facts["id"], facts["name"]
                again = self._again(id, sealed, places.webhook_what(self._workspace, name), f"webhook {id}")
                if again is None:
                    self.left_out.webhook_secrets.append(name)
                else:
                    self._sealed.webhooks[id] = again
        self._document(layout.WEBHOOKS, found)
        self.counts["webhooks"] = len(found)

    def _schedules(self) -> None:
        columns = ("id", "name", "next_at", "last_at", "created_at", "created_by")
        found = [
            layout.Schedule(options=loads(options), enabled=bool(enabled), **dict(zip(columns, rest, strict=True)))
            for options, enabled, *rest in self._all(
                f"SELECT options, enabled, {', '.join(columns)} FROM schedule WHERE workspace = ? ORDER BY name"
            )
        ]
        self._document(layout.SCHEDULES, found)
        self.counts["schedules"] = len(found)

    def _source(self) -> None:
        columns = ("hook", "next_at", "last_at", "taken", "error", "failures", "updated_at", "updated_by")
        for options, seen, sealed, *rest in self._all(
            f"SELECT options, seen, sealed, {', '.join(columns)} FROM source WHERE workspace = ?"
        ):
            facts: dict[str, Any] = dict(zip(columns, rest, strict=True))
            facts |= {"options": loads(options), "seen": loads(seen)}
            self._document(layout.SOURCE, layout.Source(has_secret=sealed is not None, **facts))
            if sealed is not None:
                place, what = places.source_place(self._workspace), places.source_what(self._workspace)
                self._sealed.source = self._again(place, sealed, what, "source")
                self.left_out.source = self._sealed.source is None

    def _connectors(self) -> None:
        columns = ("namespace", "name", "kind", "created_at", "updated_at", "updated_by")
        found = []
        for options, sealed, enabled, *rest in self._all(
            f"SELECT options, sealed, enabled, {', '.join(columns)} FROM connector WHERE workspace = ? "
            "ORDER BY namespace"
        ):
            facts = dict(zip(columns, rest, strict=True))
            found.append(
                layout.Connector(options=loads(options), has_secret=sealed is not None, enabled=bool(enabled), **facts)
            )
            if sealed is not None:
                name = facts["namespace"]
                place, what = (
                    places.connector_place(self._workspace, name),
                    places.connector_what(self._workspace, name),
                )
                again = self._again(place, sealed, what, f"connector {name}")
                if again is None:
                    self.left_out.connectors.append(name)
                else:
                    self._sealed.connectors[name] = again
        if found:
            self._document(layout.CONNECTORS, found)
        self.counts["connectors"] = len(found)

    # ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _tasks(self, wanted: Wanted) -> None:
        connection = self._connection
        connection.execute(_CHOSEN)
        values = {
            "workspace": self._workspace,
            "since": -(2**62) if wanted.since is None else wanted.since,
            "ended_only": wanted.ended_only,
        }
        connection.execute(_CHOOSE, values)
        chosen = connection.execute("SELECT count(*) FROM temp.chosen").fetchone()[0]
        is_open = f"SELECT count(*) FROM temp.chosen CROSS JOIN task USING (no) WHERE state NOT IN ({_ENDED})"
        self.counts["open_tasks"] = connection.execute(is_open).fetchone()[0]
        for stage, name in enumerate(_OF_TASKS):
            self._of_tasks(name, stage, chosen)
        with self._writer.lines(ROWS["blobs"].name) as write:
            for sql, values_ in zip(_BLOBS, ((self._workspace,), ()), strict=True):
                self.counts["blobs"] = self.counts.get("blobs", 0) + self._write(ROWS["blobs"], sql, values_, write)
        for name in ("files", "webhook_keys", "firings"):
            self._copy(name, (self._workspace,))

    def _of_tasks(self, name: str, stage: int, chosen: int) -> None:
        rows, number, tasks, last = ROWS[name], 0, 0, None
        total = chosen * len(_OF_TASKS)
        with self._writer.lines(rows.name) as write:
            for row in self._rows(rows, _OF_TASKS[name], ()):
                number += 1
                if row[0] != last:
                    last, tasks = row[0], tasks + 1
                    if not tasks % 64:
                        self._told(stage * chosen + tasks, total)
                write(rows.encode(self._with_stash(row) if name == "tasks" else row))
        self._told((stage + 1) * chosen, total)
        self.counts[name] = number

    def _with_stash(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """The row of a task with its ``$stash`` encrypted for the file, or without it."""
        id, stash = row[0], row[_STASH]
        if stash is None:
            return row
        again = None
        if self._sealer is None:
            self.left_out.stashes += 1
        else:
            text = dumps(self._cipher().decrypt(id, stash)).encode()
            again = self._sealer.seal(f"stash {id}", text)
        return (*row[:_STASH], again, *row[_STASH + 1 :])

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _copy(self, name: str, values: tuple[Any, ...]) -> None:
        with self._writer.lines(ROWS[name].name) as write:
            self.counts[name] = self._write(ROWS[name], _BY_WORKSPACE[name], values, write)

    def _write(self, rows: Rows, sql: str, values: tuple[Any, ...], write: Callable[[bytes], None]) -> int:
        number = 0
        for row in self._rows(rows, sql, values):
            write(rows.encode(row))
            number += 1
        return number

    def _rows(self, rows: Rows, sql: str, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        table = {"tasks.ndjson": "task.", "blobs.ndjson": "blob.", "audit.ndjson": "audit."}.get(rows.name, "")
        columns = ["origin.data" if name == "initial" else f"{table}{name}" for name in rows.columns]
        return self._connection.execute(sql.format(columns=", ".join(columns)), values)

    def _all(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, (self._workspace,)).fetchall()

    def _document(self, name: str, value: Any) -> None:
        self._writer.add(name, layout.document(value))

    def _again(self, place: str, blob: bytes, what: str, new_place: str) -> str | None:
        """What the store has encrypted for ``place``, encrypted for the file; ``None`` where that is not wanted."""
        if self._sealer is None:
            return None
        return self._sealer.seal_text(new_place, self._cipher().unseal(place, blob, what))


_STASH: Final = ROWS["tasks"].columns.index("stash")
