"""Operations that put a workspace into a file, and take one out of it."""

from __future__ import annotations

import contextlib
import logging
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import IO, Any

import anyio.to_thread
import msgspec

import aloma_py
from aloma_py.durations import parse_duration
from aloma_py.errors import AlomaError, InputError, StoreError
from aloma_py.models import Millis
from aloma_py.operations.answers.transfer import ExportAnswer, ImportAnswer
from aloma_py.operations.incoming import give_addresses, read_made, texts_of
from aloma_py.operations.progress import Counting, telling
from aloma_py.operations.registry import caller, operation
from aloma_py.operations.roles import Role
from aloma_py.operations.scripttexts import load_texts
from aloma_py.operations.sites import Site
from aloma_py.operations.webhooks import new_webhook_id
from aloma_py.operations.workspaces import check_workspace_name
from aloma_py.run.handles import iso, iso_or_none
from aloma_py.store import connections
from aloma_py.store.claims import claimed
from aloma_py.store.importing import Importer, Made, refuse_taken
from aloma_py.store.ledger import Ledger
from aloma_py.store.news import schedule_news, source_news
from aloma_py.store.taking_in import Ids, check_tasks
from aloma_py.store.transfer import Exporter, Wanted
from aloma_py.store.workspaces import is_closed
from aloma_py.transfer import Archive, ArchiveWriter, Manifest, Sealer, new_sealer, open_sealer
from aloma_py.transfer.newfile import new_file

logger = logging.getLogger("aloma_py.operations")


