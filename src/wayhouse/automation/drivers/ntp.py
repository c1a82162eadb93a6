"""An SNTP query (RFC 4330, RFC 5905): asks one server once how far our clock is ahead.

Rule: only a server that the settings name is asked. The request tells it nothing of us: its time stamp is a random number, which
the answer must carry back, so that no stranger can answer in its place.
"""

from __future__ import annotations

import asyncio
import struct
from typing import NamedTuple

from wayhouse.automation.clock_model import ClockFailedError
from wayhouse.base import ids
from wayhouse.base.clock import Clock

TIMEOUT_S = 5.0
SIZE = 48
VERSION, CLIENT, SERVER = 4, 3, 4
UNSYNCHRONISED = 3
_PACKET = struct.Struct(">BBbbII4s8s8s8s8s")
_ERA_S = 2**32
_EPOCH_S = 2_208_988_800
"""From 1900 to 1970."""


class Answer(NamedTuple):
    """`offset_s`: how far our clock is ahead; `delay_s`: of the way there and back."""

    offset_s: float
    delay_s: float
    stratum: int


def request(cookie: bytes) -> bytes:
    """`cookie`: 8 random bytes."""
    return _PACKET.pack(VERSION << 3 | CLIENT, 0, 0, 0, 0, 0, b"", b"", b"", b"", cookie)


def parse(data: bytes, cookie: bytes, sent: float, received: float) -> Answer:
    """`sent`, `received`: by our clock, Unix seconds. Raises `ClockFailedError` for what is no good answer to `cookie`."""
    if len(data) < SIZE:
        raise ClockFailedError("The NTP server sent what is no answer: it is too short.")
    first, stratum, _, _, _, _, reference, _, origin, came, left = _PACKET.unpack_from(data)
    if first & 7 != SERVER or not 1 <= first >> 3 & 7 <= VERSION or origin != cookie:
        raise ClockFailedError("Somebody sent an answer that does not belong to our NTP request.")
    if stratum == 0:
        word = "".join(chr(one) for one in reference if 32 < one < 127)
        raise ClockFailedError(f"The NTP server refuses ({word or 'no reason given'}). Ask another one.")
    if stratum > 15 or first >> 6 == UNSYNCHRONISED or left == bytes(8):
        raise ClockFailedError("The NTP server does not know the time itself. Ask another one.")
    arrived, answered = _seconds(came, sent), _seconds(left, sent)
    delay = received - sent - (answered - arrived)
    if delay < -1.0 or answered < arrived:
        raise ClockFailedError("The NTP server's time stamps contradict each other.")
    return Answer(-((arrived - sent) + (answered - received)) / 2, max(0.0, delay), stratum)


async def ask(host: str, port: int, clock: Clock, *, timeout_s: float = TIMEOUT_S) -> Answer:
    """Raises `ClockFailedError`: no such host, no answer in time, no good answer."""
    cookie = bytes.fromhex(ids.token_hex(64))
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[bytes, float]] = loop.create_future()
    try:
        async with asyncio.timeout(timeout_s):
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Waiting(answer, cookie, clock), remote_addr=(host, port)
            )
            try:
                sent = clock.wall()
                transport.sendto(request(cookie))
                data, received = await answer
            finally:
                transport.close()
    except TimeoutError as error:
        raise ClockFailedError(
            f"The NTP server {host} gave no answer within {timeout_s:g} seconds."
        ) from error
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "its name makes no sense"
        raise ClockFailedError(f"The NTP server {host} cannot be reached: {reason}.") from error
    return parse(data, cookie, sent, received)


class _Waiting(asyncio.DatagramProtocol):
    """For the first datagram that carries the cookie; others are passed over."""

    def __init__(self, answer: asyncio.Future[tuple[bytes, float]], cookie: bytes, clock: Clock) -> None:
        self._answer = answer
        self._cookie = cookie
        self._clock = clock

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._answer.done() and data[24:32] == self._cookie:
            self._answer.set_result((data, self._clock.wall()))

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


def _seconds(stamp: bytes, near: float) -> float:
    """Unix seconds of a time stamp, which counts 136 years, in the era in which it is nearest to `near`."""
    whole, part = int.from_bytes(stamp[:4]), int.from_bytes(stamp[4:])
    time = float(whole - _EPOCH_S)
    eras = round((near - time) / _ERA_S)
    return time + eras * _ERA_S + part / _ERA_S
