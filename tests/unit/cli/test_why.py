"""Why a step ran on a task or did not: the story in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from aloma_py import Limits, Workspace, interventions, step
from aloma_py.clock import VirtualClock
from aloma_py.engine import Engine
from aloma_py.history import Why, revisions, why
from aloma_py.intake import new_task
from aloma_py.models import Task
from aloma_py.scheduler import Scheduler
from aloma_py.store.sqlite import SQLiteStore


@step(condition={"state": "new"}, priority=5)
def urgent(data: Any) -> None:
    data.state = "taken"


@step(condition={"state": "new", "kind": str})
def special(data: Any) -> None:
    data.state = "taken"


@step(condition={"state": "new"})
def plain(data: Any) -> None:
    data.state = "taken"


@step(condition={"state": "new"})
def later(data: Any) -> None:
    data.late = True


@step(condition={"state": "new"}, enabled=False)
def disabled(data: Any) -> None: ...


@step(condition={"seen": int})
def see(data: Any) -> None:
    data.seen_twice = data.seen * 2


@step(condition={"fail": True}, retries=1, backoff="1m")
def fail(data: Any) -> None:
    raise ValueError("not today")


@step(condition={"wait": True})
def wait(data: Any, task: Any) -> None:
    data.parked = True
    task.park("2h")


@step(condition={"parked": True})
def after_waiting(data: Any) -> None:
    data.parked = "over"


@step(condition={"finish": True})
def finish(data: Any, task: Any) -> None:
    data.open = True
    task.complete()


@step(condition={"open": True})
def left_over(data: Any) -> None: ...


def ask(steps: list[Any], data: dict[str, Any], name: str, *, updates: Mapping[str, Any] | None = None,
        until: int | None = None) -> Why:  # fmt: skip
    """Run a task, and ask why a step ran or did not."""

    async def work() -> Why:
        workspace = Workspace("test", steps)
        async with SQLiteStore(":memory:") as store:
            clock = VirtualClock()
            engine = workspace.engine(store.workspace("test"), clock=clock)
            scheduler = Scheduler(engine)
            task = new_task("test", "task", data, now=clock.now(), limits=Limits())
            await engine.submit([task])
            async with scheduler.running():
                await _go(scheduler, until)
                if updates is not None:
                    await interventions.update(engine, task.id, dict(updates))
                    await _go(scheduler, until)
            return await _why(engine, task, name)

    return anyio.run(work)


async def _go(scheduler: Scheduler, until: int | None) -> None:
    if until is None:
        await scheduler.run_until_quiet()
    else:
        await scheduler.settle()


async def _why(engine: Engine, task: Task, name: str) -> Why:
    task = await engine.store.get(task.id)
    entries = await engine.store.entries(task.id)
    assert list(revisions(task, entries))[-1].data == task.data
    return why(task, entries, name, engine.table, engine.clock.now())


def test_a_step_that_ran_says_when() -> None:
    found = ask([plain], {"state": "new"}, "plain")
    assert found.sentences == ("It ran in wave 1, at 2026-01-01T00:00:00.000Z, and ended well.",)
    assert [moment.title for moment in found.matched_at] == ["at the beginning"]
    assert not found.matches


def test_a_step_that_never_matched_says_so_with_the_rows() -> None:
    found = ask([plain, see], {"state": "new"}, "see")
    assert found.sentences == ("Its condition has never matched this task; the rows above say what is missing now.",)
    assert [(row.path, row.expected, row.found, row.held) for row in found.rows] == [
        ("seen", "a whole number", "missing", False)
    ]


@pytest.mark.parametrize(
    ("steps", "name", "ahead"),
    [
        ([plain, urgent], "plain", "'urgent' ran first (its priority is 5, this one's 0); then step 'urgent'"),
        (
            [plain, special],
            "plain",
            "'special' ran first (its condition is more specific: 2 leaves, this one's has 1); then step 'special'",
        ),
        ([plain, later], "later", "'plain' ran first (as specific, and created earlier); then step 'plain'"),
    ],
)
def test_a_step_that_lost_its_turn_says_to_whom_and_what_ended_its_match(
    steps: list[Any], name: str, ahead: str
) -> None:
    found = ask(steps, {"state": "new", "kind": "x"}, name)
    assert found.sentences == (
        f"It matched at the beginning, but did not get its turn: {ahead} changed "
        'state = "taken", and its condition held no more.',
    )


def test_a_match_that_an_update_ended() -> None:
    # Given a task that waits, in which a step matches; then an update takes the match away
    found = ask([wait, after_waiting], {"wait": True}, "after_waiting", updates={"parked": False}, until=0)
    assert found.sentences == (
        "It matched after wave 1, but did not get its turn: an update from outside changed "
        "parked = false, and its condition held no more.",
    )


def test_a_step_that_matched_while_the_task_waits() -> None:
    found = ask([wait, after_waiting], {"wait": True}, "after_waiting", until=0)
    assert found.sentences == (
        "It matches now, but the task is waiting until 2026-01-01T02:00:00.000Z: parked by step 'wait'.",
    )


def test_a_spent_step_says_how_it_runs_again() -> None:
    found = ask([see], {"seen": 2}, "see")
    assert found.matches
    assert found.sentences[1].startswith("It matches now, but is spent: it has run, and has matched ever since.")


def test_a_failed_step_that_waits_for_its_retry() -> None:
    found = ask([fail], {"fail": True}, "fail", until=0)
    assert found.sentences[0] == (
        "It ran in wave 1, at 2026-01-01T00:00:00.000Z, and failed, to be tried again: ValueError: not today."
    )
    assert found.sentences[1].startswith("It matches now; after a failed attempt, attempt 2 is due at 2026-01-01T00:0")


def test_a_step_that_matched_when_the_task_ended() -> None:
    found = ask([finish, left_over], {"finish": True}, "left_over")
    assert found.sentences == (
        "It matches now, but the task has ended (done: completed by step 'finish') before it was its turn.",
    )


def test_a_disabled_step_says_so() -> None:
    found = ask([later, disabled], {"state": "new"}, "disabled")
    assert found.sentences == (
        "The step is disabled (enabled=False), so it is not matched at all.",
        "It would match now, were it enabled.",
    )


def test_as_json() -> None:
    found = ask([plain, urgent], {"state": "new"}, "plain").to_json()
    assert found["matched"] == [{"when": "at the beginning", "wave": None, "after": []}]
    assert found["ran"] == []
    assert found["rows"] == [
        {"path": "state", "expected": 'equal to "new"', "found": '"taken"', "held": False, "leaf": True}
    ]
