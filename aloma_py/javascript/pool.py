"""The workers of an engine: which run goes into which, and what happens when one dies.

Nobody loses a run by a neighbour's fault. When a worker dies, its runs start again in another; those that V8 had, or
may have had, in hand at that moment run alone in a worker of their own first, and one that ends that too has failed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.abc

from aloma_py import jsontext
from aloma_py.groups import unwrapped
from aloma_py.javascript.dialogue import Dialogue
from aloma_py.javascript.job import Job, ScriptMemory, Surroundings
from aloma_py.javascript.link import Link, Message, WorkerDied
from aloma_py.javascript.program import Program


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
        with unwrapped():
            async with anyio.create_task_group() as group:
                self._group, self._users = group, 1
                try:
                    yield
                finally:
                    self._group, self._users = None, 0
                    links, self.links = self.links, []
                    for link in links:
                        link.kill()
                    # Their sockets end by that. To cancel who reads just then would leave a complaint in the log.
                    with anyio.move_on_after(1, shield=True):
                        for link in links:
                            await link.ended.wait()
                    group.cancel_scope.cancel()

    async def run(self, job: Job) -> Message:
        """Run the job's program; gives ``["done", run, patch, ops]``.

        Raises :class:`ScriptError` for what the code throws, :class:`~aloma_py.errors.StepTimeout` and
        :class:`ScriptMemory` for the limits that it passed.
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
        group = self._tasks()
        link = await Link.start()
        self.started += 1
        group.start_soon(link.serve)
        await link.ready()
        return link

    def _tasks(self) -> anyio.abc.TaskGroup:
        if self._group is None:
            raise RuntimeError("the JavaScript workers are not running")
        return self._group

    # ── one run in one worker ───────────────────────────────────────────────────────────────────────────────────

    def _prepare(self, link: Link, around: Surroundings, program: Program) -> int:
        isolate = link.isolate(around.workspace, around.hold, around.memory)
        link.setup(isolate, {"connectors": around.connectors})
        link.load(isolate, around.libraries)
        link.load(isolate, (program,))
        return isolate

    def _enter(self, link: Link) -> int:
        """A number for a run, or a question, in a worker that lives."""
        if not link.alive:
            raise WorkerDied(explained=True)
        self._numbers += 1
        return self._numbers

    async def _attempt(self, link: Link, job: Job, *, again: bool) -> Message:
        spec = await job.spec(again)
        run = self._enter(link)
        isolate = self._prepare(link, job.surroundings, job.program)
        dialogue = Dialogue(link, isolate, run, job, self._tasks())
        link.enter(isolate, run, dialogue)
        try:
            link.post(isolate, run, f'["start",{run},{spec}]')
            return await dialogue.end()
        finally:
            link.leave(isolate, run)

    async def judge(
        self, around: Surroundings, program: Program, data: str, questions: Sequence[str]
    ) -> list[dict[str, Any]]:
        """The answers of a condition's code: ``{"value": …}`` or ``{"error": text}`` for each question."""
        for _ in range(3):
            link = await self._pick()
            try:
                message = await self._ask(link, around, program, f"{data},[{','.join(questions)}]")
            except WorkerDied:
                continue
            if message[0] == "judged":
                answers: list[dict[str, Any]] = message[2]
                return answers
            if message[3] != "neighbour":
                reason = "more memory than it may have" if message[3] == "memory" else "too much time"
                return [{"error": f"the condition's code took {reason}"}] * len(questions)
        return [{"error": "the condition's code ended its worker three times"}] * len(questions)

    async def _ask(self, link: Link, around: Surroundings, program: Program, asked: str) -> Message:
        number = self._enter(link)
        isolate = self._prepare(link, around, program)
        verdict = _Verdict()
        link.enter(isolate, number, verdict)
        try:
            link.post(isolate, number, f'["judge",{number},{jsontext.dumps(program.key)},{asked}]')
            return await verdict.message()
        finally:
            link.leave(isolate, number)


class _Verdict:
    """Waits for the one message that answers a question."""

    def __init__(self) -> None:
        self._told = anyio.Event()
        self._message: Message | None = None
        self._failure: BaseException | None = None

    def put(self, message: Message) -> None:
        self._message = message
        self._told.set()

    def fail(self, error: BaseException) -> None:
        self._failure = error
        self._told.set()

    async def message(self) -> Message:
        await self._told.wait()
        if self._message is not None:
            return self._message
        assert self._failure is not None
        raise self._failure
