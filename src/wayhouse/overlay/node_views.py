"""How a node's links look to others: `peer_state` for controllers, `LinkView` for the API, the command line and the page.

Called by `requests.py` and the link process. Rule: for reading alone; every peer that is known is shown, with the reason when it is not linked directly.
"""

from __future__ import annotations

from wayhouse.overlay.link import LinkState, address_text
from wayhouse.overlay.model import Candidate, LinkStatus, PathPolicy, PathReport
from wayhouse.overlay.node import Node
from wayhouse.overlay.notifications import (
    LOCAL_IP4_BEFORE,
    LOCAL_IP6_BEFORE,
    NO_FINGERPRINT,
    LocalState,
    PeerState,
    Stats,
    stats_text,
)
from wayhouse.overlay.peer import Peer
from wayhouse.overlay.ports import FrameTunnel, PeerFigures
from wayhouse.overlay.tincan import Generation
from wayhouse.overlay.views import LinkView, SignalView

NEVER_S = 1_000_000
"""`xmpp_time` of a peer that was not seen: controllers compare it, whatever it is."""
_WAITING = {
    LinkState.INTRODUCED: "It was seen; nobody asked for a link.",
    LinkState.ASKED: "It was asked for a link and has not answered yet.",
    LinkState.GATHERING: "This node is finding out its own addresses, or waits for those of the peer.",
    LinkState.CHECKING: "Paths are being tried.",
    LinkState.TUNNELLING: "There is a path; the tunnel is being set up.",
}


def local_state(node: Node) -> LocalState:
    if node.identity is None:
        return LocalState(uid="", ip4=LOCAL_IP4_BEFORE, ip6=LOCAL_IP6_BEFORE, fpr=NO_FINGERPRINT)
    mac = node.tunnel.mac if isinstance(node.tunnel, FrameTunnel) else ""
    return LocalState(uid=node.uid, ip4=node.ip4, ip6=node.ip6, fpr=node.fingerprint, mac=mac)


def peer_states(
    node: Node, generation: Generation, *, uid: str = "", stats: bool = False, as_text: bool = False
) -> list[PeerState]:
    """Of one peer, or of all: those with addresses for the first generation of controllers, all that were seen for the others."""
    figures = node.figures()
    shown = [peer for peer in node.peers.values() if uid in ("", peer.uid)]
    if generation is Generation.G0:
        shown = [peer for peer in shown if peer.has_addresses]
    return [_peer_state(node, peer, figures, stats=stats, as_text=as_text) for peer in shown]


def link_views(node: Node) -> list[LinkView]:
    """Of every known peer, in the order of their uids."""
    figures = node.figures()
    return [_link_view(node, node.peers[uid], figures) for uid in sorted(node.peers)]


def signal_views(node: Node) -> tuple[SignalView, ...]:
    down = node.signals_down
    return tuple(
        SignalView(name=name, is_up=name not in down, reason=down.get(name, "")) for name in node.signallers
    )


def why(peer: Peer, report: PathReport) -> str:
    """Why the link is relayed or not there, in a sentence; empty for a direct one."""
    link = peer.link
    if link.state is LinkState.ONLINE:
        return _why_relayed(peer, report) if link.is_relayed else ""
    if link.why:
        return link.why
    if link.state is LinkState.CHECKING and report.last_error:
        return f"Paths are being tried; the last one failed: {report.last_error}"
    return _WAITING.get(link.state, "")


def _why_relayed(peer: Peer, report: PathReport) -> str:
    if PathPolicy.RELAY in (peer.policy, peer.settings.policy):
        return "It is relayed because it is set to be."
    if report.nat == "symmetric":
        return "It is relayed: the NAT in front of this node gives it another port for each peer."
    return "It is relayed: no direct path has answered; the NAT or firewall of the peer or of this node lets none through."


def _figures(peer: Peer, figures: dict[bytes, PeerFigures]) -> PeerFigures:
    found = None if peer.verified is None else figures.get(peer.verified.tunnel_key)
    return found or PeerFigures()


def _peer_state(
    node: Node, peer: Peer, figures: dict[bytes, PeerFigures], *, stats: bool, as_text: bool
) -> PeerState:
    link, now = peer.link, node.now()
    is_online = link.status is LinkStatus.ONLINE
    shown = (_stats(peer, _figures(peer, figures)),) if is_online and stats else ()
    text, cons = stats_text(shown) if as_text and shown else (None, None)
    return PeerState(
        uid=peer.uid,
        ip4=peer.ip4,
        ip6=peer.ip6,
        status=LinkStatus.ONLINE if is_online else LinkStatus.OFFLINE,
        fpr=link.fingerprint if link.is_open else None,
        last_time=int(now - link.created) if link.created is not None else None,
        xmpp_time=NEVER_S if peer.seen_at is None else int(now - peer.seen_at),
        security=peer.verified.security if is_online and peer.verified is not None else None,
        stats=text if as_text else shown or None,
        stats_cons=cons,
        state=link.state.value,
        relayed=link.is_relayed,
        why=why(peer, peer.report()),
    )


def _stats(peer: Peer, figures: PeerFigures) -> Stats:
    """Types by libjingle's names, as in `cas`."""
    link, rtt_s = peer.link, peer.report().rtt_s
    sent, received = peer.rates.per_second()
    return Stats(
        local_addr=_address(link.local),
        rem_addr=_address(link.remote),
        local_type=_type(link.local),
        rem_type=_type(link.remote),
        rtt=0 if rtt_s is None else round(rtt_s * 1000),
        sent_total_bytes=figures.sent_bytes,
        sent_bytes_second=round(sent),
        recv_total_bytes=figures.received_bytes,
        recv_bytes_second=round(received),
    )


def _address(candidate: Candidate | None) -> str:
    return "" if candidate is None else address_text(candidate).partition(" ")[2]


def _type(candidate: Candidate | None) -> str:
    return (
        ""
        if candidate is None
        else {"host": "local", "srflx": "stun"}.get(candidate.type.value, candidate.type.value)
    )


def _link_view(node: Node, peer: Peer, figures: dict[bytes, PeerFigures]) -> LinkView:
    link, now, report, found = peer.link, node.now(), peer.report(), _figures(peer, figures)
    sent, received = peer.rates.per_second()
    return LinkView(
        uid=peer.uid,
        status=link.status,
        state=link.state.value,
        ip4=peer.ip4,
        ip6=peer.ip6,
        name=peer.name,
        offered_subnets=peer.offers,
        via=peer.via,
        fingerprint=link.fingerprint or peer.told_fingerprint,
        tags=() if peer.verified is None or peer.verified.ticket is None else peer.verified.ticket.tags,
        policy=peer.policy or peer.settings.policy,
        is_relayed=link.is_relayed,
        local="" if link.local is None else address_text(link.local),
        remote="" if link.remote is None else address_text(link.remote),
        rtt_s=report.rtt_s,
        sent_bytes=found.sent_bytes,
        received_bytes=found.received_bytes,
        sent_bps=sent,
        received_bps=received,
        handshake_age_s=_age(now, found.last_handshake),
        seen_age_s=_age(now, peer.seen_at),
        online_age_s=_age(now, link.online_since),
        nat=report.nat,
        pairs=report.pairs,
        why=why(peer, report),
    )


def _age(now: float, then: float | None) -> float | None:
    return None if then is None else max(0.0, now - then)
