"""Scenarios from file to report: the clock, what happens from outside, the line of JSON."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import anyio
import pytest

from aloma_py.testing import ScenarioResult, load_scenarios, run_files, run_scenario

STEPS = """
from aloma_py import step


@step(condition={"ask": True, "answer": None})
def ask(data, task, log):
    log.info("asking", {"n": 1}, "twice")
    task.visualize({"type": "table", "name": "asked", "data": [[1]]})
    task.park(3_600_000)
    data.asked = (data.get("asked") or 0) + 1


@step(condition={"asked": {"$gte": 1}, "ask": True, "answer": None, "overdue": None}, priority=-1)
def overdue(data):
    data.overdue = True


@step(condition={"answer": str})
async def thank(data, task, connectors, audit):
    await connectors.mail.send({"to": data.answer})
    audit.log("thanked", {"who": data.answer})
    task.complete("thanks")


@step(condition={"catch": True, "caught": None})
async def catch(data, connectors):
    try:
        await connectors.crm.find(id=1)
    except Exception:
        data.caught = True


@step(condition={"recover": True, "$errors": {"catch": dict}})
def recover(data):
    del data["$errors"]["catch"]
    data.caught = "recovered"
"""


def run(folder: Path, scenarios: str, head: str = "steps: [steps/]") -> list[ScenarioResult]:
    (folder / "steps").mkdir(exist_ok=True)
    (folder / "steps" / "all.py").write_text(STEPS)
    body = textwrap.indent(textwrap.dedent(scenarios).strip("\n"), "  ")
    (folder / "it.scenario.yaml").write_text(f"{head}\nscenarios:\n{body}\n")
    return list(run_files([folder]))


def failures(results: list[ScenarioResult]) -> list[str]:
    return [failure for result in results for failure in result.failures]


def test_the_clock_jumps_over_what_only_waits(tmp_path: Path) -> None:
    results = run(
        tmp_path,
        """
        - name: the hour of the parked task passes by itself
          task: {ask: true}
          expect: {state: done, steps: [ask, overdue], data: {asked: 1, overdue: true}}
        """,
    )
    assert failures(results) == []
    (result,) = results
    assert result.to_json()["task"]["updated_at"] == "2026-01-01T01:00:00.000Z"


def test_a_manual_clock_moves_by_advance_alone(tmp_path: Path) -> None:
    results = run(
        tmp_path,
        """
        - name: at rest while it waits
          clock: manual
          task: {ask: true}
          expect: {state: waiting, reason: parked by step 'ask', steps: [ask]}
        - name: not yet
          clock: manual
          task: {ask: true}
          after: [{advance: 59m}]
          expect: {state: waiting, steps: [ask]}
        - name: after the hour
          clock: manual
          task: {ask: true}
          after: [{advance: 59m}, {advance: 60000}]
          expect: {state: done, steps: [ask, overdue]}
        - name: answered in time
          clock: manual
          task: {ask: true}
          connectors: [{call: mail.send}]
          after: [{advance: 30m}, {update: {answer: yes}}]
          expect: {state: done, steps: [ask, thank], result: thanks, data: {overdue: null}}
        """,
    )
    assert failures(results) == []


def test_a_file_s_clock_is_for_all_of_its_scenarios_that_say_nothing(tmp_path: Path) -> None:
    results = run(
        tmp_path,
        """
        - {name: manual, task: {ask: true}, expect: {state: waiting}}
        - {name: auto, clock: auto, task: {ask: true}, expect: {state: done}}
        """,
        head="steps: [steps/]\nclock: manual",
    )
    assert failures(results) == []


def test_stop_resume_and_update(tmp_path: Path) -> None:
    results = run(
        tmp_path,
        """
        - name: stopped
          clock: manual
          task: {ask: true}
          after: [{stop: true}]
          expect: {state: stopped, steps: [ask]}
        - name: resumed
          clock: manual
          task: {ask: true}
          after: [{stop: true}, {resume: true}, {update: {answer: ada}}]
          connectors: [{call: mail.send, when: {to: ada}}]
          expect: {state: done, steps: {last: thank}}
        - name: what cannot be done fails
          task: {ask: true}
          after: [{stop: true}, {update: {answer: ada}}]
        """,
    )
    assert [result.passed for result in results] == [True, True, False]
    (failure,) = results[2].failures
    assert failure.startswith("after, number 1 (stop): task ")
    assert failure.endswith("is done: there is nothing to stop")
    assert results[2].to_json()["task"]["state"] == "done"


def test_a_call_without_a_rule_fails_the_run_and_so_the_scenario_that_does_not_expect_it(tmp_path: Path) -> None:
    swallowed, unsaid, expected, recovered = run(
        tmp_path,
        """
        - {name: swallowed, task: {catch: true}, connectors: [{call: crm.get}], expect: {state: done}}
        - {name: unsaid, task: {catch: true}, connectors: [{call: crm.get}], expect: {data: {caught: null}}}
        - {name: expected, task: {catch: true}, connectors: [{call: crm.get}], expect: {state: error, errors: [catch]}}
        - name: recovered
          task: {catch: true, recover: true}
          connectors: [{call: crm.get}]
          expect: {state: done, data: {caught: recovered}}
        """,
    )
    message = "step 'catch': no rule fits the call crm.find({\"id\":1}); the rules for 'crm': crm.get"
    assert swallowed.failures == (message, "state: expected done, but it is error (unhandled error in catch)")
    assert unsaid.failures == (message,)
    assert expected.failures == ()
    assert recovered.failures == ()


def test_a_connector_that_no_rule_names_is_not_there(tmp_path: Path) -> None:
    (result,) = run(tmp_path, "- {name: it, task: {catch: true}, expect: {state: done, data: {caught: true}}}")
    assert result.failures == ()  # the call raised an ordinary error, which the step caught


def test_scenarios_of_one_file_do_not_see_each_other(tmp_path: Path) -> None:
    rules = "connectors: [{call: mail.send, sequence: [{return: 1}, {error: used}]}]"
    results = run(
        tmp_path,
        f"""
        - {{name: one, task: {{answer: a}}, {rules}, expect: {{state: done, calls: {{mail.send: 1}}}}}}
        - {{name: two, task: {{answer: b}}, {rules}, expect: {{state: done, calls: {{mail.send: 1}}}}}}
        """,
    )
    assert failures(results) == []


def test_the_line_of_json(tmp_path: Path) -> None:
    # Given a task that asked, was answered, and thanked
    (result,) = run(
        tmp_path,
        """
        - name: whole
          clock: manual
          task: {ask: true}
          task_name: question 1
          tags: [eu]
          connectors: [{call: mail.send, return: {id: m1}}]
          after: [{update: {answer: ada}}]
          expect: {state: waiting}
        """,
    )

    # When its line is written and read
    line = json.loads(json.dumps(result.to_json()))

    # Then everything about it is there
    assert (line["file"], line["name"], line["passed"]) == (str(tmp_path / "it.scenario.yaml"), "whole", False)
    assert line["failures"] == ["state: expected waiting, but it is done (completed by step 'thank')"]
    task = line["task"]
    assert task["id"].startswith("task-")
    assert {key: task[key] for key in ("name", "tags", "state", "reason", "data", "result")} == {
        "name": "question 1",
        "tags": ["eu"],
        "state": "done",
        "reason": "completed by step 'thank'",
        "data": {"ask": True, "asked": 1, "answer": "ada"},
        "result": "thanks",
    }
    first, second = line["runs"]
    assert (first["n"], first["step"], first["wave"], first["outcome"], first["error"]) == (1, "ask", 1, "ok", None)
    assert first["changes"] == [{"op": "set", "path": "asked", "value": 1}]
    assert [(log["level"], log["text"]) for log in first["logs"]] == [("info", 'asking {"n":1} twice')]
    assert (second["n"], second["step"], second["wave"]) == (3, "thank", 2)
    (call,) = line["calls"]
    assert {key: call[key] for key in ("connector", "method", "arguments", "outcome")} == {
        "connector": "mail",
        "method": "send",
        "arguments": {"to": "ada"},
        "outcome": "returned",
    }
    assert [entry["text"] for entry in line["audit"]] == ["thanked"]
    assert [picture["name"] for picture in line["visualizations"]] == ["asked"]
    assert line["subtasks"] == []


def test_where_a_task_came_from_and_what_it_hides(tmp_path: Path) -> None:
    (tmp_path / "open.py").write_text(
        "from aloma_py import step\n\n"
        "@step(condition={'$stash': {'token': str}, 'length': None})\n"
        "async def measure(data, connectors):\n    data.length = len(data['$stash'].token)\n"
        "    await connectors.bank.login(token=data['$stash'].token)\n"
    )
    results = run(
        tmp_path,
        """
        - name: webhook
          task: {$via: {type: webhook, name: orders}, $stash: {token: abcdefghij, n: 3}}
          connectors: [{call: bank.login, when: {token: abcdefghij}}]
          expect:
            state: done
            calls: {bank.login: 1}
            data:
              length: 10
              $via: {type: webhook, name: orders, received: Number}
              $stash: {token: String, n: Number}
        """,
        head="steps: [open.py]",
    )
    assert failures(results) == []
    assert "abcdefghij" not in json.dumps(results[0].to_json())


def test_scenarios_from_python(tmp_path: Path) -> None:
    run(tmp_path, "- {name: it, task: {ask: true}, expect: {state: done}}")
    (scenario,) = load_scenarios(tmp_path / "it.scenario.yaml")
    result = anyio.run(run_scenario, scenario)
    assert result.passed
    assert result.outcome is not None
    assert result.timeline()[-1] == "done: no more steps match"


@pytest.mark.parametrize(("days", "state"), [(29, "done"), (31, "waiting")])
def test_the_clock_jumps_no_further_than_thirty_days(tmp_path: Path, days: int, state: str) -> None:
    (tmp_path / "long.py").write_text(
        "from aloma_py import step\n\n"
        "@step(condition={'days': int, 'slept': None})\n"
        "def sleep(data, task):\n    data.slept = True\n    task.park(data.days * 86_400_000)\n"
    )
    scenario = f"- {{name: it, task: {{days: {days}}}, expect: {{state: {state}}}}}"
    assert failures(run(tmp_path, scenario, head="steps: [long.py]")) == []
