"""Everything that one run has: its copy of the data, what its code may call, and what it asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import anyio
import anyio.from_thread

from aloma_py.changes import copy_json
from aloma_py.clock import Clock
from aloma_py.errors import RunError
from aloma_py.models import AuditEntry, Json, Limits, Task
from aloma_py.run.calls import Broker, RunCalls
from aloma_py.run.connectors import Connectors, for_code, write_into
from aloma_py.run.data import Data, to_data
from aloma_py.run.effects import Effects
from aloma_py.run.graph import Graph
from aloma_py.run.handles import AuditHandle, StepHandle, TaskHandle, UserHandle
from aloma_py.run.mapper import mapper
from aloma_py.run.payloads import BlobHandle, FileHandle
from aloma_py.run.pending import Calls, Pending, Stopwatch
from aloma_py.run.redaction import NOTHING, Redactor
from aloma_py.run.runlog import RunLog
from aloma_py.run.script import Scripts
from aloma_py.run.stash import secret_texts
from aloma_py.steps.definition import StepDefinition
from aloma_py.store.protocol import WorkspaceStore

THREADS: Final = 256
"""How many ``def`` steps run at once."""


@dataclass(slots=True)
class Services:
    """What all runs of a workspace share. ``secrets`` are the texts in ``config`` that must not be shown anywhere."""

    clock: Clock
    store: WorkspaceStore
    broker: Broker
    libraries: Any
    config: Mapping[str, Any]
    limits: Limits
    scripts: Scripts
    # As many as there may be tasks at work: who has to wait for a thread would use up its time limit.
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(THREADS))
    secrets: tuple[str, ...] = ()
    redactor: Redactor = field(init=False, repr=False)  # of the secrets

    def __post_init__(self) -> None:
        self.redactor = Redactor(self.secrets) if self.secrets else NOTHING


class TaskData(Data):
    """The data's root: ``$stash`` is there without being made."""

    def __missing__(self, name: str) -> Data:
        if name != "$stash":
            raise KeyError(name)
        stash = self[name] = Data()
        return stash


