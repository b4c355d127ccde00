"""What happens in a workspace, as it happens: server-sent events (``text/event-stream``).

The engine's commits are put into a ring for each workspace, and that is all that the engine waits for. Whoever listens
reads the ring from the place where it is; who falls so far behind that its place was overwritten, or takes longer than
:data:`SEND_SECONDS` for what it is sent, is disconnected, and goes on with ``Last-Event-ID`` when it comes back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Annotated, Final

import anyio
from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from aloma_py import jsontext
from aloma_py.errors import InputError, NotFoundError
from aloma_py.models import Entry, Json, Millis, Task
from aloma_py.operations import Role
from aloma_py.run.handles import iso
from aloma_py.serve.web.guard import Guard
from aloma_py.serve.web.openapi import documented
from aloma_py.serve.web.problems import AccessError
from aloma_py.serve.web.routes import Finder

KINDS: Final = ("task", "run", "log")

RING: Final = 10_000
"""How many events of a workspace are kept."""

MAX_LISTENERS: Final = 10_000
"""How many may listen at once, in all workspaces."""

LINES: Final = 100
"""How many lines of a run's log become events; the task's log has all of them."""

LONGEST: Final = 2_000
"""Characters of a text in an event; what is longer is cut."""

KEEP_ALIVE: Final = 15.0
"""Seconds after which a comment is sent where nothing else was."""

SEND_SECONDS: Final = 10.0
"""How long a client may take for what it is sent."""

CHECK_SECONDS: Final = 60.0
"""How often it is asked whether the client still may listen."""

AT_ONCE: Final = 100
"""How many events are sent in one go."""

BYTES_AT_ONCE: Final = 32 * 1024
"""After how many bytes no more are: what a client does not read is in memory, for each of them."""

WOKEN: Final = 20
"""How many listeners are woken in one go."""


class Event:
    """``text`` is made when it is first sent, and then shared."""

    __slots__ = ("_facts", "_text", "id", "kind", "task")

    def __init__(self, id: int, kind: str, task: str, facts: dict[str, Json]) -> None:
        self.id, self.kind, self.task = id, kind, task
        self._facts: dict[str, Json] | None = facts
        self._text = b""

    @property
    def text(self) -> bytes:
        if self._facts is not None:
            shown = {"task": self.task, **self._facts, "at": iso(self._facts["at"])}
            data = jsontext.dumps(shown).encode("utf-8", "replace")
            self._text, self._facts = b"id: %d\nevent: %s\ndata: %s\n\n" % (self.id, self.kind.encode(), data), None
        return self._text


class Channel:
    """The events of one workspace. Ids count up by one from ``first``, which no earlier process has given."""

    def __init__(self, first: int, size: int = RING) -> None:
        self.first = first
        self.next = first  # the id of the event to come
        self.listeners: set[Listener] = set()
        self._ring: list[Event | None] = [None] * size
        self._states: dict[str, str] = {}  # of open tasks, as last told
        self._woken = False

    @property
    def oldest(self) -> int:
        """The id of the oldest event that is kept."""
        return max(self.first, self.next - len(self._ring))

    def since(self, id: int) -> Iterator[Event]:
        """The events that are kept, beginning with the one of that id."""
        for number in range(max(id, self.oldest), self.next):
            event = self._ring[number % len(self._ring)]
            assert event is not None
            yield event

    def put(self, task: Task, entries: Sequence[Entry]) -> None:
        """Take in a commit."""
        for entry in entries:
            if entry.kind == "run":
                self._add("run", task, _run(entry))
                for line in entry.logs[:LINES]:
                    self._add("log", task, {"step": entry.step, "n": entry.n, "at": line.at, "level": line.level,
                                            "text": _cut(line.text)})  # fmt: skip
        state = task.state.value
        if self._states.get(task.id) != state:
            if task.state.ended:
                self._states.pop(task.id, None)
            else:
                self._states[task.id] = state
                if len(self._states) > len(self._ring):
                    del self._states[next(iter(self._states))]
            self._add("task", task, {"name": task.name, "state": state, "reason": _cut(task.reason),
                                     "at": task.updated_at})  # fmt: skip
        if self.listeners and not self._woken:
            self._woken = True
            pause = max(0.02, len(self.listeners) * 0.001)  # many listeners are told less often
            asyncio.get_running_loop().call_later(pause, self._wake, None)

    def _add(self, kind: str, task: Task, facts: dict[str, Json]) -> None:
        self._ring[self.next % len(self._ring)] = Event(self.next, kind, task.id, facts)
        self.next += 1

    def _wake(self, waiting: list[Listener] | None) -> None:
        """Wake the listeners, some at a time: between them the engine has its turn."""
        if waiting is None:
            self._woken = False
            waiting = list(self.listeners)
        for listener in waiting[:WOKEN]:
            listener.news.set()
        if len(waiting) > WOKEN:
            asyncio.get_running_loop().call_soon(self._wake, waiting[WOKEN:])


class Listener:
    """Where one client is in a channel: ``place`` is the id of the next event that it is sent."""

    __slots__ = ("channel", "kinds", "news", "place", "silent", "task")

    def __init__(self, channel: Channel, place: int, kinds: Collection[str], task: str | None) -> None:
        self.channel, self.place, self.kinds, self.task = channel, place, kinds, task
        self.news = anyio.Event()
        self.silent = False  # nothing was sent for a while

    def rest(self) -> None:
        """Say that nothing was sent for a while."""
        self.silent = True
        self.news.set()

    @property
    def lost(self) -> bool:
        """Whether events were overwritten before it was sent them."""
        return self.place < self.channel.oldest

    def take(self) -> bytes:
        """The text of the next events, of about as much as may be sent in one go; empty where there are none for it."""
        texts: list[bytes] = []
        size = 0
        for event in self.channel.since(self.place):
            self.place = event.id + 1
            if event.kind in self.kinds and (self.task is None or event.task == self.task):
                texts.append(event.text)
                size += len(event.text)
                if len(texts) == AT_ONCE or size >= BYTES_AT_ONCE:
                    break
        return b"".join(texts)


class Events:
    """The channels of all workspaces. ``watch`` is the watcher to give the house; ``now`` is the time as it begins."""

    def __init__(self, now: Millis, *, keep_alive: float = KEEP_ALIVE, ring: int = RING) -> None:
        self.keep_alive = keep_alive
        self.listening = 0
        self.closed = False
        self._first = now * 1000  # above all that was given before, at less than a million events a second
        self._ring = ring
        self._channels: dict[str, Channel] = {}

    def watch(self, task: Task, entries: Sequence[Entry]) -> None:
        """A :data:`~aloma_py.custody.Watcher`."""
        self.channel(task.workspace).put(task, entries)

    def channel(self, workspace: str) -> Channel:
        found = self._channels.get(workspace)
        if found is None:
            found = self._channels[workspace] = Channel(self._first, self._ring)
        return found

    def close(self) -> None:
        """End all streams: the server is about to stop."""
        self.closed = True
        for channel in self._channels.values():
            for listener in channel.listeners:
                listener.news.set()


class EventStream(Response):
    """The stream of one client, from ``after`` (the last event it had; ``None``: from now).

    ``allowed`` raises :class:`AccessError` once the client may not listen any more.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: Events, listener: Listener, after: int | None, allowed: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        self._events, self._listener, self._after, self._allowed = events, listener, after, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        channel = self._listener.channel
        channel.listeners.add(self._listener)
        self._events.listening += 1
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._until_gone, receive, group.cancel_scope)
                await self._stream(send)
                group.cancel_scope.cancel()
        finally:
            channel.listeners.discard(self._listener)
            self._events.listening -= 1

    async def _until_gone(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _stream(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        text = self._greeting()
        begun = anyio.current_time()
        while True:
            with anyio.move_on_after(SEND_SECONDS) as scope:
                await send({"type": "http.response.body", "body": text, "more_body": True})
            if scope.cancelled_caught:
                return  # it does not read
            if anyio.current_time() - begun > CHECK_SECONDS:
                begun = anyio.current_time()
                if not await self._still_allowed():
                    break
            text = await self._next()
            if not text:
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> bytes:
        """What to send next; a comment where nothing happens, and nothing where the stream is to end."""
        listener, loop = self._listener, asyncio.get_running_loop()
        while not (self._events.closed or listener.lost):
            text = listener.take()
            if text:
                listener.silent = False
                return text
            if listener.silent:
                listener.silent = False
                return b": alive\n\n"
            listener.news = anyio.Event()
            # A timer that wakes it: to be cancelled and to catch that would cost several times as much.
            timer = loop.call_later(self._events.keep_alive * random.uniform(0.8, 1), listener.rest)
            try:
                await listener.news.wait()
            finally:
                timer.cancel()
        return b""

    def _greeting(self) -> bytes:
        """How long to wait before coming back, and either where it is now or that it has missed something."""
        listener, channel, after = self._listener, self._listener.channel, self._after
        if after is not None and channel.oldest - 1 <= after < channel.next:
            listener.place = after + 1
            return b"retry: 2000\n: on\n\n"
        listener.place = channel.next
        last = b"retry: 2000\nid: %d\n" % (channel.next - 1)
        return last + (b"\n" if after is None else b'event: reset\ndata: {"reason":"the events are not kept"}\n\n')

    async def _still_allowed(self) -> bool:
        try:
            await self._allowed()
        except AccessError:
            return False
        return True


def events_router(find: Finder, guard: Guard, events: Events) -> APIRouter:
    """``GET /workspaces/{workspace}/events``."""
    router = APIRouter()

    @router.get(
        "/workspaces/{workspace}/events",
        summary="What happens in the workspace, as it happens.",
        tags=["events"],
        **documented(
            "follow_events", 200, "events: task, run, log, reset", 401, 404, 422, 429, media="text/event-stream"
        ),
    )
    async def follow_events(
        request: Request,
        workspace: str,
        task: Annotated[str | None, Query(description="only of the task of this id")] = None,
        kinds: Annotated[list[str] | None, Query(description="only task, run, log; again, or with commas")] = None,
        last_event_id: Annotated[str | None, Header()] = None,
        after: Annotated[str | None, Query(description="as Last-Event-ID")] = None,
    ) -> Response:
        async def allowed() -> None:
            (await guard.identify(request)).caller(workspace, Role.VIEWER)

        await allowed()
        await find(workspace).site.check_workspace()
        if events.listening >= MAX_LISTENERS:
            raise AccessError(429, f"{MAX_LISTENERS:,} clients listen already", retry_after=30)
        place = _read_id(last_event_id if last_event_id is not None else after)
        channel = events.channel(workspace)
        return EventStream(events, Listener(channel, channel.next, read_kinds(kinds), task), place, allowed)

    return router


def read_kinds(given: Sequence[str] | None) -> frozenset[str]:
    """The kinds that are asked for, all where none is; :class:`NotFoundError` for one that there is not."""
    words = [word.strip() for text in given or () for word in text.split(",") if word.strip()]
    for word in words:
        if word not in KINDS:
            raise NotFoundError("kind of event", word, KINDS)
    return frozenset(words or KINDS)


def _read_id(text: str | None) -> int | None:
    if text is None or not text.strip():
        return None
    if not text.strip().isascii() or not text.strip().isdigit() or len(text) > 20:
        raise InputError(f"Last-Event-ID is {text[:40]!r}; the id of an event was expected, a whole number")
    return int(text)


def _run(entry: Entry) -> dict[str, Json]:
    error = entry.error
    return {
        "step": entry.step,
        "n": entry.n,
        "wave": entry.wave,
        "attempt": entry.attempt,
        "outcome": entry.outcome,
        "ms": entry.ended_at - entry.started_at,
        "at": entry.ended_at,
        "error": None if error is None else {"type": error.type, "message": _cut(error.message)},
    }


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= LONGEST else f"{text[:LONGEST]}…"
