"""`python -m wayhouse.bus.server`: the process of the bus, which hosts the broker and the key/value clone in one poll loop.

Started by the gateway's supervision, by systemd, or by hand. Rules: READY is told when all is bound; SIGTERM and SIGINT end it in
order, with DISCONNECT to every worker; sockets that the service manager hands over are gone on with, and named `bus` and `clone`.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from pathlib import Path

from wayhouse.base.errors import WayhouseError
from wayhouse.bus.broker import Broker
from wayhouse.bus.clone_store import CloneStore
from wayhouse.bus.drivers import frames, listening
from wayhouse.bus.drivers.broker_socket import BrokerSocket
from wayhouse.bus.drivers.clone_saver import CloneSaver
from wayhouse.bus.drivers.clone_sockets import CloneSockets, Endpoints
from wayhouse.bus.drivers.connection import Connection
from wayhouse.bus.drivers.credential_file import CredentialFile
from wayhouse.bus.drivers.lifeline import kept
from wayhouse.bus.drivers.loop import Loop, Part
from wayhouse.bus.drivers.security import KnownCredentials
from wayhouse.bus.drivers.watch import Watch
from wayhouse.bus.drivers.watchdog import Watchdog
from wayhouse.bus.model import COLLECTOR_PORT, PUBLISHER_PORT, SNAPSHOT_PORT, EndpointError
from wayhouse.bus.overview import CloneFigures
from wayhouse.bus.server_options import (
    ServerSettings,
    parse_options,
    security_of,
    settings_of,
)
from wayhouse.bus.zmtp.mechanisms import Credentials, Mechanism
from wayhouse.runtime import systemd

log = logging.getLogger(__name__)

SOCKET_NAME = "bus.sock"
CLONE_FILE = "clone.db"
BROKER_NAME, CLONE_NAME = "bus", "clone"


class BusServer:
    """All of the bus in this process. Raises `EndpointError` when something cannot be bound."""

    def __init__(self, settings: ServerSettings, env: MutableMapping[str, str] | None = None) -> None:
        """`env` is where the service manager's variables are; those of handed over sockets are taken out of it."""
        self._env = {} if env is None else env
        self._watch = Watch()
        self._parts: list[Part] = []
        self._files: list[Path] = []
        """Of UNIX sockets, to be removed at the end unless a successor listens there."""
        try:
            self._open(settings, time.monotonic())
        except BaseException:
            self.destroy()
            raise
        self._loop = Loop(self._parts, self._watch)

    @property
    def wake_fd(self) -> int:
        return self._loop.wake_fd

    def run(self) -> None:
        """Serve until `shutdown`, which signal handlers and other threads may call."""
        systemd.ready(self._env, f"listening on {' '.join(self.listeners())}")
        try:
            self._loop.run()
        finally:
            systemd.stopping(self._env)
            self._parts = []
            self.destroy()

    def shutdown(self) -> None:
        self._loop.stop()

    def destroy(self) -> None:
        """Close everything at once; `run` does so at its end."""
        Loop(self._parts, self._watch).close()
        self._parts = []
        for path in self._files:
            listening.remove_stale(path)

    def listeners(self) -> dict[str, int]:
        """The listening descriptors by endpoint, for a successor; they stay ours."""
        found = self.router.listeners()
        return found if self.clone is None else {**found, **self.clone.listeners()}

    def _open(self, settings: ServerSettings, now: float) -> None:
        """The broker is closed first, what it needs last."""
        security = security_of(settings)
        self._credentials = None if security.mechanism == "none" else self._known(settings, now)
        mechanism = security.door(self._credentials)
        given = systemd.listen_fds(self._env)
        self.clone: CloneSockets | None = None
        self.broker = Broker(settings.broker, now, topics=self._topics, clone=self._clone_figures)
        self.router = BrokerSocket(self.broker, self._watch, mechanism)
        self._parts.insert(0, self.router)
        for fd in (handed := _unix_first(fd for name, fd in given if name == BROKER_NAME)):
            self.router.adopt(fd)
        for endpoint in () if handed else _endpoints(settings):
            bound = self.router.listen(endpoint)
            if bound.startswith("ipc://"):
                self._files.append(Path(bound.removeprefix("ipc://")))
        adopted = {listening.endpoint_at(fd): fd for name, fd in given if name == CLONE_NAME}
        if settings.clone:
            store = None if settings.data is None else CloneStore(settings.data / CLONE_FILE)
            try:
                self.clone = _clone(self._watch, settings, mechanism, adopted, store, now)
            except EndpointError:
                if store is not None:
                    store.close()
                raise
            self._files += [
                Path(one.removeprefix("ipc://")) for one in self.clone.listeners() if one.startswith("ipc://")
            ]
            self._parts.insert(1, self.clone)
            if store is not None:
                self._parts.insert(2, CloneSaver(store, self.clone.clone, now, settings.save_s))
        if (watchdog := Watchdog(self._env, now)).deadline() is not None:
            self._parts.append(watchdog)

    def _known(self, settings: ServerSettings, now: float) -> Credentials:
        if settings.credentials is None:
            return KnownCredentials()
        known = CredentialFile(settings.credentials, now, on_removed=self._turn_out)
        self._parts.append(known)
        return known

    def _turn_out(self) -> None:
        """Somebody may not be here any more: who has no key that is known is disconnected; with PLAIN all, since nobody's password is kept."""
        log.info("connections over TCP are ended, since a peer was removed")
        self.router.turn_out(self._is_known)
        if self.clone is not None:
            self.clone.turn_out(self._is_known)

    def _is_known(self, connection: Connection) -> bool:
        key = connection.session.mechanism.key
        return self._credentials is not None and bool(key) and self._credentials.curve(key) is not None

    def _topics(self, start: bytes) -> Iterable[bytes]:
        return () if self.clone is None else self.clone.clone.keys(start)

    def _clone_figures(self) -> CloneFigures | None:
        return None if self.clone is None else self.clone.clone.figures()


