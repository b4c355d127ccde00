"""What the commands print, for people and for programs."""

from __future__ import annotations

import json
import re
import sys

import pytest
from rich.console import Console

from aloma_py.cli import output
from aloma_py.cli.output import clean, duration, size

from .conftest import ORDER, Shell


def without_times(text: str) -> str:
    return re.sub(r"\+?\d+ ms", "…", text)


def test_run_shows_the_timeline_and_the_final_data(shell: Shell) -> None:
    printed = without_times(shell("run", "steps.py", "-d", ORDER).stdout)
    assert printed.startswith(
        "wave 1  …\n"
        "  ✓ validate  …\n"
        '      order.status = "valid"\n'
        "      │ looking at 1 items\n"
        "wave 2  …\n"
        "  ✓ add_up  …\n"
        "      order.total = 7\n"
        "wave 3  …\n"
        "  ✓ ship  …\n"
        '      order.status = "shipped"\n'
        "\n"
        "done: no more steps match  (3 runs, …)\n"
        "{\n"
    )
    assert json.loads(printed[printed.index("\n{\n") :])["order"]["total"] == 7


def test_run_quietly_prints_the_data_only(shell: Shell) -> None:
    assert json.loads(shell("run", "steps.py", "-q", "-d", ORDER).stdout)["order"]["status"] == "shipped"


def test_run_reads_the_data_from_a_file_and_from_stdin(shell: Shell) -> None:
    (shell.folder / "order.yaml").write_text("order: {status: new, items: [{sku: A-1, price: 7}]}\n")
    from_file = shell("run", "steps.py", "-q", "-f", "order.yaml").stdout
    from_stdin = shell("run", "steps.py", "-q", "-d", "-", stdin=ORDER).stdout
    assert json.loads(from_file) == json.loads(from_stdin)


def test_run_as_json_is_one_document_with_the_whole_history(shell: Shell) -> None:
    found = shell.json("run", "steps.py", "-d", ORDER, "--name", "order 7", "--tag", "new")
    assert (found["task"]["name"], found["task"]["tags"], found["task"]["state"]) == ("order 7", ["new"], "done")
    assert [run["step"] for run in found["runs"]] == ["validate", "add_up", "ship"]


def test_run_jumps_over_waiting_times_and_fails_with_the_task(shell: Shell) -> None:
    printed = shell("run", "steps.py", "--jump", "-d", '{"explode": true}', status=1).stdout
    assert "↻ explode" in printed
    assert "… waiting: will retry step 'explode', until " in printed
    assert "✗ explode  0 ms, attempt 2\n" in printed
    assert "ValueError: it went off" in printed
    assert "error: unhandled error in explode" in printed


def test_run_that_no_step_matches_fails_and_says_what_to_do(shell: Shell) -> None:
    printed = shell("run", "steps.py", "-d", '{"a": 1}', status=1).stdout
    assert "attention: no step has ever matched" in printed
    assert "aloma-py step check" in printed


def test_run_with_fake_connectors_config_and_library(shell: Shell) -> None:
    # Given a step that uses all three
    (shell.folder / "words.py").write_text("def loud(text):\n    return text.upper()\n")
    (shell.folder / "hello.py").write_text(
        "from aloma_py import step\n\n"
        '@step(condition={"name": str, "greeting": None})\n'
        "async def greet(data, task, connectors, lib):\n"
        '    found = await connectors.crm.find({"name": data.name})\n'
        '    data.greeting = lib.words.loud(task.config("HELLO") + " " + found.title)\n'
    )
    (shell.folder / "fakes.yaml").write_text("- {call: crm.find, when: {name: ada}, return: {title: lady}}\n")
    # When it is run with them
    options = ["--config", "HELLO=good day", "--library", "words=words.py", "--connectors", "fakes.yaml"]
    printed = shell("run", "hello.py", "-q", "-d", '{"name": "ada"}', *options).stdout
    # Then they were there
    assert json.loads(printed)["greeting"] == "GOOD DAY LADY"


