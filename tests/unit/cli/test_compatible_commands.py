"""That the commands and switches that users of ALOMA know do what they know; see ``test_compatible.py``."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from aloma_py.cli import client, tasklist
from aloma_py.cli.tasklist import Wanted
from aloma_py.settings import Settings

from .conftest import Shell

STEP = "export const condition = { a: Number, b: null };\nexport const content = async () => {\n  data.b = 1;\n};\n"


@pytest.fixture
def stored(shell: Shell) -> Shell:
    """A shell in whose store two steps are."""
    (shell.folder / "first step.js").write_text(STEP)
    shell("step", "create", "first step.js", "--description", "It begins.")
    shell("step", "add", "second", "-c", '{"b": "Number"}', "-b", "data[data.name] = 1;", "--disabled")
    return shell


def test_steps_are_created_updated_and_validated(stored: Shell) -> None:
    assert stored("step", "show", "first step", "--code").stdout == STEP
    changed = STEP.replace("= 1", "= 2")
    (stored.folder / "other.js").write_text(changed)
    assert stored("step", "update", "first step", "-f", "other.js").stdout.startswith("changed the step first step")
    stored("step", "update", "second", "--description", "It ends.", "--rename", "last")
    assert stored("step", "show", "first step", "--code").stdout == changed
    assert stored.json("step", "show", "last")["description"] == "It ends."
    assert "nothing to change" in stored.refused("step", "update", "last")
    printed = stored("step", "validate", "first step", "-d", '{"a": "x"}').stdout
    assert printed.startswith("✗ first step\n") and printed.endswith("'first step' does not match\n")
    assert stored.json("step", "validate", "first step", "-d", '{"a": 1}')["order"] == ["first step"]
    stored("step", "clone", "first step")
    assert "first step copy" in stored("step", "list").stdout
    stored("step", "delete", "first step copy", "--force")


def test_steps_are_listed_by_text_and_in_other_orders(stored: Shell) -> None:
    assert [one["name"] for one in stored.json("step", "list")] == ["first step", "second"]
    assert [one["name"] for one in stored.json("step", "list", "--filter", "SECO")] == ["second"]
    assert [one["name"] for one in stored.json("step", "list", "steps.py", "--filter", "looks wh")] == ["validate"]
    assert stored("step", "list", "--filter", "nothing of the kind").stdout == "no steps fit\n"
    by_name = stored.json("step", "list", "steps.py", "--sort", "name")
    assert [one["name"] for one in by_name] == ["add_up", "explode", "mystery", "remind", "ship", "validate"]
    by_runs = stored.json("step", "list", "--sort", "runs")
    assert [(one["name"], one["runs"]) for one in by_runs] == [("first step", 0), ("second", 0)]
    assert "leave PATH out" in stored.refused("step", "list", "steps.py", "--sort", "runs")


def test_steps_are_validated_by_loading_them(stored: Shell) -> None:
    printed = stored("step", "list", "--validate").stdout
    assert printed.startswith("2 steps can be loaded\nthese run alone") and "second, line " in printed
    assert stored.json("step", "list", "steps.py", "--validate")["steps"] == 6
    (stored.folder / "broken.js").write_text("export const condition = {")
    assert "broken.js" in stored("step", "list", "broken.js", "--validate", status=1).stdout
    assert stored.json("step", "list", "broken.js", "--validate", status=1)["valid"] is False


def test_a_step_is_shown_with_its_text(stored: Shell) -> None:
    plain, verbose = (
        stored("step", "show", "first step").stdout,
        stored("step", "show", "first step", "--verbose").stdout,
    )
    assert verbose == f"{plain}text\n{STEP}"


def test_performance_tells_nothing_where_nothing_ran(stored: Shell) -> None:
    assert stored("step", "performance").stdout == "no step ran in the last 7d\n"
    assert stored.json("step", "performance", "--period", "1h") == []


def test_a_new_step_is_written_in_the_editor(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def edited(text: str, **_: object) -> str:
        assert "export const condition" in text
        return answer

    monkeypatch.setenv("EDITOR", "editor")
    monkeypatch.setattr(click, "edit", edited)
    monkeypatch.setattr("aloma_py.cli.steptexts.click.edit", edited)
    answer = STEP
    shell("step", "add", "greet")
    assert shell("step", "show", "greet", "--code").stdout == STEP
    answer = "export const condition = {"
    message = shell.refused("step", "add", "broken")
    kept = message.partition("what you wrote is kept in ")[2]
    assert Path(kept).read_text() == answer


def test_pull_and_sync_name_what_is_unchanged(stored: Shell) -> None:
    stored("step", "pull", "-p", "out")
    assert stored("step", "pull", "-p", "out").stdout == "2 steps unchanged\n"
    assert stored("step", "pull", "-p", "out", "--verbose").stdout == (
        "= out/first step.js\n= out/second.js\n2 steps unchanged\n"
    )
    assert stored.json("step", "pull", "-p", "out", "--verbose")["unchanged"] == ["out/first step.js", "out/second.js"]
    assert stored("step", "sync", "-p", "out", "--verbose").stdout == "= first step\n= second\n2 unchanged\n"


def test_tasks_are_filtered_and_sorted(shell: Shell) -> None:
    for name in ("beta", "alpha"):
        shell("task", "new", name, "-d", "{}")
    stopped = shell.json("task", "new", "gamma", "-d", "{}", "--tag", "late")["id"]
    shell("task", "stop", stopped)

    def listed(*words: str) -> list[str]:
        return [one["name"] for one in shell.json("task", "list", *words)]

    assert listed() == ["gamma", "alpha", "beta"]
    assert listed("--sort", "name") == ["alpha", "beta", "gamma"]
    assert listed("--sort", "state") == ["alpha", "beta", "gamma"]
    assert listed("--sort", "changed", "--limit", "1") == ["gamma"]
    assert listed("--status", "stopped") == listed("--filter", '{"status": "stopped"}') == ["gamma"]
    assert listed("--filter", '{"state": ["pending"], "name": "alp"}') == ["alpha"]
    assert listed("--filter", '{"tags": ["late"]}') == ["gamma"]
    assert "not by their data; a step can put into tags" in shell.refused("task", "list", "--filter", '{"order": 1}')
    assert "an object was expected" in shell.refused("task", "list", "--filter", "[1]")
    assert "is no JSON" in shell.refused("task", "list", "--filter", "{")
    assert "takes a text" in shell.refused("task", "list", "--filter", '{"name": 1}')
    assert "given twice" in shell.refused("task", "list", "--filter", '{"name": "a"}', "--name", "b")
    assert "leave --sort out" in shell.refused("task", "list", "--watch", "--sort", "name")


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_tasks_are_watched_without_a_server(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    for name in ("older", "newer"):
        shell("task", "new", name, "-d", "{}")
    settings, wanted = Settings(), Wanted(None, None, None, None, 50)
    looks = 0

    async def between(pause: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:  # the first look is followed by one that finds a change, and one that finds none
            async with client.connect(settings, "stop_task") as connection:
                (older,) = [one for one in await connection.call("list_tasks") if one["name"] == "older"]
                await connection.call("stop_task", id=older["id"])
        if looks == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(tasklist.anyio, "sleep", between)
    with pytest.raises(KeyboardInterrupt):
        client.run(lambda: tasklist.watch(settings, wanted, as_json=as_json))
    printed = capsys.readouterr()
    assert printed.err == "no server has this store: nothing changes until `aloma-py serve` runs\n"
    if as_json:
        found = [(one["name"], one["state"]) for one in map(json.loads, printed.out.splitlines())]
    else:
        found = [(line.split("  ")[3], line.split("  ")[2]) for line in printed.out.splitlines()]
    assert found == [("older", "pending"), ("newer", "pending"), ("older", "stopped")]


def test_a_task_is_written_to_a_file(shell: Shell) -> None:
    id = shell.json("task", "new", "order", "-d", '{"note": "\\ud800é"}')["id"]
    assert shell("task", "show", id, "--data", "--output", "data.json").stdout == "wrote data.json\n"
    assert json.loads((shell.folder / "data.json").read_text("utf-8")) == {"note": "\ud800é"}
    assert shell.json("task", "show", id, "--output", "task.json") == {"id": id, "file": "task.json"}
    assert json.loads((shell.folder / "task.json").read_text("utf-8"))["name"] == "order"
    assert "cannot be written: No such file" in shell.refused("task", "show", id, "--output", "no/where.json")


def test_a_history_is_printed_in_both_forms(shell: Shell) -> None:
    id = shell.json("task", "new", "order", "-d", "{}")["id"]
    assert json.loads(shell("task", "log", id, "--format", "json").stdout)["task"]["id"] == id
    assert shell("task", "log", id, "--json", "--format", "text").stdout == shell("task", "log", id, "--verbose").stdout


def test_variables_are_set_with_the_workspace(shell: Shell) -> None:
    shell("workspace", "add", "orders")
    shell("workspace", "update", "orders", "--title", "Orders", "--env-var", "A=1", "--env-var", "B=x=y")
    found = {one["name"]: one["value"] for one in shell.json("env", "list", "--workspace", "orders")}
    assert found == {"A": "1", "B": "x=y"}
    assert shell.json("workspace", "show", "orders")["title"] == "Orders"
    assert "NAME=VALUE was expected" in shell.refused("workspace", "update", "--env-var", "A")
    assert "nothing to change was given" in shell.refused("workspace", "update")


def test_a_workspace_is_deployed(shell: Shell) -> None:
    (shell.folder / "deploy.yaml").write_text("workspaces:\n  - name: orders\n    environment: [{name: A, value: b}]\n")
    planned = shell("workspace", "deploy", "-f", "deploy.yaml", "--dry-run").stdout
    assert planned == shell("deploy", "deploy.yaml", "--dry-run", "--force").stdout and "add" in planned
    shell("workspace", "deploy", "-f", "deploy.yaml")
    assert [one["name"] for one in shell.json("env", "list", "--workspace", "orders")] == ["A"]


def test_several_people_are_invited_with_the_words_of_old(shell: Shell) -> None:
    made = shell("user", "invite", "ada@example.org, bob@example.org", "-r", "owner")
    assert len(made.stdout.splitlines()) == 2 and "invited bob@example.org (admin)" in made.stderr
    people = {one["email"]: one["role"] for one in shell.json("user", "list")}
    assert people == {"ada@example.org": "admin", "bob@example.org": "admin"}
    shell("user", "update", "bob@example.org", "-r", "bussines")
    (carla,) = shell.json("user", "invite", "carla@example.org,", "-r", "business,developer")
    assert carla["role"] == "developer"
    assert shell.json("user", "list")[1]["role"] == "operator"
    assert "no email address" in shell.refused("user", "invite", "dora@example.org,eve", "-r", "admin")
    assert "--name is of one person" in shell.refused("user", "invite", "a@b.example,c@d.example", "--name", "A")
    assert len(shell.json("user", "list")) == 3  # nobody was invited by halves


def test_force_is_yes(shell: Shell) -> None:
    id = shell.json("task", "new", "order", "-d", "{}")["id"]
    assert shell("task", "delete", id, "--force").stdout == f"deleted {id}\n"
    shell("webhook", "add", "orders")
    assert shell("webhook", "delete", "orders", "--force").stdout == "deleted orders\n"
    shell("secret", "add", "TOKEN", "a value", "--encrypted")
    assert shell("secret", "delete", "TOKEN", "--force").stdout == "deleted the secret TOKEN\n"


def test_the_account_of_this_machine(shell: Shell) -> None:
    shell("task", "new", "order", "-d", "{}")
    shell("user", "invite", "ada@example.org", "-r", "admin")
    found = shell.json("company")
    assert (found["who"]["kind"], found["who"]["role"], found["people"]) == ("local", "admin", 1)
    assert [(one["name"], one["role"]) for one in found["workspaces"]] == [("default", "admin")]
    printed = shell("account").stdout
    assert "(local)" in printed and "default    admin" in printed


@pytest.mark.parametrize("command", ["auth", "login"])
def test_a_server_that_is_not_named_is_asked_for(shell: Shell, command: str) -> None:
    assert shell.refused(command) == (
        "the server's address is missing: give it as URL, like https://HOST, or in ALOMA_URL"
    )


def test_what_setup_needs_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["setup", "http://127.0.0.1:9"]
    assert shell.refused(*words) == "the setup token is missing: give it with --token"
    assert shell.refused(*words, "--token", "als_x") == "your email is missing: give it with --email"
    words += ["--token", "als_x", "--email", "a@b.example"]
    assert "give it with --password-file FILE" in shell.refused(*words)
    assert "cannot be read: No such file" in shell.refused(*words, "--password-file", "none")
    assert "cannot be reached" in shell.refused(*words, "--password-file", "-", stdin="a heron by the weir\n", status=3)
    assert "the server's address is missing" in shell.refused("setup")  # HTTP is off here
