"""Operations on schedules, and how a schedule fires."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

import anyio

from aloma_py.errors import AlomaError, InputError
from aloma_py.intake import new_task
from aloma_py.intake.checks import check_name
from aloma_py.intake.schedules import Dropped, Schedule, plan, read_schedule
from aloma_py.intake.timing import next_time, shown_in, times
from aloma_py.jsontext import dumps
from aloma_py.models import Json, Millis, Task
from aloma_py.operations.answers.intake import (
    ChangedSchedule,
    ComingTime,
    DeletedThing,
    FiredSchedule,
    FiringShown,
    ScheduleDetails,
    ScheduleShown,
    ScheduleSummary,
)
from aloma_py.operations.paging import check_limit, cut, read_cursor
from aloma_py.operations.registry import caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site
from aloma_py.run.handles import iso, iso_or_none
from aloma_py.store.news import schedule_news
from aloma_py.store.schedules import Firing, ScheduleStore, Stored

logger = logging.getLogger("aloma_py.schedules")

MAX_TIMES: Final = 1_000
SHOWN_FIRINGS: Final = 20


class ScheduleOperations:
    """What can be asked of a workspace's schedules."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.kept = ScheduleStore(site.store, site.workspace)

    @operation(Role.VIEWER, "GET /schedules", on_tasks=True)
    async def list_schedules(self) -> list[ScheduleSummary]:
        """The schedules by name, each with its next and its last time."""
        return [_summary(one) for one in self.kept.all()]

    @operation(Role.VIEWER, "GET /schedules/{name}", on_tasks=True)
    async def show_schedule(self, name: str) -> ScheduleDetails:
        """One schedule, with its next times and its newest firings."""
        found = self.kept.get(name)
        firings = [_firing(one) for one in self.kept.firings(found.id, SHOWN_FIRINGS)]
        coming = self._coming(found.schedule, 5) if found.enabled else []
        return {**_full(found), "open_task": self.kept.busy(found.id), "next": coming, "firings": firings}

    @operation(Role.DEVELOPER, "POST /schedules", status=201, hidden=("data",), on_tasks=True)
    async def add_schedule(
        self,
        name: str,
        cron: str | None = None,
        every: str | int | None = None,
        zone: str = "UTC",
        dst: str = "shift",
        missed: str = "last",
        overlap: str = "allow",
        start: str | None = None,
        end: str | None = None,
        anchor: str | None = None,
        data: dict[str, Json] | None = None,
        task: str | None = None,
        tags: Sequence[str] = (),
        enabled: bool = True,
    ) -> ChangedSchedule:
        """Make a schedule: a task named ``task`` with ``data`` and ``tags`` whenever ``cron`` or ``every`` comes."""
        now = self.site.engine.clock.now()
        given = _given(cron=cron, every=every, zone=zone, dst=dst, missed=missed, overlap=overlap, start=start, end=end,
                       anchor=anchor, data=data, task=task, tags=tags)  # fmt: skip
        schedule = read_schedule(given, now, limits=self.site.engine.limits)
        made = Stored(
            f"schedule-{secrets.token_hex(8)}",
            self.site.workspace,
            _check_schedule_name(name),
            enabled,
            _text(schedule),
            next_time(schedule.timing, now) if enabled else None,
            None,
            now,
            caller.get().name,
        )
        await self.kept.add(made)
        schedule_news.tell(self.site.store)
        return self._changed(made)

    @operation(Role.DEVELOPER, "PATCH /schedules/{name}", hidden=("data",), on_tasks=True)
    async def update_schedule(
        self,
        name: str,
        rename: str | None = None,
        cron: str | None = None,
        every: str | int | None = None,
        zone: str | None = None,
        dst: str | None = None,
        missed: str | None = None,
        overlap: str | None = None,
        start: str | None = None,
        end: str | None = None,
        anchor: str | None = None,
        data: dict[str, Json] | None = None,
        task: str | None = None,
        tags: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> ChangedSchedule:
        """Change what is given of a schedule; an empty text takes ``start``, ``end``, ``anchor`` or ``task`` away."""
        before = self.kept.get(name)
        now = self.site.engine.clock.now()
        given = _given(cron=cron, every=every, zone=zone, dst=dst, missed=missed, overlap=overlap, start=start, end=end,
                       anchor=anchor, data=data, task=task, tags=tags)  # fmt: skip
        old = before.schedule
        schedule = read_schedule(given, now, old, self.site.engine.limits)
        works = before.enabled if enabled is None else enabled
        next_at = before.next_at
        if not works:
            next_at = None
        elif not before.enabled or schedule.timing != old.timing:
            next_at = next_time(schedule.timing, now)
        after = replace(
            before,
            name=before.name if rename is None else _check_schedule_name(rename),
            enabled=works,
            options=_text(schedule),
            next_at=next_at,
        )
        await self.kept.change(before, after)
        schedule_news.tell(self.site.store)
        return self._changed(after)

    @operation(Role.DEVELOPER, "DELETE /schedules/{name}", on_tasks=True)
    async def delete_schedule(self, name: str) -> DeletedThing:
        """Remove a schedule with its firings; the tasks that it gave stay."""
        found = self.kept.get(name)
        await self.kept.delete(found.id)
        schedule_news.tell(self.site.store)
        return {"id": found.id, "name": found.name, "deleted": True}

    @operation(Role.VIEWER, "GET /schedules/{name}/next", on_tasks=True)
    async def next_times(self, name: str, count: int = 10) -> list[ComingTime]:
        """The next times of a schedule, whether it is enabled or not: ``[{at, local}]``."""
        return self._coming(self.kept.get(name).schedule, count)

    @operation(Role.VIEWER, "GET /schedules/{name}/firings", on_tasks=True)
    async def list_firings(self, name: str, limit: int = 100, cursor: str | None = None) -> list[FiringShown]:
        """What became of a schedule's times, newest first; the last 1,000 are kept, and those that wait."""
        few, below = check_limit(limit), read_cursor(cursor, "firing")
        found = self.kept.firings(self.kept.get(name).id, few + 1, below)
        return [_firing(one) for one in cut(found, few, "firing", lambda one: one.at)]

    @operation(Role.VIEWER, "POST /schedules/next")
    async def preview_schedule(
        self,
        cron: str | None = None,
        every: str | int | None = None,
        zone: str = "UTC",
        dst: str = "shift",
        start: str | None = None,
        end: str | None = None,
        count: int = 10,
    ) -> list[ComingTime]:
        """The next times of an expression that is not kept: ``[{at, local}]``."""
        return preview(self.site.engine.clock.now(), count, cron=cron, every=every, zone=zone, dst=dst, start=start,
                       end=end)  # fmt: skip

    @operation(Role.OPERATOR, "POST /schedules/{name}/run", status=201, noted=True, on_tasks=True)
    async def run_schedule(self, name: str) -> FiredSchedule:
        """Fire a schedule now, besides its times, enabled or not: ``{id, schedule, served}``, the id of the task."""
        found = self.kept.get(name)
        task = make_task(self.site, found, self.site.engine.clock.now())
        with anyio.CancelScope(shield=True):  # what is stored is taken in hand, whatever becomes of the caller
            await self.kept.fire_now(found.id, task)
        take_in(self.site, [task])
        return {"id": task.id, "schedule": found.name, "state": task.state.value, "served": self.site.advancing}

    def _coming(self, schedule: Schedule, count: int) -> list[ComingTime]:
        return coming(schedule, self.site.engine.clock.now(), count)

    def _changed(self, made: Stored) -> ChangedSchedule:
        """``served``: whether somebody fires it."""
        return {**_full(made), "served": self.site.advancing}


def _given(**arguments: Any) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in arguments.items() if value is not None}


