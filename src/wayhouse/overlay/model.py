"""The words of the overlay: peers, candidates, what signalling and paths tell, and the room's errors.

Used by every file of the room. Rule: plain frozen values, no I/O. A *node* is this gateway in one overlay; a *peer* is another node; a *link*
is an introduction, a path and a tunnel to one peer.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal

import msgspec

from wayhouse.base.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError, UnavailableError

UID_LENGTH = 40
"""A uid is 20 random bytes in lower-case hex."""
_UID = re.compile(r"[0-9a-f]{40}")


def is_uid(text: str) -> bool:
    return _UID.fullmatch(text) is not None


Kind = Literal["social", "group"]
"""Of an overlay: friends with a private view of addresses, or a group with one network."""


class CandidateType(StrEnum):
    """How an address became known (RFC 8445 section 5.1.1)."""

    HOST = "host"
    SERVER_REFLEXIVE = "srflx"
    PEER_REFLEXIVE = "prflx"
    RELAYED = "relay"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An address at which a node may be reached; `username` and `password` are its ICE credentials."""

    host: str
    port: int
    type: CandidateType
    priority: int
    foundation: str
    username: str
    password: str
    protocol: str = "udp"
    component: int = 1
    interface: str = ""
    generation: int = 0
    id: str = ""


class LinkStatus(StrEnum):
    """As the control protocol spells it: offline only after the link has been online once."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"


class PathPolicy(StrEnum):
    """AUTO takes the relay until there is a direct path; DIRECT never relays; RELAY hides this node's addresses; OFF makes no link."""

    AUTO = "auto"
    DIRECT = "direct"
    RELAY = "relay"
    OFF = "off"


# What signalling tells. `via` names the signaller: "xmpp:<bare jid>" or "mdns".


class SignalUp(msgspec.Struct, frozen=True):
    via: str


class SignalDown(msgspec.Struct, frozen=True):
    """`reason` is for people; `is_final`: trying again cannot help (a wrong password)."""

    via: str
    reason: str
    is_final: bool = False


class PeerSeen(msgspec.Struct, frozen=True):
    """A peer said that it is there, or still there; `status` is what it tells everybody: its fingerprint, or nothing."""

    uid: str
    status: str
    via: str


class PeerGone(msgspec.Struct, frozen=True):
    uid: str
    via: str


class Heard(msgspec.Struct, frozen=True):
    """A message of a peer: `kind` is `con_req`, `con_resp`, `send_msg` or any other word."""

    uid: str
    kind: str
    data: str
    via: str


SignalEvent = SignalUp | SignalDown | PeerSeen | PeerGone | Heard


class TurnServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A relay; `transport` is udp, tcp or tls."""

    host: str
    port: int = 3478
    transport: str = "udp"
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"TurnServer({self.transport}:{self.host}:{self.port})"


class PathSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How paths are sought. `stun` and `turn` are tried in order; `ignored_interfaces` give no candidates."""

    stun: tuple[tuple[str, int], ...] = ()
    turn: tuple[TurnServer, ...] = ()
    relay_ca: str = ""
    """Who signs the certificates of relays, besides those whom this machine trusts: PEM."""
    policy: PathPolicy = PathPolicy.AUTO
    ignored_interfaces: tuple[str, ...] = ()
    use_ipv6: bool = True


class PairTried(msgspec.Struct, frozen=True, kw_only=True):
    """A pair of candidates and what became of it: waiting, in-progress, succeeded or failed."""

    local: str
    local_type: CandidateType
    remote: str
    remote_type: CandidateType
    state: str


class PathReport(msgspec.Struct, frozen=True, kw_only=True):
    """Why a path is as it is. `nat` is what was learned of the NAT in front of this node: none, cone, symmetric, blocked or unknown. `rtt_s` is
    of the last check of the path."""

    nat: str = "unknown"
    pairs: tuple[PairTried, ...] = ()
    last_error: str = ""
    rtt_s: float | None = None


class NoSuchPeerError(NotFoundError):
    code = "no-such-peer"
    title = "No such peer"


class NoSuchOverlayError(NotFoundError):
    code = "no-such-overlay"
    title = "No such overlay"


class OverlayExistsError(ConflictError):
    code = "overlay-exists"
    title = "There is an overlay of this name"


class BadCandidateError(BadInputError):
    code = "bad-candidate"
    title = "This candidate cannot be understood"


class BadControlError(BadInputError):
    """A control message that is none."""

    code = "bad-control-message"
    title = "The control message cannot be understood"


class BadBindingError(ForbiddenError):
    """What a peer showed does not prove that its tunnel key belongs to its fingerprint, or that it is a member."""

    code = "bad-binding"
    title = "The peer could not prove who it is"


class BadInvitationError(BadInputError):
    code = "bad-invitation"
    title = "The invitation cannot be used"


class NoPathError(UnavailableError):
    code = "no-path"
    title = "There is no path to the peer"
