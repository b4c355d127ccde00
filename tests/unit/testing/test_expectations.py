"""Every expectation has a failure that says what was expected and what there was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

BASE = """
task: {order: {status: new, id: 7}}
connectors: [{call: crm.find, sequence: [{error: "503 busy"}, {return: {name: Ada}}]}]
expect:
"""

HOLDS = [
    "state: done",
    "reason: completed by",
    "result: {shipped: true}",
    "result: Object",
    "data: {order: {status: shipped, customer: {name: String}, id: {$gt: 6}}, missing: null, $via: {type: api}}",
    "steps: [check, ship]",
    "steps: [check, check, ship]",
    "steps: {any_order: [ship, check]}",
    "steps: {before: [[check, ship]]}",
    "steps: {before: [check, ship]}",
    "steps: {before: {check: ship}}",
    "steps: {first: check, last: ship}",
    "steps: {first: [check, ship]}",
    "steps: {counts: {check: 1, ship: 1}}",
    "steps: {counts: {check: 2}}",
    'logs: [customer, "{\\"name\\":", shipped 1]',
    "logs: shipped",
    "logs: [{level: warn, text: shipped}, {level: info}]",
    "calls: {crm.find: 2, mail.send: 0}",
    "audit: [order shipped]",
    "errors: []",
    "subtasks: []",
]

FAILS = [
    ("state: waiting", "state: expected waiting, but it is done (completed by step 'ship')"),
    ("reason: parked", "reason: expected 'parked' in it, but it is \"completed by step 'ship'\""),
    ("result: {shipped: false}", "result: shipped: expected equal to false, found true"),
    ("result: 3", 'result: expected equal to 3, found {"shipped": true}'),
    ("data: {order: {status: new, id: 7, extra: String}}",
     'data: order.status: expected equal to "new", found "shipped"; order.extra: expected a string, found missing'),
    ("steps: [ship, check]",
     "steps: expected ship → check, but they ran check → ship (with retries: check → check → ship)"),
    ("steps: []", "steps: expected none, but they ran check → ship (with retries: check → check → ship)"),
    ("steps: {any_order: [check]}",
     "steps: expected check in any order, but they ran check → ship (with retries: check → check → ship)"),
    ("steps: {before: [[ship, check]]}",
     "steps: expected 'ship' before 'check', but they ran check → ship (with retries: check → check → ship)"),
    ("steps: {first: ship}",
     "steps: expected ship first, but they ran check → ship (with retries: check → check → ship)"),
    ("steps: {last: check}",
     "steps: expected check last, but they ran check → ship (with retries: check → check → ship)"),
    ("steps: {not_run: [ship]}", "steps: expected that 'ship' does not run, but it ran once"),
    ("steps: {counts: {check: 3}}", "steps: expected that 'check' runs 3 times, but it ran once (2 attempts)"),
    ("steps: [chek, ship]", "steps: there is no step 'chek'; did you mean 'check'?"),
    ("steps: {not_run: shipp}", "steps: there is no step 'shipp'; did you mean 'ship'?"),
    ("logs: [lost]", "logs: expected a line with 'lost'; the lines are 'customer {\"name\":\"Ada\"}', 'shipped 1'"),
    ("logs: [{level: error, text: shipped}]",
     "logs: expected a line of level error with 'shipped'; "
     "the lines are 'customer {\"name\":\"Ada\"}' (info), 'shipped 1' (warning)"),
    ("calls: {crm.find: 1}", "calls: expected 1 call of crm.find, but there were 2"),
    ("calls: {mail.send: 2}", "calls: expected 2 calls of mail.send, but there were 0"),
    ("audit: [paid]", "audit: expected an entry with 'paid'; the entries are 'order shipped'"),
    ("errors: [ship]", "errors: expected ship, but there are none"),
    ("subtasks: [{name: mail}]", "subtasks: expected one with name 'mail'; there is none left"),
]  # fmt: skip


@pytest.mark.parametrize("expect", HOLDS)
def test_what_holds(folder: Any, expect: str) -> None:
    assert folder.run_one(BASE + f"  {expect}").failures == ()


@pytest.mark.parametrize(("expect", "failure"), FAILS)
def test_what_fails(folder: Any, expect: str, failure: str) -> None:
    assert folder.run_one(BASE + f"  {expect}").failures == (failure,)


def test_every_failure_is_told(folder: Any) -> None:
    result = folder.run_one(BASE + "  state: error\n  logs: [nothing, never]\n  calls: {crm.find: 9}")
    assert [failure.partition(":")[0] for failure in result.failures] == ["state", "logs", "logs", "calls"]


def test_errors_by_step(folder: Any) -> None:
    result = folder.run_one(
        """
        task: {order: {status: new, id: 7}}
        connectors: [{call: crm.find, error: "500 no"}]
        expect:
          state: error
          errors: [check]
          data: {$errors: {check: {message: "500 no", status: 500, attempt: 3}}}
          steps: {counts: {check: 3}, not_run: [ship]}
          calls: {crm.find: 3}
        """
    )
    assert result.failures == ()
    wrong = folder.run_one(
        "task: {order: {status: new, id: 7}}\nconnectors: [{call: crm.find, error: no}]\nexpect: {errors: []}"
    )
    assert wrong.failures == ("errors: expected none, but there are errors of check",)


def test_subtasks(steps_of: Callable[[str], Any]) -> None:
    # Given a parent that makes two children, which make a call and log each
    folder = steps_of(
        """
        @step(condition={"items": [str]})
        def split(data, task):
            for item in data.items:
                task.subtask(f"child {item}", {"item": item}, {"into": f"done.{item}", "waitFor": True})
            data.asked = data.pop("items")

        @step(condition={"item": str})
        async def child(data, task, log, connectors):
            log.info("packing", data.item)
            await connectors.store.pack(item=data.item)
            task.complete({"packed": data.item})
        """
    )
    scenario = "task: {items: [a, b]}\nconnectors: [{call: store.pack}]\nexpect:\n"

    # Then they can be asked for in any order, their calls count, and their log lines are found
    result = folder.run_one(
        scenario
        + """
  state: done
  steps: [split]
  calls: {store.pack: 2}
  logs: [packing a, packing b]
  data: {done: {a: {state: done, result: {packed: a}}, b: {state: done}}}
  subtasks: [{name: child b, state: done, result: {packed: b}}, {name: child a}]
        """
    )
    assert result.failures == ()
    assert [child["name"] for child in result.to_json()["subtasks"]] == ["child a", "child b"]

    # And each is there once
    twice = folder.run_one(scenario + "  subtasks: [{name: child a}, {name: child a, state: done}]")
    assert twice.failures == (
        "subtasks: expected one with name 'child a', state done; left are 'child b' (done, result {'packed': 'b'})",
    )
