"""A folder with steps, and the command line in this process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aloma_py.cli.app import app

STEPS = '''
from aloma_py import step


@step(condition={"order": {"status": "new", "items": [{"sku": str}]}})
async def validate(data, log):
    """Looks whether the order can be done."""
    log.info("looking at", len(data.order["items"]), "items")
    data.order.status = "valid"


@step(condition={"order": {"status": "valid", "total": None}})
def add_up(data):
    data.order.total = sum(item.price for item in data.order["items"])


@step(condition={"order": {"status": "valid", "total": {"$gt": 5}}}, priority=2)
def ship(data):
    data.order.status = "shipped"


@step(condition={"order": {"status": "valid", "total": {"$gt": 1}}})
def remind(data):
    data.reminded = True


@step(condition={"explode": True}, retries=1, backoff="1h")
def explode(data):
    raise ValueError("it went off")


@step(condition={"mystery": str})
def mystery(data):
    setattr(data, data.mystery, 1)
'''

ORDER = '{"order": {"status": "new", "items": [{"sku": "A-1", "price": 7}]}}'


class Shell:
    """Runs commands in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str, stdin: str | bytes | None = None, status: int = 0) -> Result:
        """The result of a command, which must exit with ``status``."""
        result = CliRunner().invoke(app, list(words), input=stdin, prog_name="aloma-py")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return result

    def json(self, *words: str, status: int = 0) -> Any:
        return json.loads(self(*words, "--json", status=status).stdout)

    def refused(self, *words: str, stdin: str | bytes | None = None, status: int = 2) -> str:
        """The message of a command that must fail; nothing is printed beside it."""
        result = self(*words, stdin=stdin, status=status)
        assert result.stdout == ""
        assert result.stderr.startswith("Error: ")
        return result.stderr.removeprefix("Error: ").rstrip("\n")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in os.environ:
        if name.startswith("ALOMA_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ALOMA_HTTP", "off")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steps.py").write_text(STEPS)
    return Shell(tmp_path)
