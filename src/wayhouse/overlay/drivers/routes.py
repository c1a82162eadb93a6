"""Routes into an overlay's interface: networks behind peers. Called by `outside.py`. Rule: it touches only routes that it made, known by their protocol number."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from wayhouse.base.errors import OutsideError

PROTOCOL = 187
"""Of routes that are ours (rtnetlink(7), `rtm_protocol`): none that iproute2 has a name for."""


async def set_routes(interface: str, networks: Collection[str]) -> None:
    """Exactly these networks, in CIDR form, are routed into `interface` by us. Raises `OutsideError`."""
    await asyncio.to_thread(
        _set_routes, interface, frozenset(networks)
    )  # pyroute2 wants an event loop for itself


def _set_routes(interface: str, wanted: frozenset[str]) -> None:
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as netlink:
            index = netlink.link_lookup(ifname=interface)[0]
            present = {_destination(one): one for one in netlink.get_routes(oif=index, proto=PROTOCOL)}
            for text in present.keys() - wanted:
                netlink.route("del", dst=text, oif=index, proto=PROTOCOL)
            for text in wanted - present.keys():
                netlink.route("add", dst=text, oif=index, proto=PROTOCOL)
    except (NetlinkError, OSError, IndexError) as error:
        raise OutsideError(
            f"Networks behind peers cannot be routed into {interface} ({error}); look whether `ip route` has them already."
        ) from None


def _destination(message: Any) -> str:
    return f"{message.get_attr('RTA_DST')}/{message['dst_len']}"
