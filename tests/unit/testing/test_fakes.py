"""Rules decide what fake connectors answer; a call that fits none fails the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from aloma_py import Outcome, TaskState, Workspace, step
from aloma_py.clock import VirtualClock
from aloma_py.errors import LoadError
from aloma_py.testing import FakeConnectors, read_rules


def call_all(fakes: FakeConnectors, *calls: tuple[str, Any]) -> tuple[Outcome, list[Any]]:
    """Make calls from one step; gives the outcome, and what each gave: an answer, or the text of its error."""
    answers: list[Any] = []

    @step(condition={"go": True})
    async def caller(connectors: Any) -> None:
        for name, arguments in calls:
            method = connectors
            for part in name.split("."):
                method = method[part]
            try:
                answers.append(await method(arguments))
            except Exception as error:
                answers.append(f"{type(error).__name__} {getattr(error, 'status', None)}: {error}")

    outcome = anyio.run(
        lambda: Workspace("w", [caller]).run({"go": True}, connectors=fakes.registry(), clock=VirtualClock())
    )
    return outcome, answers


def test_the_first_rule_that_fits_answers() -> None:
    fakes = FakeConnectors(
        [
            {"call": "slackCom.send", "when": {"channel": "#a"}, "return": {"ok": "a"}},
            {"call": "slackCom.send", "when": {"channel": "String"}, "return": {"ok": "any"}},
            {"call": "slackCom.send", "return": {"ok": "none"}},
        ]
    )
    _, answers = call_all(
        fakes, ("slackCom.send", {"channel": "#a"}), ("slackCom.send", {"channel": "#b"}), ("slackCom.send", {})
    )
    assert answers == [{"ok": "a"}, {"ok": "any"}, {"ok": "none"}]
    assert fakes.count("slackCom.send") == 3


def test_a_rule_without_an_answer_gives_null() -> None:
    _, answers = call_all(FakeConnectors([{"call": "crm.touch"}]), ("crm.touch", {}))
    assert answers == [None]


def test_a_sequence_goes_on_with_its_last_answer() -> None:
    rule = {"call": "crm.find", "sequence": [{"return": None}, {"error": "timeout"}, {"return": {"id": 1}}]}
    _, answers = call_all(FakeConnectors([rule]), *[("crm.find", {})] * 4)
    assert answers == [None, "CallError None: timeout", {"id": 1}, {"id": 1}]


def test_three_digits_at_the_beginning_of_an_error_are_its_status() -> None:
    fakes = FakeConnectors([{"call": "a.b", "error": "503 Service Unavailable"}, {"call": "a.c", "error": 404}])
    _, answers = call_all(fakes, ("a.b", {}), ("a.c", {}))
    assert answers == ["CallError 503: 503 Service Unavailable", "CallError 404: 404"]


def test_the_stack_of_an_error_has_the_step_s_frames_alone() -> None:
    @step(condition={"go": True})
    async def caller(connectors: Any) -> None:
        await connectors.a.b()

    fakes = FakeConnectors([{"call": "a.b", "error": "no"}])
    outcome = anyio.run(lambda: Workspace("w", [caller]).run({"go": True}, connectors=fakes.registry()))
    stack = outcome.errors["caller"]["stack"]
    assert "await connectors.a.b()" in stack
    assert stack.count("File ") == 1


def test_times_uses_a_rule_up() -> None:
    fakes = FakeConnectors([{"call": "a.b", "return": 1, "times": 2}, {"call": "a.b", "return": 2}])
    _, answers = call_all(fakes, *[("a.b", {})] * 3)
    assert answers == [1, 1, 2]


def test_answers_do_not_share_what_a_step_changes() -> None:
    fakes = FakeConnectors([{"call": "a.b", "return": {"list": []}}])
    _, answers = call_all(fakes, ("a.b", {}), ("a.b", {}))
    answers[0]["list"].append(1)
    assert answers[1] == {"list": []}


def test_nested_methods_and_a_connector_that_is_called_itself() -> None:
    fakes = FakeConnectors([{"call": "github.repos.list", "return": ["r"]}, {"call": "ask", "return": "yes"}])
    _, answers = call_all(fakes, ("github.repos.list", {}), ("ask", {"q": 1}))
    assert answers == [["r"], "yes"]
    assert [(call.connector, call.method, call.name) for call in fakes.calls] == [
        ("github", "repos.list", "github.repos.list"),
        ("ask", "ask", "ask"),
    ]


def test_a_call_that_fits_no_rule_fails_the_run_though_the_step_catches_it() -> None:
    # Given a rule for another channel
    fakes = FakeConnectors([{"call": "slackCom.send", "when": {"channel": "#a"}}, {"call": "slackCom.list"}])

    # When a step calls with arguments that do not fit, and catches the error
    outcome, answers = call_all(fakes, ("slackCom.send", {"channel": "#b"}))

    # Then it saw an error that lists the rules, and its run failed with it
    message = (
        'no rule fits the call slackCom.send({"channel":"#b"}); '
        'the rules for \'slackCom\': slackCom.send when {"channel":"#a"}, slackCom.list'
    )
    assert answers == [f"UnexpectedCall None: {message}"]
    assert outcome.state is TaskState.ERROR
    assert outcome.errors["caller"]["message"] == message
    assert outcome.errors["caller"]["type"] == "UnexpectedCall"
    assert [call.outcome for call in fakes.calls] == ["unexpected"]


def test_a_used_up_rule_is_named_as_such() -> None:
    _, answers = call_all(FakeConnectors([{"call": "a.b", "times": 1}]), ("a.b", {}), ("a.b", {}))
    assert answers[1] == "UnexpectedCall None: no rule fits the call a.b({}); the rules for 'a': a.b (spent)"


def test_fetch_without_a_rule_stays_off_the_network() -> None:
    outcome, answers = call_all(FakeConnectors(), ("fetch", {"url": "https://example.org/"}))
    assert answers == [
        'UnexpectedCall None: no rule fits the call fetch({"url":"https://example.org/"}); '
        "there are no rules for 'fetch'"
    ]
    assert outcome.state is TaskState.ERROR


def test_only_connectors_of_rules_and_the_built_in_ones_exist() -> None:
    registry = FakeConnectors([{"call": "crm.find"}]).registry()
    assert {connector.namespace for connector in registry} == {"crm", "fetch", "utils"}


def test_sleep_waits_on_the_virtual_clock_unless_a_rule_replaces_it() -> None:
    sleeps = ("utils.sleep", {"milliseconds": 86_400_000})

    slept, answers = call_all(FakeConnectors(), sleeps)
    (run,) = slept.runs
    assert (run.ended_at - run.started_at, answers) == (86_400_000, [None])

    replaced, answers = call_all(FakeConnectors([{"call": "utils.sleep", "return": "no"}]), sleeps)
    (run,) = replaced.runs
    assert (run.ended_at - run.started_at, answers) == (0, ["no"])


def test_a_delay_takes_virtual_time() -> None:
    outcome, _ = call_all(FakeConnectors([{"call": "a.b", "delay": "5s"}]), ("a.b", {}))
    (run,) = outcome.runs
    assert run.ended_at - run.started_at == 5000


@pytest.mark.parametrize(
    ("given", "arguments", "answer"),
    [
        ({"body": {"a": 1}}, {"url": "u"},
         {"status": 200, "ok": True, "statusText": "", "headers": {}, "body": {"a": 1}}),
        ({"status": 404}, {"url": "u"}, {"status": 404, "ok": False, "statusText": "", "headers": {}, "body": None}),
        ({"ok": False}, {"url": "u"}, {"status": 500, "ok": False, "statusText": "", "headers": {}, "body": None}),
        (None, {"url": "u"}, {"status": 200, "ok": True, "statusText": "", "headers": {}, "body": None}),
        ({"status": 200, "body": [1]}, {"url": "u", "bodyOnly": True}, [1]),
        ({"id": 7}, {"url": "u", "bodyOnly": True}, {"id": 7}),
        ({"status": "paid"}, {"url": "u"}, {"status": "paid"}),
    ],
)  # fmt: skip
def test_a_fetch_answer_is_filled_in(given: Any, arguments: Any, answer: Any) -> None:
    _, answers = call_all(FakeConnectors([{"call": "fetch", "return": given}]), ("fetch", arguments))
    assert answers == [answer]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"cal": "a.b"}, "rule 1: there is no key 'cal' here; did you mean 'call'?"),
        ({"return": 1}, "rule 1: the key 'call' is missing"),
        ({"call": "a..b"}, "rule 1: call: 'a..b' is no call; write it like crm.find, or fetch"),
        ({"call": 3}, "rule 1: call: a text was expected, not the number 3"),
        ({"call": "a.b", "return": 1, "error": "x"}, "rule 1: an answer has either 'return' or 'error', not both"),
        ({"call": "a.b", "return": 1, "sequence": []}, "rule 1: a rule has either 'return' or 'sequence', not both"),
        ({"call": "a.b", "sequence": []}, "rule 1: sequence: a sequence needs at least one answer"),
        ({"call": "a.b", "sequence": [{"retrun": 1}]},
         "rule 1: sequence.0: there is no key 'retrun' here; did you mean 'return'?"),
        ({"call": "a.b", "times": "x"},
         "rule 1: times: a whole number of at least 0 was expected, not the text 'x'"),
        ({"call": "a.b", "when": {"id": {"$gtt": 1}}},
         "rule 1: when: this condition cannot be read at id.$gtt: there is no operator '$gtt'; did you mean '$gt'?"),
    ],
)  # fmt: skip
def test_what_is_no_rule(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(LoadError) as caught:
        FakeConnectors([rule])
    assert str(caught.value) == message


def test_rules_from_python_may_have_python_conditions() -> None:
    fakes = FakeConnectors([{"call": "a.b", "when": {"id": int}, "return": 1}])
    _, answers = call_all(fakes, ("a.b", {"id": 7}))
    assert answers == [1]


@pytest.mark.parametrize("text", ["- {call: a.b, return: 1}\n", "connectors:\n  - {call: a.b, return: 1}\n"])
def test_rules_from_a_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    fakes = FakeConnectors(read_rules(file), strict_builtins=False)
    _, answers = call_all(fakes, ("a.b", {}))
    assert answers == [1]


def test_a_bad_rule_in_a_file_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("- {call: a.b}\n- call: a.b\n  delay: soon\n")
    with pytest.raises(LoadError) as caught:
        read_rules(file)
    assert str(caught.value).startswith(f"{file}:3: 1.delay: this must be a duration")
