"""A workspace's connectors as they are kept: read for the engine, checked when they are changed, shown to people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, cast

from aloma_py import plugins
from aloma_py.connect.configured import Configured, Unavailable, prepare, secret_texts
from aloma_py.connect.kinds import ConnectorKind, fields_of, in_order, read_config, shown_config
from aloma_py.connect.references import resolve
from aloma_py.errors import InputError
from aloma_py.jsontext import dumps
from aloma_py.models import Json
from aloma_py.operations.answers.connectors import ConnectorShown, FieldShown, KindShown
from aloma_py.operations.sites import Site
from aloma_py.run.handles import iso
from aloma_py.run.redaction import Redactor
from aloma_py.store.connectors import ConnectorStore, StoredConnector
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.store.variables import Variables

LARGEST: Final = 256 * 1024
"""Characters of a configuration, as JSON."""


def hide(secrets: Iterable[str]) -> Callable[[str], str]:
    """What takes these texts out of another."""
    return Redactor(secrets).text


def configured_of(store: SQLiteStore, workspace: str) -> list[Configured]:
    """The connectors that a workspace has, as its engine needs them."""
    return [configured(one) for one in ConnectorStore(store, workspace).list()]


def configured(one: StoredConnector) -> Configured:
    return Configured(one.namespace, one.name, one.kind, one.config, one.enabled, one.problem)


def known_to(site: Site) -> Mapping[str, Any]:
    """What configurations can refer to: what the steps have, else the workspace's variables and secrets."""
    return site.engine.runner.services.config if site.advancing else Variables(site.store, site.workspace).values()


def problem_of(site: Site, one: StoredConnector, known: Mapping[str, Any]) -> str | None:
    """Why a connector is not available; ``None`` for one that is, and for one that is disabled."""
    if not one.enabled:
        return None
    at_work = site.engine.runner.services.broker.connectors.get(one.namespace)
    if isinstance(at_work, Unavailable):
        return at_work.problem
    return prepare(configured(one), plugins.installed().kinds, known, hide).problem


def problems(site: Site) -> list[tuple[str, str]]:
    """``(namespace, why)`` of every connector of the workspace that is not available."""
    known = known_to(site)
    found = [(one.namespace, problem_of(site, one, known)) for one in ConnectorStore(site.store, site.workspace).list()]
    return [(namespace, why) for namespace, why in found if why is not None]


def shown(site: Site, one: StoredConnector, known: Mapping[str, Any]) -> ConnectorShown:
    """A connector as JSON, without its secrets."""
    config, hidden = shown_config(plugins.installed().kinds.find(one.kind), one.config)
    problem = problem_of(site, one, known)
    return {
        "namespace": one.namespace,
        "name": one.name,
        "kind": one.kind,
        "tags": [*one.tags],
        "enabled": one.enabled,
        "state": "unavailable" if problem else "ready" if one.enabled else "disabled",
        "problem": problem,
        "config": config,
        "secrets": hidden,
        "created_at": iso(one.created_at),
        "updated_at": iso(one.updated_at),
        "updated_by": one.updated_by,
    }


def kind_shown(kind: ConnectorKind) -> KindShown:
    """A kind as JSON."""
    return {
        "name": kind.name,
        "title": str(getattr(kind, "title", None) or kind.name),
        "description": str(getattr(kind, "description", None) or ""),
        "fields": [cast(FieldShown, {name: getattr(one, name) for name in FieldShown.__annotations__})
                   for one in fields_of(kind)],
    }  # fmt: skip


def checked(kind: ConnectorKind | None, config: Mapping[str, Json], known: Mapping[str, Any]) -> dict[str, Json]:
    """The configuration as it is to be kept; members that are null are left out.

    Raises :class:`~aloma_py.errors.InputError` for what the kind cannot take; what the message says has no secret in
    it. A reference to a name that there is not yet is no error here. Without a kind everything is taken.
    """
    given = {name: value for name, value in config.items() if value is not None}
    try:
        text = dumps(given)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the configuration is no JSON: {type(error).__name__}") from None
    if len(text) > LARGEST:
        raise InputError(f"the configuration has {len(text):,} characters; at most {LARGEST:,} are allowed")
    if kind is None:
        return given
    kept = in_order(kind, given)
    values, wrong = resolve(kept, known)
    try:
        read_config(kind, values, wrong)
    except InputError as error:
        raise InputError(hide(secret_texts(kind, values))(str(error))) from None
    return kept


def check_name(name: str) -> str:
    """A name for people; :class:`~aloma_py.errors.InputError` for what is none."""
    if not name.strip() or len(name) > 200 or not name.isprintable():
        raise InputError(f"the name {name[:40]!r}: printable text of 1 to 200 characters was expected")
    return name.strip()


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(found) > 100 or any(len(tag) > 200 or not tag.isprintable() for tag in found):
        raise InputError("at most 100 tags of at most 200 printable characters were expected")
    return found


__all__ = ["check_name", "check_tags", "checked", "configured", "configured_of", "hide", "kind_shown", "known_to",
           "problem_of", "problems", "shown"]  # fmt: skip
