"""`AsyncServer`: marked methods of any object, served on the running asyncio loop; coroutine methods are welcome.

Called by daemons that own a loop. The wire, the access rules and the built-in methods are those of `Control`.
"""

from __future__ import annotations

import contextlib
import socket as sockets
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from wayhouse.base.tasks import Tasks
from wayhouse.runtime.exceptions import Exit
from wayhouse.runtime.rpc.async_engine import AsyncEngine
from wayhouse.runtime.rpc.conversation import Conversation
from wayhouse.runtime.rpc.frames import LIMIT
from wayhouse.runtime.rpc.methods import AccessTable
from wayhouse.runtime.rpc.server import farewell
from wayhouse.runtime.rpc.service import Keys, Service
from wayhouse.runtime.rpc.transport import send_some


class AsyncServer:
    """An async context. `keys` is account -> key (the primary one's account is 0), or a function that gives it; `access`,
    `accounts`, `limit` and `threads` are those of `Control`. `on_exit` is told when a method raises `Exit`."""

    def __init__(
        self,
        owner: object,
        *listeners: sockets.socket,
        keys: Keys | Callable[[], Keys] | None = None,
        access: AccessTable | None = None,
        accounts: Mapping[str, Iterable[int]] | None = None,
        limit: int = LIMIT,
        threads: int = 16,
        on_exit: Callable[[Exit], None] | None = None,
    ) -> None:
        given = keys if callable(keys) else (lambda: keys or {})
        self.service = Service(owner, given, access=access, accounts=accounts, limit=limit)
        self._listeners = listeners
        self._threads = threads
        self._on_exit = on_exit
        self._tasks = Tasks()
        self._engine: AsyncEngine | None = None

    @property
    def engine(self) -> AsyncEngine:
        if self._engine is None:
            raise RuntimeError("the server is not entered: use `async with`")
        return self._engine

    def listen(self, sock: sockets.socket) -> None:
        self.engine.listen(sock)

    def notify(self, topic: str, data: Any) -> None:
        """Tell the subscribers of `topic`; from the loop's thread."""
        if self.service.notify(topic, data):
            for conversation in tuple(self.engine.conversations.values()):
                if conversation.streams:
                    self.engine.turn(conversation)

    def say_goodbye(self, details: Any) -> None:
        """Send everybody a last message, a text or an `AveException`, and hang up."""
        for conversation in tuple(self.engine.conversations.values()):
            if not conversation.closing:
                conversation.wire.exception(0, farewell(details))
            self._hang_up(conversation)

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._engine = AsyncEngine(self.service, self._tasks, threads=self._threads)
        self._engine.on_exit = self._exit
        for sock in self._listeners:
            self._engine.listen(sock)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in self.engine.stop_listening():
            sock.close()
        for conversation in tuple(self.engine.conversations.values()):
            self._hang_up(conversation)
        self.engine.close_pool()
        await self._tasks.__aexit__(kind, error, trace)

    def _exit(self, error: Exit) -> None:
        """At the end of this turn: the one who asked gets the answer first."""
        self.engine.post(lambda: self.say_goodbye(error))
        if self._on_exit is not None:
            self._on_exit(error)

    def _hang_up(self, conversation: Conversation) -> None:
        with contextlib.suppress(OSError):
            if len(conversation.wire.outbox):
                send_some(conversation.sock, conversation.wire.outbox)
        self.engine.drop(conversation)
