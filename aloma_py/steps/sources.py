"""The source text of functions, and where in it they are."""

from __future__ import annotations

import ast
import linecache
from dataclasses import dataclass, field
from types import CodeType, FunctionType

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class FunctionSource:
    """A function's syntax tree, and the text of the file or cell it is in."""

    node: FunctionNode
    file: str
    text: str

    def lines(self) -> str:
        """The function's own text, with its decorators."""
        first = _first_line(self.node)
        last = self.node.end_lineno or first
        return "\n".join(self.text.splitlines()[first - 1 : last]) + "\n"


@dataclass(slots=True)
class Sources:
    """Reads and parses each file once. ``texts`` holds files by name as they were when they were loaded.

    What is not there is asked of ``linecache``, which also knows the cells of a notebook.
    """

    texts: dict[str, str] = field(default_factory=dict)
    _trees: dict[str, ast.Module | None] = field(default_factory=dict)

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
        tree = self.tree(code.co_filename)
        text = self.text(code.co_filename)
        if tree is None or text is None:
            return None
        found = [node for node in ast.walk(tree) if _is_node_of(node, code)]
        if len(found) != 1:
            return None
        node = found[0]
        assert isinstance(node, FunctionNode)
        return FunctionSource(node, code.co_filename, text)


def _is_node_of(node: ast.AST, code: CodeType) -> bool:
    if isinstance(node, ast.Lambda):
        return code.co_name == "<lambda>" and node.lineno == code.co_firstlineno
    return (
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name == code.co_name
        and _first_line(node) == code.co_firstlineno
    )


def _first_line(node: FunctionNode) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min((node.lineno, *(decorator.lineno for decorator in decorators)))
