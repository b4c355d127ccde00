"""``task``, ``step``, ``audit`` and ``user`` as step code sees them (SPEC §4). They note what is asked for."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from aloma_py import jsontext
from aloma_py.changes import copy_json
from aloma_py.durations import parse_duration
from aloma_py.errors import ResultError, RunError
from aloma_py.intake import check_data, check_name, check_tags, new_task_id
from aloma_py.models import AuditEntry, Json, Millis, Visualization
from aloma_py.paths import MAX_INDEX, parse_path
from aloma_py.run.effects import Subtask
from aloma_py.run.plain import plain
from aloma_py.run.runlog import as_text

if TYPE_CHECKING:
    from aloma_py.run.context import RunContext


def iso(at: Millis) -> str:
    """UTC ISO 8601 with milliseconds (SPEC §6)."""
    moment = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"


def iso_or_none(at: Millis | None) -> str | None:
    """The same of a time that may not be there."""
    return None if at is None else iso(at)


class Id(str):
    """A text that may also be called: ``task.id`` and ``task.id()`` are the same."""

    __slots__ = ()

    def __call__(self) -> str:
        return str(self)


class TaskHandle:
    """The task whose data the step's code works on."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.id = Id(context.task.id)

    def name(self, text: str | None = None) -> str:
        """The task's name; with ``text``, set it."""
        effects = self._context.open_effects()
        if text is not None:
            effects.name = check_name(text, self._context.limits)
        return effects.name if effects.name is not None else self._context.task.name

    def tags(self, tags: list[str] | None = None) -> list[str]:
        """The task's tags; with ``tags``, replace them."""
        effects = self._context.open_effects()
        if tags is not None:
            effects.tags = check_tags(tags, self._context.limits)
        return list(effects.tags if effects.tags is not None else self._context.task.tags)

    @property
    def created_at(self) -> str:
        """UTC ISO 8601."""
        return iso(self._context.task.created_at)

    def workspace(self) -> str:
        return self._context.task.workspace

    def region(self) -> str:
        """Where the engine runs; ``local`` unless configured."""
        return str(self._context.services.config.get("REGION", "local"))

    def config(self, name: str) -> Any:
        """A value of the workspace's environment, or ``None`` where there is none of that name."""
        return self._context.config(name)

    def complete(self, result: Any = None) -> None:
        """End the task as done after this wave, with a result. The rest of the step's code still runs."""
        effects = self._context.open_effects()
        effects.result = self._result(result, "task.complete")
        effects.completed = True

    def complete_on_expire(self, result: Any = None) -> None:
        """Where the task's time (:meth:`timeout`) expires, end it as done with this result; without it, as an error."""
        self._context.open_effects().on_expire = {"result": self._result(result, "task.complete_on_expire")}

    def _result(self, result: Any, what: str) -> Json:
        limits = self._context.limits
        content = plain(result, max_depth=limits.max_depth, root="result")
        size = len(jsontext.dumps(content))
        if size > limits.max_data_bytes:
            raise ResultError(
                f"{what}: the result is {size:,} bytes, more than the limit of {limits.max_data_bytes:,} bytes"
            )
        return content

    def timeout(self, after: Any) -> None:
        """Let the task expire so long after now; milliseconds, or a text such as ``"2h"``."""
        effects = self._context.open_effects()
        effects.expires_at = self._context.services.clock.now() + parse_duration(after, "task.timeout")

    def ignore(self) -> None:
        """End the task as ignored."""
        self._context.open_effects().ignored = True

    def park(self, after: Any = None) -> None:
        """Do not match the task again until so long after now (milliseconds, or a text such as ``"2h"``), or until
        its data is changed from outside, if that is earlier; without a time, only then."""
        effects = self._context.open_effects()
        effects.parked = True
        effects.park = None if after is None else parse_duration(after, "task.park")

    def subtask(
        self,
        name: str,
        data: Any = None,
        options: dict[str, Any] | None = None,
        *,
        into: str | None = None,
        wait_for: bool = False,
        delay: Any = 0,
        **more: Any,
    ) -> str:
        """Make a child task; gives its id. ``into`` and ``wait_for`` (or ``waitFor``) as in SPEC §4; ``delay`` holds
        it back: milliseconds, or a text such as ``"3d"``."""
        given = {"into": into, "waitFor": wait_for, "delay": delay, **(options or {}), **more}
        unknown = given.keys() - {"into", "waitFor", "delay"}
        if unknown:
            raise RunError(f"task.subtask knows no option {sorted(unknown)[0]!r}; it has: into, waitFor, delay")
        limits = self._context.limits
        content = plain(data if data is not None else {}, max_depth=limits.max_depth)
        if not isinstance(content, dict):
            raise RunError(f"the data of subtask {name!r} must be an object, not {type(content).__name__}")
        content.pop("$via", None)  # it comes from this task, wherever this one came from
        check_data(content, limits, where=f"the data of subtask {name!r}")
        if self._context.task.cycle.depth >= limits.max_subtask_depth:
            raise RunError(
                f"subtask {name!r} would be {limits.max_subtask_depth + 1} levels below the first task; "
                f"at most {limits.max_subtask_depth} are allowed (max_subtask_depth)"
            )
        _check_into(given["into"])
        child = Subtask(
            id=next(self._context.child_ids or iter(()), None) or new_task_id(self._context.services.clock.now()),
            name=check_name(name, self._context.limits),
            data=content,
            into=given["into"],
            wait_for=bool(given["waitFor"]),
            delay=parse_duration(given["delay"] or 0, "delay"),
        )
        self._context.open_effects().subtasks.append(child)
        return child.id

    def visualize(self, picture: dict[str, Any] | None = None, **named: Any) -> None:
        """Show a picture with the task: ``{type, name, data, options}``."""
        content = plain({**(picture or {}), **named})
        kind = content.get("type", "data")
        if kind not in PICTURES:
            raise RunError(f"task.visualize knows no type {kind!r}; there are: {', '.join(PICTURES)}")
        options = {name: value for name, value in content.items() if name not in ("type", "name", "data", "options")}
        options |= content.get("options") or {}
        self._context.open_effects().visualizations.append(
            Visualization(self._context.services.clock.now(), kind, str(content.get("name", kind)),
                          content.get("data"), options or None)
        )  # fmt: skip

    # The names of the original, beside Python's.
    completeOnExpire = complete_on_expire

    @property
    def createdAt(self) -> str:
        return self.created_at