def preview(now: Millis, count: int = 10, **given: Any) -> list[ComingTime]:
    """The next times of what :func:`~aloma_py.intake.schedules.read_schedule` reads."""
    return coming(read_schedule(_given(**given), now), now, count)


def coming(schedule: Schedule, after: Millis, count: int) -> list[ComingTime]:
    """The next times, in UTC and in the schedule's zone."""
    if not 1 <= count <= MAX_TIMES:
        raise InputError(f"count must be from 1 to {MAX_TIMES:,}, not {count}")
    timing = schedule.timing
    return [{"at": iso(at), "local": shown_in(at, timing.zone)} for at in islice(times(timing, after), count)]


# ── firing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def fire(site: Site, stored: Stored, now: Millis) -> int:
    """Do what is due of a schedule at ``now``; gives how many tasks were made.

    What became of each time is written with the tasks in one transaction, and so is the next time. Nothing is done
    where the schedule was changed meanwhile.
    """
    if stored.next_at is None or stored.next_at > now:
        return 0
    planned = plan(stored.schedule, stored.next_at, now)
    notes = []
    if planned.dropped is not None:
        text = _told(planned.dropped, stored.schedule.missed)
        logger.warning("schedule %r of workspace %r: %s", stored.name, stored.workspace, text)
        notes.append(Firing(planned.dropped.last, None, text))
    tasks: list[tuple[Millis, Task]] = []
    for at in planned.fire:
        try:
            tasks.append((at, make_task(site, stored, at)))
        except AlomaError as error:  # limits are not any more what they were when it was made
            logger.error("schedule %r of workspace %r: %s", stored.name, stored.workspace, error)
            notes.append(Firing(at, None, f"the task could not be made: {error}"))
    with anyio.CancelScope(shield=True):
        made = await ScheduleStore(site.store, site.workspace).fire(stored, tasks, notes, planned.next_at)
    take_in(site, made or ())
    return len(made or ())


