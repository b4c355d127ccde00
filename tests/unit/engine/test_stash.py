"""``data.$stash``: real in step code, a type everywhere else, encrypted at rest (SPEC §4)."""

from __future__ import annotations

import json

import pytest

from aloma_py import TaskState, interventions, step
from aloma_py.outcome import outcome_to_json

pytestmark = pytest.mark.anyio

SECRET = "correct-horse-battery-staple"


@step(condition={"login": True})
async def hide(data):
    data["$stash"].token = SECRET
    data["$stash"].nested = {"pin": 1234, "text": SECRET}
    data.login = False


@step(condition={"login": False, "$stash": {"token": str}, "length": None})
async def use(data):
    data.length = len(data["$stash"].token)
    data.pin = data["$stash"].get("nested", {}).get("pin")


@step(condition={"length": int, "$stash": {"token": str}, "late": None})
async def later(data):
    data.late = data["$stash"].token == SECRET
    del data["$stash"]["token"]


async def test_a_hidden_value_is_real_in_step_code_and_a_type_elsewhere(open_world):
    seen = []
    async with open_world(hide, use, later) as world:
        world.engine.custody.watchers.append(lambda task, entries: seen.append((task.data, entries)))
        outcome = await world.run({"login": True})

    assert outcome.steps == ["hide", "use", "later"]
    assert outcome.data == {
        "login": False, "length": len(SECRET), "pin": 1234, "late": True, "$stash": {"nested": "Object"},
    }  # fmt: skip
    shown = json.dumps(outcome_to_json(outcome), default=repr) + repr(seen) + repr(outcome)
    assert SECRET not in shown


async def test_a_hidden_value_given_at_the_start_is_hidden_from_there_on(open_world):
    @step(condition={"$stash": {"token": str}})
    async def look(data):
        data.ok = data["$stash"].token == SECRET

    async with open_world(look) as world:
        outcome = await world.run({"$stash": {"token": SECRET, "n": 1}})
        outcome = await world.update(outcome.task.id, {"$stash": {"more": SECRET}})

    assert outcome.data == {"$stash": {"token": "String", "n": "Number", "more": "String"}, "ok": True}
    assert SECRET not in repr(outcome)


async def test_a_hidden_value_is_in_the_file_only_encrypted_and_survives_a_restart(open_world, tmp_path, service):
    @step(condition={"login": True})
    async def hide_and_call(data, connectors, log, audit):
        data["$stash"].token = SECRET
        data.login = False
        await connectors.crm.login({"header": f"Bearer {SECRET}", "deep": [{"token": SECRET}]})
        log.info("token", SECRET)
        audit.log(f"used {SECRET}", {"token": SECRET})

    @step(condition={"length": int, "failed": None}, priority=-5)
    async def fails(data):
        data.failed = True
        raise ValueError(f"wrong token {data['$stash'].token}")

    crm = service(login={"ok": True})

    @step(condition={"length": int}, priority=9)
    async def wait(task):
        task.park(1000)

    steps = (hide_and_call, use, wait, fails)
    async with open_world(*steps, path=tmp_path / "tasks.db", connectors=[crm]) as world:
        outcome = await world.rest({"login": True})
        assert outcome.state is TaskState.WAITING
        assert crm.calls[0][1]["header"] == f"Bearer {SECRET}"
    async with open_world(*steps, path=tmp_path / "tasks.db", connectors=[crm], clock=world.clock) as world:
        outcome = await world.after(outcome.task.id, 1000)

    assert outcome.data["length"] == len(SECRET)
    assert outcome.errors["fails"]["message"] == "wrong token (hidden: String)"
    assert SECRET not in repr(outcome)
    files = [file for file in tmp_path.iterdir() if file.is_file()]
    assert files
    for file in files:
        assert SECRET.encode() not in file.read_bytes()


async def test_emptying_the_data_forgets_the_hidden_values(open_world):
    @step(condition={"a": 1})
    async def empty(data):
        data.clear()

    async with open_world(empty) as world:
        outcome = await world.run({"a": 1, "$stash": {"token": SECRET}})

    assert (outcome.state, outcome.data, outcome.task.stash) == (TaskState.DONE, {}, None)


async def test_a_clone_has_the_hidden_values(open_world):
    @step(condition={"$stash": {"token": str}, "ok": None})
    async def look(data):
        data.ok = data["$stash"].token == SECRET

    async with open_world(look) as world:
        outcome = await world.run({"$stash": {"token": SECRET}})
        clone = await interventions.clone(world.engine, outcome.task.id)
        outcome = await world.settled(clone.id)

    assert outcome.data == {"$stash": {"token": "String"}, "ok": True}


async def test_a_failed_run_hides_nothing_and_discloses_nothing(open_world):
    @step(condition={"a": 1})
    async def fails(data):
        data["$stash"].token = SECRET
        raise ValueError("no")

    async with open_world(fails) as world:
        outcome = await world.run({"a": 1})

    assert "$stash" not in outcome.data
    assert outcome.task.stash is None
