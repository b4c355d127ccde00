"""What a scenario file may say, and the message for what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aloma_py.errors import InputError
from aloma_py.testing import find_files, run_files

CRM = "connectors: [{call: crm.find, return: {name: Ada}}]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step: [a.py]\nscenarios: []", "some.scenario.yaml:1: there is no key 'step' here; did you mean 'steps'?"),
        ("steps: [a.py]", "some.scenario.yaml:1: the key 'scenarios' is missing"),
        ("- 1", "some.scenario.yaml:1: a mapping was expected, not a list"),
        ("steps: []\nscenarios: []",
         "some.scenario.yaml:1: steps: at least one file, folder or module with steps was expected"),
        ("steps: [a.py]\nscenarios: []", "some.scenario.yaml:2: scenarios: at least one scenario was expected"),
        ("steps: [a.py]\nscenarios: 3", "some.scenario.yaml:2: scenarios: a list was expected, not the number 3"),
        ("steps: [a.py]\nclock: automatic\nscenarios: []",
         "some.scenario.yaml:2: clock: 'automatic' is none of auto, manual; did you mean 'auto'?"),
        ("steps: [a.py]\nlimits: {max_run: 3}\nscenarios: []",
         "some.scenario.yaml:2: limits: there is no key 'max_run' here; did you mean 'max_runs'?"),
        ("steps: [a.py]\nlimits: {parallel: 1}\nscenarios: []",
         "some.scenario.yaml:2: limits.parallel: true or false was expected"),
        ("steps: [a.py]\nsteps: [b.py]\nscenarios: []",
         "some.scenario.yaml:2: the key 'steps' is there twice, first at line 1"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded_gives_one_failed_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    # Given a file that is wrong as a whole
    monkeypatch.chdir(tmp_path)
    Path("some.scenario.yaml").write_text(text)

    # When it is run
    (result,) = run_files(["some.scenario.yaml"])

    # Then there is one line for it, without a name and without a task
    assert result.to_json() == {
        "file": "some.scenario.yaml",
        "name": None,
        "passed": False,
        "failures": [message],
        "task": None,
        "runs": [],
        "history": [],
        "calls": [],
        "audit": [],
        "visualizations": [],
        "subtasks": [],
    }


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ("task: {}\nexpects: {}", "5: scenarios.0: there is no key 'expects' here; did you mean 'expect'?"),
        ("tags: [a]", "3: scenarios.0: the key 'task' is missing"),
        ("task: [1]", "4: scenarios.0.task: a mapping was expected, not a list"),
        ("task: {}\nconnectors:\n  - {call: a.b, when: {a: {$typo: 1}}}",
         "6: scenarios.0.connectors.0.when: this condition cannot be read at a.$typo: "
         "there is no operator '$typo'; did you mean '$type'?"),
        ("task: {}\nafter: [{wait: 3}]",
         "5: scenarios.0.after.0: there is no key 'wait' here; there are: advance, resume, stop, update"),
        ("task: {}\nafter: [{}]",
         "5: scenarios.0.after.0: exactly one of update, advance, stop, resume was expected, not none"),
        ("task: {}\nafter: [{update: 3}]",
         "5: scenarios.0.after.0.update: a mapping was expected, not the number 3"),
        ("task: {}\nafter: [{stop: false}]", "5: scenarios.0.after.0.stop: true was expected"),
        ("task: {}\nexpect: {state: finished}",
         "5: scenarios.0.expect.state: 'finished' is none of pending, running, waiting, attention, "
         "done, error, ignored, stopped"),
        ("task: {}\nexpect: {state: erorr}",
         "5: scenarios.0.expect.state: 'erorr' is none of pending, running, waiting, attention, done, error, ignored, "
         "stopped; did you mean 'error'?"),
        ("task: {}\nexpect: {data: {a: {$size: x}}}",
         "5: scenarios.0.expect.data: this condition cannot be read at a.$size:"),
        ("task: {}\nexpect: {steps: {count: {a: 1}}}",
         "5: scenarios.0.expect.steps: there is no key 'count' here; did you mean 'counts'?"),
        ("task: {}\nexpect: {steps: {before: [[a]]}}",
         "5: scenarios.0.expect.steps.before.0: two steps were expected, "
         "the one that runs before and the one that runs after"),
        ("task: {}\nexpect: {calls: {a.b: -1}}",
         "5: scenarios.0.expect.calls[\"a.b\"]: a whole number of at least 0 was expected, not the number -1"),
        ("task: {}\nexpect: {logs: [{level: fatal, text: x}]}",
         "5: scenarios.0.expect.logs.0.level: 'fatal' is none of debug, info, warning, error, warn, log"),
        ("task: {}\nexpect: {subtasks: [{nam: x}]}",
         "5: scenarios.0.expect.subtasks.0: there is no key 'nam' here; did you mean 'name'?"),
        ("task: order.xml", "4: scenarios.0.task: the task file "),
        ("task: order.json", "4: scenarios.0.task: the task file "),
        ("task: {$via: 3}", "3: the task of 'bad': data.$via is a number; an object was expected"),
    ],
)  # fmt: skip
def test_a_bad_scenario_fails_alone(folder: Any, monkeypatch: pytest.MonkeyPatch, scenario: str, message: str) -> None:
    # Given a file in which the first scenario is wrong, and the second is not
    monkeypatch.chdir(folder.path)
    body = scenario.replace("\n", "\n    ")
    Path("some.scenario.yaml").write_text(
        f"steps: [steps/]\nscenarios:\n  - name: bad\n    {body}\n"
        f"  - name: good\n    task: {{order: {{status: new, id: 1}}}}\n    {CRM}\n    expect: {{state: done}}\n"
    )

    # When they are run
    bad, good = run_files(["some.scenario.yaml"])

    # Then the first has its failure, with the line where there is one, and the second is as good as ever
    (failure,) = bad.failures
    assert failure.removeprefix("some.scenario.yaml:").startswith(message)
    assert (bad.name, bad.to_json()["task"]) == ("bad", None)
    assert good.failures == ()


def test_two_scenarios_of_one_name(folder: Any) -> None:
    first, second = folder.run("- {name: it, task: {a: 1}}\n- {name: it, task: {a: 2}}")
    assert first.passed
    assert second.failures[0].endswith("some.scenario.yaml:4: there is a scenario 'it' already, at line 3")


def test_steps_that_cannot_be_loaded_fail_every_scenario_by_name(folder: Any) -> None:
    folder.write("steps/bad.py", "from aloma_py import step\n@step(condition={'a': {'$gtt': 1}})\ndef bad(data): ...\n")
    results = folder.run("- {name: one, task: {a: 1}}\n- {name: two, task: {a: 1}}")
    assert [result.name for result in results] == ["one", "two"]
    for result in results:
        (failure,) = result.failures
        assert "there is no operator '$gtt'; did you mean '$gt'?" in failure
        assert "step 'bad'" in failure
        assert result.to_json()["task"] is None


def test_steps_may_be_files_folders_and_modules(folder: Any) -> None:
    folder.write("other.py", "from aloma_py import step\n@step(condition={'a': 1})\ndef other(data): data.a = 2\n")
    folder.write("pack/deep.py", "from aloma_py import step\n@step(condition={'a': 2})\ndef deep(data): data.a = 3\n")
    for sources in ("[other.py, pack/deep.py]", "[other, pack.deep]", "[./other.py, pack]"):
        result = folder.run_one("task: {a: 1}\nexpect: {steps: [other, deep], state: done}", head=f"steps: {sources}")
        assert result.failures == ()
    single = folder.run_one("task: {a: 1}\nexpect: {steps: [other]}", head="steps: other.py")
    assert single.failures == ()


def test_a_module_that_is_installed(folder: Any) -> None:
    result = folder.run_one("task: {}", head="steps: [json]")
    assert "no steps" in result.failures[0]  # it was found, and has none


def test_libraries_config_tags_and_names(folder: Any) -> None:
    folder.write("texts.py", "def shout(text): return text.upper()\n")
    folder.write(
        "steps/orders.py",
        """
        from aloma_py import step

        @step(condition={"say": str})
        def say(data, lib, task):
            data.said = lib.texts.shout(data.say) + task.config("END")
            data.who = [task.name(), task.tags()]
            del data.say
        """,
    )
    result = folder.run_one(
        """
        task: {say: hello}
        task_name: order 7
        tags: [eu, vip]
        expect: {data: {said: "HELLO!", who: ["order 7", {$all: [eu, vip]}]}}
        """,
        head='steps: [steps/]\nlibraries: {texts: texts.py}\nconfig: {END: "!"}',
    )
    assert result.failures == ()
    assert result.to_json()["task"]["tags"] == ["eu", "vip"]


def test_limits(folder: Any) -> None:
    folder.write(
        "steps/orders.py",
        "from aloma_py import step\n\n@step(condition={'n': int})\ndef go(data, step): data.n += 1; step.redo()\n",
    )
    result = folder.run_one(
        "task: {n: 0}\nexpect: {state: error, reason: max_runs, data: {n: 5}}",
        head="steps: [steps/]\nlimits: {max_runs: 5}",
    )
    assert result.failures == ()


@pytest.mark.parametrize("name", ["task.json", "task.yaml"])
def test_a_task_from_a_file(folder: Any, name: str) -> None:
    folder.write(name, '{"order": {"status": "new", "id": 1}}')
    result = folder.run_one(f"task: {name}\n{CRM}\nexpect: {{state: done}}")
    assert result.failures == ()


def test_folders_are_searched_and_sorted(tmp_path: Path) -> None:
    for name in ("b/x.scenario.yaml", "a.scenario.yaml", ".hidden/c.scenario.yaml", "b/y.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = find_files([tmp_path, tmp_path / "a.scenario.yaml"])
    assert [str(file.relative_to(tmp_path)) for file in found] == ["a.scenario.yaml", "b/x.scenario.yaml"]


def test_nothing_to_run(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.path)
    folder.write("some.scenario.yaml", "steps: [steps/]\nscenarios: [{name: it, task: {}}]")
    for paths, message in (
        (["steps"], "there is no scenario: no file ending in .scenario.yaml in steps"),
        (["steps/orders.py"], "'steps/orders.py' is no scenario file: its name must end in .scenario.yaml"),
        (["stepz"], "there is no file or folder 'stepz'; did you mean 'steps'?"),
    ):
        with pytest.raises(InputError) as caught:
            run_files(paths)
        assert str(caught.value) == message
    with pytest.raises(InputError) as caught:
        list(run_files(["."], keyword="other"))
    assert str(caught.value) == "no scenario has 'other' in its name"


def test_a_keyword_picks_scenarios_by_name_or_file(folder: Any) -> None:
    folder.run("- {name: Paid order, task: {}}\n- {name: free one, task: {}}")
    assert [result.name for result in run_files([folder.path], "paid")] == ["Paid order"]
    assert len(list(run_files([folder.path], "some.scenario"))) == 2
