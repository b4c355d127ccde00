"""What an export says a workspace is made of: read, and held to what each kind of thing may be."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from aloma_py.errors import AlomaError, InputError
from aloma_py.intake import check_name as check_given_name
from aloma_py.intake.schedules import Schedule
from aloma_py.intake.webhooks import read_options
from aloma_py.operations.registry import LOCAL, caller
from aloma_py.operations.scripttexts import check_script
from aloma_py.operations.sources import check_options, new_hook
from aloma_py.operations.workspaces import changed
from aloma_py.steps.javascript.define import ScriptText
from aloma_py.store.importing import Made, taken
from aloma_py.store.scripts import Put
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.variables import check_name, check_secret
from aloma_py.sync.address import read_address
from aloma_py.transfer import Archive, Sealer, layout

_HOOK = re.compile(r"[A-Za-z0-9_-]{20,200}", re.ASCII)


def read_made(archive: Archive, sealer: Sealer | None) -> Made:
    """What the workspace is to be made of; secrets are decrypted where there is a ``sealer``.

    Raises :class:`~aloma_py.errors.InputError` naming the first thing that cannot be.
    """
    facts: layout.Workspace = archive.document(layout.WORKSPACE, layout.Workspace)
    own = changed({}, facts.title, facts.tags, facts.health_enabled, facts.notification_groups, facts.limits)
    made = Made({name: value for name, value in own.items() if value is not None})
    if facts.created_at is not None:
        made.facts["created_at"] = facts.created_at
    made.secrets = _secrets(archive, sealer)
    made.scripts = [_script(archive, one) for one in _list(archive, layout.SCRIPTS, layout.Script)]
    made.variables = [_variable(one, made.secrets) for one in _list(archive, layout.VARIABLES, layout.Variable)]
    made.webhooks = [_webhook(one) for one in _list(archive, layout.WEBHOOKS, layout.Webhook)]
    made.schedules = [_schedule(one) for one in _list(archive, layout.SCHEDULES, layout.Schedule)]
    made.connectors = [_connector(one) for one in _list(archive, layout.CONNECTORS, layout.Connector)]
    if archive.has(layout.SOURCE):
        made.source, made.folder = _source(archive.document(layout.SOURCE, layout.Source))
    _once((f"{one.kind} {one.name!r}" for one, _ in made.scripts), "scripts")
    for what, names in (
        ("variable", (one.name for one in made.variables)),
        ("webhook", (one.name for one in made.webhooks)),
        ("webhook's id", (one.id for one in made.webhooks)),
        ("schedule", (one.name for one in made.schedules)),
        ("schedule's id", (one.id for one in made.schedules)),
        ("connector", (one.namespace for one in made.connectors)),
    ):
        _once((repr(name) for name in names), what)
    return made


def texts_of(made: Made) -> list[ScriptText]:
    """What the loading of the workspace takes."""
    return [ScriptText(one.kind, one.name, one.suffix, text, one.enabled) for one, text in made.scripts]


async def give_addresses(store: SQLiteStore, made: Made, new_webhook_id: Callable[[], str], *, new: bool) -> None:
    """Choose the ids of webhooks, schedules and the source's hook: those of the file, or with ``new`` others.

    Raises :class:`~aloma_py.errors.InputError` where the store has an address of the file already.
    """
    addresses = [one.id for one in made.webhooks]
    hook = made.source.hook if made.source is not None else None
    if new:
        made.new_ids.update({id: new_webhook_id() for id in addresses})
    else:
        found = await taken(store, "webhook", addresses)
        there = [one.name for one in made.webhooks if one.id in found]
        if hook is not None and await taken(store, "source", [hook], "hook"):
            there.append("the repository's")
        if there:
            raise InputError(
                f"the store has the addresses of the file already ({', '.join(there)}): --new-addresses gives the "
                "workspace others"
            )
    if new and hook is not None:
        made.new_ids[hook] = new_hook()
    for id in await taken(store, "schedule", [one.id for one in made.schedules]):  # nobody outside knows it
        made.new_ids[id] = f"schedule-{secrets.token_hex(8)}"


def _list(archive: Archive, member: str, kind: Any) -> list[Any]:
    found: list[Any] = archive.document(member, list[kind]) if archive.has(member) else []
    return found


def _secrets(archive: Archive, sealer: Sealer | None) -> layout.Sealed:
    if not archive.has(layout.SECRETS):
        return layout.Sealed()
    found: layout.Sealed = archive.document(layout.SECRETS, layout.Sealed)
    if sealer is None:
        raise InputError(f"{archive.name} has encrypted secrets, but its manifest does not say with what")
    for kind, texts in (("variable", found.variables), ("webhook", found.webhooks), ("connector", found.connectors)):
        for name, text in texts.items():
            texts[name] = sealer.unseal_text(f"{kind} {name}", text)
    if found.source is not None:
        found.source = sealer.unseal_text("source", found.source)
    return found


def _script(archive: Archive, one: layout.Script) -> tuple[layout.Script, str]:
    if one.file != f"{layout.FOLDERS[one.kind]}{one.name}{one.suffix}":
        raise InputError(f"the file of the {one.kind} {one.name!r} cannot be {one.file!r}")
    text = archive.text(one.file)
    check_script(Put(one.kind, one.name, text, one.suffix))
    return one, text


def _variable(one: layout.Variable, sealed: layout.Sealed) -> layout.Variable:
    check_name(one.name)
    if one.secret and one.name in sealed.variables:
        check_secret(one.name, sealed.variables[one.name])
    return one


def _webhook(one: layout.Webhook) -> layout.Webhook:
    check_given_name(one.name)
    if (
        not 8 <= len(one.id) <= 200
        or not all(sign.isalnum() or sign in "_-" for sign in one.id)
        or not one.id.isascii()
    ):
        raise InputError(f"the webhook {one.name!r} has an id that no address can have")
    read_options(one.options)
    return one


def _source(one: layout.Source) -> tuple[layout.Source | None, str | None]:
    """The source; or the folder of the server that only somebody on its machine may have it follow."""
    check_options(one.options, local=True)
    if one.hook is not None and not _HOOK.fullmatch(one.hook):
        raise InputError("the source has a hook that no address can have")
    address = read_address(one.options["url"], local=True)
    if address.kind == "file" and caller.get() is not LOCAL:
        return None, address.path
    return one, None


def _schedule(one: layout.Schedule) -> layout.Schedule:
    check_given_name(one.name)
    try:
        found = Schedule.from_json(one.options)
        if Schedule.from_json(found.to_json()) != found:
            raise ValueError("they cannot be kept")
    except (AlomaError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"the options of the schedule {one.name!r} cannot be read: {error}") from None
    return one


def _connector(one: layout.Connector) -> layout.Connector:
    check_given_name(one.name)
    return one


def _once(names: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"the file has two of the {what} {name}")
        seen.add(name)
