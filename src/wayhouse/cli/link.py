"""`wayhouse link`: becomes a node of the overlay that a controller drives. The process is replaced, so that nothing of the command line stays in memory."""

from __future__ import annotations

import enum
import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from wayhouse.base.settings import Paths
from wayhouse.cli.command import help_of
from wayhouse.cli.overlay_account import RelayCa
from wayhouse.cli.screen import Screen
from wayhouse.cli.wanted import Wanted
from wayhouse.overlay.drivers.tun_right import demand_interface

PROCESS = "wayhouse.overlay.link_process"
FOLDER = "link"
LEGACY = (
    "It speaks as nodes of 2013 to 2016 do: whoever runs the XMPP server can pretend to be a peer at the first meeting, "
    "paths have no secret, and DTLS 1.0 with old ciphers is taken. Nodes of today refuse it."
)
CONTROL_PORT = 5800
MTU = 1280


class Digest(enum.StrEnum):
    SHA1 = "sha1"
    SHA256 = "sha256"


class Policy(enum.StrEnum):
    AUTO = "auto"
    DIRECT = "direct"
    RELAY = "relay"


def add_to(app: typer.Typer) -> None:
    app.command("link", help=help_of(link))(link)


def link(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="The node's secret and the peers it knows (in your XDG data folder)."
        ),
    ] = None,
    control_port: Annotated[
        int,
        typer.Option(
            "--control-port", metavar="N", min=0, max=65535, help="Where controllers are heard; 0: any."
        ),
    ] = CONTROL_PORT,
    tun: Annotated[str, typer.Option(metavar="NAME", help="What the interface is called.")] = "ipop",
    no_tun: Annotated[
        bool,
        typer.Option("--no-tun", help="No interface: links are made, packets go nowhere. Needs no root."),
    ] = False,
    mtu: Annotated[int, typer.Option(metavar="N", min=576, max=9000, help="Of the interface.")] = MTU,
    fingerprint: Annotated[
        Digest, typer.Option(help="Digest of fingerprints, the same for all nodes.")
    ] = Digest.SHA1,
    translation: Annotated[
        bool,
        typer.Option(
            "--translation/--no-translation", help="Each node has a view of its own of IPv4 addresses."
        ),
    ] = True,
    stun: Annotated[
        list[str] | None,
        typer.Option("--stun", metavar="HOST:PORT", help="A STUN server; may be given again."),
    ] = None,
    policy: Annotated[
        Policy, typer.Option(help="direct never relays, relay hides this machine's addresses.")
    ] = Policy.AUTO,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="INTERFACE", help="Its addresses are not told; may be given again."),
    ] = None,
    no_ipv6: Annotated[bool, typer.Option("--no-ipv6", help="Do not tell addresses of IPv6.")] = False,
    legacy: Annotated[
        bool,
        typer.Option(
            "--legacy",
            help="Link nodes of 2013 to 2016 (tincan) alone: Ethernet over DTLS, weaker than usual.",
        ),
    ] = False,
    in_the_clear: Annotated[
        bool,
        typer.Option("--in-the-clear", help="As --legacy, and unencrypted where the controller asks for it."),
    ] = False,
    ca_file: Annotated[
        Path | None,
        typer.Option("--ca-file", metavar="FILE", help="Who signs the XMPP server's certificate."),
    ] = None,
    pin: Annotated[
        str | None,
        typer.Option(metavar="SHA256", help="Trust the XMPP server with exactly this certificate."),
    ] = None,
    relay_ca: RelayCa = None,
) -> None:
    """Run a node of an overlay in the foreground, for a controller of your own that says to whom it is linked.

    It works without a gateway. The gateway's own overlays need neither: see `wayhouse overlay`. To sign a browser in,
    see `wayhouse sign-in`.

    For example:
      sudo wayhouse link --stun stun.example.org:3478
      wayhouse link --no-tun --data ~/node --control-port 5900
    """
    before = context.find_root().obj
    if data is None and isinstance(before, Wanted):
        data = before.data
    folder = data or Paths.user(os.environ).data / FOLDER
    arguments = process_arguments(
        {
            "data": folder.absolute(), "control-port": control_port, "tun": tun, "mtu": mtu, "fingerprint": fingerprint,
            "stun": stun, "policy": policy, "ignore": ignore, "ca-file": ca_file, "pin": pin,
            "relay-ca": relay_ca,
        },
        {"no-tun": no_tun, "no-translation": not translation, "no-ipv6": no_ipv6, "legacy": legacy, "in-the-clear": in_the_clear},
    )  # fmt: skip
    if not no_tun:
        demand_interface(tun, is_ethernet=legacy or in_the_clear)
    screen = Screen(env=os.environ)
    _explain(screen, folder, control_port, interface=None if no_tun else tun)
    if legacy or in_the_clear:
        screen.note(LEGACY)
    os.execv(sys.executable, [sys.executable, "-m", PROCESS, *arguments])  # noqa: S606 - becomes the node


def process_arguments(values: Mapping[str, Any], flags: Mapping[str, bool]) -> list[str]:
    """The node's own command line (`overlay/link_options.py`)."""
    told = []
    for name, value in values.items():
        if value is not None:
            told += [f"--{name}={one}" for one in (value if isinstance(value, list) else [value])]
    return told + [f"--{name}" for name, is_set in flags.items() if is_set]


def _explain(screen: Screen, folder: Path, port: int, *, interface: str | None) -> None:
    """On standard error, where the node's own lines go."""
    here = f"UDP port {port}" if port else "a UDP port that it names"
    packets = (
        "It has no interface: packets go nowhere." if interface is None else f"Its interface is {interface}."
    )
    screen.note(
        f"A node of the overlay, with its secret in {folder}. {packets}\n"
        f"Controllers are heard on this machine alone, at {here}, and only those of {_drivers()}.\n"
        "Start one in another terminal, such as examples/overlay/controller.py. Ctrl-C ends the node and its links."
    )


def _drivers() -> str:
    user = os.geteuid()
    if user == 0:
        return "root"
    try:
        return f"{pwd.getpwuid(user).pw_name} and of root"
    except KeyError:
        return f"user {user} and of root"
