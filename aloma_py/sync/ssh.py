"""Git over ssh, with paramiko: one key that is given, and a host that must show the key that is expected."""

from __future__ import annotations

import base64
import io
import logging
import re
import socket
from collections.abc import Callable
from typing import Any, Final

import paramiko  # type: ignore[import-untyped]
from dulwich.client import SSHGitClient, SSHVendor
from dulwich.protocol import Protocol
from paramiko.hostkeys import HostKeyEntry, HostKeys  # type: ignore[import-untyped]

from aloma_py.errors import InputError
from aloma_py.sync.address import Address
from aloma_py.sync.errors import SourceError
from aloma_py.sync.packs import MAX_BYTES, too_large
from aloma_py.sync.reach import allowed
from aloma_py.sync.stopping import Stop

ANY: Final = "any"
"""Says that every host key is taken."""

CONNECT: Final = 15.0
WAIT: Final = 30.0
"""Seconds: to be connected, and that the other side may be silent."""

_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
_KINDS: Final = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)

_LOG: Final = "aloma_py.sync.ssh"
logging.getLogger(_LOG).addHandler(logging.NullHandler())
logging.getLogger(_LOG).propagate = False  # what went wrong is told by the error


def ssh_client(address: Address, credentials: Any, stop: Stop) -> SSHGitClient:
    """A client of the repository at ``address``."""
    user = credentials.user or address.user or "git"
    vendor = _Vendor(credentials, stop)
    return _Client(address.host, address.port, user, vendor=vendor, config=None, quiet=True)


class _Client(SSHGitClient):
    """Closes what it opened also where the conversation ended before it had begun."""

    _opened: Protocol | None = None

    def _connect(self, *given: Any, **more: Any) -> Any:
        made = super()._connect(*given, **more)
        self._opened = made[0]
        return made

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
        super().close()


def read_key(text: str) -> paramiko.PKey:
    """The private key that ``text`` is. Raises :class:`~aloma_py.errors.InputError`, which repeats nothing of it."""
    text = text.replace("\r\n", "\n").strip() + "\n"
    if "PRIVATE KEY" not in text:
        raise InputError("ssh_key is no private key: the text of a file such as id_ed25519 was expected, whole")
    for kind in _KINDS:
        try:
            return kind.from_private_key(io.StringIO(text))
        except paramiko.PasswordRequiredException:
            raise InputError("ssh_key has a passphrase: give a key without one, made for this alone") from None
        except Exception:  # it is of another kind
            continue
    raise InputError("ssh_key cannot be read: a private key of the kind ed25519, ecdsa or rsa was expected")


def check_host_key(text: str) -> None:
    """Refuse what is no host key. Raises :class:`~aloma_py.errors.InputError`."""
    _Expected(text, "host", None)


class _Expected:
    """The host keys that are taken: lines as in ``known_hosts``, ``TYPE BASE64``, or fingerprints."""

    def __init__(self, text: str, host: str, port: int | None) -> None:
        self._name = host if port in (None, 22) else f"[{host}]:{port}"
        self._any = text.strip() == ANY
        self._prints: set[str] = set()
        self._keys = HostKeys()
        self.kinds: set[str] = set()
        for line in () if self._any else text.strip().splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                self._add(line.strip())
        if not (self._any or self._prints or self.kinds):
            raise InputError(f"host_key is empty: {_FORMS}")

    def _add(self, line: str) -> None:
        if _FINGERPRINT.fullmatch(line):
            self._prints.add(line.rstrip("="))
            return
        words = line.split()
        if len(words) >= 2 and words[0].startswith(("ssh-", "ecdsa-")):
            words = [self._name, *words]
        entry = None
        if len(words) >= 3:
            try:
                base64.b64decode(words[2], validate=True)
                entry = HostKeyEntry.from_line(" ".join(words[:3]))
            except Exception:
                entry = None
        if entry is None or entry.key is None:
            raise InputError(f"host_key has a line that is no host key: {_FORMS}")
        self._keys._entries.append(entry)
        self.kinds.add(entry.key.get_name())

    def takes(self, key: paramiko.PKey) -> bool:
        return self._any or print_of(key) in self._prints or bool(self._keys.check(self._name, key))


