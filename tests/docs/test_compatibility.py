# ruff: noqa: E501 - rows of a table, and its head, as they are in the page
"""``docs/compatibility.md`` is what the cases of ``compatibility_cases.py`` show when they are run, row by row.

``python tests/docs/test_compatibility.py`` writes the page anew.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from compatibility_cases import SECTIONS, Case, Other, Pattern, Then

from aloma_py import CallError, Outcome, Workspace
from aloma_py.clock import VirtualClock
from aloma_py.errors import LoadError
from aloma_py.intake import new_task
from aloma_py.outcome import read_outcome
from aloma_py.scheduler import Scheduler
from aloma_py.store.sqlite import SQLiteStore

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "compatibility.md"
CASES = [case for cases in SECTIONS.values() for case in cases]
START = 1_767_225_600_000  # 2026-01-01
HANDED = "data, task, step, connectors, log, audit, lib, config, user, graph, mapper, file, blob"

HEAD = """# Compatibility

What steps can be written with, in both languages. Each row is a small step or condition that the tests run: **works** is
what was wanted, **differs** something else, as the note says, **not yet** a clear error, **never** what is kept out on
purpose, and — what the language has no use for. [JavaScript](javascript.md) explains the rows.
"""


class Crm:
    """A connector: ``echo`` gives its arguments, ``count`` a number, ``fail`` raises."""

    namespace = "crm"
    methods: tuple[str, ...] | None = None
    default: str | None = None
    recorded = True

    async def call(self, method: str, arguments: Any, context: Any) -> Any:
        if method == "fail":
            raise CallError("409 Conflict: there already", status=409)
        return 7 if method == "count" else arguments


@asynccontextmanager
async def served() -> AsyncIterator[str]:
    """The address of a server that answers with the request's method and body."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        body = (await reader.readexactly(int(length[1]))).decode() if length else ""
        text = json.dumps({"method": head.split()[0], "body": body})
        about = f"content-type: application/json\r\ncontent-length: {len(text)}\r\nconnection: close"
        writer.write(f"HTTP/1.1 200 OK\r\n{about}\r\n\r\n{text}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


# ── the steps ───────────────────────────────────────────────────────────────────────────────────────────────────────


def javascript_of(number: int, case: Case | Pattern) -> str:
    assert case.js is not None
    if isinstance(case, Pattern):
        condition = case.js if case.alone else f"{{case: {number}, v: {case.js}}}"
        return f"export const condition = {condition};\nexport const content = async () => {{ data.hit = 1 }};"
    if "condition" in case.js or "match" in case.js:
        return case.js.replace("CASE", str(number))
    body = case.js.replace("CASE", f"c{number:03}")
    return f"export const condition = {{case: {number}}};\nexport const content = async () => {{ {body} }};"


def python_of(number: int, case: Case | Pattern) -> str:
    assert case.py is not None
    name, condition, body = f"c{number:03}", f"{{'case': {number}}}", case.py.replace("CASE", f"c{number:03}")
    if isinstance(case, Pattern):
        condition = case.py if case.alone else f"{{'case': {number}, 'v': {case.py}}}"
        body = "data.hit = 1"
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"@make(name={name!r}, condition={condition})\nasync def {name}({HANDED}):\n{lines}\n"


def write_steps(folder: Path, language: str, cases: dict[int, Case | Pattern]) -> Path:
    steps = folder / "steps"
    steps.mkdir(parents=True)
    child = "task.complete({by: 'child'})" if language == "js" else "task.complete({'by': 'child'})"
    if language == "js":
        library = (
            "let calls = 0;\nmodule.exports = {up: text => { calls++; return text.toUpperCase() },"
            " ask: async () => await connectors.crm.echo({x: calls + 1})};"
        )
        for number, case in cases.items():
            suffix = ".mts" if (case.js or "").startswith("// .mts") else ".js"
            (steps / f"c{number:03}{suffix}").write_text(javascript_of(number, case), encoding="utf-8")
        (steps / "child.js").write_text(
            f"export const condition = {{case: 'child'}};\nexport const content = async () => {{ {child} }};"
        )
    else:
        library = "def up(text):\n    return text.upper()\n\n\nasync def ask(connectors, n):\n    return await connectors.crm.echo({'x': n})\n"
        texts = [python_of(number, case) for number, case in cases.items()]
        texts.append(f"@make(name='child', condition={{'case': 'child'}})\nasync def child(task):\n    {child}\n")
        head = "import re\nfrom aloma_py import CallError, step as make\n\n\n"
        (steps / "steps.py").write_text(head + "\n\n".join(texts), encoding="utf-8")
    (folder / f"words.{language}").write_text(library)
    return folder


def workspace_of(folder: Path, language: str) -> Workspace:
    return Workspace(
        "compat",
        [folder / "steps"],
        libraries={"words": folder / f"words.{language}"},
        config={"KEY": "k1"},
        connectors=[Crm()],
    )


# ── what comes out ──────────────────────────────────────────────────────────────────────────────────────────────────

Inputs = list[tuple[int, dict[str, Any]]]


def inputs_of(number: int, case: Case | Pattern, url: str) -> list[dict[str, Any]]:
    if isinstance(case, Case):
        return [{"case": number, **{k: url if v == "URL" else v for k, v in case.given.items()}}]
    values = [*case.yes, *case.no, *(case.py_no or ())]
    if case.alone:
        return values
    return [{"case": number} if value is ... else {"case": number, "v": value} for value in values]


async def outcomes_of(workspace: Workspace, inputs: list[dict[str, Any]]) -> list[Outcome]:
    """The outcomes of many tasks, run by one engine."""
    store = SQLiteStore(":memory:")
    async with store:
        handle = store.workspace(workspace.name)
        engine = workspace.engine(handle, clock=VirtualClock(START), cipher=lambda: store.cipher)
        tasks = [
            new_task(workspace.name, "case", data, tags=(), via={"type": "api"}, now=START, limits=workspace.limits)
            for data in inputs
        ]
        scheduler = Scheduler(engine)
        async with scheduler.running():
            await engine.submit(tasks)
            await scheduler.run_until_quiet(86_400_000)
        return [await read_outcome(handle, task.id) for task in tasks]


def seen_of(outcome: Outcome, name: str) -> Any:
    """What a key of ``then`` means."""
    data = {key: value for key, value in outcome.data.items() if key != "case"}
    match name:
        case ".state":
            return outcome.state.value
        case ".data":
            return data
        case ".result":
            return outcome.result
        case ".name":
            return outcome.task.name
        case ".tags":
            return list(outcome.task.tags)
        case ".runs":
            return len(outcome.runs)
        case ".calls":
            return len(outcome.calls)
        case ".audit":
            return [entry.text for entry in outcome.audit]
        case ".logs":
            return [[line.level, line.text] for line in outcome.logs]
        case ".pictures":
            return [[one.type, one.name, one.data, one.options] for one in outcome.visualizations]
    return data.get(name)


def shown(outcome: Outcome, then: Then) -> Any:
    """The outcome, as far as ``then`` speaks of it, in the form of ``then``."""
    left = " / ".join(error["message"] for name, error in outcome.errors.items() if name != "other")
    if isinstance(then, str):
        met = then.removeprefix("*") in left if then.startswith("*") else left.startswith(then)
        return then if met and then else left or f"{outcome.state.value}: {outcome.data}"
    seen = {name: seen_of(outcome, name) for name in then}
    return seen if not left or ".state" in then else left


def status_of(case: Case, other: Other | None, outcome: Outcome) -> str:
    if other is None:
        assert shown(outcome, case.then) == case.then, case.construct
        return "works"
    assert shown(outcome, case.then) != case.then, f"{case.construct}: works by now"
    assert shown(outcome, other.then) == other.then, case.construct
    return other.status


def status_of_pattern(case: Pattern, language: str, outcomes: list[Outcome]) -> str:
    matched = [bool(outcome.steps) for outcome in outcomes]
    apart = len(case.py_no or ())
    wanted = [True] * len(case.yes) + [False] * len(case.no) + [language == "js"] * apart
    assert matched == wanted, (case.construct, language, [outcome.data for outcome in outcomes])
    return "differs" if apart and language == "py" else "works"


async def statuses(language: str, folder: Path) -> list[str]:
    """The cell of each case for one language."""
    cells = ["—" for _ in CASES]
    mine = {n: case for n, case in enumerate(CASES) if (case.js if language == "js" else case.py) is not None}
    alone = {n: case for n, case in mine.items() if isinstance(case, Pattern) and (case.alone or case.refused)}
    together = {n: case for n, case in mine.items() if n not in alone}
    async with served() as url:
        workspace = workspace_of(write_steps(folder / "all", language, together), language)
        inputs = [(n, data) for n, case in together.items() for data in inputs_of(n, case, url)]
        outcomes = await outcomes_of(workspace, [data for _, data in inputs])
    for number, case in together.items():
        mine_of = [outcome for (n, _), outcome in zip(inputs, outcomes, strict=True) if n == number]
        if isinstance(case, Pattern):
            cells[number] = status_of_pattern(case, language, mine_of)
        else:
            cells[number] = status_of(case, case.js_then if language == "js" else case.py_then, mine_of[0])
    for number, case in alone.items():
        assert isinstance(case, Pattern)
        place = write_steps(folder / f"c{number}", language, {number: case})
        if case.refused:
            with pytest.raises(LoadError, match=re.escape(case.refused)):
                workspace_of(place, language)
            cells[number] = "works"
        else:
            outcomes = await outcomes_of(workspace_of(place, language), inputs_of(number, case, ""))
            cells[number] = status_of_pattern(case, language, outcomes)
    return cells


async def rendered(folder: Path) -> str:
    """The page."""
    javascript, python = [await statuses(language, folder / language) for language in ("js", "py")]
    rows = iter(zip(CASES, javascript, python, strict=True))
    parts = [HEAD]
    for title, cases in SECTIONS.items():
        parts.append(f"## {title}\n\n| construct | in JavaScript | in Python | note |\n| --- | --- | --- | --- |")
        for _ in cases:
            case, in_javascript, in_python = next(rows)
            parts.append(f"| {case.construct} | {in_javascript} | {in_python} | {case.note} |")
        parts.append("")
    return "\n".join(parts)


@pytest.mark.anyio
async def test_the_compatibility_page_is_what_the_cases_show(tmp_path: Path) -> None:
    assert PAGE.read_text(encoding="utf-8") == await rendered(tmp_path)


# ── the page about JavaScript ───────────────────────────────────────────────────────────────────────────────────────

JAVASCRIPT = (DOCS / "javascript.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r'^```js title="(\S+)"\n(.*?)^```$', JAVASCRIPT, re.M | re.S)
"""File and text of each example. Its comments ``// {…} -> {…}`` say which data becomes what."""


@pytest.mark.anyio
async def test_the_examples_of_the_javascript_page_do_what_they_say(tmp_path: Path) -> None:
    claims = []
    for file, text in EXAMPLES:
        (tmp_path / "steps" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ("" if file.startswith("libraries/") else "steps") / file).parent.mkdir(exist_ok=True)
        (tmp_path / ("" if file.startswith("libraries/") else "steps") / file).write_text(text, encoding="utf-8")
        claims += re.findall(r"^// (\{.*\}) -> (.*)$", text, re.M)
    assert claims
    libraries = {file.stem: file for file in (tmp_path / "libraries").glob("*")}
    workspace = Workspace("page", [tmp_path / "steps"], libraries=libraries, connectors=[Crm()])
    outcomes = await outcomes_of(workspace, [json.loads(given) for given, _ in claims])
    for (_, then), outcome in zip(claims, outcomes, strict=True):
        if then.startswith("{"):
            assert outcome.data == json.loads(then)
        else:
            (error,) = outcome.errors.values()
            assert error["message"] == then.removeprefix("error: ")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(asyncio.run(rendered(Path(name))), encoding="utf-8")
