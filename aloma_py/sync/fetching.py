"""Looking at a repository: at which commit a branch is, and what project that commit has."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dulwich.client import GitClient
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.object_store import ObjectStoreGraphWalker
from dulwich.objects import Commit, ObjectID, ShaFile, Tree
from dulwich.refs import Ref
from dulwich.repo import Repo

from aloma_py.errors import AlomaError, suggest
from aloma_py.sync.address import Address
from aloma_py.sync.errors import SourceError, plain
from aloma_py.sync.packs import taking_in
from aloma_py.sync.projects import Project, read_project
from aloma_py.sync.stopping import Stop, Stopped

HEADS: Final = b"refs/heads/"

_Refs = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is shown to the other side. ``host_key`` is what it must show itself, over ssh."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ssh_key: str | None = field(default=None, repr=False)
    host_key: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A branch's newest commit. ``project`` is ``None`` where it is the commit that was known."""

    commit: str
    branch: str | None
    author: str = ""
    title: str = ""
    project: Project | None = None


def find(
    address: Address,
    credentials: Credentials,
    *,
    branch: str | None = None,
    folder: str | None = None,
    known: str | None = None,
    stop: Stop | None = None,
) -> Found:
    """The newest commit of ``branch`` (else of the branch that the repository's HEAD names), with its project.

    Only that commit is fetched. Its project is not read where it is ``known``. The caller's thread waits. Raises
    :class:`~aloma_py.sync.errors.SourceError`, and :class:`~aloma_py.errors.LoadError` for files of the project.
    """
    stop = stop or Stop()
    look = _Look(branch, folder, known, stop)
    try:
        if address.kind == "file":
            return look.at_home(address.path)
        return look.at(_client(address, credentials, stop), address.path)
    except (AlomaError, Stopped):
        raise
    except Exception as error:
        stop.check()  # a connection that was closed for that reason
        raise _told(error, address) from error


def _client(address: Address, credentials: Credentials, stop: Stop) -> GitClient:
    if address.kind == "ssh":
        from aloma_py.sync.ssh import ssh_client

        return ssh_client(address, credentials, stop)
    from aloma_py.sync.webclient import web_client

    return web_client(address, credentials, stop)


class _Look:
    def __init__(self, branch: str | None, folder: str | None, known: str | None, stop: Stop) -> None:
        self._branch = branch
        self._folder = folder
        self._known = known
        self._stop = stop

    def at(self, client: GitClient, path: str) -> Found:
        """Over the network: ask for the branches, and where the commit is new, for what it has."""
        chosen: list[ObjectID] = []

        def wanted(refs: _Refs, depth: int | None = None) -> list[ObjectID]:
            chosen.append(_chosen(refs, self._branch))
            return [] if chosen[0].decode() == self._known else chosen

        with contextlib.closing(client), taking_in(self._stop) as packs:
            walker = ObjectStoreGraphWalker([], lambda id: [])
            answer = client.fetch_pack(path, wanted, walker, packs.write, depth=1, protocol_version=0)
            if not chosen:  # not asked, as there was nothing
                raise _empty()
            name = self._branch or _named(answer.refs, answer.symrefs, chosen[0])
            if not packs.size:
                return Found(chosen[0].decode(), name)
            with packs.opened() as pack:
                return self._read(lambda id: pack[id], chosen[0], name)

    def at_home(self, path: str) -> Found:
        """In a repository of this machine, which is read where it is."""
        with contextlib.closing(Repo(path)) as repo:
            refs = repo.get_refs()
            commit = _chosen(refs, self._branch)
            name = self._branch or _named(refs, repo.refs.get_symrefs(), commit)
            if commit.decode() == self._known:
                return Found(commit.decode(), name)
            return self._read(lambda id: repo.object_store[id], commit, name)

    def _read(self, get: Callable[[ObjectID], ShaFile], id: ObjectID, name: str | None) -> Found:
        commit = get(id)
        if not isinstance(commit, Commit):
            raise SourceError("the branch does not name a commit")

        def tree(id: bytes) -> Tree:
            found = get(ObjectID(id))
            if not isinstance(found, Tree):
                raise SourceError("the repository is damaged: a folder was expected")
            return found

        def content(id: bytes) -> bytes:
            return get(ObjectID(id)).as_raw_string()

        project = read_project(tree, content, commit.tree, self._folder, self._stop)
        title = commit.message.decode("utf-8", "replace").strip().partition("\n")[0]
        author = commit.author.decode("utf-8", "replace")
        return Found(id.decode(), name, plain(author[:200]), plain(title[:200]), project)


def _chosen(refs: _Refs, branch: str | None) -> ObjectID:
    """The commit that the branch, or HEAD, is at."""
    if branch is None:
        found = refs.get(Ref(b"HEAD"))
        if found is None:
            raise _empty()
        return ObjectID(found)
    found = refs.get(Ref(HEADS + branch.encode()))
    if found is None:
        branches = _branches(refs)
        if not branches:
            raise _empty()
        raise SourceError(f"the repository has no branch {branch!r}{suggest(branch, branches)}")
    return ObjectID(found)


def _named(refs: _Refs, symrefs: Mapping[Any, Any] | None, commit: bytes) -> str | None:
    """What the branch of HEAD is called; servers that do not say so leave it to be guessed."""
    told = (symrefs or {}).get(b"HEAD")
    if told is not None and told.startswith(HEADS):
        return plain(told.removeprefix(HEADS).decode("utf-8", "replace"))
    same = [name for name in _branches(refs) if refs.get(HEADS + name.encode()) == commit]
    return next((name for name in ("main", "master") if name in same), same[0] if same else None)


def _branches(refs: _Refs) -> Sequence[str]:
    names = (ref.removeprefix(HEADS).decode("utf-8", "replace") for ref in refs if ref.startswith(HEADS))
    return sorted(name for name in names if name.isprintable())


def _empty() -> SourceError:
    return SourceError("the repository has no commits yet")


def _told(error: Exception, address: Address) -> SourceError:
    """The error in our words: those of the libraries may repeat what was sent."""
    place = address.place
    match error:
        case NotGitRepository() | FileNotFoundError():
            return SourceError(f"there is no git repository at {address.url}")
        case PermissionError():
            return SourceError(f"{address.url} must not be read by this user")
        case HangupException() | EOFError():
            return SourceError(
                f"{place} ended the conversation: there is no repository {address.path.lstrip('/')!r}, or this user or "
                "key may not read it"
            )
        case TimeoutError():
            return SourceError(f"{place} did not answer in time")
        case ssl.SSLError():
            return SourceError(f"{place} has no certificate that can be trusted: {error.reason or 'TLS failed'}")
        case OSError():
            return SourceError(f"{place} cannot be reached: {error.strerror or type(error).__name__}")
        case GitProtocolError():
            return SourceError(f"{place} does not speak git as expected: {str(error)[:200]}")
    return SourceError(f"the repository cannot be read: {type(error).__name__}: {str(error)[:200]}")
