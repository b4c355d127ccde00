"""A run is a transaction on its own copy of the data; a wave's changes are merged (SPEC §3.6, §3.7)."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from aloma_py import TaskState, step
from aloma_py.models import Conflict

pytestmark = pytest.mark.anyio


async def test_a_failed_run_leaves_no_change_and_no_effect(open_world):
    @step(condition={"a": 1})
    async def fails(data, task, step, audit, log):
        data.a = 2
        data.nested.x.append(3)
        task.name("renamed")
        task.tags(["t"])
        task.subtask("child", {"c": 1}, into="answer", wait_for=True)
        task.complete("done")
        task.park(1000)
        task.timeout(1000)
        task.visualize({"type": "data", "data": 1})
        audit.log("a line")
        step.redo()
        log.info("kept")
        raise ValueError("too late")

    async with open_world(fails) as world:
        outcome = await world.run({"a": 1, "nested": {"x": [1]}})

    assert outcome.state is TaskState.ERROR
    assert {name: value for name, value in outcome.data.items() if name != "$errors"} == {"a": 1, "nested": {"x": [1]}}
    assert (outcome.task.name, outcome.task.tags, outcome.task.expires_at) == ("a task", [], None)
    assert (outcome.subtasks, outcome.audit, outcome.visualizations, outcome.result) == ((), (), (), None)
    assert outcome.runs[0].effects == ()
    assert [line.text for line in outcome.runs[0].logs] == ["kept"]


async def test_two_runs_of_a_wave_see_the_same_data_before(open_world):
    @step(condition={"n": list}, parallel="always")
    async def one(data, connectors):
        data.n.append("one")
        data.one_saw = len(data.n)
        await connectors.utils.sleep(milliseconds=10)

    @step(condition={"n": list}, parallel="always")
    async def two(data, connectors):
        await connectors.utils.sleep(milliseconds=20)
        data.n.append("two")
        data.two_saw = len(data.n)

    async with open_world(one, two) as world:
        outcome = await world.run({"n": []})

    assert [entry.wave for entry in outcome.runs] == [1, 1]
    assert (outcome.data["one_saw"], outcome.data["two_saw"]) == (1, 1)
    assert outcome.data["n"] == ["one", "two"]  # two appends are both kept, in the wave's order
    assert outcome.conflicts == []


async def test_different_members_merge_at_any_depth(open_world):
    @step(condition={"a": 1}, parallel="always")
    async def one(data):
        data.order.one = {"x": 1}
        del data.order.old

    @step(condition={"a": 1}, parallel="always")
    async def two(data):
        data.order.two = [1]
        data.order.deep.b = 2

    async with open_world(one, two) as world:
        outcome = await world.run({"a": 1, "order": {"old": 1, "deep": {"a": 1}}})

    assert outcome.data["order"] == {"one": {"x": 1}, "two": [1], "deep": {"a": 1, "b": 2}}


async def test_where_two_set_one_member_the_later_wins_and_the_conflict_is_in_the_history(open_world):
    @step(condition={"a": 1}, parallel="always")
    async def early(data):
        data.price = 1

    @step(condition={"a": 1}, parallel="always")
    async def late(data):
        data.price = 2

    async with open_world(early, late) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data["price"] == 2
    assert outcome.conflicts == [Conflict(("price",), lost="early", won="late")]
    assert outcome.runs[1].conflicts == (Conflict(("price",), lost="early", won="late"),)


async def test_the_order_of_a_wave_is_that_of_the_steps_and_not_of_who_ends_first(open_world):
    @step(condition={"a": 1}, parallel="always")
    async def slow(data, connectors):
        await connectors.utils.sleep(milliseconds=500)
        data.price = "slow"

    @step(condition={"a": 1}, parallel="always")
    async def quick(data):
        data.price = "quick"

    async with open_world(slow, quick) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data["price"] == "quick"
    assert outcome.steps == ["slow", "quick"]


async def test_of_a_wave_the_good_runs_are_kept_where_another_fails(open_world):
    @step(condition={"a": 1}, parallel="always")
    async def bad(data):
        data.bad = True
        raise ValueError("no")

    @step(condition={"a": 1}, parallel="always")
    async def good(data):
        data.good = True

    async with open_world(bad, good) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data["good"] is True
    assert "bad" not in outcome.data
    assert list(outcome.errors) == ["bad"]


async def test_the_history_leads_from_the_initial_data_to_the_final_data(open_world):
    from aloma_py.changes import apply

    @step(condition={"n": int})
    async def count(data, step):
        data.n += 1
        data["list"] = [*data.get("list", []), {"n": data.n}]
        if data.n < 4:
            step.redo()

    async with open_world(count) as world:
        outcome = await world.run({"n": 0, "x": {"y": None}})
        outcome = await world.update(outcome.task.id, {"x": {"y": 1}})

    data = outcome.task.initial
    for entry in outcome.entries:
        data = apply(data, entry.changes)
    assert data == outcome.task.data
    assert [entry.n for entry in outcome.entries] == list(range(1, len(outcome.entries) + 1))


class Order(BaseModel):
    lines: list[Any]
    extra: dict[str, Any]
    anything: Any


async def test_changing_the_model_instance_does_not_reach_the_data(open_world):
    @step(condition=Order)
    async def meddle(order: Order, data):
        order.lines.append("x")
        order.lines[0]["n"] = 99
        order.extra["deep"]["n"] = 99
        order.anything["n"] = 99
        data.ok = True

    async with open_world(meddle) as world:
        outcome = await world.run({"lines": [{"n": 1}], "extra": {"deep": {"n": 1}}, "anything": {"n": 1}})

    assert outcome.data == {"lines": [{"n": 1}], "extra": {"deep": {"n": 1}}, "anything": {"n": 1}, "ok": True}


async def test_what_one_task_does_to_a_config_value_or_an_audit_entry_no_other_sees(open_world):
    @step(condition={"a": int})
    async def meddle(data, task, config, audit):
        data.seen = list(task.config("LIST"))
        task.config("LIST").append(data.a)
        config("LIST").append(data.a)
        audit.reference({"id": "x", "tags": []})
        audit.get()[0]["tags"].append("changed")

    async with open_world(meddle, config={"LIST": [0]}) as world:
        first = await world.run({"a": 1})
        second = await world.run({"a": 2})

    assert first.data["seen"] == second.data["seen"] == [0]
    assert first.audit[0].details == {"id": "x", "tags": []}


async def test_data_handed_to_a_subtask_or_kept_from_a_call_is_a_copy(open_world, service):
    shared = {"list": [1]}

    @step(condition={"a": {"x": list}})
    async def hand_on(data, task, connectors):
        task.subtask("child", {"got": data.a}, into="child", wait_for=True)
        data.a.x.append(2)
        answer = await connectors.crm.find({"q": data.a})
        answer["list"].append(2)

    async with open_world(hand_on, connectors=[crm := service(find=shared)]) as world:
        outcome = await world.run({"a": {"x": [1]}})

    assert outcome.subtasks[0].data == {"got": {"x": [1]}}
    assert shared == {"list": [1]}
    assert crm.calls == [("find", {"q": {"x": [1, 2]}})]
    assert outcome.calls[0].answer == {"list": [1]}
