"""What is said between a run in V8 and the engine, until the run ends.

A run has no task of its own while V8 is at work: what V8 says is taken where it is read from the worker's socket, and
only the calls that it asks for become tasks.
"""

from __future__ import annotations

import contextvars
from typing import Any

import anyio
import anyio.abc

from aloma_py import jsontext
from aloma_py.errors import StepTimeout
from aloma_py.javascript.job import Job, ScriptError, ScriptMemory
from aloma_py.javascript.link import Link, Message, WorkerDied


class Dialogue:
    """One attempt of a run in one worker. ``calls`` is where the tasks of its calls run."""

    __slots__ = (
        "_calls", "_context", "_ended", "_failure", "_isolate", "_job", "_link", "_message", "_run", "_scopes",
        "_stopped", "_waiting",
    )  # fmt: skip

    def __init__(self, link: Link, isolate: int, run: int, job: Job, calls: anyio.abc.TaskGroup) -> None:
        self._link = link
        self._isolate = isolate
        self._run = run
        self._job = job
        self._calls = calls
        self._context = contextvars.copy_context()  # the calls are the run's, not the reader's
        self._ended = anyio.Event()
        self._message: Message | None = None
        self._failure: BaseException | None = None
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._waiting: anyio.CancelScope | None = None  # the wait of a run for nothing
        self._stopped: anyio.Event | None = None  # set when no call is left

    # ── what V8 says ────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, message: Message) -> None:
        """Take a message of the run."""
        if self._ended.is_set():
            return
        match message:
            case ["log", _, level, line]:
                self._job.log(level, line)
            case ["stash", _, value]:
                self._job.stash(value)
            case ["call", _, number, kind, arguments]:
                if self._waiting is not None:
                    self._waiting.cancel()
                    self._waiting = None
                scope = self._scopes[number] = anyio.CancelScope()
                self._context.run(self._calls.start_soon, self._answer, scope, number, kind, arguments)
            case ["clear", _, number]:
                if number in self._scopes:
                    self._scopes[number].cancel()
            case ["idle", *_]:
                if self._waiting is None and all(scope.cancel_called for scope in self._scopes.values()):
                    self._waiting = anyio.CancelScope()
                    self._calls.start_soon(self._wait_for_nothing, self._waiting)
            case ["event", "stopped", _, "neighbour"]:
                self.fail(WorkerDied(explained=True))
            case _:
                self._message = message
                self._ended.set()

    def fail(self, error: BaseException) -> None:
        """End the run with an error that is not of its code."""
        if not self._ended.is_set():
            self._failure = error
            self._ended.set()

    async def _wait_for_nothing(self, scope: anyio.CancelScope) -> None:
        with scope:
            await anyio.sleep(self._job.limit)
            self.fail(
                StepTimeout(
                    f"the step waited for {self._job.limit:g} s for something that did not come: "
                    "no call and no timer is under way"
                )
            )

    # ── what the engine answers ─────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, scope: anyio.CancelScope, number: int, kind: str, arguments: list[Any]) -> None:
        try:
            with scope:
                text = await self._text_of(number, kind, arguments)
                if not self._ended.is_set():
                    self._link.post(self._isolate, self._run, text)
        except anyio.get_cancelled_exc_class():
            raise  # the engine is ending
        except BaseException as error:  # it is the run that fails of it, not those beside it
            self.fail(error)
        finally:
            # A timer that repeats is under way again under its number, maybe: that one is not this one.
            if self._scopes.get(number) is scope:
                del self._scopes[number]
            if self._stopped is not None and not self._scopes:
                self._stopped.set()

    async def _text_of(self, number: int, kind: str, arguments: list[Any]) -> str:
        try:
            answer = jsontext.dumps(await self._job.call(kind, arguments))
        except Exception as error:
            told = {
                "name": type(error).__name__,
                "message": str(error),
                "status": getattr(error, "status", None),
                "kinds": [kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("aloma_py.")],
            }
            return f'["no",{self._run},{number},{jsontext.dumps(told)}]'
        return f'["ok",{self._run},{number},{answer}]'

    # ── the run's end ───────────────────────────────────────────────────────────────────────────────────────────

    async def end(self) -> Message:
        """Wait for ``["done", run, patch, ops]``. Raises what ended the run otherwise; its calls are ended with it."""
        try:
            await self._ended.wait()
        finally:
            if self._message is None or self._message[0] == "event":
                self._link.post(self._isolate, self._run, f'["kill",{self._run}]')
            self._ended.set()
            if self._waiting is not None:
                self._waiting.cancel()
            if self._scopes:
                await self._stop_calls()
        if self._failure is not None:
            raise self._failure
        assert self._message is not None
        if self._message[0] == "done":
            return self._message
        raise failure(self._message, self._job)

    async def _stop_calls(self) -> None:
        self._stopped = anyio.Event()
        for scope in list(self._scopes.values()):
            scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._stopped.wait()


def failure(message: Message, job: Job) -> Exception:
    """The error that a message tells of."""
    match message:
        case ["fail", _, error]:
            if error["name"] == "StepTimeout":
                return StepTimeout(error["message"])
            return ScriptError(error["name"], error["message"], error["stack"], error["status"], error.get("kinds", ()))
        case ["event", "stopped", _, "memory"]:
            megabytes = job.surroundings.memory >> 20
            return ScriptMemory("OutOfMemory", f"the step's code needs more than its {megabytes} MB of memory")
        case ["event", "stopped", _, "time"]:
            hold = job.surroundings.hold
            return StepTimeout(f"the step's code computed for more than {hold:g} s without a pause, and was stopped")
    return ScriptError("Error", f"unexpected: {message!r}")
