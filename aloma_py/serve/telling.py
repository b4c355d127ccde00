"""Telling people and programs of tasks that failed: one loop makes digests, others deliver them.

Nothing is noticed while tasks run: the store itself numbers what fails, with the task and in its transaction. Here it
is looked at once a minute. A digest is cut, its messages written, in one transaction, so that a process that is killed
at any moment neither forgets a failure nor puts it into two digests; a message is delivered at least once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
import anyio.abc
import anyio.to_thread
import httpx2

from aloma_py.clock import Clock, SystemClock, wait_for
from aloma_py.errors import AlomaError, StoreError
from aloma_py.models import Json, Millis
from aloma_py.notify.delivery import Post
from aloma_py.notify.digest import Digest, Failure, one_line
from aloma_py.notify.mail import NO_SERVER, read_server
from aloma_py.notify.outcome import GIVE_UP, Outcome, next_attempt
from aloma_py.notify.targets import SHORTEST, is_valid, kind_of, place_shown
from aloma_py.operations.notifications import naming, new_message_id
from aloma_py.run.redaction import NOTHING, Redactor
from aloma_py.settings import Settings
from aloma_py.store.news import notification_news, schedule_news
from aloma_py.store.notifications import Audience, Failed, Message, Notifications
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.variables import Variables
from aloma_py.store.workspaces import WorkspaceRecords

logger = logging.getLogger("aloma_py.serve")

LOOK: Final[Millis] = 60_000
"""How often it is looked at what failed. No digest comes sooner than 15 minutes after what it tells."""

RETRY: Final[Millis] = 5_000
"""How soon it is tried again to read or write what the store could not."""

LANES: Final[Mapping[bool, int]] = {False: 4, True: 16}
"""How many mails (``False``), and how many webhooks (``True``), are under way at once: one side waits not for the
other."""


class Telling:
    """Tells of what fails in ``store``. Raises :class:`~aloma_py.errors.InputError` for a mail server that is none.

    ``transport`` is for tests.
    """

    def __init__(
        self,
        store: SQLiteStore,
        settings: Settings,
        clock: Clock | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.post = Post(read_server(settings.smtp, settings.mail_from), transport)
        self._public_url = settings.public_url
        self._store = store
        self._kept = Notifications(store)
        self._look, self._deliver_now = anyio.Event(), anyio.Event()
        self._under_way: dict[int, bool] = {}  # messages that are being delivered; whether to a webhook
        self._unwritten: dict[int, tuple[Message, Outcome]] = {}  # what came of attempts and is not stored yet
        schedule_news.listen(store, self.look)
        notification_news.listen(store, self.look)

    def look(self) -> None:
        """Look at once: who is told was changed, or a message is to be tried again."""
        self._look.set()
        self._deliver_now.set()

    async def run(self) -> None:
        """Tell of what fails, for ever."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_cutting)
            while True:
                self._deliver_now = anyio.Event()
                await wait_for(self._deliver_now, self.clock, await self.start_due(group))

    async def once(self) -> Millis:
        """Make the digests that are due, and deliver what is due now; gives when to look again."""
        at = await self.cut()
        async with anyio.create_task_group() as group:
            await self.start_due(group)
        return min(at, self._soonest(self.clock.now()))

    async def _keep_cutting(self) -> None:
        while True:
            self._look = anyio.Event()
            await wait_for(self._look, self.clock, await self.cut())

    # ── digests ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def cut(self) -> Millis:
        """Make the digests that are due now; gives when to look again."""
        now = self.clock.now()
        try:
            named = naming(WorkspaceRecords(self._store).all())
            await self._kept.sync_direct({name: _direct(name) for name in named if is_valid(name)}, now)
            due = await self._plan(named, now)
            async with anyio.create_task_group() as group:  # all at once, so that they share a transaction
                for audience in due:
                    group.start_soon(self._cut_one, audience, named[audience.name], now)
            soonest = [one.next_at for one in self._kept.audiences() if one.next_at is not None]
            return max(min([now + LOOK, *soonest]), now + RETRY)
        except Exception as error:  # a store that cannot be read now: what is to be told stays there
            _log_trouble("what failed could not be looked at; it is tried again: %s", error)
            return now + RETRY

    async def _plan(self, named: Mapping[str, list[str]], now: Millis) -> list[Audience]:
        """Write down when digests are due; gives those whose time has come."""
        newest = self._kept.newest()
        next_at: dict[str, Millis] = {}
        told_until: dict[str, int] = {}
        due = []
        for one in self._kept.audiences():
            at = one.next_at
            if one.name not in named:
                if one.told_until < newest or at is not None:
                    told_until[one.name] = newest
                continue
            if at is None:
                first = self._kept.first_failure(named[one.name], one.told_until, newest)
                if first is None:
                    if one.told_until < newest:
                        told_until[one.name] = newest
                    continue
                at = next_at[one.name] = min(first, now) + one.options["every"]
            if at <= now:
                due.append(one)
        await self._kept.plan(next_at, told_until)
        return due

    async def _cut_one(self, audience: Audience, workspaces: list[str], now: Millis) -> None:
        """Make one digest; what goes wrong with it keeps none of the others."""
        try:
            until = self._kept.newest()
            content = await self._content(audience, workspaces, until, now)
            messages = []
            if content is not None:
                messages = [(target, {"id": new_message_id(), "content": content}) for target in audience.targets]
            if await self._kept.cut(audience, until, messages, now) and content is not None:
                self._deliver_now.set()
                logger.info("%s is told: %s", place_shown(audience.name), content["text"])
                if self.post.server is None and any(kind_of(target) == "address" for target in audience.targets):
                    logger.warning("mails for %s wait: %s", place_shown(audience.name), NO_SERVER)
        except Exception as error:
            _log_trouble(f"the digest for {place_shown(audience.name)!r} is made later: %s", error)

    async def _content(
        self, audience: Audience, workspaces: list[str], until: int, now: Millis
    ) -> dict[str, Json] | None:
        """The digest of what failed up to number ``until``; ``None`` where nothing does any more.

        It is read and made page by page, in threads: there may be very many, and the engine has its turns.
        """
        digest, recovered, last = Digest(), 0, audience.told_until
        redactors = {name: self._redactor(name) for name in workspaces}
        since = self._kept.first_failure(workspaces, audience.told_until, until)
        while page := await self._kept.failed(workspaces, last, until):
            last = page[-1].no
            still = [one for one in page if one.state in ("error", "attention")]
            recovered += len(page) - len(still)
            await anyio.to_thread.run_sync(_add, digest, still, redactors)
        if not digest.tasks or since is None:
            return None
        return digest.finish(
            place_shown(audience.name),
            since=min(since, now),
            until=now,
            every=audience.options["every"],
            recovered=recovered,
            public_url=self._public_url,
        )

    def _redactor(self, workspace: str) -> Redactor | None:
        """What takes out secrets that were set after something was stored; ``None`` where they cannot be read."""
        try:
            found = Variables(self._store, workspace).secrets()
        except StoreError as error:
            logger.warning("the errors of workspace %r are told without their text: %s", workspace, error)
            return None
        return Redactor(found) if found else NOTHING

    # ── delivering ──────────────────────────────────────────────────────────────────────────────────────────────

    async def start_due(self, group: anyio.abc.TaskGroup) -> Millis:
        """Begin to deliver, in ``group``, what is due now; gives when to look again."""
        now = self.clock.now()
        try:
            for message, outcome in list(self._unwritten.values()):
                await self._write(message, outcome)
            if self.post.server is None:
                given_up = await self._kept.hold_mails(NO_SERVER, now - GIVE_UP)
                if given_up:
                    logger.error("mails were given up after 3 days (%d): %s", given_up, NO_SERVER)
            for webhooks, free in self._lanes().items():
                for message in self._kept.due(now, webhooks=webhooks, but=self._busy(), limit=free):
                    self._under_way[message.no] = webhooks
                    group.start_soon(self._deliver, message)
            return self._soonest(now)
        except Exception as error:
            _log_trouble("notifications could not be looked at; it is tried again: %s", error)
            return now + RETRY

    def _lanes(self) -> dict[bool, int]:
        """How many more of each kind may be begun, where any may; no mails without a server."""
        under_way = list(self._under_way.values())
        free = {webhooks: most - under_way.count(webhooks) for webhooks, most in LANES.items()}
        return {webhooks: left for webhooks, left in free.items() if left and (webhooks or self.post.server)}

    def _busy(self) -> set[int]:
        return {*self._under_way, *self._unwritten}

    def _soonest(self, now: Millis) -> Millis:
        """When a delivery is to be begun. Where all of a kind are busy, the end of one says so."""
        found = [self._kept.soonest(webhooks=webhooks, but=self._busy()) for webhooks in self._lanes()]
        again = now + (RETRY if self._unwritten else LOOK)
        return min([again, *(at for at in found if at is not None)])

    async def _deliver(self, message: Message) -> None:
        now, webhook = self.clock.now(), self._under_way[message.no]
        try:
            try:
                secret = self._kept.secret(message.audience) if webhook else None
                outcome = await self.post.deliver(
                    message.target,
                    message.body["id"],
                    message.body["content"],
                    secret=secret,
                    at=message.created_at,
                    now=now,
                )
            except Exception as error:
                _log_trouble(f"notification {message.no} could not be delivered: %s", error)
                outcome = Outcome(False, one_line(str(error)) or type(error).__name__)
            with anyio.CancelScope(shield=True):  # what was delivered is not to be delivered again
                await self._write(message, outcome)
        finally:
            del self._under_way[message.no]
            self._deliver_now.set()

    async def _write(self, message: Message, outcome: Outcome) -> None:
        """Store what came of an attempt; where that cannot be done it is kept here, and the message not sent again."""
        now, where = self.clock.now(), place_shown(message.target)
        next_at = None
        if not outcome.delivered and not outcome.final:
            next_at = next_attempt(message.attempts + 1, message.created_at, now, outcome.wait)
        state = "delivered" if outcome.delivered else "failed" if next_at is None else "waiting"
        try:
            await self._kept.attempted(message.no, state, next_at, None if outcome.delivered else outcome.answer)
        except Exception as error:
            self._unwritten[message.no] = (message, outcome)
            _log_trouble(f"what became of notification {message.no} is not stored yet: %s", error)
            return
        self._unwritten.pop(message.no, None)
        if state == "failed":
            logger.error("notification %d to %s is given up: %s", message.no, where, outcome.answer)
        elif state == "waiting":
            logger.warning("notification %d to %s waits for another attempt: %s", message.no, where, outcome.answer)
        else:
            logger.info("notification %d was delivered to %s", message.no, where)


