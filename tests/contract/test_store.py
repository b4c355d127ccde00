"""What every store must do, whoever wrote it: run against each implementation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py.errors import InputError, NotFoundError, StaleTask
from aloma_py.models import (
    AuditEntry,
    Blob,
    Call,
    Change,
    Conflict,
    Cycle,
    Entry,
    ErrorInfo,
    LogLine,
    Retry,
    Task,
    TaskCommit,
    TaskFilter,
    TaskState,
    Visualization,
)
from aloma_py.store import SQLiteStore, WorkspaceStore

pytestmark = pytest.mark.anyio
NONE: frozenset[str] = frozenset()

Opener = Callable[[], AbstractAsyncContextManager[SQLiteStore]]


@pytest.fixture(params=["memory", "file"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens a store; the one in a file is the same each time."""
    return lambda: SQLiteStore(":memory:" if request.param == "memory" else tmp_path / "store.db")


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[SQLiteStore]:
    async with opener() as opened:
        yield opened


@pytest.fixture
def main(store: SQLiteStore) -> WorkspaceStore:
    return store.workspace("main")


def task(id: str, /, **members: Any) -> Task:
    members.setdefault("data", {"n": 1})
    known = {"workspace": "main", "name": "order", "initial": members["data"], "created_at": 1000, "updated_at": 1000}
    return Task(id=id, **(known | members))


def full_task(id: str = "task-full") -> Task:
    return task(
        id,
        name="Ünïcode 🎈 \N{ZERO WIDTH SPACE}",
        data={"$via": {"id": "x"}, "big": 2**70, "float": -0.0, "deep": [[[{"a": None}]]], "text": "\x00 \u2028"},
        initial={"$via": {"id": "x"}},
        tags=["a", 'quo"ted'],
        state=TaskState.WAITING,
        reason="parked",
        result=[False, 0, ""],
        ended_at=7,
        due_at=5000,
        expires_at=9000,
        on_expire={"result": 1},
        into="answers.0",
        wait_for=True,
        last_entry=3,
        cycle=Cycle(runs=2, wave=1, matched=True, spent={"a", "b"}, ordinals={"a": 1}, retries={"b": Retry(2, 77)}),
        stash=b"\x00\xff",
    )


async def test_a_task_comes_back_as_it_was(main: WorkspaceStore) -> None:
    await main.accept([full_task()])
    assert await main.get("task-full") == full_task()


async def test_what_is_given_out_is_the_callers_own(main: WorkspaceStore) -> None:
    mine = task("t1", data={"list": [1]})
    await main.accept([mine])
    mine.data["list"].append(2)
    theirs = await main.get("t1")
    theirs.data["list"].append(3)
    theirs.tags.append("x")
    again = await main.get("t1")
    assert (again.data, again.tags) == ({"list": [1]}, [])


async def test_accept_stores_all_or_none(main: WorkspaceStore) -> None:
    await main.accept([task("t1")])
    with pytest.raises(Exception, match="nothing was changed"):
        await main.accept([task("t2"), task("t1")])
    assert [one.id for one in await main.list(TaskFilter())] == ["t1"]


async def test_a_commit_writes_the_row_and_what_is_around_it(main: WorkspaceStore) -> None:
    await main.accept([task("t1")])
    held = await main.get("t1")
    entry = Entry(
        n=1,
        kind="run",
        started_at=5,
        ended_at=6,
        step="pay",
        version="v1",
        wave=1,
        attempt=2,
        outcome="failed",
        changes=(Change("set", ("a", 0, "b.c"), {"x": [1]}), Change("delete", ("n",)), Change("append", ("l",), [1])),
        conflicts=(Conflict(("a",), "one", "two"),),
        effects=("redo",),
        error=ErrorInfo("ValueError", "no", "stack", 503),
        logs=(LogLine(5, "info", "hello"), LogLine(6, "error", "\N{SNOWMAN}")),
    )
    audit = (AuditEntry(5, "log", "said", {"a": 1}), AuditEntry(6, "reference", "Invoice", {"id": 17, "url": "u"}))
    picture = Visualization(5, "table", "rows", [[1, 2]], {"wide": True})
    child = task("t2", parent="t1", into="a.b", wait_for=True)
    after = replace(held, data={"a": 1}, state=TaskState.RUNNING, last_entry=1, name="renamed", tags=["new"])
    await main.commit([TaskCommit(after, (entry,), audit, (picture,), (child,))])

    stored = await main.get("t1")
    assert stored == replace(after, revision=1)
    assert after.revision == 0, "the caller's object is not changed"
    assert await main.entries("t1") == [entry]
    assert await main.audit("t1") == list(audit)
    assert await main.visualizations("t1") == [picture]
    assert await main.children("t1") == [child]


