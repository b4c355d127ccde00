"""Failed tasks are told: once, in digests, whatever happens in between."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest

from aloma_py.clock import VirtualClock
from aloma_py.engine import Engine
from aloma_py.errors import InputError, NotFoundError, StateError, StoreFull
from aloma_py.intake import new_task
from aloma_py.models import Entry, ErrorInfo, Task, TaskCommit, TaskState
from aloma_py.notify.mail import NO_SERVER
from aloma_py.notify.outcome import GIVE_UP
from aloma_py.notify.webhook import sign
from aloma_py.operations import Operations, Role, Site
from aloma_py.operations.registry import Caller
from aloma_py.operations.workspaces import WorkspaceOperations
from aloma_py.scheduler import Scheduler
from aloma_py.serve.telling import LANES, Telling
from aloma_py.settings import Settings
from aloma_py.steps import step
from aloma_py.steps.loading import load_steps
from aloma_py.store.notifications import Notifications
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

from ..notify.servers import MailBox, answer, mail_server, receiver

pytestmark = pytest.mark.anyio

MINUTE = 60_000
QUARTER = 15 * MINUTE


class World:
    """A store with operations on its workspaces, and the loop that tells."""

    def __init__(self, store: SQLiteStore, clock: VirtualClock, **settings: Any) -> None:
        self.store, self.clock = store, clock
        self.settings = Settings(mail_from="aloma@example.org", **settings)
        self.telling = Telling(store, self.settings, clock)
        self.kept = Notifications(store)

    def of(self, workspace: str = "default") -> Operations:
        engine = Engine(self.store.workspace(workspace), (), clock=self.clock)
        site = Site(engine, self.store, self.settings.model_copy(update={"workspace": workspace}))
        return Operations(site)

    async def ask(self, operation: str, workspace: str = "default", /, **arguments: Any) -> Any:
        return await self.of(workspace).call(operation, arguments)

    async def group(self, name: str = "ops", *workspaces: str, **options: Any) -> Any:
        """A group that the workspaces name, and nobody else."""
        made = await self.ask("add_notification_group", name=name, **(options or {"addresses": ["ops@example.org"]}))
        for workspace in workspaces or ("default",):
            if workspace != "default":
                await self.ask("add_workspace", name=workspace)
            await self.ask("update_workspace", workspace, notification_groups=[name])
        await self.telling.once()
        return made

    async def fail(
        self, message: str | None = "card declined", workspace: str = "default", name: str = "order", *, count: int = 1
    ) -> list[Task]:
        """Tasks that end now, in error; without ``message`` in attention."""
        tasks = [new_task(workspace, name, {"a": 1}, now=self.clock.now()) for _ in range(count)]
        handle = self.store.workspace(workspace)
        await handle.accept(tasks)
        await handle.commit([self.failure(task, message) for task in tasks])
        return tasks

    def failure(self, task: Task, message: str | None) -> TaskCommit:
        now = self.clock.now()
        state, reason = TaskState.ATTENTION, "no step has ever matched"
        entries: tuple[Entry, ...] = ()
        if message is not None:
            state, reason = TaskState.ERROR, "unhandled error in charge"
            error = ErrorInfo("ValueError", message)
            entries = (Entry(task.last_entry + 1, "run", now, now, "charge", wave=1, outcome="failed", error=error),)
        ended = replace(task, state=state, reason=reason, ended_at=now, updated_at=now)
        return TaskCommit(replace(ended, last_entry=task.last_entry + len(entries)), entries)

    async def pass_by(self, millis: int) -> None:
        """Let the time pass, with the loop looking whenever it wants to."""
        end = self.clock.now() + millis
        while (again := await self.telling.once()) <= end:
            self.clock.move_to(max(again, self.clock.now()))
        self.clock.move_to(end)

    async def log(self, **wanted: Any) -> list[tuple[str, str, int]]:
        """The messages, the oldest first: (target, state, attempts)."""
        found = await self.ask("list_notifications", **wanted)
        return [(one["target"], one["state"], one["attempts"]) for one in reversed(found)]


def smtp(box: MailBox) -> str:
    return f"smtp://127.0.0.1:{box.port}?starttls=no"


@asynccontextmanager
async def opened(path: Path | str = ":memory:", clock: VirtualClock | None = None, **more: Any) -> AsyncIterator[World]:
    async with SQLiteStore(path) as store:
        yield World(store, clock or VirtualClock(), **more)


@asynccontextmanager
async def mailing(**more: Any) -> AsyncIterator[tuple[World, MailBox]]:
    async with mail_server() as box, opened(smtp=smtp(box), **more) as world:
        yield world, box


# ── digests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_thousand_tasks_that_fail_are_one_mail() -> None:
    async with mailing() as (world, box):
        await world.group()
        for _ in range(10):
            await world.fail(count=100)
            await world.pass_by(MINUTE)
        assert box.mails == []
        await world.pass_by(QUARTER)
        assert box.recipients == ["ops@example.org"]
        assert box.mails[0]["Subject"] == "aloma_py: 1,000 tasks failed in default"
        assert "1,000 × step charge: ValueError: card declined" in box.text()
        await world.pass_by(4 * QUARTER)
        assert len(box.mails) == 1


async def test_the_digest_comes_a_quarter_of_an_hour_after_the_first_failure() -> None:
    async with mailing() as (world, box):
        await world.group()
        await world.pass_by(7 * QUARTER)
        await world.fail()
        await world.pass_by(QUARTER - 1)
        await world.fail(None)  # the last moment
        assert box.mails == []
        await world.pass_by(1)
        await world.telling.once()
        assert box.mails[0]["Subject"] == "aloma_py: 1 task failed and 1 needs attention in default"


async def test_whatever_happens_there_is_one_digest_in_each_interval() -> None:
    async with mailing() as (world, box):
        await world.group("ops", "default", addresses=["a@example.org"], every="30m")
        sent = []
        for _ in range(240):
            await world.fail()
            before = len(box.mails)
            await world.pass_by(MINUTE)
            sent += [world.clock.now()] * (len(box.mails) - before)
        assert len(sent) == 8
        assert min(later - earlier for earlier, later in pairwise(sent)) >= 30 * MINUTE


async def test_each_group_is_told_of_its_workspaces_only() -> None:
    async with mailing() as (world, box):
        await world.group("a", "one", "two", addresses=["a@example.org"])
        await world.group("b", "three", addresses=["b@example.org", "c@example.org"])
        await world.fail("first", "one")
        await world.fail("second", "three")
        await world.fail("nobody's", "default")
        await world.pass_by(QUARTER + MINUTE)
        told = {mail["To"]: box.text(number) for number, mail in enumerate(box.mails)}
        assert set(told) == {"a@example.org", "b@example.org", "c@example.org"}
        assert "first" in told["a@example.org"]
        assert "second" not in told["a@example.org"]
        assert "second" in told["b@example.org"]
        assert all("nobody's" not in text for text in told.values())


async def test_addresses_may_be_named_directly() -> None:
    async with mailing() as (world, box), receiver() as found:
        await world.ask("update_workspace", notification_groups=["me@example.org", found.url])
        await world.telling.once()
        await world.fail()
        await world.pass_by(QUARTER + MINUTE)
        assert box.recipients == ["me@example.org"]
        [got] = found.got
        assert json.loads(got.body)["data"]["group"] == f"http://127.0.0.1:{found.port}/…"
        assert "webhook-signature" not in got.headers
        await world.ask("update_workspace", notification_groups=[])
        await world.fail()
        await world.pass_by(QUARTER + MINUTE)
        assert len(box.mails) == 1
        assert world.kept.audiences() == []


async def test_a_workspace_that_names_a_group_later_tells_nothing_from_before() -> None:
    async with mailing() as (world, box):
        await world.group("ops", "other")
        await world.fail("long ago")
        await world.pass_by(MINUTE)
        await world.ask("update_workspace", notification_groups=["ops"])
        await world.fail("just now")
        await world.pass_by(QUARTER + MINUTE)
        assert "1 × step charge: ValueError: just now" in box.text()
        assert "long ago" not in box.text()


async def test_what_was_resumed_is_counted_and_not_shown() -> None:
    async with mailing() as (world, box):
        await world.group()
        again, gone, _ = await world.fail(count=3)
        handle = world.store.workspace("default")
        running = replace(await handle.get(again.id), state=TaskState.RUNNING, ended_at=None)
        await handle.commit([TaskCommit(running)])
        await world.ask("delete_task", id=gone.id)
        await world.pass_by(QUARTER + MINUTE)
        assert box.mails[0]["Subject"] == "aloma_py: 1 task failed in default"
        assert "1 task failed in between, and does so no more" in box.text()
        await handle.commit([world.failure(await handle.get(again.id), "it failed again")])
        await world.pass_by(QUARTER + MINUTE)
        assert "it failed again" in box.text()


async def test_where_all_are_well_again_nothing_is_sent() -> None:
    async with mailing() as (world, box):
        await world.group()
        [task] = await world.fail()
        await world.ask("delete_task", id=task.id)
        await world.pass_by(2 * QUARTER)
        assert box.mails == []
        assert (await world.ask("list_notification_groups"))[0]["next_at"] is None


async def test_a_secret_in_an_error_is_not_told() -> None:
    async with mailing() as (world, box), receiver() as found:
        await world.group("ops", addresses=["a@example.org"], webhooks=[found.url])
        # When the secret was set after the error was stored, so that nothing has hidden it yet
        await world.fail("the token hush-hush-hush was refused", name="with hush-hush-hush")
        await world.ask("set_secret", name="TOKEN", value="hush-hush-hush")
        await world.pass_by(QUARTER + MINUTE)
        assert "the token (hidden: String) was refused" in box.text()
        for text in (box.mails[0].as_string(), box.html(), found.got[0].body.decode(), str(world.kept.log(9))):
            assert "hush" not in text


async def test_the_number_of_a_failure_is_never_given_again() -> None:
    async with mailing() as (world, box):
        await world.group()
        await world.fail(count=5)
        await world.pass_by(QUARTER + MINUTE)
        await world.kept.purge(world.clock.now())
        assert world.store.reader.execute("SELECT count(*) FROM failure").fetchone() == (0,)
        await world.fail("another")
        await world.pass_by(QUARTER + MINUTE)
        assert box.mails[1]["Subject"] == "aloma_py: 1 task failed in default"


async def test_a_clock_that_is_set_back_neither_hides_nor_repeats_anything() -> None:
    async with mailing() as (world, box):
        await world.group()
        await world.fail("before")
        await world.pass_by(QUARTER + MINUTE)
        world.clock._now -= 5 * QUARTER
        await world.fail("after")
        await world.pass_by(QUARTER + MINUTE)
        assert len(box.mails) == 2
        assert "after" in box.text()
        assert "before" not in box.text()


async def test_a_real_task_that_fails_is_told() -> None:
    @step(condition={"go": int})
    def explode(data: Any) -> None:
        raise ValueError(f"order {data.go} went off")

    async with mailing(public_url="https://aloma.example.org") as (world, box):
        await world.group()
        engine = Engine(world.store.workspace("default"), load_steps([explode]).steps, clock=world.clock)
        async with Scheduler(engine).running():
            operations = Operations(Site(engine, world.store, world.settings, advancing=True))
            given = [await operations.call("new_task", {"data": {"go": number}}) for number in (1001, 1002)]
            with anyio.fail_after(5):
                while world.kept.newest() < 2:
                    await anyio.lowlevel.checkpoint()
        await world.pass_by(QUARTER + MINUTE)
        assert "2 × step explode: ValueError: order 1001 went off" in box.text()
        assert f"https://aloma.example.org/api/v1/workspaces/default/tasks/{given[1]['id']}" in box.text()


# ── crashes ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_failed_before_a_crash_is_told_by_the_next_server(tmp_path: Path) -> None:
    path, clock = tmp_path / "tasks.db", VirtualClock()
    async with mail_server() as box:
        async with opened(path, clock, smtp=smtp(box)) as world:
            await world.group()
            await world.fail("nobody has looked at it yet")
        clock.move_to(clock.now() + 20 * QUARTER)
        async with opened(path, clock, smtp=smtp(box)) as world:
            await world.telling.once()
            assert "nobody has looked at it yet" in box.text()


async def test_a_crash_between_the_cut_and_the_delivery_loses_nothing(tmp_path: Path) -> None:
    path, clock = tmp_path / "tasks.db", VirtualClock()
    async with mail_server() as box:
        async with opened(path, clock, smtp=smtp(box)) as world:
            await world.group()
            await world.fail()
            await world.pass_by(MINUTE)
            clock.move_to(clock.now() + QUARTER)
            await world.telling.cut()
            assert await world.log() == [("ops@example.org", "waiting", 0)]
        async with opened(path, clock, smtp=smtp(box)) as world:
            await world.pass_by(QUARTER)
            assert await world.log() == [("ops@example.org", "delivered", 1)]
            assert len(box.mails) == 1


async def test_what_fails_in_the_middle_of_a_cut_is_as_if_it_had_not_begun() -> None:
    async with mailing() as (world, box):
        await world.group("ops", addresses=["a@example.org", "b@example.org"])
        await world.fail()
        await world.pass_by(MINUTE)
        await world.store.writer.write(
            job_of(
                "CREATE TRIGGER broken BEFORE INSERT ON notification WHEN new.target = 'b@example.org' "
                "BEGIN SELECT raise(ABORT, 'broken'); END"
            )
        )
        await world.pass_by(QUARTER)
        assert (await world.log(), box.mails) == ([], [])
        await world.store.writer.write(job_of("DROP TRIGGER broken"))
        await world.pass_by(MINUTE)
        assert sorted(box.recipients) == ["a@example.org", "b@example.org"]


def job_of(sql: str) -> Write:
    def job(connection: sqlite3.Connection) -> None:
        connection.execute(sql)

    return Write(job=job)


async def test_two_that_cut_at_once_write_one_digest(tmp_path: Path) -> None:
    async with mail_server() as box, opened(tmp_path / "tasks.db", smtp=smtp(box)) as world:
        await world.group()
        await world.fail()
        await world.pass_by(MINUTE)
        world.clock.move_to(world.clock.now() + QUARTER)
        other = Telling(world.store, world.settings, world.clock)
        async with anyio.create_task_group() as group:
            for telling in (world.telling, other):
                group.start_soon(telling.cut)
        assert len(await world.log()) == 1


async def test_a_message_whose_delivery_cannot_be_stored_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with mailing() as (world, box):
        await world.group()
        await world.fail()
        await world.pass_by(QUARTER - 1)
        kept, attempted = world.telling._kept, world.telling._kept.attempted

        async def full(*arguments: Any) -> None:
            raise StoreFull("there is no room left")

        monkeypatch.setattr(kept, "attempted", full)
        await world.pass_by(5 * MINUTE)
        assert len(box.mails) == 1
        assert await world.log() == [("ops@example.org", "waiting", 0)]
        monkeypatch.setattr(kept, "attempted", attempted)
        await world.pass_by(MINUTE)
        assert await world.log() == [("ops@example.org", "delivered", 1)]
        assert len(box.mails) == 1


# ── delivery ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_is_down_is_tried_again_and_given_up_after_three_days() -> None:
    async with mailing() as (world, box):
        await world.group()
        box.answer = "451 later"
        await world.fail()
        await world.pass_by(QUARTER + 7 * MINUTE)
        assert await world.log() == [("ops@example.org", "waiting", 3)]
        shown = (await world.ask("list_notifications"))[0]
        assert "451 later" in shown["error"]
        for _ in range(12):  # every attempt, without the minutes in between
            world.clock.move_to(world.kept.soonest(webhooks=False, but=()) or 0)
            await world.telling.once()
        assert await world.log() == [("ops@example.org", "failed", 13)]
        box.answer = "250 taken"
        await world.ask("retry_notification", no=shown["no"])
        await world.pass_by(MINUTE)
        assert await world.log() == [("ops@example.org", "delivered", 14)]
        with pytest.raises(StateError, match="was delivered"):
            await world.ask("retry_notification", no=shown["no"])


async def test_a_recipient_that_is_refused_keeps_none_of_the_others() -> None:
    async with mailing() as (world, box):
        await world.group("ops", addresses=["gone@example.org", "here@example.org"])
        box.refuse = lambda recipient: "550 unknown" if recipient.startswith("gone") else None
        await world.fail()
        await world.pass_by(2 * QUARTER)
        assert await world.log() == [("gone@example.org", "failed", 1), ("here@example.org", "delivered", 1)]
        assert box.recipients == ["here@example.org"]


async def test_a_webhook_gets_a_signed_digest_and_the_same_id_when_it_is_tried_again() -> None:
    async with opened() as world, receiver() as found:
        found.answers = [answer("500 Oops")]
        made = await world.group("ops", webhooks=[found.url])
        await world.fail()
        await world.pass_by(QUARTER + 2 * MINUTE)
        first, second = found.got
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        for got in found.got:
            timestamp = int(got.headers["webhook-timestamp"])
            assert got.headers["webhook-signature"] == sign(
                made["secret"], got.headers["webhook-id"], timestamp, got.body
            )
        content = json.loads(second.body)
        assert (content["type"], content["data"]["tasks"]) == ("tasks.failed", 1)
        assert await world.log() == [(found.url, "delivered", 2)]


async def test_a_webhook_that_says_410_is_told_nothing_more_of_that() -> None:
    async with opened() as world, receiver() as found:
        await world.group("ops", webhooks=[found.url])
        found.answers = [answer("410 Gone")]
        await world.fail()
        await world.pass_by(2 * QUARTER)
        assert (await world.log(), len(found.got)) == ([(found.url, "failed", 1)], 1)


async def test_a_mail_server_that_says_nothing_holds_up_no_webhook() -> None:
    async with (
        receiver() as found,
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener,
        opened(smtp=f"smtp://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}?starttls=no") as world,
    ):
        await world.group("ops", addresses=[f"a{n}@example.org" for n in range(20)], webhooks=[found.url])
        await world.fail()
        await world.pass_by(QUARTER - 1)
        world.clock.move_to(world.clock.now() + 1)
        async with anyio.create_task_group() as group:
            group.start_soon(world.telling.run)
            with anyio.fail_after(5):
                while await world.log(state="delivered") != [(found.url, "delivered", 1)]:
                    await anyio.lowlevel.checkpoint()
            assert list(world.telling._under_way.values()) == [False] * LANES[False]
            group.cancel_scope.cancel()
        assert world.telling._under_way == {}


async def test_without_a_mail_server_mails_wait_until_there_is_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "tasks.db", VirtualClock()
    async with opened(path, clock) as world:
        await world.group()
        await world.fail()
        await world.pass_by(QUARTER + MINUTE)
        assert (await world.ask("list_notifications"))[0]["error"] == NO_SERVER
        assert f"mails for ops wait: {NO_SERVER}" in caplog.text
    async with mail_server() as box, opened(path, clock, smtp=smtp(box)) as world:
        await world.telling.once()
        assert await world.log() == [("ops@example.org", "delivered", 1)]


async def test_without_a_mail_server_mails_are_given_up_after_three_days(caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as world:
        await world.group()
        await world.fail()
        await world.pass_by(QUARTER)
        world.clock.move_to(world.clock.now() + GIVE_UP + MINUTE)
        await world.pass_by(MINUTE)
        assert await world.log() == [("ops@example.org", "failed", 0)]
        assert "mails were given up after 3 days (1)" in caplog.text


async def test_what_is_old_is_purged() -> None:
    async with mailing() as (world, _):
        await world.group()
        await world.fail()
        await world.pass_by(QUARTER + MINUTE)
        later = world.clock.now() + 29 * 96 * QUARTER
        assert await world.kept.purge(later) == 1  # the failure, which everybody was told of
        assert len(await world.log()) == 1
        await world.kept.purge(later + 2 * 96 * QUARTER)
        assert await world.log() == []


async def test_where_nobody_is_told_failures_are_forgotten() -> None:
    async with opened() as world:
        await world.fail(count=3)
        assert await world.kept.purge(world.clock.now()) == 3
        await world.fail()
        assert world.kept.newest() == 4


async def test_failures_that_somebody_is_still_to_be_told_of_are_not_purged() -> None:
    async with mailing() as (world, box):
        await world.group()
        await world.fail()
        assert await world.kept.purge(world.clock.now()) == 0
        await world.pass_by(QUARTER + MINUTE)
        assert len(box.mails) == 1


# ── many at once ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_many_groups_are_each_told_once(tmp_path: Path) -> None:
    async with mail_server() as box, opened(tmp_path / "tasks.db", smtp=smtp(box)) as world:
        for number in range(40):
            await world.ask("add_notification_group", name=f"g{number}", addresses=[f"a{number}@example.org"])
        await world.ask("update_workspace", notification_groups=[f"g{number}" for number in range(40)])
        await world.telling.once()
        await world.fail(count=50)
        await world.pass_by(QUARTER)
        async with anyio.create_task_group() as group:
            group.start_soon(world.telling.run)
            with anyio.fail_after(10):
                while len(box.mails) < 40:
                    await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert sorted(box.recipients) == sorted(f"a{number}@example.org" for number in range(40))


async def test_the_loop_waits_and_looks_again_when_something_is_changed() -> None:
    async with mailing() as (world, box), anyio.create_task_group() as group:
        group.start_soon(world.telling.run)
        begun = world.clock.now()
        await settle(lambda: world.clock.next_wake == begun + MINUTE)
        await world.ask("update_workspace", notification_groups=["me@example.org"])
        await settle(lambda: [one.name for one in world.kept.audiences()] == ["me@example.org"])
        await world.fail()
        world.clock.move_to(begun + MINUTE)
        await settle(lambda: world.kept.audiences()[0].next_at == begun + QUARTER)
        world.clock.move_to(begun + QUARTER)
        await settle(lambda: len(box.mails) == 1)
        group.cancel_scope.cancel()


async def settle(reached: Callable[[], bool]) -> None:
    with anyio.fail_after(5):
        while not reached():
            await anyio.lowlevel.checkpoint()


# ── operations ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_groups_are_made_changed_and_deleted() -> None:
    async with opened() as world:
        made = await world.ask(
            "add_notification_group", name="ops", addresses=["a@example.org"], webhooks=["https://x.example.org/y"]
        )
        assert made["secret"].startswith("whsec_")
        assert (made["signed"], made["every"], made["workspaces"]) == (True, QUARTER, [])
        assert "secret" not in await world.ask("show_notification_group", name="ops")
        with pytest.raises(InputError, match="there is a notification group 'ops' already"):
            await world.ask("add_notification_group", name="ops", addresses=["a@example.org"])
        changed = await world.ask("update_notification_group", name="ops", every="1h", addresses=["b@example.org"])
        assert (changed["every"], changed["addresses"], changed["secret"]) == (4 * QUARTER, ["b@example.org"], None)
        again = await world.ask("update_notification_group", name="ops", secret="new")
        assert again["secret"] != made["secret"]
        await world.ask("update_workspace", notification_groups=["ops"])
        assert await world.ask("delete_notification_group", name="ops") == {
            "name": "ops", "deleted": True, "workspaces": ["default"],
        }  # fmt: skip
        with pytest.raises(NotFoundError, match="there is no notification group 'ops'"):
            await world.ask("show_notification_group", name="ops")


async def test_messages_to_whom_the_group_has_no_more_are_given_up() -> None:
    async with opened() as world:
        await world.group("ops", addresses=["a@example.org", "b@example.org"])
        await world.fail()
        await world.pass_by(QUARTER + MINUTE)
        await world.ask("update_notification_group", name="ops", addresses=["b@example.org"])
        assert await world.log() == [("a@example.org", "failed", 0), ("b@example.org", "waiting", 0)]
        await world.ask("delete_notification_group", name="ops")
        assert await world.log(state="waiting") == []


async def test_a_group_that_there_is_not_is_told_to_who_looks() -> None:
    async with opened() as world:
        await world.group()
        await world.ask("update_workspace", notification_groups=["ops", "opps", "x@example.org", "http://x.org/"])
        listed = await world.ask("list_notification_groups")
        assert {one["name"]: one["kind"] for one in listed} == {
            "ops": "group", "opps": "unknown", "x@example.org": "address", "http://x.org/": "unknown",
        }  # fmt: skip
        await world.ask("new_task", data={})
        assert WorkspaceOperations(world.of().site)._untold() == ["opps", "http://x.org/"]


async def test_viewers_do_not_see_what_may_be_a_secret_in_a_webhooks_address() -> None:
    async with opened() as world:
        await world.group("ops", webhooks=["https://hooks.example.org/services/hush"])
        await world.ask("update_workspace", notification_groups=["ops", "https://hooks.example.org/hush"])
        await world.fail()
        await world.pass_by(QUARTER - 1)
        world.clock.move_to(world.clock.now() + 1)
        await world.telling.cut()
        viewer = Caller("v", Role.VIEWER)
        for name, arguments in (
            ("list_notification_groups", {}),
            ("show_notification_group", {"name": "ops"}),
            ("list_notifications", {}),
        ):
            seen = await world.of().call(name, arguments, viewer)
            assert "https://hooks.example.org/…" in str(seen)
            assert "hush" not in str(seen)
        ledger = await world.ask("account_audit")
        assert "add_notification_group" in str(ledger)
        assert "hush" not in str([one for one in ledger if one["action"] != "update_workspace"])


async def test_a_test_is_sent_at_once_and_says_what_was_answered() -> None:
    async with mailing() as (world, box), receiver() as found:
        await world.group("ops", addresses=["a@example.org"], webhooks=[found.url])
        found.answers = [answer("500 Oops")]
        told = await world.ask("test_notification", to="ops")
        assert told == [
            {"target": "a@example.org", "delivered": True, "answer": "taken"},
            {"target": found.url, "delivered": False, "answer": f"127.0.0.1:{found.port} answered 500 Oops"},
        ]
        assert box.mails[0]["Subject"] == "aloma_py: a test of notifications: they arrive"
        assert "webhook-signature" in found.got[0].headers
        await world.ask("test_notification", to="z@example.org")
        assert box.recipients == ["a@example.org", "z@example.org"]
        assert await world.log() == []
        with pytest.raises(NotFoundError, match="did you mean 'ops'"):
            await world.ask("test_notification", to="opps")


async def test_mistakes_are_told() -> None:
    async with opened() as world:
        for arguments, said in (
            ({"name": "ops"}, "somebody to tell"),
            ({"name": "a/b", "addresses": ["a@b"]}, "cannot be used"),
            ({"name": "ops", "addresses": ["a@b\nBcc: c@d"]}, "no mail address"),
            ({"name": "ops", "addresses": ["a@b"], "every": "1m"}, "from 15m to 24h"),
            ({"name": "ops", "webhooks": ["http://example.org/hush"]}, "https:// was expected"),
            ({"name": "ops", "webhooks": ["https://example.org/"], "secret": "hush"}, "24 to 64 bytes"),
        ):
            with pytest.raises(InputError, match=said) as raised:
                await world.ask("add_notification_group", **arguments)
            assert "hush" not in str(raised.value)
        with pytest.raises(NotFoundError, match="state of notifications"):
            await world.ask("list_notifications", state="done")
        with pytest.raises(NotFoundError, match="there is no notification '7'"):
            await world.ask("retry_notification", no=7)
        with pytest.raises(InputError, match="ALOMA_SMTP"):
            Telling(world.store, Settings(smtp="mail.example.org"))
