"""What a deploy.yaml asks for, and what is said where it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from aloma_py.deploy.reading import read_deployment
from aloma_py.deploy.wanted import ThingWanted
from aloma_py.errors import LoadError

ALOMAS = """\
company: "ACME"
workspaces:
  - name: orders
    tags: [sales, eu]
    steps:
      - syncPath: "steps/"
      - name: extra
        file: more/extra.mts
    libraries:
      - syncPath: "libraries/"
    connectors:
      - connectorName: "E-Mail (SMTP)"
        name: mail
        namespace: eMailSmtp
        config: {smtpHost: "${HOST}", smtpPassword: "${PASSWORD}"}
      - file: connector.json
    secrets:
      - {name: TOKEN, value: "${PASSWORD}", description: of the shop, encrypted: true}
      - {name: PLAIN, value: open, encrypted: false}
      - {name: PIN, value: 1234}
    environment:
      - {name: URL, value: "https://${HOST}/$${kept}"}
    webhooks:
      - {name: shop, description: orders come here}
    tasks:
      - {name: first, data: {order: {id: 1}}}
      - {name: second, file: tasks/second.yaml}
  - name: other
    tasks:
"""


def folder(place: Path, text: str = ALOMAS) -> Path:
    for name, content in {
        "steps/check.js": "export const condition = {a: 1};",
        "steps/deep/ship it.js": "export const condition = {a: 2};",
        "steps/_skipped.js": "",
        "steps/notes.txt": "",
        "more/extra.mts": "export const condition = {a: 3};",
        "libraries/tools.js": "module.exports = {};",
        "connector.json": '{"connectorName": "slack.com", "config": {"apiToken": "${PASSWORD}"}}',
        "steps.py": "",
        "pkg/one.py": "",
        "tasks/second.yaml": "order: {id: 2}",
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    file = place / "deploy.yaml"
    file.write_text(text)
    return file


def test_a_file_of_alomas_is_read_as_it_is(tmp_path: Path) -> None:
    found = read_deployment(folder(tmp_path), {"HOST": "mail.example", "PASSWORD": "s3cret"})
    orders, other = found.workspaces
    assert (found.company, orders.name, orders.tags, orders.line) == ("ACME", "orders", ("sales", "eu"), 3)
    assert [(one.kind, one.name, one.suffix) for one in orders.scripts] == [
        ("step", "check", ".js"),
        ("step", "deep/ship it", ".js"),
        ("step", "extra", ".mts"),
        ("library", "tools", ".js"),
    ]
    things = {(one.kind, one.name): one.facts for one in orders.things}
    assert things == {
        ("variable", "URL"): {"value": "https://mail.example/${kept}"},
        ("secret", "TOKEN"): {"value": "s3cret", "description": "of the shop"},
        ("variable", "PLAIN"): {"value": "open"},
        ("secret", "PIN"): {"value": "1234"},
        ("webhook", "shop"): {"description": "orders come here"},
        ("connector", "eMailSmtp"): {
            "kind": "E-Mail (SMTP)",
            "name": "mail",
            "config": {"smtpHost": "mail.example", "smtpPassword": "s3cret"},
        },
        ("connector", "slackCom"): {"kind": "slack.com", "name": "slack.com", "config": {"apiToken": "s3cret"}},
        ("task", "first"): {"data": {"order": {"id": 1}}},
        ("task", "second"): {"data": {"order": {"id": 2}}},
    }
    assert orders.spoken_of == {
        "steps", "libraries", "connectors", "secrets", "environment", "webhooks",
    }  # fmt: skip
    assert (other.tags, other.scripts, other.things, other.spoken_of) == (None, (), (), frozenset())


def test_a_secret_is_not_shown_where_its_record_is(tmp_path: Path) -> None:
    found = read_deployment(folder(tmp_path), {"HOST": "h", "PASSWORD": "s3cret"})
    assert "s3cret" not in repr(found)
    assert "s3cret" in repr([one.facts for one in found.workspaces[0].things])


def test_schedules_and_modules_stand_beside(tmp_path: Path) -> None:
    text = """\
workspaces:
  - name: w
    modules: [steps.py, pkg/, orders.steps]
    schedules:
      - {name: nightly, cron: "0 3 * * *", zone: Europe/Berlin, data: {run: true}}
"""
    [found] = read_deployment(folder(tmp_path, text), {}).workspaces
    assert found.modules == (str(tmp_path / "steps.py"), str(tmp_path / "pkg"), "orders.steps")
    facts = {"cron": "0 3 * * *", "zone": "Europe/Berlin", "data": {"run": True}}
    assert found.things == (ThingWanted("schedule", "nightly", facts, 5),)


@pytest.mark.parametrize(
    ("part", "line", "reason"),
    [
        ("    secrets:\n      - {name: A, value: '${MISSING}'}", 4, "secrets.0.value: the environment has no variable"),
        ("    secrets:\n      - {name: A}", 4, "the key 'value' is missing"),
        (
            "    secrets:\n      - {name: A, value: x}\n      - {name: A, value: y}",
            5,
            "there is a secret 'A' already, at",
        ),
        ("    secrets:\n      - {name: A, value: x, encrypted: maybe}", 4, "true or false was expected"),
        ("    secretz: []", 3, "there is no key 'secretz' here; did you mean 'secrets'?"),
        ("    steps:\n      - {name: a}", 4, "the key 'file' is missing; or syncPath"),
        ("    steps:\n      - {name: a, file: nowhere.js}", 4, "cannot be read: No such file"),
        ("    steps:\n      - {name: a, file: steps/notes.txt}", 4, "'notes.txt' is no JavaScript"),
        ("    steps:\n      - {syncPath: nowhere}", 4, "there is no folder"),
        ("    steps:\n      - {syncPath: steps, name: a}", 4, "either syncPath, or name and file"),
        (
            "    steps:\n      - {syncPath: steps}\n      - {name: check, file: more/extra.mts}",
            5,
            "there are two of the",
        ),
        ("    tasks:\n      - {name: a}", 4, "either data, or file"),
        ("    tasks:\n      - {name: a, data: 5}", 4, "a mapping was expected: the task's data"),
        ("    tasks:\n      - {name: a, file: nowhere.json}", 4, "there is no file"),
        ("    connectors:\n      - {name: a}", 4, "the key 'connectorName' is missing"),
        ("    connectors:\n      - {connectorName: a, config: 5}", 4, "a mapping was expected: the connector's config"),
        ("    connectors:\n      - {connectorName: '!!'}", 4, "give one as namespace"),
        ("    connectors:\n      - {connectorName: a, kind: b}", 4, "there is no key 'kind' here"),
        ("    modules: [nowhere/]", 3, "there is no file or folder"),
        ("    modules: [nowhere.py]", 3, "there is no file or folder"),
        ("    modules:\n      - a.b\n      - a.b", 5, "there is a module 'a.b' already, at line 4"),
        ("    tags: 5", 3, "a list was expected"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, part: str, line: int, reason: str) -> None:
    file = folder(tmp_path, f"workspaces:\n  - name: w\n{part}\n")
    with pytest.raises(LoadError) as caught:
        read_deployment(file, {"PRESENT": "1"})
    assert caught.value.line == line and reason in str(caught.value), str(caught.value)
    assert caught.value.file == str(file)


def test_a_file_without_workspaces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="at least one workspace"):
        read_deployment(folder(tmp_path, "workspaces: []"), {})
    with pytest.raises(LoadError, match="there is a workspace 'w' already, at line 2"):
        read_deployment(folder(tmp_path, "workspaces:\n  - name: w\n  - name: w\n"), {})
