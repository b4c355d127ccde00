"""The commands that change stored steps and libraries, and folders beside them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from aloma_py.cli.folders import file_of
from aloma_py.errors import InputError

from .conftest import Shell

ONE = "export const condition = { a: Number, b: null };\nexport const content = async () => {\n  data.b = 1;\n};\n"
TWO = ONE.replace("= 1", "= 2")


@pytest.fixture
def store(shell: Shell) -> Shell:
    """A shell in whose store two steps are, one of them with spaces and in a folder."""
    (shell.folder / "one.js").write_text(ONE, newline="")
    shell("step", "add", "one", "-f", "one.js", "--description", "The first.")
    shell("step", "add", "deep/two of them", "-c", '{"x": "Number", "y": null}', "-b", "data.y = 2;", "--disabled")
    return shell


def test_pull_and_sync_are_inverse(store: Shell) -> None:
    written = store.json("step", "pull", "-p", "out")["written"]
    assert sorted(written) == ["out/deep/two of them.js", "out/one.js"]
    assert (store.folder / "out/one.js").read_bytes() == ONE.encode()
    before = store.json("step", "list")
    plan = store.json("step", "sync", "-p", "out", "--prune")
    assert (plan["added"], plan["changed"], plan["deleted"]) == ([], [], [])
    assert sorted(plan["unchanged"]) == ["deep/two of them", "one"]
    assert store.json("step", "list") == before
    assert store.json("step", "pull", "-p", "out") == {"written": [], "unchanged": 2}


@pytest.mark.parametrize("text", ["// naïve 😀\r\n" + ONE.replace("\n", "\r\n"), ONE.rstrip("\n"), ONE + "\n\n\n"])
def test_texts_come_back_byte_for_byte(shell: Shell, text: str) -> None:
    (shell.folder / "in").mkdir()
    (shell.folder / "in/a b.js").write_bytes(text.encode())
    shell("step", "sync", "-p", "in")
    shell("step", "pull", "-p", "out")
    assert (shell.folder / "out/a b.js").read_bytes() == text.encode()


def test_sync_says_what_it_would_do_and_deletes_only_if_asked(store: Shell) -> None:
    (store.folder / "in").mkdir()
    (store.folder / "in/one.js").write_text(TWO)
    (store.folder / "in/new.ts").write_text(ONE)
    (store.folder / "in/_part.js").write_text("not a step")
    dry = store("step", "sync", "-p", "in", "--prune", "--dry-run").stdout
    assert dry == (
        "+ new\n~ one\n- deep/two of them\n"
        "nothing was changed; it would be: 1 added, 1 changed, 1 deleted\n"
    )  # fmt: skip
    assert len(store.json("step", "list")) == 2
    assert store("step", "sync", "-p", "in").stdout == (
        "+ new\n~ one\n1 added, 1 changed\n"
        "1 step stored and not in in: deep/two of them (--prune deletes)\n"
    )  # fmt: skip
    assert store.json("step", "sync", "-p", "in", "-s", "one", "--prune")["deleted"] == []
    assert store.json("step", "sync", "-p", "in", "--prune")["deleted"] == ["deep/two of them"]
    assert [one["name"] for one in store.json("step", "list")] == ["one", "new"]


def test_a_folder_without_steps_deletes_nothing(store: Shell) -> None:
    (store.folder / "empty").mkdir()
    for folder, message in (("empty", "there is no JavaScript file"), ("nowhere", "there is no folder 'nowhere'")):
        assert message in store("step", "sync", "-p", folder, "--prune", status=2).stderr
    assert len(store.json("step", "list")) == 2


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/up", "a//b", "..", "a\\..\\b", "a\0b"])
def test_no_file_is_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="nothing was written"):
        file_of(tmp_path, name, ".js")


def test_a_link_does_not_lead_outside_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to(tmp_path)
    (tmp_path / "in/file.js").symlink_to(tmp_path / "file.js")
    for name in ("link/a", "file"):
        with pytest.raises(InputError, match="leads out of"):
            file_of(tmp_path / "in", name, ".js")
    assert file_of(tmp_path / "in", "a b/c", ".ts") == tmp_path / "in/a b/c.ts"


def test_edit_keeps_what_was_written_where_it_cannot_be_stored(store: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = store.folder / "editor.py"
    monkeypatch.setenv("VISUAL", f"{sys.executable} {editor}")
    monkeypatch.setenv("TMPDIR", str(store.folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    editor.write_text(f"import sys\nopen(sys.argv[1], 'w').write({TWO!r})\n")
    assert store("step", "edit", "one").stdout.startswith("changed the step one (version ")
    assert store("step", "show", "one", "--code").stdout == TWO
    assert store("step", "edit", "one").stdout == "nothing was changed\n"
    editor.write_text("import sys\nopen(sys.argv[1], 'w').write('export const condition = {;')\n")
    message = store("step", "edit", "one", status=2).stderr
    assert "one.js:1: step 'one': column" in message
    kept = Path(message.rpartition("what you wrote is kept in ")[2].strip())
    assert kept.read_text() == "export const condition = {;"
    assert store("step", "show", "one", "--code").stdout == TWO


def test_enable_disable_clone_versions_and_delete(store: Shell) -> None:
    store("step", "disable", "one")
    assert "one (disabled)" in store("step", "list").stdout
    store("step", "enable", "one")
    store("step", "clone", "one", "uno")
    (version,) = store.json("step", "versions", "uno")
    assert store("step", "versions", "uno", version["version"]).stdout == ONE
    assert store("step", "delete", "uno").stdout == "deleted the step uno\n"
    assert [one["deleted"] for one in store.json("step", "versions", "uno")] == [True, False]
    assert "there is no step 'uno'; there are: deep/two of them, one" in store("step", "delete", "uno", status=2).stderr


def test_words_for_types_in_a_json_condition_mean_the_types(store: Shell) -> None:
    text = store("step", "show", "deep/two of them", "--code").stdout
    assert '"x": Number' in text and '"y": null' in text
    shown = store.json("step", "show", "deep/two of them")
    assert (shown["source"], shown["looks_at"], shown["options"]["enabled"]) == ("stored", ["x", "y"], False)


def test_mistakes_in_add_are_told(shell: Shell) -> None:
    for words, message in (
        ((), "the step is missing"),
        (("-c", "{}"), "the step is missing"),
        (("-f", "a.js", "-c", "{}"), "use either it or -c and -b"),
        (("-f", "steps.py"), "a file that ends in .js"),
        (("-f", "none.js"), "cannot be read"),
    ):
        assert message in shell("step", "add", "a", *words, status=2).stderr


def test_libraries_are_synced_listed_shown_pulled_and_deleted(shell: Shell) -> None:
    text = "/** Twice. */\nexport const twice = (n) => n * 2;\n"
    (shell.folder / "lib").mkdir()
    (shell.folder / "lib/sums.js").write_text(text)
    assert shell("library", "sync", "-p", "lib").stdout == "+ sums\n1 added\n"
    assert shell("library", "list").stdout.split() == ["library", "functions", "where", "sums", "twice", "stored"]
    assert "lib.sums.twice\n  Twice.\n" in shell("library", "show", "sums").stdout
    assert json.loads(shell("library", "pull", "-p", "out", "--json").stdout)["written"] == ["out/sums.js"]
    assert (shell.folder / "out/sums.js").read_text() == text
    shell("library", "delete", "sums")
    assert shell.json("library", "list") == []
