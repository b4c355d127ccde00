"""``aloma-py connector``, and the connectors and modules of ``aloma-py deploy``."""

from __future__ import annotations

import json

import pytest

from .conftest import Shell

BASE = "base_url=http://127.0.0.1:1/v1"


def test_a_connector_from_its_beginning_to_its_end(shell: Shell) -> None:
    added = shell("connector", "add", "http", "-n", "The shop", "-ns", "shop", "-t", "eu,sales", "--config", BASE,
                  "--config", "bearer_token=-", "--config", "timeout=5s", "--config", 'headers={"X-App": "a"}',
                  stdin="correct-horse\n")  # fmt: skip
    assert (added.stdout, added.stderr) == ("added The shop: steps call it as connectors.shop\n", "")
    found = shell.json("connector", "show", "shop")
    assert (found["name"], found["tags"], found["secrets"]) == ("The shop", ["eu", "sales"], ["bearer_token"])
    assert found["config"] == {"base_url": "http://127.0.0.1:1/v1", "timeout": "5s", "headers": {"X-App": "a"}}
    shown = shell("connector", "show", "The shop", "--config").stdout
    assert "bearer_token  (secret)" in shown and 'headers       {"X-App":"a"}' in shown and "correct-horse" not in shown
    assert "shop       http  The shop  eu, sales  ready" in shell("connector", "list", "--verbose").stdout
    (shell.folder / "more.json").write_text('{"config": {"timeout": null, "check_path": "/me"}}')
    assert shell("connector", "update", "shop", "-f", "more.json", "--config", "headers=").stdout.startswith("changed")
    assert shell.json("connector", "show", "shop")["config"] == {
        "base_url": "http://127.0.0.1:1/v1", "check_path": "/me",
    }  # fmt: skip
    shell("connector", "configure", "shop", "-n", "Another", "-ns", "other", "-t", "")
    assert shell("connector", "disable", "other").stdout == "disabled other\n"
    assert shell.json("connector", "list")[0]["state"] == "disabled"
    assert shell("connector", "enable", "Another").stdout == "enabled other\n"
    failed = shell("connector", "test", "other", status=1)
    assert failed.stdout.startswith("other does not work: ConnectError")
    assert shell("connector", "logs", "other").stdout == "no calls were recorded\n"
    assert "say --yes" in shell.refused("connector", "delete", "other")
    assert shell("connector", "delete", "other", "--force").stdout == "deleted other\n"
    assert shell("connector", "list").stdout == "no connectors\n"
    for file in shell.folder.glob("aloma.db*"):
        assert b"correct-horse" not in file.read_bytes()


def test_a_secret_on_the_command_line_is_taken_and_warned_of(shell: Shell) -> None:
    words = ("connector", "add", "http", "--config", BASE, "--config")
    seen = shell(*words, "bearer_token=correct-horse", "-ns", "one")
    assert "bearer_token: others on this machine can see" in seen.stderr and "correct-horse" not in seen.output
    assert shell(*words, "check_path=/", "-ns", "two").stderr == ""
    named = shell(*words, "bearer_token=${TOKEN}", "-ns", "three")
    assert named.stderr == (
        "it is not available: the connector 'three': the field 'bearer_token': "
        "the workspace has no variable or secret 'TOKEN'\n"
    )
    shell("secret", "add", "TOKEN", stdin="correct-horse")
    assert shell.json("connector", "show", "three")["state"] == "ready"


def test_several_secrets_come_line_by_line(shell: Shell) -> None:
    words = ("connector", "add", "http", "--config", BASE, "--config", "username=-", "--config", "password=-")
    assert "has 1 lines; one for each of username, password" in shell.refused(*words, stdin="ada\n")
    shell(*words, stdin="ada\ncorrect-horse\n")
    assert shell.json("connector", "show", "http")["config"]["username"] == "ada"


def test_what_can_be_added(shell: Shell) -> None:
    listed = shell("connector", "list-available").stdout
    assert "http  Requests to one service" in listed and "base_url" in listed and "text, required" in listed
    assert "text, secret" in listed
    assert shell.json("connector", "list-available", "-f", "SERVICE")[0]["name"] == "http"
    assert shell("connector", "list-available", "-f", "nothing").stdout == "none with 'nothing'\n"


@pytest.mark.parametrize(("words", "said"), [
    (("add", "htpp"), "no installed plugin offers a connector 'htpp'; did you mean 'http'?; there are: http"),
    (("add", "http"), "http: the field 'base_url' is missing"),
    (("add", "http", "--config", "base_ulr=x"), "there is no field 'base_ulr'; did you mean 'base_url'?"),
    (("add", "http", "--config", "x"), "--config 'x': NAME=VALUE was expected"),
    (("add", "http", "--config-file", "nowhere.json"), "nowhere.json cannot be read"),
    (("add", "http", "--config", BASE, "-ns", "utils"), "there is a connector 'utils' already"),
    (("update", "x"), "nothing to change was given"),
    (("update", "x", "-n", "y"), "there is no connector 'x'"),
    (("show", "x"), "there is no connector 'x'"),
    (("oauth", "slack.com"), "is not there yet; give it a token instead"),
    (("logs", "x"), "there is no connector 'x'"),
])  # fmt: skip
def test_mistakes_are_told(shell: Shell, words: tuple[str, ...], said: str) -> None:
    shell("env", "set", "A", "1")
    assert said in shell.refused("connector", *words)


def test_a_configuration_as_json(shell: Shell) -> None:
    words = '{"base_url": "http://127.0.0.1:1", "bearer_token": "correct-horse", "timeout": 900}'
    seen = shell("connector", "add", "http", "--config", words, "--config", "timeout=800")
    assert seen.stderr.startswith("bearer_token: others on this machine")
    assert shell.json("connector", "show", "http")["config"] == {"base_url": "http://127.0.0.1:1", "timeout": "800"}
    assert "--config" in shell.refused("connector", "add", "http", "--config", '{"a": 1')


def test_a_file_for_a_connector_has_its_configuration_alone(shell: Shell) -> None:
    (shell.folder / "plain.yaml").write_text("base_url: http://127.0.0.1:1\n")
    shell("connector", "add", "http", "--config-file", "plain.yaml")
    (shell.folder / "wrong.json").write_text('{"config": {}, "nmae": "x"}')
    assert "beside config nothing was expected" in shell.refused("connector", "update", "http", "-f", "wrong.json")


def test_a_deployment_with_a_connector_that_nobody_offers(shell: Shell) -> None:
    (shell.folder / "deploy.yaml").write_text(
        "workspaces:\n  - name: default\n    modules: [steps.py]\n    connectors:\n"
        "      - {connectorName: hubspot.com, config: {apiToken: correct-horse}}\n"
    )
    warning = "the connector 'hubspotCom' is of the kind 'hubspot.com', which no installed plugin offers"
    tried = shell("deploy", "deploy.yaml", "--dry-run").stdout
    assert f"  + add    connector hubspotCom\n  ! {warning}\n" in tried and "2 to change" in tried
    assert not (shell.folder / "aloma.db").exists()
    assert "2 changed" in shell("deploy", "deploy.yaml").stdout
    again = shell("deploy", "deploy.yaml").stdout
    assert f"  ! {warning}\n  nothing to change; 3 as they are" in again
    assert [one["name"] for one in shell.json("step", "list")][:1] == ["ship"]
    assert warning in shell("workspace", "health").stdout
    told = json.loads(shell("doctor", "--json").stdout)
    assert [one["text"] for one in told if one["what"] == "connector"] == [f"workspace 'default': {warning}"]
