"""The README and the pages of ``docs/``: their code runs, their output is true, their tables are complete."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from inspect import get_annotations
from pathlib import Path
from typing import get_args

import click
import pytest
from ruamel.yaml import YAML

from aloma_py import hookspecs, plugins
from aloma_py.cli.app import app
from aloma_py.connect.connector import Connector
from aloma_py.models import EntryKind
from aloma_py.run.retry import HOPELESS
from aloma_py.settings import Settings
from aloma_py.steps.options import OPTION_NAMES
from aloma_py.steps.parameters import PARAMETER_NAMES
from aloma_py.testing import expect, order, rules, scenario

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
PAGES = [README, *sorted(DOCS.glob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]
COMMON = {"--store", "--workspace", "--json", "--url", "--key", "--profile", "--help", "-h"}


@dataclass(frozen=True)
class Block:
    """A fenced block: ``kind`` and ``file`` are the words behind its first fence."""

    page: Path
    line: int
    kind: str
    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [Block(page, text.count("\n", 0, m.start()) + 1, m[1], m[2] or "", m[3]) for m in found]


ALL = [block for page in PAGES for block in blocks(page)]


def of_kind(*kinds: str) -> list[Block]:
    return [block for block in ALL if block.kind in kinds]


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """Each command of a console block, with what is printed below it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield line, output


def type_in(line: str, folder: Path, *, status: int = 0, stdin: str | None = None) -> str:
    """What the command prints; the line begins with ``aloma-py``."""
    name, *arguments = shlex.split(line)
    assert name == "aloma-py"
    environment = {**os.environ, "COLUMNS": "300", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "aloma_py.cli", *arguments],
        cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=50, env=environment,
        input=stdin,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done.stdout


def without_times(text: str) -> str:
    """The same with each duration as ``…``, without blanks at the ends of lines."""
    plain = re.sub(r"\d+(?:\.\d+)? (?:ms|s|min)\b", "…", text.replace(f"{ROOT}{os.sep}", ""))
    return "\n".join(line.rstrip() for line in plain.strip().splitlines())


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder with the files that the README shows."""
    for block in blocks(README):
        if block.file:
            (tmp_path / block.file).parent.mkdir(exist_ok=True)
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    return tmp_path


# ── the README ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_readme_opens_with_one_sentence_and_at_most_twenty_lines_of_code() -> None:
    lead, _, _ = README.read_text(encoding="utf-8").partition("```")
    sentence = lead.partition("\n\n")[2].strip()
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0
    code = blocks(README)[0]
    assert code.kind == "python"
    assert len(code.text.splitlines()) <= 20


@pytest.mark.acceptance
@pytest.mark.parametrize("block", [b for b in blocks(README) if b.kind == "console"], ids=str)
def test_the_commands_of_the_readme_print_what_it_says(block: Block, workspace: Path) -> None:
    for line, output in commands(block):
        assert without_times(type_in(line, workspace)) == without_times(output)


@pytest.mark.acceptance
def test_the_scenario_of_the_readme_passes(workspace: Path) -> None:
    lines = type_in("aloma-py test . --json", workspace).splitlines()
    assert [json.loads(line)["passed"] for line in lines] == [True]


@pytest.mark.acceptance
def test_the_commands_for_tasks_that_last_do_what_they_say(tmp_path: Path) -> None:
    # Given a checkout, and a server that is started as the README says
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    block, _ = [block for block in blocks(README) if block.kind == "sh"]
    serve, *others, end = [re.sub(r"\s+#.*", "", line) for line in block.text.splitlines()]
    assert (serve[-2:], end) == (" &", "kill %1")
    with served(serve[:-2], tmp_path) as server:
        # When the other commands are typed, one after another
        printed = ""
        for line in others:
            accepted = re.search(r"task-\w+", printed)
            printed += type_in(line.replace(" ID ", f" {accepted[0]} ") if accepted else line, tmp_path)
        server.send_signal(signal.SIGTERM)
        said = server.communicate(timeout=50)[1]
    # Then the task was accepted, done and shown, and the server ended well
    assert printed.startswith("accepted task-")
    assert printed.splitlines()[-1].startswith("done: ")
    assert server.returncode == 0
    assert said.endswith("stopped\n")


def test_the_commands_for_others_do_what_they_say(tmp_path: Path) -> None:
    _, block = [block for block in blocks(README) if block.kind == "sh"]
    typed = [re.sub(r"\s+#.*", "", line) for line in block.text.splitlines()]
    environment = {"ALOMA_HTTP": "127.0.0.1:0"}
    with served("aloma-py serve", tmp_path, **environment):
        printed = [type_in(line, tmp_path, stdin="a secret of some length\n") for line in typed]
    assert [text.split()[0] for text in printed[:4]] == ["added", "name", "added", "set"], printed
    assert printed[4].startswith("alk_")


@contextmanager
def served(line: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """The server that the command starts, when it is ready. It has ended when this is left."""
    name, *arguments = shlex.split(line)
    assert name == "aloma-py"
    server = subprocess.Popen(
        [sys.executable, "-m", "aloma_py.cli", *arguments], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        assert server.stderr is not None
        assert "serving workspace" in server.stderr.readline()
        yield server
    finally:
        if server.poll() is None:
            server.kill()
        server.communicate()


def test_the_readme_says_how_to_test_and_only_targets_that_there_are() -> None:
    said = set(re.findall(r"`make (\w+)`", README.read_text(encoding="utf-8")))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert {"test", "demo"} <= said <= targets


# ── all pages ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("block", of_kind("python"), ids=str)
def test_python_blocks_run(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "block.py"  # a file, since what a step reads and writes is found from its source
    file.write_text(block.text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("block_of_a_page", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    printed = io.StringIO()
    with redirect_stdout(printed):
        spec.loader.exec_module(module)
    following = next((b for b in blocks(block.page) if b.line > block.line), None)
    wanted = following.text if following is not None and following.kind == "output" else ""
    assert printed.getvalue() == wanted


@pytest.mark.parametrize("block", of_kind("yaml", "json"), ids=str)
def test_yaml_and_json_blocks_can_be_read(block: Block) -> None:
    value = json.loads(block.text) if block.kind == "json" else YAML(typ="safe").load(block.text)
    assert value


def test_the_connectors_page_names_the_entry_point_group_and_the_hook_there_are() -> None:
    (block,) = [block for block in blocks(DOCS / "connectors.md") if block.kind == "toml"]
    assert list(tomllib.loads(block.text)["project"]["entry-points"]) == [plugins.GROUP]
    assert f"def {hookspecs.register_connectors.__name__}(register):" in page("connectors.md")


def test_the_connectors_page_lists_what_a_connector_has_and_what_is_not_tried_again() -> None:
    text = page("connectors.md")
    parts = {*get_annotations(Connector), "async call(method, arguments, context)"}
    assert {name for name in parts if f"| `{name}` |" not in text} == set()
    assert [error.__name__ for error in HOPELESS if f"(`{error.__name__}`)" not in text] == []


def test_the_running_page_has_every_kind_of_entry() -> None:
    assert set(get_args(EntryKind)) - first_cells(page("running.md")) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        place, _, anchor = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in text] == []


# ── tables that must be complete ────────────────────────────────────────────────────────────────────────────────────


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def first_cells(text: str) -> set[str]:
    """The names in the first column of the page's tables."""
    cells = re.findall(r"^\| (.+?) \|", text, flags=re.MULTILINE)
    return {name for cell in cells for code in re.findall(r"`([^`]+)`", cell) for name in code.split()}