async def test_a_stale_commit_changes_nothing_at_all(main: WorkspaceStore) -> None:
    await main.accept([task("t1"), task("t2")])
    first, second = await main.get("t1"), await main.get("t2")
    await main.commit([TaskCommit(replace(second, reason="newer"))])
    entry = Entry(n=1, kind="update", started_at=1, ended_at=1)
    with pytest.raises(StaleTask, match="t2 was changed or deleted by somebody else in between"):
        await main.commit([TaskCommit(replace(first, name="x"), (entry,)), TaskCommit(second, children=(task("t3"),))])
    assert (await main.get("t1"), await main.entries("t1")) == (first, [])
    assert (await main.get("t2")).reason == "newer"
    with pytest.raises(NotFoundError):
        await main.get("t3")


async def test_a_commit_to_a_deleted_task_is_stale(main: WorkspaceStore) -> None:
    await main.accept([task("t1")])
    held = await main.get("t1")
    await main.delete("t1")
    with pytest.raises(StaleTask):
        await main.commit([TaskCommit(held)])
    assert await main.list(TaskFilter()) == []


async def test_entries_from_a_number_on(main: WorkspaceStore) -> None:
    await main.accept([task("t1")])
    entries = tuple(Entry(n=n, kind="run", started_at=n, ended_at=n) for n in range(1, 12))
    await main.commit([TaskCommit(replace(await main.get("t1"), last_entry=11), entries)])
    assert [entry.n for entry in await main.entries("t1", after=8)] == [9, 10, 11]


async def test_calls_are_kept_in_their_order(main: WorkspaceStore) -> None:
    await main.accept([task("t1")])
    calls = [
        Call("pay", 1, 1, "stripe", "charge", "d1", n, {"a": n}, "returned", {"ok": True}, f"k{n}", 1, 2)
        for n in range(3)
    ]
    for call in calls:
        await main.record_call("t1", call)
    assert await main.calls("t1") == calls
    with pytest.raises(StaleTask, match="task gone was deleted by somebody else in between"):
        await main.record_call("gone", calls[0])


async def test_a_unique_beginning_of_an_id_will_do(main: WorkspaceStore) -> None:
    await main.accept([task("task-abc1"), task("task-abd2"), task("task-abd3")])
    assert (await main.get("task-abc")).id == "task-abc1"
    with pytest.raises(
        InputError, match="'task-abd' is the beginning of several tasks: task-abd2, task-abd3; give more"
    ):
        await main.get("task-abd")
    for unknown in ("task-x", "", "%", "task-abc1 "):
        with pytest.raises(NotFoundError, match="there is no task"):
            await main.get(unknown)
    with pytest.raises(InputError, match="is no text that can be looked for"):
        await main.get("\ud800")


async def test_workspaces_do_not_see_each_other(store: SQLiteStore) -> None:
    one, other = store.workspace("one"), store.workspace("other")
    await one.accept([task("t1", workspace="one", name="secret")])
    await one.put_blob(Blob("b1", "t1", None, None, b"x", None, 1))
    await one.write_file("f", b"x", 1)
    await one.set_facts(color="red")
    await other.set_facts(color="blue")
    for question in (other.get("t1"), other.get_blob("b1"), other.read_file("f"), other.delete("t1")):
        with pytest.raises(NotFoundError):
            await question
    with pytest.raises(InputError, match="task t1 is of workspace 'one', not of 'other'"):
        await other.commit([TaskCommit(await one.get("t1"))])
    assert await other.list(TaskFilter()) == await other.list(TaskFilter(search="secret")) == []
    assert await other.ready(10**15, 10, NONE) == await other.entries("t1") == await other.calls("t1") == []
    assert (await other.counts(), await other.next_due()) == ({}, None)
    assert await one.facts() == {"color": "red"}
    assert await store.workspaces() == ["one", "other"]


