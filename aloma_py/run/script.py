"""A JavaScript step's run: what V8 is told, its calls answered, and what it did applied to the run's own copy."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from aloma_py import jsontext
from aloma_py.changes import copy_json
from aloma_py.connect.connector import Registry
from aloma_py.errors import AlomaError, ResultError
from aloma_py.intake import new_task_id
from aloma_py.javascript.consult import Asker, settle
from aloma_py.javascript.job import ScriptError, Surroundings
from aloma_py.javascript.pool import Pool
from aloma_py.javascript.program import Program
from aloma_py.models import Json, Limits
from aloma_py.run.connectors import write_into
from aloma_py.run.handles import AuditHandle, StepHandle, TaskHandle, UserHandle, audit_to_json
from aloma_py.run.payloads import BlobHandle, FileHandle

if TYPE_CHECKING:
    from aloma_py.run.context import RunContext

T = TypeVar("T")


class Scripts:
    """The JavaScript of one workspace: its workers, and what its code finds around it."""

    def __init__(self, workspace: str, connectors: Registry, limits: Limits, pool: Pool | None = None) -> None:
        self.pool = pool or Pool()
        self._workspace = workspace
        self._connectors = connectors
        self._limits = limits

    def surroundings(self, libraries: tuple[Program, ...]) -> Surroundings:
        return Surroundings(
            # Another set of libraries is another isolate: what one keeps in memory is not the other's.
            workspace=f"{self._workspace}#{hash(libraries)}",
            libraries=libraries,
            connectors=tuple((one.namespace, one.default) for one in self._connectors),
            hold=self._limits.max_hold / 1000,
            memory=self._limits.max_script_memory << 20,
        )

    async def settle(self, work: Callable[[], T]) -> T:
        """What ``work``, which judges conditions, gives when V8 has answered all that it asks."""
        return await settle(work, self._judge)

    async def _judge(self, asker: Asker, data: str, questions: Sequence[str]) -> list[dict[str, Any]]:
        return await self.pool.judge(self.surroundings(asker.libraries), asker.program, data, questions)


async def run_script(context: RunContext) -> None:
    """Run the step's JavaScript; its changes are in ``context.data`` then, and what it asked for in the effects."""
    job = ScriptRun(context)
    message = await context.services.scripts.pool.run(job)
    job.finish(message[2], message[3])


