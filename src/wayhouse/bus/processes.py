"""The processes of the bus as the gateway supervises them: broker with clone, and Titanic. Called by `service`.

Rule: both outlive the daemon in an upgrade, and end when nobody has the gateway's lock any more.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import sys
from pathlib import Path

import msgspec

from wayhouse.base.errors import ConflictError
from wayhouse.bus.model import BROKER_PORT, COLLECTOR_PORT
from wayhouse.runtime.sight import trace_box
from wayhouse.runtime.supervision.child_spec import Backoff, ChildSpec, Intensity

BUS, TITANIC = "bus", "titanic"
CLONE = "clone"
"""Folder of what the clone keeps over a restart."""
SOCKET = "bus.sock"
ANY_PORT_ATTEMPTS = 200
ANY_FIRST, ANY_LAST = 15_000, 32_000
"""Below those that Linux gives to outgoing connections, of which many may linger."""
UNTIRING = Intensity(1_000_000, 60.0)
"""The gateway is of use without a bus, and a bus that comes back after an hour is better than none."""
_BACKOFF = Backoff(first_s=0.05, factor=2.0, most_s=10.0, steady_s=5.0)


class BusSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Section `[bus]`. The broker has `port`, the key/value clone the next three; None: 5514, or any free ones where that is
    taken; 0: any free ones. `hostname` is the first part of the names of this gateway's services. `mechanism` is what peers
    over TCP must use ("none", "plain", "curve"); with one of the latter, `credentials` and `secret_key` name files, if not the
    gateway's own. `open_to_network`: others than this machine may connect without a mechanism. `clone_keeps`: keys of the clone are there
    again after a restart. Without `enabled` there is no bus, and scenarios command no devices."""

    enabled: bool = True
    port: int | None = None
    address: str = "127.0.0.1"
    hostname: str = "localhost"
    mechanism: str = "none"
    secret_key: str | None = None
    credentials: str | None = None
    open_to_network: bool = False
    clone_keeps: bool = True

    def __post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port <= 65535 - COLLECTOR_PORT:
            raise ValueError(f"`port` is a number from 0 to {65535 - COLLECTOR_PORT}")
        if not self.hostname.isascii() or not self.hostname.isprintable() or set(self.hostname) & set(" /|"):
            raise ValueError("`hostname` has neither blanks nor `/` or `|`")
        if self.mechanism not in {"none", "plain", "curve"}:
            raise ValueError("`mechanism` is none, plain or curve")
        if self.mechanism == "none" and not self.open_to_network and not is_loopback(self.address):
            raise ValueError(
                f"`address` {self.address} would open the bus to everybody in the network; set `mechanism` to curve, so that only those "
                "get in whom `wayhouse bus key add` lets in, or `open_to_network` to true, if everybody may do everything"
            )

    def warning(self) -> str | None:
        """What whoever starts it should know."""
        if self.mechanism == "curve" or is_loopback(self.address):
            return None
        if self.mechanism == "none":
            return f"The bus listens on {self.address} without a mechanism: whoever reaches it may do everything there."
        return f"The bus listens on {self.address} with the mechanism plain: whoever listens in can read passwords and messages."


class KeyFiles(msgspec.Struct, frozen=True):
    """Of the gateway: the bus's secret key, and those who may connect."""

    secret_key: Path
    credentials: Path


def is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def specs(
    settings: BusSettings, port: int, *, runtime: Path, data: Path, lock: Path, keys: KeyFiles | None = None
) -> tuple[ChildSpec, ...]:
    """`lock` is the file that the gateway holds a lock on; `keys` are used where there is a mechanism and the settings name no files."""
    runs = (sys.executable, "-m")
    bus = [*runs, "wayhouse.bus.server", "--address", settings.address, "--port", str(port)]
    bus += ["--runtime", str(runtime), "--mechanism", settings.mechanism]
    if settings.clone_keeps:
        bus += ["--data", str(data / CLONE)]
    bus += _key_options(settings, keys)
    titanic = [
        *runs,
        "wayhouse.bus.titanic_server",
        "--broker",
        endpoint(runtime),
        "--data",
        str(data / TITANIC),
    ]
    both = ["--lifeline", str(lock), "--traces", str(runtime / trace_box.FOLDER)]
    return (
        _spec(BUS, [*bus, *both], watchdog_s=30.0),
        _spec(TITANIC, [*titanic, *both], watchdog_s=30.0),
    )


def _key_options(settings: BusSettings, keys: KeyFiles | None) -> list[str]:
    if settings.mechanism == "none":
        return []
    secret_key, credentials = settings.secret_key, settings.credentials
    if keys is not None:
        secret_key = secret_key or str(keys.secret_key)
        credentials = credentials or str(keys.credentials)
    named = {
        "--secret-key": secret_key if settings.mechanism == "curve" else None,
        "--credentials": credentials,
    }
    return [word for option, path in named.items() if path is not None for word in (option, path)]


def endpoint(runtime: Path) -> str:
    """Where the broker is reached on this machine by its own user."""
    return f"ipc://{runtime / SOCKET}"


def free_port(wanted: int | None, address: str, before: int | None = None) -> int:
    """The first of four free ports; `before`: which they were the last time. Raises `ConflictError`."""
    if wanted:
        if not _is_free(address, wanted):
            raise ConflictError(
                f"The bus needs the ports {wanted} to {wanted + COLLECTOR_PORT} of {address}, and one of them is taken. "
                "Use --bus-port N for others, or --bus-port 0 for any."
            )
        return wanted
    for port in (before, BROKER_PORT if wanted is None else None):
        if port and _is_free(address, port):
            return port
    for _ in range(ANY_PORT_ATTEMPTS):
        port = ANY_FIRST + secrets.randbelow(ANY_LAST - ANY_FIRST)
        if _is_free(address, port):
            return port
    raise ConflictError(f"There are no four free ports in a row on {address} for the bus. Use --bus-port N.")


def _spec(name: str, command: list[str], *, watchdog_s: float | None) -> ChildSpec:
    return ChildSpec(
        name=name,
        command=tuple(command),
        readiness="notify",
        backoff=_BACKOFF,
        watchdog_s=watchdog_s,
        shutdown_s=5.0,
        survives=True,
    )


def _is_free(address: str, first: int) -> bool:
    return all(_binds(address, first + offset) for offset in range(COLLECTOR_PORT + 1))


def _binds(address: str, port: int) -> bool:
    with socket.socket(_family(address), socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
            sock.listen(1)
        except OSError:
            return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