def test_a_new_task_without_a_server_is_kept_and_says_what_runs_it(shell: Shell) -> None:
    result = shell("task", "new", "order 7", "-d", ORDER, "--tag", "vip")
    assert re.fullmatch(r"accepted task-\w+\n", result.stdout)
    assert result.stderr == "it is pending; `aloma-py serve` runs it\n"
    (found,) = shell.json("task", "list")
    assert (found["name"], found["state"], found["tags"], found["via"]["type"]) == (
        "order 7",
        "pending",
        ["vip"],
        "cli",
    )
    assert "data" not in found


def test_lists_are_filtered_with_both_vocabularies(shell: Shell) -> None:
    # Given three tasks, one of them stopped
    for name in ("order 1", "order 2", "invoice 1"):
        shell("task", "new", name, "-d", "{}", "--tag", name.split()[0])
    id = shell.json("task", "list", "--name", "order 2")[0]["id"]
    shell("task", "stop", id)

    def names(*options: str) -> list[str]:
        return [task["name"] for task in shell.json("task", "list", *options)]

    assert names() == ["invoice 1", "order 2", "order 1"]
    assert names("--state", "stopped") == ["order 2"]
    assert names("--state", "pending,stopped", "--tag", "order") == ["order 2", "order 1"]
    assert names("--state", "processing", "--state", "completed", "--state", "failed") == []
    assert names("--search", "invoice") == ["invoice 1"]
    assert names("--limit", "1") == ["invoice 1"]
    assert "the newest 1; more with --limit" in shell("task", "list", "--limit", "1").stdout


