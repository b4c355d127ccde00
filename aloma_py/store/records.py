"""Records to rows and back. Parsed afresh each time, so that no two callers share an object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aloma_py.jsontext import dumps, loads
from aloma_py.models import (
    AuditEntry,
    Blob,
    Call,
    Change,
    Conflict,
    Cycle,
    Entry,
    ErrorInfo,
    Json,
    LogLine,
    Millis,
    Task,
    TaskState,
    Visualization,
)

Row = Sequence[Any]

AT_ONCE: Final = 0
"""``wake_at`` of a task that waits for nothing."""

TASK_FIXED: Final = ("id", "workspace", "created_at", "parent", "into_path", "wait_for")
"""Columns that never change after a task was accepted."""

TASK_MOVING: Final = (
    "state",
    "wake_at",
    "updated_at",
    "ended_at",
    "due_at",
    "expires_at",
    "last_entry",
    "name",
    "tags",
    "reason",
    "result",
    "on_expire",
    "cycle",
    "stash",
    "data",
)
"""Columns that a commit writes (and ``revision``)."""

TASK_COLUMNS: Final = (*TASK_FIXED, "revision", *TASK_MOVING)
"""Columns of an accepted task, in the order of :func:`new_row`; :func:`read_task` wants ``initial`` behind them."""

ENTRY_COLUMNS: Final = (
    "task",
    "n",
    "kind",
    "started_at",
    "ended_at",
    "step",
    "version",
    "wave",
    "attempt",
    "outcome",
    "changes",
    "conflicts",
    "effects",
    "error",
    "logs",
)

CALL_COLUMNS: Final = (
    "task",
    "step",
    "ordinal",
    "attempt",
    "connector",
    "method",
    "digest",
    "position",
    "outcome",
    "key",
    "started_at",
    "ended_at",
    "arguments",
    "answer",
)


def wake_at(task: Task) -> Millis | None:
    """When the task is to be looked at again: 0 at once, ``None`` not by itself.

    A pending or running task waits for ``due_at`` only; a waiting one for ``due_at`` or ``expires_at``.
    """
    if task.state is TaskState.WAITING:
        if task.due_at is None or task.expires_at is None:
            return task.due_at if task.expires_at is None else task.expires_at
        return min(task.due_at, task.expires_at)
    if task.state.ended:
        return None
    return AT_ONCE if task.due_at is None else task.due_at


def moving_row(task: Task) -> tuple[Any, ...]:
    """The values of :data:`TASK_MOVING`."""
    cycle = task.cycle.to_json()
    return (
        task.state.value,
        wake_at(task),
        task.updated_at,
        task.ended_at,
        task.due_at,
        task.expires_at,
        task.last_entry,
        _text(task.name),
        dumps(task.tags) if task.tags else None,
        None if task.reason is None else _text(task.reason),
        None if task.result is None else dumps(task.result),
        None if task.on_expire is None else dumps(task.on_expire),
        dumps(cycle) if cycle else None,
        task.stash,
        dumps(task.data),
    )


def new_row(task: Task) -> tuple[Any, ...]:
    """The values of :data:`TASK_COLUMNS`."""
    return (
        task.id,
        task.workspace,
        task.created_at,
        task.parent,
        task.into,
        task.wait_for,
        task.revision,
        *moving_row(task),
    )


def read_task(row: Row) -> Task:
    """The task of a row of :data:`TASK_COLUMNS` followed by ``initial``."""
    (
        id_,
        workspace,
        created_at,
        parent,
        into,
        wait_for,
        revision,
        state,
        _,
        updated_at,
        ended_at,
        due_at,
        expires_at,
        last_entry,
        name,
        tags,
        reason,
        result,
        on_expire,
        cycle,
        stash,
        data,
        initial,
    ) = row
    return Task(
        id=id_,
        workspace=workspace,
        name=name,
        data=loads(data),
        initial=loads(initial),
        created_at=created_at,
        tags=loads(tags) if tags else [],
        state=TaskState(state),
        reason=reason,
        result=None if result is None else loads(result),
        updated_at=updated_at,
        ended_at=ended_at,
        due_at=due_at,
        expires_at=expires_at,
        on_expire=None if on_expire is None else loads(on_expire),
        parent=parent,
        into=into,
        wait_for=bool(wait_for),
        last_entry=last_entry,
        revision=revision,
        cycle=Cycle.from_json(loads(cycle)) if cycle else Cycle(),
        stash=stash,
    )


def entry_row(task_id: str, entry: Entry) -> tuple[Any, ...]:
    """The values of :data:`ENTRY_COLUMNS`."""
    error = entry.error
    return (
        task_id,
        entry.n,
        entry.kind,
        entry.started_at,
        entry.ended_at,
        entry.step,
        entry.version,
        entry.wave,
        entry.attempt,
        entry.outcome,
        dumps([(change.op, change.path, change.value) for change in entry.changes]) if entry.changes else None,
        dumps([(one.path, one.lost, one.won) for one in entry.conflicts]) if entry.conflicts else None,
        dumps(entry.effects) if entry.effects else None,
        None if error is None else dumps((error.type, error.message, error.stack, error.status)),
        dumps([(line.at, line.level, line.text) for line in entry.logs]) if entry.logs else None,
    )


def read_entry(row: Row) -> Entry:
    """The entry of a row of :data:`ENTRY_COLUMNS`."""
    _, n, kind, started_at, ended_at, step, version, wave, attempt, outcome = row[:10]
    changes, conflicts, effects, error, logs = row[10:]
    return Entry(
        n=n,
        kind=kind,
        started_at=started_at,
        ended_at=ended_at,
        step=step,
        version=version,
        wave=wave,
        attempt=attempt,
        outcome=outcome,
        changes=read_changes(changes),
        conflicts=tuple(Conflict(tuple(path), lost, won) for path, lost, won in loads(conflicts or "[]")),
        effects=tuple(loads(effects or "[]")),
        error=None if error is None else ErrorInfo(*loads(error)),
        logs=tuple(LogLine(*line) for line in loads(logs or "[]")),
    )


def read_changes(text: str | None) -> tuple[Change, ...]:
    """The changes of an entry's ``changes`` column."""
    return tuple(Change(op, tuple(path), value) for op, path, value in loads(text)) if text else ()


