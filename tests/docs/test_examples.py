"""The examples: complete folders, scenarios that pass and reach everything, tasks that can be run by hand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aloma_py import Outcome, Workspace
from aloma_py.testing import Coverage, FakeConnectors, VirtualClock, read_rules, run_files

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOLDERS = sorted(EXAMPLES.glob("[0-9]*_*"))
ORDERS = EXAMPLES / "2_orders"
PATTERNS = {
    "aggregation", "branching", "bulk", "enrichment", "fallback", "problems", "retrying", "sequence", "side_by_side",
    "throttling", "watching", "workflows",
}  # fmt: skip


def workspaces_of(folder: Path) -> list[Path]:
    """The folders with a workspace each: the example itself, or one for each language."""
    return [folder] if (folder / "steps").is_dir() else sorted(place.parent for place in folder.glob("*/steps"))


async def run_by_hand(task: str) -> Outcome:
    """What ``aloma-py run`` does with one of the order workspace's task files."""
    data: dict[str, Any] = json.loads((ORDERS / "tasks" / f"{task}.json").read_text(encoding="utf-8"))
    fakes = FakeConnectors(read_rules(ORDERS / "connectors.yaml"))
    workspace = Workspace.load(ORDERS / "steps")
    return await workspace.run(data, connectors=fakes.registry(), clock=VirtualClock())


def test_there_are_examples() -> None:
    assert [folder.name for folder in FOLDERS] == ["1_first", "2_orders", "3_javascript"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_has_a_readme_steps_and_scenarios(folder: Path) -> None:
    assert (folder / "README.md").is_file()
    for place in workspaces_of(folder):
        assert list((place / "steps").glob("*.[pjm]*"))
        assert list(place.glob("*.scenario.yaml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_its_scenarios_pass_and_reach_every_step_and_every_leaf(folder: Path) -> None:
    results = list(run_files([folder]))
    assert [(result.name, result.failures) for result in results if not result.passed] == []
    report = Coverage(results).report()
    assert report.never_ran == ()
    assert report.never_held == ()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_step_says_what_it_is_for(folder: Path) -> None:
    for place in workspaces_of(folder):
        assert [step.name for step in Workspace.load(place / "steps").steps if not step.description] == []


def test_the_order_workspace_has_a_file_for_every_pattern_and_its_readme_knows_them() -> None:
    files = {file.stem for file in (ORDERS / "steps").glob("[a-z]*.py")}
    assert files == PATTERNS
    text = (ORDERS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)\.py` \|.*\| (.+) \|$", text, flags=re.MULTILINE)
    assert {file for file, _ in rows} == PATTERNS
    written_in = {step.name: Path(str(step.location.file)).stem for step in Workspace.load(ORDERS / "steps").steps}
    for file, names in rows:
        assert {written_in.get(name) for name in re.findall(r"`(\w+)`", names)} == {file}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("task", "state", "last"),
    [
        ("account", "waiting", "wait_for_proof"),
        ("companies", "done", "sum_up"),
        ("invoice", "done", "book_invoice"),
        ("large_order", "done", "ask_the_director"),
        ("lead", "done", "score_lead"),
        ("order", "done", "close"),
        ("parcel", "done", "watch_parcel"),
        ("prices", "done", "push_price"),
    ],
)
async def test_a_task_can_be_run_by_hand(task: str, state: str, last: str) -> None:
    outcome = await run_by_hand(task)
    assert (outcome.state, outcome.steps[-1]) == (state, last)


def test_every_task_file_is_run_by_hand_above() -> None:
    assert {file.stem for file in (ORDERS / "tasks").glob("*.json")} == {
        "account", "companies", "invoice", "large_order", "lead", "order", "parcel", "prices",
    }  # fmt: skip


@pytest.mark.anyio
async def test_payment_stock_risk_and_service_share_a_wave_and_wait_together() -> None:
    # Given services that take 300, 200 and 250 ms; when an order is run
    outcome = await run_by_hand("order")
    # Then they are asked at the same time, without a conflict, and it takes as long as the slowest
    together = {"authorise_payment", "reserve_stock", "score_risk", "serve_premium"}
    runs = [entry for entry in outcome.runs if entry.step in together]
    assert {entry.step for entry in runs} == together
    assert len({entry.wave for entry in runs}) == 1
    assert max(entry.ended_at for entry in runs) - min(entry.started_at for entry in runs) == 300
    assert outcome.conflicts == []


@pytest.mark.anyio
async def test_an_order_leaves_pictures_and_a_trail() -> None:
    outcome = await run_by_hand("order")
    assert [picture.type for picture in outcome.visualizations] == ["table", "chart"]
    assert [(entry.kind, entry.text) for entry in outcome.audit] == [
        ("reference", "order A-1001"),
        ("log", "sent by courier"),
        ("reference", "shipment"),
    ]


@pytest.mark.anyio
async def test_batches_are_three_subtasks_at_a_time() -> None:
    outcome = await run_by_hand("companies")
    asked = [
        [effect for effect in entry.effects if effect.startswith("subtask")]
        for entry in outcome.runs
        if entry.step == "research_batch"
    ]
    assert [len(batch) for batch in asked] == [3, 2]


@pytest.mark.acceptance
def test_the_demo_runs_and_fits_100_columns() -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / "demo.py")], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\ndone: ") == 3
    shown, _, next_lines = done.stdout.partition("Type next:")
    assert [line for line in shown.splitlines() if len(line) > 100] == []
    assert "aloma-py run examples/2_orders/steps" in next_lines
