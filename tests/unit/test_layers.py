"""Imports go one way, and the pure folders stay pure."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import aloma_py

ROOT = Path(aloma_py.__file__).parent

LAYERS = (
    {"models", "errors", "paths", "jsontext", "groups", "durations", "settings", "hookspecs", "clock", "turn", "hosts"},
    {"javascript"},
    {"conditions", "changes"},
    {"steps", "intake"},
    {"match", "transfer"},
    {"connect", "store", "sync"},
    {"run", "builtin", "notify"},
    {"plugins", "limiter"},
    {"cell", "delivery"},
    {"custody", "runner"},
    {"engine"},
    {"interventions", "outcome", "history"},
    {"scheduler"},
    {"workspace"},
    {"operations"},
    {"testing", "serve", "deploy"},
    {"cli", "__init__", "__main__"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
PURE = ("conditions", "changes", "intake", "match")
IMPURE_MODULES = {"anyio", "asyncio", "random", "socket", "sqlite3", "subprocess", "time"}


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, module) of every import that is made at run time; those for type checkers do not count."""
    found: list[tuple[int, str]] = []

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            return
        if isinstance(node, ast.Import):
            found.extend((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.lineno, node.module))
            if node.module == "aloma_py":
                found.extend((node.lineno, f"aloma_py.{alias.name}") for alias in node.names)
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(ast.parse(path.read_text()))
    return found


def part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    mine = part(path)
    assert mine in RANK, f"{mine} has no layer: give it one in LAYERS"
    for line, module in imports(path):
        names = module.split(".")
        if names[0] != "aloma_py" or len(names) < 2 or names[1] == mine or names[1] not in RANK:
            continue
        assert RANK[names[1]] <= RANK[mine], f"{path.name}:{line} imports {module}, which is above it"


@pytest.mark.parametrize(
    "path", [path for path in modules() if part(path) in PURE], ids=lambda path: str(path.relative_to(ROOT))
)
def test_pure_folders_know_no_clock_and_no_io(path: Path) -> None:
    for line, module in imports(path):
        assert module.split(".")[0] not in IMPURE_MODULES, f"{path.name}:{line} imports {module}"


def test_no_module_is_named_like_one_of_the_standard_library() -> None:
    named = {path.stem for path in modules()} | {path.name for path in ROOT.rglob("*") if path.is_dir()}
    assert not (named - {"__init__", "__main__", "__pycache__"}) & sys.stdlib_module_names


def test_files_stay_readable() -> None:
    long = {
        str(path.relative_to(ROOT)): lines for path in modules() if (lines := len(path.read_text().splitlines())) > 450
    }
    assert not long


def test_no_test_sleeps_to_wait() -> None:
    """Waiting for a time is done on a clock that is moved, waiting for something else on that something."""
    tests = Path(__file__).parents[1]
    sleeping = [
        f"{path.relative_to(tests)}:{node.lineno}"
        for path in tests.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "sleep")
    ]
    assert not sleeping