def _add(digest: Digest, failed: Sequence[Failed], redactors: Mapping[str, Redactor | None]) -> None:
    digest.add(_readable(one, redactors[one.workspace]) for one in failed)


def _readable(one: Failed, redact: Redactor | None) -> Failure:
    """A failure as it is told: one line of each text, without the workspace's secrets."""
    name, kind, text = "", "", "its text cannot be shown now"
    if redact is not None:  # before anything is cut: half a secret would not be found
        why = one.message if one.message is not None else one.reason
        name, kind, text = redact.text(one.name), redact.text(one.type or ""), redact.text(why or "")
    message = one_line(text) or "no reason was given"
    return Failure(one.workspace, one.id, one_line(name), one.state, one.at, one.step, one_line(kind) or None, message)


def _direct(entry: str) -> dict[str, Json]:
    """The options of an address that workspaces name directly."""
    webhook = kind_of(entry) == "webhook"
    return {"addresses": [] if webhook else [entry], "webhooks": [entry] if webhook else [], "every": SHORTEST}


def _log_trouble(text: str, error: Exception) -> None:
    """One line for what is expected to go wrong, a traceback for anything else."""
    known = isinstance(error, AlomaError)
    logger.log(logging.WARNING if known else logging.ERROR, text, error, exc_info=None if known else error)
