"""Exports and imports of a server elsewhere: the file goes over HTTP piece by piece."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import anyio.to_thread
import httpx2
import msgspec

from aloma_py import jsontext
from aloma_py.cli.remote import connect_http, error_of, explaining
from aloma_py.operations.progress import Progress
from aloma_py.settings import Settings
from aloma_py.transfer import Archive
from aloma_py.transfer.newfile import new_file

PASSPHRASE: Final = "X-Passphrase"
WARNING: Final = "X-Warning"

_PIECE: Final = 256 * 1024
_PATIENT: Final = httpx2.Timeout(60, read=3600)
"""The server says nothing while it writes a large workspace."""


async def download(settings: Settings, target: Path, wanted: dict[str, Any], told: Progress) -> dict[str, Any]:
    """Write an export of the server to the new file ``target``; the answer is that of ``export_workspace``."""
    with new_file(target) as made:
        async with connect_http(settings.url, settings.key or None, settings.workspace) as client:
            with explaining(settings.url):
                async with client.http.stream(
                    "POST", f"{client.base}/export", json=wanted, timeout=_PATIENT
                ) as response:
                    if response.status_code >= 400:
                        raise error_of(response.status_code, await response.aread(), settings.url)
                    total, done = int(response.headers.get("content-length", "0")), 0
                    async for piece in response.aiter_bytes(_PIECE):
                        await anyio.to_thread.run_sync(made.file.write, piece)
                        done += len(piece)
                        told("downloading", done, total)
                    warning = response.headers.get(WARNING)
        made.file.flush()
        manifest = await anyio.to_thread.run_sync(_check, made.part, target)
        await anyio.to_thread.run_sync(made.publish)
    answer = {
        "workspace": manifest.workspace,
        "path": str(target),
        "bytes": done,
        "counts": manifest.counts,
        "left_out": msgspec.to_builtins(manifest.left_out),
    }
    return answer if warning is None else {**answer, "warning": warning}


async def upload(settings: Settings, source: Path, wanted: dict[str, Any], told: Progress) -> dict[str, Any]:
    """Send a file to the server to be imported; the answer is that of ``import_workspace``."""
    file = await anyio.to_thread.run_sync(source.open, "rb")
    total = os.fstat(file.fileno()).st_size

    async def pieces() -> AsyncIterator[bytes]:
        done = 0
        while piece := await anyio.to_thread.run_sync(file.read, _PIECE):
            yield piece
            done += len(piece)
            told("uploading", done, total)
        told("importing there", 0, 1)

    headers = {"content-type": "application/zip"}
    if wanted["passphrase"] is not None:
        headers[PASSPHRASE] = quote(wanted["passphrase"], safe="")
    query = {name: wanted[name] for name in ("new_ids", "new_addresses") if wanted[name]}
    async with connect_http(settings.url, settings.key or None, settings.workspace) as client:
        with file, explaining(settings.url):
            response = await client.http.post(
                f"{client.base}/import", content=pieces(), headers=headers, params=query, timeout=_PATIENT
            )
    if response.status_code >= 400:
        raise error_of(response.status_code, response.content, settings.url)
    found: dict[str, Any] = jsontext.loads(response.content)
    return found


def _check(part: Path, target: Path) -> Any:
    """What came says what it is, and is whole."""
    with part.open("rb") as file:
        archive = Archive(file, str(target))
        archive.check()
        return archive.manifest
