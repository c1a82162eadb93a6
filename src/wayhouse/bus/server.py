"""`python -m wayhouse.bus.server`: the process of the bus, which hosts the broker and the key/value clone in one poll loop.

Started by the gateway's supervision, by systemd, or by hand. Rules: READY is told when all is bound; SIGTERM and SIGINT end it in
order, with DISCONNECT to every worker; sockets that the service manager hands over are gone on with, and named `bus` and `clone`.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import stat
import sys
import time
from collections.abc import Iterable, MutableMapping, Sequence
from pathlib import Path

import msgspec
import zmq

from wayhouse.base.codec import decode_json
from wayhouse.base.errors import BadInputError, WayhouseError
from wayhouse.bus.broker import Broker
from wayhouse.bus.drivers import listening
from wayhouse.bus.drivers.clone_sockets import CloneSockets, Endpoints
from wayhouse.bus.drivers.loop import Loop, Part
from wayhouse.bus.drivers.watchdog import Watchdog
from wayhouse.bus.drivers.zap import KnownCredentials, Security, ZapHandler
from wayhouse.bus.drivers.zeromq import BrokerSocket
from wayhouse.bus.model import (
    BROKER_PORT,
    COLLECTOR_PORT,
    HEARTBEAT_S,
    LIVENESS,
    PUBLISHER_PORT,
    SNAPSHOT_PORT,
    BrokerSettings,
)
from wayhouse.runtime import systemd

log = logging.getLogger(__name__)

SOCKET_NAME = "bus.sock"
BROKER_NAME, CLONE_NAME = "bus", "clone"
HIGHEST_PORT = 65535 - COLLECTOR_PORT
Context = zmq.Context[zmq.Socket[bytes]]


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`port` 0 takes any free ports. `runtime` is the folder for the UNIX socket; none is opened without. `credentials` and
    `secret_key` are files that only their owner can read."""

    address: str = "127.0.0.1"
    port: int = BROKER_PORT
    runtime: str | None = None
    listen: tuple[str, ...] = ()
    clone: bool = True
    mechanism: str = "none"
    secret_key: str | None = None
    credentials: str | None = None
    broker: BrokerSettings = msgspec.field(default_factory=BrokerSettings)


class KnownPeers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file of credentials: passwords by user, names by public key in Z85."""

    plain: dict[str, str] = {}
    curve: dict[str, str] = {}


class BusServer:
    """All of the bus in this process. Raises `EndpointError` when something cannot be bound."""

    def __init__(self, settings: ServerSettings, env: MutableMapping[str, str] | None = None) -> None:
        """`env` is where the service manager's variables are; those of handed over sockets are taken out of it."""
        self._env = {} if env is None else env
        self.ctx: Context = zmq.Context()
        self._parts: list[Part] = []
        try:
            self._open(settings, time.monotonic())
        except BaseException:
            self.destroy()
            raise
        self._loop = Loop(self._parts)

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
        Loop(self._parts).close()
        self._parts = []
        self.ctx.destroy(linger=0)

    def listeners(self) -> dict[str, int]:
        """The listening descriptors by endpoint, for a successor; they stay ours."""
        found = self.router.listeners()
        return found if self.clone is None else {**found, **self.clone.listeners()}

    def _open(self, settings: ServerSettings, now: float) -> None:
        """The broker is closed first, what it needs last."""
        security = _security(settings)
        if security.mechanism != "none":
            self._parts.append(ZapHandler(self.ctx, _credentials(settings)))
        given = systemd.listen_fds(self._env)
        self.broker = Broker(settings.broker, now)
        self.router = BrokerSocket(self.ctx, self.broker, security)
        self._parts.insert(0, self.router)
        for fd in (handed := _unix_first(fd for name, fd in given if name == BROKER_NAME)):
            self.router.adopt(fd)
        for endpoint in () if handed else _endpoints(settings):
            self.router.listen(endpoint)
        adopted = {listening.endpoint_at(fd): fd for name, fd in given if name == CLONE_NAME}
        self.clone = _clone(self.ctx, settings, security, adopted, now) if settings.clone else None
        if self.clone is not None:
            self._parts.insert(1, self.clone)
        if (watchdog := Watchdog(self._env, now)).deadline() is not None:
            self._parts.append(watchdog)


