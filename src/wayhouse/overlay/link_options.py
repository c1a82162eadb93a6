"""What the link process can be told on its command line. Called by `link_process.py`; nothing secret is among it, since others see it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from wayhouse.overlay import relay_authority
from wayhouse.overlay.identity import Digest
from wayhouse.overlay.model import PathPolicy, PathSettings
from wayhouse.overlay.relay_authority import BadAuthorityError
from wayhouse.overlay.tincan import split_host

CONTROL_PORT = 5800
TUN = "ipop"


class LinkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`tun` is None for no interface. `ca_file` and `pin` say how the XMPP server is recognised; `lifeline` is a file whose lock the
    starter holds. `is_legacy`: it speaks as old nodes do; `allows_clear`: even without encryption, where a controller wants that."""

    data: Path
    control_port: int = CONTROL_PORT
    tun: str | None = TUN
    mtu: int = 1280
    digest: Digest = Digest.SHA1
    translates: bool = True
    stun: tuple[tuple[str, int], ...] = ()
    policy: PathPolicy = PathPolicy.AUTO
    ignored: tuple[str, ...] = ()
    use_ipv6: bool = True
    ca_file: str = ""
    pin: str = ""
    relay_ca: str = ""
    is_legacy: bool = False
    allows_clear: bool = False
    traces: Path | None = None
    lifeline: Path | None = None

    def path_settings(self) -> PathSettings:
        return PathSettings(
            stun=self.stun,
            relay_ca=self.relay_ca,
            policy=self.policy,
            ignored_interfaces=self.ignored,
            use_ipv6=self.use_ipv6,
        )


def parse(argv: Sequence[str] | None) -> LinkOptions:
    """Ends the process with 2 and a line of help for what is not understood."""
    found = _parser().parse_args(argv)
    return LinkOptions(
        data=found.data,
        control_port=found.control_port,
        tun=None if found.no_tun else found.tun,
        mtu=found.mtu,
        digest=Digest(found.fingerprint),
        translates=not found.no_translation,
        stun=tuple(found.stun),
        policy=PathPolicy(found.policy),
        ignored=tuple(found.ignore),
        use_ipv6=not found.no_ipv6,
        ca_file=found.ca_file,
        pin=found.pin,
        relay_ca=found.relay_ca or "",
        is_legacy=found.legacy or found.in_the_clear,
        allows_clear=found.in_the_clear,
        traces=found.traces,
        lifeline=found.lifeline,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wayhouse link",
        description="Links this machine to others; a controller says to whom, on UDP port 5800.",
    )
    parser.add_argument(
        "--data", required=True, type=Path, metavar="DIR", help="the node's secret and the peers it knows"
    )
    parser.add_argument(
        "--control-port",
        type=_port,
        default=CONTROL_PORT,
        metavar="PORT",
        help="of controllers (%(default)s)",
    )
    parser.add_argument(
        "--tun", default=TUN, type=_interface, metavar="NAME", help="the interface (%(default)s)"
    )
    parser.add_argument(
        "--no-tun", action="store_true", help="no interface: links are made, packets go nowhere"
    )
    parser.add_argument("--mtu", type=int, default=1280, help="of the interface (%(default)s)")
    parser.add_argument(
        "--fingerprint",
        choices=[digest.value for digest in Digest],
        default=Digest.SHA1.value,
        help="digest of fingerprints; the same for all nodes (%(default)s)",
    )
    parser.add_argument(
        "--no-translation", action="store_true", help="peers go by the same IPv4 addresses everywhere"
    )
    parser.add_argument(
        "--stun", action="append", default=[], type=_server, metavar="HOST:PORT", help="may be given again"
    )
    parser.add_argument(
        "--policy",
        choices=[PathPolicy.AUTO.value, PathPolicy.DIRECT.value, PathPolicy.RELAY.value],
        default=PathPolicy.AUTO.value,
        help="direct never relays, relay hides this machine's addresses",
    )
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="INTERFACE", help="gives no candidates"
    )
    parser.add_argument("--no-ipv6", action="store_true", help="no candidates of IPv6")
    parser.add_argument(
        "--ca-file", default="", metavar="FILE", help="who signs the XMPP server's certificate"
    )
    parser.add_argument("--pin", default="", metavar="SHA256", help="of the XMPP server's certificate")
    parser.add_argument(
        "--relay-ca",
        type=_authority,
        metavar="FILE",
        help="who signs relays' certificates (PEM), besides those whom this machine trusts",
    )
    parser.add_argument(
        "--legacy",
        action="store_true",
        help="links to nodes of 2013 to 2016 alone (tincan): Ethernet over DTLS, weaker than what is usual here",
    )
    parser.add_argument(
        "--in-the-clear",
        action="store_true",
        help="as --legacy, and without encryption where a controller asks for that (`sec` false)",
    )
    parser.add_argument(
        "--traces", type=Path, metavar="DIR", help="where `wayhouse trace` finds this process"
    )
    parser.add_argument(
        "--lifeline", type=Path, metavar="FILE", help="end once nobody else has the lock on FILE"
    )
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise ValueError
    return port


def _server(text: str) -> tuple[str, int]:
    return split_host(text, 3478)


def _authority(text: str) -> str:
    """The PEM in the file."""
    try:
        pem = Path(text).read_text(encoding="ascii")
        relay_authority.check(pem)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, BadAuthorityError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error
    return pem


def _interface(text: str) -> str:
    """As Linux has names of interfaces: at most 15 bytes, no space and no slash."""
    if (
        not 0 < len(text.encode()) < 16
        or "/" in text
        or any(letter.isspace() for letter in text)
        or text in (".", "..")
    ):
        raise ValueError
    return text
