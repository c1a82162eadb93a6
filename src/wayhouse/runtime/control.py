"""`Control`: a process whose marked methods can be called over a socket; and, beside it, the client `RemoteControl`.

Subclassed by every server. Rules: nothing can be called that is not marked, one client's fault is never another's, and the end,
however it comes (`shutdown`, an `Exit` raised by a method, SIGTERM), tells every client.
"""

from __future__ import annotations

import os
import signal
import socket as sockets
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

from wayhouse.runtime import config
from wayhouse.runtime.connection import (
    CHALLENGE,
    Connection,
    finish_challenge,
    make_digest,
    make_salt,
    validate_digest,
)
from wayhouse.runtime.process import Process
from wayhouse.runtime.remote import RemoteControl
from wayhouse.runtime.rpc import methods
from wayhouse.runtime.rpc.embedded import Embedded
from wayhouse.runtime.rpc.frames import LIMIT
from wayhouse.runtime.rpc.hickup import leave_trace
from wayhouse.runtime.rpc.joins import Joins
from wayhouse.runtime.rpc.parts import Attachment, Descriptor
from wayhouse.runtime.rpc.server import Server, Upcalls, bind
from wayhouse.runtime.rpc.service import Keys, Service
from wayhouse.runtime.rpc.serving import Serving, current_call

__all__ = [
    "CHALLENGE",
    "Attachment",
    "Control",
    "Descriptor",
    "RemoteControl",
    "current_call",
    "finish_challenge",
    "make_digest",
    "make_salt",
    "validate_digest",
]

PATIENCE_S = 2
"""How long a method that is being served can delay the end that SIGTERM asks for."""


