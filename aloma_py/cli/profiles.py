"""Servers elsewhere that this user knows: an address and a key for each, in a file that only its owner may read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from aloma_py.errors import InputError, NotFoundError


@dataclass(frozen=True, slots=True)
class Profile:
    """A server: ``url``, the API ``key``, and the workspace that commands mean there."""

    url: str
    key: str
    workspace: str | None = None


def profiles_file() -> Path:
    """``$XDG_CONFIG_HOME/aloma-py/profiles.json``, or below ``~/.config``."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "aloma-py" / "profiles.json"


def read_profiles() -> dict[str, Profile]:
    """The saved profiles by name. Raises :class:`~aloma_py.errors.InputError` where the file cannot be read."""
    file = profiles_file()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {name: Profile(**facts) for name, facts in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"the profiles in {file} cannot be read: {error}") from None


def find_profile(name: str) -> Profile:
    """The profile of that name, or :class:`~aloma_py.errors.NotFoundError`."""
    known = read_profiles()
    if name not in known:
        error = NotFoundError("profile", name, known)
        raise InputError(f"{error} (`aloma-py auth URL --name {name}` makes one)")
    return known[name]


def save_profile(name: str, profile: Profile) -> Path:
    """Keep a profile; gives the file."""
    return _write({**read_profiles(), name: profile})


def forget_profile(name: str) -> None:
    """Remove a profile. Raises :class:`~aloma_py.errors.InputError` where there is none of that name."""
    find_profile(name)
    known = read_profiles()
    del known[name]
    _write(known)


def _write(profiles: dict[str, Profile]) -> Path:
    file = profiles_file()
    text = json.dumps({name: asdict(profile) for name, profile in sorted(profiles.items())}, indent=2) + "\n"
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # For its owner alone from the first moment, and whole or not at all.
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
        part.replace(file)
    except OSError as error:
        raise InputError(f"the profiles cannot be written to {file}: {error.strerror}") from error
    return file
