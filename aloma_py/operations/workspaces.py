"""Operations on workspaces themselves: making, changing, archiving and deleting them, and how they are doing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

import anyio.lowlevel
from pydantic import Field, TypeAdapter, ValidationError

from aloma_py.durations import parse_duration
from aloma_py.errors import InputError, NotFoundError, StateError
from aloma_py.models import Json, Millis, Task, TaskFilter, TaskState
from aloma_py.notify.targets import untold
from aloma_py.operations.answers.workspaces import (
    HealthAnswer,
    ListedWorkspace,
    OverviewAnswer,
    Span,
    TaskLine,
    Unmentioned,
    WorkspaceDetails,
    WorkspaceShown,
)
from aloma_py.operations.connectorfacts import configured_of, problems
from aloma_py.operations.mentions import texts_of, word
from aloma_py.operations.registry import caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site
from aloma_py.operations.store import DAY, LONGEST_DAYS
from aloma_py.run.handles import iso, iso_or_none
from aloma_py.settings import Settings
from aloma_py.store import overview
from aloma_py.store.news import schedule_news, source_news
from aloma_py.store.notifications import Notifications
from aloma_py.store.usage import UsageRow, read_usage
from aloma_py.store.workspaces import DEFAULT, Facts, WorkspaceRecords, is_closed

GRACE: Final[Millis] = 30 * DAY
"""How long a workspace is kept after somebody asked to delete it."""

LONGEST: Final = 366 * DAY
"""The longest period that can be looked at."""

LOOKED_AT: Final = 1000
"""How many waiting tasks :meth:`WorkspaceOperations.workspace_health` judges."""

SHOWN: Final = 50
"""How many tasks it names."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

_CEILINGS: Final = {
    "max_runs": 1_000_000, "max_redo": 100_000, "max_data_bytes": 64 * 1024 * 1024, "max_hold": 60_000,
    "max_script_memory": 4096, "keep_tasks_days": LONGEST_DAYS, "keep_logs_days": LONGEST_DAYS,
}  # fmt: skip


def _adapter(name: str) -> TypeAdapter[Any]:
    """What reads a limit: as the setting of that name, up to its ceiling."""
    setting = Settings.model_fields[name]
    bounds = [*setting.metadata, *([Field(le=_CEILINGS[name])] if name in _CEILINGS else [])]
    kind: Any = Annotated[(setting.annotation, *bounds)] if bounds else setting.annotation
    return TypeAdapter(kind)


LIMITS: Final[Mapping[str, TypeAdapter[Any]]] = {
    name: _adapter(name)
    for name in (
        "max_runs", "max_redo", "max_data_bytes", "step_timeout", "max_hold", "max_script_memory", "parallel",
        "keep_tasks_days", "keep_logs_days",
    )
}  # fmt: skip
"""The limits that a workspace may have of its own, named as the settings that they stand in for."""


