"""``connectors`` in step code (SPEC §4)."""

from __future__ import annotations

import asyncio

import pytest

from aloma_py import CallError, TaskState, step

pytestmark = pytest.mark.anyio


async def error_of(open_world, content, *connectors):
    async with open_world(content, connectors=connectors) as world:
        outcome = await world.run({"a": 1})
    assert outcome.state is TaskState.ERROR
    (error,) = outcome.errors.values()
    return error


async def test_an_awaited_call_gives_its_answer(open_world, service):
    @step(condition={"a": 1})
    async def asks(data, connectors):
        found = await connectors.crm.find({"id": 7})
        data.name = found.name
        data.again = (await connectors["crm"]["find"](id=7))["name"]

    async with open_world(asks, connectors=[crm := service(find={"name": "Ada"})]) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"a": 1, "name": "Ada", "again": "Ada"}
    assert crm.calls == [("find", {"id": 7}), ("find", {"id": 7})]
    assert [(call.method, call.position, call.outcome) for call in outcome.calls] == [
        ("find", 0, "returned"), ("find", 1, "returned"),
    ]  # fmt: skip


async def test_a_call_that_is_not_awaited_is_finished_before_the_run_ends(open_world, service):
    async def slowly():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        done.append(1)

    done: list[int] = []

    @step(condition={"a": 1})
    async def asks(data, connectors):
        connectors.crm.send({"x": 1})
        data.sent = True

    @step(condition={"sent": True})
    async def then(data):
        data.done = len(done)

    async with open_world(asks, then, connectors=[service(send=lambda _: slowly())]) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"a": 1, "sent": True, "done": 1}


async def test_a_call_that_is_not_awaited_fails_the_run_when_it_fails(open_world, service):
    @step(condition={"a": 1})
    async def asks(data, connectors):
        connectors.crm.send({"x": 1})
        data.changed = True

    error = await error_of(open_world, asks, service(send=CallError("502 Bad Gateway", 502)))
    assert (error["message"], error["type"], error["status"]) == ("502 Bad Gateway", "CallError", 502)


async def test_a_call_left_in_the_data_is_settled(open_world, service):
    @step(condition={"a": 1})
    async def asks(data, connectors):
        data.found = {"list": [connectors.crm.find({"id": 1}), 2]}
        data.total = connectors.crm.count()

    async with open_world(asks, connectors=[service(find={"n": 1}, count=5)]) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"a": 1, "found": {"list": [{"n": 1}, 2]}, "total": 5}


@pytest.mark.parametrize(
    ("into", "answer", "expected"),
    [
        ("customer", {"id": 1}, {"customer": {"id": 1}}),
        ("customer", "Ada", {"customer": {"find": "Ada"}}),
        ("customer", [1, 2], {"customer": {"find": [1, 2]}}),
        ("customer", None, {"customer": {"find": None}}),
        ("deep.er.place", {"id": 1}, {"deep": {"er": {"place": {"id": 1}}}}),
        ("list.1.x", {"id": 1}, {"list": [None, {"x": {"id": 1}}]}),
    ],
)
@pytest.mark.parametrize("awaited", [True, False])
async def test_into_writes_the_answer_before_the_next_match(open_world, service, into, answer, expected, awaited):
    @step(condition={"a": 1})
    async def asks(connectors):
        call = connectors.crm.find({"id": 1, "into": into})
        if awaited:
            await call

    async with open_world(asks, connectors=[crm := service(find=lambda _: answer)]) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"a": 1, **expected}
    assert crm.calls == [("find", {"id": 1})]


async def test_a_failed_call_that_the_code_caught_does_not_fail_the_run(open_world, service):
    @step(condition={"a": 1})
    async def asks(data, connectors):
        try:
            await connectors.crm.find({"id": 1}, into="customer")
        except Exception as error:
            data.caught = [type(error).__name__, error.status, str(error)]

    async with open_world(asks, connectors=[service(find=CallError("404 Not Found", 404))]) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"a": 1, "caught": ["CallError", 404, "404 Not Found"]}


async def test_a_connector_that_is_not_there_is_falsy(open_world, service):
    @step(condition={"a": 1})
    async def asks(data, connectors):
        data.found = [bool(connectors.zendesk), bool(connectors.crm), bool(connectors["zendesk"]), "crm" in connectors]

    async with open_world(asks, connectors=[service(find=1)]) as world:
        assert (await world.run({"a": 1})).data["found"] == [False, True, False, True]