async def test_listing_is_newest_first_and_narrowed(main: WorkspaceStore) -> None:
    states = [TaskState.DONE, TaskState.PENDING, TaskState.ERROR, TaskState.DONE, TaskState.WAITING, TaskState.DONE]
    tasks = [
        task(f"t{n}", name=f"Order {n}", tags=["odd"] if n % 2 else ["x", 'e"v'], state=state)
        for n, state in enumerate(states)
    ]
    await main.accept(tasks)

    async def found(**wanted: Any) -> str:
        return " ".join(one.id for one in await main.list(TaskFilter(**wanted)))

    assert await found() == "t5 t4 t3 t2 t1 t0"
    assert await found(limit=2) == "t5 t4"
    assert await found(limit=2, before="t4") == "t3 t2"
    assert await found(states=frozenset({TaskState.DONE, TaskState.ERROR})) == "t5 t3 t2 t0"
    assert await found(name="ORDER 3") == "t3"
    assert await found(name="%") == ""
    assert await found(tag="odd", limit=2) == "t5 t3"
    assert (await found(tag='e"v'), await found(tag="v")) == ("t4 t2 t0", "")
    assert await found(parent="t1") == ""
    assert await found(states=frozenset()) == ""
    with pytest.raises(NotFoundError, match="there is no task 'gone'"):
        await found(before="gone")
    assert await main.counts() == {"done": 3, "pending": 1, "error": 1, "waiting": 1}


async def test_searching_finds_names_and_references(main: WorkspaceStore) -> None:
    await main.accept([task("t1", name="Order for Müller"), task("t2", name="Refund"), task("t3", name="Other")])

    async def found(text: str) -> list[str]:
        return [one.id for one in await main.list(TaskFilter(search=text))]

    assert await found("mull ord") == ["t1"]
    reference = AuditEntry(1, "reference", "Invoice", {"id": "INV-2024/7", "name": "Invoice"})
    await main.commit([TaskCommit(replace(await main.get("t2"), name="Payback"), audit=(reference,))])
    assert await found("INV-2024/7") == await found("invoice") == await found("payb") == ["t2"]
    assert await found("refund") == []
    for odd in ('"', "*", "name:", "a OR b", "NEAR(", "-", ""):
        assert await found(odd) == []
    await main.delete("t3")
    await main.accept([task("t4", name="Newcomer")])
    assert (await found("newcomer"), await found("other")) == (["t4"], [])


async def test_ready_gives_what_is_due_longest_waiting_first(main: WorkspaceStore) -> None:
    waiting = TaskState.WAITING
    await main.accept(
        [
            task("late", created_at=300),
            task("early", created_at=100),
            task("running", created_at=200, state=TaskState.RUNNING),
            task("delayed", due_at=5000),
            task("due", due_at=150, created_at=1),
            task("parked", state=waiting, due_at=5001),
            task("parked-due", state=waiting, due_at=250),
            task("expiring", state=waiting, due_at=9000, expires_at=6000),
            task("expired", state=waiting, expires_at=260),
            task("forever", state=waiting),
            task("done", state=TaskState.DONE, due_at=1),
            task("stopped", state=TaskState.STOPPED, expires_at=1),
        ]
    )

    async def ready(now: int, limit: int = 50, *skip: str) -> str:
        return " ".join(one.id for one in await main.ready(now, limit, frozenset(skip)))

    assert await ready(1000) == "early due running parked-due expired late"
    assert await ready(1000, 2) == "early due"
    assert await ready(1000, 2, "early", "due", "parked-due") == "running expired"
    assert await main.next_due() == 5000
    assert await ready(5000, 50, "early", "due", "running", "parked-due", "expired", "late") == "delayed"
    assert await main.next_due() == 5001
    assert (
        await ready(6000, 50, "early", "due", "running", "parked-due", "expired", "late") == "delayed parked expiring"
    )
    assert await main.next_due() is None


async def test_a_commit_moves_a_task_in_and_out_of_ready(main: WorkspaceStore) -> None:
    await main.accept([task("t1")])
    held = await main.get("t1")
    await main.commit([TaskCommit(replace(held, state=TaskState.WAITING, due_at=500))])
    assert (await main.ready(499, 9, NONE), await main.next_due()) == ([], 500)
    assert [one.id for one in await main.ready(500, 9, NONE)] == ["t1"]
    await main.commit([TaskCommit(replace(await main.get("t1"), state=TaskState.DONE, due_at=None))])
    assert await main.ready(10**9, 9, NONE) == []