class ScriptRun:
    """One run as the pool of workers needs it (:class:`~aloma_py.javascript.job.Job`)."""

    def __init__(self, context: RunContext) -> None:
        script = context.step.script
        assert script is not None
        self.program = script.program
        self.surroundings = context.services.scripts.surroundings(script.libraries)
        self.limit = (context.step.timeout or context.limits.step_timeout) / 1000
        self._context = context
        self._mentions = script.mentions
        self._child = ""
        self._into: list[tuple[str, str, Json]] = []
        self._file, self._blob = FileHandle(context), BlobHandle(context)

    async def spec(self, again: bool) -> str:
        context = self._context
        task, limits = context.task, context.limits
        if again:  # nothing of what it did before the worker died is kept but the answers that it had
            self._into.clear()
            context.log.clear()
            context.told_stash = None
            calls = await context.services.store.calls(task.id, context.step.name, context.run_calls.ordinal)
            context.run_calls.keep(calls)
            context.run_calls.made.clear()
        self._child = new_task_id(context.services.clock.now())
        handle = TaskHandle(context)
        return jsontext.dumps(
            {
                "key": self.program.key,
                "data": context.before,
                "task": {
                    "id": task.id,
                    "name": task.name,
                    "tags": list(task.tags),
                    "createdAt": handle.created_at,
                    "workspace": handle.workspace(),
                    "region": handle.region(),
                },
                "step": {"name": context.step.name, "attempt": context.attempt},
                "config": self._config(),
                "audit": [audit_to_json(entry) for entry in context.audit_before],
                "child": self._child,
                "limits": {
                    "logLines": limits.max_log_lines,
                    "logBytes": limits.max_log_bytes,
                    "depth": limits.max_depth,
                    "runMillis": int(self.limit * 1000),
                    "dataBytes": limits.max_data_bytes,
                },
            }
        )

    def _config(self) -> dict[str, Json]:
        """The values that the code can ask for: no more than it names leaves the engine's process."""
        text, known = self._mentions, self._context.services.config
        return {name: value for name, value in known.items() if text is None or name in text}

    def log(self, level: str, line: str) -> None:
        if level == "full":
            self._context.log.cut()
        else:
            self._context.log.add(level, line)

    def stash(self, value: Any) -> None:
        self._context.told_stash = value

    async def call(self, kind: str, arguments: list[Any]) -> Any:
        """Answer one call of the code, as JSON."""
        context = self._context
        match kind, arguments:
            case "connector", [namespace, method, given, into]:
                answer = await context.services.broker.call(context.run_calls, namespace, method, given)
                if into is not None:
                    self._into.append((into, method, answer))
                return answer
            case "timer", [after]:
                await context.services.clock.sleep_until(context.services.clock.now() + round(after))
                return None
            case "file.write", [name, content]:
                return await self._file.write_now(name, _content(content))
            case "file.read", [name]:
                return _shown(await self._file.read_now(name))
            case "blob.create", [about]:
                return await self._blob.create_now({**about, "content": _content(about.get("content"))})
            case "blob.get", [blob_id]:
                return await self._blob.get_now(blob_id)
            case "blob.getContent", [blob_id]:
                return _shown(await self._blob.content_now(blob_id))
        raise ResultError(f"the code asks for {kind!r}, which there is not")

    def finish(self, patch: list[list[Any]], asked_for: list[list[Any]]) -> None:
        """Apply what the code changed, and note what it asked for."""
        context = self._context
        if patch or self._into:
            data = copy_json(context.before)
            apply_patch(data, patch)
            for into, method, answer in self._into:
                write_into(data, into, method, answer)
            context.take_data(data)
        if asked_for:
            children = iter(range(1, len(asked_for) + 1))
            context.child_ids = (f"{self._child}-{n}" for n in children)
            doors = _doors(context)
            for name, arguments, *place in asked_for:
                try:
                    doors[name](*arguments)
                except (AlomaError, TypeError, ValueError) as error:
                    raise _refused(error, place[0] if place else "") from error


def _doors(context: RunContext) -> dict[str, Callable[..., Any]]:
    task, audit = TaskHandle(context), AuditHandle(context)
    return {
        "name": task.name,
        "tags": task.tags,
        "complete": task.complete,
        "completeOnExpire": task.complete_on_expire,
        "timeout": task.timeout,
        "ignore": task.ignore,
        "park": task.park,
        "subtask": task.subtask,
        "visualize": task.visualize,
        "redo": StepHandle(context).redo,
        "audit.log": audit.log,
        "audit.reference": audit.reference,
        "conversation": UserHandle(context).conversation,
    }


def _refused(error: Exception, stack: str) -> ScriptError:
    """What the code asked for and cannot have, as an error at its line."""
    kind, (_, _, frames) = type(error), stack.partition("\n")
    kinds = [one.__name__ for one in kind.__mro__ if one.__module__.startswith("aloma_py.")]
    return ScriptError(kind.__name__, str(error), f"{kind.__name__}: {error}\n{frames}", kinds=kinds)


def apply_patch(data: dict[str, Json], patch: list[list[Any]]) -> None:
    """Make the changes that the prelude's ``patch`` wrote: set, delete, append, and the length of an array."""
    for op, path, *value in patch:
        *parents, last = path or [None]
        at: Any = data
        for part in parents:
            at = at[part]
        match op:
            case "s":
                at[last] = value[0]
            case "d":
                del at[last]
            case "a":
                at[last].extend(value[0])
            case "l":
                del at[last][value[0] :]


def _content(value: Any) -> Any:
    """Bytes travel as ``{"$bytes": base64}``."""
    if isinstance(value, dict) and value.keys() == {"$bytes"}:
        return base64.b64decode(value["$bytes"])
    return value


def _shown(value: Any) -> Any:
    return {"$bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


__all__ = ["ScriptRun", "Scripts", "apply_patch", "run_script"]
