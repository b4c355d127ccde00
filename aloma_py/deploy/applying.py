"""Carrying a plan out, all of it or none: what was done is taken back where a later change fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from aloma_py.deploy.planning import Change, Present
from aloma_py.deploy.wanted import WorkspaceWanted
from aloma_py.errors import AlomaError, InputError
from aloma_py.models import Json
from aloma_py.operations.progress import telling


class Caller(Protocol):
    """Asks for operations on one workspace."""

    async def call(self, name: str, /, **arguments: Json) -> Any: ...


class DeployError(InputError):
    """A change could not be made. ``kept`` are those that could not be taken back."""

    def __init__(self, workspace: str, change: Change, error: Exception, kept: Sequence[str]) -> None:
        self.kept = tuple(kept)
        left = f"; these stay as they were made: {', '.join(kept)}" if kept else "; everything is as it was before"
        super().__init__(f"workspace {workspace!r}: {change.kind} {change.name!r}: {error}{left}")


async def look(client: Caller, wanted: WorkspaceWanted) -> Present:
    """What the workspace has of the kinds that ``wanted`` speaks of."""
    known = {one["name"]: one for one in await client.call("list_workspaces")}
    connectors = await _compared(client, wanted)
    if wanted.name not in known:
        return Present(exists=False, connectors=connectors)
    names = [one["name"] for one in await client.call("list_schedules")]
    tasks = [one.name for one in wanted.things if one.kind == "task" and await _is_there(client, one.name)]
    return Present(
        exists=True,
        tags=tuple(known[wanted.name]["tags"]),
        scripts={kind: await client.call("list_scripts", kind=kind, texts=True) for kind in ("step", "library")},
        variables=tuple(await client.call("list_variables")),
        webhooks=tuple(await client.call("list_webhooks")),
        schedules=tuple([await client.call("show_schedule", name=name) for name in names]),
        connectors=connectors,
        modules=tuple((await client.call("show_workspace"))["sources"]) if wanted.modules is not None else (),
        tasks=frozenset(tasks),
    )


async def _compared(client: Caller, wanted: WorkspaceWanted) -> dict[str, Any]:
    """The connectors that are asked for, compared by the server; raises what is wrong with them."""
    if "connectors" not in wanted.spoken_of:
        return {}
    asked: list[Json] = [{"namespace": one.name, **one.facts} for one in wanted.things if one.kind == "connector"]
    found: dict[str, Any] = await client.call("compare_connectors", connectors=asked)
    return found


async def _is_there(client: Caller, task: str) -> bool:
    """Whether a deployment has made a task of that name."""
    found = await client.call("list_tasks", name=task, limit=1000)
    return any(one["name"] == task and (one.get("via") or {}).get("type") == "deploy" for one in found)


async def check(client: Caller, changes: Sequence[Change]) -> None:
    """Have the server read what it would store. Raises what it says."""
    moved = any(change.kind == "step" and change.action == "delete" for change in changes)
    for change in changes:
        if change.call is not None and change.kind == "module" and not moved:  # a step may move from the store to one
            await client.call("set_modules", **{**change.call[1], "dry_run": True})
        if change.call is not None and change.call[0] == "sync_scripts":
            await client.call("sync_scripts", **{**change.call[1], "dry_run": True})
        if change.call is not None and change.kind == "schedule" and change.action in ("add", "change"):
            asked = {key: value for key, value in change.call[1].items() if key in ("cron", "every", "zone", "dst")}
            if "cron" in asked or "every" in asked:
                try:
                    await client.call("preview_schedule", **asked)
                except InputError as error:
                    raise InputError(f"schedule {change.name!r}: {error}") from error


async def apply(client: Caller, workspace: str, changes: Sequence[Change]) -> int:
    """Make the changes; gives how many. Raises :class:`DeployError`, when what was done is taken back."""
    done: list[Change] = []
    told, wanted = telling(f"deploying {workspace}"), sum(change.call is not None for change in changes)
    for change in changes:
        if change.call is None:
            continue
        told(len(done), wanted)
        try:
            await client.call(change.call[0], **change.call[1])
        except AlomaError as error:
            raise DeployError(workspace, change, error, await _take_back(client, done)) from error
        done.append(change)
    return len(done)


async def _take_back(client: Caller, done: Sequence[Change]) -> list[str]:
    kept = []
    for change in reversed(done):
        try:
            if change.undo is None:
                raise InputError("there is no way back")
            await client.call(change.undo[0], **change.undo[1])
        except AlomaError:
            kept.append(f"{change.kind} {change.name!r}")
    return kept[::-1]
