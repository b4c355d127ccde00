"""Operations on the git repository that a workspace follows, and how it is looked at."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

import anyio

from aloma_py.durations import parse_duration
from aloma_py.errors import AlomaError, InputError, NotFoundError, StaleTask, StoreError
from aloma_py.models import Json, Millis
from aloma_py.operations.answers.sources import SourcePlan, SourceShown, SyncedNames, UnfollowedSource
from aloma_py.operations.registry import LOCAL, Caller, caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.sites import Site
from aloma_py.operations.sourceplans import carry_out
from aloma_py.run.handles import iso, iso_or_none
from aloma_py.store.ledger import Ledger
from aloma_py.store.sources import DEFAULTS, Source, SourceRow
from aloma_py.store.sqlite import SQLiteStore
from aloma_py.sync import Credentials, Found, SourceError, find, in_thread, read_address
from aloma_py.sync.settings import check_branch, check_folder, check_secret, check_user

logger = logging.getLogger("aloma_py.source")

LEAST: Final[Millis] = 30_000
MOST: Final[Millis] = 30 * 86_400_000
"""How often a repository is looked at, at most and at least."""

LONGEST_WAIT: Final[Millis] = 3_600_000
"""How far apart looks that fail get, unless ``every`` is more."""

SOON: Final[Millis] = 600_000
"""When a look is made up for that ended with its process."""

NOTED: Final = 500
"""How many names of a kind the ledger has of one sync."""

SECRETS: Final = ("password", "ssh_key", "hook_secret")

FOLLOWER: Final = Caller("source", Role.ADMIN)
"""Who does what is done by itself."""


class SourceOperations:
    """What can be asked of the repository that a workspace follows."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._row = SourceRow(site.store, site.workspace)

    @operation(Role.VIEWER, "GET /source", on_tasks=True)
    async def show_source(self) -> SourceShown:
        """The repository that the workspace follows: at which commit it is, and what went wrong; no secrets."""
        return self._shown(self._row.get())

    @operation(Role.ADMIN, "PUT /source", hidden=SECRETS, on_tasks=True)
    async def set_source(
        self,
        url: str | None = None,
        branch: str | None = None,
        folder: str | None = None,
        user: str | None = None,
        password: str | None = None,
        ssh_key: str | None = None,
        host_key: str | None = None,
        automatic: bool | None = None,
        every: str | int | None = None,
        hook_secret: str | None = None,
    ) -> SourceShown:
        """Have the workspace follow a repository, or change how. What is not given stays; an empty text takes away."""
        before = self._row.find()
        old = before.options if before is not None else {}
        if url is None and before is None:
            raise InputError("url is missing: the address of the repository to follow")
        address = read_address(url or old["url"], local=url is None or caller.get() is LOCAL)
        elsewhere = before is not None and address.origin != read_address(old["url"], local=True).origin
        kept = self._row.secrets() if before is not None else {}
        given = {"password": password, "ssh_key": ssh_key, "hook_secret": hook_secret}
        if elsewhere:
            _refuse_to_take_along(kept, given, old["url"])
        sealed = {name: value for name, value in {**kept, **_given(given)}.items() if value}
        # An import without secrets leaves only their names: a hook must not be open to all because of that.
        lost = {name for name in old.get("secrets", ()) if name not in kept and given[name] is None}
        options = {
            "url": address.url,
            "branch": _new(branch, old.get("branch")),
            "folder": _new(folder and folder.strip("/"), old.get("folder")),
            "user": _new(user, (url and address.user) or (None if elsewhere else old.get("user"))),
            "host_key": _new(host_key and host_key.strip(), None if elsewhere else old.get("host_key")),
            "automatic": old.get("automatic", False) if automatic is None else automatic,
            "every": _interval(every, old.get("every", DEFAULTS["every"])),
            "secrets": [name for name in SECRETS if name in sealed or name in lost],
        }
        _check(options, given, address.kind)
        again = any(options[name] != old.get(name) for name in ("url", "branch", "folder"))
        now = self.site.engine.clock.now()
        await self._row.put(
            before, options, sealed, (before.hook if before is not None else None) or new_hook(),
            now if options["automatic"] else None, again=again, at=now, by=caller.get().name,
        )  # fmt: skip
        return self._shown(self._row.get())

    @operation(Role.ADMIN, "DELETE /source", on_tasks=True)
    async def delete_source(self) -> UnfollowedSource:
        """Follow the repository no more; the steps and libraries that came from it stay."""
        found = self._row.get()
        await self._row.delete()
        return {"workspace": self.site.workspace, "url": found.options["url"], "deleted": True}

    @operation(Role.ADMIN, "POST /source/rotate", on_tasks=True)
    async def rotate_source_hook(self) -> SourceShown:
        """Give the repository's host another address to post to; the old one is unknown from now on."""
        self._row.get()
        await self._row.rotate(new_hook())
        return self._shown(self._row.get())

    @operation(Role.DEVELOPER, "POST /source/plan", reading=True, on_tasks=True)
    async def plan_source(self) -> SourcePlan:
        """What a sync would do now; nothing is changed."""
        source = self._row.get()
        plan, _ = await carry_out(self.site, await _look_at(self.site, source), dry_run=True)
        return plan

    @operation(Role.DEVELOPER, "POST /source/sync", noted=False, on_tasks=True)
    async def sync_source(self) -> SourcePlan:
        """Make the stored steps and libraries those of the repository, all or none: others are overwritten, deleted."""
        async with _one_at_a_time(self.site):
            source = self._row.get()
            try:
                plan = await take(self.site, source)
            except (SourceError, InputError) as error:
                await _failed(self.site, source, source.next_at, str(error))
                raise
        assert plan is not None
        return plan

    def _shown(self, source: Source) -> SourceShown:
        options, seen, role = source.options, source.seen, caller.get().role
        return {
            "workspace": source.workspace,
            "url": options["url"],
            "branch": options["branch"],
            "folder": options["folder"],
            "user": options["user"],
            "host_key": options["host_key"],
            "secrets": list(options["secrets"]),
            "automatic": options["automatic"],
            "every": options["every"],
            "next_at": iso_or_none(source.next_at),
            "last_at": iso_or_none(source.last_at),
            "commit": source.taken,
            "commit_branch": seen.get("branch"),
            "author": seen.get("author"),
            "title": seen.get("title"),
            "edited": source.taken is not None and seen.get("scripts") != self._row.scripts(),
            "error": source.error,
            "failures": source.failures,
            "hook": f"/hook/{source.hook}" if source.hook and role >= Role.DEVELOPER else None,
            "updated_at": iso(source.updated_at),
            "updated_by": source.updated_by,
            "served": self.site.advancing or self.site.reload is not None,
        }


