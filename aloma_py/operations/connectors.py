"""Operations on the connectors that a workspace has by configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, cast

import anyio

from aloma_py import plugins
from aloma_py.connect.configured import make, prepare
from aloma_py.connect.connector import close
from aloma_py.connect.kinds import in_order, not_offered
from aloma_py.connect.naming import check_namespace, namespace_of
from aloma_py.errors import InputError
from aloma_py.models import Json
from aloma_py.operations.answers.connectors import (
    CallShown,
    ChangedConnector,
    ComparedConnector,
    ConnectorCheck,
    ConnectorsCompared,
    ConnectorShown,
    DeletedConnector,
    KindShown,
)
from aloma_py.operations.connectorfacts import (
    check_name,
    check_tags,
    checked,
    configured,
    hide,
    kind_shown,
    known_to,
    shown,
)
from aloma_py.operations.paging import check_limit
from aloma_py.operations.registry import caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site
from aloma_py.run.handles import iso
from aloma_py.store.connectors import ConnectorStore, StoredConnector, taken

CHECKING: Final = 30.0
"""Seconds that a connector's check may take."""

MOST_CALLS: Final = 1_000

_ASKED: Final = frozenset({"kind", "name", "namespace", "config", "tags"})
"""What a connector in a list of those that are wanted may say."""