async def test_children_come_in_the_order_made(store: SQLiteStore, main: WorkspaceStore) -> None:
    await main.accept([task("p"), task("x")])
    children = [
        task("c1", parent="p", wait_for=True),
        task("c2", parent="p", wait_for=True, into="a", state=TaskState.WAITING),
        task("c3", parent="p", wait_for=True, state=TaskState.DONE),
        task("c4", parent="p", into="b"),
        task("c5", parent="p", into="c", state=TaskState.ERROR),
        task("c6", parent="p"),
    ]
    await main.accept(children)
    assert [child.id for child in await main.children("p")] == ["c1", "c2", "c3", "c4", "c5", "c6"]
    assert await main.children("x") == await store.workspace("other").children("p") == []


async def test_deleting_takes_subtasks_and_everything_around_along(main: WorkspaceStore) -> None:
    await main.accept([task("p"), task("other")])
    await main.accept([task("c", parent="p")])
    await main.accept([task("g", parent="c")])
    await main.put_blob(Blob("b", "g", None, None, b"x", None, 1))
    await main.delete("p")
    assert [one.id for one in await main.list(TaskFilter())] == ["other"]
    with pytest.raises(NotFoundError, match="there is no blob 'b'"):
        await main.get_blob("b")
    with pytest.raises(NotFoundError, match="there is no task 'p'"):
        await main.delete("p")


async def test_blobs_files_and_facts(main: WorkspaceStore) -> None:
    blob = Blob("b1", None, "a.pdf", "application/pdf", b"\x00\x01", {"pages": 2}, 5)
    await main.put_blob(blob)
    assert await main.get_blob("b1") == blob
    await main.write_file("report.csv", b"1", 1)
    await main.write_file("report.csv", b"2", 2)
    assert await main.read_file("report.csv") == b"2"
    with pytest.raises(NotFoundError, match=r"there is no file 'report.cvs'; did you mean 'report.csv'\?"):
        await main.read_file("report.cvs")
    await main.set_facts(a={"x": 1}, b=None)
    await main.set_facts(a={"y": 2})
    assert await main.facts() == {"a": {"y": 2}, "b": None}


async def test_many_at_once_are_each_stored(main: WorkspaceStore) -> None:
    async def life(n: int) -> None:
        one = task(f"t{n}")
        await main.accept([one])
        for step in range(1, 4):
            entry = Entry(n=step, kind="run", started_at=step, ended_at=step)
            await main.commit([TaskCommit(replace(one, last_entry=step, revision=step - 1), (entry,))])

    async with anyio.create_task_group() as group:
        for n in range(300):
            group.start_soon(life, n)
    tasks = await main.list(TaskFilter(limit=1000))
    assert {(one.id, one.revision, one.last_entry) for one in tasks} == {(f"t{n}", 3, 3) for n in range(300)}


async def test_a_purge_takes_what_ended_long_ago(store: SQLiteStore, main: WorkspaceStore) -> None:
    done = TaskState.DONE
    await main.accept(
        [
            task("old", state=done, ended_at=10),
            task("new", state=done, ended_at=100),
            task("open", created_at=1),
            task("resumed", state=TaskState.WAITING, ended_at=10),
            task("parent", state=done, ended_at=10),
            task("child", state=done, ended_at=10, parent="open"),
            task("open-child", parent="parent"),
            task("family", state=done, ended_at=10),
            task("member", state=done, ended_at=20, parent="family"),
        ]
    )
    line = Entry(n=1, kind="run", started_at=5, ended_at=10, logs=(LogLine(5, "info", "x"),))
    await main.commit([TaskCommit(replace(await main.get("open"), last_entry=1), (line,))])
    assert await store.purge(50, 5) == {"task": 3, "origin": 3}
    left = {one.id for one in await main.list(TaskFilter())}
    assert left == {"new", "open", "resumed", "parent", "child", "open-child"}
    assert await main.entries("open") == [line]
    assert await store.purge(50, 11) == {"logs": 1}
    assert await main.entries("open") == [replace(line, logs=())]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=())), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(data=st.dictionaries(st.text(st.characters(exclude_categories=())), JSON, max_size=5), result=JSON)
@settings(deadline=None, max_examples=200)
def test_every_json_value_comes_back(data: dict[str, Any], result: Any) -> None:
    async def round_trip() -> None:
        async with SQLiteStore(":memory:") as store:
            main = store.workspace("main")
            await main.accept([task("t1", data=data, result=result)])
            stored = await main.get("t1")
            assert repr((stored.data, stored.initial, stored.result)) == repr((data, data, result))

    anyio.run(round_trip)