def new_hook() -> str:
    """The part of an address that cannot be guessed."""
    return secrets.token_hex(20)


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def look(site: Site, source: Source) -> None:
    """Look at a repository whose time has come, take what is new, and write down how that ended.

    Raises where that cannot be written down.
    """
    row, now = SourceRow(site.store, site.workspace), site.engine.clock.now()
    every = source.options["every"]
    until = now + min(every, SOON)
    if not await row.begin(source, now, until):
        return
    token = caller.set(FOLLOWER)
    try:
        async with _one_at_a_time(site):
            plan = await take(site, source, until=until, by_itself=True)
        if source.error is not None:
            logger.info("workspace %r: its source can be read again", source.workspace)
        if plan is not None and _does_something(plan):
            logger.info("workspace %r is at commit %s of its source", source.workspace, plan["commit"][:12])
    except StaleTask as error:  # whoever changed it said when it is looked at next
        logger.info("%s", error)
    except Exception as error:
        known = isinstance(error, AlomaError)
        text = str(error) if known else f"the look failed: {type(error).__name__}"
        level = logging.DEBUG if text == source.error else logging.WARNING if known else logging.ERROR
        logger.log(level, "workspace %r: its source was not taken, it is tried again: %s", source.workspace, text,
                   exc_info=None if known else error)  # fmt: skip
        await _failed(site, source, until, text)
    finally:
        caller.reset(token)


async def take(
    site: Site, source: Source, *, until: Millis | None = None, by_itself: bool = False
) -> SourcePlan | None:
    """Make the workspace what its source says, and write that down; ``None`` where it is so, and nobody looked closer.

    A commit that was taken is read again only where it is asked for, or where stored scripts were changed since.
    Raises :class:`~aloma_py.errors.StaleTask`, and takes nothing, where the source was changed or removed meanwhile.
    """
    row = SourceRow(site.store, site.workspace)
    same = source.taken is not None and source.seen.get("scripts") == row.scripts()
    found = await _look_at(site, source, source.taken if same and by_itself else None)
    planned = until if by_itself else source.next_at
    ended = partial(row.end, source, until=planned)
    if found.project is None:
        await ended(at=_now(site), next_at=_next(site, source))
        return None
    if not row.is_still(source):  # it says no more what the workspace is to be
        raise StaleTask(f"the source of workspace {site.workspace!r} was changed while it was looked at; try again")
    # What it leads to, not what there is then: whoever changes a script right after it is to be seen.
    plan, scripts = await carry_out(site, found, dry_run=False)
    seen = {"branch": found.branch, "author": found.author, "title": found.title, "scripts": scripts}
    with anyio.CancelScope(shield=True):  # it is done: that is to be known, too
        await ended(at=_now(site), next_at=_next(site, source), taken=found.commit, seen=seen)
        if _does_something(plan):
            await _note(site, plan)
    return plan


async def _look_at(site: Site, source: Source, known: str | None = None) -> Found:
    options = source.options
    kept = SourceRow(site.store, site.workspace).secrets()
    credentials = Credentials(options["user"], kept.get("password"), kept.get("ssh_key"), options["host_key"])
    address = read_address(options["url"], local=True)
    return await in_thread(
        lambda stop: find(
            address, credentials, branch=options["branch"], folder=options["folder"], known=known, stop=stop
        )
    )