def main(argv: Sequence[str] | None = None) -> int:
    """0 after an orderly end, 1 when it could not begin, 2 for arguments that are not understood."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        server = BusServer(_settings(argv), os.environ)
    except (WayhouseError, ValueError, OSError) as error:
        log.error("%s", error)  # noqa: TRY400 - it says what to do, a trace does not
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.shutdown())
    signal.set_wakeup_fd(server.wake_fd, warn_on_full_buffer=False)
    log.info("listening on %s", " ".join(server.listeners()))
    try:
        server.run()
    finally:
        signal.set_wakeup_fd(-1)
    return 0


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
    context: Context, settings: ServerSettings, security: Security, adopted: dict[str, int], now: float
) -> CloneSockets:
    """One, two and three above the broker's port; on any free ports when that is 0."""
    offsets = (SNAPSHOT_PORT, PUBLISHER_PORT, COLLECTOR_PORT) if settings.port else (0, 0, 0)
    endpoints = Endpoints(*(_tcp(settings.address, settings.port + offset) for offset in offsets))
    return CloneSockets(context, endpoints, now, security=security, adopted=adopted)


def _tcp(address: str, port: int) -> str:
    return f"tcp://[{address}]:{port}" if ":" in address else f"tcp://{address}:{port}"


def _security(settings: ServerSettings) -> Security:
    key = _secret(settings.secret_key).strip() if settings.secret_key is not None else b""
    return Security(mechanism=settings.mechanism, secret_key=key)


def _credentials(settings: ServerSettings) -> KnownCredentials:
    if settings.credentials is None:
        return KnownCredentials()
    known = decode_json(_secret(settings.credentials), KnownPeers, what="file of credentials")
    return KnownCredentials(known.plain, known.curve)


def _secret(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise BadInputError(f"{path} can be read by others than its owner; do `chmod 600 {path}`.")
            return file.read()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}") from error


def _settings(argv: Sequence[str] | None) -> ServerSettings:
    parser = argparse.ArgumentParser(prog="python -m wayhouse.bus.server", description="The message bus.")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, default=BROKER_PORT, help="the broker's; the clone takes the next three; 0: any"
    )
    parser.add_argument("--runtime", metavar="DIR", help="also listen on DIR/bus.sock")
    parser.add_argument(
        "--listen", action="append", default=[], metavar="ENDPOINT", help="one more endpoint of the broker"
    )
    parser.add_argument("--no-clone", dest="clone", action="store_false", help="without the key/value clone")
    parser.add_argument(
        "--mechanism", choices=("none", "plain", "curve"), default="none", help="of peers over TCP"
    )
    parser.add_argument("--secret-key", metavar="FILE", help="the server's secret key for curve, in Z85")
    parser.add_argument(
        "--credentials", metavar="FILE", help='JSON: {"plain": {user: password}, "curve": {key: name}}'
    )
    parser.add_argument("--heartbeat", type=float, default=HEARTBEAT_S, metavar="SECONDS")
    parser.add_argument(
        "--liveness", type=int, default=LIVENESS, help="silent heartbeats until a worker is given up"
    )
    parser.add_argument(
        "--credit-max", type=int, default=BrokerSettings().credit_max, help="requests a worker may hold"
    )
    parser.add_argument(
        "--fixed-credit", action="store_true", help="workers hold one request unless they ask for more"
    )
    found = parser.parse_args(argv)
    broker = BrokerSettings(
        heartbeat_s=found.heartbeat,
        liveness=found.liveness,
        credit_max=found.credit_max,
        adaptive_credit=not found.fixed_credit,
    )
    given = vars(found)
    names = ("address", "port", "runtime", "clone", "mechanism", "secret_key", "credentials")
    return ServerSettings(**{name: given[name] for name in names}, listen=tuple(found.listen), broker=broker)


def _port(text: str) -> int:
    port = int(text)
    if port != 0 and not 0 < port <= HIGHEST_PORT:
        raise ValueError
    return port


if __name__ == "__main__":
    sys.exit(main())