class WorkspaceOperations:
    """What can be asked of workspaces. Those of the account are of all of them, the others of the one at hand."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._records = WorkspaceRecords(site.store)

    @operation(Role.VIEWER, "GET /workspaces", account=True, anybody=True)
    async def list_workspaces(self) -> list[ListedWorkspace]:
        """The workspaces that the caller has a role in, by name, with how many tasks are in which state.

        With a role on the account these are all of them.
        """
        counts, places = await self._records.counts(), caller.get().places
        return [
            {**shown(name, facts), "tasks": counts.get(name, {})}
            for name, facts in self._records.all().items()
            if places is None or name in places
        ]

    @operation(Role.ADMIN, "POST /workspaces", status=201, account=True)
    async def add_workspace(
        self,
        name: str,
        title: str | None = None,
        tags: Sequence[str] = (),
        health_enabled: bool = False,
        notification_groups: Sequence[str] = (),
        limits: dict[str, Json] | None = None,
    ) -> WorkspaceShown:
        """Make a workspace. Its name is its id: it stands in addresses and stays as it is."""
        check_workspace_name(name)
        facts = changed({}, title, tags, health_enabled, notification_groups, limits)
        now = self.site.engine.clock.now()
        kept = {key: value for key, value in facts.items() if value is not None}
        await self._records.add(name, {**kept, "created_at": now})
        return shown(name, self._records.get(name))

    @operation(Role.VIEWER, "GET /")
    async def show_workspace(self) -> WorkspaceDetails:
        """The workspace: what it is called, its limits, where its steps come from, its tasks by state."""
        facts = self._records.get(self.site.workspace)
        counts = await self.site.engine.store.counts()
        return {
            **self._shown(facts),
            "sources": facts.get("sources") or [],
            "libraries": facts.get("libraries") or {},
            "tasks": {state.value: number for state, number in counts.items()},
        }

    @operation(Role.ADMIN, "PATCH /")
    async def update_workspace(
        self,
        title: str | None = None,
        tags: Sequence[str] | None = None,
        health_enabled: bool | None = None,
        notification_groups: Sequence[str] | None = None,
        limits: dict[str, Json] | None = None,
    ) -> WorkspaceShown:
        """Change what is given. An empty text or list clears; a limit that is null is the installation's again."""
        return await self._change(
            lambda facts: changed(facts, title, tags, health_enabled, notification_groups, limits)
        )

    @operation(Role.ADMIN, "POST /archive")
    async def archive_workspace(self, unarchive: bool = False) -> WorkspaceShown:
        """Set the workspace aside: its tasks rest where they are and none is taken. ``unarchive`` takes that back."""
        now = self.site.engine.clock.now()
        self._keep_default("archived")

        def change(facts: Facts) -> Mapping[str, Any]:
            if facts.get("importing"):
                raise StateError(f"the workspace {self.site.workspace!r} is being imported, and closed until that ends")
            if unarchive:
                return {"archived_at": None}
            return {"archived_at": facts.get("archived_at") or now}

        return await self._change(change)

    @operation(Role.ADMIN, "DELETE /")
    async def delete_workspace(self, cancel: bool = False) -> WorkspaceShown:
        """Close the workspace, and remove it with all it has after 30 days; until then ``cancel`` takes that back."""
        due = self.site.engine.clock.now() + GRACE
        self._keep_default("deleted")

        def change(facts: Facts) -> Mapping[str, Any]:
            if facts.get("purging"):
                raise StateError(f"the workspace {self.site.workspace!r} is being removed; that cannot be taken back")
            if cancel:
                return {"delete_at": None}
            return {"delete_at": facts.get("delete_at") or due}

        return await self._change(change)

    @operation(Role.VIEWER, "GET /overview", on_tasks=True)
    async def workspace_overview(self, period: str = "24h") -> OverviewAnswer:
        """Tasks, runs and steps in numbers, over the last ``period`` (``24h``, ``7d``)."""
        since, until = self._period(period)
        name = self.site.workspace
        found = await self.site.store.read(lambda connection: overview.overview(connection, name, since, until))
        return {"workspace": name, "period": _span(period, since, until), **found}

    @operation(Role.VIEWER, "GET /health", on_tasks=True)
    async def workspace_health(self, period: str = "30d") -> HealthAnswer:
        """What is there and does nothing, and tasks that nobody will take up, over the last ``period``."""
        since, until = self._period(period)
        name = self.site.workspace
        table = await self.site.table()
        found = await self.site.store.read(lambda connection: overview.traces(connection, name, since, until))
        ran = {one["step"]: one for one in found["steps"]}
        enabled = [step.name for step in table.all if step.enabled]
        stuck, looked_at = await self._stuck()
        waiting = await self.site.engine.store.counts()
        attention = await self._tasks(TaskState.ATTENTION, SHOWN)
        return {
            "workspace": name,
            "period": _span(period, since, until),
            "steps_never_ran": [step for step in enabled if step not in ran],
            "steps_only_failed": [
                step for step in enabled
                if step in ran and ran[step]["errors"] + ran[step]["retries"] == ran[step]["runs"]
            ],
            "webhooks_unused": found["webhooks"],
            "notification_groups_unknown": self._untold(),
            "connectors_unavailable": [
                {"namespace": namespace, "problem": problem} for namespace, problem in problems(self.site)
            ],
            **self._unmentioned(found),
            "stuck": {"tasks": [_line(task) for task in stuck[:SHOWN]], "count": len(stuck), "looked_at": looked_at},
            "attention": {
                "tasks": [_line(task) for task in attention], "count": waiting.get(TaskState.ATTENTION, 0),
            },
        }  # fmt: skip

    @operation(Role.VIEWER, "GET /usage")
    async def workspace_usage(self) -> list[UsageRow]:
        """What the workspace used, the newest month first: tasks, runs, recorded calls, milliseconds of runs."""
        name = self.site.workspace
        return await self.site.store.read(lambda connection: read_usage(connection, name))

    @operation(Role.VIEWER, "GET /usage", account=True)
    async def account_usage(self) -> list[UsageRow]:
        """What each workspace used, the newest month first."""
        return await self.site.store.read(read_usage)

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _change(self, change: Callable[[Facts], Mapping[str, Any]]) -> WorkspaceShown:
        facts = await self._records.change(self.site.workspace, change)
        schedule_news.tell(self.site.store)  # those of a closed workspace do not fire
        source_news.tell(self.site.store)  # and its source is not looked at
        if self.site.reload is not None:
            await self.site.reload()
        return self._shown(facts)

    def _shown(self, facts: Facts) -> WorkspaceShown:
        return shown(self.site.workspace, facts)

    def _keep_default(self, what: str) -> None:
        if self.site.workspace == DEFAULT:
            raise StateError(f"the workspace {DEFAULT!r} is always there: it cannot be {what}")

    def _period(self, period: str) -> tuple[Millis, Millis]:
        length, now = parse_duration(period, "period"), self.site.engine.clock.now()
        if not 0 < length <= LONGEST:
            raise InputError(f"period is {period!r}; more than nothing and at most 366d were expected")
        return now - length, now + 1

    async def _tasks(self, state: TaskState, limit: int) -> list[Task]:
        return await self.site.engine.store.list(TaskFilter(states=frozenset({state}), limit=limit))

    async def _stuck(self) -> tuple[list[Task], int]:
        """Waiting tasks whose data no enabled step matches, of so many: nothing will happen to them by itself."""
        table, found = self.site.engine.table, []
        waiting = await self._tasks(TaskState.WAITING, LOOKED_AT)
        for task in waiting:
            if task.cycle.held or task.cycle.owed or task.cycle.retries:
                continue  # a subtask's answer, or another attempt, is still to come

            def match(data: Json = task.data) -> set[int]:
                return table.match(data)

            matched = await self.site.judge(match) if table.has_scripts else match()
            if not matched:
                found.append(task)
            await anyio.lowlevel.checkpoint()  # the engine has its turns
        return found, len(waiting)

    def _untold(self) -> list[str]:
        """What it names in ``notification_groups`` and by which nobody is told."""
        groups = Notifications(self.site.store).groups()
        facts = WorkspaceRecords(self.site.store).all().get(self.site.workspace, {})
        return untold(facts.get("notification_groups") or [], [one.name for one in groups])

    def _unmentioned(self, found: dict[str, Any]) -> Unmentioned:
        """Names that stand in no step's or library's text; of connectors, those that were not called either."""
        configured = configured_of(self.site.store, self.site.workspace)
        texts = {**texts_of(self.site), **found["texts"]}

        def unused(names: Iterable[str]) -> list[str]:
            words = {name: word(name) for name in names}
            return [
                name for name, found in words.items()
                if not any(found.search(text) for key, text in texts.items() if key != ("library", name))
            ]  # fmt: skip

        registry = self.site.engine.runner.services.broker.connectors
        installed = (one for one in registry if not type(one).__module__.startswith("aloma_py."))  # not the built-in
        enabled = (one.namespace for one in configured if one.enabled)
        connectors = sorted({*enabled, *(one.namespace for one in installed)})
        return {
            "secrets_unused": unused(found["secrets"]),
            "variables_unused": unused(found["variables"]),
            "libraries_unused": unused(found["libraries"]),
            "connectors_unused": [name for name in unused(connectors) if name not in found["connectors"]],
        }


