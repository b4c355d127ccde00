"""The rows of an export into the store: looked at first, all of them, and then written in small transactions.

While that goes on the workspace is closed, and says so (its fact ``importing``). It is opened by the last transaction.
What an import that died has left is taken out by :func:`clear_interrupted`.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from aloma_py.errors import InputError
from aloma_py.intake.tasks import new_task_id
from aloma_py.jsontext import loads
from aloma_py.models import Task
from aloma_py.store import records
from aloma_py.transfer import ROWS, Archive, Sealer
from aloma_py.transfer.layout import AROUND_TASKS, LARGEST, TIME

_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}", re.ASCII)
_OUR_IDS: Final = re.compile(r"task-[0-9a-v]{20}|blob-[0-9a-f]{24}")
"""Ids as they are made: where they stand in data, they are known without a doubt."""

_TASK: Final = {name: at for at, name in enumerate(ROWS["tasks"].columns)}
_UNREADABLE: Final = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, msgspec.ValidationError,
)  # fmt: skip


class _Cycle(msgspec.Struct):
    """What a task's cycle may be; who has it trusts it."""

    runs: int = 0
    wave: int = 0
    matched: bool = False
    spent: list[str] = []
    ordinals: dict[str, int] = {}
    retries: dict[str, tuple[int, TIME]] = {}
    idle_redos: dict[str, int] = {}
    held: int = 0
    owed: int = 0
    person: str | None = None
    delivered: bool = False
    depth: int = 0


class Ids:
    """The ids of an export's tasks and blobs, and what each is to be here; kept in a file of its own that nobody sees.

    With ``new`` each gets another one.
    """

    def __init__(self, *, new: bool) -> None:
        self.new = new
        # Isolated in a temporary database: an export may have more of them than there is memory.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("CREATE TABLE ids (old TEXT PRIMARY KEY, kind TEXT, new TEXT) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, kind: str, id: str, at: int = 0) -> bool:
        """Take in an id; ``False`` where it was there before."""
        made = id
        if self.new:
            made = new_task_id(at) if kind == "task" else f"blob-{secrets.token_hex(12)}"
        sql = "INSERT OR IGNORE INTO ids VALUES (?, ?, ?)"
        return bool(self._database.execute(sql, (id, kind, made)).rowcount)

    def has_task(self, id: str) -> bool:
        """Whether the export has a task of that id."""
        sql = "SELECT 1 FROM ids WHERE old = ? AND kind = 'task'"
        return self._database.execute(sql, (id,)).fetchone() is not None

    def get(self, id: str) -> str:
        """What the id is here; itself, where the export does not have it."""
        if not self.new:
            return id
        row = self._database.execute("SELECT new FROM ids WHERE old = ?", (id,)).fetchone()
        return id if row is None else str(row[0])

    def within(self, text: str | None) -> str | None:
        """A text with those ids in it that are other ones here."""
        if not self.new or text is None or ("task-" not in text and "blob-" not in text):
            return text
        return _OUR_IDS.sub(lambda found: self.get(found[0]), text)

    def batches(self, kind: str, size: int = 500) -> Iterator[list[str]]:
        """The ids as they will be here, some at a time."""
        last = ""
        sql = "SELECT old, new FROM ids WHERE kind = ? AND old > ? ORDER BY old LIMIT ?"
        while rows := self._database.execute(sql, (kind, last, size)).fetchall():
            yield [new for _, new in rows]
            last = rows[-1][0]

    def close(self) -> None:
        self._database.close()


@dataclass(slots=True)
class Bundle:
    """A task's line with its number, and the lines around it, by member."""

    number: int
    task: tuple[Any, ...]
    around: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return str(self.task[0])

    @property
    def weight(self) -> int:
        """About how many bytes it has."""
        rows = (self.task, *(row for rows in self.around.values() for row in rows))
        return sum(len(value) for row in rows for value in row if isinstance(value, (str, bytes)))


class _Stream:
    """The lines of a member that come in the order of the tasks."""

    def __init__(self, archive: Archive, name: str) -> None:
        self.name = name
        self._column = ROWS[name].columns.index("task")
        self._rows = archive.rows(name)
        self._next = next(self._rows, None)

    def of(self, task: str | None) -> list[tuple[Any, ...]]:
        """The lines of that task, which is the next one."""
        found = []
        while self._next is not None and self._next[1][self._column] == task:
            found.append(self._next[1])
            self._next = next(self._rows, None)
        return found

    def check_end(self) -> None:
        if self._next is not None:
            number, row = self._next
            raise ROWS[self.name].wrong(number, f"the task {row[self._column]!r} is not there, or not in this order")


def bundles(archive: Archive) -> Iterator[Bundle]:
    """The export's tasks, each with all around it; its members are read side by side."""
    streams = [_Stream(archive, name) for name in AROUND_TASKS]
    for stream in streams:
        stream.of(None)  # blobs of no task: see loose_blobs
    for number, row in archive.rows("tasks"):
        yield Bundle(number, row, {stream.name: stream.of(row[0]) for stream in streams})
    for stream in streams:
        stream.check_end()


