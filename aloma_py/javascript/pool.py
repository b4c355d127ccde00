"""The workers of an engine: which run goes into which, and what happens when one dies.

Nobody loses a run by a neighbour's fault. When a worker dies, its runs start again in another; those that V8 had, or
may have had, in hand at that moment run alone in a worker of their own first, and one that ends that too has failed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
import anyio.abc

from aloma_py import jsontext
from aloma_py.errors import CallError, StepTimeout
from aloma_py.javascript.link import Inbox, Link, Message, WorkerDied
from aloma_py.javascript.program import Program


class ScriptError(CallError):
    """What JavaScript code threw. ``name`` and ``stack`` are as they were there."""

    def __init__(self, name: str, message: str, stack: str = "", status: int | None = None) -> None:
        super().__init__(message, status, (name,))
        self.name = name
        self.stack = stack


class ScriptTimeout(StepTimeout):
    """The code held V8 for too long, or ran longer than it may."""


class ScriptMemory(ScriptError):
    """The code asked for more memory than it may have."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the runs of one workspace share in an isolate."""

    workspace: str
    libraries: tuple[Program, ...] = ()
    connectors: tuple[tuple[str, str | None], ...] = ()  # namespace, the method that calling it means
    hold: float = 2.0  # seconds of CPU that one turn may take
    memory: int = 256 << 20  # bytes of V8's heap


class Job(Protocol):
    """A run, as the pool needs it."""

    program: Program
    surroundings: Surroundings
    limit: float  # seconds of running

    async def spec(self, again: bool) -> str:
        """The JSON text of what V8 is told at its start; ``again`` after a worker died under it."""
        ...

    async def call(self, kind: str, arguments: list[Any]) -> Any:
        """Answer a call of the code."""
        ...

    def log(self, level: str, line: str) -> None: ...


