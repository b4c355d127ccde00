"""Writing what was looked at: the workspace is closed while that goes on, and opened by the last transaction."""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

import anyio
import anyio.to_thread

from aloma_py.errors import InputError, StateError
from aloma_py.jsontext import dumps, loads
from aloma_py.models import Millis
from aloma_py.steps.javascript.define import version_of_text
from aloma_py.store import places, records, statements
from aloma_py.store.claims import clear_or_tell, mark_of, refuse_filled
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.taking_in import Bundle, Ids, bundles, loose_blobs, open_stash, read_task, task_row
from aloma_py.store.writer import Write
from aloma_py.transfer import Archive, Sealer, layout

logger = logging.getLogger("aloma_py.store")

BATCH: Final = 100
"""How many tasks, or rows of another kind, go in one transaction."""

BATCH_BYTES: Final = 2 * 1024 * 1024
"""After how many bytes there are no more of them."""

_CALL: Final = f"INSERT INTO call (no, {', '.join(records.CALL_COLUMNS)}) VALUES ({', '.join('?' * 15)})"
_AUDIT: Final = "INSERT INTO audit (task, at, kind, reference, text, details) VALUES (?, ?, ?, ?, ?, ?)"
_PICTURE: Final = "INSERT INTO visualization (task, at, type, name, data, options) VALUES (?, ?, ?, ?, ?, ?)"
_BLOB: Final = (
    "INSERT INTO blob (id, workspace, task, name, mimetype, meta, created_at, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@dataclass(slots=True)
class Made:
    """What a workspace is to be made of. Secrets are in plain: they are encrypted when they are written."""

    facts: dict[str, Any] = field(default_factory=dict)
    scripts: list[tuple[layout.Script, str]] = field(default_factory=list)
    variables: list[layout.Variable] = field(default_factory=list)
    webhooks: list[layout.Webhook] = field(default_factory=list)
    schedules: list[layout.Schedule] = field(default_factory=list)
    source: layout.Source | None = None
    folder: str | None = None  # of the server, which the workspace followed, and does not here
    connectors: list[layout.Connector] = field(default_factory=list)
    secrets: layout.Sealed = field(default_factory=layout.Sealed)
    new_ids: dict[str, str] = field(default_factory=dict)  # of webhooks, schedules and the source's hook, by old ones

    def id(self, old: str) -> str:
        return self.new_ids.get(old, old)


class Importer:
    """Writes ``archive``, which was looked at, into the workspace ``name``, which is :func:`claimed`.

    ``now`` is the time.
    """

    def __init__(
        self, store: SQLiteStore, name: str, archive: Archive, ids: Ids, sealer: Sealer | None, now: Millis
    ) -> None:
        self._store = store
        self._name = name
        self.archive = archive
        self._ids = ids
        self._sealer = sealer
        self._now = now
        self._mark = secrets.token_hex(8)

    async def write(
        self, made: Made, closed: Callable[[], Any], told: Callable[[int], None] = lambda count: None
    ) -> None:
        """Write everything. ``closed`` is awaited when the workspace takes nothing any more.

        Raises :class:`~aloma_py.errors.StateError` where the workspace is closed, or not empty. Whatever it raises,
        what it wrote is taken out again; a process that dies leaves that to the next one.
        """
        await self._store.writer.write(Write(job=self._begin))
        try:
            await closed()
            await self._all(made, told)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await clear_or_tell(self._store, self._name, self._mark)
            raise

    async def _all(self, made: Made, told: Callable[[int], None]) -> None:
        await self._write(partial(self._made, made=made))
        await self._copy(_COPIED, made)
        blobs = iter(loose_blobs(self.archive))
        while loose := [self._blob(row) for row in islice(blobs, BATCH)]:
            await self._write(partial(_insert_many, sql=_BLOB, rows=loose))
        each = bundles(self.archive)
        while found := await anyio.to_thread.run_sync(_bundles, each):
            rows = await anyio.to_thread.run_sync(self._rows, found)
            await self._write(partial(_insert, rows=rows))
            told(len(found))
        await self._copy(_HANGING, made)
        await self._write(partial(self._end, facts=made.facts))

    async def _copy(self, members: Mapping[str, str], made: Made) -> None:
        for name, sql in members.items():
            each = self._copied(name, made)
            while batch := await anyio.to_thread.run_sync(_batch, each):
                await self._write(partial(_insert_many, sql=sql, rows=batch))

    # ── the workspace's own row ─────────────────────────────────────────────────────────────────────────────────

    def _begin(self, connection: sqlite3.Connection) -> None:
        before = refuse_filled(connection, self._name)
        # Closed as an archived one is, until the end.
        marked = {**(before or {}), "archived_at": self._now, "importing": {"id": self._mark, "before": before}}
        connection.execute("INSERT OR REPLACE INTO workspace (name, facts) VALUES (?, ?)", (self._name, dumps(marked)))

    def _end(self, connection: sqlite3.Connection, facts: Mapping[str, Any]) -> None:
        (text,) = connection.execute("SELECT facts FROM workspace WHERE name = ?", (self._name,)).fetchone()
        kept = {name: value for name, value in loads(text).items() if name not in ("archived_at", "importing")}
        connection.execute("UPDATE workspace SET facts = ? WHERE name = ?", (dumps({**kept, **facts}), self._name))

    async def _write(self, job: Callable[[sqlite3.Connection], Any]) -> None:
        """Do ``job`` in a transaction, as long as the workspace is this import's."""

        def checked(connection: sqlite3.Connection) -> None:
            if mark_of(connection, self._name) != self._mark:
                raise StateError(f"the workspace {self._name!r} was removed while it was being imported")
            job(connection)

        await self._store.writer.write(Write(job=checked))

    # ── what it is made of ──────────────────────────────────────────────────────────────────────────────────────

    def _made(self, connection: sqlite3.Connection, made: Made) -> None:
        place, sealed = self._name, made.secrets
        insert = partial(_insert_row, connection)
        for no, (script, text) in enumerate(made.scripts, 1):
            insert("script", workspace=place, kind=script.kind, name=script.name, no=no, suffix=script.suffix,
                   version=version_of_text(text), enabled=script.enabled, description=script.description,
                   created_at=script.created_at, updated_at=script.updated_at, updated_by=script.updated_by,
                   text=text)  # fmt: skip
        for variable in made.variables:
            secret = sealed.variables.get(variable.name)
            if variable.secret and secret is None:
                continue  # it is to be set again
            insert("variable", workspace=place, name=variable.name, description=variable.description,
                   value=None if variable.secret else dumps(variable.value),
                   sealed=self._seal(places.place_of(place, variable.name), secret),
                   updated_at=variable.updated_at, updated_by=variable.updated_by)  # fmt: skip
        for webhook in made.webhooks:
            id = made.id(webhook.id)
            insert("webhook", id=id, workspace=place, name=webhook.name, options=dumps(webhook.options),
                   sealed=self._seal(id, sealed.webhooks.get(webhook.id)), created_at=webhook.created_at,
                   created_by=webhook.created_by, last_at=webhook.last_at, accepted=webhook.accepted)  # fmt: skip
        for one in made.schedules:
            insert("schedule", id=made.id(one.id), workspace=place, name=one.name, enabled=one.enabled,
                   options=dumps(one.options), next_at=one.next_at, last_at=one.last_at,
                   created_at=one.created_at, created_by=one.created_by)  # fmt: skip
        if made.source is not None:
            source = made.source
            insert("source", workspace=place, options=dumps(source.options),
                   sealed=self._seal(places.source_place(place), sealed.source),
                   hook=None if source.hook is None else made.id(source.hook), next_at=source.next_at,
                   last_at=source.last_at, taken=source.taken, error=source.error, seen=dumps(source.seen),
                   failures=source.failures, updated_at=source.updated_at, updated_by=source.updated_by)  # fmt: skip
        for connector in made.connectors:
            name = connector.namespace
            insert("connector", workspace=place, namespace=name, name=connector.name, kind=connector.kind,
                   options=dumps(connector.options), enabled=connector.enabled,
                   sealed=self._seal(places.connector_place(place, name), sealed.connectors.get(name)),
                   created_at=connector.created_at, updated_at=connector.updated_at,
                   updated_by=connector.updated_by)  # fmt: skip

    def _seal(self, place: str, text: str | None) -> bytes | None:
        return None if text is None else self._store.cipher.seal(place, text)

    def _copied(self, name: str, made: Made) -> Iterator[tuple[Any, ...]]:
        for _, row in self.archive.rows(name):
            match name:
                case "webhook_keys":
                    webhook, key, task, at = row
                    yield made.id(webhook), key, self._ids.get(task), at
                case "firings":
                    schedule, at, task, why = row
                    yield made.id(schedule), at, None if task is None else self._ids.get(task), why
                case _:
                    yield self._name, *row

    # ── tasks ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _rows(self, found: list[Bundle]) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of some tasks, by table."""
        ids = self._ids
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in ("task", "origin", *_OTHERS)}
        for bundle in found:
            task, id = read_task(bundle.task, self._name), ids.get(bundle.id)
            stash = None
            if task.stash is not None:
                stash = self._store.cipher.encrypt(id, dict(open_stash(task.id, task.stash, self._sealer)))
            row, initial = task_row(bundle.task, task, ids, stash)
            rows["task"].append(row)
            rows["origin"].append((id, initial))
            for line in bundle.around["history"]:
                rows["entry"].append((id, *line[1:10], *map(ids.within, line[10:])))
            for line in bundle.around["calls"]:
                rows["call"].append((id, *line[1:12], *map(ids.within, line[12:])))
            for line in bundle.around["audit"]:
                rows["audit"].append(records.audit_row(id, records.read_audit((*line[1:4], ids.within(line[4])))))
            for line in bundle.around["visualizations"]:
                rows["visualization"].append((id, *line[1:4], *map(ids.within, line[4:])))
            rows["blob"] += [self._blob(line) for line in bundle.around["blobs"]]
        return rows

    def _blob(self, line: tuple[Any, ...]) -> tuple[Any, ...]:
        id, task, name, mimetype, meta, created_at, content = line
        whose = None if task is None else self._ids.get(task)
        return self._ids.get(id), self._name, whose, name, mimetype, meta, created_at, content


