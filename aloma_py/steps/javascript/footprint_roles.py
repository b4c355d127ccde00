"""The handles of SPEC §4: what a call through one reads, writes, or makes unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aloma_py.steps.follow.roles import ENDING, EXPIRING, FACTS, GRAPH, into_path
from aloma_py.steps.follow.values import (
    OPAQUE,
    SCALAR,
    Func,
    Head,
    Plain,
    Ref,
    Role,
    Site,
    Text,
    Value,
)
from aloma_py.steps.javascript.footprint_calls import Call
from aloma_py.steps.javascript.footprint_syntax import Syntax

if TYPE_CHECKING:
    from aloma_py.steps.javascript.footprint_walker import Walker

UNWRITTEN = "the subtask's options are not written out here"


def call_role(walker: Walker, call: Call, role: Role) -> Value:
    """What calling the handle, or a method of it, may give. What is passed is read: handles copy what they keep."""
    memory, given = walker.memory, call.everything
    if role.root != "lib":
        memory.read(given)
    match role.root:
        case "task":
            return _task(walker, call, role.name.removeprefix("task."))
        case "connectors":
            for argument in (*call.positional, *([call.spread] if call.spread else [])):
                _into(walker, call, argument)
        case "graph":
            memory.reads.add(GRAPH)
            memory.writes.add(GRAPH)
            memory.change(Ref(GRAPH), given)
            memory.link(GRAPH, given, below=True)
            return frozenset({Ref(GRAPH, exact=False)})
        case "audit" if role.name not in ("audit.log", "audit.reference"):
            memory.cannot(call.node, "it sees what other steps wrote to the audit trail")
        case "file":
            (memory.writes if role.name == "file.write" else memory.reads).add(("$files",))
            return OPAQUE
        case "user":
            memory.cannot(call.node, "it may hold the task for a person")
            return OPAQUE
        case "mapper":
            if any(isinstance(atom, Func) or atom is Plain.OPAQUE for atom in memory.reach(given)):
                memory.cannot(call.node, "what the mapper calls is not followed")
            if role.name.endswith(".execute"):
                return memory.make(call.node, given, memory.elements(given), SCALAR, loop=True)
            return frozenset({Role("mapper")})
        case "lib":
            return _library(walker, call, role)
    return SCALAR | walker.fresh(call.node)


def _library(walker: Walker, call: Call, role: Role) -> Value:
    """A library's code has no data but what it is given."""
    if walker.memory.tracked(call.everything):
        space = role.name.split(".")[1:2]
        known = bool(space) and space[0] in walker.libraries
        reason = "whose code is not followed" if known else "which is not known here"
        walker.memory.cannot(call.node, f"data is handed to {call.shown}, {reason}")
    walker.expose(call.everything)
    for atom in walker.memory.reach(call.everything):
        if isinstance(atom, Site):
            walker.memory.put(atom, OPAQUE)
            if atom in walker.memory.keys:
                walker.memory.name_keys(atom, None)
    return OPAQUE


def _task(walker: Walker, call: Call, method: str) -> Value:
    memory = walker.memory
    if method in ENDING:
        memory.cannot(call.node, f"it {ENDING[method]}, which every other step would notice")
    elif method in ("name", "tags"):
        if call.positional or call.spread:
            memory.writes.add(("$task", method))
        memory.reads.add(("$task", method))
    elif method in EXPIRING:
        memory.writes.add(("$task", "expires"))
    elif method == "subtask":
        _subtask(walker, call)
    elif method not in FACTS:
        memory.cannot(call.node, f"task.{method} is not known")
    return SCALAR | walker.fresh(call.node)


def _subtask(walker: Walker, call: Call) -> None:
    """``task.subtask(name, data, options)``: writes at ``into``; ``waitFor`` holds the task."""
    memory = walker.memory
    if call.spread:
        memory.cannot(call.node, UNWRITTEN)
    for atom in call.positional[2] if len(call.positional) > 2 else ():
        if atom is Plain.SCALAR:
            continue
        keys = memory.keys.get(atom) if isinstance(atom, Site) else None
        if not isinstance(atom, Site) or keys is None:
            memory.cannot(call.node, UNWRITTEN)
            continue
        if "into" in keys:
            _write_into(walker, call, memory.member(atom, "into"))
        if keys & {"waitFor", "wait_for"} and not _is_off(call.node):
            memory.cannot(call.node, "it holds the task until its subtask has ended")


def _is_off(node: Syntax) -> bool:
    """Whether ``waitFor`` is plainly ``false`` among the options that are written out."""
    listed = node.fields["arguments"].children if "arguments" in node.fields else []
    if len(listed) < 3 or listed[2].kind != "object":
        return False
    found = [
        child.fields["value"].kind
        for child in listed[2].children
        if child.kind == "pair" and child.fields["key"].text.strip("'\"") in ("waitFor", "wait_for")
    ]
    return bool(found) and all(kind in ("false", "null", "undefined") for kind in found)


def _into(walker: Walker, call: Call, value: Value) -> None:
    """A connector call may write its answer into the data: where ``into`` says so, in an argument."""
    memory = walker.memory
    for atom in value:
        keys = memory.keys.get(atom) if isinstance(atom, Site) else None
        if isinstance(atom, Site) and keys is not None:
            if "into" in keys:
                _write_into(walker, call, memory.member(atom, "into"))
        elif not isinstance(atom, (Text, Head, Func)) and atom not in (Plain.SCALAR, Plain.NUMBER):
            memory.cannot(call.node, "the arguments are not written out here and may have 'into'")


def _write_into(walker: Walker, call: Call, value: Value) -> None:
    """The path that ``into`` names is written (see :func:`into_path`)."""
    memory = walker.memory
    for atom in value or OPAQUE:
        if atom is Plain.SCALAR and len(value) == 1 and _is_null(call.node):
            continue
        path = into_path(atom)
        if path:
            memory.writes.add(path)
            memory.change(Ref(path[:-1]))
        else:
            memory.cannot(call.node, "which place 'into' names cannot be told")


def _is_null(node: Syntax) -> bool:
    """Whether ``into`` is plainly ``null`` or ``undefined`` in what is written out."""
    listed = node.fields["arguments"].children if "arguments" in node.fields else []
    found = [
        child.fields["value"].kind
        for argument in listed
        if argument.kind == "object"
        for child in argument.children
        if child.kind == "pair" and child.fields["key"].text.strip("'\"") == "into"
    ]
    return bool(found) and all(kind in ("null", "undefined") for kind in found)
