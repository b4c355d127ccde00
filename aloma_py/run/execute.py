"""One attempt of one run: a transaction on its own copy of the data (SPEC §3.6)."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from aloma_py import jsontext
from aloma_py.changes import diff
from aloma_py.clock import current_run
from aloma_py.errors import ResultError, RunError, StepTimeout
from aloma_py.groups import innermost
from aloma_py.intake import nearly_full
from aloma_py.javascript.job import ScriptError
from aloma_py.models import Change, ErrorInfo, Json, LogLine, Millis
from aloma_py.run.context import RunContext
from aloma_py.run.effects import Effects
from aloma_py.run.pending import Calls, Stopwatch
from aloma_py.run.plain import plain
from aloma_py.run.redaction import Redactor
from aloma_py.run.script import run_script
from aloma_py.store.stash import type_name

LONGEST_TEXT = 8_000
"""How many characters of an error's message, and of its stack, are kept."""


@dataclass(slots=True)
class RunResult:
    """What came of an attempt. With ``error`` the changes and effects are empty: they were discarded."""

    changes: tuple[Change, ...]
    effects: Effects
    logs: tuple[LogLine, ...]
    started_at: Millis
    ended_at: Millis
    error: ErrorInfo | None = None
    raised: BaseException | None = None


async def execute(context: RunContext) -> RunResult:
    """Run the step's code once. Never raises for what the code does; cancellation from outside passes through."""
    clock = context.services.clock
    started = clock.now()
    token = current_run.set(context)
    changes: tuple[Change, ...] = ()
    effects, raised = context.effects, None
    try:
        await _call(context)
        changes = _changes(context)
        _warn_of_secrets(context, changes)
    except Exception as error:
        raised = error
    except anyio.get_cancelled_exc_class():
        if anyio.current_effective_deadline() == float("-inf"):
            raise  # the engine is ending
        raised = RunError("the step's code cancelled itself: it raised a cancellation that nobody had asked for")
    except SystemExit as error:
        raised = RunError(f"the step called exit({error.code!r}); use task.complete() or return")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what an extension module may raise to end the process ends the run only
        raised = RunError(f"the step raised {type(error).__name__}: {error}")
        raised.__cause__ = error
    finally:
        current_run.reset(token)
        context.close()
    if raised is None and context.run_calls.broken is not None:
        raised, changes = context.run_calls.broken, ()
    if raised is not None:
        effects = Effects()
    result = RunResult(
        changes=changes,
        effects=effects,
        logs=context.log.close(),
        started_at=started,
        ended_at=clock.now(),
        error=describe_error(raised, context) if raised is not None else None,
        raised=raised,
    )
    redact = context.redactor()
    if redact:
        _redact(result, redact, context.limits.max_name)
    return result


def _redact(result: RunResult, redact: Redactor, longest_name: int) -> None:
    """Take the secrets out of what is shown beside the data. Subtasks get the data that they were given.

    The error is without them already.
    """
    effects = result.effects
    result.logs = tuple(replace(line, text=redact.text(line.text)) for line in result.logs)
    effects.audit = [
        replace(entry, text=redact.text(entry.text), details=redact(entry.details)) for entry in effects.audit
    ]
    effects.visualizations = [
        replace(picture, name=redact.text(picture.name), data=redact(picture.data), options=redact(picture.options))
        for picture in effects.visualizations
    ]
    effects.subtasks = [replace(child, name=redact.text(child.name)[:longest_name]) for child in effects.subtasks]
    effects.person, effects.tags = redact(effects.person), redact(effects.tags)
    effects.result, effects.on_expire = redact(effects.result), redact(effects.on_expire)
    if effects.name is not None:
        effects.name = redact.text(effects.name)[:longest_name]


def _warn_of_secrets(context: RunContext, changes: tuple[Change, ...]) -> None:
    """Say in the log where the code has put one of the workspace's secrets into data: there it stays, and is seen."""
    holds = context.services.redactor.holds
    if not context.services.secrets:
        return
    places = [
        "data" + "".join(f".{part}" for part in change.path)
        for change in changes
        if change.op != "delete" and change.path[:1] != ("$stash",)
        if holds([part for part in change.path if isinstance(part, str)]) or holds(_but_stash(change.value))
    ]
    places += [
        f"the data of subtask {child.name!r}"
        for child in context.effects.subtasks
        if holds(_but_stash(child.data)) or holds(child.into or "")
    ]
    if places:
        context.log.warning(
            f"a secret was written into {', '.join(places[:3])}{' …' if len(places) > 3 else ''}: "
            "whoever may see the task sees it there; data.$stash keeps it hidden"
        )


def _but_stash(value: Json) -> Json:
    """A value without its ``$stash``, where it is the data as a whole."""
    return {name: member for name, member in value.items() if name != "$stash"} if isinstance(value, dict) else value


