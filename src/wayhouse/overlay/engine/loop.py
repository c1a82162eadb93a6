"""The engine's thread: sleeps on the interface, the sockets and a wake-up, and lets `outgoing`, `incoming` and the device do their work.

Started and told by `tunnel`. Rules: the device is touched by this thread alone, once it runs; whatever others want is a command in a queue;
what happens is given to `tell` as it comes. A defect is logged and the loop goes on; an interface that was deleted is made again.
"""

from __future__ import annotations

import functools
import logging
import os
import select
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from wayhouse.overlay.engine.fast_incoming import FastIncoming
from wayhouse.overlay.engine.fast_outgoing import FastOutgoing
from wayhouse.overlay.engine.incoming import GONE, Incoming, Other
from wayhouse.overlay.engine.native_part import Native, load
from wayhouse.overlay.engine.outgoing import Outgoing
from wayhouse.overlay.engine.ways import Way, Ways
from wayhouse.overlay.wireguard.device import Device

log = logging.getLogger(__name__)

LONGEST_SLEEP_S = 60.0
REOPEN_EVERY_S = 1.0
_MOST_FAILURES = 20


def now_s() -> float:
    """A clock that goes on while the machine sleeps, as keys must age then too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@functools.cache
def the_native() -> Native | None:
    """The compiled part of this process, if there is one; told once."""
    native = load()
    log.info("packets are moved by the %s", "twin in Python" if native is None else "compiled engine")
    return native


def movers(
    device: Device,
    ways: Ways,
    unroutable: Callable[[bytes], None],
    dropped: Counter[str],
    native: Native | None,
) -> tuple[Outgoing, Incoming]:
    """With the compiled part, or the pure twin."""
    if native is None:
        return Outgoing(device, unroutable, dropped), Incoming(device, ways, dropped)
    return FastOutgoing(device, unroutable, dropped, native), FastIncoming(device, ways, dropped, native)


class Loop:
    """`reopen` makes a deleted interface again and gives its descriptor, or None as long as that does not work."""

    def __init__(
        self,
        fd: int,
        device: Device,
        *,
        tell: Callable[[object], None],
        unroutable: Callable[[bytes], None],
        reopen: Callable[[], int | None],
        wall: Callable[[], float],
    ) -> None:
        self.device = device
        self.ways = Ways()
        self.dropped: Counter[str] = Counter()
        self.outgoing, self.incoming = movers(device, self.ways, unroutable, self.dropped, the_native())
        self._tell, self._reopen, self._wall = tell, reopen, wall
        self._fd = self.incoming.fd = fd
        self._sockets: dict[int, tuple[socket.socket, Other]] = {}
        self._commands: deque[Callable[[], None]] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._wake, select.EPOLLIN)
        self._epoll.register(fd, select.EPOLLIN)
        self._reopen_at: float | None = None
        self._is_over = False
        self._failures = 0
        self.thread = threading.Thread(target=self._run, name="wayhouse-overlay", daemon=True)

    # From other threads.

    def command(self, work: Callable[[], None]) -> None:
        """Have it done in the loop's thread, soon."""
        self._commands.append(work)
        os.eventfd_write(self._wake, 1)

    def stop(self) -> None:
        """When this returns, the thread has ended and the interface is left alone."""

        def end() -> None:
            self._is_over = True

        if self.thread.ident is not None:
            self.command(end)
            self.thread.join()
        self._epoll.close()
        os.close(self._wake)

    # In its own thread.

    def add(self, sock: socket.socket, other: Other) -> None:
        fd = sock.fileno()
        if fd in self._sockets:
            self._sockets[fd] = (sock, other)
            return
        self._sockets[fd] = (sock, other)
        self._epoll.register(fd, select.EPOLLIN)

    def drop(self, sock: socket.socket) -> None:
        for fd, (known, _) in list(self._sockets.items()):
            if known is sock:
                del self._sockets[fd]
                self._unregister(fd)
        self.ways.forget(sock)

    def deliver(self, public_key: bytes, datagram: bytes) -> None:
        """A datagram of a peer that came on a way of its own."""
        self.incoming.deliver(public_key, datagram, now_s())
        self._flush()

    def _unregister(self, fd: int) -> None:
        try:
            self._epoll.unregister(fd)
        except (OSError, ValueError):  # it was closed already
            log.debug("descriptor %d was closed before it was released", fd)

    def _run(self) -> None:
        while not self._is_over:
            try:
                self._turn()
            except OSError as error:
                self._fail(error)
            except Exception:  # the border: one bad packet must not end the overlay
                self._failures += 1
                if self._failures <= _MOST_FAILURES:
                    log.exception("the overlay's engine failed at something and goes on")
                self.dropped["defect"] += 1

    def _fail(self, error: OSError) -> None:
        if error.errno in GONE and self._reopen_at is not None:
            self.dropped["interface-down"] += 1
            return
        self._failures += 1
        if self._failures <= _MOST_FAILURES:
            log.warning("the overlay's engine: %s", error)
        if error.errno not in GONE:
            return
        self._unregister(self._fd)
        self._reopen_at = now_s()

    def _turn(self) -> None:
        self._do_commands()
        now = now_s()
        self._tick(now)
        for fd, _ in self._epoll.poll(self._sleep_s(now)):
            now = now_s()
            if fd == self._fd:
                self.outgoing.turn(fd, now)
            elif fd == self._wake:
                self._clear_wake()
            else:
                found = self._sockets.get(fd)
                if found is not None:
                    self.incoming.turn(*found, now)
            self._flush()

    def _do_commands(self) -> None:
        while self._commands:
            self._commands.popleft()()

    def _clear_wake(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return

    def _sleep_s(self, now: float) -> float:
        if self._commands or self._is_over:
            return 0.0
        until = min(self.device.deadline() - now, LONGEST_SLEEP_S)
        if self._reopen_at is not None:
            until = min(until, self._reopen_at - now)
        return max(until, 0.0)

    def _tick(self, now: float) -> None:
        if self.device.deadline() <= now:
            self.device.tick(now, self._wall())
        self._flush()
        if self._reopen_at is not None and self._reopen_at <= now:
            self._open_again(now)

    def _open_again(self, now: float) -> None:
        fd = self._reopen()
        if fd is None:
            self._reopen_at = now + REOPEN_EVERY_S
            return
        self._reopen_at = None
        self._fd = self.incoming.fd = fd
        self._epoll.register(fd, select.EPOLLIN)

    def _flush(self) -> None:
        """Send what the device wants to send, tell what happened."""
        for way, datagram in self.device.outbox():
            lost = way.send_one(datagram) if isinstance(way, Way) else 1
            if lost:
                self.dropped["not-sent"] += lost
        for event in self.device.events():
            self._tell(event)
