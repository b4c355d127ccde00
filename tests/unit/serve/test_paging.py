"""Long lists in pages, and finding tasks: by filters, and by the words of names and audit references."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import anyio
import httpx2
import pytest

from aloma_py.intake import new_task
from aloma_py.models import AuditEntry, Entry, Task, TaskCommit
from aloma_py.operations import Operations, Role
from aloma_py.serve.house import idle_operations
from aloma_py.serve.web.app import PREFIX, make_app
from aloma_py.serve.web.guard import ACCOUNT, Identity
from aloma_py.settings import Settings
from aloma_py.store.ledger import Ledger
from aloma_py.store.schedules import Firing, ScheduleStore
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.writer import Write

pytestmark = pytest.mark.anyio

NOW: Final = 1_767_225_600_000
HERE: Final = f"{PREFIX}/workspaces/default"


class Ops:
    async def identify(self, request: object) -> Identity:
        return Identity("key:ops", {ACCOUNT: Role.ADMIN})


SERVED: Final[dict[str, Operations]] = {}
APP: Final = make_app(lambda workspace: SERVED[workspace], Ops())  # made once, since that takes long


class Place:
    """A store with a workspace, and another one, without anybody who advances tasks."""

    def __init__(self, store: SQLiteStore, http: httpx2.AsyncClient) -> None:
        self.store, self.http = store, http

    async def add(self, *names: str, workspace: str = "default", tags: Sequence[str] = ()) -> list[Task]:
        tasks = [new_task(workspace, name, {"n": 1}, tags=tags, now=NOW) for name in names]
        await self.store.workspace(workspace).accept(tasks)
        return tasks

    async def refer(self, task: Task, id: str, name: str) -> None:
        """Add a reference to the task's audit trail, as its step would."""
        entry = AuditEntry(NOW, "reference", name, {"id": id, "name": name})
        await self.store.workspace(task.workspace).commit([TaskCommit(task, audit=(entry,))])

    async def find(self, **query: Any) -> list[str]:
        """The names of the tasks that fit."""
        answer = await self.http.get(f"{HERE}/tasks", params=query)
        assert answer.status_code == 200, answer.text
        return [one["name"] for one in answer.json()]

    async def pages(self, place: str, **query: Any) -> AsyncIterator[list[Any]]:
        """Page after page, by the addresses in the Link headers."""
        answer = await self.http.get(place, params=query)
        while True:
            assert answer.status_code == 200, answer.text
            yield answer.json()
            link = re.fullmatch('<([^>]*)>; rel="next"', answer.headers.get("link", ""))
            if link is None:
                assert "link" not in answer.headers
                return
            answer = await self.http.get(link[1])


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Place]:
    async with SQLiteStore(folder / "tasks.db") as store:
        SERVED.clear()
        SERVED.update({name: idle_operations(store, Settings(workspace=name)) for name in ("default", "other")})
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(APP), base_url="http://here") as http:
            yield Place(store, http)


# ── pages ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_task_is_seen_once_while_others_come_and_go(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        tasks = await place.add(*(f"n{number}" for number in range(2500)))
        seen: list[str] = []
        async for page in place.pages(f"{HERE}/tasks", limit=99):
            seen += [one["name"] for one in page]
            await place.add(*(f"later {number}" for number in range(20)))
            last = next(task for task in tasks if task.name == seen[-1])
            await place.store.workspace("default").delete(last.id)  # the very task that the cursor was made of
        assert seen == [f"n{number}" for number in reversed(range(2500))]


