"""OpenTelemetry spans of tasks, runs and calls, made after the fact of what the engine tells its watchers.

One trace a task: its id, and those of the spans that others are below, are derived from the task's id. So what happened
before a restart, and in another process, is of the same trace, though nothing is stored for it.

::

    task                       written when it ends; a subtask's own trace links to its parent's
    ├─ run validate            one for each attempt
    │  └─ call crm.find        one for each call that was recorded
    └─ run ship
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from aloma_py.models import Call, Entry, Millis, Task, TaskState
from aloma_py.run.redaction import HIDDEN

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from aloma_py.engine import Engine

logger = logging.getLogger("aloma_py.telemetry")

REMEMBERED: Final = 10_000
"""How many ended tasks are remembered, to tell a second end from the first."""

LONGEST: Final = 2_000
"""Characters of an error's message in a span; what is longer is cut."""

_QUERY: Final = re.compile(
    r"""(\b[a-z][a-z0-9+.-]*://(?:HIDDEN|[^\s?'"<>])*)\?(?:HIDDEN|[^\s'"<>])*?(?=[:.,;)\]]*(?:[\s'"<>]|$))""".replace(
        "HIDDEN", re.escape(HIDDEN)
    ),
    re.IGNORECASE,
)
"""The query of a URL, without what follows it in a sentence."""

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.ASCII)

Attributes = dict[str, str | int | bool]

_active: Spans | None = None


def trace_id_of(task_id: str) -> int:
    """The id of the task's trace. It tells nothing of the task's."""
    return _derived(16, task_id)


def span_id_of(task_id: str, *what: str | int) -> int:
    """The id of a span of the task's trace: of the task itself, of a run (``wave, step``), of a call (``key, …``)."""
    return _derived(8, task_id, *what)


def without_queries(text: str) -> str:
    """A text with URLs in it, without what is behind their question marks: tokens and people's data often are.

    >>> without_queries("fetch https://x/a?key=1: no answer")
    'fetch https://x/a?…: no answer'
    """
    return _QUERY.sub(r"\1?…", text) if "?" in text else text


def _derived(size: int, *what: str | int) -> int:
    text = "\0".join(map(str, what)).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=size, person=b"aloma trace").digest(), "big") or 1


def shown_trace_id(task_id: str) -> str | None:
    """The trace of a task as logs show it; ``None`` where no spans are written."""
    return None if _active is None else f"{trace_id_of(task_id):032x}"


