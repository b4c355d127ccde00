"""Git repositories for tests, and servers of them on this machine: over HTTP with a password, and over ssh."""

from __future__ import annotations

import base64
import io
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import paramiko  # type: ignore[import-untyped]
from dulwich.errors import HangupException
from dulwich.objects import Blob, Commit, ObjectID, Tree
from dulwich.protocol import Protocol
from dulwich.refs import Ref
from dulwich.repo import Repo
from dulwich.server import DictBackend, UploadPackHandler
from dulwich.web import make_wsgi_chain

Files = Mapping[str, str | bytes | tuple[int, bytes]]

STEP = "export const condition = {{ {0}: String }};\nexport const content = async () => {{ data.{0}_done = 1; }};\n"


def step_of(member: str) -> str:
    """A step's text."""
    return STEP.format(member)


class Repository:
    """A bare repository whose commits are made of mappings from paths to contents."""

    def __init__(self, folder: Path, branch: str = "main") -> None:
        folder.mkdir(parents=True)
        self.path = folder
        self.repo = Repo.init_bare(str(folder))
        self.branch = branch
        self.repo.refs.set_symbolic_ref(Ref(b"HEAD"), Ref(f"refs/heads/{branch}".encode()))
        self._count = 0

    def commit(self, files: Files, branch: str | None = None, message: str = "a change\n\nwith more") -> str:
        """Make a commit that has these files and no others; a tuple is mode and content, or a submodule's id."""
        store = self.repo.object_store
        folders: dict[str, Any] = {}
        for path, content in files.items():
            mode, data = content if isinstance(content, tuple) else (0o100644, content)
            *above, name = path.split("/")
            at = folders
            for part in above:
                at = at.setdefault(part, {})
            if mode == 0o160000:
                at[name] = (mode, data)
                continue
            blob = Blob.from_string(data.encode() if isinstance(data, str) else data)
            store.add_object(blob)
            at[name] = (mode, blob.id)
        commit = Commit()
        commit.tree = self._tree(folders)
        commit.author = commit.committer = b"Ada <ada@example.org>"
        self._count += 1
        commit.commit_time = commit.author_time = 1_767_225_600 + self._count
        commit.commit_timezone = commit.author_timezone = 0
        commit.message = message.encode()
        ref = Ref(f"refs/heads/{branch or self.branch}".encode())
        commit.parents = [self.repo.refs[ref]] if ref in self.repo.refs else []
        store.add_object(commit)
        self.repo.refs[ref] = commit.id
        return commit.id.decode()

    def _tree(self, folder: dict[str, Any]) -> ObjectID:
        tree = Tree()
        for name, found in folder.items():
            mode, id = (0o040000, self._tree(found)) if isinstance(found, dict) else found
            tree.add(name.encode("utf-8", "surrogateescape"), mode, id)
        self.repo.object_store.add_object(tree)
        return tree.id

    def close(self) -> None:
        self.repo.close()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class WebServer:
    """Serves repositories over HTTP; ``requests`` are the paths that were asked for."""

    def __init__(self, repositories: Mapping[str, Repository], user: str | None, password: str | None) -> None:
        self._chain = make_wsgi_chain(DictBackend({f"/{name}": one.repo for name, one in repositories.items()}))
        self._pair = None if user is None else base64.b64encode(f"{user}:{password}".encode()).decode()
        self.requests: list[str] = []
        self.redirect: str | None = None
        self.server = make_server("127.0.0.1", 0, self._answer, server_class=_Server, handler_class=_Quiet)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _answer(self, environ: Any, start: Any) -> Any:
        self.requests.append(environ["PATH_INFO"])
        if self._pair is not None and environ.get("HTTP_AUTHORIZATION") != f"Basic {self._pair}":
            start("401 Unauthorized", [("WWW-Authenticate", "Basic")])
            return [b"no"]
        if self.redirect is not None:
            start("302 Found", [("Location", self.redirect)])
            return [b""]
        if environ["PATH_INFO"].startswith("/page"):
            start("200 OK", [("Content-Type", "text/html")])
            return [b"<html>"]
        return self._chain(environ, start)


@contextmanager
def web_server(
    repositories: Mapping[str, Repository], user: str | None = None, password: str | None = None
) -> Iterator[WebServer]:
    served = WebServer(repositories, user, password)
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.server.shutdown()
        served.server.server_close()
        thread.join()


# ── ssh ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Access(paramiko.ServerInterface):  # type: ignore[misc]
    def __init__(self, key: paramiko.PKey) -> None:
        self._key = key
        self.asked = threading.Event()
        self.command = b""

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = username == "git" and key.asbytes() == self._key.asbytes()
        return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.command = command
        self.asked.set()
        return True


class SshServer:
    def __init__(self, repositories: Mapping[str, Repository], key: paramiko.PKey) -> None:
        self._backend = DictBackend({f"/{name}": one.repo for name, one in repositories.items()})
        self._key = key
        self.host_key = paramiko.ECDSAKey.generate(bits=256)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"ssh://git@127.0.0.1:{self.port}"
        self._open: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            transport = paramiko.Transport(link)
            transport.set_log_channel("aloma_py.sync.ssh")
            transport.add_server_key(self.host_key)
            self._open.append(transport)
            threading.Thread(target=self._serve, args=(transport,), daemon=True).start()

    def _serve(self, transport: paramiko.Transport) -> None:
        access = _Access(self._key)
        try:
            transport.start_server(server=access)
            channel = transport.accept(10)
            if channel is None or not access.asked.wait(10):
                return
            path = access.command.decode().split("'")[1]
            file = channel.makefile("rb")
            proto = Protocol(file.read, channel.sendall)
            if path not in self._backend.repos:
                channel.sendall_stderr(b"no such repository\n")
                channel.send_exit_status(1)
            else:
                UploadPackHandler(self._backend, [path], proto).handle()
                channel.send_exit_status(0)
            channel.close()
        except (OSError, EOFError, paramiko.SSHException, HangupException):  # whoever asked went away
            return

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for transport in self._open:
            transport.close()


def new_key() -> tuple[paramiko.PKey, str]:
    """A key for the user, and the text of its file."""
    key = paramiko.ECDSAKey.generate(bits=256)
    text = io.StringIO()
    key.write_private_key(text)
    return key, text.getvalue()
