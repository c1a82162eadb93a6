"""The connections of an `AsyncServer` as a part of a hot upgrade: they move with half-read frames and queued answers.

Called by a daemon on both sides. Rules: a connection moves only between two calls; one whose call does not end in time stays behind,
gets its answer from the elder and is then hung up with `Restarting`. To keep the pause short all are sent ahead while they are still
served; at the end only those go again to which something has happened since.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from wayhouse.base.errors import WayhouseError
from wayhouse.runtime.async_server import AsyncServer
from wayhouse.runtime.exceptions import Restarting
from wayhouse.runtime.remote import RemoteControl
from wayhouse.runtime.rpc import moving
from wayhouse.runtime.rpc.conversation import Conversation
from wayhouse.runtime.succession.upgrade import Parcel, Phase, UpgradeFailedError

LOOK_S = 0.002
MOMENT_S = 0.02
"""How long all are held while the calls under way end; then others get their turn before the next attempt."""
BETWEEN_S = 0.05
SELF_CALL_S = 3.0
THAWED_AT_ONCE = 64


class RpcAhead:
    """The elder's side, while it serves: the connections as they are now."""

    phase = Phase.AT_LEISURE

    def __init__(self, server: AsyncServer, name: str = "rpc") -> None:
        self.name = name
        self._server = server
        self.sent: dict[Conversation, tuple[int, dict[str, Any]]] = {}
        """The number under which each was sent, and as what."""

    async def rest(self, patience_s: float) -> None: ...

    def pack(self) -> Iterator[Parcel]:
        self.sent = {}
        for number, conversation in enumerate(tuple(self._server.engine.conversations.values())):
            if conversation.quiet and not conversation.lingering:
                state, fds = moving.pack(conversation)
                self.sent[conversation] = number, state
                yield {"ahead": number, "state": state}, fds

    def carry_on(self) -> None:
        self.sent = {}

    def let_go(self) -> None: ...


class RpcPart:
    """The elder's side, at the end."""

    phase = Phase.IN_HASTE

    def __init__(self, server: AsyncServer, ahead: RpcAhead) -> None:
        self.name = ahead.name
        self._server = server
        self._ahead = ahead
        self._listeners: list[socket.socket] = []

    async def rest(self, patience_s: float) -> None:
        until = time.monotonic() + patience_s
        engine = self._server.engine
        self._listeners = engine.stop_listening()
        while True:
            moving.freeze(engine)
            if await self._until_quiet(MOMENT_S) or time.monotonic() > until:
                return
            moving.thaw(engine)
            await asyncio.sleep(BETWEEN_S)

    def pack(self) -> Iterator[Parcel]:
        unchanged: list[int] = []
        for conversation in self._server.engine.conversations.values():
            if conversation.quiet and not conversation.lingering:
                state, fds = moving.pack(conversation)
                number, before = self._ahead.sent.get(conversation, (-1, {}))
                if state == before:
                    unchanged.append(number)
                else:
                    yield {"state": state}, fds
        yield {"counts": self._server.service.counts(), "unchanged": unchanged}, []

    def carry_on(self) -> None:
        for sock in self._listeners:
            self._server.listen(sock)
        self._listeners = []
        moving.thaw(self._server.engine)

    def let_go(self) -> None:
        """Those that moved are closed without a word; `leave` sees to the others."""
        for sock in self._listeners:
            sock.close()
        for conversation in tuple(self._server.engine.conversations.values()):
            if conversation.quiet:
                self._server.engine.release(conversation)

    async def leave(self, patience_s: float) -> None:
        """Before the elder ends: the calls that did not end in time get their answers, if they come within `patience_s`."""
        await self._until_quiet(patience_s)
        self._server.say_goodbye(Restarting("the server was upgraded meanwhile: connect again"))

    async def _until_quiet(self, patience_s: float) -> bool:
        until = time.monotonic() + patience_s
        while not moving.is_quiet(self._server.engine):
            if time.monotonic() > until:
                return False
            await asyncio.sleep(LOOK_S)
        return True


class RpcAdopter:
    """The heir's side: `adopt` while nothing is served yet, then `go_on`."""

    def __init__(self, server: AsyncServer) -> None:
        self._server = server
        self._ahead: dict[int, Conversation] = {}

    async def adopt(self, state: dict[str, Any], fds: list[int]) -> None:
        engine = self._server.engine
        if "state" not in state:
            self._settle(state)
        elif "ahead" in state:
            self._ahead[state["ahead"]] = moving.unpack(engine, state["state"], fds)
        else:
            moving.unpack(engine, state["state"], fds)

    def _settle(self, state: dict[str, Any]) -> None:
        """Those that were sent ahead and have ended or changed since are not the ones to go on with."""
        self._server.service.restore_counts(state.get("counts", {}))
        unchanged = set(state.get("unchanged", ()))
        for number, conversation in self._ahead.items():
            if number not in unchanged:
                self._server.engine.release(conversation)
        self._ahead.clear()

    async def call_self(self) -> None:
        """Serve one call, over a connection of this process's own, while all that was adopted waits. Raises
        `UpgradeFailedError`."""
        ours, its = socket.socketpair()
        self._server.engine.welcome(its)
        try:
            await asyncio.to_thread(_ping, ours)
        except WayhouseError as error:
            raise UpgradeFailedError(
                f"The successor does not serve its own call: {error.message}."
            ) from error

    def go_on(self) -> None:
        """Those that came last, to which something has happened, first; between some of the others calls get their turn."""
        self._thaw(deque(self._server.engine.conversations.values()))

    def _thaw(self, frozen: deque[Conversation]) -> None:
        for _ in range(min(THAWED_AT_ONCE, len(frozen))):
            moving.thaw_one(self._server.engine, frozen.pop())
        if frozen:
            asyncio.get_running_loop().call_soon(self._thaw, frozen)


def _ping(sock: socket.socket) -> None:
    with RemoteControl(None, timeout=SELF_CALL_S, sock=sock) as remote:
        remote.call("PING")