def main(argv: Sequence[str] | None = None) -> int:
    """0 after an orderly end, 1 when it could not begin, 2 for arguments that are not understood."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s: %(message)s")
    options = parse_options(argv)
    try:
        server = BusServer(settings_of(options), os.environ)
    except (WayhouseError, ValueError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 - it says what to do, a trace does not
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.shutdown())
    signal.set_wakeup_fd(server.wake_fd, warn_on_full_buffer=False)
    steady()
    log.info("listening on %s", " ".join(server.listeners()))
    log.info("frames are moved by %s", "the compiled mover" if frames.IS_COMPILED else "Python alone")
    try:
        with kept("bus", server.shutdown, lock=options.lifeline, traces=options.traces):
            server.run()
    finally:
        signal.set_wakeup_fd(-1)
    return 0


def steady() -> None:
    """For a process that does nothing else: messages leave no cycles, so that Python need not look for some after each few hundred of them."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _unix_first(fds: Iterable[int]) -> list[int]:
    return sorted(fds, key=lambda fd: not listening.endpoint_at(fd).startswith("ipc:"))


def _endpoints(settings: ServerSettings) -> list[str]:
    """UNIX sockets first, as security wants it."""
    endpoints = [_tcp(settings.address, settings.port), *settings.listen]
    if settings.runtime is not None:
        folder = Path(settings.runtime)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        endpoints.append(f"ipc://{folder / SOCKET_NAME}")
    return sorted(endpoints, key=lambda endpoint: not endpoint.startswith("ipc:"))


def _clone(
    watch: Watch,
    settings: ServerSettings,
    mechanism: Callable[[bytes], Mechanism],
    adopted: dict[str, int],
    store: CloneStore | None,
    now: float,
) -> CloneSockets:
    """One, two and three above the broker's port; on any free ports when that is 0."""
    offsets = (SNAPSHOT_PORT, PUBLISHER_PORT, COLLECTOR_PORT) if settings.port else (0, 0, 0)
    ports = [settings.port + offset for offset in offsets]
    if settings.subscribed is not None:
        ports.append(settings.subscribed)
    endpoints = Endpoints(*(_tcp(settings.address, port) for port in ports))
    return CloneSockets(
        watch,
        endpoints,
        now,
        local=None if settings.runtime is None else Endpoints.in_folder(Path(settings.runtime)),
        form=settings.clone_form,
        mechanism=mechanism,
        adopted=adopted,
        store=store,
    )


def _tcp(address: str, port: int) -> str:
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"


if __name__ == "__main__":
    sys.exit(main())