async def _failed(site: Site, source: Source, until: Millis | None, error: str) -> None:
    with anyio.CancelScope(shield=True):
        await SourceRow(site.store, site.workspace).end(
            source, at=_now(site), until=until, next_at=_next(site, source, failed=True), error=error[:2_000]
        )


async def _note(site: Site, plan: SourcePlan) -> None:
    """Write into the ledger what was done. It is done: a ledger that cannot be written is told, not raised."""
    details: dict[str, Json] = {name: plan[name] for name in ("commit", "branch", "author", "title")}
    for kind, names in (("steps", plan["steps"]), ("libraries", plan["libraries"])):
        told = {word: _some(names[word]) for word in ("added", "changed", "deleted") if names[word]}
        if told:
            details[kind] = told
    who = caller.get().name
    try:
        await Ledger(site.store).note(_now(site), who, site.workspace, "sync_source", details)
    except StoreError as error:
        logger.error("%s: %s did sync_source, which the ledger lacks: %s", site.workspace, who, error)


def _some(names: list[str]) -> list[str]:
    more = len(names) - NOTED
    return names if more <= 0 else [*names[:NOTED], f"… and {more:,} more"]


def _does_something(plan: SourcePlan) -> bool:
    def any_of(names: SyncedNames) -> bool:
        return bool(names["added"] or names["changed"] or names["deleted"])

    return any_of(plan["steps"]) or any_of(plan["libraries"])


def _next(site: Site, source: Source, *, failed: bool = False) -> Millis | None:
    """When it is looked at next; where it failed, the later the more often it did."""
    if not source.options["automatic"]:
        return None
    every: int = source.options["every"]
    wait = min(every << min(source.failures, 20), max(LONGEST_WAIT, every)) if failed else every
    return _now(site) + wait


def _now(site: Site) -> Millis:
    return site.engine.clock.now()


_LOCKS: Final[WeakKeyDictionary[SQLiteStore, dict[str, anyio.Lock]]] = WeakKeyDictionary()


def _one_at_a_time(site: Site) -> anyio.Lock:
    """One sync of a workspace after the other."""
    return _LOCKS.setdefault(site.store, {}).setdefault(site.workspace, anyio.Lock())


# ── what is given ───────────────────────────────────────────────────────────────────────────────────────────────────


def _given(arguments: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in arguments.items() if value is not None}


def _new(given: str | None, before: str | None) -> str | None:
    """What counts of an argument and what there was: an empty text takes it away."""
    return before if given is None else given or None


def _interval(given: str | int | None, before: Millis) -> Millis:
    if given is None:
        return before
    found = parse_duration(given, "every")
    if not LEAST <= found <= MOST:
        raise InputError(f"every is {given!r}; from 30s to 30d was expected")
    return found


def _refuse_to_take_along(kept: dict[str, str], given: dict[str, str | None], url: str) -> None:
    """Whoever changes the address must not have secrets, which nobody can read, sent to another host."""
    for name in ("password", "ssh_key"):
        if name in kept and given[name] is None:
            raise InputError(
                f"the {name} was given for {url}, and this is another host: give it again, or an empty one for none"
            )


def check_options(options: Mapping[str, Any], *, local: bool) -> None:
    """Refuse options that :meth:`SourceOperations.set_source` would not have kept: for those that come from a file.

    ``local`` says whether whoever gives them may have folders of this machine read. Raises
    :class:`~aloma_py.errors.InputError`.
    """
    kinds = {"url": str, "automatic": bool, "every": int, "secrets": list}
    for name, value in options.items():
        if name not in DEFAULTS:
            raise NotFoundError("option of a source", name, DEFAULTS)
        if not isinstance(value, kinds.get(name, str)) and (name in kinds or value is not None):
            raise InputError(f"the source's {name} is {type(value).__name__}, which it cannot be")
    told: dict[str, Any] = {**DEFAULTS, **options}
    _interval(told["every"], LEAST)
    for name in told["secrets"]:
        if name not in SECRETS:
            raise NotFoundError("secret of a source", str(name), SECRETS)
    _check(told, dict.fromkeys(SECRETS), read_address(told["url"], local=local).kind)


def _check(options: dict[str, Any], given: dict[str, str | None], kind: str) -> None:
    """Refuse what cannot be used. Raises :class:`~aloma_py.errors.InputError`."""
    if kind != "ssh":
        for name, value in (("ssh_key", given["ssh_key"]), ("host_key", options["host_key"])):
            if value:
                raise InputError(f"{name} is for ssh: an url as ssh://git@HOST/PATH or git@HOST:PATH was expected")
    elif given["ssh_key"]:
        from aloma_py.sync.ssh import read_key

        read_key(given["ssh_key"])
    if options["host_key"]:
        from aloma_py.sync.ssh import check_host_key

        check_host_key(options["host_key"])
    if kind == "file" and (given["password"] or options["user"]):
        raise InputError("a folder of this machine takes no user and no password")
    check_branch(options["branch"])
    check_folder(options["folder"])
    check_user(options["user"], kind)
    for name, most in (("password", 4_000), ("ssh_key", 20_000), ("hook_secret", 1_000)):
        check_secret(given[name], name, most)
