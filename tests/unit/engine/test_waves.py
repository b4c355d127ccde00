"""Waves give the same final data as running one step after another (SPEC §3.4, §3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aloma_py import Limits, Workspace, step
from aloma_py.clock import VirtualClock
from aloma_py.conditions import compile_condition
from aloma_py.engine import Engine
from aloma_py.intake import new_task
from aloma_py.match.table import StepTable
from aloma_py.match.waves import choose_wave
from aloma_py.outcome import Outcome, read_outcome
from aloma_py.scheduler import Scheduler
from aloma_py.steps import Footprint, StepDefinition
from aloma_py.store.sqlite import SQLiteStore

MEMBERS = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Plan:
    """A step that reads and writes known members."""

    condition: dict[str, int | None]
    reads: tuple[str, ...]
    writes: dict[str, int]
    fails: bool

    def define(self, name: str) -> StepDefinition:
        def run(data: dict[str, int]) -> None:
            seen = sum(data.get(member) or 0 for member in self.reads)
            if self.fails and seen % 2:
                raise ValueError("odd")
            for member, plus in self.writes.items():
                data[member] = (seen + plus) % 2

        async def content(data: dict[str, int]) -> None:
            run(data)

        return StepDefinition(
            name=name,
            condition=compile_condition(self.condition),
            function=content,
            parameters={"data": "data"},
            is_async=True,
            footprint=Footprint(
                reads=frozenset((member,) for member in self.reads),
                writes=frozenset((member,) for member in self.writes),
            ),
        )


members = st.sampled_from(MEMBERS)
plans = st.builds(
    Plan,
    condition=st.dictionaries(members, st.sampled_from([0, 1, None]), min_size=1, max_size=2),
    reads=st.lists(members, max_size=1).map(tuple),
    writes=st.dictionaries(members, st.integers(0, 1), min_size=1, max_size=1),
    fails=st.sampled_from([False, False, False, True]),
)


async def run(steps: Sequence[StepDefinition], data: dict[str, int], *, parallel: bool) -> Outcome:
    async with SQLiteStore(":memory:") as store:
        handle = store.workspace("test")
        limits = Limits(max_runs=60, parallel=parallel)
        engine = Engine(handle, steps, clock=VirtualClock(), limits=limits)
        scheduler = Scheduler(engine)
        task = new_task("test", "t", dict(data), via=None, now=engine.clock.now(), limits=limits)
        async with scheduler.running():
            await engine.submit([task])
            await scheduler.run_until_quiet()
        return await read_outcome(handle, task.id)


def strip(outcome: Outcome) -> dict[str, object]:
    """The final data, without what tells the time and the stack of an error."""
    return {name: sorted(value) if name == "$errors" else value for name, value in outcome.data.items()}


@settings(max_examples=500, deadline=None)
@given(
    plans=st.lists(plans, min_size=3, max_size=8),
    data=st.dictionaries(members, st.integers(0, 1), max_size=4),
)
def test_waves_give_the_same_final_data_as_one_step_after_another(plans: list[Plan], data: dict[str, int]) -> None:
    steps = [plan.define(f"s{n}") for n, plan in enumerate(plans)]

    together = anyio.run(lambda: run(steps, data, parallel=True))
    in_order = anyio.run(lambda: run(steps, data, parallel=False))

    if "max_runs" in (together.reason or "") + (in_order.reason or ""):
        assert together.state == in_order.state  # both go round; where each was cut is another matter
        return
    assert strip(together) == strip(in_order)
    assert together.state == in_order.state
    assert sorted(together.steps) == sorted(in_order.steps)
    assert not together.conflicts


def test_generated_workspaces_do_share_waves() -> None:
    """The property above would hold for an engine that never runs two steps together: this one does."""
    plans = [
        Plan({"a": 1}, ("a",), {"b": 1}, False),
        Plan({"a": 1}, ("a",), {"c": 1}, False),
        Plan({"b": 0, "c": 0}, (), {"d": 1}, False),
    ]
    steps = [plan.define(f"s{n}") for n, plan in enumerate(plans)]
    outcome = anyio.run(lambda: run(steps, {"a": 1}, parallel=True))
    assert [entry.wave for entry in outcome.runs] == [1, 1, 2]
    assert outcome.data == {"a": 1, "b": 0, "c": 0, "d": 1}


def wave_of(data: dict[str, object], *plans: StepDefinition) -> list[str]:
    table = StepTable(plans)
    eligible = sorted(table.match(data))
    return [table.ranked[rank].name for rank in choose_wave(table, eligible, (), data)]


def define(name: str, condition: object, reads: str = "", writes: str = "", **options: object) -> StepDefinition:
    return StepDefinition(
        name=name,
        condition=compile_condition(condition),
        function=lambda: None,
        footprint=Footprint(
            frozenset(tuple(path.split(".")) for path in reads.split()),
            frozenset(tuple(path.split(".")) for path in writes.split()),
        ),
        **options,  # type: ignore[arg-type]
    )


def test_a_fan_out_shares_a_wave_though_a_better_step_waits_for_all_results() -> None:
    data = {"order": {"status": "new"}}
    fan = [define(f"check_{n}", {"order": {"status": "new"}}, "order.status", f"order.{n}") for n in "xyz"]
    collect = define("collect", {"order": {"x": 1, "y": 1, "z": 1, "status": "new"}}, "", "order.status", priority=5)
    assert wave_of(data, *fan, collect) == ["check_x", "check_y", "check_z"]


def test_a_step_stays_out_where_a_better_one_may_come_before_it() -> None:
    """One after another: first, then the one that it enables, then last."""
    first = define("first", {"a": 1, "b": None, "c": None}, "", "b")
    enabled = define("enabled", {"a": 1, "b": int}, "", "c")
    last = define("last", {"a": 1}, "c", "d")
    assert wave_of({"a": 1}, first, enabled, last) == ["first"]


def test_a_step_stays_out_where_it_meets_one_that_was_left_out_before_it() -> None:
    first = define("first", {"a": 1, "x": None, "y": None}, "", "x")
    left_out = define("left_out", {"a": 1, "z": None}, "x", "y")
    last = define("last", {"a": 1}, "y", "q")
    assert wave_of({"a": 1}, first, left_out, last) == ["first"]


def test_a_step_stays_out_where_a_spent_one_would_be_seen_not_to_match_in_between() -> None:
    """The first makes the spent step's condition fail, the other makes it hold again: then it may run again."""
    spent = define("spent", {"$or": [{"p": 1}, {"q": 2}]}, "", "r")
    first = define("first", {"a": 1, "z": None}, "", "p")
    other = define("other", {"a": 1}, "", "q")
    data = {"a": 1, "p": 1, "q": 1}
    table = StepTable([spent, first, other])
    rank = table.rank_of

    def wave(spent_ranks: set[int]) -> tuple[int, ...]:
        return choose_wave(table, [rank["first"], rank["other"]], spent_ranks, data)

    assert wave({rank["spent"]}) == (rank["first"],)
    apart = StepTable([define("spent", {"p": 1}, "", "r"), first, other])
    assert (
        len(choose_wave(apart, [apart.rank_of["first"], apart.rank_of["other"]], {apart.rank_of["spent"]}, data)) == 2
    )