async def test_a_filter_goes_from_page_to_page(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.add(*(f"a {number}" for number in range(7)), tags=["a&b"])
        await place.add("b")
        pages = [[one["name"] for one in page] async for page in
                 place.pages(f"{HERE}/tasks", limit=3, tag="a&b", search="a", states=["pending", "done"])]  # fmt: skip
        assert [len(page) for page in pages] == [3, 3, 1] and all("b" not in page for page in pages)


async def test_a_last_page_that_is_full_has_no_next(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.add("one", "two")
        assert [len(page) async for page in place.pages(f"{HERE}/tasks", limit=2)] == [2]
        assert [len(page) async for page in place.pages(f"{HERE}/tasks", limit=1)] == [1, 1]


@pytest.mark.parametrize("cursor", ["x", "", "😀", "bGluZTo1", "dGFzazotMQ==", "dGFzazo" + "5" * 40, "%00"])
async def test_a_cursor_of_something_else_is_refused(tmp_path: Path, cursor: str) -> None:
    async with opened(tmp_path) as place:
        answer = await place.http.get(f"{HERE}/tasks", params={"cursor": cursor})
        assert answer.status_code == 422 and "a Link header of this list" in answer.json()["detail"]


async def test_other_lists_have_pages_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        for number in range(5):
            await Ledger(place.store).note(NOW, "me", "default", "act", {"n": number})
        body = {"name": "a/b c", "text": "export const condition = {a: 1};\nexport const content = () => {};\n"}
        assert (await place.http.post(f"{HERE}/steps", json=body)).status_code == 201
        for number in range(2):
            await place.http.patch(f"{HERE}/steps/a%2Fb%20c", json={"text": f"{body['text']}// {number}\n"})
        await place.http.post(f"{HERE}/schedules", json={"name": "often", "every": "1h"})
        kept = ScheduleStore(place.store, "default")
        rows = [(kept.get("often").id, at, "why") for at in range(5)]
        sql = "INSERT INTO firing (schedule, at, why) VALUES (?, ?, ?)"
        await place.store.writer.write(Write(job=lambda connection: connection.executemany(sql, rows) and None))
        assert kept.firings(rows[0][0], 1) == [Firing(4, None, "why")]
        body = {"id": "m", "content": {"text": "1 task failed"}}
        columns = "audience, target, body, created_at, state"
        sql = f"INSERT INTO notification ({columns}) VALUES ('ops', 'a@b.c', ?, 0, 'failed')"
        messages = [(json.dumps(body),)] * 3
        await place.store.writer.write(Write(job=lambda connection: connection.executemany(sql, messages) and None))
        for path, member, expected in (
            (f"{HERE}/audit", "no", None),
            (f"{PREFIX}/audit", "no", None),
            (f"{HERE}/steps/a%2Fb%20c/versions", "n", [3, 2, 1]),
            (f"{HERE}/schedules/often/firings", "at", None),
            (f"{PREFIX}/notifications", "no", [3, 2, 1]),
        ):
            whole = (await place.http.get(path)).json()
            found = [one async for page in place.pages(path, limit=2) for one in page]
            assert found == whole and len(found) >= 3, path
            if expected is not None:
                assert [one[member] for one in found] == expected


async def test_a_history_has_pages(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        (task,) = await place.add("one")
        entries = tuple(Entry(number, "update", NOW, NOW) for number in range(1, 6))
        await place.store.workspace("default").commit([TaskCommit(replace(task, last_entry=5), entries)])
        assert [entry.n for entry in await place.store.workspace("default").entries(task.id, 1, limit=2)] == [2, 3]
        pages = [page async for page in place.pages(f"{HERE}/tasks/{task.id}/log", limit=2)]
        assert [[entry["n"] for entry in page["entries"]] for page in pages] == [[1, 2], [3, 4], [5]]


# ── finding ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("zürich", ["Order for Zürich"]),
        ("ZURICH", ["Order for Zürich"]),  # without its diacritics, in any case
        ("ord zür", ["Order for Zürich"]),  # beginnings of words, all of them
        ("rich", []),  # not their ends
        ("invoice", ["paid"]),  # the name of a reference
        ("INV-2027", ["paid"]),  # the id of a reference, or its beginning
        ("inv 17", ["paid"]),
        ("order missing", []),
        ('"order for', ["Order for Zürich"]),
        ("paid OR order", []),  # the word "or", which stands nowhere
        ("NOT paid", []),
        ("order* ^for -x", []),
        ("name:paid", []),
        ("order)", ["Order for Zürich"]),
        ("NEAR(order zürich)", []),
        ("'; DROP TABLE task; --", []),
        ("100 %", ["50 % off, or 100 %"]),
        ("заказ", ["Заказ №5"]),
        ("注文", ["注文 書類"]),
        ("🦆", []),  # no word: it is looked for as a reference's whole id
        ("duck 🦆", ["a duck 🦆"]),
        ("***", []),
        ("\x00", []),
    ],
)
async def test_words_are_found(tmp_path: Path, search: str, expected: list[str]) -> None:
    async with opened(tmp_path) as place:
        names = ("Order for Zürich", "paid", "Заказ №5", "注文 書類", "50 % off, or 100 %", "a duck 🦆")
        tasks = await place.add(*names)
        await place.refer(tasks[1], "INV-2027-17", "the invoice")
        await place.add("Order for Zürich", "paid", workspace="other")
        assert await place.find(search=search) == expected


async def test_anything_can_be_searched_for(tmp_path: Path) -> None:
    """Whatever is asked for is text: nothing of it is read as a query."""
    async with opened(tmp_path) as place:
        await place.add("one")
        for text in ('"', '""', "a AND", "AND", "(", "{a b}", "a + b", "col:", "*", "^", "-", "NEAR", "\\n", "'", ""):
            answer = await place.http.get(f"{HERE}/tasks", params={"search": text})
            assert (answer.status_code, answer.json()) == (200, []), text
        long = await place.http.get(f"{HERE}/tasks", params={"search": "word " * 3000})
        assert long.status_code == 422 and "words" in long.json()["detail"]


async def test_a_reference_is_found_by_its_whole_id(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        first, second = await place.add("one", "two")
        await place.refer(first, "🦆", "a duck")
        await place.refer(second, "https://example.com/a?b=c", "a page")
        assert await place.find(search="🦆") == ["one"]
        assert await place.find(search="https://example.com/a?b=c") == ["two"]


async def test_filters_narrow_together(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.add("Straße 1", tags=["urgent"])
        await place.add("Straße 2")
        await place.add("other", tags=["urgent"])
        assert await place.find(name="STRASSE") == ["Straße 2", "Straße 1"]
        assert await place.find(name="straße", tag="urgent") == ["Straße 1"]
        assert await place.find(tag="Urgent") == []
        assert await place.find(states=["done"]) == [] and len(await place.find(states=["pending", "done"])) == 3
        answer = await place.http.get(f"{HERE}/tasks", params={"states": "parkd"})
        assert answer.status_code == 404 and "there is no state 'parkd'" in answer.json()["detail"]


async def test_nothing_of_another_workspace_is_found(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        (theirs,) = await place.add("heron", workspace="other", tags=["heron"])
        await place.refer(theirs, "heron", "heron")
        (ours,) = await place.add("ours")
        for query in ({"search": "heron"}, {"name": "heron"}, {"tag": "heron"}, {"parent": theirs.id}):
            assert await place.find(**query) == []
        answer = await place.http.get(f"{HERE}/tasks", params={"before": theirs.id})
        assert answer.status_code == 404
        page = await place.http.get(f"{PREFIX}/workspaces/other/tasks")
        assert [one["name"] for one in page.json()] == ["heron"] and ours.id not in page.text


async def test_searching_while_tasks_are_deleted_finds_what_is_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        tasks = await place.add(*(f"duck {number}" for number in range(30)))
        assert len(await place.find(search="duck")) == 30
        async with anyio.create_task_group() as group:
            for task in tasks[::2]:
                group.start_soon(place.store.workspace("default").delete, task.id)
        assert len(await place.find(search="duck", limit=100)) == 15
        await place.add("duck again")
        assert (await place.find(search="duck ag")) == ["duck again"]
