"""What needs OpenTelemetry's SDK: the provider of spans, what becomes of its own log, and its end.

The SDK is an extra, so only :mod:`aloma_py.serve.telemetry` imports this, when spans are wanted. Service name, sampler,
endpoint, headers, batches … are read from the environment by the SDK itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import unquote

import anyio
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, DEFAULT_ON

import aloma_py
from aloma_py.run.redaction import HIDDEN, Redactor

logger = logging.getLogger("aloma_py.telemetry")

FLUSH_SECONDS: Final = 2.0
"""How long the end of the server may wait for spans to be sent."""

SELDOM: Final = 60.0
"""Seconds between two lines about one trouble of the SDK."""

CONSOLE_DELAY: Final = 200
"""Milliseconds until a span is on the console."""

KEEP_ALL: Final = (ALWAYS_ON, DEFAULT_ON)
"""Samplers that need not be asked."""

WANTED: ContextVar[tuple[int, int] | None] = ContextVar("aloma_py_wanted_ids", default=None)
"""The ids, of the trace and of the span, that the next span is to have."""

_USER: Final = re.compile(r"//[^/@\s]+@")


class WantedIds(RandomIdGenerator):
    """Gives the ids of :data:`WANTED`; random ones where there are none."""

    def generate_trace_id(self) -> int:
        wanted = WANTED.get()
        return wanted[0] if wanted is not None else super().generate_trace_id()

    def generate_span_id(self) -> int:
        wanted = WANTED.get()
        return wanted[1] if wanted is not None else super().generate_span_id()


def make_provider(processors: Sequence[SpanProcessor]) -> TracerProvider:
    """A provider of spans with the environment's resource and sampler."""
    ours = {"service.name": "aloma_py", "service.version": aloma_py.__version__}
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())  # the environment's word counts
    provider = TracerProvider(resource=resource, id_generator=WantedIds(), shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


@asynccontextmanager
async def provided(exporters: Sequence[str]) -> AsyncIterator[tuple[TracerProvider, Any] | None]:
    """A provider that sends to ``exporters`` (``otlp``, ``console``), and the propagator of the environment.

    ``None`` where the environment asks for what cannot be made; why is logged.
    """
    with _own_log() as told:
        made: list[SpanExporter] = []
        try:
            from opentelemetry.propagate import get_global_textmap  # reads OTEL_PROPAGATORS as it is imported

            made += [_exporter(name) for name in exporters]
            processors = [
                BatchSpanProcessor(one, schedule_delay_millis=CONSOLE_DELAY)
                if isinstance(one, ConsoleSpanExporter)
                else BatchSpanProcessor(one)
                for one in made
            ]
            provider = make_provider(processors)
        except Exception as error:  # whatever the SDK makes of the environment must not keep tasks from running
            logger.warning("no spans are written: %s", _without_user(f"{type(error).__name__}: {error}"))
            yield None
            return
        logger.info("spans of tasks, runs and calls are written (%s)", ", ".join(exporters))
        try:
            yield provider, get_global_textmap()
        finally:
            await _end(provider, made, told)


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter(out=sys.stdout)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


async def _end(provider: TracerProvider, exporters: Sequence[SpanExporter], told: Seldom) -> None:
    """Send what is left, for no longer than :data:`FLUSH_SECONDS`; in a thread that keeps no process from ending."""
    with anyio.CancelScope(shield=True):
        if not await _in_thread(provider.shutdown, FLUSH_SECONDS):
            logger.warning("the last spans could not be sent within %g s", FLUSH_SECONDS)
            told.muted = True
            for exporter in exporters:  # so that it does not go on trying
                await _in_thread(exporter.shutdown, 0.1)


async def _in_thread(work: Callable[[], None], seconds: float) -> bool:
    """Whether ``work`` ended within so many seconds."""
    ended, token = anyio.Event(), anyio.lowlevel.current_token()

    def run() -> None:
        with contextlib.suppress(Exception):
            work()
        with contextlib.suppress(RuntimeError):  # the loop may have ended before
            anyio.from_thread.run_sync(ended.set, token=token)

    threading.Thread(target=run, name="telemetry-end", daemon=True).start()
    with anyio.move_on_after(seconds):
        await ended.wait()
    return ended.is_set()


# ── the SDK's own log ───────────────────────────────────────────────────────────────────────────────────────────────


class Seldom(logging.Handler):
    """Passes the SDK's warnings on to our log: about one trouble, which is one message, one line in a minute."""

    def __init__(self, now: Callable[[], float] = time.monotonic, environ: Mapping[str, str] = os.environ) -> None:
        super().__init__(logging.WARNING)
        self._hidden = Redactor(_credentials(environ))
        self.muted = False
        self._now = now
        self._told: dict[str, tuple[float, int]] = {}  # when it was told last, and how often it came since

    def emit(self, record: logging.LogRecord) -> None:
        if self.muted:
            return
        kind = f"{record.name} {record.msg}"
        at, more = self._told.get(kind, (float("-inf"), 0))
        now = self._now()
        if now - at < SELDOM:
            self._told[kind] = (at, more + 1)
            return
        self._told[kind] = (now, 0)
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({record.exc_info[1]!r})"
        text = self._hidden.text(_without_user(text))
        logger.log(record.levelno, "spans: %s%s", text, f" ({more} more like it)" if more else "")


@contextmanager
def _own_log() -> Iterator[Seldom]:
    """Have the SDK's log in ours while this is open, and nowhere after it: a thread of it may go on for a moment."""
    theirs = logging.getLogger("opentelemetry")
    handler = Seldom()
    theirs.handlers[:] = [handler]
    theirs.propagate = False
    try:
        yield handler
    finally:
        handler.muted = True


def _without_user(text: str) -> str:
    """A text with URLs in it, without the names and passwords in them."""
    return _USER.sub(f"//{HIDDEN}@", text)


def _credentials(environ: Mapping[str, str]) -> set[str]:
    """The headers for the collector, whole and one by one: the SDK logs those that it cannot read."""
    found: set[str] = set()
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"):
        text = environ.get(name, "").strip()
        values = [part.rpartition("=")[2].strip() for part in text.split(",")]
        found |= {text, *values, *map(unquote, values)}
    return found - {""}
