"""A new project, and reading one."""

from __future__ import annotations

import json

from aloma_py.cli.project import FILES


def test_a_new_project_can_be_read_and_its_scenarios_pass(shell, monkeypatch):
    assert "made shop with 8 files" in shell("create", "shop").output
    folder = shell.folder / "shop"
    monkeypatch.chdir(folder)
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()) == sorted(FILES)
    assert shell("build").output == "all can be read: 2 steps, 1 library, 1 workspace, 2 scenarios\n"
    assert "2 passed" in shell("test", ".").output
    plan = json.loads(shell("deploy", "deploy.yaml", "--dry-run", "--json").output)
    assert [(one["action"], one["kind"], one["name"]) for one in plan[0]["changes"]] == [
        ("add", "workspace", "shop"),
        ("add", "library", "names"),
        ("add", "step", "welcome"),
        ("add", "webhook", "people"),
    ]


def test_what_is_there_is_not_overwritten(shell):
    shell("create", "shop")
    assert "'shop' is there already" in shell("create", "shop", status=2).output
    assert "is no name for a project" in shell("create", "sh op", status=2).output


def test_what_cannot_be_read_is_told_with_its_place(shell):
    shell("create", "shop")
    (shell.folder / "shop" / "steps" / "welcome.js").write_text("export const condition = {a: 1\n")
    told = shell("build", "shop", status=2).output
    assert "steps/welcome.js:1: column 1: syntax error" in told
    (shell.folder / "empty").mkdir()
    assert "there is nothing to read in 'empty'" in shell("build", "empty", status=2).output