@dataclass(slots=True)
class Pool:
    """``size`` workers, one for each core by default. Used inside :meth:`running`; they start when first needed."""

    size: int = field(default_factory=lambda: max(os.cpu_count() or 1, 1))
    links: list[Link] = field(default_factory=list)
    started: int = 0  # worker processes so far
    _group: anyio.abc.TaskGroup | None = None
    _numbers: int = 0
    _users: int = 0
    _starting: anyio.Lock = field(default_factory=anyio.Lock)
    _alone: anyio.Lock = field(default_factory=anyio.Lock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have the workers as long as this is open; they are ended with it. May be open several times at once."""
        if self._users:
            self._users += 1
            try:
                yield
            finally:
                self._users -= 1
            return
        async with anyio.create_task_group() as group:
            self._group, self._users = group, 1
            try:
                yield
            finally:
                self._group, self._users = None, 0
                for link in self.links:
                    link.kill()
                self.links.clear()
                group.cancel_scope.cancel()

    async def run(self, job: Job) -> Message:
        """Run the job's program; gives ``["done", run, patch, ops]``.

        Raises :class:`ScriptError` for what the code throws, :class:`ScriptTimeout` and :class:`ScriptMemory` for the
        limits that it passed.
        """
        unexplained, suspected, again = 0, False, False
        while True:
            try:
                if suspected:
                    async with self._alone:
                        return await self._run_alone(job)
                return await self._attempt(await self._pick(), job, again=again)
            except WorkerDied as died:
                again = True
                unexplained += not died.explained
                suspected = died.suspected or unexplained > 1

    async def _run_alone(self, job: Job) -> Message:
        link = await self._start()
        try:
            return await self._attempt(link, job, again=True)
        except WorkerDied:
            raise ScriptMemory(
                "WorkerDied", "the step's code ended its JavaScript worker: it asked for more memory than there is"
            ) from None
        finally:
            link.kill()

    # ── workers ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _pick(self) -> Link:
        """The worker with the fewest runs; another one as long as there are fewer than ``size`` and all are busy."""
        alive = [link for link in self.links if link.alive]
        best = min(alive, key=lambda link: len(link.runs), default=None)
        if best is not None and (not best.runs or len(alive) >= self.size):
            return best
        async with self._starting:
            alive = [link for link in self.links if link.alive]
            if len(alive) < self.size:
                link = await self._start()
                self.links = [*(link for link in self.links if link.alive), link]
        return await self._pick()

    async def _start(self) -> Link:
        if self._group is None:
            raise RuntimeError("the JavaScript workers are not running")
        link = await Link.start()
        self.started += 1
        self._group.start_soon(link.serve)
        await link.ready()
        return link

    # ── one run in one worker ───────────────────────────────────────────────────────────────────────────────────

    def _prepare(self, link: Link, around: Surroundings, program: Program) -> int:
        isolate = link.isolate(around.workspace, around.hold, around.memory)
        link.setup(isolate, {"connectors": around.connectors})
        link.load(isolate, around.libraries)
        link.load(isolate, (program,))
        return isolate

    @asynccontextmanager
    async def _entered(self, link: Link) -> AsyncIterator[tuple[int, Inbox]]:
        self._numbers += 1
        number, inbox = self._numbers, Inbox()
        if not link.alive:
            raise WorkerDied(explained=True)
        link.runs[number] = inbox
        try:
            yield number, inbox
        finally:
            link.runs.pop(number, None)

    async def _attempt(self, link: Link, job: Job, *, again: bool) -> Message:
        async with self._entered(link) as (run, inbox):
            spec = await job.spec(again)
            isolate = self._prepare(link, job.surroundings, job.program)
            link.post(isolate, run, f'["start",{run},{spec}]')
            ended = False
            try:
                async with anyio.create_task_group() as calls:
                    message = await _Dialogue(link, isolate, run, job, inbox, calls).end()
                    ended = True
                    calls.cancel_scope.cancel()
            except BaseExceptionGroup as group:
                raise _only(group) from None
            finally:
                if not ended:
                    link.post(isolate, run, f'["kill",{run}]')
            match message:
                case ["done", *_]:
                    return message
                case ["event", "stopped", _, "neighbour"]:
                    raise WorkerDied(explained=True)
            raise _failure(message, job)

    async def judge(
        self, around: Surroundings, program: Program, data: str, questions: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The answers of a condition's code: ``{"value": …}`` or ``{"error": text}`` for each question."""
        for _ in range(3):
            link = await self._pick()
            try:
                async with self._entered(link) as (number, inbox):
                    isolate = self._prepare(link, around, program)
                    key = jsontext.dumps(program.key)
                    link.post(isolate, number, f'["judge",{number},{key},{data},[{",".join(questions)}]]')
                    for message in await inbox.take():
                        if message[0] == "judged":
                            answers: list[dict[str, Any]] = message[2]
                            return answers
                        if message[3] == "neighbour":
                            break
                        reason = "more memory than it may have" if message[3] == "memory" else "too much time"
                        return [{"error": f"the condition's code took {reason}"}] * len(questions)
            except WorkerDied:
                continue
        return [{"error": "the condition's code ended its worker three times"}] * len(questions)


@dataclass(slots=True)
class _Dialogue:
    """What is said between a run in V8 and the engine, until the run ends."""

    link: Link
    isolate: int
    run: int
    job: Job
    inbox: Inbox
    calls: anyio.abc.TaskGroup
    scopes: dict[int, anyio.CancelScope] = field(default_factory=dict)
    open_calls: int = 0

    async def end(self) -> Message:
        """The message that ends the run: ``done``, ``fail`` or ``event``."""
        idle = False
        while True:
            messages = await (self._take_within_limit() if idle and not self.open_calls else self.inbox.take())
            for message in messages:
                match message:
                    case ["log", _, level, line]:
                        self.job.log(level, line)
                    case ["call", _, number, kind, arguments]:
                        idle = False
                        self.open_calls += 1
                        self.calls.start_soon(self._answer, number, kind, arguments)
                    case ["clear", _, number]:
                        if number in self.scopes:
                            self.scopes[number].cancel()
                    case ["idle", *_]:
                        idle = True
                    case _:
                        return message

    async def _take_within_limit(self) -> list[Message]:
        with anyio.move_on_after(self.job.limit):
            return await self.inbox.take()
        raise ScriptTimeout(
            f"the step waited for {self.job.limit:g} s for something that did not come: "
            "no call and no timer is under way"
        )

    async def _answer(self, number: int, kind: str, arguments: list[Any]) -> None:
        with anyio.CancelScope() as scope:
            self.scopes[number] = scope
            try:
                answer = jsontext.dumps(await self.job.call(kind, arguments))
            except Exception as error:
                told = {
                    "name": getattr(error, "name", None) or type(error).__name__,
                    "message": str(error),
                    "status": getattr(error, "status", None),
                }
                text = f'["no",{self.run},{number},{jsontext.dumps(told)}]'
            else:
                text = f'["ok",{self.run},{number},{answer}]'
            if kind != "timer" or not scope.cancel_called:
                self.link.post(self.isolate, self.run, text)
        self.open_calls -= 1
        self.scopes.pop(number, None)


def _failure(message: Message, job: Job) -> Exception:
    match message:
        case ["fail", _, error]:
            if error["name"] == "StepTimeout":
                return ScriptTimeout(error["message"])
            return ScriptError(error["name"], error["message"], error["stack"], error["status"])
        case ["event", "stopped", _, "memory"]:
            megabytes = job.surroundings.memory >> 20
            return ScriptMemory("OutOfMemory", f"the step's code needs more than its {megabytes} MB of memory")
        case ["event", "stopped", _, "time"]:
            hold = job.surroundings.hold
            return ScriptTimeout(f"the step's code computed for more than {hold:g} s without a pause, and was stopped")
    return ScriptError("Error", f"unexpected: {message!r}")


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
