"""The loop of `Control`: one epoll for listeners, clients, and whatever else its server watches.

Called by `Control` alone. Rules: every complete frame of one read is served and answered with one send; nothing here waits but
`step`; running out of descriptors pauses the accepting, not the serving.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import os
import select
import socket as sockets
import time
from collections import deque
from collections.abc import Callable

from wayhouse.runtime.rpc.conversation import Conversation
from wayhouse.runtime.rpc.engine import IN, OUT, BaseEngine
from wayhouse.runtime.rpc.service import Service
from wayhouse.runtime.rpc.serving import serving

ACCEPTED_AT_ONCE = 128
PAUSE_S = 0.1
_READ = IN | select.EPOLLHUP | select.EPOLLERR  # a dead one shows itself when read


class EpollEngine(BaseEngine):
    def __init__(self, service: Service, *, threads: int = 16) -> None:
        super().__init__(service, threads=threads)
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._watchers: dict[int, Callable[[int], None]] = {}
        self._posted: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._ready: deque[Conversation] = deque()
        self.listeners: dict[int, sockets.socket] = {}
        self.rejecting = False
        self.watch_fd(self._wake, IN, self._woken)

    def listen(self, sock: sockets.socket) -> None:
        """Welcome who comes to `sock`, which listens already."""
        sock.setblocking(False)
        self.listeners[sock.fileno()] = sock
        self.watch_fd(sock.fileno(), IN, lambda _: self._accept(sock))

    def stop_listening(self) -> list[sockets.socket]:
        """The listeners, still open, which are no longer asked."""
        for fd in self.listeners:
            self.unwatch_fd(fd)
        kept = list(self.listeners.values())
        self.listeners.clear()
        return kept

    def watch_fd(self, fd: int, mask: int, action: Callable[[int], None]) -> None:
        """Call `action(events)` when `fd` is ready."""
        self._watchers[fd] = action
        self._epoll.register(fd, mask)

    def unwatch_fd(self, fd: int) -> None:
        if self._watchers.pop(fd, None) is not None:
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(fd)

    def watch(self, conversation: Conversation, mask: int) -> None:
        fd = conversation.sock.fileno()
        if fd < 0:
            return
        known = conversation.watched
        conversation.watched = 1
        if known:
            self._epoll.modify(fd, mask)
        else:
            self._epoll.register(fd, mask)

    def unwatch(self, conversation: Conversation) -> None:
        if conversation.watched:
            conversation.watched = 0
            with contextlib.suppress(OSError, ValueError):
                self._epoll.unregister(conversation.sock.fileno())

    def call_at(self, moment: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (moment, next(self._order), action))

    def post(self, action: Callable[[], None]) -> None:
        self._posted.append(action)
        self.wake()

    def wake(self) -> None:
        """Let `step` return; may be called from any thread and from signal handlers."""
        with contextlib.suppress(OSError):
            os.eventfd_write(self._wake, 1)

    def soon(self, conversation: Conversation) -> None:
        if not conversation.queued:
            conversation.queued = True
            self._ready.append(conversation)

    def enter(self) -> None:
        """Say that this thread runs the loop, for `current_call`."""
        serving.set(self.serving)

    def step(self, timeout_s: float | None) -> int:
        """Wait for something to do, at most `timeout_s`, and do it; how many descriptors were ready."""
        if self._ready or self._posted or self._timers:
            timeout_s = self._patience(timeout_s)
        events = self._epoll.poll(timeout_s, 1024)
        conversations = self.conversations
        for fd, mask in events:
            conversation = conversations.get(fd)
            if conversation is not None:
                if mask & _READ:
                    self.readable(conversation)
                if mask & OUT and not conversation.gone:
                    self.turn(conversation)
            elif fd in self._watchers:
                self._watchers[fd](mask)
        if self._timers:
            self._ring()
        if self._ready:
            self._catch_up()
        return len(events)

    def close(self) -> None:
        self.close_pool()
        self._epoll.close()
        os.close(self._wake)

    def _patience(self, timeout_s: float | None) -> float | None:
        if self._ready or self._posted:
            return 0
        if not self._timers:
            return timeout_s
        left = max(0.0, self._timers[0][0] - time.monotonic())
        return left if timeout_s is None else min(left, timeout_s)

    def _catch_up(self) -> None:
        for _ in range(len(self._ready)):
            conversation = self._ready.popleft()
            conversation.queued = False
            if not conversation.gone:
                self.turn(conversation)

    def _ring(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2]()

    def _woken(self, _: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        while self._posted:
            self._posted.popleft()()

    def _accept(self, listener: sockets.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, _peer = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                    self._pause(listener)
                return
            if self.rejecting:
                sock.close()
            else:
                self._welcome(sock)

    def _welcome(self, sock: sockets.socket) -> None:
        try:
            self.welcome(sock)
        except OSError:  # gone before it was greeted
            sock.close()

    def _pause(self, listener: sockets.socket) -> None:
        """Out of descriptors: ask again in a moment instead of spinning."""
        fd = listener.fileno()
        if fd not in self.listeners:
            return
        self._epoll.modify(fd, 0)

        def go_on() -> None:
            if fd in self.listeners:
                self._epoll.modify(fd, IN)

        self.call_at(time.monotonic() + PAUSE_S, go_on)
