"""One peer at the door: what it asks is answered, and what is shared with it is told as it changes.

Made by `drivers/door.py` for each connection. Rules: who it is and what it is given is looked at anew for each thing that is said, so a share that is taken
back, or a peer that is, ends at once; a visitor that asks too fast, or does not read, is read from more slowly and holds up nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from wayhouse.base.clock import Clock
from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.base.events import Events, Subscription
from wayhouse.base.tasks import Tasks
from wayhouse.devices.model import DeviceChanged, DeviceView, ReadingTaken
from wayhouse.overlay import door_words as words
from wayhouse.overlay import shares
from wayhouse.overlay.goods import Goods, right
from wayhouse.overlay.pace import Bucket
from wayhouse.overlay.shares import May, Share, Visitor
from wayhouse.overlay.views import OverlayChanged

ASKS_S, ASKS_AT_ONCE = 50.0, 100
MOST_UNDER_WAY = 16
IDLE_S = 60.0
"""Without a word, of a visitor that does not follow."""
WAITING = 2000
Fact = ReadingTaken | DeviceChanged | OverlayChanged


class Writer(Protocol):
    """An `asyncio.StreamWriter`, as far as it is needed."""

    def write(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...


class Guest(msgspec.Struct, frozen=True):
    """Who it is now, and what it is given; None when it is nobody any more."""

    visitor: Visitor
    given: tuple[Share, ...]


class Visit:
    """`guest` says who is at the other end, each time it is asked."""

    def __init__(
        self,
        goods: Goods,
        guest: Callable[[], Guest | None],
        *,
        events: Events,
        clock: Clock,
        hello: words.Hello,
    ) -> None:
        self._goods, self._guest, self._events, self._clock, self._hello = goods, guest, events, clock, hello
        self._bucket = Bucket(ASKS_S, ASKS_AT_ONCE)
        self._under_way = asyncio.Semaphore(MOST_UNDER_WAY)
        self._follows = False

    async def run(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """Until the visitor leaves, is given nothing any more, or says what cannot be understood."""
        await _say(writer, self._hello)
        async with Tasks() as tasks:
            ended = asyncio.Event()
            tasks.spawn(self._hear(reader, writer, tasks, ended), name="door hears")
            await ended.wait()

    # ---- what it asks

    async def _hear(
        self, reader: asyncio.StreamReader, writer: Writer, tasks: Tasks, ended: asyncio.Event
    ) -> None:
        try:
            while (ask := await self._next(reader)) is not None:
                if isinstance(ask, words.Follow):
                    self._follow(writer, tasks, ended)
                    continue
                await self._under_way.acquire()
                tasks.spawn(self._answer(ask, writer), name="door answers")
        finally:
            ended.set()

    async def _next(self, reader: asyncio.StreamReader) -> words.Asked | None:
        """What is asked next; None at the end."""
        while not self._bucket.take(now := self._clock.monotonic()):
            await self._clock.sleep(self._bucket.ready() - now)
        try:
            async with asyncio.timeout(None if self._follows else IDLE_S):
                return words.decode_ask(await reader.readuntil(b"\n"))
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError, BadInputError):
            return None

    def _follow(self, writer: Writer, tasks: Tasks, ended: asyncio.Event) -> None:
        if not self._follows:
            self._follows = True
            tasks.spawn(self._show(writer, ended), name="door tells")

    async def _answer(self, ask: words.Asked, writer: Writer) -> None:
        try:
            answer = await self._done(ask)
            line = words.encode(answer)
        except WayhouseError as error:
            line = words.encode(words.refusal(ask.id, error))
        finally:
            self._under_way.release()
        with contextlib.suppress(OSError):
            await _say_line(writer, line)

    async def _done(self, ask: words.Asked) -> words.Done:
        guest = self._guest()
        given = () if guest is None else guest.given
        if isinstance(ask, words.Read):
            return words.Done(id=ask.id, value=await self._goods.read(given, ask))
        if guest is not None and isinstance(ask, words.Command):
            return words.Done(id=ask.id, value=await self._goods.command(given, guest.visitor, ask))
        if guest is not None and isinstance(ask, words.Call):
            frames = await self._goods.call(given, guest.visitor, ask)
            return words.Done(id=ask.id, frames=words.wrap(frames))
        raise BadInputError("Nothing is shared with you.")

    # ---- what it is told

    async def _show(self, writer: Writer, ended: asyncio.Event) -> None:
        facts: Subscription[Fact] = self._events.subscribe(
            ReadingTaken, DeviceChanged, OverlayChanged, limit=WAITING
        )
        showing = Showing(self._goods, lambda word: _say(writer, word))
        try:
            with facts:
                lost = 0
                while await showing.look(self._given(), again=facts.lost > lost):
                    lost = facts.lost
                    await self._tell(facts, showing, lost)
        except OSError:
            pass
        finally:
            ended.set()

    async def _tell(self, facts: Subscription[Fact], showing: Showing, lost: int) -> None:
        """Until everything has to be looked at anew."""
        while facts.lost == lost:
            try:
                async with asyncio.timeout(words.ALIVE_S):
                    fact = await anext(facts)
            except TimeoutError:
                await showing.alive()
                return
            given = self._given()
            if given != showing.given or not await showing.follow(fact):
                return

    def _given(self) -> tuple[Share, ...]:
        guest = self._guest()
        return () if guest is None else guest.given


class Showing:
    """What one visitor has been told, so that it is told what is different."""

    def __init__(self, goods: Goods, say: Callable[[words.Tell], Awaitable[None]]) -> None:
        self._goods, self._say = goods, say
        self.given: tuple[Share, ...] = ()
        self._shown: dict[str, words.Device] = {}
        self._services: words.Services | None = None

    async def look(self, given: tuple[Share, ...], *, again: bool = False) -> bool:
        """Tell what is different under these shares; `again`: also all values. False if nothing is given any more."""
        self.given = given
        now = {view.id: (view, may) for view, may in self._goods.devices(given)}
        for gone in self._shown.keys() - now.keys():
            await self._withdraw(gone)
        for view, may in now.values():
            await self._show(view, may, again=again)
        found = words.Services(names=shares.services(given), apps=shares.app_ports(given))
        if found != self._services:
            self._services = found
            await self._say(found)
        return bool(given)

    async def follow(self, fact: Fact) -> bool:
        """False: look at everything."""
        if isinstance(fact, ReadingTaken):
            if fact.device_id in self._shown:
                await self._say(
                    words.Value(id=fact.device_id, command=fact.command, value=fact.value, time=fact.time)
                )
        elif isinstance(fact, DeviceChanged):
            may = None if fact.kind == "removed" else right(self.given, fact.device)
            if may is not None:
                return await self._changed(fact.device, may)
            if fact.device.id in self._shown:
                await self._withdraw(fact.device.id)
        return True

    async def alive(self) -> None:
        await self._say(words.Alive())

    async def _changed(self, view: DeviceView, may: May) -> bool:
        try:
            await self._show(view, may)
        except WayhouseError:
            return False  # it is gone already; another fact says so
        return True

    async def _show(self, view: DeviceView, may: May, *, again: bool = False) -> None:
        word, before = self._goods.word(view, may), self._shown.get(view.id)
        if word != before:
            self._shown[view.id] = word
            await self._say(word)
        if again or before is None:
            for path, last in view.values.items():
                await self._say(words.Value(id=view.id, command=path, value=last.value, time=last.time))

    async def _withdraw(self, device: str) -> None:
        del self._shown[device]
        await self._say(words.Gone(id=device))


async def _say(writer: Writer, word: words.Tell) -> None:
    """What would be too long is not said. Raises `OSError`."""
    try:
        line = words.encode(word)
    except BadInputError:
        return
    await _say_line(writer, line)


async def _say_line(writer: Writer, line: bytes) -> None:
    writer.write(line)
    await writer.drain()
