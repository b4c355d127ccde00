"""What a source's branch, folder, user and secrets may be."""

from __future__ import annotations

import re
from typing import Final

from dulwich.refs import check_ref_format

from aloma_py.errors import InputError
from aloma_py.sync.errors import CONTROLS

_SURROGATES: Final = re.compile(r"[\ud800-\udfff\x00]")


def check_branch(name: str | None) -> None:
    if name is None:
        return
    if len(name) > 250 or CONTROLS.search(name) or not check_ref_format(f"refs/heads/{name}".encode()):  # type: ignore[arg-type]
        raise InputError(f"branch {name[:100]!r} cannot be the name of a branch: one as main or release/2 was expected")


def check_folder(path: str | None) -> None:
    if path is None:
        return
    if len(path) > 500 or CONTROLS.search(path) or any(part in ("", ".", "..") for part in path.split("/")):
        raise InputError(f"folder {path[:100]!r} is no folder of a repository: one as flows/orders was expected")


def check_user(name: str | None, kind: str) -> None:
    if name is None:
        return
    if len(name) > 200 or CONTROLS.search(name) or (":" in name and kind != "ssh"):
        raise InputError("user must be a name of up to 200 characters without a colon; a password or token is password")


def check_secret(text: str | None, name: str, most: int) -> None:
    if text is None:
        return
    bad = _SURROGATES if name == "ssh_key" else CONTROLS
    if len(text) > most or bad.search(text):
        raise InputError(f"{name} must be a text of up to {most:,} characters, without control characters")