def check_workspace_name(name: str) -> None:
    """Refuse what cannot be the name of a workspace, with an ``InputError``."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"the workspace's name {name!r} cannot be used: 1 to 63 of a–z, A–Z, 0–9, '.', '_' and '-' were "
            "expected, a letter or digit first"
        )


def shown(name: str, facts: Facts) -> WorkspaceShown:
    """A workspace as it is shown."""
    return {
        "name": name,
        "title": facts.get("title"),
        "state": _state(facts),
        "tags": facts.get("tags") or [],
        "health_enabled": bool(facts.get("health_enabled")),
        "notification_groups": facts.get("notification_groups") or [],
        "limits": facts.get("limits") or {},
        "created_at": iso_or_none(facts.get("created_at")),
        "archived_at": iso_or_none(facts.get("archived_at")),
        "delete_at": iso_or_none(facts.get("delete_at")),
    }


def _state(facts: Facts) -> str:
    if facts.get("delete_at"):
        return "deleting"
    if facts.get("importing"):
        return "importing"
    return "archived" if is_closed(facts) else "active"


def changed(
    facts: Facts,
    title: str | None,
    tags: Sequence[str] | None,
    health_enabled: bool | None,
    notification_groups: Sequence[str] | None,
    limits: Mapping[str, Json] | None,
) -> dict[str, Any]:
    """What becomes of the facts by what was given; ``None`` is left alone, and in the result taken out."""
    found: dict[str, Any] = {}
    if title is not None:
        found["title"] = _text(title, "title", 200) if title.strip() else None
    for what, texts in (("tags", tags), ("notification_groups", notification_groups)):
        if texts is not None:
            given = [_text(text, what, 200) for text in texts if text.strip()]
            if len(given) > 100:
                raise InputError(f"{what} has {len(given)} texts; at most 100 were expected")
            found[what] = list(dict.fromkeys(given)) or None
    if health_enabled is not None:
        found["health_enabled"] = health_enabled or None
    if limits is not None:
        kept = {**(facts.get("limits") or {}), **{name: read_limit(name, value) for name, value in limits.items()}}
        found["limits"] = {name: value for name, value in kept.items() if value is not None} or None
    return found


def read_limit(name: str, value: Json) -> Json:
    """A limit's value, ``None`` where it is to be the installation's again; :class:`InputError` for what is none."""
    adapter = LIMITS.get(name)
    if adapter is None:
        raise NotFoundError("limit", name, LIMITS)
    if value is None or value == "":
        return None
    try:
        read: Json = adapter.validate_python(value)
    except ValidationError as error:
        raise InputError(f"the limit {name} is {value!r}: {error.errors(include_url=False)[0]['msg']}") from None
    if name == "step_timeout" and not 0 < parse_duration(read, "step_timeout") <= DAY:
        raise InputError(f"the limit step_timeout is {read!r}; more than nothing and at most 1d were expected")
    return read


def settings_for(settings: Settings, facts: Facts) -> Settings:
    """The settings of a workspace with these facts: its own limits in place of the installation's."""
    own = {name: value for name, value in (facts.get("limits") or {}).items() if name in LIMITS}
    return settings.model_copy(update=own)


def _text(text: str, what: str, longest: int) -> str:
    if len(text) > longest or not text.isprintable():
        raise InputError(f"{what} {text[:40]!r}: printable text of at most {longest} characters was expected")
    return text.strip()


def _span(period: str, since: Millis, until: Millis) -> Span:
    return {"last": period, "since": iso(since), "until": iso(until)}


def _line(task: Task) -> TaskLine:
    return {"id": task.id, "name": task.name, "reason": task.reason, "updated_at": iso(task.updated_at)}