def call_row(task_id: str, call: Call) -> tuple[Any, ...]:
    """The values of :data:`CALL_COLUMNS`."""
    return (
        task_id,
        call.step,
        call.ordinal,
        call.attempt,
        call.connector,
        call.method,
        call.digest,
        call.position,
        call.outcome,
        call.key,
        call.started_at,
        call.ended_at,
        dumps(call.arguments),
        dumps(call.answer),
    )


def read_call(row: Row) -> Call:
    """The call of a row of :data:`CALL_COLUMNS`."""
    _, step, ordinal, attempt, connector, method, digest, position, outcome, key, started_at, ended_at = row[:12]
    return Call(
        step=step,
        ordinal=ordinal,
        attempt=attempt,
        connector=connector,
        method=method,
        digest=digest,
        position=position,
        arguments=loads(row[12]),
        outcome=outcome,
        answer=loads(row[13]),
        key=key,
        started_at=started_at,
        ended_at=ended_at,
    )


def audit_row(task_id: str, line: AuditEntry) -> tuple[Any, ...]:
    """Values for ``audit (task, at, kind, reference, text, details)``."""
    reference = None
    if line.kind == "reference" and isinstance(line.details, dict) and line.details.get("id") is not None:
        reference = _text(str(line.details["id"]))
    details = None if line.details is None else dumps(line.details)
    return task_id, line.at, line.kind, reference, _text(line.text), details


def read_audit(row: Row) -> AuditEntry:
    """The line of ``audit (at, kind, text, details)``."""
    at, kind, text, details = row
    return AuditEntry(at, kind, text, None if details is None else loads(details))


def visualization_row(task_id: str, picture: Visualization) -> tuple[Any, ...]:
    """Values for ``visualization (task, at, type, name, data, options)``."""
    options: Json = None if picture.options is None else dumps(picture.options)
    return task_id, picture.at, picture.type, _text(picture.name), dumps(picture.data), options


def read_visualization(row: Row) -> Visualization:
    """The picture of ``visualization (at, type, name, data, options)``."""
    at, kind, name, data, options = row
    return Visualization(at, kind, name, loads(data), None if options is None else loads(options))


def blob_row(workspace: str, blob: Blob) -> tuple[Any, ...]:
    """Values for ``blob (id, workspace, task, name, mimetype, meta, created_at, content)``."""
    meta = None if blob.meta is None else dumps(blob.meta)
    return blob.id, workspace, blob.task, blob.name, blob.mimetype, meta, blob.created_at, blob.content


def read_blob(row: Row) -> Blob:
    """The blob of ``blob (id, task, name, mimetype, meta, created_at, content)``."""
    id_, task, name, mimetype, meta, created_at, content = row
    return Blob(id_, task, name, mimetype, content, None if meta is None else loads(meta), created_at)


def _text(text: str) -> str:
    """Text that SQLite can hold: a lone surrogate, which JSON allows and UTF-8 does not, becomes U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
