"""Overlays and peers as the pages show them: the look and the word of each state, round-trip times and rates as text. Pure.

Rule: a word never says more than the links' process has told; why something is as it is stands beside it, in that process's own sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from wayhouse.overlay.model import LinkStatus, PathPolicy
from wayhouse.overlay.netcheck import Dependence
from wayhouse.overlay.views import LinkView, OverlayView
from wayhouse.portal import formats
from wayhouse.portal.model import overlay_path

SHORT_UID = 8
DIRECT, RELAYED = ("running", "Direct"), ("partly", "Relayed")
OFF, AWAY, UNKNOWN = ("stopped", "Switched off"), ("stopped", "Away"), ("stopped", "Not known")
STATES = {
    "introduced": ("stopped", "Seen"),
    "asked": ("busy", "Asked"),
    "gathering": ("busy", "Connecting"),
    "checking": ("busy", "Connecting"),
    "tunnelling": ("busy", "Connecting"),
    "online": DIRECT,
    "offline": AWAY,
    "refused": ("failing", "Refused"),
}
"""The look and the word of a link that is not online, by what it is doing."""
POLICIES = {
    PathPolicy.AUTO: "Direct if possible, else relayed",
    PathPolicy.DIRECT: "Direct or not at all",
    PathPolicy.RELAY: "Always relayed, so that the peer does not learn this gateway's addresses",
    PathPolicy.OFF: "No link",
}
NATS = {
    "none": "none: this machine has a public address",
    "cone": "a NAT that keeps its ports: direct paths are possible",
    "symmetric": "a NAT that gives every peer another port: often only a relay helps",
    "blocked": "UDP does not get through",
    "unknown": "not known yet",
}
MAPPINGS = {
    Dependence.ENDPOINT_INDEPENDENT: "one port for everybody outside",
    Dependence.ADDRESS_DEPENDENT: "another port for each address outside",
    Dependence.ADDRESS_AND_PORT_DEPENDENT: "another port for each peer",
    Dependence.UNKNOWN: "not known",
}
FILTERS = {
    Dependence.ENDPOINT_INDEPENDENT: "lets anybody in who knows the port",
    Dependence.ADDRESS_DEPENDENT: "lets in whoever's address was written to",
    Dependence.ADDRESS_AND_PORT_DEPENDENT: "lets in only answers",
    Dependence.UNKNOWN: "not known",
}
"""What a NAT does with ports, and with packets that come from outside (RFC 4787)."""


class OverlayRow(msgspec.Struct, frozen=True, kw_only=True):
    view: OverlayView
    look: str
    word: str

    @property
    def path(self) -> str:
        return overlay_path(self.view.name)

    @property
    def kind(self) -> str:
        return "Group" if self.view.kind == "group" else "Friends"

    @property
    def has_trouble(self) -> bool:
        return self.look in {"failing", "partly"}


class PeerRow(msgspec.Struct, frozen=True, kw_only=True):
    """`rtt`, `sends`, `gets` and `rate` (of both ways) are "" while there is no link."""

    view: LinkView
    path: str
    label: str
    look: str
    word: str
    rtt: str
    rate: str
    sends: str
    gets: str

    @property
    def is_online(self) -> bool:
        return self.view.status is LinkStatus.ONLINE

    @property
    def id(self) -> str:
        """Of its line in the table, so that the focus stays there when the table is refreshed."""
        return f"peer-{self.view.uid}"


def row_of(view: OverlayView) -> OverlayRow:
    look, word = _overlay_state(view)
    return OverlayRow(view=view, look=look, word=word)


def peer_rows(overlay: str, links: Iterable[LinkView]) -> list[PeerRow]:
    """By name; a peer keeps its place whatever becomes of its link."""
    rows = [peer_row(overlay, one) for one in links]
    return sorted(rows, key=lambda row: (row.view.name == "", row.label.casefold(), row.view.uid))


def peer_row(overlay: str, view: LinkView) -> PeerRow:
    look, word = _link_state(view)
    is_online = view.status is LinkStatus.ONLINE
    return PeerRow(
        view=view,
        path=overlay_path(overlay, f"/peers/{view.uid}"),
        label=view.name or view.uid[:SHORT_UID],
        look=look,
        word=word,
        rtt=milliseconds(view.rtt_s) if is_online else "",
        rate=rate(view.sent_bps + view.received_bps) if is_online else "",
        sends=rate(view.sent_bps) if is_online else "",
        gets=rate(view.received_bps) if is_online else "",
    )


def milliseconds(seconds: float | None) -> str:
    """As in "12 ms"; "" for None."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else "under 1 ms"


def rate(bytes_per_second: float) -> str:
    """As in "12 KB/s"; nothing moves under one byte."""
    return f"{formats.size(bytes_per_second)}/s" if bytes_per_second >= 1 else "idle"


def summary(rows: Sequence[PeerRow]) -> str:
    """In words, for those who do not see the map: "3 direct, 1 relayed, 2 not connected"."""
    online = [row for row in rows if row.is_online]
    relayed = sum(bool(row.view.is_relayed) for row in online)
    counts = [
        (len(online) - relayed, "direct"),
        (relayed, "relayed"),
        (len(rows) - len(online), "not connected"),
    ]
    return ", ".join(f"{count} {what}" for count, what in counts if count) or "nobody yet"


def home_line(views: Sequence[OverlayView]) -> str:
    """All overlays in one line; "" where there are none."""
    if not views:
        return ""
    peers, online = sum(one.peers for one in views), sum(one.online for one in views)
    relayed = sum(one.relayed for one in views)
    what = "1 overlay" if len(views) == 1 else f"{len(views)} overlays"
    if not peers:
        return f"{what}, no peers yet"
    told = f"{what}, {online} of {peers} {'peer' if peers == 1 else 'peers'} connected"
    return f"{told}, {relayed} by a relay" if relayed else told


def _overlay_state(view: OverlayView) -> tuple[str, str]:
    if view.is_up:
        return ("partly", "Up, with trouble") if view.problem else ("running", "Up")
    return ("failing", "Down") if view.interface else ("busy", "Being set up")


def _link_state(view: LinkView) -> tuple[str, str]:
    if view.status is LinkStatus.ONLINE:
        return RELAYED if view.is_relayed else DIRECT
    if view.policy is PathPolicy.OFF:
        return OFF
    return STATES.get(view.state, AWAY if view.status is LinkStatus.OFFLINE else UNKNOWN)
