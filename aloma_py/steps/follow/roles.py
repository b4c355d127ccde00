"""The handles of SPEC §4: what a call through one reads, writes, or makes unknown."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from aloma_py.paths import Path, parse_path
from aloma_py.steps.follow.values import (
    OPAQUE,
    SCALAR,
    Atom,
    Head,
    Plain,
    Ref,
    Role,
    Site,
    Text,
    Value,
)

if TYPE_CHECKING:
    from aloma_py.steps.follow.calls import Call
    from aloma_py.steps.follow.walker import Walker

GRAPH: Final[Path] = ("$graph",)

ENDING: Final = {
    "complete": "ends the task",
    "ignore": "ends the task",
    "park": "parks the task",
    "timeout": "lets the task expire",
}
EXPIRING: Final = frozenset({"completeOnExpire", "complete_on_expire"})
FACTS: Final = frozenset({"id", "createdAt", "created_at", "workspace", "region", "config", "visualize"})


def call_role(walker: Walker, call: Call, role: Role) -> Value:
    """What calling the handle, or a method of it, may give. What is passed is read: handles copy what they keep."""
    memory = walker.memory
    memory.read(call.everything)
    match role.root:
        case "task":
            return _task(walker, call, role.name.removeprefix("task."))
        case "connectors":
            _into(walker, call)
            return SCALAR | memory.make(call.node, SCALAR, loop=True)
        case "graph":
            memory.reads.add(GRAPH)
            memory.writes.add(GRAPH)
            memory.change(Ref(GRAPH), call.everything)
            memory.link(GRAPH, call.everything, below=True)
            return frozenset({Ref(GRAPH, exact=False)})
        case "audit":
            if role.name not in ("audit.log", "audit.reference"):
                memory.cannot_follow(call.node, call.scope, "it sees what other steps wrote to the audit trail")
            return SCALAR | memory.make(call.node, SCALAR, loop=True)
        case "file":
            (memory.writes if role.name == "file.write" else memory.reads).add(("$files",))
            return OPAQUE
        case "user":
            memory.cannot_follow(call.node, call.scope, "it may hold the task for a person")
            return OPAQUE
        case "mapper":
            if role.name.endswith(".execute"):
                held = memory.elements(call.everything)
                return memory.make(call.node, call.everything, held, loop=True)
            return frozenset({Role("mapper")})
        case "lib":
            if memory.tracked(call.everything):
                memory.cannot_follow(call.node, call.scope, f"data is handed to {call.shown}, which is not known here")
            return OPAQUE
    return SCALAR | memory.make(call.node, SCALAR, loop=True)  # log, config, step, blob


def _task(walker: Walker, call: Call, method: str) -> Value:
    memory = walker.memory
    if method in ENDING:
        memory.cannot_follow(call.node, call.scope, f"it {ENDING[method]}, which every other step would notice")
    elif method in ("name", "tags"):
        given = call.node.args or call.node.keywords
        (memory.writes if given else memory.reads).add(("$task", method))
        if given:
            memory.reads.add(("$task", method))
    elif method in EXPIRING:
        memory.writes.add(("$task", "expires"))
    elif method == "subtask":
        _subtask(walker, call)
    elif method not in FACTS:
        memory.cannot_follow(call.node, call.scope, f"task.{method} is not known")
    return SCALAR | memory.make(call.node, SCALAR)


def _subtask(walker: Walker, call: Call) -> None:
    """``task.subtask(name, data, options)``: writes at ``into``; ``waitFor`` holds the task."""
    settings: list[tuple[str | None, ast.expr]] = [(keyword.arg, keyword.value) for keyword in call.node.keywords]
    settings += [("options", option) for option in call.node.args[2:3]]
    for name, value in settings:
        if name == "options":
            opened = _members(value)
            if opened is None:
                walker.memory.cannot_follow(call.node, call.scope, "the subtask's options are not written out here")
            for member, inner in opened or ():
                _subtask_option(walker, call, member, inner)
        else:
            _subtask_option(walker, call, name, value)
    if call.arguments.spread:
        walker.memory.cannot_follow(call.node, call.scope, "the subtask's options are not written out here")


def _subtask_option(walker: Walker, call: Call, name: str | None, value: ast.expr) -> None:
    if name == "into":
        _write_into(walker, call, value)
    elif name in ("waitFor", "wait_for"):
        if not (isinstance(value, ast.Constant) and not value.value):
            walker.memory.cannot_follow(call.node, call.scope, "it holds the task until its subtask has ended")
    elif name is None:
        walker.memory.cannot_follow(call.node, call.scope, "the subtask's options are not written out here")


def _members(node: ast.expr) -> list[tuple[str | None, ast.expr]] | None:
    """The members of an object that is written out, or ``None``."""
    if isinstance(node, ast.Constant) and node.value is None:
        return []
    if not isinstance(node, ast.Dict):
        return None
    return [
        (key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None, value)
        for key, value in zip(node.keys, node.values, strict=True)
    ]


def _into(walker: Walker, call: Call) -> None:
    """A connector call may write its answer into the data: where ``into`` says so, among the arguments."""
    memory, arguments, node = walker.memory, call.arguments, call.node
    for keyword in node.keywords:
        if keyword.arg == "into":
            _write_into(walker, call, keyword.value)
    loose = list(arguments.doubled)
    if arguments.spread:
        loose.append(arguments.spread)
    if len(arguments.positional) == 1:
        opened = _members(node.args[0])
        for name, value in opened or ():
            if name == "into":
                _write_into(walker, call, value)
        if opened is None or any(name is None for name, _ in opened):
            loose.append(arguments.positional[0])
    for given in loose:
        if _may_hold_into(walker, given):
            memory.cannot_follow(node, call.scope, "the arguments are not written out here and may have 'into'")


def _may_hold_into(walker: Walker, value: Value) -> bool:
    for atom in value:
        if isinstance(atom, Site):
            keys = walker.memory.keys.get(atom)
            if keys is None or "into" in keys:
                return True
        elif not isinstance(atom, (Text, Head)) and atom not in (Plain.SCALAR, Plain.NUMBER):
            return True
    return not value


def _write_into(walker: Walker, call: Call, node: ast.expr) -> None:
    """The path that ``into`` names is written (see :func:`into_path`)."""
    memory = walker.memory
    if isinstance(node, ast.Constant) and node.value is None:
        return
    for atom in walker.eval(node, call.scope) or OPAQUE:
        path = into_path(atom)
        if path:
            memory.writes.add(path)
            memory.change(Ref(path[:-1]))
        else:
            memory.cannot_follow(call.node, call.scope, "which place 'into' names cannot be told")


def into_path(atom: Atom) -> Path:
    """The path in the data that ``into`` names; of a text that is put together, what its constant beginning names.

    Empty where that cannot be told.
    """
    parts: list[str | int] = []
    if isinstance(atom, Text):
        parts = list(parse_path(atom.text))
    elif isinstance(atom, Head):
        parts = list(parse_path(atom.text)[:-1])  # the last part may go on
    steps: list[str] = []
    for part in parts:
        if not isinstance(part, str):
            break  # positions in arrays are not told apart
        steps.append(part)
    return () if steps == [""] else tuple(steps)


__all__ = ["ENDING", "EXPIRING", "FACTS", "GRAPH", "call_role", "into_path"]