async def test_calling_a_connector_that_is_not_there_names_those_that_are(open_world, service):
    @step(condition={"a": 1})
    async def asks(connectors):
        await connectors.zendesk.tickets.create({"x": 1})

    error = await error_of(open_world, asks, service(find=1))
    assert error["message"] == ("there is no connector 'zendesk' in this workspace; there are: crm, fetch, utils")


async def test_an_unknown_method_names_the_nearest(open_world, service):
    @step(condition={"a": 1})
    async def asks(connectors):
        await connectors.crm.fnid({"x": 1})

    error = await error_of(open_world, asks, service(find=1, create=2))
    assert error["message"] == "connector 'crm' has no method 'fnid'; did you mean 'find'?"


async def test_arguments_that_are_no_json_fail_the_call(open_world, service):
    @step(condition={"a": 1})
    async def asks(connectors):
        await connectors.crm.find({"when": {1, 2}})

    error = await error_of(open_world, asks, service(find=1))
    assert (error["type"], "which JSON does not know: write sorted(…) or list(…)" in error["message"]) == (
        "ResultError", True,
    )  # fmt: skip


async def test_any_other_error_of_a_connector_is_named_with_the_call(open_world, service):
    @step(condition={"a": 1})
    async def asks(connectors):
        await connectors.crm.find({})

    error = await error_of(open_world, asks, service(find=KeyError("token")))
    assert (error["message"], error["type"]) == ("crm.find: 'token'", "CallError")


async def test_a_def_step_gets_the_answer_itself(open_world, service):
    @step(condition={"a": 1})
    def asks(data, connectors):
        data.name = connectors.crm.find({"id": 7}).name
        connectors.crm.find({"id": 8}, into="other")
        try:
            connectors.crm.fail({})
        except CallError as error:
            data.caught = error.status

    crm = service(find={"name": "Ada"}, fail=CallError("gone", 410))
    async with open_world(asks, connectors=[crm]) as world:
        outcome = await world.run({"a": 1})

    assert outcome.data == {"a": 1, "name": "Ada", "other": {"name": "Ada"}, "caught": 410}


async def test_calls_that_are_begun_together_run_together(open_world):
    @step(condition={"a": 1})
    async def asks(data, connectors):
        waits = [connectors.utils.sleep({"milliseconds": 200}) for _ in range(3)]
        for wait in waits:
            await wait

    async with open_world(asks) as world:
        await world.run({"a": 1})

    assert world.elapsed == 200


async def test_the_idempotency_key_is_the_same_in_every_attempt_and_another_for_another_call(open_world, service):
    @step(condition={"a": 1}, retries=2, backoff=1)
    async def asks(connectors):
        await connectors.crm.log({"n": 1})
        await connectors.crm.log({"n": 2})
        await connectors.crm.find({})

    crm = service(log=None, find=[CallError("1"), CallError("2"), "found"])
    async with open_world(asks, connectors=[crm]) as world:
        outcome = await world.run({"a": 1})
        await world.run({"a": 1})

    attempts = [crm.keys[n : n + 3] for n in range(0, 12, 3)]
    assert outcome.state is TaskState.DONE
    assert attempts[0] == attempts[1] == attempts[2]
    assert len({*attempts[0], *attempts[3]}) == 6  # another task has other keys


async def test_a_later_run_of_the_same_step_has_other_keys(open_world, service):
    @step(condition={"n": int})
    async def asks(data, connectors, step):
        await connectors.crm.log({"same": True})
        data.n += 1
        if data.n < 3:
            step.redo()

    async with open_world(asks, connectors=[crm := service(log=None)]) as world:
        await world.run({"n": 0})

    assert len(set(crm.keys)) == 3


@pytest.mark.parametrize("wrong", [{}, {"milliseconds": "1s"}, {"milliseconds": -1}, {"milliseconds": True}])
async def test_sleep_wants_milliseconds(open_world, wrong):
    @step(condition={"a": 1})
    async def sleeps(connectors):
        await connectors.utils.sleep(wrong)

    error = await error_of(open_world, sleeps)
    assert error["message"] == "utils.sleep takes {milliseconds: a number of at least 0}"
