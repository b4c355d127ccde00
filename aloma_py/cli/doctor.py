"""``aloma-py doctor``: what is wrong with an installation."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import rich_click as click

from aloma_py.cli import output
from aloma_py.cli.options import Common, pass_common

if TYPE_CHECKING:
    from aloma_py.settings import Settings

Verdict = Literal["ok", "warning", "wrong"]

LEAST_ROOM: Final = 100 * 1024 * 1024
"""Bytes of free disk below which a store may soon be full."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    what: str
    verdict: Verdict
    text: str


@click.command()
@pass_common
def doctor(common: Common) -> int:
    """Say what is wrong with an installation.

    Looks at Python, SQLite, V8, the plugins, the store with its key and folder, the disk, the server's socket and the
    address of the HTTP API. Changes nothing. The exit status is 1 where something is wrong.
    """
    findings = list(look(common.settings))
    if common.as_json:
        output.emit_json([{"what": one.what, "verdict": one.verdict, "text": one.text} for one in findings])
    else:
        marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "wrong": ("✗", "bold red")}
        made = output.table("", "", "")
        for one in findings:
            mark, style = marks[one.verdict]
            made.add_row(output.styled(mark, style), output.styled(one.what), output.styled(one.text))
        made.show_header = False
        output.print_table(output.console(), made)
    return 1 if any(one.verdict == "wrong" for one in findings) else 0


def look(settings: Settings) -> Iterator[Finding]:
    """What each check finds; one that fails in an unexpected way is a finding too."""
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        _python,
        _plugins,
        _v8,
        _store,
        _http,
        _notifications,
    )
    for each in checks:
        try:
            yield from each(settings)
        except Exception as error:
            yield Finding(each.__name__.strip("_"), "wrong", f"{type(error).__name__}: {error}")


def _python(settings: Settings) -> Iterator[Finding]:
    yield Finding("Python", "ok", f"{sys.version.split()[0]} on {sys.platform}")
    yield Finding("SQLite", "ok", sqlite3.sqlite_version)


def _plugins(settings: Settings) -> Iterator[Finding]:
    from aloma_py.plugins import installed

    found = installed()
    yield Finding("connectors", "ok", ", ".join(found.namespaces))
    yield Finding("kinds", "ok", ", ".join(kind.name for kind in found.kinds))
    for one in found.broken:
        yield Finding("plugin", "wrong", f"{one.name} cannot be loaded: {one.error}")


def _v8(settings: Settings) -> Iterator[Finding]:
    from aloma_py.javascript.check import check
    from aloma_py.javascript.program import Program

    [found] = check([Program("doctor", "doctor.js", "return {condition: () => ({ a: 1 }), content: () => {}}")])
    verdict: Verdict = "ok" if found.error is None else "wrong"
    yield Finding("V8", verdict, found.error or "runs JavaScript steps")


def _store(settings: Settings) -> Iterator[Finding]:
    from aloma_py.cli.client import run
    from aloma_py.connect.kinds import not_offered
    from aloma_py.plugins import installed
    from aloma_py.serve import wire
    from aloma_py.settings import DEFAULT_WORKSPACE
    from aloma_py.store.connectors import kinds_in_use
    from aloma_py.store.rotation import fingerprints_in
    from aloma_py.store.sqlite import SQLiteStore

    if settings.url:
        yield Finding("server", "ok", f"commands go to {settings.url}, not to a store here")
        return
    file = settings.store.expanduser().absolute()
    folder = file.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        yield Finding("folder", "wrong", f"{folder} is no folder that can be written to")
        return
    free = shutil.disk_usage(folder).free
    yield Finding("disk", "ok" if free > LEAST_ROOM else "warning", f"{output.size(free)} free in {folder}")
    if not file.exists():
        yield Finding("store", "ok", f"{file} is made when it is first needed")
        return

    async def read() -> tuple[str, list[str], set[bytes]]:
        async with SQLiteStore.inspect(file) as store:
            number = len({DEFAULT_WORKSPACE, *await store.workspaces()})
            spaces = f"{number} workspace{'' if number == 1 else 's'}"
            text = f"{file}, {spaces}; `aloma-py db verify` reads all of it"
            return (
                text,
                [
                    f"workspace {workspace!r}: {not_offered(namespace, kind)}"
                    for workspace, namespace, kind in kinds_in_use(store)
                    if installed().kinds.find(kind) is None
                ],
                await store.read(fingerprints_in),
            )

    said, lacking, encrypted = run(read)
    yield Finding("store", "ok", said)
    yield from (Finding("connector", "warning", text) for text in lacking)
    yield from _key(file, encrypted)
    server = _server(settings) is not None
    left = wire.socket_address(file) is not None and not server
    text = "runs" if server else "does not run: tasks stay as they are"
    yield Finding("server", "warning" if left else "ok", f"{text}{', and was killed the last time' if left else ''}")


