"""What step code can use beside its data (SPEC §4)."""

from __future__ import annotations

import pytest

from aloma_py import Limits, Task, TaskState, Workspace, step

pytestmark = pytest.mark.anyio


async def data_of(open_world, content, data=None, **options):
    async with open_world(content, **options) as world:
        outcome = await world.run({"a": 1, **(data or {})})
    assert outcome.state is TaskState.DONE, outcome.errors
    return {name: value for name, value in outcome.data.items() if name != "a"}


async def test_via_is_always_there(open_world):
    @step(condition={"a": 1})
    async def look(data):
        data.seen = dict(data["$via"])

    seen = (await data_of(open_world, look))["seen"]
    assert seen.keys() == {"id", "name", "type", "received"}
    assert (seen["type"], seen["received"]) == ("api", 1767225600000)

    outcome = await Workspace("w", [look]).run({"a": 1})
    assert outcome.data["seen"].keys() == {"id", "name", "type", "received"}


async def test_via_stays_with_the_task_when_the_data_is_emptied_or_it_is_deleted(open_world):
    @step(condition={"a": 1})
    async def empty(data):
        data.clear()
        data.b = 1

    @step(condition={"b": 1})
    async def delete(data):
        del data["$via"]
        data.c = 1

    async with open_world(empty, delete) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"b": 1, "c": 1}
    assert outcome.via["type"] == "api"


async def test_a_condition_can_look_at_where_a_task_came_from(open_world):
    @step(condition={"$via": {"type": "webhook", "name": "orders"}})
    async def orders(data):
        data.order = True

    async with open_world(orders) as world:
        yes = await world.run({}, via={"type": "webhook", "name": "orders"})
        no = await world.run({}, via={"type": "webhook", "name": "other"})

    assert (yes.data, no.data) == ({"order": True}, {})


async def test_facts_about_the_task_in_both_spellings(open_world):
    @step(condition={"a": 1})
    async def look(data, task: Task):
        assert task.id == task.id()
        assert task.created_at == task.createdAt
        data.facts = [str(task.id), task.created_at, task.workspace(), task.region(), task.name(), task.tags()]

    async with open_world(look, config={"REGION": "eu"}) as world:
        outcome = await world.run({"a": 1}, name="my task", tags=["x", "y"])

    assert outcome.data["facts"] == [
        outcome.task.id, "2026-01-01T00:00:00.000Z", "test", "eu", "my task", ["x", "y"],
    ]  # fmt: skip


async def test_name_and_tags_can_be_set_and_are_read_as_set(open_world):
    @step(condition={"a": 1})
    async def rename(data, task):
        data.names = [task.name(), task.name("new"), task.name()]
        data.tags = [task.tags(), task.tags(["b", "c", "b"]), task.tags()]

    async with open_world(rename) as world:
        outcome = await world.run({"a": 1}, name="old", tags=["a"])

    assert outcome.data == {"a": 1, "names": ["old", "new", "new"], "tags": [["a"], ["b", "c"], ["b", "c"]]}
    assert (outcome.task.name, outcome.task.tags) == ("new", ["b", "c"])


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda task: task.name("x" * 201), "the task's name has 201 characters; at most 200 were expected"),
        (lambda task: task.name(""), "the task's name is empty; a text of 1 to 200 characters was expected"),
        (lambda task: task.tags("abc"), "the task's tags are a text; a list of texts was expected"),
        (lambda task: task.tags([1]), "the task's tag 1 is a number; a text was expected"),
        (lambda task: task.park(-1), "task.park must not be negative, but is -1"),
        (lambda task: task.visualize(type="pie"), "task.visualize knows no type 'pie'; there are: data, "),
    ],
)
async def test_what_a_task_cannot_have_fails_the_run_with_its_own_error(open_world, act, message):
    @step(condition={"a": 1})
    async def wrong(task):
        act(task)

    async with open_world(wrong) as world:
        outcome = await world.run({"a": 1})

    error = outcome.errors["wrong"]
    assert error["message"].startswith(message)
    assert error["type"] in ("PayloadError", "InputError", "RunError")


async def test_config_gives_the_workspaces_value_or_none(open_world):
    @step(condition={"a": 1})
    async def look(data, task, config):
        data.found = [task.config("KEY"), config("KEY"), task.config("missing")]

    assert await data_of(open_world, look, config={"KEY": {"x": 1}}) == {"found": [{"x": 1}, {"x": 1}, None]}


