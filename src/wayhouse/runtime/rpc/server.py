"""`Server`: one epoll loop with its listeners, its connections as the manual's upcalls see them, and its end.

Called by `Control`, which runs one in a process of its own or in a thread of this one. Rules: an end that is asked for (by a
signal, another thread, a method) happens between two turns of the loop, so no answer is cut in half.
"""

from __future__ import annotations

import contextlib
import select
import socket as sockets
import time
from collections.abc import Callable
from typing import Any

from wayhouse.runtime.exceptions import AveException, Exit
from wayhouse.runtime.rpc.conversation import Conversation
from wayhouse.runtime.rpc.epoll_engine import EpollEngine
from wayhouse.runtime.rpc.message_queue import Connection
from wayhouse.runtime.rpc.methods import Caller
from wayhouse.runtime.rpc.service import Service
from wayhouse.runtime.rpc.serving import current_call
from wayhouse.runtime.rpc.transport import send_some
from wayhouse.runtime.rpc.wire import ServerWire

BACKLOG = 1024
FAREWELL_S = 0.5
"""How long a client that does not read can delay the end."""


class ServedConnection(Connection):
    """What upcalls and methods get to see of a client; closing it ends the conversation in order."""

    def __init__(self, conversation: Conversation, end: Callable[[Conversation], None]) -> None:
        super().__init__(_peer(conversation.sock), conversation.sock)
        self.conversation = conversation
        self._end = end

    def close(self, hard: bool = True) -> None:  # noqa: FBT001, FBT002 - the manual's signature
        self._end(self.conversation)


class Upcalls:
    """What a server tells its owner; all do nothing here."""

    def new_connection(self, connection: Connection, authkey: str | None) -> None: ...

    def lost_connection(self, connection: Connection, authkey: str | None) -> None: ...

    def idle(self) -> None: ...


