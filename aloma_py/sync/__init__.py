"""Reading a project's steps and libraries out of a git repository: no git binary, and nothing of it is run."""

from __future__ import annotations

from aloma_py.sync.address import Address, read_address
from aloma_py.sync.errors import SourceError
from aloma_py.sync.fetching import Credentials, Found, find
from aloma_py.sync.projects import Project, ProjectScript
from aloma_py.sync.stopping import Stop, in_thread

__all__ = [
    "Address",
    "Credentials",
    "Found",
    "Project",
    "ProjectScript",
    "SourceError",
    "Stop",
    "find",
    "in_thread",
    "read_address",
]