class Spans:
    """Writes spans to ``provider``. ``attach`` has an engine tell what they are made of.

    ``propagator`` is what writes the headers that carry a trace to the services that are called; ``None`` where they
    are to get none.
    """

    def __init__(self, provider: TracerProvider, propagator: Any = None) -> None:
        from aloma_py.serve.telemetry_sdk import KEEP_ALL, WANTED

        self._wanted = WANTED
        self._sampler = None if provider.sampler in KEEP_ALL else provider.sampler
        self._tracer = provider.get_tracer("aloma_py")
        self._propagator = propagator
        self._ended: dict[str, Millis | None] = {}  # tasks that ended; since when they go on, if they do

    def attach(self, engine: Engine) -> None:
        """Be told of the engine's commits and calls, and have the calls carry the trace."""
        engine.custody.watchers.append(self.watch)
        engine.custody.call_watchers.append(self.watch_call)
        if self._propagator is not None:
            engine.runner.services.broker.trace_headers = self.headers

    # ── what is told ────────────────────────────────────────────────────────────────────────────────────────────

    def watch(self, task: Task, entries: Sequence[Entry]) -> None:
        """A :data:`~aloma_py.custody.Watcher`."""
        ended = _ends(task) and self._ended.get(task.id, 0) is not None
        if not (entries or ended):
            return
        trace = trace_id_of(task.id)
        if self._is_sampled(trace):
            above = self._above(trace, span_id_of(task.id))
            for entry in entries:
                if entry.kind == "run":
                    self._write_run(task, entry, above)
            if ended:
                self._write_task(task, trace, above)
        if ended:
            self._ended[task.id] = None
            if len(self._ended) > REMEMBERED:
                del self._ended[next(iter(self._ended))]
        elif not task.state.ended and self._ended.get(task.id, 0) is None:
            self._ended[task.id] = task.updated_at

    def watch_call(self, task: Task, call: Call) -> None:
        """A :data:`~aloma_py.custody.CallWatcher`: the call is one of a run of the wave under way."""
        trace = trace_id_of(task.id)
        if not self._is_sampled(trace):
            return
        attributes: Attributes = {
            "aloma.workspace": task.workspace,
            "aloma.task.id": task.id,
            "aloma.step": call.step,
            "aloma.connector": call.connector,
            "aloma.method": call.method,
            "aloma.run.attempt": call.attempt,
            "aloma.call.outcome": call.outcome,
        }
        status, error = _status_of(call), None
        if status is not None:
            attributes["http.response.status_code"] = status
        if call.outcome == "raised":
            error = (str(call.answer["type"]), str(call.answer["message"]))
        elif status is not None and status >= 400:
            error = (str(status), "")
        self._write(
            f"call {call.connector}.{call.method}",
            self._above(trace, span_id_of(task.id, task.cycle.wave + 1, call.step)),
            (trace, span_id_of(task.id, call.key, call.attempt)),
            (call.started_at, call.ended_at),
            attributes,
            kind=SpanKind.CLIENT,
            error=error,
        )

    def headers(self, task_id: str, key: str, attempt: int) -> Mapping[str, str]:
        """The headers by which the service that a call goes to goes on with the task's trace."""
        trace = trace_id_of(task_id)
        found: dict[str, str] = {}
        above = self._above(trace, span_id_of(task_id, key, attempt), sampled=self._is_sampled(trace))
        try:
            self._propagator.inject(found, above)
        except Exception:  # one that was plugged in: the call is made all the same
            logger.exception("OTEL_PROPAGATORS: no headers for the call of task %s", task_id)
            return {}
        return found

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _write_task(self, task: Task, trace: int, above: Context) -> None:
        """The root; of a task that ended before and went on, a span of its own below the root."""
        attributes: Attributes = {
            "aloma.workspace": task.workspace,
            "aloma.task.id": task.id,
            "aloma.task.state": task.state.value,
            "aloma.task.waves": task.cycle.wave,
        }
        via = task.data.get("$via")
        if isinstance(via, dict) and isinstance(via.get("type"), str):
            attributes["aloma.task.source"] = via["type"]
        if task.parent is not None:
            attributes["aloma.task.parent"] = task.parent
        again = self._ended.get(task.id)
        if again is not None:
            attributes["aloma.task.resumed"] = True
        assert task.ended_at is not None
        ids = trace, span_id_of(task.id, *(("again", task.revision) if again is not None else ()))
        self._write(
            "task",
            above if again is not None else Context(),
            ids,
            (task.created_at if again is None else again, task.ended_at),
            attributes,
            links=_links(task),
            error=(None, task.reason or "") if task.state is TaskState.ERROR else None,
        )

    def _write_run(self, task: Task, entry: Entry, above: Context) -> None:
        assert entry.step is not None and entry.wave is not None
        attributes: Attributes = {
            "aloma.workspace": task.workspace,
            "aloma.task.id": task.id,
            "aloma.step": entry.step,
            "aloma.run.n": entry.n,
            "aloma.run.wave": entry.wave,
            "aloma.run.attempt": entry.attempt,
            "aloma.run.outcome": entry.outcome,
        }
        if entry.version is not None:
            attributes["aloma.step.version"] = entry.version
        self._write(
            f"run {entry.step}",
            above,
            (0, span_id_of(task.id, entry.wave, entry.step)),
            (entry.started_at, entry.ended_at),
            attributes,
            error=None if entry.error is None else (entry.error.type, entry.error.message),
        )

    def _write(
        self,
        name: str,
        above: Context,
        ids: tuple[int, int],
        span: tuple[Millis, Millis],
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
        error: tuple[str | None, str] | None = None,
    ) -> None:
        """``error`` is its type, where there is one, and its message."""
        if error is not None and error[0] is not None:
            attributes["error.type"] = error[0]
        start, end = span
        token = self._wanted.set(ids)
        try:
            written = self._tracer.start_span(
                name, above, kind=kind, attributes=attributes, links=links, start_time=start * 1_000_000
            )
        finally:
            self._wanted.reset(token)
        if error is not None:
            written.set_status(Status(StatusCode.ERROR, without_queries(error[1])[:LONGEST] or None))
        written.end(max(start, end) * 1_000_000)

    def _is_sampled(self, trace: int) -> bool:
        """Whether the root is, or will be, kept: what is below it must be told before there is a root."""
        if self._sampler is None:
            return True
        decision = self._sampler.should_sample(Context(), trace, "task", SpanKind.INTERNAL).decision
        return decision is decision.RECORD_AND_SAMPLE

    def _above(self, trace: int, span: int, *, sampled: bool = True) -> Context:
        """Where the spans below that one are."""
        return set_span_in_context(NonRecordingSpan(_context(trace, span, sampled=sampled)), Context())


