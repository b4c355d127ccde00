"""``workspace export`` and ``workspace import`` as people type them, and the bar that long work shows."""

from __future__ import annotations

import io
import re
import threading
import zipfile
from typing import Any

import pytest

from aloma_py.cli import progress
from aloma_py.cli.options import Common
from aloma_py.operations.progress import nobody
from aloma_py.operations.progress import progress as told_to

from .conftest import Shell


@pytest.fixture
def filled(shell: Shell) -> Shell:
    """A store with a workspace that has a secret and two tasks, and a file with a passphrase."""
    shell("workspace", "add", "orders", "--title", "Orders")
    shell("--workspace", "orders", "secret", "set", "TOKEN", "a-heron-stands-by-the-weir")
    shell("--workspace", "orders", "task", "new", "one", "-d", '{"a": 1}')
    shell("--workspace", "orders", "task", "new", "two", "-d", '{"a": 2}')
    (shell.folder / "words.txt").write_text("correct horse\n")
    return shell


def test_to_another_store_and_back(filled: Shell) -> None:
    shell = filled
    said = shell("--workspace", "orders", "workspace", "export", "o.zip", "--tasks")
    assert re.fullmatch(
        r"wrote o\.zip \([\d.]+ kB\): 2 tasks, 2 open tasks\nnot in it: the secrets TOKEN\n", said.stdout
    )
    assert said.stderr.startswith("warning: 2 open tasks would go on here and where the file is imported")
    said = shell("--store", "b.db", "workspace", "import", "o.zip")
    assert said.stdout == ("imported the workspace orders: 2 tasks, 2 open tasks\nto be set here: the secrets TOKEN\n")
    names = {one["name"] for one in shell.json("--store", "b.db", "--workspace", "orders", "task", "list")}
    assert names == {"one", "two"}
    found = shell.json("--store", "b.db", "workspace", "import", "o.zip", "--as", "copy", "--new-ids")
    assert (found["workspace"], found["left_out"]["secrets"]) == ("copy", ["TOKEN"])
    shell("--store", "b.db", "--workspace", "orders", "workspace", "archive")
    said = shell("--store", "b.db", "--workspace", "orders", "workspace", "export", "again.zip", "--tasks")
    assert said.stderr == ""  # an archived workspace does nothing by itself


def test_with_secrets(filled: Shell) -> None:
    shell = filled
    how = ("--with-secrets", "--passphrase-file", "words.txt")
    assert "1 secret" in shell("--workspace", "orders", "workspace", "export", "s.zip", *how).stdout
    assert b"heron" not in (shell.folder / "s.zip").read_bytes()
    with zipfile.ZipFile(shell.folder / "s.zip") as file:
        assert not any(b"heron" in file.read(name) for name in file.namelist())
    into = ("--store", "b.db", "workspace", "import", "s.zip")
    assert "the passphrase is missing" in shell.refused(*into)
    (shell.folder / "wrong.txt").write_text("wrong horse")
    assert "is not the one" in shell.refused(*into, "--passphrase-file", "wrong.txt")
    assert shell(*into, "--passphrase-file", "words.txt").stdout == "imported the workspace orders: 1 secret\n"
    listed = shell.json("--store", "b.db", "--workspace", "orders", "secret", "list")
    assert [one["name"] for one in listed] == ["TOKEN"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export", "there.zip"), "there.zip is there already; nothing was overwritten"),
        (("export", "no/where.zip"), "where.zip cannot be written: No such file or directory"),
        (("export", "x.zip", "--since", "3d"), "they go with tasks only"),
        (("export", "x.zip", "--tasks", "--since", "soon"), "since must be a duration"),
        (("export", "x.zip", "--passphrase-file", "words.txt"), "--passphrase-file is for --with-secrets"),
        (("export", "x.zip", "--with-secrets"), "the passphrase is missing"),
        (("export", "x.zip", "--with-secrets", "--passphrase-file", "there.zip"), "at least 8 were expected"),
        (("import", "nowhere.zip"), "the file nowhere.zip cannot be read: No such file or directory"),
        (("import", "there.zip"), "there.zip cannot be imported: it is no zip file, or not a whole one"),
        (("import", "foreign.zip"), "it has a member 'a.txt', which an export has not"),
    ],
)
def test_what_goes_wrong_is_told(filled: Shell, words: tuple[str, ...], said: str) -> None:
    (filled.folder / "there.zip").write_text("x")
    with zipfile.ZipFile(filled.folder / "foreign.zip", "w") as file:
        file.writestr("a.txt", "x")
    assert said in filled.refused("--workspace", "orders", "workspace", *words)
    assert not [*filled.folder.glob("x.zip*")]


def test_an_unknown_workspace_is_not_exported(filled: Shell) -> None:
    assert "did you mean 'orders'?" in filled.refused("--workspace", "order", "workspace", "export", "x.zip")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_comes_after_a_while_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "PATIENCE", 0)
    begun = threading.Event()
    begin = progress._Bar._begin

    def noted(bar: Any) -> None:
        begin(bar)
        begun.set()

    monkeypatch.setattr(progress._Bar, "_begin", noted)
    with progress.shown(Common(), "reading") as told:
        assert begun.wait(10)
        told("copying", 5, 10)
        told("copying", 10, 10)
    assert "reading" in terminal.getvalue()
    assert "copying" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
    assert told_to.get() is nobody


@pytest.mark.parametrize(("as_json", "terminal"), [(True, Terminal()), (False, io.StringIO())])
def test_no_bar_for_programs(monkeypatch: pytest.MonkeyPatch, as_json: bool, terminal: io.StringIO) -> None:
    monkeypatch.setattr("sys.stderr", terminal)
    with progress.shown(Common(as_json=as_json), "reading") as told:
        assert told is nobody
        assert told_to.get() is nobody
    assert terminal.getvalue() == ""


def test_quick_work_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE", 1000)
    with progress.shown(Common(), "reading") as told:
        told("reading", 1, 2)
    assert terminal.getvalue().strip("\n") == ""
