"""SNTP against a server of our own on loopback, and against everything that is no server."""

from __future__ import annotations

import asyncio
import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wayhouse.automation.clock_model import ClockFailedError
from wayhouse.automation.drivers import ntp
from wayhouse.base.clock import SystemClock

EPOCH = 2_208_988_800
COOKIE = b"12345678"


def stamp(time: float) -> bytes:
    return struct.pack(">II", (int(time) + EPOCH) % 2**32, int(time % 1 * 2**32))


def reply(
    cookie: bytes, came: float, left: float, *, first: int = 0x24, stratum: int = 2, word: bytes = b"\0\0\0\0"
) -> bytes:
    return bytes([first, stratum, 0, 0]) + bytes(8) + word + bytes(8) + cookie + stamp(came) + stamp(left)


class Server(asyncio.DatagramProtocol):
    """Answers what `make` says, some datagrams for each request."""

    def __init__(self, make):
        self.make = make
        self.heard: list[bytes] = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.heard.append(data)
        for one in self.make(data[40:48]):
            self.transport.sendto(one, addr)


async def serve(make):
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: Server(make), local_addr=("127.0.0.1", 0))
    return transport, server, transport.get_extra_info("sockname")[1]


async def test_a_clock_that_is_ahead():
    clock = SystemClock()
    transport, server, port = await serve(
        lambda cookie: [
            b"junk",
            reply(b"notours!", 0, 0),
            reply(cookie, clock.wall() - 100, clock.wall() - 100),
        ]
    )
    found = await ntp.ask("127.0.0.1", port, clock)
    transport.close()
    assert found.offset_s == pytest.approx(100, abs=1)
    assert found.stratum == 2
    assert found.delay_s >= 0
    assert len(server.heard[0]) == 48
    assert server.heard[0][:40] == b"\x23" + bytes(39)  # it tells nothing but a random number


async def test_a_server_that_says_nothing():
    transport, _, port = await serve(lambda _: [])
    with pytest.raises(ClockFailedError, match="no answer within"):
        await ntp.ask("127.0.0.1", port, SystemClock(), timeout_s=0.2)
    transport.close()


async def test_no_server_at_all():
    transport, _, port = await serve(lambda _: [])
    transport.close()
    await asyncio.sleep(0)
    with pytest.raises(ClockFailedError, match=r"cannot be reached|no answer"):
        await ntp.ask("127.0.0.1", port, SystemClock(), timeout_s=2)
    with pytest.raises(ClockFailedError, match="cannot be reached"):
        await ntp.ask("a" * 100, 123, SystemClock(), timeout_s=5)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "too short"),
        (reply(b"87654321", 0, 0), "does not belong"),
        (reply(COOKIE, 0, 0, first=0x23), "does not belong"),
        (reply(COOKIE, 0, 0, stratum=0, word=b"RATE"), "RATE"),
        (reply(COOKIE, 0, 0, stratum=16), "does not know"),
        (reply(COOKIE, 0, 0, first=0xE4), "does not know"),
        (reply(COOKIE, 2000, 1000), "contradict"),
    ],
)
def test_answers_that_are_no_good(data, says):
    with pytest.raises(ClockFailedError, match=says):
        ntp.parse(data, COOKIE, 1000.0, 1001.0)


@pytest.mark.parametrize("now", [1_000_000_000.0, 2_085_978_490.0, 2_085_978_500.0, 4_000_000_000.0])
def test_time_stamps_of_the_next_era(now):
    found = ntp.parse(reply(COOKIE, now + 5.5, now + 5.5), COOKIE, now, now + 1)
    assert found.offset_s == pytest.approx(-5, abs=0.01)


@given(st.binary(max_size=100), st.booleans())
def test_anything_is_an_answer_or_an_error(data, is_ours):
    if is_ours and len(data) > 32:
        data = b"\x24\x01" + data[2:24] + COOKIE + data[32:]
    with contextlib.suppress(ClockFailedError):
        ntp.parse(data, COOKIE, 1_772_366_400.0, 1_772_366_401.0)
