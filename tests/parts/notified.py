"""The service manager as a test plays it, and what a daemon in the test's own process needs so that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

QUICK = {"WAYHOUSE_ACCESS_ARGON2_MEMORY_KIB": "8", "WAYHOUSE_ACCESS_ARGON2_TIME": "1", "HOME": "/nowhere"}
_numbers = itertools.count()


class Manager:
    """Hears what a service says; `kept` are the descriptors that it was given, by name. A context."""

    def __init__(self) -> None:
        name = f"wayhouse-test-{os.getpid()}-{next(_numbers)}"
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind("\0" + name)
        self._sock.settimeout(30)
        self.env = {"NOTIFY_SOCKET": "@" + name}
        self.kept: dict[str, list[int]] = {}
        self.before: list[str] = []
        """What was said until the service was ready (`stop_when_ready`)."""

    def hear(self) -> str:
        """The next message, its lines joined by a blank."""
        data, fds, _, _ = socket.recv_fds(self._sock, 4096, 253)
        text = data.decode()
        if fds:
            self.kept.setdefault(text.partition("FDNAME=")[2], []).extend(fds)
        return text.replace("\n", " ")

    def hear_until(self, last: str) -> list[str]:
        """All messages up to the one that begins with `last`."""
        heard = [self.hear()]
        while not heard[-1].startswith(last):
            heard.append(self.hear())
        return heard

    def heard(self) -> list[str]:
        """What was said meanwhile."""
        found = []
        self._sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.hear())
        self._sock.settimeout(30)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()
        for fd in itertools.chain(*self.kept.values()):
            os.close(fd)


@contextlib.contextmanager
def stop_when_ready(look: Callable[[Manager], Any] = lambda _: None) -> Iterator[Manager]:
    """A manager that tells the test's own process to stop as soon as it says that it is ready and `look` has returned."""
    with Manager() as manager:
        failures: list[BaseException] = []

        def wait() -> None:
            try:
                manager.before = manager.hear_until("READY=1")
                look(manager)
            except BaseException as error:  # noqa: BLE001 - raised below
                failures.append(error)
            os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=wait)
        thread.start()
        yield manager
        thread.join()
        if failures:
            raise failures[0]


@contextlib.contextmanager
def own_process_restored() -> Iterator[None]:
    """The root logger, the limit of descriptors, the process's name and the signals as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    name = Path("/proc/self/comm").read_text()
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers = handlers
        root.setLevel(level)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        Path("/proc/self/comm").write_text(name)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        assert signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}
