"""Every JSON value goes through unchanged, and none makes the engine crash (SPEC §5)."""

from __future__ import annotations

import json

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aloma_py import TaskState, step
from aloma_py.errors import PayloadError
from aloma_py.intake import new_task, read_task_json

texts = st.text(st.characters(codec=None), max_size=8)  # with lone surrogates
names = st.one_of(
    texts, st.sampled_from(["", "a.b", "__proto__", "items", "get", "0", "$errors", "$stash", "$graph", "a"])
)
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=10**30, max_value=10**40),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, 1, 1e308, 5e-324, 2**53, 2**64 + 1]),
    texts,
)
values = st.recursive(
    atoms,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)
objects = st.dictionaries(names, values, max_size=5)
lenient = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def exact(value: object) -> str:
    """The JSON text, which tells 1 from 1.0 from true, and 0.0 from -0.0."""
    return json.dumps(value, sort_keys=True)


@step(condition={"todo": True})
async def copy(data):
    data.copy = data["value"]
    data.list = [data["value"], {"again": data["value"]}]
    data.todo = False


@lenient
@given(value=values)
def test_every_value_comes_out_as_it_went_in(open_world, value):
    async def main():
        async with open_world(copy) as world:
            return await world.run({"todo": True, "value": value})

    outcome = anyio.run(main)
    assert outcome.state is TaskState.DONE, outcome.errors
    assert exact(outcome.data["copy"]) == exact(value)
    assert exact(outcome.data["value"]) == exact(value)
    assert exact(outcome.data["list"]) == exact([value, {"again": value}])


@step(condition={"a": dict}, priority=2)
async def look(data):
    data.seen = sorted(dict.keys(data), key=repr)


@step(condition={"$or": [{"a": [int]}, {"a.b": str}, {"items": list}]})
async def change(data):
    for name in list(dict.keys(data)):
        if name not in ("$via", "$errors") and isinstance(data[name], list):
            data[name].append(1)


@step(condition={"$errors": dict, "handled": None}, retries=1, backoff=1)
async def handle(data):
    data.handled = len(data["$errors"])


@step(condition={"a": None}, priority=-1)
async def fill(data):
    data.a = {"filled": True}


@step(condition={"a": {"$exists": True}}, priority=-2, parallel="always")
def redo(data, step):
    data.n = (data.get("n") if isinstance(data.get("n"), int) else 0) + 1
    if data.n in range(3):
        step.redo()


@lenient
@given(data=objects, patch=objects)
def test_no_object_makes_it_crash(open_world, data, patch):
    from aloma_py import interventions

    async def main():
        async with open_world(look, change, handle, fill, redo) as world:
            outcome = await world.run(data)
            await interventions.update(world.engine, outcome.task.id, patch)
            await world.scheduler.run_until_quiet()
            return outcome, await world.outcome(outcome.task.id)

    for outcome in anyio.run(main):
        assert outcome.state.ended, (outcome.state, outcome.reason)
        assert "the engine failed" not in (outcome.reason or "")


@lenient
@given(data=objects)
def test_a_restart_reads_what_was_written(open_world, tmp_path_factory, data):
    async def main(path):
        async with open_world(copy, path=path) as world:
            task_id = await world.submit({"keep": data})
            await world.scheduler.settle()
        async with open_world(copy, path=path) as world:
            return await world.outcome(task_id)

    outcome = anyio.run(main, tmp_path_factory.mktemp("store") / "tasks.db")
    assert exact(outcome.data) == exact({"keep": data})
    assert exact(outcome.task.initial["keep"]) == exact(data)


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels - 1):
        value = {"x": value}
    return value


@pytest.mark.anyio
async def test_the_deepest_data_that_is_allowed_goes_through(open_world):
    @step(condition={"x": dict})
    async def touch(data):
        data.y = 1

    async with open_world(touch) as world:
        outcome = await world.run(nested(64))
        assert outcome.data == {**nested(64), "y": 1}
        with pytest.raises(PayloadError, match="more than 64 levels deep"):
            await world.run(nested(65))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "data is an array; an object was expected"),
        ("{", "line 1, column 2: the text ends too early"),
        ('{"a": NaN}', "data.a is NaN, which JSON does not have"),
        ('{"a": 1, "a": 2}', "may stand there once"),
    ],
)
def test_text_that_is_no_task_is_refused_with_its_place(text, message):
    with pytest.raises(PayloadError) as caught:
        read_task_json(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "x" * 201}, "the task's name has 201 characters; at most 200 were expected"),
        ({"name": ""}, "the task's name is empty; a text of 1 to 200 characters was expected"),
        ({"name": "a\nb"}, "the task's name has a control character (U+000A) at place 2; printable text was expected"),
        ({"tags": ["x" * 201]}, "the task's tag 1 has 201 characters; at most 200 were expected"),
        ({"tags": [str(n) for n in range(101)]}, "the task has 101 tags; at most 100 were expected"),
        ({"data": {"a": "x" * 1024 * 1024}}, "bytes, more than the limit of 1,048,576 bytes"),
        ({"data": {"a": {1}}}, "data.a is a set, which JSON does not have; write it as a list by sorted(…)"),
    ],
)
def test_what_a_task_cannot_be_is_refused(arguments, message):
    given = {"name": "a task", "data": {}, **arguments}
    with pytest.raises(PayloadError) as caught:
        new_task("test", given["name"], given["data"], tags=given.get("tags", ()), now=0)
    assert message in str(caught.value)
