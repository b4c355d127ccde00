"""The README and the pages of ``docs/``: their code runs, their output is true, their tables are complete."""

from __future__ import annotations

import importlib.util
import io
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import redirect_stdout
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

sys.path.insert(0, str(Path(__file__).parent))
from pages import DOCS, PAGES, README, ROOT, Block, blocks, of_kind

COMMON = {"--store", "--workspace", "--json", "--url", "--key", "--profile", "--help", "-h"}


# ── the README ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_readme_opens_with_one_sentence_and_at_most_twenty_lines_of_code() -> None:
    lead, _, _ = README.read_text(encoding="utf-8").partition("```")
    sentence = lead.partition("\n\n")[2].strip()
    assert sentence.endswith(".")
    assert sentence.count(". ") == 0
    code = blocks(README)[0]
    assert code.kind == "python"
    assert len(code.text.splitlines()) <= 20


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
        if target.startswith("https://"):  # not looked at: tests reach nothing outside of this machine
            continue
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
    context = click.Context(app, info_name="aloma-py", **app.context_settings)
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
