"""What people ask of overlays, and what they are answered. Called by `service.py`, the API and the command line. Rule: an invitation's code is answered
once and kept nowhere; what is kept of it is enough to take it back."""

from __future__ import annotations

import msgspec

from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.model import Kind, PathPolicy, TurnServer
from wayhouse.overlay.policy import Rule
from wayhouse.overlay.shares import Share

WEEK_S = 7 * 86_400


class Founding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new overlay. `dns_name` is this gateway's name in it, its host name if left out; `subnet` of a group in CIDR form."""

    name: str
    kind: Kind = "group"
    dns_name: str = ""
    subnet: str = ""
    accounts: tuple[XmppAccount, ...] = ()
    is_on_lan: bool = True
    stun: tuple[str, ...] = ()
    """As HOST:PORT."""
    turn: tuple[TurnServer, ...] = ()
    relay_ca: str = ""
    """PEM: who signs the certificates of relays, besides those whom this machine trusts."""
    policy: PathPolicy = PathPolicy.AUTO


class Joining(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An invitation's `code`."""

    code: str
    dns_name: str = ""
    accounts: tuple[XmppAccount, ...] = ()
    """Instead of those in the invitation."""

    def __repr__(self) -> str:
        return "Joining()"


class Inviting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`valid_s`: for how long nodes may join, and stay members, by it; 0: for ever. `tags` are for rules."""

    valid_s: float = 0.0
    tags: tuple[str, ...] = ()
    note: str = ""


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation that was made here. `made` and `expires` in Unix seconds, 0 is never."""

    id: str
    overlay: str
    made: float
    expires: float = 0.0
    tags: tuple[str, ...] = ()
    note: str = ""
    is_revoked: bool = False


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """Shown once."""

    code: str
    invitation: Issued

    def __repr__(self) -> str:
        return f"Code({self.invitation.id})"


class Tuning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be changed of an overlay; what is left out stays. `peer_policies` None takes an entry away. With `if_revision` nothing is changed if the
    setup is at another one by then."""

    dns_name: str | None = None
    policy: PathPolicy | None = None
    peer_policies: dict[str, PathPolicy | None] | None = None
    rules: tuple[Rule, ...] | None = None
    stun: tuple[str, ...] | None = None
    turn: tuple[TurnServer, ...] | None = None
    relay_ca: str | None = None
    accounts: tuple[XmppAccount, ...] | None = None
    is_on_lan: bool | None = None
    on_demand: bool | None = None
    in_kernel: bool | None = None
    is_legacy: bool | None = None
    offered_subnets: tuple[str, ...] | None = None
    accepted_subnets: dict[str, tuple[str, ...]] | None = None
    shares: tuple[Share, ...] | None = None
    if_revision: int | None = None


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How an overlay is set up, without its secrets. `revision` counts its changes."""

    name: str
    kind: Kind
    uid: str
    dns_name: str
    ip4: str
    subnet: str
    accounts: tuple[str, ...]
    is_on_lan: bool
    stun: tuple[str, ...]
    turn: tuple[str, ...]
    relay_ca: str
    policy: PathPolicy
    peer_policies: dict[str, PathPolicy]
    rules: tuple[Rule, ...]
    offered_subnets: tuple[str, ...]
    accepted_subnets: dict[str, tuple[str, ...]]
    shares: tuple[Share, ...]
    on_demand: bool
    in_kernel: bool
    is_legacy: bool
    is_admin: bool
    revision: int
