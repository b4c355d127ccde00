"""The commands of the README, the pages of ``docs/`` and the examples' READMEs, typed in a shell as they are there.

Each page has a new folder, its home too, with a copy of ``examples/``. From its first block to its last,

- a block with a name (``title="order.py"``) is written into a file of that name;
- ``console`` blocks have commands behind ``$ `` (and their other lines behind ``> ``), each with what it prints;
- ``sh`` blocks have commands only; what all of them print is in an ``output`` block behind, or is not looked at;
- a command ends well, unless what it prints has a line that begins with ``Error``: then it must not;
- a server that is started with ``&`` runs until the page ends, and must end well when it gets a SIGTERM.

The comments that may stand on the line above a block:

- ``<!-- typed: TEXT -->``: what its commands read from the keyboard, a line;
- ``<!-- until Ctrl-C -->``: its last command goes on until it has printed what is shown, and is ended by Ctrl-C;
- ``<!-- not run: WHY -->``: nothing in it can be run here. It is only read: as a shell reads it, and each
  ``aloma-py`` in it must be a command with such options.

In a page, ``http://127.0.0.1:8765`` is the server's address, whatever the port here, and ``/home/ada`` the folder. What
else differs from one time to the next is on :class:`shell.Reader`. No ``ALOMA_…`` but ``ALOMA_HTTP`` is set, so the
store is ``aloma.db`` in the folder where the commands are typed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

import click
import pytest
from ruamel.yaml import YAML

from aloma_py.cli.app import app

sys.path.insert(0, str(Path(__file__).parent))
import curl
from pages import PAGES, ROOT, Block, blocks, of_kind
from shell import Reader, Shell

COMMANDS = ("console", "sh")
UNTIL = "until Ctrl-C"
OTHERS = ("bash", "shell", "zsh")
ADDRESS = "127.0.0.1:8765"


@dataclass(frozen=True)
class Typed:
    """A command, and what the page shows below it; ``None``: nothing is said of that."""

    command: str
    shown: str | None

    @property
    def in_background(self) -> bool:
        return self.command.rstrip().endswith("&")


def incomplete(command: str) -> bool:
    """Whether a shell would wait for more lines."""
    if command.endswith("\\"):
        return True
    read = subprocess.run(["bash", "-n"], input=command, capture_output=True, text=True, check=False)
    return bool(re.search("unexpected end of file|unexpected EOF|delimited by end-of-file", read.stderr))


def whole_commands(lines: list[str]) -> Iterator[str]:
    """The lines put together, as far as a command goes."""
    begun: list[str] = []
    for line in lines:
        begun.append(line)
        if not incomplete("\n".join(begun)):
            yield "\n".join(begun)
            begun = []
    assert not begun, "a command has no end: " + "\n".join(begun)


def typed_in(block: Block) -> list[Typed]:
    """The commands of a block."""
    if block.kind == "sh":
        commands = [one for one in whole_commands(block.text.splitlines()) if not re.fullmatch(r"\s*(#.*)?", one)]
        return [Typed(one, None) for one in commands]
    found = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        take = 1
        while incomplete("\n".join(line.removeprefix("> ") for line in lines[:take])) and take < len(lines):
            take += 1
        command = "\n".join(line.removeprefix("> ") for line in lines[:take])
        found.append(Typed(command, "\n".join(lines[take:])))
    assert found, f"{block}: a console block has commands behind '$ '"
    return found


# ── running ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Visit:
    """One walk through a page."""

    def __init__(self, page: Path, place: Path) -> None:
        self.page = page
        self.folder = place / "home"
        notes = place / "notes"
        programs = place / "programs"
        for one in (self.folder, notes, programs):
            one.mkdir()
        if shutil.which("curl") is None:
            text = Path(curl.__file__).read_text(encoding="utf-8")
            (programs / "curl").write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
            (programs / "curl").chmod(0o755)
        shutil.copytree(ROOT / "examples", self.folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.reader = Reader({ADDRESS: address, "/home/ada": str(self.folder)})
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ALOMA_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), str(programs), os.environ.get("PATH", os.defpath)])
        environment |= {
            "PATH": path, "HOME": str(self.folder), "ALOMA_HTTP": address, "TZ": "UTC", "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
        }  # fmt: skip
        self.shell = Shell(self.folder, notes, environment)

    def all(self) -> None:
        listed = blocks(self.page)
        for block, following in zip(listed, [*listed[1:], None], strict=True):
            if block.file:
                file = self.folder / block.file
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(self.reader.here(block.text), encoding="utf-8")
            elif block.kind in COMMANDS and not block.mark.startswith("not run:"):
                self.block(block, following)
        for status, printed in self.shell.end():
            assert status == 0, f"a server ended with {status}:\n{printed}"

    def block(self, block: Block, following: Block | None) -> None:
        everything = typed_in(block)
        printed = ""
        for typed in everything:
            until = block.mark == UNTIL and typed is everything[-1]
            status, output = self.type_in(block, typed, until=until)
            printed += output
            self.compare(block, typed, output)
            told_error = typed.shown is not None and re.search("^Error", typed.shown, re.MULTILINE)
            assert bool(status) == bool(told_error), f"{block}: {typed.command}: exit status {status}\n{output}"
        if block.kind == "sh" and following is not None and following.kind == "output":
            self.compare(block, Typed(block.text, following.text), printed)

    def type_in(self, block: Block, typed: Typed, *, until: bool) -> tuple[int, str]:
        """Its exit status, and what it printed until now."""

        def enough(printed: str) -> bool:
            return Reader(dict(self.reader.same)).matches(typed.shown or "", printed)

        command = self.reader.here(typed.command)
        if until:
            return 0, self.shell.run_until(command, enough)
        keys = block.mark.removeprefix("typed: ") + "\n" if block.mark.startswith("typed: ") else ""
        status, output = self.shell.run(command, keys)
        if typed.in_background and typed.shown:
            output = self.shell.more(enough)
        return status, output

    def compare(self, block: Block, typed: Typed, printed: str) -> None:
        if typed.shown is None or (typed.in_background and not typed.shown):
            return
        if self.reader.matches(typed.shown, printed):
            return
        lines = unified_diff(self.reader.here(typed.shown).splitlines(), printed.splitlines(), "shown", "printed", "")
        pytest.fail(f"{block}: {typed.command}\n" + "\n".join(lines), pytrace=False)


def has_commands(page: Path) -> bool:
    return any(block.kind in COMMANDS and not block.mark.startswith("not run:") for block in blocks(page))


def walk(page: Path, place: Path) -> None:
    """Everything on the page; raises where something is not as it says."""
    visit = Visit(page, place)
    try:
        visit.all()
    finally:
        visit.shell.close()


@pytest.fixture(scope="module")
def walks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[None]]]:
    """The walks through the pages that are asked for, as many at once as there are cores."""
    items = [item for item in request.session.items if "walks" in getattr(item, "fixturenames", ())]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {page: pool.submit(walk, page, tmp_path_factory.mktemp("page")) for page in map(page_of, items)}
        pool.shutdown(cancel_futures=True)


def page_of(item: pytest.Item) -> Path:
    page: Path = item.callspec.params["page"]  # type: ignore[attr-defined]
    return page


@pytest.mark.acceptance
@pytest.mark.timeout(200)  # what a page's processes take is theirs alone, but the machine may have other work
@pytest.mark.parametrize(
    "page", [page for page in PAGES if has_commands(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_the_commands_of_a_page_do_what_it_says(page: Path, walks: dict[Path, Future[None]]) -> None:
    walks[page].result()


# ── only reading ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_blocks_of_commands_are_of_two_kinds_and_comments_above_them_of_three() -> None:
    assert [str(block) for block in of_kind(*OTHERS)] == []
    for block in of_kind(*COMMANDS):
        assert not block.mark or re.fullmatch(rf"{UNTIL}|typed: .+|not run: \w.+", block.mark), f"{block}: {block.mark}"


def test_commands_are_not_hidden_in_blocks_of_other_kinds() -> None:
    others = [block for page in PAGES for block in blocks(page) if block.kind not in COMMANDS]
    assert [str(block) for block in others if re.search(r"^\$ ", block.text, re.MULTILINE)] == []


def test_commands_that_are_not_run_can_be_read() -> None:
    for block in of_kind(*COMMANDS):
        for typed in typed_in(block) if block.mark.startswith("not run:") else ():
            read = subprocess.run(["sh", "-n"], input=typed.command, capture_output=True, text=True, check=False)
            assert (read.returncode, read.stderr) == (0, ""), f"{block}: {typed.command}"
            for arguments in calls_in(typed.command):
                read_arguments(arguments)


def test_what_a_deployment_looks_like_is_deployed() -> None:
    for block in of_kind("yaml"):
        value = YAML(typ="safe").load(block.text)
        if isinstance(value, dict) and "workspaces" in value:
            assert block.file, f"{block}: it has no name"
            run = [one for one in blocks(block.page) if one.kind in COMMANDS and not one.mark.startswith("not run:")]
            assert any(f"aloma-py deploy {block.file}" in one.text for one in run), f"{block}: nothing deploys it"


def calls_in(command: str) -> Iterator[list[str]]:
    """The arguments of each ``aloma-py`` in a line of a shell."""
    words = shlex.shlex(command.replace("\\\n", " "), posix=True, punctuation_chars=True)
    words.whitespace_split = True
    call: list[str] | None = None
    for word in words:
        if re.fullmatch(r"[;|&()<>]+", word):
            if call is not None:
                yield call
            call = None
        elif call is not None:
            call.append(word)
        elif word.rpartition("/")[2] == "aloma-py":
            call = []
    if call is not None:
        yield call


def everything() -> click.Context:
    """What ``aloma-py`` is called in: its commands are the real ones, not just lines of a list."""
    context = click.Context(app, info_name="aloma-py", **app.context_settings)
    context.meta["aloma_py.calls"] = True
    return context


def read_arguments(arguments: list[str]) -> None:
    """Reads them as ``aloma-py`` would, and does nothing. Raises ``click.UsageError``."""
    command: click.Command = app
    context = everything()
    while True:
        _, arguments, _ = command.make_parser(context).parse_args(list(arguments))
        if not isinstance(command, click.Group) or not arguments:
            return
        inner = command.get_command(context, arguments[0])
        if inner is None:
            raise click.UsageError(f"there is no command {arguments[0]!r}")
        command, context, arguments = inner, click.Context(inner, parent=context), arguments[1:]


@pytest.mark.parametrize("wrong", ["aloma-py serv", "sudo aloma-py task new x --dat {}", "cat a | aloma-py step ad b"])
def test_a_command_that_does_not_exist_is_found(wrong: str) -> None:
    (arguments,) = calls_in(wrong)
    with pytest.raises(click.UsageError):
        read_arguments(arguments)


def test_the_pages_speak_only_of_commands_that_there_are() -> None:
    for page in PAGES:
        for words in re.findall(r"`aloma-py ([^`\n]+)`", page.read_text(encoding="utf-8")):
            names = re.findall(r"(?<![\w-])[a-z][\w-]*", words.partition(" -")[0])[:2]
            if names:
                command = app.get_command(everything(), names[0])
                assert command is not None, f"{page.name}: aloma-py {words}"
                if isinstance(command, click.Group) and len(names) == 2:
                    assert names[1] in command.commands, f"{page.name}: aloma-py {words}"
