"""Operations on webhooks: addresses at which others give tasks."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from aloma_py.errors import InputError, PayloadError
from aloma_py.intake import check_name, new_task
from aloma_py.intake.signatures import is_signed
from aloma_py.intake.webhooks import WebhookOptions, read_delivery, read_options
from aloma_py.models import Json
from aloma_py.operations.answers.intake import DeletedThing, NewWebhook, WebhookShown, WebhookTest
from aloma_py.operations.registry import caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site
from aloma_py.run.handles import iso, iso_or_none
from aloma_py.store.webhooks import Webhook, WebhookRows

MAX_SECRET: Final = 1000
"""How many characters a secret may have."""


def new_webhook_id() -> str:
    """An id that cannot be guessed: whoever knows it can give tasks, where no signature is asked for."""
    return f"wh_{secrets.token_urlsafe(24)}"


class WebhookOperations:
    """What can be asked of a workspace's webhooks. One is named by its name or its id."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._rows = WebhookRows(site.store, site.workspace)

    @operation(Role.VIEWER, "GET /webhooks", on_tasks=True)
    async def list_webhooks(self) -> list[WebhookShown]:
        """The webhooks, by name; those who may give no tasks are not told their addresses."""
        return [_shown(one) for one in self._rows.list()]

    @operation(Role.VIEWER, "GET /webhooks/{name}", on_tasks=True)
    async def show_webhook(self, name: str) -> WebhookShown:
        """A webhook: address, options, whether it has a secret, how much it accepted."""
        return _shown(self._rows.get(name))

    @operation(Role.DEVELOPER, "POST /webhooks", status=201, hidden=("secret",), on_tasks=True)
    async def add_webhook(
        self, name: str, options: dict[str, Json] | None = None, secret: str | None = None
    ) -> WebhookShown | NewWebhook:
        """Make a webhook. Where it is to have a secret that we can make up, that is in the answer, this once."""
        check_name(name)
        if name.startswith("wh_"):
            raise InputError(f"the name {name!r} looks like a webhook's id; another beginning than wh_ was expected")
        kept = {member: value for member, value in (options or {}).items() if value is not None}
        read = read_options(kept)
        _check_secret(read, secret)
        made = None
        if secret is None and read.signature is not None and not read.signature.issued:
            made = secret = secrets.token_urlsafe(32)
        id = new_webhook_id()
        await self._rows.add(id, name, kept, secret, self.site.engine.clock.now(), caller.get().name)
        shown = _shown(self._rows.get(id))
        return shown if made is None else NewWebhook(**shown, secret=made)

    @operation(Role.DEVELOPER, "PATCH /webhooks/{name}", hidden=("secret",), on_tasks=True)
    async def update_webhook(
        self,
        name: str,
        options: dict[str, Json] | None = None,
        secret: str | None = None,
        new_name: str | None = None,
    ) -> WebhookShown:
        """Change a webhook: each option that is given, null takes one away; its secret; its name."""
        found = self._rows.get(name)
        merged = {**found.options, **(options or {})}
        kept = {member: value for member, value in merged.items() if value is not None}
        read = read_options(kept)
        _check_secret(read, secret)
        if read.signature is not None and not read.signature.issued and secret is None and not found.has_secret:
            raise InputError(f"the webhook {found.name!r} has no secret yet; give one together with its signature")
        if new_name is not None:
            check_name(new_name)
        await self._rows.update(found.id, new_name or found.name, kept, secret)
        return _shown(self._rows.get(found.id))

    @operation(Role.DEVELOPER, "DELETE /webhooks/{name}", on_tasks=True)
    async def delete_webhook(self, name: str) -> DeletedThing:
        """Remove a webhook; its tasks stay."""
        found = self._rows.get(name)
        await self._rows.delete(found.id)
        return {"id": found.id, "name": found.name, "deleted": True}

    @operation(Role.DEVELOPER, "POST /webhooks/{name}/rotate", on_tasks=True)
    async def rotate_webhook(self, name: str) -> WebhookShown:
        """Give a webhook another address; the old one is unknown from now on. Its secret stays."""
        found, id = self._rows.get(name), new_webhook_id()
        await self._rows.rotate(found.id, id)
        return _shown(self._rows.get(id))

    @operation(Role.DEVELOPER, "POST /webhooks/{name}/test", noted=False)
    async def test_webhook(
        self, name: str, body: str = "", headers: dict[str, str] | None = None, query: str = ""
    ) -> WebhookTest:
        """What a request would become; no task is made, nothing is remembered.

        ``{data, via, signature, dedupe_key, problem}``: the task's data and where it would say it comes from, the
        verdict on the signature (``valid``, ``missing or wrong``, ``not asked for``), the deduplication key, and what
        is wrong with it (then there is no data).
        """
        found = self._rows.get(name)
        options, limits, now = read_options(found.options), self.site.engine.limits, self.site.engine.clock.now()
        given = {member.lower(): value for member, value in (headers or {}).items()}
        content = body.encode("utf-8", "surrogatepass")
        verdict = "not asked for"
        if options.signature is not None:
            secret = self._rows.secret(found.id)
            verdict = "valid" if is_signed(options.signature, secret, given, content, now) else "missing or wrong"
        answer: WebhookTest = {
            "data": None, "via": None, "dedupe_key": None, "problem": None, "signature": verdict,
        }  # fmt: skip
        try:
            if len(content) > (options.max_bytes or limits.max_data_bytes):
                raise PayloadError(f"the body is {len(content):,} bytes, more than the webhook takes")
            delivery = read_delivery(options, given, query, content, limits)
            via = via_of(found.id, found.name, delivery.via)
            task = new_task(
                self.site.workspace, options.task or found.name, delivery.data, via=via, now=now, limits=limits
            )
        except PayloadError as error:
            answer["problem"] = str(error)
        else:
            answer["via"] = task.data.pop("$via")
            answer["data"], answer["dedupe_key"] = task.data, delivery.key
        return answer


def via_of(id: str, name: str, more: Mapping[str, Json]) -> dict[str, Json]:
    """The ``$via`` of a webhook's tasks, but for the time."""
    return {"id": id, "name": name, "type": "webhook", **more}


def _shown(webhook: Webhook) -> WebhookShown:
    knows = caller.get().role >= Role.OPERATOR
    return {
        "id": webhook.id if knows else None,
        "path": f"/event/{webhook.id}" if knows else None,
        "name": webhook.name,
        "options": webhook.options,
        "has_secret": webhook.has_secret,
        "accepted": webhook.accepted,
        "last_at": iso_or_none(webhook.last_at),
        "created_at": iso(webhook.created_at),
        "created_by": webhook.created_by,
    }


def _check_secret(options: WebhookOptions, secret: str | None) -> None:
    if secret is None:
        return
    if options.signature is None:
        raise InputError("a secret was given, but no signature that it is for; the option signature was expected")
    if not 1 <= len(secret) <= MAX_SECRET or not secret.isprintable():
        raise InputError(f"the secret is no printable text of 1 to {MAX_SECRET} characters")