def _check_into(into: Any) -> None:
    if into is None:
        return
    if not isinstance(into, str) or not into:
        raise RunError(f"into must be a path in the data, such as 'results.0', not {into!r}")
    too_large = [part for part in parse_path(into) if isinstance(part, int) and part > MAX_INDEX]
    if too_large:
        raise RunError(f"into {into!r}: the index {too_large[0]} is above {MAX_INDEX}")


PICTURES = ("data", "data-map", "table", "chart", "graph", "document")


class StepHandle:
    """The step whose code runs."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self.name = context.step.name
        self.attempt = context.attempt

    def redo(self) -> None:
        """Be eligible again after this run, even if the condition still matches."""
        self._context.open_effects().redo = True


class AuditHandle:
    """The task's audit trail."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def log(self, text: Any, details: Any = None) -> None:
        self._add(AuditEntry(self._context.services.clock.now(), "log", as_text(text), plain(details)))

    def reference(self, reference: dict[str, Any] | None = None, **named: Any) -> None:
        """Refer to something outside: ``{id, name, url, …}``. Tasks are found by the reference's id."""
        content = plain({**(reference or {}), **named})
        if content.get("id") in (None, ""):
            raise RunError("audit.reference needs an id")
        name = str(content.get("name") or content["id"])
        self._add(AuditEntry(self._context.services.clock.now(), "reference", name, content))

    def get(self) -> list[Json]:
        """The trail so far: ``{"msg": …}`` for a line, the object itself for a reference."""
        entries = [*self._context.audit_before, *self._context.open_effects().audit]
        return [audit_to_json(entry) for entry in entries]

    def _add(self, entry: AuditEntry) -> None:
        self._context.open_effects().audit.append(entry)


def audit_to_json(entry: AuditEntry) -> Json:
    """What ``audit.get()`` gives for one entry."""
    if entry.kind == "reference":
        return copy_json(entry.details)
    return {"msg": entry.text} if entry.details is None else {"msg": entry.text, "details": copy_json(entry.details)}


class UserHandle:
    """People. ``user.conversation`` shows data to one, or asks one: then the task waits for data from outside."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    def conversation(self, options: dict[str, Any] | None = None, **named: Any) -> None:
        """``{kind, title, name, data}``. With ``kind: "data"`` the data is shown; any other kind asks: when nothing
        else is eligible the task is ``waiting`` until its data is changed from outside."""
        content = plain({**(options or {}), **named})
        title = str(content.get("title") or content.get("name") or "a question")
        effects = self._context.open_effects()
        effects.visualizations.append(
            Visualization(self._context.services.clock.now(), "conversation", title, content.get("data"), content)
        )
        if content.get("kind", "data") != "data":
            effects.person = title
