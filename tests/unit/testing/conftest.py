"""What these tests share: a folder with steps and scenario files, and its scenarios run."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from aloma_py.testing import ScenarioResult, run_files

STEPS = """
from aloma_py import step


@step(condition={"order": {"status": "new", "id": int}}, retries=2, backoff="1s")
async def check(data, log, connectors):
    customer = await connectors.crm.find({"id": data.order.id})
    data.order.customer = customer
    data.order.status = "checked"
    log.info("customer", customer)


@step(condition={"order": {"status": "checked"}})
def ship(data, task, audit, log):
    data.order.status = "shipped"
    log.warn("shipped", 1)
    audit.log("order shipped", {"id": data.order.id})
    task.complete({"shipped": True})
"""


class Folder:
    """A folder of files; ``run`` runs what is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        """Write a file; the text may be indented."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return file

    def run(self, scenarios: str, *, head: str = "steps: [steps/]") -> list[ScenarioResult]:
        """The results of the scenarios in a list written in YAML."""
        body = textwrap.indent(textwrap.dedent(scenarios).strip("\n"), "  ")
        file = self.path / "some.scenario.yaml"
        file.write_text(f"{head}\nscenarios:\n{body}\n", encoding="utf-8")
        return list(run_files([file]))

    def run_one(self, scenario: str, *, head: str = "steps: [steps/]") -> ScenarioResult:
        """The result of one scenario, written as a mapping in YAML, without its name."""
        body = textwrap.indent(textwrap.dedent(scenario).strip("\n"), "  ")
        (result,) = self.run(f"- name: it\n{body}", head=head)
        return result


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder whose ``steps/orders.py`` checks an order (asking ``crm.find``) and ships it."""
    made = Folder(tmp_path)
    made.write("steps/orders.py", STEPS)
    return made


@pytest.fixture
def steps_of(folder: Folder) -> Callable[[str], Folder]:
    """The folder, with other steps."""

    def replace(text: str) -> Folder:
        folder.write("steps/orders.py", "from aloma_py import step\n\n\n" + textwrap.dedent(text).lstrip("\n"))
        return folder

    return replace