class ConnectorOperations:
    """What can be asked of a workspace's connectors. One is named by its namespace, or by its name.

    No answer has a secret of a configuration in it, but the names of those that there are.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.kept = ConnectorStore(site.store, site.workspace)

    # ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────

    @operation(Role.VIEWER, "GET /connectors", on_tasks=True)
    async def list_connectors(self) -> list[ConnectorShown]:
        """The connectors that the workspace has by configuration, by namespace."""
        known = known_to(self.site)
        return [shown(self.site, one, known) for one in self.kept.list()]

    @operation(Role.VIEWER, "GET /connector-kinds")
    async def list_connector_kinds(self) -> list[KindShown]:
        """The kinds of connectors that can be added, with the fields of their configurations."""
        return [kind_shown(kind) for kind in plugins.installed().kinds]

    @operation(Role.VIEWER, "GET /connectors/{name}", on_tasks=True)
    async def show_connector(self, name: str) -> ConnectorShown:
        """One connector with its configuration, without its secrets."""
        return shown(self.site, self.kept.get(name), known_to(self.site))

    @operation(Role.VIEWER, "GET /connectors/{name}/calls", on_tasks=True)
    async def connector_calls(self, name: str, limit: int = 20) -> list[CallShown]:
        """The newest recorded calls of a connector, the newest first; also of one that is in code."""
        few = check_limit(limit, MOST_CALLS)
        named = {one.namespace for one in self.kept.list()} | {*plugins.installed().namespaces}
        namespace = name if name in named else self.kept.get(name).namespace
        return [
            {"task": one.task, "step": one.step, "method": one.method, "outcome": one.outcome,
             "at": iso(one.started_at), "milliseconds": one.ended_at - one.started_at, "arguments": one.arguments,
             "answer": one.answer}
            for one in await self.kept.calls(namespace, few)
        ]  # fmt: skip

    @operation(Role.DEVELOPER, "POST /connectors/{name}/check", reading=True, on_tasks=True)
    async def check_connector(self, name: str) -> ConnectorCheck:
        """Whether a connector works, as far as its kind can tell; enabled or not."""
        one = configured(self.kept.get(name))
        prepared = prepare(one, plugins.installed().kinds, known_to(self.site), hide)
        try:
            connector = make(one, prepared, hide)
        except InputError as error:
            return {"namespace": one.namespace, "ok": False, "said": str(error)}
        check = getattr(prepared.kind, "check", None)
        try:
            if check is None:
                return {"namespace": one.namespace, "ok": None, "said": "it can be made; its kind has no check"}
            with anyio.fail_after(CHECKING):
                said = await check(connector)
        except TimeoutError:
            return {"namespace": one.namespace, "ok": False, "said": f"no answer in {CHECKING:g} seconds"}
        except Exception as error:  # whatever foreign code may raise
            text = hide(prepared.secrets)(str(error) or type(error).__name__)
            return {"namespace": one.namespace, "ok": False, "said": text}
        finally:
            await close(connector)
        return {"namespace": one.namespace, "ok": True, "said": hide(prepared.secrets)(str(said or "it works"))}

    # ── changing ────────────────────────────────────────────────────────────────────────────────────────────────

    @operation(Role.DEVELOPER, "POST /connectors", status=201, hidden=("config",), on_tasks=True)
    async def add_connector(
        self,
        kind: str,
        name: str | None = None,
        namespace: str | None = None,
        config: dict[str, Json] | None = None,
        tags: Sequence[str] = (),
        enabled: bool = True,
    ) -> ChangedConnector:
        """Add a connector of a kind that a plugin offers; without ``namespace`` that of the kind's name."""
        plugins.installed().kinds.get(kind)
        made = self._made({"kind": kind, "name": name, "namespace": namespace, "config": config, "tags": tags})
        await self.kept.add(replace(made, enabled=enabled))
        return await self._changed(made.namespace)

    @operation(Role.DEVELOPER, "PUT /connectors/{namespace}", hidden=("config",), on_tasks=True)
    async def put_connector(
        self,
        namespace: str,
        kind: str,
        name: str | None = None,
        config: dict[str, Json] | None = None,
        tags: Sequence[str] | None = None,
    ) -> ChangedConnector:
        """Have a connector of this namespace be so, whether there is one or not; also of a kind not offered here."""
        made = self._made({"kind": kind, "name": name, "namespace": namespace, "config": config, "tags": tags})
        before = self._find(namespace)
        if before is None:
            await self.kept.add(made)
        else:
            kept = before.tags if tags is None else made.tags
            await self.kept.change(
                before, replace(made, tags=kept, enabled=before.enabled, created_at=before.created_at)
            )
        return await self._changed(namespace)

    @operation(Role.DEVELOPER, "PATCH /connectors/{name}", hidden=("config",), on_tasks=True)
    async def update_connector(
        self,
        name: str,
        config: dict[str, Json] | None = None,
        rename: str | None = None,
        namespace: str | None = None,
        tags: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> ChangedConnector:
        """Change what is given. ``config`` is merged into what there is; null takes a member away."""
        before = self.kept.get(name)
        after = replace(before, updated_at=self.site.engine.clock.now(), updated_by=caller.get().name)
        if config is not None:
            after = replace(after, config=self._merged(before, config), problem=None)
        if rename is not None:
            after = replace(after, name=check_name(rename))
        if namespace is not None and namespace != before.namespace:
            check_namespace(namespace)
            self._refuse_taken(namespace)
            after = replace(after, namespace=namespace)
        if tags is not None:
            after = replace(after, tags=check_tags(tags))
        if enabled is not None:
            after = replace(after, enabled=enabled)
        await self.kept.change(before, after)
        return await self._changed(after.namespace)

    @operation(Role.DEVELOPER, "DELETE /connectors/{name}", on_tasks=True)
    async def delete_connector(self, name: str) -> DeletedConnector:
        """Remove a connector; steps that call it are told that there is none."""
        found = self.kept.get(name)
        await self.kept.delete(found.namespace)
        active, warning = await self.site.bring_in()
        answer: DeletedConnector = {
            "namespace": found.namespace, "name": found.name, "deleted": True, "active": active,
        }  # fmt: skip
        return answer if warning is None else {**answer, "warning": warning}

    # ── many, and as they were ──────────────────────────────────────────────────────────────────────────────────

    @operation(Role.DEVELOPER, "POST /connectors/compare", reading=True)
    async def compare_connectors(self, connectors: Sequence[dict[str, Json]] = ()) -> ConnectorsCompared:
        """What putting these connectors would change, and those that there are; nothing is changed.

        Each is ``{kind, name, namespace, config, tags}``; all but ``kind`` may be left out. ``state`` is what a
        connector is now, for ``restore_connector``, and can be read by nobody else.
        """
        asked: list[ComparedConnector] = []
        seen: dict[str, str] = {}
        for one in connectors:
            made = self._made(one)
            if made.namespace in seen:
                raise InputError(
                    f"two connectors have the namespace {made.namespace!r}, {seen[made.namespace]!r} and "
                    f"{made.name!r}; give one of them another namespace"
                )
            seen[made.namespace] = made.name
            asked.append(self._compared(made, tags="tags" in one))
        there = self.kept.list()
        return {
            "asked": asked,
            "there": [
                {"namespace": one.namespace, "name": one.name, "state": self.kept.seal(one)} for one in there
            ],
        }  # fmt: skip

    @operation(Role.DEVELOPER, "POST /connectors/restore", hidden=("state",), on_tasks=True)
    async def restore_connector(self, state: str) -> ChangedConnector:
        """Have a connector as it was when ``compare_connectors`` told its state, also one that was deleted since."""
        was = self.kept.unseal(state)
        await self.kept.put(was)
        return await self._changed(was.namespace)

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _made(self, asked: dict[str, Any]) -> StoredConnector:
        """The connector that is asked for, checked. Its kind need not be offered."""
        unknown = sorted(asked.keys() - _ASKED)
        if unknown:
            raise InputError(f"a connector has no {unknown[0]!r}; it has {', '.join(sorted(_ASKED))}")
        wanted, config = _text(asked, "kind"), {} if asked.get("config") is None else asked["config"]
        if not wanted:
            raise InputError("the connector's kind is missing")
        if not isinstance(config, dict):
            raise InputError(f"the connector {wanted!r}: config must be an object")
        kind = plugins.installed().kinds.find(wanted)
        namespace = _text(asked, "namespace") or namespace_of(wanted)
        check_namespace(namespace)
        self._refuse_taken(namespace)
        now = self.site.engine.clock.now()
        return StoredConnector(
            namespace=namespace,
            name=check_name(_text(asked, "name") or wanted),
            kind=kind.name if kind is not None else check_name(wanted),
            config=checked(kind, config, known_to(self.site)),
            tags=check_tags(asked.get("tags") or ()),
            enabled=True,
            created_at=now,
            updated_at=now,
            updated_by=caller.get().name,
        )

    def _merged(self, before: StoredConnector, config: dict[str, Json]) -> dict[str, Json]:
        kind = plugins.installed().kinds.find(before.kind)
        if kind is None:
            return checked(None, {**before.config, **config}, {})
        # What the kind does not know may be there from before a plugin offered it; it can be taken away.
        gone = [name for name in before.config if name in config and config[name] is None]
        given = in_order(kind, {name: value for name, value in config.items() if name not in gone})
        kept = {name: value for name, value in before.config.items() if name not in gone}
        return checked(kind, {**kept, **given}, known_to(self.site))

    def _compared(self, made: StoredConnector, *, tags: bool) -> ComparedConnector:
        before = self._find(made.namespace)
        parts = ("name", "kind", "config", *(("tags",) if tags else ()))
        differs = [] if before is None else [part for part in parts if getattr(before, part) != getattr(made, part)]
        offered = plugins.installed().kinds.find(made.kind) is not None
        return {
            "namespace": made.namespace,
            "name": made.name,
            "action": "add" if before is None else "change" if differs else "same",
            "differs": differs,
            "warning": None if offered else not_offered(made.namespace, made.kind),
        }

    def _find(self, namespace: str) -> StoredConnector | None:
        return next((one for one in self.kept.list() if one.namespace == namespace), None)

    def _refuse_taken(self, namespace: str) -> None:
        if namespace in plugins.installed().namespaces:
            raise taken(namespace)

    async def _changed(self, namespace: str) -> ChangedConnector:
        active, warning = await self.site.bring_in()
        found = self._find(namespace)
        if found is None:
            raise InputError(f"the connector {namespace!r} was stored, and deleted by somebody else meanwhile")
        answer = cast(ChangedConnector, {**shown(self.site, found, known_to(self.site)), "active": active})
        if warning is not None:
            answer["warning"] = warning
        return answer


def _text(asked: dict[str, Any], name: str) -> str:
    value = asked.get(name)
    if value is not None and not isinstance(value, str):
        raise InputError(f"the connector's {name} must be a text")
    return value or ""