class RunContext:
    """One attempt of one run. ``data`` is its own copy; ``before`` is the shared original, which nobody changes."""

    def __init__(
        self,
        services: Services,
        step: StepDefinition,
        task: Task,
        before: dict[str, Json],
        *,
        attempt: int,
        run_calls: RunCalls,
        audit_before: Sequence[AuditEntry] = (),
    ) -> None:
        self.services = services
        self.limits = services.limits
        self.step = step
        self.task = task
        self.attempt = attempt
        self.run_calls = run_calls
        self.audit_before = audit_before
        self.before = before
        self.data: Data = TaskData(to_data(before))
        self.effects = Effects()
        self.log = RunLog(services.clock, services.limits)
        self.calls: Calls
        self.scope: anyio.CancelScope | None = None  # around the code, while it runs
        self.watch: Stopwatch | None = None  # its time limit
        self.interrupted = False
        self.outdated = False  # it had to wait for its turn, and the task has changed meanwhile
        self._closed = False
        self._redactor: tuple[tuple[str, ...], Redactor] = ((), services.redactor)  # with the texts of $stash in it
        self.told_stash: Any = None  # of JavaScript code, which works on a copy of its own
        run_calls.redact = self.redact
        self.child_ids: Iterator[str] | None = None  # of the subtasks of JavaScript code, which has named them already
        self._into: list[tuple[str, str, Any]] = []

    def take_data(self, data: dict[str, Json]) -> None:
        """Have ``data`` in place of the run's copy: JavaScript code has worked on one of its own."""
        self.data = TaskData(data)

    def open_effects(self) -> Effects:
        """The effects, for code that asks for one; an error for code that goes on after its run has ended."""
        if self._closed:
            raise RunError(f"the run of step {self.step.name!r} has ended; what its code asks for now is refused")
        return self.effects

    def redact(self, value: Json) -> Json:
        """``value`` without any secrets, for what is stored or shown beside the data (SPEC §4)."""
        redactor = self.redactor()
        return redactor(value) if redactor else value

    def redactor(self) -> Redactor:
        """Takes out the workspace's secrets and the texts of ``$stash``."""
        texts = self._stash_texts()
        if texts != self._redactor[0]:
            self._redactor = (texts, Redactor(texts, also=self.services.redactor))
        return self._redactor[1]

    def secrets(self) -> tuple[str, ...]:
        """The texts that must not be shown: the workspace's secrets, and those of ``$stash``."""
        return (*self.services.secrets, *self._stash_texts())

    def _stash_texts(self) -> tuple[str, ...]:
        """The texts in ``$stash``, as it was before the run and as it is now."""
        found = dict.get(self.data, "$stash"), self.before.get("$stash"), self.told_stash
        return secret_texts(*found) if any(found) else ()

    def close(self) -> None:
        """The code has ended. No reference may lead back here, so that the memory is free at once."""
        self._closed = True
        self.run_calls.redact = self.redactor()

    def suspend_limit(self) -> None:
        """Let the code take as long as it likes, for a debugger. Called by the code itself, from whichever thread."""
        if self.watch is None:
            return
        if self.step.is_async:
            self.watch.suspend()
        else:
            anyio.from_thread.run_sync(self.watch.suspend)

    def interrupt(self) -> None:
        """Stop the code; nothing of the run is kept. One that has not begun yet does not begin."""
        self.interrupted = True
        if self.scope is not None:
            self.scope.cancel()

    def config(self, name: str) -> Any:
        """A value of the workspace's environment, the run's own copy; ``None`` where there is none of that name."""
        return to_data(self.services.config.get(name))

    def begin(self, what: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Begin a call for the step's code; refused once the run has ended."""
        self.open_effects()
        return self.calls.start(what, work)

    def invoke(self, namespace: str, method: str, arguments: Json, into: str | None) -> Any:
        """Make a connector call for the step's code."""

        async def work() -> Any:
            return for_code(namespace, await self.services.broker.call(self.run_calls, namespace, method, arguments))

        answer = self.begin(f"connectors.{namespace}.{method}", work)
        if into is not None:
            self._into.append((into, method, answer))
        return answer

    async def settle(self) -> None:
        """Wait for the calls that were not awaited, and write the answers that were wanted ``into`` the data."""
        for call in self.calls.pending:
            await call.settle()
        for into, method, answer in self._into:
            if isinstance(answer, Pending):
                if answer.failed:
                    continue  # the code has seen it, or the run would have failed just now
                answer = await answer
            write_into(self.data, into, method, answer)
        if self.calls.pending:
            await _settle_in(self.data)

    def arguments(self) -> dict[str, Any]:
        """What the step's function is called with."""
        return {name: FILLERS[source](self) for name, source in self.step.parameters.items()}


async def _settle_in(value: Any) -> None:
    """Put answers in the place of calls that were left in the data."""
    for key, member in list(dict.items(value) if isinstance(value, dict) else enumerate(value)):
        if isinstance(member, Pending):
            value[key] = await member
        elif isinstance(member, (dict, list)):
            await _settle_in(member)


FILLERS: dict[str, Callable[[RunContext], Any]] = {
    "data": lambda run: run.data,
    "task": TaskHandle,
    "step": StepHandle,
    "connectors": lambda run: Connectors(run.services.broker.connectors, run.invoke),
    "lib": lambda run: run.services.libraries,
    "audit": AuditHandle,
    "graph": lambda run: Graph(run.data),
    "mapper": lambda run: mapper,
    "file": FileHandle,
    "blob": BlobHandle,
    "log": lambda run: run.log,
    "config": lambda run: run.config,
    "user": UserHandle,
    "model": lambda run: run.step.condition.instance(copy_json(run.before)),
}
"""What fills a parameter, by the name that ``steps`` gives it."""

__all__ = ["FILLERS", "RunContext", "Services", "TaskData"]
