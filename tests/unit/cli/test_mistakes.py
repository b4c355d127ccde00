"""Every mistake gets one clear message and exit status 2; the store's troubles get 3 (SPEC §5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from aloma_py.cli.timeline import check_chosen
from aloma_py.errors import InputError
from aloma_py.store.sqlite import SQLiteStore

from .conftest import ORDER, Shell


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["run", "steps.py", "-d", '{"a":'],
            "-d: line 1, column 6: the text ends too early; a value was expected",
        ),
        (["run", "steps.py", "-d", "[1]"], '-d is an array; an object was expected, like {"order": {…}}'),
        (
            ["run", "steps.py", "-d", '{"a": NaN}'],
            "-d.a is NaN, which JSON does not have; a number or null was expected",
        ),
        (["run", "steps.py"], "the data is missing: give it with -d JSON or -f FILE"),
        (["run", "steps.py", "-d", "{}", "-f", "x.json"], "-d and -f both give the data; use one of them"),
        (
            ["run", "steps.py", "-f", "order.json"],
            "the task file order.json cannot be read: No such file or directory",
        ),
        (["run", "steps.py", "-f", "-"],
         "-f -: a .json or .yaml file was expected; -d - reads the data from standard input"),
        (["task", "new", "order", "-f", "/dev/stdin"],
         "-f /dev/stdin: a .json or .yaml file was expected; -d - reads the data from standard input"),
        (["run", "steps.py", "-d", "@order.json"],
         "-d @order.json: a JSON object was expected; -f order.json reads it from a file"),
        (["run", "steps.py", "-d", "@-"], "-d @-: a JSON object was expected; -d - reads it from standard input"),
        (["run", "steps.py", "-d", "{}", "--config", "KEY"], "--config 'KEY': NAME=VALUE was expected"),
        (["step", "show", "vlidate", "steps.py"], "there is no step 'vlidate'; did you mean 'validate'?"),
        (["step", "check", "steps.py", "-d", "{}", "--step", "shop"], "there is no step 'shop'; did you mean 'ship'?"),
        (["task", "new", "", "-d", "{}"], "the task's name is empty; a text of 1 to 200 characters was expected"),
        (["db", "purge", "--tasks-days", "-1"], "Invalid value for '--tasks-days': -1.0 is not in the range x>=0.\n"
         "Try 'aloma-py db purge -h' for help."),
        (["tsk", "list"], "there is no command 'tsk'; did you mean 'task'?\nTry 'aloma-py -h' for help."),
        (["task", "lst"], "there is no command 'lst'; did you mean 'list'?\nTry 'aloma-py task -h' for help."),
        (["run", "-d", "{}"], "Missing argument 'PATH…'.\nTry 'aloma-py run -h' for help."),
        (["help", "task", "lug"], "there is no command 'task lug'\nTry 'aloma-py -h' for help."),
        (["serve", "steps.py", "--grace", "soon"], '--grace must be a duration: a number of milliseconds, a timedelta, '
         'or text such as "200ms", "30s", "5m", "2h" or "1d", not \'soon\''),
        (["serve", "steps.py", "--grace", "-5s"], "--grace must not be negative, but is '-5s'"),
        (["serve"], "the workspace 'default' has no steps yet: say where they are: aloma-py serve PATH…"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_message(shell: Shell, words: list[str], message: str) -> None:
    assert shell.refused(*words) == message


def test_a_missing_step_file_names_the_nearest(shell: Shell) -> None:
    there = shell.folder / "stpes.py"
    assert shell.refused("run", "stpes.py", "-d", "{}") == (
        f"there is no file or folder {str(there)!r}; did you mean 'steps.py'?"
    )


def test_a_typo_in_a_condition_names_file_line_step_and_the_nearest(shell: Shell) -> None:
    # Given a step whose condition has a misspelt operator
    file = shell.folder / "bad.py"
    file.write_text('from aloma_py import step\n\n@step(condition={"total": {"$gtt": 5}})\ndef pay(data): ...\n')
    # When it is run, the message says where
    message = shell.refused("run", "bad.py", "-d", "{}")
    assert message.startswith(f"{file}:3: step 'pay': condition at total")
    assert "$gtt" in message
    assert "did you mean '$gt'?" in message


def test_an_unknown_task_state_is_told_with_those_there_are(shell: Shell) -> None:
    shell("task", "new", "order", "-d", "{}")
    assert shell.refused("task", "list", "--state", "dne") == "there is no state 'dne'; did you mean 'done'?"


def test_an_unknown_task_is_told(shell: Shell) -> None:
    shell("task", "new", "order", "-d", "{}")
    assert shell.refused("task", "show", "task-nothing") == "there is no task 'task-nothing'"
    assert shell.refused("task", "resume", "task-nothing") == "there is no task 'task-nothing'"


@pytest.mark.parametrize("more", [[], ["--follow"], ["--json"]], ids=str)
def test_an_entry_or_a_step_that_the_history_does_not_have_is_told(shell: Shell, more: list[str]) -> None:
    # Given a task that was stopped and resumed
    id = shell.json("task", "new", "order", "-d", "{}")["id"]
    nothing = shell.refused("task", "log", id, "--step", "1", "--json")
    shell("task", "stop", id)
    shell("task", "resume", id)
    # Then what is not in its history is a mistake
    assert nothing == f"task {id} has no history yet, so --step 1 means nothing in it"
    words = ["task", "log", id, *more, "--step"]
    if more != ["--follow"]:
        assert shell.refused(*words, "7") == f"task {id} has no entry 7; its entries are 1 to 2"
        assert shell.refused(*words, "boo") == f"no step 'boo' has run on task {id}"
    else:  # a follower prints what there is, and says at the end that nothing was meant
        assert shell(*words, "boo", status=2).stderr == f"Error: no step 'boo' has run on task {id}\n"


def test_a_step_that_has_not_run_names_the_nearest_that_has() -> None:
    entries: list[dict[str, Any]] = [{"n": 1, "step": "validate"}, {"n": 2, "step": "ship"}, {"n": 3, "step": None}]
    check_chosen(entries, "ship", "task-1")
    check_chosen(entries, "3", "task-1")
    with pytest.raises(InputError) as caught:
        check_chosen(entries, "shop", "task-1")
    assert str(caught.value) == "no step 'shop' has run on task task-1; did you mean 'ship'?"


@pytest.mark.parametrize("words", [["list"], ["new", "order", "-d", "{}"], ["log", "task-1", "--follow"]], ids=" ".join)
def test_an_unknown_workspace_is_told_and_not_made(shell: Shell, words: list[str]) -> None:
    shell("task", "new", "order", "-d", "{}")
    for _ in range(2):
        assert shell.refused("task", *words, "--workspace", "defalt") == (
            "there is no workspace 'defalt'; did you mean 'default'? (`aloma-py workspace add defalt` makes one)"
        )


def test_what_the_state_does_not_allow_is_told(shell: Shell) -> None:
    id = shell.json("task", "new", "order", "-d", "{}")["id"]
    assert shell.refused("task", "resume", id) == f"task {id} is pending: there is nothing to resume"


def test_a_command_that_needs_steps_says_where_to_give_them(shell: Shell) -> None:
    id = shell.json("task", "new", "order", "-d", ORDER)["id"]
    expected = (
        "the workspace 'default' has no steps yet: give them with --steps PATH, "
        "or serve them once with `aloma-py serve PATH`"
    )
    assert shell.refused("task", "why", id, "ship") == expected
    assert shell.refused("task", "update", id, "-d", "{}") == expected
    assert shell.refused("step", "list") == expected


def test_deleting_without_anybody_to_ask_needs_yes(shell: Shell) -> None:
    id = shell.json("task", "new", "order", "-d", "{}")["id"]
    assert shell.refused("task", "delete", id) == (
        f"deleting {id} cannot be undone: say --yes where nobody can be asked"
    )


def test_reading_where_there_is_no_store_makes_none(shell: Shell) -> None:
    there = shell.folder / "aloma.db"
    assert shell.refused("task", "list", status=3) == f"there is no store {there}"
    assert not there.exists()


def test_a_file_that_is_no_store_is_told(shell: Shell) -> None:
    (shell.folder / "notes.txt").write_text("not a database, but long enough to be read as one " * 20)
    message = shell.refused("--store", "notes.txt", "task", "list", status=3)
    assert message == f"the file {shell.folder / 'notes.txt'} is no store: it is not an SQLite file"


def test_a_setting_of_the_environment_that_is_wrong_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALOMA_MAX_RUNS", "many")
    assert shell.refused("task", "list").startswith("the setting ALOMA_MAX_RUNS='many': ")


def test_writing_to_a_store_that_another_has_open_names_its_process(shell: Shell) -> None:
    async def beside() -> str:
        async with SQLiteStore("aloma.db"):
            return await anyio.to_thread.run_sync(
                lambda: shell.refused("task", "new", "order", "-d", "{}", status=3), abandon_on_cancel=False
            )

    place = shell.folder / "aloma.db"
    message = anyio.run(beside)
    assert message.startswith(f"the store {place} is in use by process ")


def test_reading_works_beside_one_that_has_the_store_open(shell: Shell) -> None:
    async def beside() -> str:
        async with SQLiteStore("aloma.db"):
            return await anyio.to_thread.run_sync(lambda: shell("task", "list").stdout)

    assert anyio.run(beside) == "no tasks\n"


def test_a_left_socket_file_confuses_nobody(shell: Shell) -> None:
    # Given what a killed server leaves: a socket at which nobody listens, or the path of one that has gone
    for text in ("", str(Path("gone") / "control.sock"), "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")):
        (shell.folder / "aloma.db.sock").write_text(text)
        # Then commands use the store themselves
        assert shell.json("task", "new", "order", "-d", "{}")["served"] is False


@pytest.mark.parametrize(
    "words",
    [
        ("webhook", "list"),
        ("webhook", "show", "a"),
        ("secret", "list"),
        ("env", "list"),
        ("library", "list"),
        ("step", "versions", "a"),
        ("step", "pull"),
        ("schedule", "list"),
        ("connector", "list"),
        ("task", "list"),
    ],
)
def test_a_slip_in_the_workspaces_name_is_no_empty_list(shell: Shell, words: tuple[str, ...]) -> None:
    shell("workspace", "add", "orders")
    assert "there is no workspace 'order'; did you mean 'orders'?" in shell.refused("--workspace", "order", *words)
