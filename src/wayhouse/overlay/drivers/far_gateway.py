"""The door of another gateway, from outside: a connection that is kept, what is told on it, and answers to what we ask.

Made by the gateway for each peer that is linked (`gateway/far_devices.py`). Rules: most peers share nothing and do not answer, so they are knocked at ever more
rarely; a connection that is lost is there again before anybody is told, if that takes but a moment; what was told twice is done once, or it is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import Protocol

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError, UnavailableError, WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.overlay import door_words as words
from wayhouse.overlay.pace import Bucket
from wayhouse.overlay.shares import DOOR_PORT

log = logging.getLogger(__name__)

CONNECT_S = 2.0
FIRST_S, LONGEST_S = 1.0, 5.0
AGAIN_S = 0.3
GRACE_S = 3.0
GIVE_UP_MS = 10_000
MOST_WAITING = 64
TOLD_S, TOLD_AT_ONCE = 500.0, 5000
"""Words that are listened to; a peer that says more waits."""


class Hearer(Protocol):
    """Whom it is told. Never waits, never raises."""

    def begun(self) -> None:
        """All that is shared is told from now on, and then the services. What is not told by then is shared no more."""
        ...

    def told(self, word: words.Device | words.Value | words.Gone | words.Services) -> None: ...

    def lost(self, reason: str) -> None:
        """Nothing of this gateway can be reached any more. What is there is told again when it is back."""
        ...


class RefusedError(WayhouseError):
    """The far gateway said no, with its own words, status and code."""

    code = "far-refused"
    title = "The other gateway did not do it"

    def __init__(self, refused: words.Refused) -> None:
        super().__init__(refused.message[:1000])
        self.far_code, self.far_status = refused.code[:64], refused.status


class _LostError(Exception):
    """The connection ended before the answer."""


class FarGateway:
    """At `address`, through `interface` ("": any). `keeps_knocking`: also at one that shares nothing, which would keep links up that are made on demand."""

    def __init__(
        self,
        address: str,
        interface: str,
        hearer: Hearer,
        clock: Clock,
        *,
        port: int = DOOR_PORT,
        keeps_knocking: bool = True,
    ) -> None:
        self._address, self._interface, self._port = address, interface, port
        self._hearer, self._clock, self._keeps_knocking = hearer, clock, keeps_knocking
        self._writer: asyncio.StreamWriter | None = None
        self._instance = ""
        self._up = asyncio.Event()
        self._is_lost = True
        self._was_given = False
        self.has_knocked = False
        """Whether it is known by now if it shares anything."""
        self._number = 0
        self._answers: dict[int, asyncio.Future[words.Done]] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with Tasks() as tasks:
            pause_s = FIRST_S
            while True:
                was_given = await self._try(tasks)
                self.has_knocked = True
                if was_given:
                    pause_s = FIRST_S
                    await self._clock.sleep(AGAIN_S)
                    continue
                await self._clock.sleep(pause_s)
                pause_s = min(LONGEST_S, pause_s * 2)
                if not self._keeps_knocking and self._is_lost:
                    return

    async def ask(self, word: words.Asked, timeout_s: float) -> words.Done:
        """Raises `RefusedError`, `UnavailableError`, `BadInputError`."""
        if self._is_lost:
            raise UnavailableError("The other gateway does not answer at its door.")
        instance = ""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    await self._up.wait()
                    if instance not in {"", self._instance}:
                        raise UnavailableError(
                            "The other gateway began anew meanwhile, so nobody knows whether it was done. Look, then tell it again."
                        )
                    instance = self._instance
                    with contextlib.suppress(_LostError):
                        return await self._ask(word)
        except TimeoutError:
            raise UnavailableError(f"The other gateway gave no answer within {timeout_s:g} s.") from None

    # ---- inside

    async def _ask(self, word: words.Asked) -> words.Done:
        if len(self._answers) >= MOST_WAITING:
            raise UnavailableError(
                "The other gateway has not answered much before this. Try again in a moment."
            )
        writer = self._writer
        if writer is None:
            raise _LostError
        self._number += 1
        number = self._number
        line = words.encode(msgspec.structs.replace(word, id=number))
        answer: asyncio.Future[words.Done] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            writer.write(line)
            return await answer
        finally:
            self._answers.pop(number, None)

    async def _try(self, tasks: Tasks) -> bool:
        """Whether there was somebody who gave us something."""
        try:
            async with asyncio.timeout(CONNECT_S):
                sock = await self._connected()
                reader, writer = await asyncio.open_connection(sock=sock, limit=words.MOST_LINE)
        except OSError:
            return False
        self._was_given = False
        try:
            await self._talk(reader, writer)
        except TimeoutError:
            self._lose()
        except (OSError, EOFError, asyncio.LimitOverrunError, BadInputError) as error:
            log.debug("the door of %s: %s", self._address, error)
        finally:
            if not self._is_lost:
                tasks.spawn(self._give_up(), name="door of a peer")
            self._end(writer)
        return self._was_given

    async def _connected(self) -> socket.socket:
        """Raises `OSError`."""
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if self._interface:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode())
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GIVE_UP_MS)
            await asyncio.get_running_loop().sock_connect(sock, (self._address, self._port))
        except BaseException:
            sock.close()
            raise
        return sock

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until it ends. Raises as `_next`."""
        hello = await _next(reader)
        if not isinstance(hello, words.Hello):
            return
        bucket = Bucket(TOLD_S, TOLD_AT_ONCE)
        self._writer, self._instance, self._is_lost = writer, hello.instance, False
        self._hearer.begun()
        writer.write(words.encode(words.Follow()))
        self._up.set()
        while True:
            while not bucket.take(now := self._clock.monotonic()):
                await self._clock.sleep(bucket.ready() - now)
            self._hear(await _next(reader))

    def _hear(self, word: words.Told) -> None:
        if isinstance(word, words.Done | words.Refused):
            answer = self._answers.get(word.id)
            if answer is not None and not answer.done():
                _settle(answer, word)
        elif not isinstance(word, words.Hello):
            self.has_knocked |= isinstance(word, words.Services)
            self._was_given |= word != words.Services()
            if not isinstance(word, words.Alive):
                self._hearer.told(word)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._up.clear()
        self._writer = None
        writer.transport.abort()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(_LostError())

    async def _give_up(self) -> None:
        """Tell it, unless it is there again in a moment."""
        try:
            async with asyncio.timeout(GRACE_S):
                await self._up.wait()
        except TimeoutError:
            self._lose()

    def _lose(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._hearer.lost("There is no connection to the gateway that shares it.")


async def _next(reader: asyncio.StreamReader) -> words.Told:
    """Raises `OSError`, `EOFError`, `asyncio.LimitOverrunError`, `BadInputError`; a door that says nothing for long is a `TimeoutError`."""
    async with asyncio.timeout(words.SILENT_S):
        return words.decode_tell(await reader.readuntil(b"\n"))


def _settle(answer: asyncio.Future[words.Done], word: words.Done | words.Refused) -> None:
    if isinstance(word, words.Refused):
        answer.set_exception(RefusedError(word))
    else:
        answer.set_result(word)
