"""The source text of functions, and where in it they are."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FunctionType

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """A function's syntax tree, and the file or cell it is in."""

    node: FunctionNode
    file: str
    lines: Sequence[str]  # of the whole file

    def own_text(self) -> str:
        """The function's own text, with its decorators."""
        first = _first_line(self.node)
        return "\n".join(self.lines[first - 1 : self.node.end_lineno]) + "\n"


@dataclass(slots=True)
class Sources:
    """Reads and parses each file once. ``texts`` holds files by name as they were when they were loaded.

    What is not there is asked of ``linecache``, which also knows the cells of a notebook.
    """

    texts: dict[str, str] = field(default_factory=dict)
    _trees: dict[str, ast.Module | None] = field(default_factory=dict)
    _lines: dict[str, Sequence[str]] = field(default_factory=dict)
    _functions: dict[str, dict[tuple[str, int], list[FunctionNode]]] = field(default_factory=dict)

    def text(self, file: str) -> str | None:
        """The text of a file, or ``None`` where it cannot be had."""
        if file not in self.texts:
            linecache.checkcache(file)
            lines = linecache.getlines(file)
            if not lines:
                return None
            self.texts[file] = "".join(lines)
        return self.texts[file]

    def tree(self, file: str) -> ast.Module | None:
        """The syntax tree of a file, or ``None`` where there is none."""
        if file not in self._trees:
            text = self.text(file)
            try:
                self._trees[file] = ast.parse(text) if text is not None else None
            except (SyntaxError, ValueError):
                self._trees[file] = None
        return self._trees[file]

    def find(self, function: FunctionType) -> FunctionSource | None:
        """The source of a function, or ``None``: it is not in a file, or two lambdas share its line."""
        code = function.__code__
        found = self._functions_in(code.co_filename).get((code.co_name, code.co_firstlineno), [])
        if len(found) != 1:
            return None
        return FunctionSource(found[0], code.co_filename, self._lines_of(code.co_filename))

    def _lines_of(self, file: str) -> Sequence[str]:
        if file not in self._lines:
            # As Python counts them: not str.splitlines(), which also breaks at form feeds and the like.
            self._lines[file] = (self.text(file) or "").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return self._lines[file]

    def _functions_in(self, file: str) -> dict[tuple[str, int], list[FunctionNode]]:
        """The functions of a file by name and first line, as their code objects have them."""
        if file not in self._functions:
            found: dict[tuple[str, int], list[FunctionNode]] = {}
            tree = self.tree(file)
            for node in ast.walk(tree) if tree is not None else ():
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                    name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
                    found.setdefault((name, _first_line(node)), []).append(node)
            self._functions[file] = found
        return self._functions[file]


def _first_line(node: FunctionNode) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min((node.lineno, *(decorator.lineno for decorator in decorators)))


def text_of(node: ast.AST, lines: Sequence[str]) -> str:
    """The source of an expression or statement, on one line."""
    first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0)
    if not first or last > len(lines):
        return ""
    # Columns count bytes of UTF-8.
    taken = [line.encode() for line in lines[first - 1 : last]]
    taken[-1] = taken[-1][: getattr(node, "end_col_offset", None)]
    taken[0] = taken[0][getattr(node, "col_offset", 0) :]
    return " ".join(b"\n".join(taken).decode().split())
