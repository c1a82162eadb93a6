from __future__ import annotations

import asyncio
import socket

import pytest
from dnslib import OPCODE, QTYPE, RCODE, DNSHeader, DNSQuestion, DNSRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from wayhouse.base.errors import OutsideError
from wayhouse.overlay.drivers import dns
from wayhouse.overlay.drivers.dns import DnsServer, answer
from wayhouse.overlay.names import NameBook, Named

BOOK = NameBook(
    "home",
    [Named(uid="aa" * 20, name="attic", ip4="172.16.0.2", ip6="fd50::2"), Named(uid="bb" * 20, name="barn")],
    ["172.16.0.0/24", "fd50::/64"],
)


def ask(name: str, kind: str = "A") -> DNSRecord:
    return asked(DNSRecord.question(name, kind).pack())


def asked(data: bytes) -> DNSRecord:
    reply = answer(data, [BOOK])
    assert reply is not None
    return DNSRecord.parse(reply)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("attic.home", "A", ["172.16.0.2"]),
        ("ATTIC.Home", "A", ["172.16.0.2"]),
        ("attic.home", "AAAA", ["fd50::2"]),
        ("attic.home", "ANY", ["172.16.0.2", "fd50::2"]),
        ("aaaaaaaa.home", "A", ["172.16.0.2"]),
        ("2.0.16.172.in-addr.arpa", "PTR", ["attic.home."]),
        ("2" + ".0" * 27 + ".0.5.d.f.ip6.arpa", "PTR", ["attic.home."]),
    ],
)
def test_names_and_addresses(name: str, kind: str, expected: list[str]) -> None:
    reply = ask(name, kind)
    assert [str(one.rdata) for one in reply.rr] == expected
    assert reply.header.aa == 1
    assert str(reply.q.qname).rstrip(".") == name


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("barn.home", "A", RCODE.NOERROR),
        ("attic.home", "MX", RCODE.NOERROR),
        ("home", "A", RCODE.NOERROR),
        ("shed.home", "A", RCODE.NXDOMAIN),
        ("x.attic.home", "A", RCODE.NXDOMAIN),
        ("9.0.16.172.in-addr.arpa", "PTR", RCODE.NXDOMAIN),
        ("1.2.0.192.in-addr.arpa", "PTR", RCODE.REFUSED),
        ("example.org", "A", RCODE.REFUSED),
        ("org", "A", RCODE.REFUSED),
        (".", "NS", RCODE.REFUSED),
        ("xhome", "A", RCODE.REFUSED),
    ],
)
def test_what_is_not_there_and_what_is_none_of_ours(name: str, kind: str, code: int) -> None:
    reply = ask(name, kind)
    assert reply.header.rcode == code
    assert not reply.rr
    assert bool(reply.auth) == (code in (RCODE.NOERROR, RCODE.NXDOMAIN) and not name.endswith("arpa"))


def test_odd_messages() -> None:
    question = DNSRecord.question("attic.home").pack()
    reply = answer(question, [BOOK])
    assert reply is not None
    assert answer(reply, [BOOK]) is None, "an answer is not answered"
    assert answer(b"short", [BOOK]) is None
    assert asked(question[:-3]).header.rcode == RCODE.FORMERR
    assert asked(question + bytes(2000)).header.rcode == RCODE.FORMERR
    notify = DNSRecord(DNSHeader(opcode=OPCODE.NOTIFY), q=DNSQuestion("attic.home"))
    assert asked(notify.pack()).header.rcode == RCODE.NOTIMP
    two = DNSRecord(DNSHeader(), questions=[DNSQuestion("attic.home"), DNSQuestion("barn.home")])
    assert asked(two.pack()).header.rcode == RCODE.FORMERR
    chaos = DNSRecord(DNSHeader(), q=DNSQuestion("version.bind", QTYPE.TXT, 3))
    assert asked(chaos.pack()).header.rcode == RCODE.REFUSED


def test_a_query_with_edns_is_answered() -> None:
    query = DNSRecord.question("attic.home")
    query.add_ar(dns_option())
    assert [str(one.rdata) for one in asked(query.pack()).rr] == ["172.16.0.2"]


def dns_option() -> object:
    from dnslib import EDNS0

    return EDNS0(udp_len=1232)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_can_break_it(data: bytes) -> None:
    answer(data, [BOOK])
    head = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
    reply = answer(head + data, [BOOK])
    assert reply is not None
    assert reply[:2] == b"\x12\x34"
    assert len(reply) <= 512 + len(data)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), max_size=8), st.integers(0, 65535))
def test_no_name_can_break_it(parts: list[bytes], kind: int) -> None:
    question = (
        b"".join(bytes([len(part)]) + part for part in parts) + b"\0" + kind.to_bytes(2, "big") + b"\0\1"
    )
    assert answer(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + question, [BOOK]) is not None


def test_chains_of_pointers_cost_little() -> None:
    """Each points to the one before; as many as fit."""
    chain = b"".join(bytes([0xC0 | (place >> 8), place & 0xFF]) for place in range(10, 1000, 2))
    assert asked(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01" + chain).header.rcode == RCODE.FORMERR


@pytest.fixture
async def server():
    found = DnsServer(lambda: [BOOK], ["127.0.0.1"], 0)
    await found.start()
    yield found
    await found.stop()


async def test_over_udp(server: DnsServer) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        await loop.sock_sendto(client, b"nonsense", ("127.0.0.1", server.port))
        await loop.sock_sendto(client, DNSRecord.question("attic.home").pack(), ("127.0.0.1", server.port))
        async with asyncio.timeout(5):
            reply = DNSRecord.parse(await loop.sock_recv(client, 512))
    assert str(reply.rr[0].rdata) == "172.16.0.2"


async def test_over_tcp(server: DnsServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    query = DNSRecord.question("attic.home", "AAAA").pack()
    writer.write(2 * (len(query).to_bytes(2, "big") + query))
    async with asyncio.timeout(5):
        for _ in range(2):
            length = int.from_bytes(await reader.readexactly(2), "big")
            assert str(DNSRecord.parse(await reader.readexactly(length)).rr[0].rdata) == "fd50::2"
        writer.write(b"\xff\xff")
        assert await reader.read() == b"", "a message that long is none"
    writer.close()


async def test_idle_connections_are_closed(server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "IDLE_S", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()


async def test_a_port_that_is_taken_is_told(server: DnsServer) -> None:
    with pytest.raises(OutsideError, match=f"port {server.port}"):
        await DnsServer(list, ["127.0.0.1"], server.port).start()
