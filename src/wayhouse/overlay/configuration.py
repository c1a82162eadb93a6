"""What the gateway keeps of one overlay, and hands to the link process as one document.

Written by `service.py`, kept by `configuration_store.py`, carried out by `memberships.py`. Rule: the document holds secrets (passwords, keys), so it is
in no `repr`, log or answer; `views.py` says what may be seen of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, ip_address, ip_network
from typing import TYPE_CHECKING

import msgspec

from wayhouse.base.errors import BadInputError
from wayhouse.overlay import relay_authority
from wayhouse.overlay.account import XmppAccount
from wayhouse.overlay.model import Kind, PathPolicy, TurnServer, is_uid
from wayhouse.overlay.names import zone_name
from wayhouse.overlay.policy import Rule
from wayhouse.overlay.shares import Share, check_all
from wayhouse.overlay.tickets import Signed
from wayhouse.overlay.tincan import split_host

if TYPE_CHECKING:  # cryptography is loaded where something is signed or checked
    from wayhouse.overlay.trust import Membership

STUN_PORT = 3478
MOST_RULES = 256
MOST_ACCOUNTS = 8
MOST_SERVERS = 16
MOST_POLICIES = 4096
SOCIAL_IP4 = "172.31.0.100"
SUBNET = "172.16.0.0/16"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


class BadConfigurationError(BadInputError):
    code = "bad-overlay"
    title = "The overlay cannot be set up like this"


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Of a group. `administrator` is the private key of its founder, empty elsewhere."""

    admin_key: bytes
    secret: bytes
    ticket: Signed
    ticket_key: bytes
    administrator: bytes = b""

    def __repr__(self) -> str:
        return "Keys()"


class Configuration(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """`dns_name` is the gateway's own name in the overlay; `ip4` its address; `subnet` (CIDR) of a group. `is_on_lan`: peers in the local network
    are found without a server. `rules` say what peers may reach here; none: nothing but echo."""

    name: str
    kind: Kind
    uid: str
    dns_name: str
    ip4: str
    subnet: str = ""
    accounts: tuple[XmppAccount, ...] = ()
    is_on_lan: bool = True
    stun: tuple[tuple[str, int], ...] = ()
    turn: tuple[TurnServer, ...] = ()
    relay_ca: str = ""
    """Who signs the certificates of relays, besides those whom this machine trusts: PEM."""
    policy: PathPolicy = PathPolicy.AUTO
    peer_policies: dict[str, PathPolicy] = {}
    rules: tuple[Rule, ...] = ()
    offered_subnets: tuple[str, ...] = ()
    accepted_subnets: dict[str, tuple[str, ...]] = {}
    """By the uid of the peer that offers them."""
    shares: tuple[Share, ...] = ()
    """What peers are given; none: nothing."""
    mtu: int = 1280
    on_demand: bool = False
    in_kernel: bool = True
    """The kernel's WireGuard carries it where that is there and suits."""
    is_legacy: bool = False
    """It speaks as nodes of 2013 to 2016 do, and is linked to those alone."""
    keys: Keys | None = None
    revoked: Signed | None = None
    revision: int = 0
    """Counts the changes that people made of it; the process of the links is not told."""

    def __post_init__(self) -> None:
        _check(check_label(self.name) and _is_zone(self.name), "name", f"{LABEL_RULE}, and not all digits")
        _check(check_label(self.dns_name), "dns_name", LABEL_RULE)
        _check(is_uid(self.uid), "uid", "a uid is 40 lower-case hex digits")
        _check(all(map(is_uid, self.peer_policies)), "peer_policies", "peers are named by their uids")
        _check(576 <= self.mtu <= 9000, "mtu", "the MTU is from 576 to 9000")
        _check(len(self.accounts) <= MOST_ACCOUNTS, "accounts", f"at most {MOST_ACCOUNTS} accounts")
        _check(
            len(self.stun) + len(self.turn) <= MOST_SERVERS,
            "turn",
            f"at most {MOST_SERVERS} STUN and TURN servers",
        )
        if self.relay_ca:
            relay_authority.check(self.relay_ca)
        check_all(self.shares)
        _check(len(self.rules) <= MOST_RULES, "rules", f"at most {MOST_RULES} rules")
        _check(len(self.peer_policies) <= MOST_POLICIES, "peer_policies", f"at most {MOST_POLICIES} peers")
        if self.kind == "group":
            _check(
                not self.is_legacy,  # they have no tickets
                "is_legacy",
                "old nodes cannot be members of a group; take a social overlay, or `wayhouse link --legacy`",
            )
            _check(self.keys is not None, "keys", "a group has keys")
            _check(_is_in(self.ip4, self.network), "ip4", "the address is in the subnet")

    def __repr__(self) -> str:
        return f"Configuration({self.name}, {self.kind})"

    @property
    def network(self) -> IPv4Network:
        """Of this overlay's IPv4 addresses, here. Raises `BadConfigurationError`."""
        return read_subnet(self.subnet) if self.kind == "group" else IPv4Network("172.31.0.0/24")

    @property
    def is_admin(self) -> bool:
        return self.keys is not None and bool(self.keys.administrator)

    def membership(self) -> Membership | None:
        """What `trust.Trust` needs in a group."""
        if self.keys is None:
            return None
        from wayhouse.overlay.membership import Group
        from wayhouse.overlay.trust import Membership

        group = Group(overlay=self.name, admin_key=self.keys.admin_key, secret=self.keys.secret)
        return Membership(group=group, ticket=self.keys.ticket, ticket_key=self.keys.ticket_key)


def _is_zone(name: str) -> bool:
    try:
        zone_name(name)
    except BadInputError:
        return False
    return True


LABEL_RULE = "1 to 32 lower-case letters, digits and `-`, as in a DNS name"


def check_label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None


def read_subnet(text: str) -> IPv4Network:
    """Raises `BadConfigurationError`."""
    try:
        network = ip_network(text)
    except ValueError:
        raise BadConfigurationError(
            f"`{text[:40]}` is no subnet: write it like {SUBNET}.", path="subnet"
        ) from None
    if not isinstance(network, IPv4Network) or not 8 <= network.prefixlen <= 29 or not network.is_private:
        raise BadConfigurationError("A subnet is a private IPv4 network from /8 to /29.", path="subnet")
    return network


def read_servers(texts: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """STUN servers as HOST:PORT. Raises `BadConfigurationError`."""
    try:
        return tuple(split_host(text, STUN_PORT) for text in texts)
    except (BadInputError, ValueError):
        raise BadConfigurationError("A STUN server is HOST or HOST:PORT.", path="stun") from None


def _is_in(address: str, network: IPv4Network) -> bool:
    try:
        return ip_address(address) in network
    except ValueError:
        return False


def _check(is_right: bool, path: str, rule: str) -> None:  # noqa: FBT001 - reads like an assertion
    if not is_right:
        raise BadConfigurationError(f"`{path}`: {rule}.", path=path)