def test_a_narrow_terminal_shows_everything_of_each_task_too(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a task whose reason is longer than 60 columns have room for beside the rest
    id = shell.json("task", "new", "a name of some length", "-d", "{}")["id"]
    shell("task", "stop", id)
    monkeypatch.setattr(output, "console", lambda: Console(file=sys.stdout, width=60))
    # When tasks are listed there
    lines = [line.rstrip() for line in shell("task", "list").stdout.splitlines()]
    # Then nothing is left out
    assert lines[0].startswith(f"{id}  stopped  ")
    assert lines[1:] == ["  a name of some length", f"  {shell.json('task', 'show', id)['reason']}"]


def test_one_entry_is_not_entries(shell: Shell) -> None:
    id = shell.json("task", "new", "order", "-d", "{}")["id"]
    shell("task", "stop", id)
    assert f"1 entry (aloma-py task log {id})" in shell("task", "show", id).stdout
    shell("task", "resume", id)
    assert f"2 entries (aloma-py task log {id})" in shell("task", "show", id).stdout


def test_global_options_stand_before_or_after_the_command(shell: Shell) -> None:
    shell("--store", "other.db", "--workspace", "default", "task", "new", "order", "-d", "{}")
    after = shell("task", "list", "--json", "--store", "other.db", "--workspace", "default").stdout
    before = shell("--json", "--store", "other.db", "--workspace", "nope", "task", "list", "--workspace", "default")
    assert len(json.loads(after)) == 1
    assert json.loads(before.stdout) == json.loads(after)
    assert not (shell.folder / "aloma.db").exists()


def test_stop_resume_update_clone_and_delete_work_on_the_store(shell: Shell) -> None:
    id = shell.json("task", "new", "order", "-d", '{"a": {"b": 1}}')["id"]
    assert shell.json("task", "stop", id)["state"] == "stopped"
    assert shell.json("task", "resume", id)["state"] == "pending"
    updated = shell("task", "update", id, "-d", '{"a": {"c": 2}}', "--steps", "steps.py")
    assert updated.stdout == f"updated {id}\n"
    assert json.loads(shell("task", "show", id, "--data").stdout) == {"a": {"b": 1, "c": 2}}
    first, current = (shell.json("task", "clone", id, *more)["id"] for more in ([], ["--current", "--name", "copy"]))
    assert json.loads(shell("task", "show", first, "--data").stdout) == {"a": {"b": 1}}
    assert json.loads(shell("task", "show", current, "--data").stdout) == {"a": {"b": 1, "c": 2}}
    assert shell("task", "delete", id, "--yes").stdout == f"deleted {id}\n"
    assert [task["name"] for task in shell.json("task", "list")] == ["copy", "order"]


def test_log_shows_what_happened_from_outside(shell: Shell) -> None:
    id = shell.json("task", "new", "order", "-d", "{}")["id"]
    shell("task", "update", id, "-d", '{"note": "rush"}', "--steps", "steps.py")
    shell("task", "stop", id)
    printed = without_times(shell("task", "log", id).stdout)
    assert "data from outside  …\n" in re.sub(r"\+[\d.]+ s", "…", printed)
    assert '      note = "rush"\n' in printed
    assert printed.endswith("stopped: stopped by a person\n")
    assert [entry["kind"] for entry in shell.json("task", "log", id)["entries"]] == ["update", "stop"]
    assert [entry["kind"] for entry in shell.json("task", "log", id, "--step", "2")["entries"]] == ["stop"]
    assert "rush" not in shell("task", "log", id, "--logs").stdout


def test_steps_are_listed_in_the_order_in_which_they_are_tried(shell: Shell) -> None:
    names = [step["name"] for step in shell.json("step", "list", "steps.py")]
    assert names == ["ship", "validate", "add_up", "remind", "explode", "mystery"]
    assert "steps.py:17" in shell("step", "list", "steps.py").stdout


def test_step_show_names_what_it_may_write_and_what_made_it_unknown(shell: Shell) -> None:
    known = shell("step", "show", "ship", "steps.py").stdout
    assert re.search(r"^writes +order.status$", known, re.MULTILINE)
    assert re.search(r"^specificity +2 leaves$", known, re.MULTILINE)
    unknown = shell("step", "show", "mystery", "steps.py").stdout
    assert re.search(r"^writes +everything$", unknown, re.MULTILINE)
    assert "  line 34: setattr(data, data.mystery, 1)\n" in unknown


def test_step_check_prints_what_was_expected_and_found(shell: Shell) -> None:
    printed = shell("step", "check", "steps.py", "--step", "ship", "-d", '{"order": {"status": "valid"}}').stdout
    assert printed == (
        "✗ ship\n"
        "   where         expected          found\n"
        '✓  order.status  equal to "valid"  "valid"\n'
        "✗  order.total   greater than 5    missing\n"
        "\n"
        "'ship' does not match\n"
    )
    both = shell("step", "check", "steps.py", "-d", '{"order": {"status": "valid", "total": 9}}').stdout
    assert both.endswith("would be tried in this order: ship, remind\n")


def test_test_runs_scenarios_and_says_what_failed_and_what_was_not_reached(shell: Shell) -> None:
    # Given two scenarios, of which one expects too much
    (shell.folder / "order.scenario.yaml").write_text(
        "steps: [steps.py]\n"
        "scenarios:\n"
        "  - name: a small order\n"
        f"    task: {ORDER}\n"
        "    expect: {state: done}\n"
        "  - name: an impossible order\n"
        f"    task: {ORDER}\n"
        "    expect: {state: ignored}\n"
    )
    printed = shell("test", ".", "--junit", "out.xml", status=1).stdout
    assert "✓ order.scenario.yaml: a small order\n" in printed
    assert "✗ order.scenario.yaml: an impossible order\n" in printed
    assert re.search(r"^1 failed, 1 passed in ", printed, re.MULTILINE)
    assert "explode" in printed  # no scenario reached it
    assert 'failures="1"' in (shell.folder / "out.xml").read_text()
    # And as JSON, each is a line
    lines = [json.loads(line) for line in shell("test", ".", "--json", status=1).stdout.splitlines()]
    assert [(line["name"], line["passed"]) for line in lines] == [
        ("a small order", True),
        ("an impossible order", False),
    ]
    # And a keyword picks one
    assert "1 passed" in shell("test", ".", "-k", "small").stdout


def test_test_without_scenarios_is_a_mistake(shell: Shell) -> None:
    assert shell.refused("test", ".").startswith("there is no scenario: no file ending in .scenario.yaml in .")


def test_db_commands_look_after_the_store(shell: Shell) -> None:
    shell("task", "new", "order", "-d", "{}")
    info = shell.json("db", "info")
    assert info["tasks"] == {"default": {"pending": 1}}
    assert "tasks in default  1 pending\n" in shell("db", "info").stdout
    assert shell("db", "verify").stdout == "sound: 1 tasks, 0 history entries\n"
    assert shell("db", "purge").stdout == "there was nothing to remove\n"
    assert shell.json("db", "backup", "copy.db")["path"] == str(shell.folder / "copy.db")
    assert len(shell.json("task", "list", "--store", "copy.db")) == 1
    assert "is there already" in shell.refused("db", "backup", "copy.db")


def test_names_that_play_tricks_with_the_terminal_are_shown_harmlessly(shell: Shell) -> None:
    id = shell.json("task", "new", "[bold]order[/bold]", "-d", '{"note": "\\u001b[31mred"}')["id"]
    printed = shell("task", "show", id).stdout
    assert "[bold]order[/bold]" in printed
    assert "\x1b" not in printed


def test_a_lone_surrogate_is_printed_as_json(shell: Shell) -> None:
    id = shell.json("task", "new", "order", "-d", '{"note": "\\ud800"}')["id"]
    assert shell.json("task", "show", id)["data"] == {"note": "\ud800"}


HELP = {
    (): ["run", "task", "step", "workspace", "secret", "deploy", "serve", "account", "auth", "setup", "db", "help"],
    ("task",): ["new", "list", "show", "log", "why", "update", "stop", "resume", "clone", "delete"],
    ("step",): [
        *("list", "show", "check", "validate", "performance", "add", "create", "update", "edit", "clone"),
        *("enable", "disable", "delete", "versions", "pull", "sync"),
    ],
    ("library",): ["list", "show", "pull", "sync", "delete"],
    ("db",): ["info", "purge", "backup", "verify", "restore"],
}


@pytest.mark.parametrize("group", HELP)
def test_help_lists_the_commands_in_order_and_not_their_other_names(shell: Shell, group: tuple[str, ...]) -> None:
    printed = shell(*group, "--help").stdout
    listed = re.findall(r"^│ ([\w-]+) ", printed[printed.index("Commands") :], re.MULTILINE)
    assert [name for name in listed if name in HELP[group]] == HELP[group]
    assert not {"login", "company", "generate"} & set(listed)
    if group:
        assert listed == HELP[group]


def test_help_and_version(shell: Shell) -> None:
    assert shell("help", "task", "log").stdout == shell("task", "log", "-h").stdout
    assert shell("-V").stdout == shell("--version").stdout
    assert re.fullmatch(r"aloma-py \d+\.\d+\.\d+\n", shell("-V").stdout)
    assert "imports the files" in " ".join(shell("step", "-h").stdout.split()) or "import the files" in " ".join(
        shell("step", "-h").stdout.split()
    )


@pytest.mark.parametrize(
    ("millis", "text"),
    [(0, "0 ms"), (999, "999 ms"), (1000, "1 s"), (1500, "1.5 s"), (60_000, "1 min"), (200_000, "3 min 20 s"),
     (7_500_000, "2 h 5 min"), (86_400_000, "1 d"), (90_000_000, "1 d 1 h")],
)  # fmt: skip
def test_durations_in_words(millis: int, text: str) -> None:
    assert duration(millis) == text


def test_sizes_and_control_characters() -> None:
    assert [size(count) for count in (0, 999, 1500, 2_500_000)] == ["0 bytes", "999 bytes", "1.5 kB", "2.5 MB"]
    assert clean("a\x1b[2Jb\r\nc\u202e") == "a�[2Jb\nc�"