class Server:
    def __init__(self, service: Service, upcalls: Upcalls, *, threads: int = 16) -> None:
        self.service = service
        self.upcalls = upcalls
        self.engine = EpollEngine(service, threads=threads)
        self.engine.on_open = self._opened
        self.engine.on_lost = self._lost
        self.engine.on_exit = self.end
        self.established: dict[Connection, str | None] = {}
        self.watched: dict[Connection, int] = {}
        self._farewell: Any = None
        self._ended = False

    @property
    def running(self) -> bool:
        return not self._ended

    @property
    def current_connection(self) -> Connection | None:
        """Whose call is being served by this thread."""
        found = current_call()
        conversation = found.conversation if found is not None else None
        return conversation.connection if conversation is not None else None

    @property
    def authenticating(self) -> list[Conversation]:
        return [one for one in self.engine.conversations.values() if not one.wire.opened]

    def listen(self, sock: sockets.socket) -> None:
        self.engine.listen(sock)

    def stop_listening(self) -> None:
        for sock in self.engine.stop_listening():
            _close_listener(sock)

    def add_connection(self, connection: Connection, authkey: str | None) -> None:
        """Serve the calls that come over a connection that was opened elsewhere; it counts as authenticated with `authkey`."""
        wire = ServerWire(self.service.accepted_keys, salt=bytes(20), limit=self.service.limit)
        wire.begin_opened(authkey)
        read, unsent = connection.carried()
        wire.feed(read)
        wire.outbox.out += unsent
        conversation = self.engine.adopt(connection.socket, wire, frozen=True)
        conversation.connection = connection
        conversation.set_caller(Caller(authkey))
        self.established[connection] = authkey
        conversation.frozen = False
        self.engine.turn(conversation)

    def add_keepwatching(self, connection: Connection, authkey: str | None = None) -> None:
        """Only notice when it is lost; nothing is read."""
        fd = connection.fileno()
        self.watched[connection] = fd
        self.established[connection] = authkey

        def gone(_: int) -> None:
            self.remove_connection(connection)
            connection.close()
            self.upcalls.lost_connection(connection, authkey)

        self.engine.watch_fd(fd, select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR, gone)

    def remove_connection(self, connection: Connection) -> None:
        """Neither watch nor serve it any more; it stays open, and there is no `lost_connection`."""
        self.established.pop(connection, None)
        fd = self.watched.pop(connection, None)
        if fd is not None:
            self.engine.unwatch_fd(fd)
            return
        conversation = self._conversation(connection)
        if conversation is not None:
            self._detach(conversation)

    def set_authkey(self, connection: Connection, authkey: str | None) -> None:
        """Raises `Exception` when the connection has a key already."""
        if self.established.get(connection) is not None:
            raise Exception("connection already has authkey")  # noqa: TRY002 - the original's text and kind
        self.established[connection] = authkey
        conversation = self._conversation(connection)
        if conversation is not None:
            conversation.wire.key = authkey
            conversation.set_caller(Caller(authkey, conversation.caller.account))

    def notify(self, topic: str, data: Any) -> None:
        """Hand `data` to all who subscribed to `topic`; may be called from any thread."""
        self.engine.post(lambda: self._notify(topic, data))

    def end(self, details: Any = None) -> None:
        """End after this turn. `details`: the last message for everybody, a text or an `AveException`; None for none.
        May be called from signal handlers and any thread."""
        if not self._ended:
            self._farewell = details
            self._ended = True
        self.engine.wake()

    def loop(self, interval_s: float | None, each_turn: Callable[[], None]) -> None:
        """Serve until `end`; `idle` is called whenever nothing happened for `interval_s`."""
        patience = interval_s if interval_s is not None and interval_s >= 0 else None
        self.engine.enter()
        step = self.engine.step
        begun = time.monotonic()
        while not self._ended:
            ready = step(patience)
            each_turn()
            if patience is not None:
                if not ready and time.monotonic() - begun >= patience * 0.9:
                    self.upcalls.idle()
                begun = time.monotonic()

    def close(self, details: Any = None) -> None:
        """Close the listeners, say the last message to everybody, close all. No upcalls."""
        self.engine.on_lost = _nothing
        self.stop_listening()
        details = self._farewell if details is None else details
        until = time.monotonic() + FAREWELL_S
        for conversation in tuple(self.engine.conversations.values()):
            self._say_goodbye(conversation, details, until)
        for connection in tuple(self.watched):
            self.remove_connection(connection)
            connection.close()
        self.engine.close()

    def _say_goodbye(self, conversation: Conversation, details: Any, until: float) -> None:
        outbox = conversation.wire.outbox
        if details is not None and not conversation.closing and outbox is not None:
            conversation.wire.exception(0, farewell(details))
        with contextlib.suppress(OSError, ValueError):
            while len(outbox) and not send_some(conversation.sock, outbox) and time.monotonic() < until:
                select.select([], [conversation.sock], [], max(0.0, until - time.monotonic()))
            conversation.sock.shutdown(sockets.SHUT_WR)
        self.engine.drop(conversation)

    def _notify(self, topic: str, data: Any) -> None:
        if self.service.notify(topic, data):
            for conversation in tuple(self.engine.conversations.values()):
                if conversation.streams:
                    self.engine.turn(conversation)

    def _opened(self, conversation: Conversation) -> None:
        if conversation.connection is None:
            conversation.connection = ServedConnection(conversation, self._hang_up)
        key = conversation.caller.key
        self.established[conversation.connection] = key
        self.upcalls.new_connection(conversation.connection, key)

    def _lost(self, conversation: Conversation) -> None:
        connection = conversation.connection
        if connection is not None and connection in self.established:
            self.upcalls.lost_connection(connection, self.established.pop(connection))

    def _hang_up(self, conversation: Conversation) -> None:
        """After the call that is being served is answered."""
        conversation.closing = True
        self.engine.soon(conversation)
        self.engine.wake()

    def _detach(self, conversation: Conversation) -> None:
        connection = conversation.connection
        if not isinstance(connection, ServedConnection):
            connection.carry_on(conversation.wire.frames.rest(), conversation.wire.outbox.content())
            duplicate = conversation.sock.dup()
            self.engine.release(conversation)
            connection._socket = duplicate  # noqa: SLF001 - the same room
            return
        conversation.connection = None
        self.engine.drop(conversation)

    def _conversation(self, connection: Connection) -> Conversation | None:
        return next((one for one in self.engine.conversations.values() if one.connection is connection), None)


def farewell(details: Any) -> dict[str, Any]:
    """The last message: an `AveException`'s details, else an Exit with that text."""
    return dict(details.details) if isinstance(details, AveException) else Exit(str(details)).details


def bind(port: int | str, host: str) -> sockets.socket:
    """A listening socket: on a port, or on the path of a UNIX socket (then for this user alone)."""
    if isinstance(port, str):
        return _bind_unix(port)
    family = sockets.AF_INET6 if ":" in host else sockets.AF_INET
    sock = sockets.socket(family, sockets.SOCK_STREAM)
    try:
        sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_unix(path: str) -> sockets.socket:
    import os

    sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        sock.bind("\0" + path[1:] if path.startswith("@") else path)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(mask)
    return sock


def _close_listener(sock: sockets.socket) -> None:
    import pathlib

    name = sock.getsockname() if sock.family == sockets.AF_UNIX else ""
    sock.close()
    if isinstance(name, str) and name:
        pathlib.Path(name).unlink(missing_ok=True)


def _peer(sock: sockets.socket) -> tuple[str, int] | None:
    try:
        name = sock.getpeername()
    except OSError:
        return None
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None


def _nothing(_: Any) -> None:
    return