async def test_libraries_are_there_by_namespace(open_world, tmp_path):
    (tmp_path / "prices.py").write_text("def total(lines):\n    return sum(line['price'] for line in lines)\n")

    @step(condition={"a": 1})
    async def adds(data, lib):
        data.total = lib.prices.total(data.lines)

    found = await data_of(
        open_world, adds, {"lines": [{"price": 2}, {"price": 3}]}, libraries={"prices": tmp_path / "prices.py"}
    )
    assert found["total"] == 5


async def test_the_audit_trail_and_finding_a_task_by_a_reference(open_world):
    @step(condition={"a": 1}, priority=1)
    async def first(data, audit):
        audit.log("looked", {"n": 1})
        audit.reference({"id": "INV-77", "name": "invoice", "url": "https://example.com/77"})

    @step(condition={"a": 1})
    async def second(data, audit):
        audit.log("again")
        data.trail = audit.get()

    async with open_world(first, second) as world:
        outcome = await world.run({"a": 1})
        from aloma_py.models import TaskFilter

        found = await world.engine.store.list(TaskFilter(search="INV-77"))

    assert outcome.data["trail"] == [
        {"msg": "looked", "details": {"n": 1}},
        {"id": "INV-77", "name": "invoice", "url": "https://example.com/77"},
        {"msg": "again"},
    ]
    assert [task.id for task in found] == [outcome.task.id]


async def test_a_graph_is_kept_in_the_data(open_world):
    @step(condition={"a": 1})
    async def draw(graph):
        one, two = graph.addVertex({"type": "person"}), graph.add_vertex({"type": "person"})
        graph.connect({"out": one.id, "in": two.id, "type": "knows"})

    @step(condition={"$graph": dict, "count": None})
    async def count(data, graph):
        data.count = [len(graph.vertices()), len(graph.edges())]

    async with open_world(draw, count) as world:
        assert (await world.run({"a": 1})).data["count"] == [2, 1]


async def test_a_mapper_maps(open_world):
    @step(condition={"a": 1})
    async def maps(data, mapper):
        data.mapped = mapper().map("x.y").to("z.0.w").execute(data.source)

    assert (await data_of(open_world, maps, {"source": {"x": {"y": 5}}}))["mapped"] == {"z": [{"w": 5}]}


@pytest.mark.parametrize("content", ["text é", b"\x00\xff", {"json": [1, None]}])
async def test_files_are_shared_by_the_tasks_of_a_workspace(open_world, content):
    got = []

    @step(condition={"write": True})
    async def write(file):
        await file.write("report", content)

    @step(condition={"read": True})
    async def read(file):
        got.append(await file.read("report"))

    @step(condition={"read_in_thread": True})
    def read_in_thread(file):
        got.append(file.read("report"))

    async with open_world(write, read, read_in_thread) as world:
        await world.run({"write": True})
        await world.run({"read": True})
        await world.run({"read_in_thread": True})

    assert got == [content, content]


async def test_a_file_that_is_not_there_names_the_nearest(open_world):
    @step(condition={"a": 1})
    async def read(file):
        await file.write("report.csv", "x")
        await file.read("raport.csv")

    async with open_world(read) as world:
        error = (await world.run({"a": 1})).errors["read"]

    assert error["message"] == "there is no file 'raport.csv'; did you mean 'report.csv'?"
    assert error["type"] == "NotFoundError"


async def test_blobs_keep_larger_payloads_outside_the_data(open_world):
    @step(condition={"a": 1}, priority=1)
    async def create(data, blob):
        data.blob = await blob.create({"content": "x" * 5000, "name": "big", "mimetype": "text/plain", "page": 3})

    @step(condition={"blob": str, "about": None})
    async def read(data, blob):
        data.about = await blob.get(data.blob)
        data.size = len(await blob.getContent(data.blob))

    async with open_world(create, read, limits=Limits(max_data_bytes=2000)) as world:
        data = (await world.run({"a": 1})).data

    assert data["about"] == {"page": 3, "id": data["blob"], "name": "big", "mimetype": "text/plain", "size": 5000}
    assert data["size"] == 5000


async def test_pictures_are_kept_with_the_task(open_world):
    @step(condition={"a": 1})
    async def show(task):
        task.visualize({"type": "table", "name": "lines", "data": [{"x": 1}], "options": {"sort": "x"}})

    async with open_world(show) as world:
        (picture,) = (await world.run({"a": 1})).visualizations

    assert (picture.type, picture.name, picture.data, picture.options) == (
        "table", "lines", [{"x": 1}], {"sort": "x"},
    )  # fmt: skip
