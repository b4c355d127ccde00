"""A repository, and a workspace that may follow it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .gitserver import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path / "project.git")
    yield made
    made.close()
