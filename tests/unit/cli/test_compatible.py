"""The commands and switches that users of ALOMA know: all of them are understood, or say what to do instead."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click
import pytest
from click.shell_completion import ShellComplete

from aloma_py.cli.app import app

from .conftest import Shell

LINES = """
-V
--version
-h
--help
help
help task
help task log
help login
auth
auth https://aloma.example
login
login https://aloma.example
logout
setup
company
account

workspace list
workspace list --name-only
workspace show
workspace show orders
workspace switch orders
workspace use orders
workspace add orders
workspace add orders --tags "a,b"
workspace create orders
workspace delete
workspace delete orders
workspace delete orders --cancel
workspace archive
workspace archive orders
workspace archive orders --unarchive
workspace update orders --name Orders --tags "a,b" --health-enabled true --notification-groups "g1,g2"
workspace update --tags ""
workspace update --env-var K=V --env-var L=W
workspace deploy -f deploy.yaml
workspace health
workspace show -sc
workspace source --file cfg.json
workspace source --file cfg.json --branch b
workspace sync

step list
step list --filter x --sort name --validate
step show greet
step show greet --verbose --code
step add greet
step add greet --description d -c {}
step delete greet
step delete greet --force
step edit greet
step clone greet
step clone greet --name hello
step create greet.js
step update greet -f greet.js
step validate greet -d {}
step performance
step pull
step pull -p folder -s greet
step pull --path folder --verbose
step sync
step sync -p folder -s greet
step sync --path folder --verbose

task list
task list --state done --name x --workspace orders
task list --limit 5 --sort name --status done --filter {} --watch
task log 1 --changes --logs --step 2
task log 1 --verbose --follow --format json
task show 1
task show 1 --data
task show 1 --data --output path
task new x -d {}
task new x -f a.json
task new x -f a.yaml
task clone 1
task stop 1
task resume 1

webhook list
webhook list --show-urls
webhook show x
webhook add x
webhook add x --description d
webhook delete x
webhook delete x --force

connector list
connector list --verbose
connector list-available
connector list-available -f slack
connector show x
connector show x --config
connector add slack.com -n slack
connector add openai.com --config k=v --name N
connector delete x
connector delete x --force
connector logs x
connector oauth x
connector test x
connector status x
connector configure x
connector update x -f file.json
connector update x -n name -ns namespace -t t1,t2
connector update x --config {}

secret list
secret add NAME value
secret add NAME value --encrypted --description d
secret set NAME value
secret delete NAME
secret delete NAME --force

user list
user invite a@b.example,c@d.example -r developer
user invite a@b.example -r developer,business
user update a -r admin
user update a -r owner
user remove a

library list
library pull
library pull -p folder --verbose
library sync
library sync --path folder --verbose

deploy deploy.yaml
deploy deploy.yaml --dry-run
deploy deploy.yaml --force --workspace=x
""".strip().splitlines()

REFUSED = {
    "secret list --show-values": "a secret's value is never shown",
    "step sync --production": "there is one kind of workspace here: choose it with --workspace",
    "step generate --prompt 'greet people'": "steps are not generated here",
    "step logs greet": "what a step said is in the history of the tasks it ran on: `aloma-py task log ID --step NAME`",
    "deploy deploy.yaml --git-ref=main": "check the commit out first",
    "deploy logs --step=x": "No such option '--step'",
}


def parse(words: Sequence[str]) -> click.Context:
    """The context of the command that the words call, as far as parsing them makes it."""
    context = app.make_context("aloma-py", list(words))
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert name is not None and command is not None
        context = command.make_context(name, rest, parent=context)
    return context


@pytest.mark.parametrize("line", [line for line in LINES if line])
def test_a_line_of_the_original_is_understood(line: str) -> None:
    try:
        parse(shlex.split(line))
    except click.exceptions.Exit as end:  # a version or a help was shown
        assert end.exit_code == 0


@pytest.mark.parametrize("line", REFUSED)
def test_a_line_that_is_refused_says_why(shell: Shell, line: str) -> None:
    assert REFUSED[line] in shell.refused(*shlex.split(line))


def test_the_other_words_are_the_same_commands() -> None:
    for other, name in (("login", "auth"), ("company", "account")):
        assert parse([other]).command is parse([name]).command
    assert parse(["workspace", "use", "x"]).command.callback is parse(["workspace", "switch", "x"]).command.callback
    assert parse(["workspace", "create", "x"]).command.callback is parse(["workspace", "add", "x"]).command.callback


@pytest.mark.parametrize(
    ("words", "begun", "offered"),
    [
        ([], "set", ["setup"]),
        ([], "acc", ["account"]),
        (["db"], "re", ["restore"]),
        (["step"], "p", ["performance", "pull"]),
        (["step", "list"], "--s", ["--sort", "--store"]),
        (["task", "list", "--sort"], "", ["created", "changed", "name", "state"]),
        (["secret", "list", "--show-values"], "--js", ["--json"]),
        (["login"], "--na", ["--name"]),
    ],
    ids=str,
)
def test_new_commands_are_completed(words: list[str], begun: str, offered: list[str]) -> None:
    found = ShellComplete(app, {}, "aloma-py", "_ALOMA_PY_COMPLETE").get_completions(words, begun)
    assert sorted(item.value for item in found) == sorted(offered)
