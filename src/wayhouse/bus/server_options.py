"""What the process of the bus can be told: its settings, from the command line, and the secrets in the files that they name.

Called by `server`. Rules: what is not understood is told with the argument's name; a secret is only read from a file that nobody else
can read, and is in no message.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from wayhouse.bus.drivers.clone_saver import SAVE_S
from wayhouse.bus.drivers.security import Security
from wayhouse.bus.keys import read_secret
from wayhouse.bus.kvmsg import Form
from wayhouse.bus.model import BROKER_PORT, COLLECTOR_PORT, HEARTBEAT_S, LIVENESS, BrokerSettings

HIGHEST_PORT = 65535 - COLLECTOR_PORT


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`port` 0 takes any free ports. `runtime` is the folder for UNIX sockets; none is opened without. `credentials` and
    `secret_key` are files that only their owner can read. `subscribed` is the port for publishers that use PUB. With `data`, a
    folder, the clone's keys survive a restart."""

    address: str = "127.0.0.1"
    port: int = BROKER_PORT
    runtime: str | None = None
    listen: tuple[str, ...] = ()
    clone: bool = True
    clone_form: Form = Form.CHP
    subscribed: int | None = None
    data: Path | None = None
    save_s: float = SAVE_S
    mechanism: str = "none"
    secret_key: str | None = None
    credentials: str | None = None
    broker: BrokerSettings = msgspec.field(default_factory=BrokerSettings)

    def __post_init__(self) -> None:
        if not 0.1 <= self.save_s <= 3600.0:
            raise ValueError("the clone's keys are written every 0.1 to 3600 seconds")


def security_of(settings: ServerSettings) -> Security:
    key = read_secret(settings.secret_key).strip() if settings.secret_key is not None else b""
    return Security(mechanism=settings.mechanism, secret_key=key)


def parse_options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m wayhouse.bus.server", description="The message bus.")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, default=BROKER_PORT, help="the broker's; the clone takes the next three; 0: any"
    )
    parser.add_argument(
        "--runtime", metavar="DIR", help="also listen in DIR: bus.sock, and the clone's bus-*.sock"
    )
    parser.add_argument(
        "--listen", action="append", default=[], metavar="ENDPOINT", help="one more endpoint of the broker"
    )
    parser.add_argument("--no-clone", dest="clone", action="store_false", help="without the key/value clone")
    parser.add_argument(
        "--clone-form",
        choices=[form.value for form in Form],
        default=Form.CHP.value,
        help="how updates go out: RFC 12's five frames, three, or RasPy's three with a short sequence",
    )
    parser.add_argument(
        "--subscribed",
        type=_port,
        metavar="PORT",
        help="take updates of publishers that use PUB here, too; 0: any",
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="the clone's keys survive a restart in DIR/clone.db"
    )
    parser.add_argument(
        "--save-every",
        type=float,
        default=SAVE_S,
        metavar="SECONDS",
        help="what a crash may cost (default: %(default)s)",
    )
    parser.add_argument(
        "--mechanism", choices=("none", "plain", "curve"), default="none", help="of peers over TCP"
    )
    parser.add_argument("--secret-key", metavar="FILE", help="the server's secret key for curve, in Z85")
    parser.add_argument(
        "--credentials",
        metavar="FILE",
        help='JSON: {"plain": {user: password}, "curve": {key: name}}; changes are heeded within a second',
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
    parser.add_argument(
        "--traces", type=Path, metavar="DIR", help="where `wayhouse trace` finds this process"
    )
    parser.add_argument(
        "--lifeline", type=Path, metavar="FILE", help="end once nobody else has the lock on FILE"
    )
    return parser.parse_args(argv)


def settings_of(found: argparse.Namespace) -> ServerSettings:
    broker = BrokerSettings(
        heartbeat_s=found.heartbeat,
        liveness=found.liveness,
        credit_max=found.credit_max,
        adaptive_credit=not found.fixed_credit,
    )
    given = vars(found)
    names = (
        "address",
        "port",
        "runtime",
        "clone",
        "mechanism",
        "secret_key",
        "credentials",
        "subscribed",
        "data",
    )
    return ServerSettings(
        **{name: given[name] for name in names},
        listen=tuple(found.listen),
        clone_form=Form(found.clone_form),
        save_s=found.save_every,
        broker=broker,
    )


def _port(text: str) -> int:
    port = int(text)
    if port != 0 and not 0 < port <= HIGHEST_PORT:
        raise ValueError
    return port