class TransferOperations:
    """What can be asked of a workspace as a whole: into a file, and out of one.

    Files are where the engine is: these operations are asked for on its machine. Over HTTP the file's bytes are the
    body (:mod:`aloma_py.serve.web.transfer`).
    """

    def __init__(self, site: Site) -> None:
        self.site = site

    @operation(Role.ADMIN, reading=True, on_tasks=True, hidden=("passphrase",))
    async def export_workspace(
        self,
        target: str,
        tasks: bool = False,
        since: str | None = None,
        ended_only: bool = False,
        passphrase: str | None = None,
    ) -> ExportAnswer:
        """Write the workspace to the new file ``target``; with ``passphrase`` its secrets too, encrypted with it."""
        with new_file(Path(target)) as made:
            answer = await self.export_to(
                made.file, tasks=tasks, since=since, ended_only=ended_only, passphrase=passphrase
            )
            answer["path"], answer["bytes"] = str(made.path), made.file.tell()
            await anyio.to_thread.run_sync(made.publish)
        return answer

    async def export_to(
        self,
        file: IO[bytes],
        *,
        tasks: bool = False,
        since: str | None = None,
        ended_only: bool = False,
        passphrase: str | None = None,
    ) -> ExportAnswer:
        """Write the workspace to an open file."""
        site, now = self.site, self.site.engine.clock.now()
        wanted = _wanted(tasks, since, ended_only, now)
        place = site.place()
        manifest = Manifest(
            version=aloma_py.__version__,
            workspace=site.workspace,
            exported_at=iso(now),
            tasks=tasks,
            since=iso_or_none(wanted.since),
            ended_only=ended_only,
        )
        sealer: Sealer | None = None
        if passphrase is not None:
            manifest.encryption, sealer = await anyio.to_thread.run_sync(new_sealer, passphrase)
        cipher = site.store.cipher if sealer is not None else None
        told = telling("writing tasks")

        def write() -> None:
            writer = ArchiveWriter(file, now)
            try:
                put_in(writer)
                writer.finish(manifest)
                file.flush()
            except BaseException:
                writer.abandon()
                raise

        def put_in(writer: ArchiveWriter) -> None:
            with closing(connections.open_reader(place)) as connection:
                exporter = Exporter(
                    connection, site.workspace, writer, sealer=sealer, cipher=lambda: cipher or site.store.cipher,
                    told=told,
                )  # fmt: skip
                exporter.write(wanted)
            manifest.counts, manifest.left_out = exporter.counts, exporter.left_out

        await anyio.to_thread.run_sync(write)
        await self._note("export_workspace", tasks=tasks, secrets=sealer is not None)
        answer: ExportAnswer = {
            "workspace": site.workspace,
            "path": "",
            "bytes": 0,
            "counts": manifest.counts,
            "left_out": msgspec.to_builtins(manifest.left_out),
        }
        open_tasks = manifest.counts.get("open_tasks", 0)
        if open_tasks and not is_closed(await site.engine.store.facts()):
            answer["warning"] = (
                f"{open_tasks} open task{'' if open_tasks == 1 else 's'} would go on here and where the file is "
                "imported: archive the workspace before it is exported, or leave open tasks out (--ended-only)"
            )
        return answer

    @operation(Role.ADMIN, account=True, noted=False, hidden=("passphrase",))
    async def import_workspace(
        self, file: str, passphrase: str | None = None, new_ids: bool = False, new_addresses: bool = False
    ) -> ImportAnswer:
        """Make this workspace of an export: looked at as a whole first, then written, whole or not at all."""
        try:
            opened: IO[bytes] = await anyio.to_thread.run_sync(Path(file).open, "rb")
        except OSError as error:
            raise InputError(f"the file {file} cannot be read: {error.strerror}") from None
        with opened:
            return await self.import_from(
                opened, file, passphrase=passphrase, new_ids=new_ids, new_addresses=new_addresses
            )

    async def import_from(
        self,
        file: IO[bytes],
        name: str,
        *,
        passphrase: str | None = None,
        new_ids: bool = False,
        new_addresses: bool = False,
    ) -> ImportAnswer:
        """Make this workspace of an export in an open file, which is called ``name`` in errors."""
        site = self.site
        check_workspace_name(site.workspace)
        async with claimed(site.store, site.workspace):
            archive = await anyio.to_thread.run_sync(Archive, file, name)
            sealer = await _open(archive, passphrase)
            with closing(Ids(new=new_ids)) as ids:
                made = await anyio.to_thread.run_sync(partial(self._look, archive, sealer, ids))
                if not new_ids:
                    await refuse_taken(site.store, ids)
                await give_addresses(site.store, made, new_webhook_id, new=new_addresses)
                facts = await site.engine.store.facts()
                await anyio.to_thread.run_sync(load_texts, facts, site.workspace, texts_of(made))
                await self._write(
                    Importer(site.store, site.workspace, archive, ids, sealer, site.engine.clock.now()), made
                )
        await self._note("import_workspace", new_ids=new_ids, new_addresses=new_addresses)
        answer: ImportAnswer = {
            "workspace": site.workspace,
            "counts": archive.manifest.counts,
            "left_out": msgspec.to_builtins(archive.manifest.left_out),
            "new_addresses": [
                {"name": one.name, "path": f"/event/{made.id(one.id)}"} for one in made.webhooks if new_addresses
            ],
        }
        if made.folder is not None:
            answer["warning"] = (
                f"it does not follow the folder {made.folder} of the server: only whoever asks on its machine may have "
                "that (aloma-py workspace source --repo PATH there)"
            )
        try:
            await self._bring_in()
        except AlomaError as error:  # it is there all the same
            answer["problem"] = f"imported, but it is not served: {error}"
        return answer

    async def _write(self, importer: Importer, made: Made) -> None:
        told = Counting("importing tasks", importer.archive.manifest.counts.get("tasks", 0))
        try:
            await importer.write(made, self._bring_in, told)
        except BaseException:
            with anyio.CancelScope(shield=True), contextlib.suppress(AlomaError):
                await self._bring_in()  # it may have been served before, with nothing in it
            raise

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self, archive: Archive, sealer: Sealer | None, ids: Ids) -> Made:
        """Read everything in the file once, in a thread."""
        archive.check(Counting("checking the file", archive.size))
        made = read_made(archive, sealer)
        told = Counting("checking tasks", archive.manifest.counts.get("tasks", 0))
        owners = {"webhook_keys": {one.id for one in made.webhooks}, "firings": {one.id for one in made.schedules}}
        check_tasks(archive, self.site.workspace, ids, sealer, owners, told)
        return made

    async def _bring_in(self) -> None:
        """Have the running engine see the workspace as it is now: closed, or open."""
        schedule_news.tell(self.site.store)
        source_news.tell(self.site.store)
        if self.site.reload is not None:
            await self.site.reload()

    async def _note(self, action: str, **details: Any) -> None:
        """Write into the workspace's ledger what was done, where this process may write."""
        site = self.site
        if site.store.read_only:
            return
        try:
            now = site.engine.clock.now()
            await Ledger(site.store).note(now, caller.get().name, site.workspace, action, details)
        except StoreError as error:
            logger.error("%s: the ledger lacks %s: %s", site.workspace, action, error)


def _wanted(tasks: bool, since: str | None, ended_only: bool, now: Millis) -> Wanted:
    """What is wanted of the tasks. Raises :class:`~aloma_py.errors.InputError`."""
    if (since is not None or ended_only) and not tasks:
        raise InputError("since and ended_only choose among tasks: they go with tasks only")
    age = None if since is None else parse_duration(since, "since")
    if age is not None and age <= 0:
        raise InputError(f"since is {since!r}; more than nothing was expected, as 30d")
    return Wanted(tasks, None if age is None else now - age, ended_only)


async def _open(archive: Archive, passphrase: str | None) -> Sealer | None:
    """What decrypts the file's secrets; ``None`` where it has none."""
    facts = archive.manifest.encryption
    if facts is None:
        return None
    if passphrase is None:
        raise InputError(f"{archive.name} has secrets in it: the passphrase that they were encrypted with is missing")
    return await anyio.to_thread.run_sync(open_sealer, facts, passphrase)