class Control(Process, Upcalls):
    """Mark methods of a subclass with `@Control.rpc`, then `start()` it, or `with control.in_thread() as running:`.

    `port` is a number, or the path of a UNIX socket; `host` is where to listen (this host alone unless told).
    `access` replaces the marks by data: `{"reboot": ["admin"], "status": "anyone"}`. `accounts` says which user ids are which
    account on UNIX sockets (`owner`: this user and root). `limit` is the largest message in bytes, `threads` how many
    `threaded` methods run at once. Values of a wrong type raise a bare `Exception`.
    """

    rpc = staticmethod(methods.rpc)
    auth = staticmethod(methods.auth)
    preauth = staticmethod(methods.preauth)
    threaded = staticmethod(methods.threaded)
    exit_code: ClassVar[int] = 1
    """Of a process that was shut down, as ever: it never ends by itself."""

    def __init__(  # noqa: PLR0913 - the manual's signature, and more by name alone
        self,
        port: int | str | None = None,
        authkey: str | None = None,
        socket: sockets.socket | None = None,
        alt_keys: dict[str, str | None] | None = None,
        interval: float | None = None,
        home: str | None = None,
        proc_name: str | None = None,
        logging: bool = False,  # noqa: FBT001, FBT002 - the manual's signature
        *,
        host: str = "127.0.0.1",
        access: methods.AccessTable | None = None,
        accounts: Mapping[str, Iterable[int]] | None = None,
        limit: int = LIMIT,
        threads: int = 16,
    ) -> None:
        Process.__init__(self, logging=logging, proc_name=proc_name)
        _check(port, authkey, socket, alt_keys, interval)
        self.port = port
        self.host = host
        self.authkey = authkey
        self.alt_keys: dict[str, str | None] = dict(alt_keys or {})
        self.interval = interval
        self.service = Service(self, self.get_authkeys, access=access, accounts=accounts, limit=limit)
        self._home = home
        self._socket = socket
        self._thread_count = threads
        self._death_signal: int | None = signal.SIGTERM
        self._server: Server | None = None
        self._joins: Joins | None = None
        self._embedded = False

    # ---- called by the parent

    def start(self, daemonize: bool = False, synchronize: bool = False) -> None:  # noqa: FBT001, FBT002
        """As `Process.start`; a socket that was handed in belongs to the new process afterwards."""
        super().start(daemonize, synchronize)
        if self._socket is not None:
            self._socket.close()

    def in_thread(self) -> Embedded:
        """Serve in a thread of this process: `with control.in_thread() as running: RemoteControl(running.address)`."""
        self._embedded = True
        return Embedded(self)

    # ---- upcalls, for subclasses

    def joined_process(self, pid: int, exit: int) -> None:  # noqa: A002 - the manual's name
        """A process that was handed to `join_later` has ended."""

    # ---- called by the server's own methods

    @property
    def home(self) -> str:
        """Where this system's files are: given, else the one of `config.load_etc`."""
        if self._home is None:
            self._home = str(config.load_etc()["home"])
        return self._home

    @property
    def server(self) -> Server:
        if self._server is None:
            raise Exception("the server is not initialized: start it first")  # noqa: TRY002 - like the others here
        return self._server

    @property
    def current_connection(self) -> Connection | None:
        """Whose call this is."""
        return self.server.current_connection

    @property
    def current_call(self) -> Serving | None:
        """The call that is served by this thread: its deadline, whether it is still wanted, its resource."""
        return current_call()

    @property
    def established(self) -> dict[Connection, str | None]:
        """Connections past the handshake, and their keys."""
        return self.server.established

    @property
    def rejecting(self) -> bool:
        return self.server.engine.rejecting

    @rejecting.setter
    def rejecting(self, value: bool) -> None:
        """Accept new connections only to close them."""
        self.server.engine.rejecting = value

    def get_authkeys(self) -> Keys:
        """Account -> key; the primary key's account is 0."""
        keys: dict[str | int, str | None] = {0: self.authkey}
        keys.update(self.alt_keys)
        return keys

    def get_connection_authkey(self, connection: Connection) -> str | None:
        return self.established.get(connection)

    def set_connection_authkey(self, connection: Connection, authkey: str | None) -> None:
        """Once only. Raises `Exception`."""
        self.server.set_authkey(connection, authkey)

    def add_connection(self, connection: Connection, authkey: str | None) -> None:
        """Serve calls over a connection that was opened elsewhere; it counts as authenticated with `authkey`."""
        self.server.add_connection(connection, authkey)

    def add_keepwatching(self, connection: Connection, authkey: str | None = None) -> None:
        """Only tell `lost_connection` when it ends."""
        self.server.add_keepwatching(connection, authkey)

    def remove_connection(self, connection: Connection) -> None:
        self.server.remove_connection(connection)

    def stop_listening(self) -> None:
        """Take no new clients; those that are here stay."""
        self.server.stop_listening()

    def notify(self, topic: str, data: Any) -> None:
        """Tell the subscribers of `topic`; may be called from any thread."""
        self.server.notify(topic, data)

    def join_later(self, proc: Process) -> None:
        """Call `joined_process` when `proc` has ended. Raises `Exception` for what cannot be joined."""
        if not isinstance(proc, Process):
            raise Exception("not a Process or subclass")  # noqa: TRY002, TRY004 - the original's kind and text
        if proc is self:
            raise Exception("cannot defer join of self")  # noqa: TRY002
        if self._joins is None:
            raise Exception("the server is not initialized: start it first")  # noqa: TRY002
        self._joins.add(proc)

    def stop(self) -> None:
        """Leave the loop after this step; all connections are closed without a word."""
        self.server.end()

    def shutdown(self, details: Any = None) -> None:
        """End after this step. `details`, a text or an `AveException`, is the last message to every client."""
        self.server.end(details)

    def disable_death_signalling(self) -> None:
        """Outlive the parent."""
        self._death_signal = None
        if self._server is not None and not self._embedded:
            self.perform_prctl(0)

    # ---- the process

    def close_fds(self, exclude: list[int]) -> None:
        if self._socket is not None:
            exclude.append(self._socket.fileno())
        super().close_fds(exclude)

    def perform_prctl(self, death_signal: int = 0) -> None:
        super().perform_prctl(death_signal if self._death_signal is not None else 0)

    def initialize(self) -> None:
        super().initialize()
        self.open()

    def open(self) -> None:
        """Make the loop and listen. Called in the process that serves."""
        self._server = Server(self.service, self, threads=self._thread_count)
        self._joins = Joins(self._server.engine, self.joined_process, self.log)
        sock = self._socket
        if sock is None and self.port is not None:
            sock = bind(self.port, self.host)
        if sock is not None:
            self._server.listen(sock)

    def main_loop(self) -> None:
        self.server.loop(self.interval, self._each_turn)

    def run(self) -> None:
        """Serve until the end. In a process of its own it never returns."""
        try:
            self.main_loop()
        finally:
            self._finish()

    def handle_SIGTERM(self, signum: int, frame: FrameType | None) -> None:  # noqa: N802 - the manual's name
        """End between two calls; a call that takes too long is not waited for."""
        if self._server is None:
            os._exit(self.exit_code)
        signal.signal(signal.SIGALRM, lambda *_: os._exit(self.exit_code))
        signal.alarm(PATIENCE_S)
        self.shutdown()

    def handle_SIGUSR1(self, signum: int, frame: FrameType | None) -> None:  # noqa: N802 - the manual's name
        """Pass the signal on to children of ours, and leave a trace in `<home>/.wayhouse/hickup`."""
        try:
            leave_trace(Path(self.home), self.proc_name, frame)
        except OSError as error:
            self.log(f"no trace could be left: {error}")

    def _each_turn(self) -> None:
        if self._joins is not None and self._joins.due:
            self._joins.settle()

    def _finish(self) -> None:
        if self._joins is not None:
            self._joins.settle()
        self.server.close()
        if not self._embedded and threading.current_thread() is threading.main_thread():
            self.log("shut down")
            os._exit(self.exit_code)


def _check(port: object, authkey: object, socket: object, alt_keys: object, interval: object) -> None:
    """The original's checks, with bare `Exception`s."""
    if socket is None and not _is_port(port):
        raise Exception(f"port is not a positive integer or a path: {port!r}")  # noqa: TRY002
    if authkey is not None and not isinstance(authkey, str):
        raise Exception("authkey is not a string")  # noqa: TRY002
    if alt_keys is not None and not isinstance(alt_keys, dict):
        raise Exception("alt_keys is not a dictionary")  # noqa: TRY002
    if isinstance(alt_keys, dict) and not all(v is None or isinstance(v, str) for v in alt_keys.values()):
        raise Exception("a value of alt_keys is not a string")  # noqa: TRY002
    if interval is not None and (isinstance(interval, bool) or not isinstance(interval, int | float)):
        raise Exception("interval is not a number")  # noqa: TRY002


def _is_port(port: object) -> bool:
    if isinstance(port, str):
        return port.startswith(("/", "@"))
    return isinstance(port, int) and not isinstance(port, bool) and 1 <= port < 65536
