"""Operations on notifications: who is told of tasks that failed, and what became of the messages."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio

from aloma_py.errors import NotFoundError, StateError
from aloma_py.models import Json, Millis
from aloma_py.notify.delivery import Post
from aloma_py.notify.digest import make_test
from aloma_py.notify.mail import read_server
from aloma_py.notify.targets import (
    SHORTEST,
    check_address,
    check_every,
    check_group_name,
    check_targets,
    check_webhook,
    is_valid,
    kind_of,
    place_shown,
)
from aloma_py.notify.webhook import check_secret, new_secret
from aloma_py.operations.answers.notifications import GroupDeleted, GroupMade, GroupShown, MessageShown, Tried
from aloma_py.operations.paging import check_limit, cut, read_cursor
from aloma_py.operations.registry import caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site
from aloma_py.run.handles import iso, iso_or_none
from aloma_py.store.news import notification_news
from aloma_py.store.notifications import Audience, Message, Notifications
from aloma_py.store.workspaces import WorkspaceRecords

STATES: Final = ("waiting", "delivered", "failed")


class NotificationOperations:
    """What can be asked of the account's notifications. Workspaces say by which groups they are told."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._kept = Notifications(site.store)

    @operation(Role.VIEWER, "GET /notification-groups", account=True)
    async def list_notification_groups(self) -> list[GroupShown]:
        """Who is told of failed tasks, and of which workspaces; ``kind`` is ``unknown`` where nobody is told.

        Of the addresses of webhooks only administrators see more than the host.
        """
        naming = self._naming()
        found = [self._shown(one, naming) for one in self._kept.groups()]
        known = {one["name"] for one in found}
        planned = {one.name: one for one in self._kept.audiences() if one.direct}
        for entry, workspaces in naming.items():
            if entry not in known:
                found.append(self._entry(entry, workspaces, planned.get(entry)))
        return sorted(found, key=lambda one: (one["kind"] != "group", one["name"]))

    @operation(Role.VIEWER, "GET /notification-groups/{name}", account=True)
    async def show_notification_group(self, name: str) -> GroupShown:
        """One group: whom it tells, how often, of which workspaces."""
        return self._shown(self._kept.get(name), self._naming())

    @operation(Role.ADMIN, "POST /notification-groups", status=201, account=True, hidden=("webhooks", "secret"))
    async def add_notification_group(
        self,
        name: str,
        addresses: Sequence[str] = (),
        webhooks: Sequence[str] = (),
        every: str | int = SHORTEST,
        secret: str | None = None,
    ) -> GroupMade:
        """Make a group of mail ``addresses`` and ``webhooks``; with webhooks, ``secret`` is in the answer, this once.

        It is told at most once in ``every`` (15m to 24h) of what fails from now on, in workspaces that name it.
        """
        called = check_group_name(name)
        mails, hooks = check_targets(addresses, webhooks)
        made = _secret(secret, needed=bool(hooks))
        options = {"addresses": mails, "webhooks": hooks, "every": check_every(every)}
        await self._kept.add(called, options, made, self._now(), caller.get().name)
        notification_news.tell(self.site.store)
        return self._made(called, made)

    @operation(Role.ADMIN, "PATCH /notification-groups/{name}", account=True, hidden=("webhooks", "secret"))
    async def update_notification_group(
        self,
        name: str,
        addresses: Sequence[str] | None = None,
        webhooks: Sequence[str] | None = None,
        every: str | int | None = None,
        secret: str | None = None,
    ) -> GroupMade:
        """Change what is given of a group; the ``secret`` ``new`` has another one made."""
        found = self._kept.get(name)
        before = found.options
        mails, hooks = check_targets(
            before["addresses"] if addresses is None else addresses,
            before["webhooks"] if webhooks is None else webhooks,
        )
        options = {
            "addresses": mails,
            "webhooks": hooks,
            "every": before["every"] if every is None else check_every(every),
        }
        given = new_secret() if secret == "new" else secret
        made = _secret(given, needed=bool(hooks) and not found.has_secret)
        await self._kept.update(found, options, made, self._now(), caller.get().name)
        notification_news.tell(self.site.store)
        return self._made(name, made)

    @operation(Role.ADMIN, "DELETE /notification-groups/{name}", account=True)
    async def delete_notification_group(self, name: str) -> GroupDeleted:
        """Remove a group; ``workspaces`` are those that name it, and by which nobody is told then."""
        found = self._kept.get(name)
        await self._kept.delete(found.name)
        return {"name": found.name, "deleted": True, "workspaces": self._naming().get(found.name, [])}

    @operation(Role.ADMIN, "POST /notifications/test", account=True, noted=False)
    async def test_notification(self, to: str) -> list[Tried]:
        """Send a test at once, to a group or to one address of mail or of a webhook: what each target answered."""
        targets, secret = self._targets_of(to)
        post = Post(read_server(self.site.settings.smtp, self.site.settings.mail_from))
        now = self._now()
        content = make_test(place_shown(to), now)
        answers: dict[str, Tried] = {}

        async def deliver(target: str) -> None:
            name = new_message_id()
            outcome = await post.deliver(target, name, content, secret=secret, at=now, now=now)
            answers[target] = {"target": target, "delivered": outcome.delivered, "answer": outcome.answer}

        async with anyio.create_task_group() as group:
            for target in targets:
                group.start_soon(deliver, target)
        return [answers[target] for target in targets]

    @operation(Role.VIEWER, "GET /notifications", account=True)
    async def list_notifications(
        self, state: str | None = None, limit: int = 50, before: int | None = None, cursor: str | None = None
    ) -> list[MessageShown]:
        """The messages of the last 30 days, newest first; ``before``: only those before that ``no``."""
        if state is not None and state not in STATES:
            raise NotFoundError("state of notifications", state, STATES)
        places = [place for place in (before, read_cursor(cursor, "message")) if place is not None]
        few = check_limit(limit, 1000)
        found = self._kept.log(few + 1, min(places, default=None), state)
        return [_message(one) for one in cut(found, few, "message", lambda one: one.no)]

    @operation(Role.ADMIN, "POST /notifications/{no}/retry", account=True)
    async def retry_notification(self, no: int) -> MessageShown:
        """Have a message that waits, or was given up, tried at once; one that was delivered is not sent again."""
        found = self._kept.message(no)
        audience = next((one for one in self._kept.audiences() if one.name == found.audience), None)
        if audience is None or found.target not in audience.targets:
            raise StateError(f"nobody is told at {place_shown(found.target)} any more: the message {no} is not sent")
        await self._kept.retry(found.no, self._now())
        notification_news.tell(self.site.store)
        return _message(self._kept.message(no))

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _now(self) -> Millis:
        return self.site.engine.clock.now()

    def _naming(self) -> dict[str, list[str]]:
        return naming(WorkspaceRecords(self.site.store).all())

    def _targets_of(self, to: str) -> tuple[list[str], str | None]:
        kind = kind_of(to)
        if kind == "group":
            found = self._kept.get(to)
            return found.targets, self._kept.secret(to)
        return [check_webhook(to) if kind == "webhook" else check_address(to)], None

    def _made(self, name: str, secret: str | None) -> GroupMade:
        return {**self._shown(self._kept.get(name), self._naming()), "secret": secret}

    def _shown(self, one: Audience, named: Mapping[str, Sequence[str]]) -> GroupShown:
        return {
            "name": one.name,
            "kind": "group",
            "addresses": list(one.options["addresses"]),
            "webhooks": [_told(target) for target in one.options["webhooks"]],
            "every": one.options["every"],
            "signed": one.has_secret,
            "workspaces": list(named.get(one.name, ())),
            "next_at": iso_or_none(one.next_at),
            "updated_at": iso(one.updated_at),
            "updated_by": one.updated_by,
        }

    def _entry(self, entry: str, workspaces: list[str], planned: Audience | None) -> GroupShown:
        """What a workspace names that is no group."""
        kind = kind_of(entry)
        known = is_valid(entry)
        return {
            "name": _told(entry),
            "kind": "unknown" if kind == "group" or not known else kind,
            "addresses": [entry] if known and kind == "address" else [],
            "webhooks": [_told(entry)] if known and kind == "webhook" else [],
            "every": SHORTEST if known else None,
            "signed": False,
            "workspaces": workspaces,
            "next_at": None if planned is None else iso_or_none(planned.next_at),
            "updated_at": None,
            "updated_by": None,
        }


def naming(workspaces: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The workspaces by what they name in ``notification_groups``."""
    found: dict[str, list[str]] = {}
    for name, facts in workspaces.items():
        for entry in facts.get("notification_groups") or ():
            found.setdefault(entry, []).append(name)
    return found


def new_message_id() -> str:
    """What a message is called on its way: the same whenever it is tried again, and never of two."""
    return f"msg_{secrets.token_hex(12)}"


def _secret(given: str | None, *, needed: bool) -> str | None:
    if given is not None:
        return check_secret(given)
    return new_secret() if needed else None


def _told(target: str) -> str:
    """A target, as far as whoever asks may know it."""
    return target if caller.get().role >= Role.ADMIN else place_shown(target)


def _message(one: Message) -> MessageShown:
    content: Json = one.body["content"]
    return {
        "no": one.no,
        "group": place_shown(one.audience),
        "target": _told(one.target),
        "text": content["text"],
        "state": one.state,
        "created_at": iso(one.created_at),
        "attempts": one.attempts,
        "next_at": iso_or_none(one.next_at),
        "error": one.error,
    }
