"""``aloma-py workspace source``, ``workspace sync`` and ``pull``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..sync.gitserver import Repository, new_key, step_of
from .conftest import Shell

LIBRARY = "export const one = () => 1;\n"
FILES = {"steps/a.js": step_of("a"), "steps/x/b c.mts": step_of("b"), "libraries/u.js": LIBRARY}
TOKEN = "a-heron-stands-by-the-weir"


@pytest.fixture
def repository(shell: Shell) -> Iterator[Repository]:
    made = Repository(shell.folder / "flows.git")
    made.commit(FILES)
    yield made
    made.close()


def files(folder: Path) -> dict[str, str]:
    return {
        file.relative_to(folder).as_posix(): file.read_text() for file in sorted(folder.rglob("*")) if file.is_file()
    }


# ── following ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_source_from_its_beginning_to_its_end(shell: Shell, repository: Repository) -> None:
    made = shell("workspace", "source", "--repo", "flows.git", "--automatic", "--every", "10m")
    assert str(repository.path) in made.stdout and "every 10 min" in made.stdout
    assert made.stderr == "it is followed while `aloma-py serve` is running\n"
    planned = shell("workspace", "sync", "--dry-run").stdout
    assert "+ step x/b c\n" in planned
    assert planned.endswith("nothing was changed; it would be: 2 steps added, 1 library added\n")
    assert shell("workspace", "sync").stdout.endswith("\n2 steps added, 1 library added\n")
    assert shell.json("workspace", "sync")["steps"]["unchanged"] == ["a", "x/b c"]
    shell("step", "add", "more", "-c", '{"a": 1}', "-b", "data.b = 1")
    assert "edited since  yes" in shell("workspace", "source").stdout
    repository.commit({"steps/a.js": step_of("aa"), "libraries/u.js": LIBRARY})
    told = shell("workspace", "sync").stdout.splitlines()
    assert told[1:] == [
        "~ step a",
        "- step x/b c",
        "- step more",
        "1 step changed, 2 steps deleted, 1 library unchanged",
    ]
    assert "a change" in shell("workspace", "show", "-sc").stdout
    assert shell.json("workspace", "show", "-sc")["source"]["automatic"]
    assert shell.json("workspace", "source", "--manual", "--branch", "main")["branch"] == "main"
    hook = shell.json("workspace", "source")["hook"]
    assert shell.json("workspace", "source", "--rotate")["hook"] != hook
    assert "its steps stay" in shell("workspace", "source", "--stop", "--yes").stdout
    assert "follows no repository" in shell.refused("workspace", "source")
    assert shell.json("workspace", "show", "--source-config")["source"] is None
    assert "follows no repository" in shell("workspace", "show", "-sc").stderr
    assert shell("step", "list").stdout.count("stored") == 1


def test_settings_from_a_file(shell: Shell, tmp_path: Path) -> None:
    key = new_key()[1]
    (shell.folder / "id").write_text(key)
    config = {"url": "git@example.org:flows.git", "username": "git", "branch": "main", "ssh_key_file": "id",
              "host_key": "any", "automatic": True, "every": 60_000}  # fmt: skip
    (shell.folder / "cfg.json").write_text(json.dumps(config))
    shown = shell.json("workspace", "source", "--file", "cfg.json")
    assert (shown["user"], shown["branch"], shown["secrets"], shown["every"]) == ("git", "main", ["ssh_key"], 60_000)
    shown = shell.json("workspace", "source", "--ssh-key", "id", "--repo", "git@other.org:x", "--host-key", "any")
    assert shown["url"] == "other.org:x"
    assert "PRIVATE" not in shell("audit", "--json").stdout


def test_a_password_is_read_where_nobody_sees_it(shell: Shell) -> None:
    shell("workspace", "source", "--repo", "https://example.org/a", "--password", "-", stdin=f"{TOKEN}\n")
    assert shell.json("workspace", "source")["secrets"] == ["password"]
    said = shell.refused("workspace", "source", "--password", TOKEN)
    assert "others could see it on the command line" in said and TOKEN not in said
    assert TOKEN not in shell("audit", "--json").stdout


@pytest.mark.parametrize(("words", "content", "said"), [
    (("--file", "cfg.json"), '{"url": "x", "pasword": "hunter2"}', "did you mean 'password'?"),
    (("--file", "cfg.json"), '{"password": "hunter2",\n}', "cfg.json:2: this is no JSON"),
    (("--file", "cfg.json"), '["hunter2"]', "a JSON object was expected"),
    (("--file", "missing.json"), "", "cannot be read"),
    (("--ssh-key", "missing", "--repo", "git@example.org:a"), "", "cannot be read"),
    (("--rotate", "--stop"), "", "give one of them"),
    (("--branch", "x"), "", "url is missing"),
    (("--repo", "ssh://git:hunter2@example.org/a"), "", "has a password in it"),
])  # fmt: skip
def test_mistakes_are_told_without_secrets(shell: Shell, words: tuple[str, ...], content: str, said: str) -> None:
    (shell.folder / "cfg.json").write_text(content)
    told = shell.refused("workspace", "source", *words)
    assert said in told and "hunter2" not in told


# ── pull ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stored(shell: Shell, repository: Repository) -> Shell:
    shell("workspace", "source", "--repo", "flows.git")
    shell("workspace", "sync")
    (shell.folder / "project").mkdir()
    return shell


def test_pulled_files_are_what_the_repository_had(stored: Shell) -> None:
    project = stored.folder / "project"
    assert stored("pull", "-p", "project", "--dry-run").stdout.endswith("it would be: 3 written\n")
    assert files(project) == {}
    assert stored("pull", "-p", "project").stdout.endswith("default: 3 written\n")
    assert files(project) == FILES
    assert stored("pull", "-p", "project").stdout == "default: 3 unchanged\n"
    stored("step", "disable", "a")
    assert "disabled in the workspace, but not in their files: steps/a.js" in stored("pull", "-p", "project").stdout
    (project / "steps/a.js").write_text("edited here")
    (project / "steps/x/b c.mts").rename(project / "steps/x/b c.js")
    (project / "steps/gone.js").write_text(step_of("gone"))
    (project / "steps/_draft.js").write_text("mine")
    (project / "README.md").write_text("mine")
    told = stored.json("pull", "-p", "project")
    assert (told["written"], told["deleted"]) == (["steps/a.js", "steps/x/b c.mts"], ["steps/x/b c.js"])
    assert (told["left"], told["unchanged"]) == (["steps/gone.js"], 1)
    assert stored.json("pull", "-p", "project", "--prune")["deleted"] == ["steps/gone.js"]
    assert files(project) == {**FILES, "steps/_draft.js": "mine", "README.md": "mine"}


def test_the_layout_that_the_folder_has(stored: Shell) -> None:
    project = stored.folder / "project"
    (project / "src/steps").mkdir(parents=True)
    stored("pull", "-p", "project")
    assert sorted(files(project)) == ["src/libraries/u.js", "src/steps/a.js", "src/steps/x/b c.mts"]
    built = stored.folder / "built"
    (built / "export/steps").mkdir(parents=True)
    assert "has only export/steps" in stored.refused("pull", "-p", "built")


def test_the_workspaces_of_the_project(stored: Shell) -> None:
    stored("workspace", "add", "other")
    stored("--workspace", "other", "step", "add", "only", "-c", '{"a": 1}', "-b", "data.b = 1")
    project = stored.folder / "project"
    (project / ".aloma.yaml").write_text("pull:\n  workspaces:\n    - other\n")
    stored("pull", "-p", "project")
    assert sorted(files(project)) == [".aloma.yaml", "steps/only.js"]
    (project / ".aloma.yaml").write_text("pull:\n  workspaces: [other, default]\n")
    told = stored.json("pull", "-p", "project")
    assert told["workspaces"] == ["other", "default"]
    assert {"other/steps/only.js", "default/steps/x/b c.mts"} <= set(told["written"])
    (stored.folder / "second").mkdir()
    stored("pull", "default", "-p", "second")  # what is said counts, not the file
    assert "steps/a.js" in files(stored.folder / "second")
    for text, said in (("pull: {workspace: [x]}", "did you mean 'workspaces'?"), ("pull: {workspaces: []}", "at least"),
                       ("pull: {workspaces: [[]]}", "name of a workspace"), ("pull: [", ".aloma.yaml")):  # fmt: skip
        (project / ".aloma.yaml").write_text(text)
        assert said in stored.refused("pull", "-p", "project")
    (project / ".aloma.yaml").write_text("pull: {workspaces: [12345]}")
    assert "there is no workspace '12345'" in stored.refused("pull", "-p", "project")
    stored("workspace", "add", "empty")
    assert "'empty' has no stored steps" in stored.refused("pull", "empty", "-p", "project")


def test_a_repository_in_a_folder_that_there_is_not_is_told_so(stored: Shell) -> None:
    for given in ("nowhere", "some/where", "./nowhere"):
        assert f"there is no folder '{given}'" in stored.refused("workspace", "source", "--repo", given)


def test_nothing_is_written_outside_of_the_project(stored: Shell) -> None:
    project, elsewhere = stored.folder / "project", stored.folder / "elsewhere"
    elsewhere.mkdir()
    (project / "steps").symlink_to(elsewhere)
    assert "leads out of" in stored.refused("pull", "-p", "project")
    (project / "steps").unlink()
    (project / "steps").mkdir()
    (project / "steps/x").symlink_to(elsewhere)
    assert "leads out of" in stored.refused("pull", "-p", "project")
    (project / "steps/x").unlink()
    (elsewhere / "a.js").write_text("not ours")
    (project / "steps/a.js").symlink_to(elsewhere / "a.js")
    assert "leads out of" in stored.refused("pull", "-p", "project", "--prune")
    (project / "steps/a.js").unlink()
    (project / "steps/old.js").symlink_to(elsewhere / "a.js")
    stored("pull", "-p", "project", "--prune")
    assert files(elsewhere) == {"a.js": "not ours"}
    (project / "steps/a.js").unlink()
    (project / "steps/a.js").mkdir()
    assert "is a folder" in stored.refused("pull", "-p", "project")
    assert "there is no folder" in stored.refused("pull", "-p", "nowhere")
    assert "is no name of a workspace" in stored.refused("pull", "../x", "default", "-p", "project")