def loose_blobs(archive: Archive) -> list[tuple[Any, ...]]:
    """The blobs that belong to no task."""
    return _Stream(archive, "blobs").of(None)


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def check_tasks(
    archive: Archive,
    workspace: str,
    ids: Ids,
    sealer: Sealer | None,
    owners: Mapping[str, Collection[str]],
    told: Callable[[int], None] = lambda count: None,
) -> None:
    """Read all tasks of the export with all around them, and fill ``ids``. ``told`` is called with each that was read.

    ``owners`` are the ids of its webhooks and schedules, by the member whose lines belong to them.
    Raises :class:`~aloma_py.errors.InputError` for the first thing that is not as it should be.
    """
    for row in loose_blobs(archive):
        _check_blob(ids, 1, row)
    for bundle in bundles(archive):
        _check_bundle(bundle, workspace, ids, sealer)
        told(1)
    for name in ("versions", "files"):
        for _ in archive.rows(name):
            pass
    for name, known in owners.items():
        for number, row in archive.rows(name):
            if row[0] not in known:
                raise ROWS[name].wrong(number, f"there is no {ROWS[name].columns[0]} {row[0][:80]!r} in the file")


def _check_bundle(bundle: Bundle, workspace: str, ids: Ids, sealer: Sealer | None) -> None:
    rows, number = ROWS["tasks"], bundle.number
    if not _ID.fullmatch(bundle.id):
        raise rows.wrong(number, f"{bundle.id[:80]!r} is no id of a task")
    try:
        task = read_task(bundle.task, workspace)
        cycle = bundle.task[_TASK["cycle"]]
        msgspec.convert(loads(cycle) if cycle else {}, _Cycle)
        entries = [records.read_entry(row) for row in bundle.around["history"]]
        for call in bundle.around["calls"]:
            records.read_call(call)
        for line in bundle.around["audit"]:
            records.read_audit(line[1:])
        for picture in bundle.around["visualizations"]:
            records.read_visualization(picture[1:])
    except _UNREADABLE as error:
        raise rows.wrong(number, f"the task {bundle.id}, or what is around it, cannot be read: {error}") from None
    _check_task(number, task)
    if [entry.n for entry in entries] != [*range(1, task.last_entry + 1)]:
        raise rows.wrong(number, f"its history should have {task.last_entry} entries, but there are {len(entries)}")
    if not ids.add("task", task.id, max(task.created_at, 0)):
        raise rows.wrong(number, f"the task {task.id} is there twice")
    for blob in bundle.around["blobs"]:
        _check_blob(ids, number, blob)
    if task.stash is not None:
        open_stash(task.id, task.stash, sealer)


def _check_task(number: int, task: Task) -> None:
    wrong = None
    data: tuple[Any, ...] = (task.data, task.initial)  # whatever stood there
    if not all(isinstance(one, dict) for one in data):
        wrong = "its data is no object"
    elif not _are_texts(task.tags):
        wrong = "its tags are no texts"
    elif task.state.ended and task.ended_at is None:
        wrong = f"it is {task.state}, but does not say when it ended"
    elif not all(0 <= one <= LARGEST for one in _numbers(task)):
        wrong = "it has numbers that cannot be"
    elif not all(1 <= retry.attempt <= LARGEST for retry in task.cycle.retries.values()):
        wrong = "it has attempts that cannot be"
    if wrong is not None:
        raise ROWS["tasks"].wrong(number, wrong)


def _numbers(task: Task) -> tuple[int, ...]:
    cycle = task.cycle
    counted = (*cycle.ordinals.values(), *cycle.idle_redos.values(), cycle.runs, cycle.wave)
    return (*counted, cycle.held, cycle.owed, cycle.depth, task.revision, task.last_entry)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _check_blob(ids: Ids, number: int, row: tuple[Any, ...]) -> None:
    id, _, _, _, meta = row[:5]
    rows = ROWS["blobs"]
    if not _ID.fullmatch(id):
        raise rows.wrong(number, f"{id[:80]!r} is no id of a blob")
    if not ids.add("blob", id):
        raise rows.wrong(number, f"the blob {id} is there twice")
    try:
        about = None if meta is None else loads(meta)
    except ValueError as error:
        raise rows.wrong(number, f"the meta of {id} cannot be read: {error}") from None
    if about is not None and not isinstance(about, dict):
        raise rows.wrong(number, f"the meta of {id} is no object")


def open_stash(id: str, sealed: bytes, sealer: Sealer | None) -> Mapping[str, Any]:
    """The values of a task's ``$stash``."""
    if sealer is None:
        raise InputError(f"the $stash of the task {id} is encrypted, but the manifest does not say with what")
    try:
        found = loads(sealer.unseal(f"stash {id}", sealed))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"the $stash of the task {id} is no object")
    return found


def read_task(row: tuple[Any, ...], workspace: str) -> Task:
    """The task of a line."""
    found = {name: row[at] for name, at in _TASK.items()}
    stored = [
        workspace if name == "workspace" else None if name == "wake_at" else found[name]
        for name in records.TASK_COLUMNS
    ]
    return records.read_task((*stored, found["initial"]))


def task_row(row: tuple[Any, ...], task: Task, ids: Ids, stash: bytes | None) -> tuple[tuple[Any, ...], str]:
    """The row of ``task`` and its first data's text, with the ids that it has here; JSON stays as it was written.

    A parent that is not in the export is none: the store may have a task of that id, which is somebody else's.
    """
    found: dict[str, Any] = {name: row[at] for name, at in _TASK.items()}
    for name in ("data", "initial", "result", "on_expire", "cycle", "reason"):
        found[name] = ids.within(found[name])
    found["id"] = ids.get(task.id)
    if task.parent is not None and ids.has_task(task.parent):
        found["parent"] = ids.get(task.parent)
    else:
        found["parent"] = found["into_path"] = None
    found |= {"workspace": task.workspace, "wake_at": records.wake_at(task), "stash": stash}
    return tuple(found[name] for name in records.TASK_COLUMNS), str(found["initial"])
