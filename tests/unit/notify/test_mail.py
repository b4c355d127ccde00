"""Mails, and the server they are given to."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import ssl
from pathlib import Path

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from aloma_py.errors import InputError
from aloma_py.notify import mail as mails
from aloma_py.notify.digest import make_test
from aloma_py.notify.mail import MailServer, make_mail, read_server, send_mail
from aloma_py.notify.outcome import Outcome
from aloma_py.settings import Settings

from .servers import mail_server

pytestmark = pytest.mark.anyio

PASSWORD = "pa:ss/w@rd%"


def a_mail(to: str = "ops@example.org") -> mails.EmailMessage:
    return make_mail(make_test("ops", 0), sender="aloma@example.org", to=to, message_id="msg_1", at=0)


def server_at(port: int, scheme: str = "smtp", options: str = "?starttls=no") -> MailServer:
    found = read_server(f"{scheme}://127.0.0.1:{port}{options}", "aloma@example.org")
    assert found is not None
    return found


# ── the setting ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_parts_of_the_setting() -> None:
    assert read_server("") is None
    found = read_server("smtp://me%40example.org:pa%3Ass%2Fw%40rd%25@mail.example.org")
    assert found == MailServer("mail.example.org", 587, "starttls", "me@example.org", PASSWORD, "me@example.org")
    assert PASSWORD not in repr(found)
    implicit = read_server("smtps://u:p@mail.example.org", "aloma@example.org")
    assert implicit is not None
    assert (implicit.port, implicit.tls, implicit.sender) == (465, "implicit", "aloma@example.org")
    plain = read_server("smtp://localhost?starttls=no")
    assert plain is not None
    assert (plain.port, plain.tls) == (25, "none")
    assert plain.sender.startswith("aloma-py@")


@pytest.mark.parametrize("smtp", [
    "mail.example.org", "http://mail.example.org", "smtp://", "smtp://u:hush-hush@h:port", "smtp://u:hush-hush@",
    "smtp://u@h", "smtp://u:hush-hush@h/path", "smtp://u:hush-hush@h?starttls=maybe", "smtp://u:hush-hush@h?x=y",
    "smtp://u:hush-hush@h?starttls=no", "smtp://u:hush#hush@h", "smtp://u:hush-hush@[::1",
])  # fmt: skip
def test_what_is_no_mail_server_is_told_without_the_password(smtp: str) -> None:
    with pytest.raises(InputError, match="ALOMA_SMTP") as raised:
        read_server(smtp)
    assert "hush" not in str(raised.value)


def test_a_sender_that_is_no_address_is_told() -> None:
    with pytest.raises(InputError, match="ALOMA_MAIL_FROM: 'me' is no mail address"):
        read_server("smtp://h", "me")


def test_the_settings_do_not_show_the_password() -> None:
    assert "hush" not in repr(Settings(smtp="smtp://u:hush@h"))


# ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_mail_arrives_as_text_and_as_html() -> None:
    async with mail_server() as box:
        outcome = await send_mail(server_at(box.port), a_mail())
        assert outcome == Outcome(True, "taken")
        [mail] = box.mails
        assert mail["Subject"] == "aloma_py: a test of notifications: they arrive"
        assert (mail["To"], mail["From"]) == ("ops@example.org", "aloma_py <aloma@example.org>")
        assert (mail["Message-ID"], mail["Auto-Submitted"]) == ("<msg_1@example.org>", "auto-generated")
        assert box.recipients == ["ops@example.org"]
        assert "Nothing failed" in box.text()
        assert "<p>Nothing failed" in box.html()


@pytest.mark.parametrize(("refusal", "final"), [("550 no such user", True), ("450 try later", False)])
async def test_a_recipient_that_is_refused_for_good_is_not_tried_again(refusal: str, final: bool) -> None:
    async with mail_server() as box:
        box.refuse = lambda recipient: refusal
        outcome = await send_mail(server_at(box.port), a_mail())
        assert outcome == Outcome(False, f"the recipient was refused: {refusal}", final=final)


async def test_a_mail_that_is_refused_is_tried_again() -> None:
    async with mail_server() as box:
        box.answer = "554 not today"
        outcome = await send_mail(server_at(box.port), a_mail())
        assert (outcome.delivered, outcome.final) == (False, False)
        assert "554 not today" in outcome.answer


async def test_starttls_is_demanded_where_the_server_does_not_offer_it() -> None:
    async with mail_server() as box:
        outcome = await send_mail(server_at(box.port, options=""), a_mail())
        assert (outcome.delivered, box.mails) == (False, [])
        assert "STARTTLS" in outcome.answer


async def test_a_certificate_that_nobody_vouches_for_is_not_taken(tmp_path: Path) -> None:
    async with mail_server(self_signed(tmp_path)) as box:
        outcome = await send_mail(server_at(box.port, "smtps", ""), a_mail())
        assert (outcome.delivered, box.mails) == (False, [])
        assert "certificate verify failed" in outcome.answer.lower()


async def test_with_a_certificate_that_is_known_it_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server(self_signed(tmp_path)) as box:
        monkeypatch.setattr(mails, "_context", lambda: ssl.create_default_context(cafile=tmp_path / "cert.pem"))
        assert (await send_mail(server_at(box.port, "smtps", ""), a_mail())).delivered


async def test_starttls_and_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mail_server(starttls=self_signed(tmp_path), login=("me@example.org", PASSWORD)) as box:
        monkeypatch.setattr(mails, "_context", lambda: ssl.create_default_context(cafile=tmp_path / "cert.pem"))
        for password, delivered in (("pa%3Ass%2Fw%40rd%25", True), ("hush-hush", False)):
            server = read_server(f"smtp://me%40example.org:{password}@127.0.0.1:{box.port}")
            assert server is not None
            outcome = await send_mail(server, a_mail())
            assert outcome.delivered is delivered, outcome
            assert PASSWORD not in str(outcome)
            assert "hush" not in str(outcome)
        assert "does not take the user and password: 535" in outcome.answer
        assert len(box.mails) == 1
        assert box.mails[0]["From"] == "aloma_py <aloma@example.org>"


async def test_a_server_that_repeats_the_password_is_not_quoted() -> None:
    async def repeat(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.send(b"220 here\r\n")
            while True:
                try:
                    line = await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return
                hello = line.upper().startswith(b"EHLO")
                await stream.send(b"250-here\r\n250 AUTH PLAIN\r\n" if hello else b"535 what is " + line)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, repeat)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        server = read_server(f"smtp://me%40example.org:a-heron-by-the-weir@127.0.0.1:{port}?starttls=no")
        assert server is not None
        outcome = await send_mail(server, a_mail())
        assert "does not take the user and password: 535 what is AUTH PLAIN" in outcome.answer
        said = outcome.answer.rpartition(" ")[2]
        assert "heron" not in base64.b64decode(said + "===", validate=False).decode("latin-1")
        group.cancel_scope.cancel()


async def test_a_server_that_is_not_there_is_an_outcome() -> None:
    async with mail_server() as box:
        gone = box.port
    outcome = await send_mail(server_at(gone), a_mail())
    assert not outcome.delivered
    assert f"127.0.0.1:{gone}" in outcome.answer


async def test_a_server_that_says_nothing_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mails, "TIMEOUT", 0.05)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        outcome = await send_mail(server_at(port), a_mail())
        assert outcome == Outcome(False, f"127.0.0.1:{port} did not answer within 0.05 s")


async def test_a_password_that_is_wrong_is_told_without_it() -> None:
    async with mail_server() as box:
        server = read_server(f"smtp://u:hush-hush@127.0.0.1:{box.port}?starttls=no", "a@example.org")
        assert server is not None
        outcome = await send_mail(server, a_mail())
        assert not outcome.delivered
        assert "hush" not in outcome.answer


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "here")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