async def _call(context: RunContext) -> None:
    """Call the step's function within its time limit, and wait for the calls that it made."""
    step = context.step
    if step.script is not None:
        if not context.interrupted:
            with anyio.CancelScope() as context.scope:
                await run_script(context)
        return
    limit = step.timeout or context.limits.step_timeout
    # Under a debugger a step may stand still for as long as somebody looks at it.
    if context.interrupted:
        return
    watch = Stopwatch(None if sys.gettrace() is not None and not _is_coverage() else limit / 1000)
    context.calls = Calls(in_thread=not step.is_async, watch=watch)
    context.scope, context.watch = watch.scope, watch
    arguments = context.arguments()
    with watch.scope:
        if not step.is_async:
            await anyio.to_thread.run_sync(
                lambda: _in_thread(step.function, arguments), abandon_on_cancel=True, limiter=context.services.threads
            )
        elif _may_call(step.parameters):
            try:
                async with context.calls:
                    await step.function(**arguments)
            except BaseExceptionGroup as group:
                error = innermost(group)  # the step's code is the only one that raises in it
                raise error from error.__cause__  # without the group, and with what lay under the error
        else:
            await step.function(**arguments)
        await context.settle()
    # Whoever interrupted a run drops its result.
    if watch.scope.cancelled_caught and not context.interrupted:
        raise StepTimeout(f"step {step.name!r} ran longer than its time limit of {limit} ms")


def _in_thread(function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Run a ``def`` step. Nobody presses Ctrl-C in its thread: if it raises that, the step did.

    Nor does ``GeneratorExit`` leave it: thrown into what awaits the thread, that would end the engine's own coroutines.
    """
    try:
        function(**arguments)
    except (KeyboardInterrupt, GeneratorExit) as error:
        raise RunError(f"the step raised {type(error).__name__}") from error


def _may_call(parameters: Any) -> bool:
    """Whether the code is given anything through which it can begin a call."""
    return not CALLING.isdisjoint(parameters.values())


CALLING = frozenset({"connectors", "file", "blob", "lib"})


def _is_coverage() -> bool:
    """Whether the trace function only counts lines."""
    trace = sys.gettrace()
    return "coverage" in f"{type(trace).__module__}.{getattr(trace, '__module__', '')}"


def _changes(context: RunContext) -> tuple[Change, ...]:
    """What the code changed, checked: JSON, not too deep, not too large."""
    limits = context.limits
    after = plain(dict(context.data), max_depth=limits.max_depth)
    if "$stash" in after:
        if not isinstance(after["$stash"], dict):
            raise ResultError(f"data.$stash must be an object of confidential values, not {type_name(after['$stash'])}")
        if not after["$stash"]:
            del after["$stash"]
    changes = diff(context.before, after)
    if changes:
        text = jsontext.dumps(after)
        size = len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
        if size > limits.max_data_bytes:
            raise ResultError(f"the data is {size:,} bytes, more than the limit of {limits.max_data_bytes:,} bytes")
        warning = nearly_full(size, limits)
        if warning is not None:
            context.log.warning(warning)
    return changes


PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
"""Where the engine's own code lies: users are not shown its frames."""


def describe_error(error: BaseException, context: RunContext) -> ErrorInfo:
    """An error as data. The stack begins in the step's own code, and has no frames of the engine."""
    frames = traceback.extract_tb(error.__traceback__)
    file = context.step.location.file
    inside = next((n for n, frame in enumerate(frames) if file is not None and frame.filename == file), None)
    outside = [frame for frame in frames[inside:] if not frame.filename.startswith(PACKAGE)]
    stack = "".join(traceback.format_list(outside if inside is not None else []))
    status = getattr(error, "status", None)
    redact = context.redact  # before anything is cut: half a secret would not be found
    if isinstance(error, ScriptError):  # its stack is of the author's own files
        return ErrorInfo(redact(error.name)[:200], _cut(redact(str(error))), _cut(redact(error.stack)), status)
    kind = "UnexpectedCall" if error is context.run_calls.broken else type(error).__name__
    try:
        message = str(error) or kind
    except Exception:  # the class is the step's own, and so is its __str__
        message = kind
    return ErrorInfo(
        redact(kind), _cut(redact(message)), _cut(redact(stack)), status if isinstance(status, int) else None
    )


def _cut(text: str) -> str:
    """A text that may be stored with the data, which has its limit."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text):,} characters)"


def error_member(error: ErrorInfo, attempt: int, at: str) -> dict[str, Json]:
    """What ``$errors.<step>`` holds (SPEC §3)."""
    member = {"message": error.message, "type": error.type, "stack": error.stack, "attempt": attempt, "at": at}
    if error.status is not None:
        member["status"] = error.status
    return member
