"""`python -m wayhouse.overlay.link_process`: a node that a controller drives over UDP, in a process of its own.

Started by `wayhouse link`, by the gateway's supervision or by hand. Rules: READY is told when controllers can be heard; SIGTERM and SIGINT end it in
order; one node has one secret and one list of known peers, both in the data folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

import msgspec

from wayhouse.base.clock import Clock, SystemClock
from wayhouse.base.errors import WayhouseError
from wayhouse.base.tasks import Tasks
from wayhouse.bus.drivers.lifeline import follow
from wayhouse.overlay import identity, link_options
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.drivers.control_socket import ControlSocket
from wayhouse.overlay.drivers.outside import RealOutside
from wayhouse.overlay.legacy import old_identity
from wayhouse.overlay.legacy.old_trust import OLD_PINS_FILE, OldTrust
from wayhouse.overlay.link_options import LinkOptions
from wayhouse.overlay.node import Node
from wayhouse.overlay.node_parts import NodeParts, NodeSettings
from wayhouse.overlay.ports import Signaller
from wayhouse.overlay.requests import Requests
from wayhouse.overlay.tincan import RegisterSvc
from wayhouse.overlay.trust import PINS_FILE, PinFile, Trust
from wayhouse.runtime import systemd
from wayhouse.runtime.sight import trace_box

log = logging.getLogger(__name__)

SERVERS_SOON_S = 2.0
SERVERS_AGAIN_S = 600.0
"""Credentials of relays are for hours."""


async def serve(options: LinkOptions, clock: Clock, ended: asyncio.Event) -> None:
    """One node, until `ended`. Raises `WayhouseError` when it cannot begin."""
    options.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    _load(options)
    async with Tasks() as tasks:
        outside = RealOutside(clock, tasks)
        async with Node(_parts(options, clock, outside), _settings(options)) as node:
            control = ControlSocket(node, Requests(node, _signing_in(options, outside)), clock)
            try:
                port = control.open(options.control_port)
                tasks.spawn(node.run(), name="the node's clock")
                tasks.spawn(_ask_for_servers(node, outside, clock, options), name="servers on offer")
                systemd.ready(os.environ, f"controllers are heard on UDP port {port}")
                log.info("controllers are heard on UDP port %d", port)
                await ended.wait()
                systemd.stopping(os.environ)
            finally:
                control.close()
        outside.close()


def main(argv: Sequence[str] | None = None) -> int:
    """0 after an orderly end, 1 when it could not begin, 2 for arguments that are not understood."""
    options = link_options.parse(argv)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s: %(message)s")
    with contextlib.ExitStack() as held:
        if options.traces is not None:
            held.enter_context(trace_box.armed(options.traces, name="link", role="overlay"))
        try:
            asyncio.run(_run(options))
        except (WayhouseError, OSError) as error:
            log.error("%s", error)  # noqa: TRY400 - it says what to do, a trace does not
            return 1
    return 0


async def _run(options: LinkOptions) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if options.lifeline is not None:
        follow(options.lifeline, lambda: loop.call_soon_threadsafe(ended.set))
    await serve(options, SystemClock(), ended)


def _load(options: LinkOptions) -> None:
    """What is heavy, now: no link is to wait for it later."""
    tunnel = "drivers.tap_tunnel" if options.is_legacy else "engine.tunnel"
    for name in (
        "pyroute2",
        f"wayhouse.overlay.{tunnel}",
        "wayhouse.overlay.drivers.ice",
        "wayhouse.overlay.drivers.xmpp",
    ):
        importlib.import_module(name)


def _parts(options: LinkOptions, clock: Clock, outside: RealOutside) -> NodeParts:
    if options.is_legacy:
        return _old_parts(options, clock, outside)
    return NodeParts(
        clock=clock,
        trust=Trust(PinFile(options.data / PINS_FILE), clock),
        identify=lambda uid: identity.load_or_create(options.data, uid),
        open_tunnel=lambda key: outside.tunnel(options.tun, key),
        make_path=outside.path,
    )


def _old_parts(options: LinkOptions, clock: Clock, outside: RealOutside) -> NodeParts:
    return NodeParts(
        clock=clock,
        trust=OldTrust(PinFile(options.data / OLD_PINS_FILE), clock, allows_clear=options.allows_clear),
        identify=lambda uid: old_identity.load_or_create(options.data, uid),
        open_tunnel=lambda key: outside.old_tunnel(options.tun, key),
        make_path=outside.old_path,
    )


def _settings(options: LinkOptions) -> NodeSettings:
    return NodeSettings(
        digest=options.digest,
        path=options.path_settings(),
        mtu=options.mtu,
        translates=options.translates,
        is_old=options.is_legacy,
    )


def _signing_in(options: LinkOptions, outside: RealOutside) -> Callable[[RegisterSvc], Signaller]:
    def sign_in(request: RegisterSvc) -> Signaller:
        return outside.xmpp(
            XmppAccount(
                jid=request.username,
                password=request.password,
                host=request.host,
                port=request.port,
                ca_file=options.ca_file,
                pin=options.pin,
            )
        )

    return sign_in


async def _ask_for_servers(node: Node, outside: RealOutside, clock: Clock, options: LinkOptions) -> None:
    """Have the STUN and TURN servers that the XMPP server offers (XEP-0215) for links whose controller names none."""
    while True:
        for name, signaller in tuple(node.signallers.items()):
            stun, turn = ((), ()) if name in node.signals_down else await outside.servers(signaller)
            if stun or turn:
                node.path_settings = msgspec.structs.replace(
                    node.path_settings, stun=options.stun or stun, turn=turn
                )
        known = bool(node.path_settings.stun or node.path_settings.turn)
        await clock.sleep(SERVERS_AGAIN_S if known else SERVERS_SOON_S)


if __name__ == "__main__":
    sys.exit(main())
