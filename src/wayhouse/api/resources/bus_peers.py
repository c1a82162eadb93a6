"""Who may connect to the bus over TCP: its public key, and its peers.

The access room writes its own lines to the audit log, so these rows are not audited a second time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wayhouse.access.policy import Right
from wayhouse.api import wire
from wayhouse.api import wire_peers as words
from wayhouse.api.table import Call, Rows, endpoint

if TYPE_CHECKING:  # the command line reads the tables of rows, and should not load the services
    from wayhouse.access.bus_keys import BusPeers, NewBusPeer

PEERS = "/api/v1/bus/peers"


class BusPeerResource:
    """`mechanism` is that of the settings."""

    def __init__(self, peers: BusPeers, mechanism: str) -> None:
        self._peers = peers
        self._mechanism = mechanism

    async def all(self, call: Call) -> words.PeerList:
        found = [
            words.PeerView(name=one.name, kind=one.kind, public=one.public) for one in await self._peers.all()
        ]
        return words.PeerList(mechanism=self._mechanism, server=await self._peers.server_key(), peers=found)

    async def add(self, call: Call) -> words.PeerMade:
        order = call.body(words.NewPeer)
        made = await self._peers.add(call.who, order.name, kind=order.kind, public=order.public)
        return words.PeerMade(
            mechanism=self._mechanism,
            name=made.peer.name,
            kind=made.peer.kind,
            public=made.peer.public,
            server=made.server,
            keys=_keys(made),
        )

    async def remove(self, call: Call) -> wire.Success:
        await self._peers.remove(call.who, call.path["name"])
        return wire.Success(success=True)


def _keys(made: NewBusPeer) -> words.PeerKeys | None:
    if made.secret is None:
        return None
    if made.server is None or made.peer.public is None:
        return words.PeerKeys(plain=words.PlainKeys(user=made.peer.name, password=made.secret))
    pair = words.CurveKeys(server=made.server, public=made.peer.public, secret=made.secret)
    return words.PeerKeys(curve=pair)


_R = BusPeerResource
LIST_PEERS = endpoint(
    "GET", PEERS, Right.ADMINISTER, "Who may connect to the bus over TCP, and the bus's public key", _R.all,
    reply=words.PeerList,
)  # fmt: skip
ADD_PEER = endpoint(
    "POST", PEERS, Right.ADMINISTER, "Let a peer connect to the bus; its secret is in this answer only", _R.add,
    body=words.NewPeer, reply=words.PeerMade, audited=False,
)  # fmt: skip
REMOVE_PEER = endpoint(
    "DELETE", PEERS + "/{name}", Right.ADMINISTER, "Let a peer connect no more, and end its connections", _R.remove,
    reply=wire.Success, audited=False,
)  # fmt: skip

ROWS: Rows = (LIST_PEERS, ADD_PEER, REMOVE_PEER)