def _server(settings: Settings) -> dict[str, str | None] | None:
    """What the server of the store says of itself; ``None`` where none runs."""
    from aloma_py.cli.client import ask_server, run

    return run(lambda: ask_server(settings))


def _key(store: Path, encrypted: set[bytes]) -> Iterator[Finding]:
    """Whether the key is safe, and the one that the store's values are ``encrypted`` with."""
    from aloma_py.errors import StoreError
    from aloma_py.store.stash import KEY_VARIABLE, StashCipher, key_file, load_keys

    file, given = key_file(store), bool(os.environ.get(KEY_VARIABLE))
    names = ", ".join(sorted(one.hex() for one in encrypted))
    if not given and not file.exists():
        needed = f"{file} is missing: it is the key {names}, which secrets are encrypted with"
        yield Finding("key", "wrong", needed) if encrypted else Finding("key", "ok", "made with the first secret")
        return
    try:
        key, *before = load_keys(store)
        cipher = StashCipher(key, before)
    except StoreError as error:
        yield Finding("key", "wrong", str(error))
        return
    if not encrypted <= cipher.fingerprints:
        text = f"it is {cipher.fingerprint}, but the store's secrets are encrypted with {names}: put the right one"
        yield Finding("key", "wrong", f"{text} {f'into {KEY_VARIABLE}' if given else f'at {file}'}")
        return
    if given:
        yield Finding("key", "ok", "from the environment")
        return
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        yield Finding("key", "wrong", f"{file} can be read by others (mode {mode:o}): chmod 600 {file}")
    else:
        yield Finding("key", "ok", f"{file}; keep a copy apart from the backups of the store")


def _http(settings: Settings) -> Iterator[Finding]:
    if settings.http == "off" or settings.url:
        return
    from aloma_py.serve.web.server import read_address

    said = _server(settings) or {}
    if "http" in said:  # it has settings of its own
        at = said["http"]
        if at is None:
            yield Finding("HTTP", "ok", "the server answers nowhere: it was started with ALOMA_HTTP=off")
            return
        host, text = read_address(at.partition("://")[2])[0], f"the server answers at {at}"
    else:
        host, port = read_address(settings.http)
        with socket.socket() as probe:
            probe.settimeout(1)
            taken = port != 0 and probe.connect_ex((host, port)) == 0
        text = f"{settings.http} {'is answered by somebody' if taken else 'is free'}"
    open_to_all = host in ("0.0.0.0", "::")
    if open_to_all:
        text += "; it is open to the network without TLS: put a proxy in front"
    yield Finding("HTTP", "warning" if open_to_all else "ok", text)


def _notifications(settings: Settings) -> Iterator[Finding]:
    """Whether somebody is to be told by mail and there is no server for it; whether nobody is told at all."""
    from aloma_py.cli.client import run
    from aloma_py.errors import InputError
    from aloma_py.notify.mail import NO_SERVER, read_server
    from aloma_py.notify.targets import is_valid, kind_of, untold
    from aloma_py.operations.notifications import naming
    from aloma_py.store.notifications import Notifications
    from aloma_py.store.sqlite import SQLiteStore
    from aloma_py.store.workspaces import WorkspaceRecords

    try:
        server = read_server(settings.smtp, settings.mail_from)
    except InputError as error:
        yield Finding("mail", "wrong", str(error))
        return
    file = settings.store.expanduser().absolute()
    mails, unknown = False, list[str]()
    if not settings.url and file.exists():

        async def read() -> tuple[bool, list[str]]:
            async with SQLiteStore.inspect(file) as store:
                groups = {one.name: one for one in Notifications(store).groups()}
                named = naming(WorkspaceRecords(store).all())
            direct = (is_valid(name) and kind_of(name) == "address" for name in named)
            told = any(groups[name].options["addresses"] for name in named if name in groups)
            return told or any(direct), untold([*named], groups)

        mails, unknown = run(read)
    said = _server(settings) or {}
    if "mail" in said:  # what counts is what the server was started with
        if said["mail"] is not None:
            text = f"the server gives mails to {said['mail']}; `aloma-py notification test` tries it"
            yield Finding("mail", "ok", text)
        elif mails:
            text = f"workspaces are to be told of failed tasks by mail, but {NO_SERVER}; then start the server again"
            yield Finding("mail", "wrong", text)
    elif server is not None:
        yield Finding("mail", "ok", f"{server} takes mails from {server.sender}; `aloma-py notification test` tries it")
    elif mails:
        yield Finding("mail", "wrong", f"workspaces are to be told of failed tasks by mail, but {NO_SERVER}")
    for name in unknown:
        yield Finding("mail", "warning", f"nobody is told by {name!r}, which workspaces name: there is no such group")