_OTHERS: Final = {"entry": "", "call": _CALL, "audit": _AUDIT, "visualization": _PICTURE, "blob": _BLOB}

_COPIED: Final = {
    "versions": "INSERT INTO script_version (workspace, kind, name, n, version, at, by, text)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "files": "INSERT INTO file (workspace, name, at, content) VALUES (?, ?, ?, ?)",
}

_HANGING: Final = {
    "webhook_keys": "INSERT INTO webhook_key (webhook, key, task, at) VALUES (?, ?, ?, ?)",
    "firings": "INSERT INTO firing (schedule, at, task, why) VALUES (?, ?, ?, ?)",
}
"""What hangs on webhooks and schedules."""


def _insert_many(connection: sqlite3.Connection, sql: str, rows: list[tuple[Any, ...]]) -> None:
    connection.executemany(sql, rows)


def _insert(connection: sqlite3.Connection, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    for table in ("task", "origin", "entry"):
        if rows[table]:
            statements.insert(connection, table, rows[table])
    for table, sql in _OTHERS.items():
        if sql and rows[table]:
            numbered = _numbered(connection, rows[table]) if table == "call" else rows[table]
            connection.executemany(sql, numbered)


def _numbered(connection: sqlite3.Connection, calls: list[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    """The rows of calls with their numbers: below all there are, since those above are counted as used here."""
    (least,) = connection.execute("SELECT coalesce(min(no), 1) FROM call").fetchone()
    first = min(least, 1) - len(calls)
    return ((first + at, *row) for at, row in enumerate(calls))


def _insert_row(connection: sqlite3.Connection, table: str, **values: Any) -> None:
    sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})"
    connection.execute(sql, tuple(values.values()))


def _bundles(each: Iterator[Bundle]) -> list[Bundle]:
    found: list[Bundle] = []
    weight = 0
    while len(found) < BATCH and weight < BATCH_BYTES:
        bundle = next(each, None)
        if bundle is None:
            break
        found.append(bundle)
        weight += bundle.weight
    return found


def _batch(rows: Iterator[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [*islice(rows, BATCH)]


# ── what is in the way ──────────────────────────────────────────────────────────────────────────────────────────────


async def taken(store: SQLiteStore, table: str, ids: Iterable[str], column: str = "id") -> list[str]:
    """Which of those ids are in the store already."""
    asked = [*ids]
    if not asked:
        return []
    sql = f"SELECT {column} FROM {table} WHERE {column} IN ({', '.join('?' * len(asked))})"
    return [id for (id,) in await store.read(lambda connection: connection.execute(sql, asked).fetchall())]


async def refuse_taken(store: SQLiteStore, ids: Ids) -> None:
    """Raise :class:`~aloma_py.errors.InputError` where the store has tasks or blobs of the export already."""
    for table in ("task", "blob"):
        for batch in ids.batches(table):
            found = await taken(store, table, batch)
            if found:
                raise InputError(
                    f"the store has {table}s of the file already ({', '.join(sorted(found)[:3])}): "
                    "--new-ids gives those of the file other ids"
                )