async def fire_waiting(site: Site, stored: Stored) -> int:
    """Fire the first of the firings that wait, where the task of the one before has ended; 0 or 1."""
    kept = ScheduleStore(site.store, site.workspace)
    waiting = kept.waiting(stored.id)
    if not waiting or kept.busy(stored.id) is not None:
        return 0
    try:
        task = make_task(site, stored, waiting[0])
    except AlomaError as error:
        logger.error("schedule %r of workspace %r: %s", stored.name, stored.workspace, error)
        await kept.skip_waiting(stored.id, waiting[0], f"the task could not be made: {error}")
        return 0
    with anyio.CancelScope(shield=True):
        made = await kept.fire_waiting(stored, waiting[0], task)
    if made:
        take_in(site, [task])
    return int(made)


def make_task(site: Site, stored: Stored, due: Millis) -> Task:
    """The task of one firing, not stored yet; its ``$via`` names the schedule and the time that was ``due``."""
    schedule = stored.schedule
    task = new_task(
        site.workspace,
        schedule.task or stored.name,
        schedule.data or {},
        tags=schedule.tags,
        via={"id": stored.id, "name": stored.name, "type": "schedule", "due": iso(due)},
        now=site.engine.clock.now(),
        limits=site.engine.limits,
    )
    site.engine.custody.hide_stash(task)
    return task


def take_in(site: Site, tasks: Sequence[Task]) -> None:
    """Have tasks that were just stored advanced, and tell those who look on."""
    custody = site.engine.custody
    for task in tasks:
        for watcher in custody.watchers:
            try:
                watcher(task, ())
            except Exception:  # whoever looks on must not get in the way
                logger.exception("task %s: a watcher failed", task.id)
        custody.take_in(task)


def _told(dropped: Dropped, rule: str) -> str:
    if dropped.count == 1:
        return f"missed: {iso(dropped.last)} came while nothing fired it (missed: {rule})"
    count = "very many" if dropped.count is None else f"{dropped.count:,}"
    between = f"from {iso(dropped.first)} to {iso(dropped.last)}"
    return f"missed: {count} times {between} came while nothing fired them (missed: {rule})"


# ── JSON ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _check_schedule_name(name: str) -> str:
    try:
        check_name(name)
    except InputError as error:
        raise InputError(str(error).replace("the task's name", "the schedule's name")) from None
    if "/" in name or name in (".", ".."):
        raise InputError(f"the schedule's name {name!r} cannot be part of an address: it must not have a slash")
    return name


def _text(schedule: Schedule) -> str:
    return dumps(schedule.to_json())


def _summary(stored: Stored) -> ScheduleSummary:
    schedule = stored.schedule
    timing = schedule.timing
    shown: ScheduleSummary = {
        "id": stored.id,
        "name": stored.name,
        "enabled": stored.enabled,
        "next_at": iso_or_none(stored.next_at),
        "last_at": iso_or_none(stored.last_at),
        "zone": timing.zone,
        "start": iso_or_none(timing.start),
        "end": iso_or_none(timing.end),
        "missed": schedule.missed,
        "overlap": schedule.overlap,
        "task": schedule.task or stored.name,
        "tags": list(schedule.tags),
        "created_at": iso(stored.created_at),
        "created_by": stored.created_by,
    }
    if timing.cron is not None:
        shown["cron"], shown["dst"] = timing.cron, timing.dst
    elif timing.every is not None:
        shown["every"], shown["anchor"] = timing.every, iso(timing.anchor)
    return shown


def _full(stored: Stored) -> ScheduleShown:
    return {**_summary(stored), "data": stored.schedule.data or {}}


def _firing(firing: Firing) -> FiringShown:
    state = "fired" if firing.task else ("waits" if firing.why is None else "skipped")
    return {"at": iso(firing.at), "state": state, "task": firing.task, "why": firing.why}