def test_the_steps_page_has_every_option_and_every_parameter() -> None:
    assert {*OPTION_NAMES, *PARAMETER_NAMES} - first_cells(page("steps.md")) == set()


def test_the_operations_page_has_every_setting_with_its_default_and_meaning() -> None:
    text = page("operations.md")
    for name, field in Settings.model_fields.items():
        assert f"| `ALOMA_{name.upper()}` | `{field.default}` | {field.description} |" in text
    assert text.count("| `ALOMA_") == len(Settings.model_fields)


@pytest.mark.parametrize(
    "keys",
    [
        scenario.FILE_KEYS, scenario.SCENARIO_KEYS, scenario.AFTER_KEYS, rules.RULE_KEYS, expect.EXPECT_KEYS,
        order.ORDER_KEYS,
    ],
    ids=["file", "scenario", "after", "rule", "expect", "steps"],
)  # fmt: skip
def test_the_testing_page_shows_every_key_of_a_scenario_file(keys: tuple[str, ...]) -> None:
    shown = "".join(block.text for block in blocks(DOCS / "testing.md") if block.kind == "yaml")
    assert [key for key in keys if not re.search(rf"\b{key}:", shown)] == []


def all_commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(app, info_name="aloma-py")
    context.meta["aloma_py.calls"] = True
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {inner}", sub) for inner, sub in command.commands.items())
        elif name != "help":
            yield name, command


def options_of(command: click.Command) -> set[str]:
    return {
        text for one in command.params if isinstance(one, click.Option) for text in (*one.opts, *one.secondary_opts)
    }


@pytest.mark.parametrize(("name", "command"), list(all_commands()), ids=lambda value: str(value))
def test_the_command_line_page_has_every_command_and_its_options(name: str, command: click.Command) -> None:
    text = page("cli.md")
    assert re.search(rf"`{name}[ `]", text) or f"`aloma-py {name} " in text
    for one in command.params:
        if isinstance(one, click.Option) and not COMMON & set(one.opts):
            assert any(f"{text_of}" in text for text_of in one.opts), one.opts


def test_the_pages_name_only_commands_and_options_that_there_are() -> None:
    known = dict(all_commands())
    lines = [line for b in of_kind("console") for line, _ in commands(b)]
    lines += [line.removesuffix("&").partition(" #")[0] for b in of_kind("sh") for line in b.text.splitlines()]
    for line in lines:
        if line.split()[0] in ("kill", "curl", "cat"):  # not ours
            continue
        words = shlex.split(line)
        assert words[0] == "aloma-py", line
        name = words[1] if words[1] in known else " ".join(words[1:3])
        assert name in known, line
        used = {word for word in words if re.fullmatch(r"--?[a-z-]+", word)}
        assert used - options_of(known[name]) == set(), line


@pytest.mark.acceptance
@pytest.mark.parametrize(
    "block", [b for b in blocks(DOCS / "cli.md") if b.kind == "console" and "$ aloma-py step" in b.text], ids=str
)
def test_the_command_line_page_shows_what_is_printed(block: Block) -> None:
    for line, output in commands(block):
        assert without_times(type_in(line, ROOT)) == without_times(output)
