"""Connectors made of configurations: kept, replaced, closed, and those that cannot be made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, SecretStr

from aloma_py.clock import VirtualClock
from aloma_py.connect.configured import Configured, ConfiguredConnectors, Unavailable
from aloma_py.connect.connector import CallContext, Registry
from aloma_py.connect.kinds import Kinds
from aloma_py.errors import NoSuchCall
from aloma_py.models import Json
from aloma_py.run.redaction import Redactor

pytestmark = pytest.mark.anyio

CONTEXT = CallContext("task-1", "step", "key", VirtualClock())


class Config(BaseModel):
    token: SecretStr
    fails: bool = False


class Box:
    """Tells its token; ``wait`` holds a call until ``go`` is set."""

    methods: tuple[str, ...] | None = ("tell", "wait")
    default: str | None = "tell"
    recorded = True

    def __init__(self, namespace: str, config: Config) -> None:
        self.namespace, self.config = namespace, config
        self.closed = 0
        self.waiting, self.go = anyio.Event(), anyio.Event()

    async def call(self, method: str, arguments: Json, context: CallContext) -> Json:
        assert not self.closed
        if method == "wait":
            self.waiting.set()
            await self.go.wait()
        return self.config.token.get_secret_value()

    async def aclose(self) -> None:
        self.closed += 1


class BoxKind:
    name = "box"
    description = ""
    config = Config

    def __init__(self) -> None:
        self.made: list[Box] = []

    def make(self, namespace: str, config: Config) -> Box:
        if config.fails:
            raise RuntimeError(f"cannot be made with {config.token.get_secret_value()}")
        self.made.append(Box(namespace, config))
        return self.made[-1]


def hide(secrets: Any) -> Any:
    return Redactor(secrets).text


@pytest.fixture
def kind() -> BoxKind:
    return BoxKind()


def connectors() -> ConfiguredConnectors:
    return ConfiguredConnectors(Registry(), hide)


ONE = Configured("one", "One", "box", {"token": "${TOKEN}"})
FIRST, SECOND = {"TOKEN": "first-token"}, {"TOKEN": "second-token"}


async def test_what_is_the_same_is_kept_and_what_is_not_is_made_anew(kind: BoxKind) -> None:
    live = connectors()
    live.bring_in([ONE], Kinds([kind]), FIRST)
    before = live.registry
    live.bring_in([replace(ONE, name="other")], Kinds([kind]), FIRST)
    await live.close_old()
    assert (len(kind.made), kind.made[0].closed, live.secrets) == (1, 0, ("first-token",))
    assert before is not live.registry
    live.bring_in([ONE], Kinds([kind]), SECOND)
    await live.close_old()
    assert [box.closed for box in kind.made] == [1, 0]
    assert await live.registry.find("one", "tell").call("tell", {}, CONTEXT) == "second-token"
    live.bring_in([], Kinds([kind]), SECOND)
    await live.close_old()
    assert [box.closed for box in kind.made] == [1, 1]
    assert "one" not in live.registry


async def test_a_call_under_way_ends_before_its_connector_is_closed(kind: BoxKind) -> None:
    live = connectors()
    live.bring_in([ONE], Kinds([kind]), FIRST)
    answers: list[Json] = []
    async with anyio.create_task_group() as group:
        old = live.registry.find("one", "wait")

        async def call() -> None:
            answers.append(await old.call("wait", {}, CONTEXT))

        group.start_soon(call)
        [box] = kind.made
        await box.waiting.wait()
        live.bring_in([ONE], Kinds([kind]), SECOND)
        await live.close_old()
        assert box.closed == 0
        box.go.set()
    assert (answers, box.closed) == (["first-token"], 1)


async def test_a_run_that_began_before_has_what_it_had_and_leaves_nothing_open(kind: BoxKind) -> None:
    live = connectors()
    live.bring_in([ONE], Kinds([kind]), FIRST)
    old = live.registry.find("one", "tell")
    live.bring_in([ONE], Kinds([kind]), SECOND)
    await live.close_old()
    assert await old.call("tell", {}, CONTEXT) == "first-token"
    await live.aclose()
    assert [box.closed for box in kind.made] == [1, 1, 1]


async def test_one_that_cannot_be_made_says_why_and_keeps_none_of_the_others(kind: BoxKind) -> None:
    live = connectors()
    wanted = [
        ONE,
        Configured("two", "Two", "box", {"token": "a-secret-token", "fails": True}),
        Configured("three", "Three", "box", {"token": "${TOKN}"}),
        Configured("four", "Four", "hubspot.com", {"apiToken": "x"}),
        Configured("five", "Five", "box", {}),
        Configured("six", "Six", "box", {"token": "disabled-token"}, enabled=False),
        Configured("seven", "Seven", "box", {}, problem="its configuration is damaged"),
    ]
    live.bring_in(wanted, Kinds([kind]), FIRST)
    said = {one.namespace: one.problem for one in live.registry if isinstance(one, Unavailable)}
    assert said == {
        "two": "the connector 'two' cannot be made: RuntimeError: cannot be made with (hidden: String)",
        "three": "the connector 'three': the field 'token': the workspace has no variable or secret 'TOKN'; "
        "did you mean 'TOKEN'?",
        "four": "the connector 'four' is of the kind 'hubspot.com', which no installed plugin offers",
        "five": "the connector 'five': box: the field 'token' is missing",
        "seven": "its configuration is damaged",
    }
    for namespace, problem in said.items():
        with pytest.raises(NoSuchCall) as caught:
            await live.registry.find(namespace, "whatever").call("whatever", {}, CONTEXT)
        assert str(caught.value) == problem
    assert "six" not in live.registry
    with pytest.raises(NoSuchCall, match="the connector 'six' is disabled; there are: five, four, one"):
        live.registry.find("six", "tell")
    assert live.secrets == ("first-token", "a-secret-token", "disabled-token")
    assert await live.registry.find("one", "tell").call("tell", {}, CONTEXT) == "first-token"
    await live.aclose()


async def test_one_that_cannot_be_closed_troubles_nobody(kind: BoxKind, caplog: pytest.LogCaptureFixture) -> None:
    live = connectors()
    live.bring_in([ONE, Configured("two", "Two", "box", {"token": "other-token"})], Kinds([kind]), FIRST)

    async def fail() -> None:
        raise OSError("gone already")

    kind.made[0].aclose = fail  # type: ignore[method-assign]
    await live.aclose()
    assert kind.made[1].closed == 1
    assert "the connector 'one' could not be closed: OSError: gone already" in caplog.text


async def test_the_same_trouble_is_told_once(kind: BoxKind, caplog: pytest.LogCaptureFixture) -> None:
    live = connectors()
    for _ in range(3):
        live.bring_in([Configured("four", "Four", "hubspot.com", {})], Kinds([kind]), {})
    assert caplog.text.count("hubspot.com") == 1