def _ends(task: Task) -> bool:
    """Whether this commit ended the task; what is committed to one that had ended does not."""
    return task.ended_at is not None and task.state.ended and task.updated_at <= task.ended_at


def _links(task: Task) -> list[Link]:
    """To the parent's trace, and to that of the request that made the task."""
    links = []
    if task.parent is not None:
        above = _context(trace_id_of(task.parent), span_id_of(task.parent), sampled=True)
        links.append(Link(above, {"aloma.link": "parent"}))
    via = task.data.get("$via")
    headers = via.get("headers") if isinstance(via, dict) and via.get("type") == "webhook" else None
    given = headers.get("traceparent") if isinstance(headers, dict) else None
    found = _TRACEPARENT.fullmatch(given) if isinstance(given, str) else None
    if found is not None:
        request = _context(int(found[1], 16), int(found[2], 16), sampled=True)
        if request.is_valid:
            links.append(Link(request, {"aloma.link": "request"}))
    return links


def _context(trace: int, span: int, *, sampled: bool) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(trace, span, is_remote=False, trace_flags=flags)


def _status_of(call: Call) -> int | None:
    """The HTTP status of what was answered: that of an error, or what fetch gave."""
    if not isinstance(call.answer, dict) or not (call.outcome == "raised" or call.connector == "fetch"):
        return None
    status = call.answer.get("status")
    return status if type(status) is int and 100 <= status <= 599 else None


# ── on and off ──────────────────────────────────────────────────────────────────────────────────────────────────────


def exporters_wanted(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Which exporters the environment asks for: of ``otlp`` and ``console``; none where telemetry is off.

    Where ``OTEL_TRACES_EXPORTER`` says nothing, an endpoint asks for ``otlp``.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    protocols = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    endpoints = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    has_endpoint = any(environ.get(name, "").strip() for name in endpoints)
    words = (environ.get("OTEL_TRACES_EXPORTER", "").strip() or "otlp").lower().split(",")
    asked = [word.strip() for word in words if word.strip()]
    for word in asked:
        if word not in ("otlp", "console", "none"):
            logger.warning("OTEL_TRACES_EXPORTER names %r; otlp, console and none are known here", word)
    found = tuple(word for word in ("otlp", "console") if word in asked and (word != "otlp" or has_endpoint))
    protocol = next((environ[name] for name in protocols if environ.get(name)), "http/protobuf")
    if "otlp" in found and protocol.strip().lower() != "http/protobuf":
        text = "OTEL_EXPORTER_OTLP_PROTOCOL is %r; spans are sent as http/protobuf, which collectors take at port 4318"
        logger.warning(text, protocol)
    return found


@asynccontextmanager
async def opened(environ: Mapping[str, str] = os.environ) -> AsyncIterator[Spans | None]:
    """Spans as the environment asks for them while this is open, ``None`` where it does not.

    What was not sent at the end is sent then, within :data:`~aloma_py.serve.telemetry_sdk.FLUSH_SECONDS`.
    """
    global _active
    wanted = exporters_wanted(environ)
    if not wanted:
        yield None
        return
    try:
        from aloma_py.serve.telemetry_sdk import provided
    except ImportError as error:
        logger.warning("no spans are written: %s; to have them: pip install 'aloma-py[telemetry]'", error)
        yield None
        return
    async with provided(wanted) as found:
        if found is None:
            yield None
            return
        _active = Spans(*found)
        try:
            yield _active
        finally:
            _active = None
