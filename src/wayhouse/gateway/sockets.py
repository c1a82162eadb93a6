"""The listening sockets of the daemon, by name: bound here, or received from a predecessor or from the service manager.

Called by `life.py`. Rules: a socket that was received is used only where it is what is wanted now; the path of a UNIX socket goes
when the daemon ends, unless a successor or an elder listens on it; what was received and is not wanted is closed, and the service
manager need not keep it either, since an address that somebody keeps cannot be bound by anybody.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Self

from wayhouse.gateway.listeners import BACKLOG, bind_tcp, bind_unix
from wayhouse.runtime import systemd

PREFIX = "wayhouse-"
"""Of the names under which the service manager keeps them."""


class Sockets:
    """A context; leaving it closes all. `given` are those that were received, by name; it owns them. `lent`: an elder listens on
    them too, and their paths are its own until `take_over`."""

    def __init__(self, given: Mapping[str, socket.socket], *, lent: bool = False) -> None:
        self._given = dict(given)
        self._lent = lent
        self._open: dict[str, socket.socket] = {}
        self._paths: list[Path] = []
        self._lent_paths: list[Path] = []
        self._stale: set[str] = set()

    def tcp(self, name: str, host: str, port: int) -> socket.socket:
        """Raises `PermanentError` when the address cannot be had."""
        found = self._take(name, lambda sock: _is_at(sock, host, port)) or bind_tcp(host, port)
        return self._keep(name, found)

    def unix(self, name: str, path: Path, mode: int) -> socket.socket:
        """Raises `PermanentError` when the path cannot be had."""
        found = self._take(name, lambda sock: _is_socket_of(sock, path))
        (self._lent_paths if found is not None and self._lent else self._paths).append(path)
        return self._keep(name, found or bind_unix(path, mode))

    def names(self) -> Mapping[str, socket.socket]:
        return self._open

    def drop_unwanted(self) -> None:
        """Close what was received and is not used."""
        while self._given:
            name, sock = self._given.popitem()
            self._stale.add(_kept_as(name))
            sock.close()

    def store(self, env: Mapping[str, str]) -> None:
        """Have the service manager keep them over a crash, and nothing else of ours."""
        for name in sorted(self._stale - {""}):
            with contextlib.suppress(ValueError):  # it cannot be said, so it was never stored
                systemd.drop_fds(env, PREFIX + name)
        for name, sock in self._open.items():
            systemd.store_fds(env, PREFIX + name, [sock.fileno()])

    def withdraw(self, env: Mapping[str, str]) -> None:
        """The manager need not keep them any longer."""
        for name in self._open:
            systemd.drop_fds(env, PREFIX + name)

    def hand_on(self) -> None:
        """A successor listens: leave the paths where they are."""
        self._paths.clear()

    def take_over(self) -> None:
        """The elder has let go: the paths are this process's own."""
        self._paths += self._lent_paths
        self._lent_paths.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)
        for sock in self._open.values():
            sock.close()
        self.drop_unwanted()

    def _take(self, name: str, fits: Callable[[socket.socket], bool]) -> socket.socket | None:
        """The one of that name, else any that fits: a manager's own sockets have other names."""
        for key in (name, *self._given):
            sock = self._given.get(key)
            if sock is not None and fits(sock):
                del self._given[key]
                sock.listen(BACKLOG)
                sock.setblocking(False)
                return sock
        return None

    def _keep(self, name: str, sock: socket.socket) -> socket.socket:
        self._open[name] = sock
        return sock


def from_manager(env: MutableMapping[str, str]) -> dict[str, socket.socket]:
    """The listening sockets that the service manager started this process with, kept over a crash or made by it."""
    found: dict[str, socket.socket] = {}
    for number, (name, fd) in enumerate(systemd.listen_fds(env)):
        sock = as_socket(fd)
        if sock is not None:
            ours = name.removeprefix(PREFIX) if name.startswith(PREFIX) else ""
            key = ours if ours and ours not in found else f"{ours} {number}"
            found[key] = sock
    return found


def _kept_as(key: str) -> str:
    """The name that was given to it here, "" for one that the manager made."""
    return key.partition(" ")[0]


def as_socket(fd: int) -> socket.socket | None:
    """The listening stream socket that `fd` is; else it is closed, and None."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        with contextlib.suppress(OSError):
            os.close(fd)
        return None
    with contextlib.suppress(OSError):
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return sock
    sock.close()
    return None


def _is_at(sock: socket.socket, host: str, port: int) -> bool:
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    try:
        wanted = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError:
        return False
    has = sock.getsockname()
    return sock.family == wanted[0] and has[0] == wanted[4][0] and port in {0, has[1]}


def _is_socket_of(sock: socket.socket, path: Path) -> bool:
    return sock.family == socket.AF_UNIX and sock.getsockname() == str(path) and path.is_socket()