_FORMS: Final = (
    "lines as ssh-keyscan prints them, a fingerprint as SHA256:…, or any (which takes every host for the right one) "
    "was expected"
)


def print_of(key: paramiko.PKey) -> str:
    """``SHA256:…``, as ssh shows it."""
    return str(key.fingerprint).rstrip("=")


class _Vendor(SSHVendor):
    def __init__(self, credentials: Any, stop: Stop) -> None:
        self._credentials = credentials
        self._stop = stop

    def run_command(self, host: str, command: bytes, username: str | None = None, port: int | None = None,
                    *_: Any, **__: Any) -> Any:  # fmt: skip
        link = socket.create_connection((host, port or 22), timeout=self._stop.left(CONNECT))
        self._stop.closing(link.close)
        allowed(link, host)
        transport = paramiko.Transport(link)
        transport.set_log_channel(_LOG)
        self._stop.closing(transport.close)
        try:
            self._start(transport, host, port)
            self._log_in(transport, host, username or "git")
            channel = transport.open_session(timeout=self._stop.left(CONNECT))
            channel.settimeout(self._stop.left(WAIT))
            channel.exec_command(command)
            return _Conversation(transport, channel, self._stop)
        except BaseException:
            transport.close()
            raise

    def _start(self, transport: paramiko.Transport, host: str, port: int | None) -> None:
        """Come to terms with the host, if it is the right one."""
        given = self._credentials.host_key
        expected = _Expected(given, host, port) if given else None
        if expected is not None and expected.kinds:
            options: Any = transport.get_security_options()
            options.key_types = sorted(options.key_types, key=lambda kind: not _is_of(kind, expected.kinds))
        try:
            transport.start_client(timeout=self._stop.left(CONNECT))
        except (paramiko.SSHException, EOFError) as error:
            self._stop.check()
            raise SourceError(f"{host} does not speak ssh as expected: {str(error)[:200]}") from error
        key = transport.get_remote_server_key()
        shown = f"{key.get_name()} {print_of(key)}"
        if expected is None:
            raise SourceError(
                f"nothing says that {host} is the right host: it shows the key {shown}. Compare that with what "
                "the host publishes, and give it as host_key"
            )
        if not expected.takes(key):
            raise SourceError(f"{host} shows the key {shown}, which is not the one in host_key: it may be another host")

    def _log_in(self, transport: paramiko.Transport, host: str, user: str) -> None:
        text, password = self._credentials.ssh_key, self._credentials.password
        if not text and not password:
            raise SourceError(f"{host} wants an ssh_key (or a password); none is set")
        transport.auth_timeout = self._stop.left(CONNECT)
        try:
            if text:
                transport.auth_publickey(user, read_key(text))
            else:
                transport.auth_password(user, password)
        except paramiko.SSHException as error:
            self._stop.check()
            raise SourceError(f"{host} refused the {'key' if text else 'password'} for the user {user!r}") from error


def _is_of(kind: str, wanted: set[str]) -> bool:
    return kind in wanted or (kind.startswith("rsa-sha2-") and "ssh-rsa" in wanted)


class _Conversation:
    """What dulwich reads from and writes to."""

    stderr = None

    def __init__(self, transport: paramiko.Transport, channel: paramiko.Channel, stop: Stop) -> None:
        self._transport = transport
        self._channel = channel
        self._from: Any = channel.makefile("rb", 64 * 1024)
        self._stop = stop
        self._size = 0
        self.write: Callable[[bytes], Any] = channel.sendall

    def read(self, size: int) -> bytes:
        self._stop.check()
        self._channel.settimeout(self._stop.left(WAIT))
        data: bytes = self._from.read(size)
        self._size += len(data)
        if self._size > MAX_BYTES + MAX_BYTES // 10:
            raise too_large()
        return data

    def can_read(self) -> bool:
        return bool(self._channel.recv_ready())

    def close(self) -> None:
        self._channel.close()
        self._transport.close()
