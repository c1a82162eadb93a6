"""A signaller against servers that cheat, break off or say nothing: it gives a reason, tells them nothing in clear, and leaves nothing behind.

With a good server: tests/e2e/test_overlay_signalling.py.
"""

# covers: overlay/drivers/xmpp_client.py, overlay/drivers/xmpp_stream.py

from __future__ import annotations

import asyncio
import base64
import datetime
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wayhouse.base.errors import UnavailableError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay.account import Tls, XmppAccount
from wayhouse.overlay.drivers import xmpp
from wayhouse.overlay.drivers.xmpp import XmppSignaller
from wayhouse.overlay.model import NoSuchPeerError, SignalDown, SignalEvent
from wayhouse.overlay.stanzas import BadStanzaError

UID = "a" * 40
PASSWORD = "pencil-7c1e"
OPEN = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
STARTTLS = b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
PLAIN_ONLY = b"<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
SCRAM = PLAIN_ONLY.replace(b"PLAIN", b"SCRAM-SHA-256")
PROCEED = b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
PRESENCE = f"<presence from='friend@d/tincan{'b' * 40}'/>".encode()
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    def __init__(self) -> None:
        self.port = 0
        self.heard = b""
        self.connections = 0


@asynccontextmanager
async def serving(script: Script, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        try:
            await script(reader, writer)
            while data := await reader.read(65536):
                server.heard += data
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(welcome, "127.0.0.1", 0, ssl=context)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
            await asyncio.wait({task})


def says(*parts: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            await reader.read(4096)
            writer.write(part)

    return script


async def first_reason(server: Server, **settings: object) -> SignalDown:
    before = asyncio.all_tasks()
    events: asyncio.Queue[SignalEvent] = asyncio.Queue()
    async with Tasks() as tasks:
        words = {"jid": "user@d", "password": PASSWORD, "host": "127.0.0.1", "port": server.port}
        words |= {"pin": "0" * 64} | settings
        signaller = XmppSignaller(XmppAccount(**words), tasks)  # type: ignore[arg-type]
        signaller.start(UID, "F", events.put_nowait)
        async with asyncio.timeout(10):
            event = await events.get()
        with pytest.raises(NoSuchPeerError):
            signaller.send("b" * 40, "k", "d")
        with pytest.raises(UnavailableError):
            await signaller.services()
        await signaller.stop()
    assert asyncio.all_tasks() - before == set()
    assert isinstance(event, SignalDown)
    assert not signaller.is_up
    return event


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((OPEN + b"<stream:features/>",), "no TLS"),
        ((OPEN + PLAIN_ONLY,), "no TLS"),
        ((OPEN + SCRAM,), "no TLS"),
        ((OPEN + PRESENCE,), "too early"),
        ((OPEN + b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",), "too early"),
        ((OPEN + STARTTLS, PROCEED + PRESENCE), "too early"),
        ((OPEN + STARTTLS, PROCEED + PROCEED), "too early"),
        ((OPEN + STARTTLS, b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"), "cannot do TLS"),
        ((OPEN + STARTTLS, PROCEED, b"this is no TLS" * 20), "TLS"),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "no XML"),
        ((b"\xff\xfe\x00" * 100,), "no XML"),
        ((OPEN + b"<stream:features>" + b"x" * 300_000,), "more than 262144 bytes"),
        ((b"x" * 300_000,), "The server sent"),
        ((OPEN + b"<a>" * 30,), "deep"),
        ((OPEN + b"</stream:stream>",), "ended the connection"),
        (
            (
                OPEN
                + b"<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>evil.example</see-other-host></stream:error>",
            ),
            "another one",
        ),
        (
            (OPEN + b"<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",),
            "same uid",
        ),
        (
            (
                b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>"
                + b"".join(
                    f"<!ENTITY a{n} '{f'&a{n - 1 if n else str()};' * 10}'>".encode() for n in range(9)
                )
                + b"]><x>&a8;</x>",
            ),
            "",
        ),
    ],
)
async def test_a_server_that_cheats_is_told_nothing(parts: tuple[bytes, ...], reason: str) -> None:
    async with serving(says(*parts)) as server:
        down = await first_reason(server)
        assert reason in down.reason
        assert not down.is_final
        assert b"auth" not in server.heard


async def test_a_server_that_is_silent_or_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmpp, "SIGN_IN_LIMIT_S", 0.1)
    async with serving(says()) as server:
        assert "does not answer" in (await first_reason(server)).reason
    assert "Connection refused" in (await first_reason(server)).reason
    async with serving(says(OPEN + STARTTLS, PROCEED)) as server:
        assert "does not answer" in (await first_reason(server)).reason


def server_context(folder: Path) -> tuple[ssl.SSLContext, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "d")])
    start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    end = start + datetime.timedelta(days=36_500)
    one = x509.CertificateBuilder(name, name, key.public_key(), 1, start, end).sign(key, hashes.SHA256())
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / "both.pem"
    path.write_bytes(one.public_bytes(pem) + key.private_bytes(pem, private, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, one.fingerprint(hashes.SHA256()).hex()


def sasl(name: str, text: bytes) -> bytes:
    content = base64.b64encode(text).decode()
    return f"<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{content}</{name}>".encode()


def answers(make: Callable[[bytes], bytes], *more: bytes) -> Script:
    """Offers SCRAM, and answers the nonce."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(OPEN + SCRAM)
        first = base64.b64decode((await reader.read(4096)).partition(b">")[2].partition(b"<")[0])
        writer.write(make(first.rpartition(b"r=")[2]))
        for part in more:
            await reader.read(4096)
            writer.write(part)

    return script


@pytest.mark.parametrize(
    ("script", "reason", "is_final"),
    [
        (says(OPEN + PLAIN_ONLY), "no SCRAM", False),
        (says(OPEN + PRESENCE), "too early", False),
        (answers(lambda nonce: sasl("challenge", b"r=" + nonce + b"X,s=AAAA,i=4000000000")), "rounds", False),
        (answers(lambda nonce: sasl("challenge", b"r=other,s=AAAA,i=4096")), "another question", False),
        (answers(lambda nonce: sasl("success", b"v=AAAA")), "could not prove", False),
        (
            answers(
                lambda nonce: sasl("challenge", b"r=" + nonce + b"X,s=AAAA,i=4096"),
                sasl("success", b"v=AAAA"),
            ),
            "could not prove",
            False,
        ),
        (
            answers(
                lambda nonce: sasl("challenge", b"r=" + nonce + b"X,s=AAAA,i=4096"),
                sasl("failure", b"").replace(b"></", b"><not-authorized/></"),
            ),
            "refuses the name or the password",
            True,
        ),
    ],
)
async def test_an_impostor_behind_tls_is_found_out(
    script: Script, reason: str, is_final: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    context, pin = server_context(tmp_path)
    async with serving(script, context) as server:
        down = await first_reason(server, tls=Tls.DIRECT, pin=pin)
        assert reason in down.reason
        assert down.is_final == is_final
        assert server.connections == 1
    assert not any(PASSWORD in text or "<auth" in text for text in caplog.messages)


async def test_what_cannot_be_told_is_refused_at_once() -> None:
    async with Tasks() as tasks:
        signaller = XmppSignaller(XmppAccount(jid="user@d", password=PASSWORD), tasks)
        with pytest.raises(BadStanzaError):
            signaller.start(UID, "\0", lambda _: None)
        await signaller.stop()
        assert PASSWORD not in repr(signaller) + repr(vars(signaller))
        assert signaller.name == "xmpp:user@d"
