"""Delivering one message to one target, whatever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from aloma_py.jsontext import dumps
from aloma_py.models import Millis
from aloma_py.notify.mail import NO_SERVER, MailServer, make_mail, send_mail
from aloma_py.notify.outcome import Outcome
from aloma_py.notify.targets import kind_of
from aloma_py.notify.webhook import make_headers, post_webhook


class Post:
    """Delivers by mail, through ``server``, and to webhooks. ``transport`` is for tests."""

    def __init__(self, server: MailServer | None, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self.server = server
        self._transport = transport

    async def deliver(
        self, target: str, id: str, content: Mapping[str, Any], *, secret: str | None, at: Millis, now: Millis
    ) -> Outcome:
        """Deliver a digest. ``id`` is the message's own name, ``at`` when it was made; a webhook's is signed."""
        if kind_of(target) == "webhook":
            body = dumps(content).encode("utf-8", "replace")
            return await post_webhook(target, body, make_headers(id, now, body, secret), self._transport)
        if self.server is None:
            return Outcome(False, NO_SERVER)
        mail = make_mail(content, sender=self.server.sender, to=target, message_id=id, at=at)
        return await send_mail(self.server, mail)