def test_options_overrule_what_the_code_shows() -> None:
    one = define("one", {"a": 1, "b": None}, "", "b")
    always = define("always", {"a": 1}, "b", "b", parallel="always")
    never = define("never", {"a": 1}, "", "z", parallel="never")
    assert wave_of({"a": 1}, one, always, never) == ["one", "always"]


@pytest.mark.parametrize("parallel", [True, False])
def test_three_steps_that_wait_take_as_long_as_one(parallel: bool) -> None:
    """On the virtual clock: 200 ms together, 600 ms one after another."""

    def waiting(member: str) -> object:
        async def content(data, connectors):  # type: ignore[no-untyped-def]
            await connectors.utils.sleep(milliseconds=200)
            data[member] = True

        return step(condition={"go": True, member: None}, name=member)(content)

    sources = [waiting("x"), waiting("y"), waiting("z")]
    workspace = Workspace("w", sources, limits=Limits(parallel=parallel))
    workspace.step_set = workspace.step_set.__class__(
        tuple(define_writes(one, one.name) for one in workspace.steps),
        workspace.step_set.libraries,
        workspace.step_set.sources,
    )
    clock = VirtualClock()
    begun = clock.now()
    outcome = anyio.run(lambda: workspace.run({"go": True}, clock=clock))
    assert outcome.data == {"go": True, "x": True, "y": True, "z": True}
    assert clock.now() - begun == (200 if parallel else 600)


def define_writes(definition: StepDefinition, member: str) -> StepDefinition:
    from dataclasses import replace

    return replace(definition, footprint=Footprint(writes=frozenset({(member,)})))
