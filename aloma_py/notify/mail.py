"""Mails: the server they are given to, what they are made of, and giving them to it."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import anyio

from aloma_py.errors import InputError
from aloma_py.hosts import is_loopback
from aloma_py.models import Millis
from aloma_py.notify.digest import one_line
from aloma_py.notify.outcome import TIMEOUT, Outcome
from aloma_py.notify.pages import html_page, plain_page
from aloma_py.notify.targets import check_address
from aloma_py.run.redaction import Redactor

if TYPE_CHECKING:
    import aiosmtplib

NAME: Final = "aloma_py"
"""Who the mails are from, for people."""

NO_SERVER: Final = "there is no mail server: set ALOMA_SMTP, which names it with a user and a password"

_FORM: Final = "ALOMA_SMTP has the form smtp://USER:PASSWORD@HOST:587 or smtps://USER:PASSWORD@HOST"


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are given to. ``tls`` is ``implicit``, ``starttls``, or ``none`` (this machine only)."""

    host: str
    port: int
    tls: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sender: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def read_server(smtp: str, mail_from: str = "") -> MailServer | None:
    """The server that the settings name; ``None`` for none. :class:`~aloma_py.errors.InputError` shows no password.

    A sign of the user or the password that has a meaning in addresses (``@ : / % ?``) is written as ``%40`` and so on.
    """
    if not smtp.strip():
        return None
    try:
        parts = urlsplit(smtp.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InputError(f"{_FORM}; it cannot be read as an address") from None
    if parts.scheme not in ("smtp", "smtps") or not host or parts.path.strip("/") or parts.fragment:
        raise InputError(f"{_FORM}; something else was given (is a sign of the password to be written as %40?)")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    starttls = options.pop("starttls", "yes")
    if options or starttls not in ("yes", "no"):
        raise InputError(f"{_FORM}; of options only ?starttls=no is known")
    tls = "implicit" if parts.scheme == "smtps" else "starttls" if starttls == "yes" else "none"
    if tls == "none" and not is_loopback(host):
        raise InputError(
            f"ALOMA_SMTP has starttls=no for {host}: mails and the password would go there for all to read; it is for "
            "a server on this machine only"
        )
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    if (user is None) != (password is None):
        raise InputError(f"{_FORM}; a user and a password, or neither, were expected")
    default = {"implicit": 465, "starttls": 587, "none": 25}[tls]
    return MailServer(host, port or default, tls, user, password, _sender(mail_from, user))


def _sender(mail_from: str, user: str | None) -> str:
    if mail_from.strip():
        try:
            return check_address(mail_from)
        except InputError as error:
            raise InputError(f"ALOMA_MAIL_FROM: {error}") from None
    try:
        return check_address(user or "")
    except InputError:
        return f"aloma-py@{_here()}"


@cache
def _here() -> str:
    """This machine's name, as far as a mail can name it. Nothing is looked up: that could take long."""
    name = re.sub(r"[^A-Za-z0-9.-]", "", socket.gethostname()).strip(".-")
    return name or "localhost"


def make_mail(content: Mapping[str, Any], *, sender: str, to: str, message_id: str, at: Millis) -> EmailMessage:
    """The mail for a digest. The same ``message_id`` gives the same Message-ID, so that a second copy can be known."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["Subject"] = f"{NAME}: {one_line(content['text'])}"
    mail["From"] = Address(NAME, addr_spec=sender)
    mail["To"] = Address(addr_spec=to)
    mail["Date"] = format_datetime(_utc(at))
    mail["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # whoever is away is not to answer
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(plain_page(content))
    mail.add_alternative(html_page(content), subtype="html")
    return mail


async def send_mail(server: MailServer, mail: EmailMessage) -> Outcome:
    """Give the mail to the server; what goes wrong is in the outcome. It takes 30 seconds at most."""

    taken: list[Outcome] = []
    try:
        with anyio.fail_after(TIMEOUT):
            await _send(server, mail, taken)
        return taken[0]
    except Exception as error:
        if taken:  # once it was taken, a bad farewell changes nothing
            return taken[0]
        outcome = _trouble(server, error)
        return replace(outcome, answer=Redactor([server.password or ""]).text(outcome.answer))  # servers repeat things


def _trouble(server: MailServer, error: Exception) -> Outcome:
    """What an error of sending says; anything else than an error of sending is raised again."""
    import aiosmtplib

    try:
        raise error
    except TimeoutError:
        return Outcome(False, f"{server} did not answer within {TIMEOUT} s")
    except aiosmtplib.SMTPRecipientsRefused as error:
        return _refused(error.recipients[0])
    except aiosmtplib.SMTPRecipientRefused as error:
        return _refused(error)
    except aiosmtplib.SMTPAuthenticationError as error:
        return Outcome(False, f"{server} does not take the user and password: {error.code} {one_line(error.message)}")
    except aiosmtplib.SMTPResponseException as error:
        return Outcome(False, f"{server} answered {error.code} {one_line(error.message)}")
    except aiosmtplib.SMTPException as error:
        return Outcome(False, f"{server}: {one_line(error.message) or type(error).__name__}")
    except ssl.SSLError as error:
        return Outcome(False, f"{server}: TLS is not possible: {one_line(str(error))}")
    except (OSError, UnicodeError, ValueError) as error:
        return Outcome(False, f"{server}: {type(error).__name__}: {one_line(str(error))}")


async def _send(server: MailServer, mail: EmailMessage, taken: list[Outcome]) -> None:
    """Send it; what the server said when it took it goes into ``taken``, before the connection is closed."""
    import aiosmtplib

    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname=_here(),  # else it is looked up, while the loop stands still
        timeout=TIMEOUT,
        use_tls=server.tls == "implicit",
        start_tls=server.tls == "starttls",  # demanded: None would do without where the server does not offer it
        username=server.user,
        password=server.password,
        tls_context=None if server.tls == "none" else _context(),
    )
    async with client:
        _, answer = await client.send_message(mail)
        taken.append(Outcome(True, one_line(answer)))


@cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _refused(error: aiosmtplib.SMTPRecipientRefused) -> Outcome:
    answer = f"the recipient was refused: {error.code} {one_line(error.message)}"
    return Outcome(False, answer, final=500 <= error.code < 600)


def _utc(at: Millis) -> Any:
    import datetime

    return datetime.datetime.fromtimestamp(at // 1000, datetime.UTC)
